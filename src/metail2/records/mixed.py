"""Effects of one measure from a table in which each study prints other statistics."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from metail2.conversions import SUMMARY_METHODS
from metail2.effects.compute import computed
from metail2.effects.counts import ZeroCells
from metail2.effects.effect_sizes import EffectSizes
from metail2.effects.measures import MEASURES, Measure
from metail2.errors import MetailWarning, RecordError, UnknownChoice
from metail2.records.mixed_arms import complete_arms
from metail2.records.mixed_columns import assumes_r, column_sets, has_estimates, own_columns
from metail2.records.mixed_estimates import add_error_from_p, add_estimates, refuse_bounded_p
from metail2.records.mixed_sheet import Derivation, Floats, Mask, Rows, Sheet, read_sheet
from metail2.records.mixed_trail import Way, trail
from metail2.wording import listed, some

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
    columns : mapping of str to str
        Figure → its column, where that has another name.
    """
    chosen = MEASURES[measure]
    if vtype is not None and vtype not in chosen.vtypes:
        raise UnknownChoice(f"variance of {measure}", vtype, chosen.vtypes)
    SUMMARY_METHODS[method]
    named = dict(columns) | {name: text for name, text in (("r", r), ("level", level)) if isinstance(text, str)}
    assumed_r, assumed_level = (None if isinstance(r, str) else r), (0.95 if isinstance(level, str) else level)
    _check_assumed(chosen, assumed_r, assumed_level)
    sheet = read_sheet(table, chosen, study, named)
    used = _ways(sheet, chosen, method, assumed_level, assumed_r)
    yi, vi, added = _compute(sheet, chosen, used, zero_cells, vtype)
    reasons = _reasons(sheet, chosen, yi, vi, used)
    _warn(sheet, chosen, reasons)
    steps = trail(sheet, chosen, used, (yi, vi), added, reasons)
    inputs = _inputs(sheet, chosen, used)
    return EffectSizes(yi, vi, measure, None, inputs, sheet.labels, table.reset_index(drop=True), steps)


def _check_assumed(chosen: Measure, r: float | None, level: float) -> None:
    if r is not None and not assumes_r(chosen):
        raise RecordError(f"{chosen.code} assumes no correlation, so r={r:g} has no meaning; leave it out.")
    if r is not None and not -1 <= r <= 1:
        raise RecordError(f"r is {r:g}, but a correlation lies between −1 and 1.")
    if not 0 < level < 1:
        raise RecordError(f"level is {level:g}, but a confidence level is a fraction between 0 and 1, such as 0.95.")


def _ways(sheet: Sheet, chosen: Measure, method: str, level: float, r: float | None) -> Used:
    """Choose one way for each row, adding to the sheet what it needs; what has to be assumed comes last."""
    complete_arms(sheet, chosen, method, level)
    given = [Way(("yi", "vi"), MEASURES["GEN"]), Way(("yi", "se"), MEASURES["GEN"])]
    own = [Way(names, chosen) for names in column_sets(chosen)]
    used: Used = []
    open_ = np.ones(len(sheet), dtype=bool)
    _take(sheet, [way for way in own if "p" not in way.names], open_, used)
    _refuse_wrong_sign(sheet, used)
    if has_estimates(chosen):
        add_estimates(sheet, chosen, open_, level)
    _take(sheet, given, open_, used)
    _take(sheet, [way for way in own if "p" in way.names], open_, used)
    if has_estimates(chosen):
        add_error_from_p(sheet, chosen, open_)
    _take(sheet, given, open_, used)
    if r is not None:
        rows = np.flatnonzero(open_ & ~sheet.has("r"))
        steps = ("correlation of before and after", "", "", f"r = {r:g}; it is not printed")
        sheet.fill(Derivation("r", rows, np.full(len(rows), float(r)), (), *steps))
        _take(sheet, own, open_, used)
    refuse_bounded_p(sheet, chosen, open_)
    return used


def _take(sheet: Sheet, ways: Sequence[Way], open_: Mask, used: Used) -> None:
    """Let each open row take the first way that is whole in it."""
    for way in ways:
        rows = np.flatnonzero(open_ & sheet.has(*way.names))
        if len(rows):
            used.append((way, rows))
            open_[rows] = False


def _refuse_wrong_sign(sheet: Sheet, used: Used) -> None:
    """Raise for a statistic, often printed without its sign, that contradicts the direction of the effect."""
    for way, rows in used:
        name = way.names[0]
        if name in ("d", "t", "r"):
            wrong = np.zeros(len(sheet), dtype=bool)
            wrong[rows] = sheet[name][rows] * sheet["direction"][rows] < 0
            sheet.refuse(wrong, name, "must have the sign of the effect, which direction or the means give")


