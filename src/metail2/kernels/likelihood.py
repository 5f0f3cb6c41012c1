"""The (restricted) log-likelihood of the normal–normal model as a function of τ², and its global maximum.

Likelihoods of random-effects models can have several maxima when the variances differ by orders of magnitude. The
score is therefore scanned from 0 to a value beyond which it is provably negative, on a grid that is linear below the
smallest variance and logarithmic above it; each change of sign from + to − is polished by a safeguarded Newton method,
and the highest maximum is taken. At τ² = 0 the sign of the score decides. Where the score turns back just before it
would change its sign, it may have done so twice between two points: there the grid is finer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple, dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from metail2.kernels.wls import Fitter, WeightedFit, dot, fitter, weighted_fit

Floats = NDArray[np.float64]

GRID_STEP = 0.5
"""Spacing of the grid in log(1 + τ²/min v)."""
FLAT = 0.05
"""A scan that stays farther from 0 than this excess is taken not to cross it between two points."""
FINER = 16
"""Parts into which each of the cells beside a nearer turn is divided."""
BLOCK = 2_000_000
"""Largest number of elements in one array, which bounds the memory."""
SCAN_BLOCK = 32_768
"""The same for the scan, whose arrays are passed over many times and are faster within the processor's cache."""
MAX_STEPS = 100
STEP = 1e-10
"""Relative step at which Newton ends; as it converges quadratically, the error is then far below."""
SETTLED = 1e-12
"""Relative step below which `settled` leaves a root as it is."""


@dataclass(frozen=True, slots=True)
class Profile:
    """One of the two likelihoods; its score is ½(y′PPy − trace).

    Attributes
    ----------
    value : callable
        ``(fit, x) → log-likelihood``, shape (...).
    trace, trace_slope : callable
        ``fit → the trace term`` of the score, and minus its derivative in τ².
    """

    value: Callable[[WeightedFit, Floats], Floats]
    trace: Callable[[WeightedFit], Floats]
    trace_slope: Callable[[WeightedFit], Floats]

    def excess(self, fit: WeightedFit) -> Floats:
        """1 − trace/y′PPy: zero where the score is, with its sign, but almost linear in τ²."""
        slope = fit.q_slope()
        ratio: Floats = np.full(slope.shape, np.inf)
        return 1 - np.divide(self.trace(fit), slope, out=ratio, where=slope > 0)

    def newton(self, fit: WeightedFit) -> tuple[Floats, Floats]:
        """Return the excess and the Newton step for it, shape (...)."""
        trace, slope = self.trace(fit), fit.q_slope()
        fall = 2 * trace * fit.q_curvature() - self.trace_slope(fit) * slope
        return 1 - trace / slope, slope * (slope - trace) / fall


def log_likelihood(fit: WeightedFit, x: Floats) -> Floats:
    """Ordinary log-likelihood at the weights of `fit`, shape (...)."""
    k = fit.residual.shape[-1]
    return np.asarray(-0.5 * (k * np.log(2 * np.pi) - np.log(fit.weights).sum(-1) + fit.q()))


def restricted_log_likelihood(fit: WeightedFit, x: Floats) -> Floats:
    """Restricted log-likelihood (Harville 1974, with the term ½ log |X′X|), shape (...)."""
    p = x.shape[-1]
    design = np.linalg.slogdet(np.swapaxes(x, -1, -2) @ x)[1]
    return np.asarray(log_likelihood(fit, x) + 0.5 * (p * np.log(2 * np.pi) + design - fit.log_det()))


profile_ml = Profile(log_likelihood, lambda fit: fit.weights.sum(-1), lambda fit: dot(fit.weights, fit.weights))
profile_reml = Profile(restricted_log_likelihood, lambda fit: fit.trace(), lambda fit: fit.trace_product())


class Maximum(NamedTuple):
    """The global maximum over τ² ≥ 0, leading shape (...).

    Attributes
    ----------
    tau2 : ndarray
        Where it is.
    iterations : int
        Steps of the slowest bracket.
    maxima : ndarray of int
        Number of local maxima found, the boundary included.
    fit : WeightedFit or None
        The fit with weights 1/(v + τ²), where the search ends with it.
    """

    tau2: Floats
    iterations: int
    maxima: NDArray[np.int64]
    fit: WeightedFit | None = None


