"""Weighted least squares and the traces that meta-analysis needs, in memory linear in k.

With W the diagonal weights, Q an orthonormal basis of √W·X and M = I − QQ′, the projection of the literature is
P = √W·M·√W. No k × k matrix is formed: every trace is a sum over studies plus a p × p product. A design of ones, by
far the commonest, needs sums only.

Where one study outweighs all others together by far, differences such as Σw − Σw²/Σw cancel: with one variance 1e-8 of
the others nothing would be left of tr PP. `DominatedFit` then uses sums over the other studies, in which nothing
cancels. In a regression several studies may each have nearly all the weight in one direction; `DesignFit` then takes
their columns of M from two projections in a row, which leave as many digits as √W·X itself has.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dgeqrf, dorgqr, dtrcon, dtrtri

Floats = NDArray[np.float64]

ROUNDING = 32 * float(np.finfo(float).eps)
"""Residuals no larger than this share of the largest effect are rounding."""
DOMINANCE = 0.9
"""Share of one study in the total weight above which sums over the other studies are formed without subtracting."""

row_products: Callable[[Floats, Floats], Any] = (
    np.vecdot if hasattr(np, "vecdot") else partial(np.einsum, "...i,...i->...")  # NumPy 1.26 has no vecdot
)


def dot(first: Floats, second: Floats) -> Floats:
    """Sum of products over the last axis, without a temporary array."""
    return np.asarray(row_products(first, second))


@dataclass(frozen=True, slots=True)
class WeightedFit:
    """A weighted mean, or weighted regression (`DesignFit`), of effects.

    Attributes
    ----------
    beta : ndarray, shape (..., p)
        Coefficients.
    covariance : ndarray, shape (..., p, p)
        (X′WX)⁻¹.
    residual, weights : ndarray, shape (..., k)
        y − Xβ and the diagonal of W.
    scores : ndarray, shape (..., k)
        W·residual = Py.
    """

    beta: Floats
    covariance: Floats
    residual: Floats
    weights: Floats
    scores: Floats

    def log_det(self) -> Floats:
        """log |X′WX|, shape (...)."""
        return np.asarray(-np.log(self.covariance[..., 0, 0]))

    def q(self) -> Floats:
        """Weighted residual sum of squares y′Py, shape (...)."""
        return dot(self.scores, self.residual)

    def q_slope(self) -> Floats:
        """y′PPy = −dQ/dτ², shape (...)."""
        return dot(self.scores, self.scores)

    def q_curvature(self) -> Floats:
        """y′PPPy = ½ d²Q/dτ⁴, shape (...)."""
        weighted = self.weights * self.scores
        total = dot(self.weights, self.scores)
        return dot(weighted, self.scores) - total * total * self._variance()

    def leverage(self) -> Floats:
        """Diagonal of QQ′, shape (..., k)."""
        return np.asarray(self.weights * self.covariance[..., 0])

    def complement(self) -> Floats:
        """Diagonal of M, one minus the leverage, shape (..., k)."""
        return 1 - self.leverage()

    def trace(self, diagonal: Floats | None = None) -> Floats:
        """tr(M·D) for a diagonal D, by default W (giving tr P); shape (...)."""
        d = self.weights if diagonal is None else diagonal
        return np.asarray(np.add.reduce(d, -1) - dot(d, self.weights) * self._variance())

    def trace_product(self, first: Floats | None = None, second: Floats | None = None) -> Floats:
        """tr(M·A·M·B) for diagonals A and B, by default W (giving tr PP); shape (...)."""
        a = self.weights if first is None else first
        b = a if second is None else second
        product, w, variance = a * b, self.weights, self._variance()
        inner_a = dot(a, w) * variance
        inner_b = inner_a if b is a else dot(b, w) * variance
        return np.asarray(dot(a, b) - 2 * dot(product, w) * variance + inner_a * inner_b)

    def _variance(self) -> Floats:
        """Variance of a weighted mean, 1/Σw, shape (...)."""
        return np.asarray(self.covariance[..., 0, 0])


@dataclass(frozen=True, slots=True)
class DominatedFit(WeightedFit):
    """A weighted mean in which one study has nearly all the weight: the same traces from sums of positive terms."""

    def complement(self) -> Floats:
        """Diagonal of M, one minus the leverage, shape (..., k)."""
        return np.asarray(sum_of_others(self.weights) * self.covariance[..., 0])

    def trace(self, diagonal: Floats | None = None) -> Floats:
        """tr(M·D) for a diagonal D, by default W (giving tr P); shape (...)."""
        d = self.weights if diagonal is None else diagonal
        return np.asarray(dot(d, sum_of_others(self.weights)) * self._variance())

    def trace_product(self, first: Floats | None = None, second: Floats | None = None) -> Floats:
        """tr(M·A·M·B) for diagonals A and B, by default W (giving tr PP); shape (...)."""
        a = self.weights if first is None else first
        b = a if second is None else second
        others, own = sum_of_others(self.weights), dot(a * self.weights, sum_of_others(b * self.weights))
        return np.asarray((dot(a * others, b * others) + own) * self._variance() ** 2)


@dataclass(frozen=True)
class DesignFit(WeightedFit):
    """A weighted regression on any design.

    Attributes
    ----------
    basis : ndarray, shape (..., k, p)
        Q, an orthonormal basis of √W·X.
    triangle : ndarray, shape (..., p, p)
        R of the decomposition √W·X = QR.
    """

    basis: Floats
    triangle: Floats

    def log_det(self) -> Floats:
        """log |X′WX|, shape (...)."""
        return np.asarray(2 * np.log(np.abs(np.diagonal(self.triangle, axis1=-2, axis2=-1))).sum(-1))

    def leverage(self) -> Floats:
        """Diagonal of QQ′, shape (..., k)."""
        return self._leverage

    def q_curvature(self) -> Floats:
        """y′PPPy = ½ d²Q/dτ⁴, shape (...)."""
        free = self._projected((np.sqrt(self.weights) * self.scores)[..., None])[..., 0]
        return dot(free, free)

    def complement(self) -> Floats:
        """Diagonal of M, one minus the leverage, shape (..., k)."""
        free = 1 - self.leverage()
        return free if self._apart is None else free * self._apart.rest + self._apart.free

    @cached_property
    def _leverage(self) -> Floats:
        rows = self.basis.swapaxes(-1, -2)
        return np.asarray(np.add.reduce(rows * rows, -2))

    def trace(self, diagonal: Floats | None = None) -> Floats:
        """tr(M·D) for a diagonal D, by default W (giving tr P); shape (...)."""
        return dot(self.weights if diagonal is None else diagonal, self.complement())

    def trace_product(self, first: Floats | None = None, second: Floats | None = None) -> Floats:
        """tr(M·A·M·B) for diagonals A and B, by default W (giving tr PP); shape (...)."""
        if first is None:
            return self._trace_pp
        return self._trace_product(first, first if second is None else second)

    @cached_property
    def _trace_pp(self) -> Floats:
        return self._trace_product(self.weights, self.weights)

    def _trace_product(self, a: Floats, b: Floats) -> Floats:
        if self._apart is None:
            return self._trace_product_of(a, b)
        which, squares, rest = self._apart.which, self._apart.squares, self._apart.rest
        own = dot(_transposed_product(which, a), _transposed_product(squares, b))
        with_rest = dot(_transposed_product(which, b), _transposed_product(squares, a * rest))
        return np.asarray(self._trace_product_of(a * rest, b * rest) + own + with_rest)

    def _trace_product_of(self, a: Floats, b: Floats) -> Floats:
        """Σ aᵢbⱼMᵢⱼ² by sums, in which nothing cancels unless an a or b belongs to a leverage near 1."""
        product, inner_a = a * b, self._inner(a)
        overlap = (inner_a * (inner_a if b is a else self._inner(b))).sum((-2, -1))
        return np.asarray(dot(a, b) - 2 * dot(product, self.leverage()) + overlap)

    def _inner(self, diagonal: Floats) -> Floats:
        """Q′DQ, shape (..., p, p)."""
        return np.asarray((self.basis.swapaxes(-1, -2) * diagonal[..., None, :]) @ self.basis)

    def _projected(self, columns: Floats) -> Floats:
        """M·columns, shape (..., k, columns)."""
        return np.asarray(columns - self.basis @ (self.basis.swapaxes(-1, -2) @ columns))

    @cached_property
    def _apart(self) -> _Apart | None:
        """The studies of every problem with the highest leverages, as many as exceed `DOMINANCE` in any; else None."""
        leverage = self.leverage()
        high = leverage > DOMINANCE
        if not np.count_nonzero(high):
            return None
        most = int(high.sum(-1).max())
        which = np.zeros((*leverage.shape, most))
        np.put_along_axis(which, np.argsort(-leverage, axis=-1)[..., None, :most], 1.0, -2)
        columns, rest = self._projected(self._projected(which)), 1 - which.sum(-1)
        inner = columns.swapaxes(-1, -2) @ columns
        squares = columns * columns * rest[..., None] + which @ (inner * inner)
        return _Apart(which, rest, squares, (which @ np.diagonal(inner, 0, -2, -1)[..., None])[..., 0])


@dataclass(frozen=True, slots=True)
class _Apart:
    """Studies whose columns of M are known by themselves.

    Attributes
    ----------
    which : ndarray, shape (..., k, d)
        Each of them as a column, 1 at its place.
    rest : ndarray, shape (..., k)
        1 for all others.
    squares : ndarray, shape (..., k, d)
        Squares of their columns of M.
    free : ndarray, shape (..., k)
        Their diagonal elements of M, 0 for all others.
    """

    which: Floats
    rest: Floats
    squares: Floats
    free: Floats


def _without_rounding(x: Floats, y: Floats, beta: Floats, residual: Floats) -> tuple[Floats, Floats]:
    """Where all residuals lie within rounding of the effects the fit is exact, and no digit of them is meant.

    Then the residuals, and coefficients that contribute as little, become 0.
    """
    large = dot(residual, residual) > ROUNDING**2 * y.shape[-1] * dot(y, y)  # no more than this if all are small
    if np.logical_and.reduce(large, None):
        return beta, residual
    rounding = ROUNDING * np.abs(y).max(-1, keepdims=True)
    exact = np.abs(residual).max(-1, keepdims=True) <= rounding
    if not exact.any():
        return beta, residual
    idle = np.abs(beta) * np.abs(x).max(-2) <= rounding
    return np.where(exact & idle, 0.0, beta), np.where(exact, 0.0, residual)


def sum_of_others(values: Floats) -> Floats:
    """Sum over all other entries of the last axis, by adding only, so that nothing cancels; shape as given."""
    before, after = np.zeros(values.shape), np.zeros(values.shape)
    np.cumsum(values[..., :-1], axis=-1, out=before[..., 1:])
    np.cumsum(values[..., :0:-1], axis=-1, out=after[..., -2::-1])
    return np.asarray(before + after)


def _transposed_product(matrix: Floats, values: Floats) -> Floats:
    """matrix′·values, shape (..., p)."""
    return np.asarray((matrix.swapaxes(-1, -2) @ values[..., None])[..., 0])


Fitter = Callable[[Floats, Floats], WeightedFit]
"""``(y, weights) → WeightedFit`` for one design."""


def is_mean(x: Floats) -> bool:
    """Whether the design is a column of ones."""
    if x.shape[-1] != 1:
        return False
    if x.ndim == 2 and x.strides[0] == 0:  # one number, seen k times
        return bool(x[0, 0] == 1)
    return not np.count_nonzero(x != 1)


def fitter(x: Floats, weights: Floats) -> Fitter:
    """Return ``(y, weights) → WeightedFit`` for the design: sums for a column of ones, linear algebra for any other.

    Parameters
    ----------
    x : ndarray, shape (k, p) or (..., k, p)
        Design.
    weights : ndarray, shape (..., k)
        The most unequal weights that will be used, i.e. 1/v: whether one study dominates is decided by them.
    """
    if not is_mean(x):
        return partial(_design_fit, x)
    dominated = np.maximum.reduce(weights, -1) > DOMINANCE * np.add.reduce(weights, -1)
    return _dominated_fit if (dominated if weights.ndim == 1 else dominated.any()) else _mean_fit


def weighted_fit(y: Floats, weights: Floats, x: Floats) -> WeightedFit:
    """Fit y on X with the given weights.

    Parameters
    ----------
    y, weights : ndarray, shape (..., k)
        Effects and positive weights.
    x : ndarray, shape (k, p) or (..., k, p)
        Design matrix of full column rank.

    Returns
    -------
    WeightedFit
    """
    return fitter(x, weights)(y, weights)


def _mean_fit(y: Floats, weights: Floats) -> WeightedFit:
    variance = np.reciprocal(np.add.reduce(weights, -1, keepdims=True))
    first = y[..., :1]  # measured from one of the effects, equal effects leave residuals of exactly 0
    beta = first + dot(weights, y - first)[..., None] * variance
    residual = y - beta
    return WeightedFit(beta, variance[..., None], residual, weights, weights * residual)


def _dominated_fit(y: Floats, weights: Floats) -> WeightedFit:
    variance = 1 / weights.sum(-1, keepdims=True)
    y, weights = np.broadcast_arrays(y, weights)
    centre = np.take_along_axis(y, weights.argmax(-1, keepdims=True), -1)
    away = y - centre  # measured from the dominating effect, its own small residual keeps its digits
    beta = dot(weights, away)[..., None] * variance
    residual = away - beta
    return DominatedFit(centre + beta, variance[..., None], residual, weights, weights * residual)


def orthonormal(rows: Floats) -> tuple[Floats, Floats, Floats]:
    """Q, R and R⁻¹ of the matrix whose columns are `rows`, shape (..., p, k); columns of Q lie contiguous in memory.

    For one matrix NumPy's functions take three times as long as LAPACK within them.
    """
    p, k = rows.shape[-2:]
    if rows.size != p * k:  # many of them, or none
        basis, triangle = np.linalg.qr(rows.swapaxes(-1, -2))
        return np.ascontiguousarray(basis.swapaxes(-1, -2)).swapaxes(-1, -2), triangle, np.linalg.inv(triangle)
    reflectors, factors, *_ = dgeqrf(rows.reshape(p, k).T, overwrite_a=True)
    triangle = reflectors[:p] * _upper(p)
    inverse, singular = dtrtri(triangle)
    if singular:
        raise np.linalg.LinAlgError("Singular matrix")
    columns = dorgqr(reflectors, factors, overwrite_a=True)[0].T
    square = (*rows.shape[:-1], p)
    return columns.reshape(rows.shape).swapaxes(-1, -2), triangle.reshape(square), inverse.reshape(square)


def reciprocal_condition(x: Floats) -> float:
    """Estimate 1/κ₁ of the triangle R of a design of shape (k, p), k ≥ p, after scaling every column to length 1.

    0 where a column is 0.
    """
    size = np.sqrt(dot(x.T, x.T))
    if not np.logical_and.reduce(size):
        return 0.0
    rows = x.T / size[:, None]
    return float(dtrcon(dgeqrf(rows.T, overwrite_a=True)[0][: len(rows)])[0])


@lru_cache
def _upper(p: int) -> Floats:
    return np.triu(np.ones((p, p)))


def _design_fit(x: Floats, y: Floats, weights: Floats) -> WeightedFit:
    root = np.sqrt(weights)
    basis, triangle, inverse = orthonormal(np.multiply(x.swapaxes(-1, -2), root[..., None, :], order="C"))

    def solve(values: Floats) -> tuple[Floats, Floats]:
        beta = np.asarray((inverse @ _transposed_product(basis, root * values)[..., None])[..., 0])
        return beta, values - (x @ beta[..., None])[..., 0]

    beta, residual = solve(y)
    correction, residual = solve(residual)  # once more: rows of very different weight cost the first solution digits
    beta, residual = _without_rounding(x, y, beta + correction, residual)
    covariance = inverse @ inverse.swapaxes(-1, -2)
    return DesignFit(beta, covariance, residual, weights, weights * residual, basis, triangle)
