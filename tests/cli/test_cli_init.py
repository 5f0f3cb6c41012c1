"""init: templates that validate clean, can be reported and pooled, and never replace a file."""

import json
import tomllib

import openpyxl
import pytest

from metail2.records.reading import read_records
from metail2.records.schema import FIGURE_FIELDS, STUDY_FIELDS
from metail2.records.starter import WORKBOOKS
from metail2.report import build
from metail2.report.specification import Analysis, Beside, Outcome, Part, ReviewTable, Specification

RECORDS = ["README.md", "outcomes.csv", "report.toml", "studies.csv", "records.xlsx"]
TABLES = ["README.md", "response.csv", "score.csv", "response.xlsx", "score.xlsx"]


@pytest.mark.parametrize(("options", "files"), [([], RECORDS), (["--kind", "table"], TABLES)])
def test_the_files_written_are_named(run, folder, options, files):
    assert run("init", "new/trials", *options) == (0, "".join(f"new/trials/{name}\n" for name in files), "")
    assert sorted(path.name for path in (folder / "new" / "trials").iterdir()) == sorted(files)


@pytest.mark.parametrize("target", ["trials", "trials/records.xlsx", "trials/report.toml"])
def test_records_validate_clean(run, folder, target):
    run("init", "trials")
    assert run("validate", target) == (0, "0 errors, 0 warnings, 0 notes\n", "")


@pytest.mark.parametrize("suffix", [".csv", ".xlsx"])
@pytest.mark.parametrize(
    ("name", "measure"), [("response", "RR"), ("response", "OR"), ("score", "MD"), ("score", "SMD")]
)
def test_tables_validate_clean_and_can_be_pooled(run, folder, name, measure, suffix):
    run("init", "trials", "--kind", "table")
    words = (f"trials/{name}{suffix}", "--measure", measure)
    assert run("validate", *words) == (0, "0 errors, 0 warnings, 0 notes\n", "")
    assert run("pool", *words).status == 0


def test_the_report_can_be_built_from_either_form(run, folder, monkeypatch):
    monkeypatch.setattr(build, "FORMATS", ("svg",))
    run("init", "trials")
    ended = run("report", "trials/report.toml", "--output", "out")
    assert (ended.status, ended.err) == (0, "")
    toml = folder / "trials" / "report.toml"
    text = toml.read_text(encoding="utf-8")
    toml.write_text(text.replace('records = "."', 'records = "records.xlsx"'), encoding="utf-8")
    assert run("report", "trials/report.toml", "--output", "other").status == 0
    first, second = (
        json.loads((folder / name / "results.json").read_text(encoding="utf-8")) for name in ("out", "other")
    )
    assert first == second
    assert [found["state"] for found in first["outcomes"]] == ["pooled", "pooled"]


def test_the_workbook_holds_the_same_records_as_text_with_lists_and_an_explanation(run, folder):
    run("init", "trials")
    one, other = read_records(folder / "trials"), read_records(folder / "trials" / "records.xlsx")
    assert one.figures.equals(other.figures)
    assert one.studies.equals(other.studies)
    book = openpyxl.load_workbook(folder / "trials" / "records.xlsx")
    assert book.sheetnames == ["studies", "outcomes", "README"]
    assert {cell.number_format for row in book["outcomes"].iter_rows() for cell in row} == {"@"}
    offered = {entry.formula1 for entry in book["outcomes"].data_validations.dataValidation}
    assert f'"{",".join(FIGURE_FIELDS["role"].choices)}"' in offered
    assert max(map(len, offered)) <= 255  # all that a spreadsheet takes


def test_every_example_is_called_fictitious(run, folder):
    run("init", "trials")
    assert read_records(folder / "trials").studies["label"].str.endswith("(fictitious)").all()
    run("init", "tables", "--kind", "table")
    for name in ("response", "score"):
        rows = (folder / "tables" / f"{name}.csv").read_text(encoding="utf-8").splitlines()[1:]
        assert len(rows) == 3
        assert all("(fictitious)" in row for row in rows)


def test_headers_hold_every_column(run, folder):
    run("init", "trials")
    for name, fields in (("studies", STUDY_FIELDS), ("outcomes", FIGURE_FIELDS)):
        header = (folder / "trials" / f"{name}.csv").read_text(encoding="utf-8").split("\n")[0]
        assert header.split(",") == list(fields)


@pytest.mark.parametrize("table", [Specification, Outcome, Part, Analysis, Beside, ReviewTable])
def test_the_report_says_something_of_every_key(run, folder, table):
    run("init", "trials")
    text = (folder / "trials" / "report.toml").read_text(encoding="utf-8")
    named = {word for line in text.split("\n") for word in line.lstrip("# ").replace(",", "").split(" ")}
    assert {key for key in table.model_fields if key not in named and f"[[{key}]]" not in text
            and f"[[outcome.{key}]]" not in text} == set()  # fmt: skip


def test_commented_keys_are_keys_too(run, folder):
    """Every comment that looks like a key is one, and what follows it is TOML."""
    run("init", "trials")
    text = (folder / "trials" / "report.toml").read_text(encoding="utf-8")
    commented = [line[2:] for line in text.split("\n") if line.startswith("# ") and " = " in line]
    keys = {
        key for table in (Specification, Outcome, Part, Analysis, Beside, ReviewTable) for key in table.model_fields
    }
    for line in commented:
        if line.split(" = ")[0].isidentifier():
            assert next(iter(tomllib.loads(line))) in keys


@pytest.mark.parametrize("kind", WORKBOOKS)
def test_a_file_that_is_there_is_never_replaced(run, folder, kind, untouched):
    (folder / "README.md").write_text("mine", encoding="utf-8")
    untouched()
    ended = run("init", ".", "--kind", kind)
    assert ended == (2, "", "error: README.md is there already and is never replaced; give a new folder.\n")
    assert (folder / "README.md").read_text(encoding="utf-8") == "mine"


def test_other_files_do_not_matter(run, folder):
    (folder / "notes.txt").write_text("mine", encoding="utf-8")
    assert run("init", ".").status == 0
    assert (folder / "notes.txt").read_text(encoding="utf-8") == "mine"


def test_a_file_in_the_place_of_the_folder(run, folder, untouched):
    (folder / "trials").write_text("mine", encoding="utf-8")
    untouched()
    ended = run("init", "trials")
    assert ended == (
        2, "", "error: trials cannot be written to (File exists); give a folder that you may write to.\n"
    )  # fmt: skip


def test_a_disk_that_fills_up_leaves_nothing(run, folder, monkeypatch):
    def full(self, path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(openpyxl.Workbook, "save", full)
    ended = run("init", "trials")
    assert (ended.status, ended.out) == (2, "")
    assert "cannot be written to (No space left on device)" in ended.err
    assert list((folder / "trials").iterdir()) == []


def test_an_unknown_kind(run, folder, untouched):
    untouched()
    message = "error: Unknown kind of template 'tables'. Did you mean 'table'? Choose from: records, table.\n"
    assert run("init", "trials", "--kind", "tables") == (2, "", message)
