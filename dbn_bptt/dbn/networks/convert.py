"""To pgmpy and back: networks with new tables, unrolled networks, and recurrent networks as two-slice structures."""

from typing import Any

from dbn_bptt.dbn.networks.network import Network, Table
from dbn_bptt.dbn.networks.reading import read
from dbn_bptt.dbn.polynomial.forward import titles
from dbn_bptt.errors import ModelError, positive
from dbn_bptt.template.domains import EVERY
from dbn_bptt.template.structure import parents
from dbn_bptt.template.template import Described, Template, checked_template
from dbn_bptt.template.traversal import dependencies


def to_pgmpy(network: Network) -> Any:
    """The discrete part of a `Network`, without emissions, as a pgmpy `DynamicBayesianNetwork` with all CPDs.

    Raises
    ------
    ModelError
        Where an edge reaches more than one slice back, for which pgmpy has no place.

    Examples
    --------
    >>> from dbn_bptt import dbn
    >>> network = dbn.emit(dbn.umbrella(), "Level", dbn.gaussian("Rain", [0.0, 3.0], 1.0))
    >>> dbn.to_pgmpy(network).get_cpds(("Rain", 1)).values
    array([[0.7, 0.3],
           [0.3, 0.7]])
    """
    from pgmpy.models import DynamicBayesianNetwork

    network = read(network)
    _check_plain(network)
    if network.order > 1:
        mend = (
            "pgmpy's DynamicBayesianNetwork has edges to the next slice alone; unrolled(network, T) is a pgmpy network"
        )
        raise ModelError(f"the network reaches {network.order} slices back; {mend}")
    model = DynamicBayesianNetwork()
    model.add_nodes_from(network.names)
    tables = [(t, slice_) for slice_, side in ((0, network.first), (1, network.later)) for t in side.values()]
    for table, slice_ in tables:
        model.add_edges_from([((name, slice_ - lag), (table.variable, slice_)) for name, lag in table.parents])
    for table, slice_ in tables:
        if (table.variable, slice_) in model.nodes():  # what no edge touches has a node in slice 0 only
            nodes = [(name, slice_ - lag) for name, lag in table.parents]
            model.add_cpds(_cpd(network, table, (table.variable, slice_), nodes))
    return model


def unrolled(model: Any, T: int) -> Any:
    """A dynamic network as a pgmpy `DiscreteBayesianNetwork` of T slices, for pgmpy's own engines and writers.

    It takes a pgmpy `DynamicBayesianNetwork` or a `Network`, of which emissions are left out. Its nodes are called
    ``"Z_2"`` for variable Z at slice 2, in letters that every file format takes. A structure without CPDs, as from
    `from_template`, gives one without.

    Examples
    --------
    >>> from dbn_bptt.dbn import umbrella, unrolled
    >>> network = unrolled(umbrella(), 3)
    >>> sorted(network.nodes()), network.check_model()
    (['Rain_0', 'Rain_1', 'Rain_2', 'Umbrella_0', 'Umbrella_1', 'Umbrella_2'], True)
    """
    from pgmpy.models import DiscreteBayesianNetwork

    T = positive(T, f"T is {T!r}; the number of slices must be a positive integer")
    if not isinstance(model, Network) and not hasattr(model, "get_inter_edges"):
        raise ModelError(f"unrolled takes a pgmpy DynamicBayesianNetwork, not {type(model).__name__}")
    if isinstance(model, Network) or model.cpds:
        return _unrolled(read(model), T)
    names = list(dict.fromkeys(node[0] for node in model.nodes()))
    title = dict(zip(names, titles(tuple(map(str, names))), strict=True))
    network = DiscreteBayesianNetwork()
    network.add_nodes_from(f"{title[name]}_{t}" for t in range(T) for name in names)
    for u, v in model.edges():
        lag = v[1] - u[1]
        starts = range(T - lag) if lag or u[1] == 0 else ()
        network.add_edges_from([(f"{title[u[0]]}_{t}", f"{title[v[0]]}_{t + lag}") for t in starts])
    return network


