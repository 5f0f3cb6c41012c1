"""Estimators of the between-study variance τ², by the codes of the literature.

Every estimator takes effects and sampling variances of shape (..., k) and a design of shape (k, p), and returns a
`Tau2Estimate` of leading shape (...). Estimates are never negative; nothing is capped from above.

Sources: DerSimonian & Laird 1986 and DerSimonian & Kacker 2007 (DL, moment estimators in general); Hedges 1983 (HE);
Hunter & Schmidt 1990, Viechtbauer 2005 (HS, ML, REML and the standard errors); Sidik & Jonkman 2005 (SJ); Morris 1983
(EB); Paule & Mandel 1982 (PM); Viechtbauer 2021 (median-unbiased PMM and GENQM); Raudenbush 2009 (regression forms);
DerSimonian & Kacker 2007, Jackson et al. 2014 (GENQ).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri

from metail2.kernels.likelihood import Maximum, Profile, maximise, profile_ml, profile_reml, settled
from metail2.kernels.one_mean import one_mean
from metail2.kernels.one_regression import one_regression
from metail2.kernels.one_search import highest
from metail2.kernels.quadratic_forms import probability_below, solve_tau2
from metail2.kernels.wls import WeightedFit, fitter, is_mean, weighted_fit
from metail2.registry import Registry

Floats = NDArray[np.float64]


Precision = tuple[Floats, Floats]
"""The standard error of τ², and the derivative of the criterion."""


class Tau2Estimate(NamedTuple):
    """An estimate of τ² and how it was reached.

    Attributes
    ----------
    value : ndarray, shape (...)
        τ² ≥ 0, on the squared scale of the effects.
    iterations : int
        Steps of the slowest problem; 0 for closed forms.
    maxima : ndarray of int, shape (...)
        Number of local maxima of the likelihood found (1 for estimators that are not likelihoods).
    measured : callable
        ``() → (se, gradient)``; called when one of them is asked for.
    fit : WeightedFit or None
        The fit with weights 1/(v + τ²), where the estimator ends with it.
    """

    value: Floats
    iterations: int
    maxima: NDArray[np.int64]
    measured: Callable[[], Precision]
    fit: WeightedFit | None = None

    @property
    def se(self) -> Floats:
        """Standard error of τ², shape (...); NaN where none is defined."""
        return self.measured()[0]

    @property
    def gradient(self) -> Floats:
        """Derivative of the criterion (of a likelihood τ² times the score), shape (...); NaN for closed forms."""
        return self.measured()[1]


Estimator = Callable[..., Tau2Estimate]
"""``(yi, vi, x) → Tau2Estimate``; those of `WEIGHTED` take the user's weights as a fourth argument."""

TAU2: Registry[Estimator] = Registry("τ² estimator")
WEIGHTED = ("GENQ", "GENQM")
"""Estimators that are defined by weights of the user."""

MAX_STEPS = 200
STEP = 1e-10
"""Relative step at which Newton ends; as it converges quadratically, the error is then far below."""


def _closed(value: Floats, measured: Callable[[], Precision]) -> Tau2Estimate:
    return Tau2Estimate(value, 0, np.ones(np.shape(value), dtype=np.int64), measured)


def unmeasured(value: Floats) -> Precision:
    """No standard error and no gradient: τ² was not estimated."""
    nothing = np.full(np.shape(value), np.nan)
    return nothing, nothing


def _df(x: Floats) -> int:
    return int(x.shape[-2] - x.shape[-1])


def _moments(fit: WeightedFit, vi: Floats, tau2: Floats, scale: Floats) -> Precision:
    """Standard error of a moment estimator y′Py/scale under normality, from var(y′Py) = 2 tr(PVPV) with V = v + τ²."""
    wv, w = fit.weights * vi, fit.weights
    variance = fit.trace_product(wv, wv) + 2 * tau2 * fit.trace_product(wv, w) + tau2**2 * fit.trace_product(w, w)
    return np.asarray(np.sqrt(2 * variance) / scale), np.full(np.shape(tau2), np.nan)


@TAU2.register("CE")
def common_effect(yi: Floats, vi: Floats, x: Floats) -> Tau2Estimate:
    """Return τ² = 0 by assumption."""
    zero = np.zeros(np.broadcast_shapes(yi.shape, vi.shape)[:-1])
    return _closed(zero, partial(unmeasured, zero))


