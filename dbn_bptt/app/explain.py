"""Back-propagation through time on a text: the report behind `dbn-bptt explain`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dbn_bptt.agreement import Report, compare
from dbn_bptt.cells import CELLS
from dbn_bptt.errors import DataError, unknown_name
from dbn_bptt.link import Correspondences, correspondences
from dbn_bptt.ops.kernels import Array
from dbn_bptt.program import compile
from dbn_bptt.render import html, svg
from dbn_bptt.render.subjects.views import MOST_SLICES
from dbn_bptt.sweep.given import checked
from dbn_bptt.template.builder import At, SliceTemplate
from dbn_bptt.template.equations import equations
from dbn_bptt.template.structure import interface, parents
from dbn_bptt.transforms.adjoint import adjoint

TEXT = "hello world, hello back-propagation through time"
_SHOWN_SLICES = 12
_LONG = 2000  # slices from which work is long enough for a progress bar


@dataclass(frozen=True)
class Explanation:
    """What was computed on a text; prints as the report.

    Attributes
    ----------
    text : the text whose next characters are predicted
    alphabet : its characters, in the order of the classes
    template : the recurrent network
    report : the comparison of the engines
    norms : for each state the norms of its adjoints dL/dstate, (T,)
    last_norms : the same for the loss of the last slice alone
    correspondences : the table of `link.correspondences` for this network
    page : the explorer, which steps through both sweeps; of more than 8 slices it draws the first and the last
    picture : the unrolled graph as SVG, edges as thick as their messages are large
    """

    text: str
    alphabet: str
    template: SliceTemplate
    report: Report
    norms: Mapping[str, Array]
    last_norms: Mapping[str, Array]
    correspondences: Correspondences = field(repr=False)
    page: str = field(repr=False)
    picture: str = field(repr=False)

    @property
    def slices(self) -> int:
        """The number of slices: one a predicted character."""
        return len(self.text) - 1

    @property
    def folded(self) -> bool:
        """Whether the page and the picture draw the first and the last slices only."""
        return self.slices > MOST_SLICES

    def __str__(self) -> str:
        T, loss = self.slices, self.report.loss
        chance = np.log(len(self.alphabet)) if len(self.alphabet) > 1 else 0.0
        return "\n".join([
            _heading(f"{self.template.name} predicting the next character"),
            f"text of {T + 1} characters, {len(self.alphabet)} different ones: {_shortened(self.text)}",
            f"T = {T} slices; loss = {loss:.6f} nats, {loss / T:.4f} a slice (guessing: {chance:.4f})",
            _heading("Model"),
            equations(self.template, "text"),
            _heading("Adjoint: the messages of the reverse sweep (x_bar is dL/dx, ' the transpose)"),
            equations(adjoint(self.template), "text"),
            _heading("Gradients"),
            str(self.report),
            _heading("Adjoint norms |dL/dstate_t|, from the last slice back"),
            _norm_table(self.norms, np.linspace(T - 1, 0, min(T, _SHOWN_SLICES)).round().astype(int)),
            _heading(f"What the loss of the last slice alone sends back, |dL_{{{T - 1}}}/dstate_t|"),
            _norm_table(self.last_norms, np.arange(T - 1, max(-1, T - 1 - _SHOWN_SLICES), -1)),
            *(f"{name}: {_trend(series)}" for name, series in self.last_norms.items()),
            _heading("Two-slice network"),
            _two_slices(self.template),
            _heading("What corresponds to what, checked on small random models"),
            str(self.correspondences),
        ])  # fmt: skip

    def to_json(self) -> str:
        """All numbers as JSON."""
        content: dict[str, Any] = {
            "text": self.text,
            "alphabet": self.alphabet,
            "template": self.template.name,
            "slices": self.slices,
            "loss": self.report.loss,
            "agreement": self.report.to_dict(),
            "adjoint_norms": {name: norms.tolist() for name, norms in self.norms.items()},
            "adjoint_norms_of_last_loss": {name: norms.tolist() for name, norms in self.last_norms.items()},
            "interface": interface(self.template),
            "equations": {
                "model": equations(self.template, "latex"),
                "adjoint": equations(adjoint(self.template), "latex"),
            },
        }
        return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def explain(
    text: str | None = None, cell: str = "elman", hidden: int = 16, activation: str | None = None, seed: int = 0,
    progress: bool = False,
) -> Explanation:  # fmt: skip
    """Predict each next character of a text, and look at the gradients of that.

    Parameters
    ----------
    text : str, optional
        At least two characters.
    cell : "elman", "jordan", "lstm" or "gru"
    hidden : int
        The number of hidden units.
    activation : str, optional
        Of elman and jordan; tanh unless given.
    seed : int
        Of the random parameters.
    progress : bool
        Show progress bars where there are many slices.

    Examples
    --------
    >>> explain("abcabc", hidden=3).report.ok
    True
    """
    text = TEXT if text is None else text
    template, parameters, data, alphabet = _task(text, cell, hidden, activation, seed)
    progress = progress and len(text) > _LONG
    report = compare(template, parameters, data, seed=seed, progress=progress)
    at_last = _network(len(alphabet), cell, hidden, activation, loss_at="last")
    norms = {name: _norms(report.result.messages.stack(name)) for name in interface(template)}
    last_norms = {name: _norms(series) for name, series in _adjoints(at_last, parameters, data).items()}
    table = correspondences(cell, seed)
    page = html(report, view="folded" if len(text) - 1 > MOST_SLICES else "unrolled")  # as the picture
    return Explanation(text, alphabet, template, report, norms, last_norms, table, page, svg(report.result))


def _task(
    text: str, cell: str, hidden: int, activation: str | None, seed: int
) -> tuple[SliceTemplate, dict[str, Array], dict[str, Array], str]:
    """The network, its parameters, and the text as data: characters as one-hot inputs, the next ones as classes."""
    if len(text) < 2:
        raise DataError(
            f"the text {text!r} has {len(text)} character(s); give at least two, one to predict from the other"
        )
    if any("\ud800" <= c <= "\udfff" for c in text):
        raise DataError("the text holds bytes that are not UTF-8; put it into a file and convert that")
    if seed < 0:
        raise DataError(f"seed is {seed}; give a number from 0 on")
    if hidden < 1:
        raise DataError(f"hidden is {hidden}; give at least one hidden unit")
    if cell not in CELLS:
        raise unknown_name(cell, CELLS, "cell")
    if activation is not None and cell not in ("elman", "jordan"):
        raise DataError(f"activation is for elman and jordan; {cell} has its own")
    alphabet = "".join(sorted(set(text)))
    classes = np.searchsorted(np.array([ord(c) for c in alphabet]), [ord(c) for c in text])
    template = _network(len(alphabet), cell, hidden, activation, loss_at="every")
    data = {"x": np.eye(len(alphabet))[classes[:-1]], "y": classes[1:]}
    return template, template.initial_parameters(seed), data, alphabet


def _network(size: int, cell: str, hidden: int, activation: str | None, loss_at: At) -> SliceTemplate:
    options = {} if activation is None else {"activation": activation}
    return CELLS[cell](size, hidden, size, loss_at=loss_at, **options)


def _adjoints(template: SliceTemplate, parameters: Mapping[str, Array], data: Mapping[str, Array]) -> dict[str, Array]:
    """The adjoints of a template's states in all slices, by its program."""
    states = interface(template)
    program = compile(template)
    bars = program.backward.partners
    given = checked(program.template, parameters, data)
    series = program.run(given, series=[bars[name] for name in states], wrt=("params",)).series
    return {name: series[bars[name]] for name in states}


