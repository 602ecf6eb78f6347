"""Domains as algebra, against the slices of every number of slices up to many."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbn_bptt.template.domains import AFTER_FIRST, EVERY, FIRST, LAST, Bound, Domain, between, hull, settled

MANY = range(1, 40)
bounds = st.builds(Bound, st.sampled_from(["start", "end"]), st.integers(-4, 4))
intervals = st.builds(lambda low, high: Domain(frozenset({low}), frozenset({high})), bounds, bounds)
domains = intervals | st.builds(lambda a, b: a & b, intervals, intervals)


@given(domains)
def test_lengths_are_those_with_slices(domain):
    least, most = domain.lengths
    expected = [T for T in MANY if domain.slices(T)]
    assert [T for T in MANY if least <= T and (most is None or most >= T)] == expected
    assert domain.is_empty == (not expected)


@given(domains, domains)
def test_an_intersection_holds_what_both_hold(a, b):
    for T in MANY:
        assert set((a & b).slices(T)) == set(a.slices(T)) & set(b.slices(T))


@given(st.lists(domains, min_size=1, max_size=4))
def test_a_hull_holds_all(several):
    whole = hull(several)
    for T in MANY:
        assert set().union(*(d.slices(T) for d in several)) <= set(whole.slices(T))


@pytest.mark.parametrize(
    ("several", "expected"),
    [
        ([], EVERY),
        ([FIRST, AFTER_FIRST], EVERY),
        ([LAST, between(0, -1)], EVERY),
        ([LAST], LAST),
        ([LAST, LAST.shifted(-2)], Domain(frozenset({Bound("end", -2)}), frozenset({Bound("end", 0)}))),
        ([FIRST & LAST.shifted(3), AFTER_FIRST], AFTER_FIRST),
    ],
)
def test_hulls_are_tight(several, expected):
    assert hull(several) == expected


@given(domains, st.lists(domains, max_size=2))
def test_distances_of_borders_are_extreme_at_the_turns(domain, others):
    """But for those that grow with T without end."""
    if domain.is_empty:
        return
    turns = domain.turns(others)
    least, most = domain.lengths
    for other in others:
        for distance in (lambda T, o=other: o.low(T) - domain.low(T), lambda T, o=other: domain.high(T) - o.high(T)):
            lengths = range(least, 1 + (max(turns) if most is None else most))
            assert max(map(distance, turns)) == max(map(distance, lengths))


@given(st.lists(domains, min_size=1, max_size=3))
def test_borders_are_in_order_from_a_settled_number_of_slices_on(several):
    T = settled(several)
    for bound in (b for d in several for b in d.lows | d.highs):
        assert bound.at(T) < T // 4 if bound.anchor == "start" else bound.at(T) >= T - T // 4
