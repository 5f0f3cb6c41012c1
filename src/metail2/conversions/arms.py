"""Arms of one trial: combined into one, or split between comparisons."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from metail2.conversions.checks import Array, figures, refuse
from metail2.errors import EffectSizeError


class CombinedMeans(NamedTuple):
    """Mean, SD and number of people of arms taken together, or of the parts of one; ndarrays of one shape."""

    mean: Array
    sd: Array
    n: Array


class CombinedEvents(NamedTuple):
    """Events and number of people of arms taken together, or of the parts of one; ndarrays of one shape."""

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
    if not n.shape[-1]:
        raise EffectSizeError("There are no arms to combine; give at least one.")
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


def split_means(mean: npt.ArrayLike, sd: npt.ArrayLike, n: npt.ArrayLike, parts: int) -> CombinedMeans:
    """Split an arm that several others are compared with: each part has n/parts people and the same mean and SD.

    The parts are used as if they were independent groups. That keeps people from being counted twice, but the
    comparisons remain correlated, since the parts share their mean; `shared_control_covariance` says by how much and
    loses nothing.

    Parameters
    ----------
    mean, sd, n : array_like
        Mean, SD (divisor n − 1) and number of people of the shared arm.
    parts : int
        Into how many, at least 1.

    Returns
    -------
    CombinedMeans
        Arrays of shape (..., parts). The sizes are n/parts exactly, also where that is not whole (7 people in two parts
        are 3.5 and 3.5): sizes that differ would give one comparison more weight than the other. Formulas for
        variances take them; exact tests and counts do not.

    Raises
    ------
    EffectSizeError
        When an SD is negative, `parts` is not a whole number of at least 1, or a part would have less than one person.

    References
    ----------
    Higgins JPT, Eldridge S, Li T. Cochrane Handbook for Systematic Reviews of Interventions, section 23.3.4.

    Examples
    --------
    >>> split_means(2.8, 1.2, 7, 2).n
    array([3.5, 3.5])
    """
    centre, spread, size = figures(mean, sd, n)
    refuse(spread < 0, "The SD {sd} is negative", sd=spread)
    _refuse_bad_parts(size, parts)
    return CombinedMeans(_repeat(centre, parts), _repeat(spread, parts), _repeat(size / parts, parts))


def split_events(events: npt.ArrayLike, n: npt.ArrayLike, parts: int) -> CombinedEvents:
    """Split an arm that several others are compared with: each part has events/parts events among n/parts people.

    As for `split_means`, the comparisons remain correlated.

    Parameters
    ----------
    events, n : array_like
        Events and number of people of the shared arm.
    parts : int
        Into how many, at least 1.

    Returns
    -------
    CombinedEvents
        Arrays of shape (..., parts): events/parts and n/parts exactly, also where they are not whole, so that each part
        has the risk of the whole arm. Exact and Mantel–Haenszel methods that need counts do not take fractions.

    Raises
    ------
    EffectSizeError
        When events are negative or exceed the people of their arm, `parts` is not a whole number of at least 1, or a
        part would have less than one person.

    References
    ----------
    Higgins JPT, Eldridge S, Li T. Cochrane Handbook for Systematic Reviews of Interventions, section 23.3.4.
    """
    count, size = figures(events, n)
    refuse((count < 0) | (count > size), "{events} events among {n} people are impossible", events=count, n=size)
    _refuse_bad_parts(size, parts)
    return CombinedEvents(_repeat(count / parts, parts), _repeat(size / parts, parts))


def _refuse_bad_parts(n: Array, parts: int) -> None:
    if parts < 1 or parts % 1 != 0:
        raise EffectSizeError(f"An arm cannot be split into {parts} parts.")
    refuse(n < parts, "An arm of {n} people has less than one person for each of {parts} parts", n=n, parts=parts)


def _repeat(values: Array, parts: int) -> Array:
    return np.repeat(values[..., None], parts, axis=-1)