@dataclass(frozen=True, slots=True)
class LocalMaxima:
    """All local maxima over τ² ≥ 0 of many problems, shape (maxima,), in no order.

    Attributes
    ----------
    lane : ndarray of int
        Position of the problem among the flattened leading axes.
    tau2 : ndarray
        Where the maximum is.
    iterations : int
        Newton steps of the slowest bracket.
    """

    lane: NDArray[np.int64]
    tau2: Floats
    iterations: int


def local_maxima(profile: Profile, yi: Floats, vi: Floats, x: Floats) -> LocalMaxima:
    """Find all local maxima of a profile likelihood; arguments as in `maximise`, `yi` and `vi` of shape (n, k)."""
    fit, yi = fitter(x, 1 / vi), _near_zero(yi, vi, x)
    grid = _grid(fit, yi, vi, yi.shape[-1] - x.shape[-1])
    excess = _scan(profile, fit, yi, vi, grid)
    lane, start = _falls(grid, excess)
    turn, turned = np.nonzero(turns(excess))
    if turn.size:
        finer = np.linspace(grid[np.maximum(turn - 1, 0), turned], grid[turn + 1, turned], 2 * FINER + 1)
        own = fit if x.ndim == 2 else fitter(x[turned], 1 / vi[turned])
        hidden, between = _falls(finer, _scan(profile, own, yi[turned], vi[turned], finer))
        lane, start = np.concatenate([lane, turned[hidden]]), _joined(start, between)
    own = fit if x.ndim == 2 else fitter(x[lane], 1 / vi[lane])
    root, steps = _polish(profile, own, yi[lane], vi[lane], start)
    at_zero = np.nonzero(~(excess[0] > 0))[0]
    if at_zero.size:
        lane, root = np.concatenate([at_zero, lane]), np.concatenate([np.zeros(at_zero.size), root])
    return LocalMaxima(lane, root, steps)


def maximise(profile: Profile, yi: Floats, vi: Floats, x: Floats) -> Maximum:
    """Find the global maximum of a profile likelihood.

    Parameters
    ----------
    profile : Profile
        `profile_ml` or `profile_reml`.
    yi, vi : ndarray, shape (..., k)
        Effects and sampling variances.
    x : ndarray, shape (k, p) or (..., k, p)
        Design, one for all problems or one each.
    """
    if yi.shape != vi.shape:
        yi, vi = np.broadcast_arrays(yi, vi)
    lead, k = yi.shape[:-1], yi.shape[-1]
    y, v = yi.reshape(-1, k), vi.reshape(-1, k)
    if x.ndim > 2:
        x = np.broadcast_to(x, (*lead, *x.shape[-2:])).reshape(-1, *x.shape[-2:])
    found = local_maxima(profile, y, v, x)
    best = _highest(profile, y, v, x, found.lane, found.tau2)
    return Maximum(found.tau2[best].reshape(lead), found.iterations, np.bincount(found.lane).reshape(lead))


def _near_zero(y: Floats, v: Floats, x: Floats) -> Floats:
    """Measure the effects from the most precise study's, where the design has a column of ones.

    No residual depends on that level, and far from 0 it would cost them digits.
    """
    constant = (x == 1).all(-2).any(-1)
    return np.asarray(y - constant[..., None] * np.take_along_axis(y, v.argmin(-1, keepdims=True), -1))


def settled(profile: Profile, yi: Floats, vi: Floats, x: Floats, found: Maximum) -> Maximum:
    """Improve the maximum of one problem, found from sums that may have lost digits, by Newton's method on exact fits.

    `found` ends with the first of them. Steps are taken while they are larger than `SETTLED` times τ² and become
    smaller. The excess changes by at least about 1/(τ² + max v) a unit of τ², so that no step is tried where it is
    small enough already.
    """
    assert found.fit is not None
    tau2, fit, last = found.tau2, found.fit, np.inf
    while True:
        if abs(profile.excess(fit)) * (tau2 + np.maximum.reduce(vi)) <= SETTLED * tau2 or tau2 == 0:
            return found._replace(tau2=tau2, fit=fit)
        step = float(profile.newton(fit)[1])
        if abs(step) <= SETTLED * tau2 or not abs(step) < 0.5 * last:
            return found._replace(tau2=tau2, fit=fit)
        tau2, last = np.asarray(tau2 + step), abs(step)
        fit = weighted_fit(yi, 1 / (vi + tau2), x)


@dataclass(frozen=True, slots=True)
class _Bracket:
    """Neighbouring grid points between which the score falls through 0, and the excess at both; shape (brackets,)."""

    low: Floats
    high: Floats
    excess_low: Floats
    excess_high: Floats


