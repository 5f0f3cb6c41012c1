"""Stored against recomputed: which figures of an analysis differ, and which way of analysing explains them best."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metail2.checks.revman import (
    CELLS,
    Effects,
    Pooled,
    Way,
    compute_effects,
    pool_effects,
    pooling_ways,
    study_ways,
    subgroup_difference,
)
from metail2.kernels.inference import chi2_upper, quantile, two_sided
from metail2.records.reviews.precision import Precision
from metail2.records.reviews.review import RATIOS, Analysis, Review, figures

Mask = NDArray[np.bool_]
NAN = float("nan")
ESTIMATE = ("effect", "ci_lower", "ci_upper")
WEIGHTED_MODELS = (("", "z"), ("DL", "z"), ("REML", "z"), ("DL", "knapp_hartung"), ("REML", "knapp_hartung"))

FLOOR = 1e-6
"""Differences below this share are arithmetic: RevMan 5's P values, for instance, are off by up to 1e-7."""
ITERATED: Mapping[str, float] = {"tau2": 5e-3, "i2": 5e-3, "weight": 5e-3}
"""The same where the file says REML, which is iterated by a rule that RevMan does not describe; for other figures:"""
FROM_ITERATED = 1e-3


class Difference(NamedTuple):
    """A stored figure that is not the recomputed one."""

    name: str
    stored: float
    given: float


class Total(NamedTuple):
    """One stored pooled result, its row in the file, and the studies that it is of (shape (k,))."""

    row: int
    stored: pd.Series
    rows: Mask


