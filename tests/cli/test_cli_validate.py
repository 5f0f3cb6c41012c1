"""validate and explain: what is looked at, in every format, and how the command ends."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import openpyxl
import pytest

import metail2 as m2
from metail2.checks.catalogue import CHECKS
from metail2.checks.findings import COLUMNS
from metail2.cli.findings_text import FORMATS
from metail2.report import build, inputs

BAD_ROW = "B 2002,13,12,2,11"
MESSAGE = "trials.csv, row 3, B 2002: column 'events1' is 13"
CLEAN = "0 errors, 0 warnings, 0 notes\n"
STUDIES = "study_id,label,year\none,Alpha 2020,2020\ntwo,Beta 2021,2021\n"
HEADER = "record_id,study_id,outcome,arm,role,timepoint,statistic,value,unit_kind,source,quote\n"
FIGURE = "R{},{},pain,drug,experimental,week 4,{},{},{},by hand,words\n"
OUTCOMES = HEADER + "".join(
    FIGURE.format(i, study, statistic, value, "patients" if statistic == "n" else "score")
    for i, (study, statistic, value) in enumerate(
        [("one", "mean", "30.0"), ("one", "sd", "9.5"), ("one", "n", 24), ("two", "mean", "28.0"), ("two", "n", 19)]
    )
)  # fmt: skip
REPORT = """
title = "Made by hand"
records = "trials"
{accept}

[[outcome]]
id = "pain"
title = "Pain"
question = "Does it work?"
design = "controlled"
measure = "MD"
better = "lower"

[[outcome.parts]]
outcome = "pain"
studies = ["one"]