def _norms(series: Array) -> Array:
    return np.asarray(np.linalg.norm(series.reshape(len(series), -1), axis=1))


def _heading(title: str) -> str:
    return f"\n{title}\n{'-' * len(title)}"


def _shortened(text: str, width: int = 60) -> str:
    return repr(text if len(text) <= width else text[: width - 3] + "...")


def _norm_table(norms: Mapping[str, Array], slices: Array) -> str:
    """The norms in some slices."""
    lines = ["slice  " + "  ".join(f"{name:>10}" for name in norms)]
    lines += [f"{t:5d}  " + "  ".join(f"{series[t]:10.3e}" for series in norms.values()) for t in slices]
    return "\n".join(lines)


def _trend(series: Array) -> str:
    """The geometric mean of the factor from slice t to slice t-1, as far back as numbers reach."""
    there = np.flatnonzero(series > 1e-300)
    if len(there) < 2:
        return "no trend over so few slices"
    first, last = there[0], there[-1]
    factor = float((series[first] / series[last]) ** (1 / (last - first)))
    word = "grows" if factor > 1.02 else "shrinks" if factor < 0.98 else "nearly keeps its size,"
    return f"the norm {word} by a factor of {factor:.3f} a slice backwards in time, on average"


def _two_slices(template: SliceTemplate) -> str:
    """Who depends on whom within a slice and between slices, and through which variables."""
    lines = []
    for name, found in parents(template).items():
        inside = ", ".join(f"{p}_t" for p, lag in found if lag == 0)
        before = ", ".join(f"{p}_{{t{-lag:+d}}}" for p, lag in found if lag)
        lines.append(f"{name}_t  from  {', '.join(part for part in (inside, before) if part)}")
    states = interface(template)
    sizes = sum(int(np.prod(template.symbols[name].shape)) for name in states)
    lines.append(f"interface, all that one slice tells the next: {', '.join(states)} ({sizes} numbers)")
    return "\n".join(lines)
