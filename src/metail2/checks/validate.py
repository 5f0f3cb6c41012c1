"""validate(): run every check of the catalogue over a table or over trial records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from metail2.checks.catalogue import ARM_FINDERS, COMPARISON_FINDERS, TABLE_FINDERS
from metail2.checks.cells import reading_findings
from metail2.checks.definition import Finder, Finding, finding
from metail2.checks.findings import Findings
from metail2.checks.impossible import OFF_SCALE
from metail2.checks.record_views import record_arms, record_comparisons, record_findings
from metail2.checks.relevant import relevant
from metail2.checks.stored_figures import in_review, measure_of, tables_of
from metail2.checks.stored_results import stored_differences
from metail2.checks.uncomputed import uncomputed
from metail2.checks.view import Cells, Floats, Texts, View
from metail2.checks.wide_views import arms, cells_of, comparisons, known_columns, rows_of
from metail2.effects.compute import from_prepared, prepared
from metail2.effects.counts import Problem, ZeroCells
from metail2.effects.measures import MEASURES, Measure
from metail2.errors import EffectSizeError, UnknownChoice
from metail2.records.reviews.review import Review
from metail2.records.study_table import ROW
from metail2.records.trial_records import TrialRecords

LABELS = ("outcome", "timepoint", "population", "unit", "cohort", "design", "scale_direction", "score",
          "unit_kind", "dose_unit")  # fmt: skip
"""Columns of a plain table that say what its figures are; checks read them where they are there."""

OF_SCALE = ("M068", "M069", "M070", "M072", "M073", "M074", "M075", "M076")
"""Disagreements of a printed effect with other figures, which it has with all of them if its scale is wrong."""


def validate(
    data: pd.DataFrame | TrialRecords | Review,
    measure: str | None = None,
    study: str | None = None,
    *,
    scale_items: int | None = None,
    accept: Iterable[str] = (),
    file: str = "table",
    **columns: str,
) -> Findings:
    """Look for what is impossible, suspect or in disagreement before anything is pooled.

    Nothing is changed, left out or mended: every finding is for a person to decide. A known column is read where the
    table also has what it is used with (``level`` beside an interval, ``vi`` beside ``yi``); one that is named in
    `columns`, or that the measure is computed from, always is.

    Rows count as in a spreadsheet with its header in row 1, so that the label i of an index of whole numbers, which
    starts at 0, is row i + 2, also after rows were left out or sorted (``df.dropna()``). An index with the name
    ``row``, as `read_table` gives it, holds the rows themselves; with any other index the rows count from 2.

    Parameters
    ----------
    data : DataFrame, TrialRecords or Review
        One study a row, cells as numbers or as text as printed (which says more: decimals decide what rounding can
        explain); trial records from `load_records` or `read_records`; or a review from `read_review`, whose stored
        results are recomputed.
    measure : str, optional
        Code in `MEASURES`; with it the effects are recomputed and compared with each other and with what is printed.
    study : str, optional
        Column of study labels; by default a column called ``study``, else "row 2" …
    scale_items : int, optional
        Every mean is of a score that is averaged over this many items with whole numbers (1: a score that is whole,
        such as a sum of items), so that GRIM and GRIMMER apply; a column ``scale_items`` says it for each row.
    accept : iterable of str
        Findings that may stand, each with its reason: ``"M031 he2020: the reason"``.
    file : str
        What messages call the table.
    **columns : str
        ``events1="tpos"``: where to find a column under another name, as in `effect_sizes`.

    Returns
    -------
    Findings
        Gravest first; empty if nothing was found.

    Raises
    ------
    UnknownChoice
        If the measure, a column's name or an accepted code is unknown.
    EffectSizeError
        If a column named in `columns` or `study` is not there, or `scale_items` is below 1.
    """
    if scale_items is not None and scale_items < 1:
        raise EffectSizeError(f"scale_items is {scale_items}; it must be a whole number of at least 1.")
    if isinstance(data, TrialRecords):
        views = record_arms(data), record_comparisons(data)
        return Findings.of([*record_findings(data), *_hits(*views)[0]], accept, data.name)
    if isinstance(data, Review):
        return Findings.of([*stored_differences(data), *_of_analyses(data)], accept, data.file)
    options = {"scale_items": scale_items}
    return Findings.of(_of_table(data, measure, study, columns, options, file), accept, file)


def _of_table(
    data: pd.DataFrame,
    measure: str | None,
    study: str | None,
    columns: Mapping[str, str],
    options: Mapping[str, object],
    file: str,
) -> list[Finding]:
    """Run the checks over a table with one row a study (or an arm)."""
    chosen = None if measure is None else MEASURES[measure]
    cells = relevant(cells_of(data, _names(data, chosen, columns)), columns, chosen, "design" in data.columns)
    labels = _labels(data, study)
    per_arm = arms(file, cells, labels, chosen, options)
    whole = comparisons(file, cells, labels, chosen, options)
    found = list(reading_findings(data, whole, study))
    hits, whole = _hits(per_arm, whole)
    found += [*hits, *(_found(TABLE_FINDERS, whole) if whole.cells else ())]
    return [*found, *uncomputed(whole, found)]


def _of_analyses(review: Review) -> Iterator[Finding]:
    """Check the figures of each analysis of a review; what it says is not estimable is no fault."""
    for analysis in review.analyses:
        measure, columns = measure_of(analysis)
        for table in tables_of(analysis):
            found = _of_table(table.rename_axis(ROW), measure, None, columns, {}, analysis.file)
            yield from (in_review(review, analysis, finding) for finding in found)


def _hits(per_arm: View, whole: View) -> tuple[list[Finding], View]:
    """Run the finders; effects are recomputed from the rows in which no arm is impossible."""
    found = list(_found(ARM_FINDERS, per_arm))
    ready = replace(whole, computed=_recomputed(whole, _faulty(found)))
    return [*found, *_of_one_cause(list(_found(COMPARISON_FINDERS, ready)), whole)], ready


def _of_one_cause(found: list[Finding], whole: View) -> list[Finding]:
    """Leave out what follows from an estimate off its scale: that it agrees with no other figure either."""
    printed = {str(name) for quantity in ("estimate", "hr") if quantity in whole
               for name in whole.cells[quantity].column}  # fmt: skip
    off = {one.row for one in found if one.code == OFF_SCALE.code and one.column in printed}
    return [one for one in found if not (one.row in off and one.code in OF_SCALE)]


def _faulty(found: Iterable[Finding]) -> set[int]:
    """Rows in which there is an error."""
    return {one.row for one in found if one.severity == "error" and one.row is not None}


def _found(finders: Iterable[Finder], view: View) -> Iterator[Finding]:
    with np.errstate(all="ignore"):
        for finder in finders if len(view) else ():
            yield from (finding(view, hit) for hit in finder(view))


def _names(table: pd.DataFrame, chosen: Measure | None, given: Mapping[str, str]) -> dict[str, str]:
    """metail2's name → column of the table, for every column that the checks understand."""
    known = known_columns(chosen)
    for name, column in given.items():
        if name not in known:
            raise UnknownChoice("column", name, known)
        if column not in table.columns:
            raise EffectSizeError(f"There is no column {column!r} (given as {name}); name one that the table has.")
    taken = set(given.values())
    own = {name: name for name in known if name in table.columns and name not in taken and name not in given}
    return {name: column for name, column in {**own, **given}.items() if not table[column].ndim > 1}


