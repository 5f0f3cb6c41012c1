"""Confidence intervals for the between-study variance τ²."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri, gammainc

from metail2.kernels.fitted import Fitted
from metail2.kernels.inference import quantile
from metail2.kernels.likelihood import profile_ml, profile_reml
from metail2.kernels.likelihood_sets import likelihood_set
from metail2.kernels.quadratic_forms import Rows, solve_decreasing, solve_tau2
from metail2.kernels.tau2 import TAU2, solve_q
from metail2.kernels.wls import weighted_fit
from metail2.registry import Registry
from metail2.wording import interval, listed

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Tau2Limits:
    """Confidence limits for τ², leading shape (...).

    Attributes
    ----------
    lower, upper : ndarray, shape (...)
        On the squared scale of the effects; NaN where the method gives none.
    note : str
        Empty, or what a reader must know about the limits.
    """

    lower: Floats
    upper: Floats
    note: str = ""


Tau2Interval = Callable[[Fitted, float], Tau2Limits]
"""``(fit, level) → limits``."""

TAU2_INTERVALS: Registry[Tau2Interval] = Registry("τ² interval")
DIFFERENCE = 1e-6
"""Relative step of a numerical derivative that only steers Newton's method."""


@TAU2_INTERVALS.register("q_profile")
def q_profile(fitted: Fitted, level: float) -> Tau2Limits:
    """Limits at which the generalised Q meets the χ² quantiles (Viechtbauer 2007, Statistics in Medicine 26:37–52).

    The upper limit has no cap. Where even Q(0) lies below the lower quantile the confidence set is empty and both
    limits are 0.
    """
    tail = (1 - level) / 2
    lower, _ = solve_q(fitted.yi, fitted.vi, fitted.x, np.asarray(chdtri(fitted.df, tail)))
    upper, _ = solve_q(fitted.yi, fitted.vi, fitted.x, np.asarray(chdtri(fitted.df, 1 - tail)))
    return Tau2Limits(lower, upper, _empty(upper))


@TAU2_INTERVALS.register("generalised_q")
def generalised_q(fitted: Fitted, level: float) -> Tau2Limits:
    """Limits at which P(Q ≤ observed) is 1 − α/2 and α/2, for Q with known weights, by its exact distribution.

    The weights are the user's; without any, those of the moment estimator: equal for Hedges (HE), 1/v for all others
    (Jackson 2013, Research Synthesis Methods 4:220–229; with moderators Jackson, Turner, Rhodes & Viechtbauer 2014,
    BMC Medical Research Methodology 14:103).
    """
    if fitted.weights is not None:
        return _by_distribution(fitted, level, fitted.weights)
    return _by_distribution(fitted, level, np.ones_like(fitted.vi) if fitted.estimator == "HE" else 1 / fitted.vi)


@TAU2_INTERVALS.register("biggerstaff_jackson")
def biggerstaff_jackson(fitted: Fitted, level: float) -> Tau2Limits:
    """As `generalised_q` with weights 1/v: Cochran's Q (Biggerstaff & Jackson 2008, Statistics in Medicine 27:6093)."""
    return _by_distribution(fitted, level, 1 / fitted.vi)


@TAU2_INTERVALS.register("jackson")
def jackson(fitted: Fitted, level: float) -> Tau2Limits:
    """As `generalised_q` with weights 1/√v, a compromise for small to moderate τ² (Jackson 2013)."""
    return _by_distribution(fitted, level, 1 / np.sqrt(fitted.vi))


def _by_distribution(fitted: Fitted, level: float, weights: Floats) -> Tau2Limits:
    q, tail = weighted_fit(fitted.yi, weights, fitted.x).q(), (1 - level) / 2
    lower, _ = solve_tau2(q, np.asarray(1 - tail), fitted.vi, fitted.x, weights)
    upper, _ = solve_tau2(q, np.asarray(tail), fitted.vi, fitted.x, weights)
    return Tau2Limits(lower, upper, _empty(upper))


