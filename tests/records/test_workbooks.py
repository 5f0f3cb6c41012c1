"""Workbooks as other programs write them: sizes that are not true, and more than a table can hold."""

import re
import zipfile

import openpyxl
import pytest

import metail2 as m2
from metail2.errors import RecordError
from metail2.records import files


@pytest.fixture
def book(tmp_path):
    """A workbook of four studies whose sheet states a size of its own."""

    def book(stated):
        whole, patched = tmp_path / "whole.xlsx", tmp_path / "book.xlsx"
        made = openpyxl.Workbook()
        for row in (("study", "yi", "vi"), ("A", 0.1, 0.04), ("B", 0.2, 0.05), ("C", 0.3, 0.06), ("D", 0.4, 0.07)):
            made.active.append(row)
        made.save(whole)
        with zipfile.ZipFile(whole) as old, zipfile.ZipFile(patched, "w") as new:
            for entry in old.infolist():
                data = old.read(entry)
                if entry.filename.endswith("sheet1.xml"):
                    data, changed = re.subn(rb'<dimension ref="[^"]*"', b'<dimension ref="%s"' % stated, data)
                    assert changed == 1
                new.writestr(entry, data)
        return patched

    return book


@pytest.mark.parametrize("stated", [b"A1:C3", b"A1:B5", b"A1", b"A1:Z90"])
def test_the_size_that_a_sheet_states_cuts_nothing_off(book, stated):
    table = m2.read_table(book(stated))
    assert list(table.columns) == ["study", "yi", "vi"]
    assert list(table["study"]) == ["A", "B", "C", "D"]


def test_a_workbook_that_unpacks_to_more_than_a_table_is_not_read(book, monkeypatch):
    monkeypatch.setattr(files, "LARGEST_WORKBOOK", 1000)
    with pytest.raises(RecordError, match=r"^book\.xlsx unpacks to [\d,]+ bytes, far more than a table of studies"):
        m2.read_table(book(b"A1:C5"))
