"""Back-propagation through time, dynamic programming and DBN inference, name by name.

Each row pairs two names, says by which formula they are the same, and is checked with random models when it is asked
for. What one side computes by this package's sweep, the other computes in another way.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dbn_bptt.cells import CELLS
from dbn_bptt.errors import unknown_name
from dbn_bptt.link import checks
from dbn_bptt.link.checks import Setting


@dataclass(frozen=True)
class Correspondence:
    """One row: two names, the formula that joins them, where it stands in print, and how well it holds here.

    Attributes
    ----------
    network : what is called so in recurrent networks
    inference : and what in inference or dynamic programming
    formula, source : str
    error : the largest absolute difference that was found
    tolerance : up to which the row counts as holding
    """

    network: str
    inference: str
    formula: str
    source: str
    error: float
    tolerance: float

    @property
    def ok(self) -> bool:
        """Whether the row holds."""
        return bool(self.error <= self.tolerance)


@dataclass(frozen=True)
class Correspondences:
    """The table; prints as one."""

    rows: tuple[Correspondence, ...]

    @property
    def ok(self) -> bool:
        """Whether all rows hold."""
        return all(row.ok for row in self.rows)

    def __str__(self) -> str:
        head = ("recurrent network", "inference, dynamic programming", "because", "error")
        body = [(r.network, r.inference, r.formula, f"{r.error:.0e}" + ("" if r.ok else " FAILS")) for r in self.rows]
        widths = [max(map(len, column)) for column in zip(head, *body, strict=True)]
        lines = ["  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in (head, *body)]
        verdict = "all correspondences hold" if self.ok else "A CORRESPONDENCE FAILS"
        return "\n".join([*lines, verdict])

    __repr__ = __str__


@dataclass(frozen=True)
class _Claim:
    network: str
    inference: str
    formula: str
    source: str
    check: Callable[[Setting], float]
    tolerance: float = 1e-10


KF, GBC, DARWICHE = "Koller & Friedman 2009", "Goodfellow et al. 2016, 10.2.2", "Darwiche 2003; Eisner 2016"
CLAIMS = (
    _Claim("message into h_t", "costate, gradient of the cost-to-go", "dL/dh_t = grad J_t(h_t)", "Bellman 1957",
           checks.costate, 1e-6),
    _Claim("loss from slice t on", "-log backward message beta_t", "J_t(h) = l_t(h) + J_{t+1}(F(h))", "Bellman 1957",
           checks.bellman),
    _Claim("gradient", "sum over paths", "dL/dv = sum of products of weights", "Bauer 1974", checks.path_sums),
    _Claim("reverse sweep", "triangular linear system", "(I - A') adjoint = e", "Griewank & Walther 2008",
           checks.triangular_system),
    _Claim("truncation after k slices", "paths of lag below k", "coefficients of polynomials in z", GBC, checks.lags),
    _Claim("RTRL", "forward elimination", "tangents of the parameters' copies", "Williams & Zipser 1989", checks.rtrl),
    _Claim("BPTT's multiplications", "reverse elimination", "|E| - indegree(L)", "Griewank & Walther 2008",
           checks.reverse_elimination, 0.0),
    _Claim("scanned variables read by the next slice", "forward interface", "cycles of the rolled-up graph",
           "Murphy 2002", checks.interface, 0.0),
    _Claim("forward sweep", "forward algorithm", "alpha_t, scaled", "Rabiner 1989", checks.alpha),
    _Claim("message into alpha_t", "backward algorithm", "dL/dalpha_t = -beta_t", DARWICHE, checks.beta),
    _Claim("gradient in an indicator", "posterior marginal", "e dlogp/de = p(v_t = k | y)", DARWICHE, checks.gamma),
    _Claim("gradient in a table", "expected count of EM", "theta dlogp/dtheta = E[count]", "Eisner 2016",
           checks.expected_counts),
    _Claim("BPTT cut after one slice", "filtering", "no message from later slices", KF, checks.filtering),
    _Claim("subgradient of a maximum", "most probable path", "max in place of sum", "Viterbi 1967", checks.viterbi),
    _Claim("message into m-_t", "smoother's adjoint", "modified Bryson-Frazier", "Bierman 1973",
           checks.bryson_frazier, 1e-9),
    _Claim("gradient through the Kalman filter", "smoothed mean", "m- - P- dL/dm-", "Bierman 1973",
           checks.smoothed_means, 1e-9),
    _Claim("delta_t of the network's own DBN", "prior minus posterior mean", "n (E f(a_t) - E h_t | y)", "Barber 2002",
           checks.delta),
    _Claim("gradient as many copies make it", "gradient of the DBN", "n (dlogp_n - dlogp) is flat", "THEORY, 7.3",
           checks.many_copies, 0.15),
    _Claim("gradient step", "posterior mean of roots", "E[dtheta | dL] = -eta g", "linear-Gaussian BN",
           checks.gradient_step),
    _Claim("chain of adjoints", "affine maps composed in a tree", "(J2, c2) o (J1, c1) = (J2 J1, J2 c1 + c2)",
           "Blelloch 1990; Wang et al. 2020", checks.adjoint_chain),
    _Claim("Newton step on all slices", "smoothed mean of a linearised model", "s = F(g) + F' (s_{t-1} - g_{t-1})",
           "Lim et al. 2024; Gonzalez et al. 2024", checks.newton_step),
    _Claim("forward sweep at once", "fixed point of Newton's method", "exact in slice t after t + 1 steps",
           "Lim et al. 2024", checks.newton_limit),
)  # fmt: skip


def correspondences(cell: str = "elman", seed: int = 0) -> Correspondences:
    """What corresponds to what, checked with random models.

    Parameters
    ----------
    cell : "elman", "jordan", "lstm" or "gru"
        The recurrent network of the rows that are about any network.
    seed : int

    Examples
    --------
    >>> from dbn_bptt import link
    >>> table = link.correspondences()
    >>> table.ok, table.rows[9].inference
    (True, 'backward algorithm')
    """
    if cell not in CELLS:
        raise unknown_name(cell, CELLS, "cell")
    rows = []
    for k, claim in enumerate(CLAIMS):
        setting = Setting(CELLS[cell](2, 3, 2), np.random.default_rng([seed, k]))
        error = float(claim.check(setting))
        rows.append(Correspondence(claim.network, claim.inference, claim.formula, claim.source, error, claim.tolerance))
    return Correspondences(tuple(rows))
