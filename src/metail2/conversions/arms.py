"""Arms of one trial: combined into one, or kept apart with the covariance that a shared control brings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from metail2.conversions.checks import Array, figures, refuse
from metail2.errors import EffectSizeError
from metail2.registry import Registry
from metail2.wording import listed


class CombinedMeans(NamedTuple):
    """Mean, SD and number of people of arms taken together; ndarrays of one shape."""

    mean: Array
    sd: Array
    n: Array


class CombinedEvents(NamedTuple):
    """Events and number of people of arms taken together; ndarrays of one shape."""

    events: Array
    n: Array


def combine_means(means: npt.ArrayLike, sds: npt.ArrayLike, ns: npt.ArrayLike) -> CombinedMeans:
    """Combine arms into one: exactly the mean and SD that their people have together.

    Parameters
    ----------
    means, sds, ns : array_like, shape (..., arms)
        Mean, SD (divisor n − 1) and number of people of each arm. The SD of an arm of one person is not used.

    Returns
    -------
    CombinedMeans
        Arrays of shape (...); the SD of one person in all is NaN.

    Raises
    ------
    EffectSizeError
        When an SD is negative or an arm has fewer than one person.

    References
    ----------
    Higgins JPT, Li T, Deeks JJ. Cochrane Handbook for Systematic Reviews of Interventions, section 6.5.2.10, table
    6.5.a, for any number of arms at once: the sum of squares within the arms plus that between them.

    Examples
    --------
    >>> mean, sd, n = combine_means([2.8, 3.9, 4.8], [1.2, 1.8, 1.9], [6, 6, 6])
    >>> f"{mean:.4f} {sd:.4f} {n:.0f}"
    '3.8333 1.7738 18'
    """
    mean, sd, n = (np.atleast_1d(values) for values in figures(means, sds, ns))
    refuse(sd < 0, "The SD {sd} is negative", sd=sd)
    refuse(n < 1, "An arm of {n} people cannot be combined", n=n)
    total = n.sum(axis=-1)
    # about the first arm, so that a large common level does not cost digits
    origin = mean[..., :1]
    pooled = origin[..., 0] + (n * (mean - origin)).sum(axis=-1) / total
    within = np.where(n > 1, (n - 1) * sd**2, 0.0).sum(axis=-1)
    between = (n * (mean - pooled[..., None]) ** 2).sum(axis=-1)
    freedom = np.where(total > 1, total - 1, np.nan)
    return CombinedMeans(pooled, np.sqrt((within + between) / freedom), total)


def combine_events(events: npt.ArrayLike, ns: npt.ArrayLike) -> CombinedEvents:
    """Combine arms into one by adding their events and their people.

    Parameters
    ----------
    events, ns : array_like, shape (..., arms)
        Events and number of people of each arm.

    Returns
    -------
    CombinedEvents
        Arrays of shape (...).

    Raises
    ------
    EffectSizeError
        When events are negative or exceed the people of their arm.

    References
    ----------
    Higgins JPT, Eldridge S, Li T. Cochrane Handbook for Systematic Reviews of Interventions, section 23.3.4.
    """
    count, n = (np.atleast_1d(values) for values in figures(events, ns))
    refuse((count < 0) | (count > n), "{events} events among {n} people are impossible", events=count, n=n)
    return CombinedEvents(count.sum(axis=-1), n.sum(axis=-1))


@dataclass(frozen=True)
class ControlShare:
    """The part of a measure's variance that comes from the control arm.

    Attributes
    ----------
    needs : tuple of str
        The figures of the control arm that it needs besides n: "mean", "sd", "events".
    compute : callable
        The control arm's mean, SD, events and n to that part.
    """

    needs: tuple[str, ...]
    compute: Callable[[Array, Array, Array, Array], Array]


def _md(mean: Array, sd: Array, events: Array, n: Array) -> Array:
    return sd**2 / n


def _rom(mean: Array, sd: Array, events: Array, n: Array) -> Array:
    refuse(mean == 0, "A control mean of {mean} has no log ratio of means", mean=mean)
    return sd**2 / (n * mean**2)


def _rr(mean: Array, sd: Array, events: Array, n: Array) -> Array:
    refuse(events == 0, "A control arm with {events} events has no log risk ratio", events=events)
    return 1 / events - 1 / n


def _or(mean: Array, sd: Array, events: Array, n: Array) -> Array:
    message = "A control arm with {events} events among {n} people has no log odds ratio"
    refuse((events == 0) | (events == n), message, events=events, n=n)
    return 1 / events + 1 / (n - events)


def _rd(mean: Array, sd: Array, events: Array, n: Array) -> Array:
    risk = events / n
    return risk * (1 - risk) / n


SHARED_CONTROL: Registry[ControlShare] = Registry("measure with a shared control")
SHARED_CONTROL.add("MD", ControlShare(("sd",), _md))
SHARED_CONTROL.add("ROM", ControlShare(("mean", "sd"), _rom))
SHARED_CONTROL.add("RR", ControlShare(("events",), _rr))
SHARED_CONTROL.add("OR", ControlShare(("events",), _or))
SHARED_CONTROL.add("RD", ControlShare(("events",), _rd))


def shared_control_covariance(
    measure: str,
    *,
    n: npt.ArrayLike,
    mean: npt.ArrayLike | None = None,
    sd: npt.ArrayLike | None = None,
    events: npt.ArrayLike | None = None,
) -> Array:
    """Find the covariance of two effects that share one control arm: that arm's own part of the variance.

    Parameters
    ----------
    measure : str
        "MD" (needs `sd`), "ROM" (log ratio of means; `mean`, `sd`), "RR", "OR" (on the log scale; `events`) or "RD"
        (`events`).
    n : array_like
        Number of people in the control arm.
    mean, sd, events : array_like, optional
        Figures of the control arm. Give counts after any continuity correction, as the variances use them.

    Returns
    -------
    ndarray
        Covariance, of the broadcast shape; NaN where a figure is NaN.

    Raises
    ------
    EffectSizeError
        When a figure that the measure needs is not given, the figures are impossible, or the effect does not exist (no
        events for "RR", none or only events for "OR", a mean of zero for "ROM").
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
    given = {"mean": mean, "sd": sd, "events": events}
    missing = [name for name in share.needs if given[name] is None]
    if missing:
        raise EffectSizeError(f"The covariance of {measure} needs the control arm's {listed(missing)}.")
    centre, spread, count, size = figures(mean, sd, events, n)
    refuse(size < 1, "A control arm of {n} people is impossible", n=size)
    refuse(spread < 0, "The SD {sd} is negative", sd=spread)
    refuse((count < 0) | (count > size), "{events} events among {n} people are impossible", events=count, n=size)
    return share.compute(centre, spread, count, size)


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
    (variances,) = figures(vi)
    shared = np.asarray(covariance, dtype=np.float64)
    refuse(shared < 0, "The covariance {covariance} is negative", covariance=shared)
    refuse(
        variances <= shared,
        "The variance {vi} does not exceed {covariance}, the part that its control arm contributes",
        vi=variances,
        covariance=shared,
    )
    return np.diag(variances - shared) + shared