def _labels(table: pd.DataFrame, study: str | None) -> pd.DataFrame:
    column = study or "study"
    if study is not None and study not in table.columns:
        raise EffectSizeError(f"There is no column {study!r} for the study labels; name one that the table has.")
    twice = set(table.columns[table.columns.duplicated()])
    facts = {name: _texts(table[name]) for name in LABELS if name in table.columns and name not in twice}
    arm = next((name for name in ("arm", "role") if name in table.columns and name not in twice), None)
    facts |= {"row_arm": _texts(table[arm])} if arm else {}  # a row is an arm, so that a study may have several
    if column in table.columns and column not in twice:
        return pd.DataFrame({"study": _texts(table[column]), **facts})
    return pd.DataFrame({"study": np.array([f"row {row}" for row in rows_of(table)], dtype=object), **facts})


def _texts(column: pd.Series) -> Texts:
    texts = np.full(len(column), "", dtype=object)
    texts[:] = ["" if missing else str(cell) for cell, missing in zip(column.tolist(), column.isna(), strict=True)]
    return texts


def _recomputed(view: View, impossible: set[int]) -> dict[str, Floats]:
    """Effects and variances of the rows that can be computed, by the first set of columns that is whole in a row."""
    yi, vi = np.full(len(view), np.nan), np.full(len(view), np.nan)
    if view.measure is None or len(view) == 0:
        return {"yi": yi, "vi": vi}
    left = np.ones(len(view), dtype=bool)
    for names in view.measure.family.columns:
        if all(name in view for name in names):
            first: Cells = view.cells[names[0]]
            usable = left & ~np.isin(first.row, list(impossible))
            effects = _attempt(view.measure, {name: np.where(usable, view[name], np.nan) for name in names})
            yi, vi = (np.where(left, new, old) for old, new in zip((yi, vi), effects, strict=True))
            # what the measure refuses in one set is not taken from another, as in effect_sizes
            left &= np.isnan(yi) & np.any([np.isnan(view[name]) for name in names], axis=0)
    return {"yi": yi, "vi": vi}


def _attempt(measure: Measure, inputs: Mapping[str, Floats]) -> tuple[Floats, Floats]:
    """Compute, leaving out the rows that the measure refuses, found by halves; other checks say what is wrong there."""
    rows = len(next(iter(inputs.values())))
    try:
        return from_prepared(measure, prepared(measure, inputs, ZeroCells()), None)
    except Problem:
        if rows == 1:
            return np.full(1, np.nan), np.full(1, np.nan)
    halves = (slice(0, rows // 2), slice(rows // 2, rows))
    parts = [_attempt(measure, {name: values[half] for name, values in inputs.items()}) for half in halves]
    return np.concatenate([yi for yi, _ in parts]), np.concatenate([vi for _, vi in parts])
