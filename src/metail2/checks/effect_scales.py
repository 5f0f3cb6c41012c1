"""Printed effects with their intervals and standard errors, on every scale that they could have been computed on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri, stdtrit

from metail2.checks.recomputed import figure
from metail2.checks.rounding import Range
from metail2.checks.view import Floats, View
from metail2.effects.definition import Measure
from metail2.kernels.two_sample_tests import t_p

FEWEST_DF = 4.0
"""Of the t distribution that an interval may be made with where the number of patients is not printed."""
LOPSIDED = 0.1
"""The middle of an interval may lie off its estimate by this part of its half-width."""
Z_ONLY = ("two_by_two", "matched_pairs", "matched_margins", "person_time", "hazard")
"""Families whose intervals are made with normal quantiles."""
EFFECTS = {"estimate": True, "hr": True, "r": True, "yi": False, "log_hr": False}
"""Columns an effect may stand in, and whether as displayed (a ratio as such) or as pooled (its logarithm)."""
ERRORS = ("se", "sei", "vi")
"""Columns its standard error (or variance) may stand in, on the scale on which it is pooled."""


@dataclass(frozen=True, slots=True)
class Scale:
    """An effect and its interval on one scale that they could have been computed on.

    Attributes
    ----------
    possible : ndarray of bool, shape (m,)
        Whether the figures can be on this scale.
    null : float
        No effect.
    estimate, lower, upper : Range
        What prints so, mapped to the scale.
    """

    possible: np.ndarray
    null: float
    estimate: Range
    lower: Range
    upper: Range

    @property
    def width(self) -> Range:
        """Of the interval; never below 0."""
        width = self.upper - self.lower
        return Range(np.maximum(width.low, 0.0), width.high)

    @property
    def middle(self) -> Range:
        """Of the interval."""
        return (self.upper + self.lower).over(2.0)

    @property
    def centred(self) -> np.ndarray:
        """Whether the estimate may be the middle of the interval, but for `LOPSIDED`."""
        return np.asarray(self.possible & (self.estimate.gap(self.middle) <= LOPSIDED * self.width.high / 2))


@dataclass(frozen=True, slots=True)
class Effect:
    """A column of effects with the interval beside it.

    Attributes
    ----------
    column : str
        Key of `EFFECTS`.
    rows : ndarray of bool, shape (m,)
        Where this column holds the effect, or none does and it is the first that the table has.
    scales : list of Scale
        That of the measure; with an unknown measure, and where limits may stand as displayed beside an effect as
        pooled, the plain and the log scale.
    """

    column: str
    rows: np.ndarray
    scales: list[Scale]


def effects(view: View) -> Iterator[Effect]:
    """Find the columns that hold effects; every row is told of one of them, an interval without effect of the first."""
    if view.measure is not None and np.isnan(view.measure.null):
        return
    names = [name for name in EFFECTS if name in view and (name != "r" or _of_correlations(view.measure))]
    names = names or ["estimate"]
    left = np.ones(len(view), dtype=bool)
    for name in names:
        there = left & ~np.isnan(view[name])
        left &= ~there
        rows = there | (name == names[0]) & np.all([np.isnan(view[one]) for one in names], axis=0)
        yield Effect(name, rows, _scales(view, name, rows))


def _scales(view: View, column: str, rows: np.ndarray) -> list[Scale]:
    printed = tuple(figure(view, name) for name in (column, "ci_lower", "ci_upper"))
    known = rows & printed[1].known & printed[2].known & (view["ci_lower"] < view["ci_upper"])
    measure, null = view.measure, 0.0 if view.measure is None else view.measure.null
    effect, lower, upper = printed
    log = measure is None or measure.transform.code == "exp"
    positive = known & (view["ci_lower"] > 0) & ~((view[column] <= 0) & EFFECTS[column])
    logs = [Range(np.log(np.maximum(one.low, 0.0)), np.log(one.high)) for one in printed]
    if not EFFECTS[column]:
        plain = Scale(known, null, effect, lower, upper)
        if measure is None or measure.code == "GEN" or log:  # a generic effect may be a log ratio
            return [plain, Scale(positive, null, effect, *logs[1:])]
        return [plain, Scale(known, null, effect, *(mapped(one, measure) for one in printed[1:]))]
    if measure is None:
        return [Scale(known, 0.0, *printed), Scale(positive, 0.0, *logs)]
    pooled = Scale(positive if log else known, null, *(mapped(one, measure) for one in printed))
    if not _of_correlations(measure) or measure.transform.code != "identity":
        return [pooled]
    inside = known & (view["ci_lower"] > -1) & (view["ci_upper"] < 1)
    fisher = [Range(*(np.arctanh(np.clip(end, -1, 1)) for end in (one.low, one.high))) for one in printed]
    return [pooled, Scale(inside, 0.0, *fisher)]


def _of_correlations(measure: Measure | None) -> bool:
    return measure is not None and measure.family.name in ("correlation", "partial_correlation")


def of_counts(measure: Measure | None) -> bool:
    """Whether a measure is a ratio of counts or hazards, whose intervals are made with normal quantiles."""
    return measure is not None and measure.transform.code == "exp" and measure.family.name in Z_ONLY


def mapped(displayed: Range, measure: Measure) -> Range:
    """Values on the scale on which effects are pooled, from those displayed."""
    ends = [measure.transform.backward(end) for end in (displayed.low, displayed.high)]
    below = np.isnan(ends[0]) & ~np.isnan(displayed.low)  # rounding reaches beyond what a ratio can be
    low = np.where(below, -np.inf, ends[0])
    return Range(np.minimum(low, ends[1]), np.maximum(low, ends[1]))


def errors(view: View) -> dict[str, Range]:
    """Printed standard errors by their column, those of variances as roots; those not above 0 are unknown."""
    found = {name: figure(view, name) for name in ERRORS if name in view}
    roots = {
        name: Range(np.sqrt(np.maximum(own.low, 0.0)), np.sqrt(own.high)) if name == "vi" else own
        for name, own in found.items()
    }
    return {name: own.where(view[name] > 0) for name, own in roots.items()}


def levels(view: View) -> Floats:
    """Confidence level of each interval, 0.95 where none is given; 95 means 95 %."""
    level = view["level"]
    return np.where(np.isnan(level), 0.95, np.where(level > 1, level / 100, level))


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Two-sided quantiles that intervals may have been made with: from the normal to the t of fewest df.

    Attributes
    ----------
    normal, t : ndarray, shape (m,)
        Quantiles.
    of_error : ndarray, shape (m,)
        The greatest that the interval of a printed standard error may have: `normal` for ratios of counts.
    df : ndarray, shape (m,)
        Of `t`: one less than the patients of the smaller arm (or of the group), the fewest that Welch's test can have;
        `FEWEST_DF` where no sizes are known.
    """

    normal: Floats
    t: Floats
    of_error: Floats
    df: Floats

    @classmethod
    def of(cls, view: View) -> Quantiles:
        """Find those of each entry."""
        df = np.fmin(np.fmin(view["n1"], view["n2"]), view["n"]) - 1
        df = np.where(np.isnan(df), FEWEST_DF, np.maximum(df, 1.0))
        upper = 0.5 + levels(view) / 2
        normal, t = ndtri(upper), stdtrit(df, upper)
        return cls(normal, t, normal if of_counts(view.measure) else t, df)

    def se(self, width: Range) -> Range:
        """Standard errors that the width of an interval allows."""
        return Range(width.low / (2 * self.of_error), width.high / (2 * self.normal))

    def p(self, away: Range, width: Range) -> Range:
        """P values that an effect (its distance from no effect) and the width of its interval allow."""
        ends = [(self.normal, np.full(len(self.df), np.inf)), (self.t, self.df)]
        low = [t_p(away.high, width.low / (2 * q), df) for q, df in ends]
        high = [t_p(away.low, width.high / (2 * q), df) for q, df in ends]
        return Range(np.fmin(*low), np.fmax(*high))

    def p_of_error(self, away: Range, se: Range) -> Range:
        """P values that an effect (its distance from no effect) and its standard error allow."""
        infinite = np.full(len(self.df), np.inf)
        low = [t_p(away.high, se.low, df) for df in (infinite, self.df)]
        high = [t_p(away.low, se.high, df) for df in (infinite, self.df)]
        return Range(np.fmin(*low), np.fmax(*high))
