"""The global maximum of the likelihood of τ² for one pooled mean, the commonest problem by far.

`likelihood.maximise` serves any design and many problems at once, and pays for that with bookkeeping in arrays. Here
the design is a column of ones and there is one problem: the grid is the same and its points are scanned together, but
a root is refined in plain numbers, by inverse interpolation that begins at the grid points around it, so that a step
costs one value of the score and no derivative.

Nothing cancels, as in `leave_one_out_mean`: the most precise study m stands apart, and effects are measured from its.
With R₁ = Σw and R₂ = Σw² over the rest, tr P = (2w_m R₁ + R₁² − R₂)/(w_m + R₁), where R₂ ≤ w_m R₁.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from metail2.kernels.likelihood import GRID_STEP, MAX_STEPS, SCAN_BLOCK, STEP, Maximum
from metail2.kernels.wls import row_products

Floats = NDArray[np.float64]
Numbers = TypeVar("Numbers", float, Floats)
Node = tuple[float, float]
"""The excess (see `likelihood.Profile`) and the τ² where it was found."""

NODES = 4
"""Points through which τ² is interpolated as a function of the excess; the grid has as many at least."""
ROUNDING = 2 * float(np.finfo(float).eps)
"""The excess is 1 minus a ratio: nearer to 0 than this no digit of it is meant."""


@dataclass(frozen=True, slots=True)
class _Problem:
    """One mean and one of its two likelihoods.

    Attributes
    ----------
    z : ndarray, shape (k,)
        Effects, measured from that of the most precise study m.
    others : ndarray, shape (k,)
        Sampling variances, infinite for study m: its weight in sums over the others is 0.
    ones : ndarray, shape (k,)
        Ones: a product with them is the fastest sum.
    smallest, largest : float
        Sampling variance of study m, and of the least precise study.
    restricted : bool
        REML, else ML.
    """

    z: Floats
    others: Floats
    ones: Floats
    smallest: float
    largest: float
    restricted: bool

    def trace(self, weight: Numbers, rest: Numbers, squares: Numbers) -> Numbers:
        """The trace term of the score: tr P, or for ML tr W; from w_m, R₁ and R₂."""
        if not self.restricted:
            return weight + rest
        return (2 * weight * rest + rest * rest - squares) / (weight + rest)

    def terms(self, tau2: float) -> Node:
        """y′PPy and the trace term, whose difference is twice the score, at one τ²."""
        w, weight = 1 / (self.others + tau2), 1 / (self.smallest + tau2)
        rest = float(w @ self.ones)
        mean = float(w @ self.z) / (weight + rest)
        scores = w * (self.z - mean)
        slope = float(scores @ scores) + (weight * mean) * (weight * mean)
        return slope, self.trace(weight, rest, float(w @ w))

    def scan(self, tau2: Floats) -> tuple[Floats, Floats]:
        """`terms` at every τ² of shape (points,)."""
        w, weight = self.others + tau2[:, None], 1 / (self.smallest + tau2)
        np.divide(1, w, out=w)
        rest = row_products(w, self.ones)
        mean = row_products(w, self.z) / (weight + rest)
        scores = self.z - mean[:, None]
        scores *= w
        return row_products(scores, scores) + (weight * mean) ** 2, self.trace(weight, rest, row_products(w, w))

    def height(self, tau2: float) -> float:
        """Twice the profile log-likelihood, but for constants."""
        w, weight = 1 / (self.others + tau2), 1 / (self.smallest + tau2)
        total = weight + float(w @ self.ones)
        mean = float(w @ self.z) / total
        away = self.z - mean
        logs = float(np.log(np.where(w > 0, w, weight)) @ self.ones)
        value = logs - float((w * away) @ away) - weight * mean * mean
        return value - math.log(total) if self.restricted else value


def maximise_mean(yi: Floats, vi: Floats, *, restricted: bool) -> Maximum:
    """Find what `likelihood.maximise` finds, for one mean.

    Parameters
    ----------
    yi, vi : ndarray, shape (k,)
        Effects and sampling variances, k ≥ 2.
    restricted : bool
        REML, else ML.
    """
    problem = _problem(yi, vi, restricted)
    found, steps = _local_maxima(problem)
    tau2, gradient = found[0] if len(found) == 1 else max(found, key=lambda one: problem.height(one[0]))
    return Maximum(np.asarray(tau2), steps, np.asarray(gradient), np.asarray(len(found)))


def _problem(yi: Floats, vi: Floats, restricted: bool) -> _Problem:
    most = vi.argmin()
    others = vi.copy()
    others[most] = np.inf
    return _Problem(yi - yi[most], others, np.ones(len(vi)), float(vi[most]), float(np.maximum.reduce(vi)), restricted)


def _local_maxima(problem: _Problem) -> tuple[list[Node], int]:
    """Every maximum as τ² and τ² times the score, in rising order, and the steps of the slowest root."""
    grid = _grid(problem)
    nodes = _nodes(problem, grid)
    found, most = [(0.0, 0.0)] if nodes[0][0] <= 0 else [], 0
    for i in range(len(nodes) - 1):
        if nodes[i][0] > 0 >= nodes[i + 1][0]:
            tau2, gradient, steps = _root(problem, nodes, i)
            found.append((tau2, gradient))
            most = max(most, steps)
    return found, most


def _grid(problem: _Problem) -> Floats:
    """Values of τ² to scan, shape (points,); see `likelihood._grid`."""
    k = len(problem.z)
    away = problem.z - float(problem.z @ problem.ones) / k
    s2 = float(away @ away) / (k - 1)
    last = 1.01 * (s2 / 2 + math.sqrt(s2 * s2 / 4 + s2 * problem.largest))
    span = math.log1p(last / problem.smallest)
    points = max(NODES, math.ceil(span / GRID_STEP) + 2)
    return np.asarray(problem.smallest * np.expm1(np.arange(points) * (span / (points - 1))))


def _nodes(problem: _Problem, grid: Floats) -> list[Node]:
    """The excess at every grid point, in blocks of grid points."""
    rows = max(1, SCAN_BLOCK // len(problem.z))
    nodes: list[Node] = []
    for i in range(0, len(grid), rows):
        part = grid[i : i + rows]
        slopes, traces = problem.scan(part)
        nodes += zip(map(_excess, slopes.tolist(), traces.tolist()), part.tolist(), strict=True)
    return nodes


def _excess(slope: float, trace: float) -> float:
    return 1 - trace / slope if slope > 0 else -math.inf


def _root(problem: _Problem, nodes: list[Node], i: int) -> tuple[float, float, int]:
    """Refine the root between the nodes `i` and `i + 1`; return it, τ² times the score there, and the steps.

    Inverse interpolation through the latest four points (order 1.84), bisecting where it would leave the bracket.
    """
    low, high = nodes[i][1], nodes[i + 1][1]
    first = min(max(i - 1, 0), len(nodes) - NODES)
    near = nodes[i : i + 2] + nodes[first:i] + nodes[i + 2 : first + NODES]
    point, steps = _interpolated(near, low, high), 0
    while True:
        steps += 1
        slope, trace = problem.terms(point)
        excess, before = _excess(slope, trace), point
        low, high = (point, high) if excess > 0 else (low, point)
        if abs(excess) > ROUNDING:
            near = [(excess, point), *near[: NODES - 1]]
            point = _interpolated(near, low, high)
        if abs(point - before) <= STEP * point or steps == MAX_STEPS:
            return point, 0.5 * before * (slope - trace), steps


def _interpolated(nodes: list[Node], low: float, high: float) -> float:
    """τ² at which the cubic in the excess through four nodes is 0, by Neville's scheme; or the bracket's middle."""
    (fa, a), (fb, b), (fc, c), (fd, d) = nodes
    try:
        ab, bc, cd = (fb * a - fa * b) / (fb - fa), (fc * b - fb * c) / (fc - fb), (fd * c - fc * d) / (fd - fc)
        abc, bcd = (fc * ab - fa * bc) / (fc - fa), (fd * bc - fb * cd) / (fd - fb)
        point = (fd * abc - fa * bcd) / (fd - fa)
    except ZeroDivisionError:  # two values are the same
        return 0.5 * (low + high)
    return point if low <= point <= high else 0.5 * (low + high)
