"""Means and SDs from medians, quartiles, ranges and the number of people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from metail2.conversions.checks import Array, figures, refuse
from metail2.conversions.formulas import SUMMARY_METHODS, Figures, Formula, Scenario

Names = npt.NDArray[np.str_]

PRINTED = "printed"
NONE = "none"


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
    """

    mean: Array
    sd: Array
    mean_method: Names
    sd_method: Names

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
    that only the SD is estimated ("mean 4.8, range 0–11"). All formulas assume values drawn from a normal distribution:
    label the result as imputed where they are skewed or touch a floor or ceiling.

    Parameters
    ----------
    n : array_like
        Number of people behind each summary.
    minimum, q1, median, q3, maximum, mean : array_like, optional
        Printed figures in one unit; NaN or None where not printed. All broadcast to one shape.
    method : str
        A name from `SUMMARY_METHODS`. The default takes the mean of Luo et al. (2018) and the SD of Wan et al. (2014),
        or of Shi et al. (2020) where all five numbers are printed. The others answer only for the figures they were
        published for. `FORMULAS` has the text and the citation of every formula.

    Returns
    -------
    MeanSD
        Of the broadcast shape; NaN, with method ``"none"``, where figures are missing, and for the SD of one person.

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
    _refuse_impossible(around, size)
    _refuse_mean_outside(given, around[0], around[-1])
    printed = Figures(*(values.ravel() for values in (*around, size)))
    means, mean_names = _apply(printed, chosen.mean, printed.n >= 1)
    sds, sd_names = _apply(printed, chosen.sd, printed.n > 1)
    known = ~np.isnan(given)
    return MeanSD(
        np.where(known, given, means.reshape(given.shape)),
        sds.reshape(given.shape),
        np.where(known, PRINTED, mean_names.reshape(given.shape)),
        sd_names.reshape(given.shape),
    )


def _scenarios(printed: Figures) -> dict[Scenario, npt.NDArray[np.bool_]]:
    """Mark the rows of each scenario; a row belongs to one at most."""
    extremes = ~np.isnan(printed.a) & ~np.isnan(printed.b)
    quartiles = ~np.isnan(printed.q1) & ~np.isnan(printed.q3)
    return {"range": extremes & ~quartiles, "quartiles": quartiles & ~extremes, "five": extremes & quartiles}


def _apply(
    printed: Figures, formulas: Mapping[Scenario, Formula], allowed: npt.NDArray[np.bool_]
) -> tuple[Array, Names]:
    """Compute each row by the formula of its scenario; NaN and "none" where there is none or a figure is missing."""
    values = np.full(allowed.shape, np.nan)
    names = np.full(allowed.shape, NONE, dtype="U32")
    for scenario, rows in _scenarios(printed).items():
        if scenario in formulas:
            used = rows & allowed
            values[used] = formulas[scenario].compute(printed.at(used))
            names[used] = formulas[scenario].name
    names[np.isnan(values)] = NONE
    return values, names


def _refuse_impossible(around: list[Array], n: Array) -> None:
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
