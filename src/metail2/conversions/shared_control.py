"""The covariance of effects that share a control arm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from metail2.conversions.checks import Array, figures, refuse
from metail2.errors import EffectSizeError
from metail2.registry import Registry
from metail2.wording import listed


@dataclass(frozen=True)
class Control:
    """Figures of a control arm, ndarrays of one shape; NaN where the measure does not need them."""

    n: Array
    mean: Array
    sd: Array
    events: Array
    time: Array


@dataclass(frozen=True)
class ControlShare:
    """The part of a measure's variance that comes from the control arm.

    Attributes
    ----------
    needs : tuple of str
        The figures of the control arm that it needs: "n", "mean", "sd", "events", "time".
    compute : callable
        `Control` to that part.
    """

    needs: tuple[str, ...]
    compute: Callable[[Control], Array]


SHARED_CONTROL: Registry[ControlShare] = Registry("measure with a shared control")


def _share(measure: str, *needs: str) -> Callable[[Callable[[Control], Array]], Callable[[Control], Array]]:
    """Register the decorated function as the control arm's part of the variance of `measure`."""

    def register(compute: Callable[[Control], Array]) -> Callable[[Control], Array]:
        SHARED_CONTROL.add(measure, ControlShare(needs, compute))
        return compute

    return register


@_share("MD", "sd", "n")
def _md(arm: Control) -> Array:
    return arm.sd**2 / arm.n


@_share("ROM", "mean", "sd", "n")
def _rom(arm: Control) -> Array:
    refuse(arm.mean == 0, "A control mean of {mean} has no log ratio of means", mean=arm.mean)
    return arm.sd**2 / (arm.n * arm.mean**2)


@_share("RR", "events", "n")
def _rr(arm: Control) -> Array:
    refuse(arm.events == 0, "A control arm with {events} events has no log risk ratio", events=arm.events)
    return 1 / arm.events - 1 / arm.n


@_share("OR", "events", "n")
def _or(arm: Control) -> Array:
    message = "A control arm with {events} events among {n} people has no log odds ratio"
    refuse((arm.events == 0) | (arm.events == arm.n), message, events=arm.events, n=arm.n)
    return 1 / arm.events + 1 / (arm.n - arm.events)


@_share("RD", "events", "n")
def _rd(arm: Control) -> Array:
    risk = arm.events / arm.n
    return risk * (1 - risk) / arm.n


@_share("VR", "n")
def _vr(arm: Control) -> Array:
    refuse(arm.n < 2, "A control arm of {n} people has no SD", n=arm.n)
    return 1 / (2 * (arm.n - 1))


@_share("CVR", "mean", "sd", "n")
def _cvr(arm: Control) -> Array:
    return _rom(arm) + _vr(arm)


@_share("AS", "n")
def _as(arm: Control) -> Array:
    return 1 / (4 * arm.n)


@_share("IRR", "events")
def _irr(arm: Control) -> Array:
    refuse(arm.events == 0, "A control arm with {events} events has no log rate ratio", events=arm.events)
    return 1 / arm.events


@_share("IRD", "events", "time")
def _ird(arm: Control) -> Array:
    return arm.events / arm.time**2


@_share("IRSD", "time")
def _irsd(arm: Control) -> Array:
    return 1 / (4 * arm.time)


