"""Reading a plain table of one outcome, one row a study or one an arm, from a CSV file or an Excel workbook."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pandas as pd

from metail2.errors import RecordError
from metail2.records.files import WORKBOOKS, Table, frame, read_csv, read_workbook
from metail2.records.long_table import Labels, wide_from_long

MISSING = ("", "NA", "N/A", "NaN", "nan")
"""Cells that say that there is no value."""
ROW = "row"
"""Name of an index that holds the rows as a spreadsheet counts them; any other index of numbers counts from 0."""


def read_table(
    path: str | Path,
    *,
    study: str | None = None,
    arm: str | None = None,
    control: Labels | None = None,
    experimental: Labels | None = None,
    role: str | None = None,
) -> pd.DataFrame:
    """Read a table of one outcome: one row a study, or one row an arm.

    Parameters
    ----------
    path : str or Path
        A workbook (``.xlsx``, ``.xlsm``; its first sheet), or a UTF-8 CSV file with a header.
    study : str, optional
        Column of study labels, which stay text as they are; by default a column called ``study``.
    arm, role : str, optional
        Columns of arm labels and of roles ("experimental", "control"). Either says that a row is an arm; `arm` is then
        by default a column called ``arm``, or else the roles themselves.
    control, experimental : str or sequence of str, optional
        Labels of the control, or of the experimental, arms, where no column has roles.

    Returns
    -------
    DataFrame
        One row a study; the index, `ROW`, is the row as a spreadsheet counts it, the header being row 1 (of an arm
        table, that of the experimental arm). Columns that hold nothing but numbers are numbers, but the percentages of
        two arms stay text, because the printed decimals decide which counts reproduce them; empty cells are NaN. An
        arm table is turned into one row a study by `wide_from_long`.

    Raises
    ------
    RecordError
        If the file cannot be read as a table, a study has no label or two rows, or the arms do not pair up; the message
        names the file.

    Examples
    --------
    ``read_table("trials.xlsx")``; ``read_table("arms.csv", arm="group", control=["placebo", "vehicle"])``
    """
    file = Path(path)
    if arm is None and role is None:
        if control is not None or experimental is not None:
            raise RecordError("Labels of arms need the column they are in; name it with arm.")
        table = _typed(file, (study or "study",), ("percent1", "percent2"))
        check_studies(table, study, file.name)
        return table
    table = _typed(file, [name for name in (study or "study", arm or "arm", role) if name is not None], ("percent",))
    arms = arm or ("arm" if role is None or "arm" in table.columns else role)
    try:
        return wide_from_long(
            table, study=study or "study", arm=arms, experimental=experimental, control=control, role=role
        )
    except RecordError as error:
        raise RecordError(f"{file.name}: {error}") from None


def read_study_table(path: Path, study: str | None = None) -> pd.DataFrame:
    """Read a table of studies.

    Parameters
    ----------
    path : Path
        A workbook (``.xlsx``, ``.xlsm``; its first sheet), or a UTF-8 CSV file with a header.
    study : str, optional
        Column of study labels, which stay text as they are; by default a column called ``study``.

    Returns
    -------
    DataFrame
        One row a study; the index is the row as a spreadsheet counts it, the header being row 1. Columns that hold
        nothing but numbers are numbers; empty cells and those of `MISSING` are NaN.

    Raises
    ------
    RecordError
        If the file cannot be opened (then raised from the OSError), read as a table, or has no rows.
    """
    return _typed(path, (study or "study",))


def read_cells(path: Path) -> pd.DataFrame:
    """Read a table of studies as text, as printed: "30.00" says more than 30.

    Parameters
    ----------
    path : Path
        As in `read_study_table`.

    Returns
    -------
    DataFrame
        Stripped text; the index is the row as a spreadsheet counts it.

    Raises
    ------
    RecordError
        As in `read_study_table`.
    """
    _check_readable(path)
    file, cells = _workbook_table(path) if path.suffix.lower() in WORKBOOKS else frame(path.name, read_csv(path))
    if len(cells.columns) == 1 and any(mark in cells.columns[0] for mark in ";\t"):
        raise RecordError(f"{file} separates its columns by semicolons or tabs; save it with commas between them.")
    if cells.empty:
        raise RecordError(f"{file} has no row below its header; add at least one.")
    return cells.rename_axis(ROW)


def _typed(path: Path, labels: Collection[str], printed: Collection[str] = ()) -> pd.DataFrame:
    """Read a file; columns of labels stay as they are, columns kept as printed are text or NaN."""
    cells = read_cells(path)
    return pd.DataFrame(
        {name: cells[name] if name in labels else _numeric(cells[name], name in printed) for name in cells.columns}
    )


def check_studies(table: pd.DataFrame, study: str | None, file: str) -> None:
    """Check that every row has a label and no study has two rows.

    Parameters
    ----------
    table : DataFrame
        Its index holds the numbers of the rows.
    study : str or None
        Column of study labels; None for ``study``. Nothing is checked where there is no such column.
    file : str
        Where the table came from.

    Raises
    ------
    RecordError
        The first row without a label, or the first study that comes twice, with both rows.
    """
    name = study or "study"
    if name not in table.columns:
        return
    labels = table[name]
    empty = labels.isna() | (labels.astype(str).str.strip() == "")
    if empty.any():
        raise RecordError(f"{file}, row {table.index[empty][0]}: column {name!r} is empty; name the study.")
    repeated = labels.duplicated()
    if repeated.any():
        label = labels[repeated].iloc[0]
        first, second = table.index[labels == label][:2]
        raise RecordError(
            f"{file}: study {str(label)!r} is in rows {first} and {second}; one outcome has one row a study, so keep "
            f"one of them, combine them, or name them apart in column {name!r}."
        )


def _check_readable(path: Path) -> None:
    try:
        with path.open("rb"):
            return
    except OSError as error:
        if path.is_dir():
            why = "is a folder; give the CSV or XLSX file in it"
        elif isinstance(error, FileNotFoundError):
            why = "does not exist; give a CSV or XLSX file, or the name of a shipped data set"
        else:
            why = f"cannot be read ({error.strerror}); check that you may open it"
        raise RecordError(f"{path} {why}.") from error


def _workbook_table(path: Path) -> Table:
    name, rows = next(iter(read_workbook(path).items()))
    return frame(f"{path.name}, sheet {name}", rows)


def _numeric(cells: pd.Series, as_printed: bool) -> pd.Series:
    """Turn a column into numbers if it holds nothing else and need not stay as printed; text stays text."""
    known = cells.where(~cells.isin(MISSING))
    numbers = pd.to_numeric(known, errors="coerce")
    return known if as_printed or bool((numbers.isna() & known.notna()).any()) else numbers
