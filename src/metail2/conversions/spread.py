"""SDs and standard errors from the other ways in which articles print uncertainty."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri, stdtrit

from metail2.conversions.checks import Array, figures, refuse, refuse_outside_open_interval
from metail2.errors import UnknownChoice

Scale: TypeAlias = Literal["raw", "log"]


class LogRatio(NamedTuple):
    """A ratio on the log scale: estimate `yi` and sampling variance `vi`, ndarrays of one shape."""

    yi: Array
    vi: Array


def sd_from_se(se: npt.ArrayLike, n: npt.ArrayLike) -> Array:
    """Take the SD of one arm from the standard error of its mean, SE·√n.

    Parameters
    ----------
    se : array_like
        Standard error of the mean, in the units of the outcome.
    n : array_like
        Number of people.

    Returns
    -------
    ndarray
        SD, of the broadcast shape; NaN where a figure is NaN.

    Raises
    ------
    EffectSizeError
        When a standard error is negative or n is below 1.

    References
    ----------
    Higgins JPT, Li T, Deeks JJ. Cochrane Handbook for Systematic Reviews of Interventions, section 6.5.2.2.
    """
    error, size = figures(se, n)
    refuse(error < 0, "The standard error {se} is negative", se=error)
    refuse(size < 1, "The number of people {n} is not a count of at least 1", n=size)
    return error * np.sqrt(size)


def se_from_interval(
    lower: npt.ArrayLike,
    upper: npt.ArrayLike,
    *,
    estimate: npt.ArrayLike | None = None,
    level: float = 0.95,
    df: npt.ArrayLike | None = None,
    scale: Scale = "raw",
) -> Array:
    """Take the standard error from a confidence interval: its width over twice the quantile.

    Parameters
    ----------
    lower, upper : array_like
        Limits as printed.
    estimate : array_like, optional
        The printed estimate; only checked to lie inside its interval.
    level : float
        Confidence level, between 0 and 1.
    df : array_like, optional
        Degrees of freedom where the article used a t interval; None or NaN means the normal quantile.
    scale : {"raw", "log"}
        "log" for ratios: the limits are logged first, and the standard error is that of the log ratio.

    Returns
    -------
    ndarray
        Standard error, of the broadcast shape, in the units of `scale`.

    Raises
    ------
    EffectSizeError
        When limits are reversed or infinite, the estimate lies outside them, a ratio is not above zero, `level` is not
        between 0 and 1, or degrees of freedom are not above zero.
    UnknownChoice
        When `scale` is neither "raw" nor "log".

    References
    ----------
    Higgins JPT, Li T, Deeks JJ. Cochrane Handbook for Systematic Reviews of Interventions, sections 6.3.1 and 6.5.2.2.
    """
    if scale not in ("raw", "log"):
        raise UnknownChoice("scale", scale, ("raw", "log"))
    refuse_outside_open_interval(level, "confidence level")
    low, high, middle, freedom = figures(lower, upper, estimate, df)
    _refuse_bad_interval(low, middle, high)
    if scale == "log":
        refuse(low <= 0, "The lower limit {lower} of a ratio is not above zero", lower=low)
        low, high = np.log(low), np.log(high)
    return (high - low) / (2 * _quantile((1 - level) / 2, freedom))


def sd_from_interval(
    lower: npt.ArrayLike,
    upper: npt.ArrayLike,
    n: npt.ArrayLike,
    *,
    mean: npt.ArrayLike | None = None,
    level: float = 0.95,
    quantile: Literal["t", "normal"] = "t",
    scale: Scale = "raw",
) -> Array:
    """Take the SD of one arm from the confidence interval of its mean.

    Parameters
    ----------
    lower, upper : array_like
        Limits of the interval of the mean (on the log scale: of the geometric mean).
    n : array_like
        Number of people, at least 2.
    mean : array_like, optional
        The printed mean; only checked to lie inside its interval.
    level : float
        Confidence level.
    quantile : {"t", "normal"}
        The quantile that the article used; "t" has n − 1 degrees of freedom.
    scale : {"raw", "log"}
        As in `se_from_interval`; "log" returns the SD of the logged values.

    Returns
    -------
    ndarray
        SD, of the broadcast shape.

    Raises
    ------
    EffectSizeError
        As `se_from_interval`, and when n is below 2.
    UnknownChoice
        When `quantile` or `scale` is not among its choices.

    References
    ----------
    Higgins JPT, Li T, Deeks JJ. Cochrane Handbook for Systematic Reviews of Interventions, section 6.5.2.2.
    """
    if quantile not in ("t", "normal"):
        raise UnknownChoice("quantile", quantile, ("t", "normal"))
    (size,) = figures(n)
    refuse(size < 2, "The number of people {n} is below 2", n=size)
    df = size - 1 if quantile == "t" else None
    return sd_from_se(se_from_interval(lower, upper, estimate=mean, level=level, df=df, scale=scale), size)


def se_from_p(estimate: npt.ArrayLike, p: npt.ArrayLike, *, df: npt.ArrayLike | None = None) -> Array:
    """Take the standard error from an estimate and its exact two-sided P value, |estimate|/quantile(P/2).

    Only for an exact P of a Wald or t test of that estimate against zero: not for "P < 0.05", and not for a rank,
    exact or adjusted test. A ratio is given on the log scale.

    Parameters
    ----------
    estimate : array_like
        The estimate whose null value is zero.
    p : array_like
        Two-sided P value, in (0, 1).
    df : array_like, optional
        Degrees of freedom of a t test; None or NaN means z.

    Returns
    -------
    ndarray
        Standard error, of the broadcast shape.

    Raises
    ------
    EffectSizeError
        When P is outside (0, 1]; when P is 1 or the estimate 0, which leave the standard error undetermined; or when
        degrees of freedom are not above zero.

    References
    ----------
    Altman DG, Bland JM. How to obtain the confidence interval from a P value. BMJ 2011;343:d2090.
    doi:10.1136/bmj.d2090
    """
    value, probability, freedom = figures(estimate, p, df)
    refuse((probability <= 0) | (probability > 1), "The P value {p} is outside (0, 1]", p=probability)
    refuse(probability == 1, "A P value of 1 leaves the standard error of {estimate} undetermined", estimate=value)
    refuse(value == 0, "An estimate of 0 with P = {p} leaves the standard error undetermined", p=probability)
    return np.abs(value) / _quantile(probability / 2, freedom)


def se_from_t(estimate: npt.ArrayLike, t: npt.ArrayLike) -> Array:
    """Take the standard error from an estimate and its t (or z) statistic, estimate/t.

    Parameters
    ----------
    estimate, t : array_like
        The estimate and the statistic of its test against zero. The signs are ignored: articles often print |t|.

    Returns
    -------
    ndarray
        Standard error, of the broadcast shape.

    Raises
    ------
    EffectSizeError
        When the statistic or the estimate is zero, which leaves the standard error undetermined.

    References
    ----------
    Higgins JPT, Li T, Deeks JJ. Cochrane Handbook for Systematic Reviews of Interventions, section 6.5.2.3.
    """
    value, statistic = figures(estimate, t)
    refuse(statistic == 0, "A t statistic of 0 leaves the standard error of {estimate} undetermined", estimate=value)
    refuse(value == 0, "An estimate of 0 with t = {t} leaves the standard error undetermined", t=statistic)
    return np.abs(value / statistic)


def se_from_f(estimate: npt.ArrayLike, f: npt.ArrayLike) -> Array:
    """Take the standard error from an estimate and its F statistic with 1 numerator degree of freedom, |estimate|/√F.

    Parameters
    ----------
    estimate : array_like
        Difference between two groups, or another estimate with one degree of freedom.
    f : array_like
        F statistic with 1 numerator degree of freedom (with more, F says nothing about one difference).

    Returns
    -------
    ndarray
        Standard error, of the broadcast shape.

    Raises
    ------
    EffectSizeError
        When F is negative, or F or the estimate is zero.

    References
    ----------
    Higgins JPT, Li T, Deeks JJ. Cochrane Handbook for Systematic Reviews of Interventions, section 6.5.2.3.
    """
    value, statistic = figures(estimate, f)
    refuse(statistic < 0, "The F statistic {f} is negative", f=statistic)
    refuse(statistic == 0, "An F statistic of 0 leaves the standard error of {estimate} undetermined", estimate=value)
    return se_from_t(value, np.sqrt(statistic))


def change_sd(sd_pre: npt.ArrayLike, sd_post: npt.ArrayLike, r: npt.ArrayLike) -> Array:
    """Take the SD of the change from the SDs before and after and their correlation, √(s₁² + s₂² − 2·r·s₁·s₂).

    Parameters
    ----------
    sd_pre, sd_post : array_like
        SDs before and after, in one unit.
    r : array_like
        Correlation between the two measurements, in [−1, 1]. Seldom printed: state it and vary it.

    Returns
    -------
    ndarray
        SD of the change, of the broadcast shape.

    Raises
    ------
    EffectSizeError
        When an SD is negative or `r` is outside [−1, 1].

    References
    ----------
    Higgins JPT, Li T, Deeks JJ. Cochrane Handbook for Systematic Reviews of Interventions, section 6.5.2.8.
    """
    pre, post, correlation = figures(sd_pre, sd_post, r)
    refuse(pre < 0, "The SD before, {sd}, is negative", sd=pre)
    refuse(post < 0, "The SD after, {sd}, is negative", sd=post)
    refuse(np.abs(correlation) > 1, "The correlation {r} is outside [−1, 1]", r=correlation)
    # (s1 − s2)² + 2(1 − r)s1·s2 is the same variance without cancellation when r is near 1
    return np.sqrt((pre - post) ** 2 + 2 * (1 - correlation) * pre * post)


def ratio_from_interval(
    estimate: npt.ArrayLike, lower: npt.ArrayLike, upper: npt.ArrayLike, level: float = 0.95
) -> LogRatio:
    """Take log estimate and sampling variance from a ratio with its confidence interval.

    Parameters
    ----------
    estimate, lower, upper : array_like
        Odds, risk, rate or hazard ratio with its limits, as printed (not logged).
    level : float
        Confidence level.

    Returns
    -------
    LogRatio
        ``yi = log(estimate)`` and ``vi = ((log(upper) − log(lower))/(2z))²``.

    Raises
    ------
    EffectSizeError
        As `se_from_interval` on the log scale.

    References
    ----------
    Higgins JPT, Li T, Deeks JJ. Cochrane Handbook for Systematic Reviews of Interventions, section 6.3.2.

    Examples
    --------
    >>> yi, vi = ratio_from_interval(1.84, 0.97, 3.48)
    >>> f"{yi:.4f} {vi:.4f}"
    '0.6098 0.1062'
    """
    se = se_from_interval(lower, upper, estimate=estimate, level=level, scale="log")
    (ratio,) = figures(estimate)
    return LogRatio(np.log(np.broadcast_to(ratio, se.shape)), se**2)


def _quantile(tail: Array | float, df: Array) -> Array:
    """Upper quantile at a lower-tail probability below one half: t where `df` is given, else normal."""
    refuse(df <= 0, "The degrees of freedom {df} are not above zero", df=df)
    # The normal quantile stands in for a missing df only after stdtrit has seen a harmless 1.
    return np.where(np.isnan(df), -ndtri(tail), -stdtrit(np.where(np.isnan(df), 1.0, df), tail))


def _refuse_bad_interval(lower: Array, estimate: Array, upper: Array) -> None:
    """Refuse infinite or reversed limits, and an estimate outside them."""
    refuse(np.isinf(lower) | np.isinf(upper), "The limits {lower} to {upper} are not finite", lower=lower, upper=upper)
    refuse(lower > upper, "The limits {lower} to {upper} are reversed", lower=lower, upper=upper)
    refuse(
        (estimate < lower) | (estimate > upper),
        "The estimate {estimate} is outside its interval {lower} to {upper}",
        estimate=estimate,
        lower=lower,
        upper=upper,
    )
