"""The coverage table: every row of the reviews against every outcome of the report, each cell with its state."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from metail2.errors import ReportError
from metail2.records.trial_records import TrialRecords
from metail2.report.evaluate import Answer
from metail2.report.specification import ReviewTable


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
        ``(row number, disease, study ids, {outcome id: state})``.
    """

    title: str
    outcomes: tuple[str, ...]
    rows: tuple[tuple[str, str, str, dict[str, str]], ...]

    def frame(self) -> pd.DataFrame:
        """One line a review row and outcome: ``table row disease study_id outcome state``."""
        return pd.DataFrame(
            [
                (self.title, row, disease, studies, outcome, state)
                for row, disease, studies, states in self.rows
                for outcome, state in states.items()
            ],
            columns=["table", "row", "disease", "study_id", "outcome", "state"],
        )


def coverage(records: TrialRecords, review: ReviewTable, answers: Sequence[Answer]) -> Coverage:
    """Account for every row of a review table.

    A cell has the outcome's state where a study of the row, or one of the same disease, is shown in the outcome;
    ``direction_only`` where the review states a direction for it; else ``not_found``.
    """
    rows = []
    for row in _review(records, review.table).to_dict("records"):
        ids = [study for study in str(row["study_id"]).split(";") if study]
        diseases = _groups(records, ids)
        states = {a.spec.id: _state(records, a, {str(k): v for k, v in row.items()}, ids, diseases) for a in answers}
        rows.append((str(row["row"]), str(row["disease"]), "; ".join(ids), states))
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


def _groups(records: TrialRecords, ids: Iterable[str]) -> set[str]:
    """Diseases of the studies, where a study has one."""
    studies = records.studies
    return set(studies.loc[studies["study_id"].isin(list(ids)), "disease_group"]) - {"", "several"}


def _state(
    records: TrialRecords, answer: Answer, row: dict[str, object], ids: Sequence[str], diseases: set[str]
) -> str:
    shown = {study for analysis in answer.analyses for study in analysis.effects.moderators["study_id"]}
    if shown & set(ids) or diseases & _groups(records, shown):
        return answer.state
    beside = {beside.study for beside in answer.spec.beside if beside.measure}
    if beside & set(ids) or diseases & _groups(records, beside):
        return "not_comparable"
    return "direction_only" if _direction(answer, row) else "not_found"


def _direction(answer: Answer, row: dict[str, object]) -> bool:
    link = answer.spec.review
    if link is None or not str(row.get(link.column, "")).strip():
        return False
    if str(row[link.column]) == "not evaluated":
        return False
    return not link.marker_column or str(row.get(link.marker_column)) == link.marker
