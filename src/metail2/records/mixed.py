"""Effects of one measure from a table in which each study prints other statistics."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from metail2.conversions import SUMMARY_METHODS
from metail2.effects.compute import check_choices, column_names, from_prepared, prepared
from metail2.effects.counts import Problem, ZeroCells, added
from metail2.effects.effect_sizes import EffectSizes
from metail2.effects.measures import MEASURES, Measure
from metail2.effects.reasons import missing_message, undefined_reasons
from metail2.errors import EffectSizeError, MetailWarning, RecordError
from metail2.records.mixed_arms import complete_arms
from metail2.records.mixed_columns import (
    ESTIMATES,
    assumes_r,
    column_sets,
    has_estimates,
    is_test,
    own_columns,
)
from metail2.records.mixed_contradictions import refuse_cells_against_sizes, refuse_raw_difference
from metail2.records.mixed_estimates import (
    add_error_from_p,
    add_error_from_t,
    add_estimates,
    add_pooled_error,
    refuse_bounded_p,
)
from metail2.records.mixed_lacks import lacking, whole
from metail2.records.mixed_sheet import Derivation, Floats, Mask, Rows, Sheet, read_sheet
from metail2.records.mixed_trail import Variant, Way, trail
from metail2.wording import listed

Used = list[tuple[Way, Rows]]
"""Each way to an effect with the rows that take it; a row takes one at most."""


def harmonise_table(
    table: pd.DataFrame,
    measure: str,
    *,
    study: str | None,
    r: float | str | None,
    level: float | str,
    method: str,
    zero_cells: ZeroCells,
    vtype: str | None,
    correction: str,
    columns: Mapping[str, str],
) -> EffectSizes:
    """Compute one effect a row from whatever the row prints; `harmonise` describes columns, order and errors.

    Parameters
    ----------
    table : DataFrame, k rows
        One study a row.
    measure : str
        Code in `MEASURES`.
    study : str or None
        Column of labels.
    r : float, str or None
        Assumed correlation for the rows that print none, or the column of printed ones.
    level : float or str
        Confidence level of intervals in the rows that print none, or the column of printed ones.
    method : str
        Key of `SUMMARY_METHODS`.
    zero_cells : ZeroCells
        Treatment of zero cells.
    vtype : str or None
        Variance of the measure.
    correction : str
        Its small-sample correction.
    columns : mapping of str to str
        Figure → its column, where that has another name.
    """
    chosen = MEASURES[measure]
    check_choices(chosen, vtype, correction)
    SUMMARY_METHODS[method]
    named = dict(columns) | {name: text for name, text in (("r", r), ("level", level)) if isinstance(text, str)}
    assumed_r, assumed_level = (None if isinstance(r, str) else r), (0.95 if isinstance(level, str) else level)
    _check_assumed(chosen, assumed_r, assumed_level)
    sheet = read_sheet(table, chosen, study, named)
    found = results(sheet, chosen, method, assumed_level, assumed_r, zero_cells, Variant(vtype, correction))
    if not found.used and not {*ESTIMATES} & sheet.places.keys() and not whole(chosen, sheet.places):
        own = {name: column for name, column in columns.items() if name in own_columns(chosen)}
        had = {derivation.quantity for derivation in sheet.derivations}
        column_names(table, chosen, own, had)  # says which columns the measure needs, if they are not there
    yi, vi, reasons = found.yi, found.vi, found.reasons
    if reasons:
        warnings.warn(missing_message(chosen, sheet.labels, reasons, yi), MetailWarning, stacklevel=3)
    steps = trail(sheet, found.used, (yi, vi), found.added, reasons, Variant(vtype, correction))
    inputs, copy = _inputs(sheet, chosen, found.used), table.reset_index(drop=True)
    return EffectSizes(yi, vi, measure, None, inputs, sheet.labels, copy, steps, added=found.added)


@dataclass(frozen=True, slots=True)
class Results:
    """What a sheet gives, row by row.

    Attributes
    ----------
    used : list of (Way, ndarray)
        Each way to an effect with the rows that take it.
    yi, vi : ndarray, shape (k,)
        Effects and variances; NaN where there is none.
    added : ndarray, shape (k,)
        What was added to the cells of each row.
    lacks : dict of int to tuple of str
        Row that takes no way → the figures that the nearest one lacks; see `mixed_lacks.lacking`.
    reasons : dict of int to str
        Row → why it has no effect or no variance, in the order of the rows.
    """

    used: Used
    yi: Floats
    vi: Floats
    added: Floats
    lacks: dict[int, tuple[str, ...]]
    reasons: dict[int, str]


def results(
    sheet: Sheet,
    chosen: Measure,
    method: str,
    level: float,
    r: float | None,
    zero_cells: ZeroCells,
    variant: Variant,
) -> Results:
    """Compute one effect a row of a sheet, which is added to; `harmonise_table` describes the options and errors."""
    used = _ways(sheet, chosen, method, level, r)
    yi, vi, amount = _compute(sheet, used, zero_cells, chosen, variant)
    lacks = _lacks(sheet, chosen, used)
    reasons = _reasons(sheet, (yi, vi), used, zero_cells) | _missing_reasons(sheet, lacks)
    return Results(used, yi, vi, amount, lacks, dict(sorted(reasons.items())))


def _check_assumed(chosen: Measure, r: float | None, level: float) -> None:
    if r is not None and not assumes_r(chosen):
        raise RecordError(f"{chosen.code} assumes no correlation, so r={r:g} has no meaning; leave it out.")
    if r is not None and not -1 <= r <= 1:
        raise RecordError(f"r is {r:g}, but a correlation lies between −1 and 1.")
    if not 0 < level < 1:
        raise RecordError(f"level is {level:g}, but a confidence level is a fraction between 0 and 1, such as 0.95.")


def _ways(sheet: Sheet, chosen: Measure, method: str, level: float, r: float | None) -> Used:
    """Choose one way for each row, adding to the sheet what it needs; what has to be assumed comes last."""
    refuse_cells_against_sizes(sheet, chosen)
    complete_arms(sheet, chosen, method, level)
    add_pooled_error(sheet)
    given = [Way(("yi", "vi"), MEASURES["GEN"]), Way(("yi", "se"), MEASURES["GEN"])]
    own = [Way(names, chosen) for names in sorted(column_sets(chosen), key=_without_change)]
    figures, tests = (
        [way for way in own if "p" not in way.names and is_test(chosen, way.names) == test] for test in (False, True)
    )
    used: Used = []
    open_ = np.ones(len(sheet), dtype=bool)
    _take(sheet, figures, open_, used)
    if has_estimates(chosen):
        add_estimates(sheet, chosen, open_, level)
    _take(sheet, given, open_, used)
    _take(sheet, tests, open_, used)
    if has_estimates(chosen):
        add_error_from_t(sheet, chosen, open_)
    _take(sheet, given, open_, used)
    _take(sheet, [way for way in own if "p" in way.names], open_, used)
    if has_estimates(chosen):
        add_error_from_p(sheet, chosen, open_)
    _take(sheet, given, open_, used)
    if r is not None:
        _assume_r(sheet, open_, r)
        _take(sheet, own, open_, used)
    refuse_bounded_p(sheet, chosen, open_)
    _refuse_wrong_sign(sheet, chosen, used)
    return used


def _without_change(names: tuple[str, ...]) -> bool:
    """Order sets so that a printed SD of the change comes before one from a correlation."""
    return "sd_change" not in names


def _assume_r(sheet: Sheet, open_: Mask, r: float) -> None:
    rows = np.flatnonzero(open_ & ~sheet.has("r"))
    steps = ("correlation of before and after", "", "", f"r = {r:g}; it is not printed")
    sheet.fill(Derivation("r", rows, np.full(len(rows), float(r)), (), *steps))


def _take(sheet: Sheet, ways: Sequence[Way], open_: Mask, used: Used) -> None:
    """Let each open row take the first way that is whole in it."""
    for way in ways:
        rows = np.flatnonzero(open_ & sheet.has(*way.names))
        if len(rows):
            used.append((way, rows))
            open_[rows] = False


def _refuse_wrong_sign(sheet: Sheet, chosen: Measure, used: Used) -> None:
    """Raise for a statistic or estimate that contradicts the direction of the effect, or is one of another effect."""
    for way, rows in used:
        name = way.names[0]
        if name == "yi":
            refuse_raw_difference(sheet, chosen, rows)
        if name in ("d", "t", "r", "yi"):
            wrong = np.zeros(len(sheet), dtype=bool)
            null = chosen.null if name == "yi" else 0.0
            wrong[rows] = (sheet[name][rows] - null) * sheet["direction"][rows] < 0
            sheet.refuse(wrong, name, "must have the sign of the effect, which direction or the means give")


def _compute(
    sheet: Sheet, used: Used, zero_cells: ZeroCells, chosen: Measure, variant: Variant
) -> tuple[Floats, Floats, Floats]:
    """Compute effects and variances, and find what was added to zero cells.

    All rows of a measure are computed together, however they came to what it is computed from, because some variances
    take a mean over the studies.
    """
    yi, vi, amount = np.full(len(sheet), np.nan), np.full(len(sheet), np.nan), np.zeros(len(sheet))
    parts: dict[str, list[tuple[Rows, dict[str, Floats]]]] = {}
    for way, rows in used:
        ready = _prepared(sheet, way, rows, zero_cells)
        amount[rows] = added(_figures(sheet, way, rows), ready)
        parts.setdefault(way.measure.code, []).append((rows, ready))
    for code, ways in parts.items():
        rows = np.concatenate([part for part, _ in ways])
        joined = {name: np.concatenate([ready[name] for _, ready in ways]) for name in ways[0][1]}
        asked = (variant.vtype, variant.correction) if code == chosen.code else (None, "exact")
        yi[rows], vi[rows] = from_prepared(MEASURES[code], joined, *asked)
    return yi, vi, amount


def _figures(sheet: Sheet, way: Way, rows: Rows) -> dict[str, Floats]:
    """Return the columns that the measure of a way is computed from, under its own names for them."""
    return {_column(way, name): sheet[name][rows] for name in way.names}


def _column(way: Way, name: str) -> str:
    return "sei" if name == "se" and way.measure.code == "GEN" else name


def _prepared(sheet: Sheet, way: Way, rows: Rows, zero_cells: ZeroCells) -> dict[str, Floats]:
    """Check the figures of a way and correct zero cells; impossible ones are refused by the user's columns."""
    try:
        return prepared(way.measure, _figures(sheet, way, rows), zero_cells)
    except Problem as problem:
        name = next(name for name in way.names if _column(way, name) == problem.column)
        row = int(rows[problem.row])
        raise EffectSizeError(sheet.told(Problem(row, name, problem.value, problem.rule), row)) from None


