"""The distribution of a generalised Q statistic, and the τ² at which it takes a given probability.

Q = y′Py with P = A − AX(X′AX)⁻¹X′A, for any positive weights a (A = diag a), is a quadratic form in the effects
y ~ N(Xβ, S), S = diag(v + τ²): a positive combination Σ λⱼ χ²₁ of k − p terms. Its Laplace transform needs no λ:

    E exp(−zQ) = |I + 2zSP|^(−½),   |I + 2zSP| = Π(1 + 2zcᵢ) · |B′GB|,

with cᵢ = aᵢ(vᵢ + τ²), G = diag 1/(1 + 2zcᵢ) and B an orthonormal basis of √A·X: sums over studies and a p × p
determinant. For z in the upper half-plane every pivot of B′GB lies in the lower one, as Schur complements of a matrix
with a definite imaginary part do, so the sum of principal logarithms is the continuous branch.

P(Q ≤ q) is the integral of exp(zq) E exp(−zQ)/z along a contour around the negative axis, where all singularities
are. The contour is a hyperbola through the saddle point z₀ > 0 of the integrand, as wide as the saddle, with
asymptotes at 90° + 35°; for every λ the integrand falls along any ray from z₀ between 90° and 135°, so the trapezoidal
rule converges geometrically, whether there is one λ or 10,000, and however unequal they are.

Sources: Imhof 1961, Biometrika 48:419–426, Davies 1980, Applied Statistics 29:323–333, and Farebrother 1984, Applied
Statistics 33:332–339 (the classical ways); Rice 1980, SIAM Journal on Scientific and Statistical Computing 1:438–448
(through the saddle point); Weideman & Trefethen 2007, Mathematics of Computation 76:1341–1356 (hyperbolic contours);
Jackson 2013, Research Synthesis Methods 4:220–229 (Q with any weights).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]
Rows = NDArray[np.int64]

NODES = 40
"""Points in the upper half-plane; with 32 the error is 3e-12, with 40 it is that of rounding."""
ANGLE = np.deg2rad(35.0)
DEPTH = 40.0
"""The contour ends where the integrand is about exp(−40) of its peak."""
BLOCK = 250_000
"""Largest number of elements (problems × nodes × studies) of one array, unless one problem has more studies."""
MAX_STEPS = 100
PLACEMENT = 1e-3
"""Relative accuracy of the saddle point: it places the contour, and the integral does not depend on it."""
STEP = 1e-7
"""Relative step at which Newton ends; as it converges quadratically, the error is then far below 1e-10."""
SMALLEST = 1e-13
"""Step at which it ends in units of a typical sampling variance, for roots that are all but 0."""


@dataclass(frozen=True, slots=True)
class _Forms:
    """Quadratic forms, one a row.

    Attributes
    ----------
    q : ndarray, shape (n,)
        Values of the forms.
    vi : ndarray, shape (n, k)
        Sampling variances.
    weights : ndarray, shape (n, k)
        a.
    products : ndarray, shape (1 or n, k, p²)
        Products bᵢbᵢ′ of the rows of B.
    """

    q: Floats
    vi: Floats
    weights: Floats
    products: Floats

    @property
    def p(self) -> int:
        """Columns of the design."""
        return math.isqrt(self.products.shape[-1])

    def take(self, rows: Rows) -> _Forms:
        """Return the forms of some rows."""
        products = self.products if len(self.products) == 1 else self.products[rows]
        return _Forms(self.q[rows], self.vi[rows], self.weights[rows], products)

    def blocks(self) -> list[Rows]:
        """Rows in blocks that bound the memory."""
        size = max(1, BLOCK // (NODES * self.vi.shape[-1]))
        return [np.arange(i, min(i + size, len(self.q))) for i in range(0, len(self.q), size)]


def _forms(q: Floats, vi: Floats, x: Floats, weights: Floats) -> tuple[_Forms, tuple[int, ...]]:
    """Flatten the leading axes, and return them; what all problems share of design and weights is kept once."""
    k, p = x.shape[-2:]
    lead = np.broadcast_shapes(np.shape(q), vi.shape[:-1], weights.shape[:-1], x.shape[:-2])
    basis = np.linalg.qr(np.sqrt(weights)[..., None] * x)[0]
    products = (basis[..., :, None] * basis[..., None, :]).reshape(*basis.shape[:-1], p * p)
    if products.ndim > 2:
        products = np.broadcast_to(products, (*lead, k, p * p))
    flat_vi, flat_weights = (np.broadcast_to(values, (*lead, k)).reshape(-1, k) for values in (vi, weights))
    flat = _Forms(np.broadcast_to(q, lead).reshape(-1), flat_vi, flat_weights, products.reshape(-1, k, p * p))
    return flat, lead


@dataclass(frozen=True, slots=True)
class _Resolvent:
    """What |I + 2zSP| and its derivatives are made of, at m values of z for each of n forms.

    Attributes
    ----------
    forms : _Forms
        The forms.
    damping : ndarray, shape (n, m, k)
        The diagonal of G, 1/(1 + 2zcᵢ).
    core : ndarray, shape (n, m, p, p)
        B′GB.
    """

    forms: _Forms
    damping: NDArray[Any]
    core: NDArray[Any]

    def log_det(self) -> Complexes:
        """log |I + 2zSP| for z in the upper half-plane, the branch that is real for z > 0, shape (n, m)."""
        real, imaginary = self.damping.real, self.damping.imag
        # a complex logarithm of every factor takes five times as long
        size, angle = np.log(real * real + imaginary * imaginary).sum(-1), np.arctan2(imaginary, real).sum(-1)
        total, rest = -0.5 * size - 1j * angle, self.core
        while rest.shape[-1]:
            pivot = rest[..., 0, 0]
            total = total + np.log(pivot)
            rest = rest[..., 1:, 1:] - rest[..., 1:, :1] * rest[..., :1, 1:] / pivot[..., None, None]
        return np.asarray(total)

    def traces(self, diagonal: Floats) -> tuple[NDArray[Any], NDArray[Any]]:
        """tr(DR) and tr(DRDR) for D of shape (n, k) and R = P(I + 2zSP)⁻¹, itself a P with weights aᵢ/(1 + 2zcᵢ)."""
        own = (self.forms.weights * diagonal)[:, None] * self.damping
        inner = self._solve(own * self.damping)
        outer = self._solve(own * own * self.damping)
        overlap = (inner * np.swapaxes(inner, -1, -2)).sum((-2, -1))
        return own.sum(-1) - _trace(inner), (own * own).sum(-1) - 2 * _trace(outer) + overlap

    def trace(self) -> NDArray[Any]:
        """tr R, shape (n, m)."""
        own = self.forms.weights[:, None] * self.damping
        return np.asarray(own.sum(-1) - _trace(self._solve(own * self.damping)))

    def log_det_and_trace(self) -> Complexes:
        """Both, shape (2, n, m)."""
        return np.stack([self.log_det(), self.trace()])

    def _solve(self, diagonal: NDArray[Any]) -> NDArray[Any]:
        """(B′GB)⁻¹B′DB, shape (n, m, p, p)."""
        right = _sandwich(self.forms, diagonal)
        return right / self.core if self.forms.p == 1 else np.linalg.solve(self.core, right)


def _resolvent(forms: _Forms, total: Floats, z: NDArray[Any]) -> _Resolvent:
    """At z of shape (n, m), for total variances v + τ² of shape (n, k)."""
    damping = 1 / (1 + 2 * z[..., None] * (forms.weights * total)[:, None])
    return _Resolvent(forms, damping, _sandwich(forms, damping))


def _sandwich(forms: _Forms, diagonal: NDArray[Any]) -> NDArray[Any]:
    """B′DB for diagonals of shape (n, m, k); shape (n, m, p, p)."""
    return np.asarray((diagonal @ forms.products).reshape(*diagonal.shape[:2], forms.p, forms.p))


def _trace(matrices: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(np.trace(matrices, axis1=-2, axis2=-1))


def _saddle(forms: _Forms, total: Floats) -> tuple[Floats, Floats]:
    """Saddle point z₀ > 0 of exp(zq) E exp(−zQ)/z and its width, shape (n,).

    z₀ solves zq = 1 + z·tr SR; the difference of both sides is convex in z, so Newton's method falls to the root from
    the right, where it cannot be beyond (1 + (k − p)/2)/q.
    """
    df = forms.vi.shape[-1] - forms.p
    z = (1 + df / 2) / forms.q
    for _ in range(MAX_STEPS):
        first, second = (found[:, 0] for found in _resolvent(forms, total, z[:, None]).traces(total))
        step = (z * forms.q - 1 - z * first) / (forms.q - first + 2 * z * second)
        z = z - step
        if (np.abs(step) <= PLACEMENT * z).all():
            break
    return z, 1 / np.sqrt(2 * second + 1 / z**2)


def _contour(forms: _Forms, total: Floats) -> tuple[Complexes, Complexes]:
    """Nodes z on the upper half of the hyperbola and their weights dz/π, shape (n, NODES).

    At distance r from z₀ the logarithm of the integrand has fallen by about ½Σwρ²/(1 + ρ), where every λ has w = ½ and
    ρ = 2rλ/(1 + 2λz₀), and the pole at 0 w = 1 and ρ = r/z₀; Σwρ = qr, Σwρ² = (r/width)², and no ρ exceeds √2 r/width.
    """
    z, width = _saddle(forms, total)
    mass = 2 + (forms.vi.shape[-1] - forms.p) / 2
    reach = np.minimum(_reach(1.0, np.sqrt(2)), _reach(mass, 1.0) / (forms.q * width))
    scale = width / (1 - np.sin(ANGLE))
    step = np.arcsinh(reach * (1 - np.sin(ANGLE)))[:, None] / NODES
    u = (np.arange(NODES) + 0.5) * step
    away = np.sin(ANGLE) * (1 - np.cosh(u)) + 1j * np.cos(ANGLE) * np.sinh(u)
    slope = -np.sin(ANGLE) * np.sinh(u) + 1j * np.cos(ANGLE) * np.cosh(u)
    return z[:, None] + scale[:, None] * away, scale[:, None] * slope * step / np.pi


def _reach(constant: float, linear: float) -> float:
    """Root r of ½r²/(constant + linear·r) = DEPTH."""
    return float(DEPTH * linear + np.sqrt((DEPTH * linear) ** 2 + 2 * DEPTH * constant))


def _at_nodes(rule: Callable[[_Resolvent], NDArray[Any]], forms: _Forms, total: Floats, z: Complexes) -> NDArray[Any]:
    """What a rule makes of the resolvent at every node, shape (..., n, NODES), in blocks of nodes: see `BLOCK`."""
    size = max(1, BLOCK // forms.vi.size)
    parts = [rule(_resolvent(forms, total, z[:, i : i + size])) for i in range(0, NODES, size)]
    return np.concatenate(parts, axis=-1)


def _heights(forms: _Forms, z: Complexes, weights: Complexes, log_det: Complexes) -> Complexes:
    """exp(zq) E exp(−zQ) times the weights of the nodes, shape (n, NODES)."""
    return np.asarray(weights * np.exp(z * forms.q[:, None] - 0.5 * log_det))


def _sum_below(heights: Complexes, z: Complexes) -> Floats:
    return np.asarray(np.clip((heights / z).imag.sum(-1), 0.0, 1.0))


def _below(forms: _Forms, total: Floats) -> Floats:
    """P(Q ≤ q) for q > 0, shape (n,)."""
    z, weights = _contour(forms, total)
    return _sum_below(_heights(forms, z, weights, _at_nodes(_Resolvent.log_det, forms, total, z)), z)


def _below_and_slope(forms: _Forms, total: Floats) -> tuple[Floats, Floats]:
    """P(Q ≤ q) for q > 0 and its derivative in τ², shape (n,): d log E exp(−zQ)/dτ² = −z·tr R."""
    z, weights = _contour(forms, total)
    log_det, trace = _at_nodes(_Resolvent.log_det_and_trace, forms, total, z)
    heights = _heights(forms, z, weights, log_det)
    return _sum_below(heights, z), np.asarray(-(heights * trace).imag.sum(-1))


def probability_below(q: Floats, total: Floats, x: Floats, weights: Floats) -> Floats:
    """P(Q ≤ q) for a generalised Q with any positive weights, under independent normal effects.

    Parameters
    ----------
    q : ndarray, shape (...)
        Values of Q = y′Py.
    total : ndarray, shape (..., k)
        Variances of the effects, v + τ².
    x : ndarray, shape (k, p) or (..., k, p)
        Design of full column rank, k > p.
    weights : ndarray, shape (..., k)
        Positive weights a that define P = A − AX(X′AX)⁻¹X′A.

    Returns
    -------
    ndarray, shape (...)
        Within about 1e-12 in absolute terms; small values also relatively, while 1 minus a value near 1 is not better
        than that. Memory is linear in k.
    """
    forms, lead = _forms(np.asarray(q, dtype=float), total, x, weights)
    result = np.where(forms.q > 0, 1.0, 0.0)
    ordinary = np.flatnonzero((forms.q > 0) & np.isfinite(forms.q))
    for block in forms.take(ordinary).blocks():
        some = forms.take(ordinary[block])
        result[ordinary[block]] = _below(some, some.vi)
    return result.reshape(lead)


def solve_tau2(q: Floats, target: Floats, vi: Floats, x: Floats, weights: Floats) -> tuple[Floats, int]:
    """Return the τ² ≥ 0 at which P(Q ≤ q) takes a given value, and the number of steps of the slowest problem.

    The probability decreases in τ². Where it is below the target already at τ² = 0, and so for all q = 0, τ² is 0;
    nothing is capped from above.

    Parameters
    ----------
    q : ndarray, shape (...)
        Observed values of Q = y′Py, finite and ≥ 0.
    target : ndarray, shape (...)
        Probabilities in (0, 1).
    vi : ndarray, shape (..., k)
        Sampling variances.
    x : ndarray, shape (k, p) or (..., k, p)
        Design of full column rank, k > p.
    weights : ndarray, shape (..., k)
        Positive weights that define Q, see `probability_below`.

    Returns
    -------
    tau2 : ndarray, shape (...)
        Leading axes broadcast over all arguments, so that many probabilities of one data set are solved at once.
    steps : int
        Newton steps.
    """
    wanted = np.asarray(target, dtype=float)
    forms, lead = _forms(np.broadcast_to(q, np.broadcast_shapes(np.shape(q), wanted.shape)), vi, x, weights)
    wanted = np.broadcast_to(wanted, lead).reshape(-1)
    tau2, most = np.zeros(len(forms.q)), 0
    positive = np.flatnonzero(forms.q > 0)
    for block in forms.take(positive).blocks():
        rows = positive[block]
        tau2[rows], steps = _solve_block(forms.take(rows), wanted[rows])
        most = max(most, steps)
    return tau2.reshape(lead), most


def _solve_block(forms: _Forms, target: Floats) -> tuple[Floats, int]:
    at_zero = _resolvent(forms, forms.vi, np.zeros((len(forms.q), 1)))
    mean, slope = at_zero.traces(forms.vi)[0][:, 0], at_zero.trace()[:, 0]
    scale = mean / slope

    def cdf(rows: Rows, tau2: Floats) -> tuple[Floats, Floats]:
        some = forms.take(rows)
        return _below_and_slope(some, some.vi + tau2[:, None])

    return solve_decreasing(cdf, target, (forms.q - mean) / slope, scale)


Cdf = Callable[[Rows, Floats], tuple[Floats, Floats]]
"""``(rows, τ² of these rows) → P(Q ≤ q) and its derivative in τ²``, both of shape (rows,)."""


def solve_decreasing(cdf: Cdf, target: Floats, start: Floats, scale: Floats) -> tuple[Floats, int]:
    """Solve ``cdf = target`` for τ² ≥ 0, one problem a row, and return the number of steps of the slowest.

    Newton's method on the normal quantile of the probability, as a function of log(1 + τ²/scale), kept inside the
    bracket that the steps so far have left; τ² is 0 where the probability at 0 is not above the target.

    Parameters
    ----------
    cdf : callable
        Decreasing in τ².
    target, start, scale : ndarray, shape (n,)
        Probabilities, where to begin, and a typical sampling variance.
    """
    quantile, low, high = ndtri(target), np.zeros(len(target)), np.full(len(target), np.inf)
    place = np.log1p(np.maximum(start / scale, 0.1))
    rows = np.flatnonzero(cdf(np.arange(len(target)), low)[0] > target)
    result, steps = np.zeros(len(target)), 0
    while rows.size and steps < MAX_STEPS:
        steps += 1
        here = place[rows]
        probability, slope = cdf(rows, scale[rows] * np.expm1(here))
        above = probability > target[rows]
        low[rows], high[rows] = np.where(above, here, low[rows]), np.where(above, high[rows], here)
        step = _newton(probability, slope * scale[rows] * np.exp(here), quantile[rows])
        inside = (here + step >= low[rows]) & (here + step <= high[rows])
        middle = np.where(np.isinf(high[rows]), 2 * here + 1, 0.5 * (low[rows] + high[rows]))
        place[rows] = np.where(inside, here + step, middle)
        result[rows] = scale[rows] * np.expm1(place[rows])
        rows = rows[~(inside & (np.abs(step) <= np.maximum(STEP * here, SMALLEST)))]
    return result, steps


def _newton(probability: Floats, slope: Floats, quantile: Floats) -> Floats:
    """Newton step on the normal quantile; NaN where the probability is 0 or 1 to working precision."""
    normal = ndtri(probability)
    density = np.exp(-0.5 * normal**2) / np.sqrt(2 * np.pi)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((quantile - normal) * density / slope)