@dataclass(frozen=True, eq=False)
class Comparison:
    """An analysis of a review while it is compared.

    Attributes
    ----------
    review : Review
        Says how precisely its file stores what.
    analysis : Analysis
        One of its analyses.
    """

    review: Review
    analysis: Analysis

    @cached_property
    def columns(self) -> dict[str, NDArray[np.float64]]:
        """Figures of the studies, each of shape (k,)."""
        return figures(self.analysis.kind, self.analysis.table)

    @cached_property
    def stored(self) -> NDArray[np.float64]:
        """Stored effects and intervals, shape (k, 3)."""
        return self.analysis.table[list(ESTIMATE)].to_numpy(dtype=float)

    @cached_property
    def impossible(self) -> Mask:
        """Studies whose figures cannot be, so that nothing can be recomputed from them."""
        return (self.analysis.table["state"] == "impossible").to_numpy()

    @cached_property
    def totals(self) -> list[Total]:
        """The stored pooled results that can be recomputed: none of their studies is impossible."""
        return [total for total in self.stored_totals if not self.faulty_rows(total).any()]

    def faulty_rows(self, total: Total) -> Mask:
        """Studies that a stored total counts (by weight, or having an effect) and whose figures cannot be."""
        weighted = self.analysis.table["weight"].to_numpy(dtype=float) > 0
        shown = np.isfinite(self.stored[:, 0])
        counted = weighted if weighted.any() else shown if shown.any() else True
        return total.rows & self.impossible & counted

    @cached_property
    def stored_totals(self) -> list[Total]:
        """The stored pooled results that hold an estimate."""
        return [
            Total(int(str(row)), stored, self.rows_of(str(stored["subgroup"])))
            for row, stored in self.analysis.totals.iterrows()
            if np.isfinite(stored["effect"])
        ]

    @property
    def has_overall(self) -> bool:
        """Whether the file stores a total of all studies."""
        return any(total.stored["subgroup"] == "" for total in self.stored_totals)

    def rows_of(self, subgroup: str) -> Mask:
        """Rows of a subgroup; of all studies for an empty name."""
        everyone = np.ones(len(self.analysis.table), dtype=bool)
        return everyone if subgroup == "" else (self.analysis.table["subgroup"] == subgroup).to_numpy()

    def effects(self, way: Way) -> Effects:
        """Effects of the studies by `way`."""
        return compute_effects(self.analysis.kind, self.columns, way)

    def pool(self, way: Way, rows: Mask) -> tuple[Pooled | None, Mask]:
        """Pool those of `rows` with an effect that the file neither calls inestimable nor leaves out; and say which."""
        effects = self.effects(way)
        shown = np.isfinite(self.stored[:, 0])
        mask = rows & np.isfinite(effects.yi) & (self.analysis.table["state"] != "excluded").to_numpy()
        mask &= shown if shown.any() else True
        level = self.analysis.settings.level_total
        return (pool_effects(effects.subset(mask), way, level) if mask.any() else None), mask

    # ------------------------------------------------------------ differences

    def of_studies(self, way: Way) -> dict[int, list[Difference]]:
        """Stored results of studies that `way` does not give, by the position of the study."""
        if not np.isfinite(self.stored[:, 0]).any():
            return {}
        effects = self.effects(way)
        half = quantile(self.analysis.settings.level_studies, math.inf) * np.sqrt(effects.vi)
        given = way.show(np.array([effects.yi, effects.yi - half, effects.yi + half])).T
        found = {}
        for at, (stored, values) in enumerate(zip(self.stored, given, strict=True)):
            state = self.analysis.table["state"].iloc[at]
            if state == "used" or (np.isfinite(stored[0]) and state != "impossible"):
                entries = zip(ESTIMATE, stored, [[value] for value in values], strict=True)
                found[at] = self._unequal(entries, way, (stored[1], stored[2]))
        return {at: differences for at, differences in found.items() if differences}

    def of_total(self, way: Way, total: Total) -> list[Difference]:
        """Figures of a stored pooled result that `way` does not give."""
        stored = total.stored
        pooled, _ = self.pool(way, total.rows)
        if pooled is None:
            return [Difference("effect", float(stored["effect"]), NAN)]
        given = _figures_of(pooled, way) | self._between(way, total, pooled)
        # files store Z without its sign
        entries = [
            (name, abs(float(stored[name])) if name == "z" else float(stored[name]), given[name]) for name in given
        ]
        return self._unequal(entries, way, (float(stored["ci_lower"]), float(stored["ci_upper"])), pooled.se)

    def of_weights(self, way: Way) -> dict[int, Difference]:
        """Stored weights that are not the studies' shares of the total (of their subgroup where there is none)."""
        stored = self.analysis.table["weight"].to_numpy(dtype=float)
        found: dict[int, Difference] = {}
        for total in self.totals:
            if self.has_overall and total.stored["subgroup"] != "":
                continue
            pooled, mask = self.pool(way, total.rows)
            if pooled is None or not np.nansum(stored[mask]) > 0:
                continue
            whole = 1.0 if np.nansum(stored[mask]) <= 1.5 else 100.0
            for at, weight in zip(np.flatnonzero(mask), whole * pooled.weights, strict=True):
                entries = [("weight", float(stored[at]), [float(weight)])]
                found |= {int(at): entry for entry in self._unequal(entries, way)}
        return found

    def _between(self, way: Way, total: Total, overall: Pooled) -> dict[str, list[float]]:
        """The test for subgroup differences, which stands beside the total of all studies."""
        if total.stored["subgroup"] != "" or not np.isfinite(total.stored["between_q"]):
            return {}
        pooled = [self.pool(way, self.rows_of(name))[0] for name in self.analysis.subgroups]
        groups = [group for group in pooled if group is not None]
        if len(groups) < 2:
            return {}
        statistics = subgroup_difference(groups, overall)
        tails = [float(chi2_upper(np.asarray(statistic), len(groups) - 1)) for statistic in statistics]
        return {"between_q": statistics, "between_p": tails}

    def _unequal(
        self,
        entries: Iterable[tuple[str, float, Sequence[float]]],
        way: Way,
        interval: tuple[float, float] = (NAN, NAN),
        se: float = NAN,
    ) -> list[Difference]:
        """Which stored figures are none of those given for them; interval and SE say what is a small difference.

        The limits of an interval in reverse order are a finding of their own.
        """
        told = ESTIMATE[1:] if interval[0] > interval[1] else ()
        return [
            Difference(name, stored, given[0])
            for name, stored, given in entries
            if name not in told
            and not any(
                self._same(name, stored, value, self._floor(name, stored, way, interval, se)) for value in given
            )
        ]

    def _same(self, name: str, stored: float, given: float, floor: float) -> bool:
        """Whether the stored figure can be the given one; a missing figure beside others says nothing."""
        if math.isnan(stored):
            return name != "effect" or math.isnan(given)
        if math.isnan(given):
            return name not in ("effect", "weight")
        precision = self.review.precision.get("effect" if name in ESTIMATE else name, Precision(16, 16))
        return abs(stored - given) <= max(precision.tolerance(stored) * (1 + 1e-9), floor)

    def _floor(self, name: str, stored: float, way: Way, interval: tuple[float, float], se: float) -> float:
        """What arithmetic can make of a figure: a share of the interval's width, of the figure, or of a P value's 1."""
        iterated = way.tau2 == self.analysis.settings.tau2 == "REML"
        share = ITERATED.get(name, FROM_ITERATED) if iterated else FLOOR
        if name in ESTIMATE:
            return share * _width(stored, interval, way.log_scale) + 1e-9 * abs(stored)
        if name == "tau2":
            return share * max(abs(stored), se**2 if math.isfinite(se) else 0.0)
        return share * abs(stored) + FLOOR


