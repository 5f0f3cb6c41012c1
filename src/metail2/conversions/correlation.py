"""The correlation of two measurements of the same people, from the SD of their change or a paired test."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from metail2.conversions.checks import Array, figures, refuse
from metail2.conversions.spread import sd_from_se, se_from_p, se_from_t

_ROUNDING = 1e-12  # what floating-point arithmetic, not the figures, may put r outside [−1, 1] by


def correlation_from_sds(sd_pre: npt.ArrayLike, sd_post: npt.ArrayLike, sd_change: npt.ArrayLike) -> Array:
    """Take the correlation from the SDs before, after and of the change, (s₁² + s₂² − s_c²)/(2·s₁·s₂).

    Parameters
    ----------
    sd_pre, sd_post, sd_change : array_like
        SDs of one group in one unit.

    Returns
    -------
    ndarray
        Correlation, of the broadcast shape; NaN where a figure is NaN.

    Raises
    ------
    EffectSizeError
        When an SD before or after is not above zero, that of the change is negative, or the three together need a
        correlation outside [−1, 1], which it names: then at least one of them is wrong, rounded or a standard error.

    References
    ----------
    Higgins JPT, Li T, Deeks JJ. Cochrane Handbook for Systematic Reviews of Interventions, section 6.5.2.8.

    Examples
    --------
    >>> f"{correlation_from_sds(6.4, 7.1, 4.5):.2f}"
    '0.78'
    """
    pre, post, change = figures(sd_pre, sd_post, sd_change)
    return _correlation(
        (pre, post, change),
        "The SDs {sd_pre} before, {sd_post} after and {sd_change} of the change need a correlation of {r}, outside "
        "[−1, 1]: one of them is wrong, rounded too far or a standard error",
    )


def correlation_from_change_t(
    change: npt.ArrayLike, t: npt.ArrayLike, sd_pre: npt.ArrayLike, sd_post: npt.ArrayLike, n: npt.ArrayLike
) -> Array:
    """Take the correlation from a mean change and its paired t statistic: the SD of the change is √n·|change/t|.

    Parameters
    ----------
    change : array_like
        Mean change.
    t : array_like
        Statistic of its paired t test. Signs are ignored.
    sd_pre, sd_post : array_like
        SDs before and after.
    n : array_like
        Number of people measured twice, at least 2.

    Returns
    -------
    ndarray
        Correlation, of the broadcast shape.

    Raises
    ------
    EffectSizeError
        As `se_from_t` and `correlation_from_sds`, and when n is below 2.
    """
    size = _pairs(n)
    value, statistic, pre, post, size = figures(change, t, sd_pre, sd_post, size)
    sd = sd_from_se(se_from_t(value, statistic), size)
    return _correlation(
        (pre, post, sd),
        "A change of {change} with t = {t} among {n} people means an SD of the change of {sd_change}, which with SDs "
        "of {sd_pre} before and {sd_post} after needs a correlation of {r}, outside [−1, 1]: the t is not that of a "
        "paired test of these figures",
        change=value,
        t=statistic,
        n=size,
        sd_change=_short(sd),
    )


def correlation_from_change_p(
    change: npt.ArrayLike, p: npt.ArrayLike, sd_pre: npt.ArrayLike, sd_post: npt.ArrayLike, n: npt.ArrayLike
) -> Array:
    """Take the correlation from a mean change and the exact P value of its paired t test with n − 1 degrees of freedom.

    Use it with great care. A P value printed with one digit fixes the SD of the change only within a few per cent and
    the correlation hardly at all, and many printed P values come from another test. A correlation inside [−1, 1] is
    therefore no proof that it is right; compare it with those of similar trials.

    Parameters
    ----------
    change : array_like
        Mean change.
    p : array_like
        Two-sided P value of its paired t test, exact: not "P < 0.05", and not from a rank test.
    sd_pre, sd_post : array_like
        SDs before and after.
    n : array_like
        Number of people measured twice, at least 2.

    Returns
    -------
    ndarray
        Correlation, of the broadcast shape.

    Raises
    ------
    EffectSizeError
        As `se_from_p` and `correlation_from_sds`, and when n is below 2.

    References
    ----------
    Higgins JPT, Li T, Deeks JJ. Cochrane Handbook for Systematic Reviews of Interventions, sections 6.5.2.3 and
    6.5.2.8.
    """
    size = _pairs(n)
    value, probability, pre, post, size = figures(change, p, sd_pre, sd_post, size)
    sd = sd_from_se(se_from_p(value, probability, df=size - 1), size)
    return _correlation(
        (pre, post, sd),
        "A change of {change} with P = {p} among {n} people means an SD of the change of {sd_change}, which with SDs "
        "of {sd_pre} before and {sd_post} after needs a correlation of {r}, outside [−1, 1]: the P value is rounded or "
        "not that of a paired t test",
        change=value,
        p=probability,
        n=size,
        sd_change=_short(sd),
    )


def _pairs(n: npt.ArrayLike) -> Array:
    (size,) = figures(n)
    refuse(size < 2, "The number of people {n} is below 2", n=size)
    return size


def _short(values: Array) -> Array:
    """Round derived figures to four digits for a message."""
    with np.errstate(divide="ignore", invalid="ignore"):
        unit = 10.0 ** (np.floor(np.log10(np.abs(values))) - 3)
        return np.where(values == 0, 0.0, np.round(values / unit) * unit)


def _correlation(sds: tuple[Array, Array, Array], message: str, **values: Array) -> Array:
    """Compute the correlation from the SDs before, after and of the change, or refuse with `message`."""
    pre, post, change = sds
    refuse(pre <= 0, "The SD before, {sd}, is not above zero", sd=pre)
    refuse(post <= 0, "The SD after, {sd}, is not above zero", sd=post)
    refuse(change < 0, "The SD of the change, {sd}, is negative", sd=change)
    # 1 − r, so that an r near 1 keeps its digits
    distance = (change - (pre - post)) * (change + (pre - post)) / (2 * pre * post)
    r = 1 - distance
    bad = (distance < -_ROUNDING) | (distance > 2 + _ROUNDING)
    refuse(bad, message, **{"sd_pre": pre, "sd_post": post, "sd_change": change, "r": _short(r), **values})
    return np.clip(r, -1.0, 1.0)