[[outcome.analyses]]
id = "primary"
title = "Primary"
"""


@pytest.fixture
def bad(table):
    """A table with one error."""
    return table("A 2001,1,10,2,10", BAD_ROW, "C 2003,4,20,5,20")


@pytest.fixture
def records(folder):
    """Write a folder of trial records."""

    def records(studies=STUDIES, outcomes=OUTCOMES):
        (folder / "trials").mkdir(exist_ok=True)
        (folder / "trials" / "studies.csv").write_text(studies, encoding="utf-8")
        (folder / "trials" / "outcomes.csv").write_text(outcomes, encoding="utf-8")
        return "trials"

    return records


def printed(ended):
    """Findings as JSON."""
    assert ended.err == ""
    return json.loads(ended.out)


def codes(ended):
    return [one["code"] for one in printed(ended)]


# ---------------------------------------------------------------- tables


def test_a_clean_table(run, table):
    assert run("validate", table(), "--measure", "RR") == (0, CLEAN, "")


def test_text(run, bad):
    ended = run("validate", bad, "--measure", "RR")
    assert (ended.status, ended.err) == (1, "")
    lines = ended.out.split("\n")
    assert lines[:4] == ["Errors: cannot be true", "", "  M015  more events than patients", lines[3]]
    assert lines[3].startswith(f"    {MESSAGE}, more than the 12")
    assert lines[-2:] == ["1 error, 0 warnings, 0 notes", ""]
    assert "\x1b" not in ended.out


def test_each_title_once_and_errors_before_warnings(run, table):
    name = table("A 2001,11,10,2,10", BAD_ROW, "C 2003,4,20,5,20", "C 2003,5,21,6,22")
    text = run("validate", name, "--measure", "RR").out
    assert text.count("more events than patients") == 1
    assert text.index("Errors") < text.index("M015") < text.index("Warnings") < text.index("M082")
    assert text.endswith("\n\n2 errors, 1 warning, 0 notes\n")


def test_json_has_the_keys_and_nothing_else(run, bad):
    ended = run("validate", bad, "--measure", "RR", "--format", "json")
    assert ended.status == 1
    (found,) = printed(ended)
    assert tuple(found) == COLUMNS == ("code", "severity", "file", "row", "study", "column", "message", "accepted")
    assert found == found | {
        "code": "M015", "severity": "error", "file": "trials.csv", "row": 3, "study": "B 2002", "column": "events1",
        "accepted": "",
    }  # fmt: skip
    assert found["message"].startswith(MESSAGE)


def test_json_of_nothing(run, table):
    assert run("validate", table(), "--format", "json") == (0, "[]\n", "")


def test_csv(run, bad):
    ended = run("validate", bad, "--measure", "RR", "--format", "csv")
    (row,) = csv.DictReader(io.StringIO(ended.out))
    assert tuple(row) == COLUMNS
    assert (ended.status, row["code"], row["row"], row["accepted"]) == (1, "M015", "3", "")


def test_a_finding_of_no_row_has_an_empty_one(run):
    rows = list(csv.DictReader(io.StringIO(run("validate", "il2", "--format", "csv").out)))
    objects = json.loads(run("validate", "il2", "--format", "json").out)
    assert [row["row"] or None for row in rows] == [
        one["row"] if one["row"] is None else str(one["row"]) for one in objects
    ]
    assert None in {one["row"] for one in objects}


def test_html_is_one_page_that_needs_nothing_else(run, bad):
    ended = run("validate", bad, "--measure", "RR", "--format", "html")
    assert ended.status == 1
    assert ended.out.startswith("<!DOCTYPE html>")
    assert "<h1>Checks of trials.csv</h1>" in ended.out
    assert "1 error, 0 warnings, 0 notes" in ended.out
    assert all(mark not in ended.out for mark in ("http://", "https://", "<script", "src="))


def test_html_does_not_run_what_a_cell_holds(run, table):
    name = table("A 2001,1,10,2,10", "<script>alert(1)</script>,13,12,2,11")
    out = run("validate", name, "--measure", "RR", "--format", "html").out
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in out
    assert "<script" not in out


def test_html_of_nothing(run, table):
    assert "The checks found nothing." in run("validate", table(), "--format", "html").out


@pytest.mark.parametrize("format", FORMATS)
def test_a_file_instead_of_the_screen(run, bad, folder, format):
    shown = run("validate", bad, "--measure", "RR", "--format", format)
    ended = run("validate", bad, "--measure", "RR", "--format", format, "--output", "found.txt")
    assert ended == (1, "1 error, 0 warnings, 0 notes\nfound.txt\n", "")
    assert (folder / "found.txt").read_text(encoding="utf-8") == shown.out


def test_a_place_that_cannot_be_written_to(run, bad, untouched):
    untouched()
    ended = run("validate", bad, "--output", "no/found.txt")
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.startswith("error: no/found.txt cannot be written (No such file or directory); give a file")


def test_a_message_is_one_line_whatever_the_label_holds(run, folder):
    (folder / "x.csv").write_text('study,events1,n1,events2,n2\n"A\n1990",13,12,2,11\n', encoding="utf-8")
    (found,) = printed(run("validate", "x.csv", "--measure", "RR", "--format", "json"))
    assert found["message"].startswith("x.csv, row 2, A 1990: column 'events1' is 13")


def test_the_measure_makes_more_checks_possible(run, table):
    name = table("A,0.1,0.04,9", "B,0.3,0.05,9", header="study,yi,vi,sei")
    assert codes(run("validate", name, "--format", "json")) == codes(
        run("validate", name, "--measure", "GEN", "--format", "json")
    )
    bad = table("A,0.1,0", "B,0.3,0.05", header="study,yi,vi")
    assert run("validate", bad, "--measure", "GEN").status == 1


def test_columns_of_other_names(run, folder):
    (folder / "x.csv").write_text("author,cases,all,e2,n2\nA,13,12,2,11\nB,3,12,2,13\n", encoding="utf-8")
    words = ["--measure", "RR", "--study", "author", "--column", "events1=cases", "--column", "n1=all"]
    (found,) = printed(run("validate", "x.csv", *words, "--column", "events2=e2", "--format", "json"))
    assert (found["code"], found["study"], found["column"]) == ("M015", "A", "cases")


@pytest.mark.parametrize(("mean", "found"), [("5.19", ["M050"]), ("5.2", [])])
def test_printed_decimals_and_scale_items_reach_the_checks(run, table, mean, found):
    """28 whole numbers can have the mean 5.18 or 5.21, not 5.19 (Brown and Heathers 2017); 5.2 says too little."""
    name = table(f"A,{mean},1.0,28,5.0,1.1,28", header="study,mean1,sd1,n1,mean2,sd2,n2")
    assert [code for code in codes(run("validate", name, "--format", "json")) if code == "M050"] == []
    asked = run("validate", name, "--scale-items", "1", "--format", "json")
    assert [code for code in codes(asked) if code == "M050"] == found


def test_a_workbook_is_a_table_unless_it_holds_records(run, folder, records):
    book = openpyxl.Workbook()
    for row in (["study", "events1", "n1", "events2", "n2"], BAD_ROW.split(",")):
        book.active.append(row)
    book.save("x.xlsx")
    assert printed(run("validate", "x.xlsx", "--format", "json"))[0]["row"] == 2
    records()
    book = openpyxl.Workbook()
    for name in ("studies", "outcomes"):
        sheet = book.create_sheet(name)
        for row in csv.reader((folder / "trials" / f"{name}.csv").read_text(encoding="utf-8").splitlines()):
            sheet.append(row)
    book.save("trials.xlsx")
    assert run("validate", "trials.xlsx", "--format", "json").out == run("validate", "trials", "--format", "json").out


# ---------------------------------------------------------------- records, reports, reviews, shipped names


def test_a_folder_of_records(run, records):
    ended = run("validate", records())
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.split("\n")[-2].startswith("0 errors")


def test_every_violation_of_the_schema_is_listed(run, records):
    studies = STUDIES.replace(",2020\n", ",long ago\n").replace(",2021\n", ",1066\n")
    outcomes = OUTCOMES.replace(",sd,9.5,", ",sd,-9.5,").replace("R3,two,pain,drug,exp", "R3,ten,pain,drug,ex")
    ended = run("validate", records(studies, outcomes), "--format", "json")
    assert ended.status == 1
    assert [(one["code"], one["file"], one["row"], one["study"], one["column"]) for one in printed(ended)] == [
        ("M095", "outcomes.csv", 3, "one", "value"),
        ("M095", "outcomes.csv", 5, "ten", "study_id"),
        ("M095", "outcomes.csv", 5, "ten", "role"),
        ("M095", "studies.csv", 2, "one", "year"),
        ("M095", "studies.csv", 3, "two", "year"),
    ]
    assert "holds 'long ago', but a whole number is needed" in printed(ended)[3]["message"]


def test_reading_still_names_the_first_violation_and_counts_the_others(records):
    home = records(STUDIES.replace(",2021\n", ",1066\n"), OUTCOMES.replace(",sd,9.5,", ",sd,-9.5,"))
    with pytest.raises(m2.MetailError, match=r"^studies\.csv, row 3, study two: .* \(and 1 more\)\.$"):
        m2.read_records(home)


@pytest.mark.parametrize("name", ["nielweise2007", "yusuf1985", "il2"])
def test_shipped_names(run, name):
    ended = run("validate", name)
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.split("\n")[-2].startswith("0 errors, ")


def test_records_and_reports_of_one_name_are_looked_at_as_the_report(run, monkeypatch):
    calls = []
    read = inputs.read_inputs
    monkeypatch.setattr(inputs, "read_inputs", lambda *args: calls.append(args) or read(*args))
    run("validate", "il2")
    assert len(calls) == 1


def test_accepted_findings_are_told_apart(run, records, folder):
    outcomes = OUTCOMES + FIGURE.format(9, "one", "mean", "31.0", "score")
    records(outcomes=outcomes)
    (folder / "open.toml").write_text(REPORT.format(accept=""), encoding="utf-8")
    found = printed(run("validate", "open.toml", "--format", "json"))
    assert [one["code"] for one in found if one["severity"] == "warning"] == ["M067"]
    accept = 'accept = ["M067 one: both were printed", "M012: no such thing"]'
    (folder / "accepted.toml").write_text(REPORT.format(accept=accept), encoding="utf-8")
    ended = run("validate", "accepted.toml", "--format", "json")
    told = {one["code"]: one["accepted"] for one in printed(ended)}
    assert told["M067"] == "both were printed"
    assert told["M009"] == ""
    text = run("validate", "accepted.toml").out
    assert (
        text.index("M009")
        < text.index("Accepted: ")
        < text.index("M067")
        < text.index("accepted warning: both were printed")
    )
    assert text.endswith("0 errors, 1 warning, 0 notes (1 accepted)\n")


def test_an_accepted_error_is_no_error(run, records, folder):
    records(outcomes=OUTCOMES.replace(",n,24,", ",n,0,"))
    (folder / "open.toml").write_text(REPORT.format(accept=""), encoding="utf-8")
    found = [one for one in printed(run("validate", "open.toml", "--format", "json")) if one["severity"] == "error"]
    assert found
    assert run("validate", "open.toml").status == 1
    accept = ", ".join(json.dumps(f"{one['code']} one: looked at") for one in found)
    (folder / "accepted.toml").write_text(REPORT.format(accept=f"accept = [{accept}]"), encoding="utf-8")
    assert run("validate", "accepted.toml").status == 0


def test_a_report_on_records_that_break_the_schema(run, records, folder):
    records(outcomes=OUTCOMES.replace(",sd,9.5,", ",sd,-9.5,"))
    (folder / "x.toml").write_text(REPORT.format(accept='accept = ["M067: elsewhere"]'), encoding="utf-8")
    assert codes(run("validate", "x.toml", "--format", "json")) == ["M095"]


def test_report_says_that_errors_stand_open_and_writes_all_the_same(run, records, folder, monkeypatch):
    monkeypatch.setattr(build, "FORMATS", ("svg",))
    counts = "".join(
        FIGURE.format(i, "one", statistic, value, "patients").replace("pain,drug,experimental", arm)
        for i, (arm, statistic, value) in enumerate(
            [("cure,drug,experimental", "events", 9), ("cure,drug,experimental", "n", 20),
             ("cure,none,control", "events", 4), ("cure,none,control", "n", 21),
             ("harm,drug,experimental", "events", 30), ("harm,drug,experimental", "n", 20)], start=20,
        )
    )  # fmt: skip
    records(outcomes=OUTCOMES + counts)
    report = REPORT.format(accept="").replace('"pain"', '"cure"').replace('"MD"', '"RR"')
    (folder / "x.toml").write_text(report, encoding="utf-8")
    ended = run("report", "x.toml", "--output", "out")
    assert ended.status == 0
    assert "\n\nChecks: 1 error, " in ended.out
    assert ended.err.startswith("warning: The records hold errors that nobody accepted: outcomes.csv, row ")
    assert ended.err.count("\n") == 1
    assert (folder / "out" / "index.html").is_file()


def test_a_review(run, monkeypatch):
    review = Path(__file__).parents[1] / "records" / "reviews" / "data" / "made_up.rm5"
    ended = run("validate", review, "--format", "json")
    assert ended.status in (0, 1)
    assert all("M100" <= one["code"] <= "M109" and one["file"] == "made_up.rm5" for one in json.loads(ended.out))


# ---------------------------------------------------------------- what cannot be looked at


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("no.csv", "no.csv does not exist; give a CSV or XLSX file, or the name of a shipped data set."),
        ("no/trials", "no/trials does not exist; give a CSV or XLSX file, or the name of a shipped data set."),
        ("no.rm5", "no.rm5 does not exist; give a RevMan 5 file, a data package or a CSV file."),
        ("no.toml", "There is no file 'no.toml'; give the name of a shipped report or a TOML file."),
        (
            "bgc",
            "Unknown file, report or data set 'bgc'. Did you mean 'bcg'? Choose from: il2, bangertdrowns2004, bcg, ",
        ),
        ("trials.csv --format xml", "Unknown format 'xml'. Did you mean 'html'? Choose from: text, json, csv, html."),
        ("trials.csv --measure RRR", "Unknown measure 'RRR'. Did you mean 'RR'?"),
        ("trials.csv --column sd1", "--column is 'sd1'; write NAME=COLUMN with a NAME of: "),
        ("trials.csv --column sdd1=x", "Unknown column 'sdd1'. Did you mean 'sd1'?"),
        ("trials --measure RR", "--measure has no meaning for trials, which is trial records; leave it out."),
        ("il2 --study label", "--study has no meaning for il2, which is a report; leave it out."),
        ("x.toml --column sd1=x", "--column has no meaning for x.toml, which is a report; leave it out."),
        ("x.rm5 --scale-items 3", "--scale-items has no meaning for x.rm5, which is a review; leave it out."),
    ],
)
def test_wrong_use(run, table, records, words, message):
    table()
    records()
    ended = run("validate", *words.split())
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.startswith(f"error: {message}")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "x.csv is empty; its first row must name the columns."),
        ("study,yi\nA\n", "x.csv, row 2 does not have the 2 cells of the header;"),
        ("study,yi,vi\nMüller,1,1\n".encode("latin-1"), "x.csv is not UTF-8 text (byte 14);"),
        ("study;yi\nA;1\n", "x.csv separates its columns by semicolons or tabs;"),
    ],
)
def test_a_file_that_is_no_table(run, folder, content, message):
    (folder / "x.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    ended = run("validate", "x.csv")
    assert (ended.status, ended.out) == (1, "")
    assert ended.err.startswith(f"error: {message}")


def test_a_column_that_is_not_there(run, table):
    ended = run("validate", table(), "--column", "sd1=spread")
    assert (ended.status, ended.out) == (1, "")
    assert ended.err.startswith("error: trials.csv: There is no column 'spread' (given as sd1)")


def test_a_folder_without_records(run, folder):
    (folder / "home").mkdir()
    ended = run("validate", "home")
    assert (ended.status, ended.out) == (1, "")
    assert ended.err == "error: home has no studies.csv; it holds: no CSV file.\n"


# ---------------------------------------------------------------- screens


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("words", ["validate --help", "explain --help", "init --help", "explain M015", "explain"])
def test_screens_fit_the_terminal(run, monkeypatch, words, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    ended = run(*words.split())
    assert (ended.status, ended.err) == (0, "")
    assert max(map(len, ended.out.split("\n"))) <= columns
    assert "…" not in ended.out


def test_findings_fit_the_terminal(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert max(map(len, run("validate", "il2").out.split("\n"))) <= 80


def test_help_names_every_format(run):
    text = " ".join(run("validate", "--help").out.split())
    assert all(f"{format}" in text for format in FORMATS)


def test_explain_lists_the_catalogue(run):
    lines = run("explain").out.split("\n")
    listed = [line.split()[0] for line in lines[1:] if line]
    assert listed == sorted(CHECKS)
    assert all(CHECKS[line[:4]].title in line and CHECKS[line[:4]].severity in line for line in lines[1:] if line)


@pytest.mark.parametrize("code", ["M015", "m015"])
def test_explain_one(run, code):
    text = run("explain", code).out
    assert text.startswith("M015  error: more events than patients\n\n  ")
    assert " ".join(text.split("\n\n")[1].split()) == CHECKS["M015"].help


def test_explain_what_is_not_there(run):
    ended = run("explain", "M0015")
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.startswith("error: Unknown check 'M0015'. Did you mean 'M015'? Choose from: M001, M002, ")


# ---------------------------------------------------------------- the process


def in_a_terminal(*words, **environment):
    """What a command shows in a terminal of its own."""
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    kept = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    with subprocess.Popen(
        [sys.executable, "-m", "metail2", *words], stdout=theirs, stderr=theirs,
        env=kept | {"TERM": "xterm-256color"} | environment,
    ):  # fmt: skip
        os.close(theirs)
        shown = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # how Linux says that the other end is closed
                break
            if not part:
                break
            shown += part
    os.close(ours)
    return shown


@pytest.mark.parametrize(("environment", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_colour_in_a_terminal_only_where_it_is_wanted(bad, environment, coloured):
    shown = in_a_terminal("validate", bad, "--measure", "RR", **environment)
    assert b"M015" in shown
    assert (b"\x1b[" in shown) == coloured


HELP = ["--help", "validate --help"]


@pytest.mark.parametrize("words", HELP)
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_help_on_a_full_disk(words):
    command = [sys.executable, "-m", "metail2", *words.split()]
    with open("/dev/full", "w") as full:
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (2, "error: standard output: No space left on device.\n")


@pytest.mark.parametrize("words", [*HELP, "measures"])
@pytest.mark.skipif(os.name == "nt", reason="needs a POSIX shell")
def test_output_that_is_closed(words):
    ended = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m metail2 {words} >&-"], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (2, "error: standard output: Bad file descriptor.\n")


@pytest.mark.parametrize("words", HELP)
@pytest.mark.skipif(os.name == "nt", reason="pipes break in another way there")
def test_help_for_a_reader_that_leaves_early(words):
    command = [sys.executable, "-m", "metail2", *words.split()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_the_documented_catalogue_is_that_of_the_registry(run):
    page = (Path(__file__).parents[2] / "docs" / "checks.md").read_text(encoding="utf-8")
    assert page.endswith(run("explain", "--markdown").out)
