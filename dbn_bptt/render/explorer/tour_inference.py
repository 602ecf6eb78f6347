"""The guided tour where the explorer steps through inference: forward messages, backward messages, posteriors."""

import numpy as np

from dbn_bptt.ops.kernels import Array
from dbn_bptt.render.explorer.tour import Drawn, Stop, fan_in, first_message, in_order, shares, stop
from dbn_bptt.render.explorer.wording import array, listed, named, number
from dbn_bptt.render.subjects.inference import Inference


def tour_of_inference(run: Drawn, asked: Inference) -> list[Stop]:
    """The stops of inference in a network; those that it has no example of are left out."""
    stops = [_given(run, asked), _likelihood(run, asked), first_message(run), fan_in(run)]
    alpha = next(iter(asked.messages), None)
    if alpha is not None:  # slices tell each other something
        stops += [_forward_message(run, asked, alpha), _backward_message(run, alpha), _posterior(run, asked, alpha)]
    return in_order([*stops, _indicator(run, asked), _counts(run), _as_gradients(run)])


def _given(run: Drawn, asked: Inference) -> Stop:
    called = asked.task.structure.evidence
    rows = {(called(name), t): row for name, a in asked.likelihoods.items() for t, row in enumerate(a)}
    told = [node for node, row in rows.items() if node in run.ids and np.any(row != 1)][:1]
    free = [node for node, row in rows.items() if node in run.ids and np.all(row == 1)][:1]
    said = [f"{run.names[v]} = {array(rows[v])} is what slice {v[1]} says of its states" for v in told]
    said += [f"{run.names[v]} = {array(rows[v])} says nothing" for v in free]
    where = {"node": run.ids[told[0]]} if told else {}
    tables = named("table", list(run.result.gradients))
    return stop(
        "What is given", "markov", 0,
        f"Time runs in {run.T} slices. Given are {tables}, and what the evidence says of each variable, a factor for "
        "each state.", f"{'; '.join(said)}." if said else "", "All else is computed.", **where,
    )  # fmt: skip


def _forward_message(run: Drawn, asked: Inference, alpha: str) -> Stop:
    node = (alpha, min(1, run.T - 1))
    return stop(
        "A forward message", "markov", run.known(node),
        f"{run.names[node]} = {_flat(run.result.values[node])} is the forward message: the probabilities of the states "
        f"of {_about(asked, alpha)} in slice {node[1]}, given the evidence up to there.",
        "In the forward sweep a node has its turn once all its parents have values.", node=run.ids[node],
    )  # fmt: skip


def _likelihood(run: Drawn, asked: Inference) -> Stop:
    return stop(
        "The loss", "markov", run.turn, "The forward sweep ends here: every node has its value.",
        f"The loss is \u2212log p(evidence) = {number(-asked.log_likelihood)} nats, a sum over the slices: \u2212log "
        "of the probability of a slice's evidence, given the evidence before it.",
    )  # fmt: skip


def _backward_message(run: Drawn, alpha: str) -> Stop:
    node = _middle(run, alpha)
    return stop(
        "A backward message", "markov", run.answered(node),
        f"What reaches {run.names[node]} is {_flat(run.result.messages.adjoint[node])}, minus the backward message "
        "\u03b2. For each state \u03b2 is the probability of the later evidence given that state, divided by its "
        "probability given the evidence up to here.", node=run.ids[node],
    )  # fmt: skip


def _posterior(run: Drawn, asked: Inference, alpha: str) -> Stop:
    node = _middle(run, alpha)
    product = -run.result.values[node] * run.result.messages.adjoint[node]
    return stop(
        "A posterior", "markov", run.answered(node),
        f"In slice {node[1]} \u03b1 times \u03b2, state by state, is {_flat(product)}: the posterior probabilities of "
        f"{_about(asked, alpha)}, given all evidence.",
        "Here \u03b1 and \u03b2 are scaled; without scales one still divides by p(evidence).", section="network",
    )  # fmt: skip


def _indicator(run: Drawn, asked: Inference) -> Stop | None:
    """A variable of which nothing is said, in the middle of what is drawn."""
    called, slices = asked.task.structure.evidence, range(run.T)
    free = {(called(name), t): name for t in slices for name, a in asked.likelihoods.items() if np.all(a[t] == 1)}
    drawn = [node for node in free if run.ids.get(node) in run.backward]
    if not drawn:
        return None
    node = drawn[len(drawn) // 2]
    return stop(
        "Posteriors are gradients", "networks", run.answered(node),
        f"What reaches {run.names[node]} is {array(run.result.messages.adjoint[node])}: with the other sign, the "
        f"derivative of log p(evidence) in factors that are 1, and that is the posterior of {free[node]}.",
        "So one reverse sweep gives all posteriors, in any network.", node=run.ids[node],
    )  # fmt: skip


def _counts(run: Drawn) -> Stop | None:
    tables = run.result.values.given.parameters
    used = {name: len(shares(run, name)) for name in run.result.gradients}
    name = max(used, key=lambda name: used[name], default=None)
    if name is None or used[name] < 2:
        return None
    counts = -run.result.gradients[name] * tables[name]
    return stop(
        "One table, many slices", "networks", run.last,
        f"The table {name} is used in {used[name]} slices, and its gradient is the sum of what they send over time.",
        "Times the table itself, entry by entry, and with the other sign, that is how often each entry was used, in "
        f"expectation: the counts of EM, which add up to {number(counts.sum())}.", section="gradients",
    )  # fmt: skip


def _as_gradients(run: Drawn) -> Stop:
    return stop(
        "The same as back-propagation", "messages", run.last,
        "Neither sweep knows of probabilities: the forward algorithm is these equations from slice to slice, the "
        "backward algorithm their back-propagation through time.",
        "With the equations of a recurrent network, the same two sweeps give the gradients that it learns by.",
        section="equations",
    )  # fmt: skip


def _middle(run: Drawn, alpha: str) -> tuple[str, int]:
    """A message in the middle of those that are drawn."""
    slices = sorted(spot.t for spot in run.spots if spot.name == alpha and spot.t is not None)
    return alpha, slices[(len(slices) - 1) // 2]


def _about(asked: Inference, alpha: str) -> str:
    """The variables that a message is about."""
    return listed(called for _, called in asked.messages[alpha])


def _flat(a: Array) -> str:
    """The numbers of a message about states, or about the joint states of several variables."""
    return array(np.ravel(a))
