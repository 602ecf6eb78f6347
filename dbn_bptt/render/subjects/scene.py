"""The scene: every node at its place, every edge a curve, and nothing that depends on a file format.

x is the slice, then the place in the slice; y is the variable's row, the same in every slice. Writers turn a scene into
SVG, TikZ, DOT and so on.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypedDict

from dbn_bptt.render.colors import Role
from dbn_bptt.render.placing.curves import Outline, Point, Points, middle
from dbn_bptt.render.placing.grid import Key
from dbn_bptt.render.placing.labels import Label, Notation
from dbn_bptt.render.subjects.choices import positive_number
from dbn_bptt.render.subjects.overlays import CARD_FOOT, Heat, Show
from dbn_bptt.render.subjects.parameters import Parameters
from dbn_bptt.render.subjects.roles import Colors
from dbn_bptt.render.subjects.sources import Source
from dbn_bptt.render.subjects.views import Slices, View


class Options(TypedDict, total=False):
    r"""What every writer takes besides the object.

    Attributes
    ----------
    view : "rolled", "two-slice", "unrolled" or "folded"
        One slice with delays; the two slices of a DBN; all slices; the first and last ones. Unless given, what suits.
    T : int
        The number of slices of a template or a dynamic network.
    parameters : "labels", "copies", "shared", "plates" or "none"
        Named on the edges where they multiply, a small copy in every slice, one node for all slices, one node and a
        plate round what repeats, or not at all (as scalar graphs, unless asked).
    show : "values", "adjoints" or "messages"
        Of a result: as heat maps in the nodes or on the edges.
    path : list of nodes
        A path to be marked, as from `paths.heaviest_paths`.
    truncate : int
        Draw the borders that truncated BPTT lets no message cross, every so many slices.
    evidence : as `dbn.smooth` takes it
        Of a dynamic network: observed nodes are shaded, and all show their posteriors as bars.
    compact : bool
        Fold variables that only one equation reads into that equation: h_t = tanh(b + W h_{t-1} + U x_t) without a.
    names : mapping
        What variables and parameters are called in the picture: ``{"h": "s", "L": r"\ell"}``.
    notation : "superscript" or "subscript"
        Whether the slice stands above a name (unless asked) or below it.
    slices : "numbers" or "relative"
        Slices counted from 0 on, or named after the middle one: t-1, t, t+1.
    colors : "plain" or "role"
        With "role", inputs, targets, hidden variables, outputs, losses and parameters each have a colour and an
        outline.
    """

    view: View | None
    T: int | None
    parameters: Parameters
    show: Show | None
    path: Iterable[Any] | None
    truncate: int | None
    evidence: Any
    compact: bool
    names: Mapping[str, str]
    notation: Notation
    slices: Slices
    colors: Colors


PX_OF_CM = 96 / 2.54


@dataclass(frozen=True)
class Spot:
    """A node on the page."""

    id: int
    node: Any  # of the graph that was given; what stands for many has one of its own
    name: Any  # of its variable or parameter
    key: Key
    t: int | None
    column: int | None
    x: float
    y: float
    width: float
    height: float
    shape: Outline
    kind: str  # input, target, variable, term, sum, initial, chance, observed, parameter, copy or elided
    label: Label
    title: str
    heat: Heat | None = None
    marked: bool = False
    role: Role | None = None  # where it is painted by that
    time: str = ""  # the name of its slice, in plain characters
    faint: bool = False  # not computed yet, in an animation
    answered: bool = False  # has sent its messages, in an animation

    @property
    def heat_at(self) -> Point:
        """Where the numbers in it are centred, and end below."""
        return self.x, self.y + self.height / 2 - CARD_FOOT


@dataclass(frozen=True)
class Line:
    """An edge on the page: curves from rim to rim."""

    id: int
    origin: Any  # the edge of the graph that was given
    tail: int  # the id of a spot
    head: int
    points: Points
    label: Label | None  # the parameter on it
    label_at: Point
    weight: float | None  # from 0 to 1
    delay: int  # in slices
    mark: Point  # where the mark of its delay goes
    dashed: bool
    title: str
    heat: Heat | None = None
    marked: bool = False
    faint: bool = False  # no value has gone along it yet, in an animation

    @property
    def heat_at(self) -> Point:
        """Where the numbers on it are centred, and end below."""
        assert self.heat is not None
        x, y = middle(self.points)
        return x, y + self.heat.height / 2


@dataclass(frozen=True)
class Frame:
    """A plate: a rectangle with a caption."""

    x: float
    y: float
    width: float
    height: float
    caption: str


@dataclass(frozen=True)
class Caption:
    """What is said below a frame of an animation, in plain characters and in LaTeX."""

    text: str
    latex: str


@dataclass(frozen=True)
class Scene:
    """What a writer draws. Lengths are px, y grows downwards."""

    title: str
    description: str
    width: float
    height: float
    spots: tuple[Spot, ...]
    lines: tuple[Line, ...]
    frames: tuple[Frame, ...]
    headings: tuple[tuple[float, float, str], ...]  # x, y and text under each column
    borders: tuple[float, ...]  # x of the borders that truncated messages do not cross
    columns: tuple[str, ...]  # what each is called
    source: Source = field(repr=False)
    caption: Caption | None = None  # below it

    @property
    def caption_at(self) -> Point:
        """The middle of the caption's foot."""
        return self.width / 2, self.height - 16.0

    @property
    def border_ends(self) -> tuple[float, float]:
        """The y at which borders begin and end."""
        return 40.0, self.height - 34.0


def scale(picture: Scene, size_cm: float | None) -> float | None:
    """By how much a picture grows from its px, 96 to the inch, to be so wide; None where nothing is asked."""
    if size_cm is None:
        return None
    return positive_number("size_cm", size_cm, "the width in centimetres") * PX_OF_CM / picture.width