@TAU2.register("DL")
def dersimonian_laird(yi: Floats, vi: Floats, x: Floats) -> Tau2Estimate:
    """Moment estimator with inverse-variance weights."""
    fit = weighted_fit(yi, 1 / vi, x)
    scale = fit.trace()
    tau2 = np.maximum(0, (fit.q() - _df(x)) / scale)
    return _closed(tau2, partial(_moments, fit, vi, tau2, scale))


@TAU2.register("HE")
def hedges(yi: Floats, vi: Floats, x: Floats) -> Tau2Estimate:
    """Moment estimator with equal weights (unweighted regression)."""
    fit = weighted_fit(yi, np.ones_like(vi), x)
    df = np.asarray(float(_df(x)))
    tau2 = np.maximum(0, (fit.q() - fit.trace(vi)) / df)
    return _closed(tau2, partial(_moments, fit, vi, tau2, df))


@TAU2.register("GENQ")
def generalised_q(yi: Floats, vi: Floats, x: Floats, weights: Floats) -> Tau2Estimate:
    """Moment estimator with any weights: Q with these weights equals its expectation."""
    fit = weighted_fit(yi, weights, x)
    scale = fit.trace()
    tau2 = np.maximum(0, (fit.q() - fit.trace(weights * vi)) / scale)
    return _closed(tau2, partial(_moments, fit, vi, tau2, scale))


@TAU2.register("GENQM")
def generalised_q_median(yi: Floats, vi: Floats, x: Floats, weights: Floats) -> Tau2Estimate:
    """Median-unbiased with any weights: the τ² under which the observed Q is the median of its distribution.

    The standard error is that of `generalised_q`, at this τ².
    """
    fit = weighted_fit(yi, weights, x)
    q = fit.q()
    tau2, steps = solve_tau2(q, np.asarray(0.5), vi, x, weights)
    off = np.where(tau2 > 0, probability_below(q, vi + tau2[..., None], x, weights) - 0.5, 0.0)
    ones = np.ones(tau2.shape, dtype=np.int64)
    return Tau2Estimate(tau2, steps, ones, partial(_median, fit, vi, tau2, off))


def _median(fit: WeightedFit, vi: Floats, tau2: Floats, off: Floats) -> Precision:
    return _moments(fit, vi, tau2, fit.trace())[0], off


def _hunter_schmidt(yi: Floats, vi: Floats, x: Floats, inflation: float) -> Tau2Estimate:
    fit = weighted_fit(yi, 1 / vi, x)
    scale = fit.weights.sum(-1)
    tau2 = np.maximum(0, (inflation * fit.q() - yi.shape[-1]) / scale)
    return _closed(tau2, partial(_moments, fit, vi, tau2, scale / inflation))


@TAU2.register("HS")
def hunter_schmidt(yi: Floats, vi: Floats, x: Floats) -> Tau2Estimate:
    """Hunter–Schmidt: (Q − k)/Σw."""
    return _hunter_schmidt(yi, vi, x, 1.0)


@TAU2.register("HSk")
def hunter_schmidt_corrected(yi: Floats, vi: Floats, x: Floats) -> Tau2Estimate:
    """Hunter–Schmidt with Q inflated by k/(k − p) for the estimated coefficients."""
    return _hunter_schmidt(yi, vi, x, yi.shape[-1] / _df(x))


@TAU2.register("SJ")
def sidik_jonkman(yi: Floats, vi: Floats, x: Floats) -> Tau2Estimate:
    """Two-step estimator from the crude variance of the effects; positive unless all effects agree."""
    crude = ((yi - yi.mean(-1, keepdims=True)) ** 2).mean(-1)
    fit = weighted_fit(yi, 1 / (vi + crude[..., None]), x)
    scale = np.divide(_df(x), crude, out=np.full(crude.shape, np.inf), where=crude > 0)
    tau2 = fit.q() / scale
    return _closed(tau2, partial(_moments, fit, vi, tau2, scale))


def _likelihood(yi: Floats, vi: Floats, x: Floats, *, restricted: bool) -> Tau2Estimate:
    profile = profile_reml if restricted else profile_ml
    found = _maximum(profile, yi, vi, x, restricted)
    fit = found.fit or weighted_fit(yi, np.reciprocal(vi + found.tau2[..., None]), x)
    return Tau2Estimate(found.tau2, found.iterations, found.maxima, partial(_curved, restricted, fit, found.tau2), fit)