def _compute(
    sheet: Sheet, chosen: Measure, used: Used, zero_cells: ZeroCells, vtype: str | None
) -> tuple[Floats, Floats, Floats]:
    """Compute effects and variances, one call a way, and find what was added to zero cells."""
    yi, vi, added = np.full(len(sheet), np.nan), np.full(len(sheet), np.nan), np.zeros(len(sheet))
    for way, rows in used:
        names = {"sei" if name == "se" and way.measure.code == "GEN" else name: name for name in way.names}
        inputs = {name: sheet[source][rows] for name, source in names.items()}
        places = {name: sheet.places.get(source, source) for name, source in names.items()}
        labels = tuple(sheet.labels[row] for row in rows)
        own = vtype if way.measure is chosen else None
        yi[rows], vi[rows] = computed(way.measure, inputs, zero_cells, own, labels, places)
        added[rows] = _added(way.measure, inputs, zero_cells)
    return yi, vi, added


def _added(chosen: Measure, inputs: Mapping[str, Floats], zero_cells: ZeroCells) -> Floats | float:
    """Find what was added to the counts of each row; 0 where nothing was."""
    counts = [name for name in ("events1", "a", "events") if name in inputs]
    if not counts:
        return 0.0
    with np.errstate(all="ignore"):
        ready = chosen.family.prepare(inputs, chosen, zero_cells)
    cell = next((name for name in ("a", *counts) if name in ready), None)
    return 0.0 if cell is None else np.nan_to_num(ready[cell] - inputs[counts[0]])


def _reasons(sheet: Sheet, chosen: Measure, yi: Floats, vi: Floats, used: Used) -> dict[int, str]:
    """Say for each row without a usable variance what is missing or undefined."""
    lost = np.flatnonzero(np.isnan(vi))
    taken = np.zeros(len(sheet), dtype=bool)
    for _, rows in used:
        taken[rows] = True
    names = list(dict.fromkeys([*own_columns(chosen), "yi", "vi", "se"]))
    patterns = np.column_stack([sheet.has(name)[lost] for name in names])
    told: dict[bytes, str] = {}
    reasons = {}
    for row, pattern in zip(lost, patterns, strict=True):
        if taken[row]:
            reasons[int(row)] = chosen.undefined if np.isnan(yi[row]) else "the variance is 0 or not defined"
            continue
        key = pattern.tobytes()
        if key not in told:
            told[key] = _missing(chosen, {name for name, known in zip(names, pattern, strict=True) if known})
        hint = sheet.hints.get(int(row))
        reasons[int(row)] = told[key] + (f" ({hint})" if hint else "")
    return reasons


def _missing(chosen: Measure, known: set[str]) -> str:
    """Say what the way of which most is known still lacks."""
    sets = [*column_sets(chosen), ("yi", "se")]
    nearest = max(sets, key=lambda names: len(known.intersection(names)))
    empty = [name for name in nearest if name not in known]
    if nearest == ("yi", "se"):
        empty = ["the estimate" if name == "yi" else "a standard error, interval, t or P" for name in empty]
    return f"{listed(empty)} {'is' if len(empty) == 1 else 'are'} missing and cannot be had from what is printed"


def _warn(sheet: Sheet, chosen: Measure, reasons: Mapping[int, str]) -> None:
    """Name the studies without a usable variance, each with its reason."""
    groups: dict[str, list[str]] = {}
    for row, reason in reasons.items():
        groups.setdefault(reason, []).append(sheet.labels[row])
    if groups:
        lost = some([sheet.labels[row] for row in reasons])
        each = "; ".join(f"{some(studies)}: {reason}" for reason, studies in groups.items())
        told = each if len(groups) > 1 else next(iter(groups))
        warnings.warn(
            f"The {chosen.name} of {lost} cannot be computed with its variance from the figures given ({told}); it "
            "stays in the table as NaN.",
            MetailWarning,
            stacklevel=4,
        )


def _inputs(sheet: Sheet, chosen: Measure, used: Used) -> dict[str, Floats]:
    """Return the columns of the first of the measure's sets that a row was computed from."""
    sets = {way.names for way, _ in used if way.measure is chosen}
    first = next((names for names in column_sets(chosen) if names in sets), ())
    return {name: sheet[name] for name in first}
