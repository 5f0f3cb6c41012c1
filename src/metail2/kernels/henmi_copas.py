"""Henmi and Copas's interval: the common-effect estimate, with a variance that allows for heterogeneity.

The common-effect mean θ̂ = Σwy/Σw with w = 1/v moves less with small-study effects than a random-effects mean, and is
unbiased under yᵢ ~ N(θ, vᵢ + τ²). Its variance is V = (W₁ + τ²W₂)/W₁² with Wᵣ = Σwʳ. With τ² estimated by
DerSimonian–Laird, T = (θ̂ − θ)/√V̂ is not normal, as V̂ is a function of Cochran's Q. Henmi & Copas (2010, Statistics in
Medicine 29:2969–2983) find its quantile from R = (θ̂ − θ)/√V, which is normal, and Q given R, taken as gamma with its
exact mean and variance.

The moments, for D = diag(v + τ²), M = diag(w) − ww′/W₁ and Q = e′Me: given R = r, e is normal with mean r·Da and
covariance D − Daa′D, a = w/(W₁√V). As Dw = 1 + τ²w and M1 = 0, MDa = τ²·w(w − W₂/W₁)/(W₁√V), so that with
b = a′DMDa and c = a′DMDMDa

    E(Q | r) = k − 1 + τ² tr P + (r² − 1) b
    var(Q | r) = 2{k − 1 + 2τ² tr P + τ⁴ tr PP − 2c + b²} + 4r²(c − b²),

P being the projection at τ² = 0. The gamma distribution is exact with equal variances and with τ² = 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammainc, ndtri

from metail2.kernels.tau2 import TAU2
from metail2.kernels.wls import dot, weighted_fit

Floats = NDArray[np.float64]

NODES, WEIGHTS = np.polynomial.legendre.leggauss(48)
REACH = 12.0
"""Standard deviations beyond which nothing of a normal distribution is left."""
WINDOW = 8.0
"""Conditional standard deviations of Q around the point where its distribution function rises."""
MAX_STEPS = 60
STEP = 1e-13
"""Relative step at which the quantile is found."""


@dataclass(frozen=True, slots=True)
class HenmiCopasFit:
    """Estimate and what its interval is made of, shape (...).

    Attributes
    ----------
    estimate, variance : ndarray, shape (...)
        The common-effect mean and its variance under τ².
    tau2 : ndarray, shape (...)
        By DerSimonian–Laird.
    quantile : ndarray, shape (...)
        Half the width of the interval in standard errors.
    """

    estimate: Floats
    variance: Floats
    tau2: Floats
    quantile: Floats


@dataclass(frozen=True, slots=True)
class ConditionalQ:
    """Mean and variance of Q given R = r as functions of r², and how Q sets V̂; shape (...).

    Attributes
    ----------
    k : int
        Number of studies.
    mean, mean_slope, variance, variance_slope : ndarray, shape (...)
        Value at r = 0 and slope in r².
    inflation : ndarray, shape (...)
        V·W₁, how much larger the variance is than with τ² = 0.
    rise : ndarray, shape (...)
        W₁ tr P/W₂: V̂·W₁ = 1 + (Q − k + 1)/rise where Q exceeds k − 1, and 1 elsewhere.
    """

    k: int
    mean: Floats
    mean_slope: Floats
    variance: Floats
    variance_slope: Floats
    inflation: Floats
    rise: Floats

    def tail(self, t: Floats) -> Floats:
        """P(T > t) for t > 0: the integral over r of P(V̂ < V r²/t² | r), as T = R√(V/V̂) and V̂ is at least 1/W₁."""
        edges = self._edges(t)
        half = np.diff(edges, axis=0)[..., None] / 2
        r = edges[:-1, ..., None] + half * (1 + NODES)
        r2 = r * r
        limit = self.k - 1 + self.rise[..., None] * ((self.inflation / t**2)[..., None] * r2 - 1)
        mean = self.mean[..., None] + self.mean_slope[..., None] * r2
        variance = self.variance[..., None] + self.variance_slope[..., None] * r2
        below = gammainc(mean**2 / variance, mean * limit / variance)
        return np.asarray((half * WEIGHTS * below * np.exp(-r2 / 2)).sum((0, -1)) / np.sqrt(2 * np.pi))

    def _edges(self, t: Floats) -> Floats:
        """Limits of integration, shape (4, ...), with a panel of its own where the distribution function rises."""
        first = t / np.sqrt(self.inflation)
        speed = self.rise * self.inflation / t**2 - self.mean_slope
        ahead = self.mean - (self.k - 1 - self.rise)
        passes, speed = speed > 0, np.where(speed > 0, speed, 1.0)
        meeting = np.where(passes, np.sqrt(ahead / speed), first)
        spread = np.sqrt(self.variance + self.variance_slope * meeting**2)
        reach = np.where(passes, WINDOW * spread / (2 * meeting * speed), REACH)
        last = first + REACH
        return np.stack([first, np.clip(meeting - reach, first, last), np.clip(meeting + reach, first, last), last])


def conditional_q(vi: Floats, tau2: Floats) -> ConditionalQ:
    """Moments of Q given the standardised error of the common-effect mean, for the true τ²."""
    w, k = 1 / vi, vi.shape[-1]
    fit = weighted_fit(np.zeros_like(w), w, np.ones((k, 1)))
    w1, w2, trace = w.sum(-1), dot(w, w), fit.trace()
    inflation = 1 + tau2 * w2 / w1
    gap = w * (w - (w2 / w1)[..., None]) ** 2
    scale = tau2**2 / (w1 * inflation)
    b, c = scale * gap.sum(-1), scale * dot(1 + tau2[..., None] * w, gap)
    variance = 2 * (k - 1 + 2 * tau2 * trace + tau2**2 * fit.trace_product() - 2 * c + b**2)
    mean = k - 1 + tau2 * trace - b
    return ConditionalQ(k, mean, b, variance, 4 * (c - b**2), inflation, w1 * trace / w2)


def henmi_copas_fit(yi: Floats, vi: Floats, level: float) -> HenmiCopasFit:
    """Estimate the mean with the interval of Henmi and Copas.

    Parameters
    ----------
    yi, vi : ndarray, shape (..., k)
        Effects and sampling variances, k > 1.
    level : float
        Confidence level.
    """
    yi, vi = np.broadcast_arrays(yi, vi)
    x = np.ones((vi.shape[-1], 1))
    fit, tau2 = weighted_fit(yi, 1 / vi, x), TAU2["DL"](yi, vi, x).value
    found = conditional_q(vi, tau2)
    normal = float(ndtri(0.5 + level / 2))
    # T lies within R·√inflation, and on the scale of normal quantiles its tail is nearly a straight line
    quantile = _root(lambda t: -ndtri(found.tail(t)) - normal, normal * np.sqrt(found.inflation), -normal)
    return HenmiCopasFit(fit.beta[..., 0], found.inflation * fit.covariance[..., 0, 0], tau2, quantile)


def _root(function: Callable[[Floats], Floats], high: Floats, at_zero: float) -> Floats:
    """Root between 0, where the rising function is `at_zero` < 0, and `high`: false position, Illinois' version."""
    low, below, above = np.zeros_like(high), np.full_like(high, at_zero), function(high)
    point, side = high, np.zeros_like(high)
    for _ in range(MAX_STEPS):
        last, point = point, low - below * (high - low) / (above - below)
        value = function(point)
        now = np.sign(value)
        low, high = np.where(now < 0, point, low), np.where(now < 0, high, point)
        again = np.where(now == side, 0.5, 1.0)  # an end that stays twice counts half
        below, above = np.where(now < 0, value, again * below), np.where(now < 0, again * above, value)
        side = now
        if (np.abs(point - last) <= STEP * point).all():
            break
    return point
