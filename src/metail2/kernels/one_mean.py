"""The likelihood of τ² for one pooled mean, the commonest problem by far, from five sums over the studies.

The most precise study m stands apart, and effects are measured from its: zᵢ = yᵢ − y_m. With weights w = 1/(v + τ²) and
sums over the others only, Sⱼ = Σwzʲ and Tⱼ = Σw²zʲ, the mean is μ = S₁/(w_m + S₀) away from y_m and

    y′PPy = T₂ − 2μT₁ + μ²(T₀ + w_m²),   tr P = (2w_m S₀ + S₀² − T₀)/(w_m + S₀).

Nothing cancels: w_m is the largest weight at every τ², so that T₀ ≤ (k − 1)w_m² and T₀ ≤ w_m S₀, and the terms of y′PPy
add up to no more than 6(k − 1) times their sum (T₂ ≤ 2Σw²(z − μ)² + 2μ²T₀). The same holds for Σw(z − μ)².
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from metail2.kernels.one_search import weighted_sums
from metail2.kernels.wls import DOMINANCE, ROUNDING, DominatedFit, WeightedFit

Floats = NDArray[np.float64]


class OneMean(NamedTuple):
    """One of the two likelihoods of one mean, as `one_search.highest` reads it.

    Attributes
    ----------
    powers : ndarray, shape (3, k)
        1, z and z².
    vi, others : ndarray, shape (k,)
        Sampling variances; in `others` infinite for study m: its weight in sums over the others is 0.
    origin : float
        Effect of study m.
    smallest, largest : float
        Sampling variance of study m, and of the least precise study.
    s2 : float
        Variance of the effects.
    restricted : bool
        REML, else ML.
    """

    powers: Floats
    vi: Floats
    others: Floats
    origin: float
    smallest: float
    largest: float
    s2: float
    restricted: bool

    def excess(self, tau2: list[float]) -> list[float]:
        """1 − trace/y′PPy at each τ²."""
        first, second = weighted_sums(self.others, tau2, self.powers)
        smallest, restricted, found = self.smallest, self.restricted, []
        for at, (s0, s1, _), (t0, t1, t2) in zip(tau2, first.tolist(), second.tolist(), strict=True):
            weight = 1 / (smallest + at)
            total = weight + s0
            mean = s1 / total
            slope = t2 + mean * (mean * (t0 + weight * weight) - t1 - t1)
            trace = (s0 * (weight + total) - t0) / total if restricted else total
            found.append(1 - trace / slope if slope > 0 else -math.inf)
        return found

    def height(self, tau2: float) -> float:
        """Twice the profile log-likelihood, but for constants."""
        s0, s1, s2 = map(float, weighted_sums(self.others, [tau2], self.powers)[0][0])
        total = 1 / (self.smallest + tau2) + s0
        value = s1 * s1 / total - s2 - float(np.add.reduce(np.log(self.vi + tau2)))
        return value - math.log(total) if self.restricted else value

    def fit(self, tau2: float) -> WeightedFit:
        """The fit with weights 1/(v + τ²), as `wls.weighted_fit` makes it."""
        z, weights = self.powers[1], np.reciprocal(self.vi + tau2)
        total, away = self.powers[:2].dot(weights).tolist()
        mean = away / total
        residual, level = z - mean, self.origin + mean
        if abs(level) < ROUNDING * abs(self.origin):  # the effects cancel, and no digit of it is meant
            level = 0.0
        dominated = 1 / (self.smallest + tau2) > DOMINANCE * total
        beta, covariance = np.array([level]), np.array([[1 / total]])
        return (DominatedFit if dominated else WeightedFit)(beta, covariance, residual, weights, weights * residual)


def one_mean(yi: Floats, vi: Floats, *, restricted: bool) -> OneMean:
    """Prepare the sums; `yi` and `vi` of shape (k,), k ≥ 2."""
    k, most = len(vi), int(vi.argmin())
    others = vi.copy()
    others[most] = np.inf
    powers = np.empty((3, k))
    powers[0] = 1
    origin = float(yi[most])
    z = np.subtract(yi, origin, out=powers[1])
    np.multiply(z, z, out=powers[2])
    total, square, _ = powers.dot(z).tolist()
    s2 = (square - total * total / k) / (k - 1)
    return OneMean(powers, vi, others, origin, float(vi[most]), float(vi[vi.argmax()]), s2, restricted)
