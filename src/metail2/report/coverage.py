"""The coverage table: every row of the reviews against every outcome of the report, each cell with its state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from metail2.errors import ReportError
from metail2.records.trial_records import TrialRecords
from metail2.report.evaluate import Answer
from metail2.report.specification import ReviewTable


@dataclass(frozen=True, slots=True)
class Cell:
    """One outcome for one row of a review.

    Attributes
    ----------
    state : str
        One of the five states.
    by : tuple of str
        Labels of the studies that give it; empty where none does.
    own : bool
        Whether one of them is a study of the row.
    """

    state: str
    by: tuple[str, ...] = ()
    own: bool = False


@dataclass(frozen=True, slots=True)
class Coverage:
    """One review table, accounted for.

    Attributes
    ----------
    title : str
        Of the table.
    outcomes : tuple of str
        Ids of the outcomes, in the order of the columns.
    rows : tuple of tuple
        ``(row number, disease, study ids, {outcome id: Cell})``.
    """

    title: str
    outcomes: tuple[str, ...]
    rows: tuple[tuple[str, str, str, dict[str, Cell]], ...]

    def frame(self) -> pd.DataFrame:
        """One line a review row and outcome: ``table row disease study_id outcome state by own_study``."""
        return pd.DataFrame(
            [
                (self.title, row, disease, studies, outcome, cell.state, "; ".join(cell.by), cell.own)
                for row, disease, studies, cells in self.rows
                for outcome, cell in cells.items()
            ],
            columns=["table", "row", "disease", "study_id", "outcome", "state", "by", "own_study"],
        )


def coverage(records: TrialRecords, review: ReviewTable, answers: Sequence[Answer]) -> Coverage:
    """Account for every row of a review table.

    A cell has the outcome's state where a study of the row is shown in the outcome, or, with ``by = "disease"``,
    another study of the same disease; ``not_comparable`` where such a study only stands beside; ``direction_only``
    where the review (or the study beside) states a direction alone; else ``not_found``.
    """
    rows = []
    for row in _review(records, review.table).to_dict("records"):
        ids = [study for study in str(row["study_id"]).split(";") if study]
        own = {str(key): value for key, value in row.items()}
        cells = {a.spec.id: _cell(records, a, own, ids, review.by == "disease") for a in answers}
        rows.append((str(row["row"]), str(row["disease"]), "; ".join(ids), cells))
    return Coverage(review.title, tuple(a.spec.id for a in answers), tuple(rows))


def _review(records: TrialRecords, name: str) -> pd.DataFrame:
    """Return a review table with empty text for what is missing."""
    if name not in records.tables:
        raise ReportError(
            f"The records hold no review table {name!r}; beside studies and outcomes they hold "
            f"{', '.join(records.tables) or 'nothing'}."
        )
    table = records.tables[name].astype(object)
    for column in ("row", "disease", "study_id"):
        if column not in table:
            raise ReportError(f"The review table {name!r} has no column {column!r}; add it to the records.")
    return table.where(table.notna(), "")


def _related(records: TrialRecords, ids: Sequence[str], same_disease: bool) -> set[str]:
    """Return the studies of a row, with all others of their diseases if these count."""
    studies = records.studies
    if not same_disease:
        return set(ids)
    groups = set(studies.loc[studies["study_id"].isin(ids), "disease_group"]) - {"", "several"}
    return set(ids) | set(studies.loc[studies["disease_group"].isin(groups), "study_id"])


def _cell(
    records: TrialRecords, answer: Answer, row: dict[str, object], ids: Sequence[str], same_disease: bool
) -> Cell:
    related = _related(records, ids, same_disease)
    shown = dict.fromkeys(study for found in answer.analyses for study in found.effects.moderators["study_id"])
    beside = dict.fromkeys(beside.study for beside in answer.spec.beside if beside.measure)
    stated = dict.fromkeys(beside.study for beside in answer.spec.beside if beside.state == "direction_only")
    for studies, state in ((shown, answer.state), (beside, "not_comparable"), (stated, "direction_only")):
        by = [study for study in studies if study in related]
        if by:
            labels = tuple(str(records.study(study)["label"]) for study in by)
            return Cell(state, labels, bool(set(by) & set(ids)))
    return Cell("direction_only" if _direction(answer, row) else "not_found")


def _direction(answer: Answer, row: dict[str, object]) -> bool:
    link = answer.spec.review
    if link is None or not str(row.get(link.column, "")).strip():
        return False
    if str(row[link.column]) == "not evaluated":
        return False
    return not link.marker_column or str(row.get(link.marker_column)) == link.marker