def _curved(restricted: bool, fit: WeightedFit, tau2: Floats) -> Precision:
    """Standard error from the expected information, ½ tr PP or ½ tr WW."""
    profile = profile_reml if restricted else profile_ml
    return np.sqrt(2 / profile.trace_slope(fit)), 0.5 * tau2 * (fit.q_slope() - profile.trace(fit))


def _maximum(profile: Profile, yi: Floats, vi: Floats, x: Floats, restricted: bool) -> Maximum:
    """Search by the cheapest sums that serve the problem."""
    if not yi.ndim == vi.ndim == x.ndim - 1 == 1:
        return maximise(profile, yi, vi, x)
    if is_mean(x):
        return highest(one_mean(yi, vi, restricted=restricted))
    regression = one_regression(yi, vi, x, restricted=restricted)
    if regression is None:
        return maximise(profile, yi, vi, x)
    return settled(profile, yi, vi, x, highest(regression))


@TAU2.register("ML")
def maximum_likelihood(yi: Floats, vi: Floats, x: Floats) -> Tau2Estimate:
    """Maximum likelihood: the global maximum over τ² ≥ 0."""
    return _likelihood(yi, vi, x, restricted=False)


@TAU2.register("REML")
def restricted_maximum_likelihood(yi: Floats, vi: Floats, x: Floats) -> Tau2Estimate:
    """Restricted maximum likelihood: the global maximum over τ² ≥ 0."""
    return _likelihood(yi, vi, x, restricted=True)


def solve_q(yi: Floats, vi: Floats, x: Floats, target: Floats) -> tuple[Floats, int]:
    """Return the τ² ≥ 0 at which the generalised Q statistic equals `target`, and the number of steps.

    Q decreases in τ² and 1/Q is concave (Cauchy–Schwarz), so Newton's method on 1/Q from τ² = 0 rises to the root
    without overshooting. Where Q(0) is already below the target, τ² is 0.
    """
    tau2 = np.zeros(np.broadcast_shapes(yi.shape[:-1], vi.shape[:-1], np.shape(target)))
    steps, fit = 0, fitter(x, 1 / vi)
    while steps < MAX_STEPS:
        steps += 1
        found = fit(yi, 1 / (vi + tau2[..., None]))
        q = found.q()
        rise = np.divide(q * (q - target), target * found.q_slope(), out=np.zeros_like(tau2), where=q > target)
        tau2 = tau2 + rise
        if (rise <= STEP * tau2).all():
            break
    return tau2, steps


def _by_q(yi: Floats, vi: Floats, x: Floats, target: float) -> Tau2Estimate:
    tau2, steps = solve_q(yi, vi, x, np.asarray(target))
    fit = weighted_fit(yi, 1 / (vi + tau2[..., None]), x)
    ones = np.ones(tau2.shape, dtype=np.int64)
    return Tau2Estimate(tau2, steps, ones, partial(_matched, fit, tau2, _df(x), target), fit)


def _matched(fit: WeightedFit, tau2: Floats, df: int, target: float) -> Precision:
    se = np.sqrt(2 * fit.weights.shape[-1] ** 2 / df) / fit.weights.sum(-1)
    return se, np.where(tau2 > 0, fit.q() - target, 0.0)


@TAU2.register("EB")
def empirical_bayes(yi: Floats, vi: Floats, x: Floats) -> Tau2Estimate:
    """Empirical Bayes (Morris): the same estimating equation as Paule–Mandel."""
    return _by_q(yi, vi, x, float(_df(x)))


@TAU2.register("PM")
def paule_mandel(yi: Floats, vi: Floats, x: Floats) -> Tau2Estimate:
    """Paule–Mandel: the τ² at which the generalised Q equals its expectation k − p."""
    return _by_q(yi, vi, x, float(_df(x)))


@TAU2.register("PMM")
def paule_mandel_median(yi: Floats, vi: Floats, x: Floats) -> Tau2Estimate:
    """Median-unbiased Paule–Mandel: the generalised Q equals the median of its χ² distribution."""
    return _by_q(yi, vi, x, float(chdtri(_df(x), 0.5)))
