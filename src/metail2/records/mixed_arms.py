"""From what a table prints of each arm to the moments or counts that a measure computes with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from metail2.conversions import (
    FORMULAS,
    SUMMARY_METHODS,
    Formula,
    MeanSD,
    events_from_percent,
    mean_sd,
    sd_from_interval,
    sd_from_se,
    unique,
)
from metail2.conversions.formulas import Figures, Rule
from metail2.effects.measures import Measure
from metail2.effects.moments import small_sample_factor
from metail2.errors import EffectSizeError, RecordError
from metail2.records.mixed_columns import (
    Arm,
    arms_with_events,
    arms_with_means,
    column_sets,
    own_columns,
    standardised_sizes,
)
from metail2.records.mixed_sheet import Derivation, Floats, Rows, Sheet, Texts
from metail2.records.moments import HANDBOOK

_SUMMARIES = (
    ("minimum", "q1", "median", "q3", "maximum"),
    ("q1", "median", "q3"),
    ("minimum", "median", "maximum"),
)
"""What may be printed around a median, the fullest first."""
_HEDGES = "Hedges LV (1981). Journal of Educational Statistics 6:107–128"


@dataclass(frozen=True, slots=True)
class Level:
    """Rows whose intervals have the same confidence level.

    Attributes
    ----------
    value : float
        The level.
    rows : ndarray of int
        Where.
    sources : tuple of str
        The column that prints it; empty where none does.
    assumption : str
        What is assumed of it, to be added to what is assumed of the interval; empty for a printed one.
    """

    value: float
    rows: Rows
    sources: tuple[str, ...]
    assumption: str


def complete_arms(sheet: Sheet, chosen: Measure, method: str, level: float) -> None:
    """Add the means, SDs, counts and d that the measure computes with, where they are not printed.

    Parameters
    ----------
    sheet : Sheet
        It is added to.
    chosen : Measure
        What is to be computed.
    method : str
        Key of `SUMMARY_METHODS`.
    level : float
        Confidence level of intervals, where the column ``level`` has none.
    """
    for arm in arms_with_means(chosen):
        _sd_from_se(sheet, arm)
        _sd_from_interval(sheet, arm, level)
        for statistics in _SUMMARIES:
            _moments_from_summary(sheet, arm, method, statistics)
    _change_of_means(sheet, chosen)
    _counts_from_cells(sheet, chosen)
    _events_from_percents(sheet, arms_with_events(chosen))
    _d_from_g(sheet, chosen)
    _direction_of_means(sheet, chosen)


def levels(sheet: Sheet, rows: Rows, level: float) -> Iterator[Level]:
    """Part rows by the confidence level of their intervals, and by whether it is printed."""
    printed = sheet["level"][rows]
    wrong = np.zeros(len(sheet), dtype=bool)
    wrong[rows] = (printed <= 0) | (printed >= 1)
    sheet.refuse(wrong, "level", "must be a fraction between 0 and 1, such as 0.95")
    assumed = f"; its level is not printed and taken as {100 * level:g} %"
    for value in np.unique(printed[~np.isnan(printed)]):
        yield Level(float(value), rows[printed == value], ("level",), "")
    if np.isnan(printed).any():
        yield Level(level, rows[np.isnan(printed)], (), assumed)


def _missing(sheet: Sheet, wanted: str, *needed: str) -> Rows:
    """Find the rows without a figure that have what it is to be had from."""
    return np.flatnonzero(~sheet.has(wanted) & sheet.has(*needed))


def _sd_from_se(sheet: Sheet, arm: Arm) -> None:
    sources = (arm("se"), arm.n)
    rows = _missing(sheet, arm("sd"), *sources)
    if not arm.suffix:  # then se is that of the mean only beside a mean or median; else it is that of the effect
        rows = rows[(sheet.has("mean") | sheet.has("median"))[rows]]
    values = sheet.convert(sd_from_se, rows, sources)
    sheet.fill(Derivation(arm("sd"), rows, values, sources, "SD from standard error", "SE·√n", HANDBOOK))


def _sd_from_interval(sheet: Sheet, arm: Arm, level: float) -> None:
    sources = (arm("ci_lower"), arm("ci_upper"), arm.n)
    for each in levels(sheet, _missing(sheet, arm("sd"), *sources), level):
        convert = partial(_interval, level=each.value)
        values = sheet.convert(convert, each.rows, (*sources, arm("mean")))
        conversion = f"SD from {100 * each.value:g} % interval"
        steps = (conversion, "√n·(upper − lower)/(2·t with n − 1 df)", HANDBOOK)
        assumption = f"the interval is that of a mean from the t distribution{each.assumption}"
        sheet.fill(Derivation(arm("sd"), each.rows, values, (*sources, *each.sources), *steps, assumption))


def _interval(lower: Floats, upper: Floats, n: Floats, mean: Floats, level: float) -> Floats:
    return sd_from_interval(lower, upper, n, mean=mean, level=level)


def _moments_from_summary(sheet: Sheet, arm: Arm, method: str, statistics: tuple[str, ...]) -> None:
    """Impute mean and SD, where they are not printed, from what is printed around the median."""
    names = [arm(statistic) for statistic in statistics]
    around = [name for name in names if name != arm("median")]
    missing = ~(sheet.has(arm("mean")) & sheet.has(arm("sd")))
    rows = np.flatnonzero(missing & sheet.has(*around, arm.n))
    if not len(rows):
        return

    def convert(n: Floats, mean: Floats, *spread: Floats) -> MeanSD:
        return mean_sd(n=n, mean=mean, method=method, **dict(zip(statistics, spread, strict=True)))

    found = sheet.convert(convert, rows, [arm.n, arm("mean"), *names])
    for row in np.flatnonzero(found.reason != ""):
        sheet.hints[int(rows[row])] = str(found.reason[row])
    assumption = SUMMARY_METHODS[method].assumes
    for quantity, values, rules in (
        (arm("mean"), found.mean, found.mean_method),
        (arm("sd"), found.sd, found.sd_method),
    ):
        open_ = ~sheet.has(quantity)[rows]
        for name in np.unique(rules[open_ & ~np.isnan(values)]):
            rule, those = FORMULAS[name], open_ & (rules == name)
            used = (*(names if _needs_median(rule) else around), arm.n)
            steps = (f"imputed from {', '.join(used[:-1])}", rule.text, rule.citation, assumption)
            sheet.fill(Derivation(quantity, rows[those], values[those], used, *steps))


def _needs_median(rule: Rule) -> bool:
    """Whether a rule uses the median: a formula without it has no value, and fits use all figures."""
    if not isinstance(rule, Formula):
        return True
    a, q1, m, q3, b, n = (np.array([value]) for value in (1.0, 2.0, np.nan, 4.0, 5.0, 10.0))
    with np.errstate(all="ignore"):
        return bool(np.isnan(rule.compute(Figures(a, q1, m, q3, b, n))).any())


def _change_of_means(sheet: Sheet, chosen: Measure) -> None:
    """Take the mean change as the difference of the means, for an SD of the change printed beside them."""
    if "mean_change" in own_columns(chosen):
        sources = ("mean_post", "mean_pre")
        rows = _missing(sheet, "mean_change", *sources)
        values = sheet["mean_post"][rows] - sheet["mean_pre"][rows]
        sheet.fill(Derivation("mean_change", rows, values, sources, "difference of the means", "m_post − m_pre"))


def _counts_from_cells(sheet: Sheet, chosen: Measure) -> None:
    """Bring tables given by their cells to events and arm sizes, so that all tables are corrected together."""
    sets = column_sets(chosen)
    if sets[0] != ("events1", "n1", "events2", "n2") or ("a", "b", "c", "d") not in sets:
        return
    rows = np.flatnonzero(~sheet.has(*sets[0]) & sheet.has("a", "b", "c", "d"))
    marked = np.isin(np.arange(len(sheet)), rows)
    for name in "abcd":
        sheet.refuse(marked & (sheet[name] < 0), name, "must be 0 or more")
    for suffix, events, others in (("1", "a", "b"), ("2", "c", "d")):
        for quantity, sources in ((f"events{suffix}", (events,)), (f"n{suffix}", (events, others))):
            wanted = rows[np.isnan(sheet[quantity][rows])]
            values = sum(sheet[name][wanted] for name in sources)
            sheet.fill(Derivation(quantity, wanted, np.asarray(values), sources, f"{' + '.join(sources)} of the table"))


def _events_from_percents(sheet: Sheet, arms: list[Arm]) -> None:
    hows = np.full((len(sheet), len(arms)), "", dtype=object)
    for place, arm in enumerate(arms):
        sources = (arm("percent"), arm.n)
        rows = _missing(sheet, arm("events"), *sources)
        if len(rows):
            events, hows[rows, place] = _counts(sheet, rows, arm)
            formula = "the only count of n that prints as the percentage"
            sheet.fill(Derivation(arm("events"), rows, events, sources, "events from percentage", formula))
    _refuse_mixed_conventions(sheet, hows)


def _counts(sheet: Sheet, rows: Rows, arm: Arm) -> tuple[Floats, list[str]]:
    """Find the only count of each percentage, and by which convention it prints so."""
    texts, sizes = sheet.texts[arm("percent")][rows], sheet[arm.n][rows]
    known: dict[tuple[str, float], tuple[int, str]] = {}
    for row, pair in zip(rows, zip(texts, sizes, strict=True), strict=True):
        if pair not in known:
            try:
                found = unique(events_from_percent(*pair))
            except EffectSizeError as error:
                raise RecordError(
                    f"{sheet.where(int(row), arm('percent'))}: {error} Give the events, or leave the percentage empty."
                ) from None
            known[pair] = found.events, found.how
    pairs = [known[pair] for pair in zip(texts, sizes, strict=True)]
    return np.array([events for events, _ in pairs], dtype=float), [how for _, how in pairs]


def _refuse_mixed_conventions(sheet: Sheet, hows: Texts) -> None:
    """One article prints its percentages by one convention, rounding or truncation."""
    wrong = (hows == "rounding").any(axis=1) & (hows == "truncation").any(axis=1)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise RecordError(
            f"{sheet.where(row, 'percent1', 'percent2')}: the counts fit one arm only by rounding and the other only "
            "by truncation, so the percentages do not tell them; give the events or leave the percentages empty."
        )


def _d_from_g(sheet: Sheet, chosen: Measure) -> None:
    """Undo the small-sample factor of Hedges' g."""
    sizes = standardised_sizes(chosen)
    if sizes:
        rows = _missing(sheet, "d", "g", *sizes)
        df = np.asarray(sum(sheet[name][rows] - 1 for name in sizes))
        values = sheet["g"][rows] / small_sample_factor(df)
        formula = f"g/J({' + '.join(sizes)} − {len(sizes)})"
        sheet.fill(Derivation("d", rows, values, ("g", *sizes), "Cohen's d from Hedges' g", formula, _HEDGES))


def _direction_of_means(sheet: Sheet, chosen: Measure) -> None:
    """Take the sign of an effect whose F or P is printed from the means beside it."""
    own = own_columns(chosen)
    for sources in (("mean1", "mean2"), ("mean_post", "mean_pre")):
        if {"direction", *sources} <= {*own}:
            difference = sheet[sources[0]] - sheet[sources[1]]
            wrong = sheet["direction"] * difference < 0
            sheet.refuse(wrong, "direction", f"must have the sign of {sources[0]} − {sources[1]}")
            rows = _missing(sheet, "direction", *sources)
            signs = np.sign(difference[rows])
            values = np.where(signs == 0, np.nan, signs)
            sheet.fill(Derivation("direction", rows, values, sources, "sign of the difference of the means"))
