"""Where the likelihood of τ² in a meta-regression is highest without each of its studies, from sums that all share.

The likelihood of one regression needs a few sums over studies only (`one_regression`): at one τ², those without study i
cost O(1) for every i, so that the likelihoods of all deletions are scanned on one grid in time linear in k. A grid
eight times as fine follows in each cell where a score falls through 0, and inverse interpolation in it; from there
Newton's method on exact fits needs one or two steps.

As in `one_regression`, differences cancel where variances are very unequal, and here also where a study carries nearly
all that its fellows leave open. For such deletions, and for likelihoods that may have more than one maximum, nothing is
said.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from metail2.kernels.likelihood import FLAT, GRID_STEP, SETTLED, Profile
from metail2.kernels.one_regression import OneRegression, excess_of_sums, one_regression
from metail2.kernels.wls import WeightedFit, sum_of_others, weighted_fit

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

MOST_LEVERAGE = 0.9
"""Share of a study in the squared length of any combination of the columns above which it is left to exact fits."""
FINER = 8
"""Cells into which one of the grid is divided where a score falls through 0."""
THROUGH = 4
"""Points through which τ² is interpolated as a function of the excess."""
MAX_STEPS = 4
"""Newton steps after which a start is given up."""
NOISE = 8 * float(np.finfo(float).eps)
"""Steps below this share of τ² + min v are rounding."""


@dataclass(frozen=True, slots=True)
class _Deletions:
    """Deletions that sums may serve.

    Attributes
    ----------
    whole : OneRegression
        All studies.
    lanes : ndarray of int, shape (n,)
        Which of them are left out.
    """

    whole: OneRegression
    lanes: Integers

    def excess(self, tau2: Floats) -> Floats:
        """1 − trace/y′PPy at each τ² of shape (points,), shape (points, n)."""
        return np.array([self._excess(1 / (self.whole.vi + at)) for at in tau2])

    def _excess(self, weights: Floats) -> Floats:
        weighted = weights * self.whole.products
        (total, n1), (_, n2) = self._sums(weighted), self._sums(weights * weighted)
        return excess_of_sums(total, n1, n2, self.whole.length2, restricted=self.whole.restricted)

    def _sums(self, values: Floats) -> tuple[Floats, Floats]:
        """Sums over all studies but the one left out: of the first row, and of the others as matrices."""
        m = math.isqrt(len(values) - 1)
        sums = sum_of_others(values)[:, self.lanes]
        return sums[0], np.ascontiguousarray(sums[1:].T).reshape(-1, m, m)


def starts(yi: Floats, vi: Floats, x: Floats, *, restricted: bool) -> Floats:
    """Nearly the τ² ≥ 0 at which the only maximum lies without each study, shape (k,).

    Parameters
    ----------
    yi, vi, x : ndarray, shapes (k,), (k,) and (k, p)
        Effects, sampling variances and design of all studies.
    restricted : bool
        REML, else ML.

    Returns
    -------
    ndarray, shape (k,)
        0 where the score is negative at 0 and beyond; NaN where there may be several maxima, or the sums would keep too
        few digits.
    """
    found = np.full(len(yi), np.nan)
    k, p = x.shape
    whole = one_regression(yi, vi, x, restricted=restricted) if k - 1 > p else None
    if whole is None or whole.s2 == 0:
        return found
    shares = whole.products[1 :: p + 2].sum(0)  # a study's own products: squares of its entries of Z
    lanes = np.flatnonzero(shares <= MOST_LEVERAGE)
    if len(lanes):
        found[lanes] = _only_maxima(_Deletions(whole, lanes), _grid(whole, whole.length2 / (k - p - 1)))
    return found


def _grid(whole: OneRegression, s2: float) -> Floats:
    """Values of τ² to scan; without a study the residual sum of squares is no larger, so all scores end negative."""
    last = 1.01 * (s2 / 2 + math.sqrt(s2 * s2 / 4 + s2 * whole.largest))
    return _points(0.0, last, whole.smallest, GRID_STEP)


def _points(low: float, high: float, smallest: float, spacing: float) -> Floats:
    """Values from `low` to `high`, evenly spaced by no more than `spacing` in log(τ² + min v)."""
    span = math.log((high + smallest) / (low + smallest))
    points = (low + smallest) * np.exp(np.linspace(0, span, math.ceil(span / spacing) + 1)) - smallest
    points[[0, -1]] = low, high
    return np.asarray(points)


def _only_maxima(deletions: _Deletions, grid: Floats) -> Floats:
    """Nearly the only maximum of each deletion, shape (n,); NaN where there are more."""
    excess = deletions.excess(grid)
    falls = _falls(excess)
    ends = np.zeros(excess.shape, dtype=bool)  # points next to the maximum
    ends[:-1] |= falls
    ends[1:] |= falls
    ends[0] |= excess[0] <= 0
    clear = ((np.abs(excess) >= FLAT) | ends).all(0) & (falls.sum(0) + (excess[0] <= 0) == 1)
    single = clear & (excess[0] > 0)
    found = np.where(clear & ~single, 0.0, np.nan)
    for cell in np.flatnonzero(falls[:, single].any(1)):
        own = np.flatnonzero(single & falls[cell])
        some = replace(deletions, lanes=deletions.lanes[own])
        points = _points(grid[cell], grid[cell + 1], deletions.whole.smallest, GRID_STEP / FINER)
        found[own] = _interpolated(some.excess(points), points)
    return found


def _falls(excess: Floats) -> NDArray[np.bool_]:
    """Between which neighbours of the first axis each lane falls through 0."""
    return np.asarray((excess[:-1] > 0) & (excess[1:] <= 0))


def _interpolated(excess: Floats, tau2: Floats) -> Floats:
    """τ² of each lane at which its excess, of shape (points, n), is 0; NaN unless it falls through 0 once.

    The polynomial in the excess through the four points around, by divided differences.
    """
    falls = _falls(excess)
    cell = falls.argmax(0)
    first = np.clip(cell - 1, 0, len(tau2) - THROUGH)
    rows, lanes = first + np.arange(THROUGH)[:, None], np.arange(excess.shape[1])
    value, differences = excess[rows, lanes], tau2[rows]
    root, factor = differences[0], np.ones(len(lanes))
    for order in range(1, THROUGH):
        with np.errstate(divide="ignore", invalid="ignore"):  # equal values give no root, which is then not within
            differences = np.diff(differences, axis=0) / (value[order:] - value[:-order])
        factor = factor * -value[order - 1]
        root = root + factor * differences[0]
    within = (root >= tau2[cell]) & (root <= tau2[cell + 1]) & (falls.sum(0) == 1)
    return np.where(within, root, np.nan)


def from_starts(
    profile: Profile, yi: Floats, vi: Floats, x: Floats, tau2: Floats
) -> tuple[Floats, WeightedFit, int] | None:
    """Improve roots of the scores by Newton's method on exact fits.

    Parameters
    ----------
    profile : Profile
        The likelihood.
    yi, vi, x : ndarray, shapes (n, k), (n, k) and (n, k, p)
        Effects, sampling variances and designs of n problems.
    tau2 : ndarray, shape (n,)
        Where to begin; a τ² of 0 stays.

    Returns
    -------
    tuple, or None
        τ² within a relative step of `SETTLED`, the fits with weights 1/(v + τ²), and the number of steps; None where it
        was not reached.
    """
    for steps in range(MAX_STEPS):
        fit = weighted_fit(yi, 1 / (vi + tau2[:, None]), x)
        step = np.where(tau2 > 0, profile.newton(fit)[1], 0.0)
        if (np.abs(step) <= np.maximum(SETTLED * tau2, NOISE * (tau2 + vi.min(-1)))).all():
            return tau2, fit, steps
        tau2 = tau2 + step
        if not (tau2 >= 0).all():
            return None
    return None