def _width(stored: float, interval: tuple[float, float], log_scale: bool) -> float:
    """Width of an interval; about a ratio, what the width of its logarithm makes of it."""
    lower, upper = interval
    if log_scale:
        return abs(stored) * math.log(upper / lower) if 0 < lower < upper < math.inf else 0.0
    return upper - lower if math.isfinite(upper - lower) else 0.0


def _figures_of(pooled: Pooled, way: Way) -> dict[str, list[float]]:
    """What can be stored of a pooled result; where RevMan's versions differ, all that it can be.

    Beside a Hartung–Knapp interval the P value may be that of Z or of t. I² is that of Q or of τ², percent or fraction.
    """
    shown = way.show(np.array([pooled.estimate, pooled.lower, pooled.upper]))
    t = abs(pooled.estimate / pooled.se) if pooled.se > 0 else NAN
    t_tail = float(two_sided(np.asarray(t), pooled.q_df)) if pooled.q_df else NAN
    given: dict[str, list[float]] = dict(zip(ESTIMATE, [[float(value)] for value in shown], strict=True))
    given |= {"z": [pooled.z], "p_value": [pooled.p_value]}
    if way.test != "z" and pooled.q_df:
        given = given | {"z": [pooled.z, t], "p_value": [pooled.p_value, t_tail]}
    if pooled.q_df:
        i2 = [pooled.i2_q, pooled.i2_tau2] if way.tau2 else [pooled.i2_q]
        given |= {"q": [pooled.q], "q_df": [pooled.q_df], "q_p": [pooled.q_p], "i2": [*i2, *(v / 100 for v in i2)]}
        given |= {"tau2": [pooled.tau2]} if way.tau2 else {}
    return given


# ---------------------------------------------------------------- which way the file went


def way_of_studies(work: Comparison) -> list[Way]:
    """Ways that the stored results of studies follow, the usual one first.

    They are of the measure that the settings name, unless another explains most of what that one does not.
    """
    analysis, settings = work.analysis, work.analysis.settings
    ways = study_ways(analysis.kind, settings.measure, settings.swap_events, settings.log_scale)
    counts = [len(work.of_studies(way)) for way in ways]
    if min(counts) > 0:
        others = list(_other_measures(analysis))
        other_counts = [len(work.of_studies(way)) for way in others]
        if 2 * min(other_counts) < min(counts):
            ways, counts = others, other_counts
    best = ways[counts.index(min(counts))]
    return [
        way for way, count in zip(ways, counts, strict=True) if count == min(counts) and _read_as(way) == _read_as(best)
    ]


def _read_as(way: Way) -> tuple[str, bool, bool]:
    return way.measure, way.swapped, way.log_scale


def _other_measures(analysis: Analysis) -> Iterator[Way]:
    settings = analysis.settings
    if analysis.kind == "dichotomous":
        for swapped in (settings.swap_events, not settings.swap_events):
            for measure in CELLS:
                yield from study_ways(analysis.kind, measure, swapped, measure in RATIOS)
    elif analysis.kind == "continuous":
        yield from (Way(measure) for measure in ("MD", "SMD"))
    else:
        yield Way(settings.measure, log_scale=not settings.log_scale)


def way_of_totals(work: Comparison, ways: Sequence[Way]) -> Way:
    """The way that the stored totals follow: by the method and model named, unless another explains most of the rest.

    Parameters
    ----------
    work : Comparison
        With known method, model, estimator and interval in its settings.
    ways : sequence of Way
        From `way_of_studies`.
    """
    settings = work.analysis.settings

    def wrong(way: Way) -> tuple[int, int]:
        found = [entry.name for total in work.totals for entry in work.of_total(way, total)]
        return sum(name in ESTIMATE for name in found), len(found) + len(work.of_weights(way))

    def best(chosen: Sequence[Way]) -> tuple[tuple[int, int], Way]:
        return min(((wrong(way), way) for way in chosen), key=lambda scored: scored[0])

    tau2 = settings.tau2 if settings.model == "random" else ""
    named = [way for start in ways for way in pooling_ways(start, settings.method, tau2, settings.test)]
    count, chosen = best(named)
    if count[0] == 0:
        return chosen
    other_count, other = best(
        [
            way
            for start in ways
            for method in ("MH", "IV")
            for estimator, test in WEIGHTED_MODELS
            for way in pooling_ways(start, method, estimator, test)
        ]
    )
    return other if 2 * other_count[0] < count[0] else chosen
