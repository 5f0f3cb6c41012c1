"""Effects of a plain table that cannot be computed: harmonise says which, and here stands what to look up."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metail2.checks.definition import Finding, Hit, describe, finding, found
from metail2.checks.view import Floats, View, Whole
from metail2.effects.counts import ZeroCells
from metail2.effects.definition import Measure
from metail2.effects.effect_sizes import LARGEST
from metail2.errors import EffectSizeError, RecordError
from metail2.records.mixed import Results, results
from metail2.records.mixed_columns import assumes_r, known_columns
from metail2.records.mixed_lacks import instead_of, may_be_had, ways, whole
from metail2.records.mixed_sheet import Sheet
from metail2.records.mixed_trail import Variant
from metail2.wording import listed

NO_COLUMNS = describe(
    "M004", "error", "columns missing for the measure",
    help="""The table does not have the columns that the measure is computed from; the message names the set of columns
    of which most are there, and what is missing from it. Name the columns so, or say where they are:
    events1="tpos".""",
)  # fmt: skip
NO_EFFECT = describe(
    "M007", "warning", "an effect that cannot be computed",
    help="""The effect of a row, or its variance, cannot be computed: a figure is missing and nothing printed beside it
    (a standard error, an interval, a median with its quartiles, a percentage, an estimate with its precision) can stand
    for it; or all are there but one of the two is not defined, as a ratio of means of opposite sign or the variance of
    a proportion of 0. What cannot be computed is NaN in the table, and the row is left out of a pool, with a warning.
    Look for the missing figure. Rows in which an error was found are not named again.""",
)  # fmt: skip


def uncomputed(view: View, others: Collection[Finding]) -> Iterator[Finding]:
    """Find rows of a plain table whose effect cannot be computed although no error was found in them.

    Parameters
    ----------
    view : View
        Comparisons, with what could be recomputed.
    others : collection of Finding
        What else was found in the table.

    Yields
    ------
    Finding
        M007; or one M004, if no row has an effect and the columns for one are not there.
    """
    if view.measure is None or not len(view) or not view.cells:
        return
    complete = [~np.isnan([view[name] for name in names]).any(axis=0) for names in view.measure.family.columns]
    open_ = _unusable(view.computed["yi"], view.computed["vi"]) | ~np.any(complete, axis=0)
    rows = next(iter(view.cells.values())).row
    infinite = np.any([np.isinf(cells.value) for cells in view.cells.values()], axis=0)  # told as such
    faulty, told = (
        np.isin(rows, [one.row for one in others if one.severity in severities and one.row is not None])
        for severities in (("error",), ("error", "warning"))
    )
    asked = np.flatnonzero(open_ & ~faulty & ~infinite)
    lost = dict(_lost(view, view.measure, asked, told))
    if len(lost) == len(asked) and open_.all() and not whole(view.measure, view.cells):
        yield _missing_columns(view, view.measure)
        return
    for at, says in lost.items():
        if says:
            yield finding(view, Hit(NO_EFFECT, at, "", says))


def _unusable(yi: Floats, vi: Floats) -> NDArray[np.bool_]:
    """Mark effects that are missing, or that `EffectSizes` refuses because a fit could not compute with them."""
    return np.asarray(np.isnan(vi) | (np.abs(yi) > LARGEST) | (vi > LARGEST) | (vi < 1 / LARGEST))


def _missing_columns(view: View, measure: Measure) -> Finding:
    """Say which columns are missing from the set of the measure that is nearest to being there."""
    sets = dict.fromkeys((*measure.family.columns, *ways(measure)))
    missing = {names: [name for name in names if not may_be_had(measure, name, view.cells)] for names in sets}

    def distance(names: tuple[str, ...]) -> float:
        # means give a direction too, but beside them SDs are likelier to be meant than an F or a P
        return (len(missing[names]) + ("direction" in {*names} - {*view.cells})) / len(names)

    nearest = min(missing, key=distance)
    lacks = missing[nearest]
    shown = [other for name in nearest for other in _there(measure, name, view.cells)]
    return found(NO_COLUMNS, (
        f"{measure.code} needs the columns {' '.join(shown)}, but {listed(lacks)} "
        f'{"is" if len(lacks) == 1 else "are"} missing; name a column so, or give {lacks[0]}="its name"'
        f"{_or_assumed(measure, lacks)}"
    ), file=view.file)  # fmt: skip


def _there(measure: Measure, name: str, columns: Collection[str]) -> tuple[str, ...]:
    """Name the columns that hold a figure, its own or those it may be had from; without any, its own."""
    options = ((name,), *instead_of(measure, name))
    return next((names for names in options if {*names} <= {*columns}), (name,))


def _or_assumed(measure: Measure, lacks: Sequence[str]) -> str:
    return ", or let harmonise assume one (r=0.5)" if [*lacks] == ["r"] and assumes_r(measure) else ""


def _lost(view: View, measure: Measure, rows: Whole, told: NDArray[np.bool_]) -> Iterator[tuple[int, str]]:
    """Say why rows have no effect; one that harmonise refuses is found by halves, and left to other findings."""
    sheet = _sheet(view, measure, rows)
    try:
        given = results(sheet, measure, "recommended", 0.95, None, ZeroCells(), Variant(None, "exact"))
    except (EffectSizeError, RecordError) as error:
        if len(rows) == 1:
            says = f"has no {measure.name}: {str(error).lstrip(':, ').rstrip('.')}"
            yield int(rows[0]), "" if told[rows[0]] else says
        else:
            for half in np.array_split(rows, 2):
                yield from _lost(view, measure, half, told)
        return
    for place in np.flatnonzero(_unusable(given.yi, given.vi)).tolist():
        why = _missing if place in given.lacks else _undefined
        yield int(rows[place]), why(view, measure, sheet, given, int(rows[place]), place)


def _sheet(view: View, measure: Measure, rows: Whole) -> Sheet:
    """Bring rows of a view to what harmonise computes with; a bound of P counts as none, and has its own finding."""
    cells = {name: view.cells[name].at(rows) for name in known_columns(measure) if name in view}
    printed = {name: cell.value for name, cell in cells.items()}
    if "p" in printed:
        printed["p"] = np.where(printed["p"] == 0, np.nan, printed["p"])
    texts = {name: np.where(cell.printed == "", np.nan, cell.printed) for name, cell in cells.items()}
    places = {name: str(view.cells[name].column[0]) for name in cells}
    labels, index = ("",) * len(rows), pd.RangeIndex(len(rows))
    return Sheet(labels, index, places, printed, texts, dict(printed), np.zeros(len(rows), dtype=bool))


def _missing(view: View, measure: Measure, sheet: Sheet, given: Results, at: int, place: int) -> str:
    """Name the columns to look a figure up in; where all are filled, say what harmonise says."""
    names = [name for lacks in given.lacks[place] for name in _empty(sheet, measure, lacks, place)]
    if names == ["p"] and view.text(at, "p"):
        return ""  # a bound, which `cells` tells
    if not names:
        return f"has no {measure.name}: {given.reasons[place]}"
    columns = [repr(sheet.places[name]) for name in dict.fromkeys(names)]
    several = "s"[: len(columns) > 1]
    advice = "look them up" if several else "look it up"
    return (
        f"has no figure{several} in column{several} {listed(columns)}, so its {measure.name} cannot be computed; "
        f"{advice}{_or_assumed(measure, names)}"
    )


def _empty(sheet: Sheet, measure: Measure, name: str, place: int) -> list[str]:
    """Name the fewest empty columns that would give a figure: its own, or those it may be had from."""
    options = [
        names for names in ((name,), *instead_of(measure, name)) if all(other in sheet.places for other in names)
    ]
    empty = [[other for other in names if np.isnan(sheet.printed[other][place])] for names in options]
    return min(empty, key=len, default=[])


def _undefined(view: View, measure: Measure, sheet: Sheet, given: Results, at: int, place: int) -> str:
    """Say what is not defined of complete figures."""
    way = next(way for way, rows in given.used if place in rows)
    origins = dict.fromkeys(origin for name in way.names for origin in sheet.origin(name, place))
    figures = ", ".join(f"{name} {view.text(at, name)}" for name in origins)
    reason = given.reasons.get(place, "they are too large or too small, as after a slip in an exponent")
    only_variance = abs(given.yi[place]) <= LARGEST
    lost = (
        f"the {measure.name} can be computed, but not its variance"
        if only_variance
        else f"no {measure.name} can be computed"
    )
    return f"has figures ({figures}) from which {lost}: {reason}; check them, or choose another measure"