def shared_control_covariance(
    measure: str,
    *,
    n: npt.ArrayLike | None = None,
    mean: npt.ArrayLike | None = None,
    sd: npt.ArrayLike | None = None,
    events: npt.ArrayLike | None = None,
    time: npt.ArrayLike | None = None,
) -> Array:
    """Find the covariance of two effects that share one control arm: that arm's own part of the variance.

    ==================  ====================================  ==========================
    `measure`           effect                                needs of the control arm
    ==================  ====================================  ==========================
    MD                  mean difference                       `sd`, `n`
    ROM, CVR            log ratio of means, of CVs            `mean`, `sd`, `n`
    VR                  log ratio of SDs                      `n`
    RR, OR, RD          log risk ratio, log odds ratio, risk  `events`, `n`
                        difference
    AS                  difference of arcsine √risk           `n`
    IRR                 log rate ratio                        `events`
    IRD, IRSD           difference of rates, of √rates        `events`, `time`; `time`
    ==================  ====================================  ==========================

    A standardised mean difference also depends on its effects: `shared_control_smd_covariance`. Peto's odds ratio is
    not offered: its parts do not separate by arm.

    Parameters
    ----------
    measure : str
        A code of the table.
    n : array_like, optional
        Number of people in the control arm.
    mean, sd, events, time : array_like, optional
        Figures of the control arm. Give counts after any continuity correction, as the variances use them.

    Returns
    -------
    ndarray
        Covariance, of the broadcast shape; NaN where a figure is NaN.

    Raises
    ------
    EffectSizeError
        When a figure that the measure needs is not given, the figures are impossible, or the effect does not exist (no
        events for "RR" and "IRR", none or only events for "OR", a mean of zero for "ROM" and "CVR").
    UnknownChoice
        For another measure.

    References
    ----------
    Gleser LJ, Olkin I. Stochastically dependent effect sizes. In: The Handbook of Research Synthesis and
    Meta-Analysis, 2nd ed., 2009, 357–376. For "ROM": Lajeunesse MJ. On the meta-analysis of response ratios for studies
    with correlated and multi-group designs. Ecology 2011;92:2049–2055. doi:10.1890/11-0423.1

    Examples
    --------
    >>> f"{shared_control_covariance('MD', sd=0.4, n=6):.4f}"
    '0.0267'
    """
    share = SHARED_CONTROL[measure]
    given = {"mean": mean, "sd": sd, "events": events, "time": time, "n": n}
    missing = [name for name in share.needs if given[name] is None]
    if missing:
        raise EffectSizeError(f"The covariance of {measure} needs the control arm's {listed(missing)}.")
    arm = Control(*figures(n, mean, sd, events, time))
    refuse(arm.n < 1, "A control arm of {n} people is impossible", n=arm.n)
    refuse(arm.sd < 0, "The SD {sd} is negative", sd=arm.sd)
    impossible = (arm.events < 0) | (arm.events > arm.n)
    refuse(impossible, "{events} events among {n} people are impossible", events=arm.events, n=arm.n)
    refuse(arm.time <= 0, "The person-time {time} is not above zero", time=arm.time)
    return share.compute(arm)


def shared_control_smd_covariance(
    smd1: npt.ArrayLike,
    smd2: npt.ArrayLike,
    n1: npt.ArrayLike,
    n2: npt.ArrayLike,
    n_control: npt.ArrayLike,
    *,
    n_pooled: npt.ArrayLike | None = None,
) -> Array:
    """Find the large-sample covariance of two standardised mean differences against one control arm.

    With one SD pooled over all arms of the trial it is 1/n_c + g₁·g₂/(2N) (Gleser and Olkin). Where each difference is
    divided by the SD pooled over its own two arms, as `effect_sizes` does for "SMD", the two SDs share only the control
    arm's part, and it is 1/n_c + g₁·g₂·(n_c − 1)/[2(n₁ + n_c − 2)(n₂ + n_c − 2)].

    Parameters
    ----------
    smd1, smd2 : array_like
        The standardised mean differences.
    n1, n2, n_control : array_like
        People in the two treated arms and in the control arm, at least 2 each.
    n_pooled : array_like, optional
        People behind the SD pooled over all arms, N; None or NaN means that each difference has its own pooled SD.

    Returns
    -------
    ndarray
        Covariance, of the broadcast shape; NaN where a figure is NaN.

    Raises
    ------
    EffectSizeError
        When an arm has fewer than 2 people, or N is below the people of the three arms.

    References
    ----------
    Gleser LJ, Olkin I. Stochastically dependent effect sizes. In: The Handbook of Research Synthesis and
    Meta-Analysis, 2nd ed., 2009, 357–376.
    """
    first, second, size1, size2, control, pooled = figures(smd1, smd2, n1, n2, n_control, n_pooled)
    for size in (size1, size2, control):
        refuse(size < 2, "An arm of {n} people has no SD", n=size)
    people = size1 + size2 + control
    refuse(pooled < people, "The pooled SD of {n} people leaves out some of {people}", n=pooled, people=people)
    own = (control - 1) / ((size1 + control - 2) * (size2 + control - 2))
    shared = np.where(np.isnan(pooled), own, 1 / pooled)
    return 1 / control + first * second * shared / 2


def shared_control_matrix(vi: npt.ArrayLike, covariance: float) -> Array:
    """Assemble the sampling covariance matrix of one trial's effects against a shared control.

    Parameters
    ----------
    vi : array_like, shape (arms,)
        Sampling variances of the effects, each against the shared control.
    covariance : float
        From `shared_control_covariance`, in the same units.

    Returns
    -------
    ndarray, shape (arms, arms)
        `vi` on the diagonal, `covariance` elsewhere; positive definite.

    Raises
    ------
    EffectSizeError
        When a variance does not exceed the covariance, which is only a part of it, or the covariance is negative.
    """
    variances, (shared,) = np.atleast_1d(*figures(vi)), figures(covariance)
    if shared.ndim:
        raise EffectSizeError("The covariance is one number for all effects of a study; give one.")
    refuse(shared < 0, "The covariance {covariance} is negative", covariance=shared)
    refuse(
        variances <= shared,
        "The variance {vi} does not exceed {covariance}, the part that its control arm contributes",
        vi=variances,
        covariance=shared,
    )
    return np.diag(variances - shared) + shared
