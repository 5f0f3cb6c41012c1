"""Labels of a view as clean text, so that rows can be compared by what they say of themselves."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from metail2.checks.view import View
from metail2.records.trial_records import TrialRecords

UNSAID = ("nan", "None", "<NA>")
"""How missing labels read once they are text."""


def label_texts(view: View, names: Sequence[str]) -> pd.DataFrame:
    """Return columns of `view.labels` as stripped text, one row an entry.

    Parameters
    ----------
    view : View
        Of any kind.
    names : sequence of str
        Columns; one that the view does not have is empty.

    Returns
    -------
    DataFrame
        Index 0 … m − 1, the entries of the view; ``""`` where nothing is said.
    """
    return pd.DataFrame({name: _texts(view, name) for name in names}, index=range(len(view)), dtype=object)


def _texts(view: View, name: str) -> list[str]:
    if name not in view.labels:
        return [""] * len(view)
    missing = view.labels[name].isna() | view.labels[name].isin(UNSAID)
    return ["" if no else str(text).strip() for text, no in zip(view.labels[name], missing, strict=True)]


def row_of(view: View, at: int) -> int:
    """Row of the file of an entry of a plain table, whether or not its cells are filled."""
    return int(next(iter(view.cells.values())).row[at])


def record_file(records: TrialRecords, table: str) -> str:
    """What messages call a table of trial records: its file or sheet."""
    return records.files[table]
