"""write_starter(): a folder of commented templates to begin with, whose made-up rows are to be replaced."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from metail2.errors import RecordError, UnknownChoice
from metail2.records.schema import FIGURE_FIELDS, STUDY_FIELDS, Field

WORKBOOKS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "records": {"records.xlsx": ("studies", "outcomes")},
    "table": {"response.xlsx": ("response",), "score.xlsx": ("score",)},
}
"""Workbooks of each kind of template, each with the tables that become its sheets."""

FIELDS: Mapping[str, Mapping[str, Field]] = {"studies": STUDY_FIELDS, "outcomes": FIGURE_FIELDS}
LAST_ROW = 1000
"""Down to this row of a workbook the cells have lists to choose from."""


def write_starter(folder: Path, kind: str) -> list[Path]:
    """Write templates with made-up example rows: tables as CSV and XLSX, an explanation, and for records a report.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    kind : {"records", "table"}
        Trial records with a report, or plain tables of one row a study.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    UnknownChoice
        If there is no such kind.
    RecordError
        If a file is there already, or the folder cannot be written to (raised from the OSError); nothing is written.
    """
    if kind not in WORKBOOKS:
        raise UnknownChoice("kind of template", kind, WORKBOOKS)
    texts = _texts(kind)
    writers: dict[str, Callable[[Path], object]] = {name: _writer(text) for name, text in texts.items()}
    writers |= {name: _workbook(texts, tables).save for name, tables in WORKBOOKS[kind].items()}
    for name in writers:
        if os.path.lexists(folder / name):  # a link that leads nowhere is a file of theirs too
            raise RecordError(
                f"{folder / name} is there already and is never replaced; give a new folder."
            ) from FileExistsError(name)
    return _written(folder, writers)


def _texts(kind: str) -> dict[str, str]:
    parts = sorted((files("metail2.records") / "templates" / kind).iterdir(), key=lambda part: part.name)
    return {part.name: part.read_text(encoding="utf-8") for part in parts}


def _writer(text: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(text, encoding="utf-8", newline="\n")


def _written(folder: Path, writers: Mapping[str, Callable[[Path], object]]) -> list[Path]:
    """Write all files, or none."""
    paths: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, write in writers.items():
            paths.append(folder / name)
            write(paths[-1])
    except OSError as error:
        for path in paths:
            path.unlink(missing_ok=True)
        raise RecordError(
            f"{folder} cannot be written to ({error.strerror or error}); give a folder that you may write to."
        ) from error
    return paths


def _workbook(texts: Mapping[str, str], tables: tuple[str, ...]) -> Any:
    """Make a workbook of tables, cells as text so that no digit is lost, and of the explanation."""
    from openpyxl import Workbook
    from openpyxl.styles import Font

    book = Workbook()
    book.remove(book.active)
    for name in tables:
        rows = list(csv.reader(io.StringIO(texts[f"{name}.csv"])))
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
        for cell in (cell for row in sheet.iter_rows() for cell in row):
            cell.number_format = "@"
            cell.font = Font(bold=cell.row == 1)
        sheet.freeze_panes = "B2"
        _offer_choices(sheet, rows[0], FIELDS.get(name, {}))
    explanation = book.create_sheet("README")
    for line in texts["README.md"].splitlines():
        if line:
            explanation.append([line])
    explanation.column_dimensions["A"].width = 120
    return book


def _offer_choices(sheet: Any, header: list[str], fields: Mapping[str, Field]) -> None:
    """Put a list of the allowed words on every column that has one."""
    from openpyxl.utils import get_column_letter
    from openpyxl.worksheet.datavalidation import DataValidation

    for place, name in enumerate(header, start=1):
        choices = ",".join(fields[name].choices) if name in fields else ""
        if choices:
            offered = DataValidation(type="list", formula1=f'"{choices}"', allow_blank=True)
            sheet.add_data_validation(offered)
            letter = get_column_letter(place)
            offered.add(f"{letter}2:{letter}{LAST_ROW}")