@TAU2_INTERVALS.register("biggerstaff_tweedie")
def biggerstaff_tweedie(fitted: Fitted, level: float) -> Tau2Limits:
    """As `biggerstaff_jackson`, with a gamma distribution of the same mean and variance in place of the exact one.

    Biggerstaff & Tweedie 1997, Statistics in Medicine 16:753–768.
    """
    fit, tail = weighted_fit(fitted.yi, 1 / fitted.vi, fitted.x), (1 - level) / 2
    q, first, second = (np.ravel(values) for values in np.broadcast_arrays(fit.q(), fit.trace(), fit.trace_product()))
    scale = fitted.df / first

    def below(rows: Rows, tau2: Floats) -> Floats:
        mean = fitted.df + tau2 * first[rows]
        variance = 2 * (fitted.df + 2 * tau2 * first[rows] + tau2**2 * second[rows])
        return np.asarray(gammainc(mean**2 / variance, q[rows] * mean / variance))

    def with_slope(rows: Rows, tau2: Floats) -> tuple[Floats, Floats]:
        step = DIFFERENCE * (tau2 + scale[rows])
        return below(rows, tau2), (below(rows, tau2 + step) - below(rows, tau2 - step)) / (2 * step)

    def limit(target: float) -> Floats:
        found, _ = solve_decreasing(with_slope, np.full(q.shape, target), q / first - scale, scale)
        return found.reshape(np.shape(fit.q()))

    upper = limit(tail)
    return Tau2Limits(limit(1 - tail), upper, _empty(upper))


@TAU2_INTERVALS.register("profile_likelihood")
def profile_likelihood(fitted: Fitted, level: float) -> Tau2Limits:
    """Outermost τ² at which twice the log-likelihood is within the χ²₁ quantile of its maximum.

    The ordinary likelihood for ML, the restricted one for every other estimator (Hardy & Thompson 1996, Statistics in
    Medicine 15:619–629; Viechtbauer 2007). The upper limit has no cap.
    """
    profile = profile_ml if fitted.estimator == "ML" else profile_reml
    yi, vi = np.broadcast_arrays(fitted.yi, fitted.vi)
    x = np.broadcast_to(fitted.x, (*yi.shape[:-1], *fitted.x.shape[-2:]))
    limits, several = np.empty((*yi.shape[:-1], 2)), []
    for i in np.ndindex(yi.shape[:-1]):
        pieces = likelihood_set(profile, yi[i], vi[i], x[i], level).pieces
        limits[i] = pieces[0, 0], pieces[-1, 1]
        if len(pieces) > 1:
            several.append(listed([interval(low, high, 3) for low, high in pieces.tolist()]))
    words = f"The likelihood has separate peaks, so its confidence set is {'; or '.join(several)}: the ends are given."
    return Tau2Limits(limits[..., 0], limits[..., 1], words if several else "")


@TAU2_INTERVALS.register("wald")
def wald(fitted: Fitted, level: float) -> Tau2Limits:
    """τ² ± z·SE, cut at 0: a rough interval, because τ² is far from normal unless there are very many studies."""
    if fitted.estimator == "CE":
        return _assumed(fitted)
    value, half = fitted.tau2.value, quantile(level, np.inf) * fitted.tau2.se
    cut = "The lower limit falls below 0 and is shown as 0." if (value < half).any() else ""
    return Tau2Limits(np.maximum(0.0, value - half), np.asarray(value + half), cut)


@TAU2_INTERVALS.register("wald_log")
def wald_log(fitted: Fitted, level: float) -> Tau2Limits:
    """exp(log τ² ± z·SE/τ²), by the delta method."""
    if fitted.estimator == "CE":
        return _assumed(fitted)
    value = np.where(fitted.tau2.value > 0, fitted.tau2.value, np.nan)
    factor = np.exp(quantile(level, np.inf) * fitted.tau2.se / value)
    zero = "τ² is estimated as 0, which has no logarithm, so there is no Wald interval on that scale; use q_profile."
    return Tau2Limits(value / factor, value * factor, zero if np.isnan(value).any() else "")


def _assumed(fitted: Fitted) -> Tau2Limits:
    nothing = np.full(np.shape(fitted.tau2.value), np.nan)
    words = "A common-effect model sets τ² to 0 without estimating it, so there is no Wald interval; use q_profile."
    return Tau2Limits(nothing, nothing, words)


@TAU2_INTERVALS.register("sidik_jonkman")
def sidik_jonkman(fitted: Fitted, level: float) -> Tau2Limits:
    """(k − p)·τ²/χ² quantiles with τ² by Sidik and Jonkman, whatever the estimator of the fit.

    Sidik & Jonkman 2005, Applied Statistics 54:367–384; Viechtbauer 2007. The lower limit is positive even when the
    studies agree as well as chance allows.
    """
    total = fitted.df * TAU2["SJ"](fitted.yi, fitted.vi, fitted.x).value
    tail = (1 - level) / 2
    upper = total / chdtri(fitted.df, 1 - tail)
    return Tau2Limits(total / chdtri(fitted.df, tail), upper, _empty(upper))


def _empty(upper: Floats) -> str:
    """Say that a confidence set is empty, which is shown as 0 to 0."""
    if np.all(upper > 0):
        return ""
    return "The studies agree so closely that no τ² is compatible with them; 0 is shown."
