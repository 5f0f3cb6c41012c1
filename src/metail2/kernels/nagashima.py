"""The predictive distribution of Nagashima, Noma & Furukawa: τ² from its confidence distribution, by simulation.

Under yᵢ ~ N(μ, vᵢ + τ²), Cochran's Q is distributed as |z|² + τ²·z′Wz, where W = diag(1/v) and z is standard normal but
for its component along √w, which is left out. So H(τ²) = P(Q > q; τ²) rises from the P value of Q at τ² = 0 to 1: the
confidence distribution of τ². A draw from it needs no distribution function: τ̃² = max(0, (q − |z|²)/z′Wz) falls at or
below τ² exactly when |z|² + τ²·z′Wz ≥ q, which has probability H(τ²).

At each draw the new effect is μ̂(τ̃²) + τ̃·N(0, 1) + t₍k₋₁₎·SE(τ̃²), with Hartung's standard error (Nagashima, Noma &
Furukawa 2019, Statistical Methods in Medical Research 28:1689–1702).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metail2.kernels.fitted import Fitted
from metail2.kernels.wls import dot, weighted_fit

Floats = NDArray[np.float64]

DRAWS = 25_000
SEED = 2019
"""A fixed seed: the same data give the same interval each time."""
BLOCK = 32_768
"""Largest number of draws (times studies) at once, which does not change them: larger arrays leave a processor's cache,
and a third of the time then goes on memory."""


@dataclass(frozen=True, slots=True)
class Simulated:
    """A predictive distribution known by draws from it.

    Attributes
    ----------
    draws : ndarray, shape (..., draws)
        Simulated true effects of a new study.
    """

    draws: Floats

    def interval(self, level: float) -> tuple[Floats, Floats]:
        """Empirical quantiles (linear between order statistics, type 7 of Hyndman & Fan), shape (...)."""
        lower, upper = np.quantile(self.draws, [(1 - level) / 2, (1 + level) / 2], axis=-1)
        return np.asarray(lower), np.asarray(upper)

    def above(self, threshold: float) -> Floats:
        """Share of the draws above `threshold`, shape (...)."""
        return np.asarray((self.draws > threshold).mean(-1))


def predictive_draws(fitted: Fitted, draws: int, seed: int) -> Simulated:
    """Draw true effects of a new study.

    Parameters
    ----------
    fitted : Fitted
        Of a mean (design of ones), k > 1; only its effects and variances are used.
    draws : int
        Number of draws; the limits' Monte Carlo error falls with its square root.
    seed : int
        Of the draws, which all problems of the leading axes share, so that each gets what it would get alone.
    """
    rng = np.random.default_rng(seed)
    normal, student = rng.standard_normal(draws), rng.standard_t(fitted.k - 1, draws)
    tau2 = tau2_draws(fitted.yi, fitted.vi, draws, rng)
    rows = max(1, BLOCK // fitted.yi.size)
    parts = []
    for start in range(0, draws, rows):
        block = slice(start, start + rows)
        at = tau2[..., block]
        fit = weighted_fit(
            fitted.yi[..., None, :], 1 / (fitted.vi[..., None, :] + at[..., None]), np.ones((fitted.k, 1))
        )
        se = np.sqrt(fit.q() * fit.covariance[..., 0, 0] / (fitted.k - 1))
        parts.append(fit.beta[..., 0] + np.sqrt(at) * normal[block] + se * student[block])
    return Simulated(np.concatenate(parts, axis=-1))


def tau2_draws(yi: Floats, vi: Floats, draws: int, rng: np.random.Generator) -> Floats:
    """Draw τ² from its confidence distribution, shape (..., draws).

    Each study's draws go by the rank of its variance, so that the order of the studies does not matter.
    """
    q = weighted_fit(yi, 1 / vi, np.ones((vi.shape[-1], 1))).q()[..., None]
    weights = 1 / np.sort(vi, axis=-1)[..., None, :]
    unit = np.sqrt(weights / weights.sum(-1, keepdims=True))
    rows = max(1, BLOCK // vi.size)
    parts = []
    for start in range(0, draws, rows):
        z = rng.standard_normal((min(rows, draws - start), vi.shape[-1]))
        rest = z - dot(z, unit)[..., None] * unit
        parts.append(np.maximum(0.0, (q - dot(rest, rest)) / dot(weights * rest, rest)))
    return np.concatenate(parts, axis=-1)
