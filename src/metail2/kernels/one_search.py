"""The global maximum of one likelihood of τ², from values of its excess that cost little.

`likelihood.maximise` serves any number of problems at once, and pays for that with bookkeeping in arrays. Here there is
one problem, whose excess (1 − trace/y′PPy, see `likelihood.Profile`) comes from a few sums, at many τ² together. The
grid is the same; a root is refined by inverse interpolation, which begins at the grid points around it and then scans
five points as near to the root as the estimate was uncertain. A polynomial through five points a relative distance δ
away errs by about δ⁵, so that one such scan nearly always ends at rounding.
"""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from metail2.kernels.likelihood import FINER, FLAT, GRID_STEP, MAX_STEPS, STEP, Maximum
from metail2.kernels.wls import WeightedFit

Floats = NDArray[np.float64]

START = 4
"""Points of the grid through which τ² is first interpolated as a function of the excess; it has as many at least."""
NODES = 5
"""Points that are then scanned around the estimate."""
CLUSTER = tuple(i - (NODES - 1) / 2 for i in range(NODES))
"""Where they lie, in units of its uncertainty."""
EVENLY = tuple((i + 1) / (NODES + 1) for i in range(NODES))
"""Where they lie within a bracket, if interpolation does not help."""
BLOCK = 131_072
"""Largest number of weights at once: beyond the processor's cache they would be formed more slowly."""
PRECISION = 1e-13
"""Relative uncertainty at which the search ends."""
CHANCE = 1e-3
"""Share of the last term but one of a polynomial, or of its way beyond all points, below which no error is believed."""
NEAREST = 1e-6
"""Least relative distance of two points: between nearer ones rounding would hide the slope."""
ROUNDING = 4 * float(np.finfo(float).eps)
"""The sums depend on v + τ²: differences below this share of the smallest v change no digit of them."""


class Likelihood(Protocol):
    """One likelihood of τ²."""

    @property
    def smallest(self) -> float:
        """Smallest sampling variance."""

    @property
    def largest(self) -> float:
        """Largest sampling variance."""

    @property
    def s2(self) -> float:
        """Unweighted residual variance."""

    def excess(self, tau2: list[float]) -> list[float]:
        """The excess at each of `tau2`."""

    def height(self, tau2: float) -> float:
        """Twice the log-likelihood, but for constants."""

    def fit(self, tau2: float) -> WeightedFit:
        """The fit with weights 1/(v + τ²)."""


def weighted_sums(vi: Floats, tau2: list[float], rows: Floats) -> tuple[Floats, Floats]:
    """Σwr and Σw²r for every row r, with the weights w = 1/(v + τ²).

    Parameters
    ----------
    vi : ndarray, shape (k,)
        Sampling variances; an infinite one leaves its study out.
    tau2 : list of float
        Values of τ², passed over in blocks.
    rows : ndarray, shape (m, k)
        What is summed.

    Returns
    -------
    first, second : ndarray, shape (points, m)
    """
    most = max(1, BLOCK // len(vi))
    if len(tau2) > most:
        parts = [weighted_sums(vi, tau2[i : i + most], rows) for i in range(0, len(tau2), most)]
        return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])
    columns, w = rows.T, np.add.outer(tau2, vi)
    np.reciprocal(w, out=w)
    first = w.dot(columns)
    np.square(w, out=w)
    return first, w.dot(columns)


def highest(likelihood: Likelihood) -> Maximum:
    """Find the global maximum over τ² ≥ 0."""
    excess, tau2 = _scan(likelihood)
    found, most = [0.0] if excess[0] <= 0 else [], 0
    for i in range(len(tau2) - 1):
        if excess[i] > 0 >= excess[i + 1]:
            root, scans = _root(likelihood, excess, tau2, i)
            found.append(root)
            most = max(most, scans)
    best = found[0] if len(found) == 1 else max(found, key=likelihood.height)
    return Maximum(np.asarray(best), most, np.asarray(len(found)), likelihood.fit(best))


