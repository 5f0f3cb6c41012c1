"""validate(): run every check of the catalogue over a table or over trial records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from metail2.checks.catalogue import ARM_FINDERS, COMPARISON_FINDERS, TABLE_FINDERS
from metail2.checks.cells import reading_findings, uncomputed
from metail2.checks.definition import Finder, Finding, finding
from metail2.checks.findings import Findings
from metail2.checks.record_views import record_arms, record_comparisons, record_findings
from metail2.checks.stored_results import stored_differences
from metail2.checks.view import Cells, Floats, Texts, View
from metail2.checks.wide_views import arms, cells_of, comparisons, known_columns, rows_of
from metail2.effects.compute import from_prepared, prepared
from metail2.effects.counts import Problem, ZeroCells
from metail2.effects.measures import MEASURES, Measure
from metail2.errors import EffectSizeError, UnknownChoice
from metail2.records.reviews.review import Review
from metail2.records.trial_records import TrialRecords

LABELS = ("outcome", "timepoint", "population", "unit", "cohort", "design", "scale_direction", "score",
          "unit_kind", "dose_unit")  # fmt: skip
"""Columns of a plain table that say what its figures are; checks read them where they are there."""

STORED = ("state", "effect", "ci_lower", "ci_upper", "weight")
"""Columns of a review's study rows that say what its program made of them."""

MOST_UNCOMPUTED = 100
"""After so many rows that a measure refuses one by one, the effects are not recomputed."""


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

    Nothing is changed, left out or mended: every finding is for a person to decide.

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
        All means are of scores averaged over this many items with whole numbers (1: a whole score, or a sum of items),
        so that GRIM and GRIMMER apply; a column ``scale_items`` says it for each row.
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
    cells = cells_of(data, _names(data, chosen, columns))
    labels = _labels(data, study)
    per_arm = arms(file, cells, labels, chosen, options)
    whole = comparisons(file, cells, labels, chosen, options)
    found = list(reading_findings(data, whole, study))
    hits, whole = _hits(per_arm, whole)
    found += [*hits, *(_found(TABLE_FINDERS, whole) if whole.cells else ())]
    return [*found, *uncomputed(whole, _faulty(found))]


def _of_analyses(review: Review) -> Iterator[Finding]:
    """Check the figures of each analysis of a review; what it says is not estimable is no fault."""
    for analysis in review.analyses:
        used = analysis.table[analysis.table["state"] == "used"].drop(columns=list(STORED))
        figures = used.rename(columns={"yi": "log_hr", "sei": "se"}) if analysis.settings.measure == "HR" else used
        # one study may stand in several subgroups, which M104 judges
        for _, rows in figures.groupby("subgroup", sort=False):
            table = rows.drop(columns=["subgroup"])
            code = "HR" if analysis.kind == "o_minus_e" else analysis.settings.measure
            yield from _of_table(table, code, None, {}, {}, f"{analysis.file}, {analysis.number}")


def _hits(per_arm: View, whole: View) -> tuple[list[Finding], View]:
    """Run the finders; effects are recomputed from the rows in which no arm is impossible."""
    found = list(_found(ARM_FINDERS, per_arm))
    ready = replace(whole, computed=_recomputed(whole, _faulty(found)))
    return [*found, *_found(COMPARISON_FINDERS, ready)], ready


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
            effects = _attempt(view.measure, {name: np.where(usable, view[name], np.nan) for name in names}, view)
            yi, vi = (np.where(left, new, old) for old, new in zip((yi, vi), effects, strict=True))
            # what the measure refuses in one set is not taken from another, as in effect_sizes
            left &= np.isnan(yi) & np.any([np.isnan(view[name]) for name in names], axis=0)
    return {"yi": yi, "vi": vi}


def _attempt(measure: Measure, inputs: dict[str, Floats], view: View) -> tuple[Floats, Floats]:
    """Compute, leaving out the rows that the measure refuses; other checks say what is wrong with them."""
    for _ in range(MOST_UNCOMPUTED):
        try:
            return from_prepared(measure, prepared(measure, inputs, ZeroCells()), None)
        except Problem as problem:
            refused = np.arange(len(view)) == problem.row
            inputs = {name: np.where(refused, np.nan, values) for name, values in inputs.items()}
    return np.full(len(view), np.nan), np.full(len(view), np.nan)
