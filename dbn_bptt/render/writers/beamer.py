"""The two sweeps as a frame of LaTeX's beamer, one overlay for each step."""

from typing import Any, Unpack

from dbn_bptt.render.subjects.scene import PX_OF_CM, Options, Scene, scale
from dbn_bptt.render.subjects.steps import frames, runs
from dbn_bptt.render.writers.tikz import parts, scaled

_ROOM = 10.8, 8.0  # cm across and down within the margins of a slide of beamer's


def beamer(result: Any, *, standalone: bool = True, size_cm: float | None = None, **options: Unpack[Options]) -> str:
    r"""The forward sweep and then the reverse sweep of a run, as one beamer frame in which each step is an overlay.

    Parameters
    ----------
    result : Result
        From `bptt`.
    standalone : bool
        A whole document for pdflatex; otherwise what goes between ``\begin{frame}`` and ``\end{frame}``, which needs
        the packages tikz and amsmath.
    size_cm : float
        The width in centimetres; as large as a slide allows, unless given.
    **options
        Those of `animated_svg`.

    Examples
    --------
    >>> import numpy as np, dbn_bptt as db
    >>> rnn = db.cells.elman(n_inputs=3, n_hidden=4, n_outputs=2)
    >>> result = db.bptt(rnn, rnn.initial_parameters(0), {"x": np.ones((1, 3)), "y": np.array([0])})
    >>> text = beamer(result, standalone=False)
    >>> r"\only<2-2>{\node at" in text, r"forward: $h_{0} = \tanh(a_{0})$" in text
    (True, True)
    """
    scenes = frames(result, options)
    last = len(scenes) - 1
    lines = [
        text if (first, end) == (0, last) else rf"\only<{first + 1}-{end + 1 if end < last else ''}>{{{text}}}"
        for text, first, end in runs([parts(picture, whole=True) for picture in scenes])
    ]
    body = [r"\centering", *scaled(lines, _fitting(scenes[0]) if size_cm is None else scale(scenes[0], size_cm))]
    if standalone:
        head = [r"\documentclass{beamer}", r"\usepackage{tikz, amsmath}", r"\setbeamertemplate{navigation symbols}{}"]
        body = [*head, r"\begin{document}", r"\begin{frame}", *body, r"\end{frame}", r"\end{document}"]
    return "\n".join(body) + "\n"


def _fitting(picture: Scene) -> float:
    """By how much a picture grows or shrinks to fill a slide."""
    across, down = _ROOM
    return min(across / picture.width, down / picture.height) * PX_OF_CM