def _scan(likelihood: Likelihood) -> tuple[list[float], list[float]]:
    """The excess at each τ² of the grid, which is finer around turns; see `likelihood.turns`."""
    grid = _grid(likelihood)
    excess = likelihood.excess(grid)
    if places := turns(excess):
        finer = [np.linspace(grid[max(i - 1, 0)], grid[i + 1], 2 * FINER + 1) for i in places]
        grid = np.unique(np.concatenate([grid, *finer])).tolist()
        excess = likelihood.excess(grid)
    return excess, grid


def turns(excess: list[float]) -> list[int]:
    """Where a scan turns near 0, as `likelihood.turns` has it."""
    last = len(excess) - 1
    near = [i for i in range(last) if -FLAT < excess[i] < FLAT]
    return [i for i in near if _farther(excess, i, i + 1) and (i == 0 or _farther(excess, i, i - 1))]


def _farther(excess: list[float], here: int, there: int) -> bool:
    """Whether the excess `there` is at least as far from 0 as `here`, on the same side."""
    a, b = excess[here], excess[there]
    return b >= a if a > 0 else b <= a


def _grid(likelihood: Likelihood) -> list[float]:
    """Values of τ² to scan; see `likelihood._grid`."""
    s2, smallest = likelihood.s2, likelihood.smallest
    last = 1.01 * (s2 / 2 + math.sqrt(s2 * s2 / 4 + s2 * likelihood.largest))
    span = math.log1p(last / smallest)
    points = max(START, math.ceil(span / GRID_STEP) + 2)
    step = span / (points - 1)
    return [smallest * math.expm1(i * step) for i in range(points)]


def _root(likelihood: Likelihood, excess: list[float], tau2: list[float], i: int) -> tuple[float, int]:
    """Refine the root between the points `i` and `i + 1` of the grid; return it and the number of scans."""
    low, high = tau2[i], tau2[i + 1]
    first = min(max(i - 1, 0), len(tau2) - START)
    excess, tau2 = excess[first : first + START], tau2[first : first + START]
    scans, width = 0, math.inf
    while True:
        point, uncertainty = _interpolated(excess, tau2)
        if low <= point <= high and uncertainty <= max(PRECISION * point, ROUNDING * likelihood.smallest):
            return point, scans
        if high - low <= STEP * high or scans == MAX_STEPS:
            return 0.5 * (low + high), scans
        scans += 1
        reach = max(uncertainty, NEAREST * point)
        if low < point - 0.5 * NODES * reach and point + 0.5 * NODES * reach < high and high - low < 0.5 * width:
            tau2 = [point + place * reach for place in CLUSTER]
        else:
            tau2 = [low + place * (high - low) for place in EVENLY]
        width, excess = high - low, likelihood.excess(tau2)
        low, high = _narrowed(excess, tau2, low, high)


def _narrowed(excess: list[float], tau2: list[float], low: float, high: float) -> tuple[float, float]:
    """Return the bracket of the first fall through 0 among the points within."""
    for value, at in zip(excess, tau2, strict=True):
        if value <= 0:
            return low, at
        low = at
    return low, high


def _interpolated(excess: list[float], tau2: list[float]) -> tuple[float, float]:
    """τ² at which the polynomial in the excess through all points is 0, by divided differences, and its uncertainty.

    The last term is what the polynomial without the last point lacks, and so a bound for the error as a rule. It may be
    small by chance, but then the one before it is not, nor the way beyond the points if they all lie on one side.
    """
    point, factor, before, term, differences = tau2[0], 1.0, 0.0, 0.0, tau2.copy()
    try:
        for order in range(1, len(tau2)):
            for i in range(len(tau2) - order):
                differences[i] = (differences[i + 1] - differences[i]) / (excess[i + order] - excess[i])
            factor *= -excess[order - 1]
            before, term = term, factor * differences[0]
            point += term
    except ZeroDivisionError:  # two values are the same
        return math.nan, math.inf
    beyond = abs(point - 0.5 * (tau2[0] + tau2[-1])) - 1.5 * (tau2[-1] - tau2[0])
    return point, max(abs(term), CHANCE * abs(before), CHANCE * beyond)