def _reasons(sheet: Sheet, effects: tuple[Floats, Floats], used: Used, zero_cells: ZeroCells) -> dict[int, str]:
    """Say for each row that takes a way, but has no usable variance, what is undefined."""
    yi, vi = effects
    reasons: dict[int, str] = {}
    for way, rows in used:
        found = undefined_reasons(way.measure, _figures(sheet, way, rows), zero_cells, yi[rows], vi[rows])
        reasons |= {int(rows[place]): reason for place, reason in found.items()}
    return reasons


def _lacks(sheet: Sheet, chosen: Measure, used: Used) -> dict[int, tuple[str, ...]]:
    """Name what the rows that take no way lack."""
    open_ = np.ones(len(sheet), dtype=bool)
    for _, taken in used:
        open_[taken] = False
    rows = np.flatnonzero(open_)
    names = list(dict.fromkeys([*own_columns(chosen), *sheet.values]))
    patterns = np.column_stack([sheet.has(name)[rows] for name in names])
    found: dict[bytes, tuple[str, ...]] = {}
    for pattern in patterns:
        if pattern.tobytes() not in found:
            known = {name for name, there in zip(names, pattern, strict=True) if there}
            found[pattern.tobytes()] = lacking(chosen, known, sheet.places)
    return {row: found[pattern.tobytes()] for row, pattern in zip(map(int, rows), patterns, strict=True)}


def _missing_reasons(sheet: Sheet, lacks: Mapping[int, tuple[str, ...]]) -> dict[int, str]:
    """Say for rows that take no way what they lack."""
    reasons = {}
    for row, empty in lacks.items():
        hint = sheet.hints.get(row)
        reasons[row] = sheet.undetermined.get(row) or _told_missing(empty) + (f" ({hint})" if hint else "")
    return reasons


def _told_missing(empty: Sequence[str]) -> str:
    """Say that the figures which the nearest way lacks are missing."""
    if {*empty} <= {"yi", "se"}:
        empty = ["the estimate" if name == "yi" else "a standard error, interval, t or P" for name in empty]
    return f"{listed([*empty])} {'is' if len(empty) == 1 else 'are'} missing and cannot be had from what is printed"


def _inputs(sheet: Sheet, chosen: Measure, used: Used) -> dict[str, Floats]:
    """Return the columns of the first of the measure's sets that a row was computed from."""
    sets = {way.names for way, _ in used if way.measure is chosen}
    first = next((names for names in column_sets(chosen) if names in sets), ())
    return {name: sheet[name] for name in first}
