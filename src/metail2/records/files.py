"""Files as text cells: CSV and XLSX, before anything is known about their columns."""

from __future__ import annotations

import csv
import io
import warnings
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, NamedTuple

import pandas as pd

from metail2.errors import RecordError

WORKBOOKS = (".xlsx", ".xlsm")
LARGEST_WORKBOOK = 500_000_000
"""Bytes of a workbook once unpacked; a sheet of 100,000 rows has some 50 million."""


class Table(NamedTuple):
    """Text cells of one sheet or file.

    Attributes
    ----------
    file : str
        What to call it in a message.
    cells : DataFrame
        Text; the index is the row in the file.
    """

    file: str
    cells: pd.DataFrame


def read_csv(file: Path) -> list[list[str]]:
    """Read a CSV file (UTF-8, with or without byte-order mark) as rows of text."""
    if file.is_dir():
        raise RecordError(f"{file} is a folder, but a CSV file is needed; put the file there.")
    try:
        return csv_rows(file.name, file.read_bytes())
    except OSError as problem:
        raise RecordError(f"{file} cannot be read ({problem.strerror}); check that you may open it.") from problem


def csv_rows(file: str, data: bytes) -> list[list[str]]:
    """Read the bytes of a CSV file as rows of text; `file` is what to call it in a message."""
    try:
        # "utf-8-sig" also takes the byte-order mark away that Excel writes
        text = data.decode("utf-8-sig")
        return list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except UnicodeDecodeError as problem:
        raise RecordError(
            f"{file} is not UTF-8 text (byte {problem.start + 1}); save it as CSV UTF-8 and read it again."
        ) from None
    except csv.Error as problem:
        raise RecordError(f"{file} is not a CSV file that can be read ({problem}); save it again as CSV.") from None


def read_workbook(file: Path) -> dict[str, list[list[str]]]:
    """Read every sheet of an .xlsx file as rows of text, by the name of the sheet."""
    try:
        return _read_sheets(file)
    except RecordError:
        raise
    except Exception as problem:  # openpyxl lets through whatever a damaged part of the archive causes
        raise RecordError(
            f"{file.name} cannot be read as an Excel workbook ({type(problem).__name__}); open it and save it as .xlsx."
        ) from problem


def _read_sheets(file: Path) -> dict[str, list[list[str]]]:
    import openpyxl

    # opened here, so that a broken workbook leaves no file open
    with file.open("rb") as stream, warnings.catch_warnings():
        # styles and drop-down lists that openpyxl does not keep say nothing about the figures
        warnings.simplefilter("ignore", UserWarning)
        _refuse_bomb(file, stream)
        book = openpyxl.load_workbook(stream, read_only=True, data_only=True)
        for sheet in book.worksheets:
            sheet.reset_dimensions()  # the size that a file states of a sheet may be too small, and would cut cells off
        return {sheet.title: _rectangle(sheet.iter_rows(values_only=True)) for sheet in book.worksheets}


def _refuse_bomb(file: Path, stream: BinaryIO) -> None:
    with zipfile.ZipFile(stream) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
    stream.seek(0)
    if size > LARGEST_WORKBOOK:
        raise RecordError(f"{file.name} unpacks to {size:,} bytes, far more than a table of studies; it is not read.")


def _rectangle(rows: Iterable[Iterable[object]]) -> list[list[str]]:
    """Write a sheet's cells as text; rows that end early are filled up."""
    text = [[_cell(value) for value in row] for row in rows]
    width = max((len(row) for row in text), default=0)
    return [row + [""] * (width - len(row)) for row in text]


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return repr(value) if isinstance(value, float) else str(value)


def frame(file: str, rows: Iterable[list[str]]) -> Table:
    """Make a frame of stripped text; blank rows and blank columns at the right are left out."""
    numbered = [(number, [cell.strip() for cell in row]) for number, row in enumerate(rows, start=1)]
    filled = [(number, row) for number, row in numbered if any(row)]
    if not filled:
        raise RecordError(f"{file} is empty; its first row must name the columns.")
    (_, header), *body = filled
    width = max(k for k, cell in enumerate(header, start=1) if cell)
    _check_header(file, header[:width])
    for number, row in body:
        if len(row) != len(header) or any(row[width:]):
            raise RecordError(
                f"{file}, row {number} does not have the {len(header)} cells of the header; put quotation marks "
                "around a cell that holds a comma, and keep the commas of empty cells."
            )
    data = [row[:width] for _, row in body]
    return Table(file, pd.DataFrame(data, index=[number for number, _ in body], columns=header[:width], dtype=str))


def _check_header(file: str, header: list[str]) -> None:
    for place, name in enumerate(header, start=1):
        if not name:
            raise RecordError(f"{file}: column {place} has no name in the first row; name it or remove it.")
        if name in header[: place - 1]:
            raise RecordError(f"{file} has two columns {name!r}; rename or remove one.")
