"""Weighted least squares and the traces that meta-analysis needs, in memory linear in k.

With W the diagonal weights, Q an orthonormal basis of √W·X and M = I − QQ′, the projection of the literature is
P = √W·M·√W. No k × k matrix is formed: every trace is a sum over studies plus a p × p product. A design of ones, by
far the commonest, needs sums only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def dot(first: Floats, second: Floats) -> Floats:
    """Sum of products over the last axis, without a temporary array."""
    return np.asarray(np.einsum("...i,...i->...", first, second))


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
        return dot(weighted, self.scores) - weighted.sum(-1) ** 2 * self._variance()

    def leverage(self) -> Floats:
        """Diagonal of QQ′, shape (..., k)."""
        return np.asarray(self.weights * self.covariance[..., 0])

    def trace(self, diagonal: Floats | None = None) -> Floats:
        """tr(M·D) for a diagonal D, by default W (giving tr P); shape (...)."""
        d = self.weights if diagonal is None else diagonal
        return np.asarray(d.sum(-1) - dot(d, self.weights) * self._variance())

    def trace_product(self, first: Floats | None = None, second: Floats | None = None) -> Floats:
        """tr(M·A·M·B) for diagonals A and B, by default W (giving tr PP); shape (...)."""
        a = self.weights if first is None else first
        b = a if second is None else second
        product, w, variance = a * b, self.weights, self._variance()
        inner_a = dot(a, w) * variance
        inner_b = inner_a if b is a else dot(b, w) * variance
        return np.asarray(product.sum(-1) - 2 * dot(product, w) * variance + inner_a * inner_b)

    def _variance(self) -> Floats:
        """Variance of a weighted mean, 1/Σw, shape (...)."""
        return np.asarray(self.covariance[..., 0, 0])


@dataclass(frozen=True, slots=True)
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
        return dot(self.basis, self.basis)

    def q_curvature(self) -> Floats:
        """y′PPPy = ½ d²Q/dτ⁴, shape (...)."""
        weighted = self.weights * self.scores
        along = _transposed_product(self.basis, np.sqrt(self.weights) * self.scores)
        return dot(weighted, self.scores) - dot(along, along)

    def trace(self, diagonal: Floats | None = None) -> Floats:
        """tr(M·D) for a diagonal D, by default W (giving tr P); shape (...)."""
        d = self.weights if diagonal is None else diagonal
        return np.asarray(d.sum(-1) - dot(d, self.leverage()))

    def trace_product(self, first: Floats | None = None, second: Floats | None = None) -> Floats:
        """tr(M·A·M·B) for diagonals A and B, by default W (giving tr PP); shape (...)."""
        a = self.weights if first is None else first
        b = a if second is None else second
        product, transposed = a * b, np.swapaxes(self.basis, -1, -2)
        inner_a, inner_b = transposed @ (a[..., None] * self.basis), transposed @ (b[..., None] * self.basis)
        overlap = (inner_a * inner_b).sum((-2, -1))
        return np.asarray(product.sum(-1) - 2 * dot(product, self.leverage()) + overlap)


def _transposed_product(matrix: Floats, values: Floats) -> Floats:
    """matrix′·values, shape (..., p)."""
    return np.asarray(np.einsum("...ij,...i->...j", matrix, values))


def fitter(x: Floats) -> Callable[[Floats, Floats], WeightedFit]:
    """Return ``(y, weights) → WeightedFit`` for the design: sums for a column of ones, linear algebra for any other."""
    if x.shape[-1] == 1 and bool((x == 1).all()):
        return _mean_fit
    return partial(_design_fit, x)


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
    return fitter(x)(y, weights)


def _mean_fit(y: Floats, weights: Floats) -> WeightedFit:
    variance = 1 / weights.sum(-1, keepdims=True)
    beta = dot(weights, y)[..., None] * variance
    residual = y - beta
    return WeightedFit(beta, variance[..., None], residual, weights, weights * residual)


def _design_fit(x: Floats, y: Floats, weights: Floats) -> WeightedFit:
    root = np.sqrt(weights)
    basis, triangle = np.linalg.qr(root[..., None] * x)
    inverse = np.linalg.inv(triangle)
    beta = np.asarray((inverse @ _transposed_product(basis, root * y)[..., None])[..., 0])
    residual = y - (x @ beta[..., None])[..., 0]
    covariance = inverse @ np.swapaxes(inverse, -1, -2)
    return DesignFit(beta, covariance, residual, weights, weights * residual, basis, triangle)
