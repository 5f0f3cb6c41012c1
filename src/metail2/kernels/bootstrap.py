"""Bootstrap samples of a meta-analysis, their fits, and limits from many replicates.

Sources: Efron B, Tibshirani RJ (1993). An Introduction to the Bootstrap. Chapman & Hall. Van den Noortgate W, Onghena P
(2005). Behavior Research Methods 37:11–22 (samples for meta-analysis).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from metail2.kernels.fitted import Fitted, fit_random_effects
from metail2.kernels.heterogeneity import heterogeneity, i2_from_tau2
from metail2.registry import Registry

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

SINGULAR = 1e-10
"""Ratio of singular values below which columns of a design, scaled to length 1, are collinear."""


def simulated(own: Fitted, size: int, rng: np.random.Generator) -> Fitted:
    """Refit effects drawn from the fitted model, yᵢ ~ N(xᵢ′β, vᵢ + τ²); leading shape (size,)."""
    spread = np.sqrt(own.vi + own.tau2.value)
    yi = own.x @ own.beta + spread * rng.standard_normal((size, own.k))
    return fit_random_effects(yi, own.vi, own.x, own.estimator, own.weights)


def drawn_cases(own: Fitted, size: int, rng: np.random.Generator) -> tuple[Integers, Flags]:
    """Draw k of the k studies with replacement; return their positions, shape (size, k), and which draws can be fitted.

    A draw cannot where it has not more distinct studies than coefficients, or its moderators are collinear.
    """
    cases = rng.integers(own.k, size=(size, own.k))
    distinct = 1 + (np.diff(np.sort(cases, axis=-1), axis=-1) > 0).sum(-1)
    fits = distinct > own.x.shape[-1]
    fits[fits] = _full_rank(own.x[cases[fits]])
    return cases, fits


def of_cases(own: Fitted, cases: Integers) -> Fitted:
    """Refit the studies at the positions given, shape (..., n), each with its row of the design and its weight."""
    x = np.ones((cases.shape[-1], 1)) if _is_mean(own.x) else own.x[cases]
    weights = None if own.weights is None else own.weights[cases]
    return fit_random_effects(own.yi[cases], own.vi[cases], x, own.estimator, weights)


def without_each(own: Fitted) -> tuple[Integers, Flags]:
    """Positions of all studies but one, shape (k, k − 1), and whether they can be fitted, shape (k,)."""
    k = own.k
    cases = np.array([np.delete(np.arange(k), i) for i in range(k)])
    return cases, _full_rank(own.x[cases]) & (k - 1 > own.x.shape[-1])


def _is_mean(x: Floats) -> bool:
    return x.shape[-1] == 1 and bool((x == 1).all())


def _full_rank(x: Floats) -> Flags:
    """Whether the columns of each design, shape (..., k, p), are linearly independent."""
    size = np.linalg.norm(x, axis=-2, keepdims=True)
    scaled = x / np.where(size > 0, size, 1.0)
    singular = np.linalg.svd(np.linalg.qr(scaled, mode="r"), compute_uv=False)
    return np.asarray(singular[..., -1] >= SINGULAR * singular[..., 0])


def figures(fitted: Fitted) -> Floats:
    """Coefficients, τ² and I² (percent) side by side, shape (..., p + 2); coefficients alone for a common effect."""
    if fitted.estimator == "CE":
        return fitted.beta
    tau2 = fitted.tau2.value
    i2 = i2_from_tau2(tau2, heterogeneity(fitted.yi, fitted.vi, fitted.x).typical_variance)
    return np.concatenate([fitted.beta, tau2[..., None], i2[..., None]], axis=-1)


Limits = Callable[[Floats, Floats, float, Floats], Floats]
"""``(draws, estimate, level, jackknife) → limits``: shapes (replicates, m), (m,), (), (k, m) and (2, m)."""

LIMITS: Registry[Limits] = Registry("bootstrap interval")


@LIMITS.register("percentile")
def percentile(draws: Floats, estimate: Floats, level: float, jackknife: Floats) -> Floats:
    """Quantiles of the replicates."""
    return np.asarray(np.quantile(draws, [0.5 - level / 2, 0.5 + level / 2], axis=0))


@LIMITS.register("basic")
def basic(draws: Floats, estimate: Floats, level: float, jackknife: Floats) -> Floats:
    """Quantiles reflected in the estimate: the replicates err from it as it errs from the truth."""
    return np.asarray(2 * estimate - percentile(draws, estimate, level, jackknife)[::-1])


@LIMITS.register("bca")
def bias_corrected_accelerated(draws: Floats, estimate: Floats, level: float, jackknife: Floats) -> Floats:
    """Quantiles corrected for median bias and for a standard error that changes with the parameter (Efron 1987).

    NaN where all replicates lie on one side of the estimate. Replicates equal to it (τ² = 0) count half.
    """
    below = (draws < estimate).mean(0) + (draws == estimate).mean(0) / 2
    deviation = jackknife.mean(0) - jackknife
    cubes, squares = (deviation**3).sum(0), (deviation**2).sum(0)
    acceleration = np.divide(cubes, 6 * squares**1.5, out=np.zeros_like(cubes), where=squares > 0)
    bias = ndtri(below)
    z = bias + ndtri(np.array([0.5 - level / 2, 0.5 + level / 2]))[:, None]
    with np.errstate(invalid="ignore"):
        share = ndtr(bias + z / (1 - acceleration * z))
    found = np.full(share.shape, np.nan)
    for j in np.flatnonzero(np.isfinite(bias)):
        found[:, j] = np.quantile(draws[:, j], share[:, j])
    return found
