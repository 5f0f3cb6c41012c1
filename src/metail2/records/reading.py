"""Reading trial records: the shipped ones, a folder of CSV files or an Excel workbook."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd

from metail2.errors import RecordError
from metail2.records.catalogue import records_folder
from metail2.records.files import WORKBOOKS, Table, frame, read_csv, read_workbook
from metail2.records.schema import (
    FIGURE_FIELDS,
    STUDY_FIELDS,
    Field,
    SchemaError,
    Violation,
    check_columns,
    check_figures,
    check_studies,
)
from metail2.records.trial_records import TrialRecords

CORE = ("studies", "outcomes")
NUMBER = re.compile(r"[+-]?(?:\d+(?:\.(\d*))?|\.(\d+))(?:[eE]([+-]?\d+))?")
TRUTH = {"true": True, "false": False, "": None}
NOT_A_NUMBER = "a plain number is needed (digits and a decimal point; no unit, comma or word)"
USE_QUALIFIER = "a plain number is needed; put the sign in column 'qualifier'"


def load_records(name: str) -> TrialRecords:
    """Load shipped trial records.

    Parameters
    ----------
    name : str
        A name of `list_datasets` whose kind is ``"records"``, e.g. ``"il2"``.

    Returns
    -------
    TrialRecords
        The studies, every printed figure with the sentence it came from, and the tables beside them.

    Raises
    ------
    UnknownChoice
        There is no such data set.
    RecordError
        The name belongs to a table of studies, or a file does not meet the schema.
    """
    return read_records(records_folder(name))


def read_records(path: str | os.PathLike[str]) -> TrialRecords:
    """Read trial records from a folder or an Excel workbook, and check them.

    Parameters
    ----------
    path : str or path
        A folder that holds ``studies.csv`` and ``outcomes.csv`` (UTF-8), or an ``.xlsx`` workbook with the sheets
        ``studies`` and ``outcomes``. Every other CSV file or sheet becomes one of `TrialRecords.tables`.
        The columns are those of ``datasets/il2/README.md``. Printed decimals ("30.00") are kept where the cell is
        text; a workbook's numeric cells are read as the shortest number that equals them.

    Returns
    -------
    TrialRecords
        Optional columns that are not there are empty; columns that the schema does not know are kept as text.

    Raises
    ------
    RecordError
        A file or column is missing, cannot be read, or holds what the schema does not allow; one sentence that names
        the file, row, record, study, column and value. For the schema it is a `SchemaError`, which holds every
        violation of both tables.
    """
    source = Path(path)
    if source.is_dir():
        tables = _read_folder(source)
    elif not source.exists():
        raise RecordError(
            f"{source} does not exist; give a folder with studies.csv and outcomes.csv, or an .xlsx file."
        )
    elif source.suffix.lower() in WORKBOOKS:
        tables = _read_workbook(source)
    else:
        raise RecordError(
            f"{source} is neither a folder nor an .xlsx workbook; give the folder that holds studies.csv and "
            "outcomes.csv, or a workbook with these sheets."
        )
    return _records(source.stem if source.is_file() else source.resolve().name, tables)


def _records(name: str, tables: Mapping[str, Table]) -> TrialRecords:
    studies, figures = (tables[core] for core in CORE)
    for file, cells in (studies, figures):
        if cells.empty:
            raise RecordError(f"{file} has no row below its header; add at least one.")
    found: list[Violation] = []
    checked = _typed(studies, STUDY_FIELDS, found)
    with _collected(found):
        check_studies(checked, studies.file)
    values = _typed(figures, FIGURE_FIELDS, found)
    with _collected(found):
        check_figures(values, checked, figures.file)
    if found:
        raise SchemaError(found)
    checked["cohort"] = checked["cohort"].where(checked["cohort"] != "", checked["study_id"])
    values["secondary"] = values["secondary"].fillna(False).astype(bool)
    return TrialRecords(
        name=name,
        studies=checked.reset_index(drop=True),
        figures=_with_digits(values, figures.cells["value"]).reset_index(drop=True),
        tables=MappingProxyType({key: _numeric(table) for key, table in tables.items() if key not in CORE}),
        files=MappingProxyType({core: tables[core].file for core in CORE}),
        figure_rows=values.index.to_numpy(dtype=np.int64),
    )


@contextmanager
def _collected(found: list[Violation]) -> Iterator[None]:
    """Keep violations for later, so that those of the other table are found too."""
    try:
        yield
    except SchemaError as error:
        found.extend(error.violations)


def _with_digits(figures: pd.DataFrame, printed: pd.Series) -> pd.DataFrame:
    """Put the printed digits and the number of decimals beside each value: "30.00" says more than 30."""
    place = figures.columns.get_loc("value")
    assert isinstance(place, int)
    figures.insert(place + 1, "printed", printed)
    figures.insert(place + 2, "decimals", [_decimals(text) for text in printed])
    return figures


def _decimals(printed: str) -> int:
    match = NUMBER.fullmatch(_plain(printed))
    assert match is not None, "the cell was read as a number before"
    after_point, bare, exponent = match.groups()
    return max(0, len(after_point or bare or "") - int(exponent or 0))


# ---------------------------------------------------------------- text cells to numbers


def _typed(table: Table, fields: Mapping[str, Field], found: list[Violation]) -> pd.DataFrame:
    """Read every known column by its kind; optional columns that are not there are added, empty.

    A cell that cannot be read is missing, and its violation is added to `found`.
    """
    file, cells = table
    check_columns(cells, fields, file)
    frame = cells.reindex(columns=[*fields, *(name for name in cells.columns if name not in fields)], fill_value="")
    typed = frame.copy()
    for name, field in fields.items():
        if field.kind != "text":
            typed[name], unread = _read_column(frame[name], field)
            found += [Violation.of(file, frame, row, name, str(frame.at[row, name]), says) for row, says in unread]
    return typed


def _read_column(cells: pd.Series, field: Field) -> tuple[pd.Series, list[tuple[int, str]]]:
    """Read cells by their kind; those that cannot be read are missing, and listed with what is needed instead."""
    read, says, dtype = _KINDS[field.kind]
    unread: list[tuple[int, str]] = []
    values: list[object] = []
    for row, cell in cells.items():
        try:
            values.append(None if cell == "" and not field.required else read(cell))
        except ValueError:
            values.append(None)
            wrong = USE_QUALIFIER if cells.name == "value" and cell[:1] in ("<", ">", "≤", "≥") else says
            unread.append((int(str(row)), wrong))
    return pd.Series(values, index=cells.index, dtype=dtype, name=cells.name), unread


def _number(cell: str) -> float:
    plain = _plain(cell)
    if NUMBER.fullmatch(plain) is None:
        raise ValueError(cell)
    return float(plain)


def _whole(cell: str) -> int:
    number = _number(cell)
    if not number.is_integer():
        raise ValueError(cell)
    return int(number)


def _truth(cell: str) -> bool | None:
    if cell.lower() not in TRUTH:
        raise ValueError(cell)
    return TRUTH[cell.lower()]


_KINDS: Mapping[str, tuple[Callable[[str], object], str, str]] = {
    "number": (_number, NOT_A_NUMBER, "float64"),
    "whole": (_whole, "a whole number is needed (digits only)", "Int64"),
    "truth": (_truth, "true or false is needed", "boolean"),
}


def _plain(cell: str) -> str:
    """Write a printed number with the signs that Python reads: journals print "−" and, as The Lancet does, "·"."""
    return cell.replace("−", "-").replace("·", ".")


def _numeric(table: Table) -> pd.DataFrame:
    """Turn the columns that hold nothing but numbers into numbers; the others stay text."""
    frame = table.cells.reset_index(drop=True)
    for name in frame.columns:
        filled = frame[name][frame[name] != ""]
        if len(filled) and all(NUMBER.fullmatch(cell) for cell in filled):
            frame[name] = pd.to_numeric(frame[name].where(frame[name] != ""))
    return frame


def _read_folder(folder: Path) -> dict[str, Table]:
    files = sorted(folder.glob("*.csv"))
    for core in CORE:
        if folder / f"{core}.csv" not in files:
            found = ", ".join(file.name for file in files) or "no CSV file"
            raise RecordError(f"{folder} has no {core}.csv; it holds: {found}.")
    return {file.stem: frame(file.name, read_csv(file)) for file in files}


def _read_workbook(file: Path) -> dict[str, Table]:
    sheets = read_workbook(file)
    for core in CORE:
        if core not in sheets:
            raise RecordError(f"{file.name} has no sheet {core!r}; its sheets are: {', '.join(sheets)}.")
    # an unused sheet is ordinary in a workbook; an unused core sheet is not
    filled = {name: rows for name, rows in sheets.items() if rows or name in CORE}
    return {name: frame(f"{file.name}, sheet {name}", rows) for name, rows in filled.items()}
