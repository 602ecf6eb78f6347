"""The two sweeps as one animated SVG, which plays by itself, again and again."""

from collections.abc import Iterator
from typing import Any, Unpack

from dbn_bptt.render.colors import ANSWERED, FAINT, LIGHT
from dbn_bptt.render.subjects.choices import one_of, positive_number
from dbn_bptt.render.subjects.scene import Options, scale
from dbn_bptt.render.subjects.steps import LAST, frames, runs
from dbn_bptt.render.writers.svg import THEME_NAMES, Svg, Theme, framed, has_roles, parts, style


def animated_svg(
    result: Any, *, theme: Theme = "light", size_cm: float | None = None, seconds: float = 1.0,
    **options: Unpack[Options],
) -> Svg:  # fmt: skip
    """The forward sweep and then the reverse sweep of a run, as one stand-alone SVG that plays again and again.

    What is still to come is faint, what goes on is green; edges grow as thick as the messages on them are large, and
    what has answered has an orange outline. Where the reader's system asks for reduced motion, it stands still and
    finished. It holds no program.

    Parameters
    ----------
    result : Result
        From `bptt`.
    theme, size_cm
        As in `svg`.
    seconds : float
        How long each step stands.
    **options
        Those of `svg`, without `path`; of the views, "unrolled" and "folded".

    Examples
    --------
    >>> import numpy as np, dbn_bptt as db
    >>> rnn = db.cells.elman(n_inputs=3, n_hidden=4, n_outputs=2)
    >>> result = db.bptt(rnn, rnn.initial_parameters(0), {"x": np.ones((2, 3)), "y": np.array([0, 1])})
    >>> picture = animated_svg(result)
    >>> "prefers-reduced-motion" in picture, "forward: h_1 = tanh(a_1)" in picture, "<script" in picture
    (True, True, False)
    """
    one_of("theme", theme, THEME_NAMES)
    seconds = positive_number("seconds", seconds, "how long each step stands")
    scenes = frames(result, options)
    last = len(scenes) - 1
    inside, times = list[str](), dict[tuple[int, int], None]()
    for text, first, end in runs([parts(picture) for picture in scenes]):
        if (first, end) == (0, last):
            inside.append(text)
        else:
            times[first, end] = None
            inside.append(f'<g class="step s{first}-{end}{" done" if end == last else ""}">{text}</g>')
    sheet = style(theme, has_roles(scenes[0])) + "\n".join(_motion(list(times), last, seconds))
    return Svg(framed(scenes[0], inside, sheet, scale=scale(scenes[0], size_cm)))


def _motion(times: list[tuple[int, int]], last: int, seconds: float) -> Iterator[str]:
    """The style of what is seen during some of the steps, the first and the last of them given."""
    steps = last + LAST
    yield f".dbn-bptt .faint {{ opacity: {FAINT} }}"
    yield f".dbn-bptt .answered {{ stroke: {LIGHT.orange}; stroke-width: {ANSWERED} }}"
    yield f".dbn-bptt .step {{ animation: {steps * seconds:g}s step-end infinite; visibility: hidden }}"
    for first, end in times:
        begins = f"0% {{ visibility: hidden }} {100 * first / steps:.3f}%" if first else "0%"
        ends = f" {100 * (end + 1) / steps:.3f}%, 100% {{ visibility: hidden }}" if end < last else " 100%"
        tail = "" if end < last else " { visibility: visible }"
        yield f"@keyframes s{first}-{end} {{ {begins} {{ visibility: visible }}{ends}{tail} }}"
        yield f".dbn-bptt .s{first}-{end} {{ animation-name: s{first}-{end} }}"
    yield (
        "@media (prefers-reduced-motion: reduce) { .dbn-bptt .step { animation: none } "
        ".dbn-bptt .done { visibility: visible } }\n"
    )
