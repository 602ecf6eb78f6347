"""The two sweeps as an animated GIF, for slides that play no SVG."""

from io import BytesIO
from typing import Any, Unpack

import numpy as np

from dbn_bptt.errors import DbnBpttError
from dbn_bptt.render.subjects.choices import positive_number
from dbn_bptt.render.subjects.scene import Options
from dbn_bptt.render.subjects.steps import LAST, frames
from dbn_bptt.render.writers.figure import figure

_DPI = 110  # dots to the inch


def gif(result: Any, *, size_cm: float | None = None, seconds: float = 1.0, **options: Unpack[Options]) -> bytes:
    """The forward sweep and then the reverse sweep of a run, as the bytes of a GIF file that plays again and again.

    matplotlib and Pillow are imported here (``pip install dbn_bptt[figures]``). The options are those of
    `animated_svg`; there are no themes.

    Examples
    --------
    >>> import numpy as np, dbn_bptt as db
    >>> rnn = db.cells.elman(n_inputs=3, n_hidden=4, n_outputs=2)
    >>> result = db.bptt(rnn, rnn.initial_parameters(0), {"x": np.ones((1, 3)), "y": np.array([0])})
    >>> gif(result, size_cm=4)[:6]
    b'GIF89a'
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from PIL import Image
    except ImportError:
        raise DbnBpttError("animated GIFs need matplotlib; pip install matplotlib") from None
    seconds = positive_number("seconds", seconds, "how long each step stands")
    images = []
    for picture in frames(result, options):
        drawn = figure(picture, size_cm=size_cm)
        drawn.set_dpi(_DPI)
        canvas: Any = FigureCanvasAgg(drawn)
        canvas.draw()
        images.append(Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB"))
    first, *others = [image.quantize(128, dither=Image.Dither.NONE) for image in images]
    file = BytesIO()
    times = [int(1000 * seconds)] * (len(images) - 1) + [int(1000 * seconds * LAST)]
    first.save(file, "GIF", save_all=True, append_images=others, duration=times, loop=0)
    return file.getvalue()
