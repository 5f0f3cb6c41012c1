"""Means and SDs from medians, quartiles, ranges and the number of people."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from metail2.conversions.checks import Array, figures, refuse
from metail2.conversions.formulas import Figures
from metail2.conversions.methods import SUMMARY_METHODS, Names

PRINTED = "printed"


@dataclass(frozen=True)
class MeanSD:
    """Means and SDs, and what each came from; unpacks as ``mean, sd = ...``.

    Attributes
    ----------
    mean, sd : ndarray
        In the units of the printed figures, of their broadcast shape; NaN where the method needs more than is printed.
    mean_method, sd_method : ndarray of str
        For each entry a key of `FORMULAS` (formula text and citation), ``"printed"`` for a mean that was printed, or
        ``"none"`` where the value is NaN.
    reason : ndarray of str
        Why a value is NaN; empty where both are given.
    """

    mean: Array
    sd: Array
    mean_method: Names
    sd_method: Names
    reason: Names

    def __iter__(self) -> Iterator[Array]:
        return iter((self.mean, self.sd))


def mean_sd(
    *,
    n: npt.ArrayLike,
    minimum: npt.ArrayLike | None = None,
    q1: npt.ArrayLike | None = None,
    median: npt.ArrayLike | None = None,
    q3: npt.ArrayLike | None = None,
    maximum: npt.ArrayLike | None = None,
    mean: npt.ArrayLike | None = None,
    method: str = "recommended",
) -> MeanSD:
    """Estimate mean and SD from what a trial prints instead.

    Each entry uses what it has: minimum and maximum ("range"), both quartiles, or all four. A printed mean is kept, so
    that only the SD is estimated ("mean 4.8, range 0–11"). Label the result as imputed, above all where the values are
    skewed (see `skewness_test`) or touch a floor or ceiling.

    ====================  ==============================================  =========================================
    `method`              assumes                                         answers for
    ====================  ==============================================  =========================================
    recommended, wan2014  normal values                                   range, quartiles, five
    luo2018               normal values                                   range, quartiles, five
    hozo2005, walter2007  normal values                                   range
    shi2020, bland2015    normal values                                   five
    lognormal             log-normal values                               range, quartiles, five; above zero
    mcgrath2020_qe        normal, log-normal, gamma, Weibull or beta      range, quartiles, five; below zero normal
                          values: the nearest family
    mcgrath2020_bc        values normal after a Box–Cox transformation    range, quartiles, five; above zero
    cai2021               the same, fitted by maximum likelihood          range, quartiles, five; above zero
    ====================  ==============================================  =========================================

    The last three fit each entry by itself (a few milliseconds each; the others are vectorised) and give NaN with a
    reason rather than a guess: a figure not above zero, equal figures, a search that does not converge, or a fitted
    distribution whose tail leaves mean and SD undetermined. From quartiles alone the two Box–Cox methods are refused
    often, and imprecise where they answer.

    Parameters
    ----------
    n : array_like
        Number of people behind each summary.
    minimum, q1, median, q3, maximum, mean : array_like, optional
        Printed figures in one unit; NaN or None where not printed. All broadcast to one shape.
    method : str
        A name from `SUMMARY_METHODS`. The default takes the mean of Luo et al. (2018) and the SD of Wan et al. (2014),
        or of Shi et al. (2020) where all five numbers are printed. `FORMULAS` has the text and the citation of every
        formula.

    Returns
    -------
    MeanSD
        Of the broadcast shape; NaN, with method ``"none"`` and a reason, where figures are missing, the method does not
        answer for them, and for the SD of one person.

    Raises
    ------
    EffectSizeError
        When figures are infinite, out of order (naming both), a mean lies outside its range, or n is below 1.
    UnknownChoice
        When `method` is not in `SUMMARY_METHODS`.

    Examples
    --------
    >>> mean, sd = mean_sd(minimum=63, median=82, maximum=100, n=5)
    >>> f"{mean:.3f} ({sd:.3f})"
    '81.728 (15.681)'
    """
    chosen = SUMMARY_METHODS[method]
    *around, size, given = figures(minimum, q1, median, q3, maximum, n, mean)
    refuse_impossible(around, size)
    _refuse_mean_outside(given, around[0], around[-1])
    shape, known = given.shape, ~np.isnan(given)
    found = chosen.estimate(Figures(*(values.ravel() for values in (*around, size))))
    mean = np.where(known, given, found.mean.reshape(shape))
    sd = found.sd.reshape(shape)
    return MeanSD(
        mean,
        sd,
        np.where(known, PRINTED, found.mean_rule.reshape(shape)),
        found.sd_rule.reshape(shape),
        np.where(np.isnan(mean) | np.isnan(sd), found.reason.reshape(shape), ""),
    )


def refuse_impossible(around: list[Array], n: Array) -> None:
    """Refuse infinite figures, a figure above a later one, and fewer than one person."""
    ordered = dict(zip(("minimum", "lower quartile", "median", "upper quartile", "maximum"), around, strict=True))
    for name, values in ordered.items():
        refuse(np.isinf(values), f"The {name} {{value}} is not finite", value=values)
    for (name, lower), (later, upper) in combinations(ordered.items(), 2):
        refuse(lower > upper, f"The {name} {{lower}} is above the {later} {{upper}}", lower=lower, upper=upper)
    refuse((n < 1) | np.isinf(n), "The number of people {n} is not a count of at least 1", n=n)


def _refuse_mean_outside(mean: Array, minimum: Array, maximum: Array) -> None:
    """Refuse a printed mean that is infinite or lies outside the printed range."""
    refuse(np.isinf(mean), "The mean {mean} is not finite", mean=mean)
    refuse(mean < minimum, "The mean {mean} is below the minimum {minimum}", mean=mean, minimum=minimum)
    refuse(mean > maximum, "The mean {mean} is above the maximum {maximum}", mean=mean, maximum=maximum)