def turns(excess: Floats) -> NDArray[np.bool_]:
    """Where a scan, shape (points, ...), turns towards or away from 0 so near to it that it may cross 0 twice there.

    The first point counts as a turn where its only neighbour is farther from 0; the last one, where every score is
    negative by construction, does not. Neighbours of a turn have its sign.
    """
    distance, positive = np.abs(excess), excess > 0
    farther = (distance[1:] >= distance[:-1]) & (positive[1:] == positive[:-1])
    nearer = (distance[1:] <= distance[:-1]) & (positive[1:] == positive[:-1])
    found = np.zeros(excess.shape, dtype=bool)
    found[:-1] = farther & (distance[:-1] < FLAT)
    found[1:-1] &= nearer[:-1]
    return found


def _falls(grid: Floats, excess: Floats) -> tuple[NDArray[np.int64], _Bracket]:
    """Return where the score falls through 0 between neighbouring points, and in which lanes."""
    positive = excess > 0
    lane, point = np.nonzero((positive[:-1] & ~positive[1:]).T)
    return lane, _Bracket(grid[point, lane], grid[point + 1, lane], excess[point, lane], excess[point + 1, lane])


def _joined(first: _Bracket, second: _Bracket) -> _Bracket:
    parts = zip(astuple(first), astuple(second), strict=True)
    return _Bracket(*(np.concatenate(pair) for pair in parts))


def _grid(fit: Fitter, y: Floats, v: Floats, df: int) -> Floats:
    """Values of τ² to scan, shape (points, lanes): from 0 to where the score must be negative.

    For both likelihoods y′PPy ≤ RSS/(τ² + min v)² and the trace term is at least (k − p)/(τ² + max v), so the score
    is negative once τ⁴ > s²(τ² + max v), s² being the unweighted residual variance.
    """
    s2 = fit(y, np.ones_like(v)).q() / df
    last = 1.01 * (s2 / 2 + np.sqrt(s2 * s2 / 4 + s2 * v.max(-1)))
    smallest = v.min(-1)
    span = np.log1p(last / smallest)
    points = int(np.ceil(span.max() / GRID_STEP)) + 2
    share = np.arange(points)[:, None] / (points - 1)
    return np.asarray(smallest * np.expm1(share * span))


def _scan(profile: Profile, fit: Fitter, y: Floats, v: Floats, grid: Floats) -> Floats:
    """Excess at every grid point, shape (points, lanes), in blocks of grid points."""
    rows = max(1, SCAN_BLOCK // y.size)
    blocks = [profile.excess(fit(y, 1 / (v + grid[i : i + rows, :, None]))) for i in range(0, len(grid), rows)]
    return np.concatenate(blocks)


def _polish(profile: Profile, fit: Fitter, y: Floats, v: Floats, start: _Bracket) -> tuple[Floats, int]:
    """Newton's method on the excess, one bracket a row, begun at the secant and bisecting where a step would leave."""
    low, high = start.low, start.high
    share = start.excess_low / (start.excess_low - start.excess_high)
    tau2 = low + (high - low) * np.where(np.isfinite(start.excess_high), share, 0.5)
    if not tau2.size:
        return tau2, 0
    steps, moving = 0, True
    while moving and steps < MAX_STEPS:
        steps += 1
        point, found = tau2, fit(y, 1 / (v + tau2[:, None]))
        excess, step = profile.newton(found)
        rising = excess > 0
        low, high = np.where(rising, point, low), np.where(rising, high, point)
        tau2 = point + step
        inside = (tau2 >= low) & (tau2 <= high)
        if not inside.all():
            tau2 = np.where(inside, tau2, 0.5 * (low + high))
        moving = bool((np.abs(tau2 - point) > STEP * tau2).any())
    return tau2, steps


def _highest(
    profile: Profile, y: Floats, v: Floats, x: Floats, lane: NDArray[np.int64], tau2: Floats
) -> NDArray[np.int64]:
    """Index of the highest candidate maximum of every lane, in the order of the lanes (the smaller τ² on a tie)."""
    if len(lane) == len(y):
        return np.argsort(lane)
    own = x if x.ndim == 2 else x[lane]
    height = profile.value(weighted_fit(y[lane], 1 / (v[lane] + tau2[:, None]), own), own)
    ranked = np.lexsort((tau2, -height, lane))
    return ranked[np.unique(lane[ranked], return_index=True)[1]]
