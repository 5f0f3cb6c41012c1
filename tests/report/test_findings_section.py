"""What the checks found stands in the report: on the page, in findings.csv, in results.json and in the terminal."""

import json
import re

import pandas as pd
import pytest

from metail2.checks.findings import COLUMNS, Findings
from metail2.checks.validate import validate
from metail2.errors import MetailWarning, ReportError
from metail2.records.reading import read_records
from metail2.report import build as module
from metail2.report.build import build_report
from metail2.report.findings_page import findings_page
from metail2.report.findings_view import sections
from metail2.report.specification import read_specification

TWICE = "R90,one,score,drug,experimental,week 12,mean,6.5,score,score,made by hand,words of R90\n"
WRONG = "R91,two,response,drug,experimental,study,events,9,patients,patients,made by hand,words of R91\n"
WRONG += "R92,two,response,drug,experimental,study,n,7,patients,patients,made by hand,words of R92\n"


@pytest.fixture(autouse=True)
def _only_svg(monkeypatch):
    monkeypatch.setattr(module, "FORMATS", ("svg",))


@pytest.fixture
def add(trials):
    """Add figures to the hand-made records."""

    def add(rows):
        with (trials / "trials" / "outcomes.csv").open("a", encoding="utf-8") as stream:
            stream.write(rows)

    return add


def head(*accept):
    return f'title = "Made by hand"\nrecords = "trials"\naccept = {json.dumps(accept)}\n'


def page_of(folder):
    """The part of the page about the checks, as text without marks."""
    page = (folder / "index.html").read_text(encoding="utf-8")
    return re.sub(r"<[^>]*>", " ", page.split('<h2 id="checks">')[1].split('<h2 id="methods">')[0])


def results_of(folder):
    return json.loads((folder / "results.json").read_text(encoding="utf-8"))


def test_findings_stand_in_every_output(build, add, outcome_toml, trials):
    add(TWICE)
    folder = build(outcome_toml())
    expected = validate(read_records(trials / "trials"))
    assert "M067" in {one.code for one in expected}
    table = pd.read_csv(folder / "findings.csv", keep_default_na=False, dtype=str)
    assert list(table.columns) == list(COLUMNS)
    assert table["message"].tolist() == [one.message for one in expected]
    assert [one["message"] for one in results_of(folder)["findings"]] == [one.message for one in expected]
    page = " ".join(page_of(folder).split())
    assert expected.summary in page
    assert "a figure entered twice" in page
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert "findings.csv" in manifest["outputs"]


def test_counts_stand_in_the_summary_of_page_and_terminal(specify, add, outcome_toml, tmp_path):
    add(TWICE)
    built = build_report(str(specify(outcome_toml())), tmp_path / "out", "test")
    counts = built.summary.split("\n")[-1]
    assert re.fullmatch(r"Checks: 0 errors, 1 warning, \d+ notes", counts)
    page = built.page.read_text(encoding="utf-8")
    assert f'<a href="#checks">{counts.removeprefix("Checks: ")}</a>' in page.split("What holds for all outcomes")[0]


def test_a_clean_report_says_so(build, outcome_toml, trials):
    folder = build(outcome_toml())
    assert len(validate(read_records(trials / "trials"))) == 0
    assert "0 errors, 0 warnings, 0 notes. Nothing was found." in " ".join(page_of(folder).split())
    assert pd.read_csv(folder / "findings.csv").empty
    assert results_of(folder)["findings"] == []


def test_an_accepted_finding_stands_with_its_reason(build, add, outcome_toml):
    add(TWICE)
    folder = build(outcome_toml(), head=head("M067 one: both are printed & right"))
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert "Accepted warning: both are printed &amp; right" in page
    assert "(1 accepted)" in page_of(folder)
    assert page.index("<summary>Accepted (1)") < page.index("Accepted warning: both")
    assert results_of(folder)["findings"][0]["accepted"] == "both are printed & right"


def test_an_acceptance_that_covers_nothing_is_a_warning(build, outcome_toml):
    folder = build(outcome_toml(), head=head("M067 one: it was printed twice"))
    assert [one["code"] for one in results_of(folder)["findings"]] == ["M009"]


def test_notes_are_folded_and_warnings_are_not(build, add, outcome_toml):
    add(TWICE)
    events = "R93,one,falls,drug,experimental,study,events,12,events,events,made by hand,words of R93\n"
    add(events)
    page = (build(outcome_toml()) / "index.html").read_text(encoding="utf-8")
    checks = page.split('<h2 id="checks">')[1].split('<h2 id="methods">')[0]
    folded = checks.split("<summary>Notes (")[1]
    assert "M067" not in folded
    assert "M089" in folded
    assert "<h3>Warnings (1): probably wrong</h3>" in checks


def test_a_report_with_open_errors_is_written_and_warns(specify, add, outcome_toml, tmp_path):
    add(WRONG)
    path = str(specify(outcome_toml(part='timepoint = "week 12"')))
    with pytest.warns(MetailWarning, match=r"^The records hold errors that nobody accepted: .*two.*; correct them, or"):
        built = build_report(path, tmp_path / "out", "test")
    assert built.page.is_file()
    errors = [one for one in results_of(tmp_path / "out")["findings"] if one["severity"] == "error"]
    assert {one["study"] for one in errors} == {"two"}
    accept = [f"{one['code']} two: looked at" for one in errors]
    accepted = str(specify(outcome_toml(part='timepoint = "week 12"'), head=head(*accept)))
    build_report(accepted, tmp_path / "other", "test")  # warnings are errors here


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("M067", "accept holds 'M067'; write a code, a study and the reason: 'M031 he2020: …'"),
        ("M067 one", "accept holds 'M067 one'; write a code, a study and the reason: 'M031 he2020: …'"),
        ("M067 one:  ", "accept holds 'M067 one:  '; write a code, a study and the reason"),
        ("because", "accept holds 'because'; write a code"),
        ("M999 one: so", "Unknown check 'M999'."),
    ],
)
def test_an_entry_that_cannot_be_understood(specify, outcome_toml, entry, message):
    path = specify(outcome_toml(), head=head("M067: fine", entry))
    with pytest.raises(ReportError, match=f"^{re.escape(f'{path}: at accept.1: {message}')}"):
        read_specification(path)


def test_accept_is_a_list(specify, outcome_toml):
    path = specify(outcome_toml(), head='title = "T"\nrecords = "trials"\naccept = "M067: fine"\n')
    with pytest.raises(ReportError, match="at accept: Input should be a valid list"):
        read_specification(path)


def test_sections_go_from_errors_to_what_was_accepted(trials, add):
    add(TWICE + WRONG)
    found = validate(read_records(trials / "trials"), accept=["M067: looked at"])
    parts = sections(found)
    assert (parts[0].key, parts[-1].key) == ("error", "accepted")
    shown = [one for part in parts for group in part.groups for one in group.findings]
    assert sorted(map(repr, shown)) == sorted(map(repr, found))
    assert sum(part.count for part in parts) == len(found)
    for part in parts:
        codes = [group.check.code for group in part.groups]
        assert codes == sorted(set(codes))


def test_a_page_of_its_own(trials, add):
    add(TWICE + WRONG)
    found = validate(read_records(trials / "trials"))
    page = findings_page(found, "my <trials>")
    assert "<h1>Checks of my &lt;trials&gt;</h1>" in page
    assert found.summary in page
    for one in found:
        assert one.code in page
    assert "The checks found nothing." not in page
    assert "The checks found nothing." in findings_page(Findings(()), "trials")
