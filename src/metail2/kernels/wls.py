"""Weighted least squares and the traces that meta-analysis needs, in memory linear in k.

With W the diagonal weights, Q an orthonormal basis of √W·X and M = I − QQ′, the projection of the literature is
P = √W·M·√W. No k × k matrix is formed: every trace is a sum over studies plus a p × p product. A design of ones, by
far the commonest, needs sums only.
"""

from __future__ import annotations

from dataclasses import dataclass

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
        return dot(weighted, self.scores) - self._explained(weighted)

    def leverage(self) -> Floats:
        """Diagonal of QQ′, shape (..., k)."""
        return np.asarray(self.weights * self.covariance[..., 0])

    def trace(self, diagonal: Floats | None = None) -> Floats:
        """tr(M·D) for a diagonal D, by default W (giving tr P); shape (...)."""
        d = self.weights if diagonal is None else diagonal
        return np.asarray(d.sum(-1) - dot(d, self.leverage()))

    def trace_product(self, first: Floats | None = None, second: Floats | None = None) -> Floats:
        """tr(M·A·M·B) for diagonals A and B, by default W (giving tr PP); shape (...)."""
        a = self.weights if first is None else first
        b = self.weights if second is None else second
        product = a * b
        return np.asarray(product.sum(-1) - 2 * dot(product, self.leverage()) + self._overlap(a, b))

    def _explained(self, values: Floats) -> Floats:
        """Squared length of the part of W^(−½)·values that lies in the column space of √W·X."""
        return np.asarray(values.sum(-1) ** 2 * self.covariance[..., 0, 0])

    def _overlap(self, a: Floats, b: Floats) -> Floats:
        """tr(QQ′·A·QQ′·B)."""
        leverage = self.leverage()
        return dot(a, leverage) * dot(b, leverage)


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

    def _explained(self, values: Floats) -> Floats:
        along = _transposed_product(self.basis, values / np.sqrt(self.weights))
        return dot(along, along)

    def _overlap(self, a: Floats, b: Floats) -> Floats:
        transposed = np.swapaxes(self.basis, -1, -2)
        inner_a, inner_b = transposed @ (a[..., None] * self.basis), transposed @ (b[..., None] * self.basis)
        return np.asarray((inner_a * inner_b).sum((-2, -1)))


def _transposed_product(matrix: Floats, values: Floats) -> Floats:
    """matrix′·values, shape (..., p)."""
    return np.asarray(np.einsum("...ij,...i->...j", matrix, values))


def is_intercept(x: Floats) -> bool:
    """Whether the design is a column of ones, for which sums replace the linear algebra."""
    return x.shape[-1] == 1 and bool((x == 1).all())


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
    if is_intercept(x):
        variance = 1 / weights.sum(-1, keepdims=True)
        beta = dot(weights, y)[..., None] * variance
        residual = y - beta
        return WeightedFit(beta, variance[..., None], residual, weights, weights * residual)
    root = np.sqrt(weights)
    basis, triangle = np.linalg.qr(root[..., None] * x)
    inverse = np.linalg.inv(triangle)
    beta = np.asarray((inverse @ _transposed_product(basis, root * y)[..., None])[..., 0])
    residual = y - (x @ beta[..., None])[..., 0]
    covariance = inverse @ np.swapaxes(inverse, -1, -2)
    return DesignFit(beta, covariance, residual, weights, weights * residual, basis, triangle)
