"""A pooled mean without each of its studies, by (restricted) maximum likelihood, in time and memory linear in k.

The likelihood without study i depends on the data through a few sums over the other studies, such as Σ1/(v + τ²). At
one τ² the sums for all i at once cost O(k), so all likelihoods are scanned on one grid, like a single one. Between two
grid points where a score falls through 0, the sums are interpolated in τ² at Chebyshev points: they are analytic but
for poles at τ² = −vⱼ, and on a cell where τ² + min v grows by e^½ the error of a polynomial through n points falls as
8⁻ⁿ, whatever the data (Trefethen 2013, Approximation Theory and Approximation Practice, theorem 8.2): 18 points leave
less than rounding.

Nothing cancels: own terms are never subtracted, and the most precise study m, whose weight is the largest at every τ²,
stands apart. Effects are measured from its own, so that sums of squares around the mean, which are at least
w_m(y_m − μ)², keep k·ε relative accuracy; and tr P = (2w_m R₁ + R₁² − R₂)/(w_m + R₁) for the sums R₁ = Σw and R₂ = Σw²
over the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from metail2.kernels.heterogeneity import heterogeneity
from metail2.kernels.likelihood import BLOCK, GRID_STEP, maximise, profile_ml, profile_reml
from metail2.kernels.wls import sum_of_others, weighted_fit

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

NODES = 18
"""Chebyshev points in a cell of the grid."""
MAX_STEPS = 60
"""Steps of the bracketing search for a root; false position on an almost linear function needs about four."""
PRECISION = 4 * float(np.finfo(float).eps)
"""Relative step at which the search ends."""


@dataclass(frozen=True, slots=True)
class _Sums:
    """Sums over the studies that are neither i nor m, and the weight of m; every entry of shape (..., lanes).

    `rest` holds Σw, Σw², Σwz, Σwz², Σw²z, Σw²z² and Σlog w, where z is the distance from the effect of m; first axis 7.
    """

    rest: Floats
    weight: Floats

    @property
    def total(self) -> Floats:
        return np.asarray(self.rest[0] + self.weight)

    def mean(self) -> Floats:
        """Distance of the weighted mean from the effect of m."""
        return np.asarray(self.rest[2] / self.total)

    def q(self) -> Floats:
        """Σw(y − μ)²."""
        mean = self.mean()
        return np.asarray(self.weight * mean**2 + self.rest[3] - 2 * mean * self.rest[2] + mean**2 * self.rest[0])

    def q_slope(self) -> Floats:
        """Σw²(y − μ)²."""
        mean = self.mean()
        return np.asarray((self.weight * mean) ** 2 + self.rest[5] - 2 * mean * self.rest[4] + mean**2 * self.rest[1])

    def trace(self, restricted: bool) -> Floats:
        """The trace term of the score: tr P, or for ML tr W."""
        pairs = 2 * self.weight * self.rest[0] + self.rest[0] ** 2 - self.rest[1]
        return np.asarray(pairs / self.total if restricted else self.total)

    def excess(self, restricted: bool) -> Floats:
        """1 − trace/y′PPy, which has the sign of the score; see `likelihood.Profile`."""
        slope = self.q_slope()
        return 1 - np.divide(self.trace(restricted), slope, out=np.full_like(slope, np.inf), where=slope > 0)

    def height(self, restricted: bool) -> Floats:
        """Twice the profile log-likelihood, but for constants."""
        value = self.rest[6] + np.log(self.weight) - self.q()
        return np.asarray(value - np.log(self.total) if restricted else value)


@dataclass(frozen=True, slots=True)
class _Problem:
    """Effects z measured from that of study m, their variances, and which likelihood; lanes are studies left out."""

    z: Floats
    vi: Floats
    most: int
    restricted: bool

    def sums(self, tau2: Floats) -> _Sums:
        """Sums of every lane at each τ² of shape (points,); shape (points, k)."""
        weights = 1 / (self.vi + tau2[:, None])
        weight = weights[:, self.most, None].copy()
        logs = np.log(weights)
        weights[:, self.most] = logs[:, self.most] = 0.0
        first = weights * self.z
        powers = (weights, weights**2, first, first * self.z, weights * first, first**2, logs)
        return _Sums(np.stack([sum_of_others(values) for values in powers]), weight)


@dataclass(frozen=True, slots=True)
class MeanDeletions:
    """The mean without each study, shape (k,).

    Attributes
    ----------
    tau2, beta, variance : ndarray
        τ², the weighted mean at τ² and its model-based variance.
    s2 : ndarray
        Σw(y − μ)²/(k − 2), the factor of Hartung and Knapp.
    q, typical_variance : ndarray
        Cochran's Q and the typical sampling variance, both with weights 1/v.
    """

    tau2: Floats
    beta: Floats
    variance: Floats
    s2: Floats
    q: Floats
    typical_variance: Floats


def mean_without_each(yi: Floats, vi: Floats, *, restricted: bool) -> MeanDeletions:
    """Fit the mean of the other studies, for every study, at the global maximum that `likelihood.maximise` finds.

    Parameters
    ----------
    yi, vi : ndarray, shape (k,)
        Effects and sampling variances, k ≥ 3.
    restricted : bool
        REML, else ML.
    """
    most, df = int(np.argmin(vi)), len(vi) - 2
    problem = _Problem(yi - yi[most], vi, most, restricted)
    common = problem.sums(np.zeros(1))
    tau2, sums = _highest(problem, common)
    found = MeanDeletions(
        tau2, yi[most] + sums.mean(), 1 / sums.total, sums.q() / df, common.q()[0], df / common.trace(True)[0]
    )
    return _with_most_precise(found, yi, vi, most, restricted)


def _with_most_precise(found: MeanDeletions, yi: Floats, vi: Floats, most: int, restricted: bool) -> MeanDeletions:
    """Fill in the lane without the most precise study, from which the others are measured, by an ordinary fit."""
    y, v = np.delete(yi, most), np.delete(vi, most)
    x = np.ones((len(y), 1))
    found.tau2[most] = maximise(profile_reml if restricted else profile_ml, y, v, x).tau2
    fit, spread = weighted_fit(y, 1 / (v + found.tau2[most]), x), heterogeneity(y, v, x)
    found.beta[most], found.variance[most] = fit.beta[0], fit.covariance[0, 0]
    found.s2[most] = fit.q() / spread.df
    found.q[most], found.typical_variance[most] = spread.q, spread.typical_variance
    return found


def _highest(problem: _Problem, common: _Sums) -> tuple[Floats, _Sums]:
    """The highest maximum of every lane, with the sums there; `common` holds those at τ² = 0."""
    grid, k = _grid(problem), len(problem.vi)
    rows = max(1, BLOCK // (8 * k))
    scan = (problem.sums(grid[i : i + rows]) for i in range(0, len(grid), rows))
    excess = np.concatenate([sums.excess(problem.restricted) for sums in scan])
    tau2, best = np.zeros(k), common.rest[:, 0].copy()
    height = np.where(excess[0] > 0, -np.inf, common.height(problem.restricted)[0])
    for cell in np.flatnonzero(_falls(excess).any(axis=1)):
        for lanes, root, sums in _maxima(problem, grid[cell], grid[cell + 1]):
            value = sums.height(problem.restricted)
            higher = value > height[lanes]
            lanes = lanes[higher]
            tau2[lanes], height[lanes], best[:, lanes] = root[higher], value[higher], sums.rest[:, higher]
    return tau2, _Sums(best, 1 / (problem.vi[problem.most] + tau2))


def _falls(excess: Floats) -> NDArray[np.bool_]:
    """Between which neighbours of the first axis each lane falls through 0."""
    return np.asarray((excess[:-1] > 0) & (excess[1:] <= 0))


def _grid(problem: _Problem) -> Floats:
    """Values of τ² from 0 to where the score of every lane must be negative, shape (points,); see `likelihood._grid`.

    Leaving a study out cannot raise the unweighted residual sum of squares.
    """
    away = problem.z - problem.z.mean()
    s2 = float(away @ away) / (len(away) - 2)
    last = 1.01 * (s2 / 2 + np.sqrt(s2 * s2 / 4 + s2 * problem.vi.max()))
    smallest = problem.vi[problem.most]
    span = np.log1p(last / smallest)
    return np.asarray(smallest * np.expm1(np.linspace(0, span, int(np.ceil(span / GRID_STEP)) + 2)))


def _maxima(problem: _Problem, low: float, high: float) -> Iterator[tuple[Integers, Floats, _Sums]]:
    """Yield lanes with a maximum between two grid points, where it is, and the sums there."""
    nodes = low + (high - low) * np.sin(np.linspace(0, np.pi / 2, NODES)) ** 2
    nodes[-1] = high  # to the last bit, or a root there would fall between two cells
    sums = problem.sums(nodes)
    excess = sums.excess(problem.restricted)
    falls = _falls(excess)
    for i in np.flatnonzero(falls.any(axis=1)):
        lanes = np.flatnonzero(falls[i])
        between = _Interpolant(nodes, sums.rest[:, :, lanes], float(problem.vi[problem.most]))
        start = (nodes[i], nodes[i + 1], excess[i, lanes], excess[i + 1, lanes])
        root = _false_position(partial(between.excess, problem.restricted), *start)
        yield lanes, root, between(root)


@dataclass(frozen=True, slots=True)
class _Interpolant:
    """The sums of some lanes as functions of τ²: the barycentric formula at Chebyshev points of the second kind.

    Berrut & Trefethen 2004, SIAM Review 46:501–517, equation 5.4. `values` has shape (7, points, lanes).
    """

    nodes: Floats
    values: Floats
    smallest: float

    def __call__(self, tau2: Floats) -> _Sums:
        """Sums at one τ² a lane."""
        signs = (-1.0) ** np.arange(len(self.nodes))
        signs[[0, -1]] /= 2
        away = tau2 - self.nodes[:, None]
        hit = away == 0
        share = signs[:, None] / np.where(hit, 1.0, away)
        share = np.where(hit.any(axis=0), hit, share)
        share /= share.sum(axis=0)
        return _Sums(np.einsum("nl,snl->sl", share, self.values), 1 / (self.smallest + tau2))

    def excess(self, restricted: bool, tau2: Floats) -> Floats:
        """`_Sums.excess` at one τ² a lane."""
        return self(tau2).excess(restricted)


def _false_position(rule: Callable[[Floats], Floats], low: float, high: float, fa: Floats, fb: Floats) -> Floats:
    """Root of a function that falls from `fa` above 0 at `low` to `fb`, 0 or below, at `high`; one a lane.

    False position with the Illinois rule (Dowell & Jarratt 1971, BIT 11:168–174), bisecting where a value is infinite.
    """
    a, b = np.full(len(fa), low), np.full(len(fa), high)
    point, side = b, np.zeros(len(fa))
    for _ in range(MAX_STEPS):
        before = point
        point = a + (b - a) * np.where(np.isfinite(fb), fa / (fa - fb), 0.5)
        value = rule(point)
        above = value > 0
        fb, fa = np.where(above & (side > 0), fb / 2, fb), np.where(~above & (side < 0), fa / 2, fa)
        a, fa = np.where(above, point, a), np.where(above, value, fa)
        b, fb = np.where(above, b, point), np.where(above, fb, value)
        side = np.where(above, 1.0, -1.0)
        if (np.abs(point - before) <= PRECISION * point).all():
            break
    return point