def _check_plain(network: Network) -> None:
    """Refuse what tables of pgmpy cannot hold."""
    if network.drives or network.conditional:
        what = (
            f"the table of {next(iter(network.drives))!r} depends on inputs" if network.drives else "it is conditional"
        )
        raise ModelError(f"pgmpy has no place for this network: {what}")


def _unrolled(network: Network, T: int) -> Any:
    """The tables of T slices as a pgmpy network."""
    _check_plain(network)
    from pgmpy.models import DiscreteBayesianNetwork

    title = dict(zip(network.names, titles(tuple(map(str, network.names))), strict=True))
    whole = DiscreteBayesianNetwork()
    whole.add_nodes_from(f"{title[name]}_{t}" for t in range(T) for name in network.names)
    for t in range(T):
        for name in network.names:
            table, node = network.at(name, t), f"{title[name]}_{t}"
            above = [f"{title[parent]}_{t - lag}" for parent, lag in table.parents]
            whole.add_edges_from((parent, node) for parent in above)
            whole.add_cpds(_cpd(network, table, node, above))
    return whole


def _cpd(network: Network, table: Table, node: Any, parent_nodes: list[Any]) -> Any:
    """A table as a pgmpy CPD of a node with some parents."""
    from pgmpy.factors.discrete import TabularCPD

    shape = table.values.shape
    named = zip((node, *parent_nodes), (table.variable, *(name for name, _ in table.parents)), strict=True)
    states = {key: list(network.states[name]) for key, name in named}
    values = table.values.reshape(shape[0], -1)
    return TabularCPD(node, shape[0], values, parent_nodes or None, list(shape[1:]) or None, state_names=states)


def from_template(template: Described) -> Any:
    """The two-slice structure of a template as a pgmpy `DynamicBayesianNetwork` without CPDs.

    Its nodes are inputs, variables and targets. A target is a child of what its loss compares it with. The attribute
    ``observed`` of a node tells data from what is computed.

    Raises
    ------
    ModelError
        Where an equation reaches more than one slice back, or into slices to come.

    Examples
    --------
    >>> import dbn_bptt as db
    >>> from dbn_bptt.dbn import from_template
    >>> model = from_template(db.cells.elman(n_inputs=3, n_hidden=4, n_outputs=2))
    >>> [(str(u), str(v)) for u, v in model.get_inter_edges()]
    [('(h, 0)', '(a, 1)')]
    """
    from pgmpy.models import DynamicBayesianNetwork

    of = checked_template(template, "from_template")
    edges = [(u, v, lag) for v, used in parents(of).items() for u, lag in used]
    for u, v, lag in edges:
        if lag not in (0, 1):
            mend = "a two-slice network knows lags 0 and 1; carry it on in another variable"
            raise ModelError(f"{v} uses {u} at lag {lag}; {mend}")
    kinds = {name: symbol.kind for name, symbol in of.symbols.items()}
    model = DynamicBayesianNetwork()
    for name in of.names("input", "variable", "target"):
        model.add_node(name)
    for u, v, lag in [*edges, *_of_targets(of)]:
        if kinds[v] == "variable" or kinds[v] == "target":
            model.add_edge((u, 0), (v, lag))
    for node in model.nodes():
        model.nodes[node]["observed"] = kinds[node[0]] != "variable"
    return model


def _of_targets(template: Template) -> list[tuple[str, str, int]]:
    """The edges to targets from the variables that their losses compare them with."""
    found: dict[tuple[str, str, int], None] = {}
    for name in template.losses:
        for piece in template.definitions[name].pieces:
            read_here = [(symbol, lag) for symbol, lag, _ in dependencies(piece.expression, EVERY)]
            targets = [symbol.name for symbol, lag in read_here if symbol.kind == "target" and lag == 0]
            used = [symbol.name for symbol, lag in read_here if symbol.kind == "variable" and lag == 0]
            found |= dict.fromkeys((u, y, 0) for y in targets for u in used)
    return list(found)
