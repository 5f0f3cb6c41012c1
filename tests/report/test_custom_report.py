"""Reports on records of one's own: a folder or a workbook beside the specification."""

import csv
import json
import math

import numpy as np
import openpyxl
import pytest

import metail2 as m2
from metail2.records.reading import read_records
from metail2.report import build as module
from metail2.report.build import build_report


@pytest.fixture(autouse=True)
def _only_svg(monkeypatch):
    monkeypatch.setattr(module, "FORMATS", ("svg",))


def outcomes_of(folder):
    data = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    return {found["id"]: found for found in data["outcomes"]}


def page_of(folder):
    return (folder / "index.html").read_text(encoding="utf-8")


def test_a_folder_of_csv(build, outcome_toml, trials):
    folder = build(outcome_toml(more='control_risks = true\nheading = "disease"', studies=("two", "one", "three")))
    found = outcomes_of(folder)["response"]
    assert (found["state"], found["reason"]) == (
        "pooled", "3 studies: Beta 2021, Alpha 2020 and Gamma 2022."
    )  # fmt: skip
    effects = m2.harmonise(read_records(trials / "trials"), "response", "RR", studies=["two", "one", "three"])
    result = m2.pool(effects)
    assert found["analyses"][0]["estimates"][0]["estimate"] == result.estimate
    assert [row["group"] for row in found["analyses"][0]["studies"]] == ["pox", "pox", "gout"]
    low, high = result.prediction_interval()
    assert (math.exp(low), math.exp(high)) == pytest.approx(
        tuple(np.exp([found["analyses"][0]["model"][0][name] for name in ("pi_lower", "pi_upper")])), rel=1e-12
    )
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert set(manifest["inputs"]) == {"trials/studies.csv", "trials/outcomes.csv", "reports/here/made.toml"}
    assert not (folder / "tables" / "coverage.csv").exists()


def test_a_path_without_a_folder(specify, outcome_toml, trials, tmp_path, monkeypatch):
    specify(outcome_toml())
    monkeypatch.chdir(trials)
    build_report("made.toml", tmp_path / "out", "test")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text(encoding="utf-8"))
    assert "reports/here/made.toml" in manifest["inputs"]


def test_a_workbook(specify, outcome_toml, trials, tmp_path):
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name in ("studies", "outcomes"):
        sheet = book.create_sheet(name)
        with (trials / "trials" / f"{name}.csv").open(encoding="utf-8", newline="") as stream:
            for row in csv.reader(stream):
                sheet.append(row)
    book.save(trials / "trials.xlsx")
    head = 'title = "Made by hand"\nrecords = "{}"\n'
    build_report(str(specify(outcome_toml(), head=head.format("trials.xlsx"))), tmp_path / "book", "test")
    build_report(str(specify(outcome_toml(), head=head.format("trials"))), tmp_path / "folder", "test")
    assert outcomes_of(tmp_path / "book") == outcomes_of(tmp_path / "folder")
    inputs = json.loads((tmp_path / "book" / "manifest.json").read_text(encoding="utf-8"))["inputs"]
    assert set(inputs) == {"trials.xlsx", "reports/here/made.toml"}


def test_an_exploratory_line_is_labelled_and_has_its_prediction_interval(build, outcome_toml):
    exploratory = 'model = "show"\nreason = "Not pooled by default."\n\n[[outcome.analyses]]\nid = "line"\n'
    exploratory += 'title = "All scales together"\nexploratory = true\n'
    folder = build(
        outcome_toml(
            "change", design="before_after", measure="ROMC", studies=("one", "two", "three"), analysis=exploratory,
            more='r = 0.5\ntransform = "percent_reduction"\nnot_comparable = "Different scales."', part="turn = true",
        )
    )  # fmt: skip
    found = outcomes_of(folder)["change"]
    assert (found["state"], found["reason"]) == ("not_comparable", "Different scales.")
    assert found["analyses"][0]["estimates"] == []
    model = found["analyses"][1]["model"][0]
    page = page_of(folder)
    assert "All scales together (exploratory)" in page
    low, high = (-100 * math.expm1(-model[name]) for name in ("pi_lower", "pi_upper"))
    assert f"95 % prediction interval {low:.1f} to {high:.1f} %".replace("-", "−") in page
    yi = [row["yi"] for row in found["analyses"][0]["studies"]]
    assert yi[0] == pytest.approx(math.log(8 / 6) - ((3 / 6) ** 2 - (2 / 8) ** 2) / (2 * 20), rel=1e-12)


def test_nothing_pooled_at_all(build, outcome_toml):
    folder = build(outcome_toml(studies=("one",)))
    found = outcomes_of(folder)["response"]
    assert (found["state"], found["reason"]) == (
        "one_study",
        "Only Alpha 2020 prints figures for this question; there is no second study, so nothing is pooled.",
    )
    header = (folder / "tables" / "estimates.csv").read_text(encoding="utf-8")
    assert header.startswith("outcome,analysis,term,estimate,")
    assert header.count("\n") == 1


def test_studies_shown_side_by_side_are_not_called_pooled(build, outcome_toml):
    folder = build(outcome_toml(analysis='model = "show"\nreason = "Each has its own dose."'))
    found = outcomes_of(folder)["response"]
    assert (found["state"], found["reason"]) == ("not_comparable", "Each has its own dose.")


def test_a_study_beside_a_single_case_is_not_called_pooled(build, outcome_toml):
    folder = build(outcome_toml("change", design="before_after", measure="MC", studies=("one", "case"), more="r = 0.5"))
    found = outcomes_of(folder)["change"]
    assert (found["state"], found["reason"]) == (
        "one_study",
        "Alpha 2020 and Delta 2023 (case) print figures, but only Alpha 2020 with a variance, so nothing is pooled.",
    )
    assert [row["state"] for row in found["analyses"][0]["studies"]] == ["shown", "variance_undefined"]


def test_a_review_is_covered_row_by_row(build, outcome_toml, trials):
    (trials / "trials" / "review.csv").write_text(
        "row,disease,study_id,n,direction\n1,pox,one,12,up\n2,gout,,,up\n3,measles,,3,\n4,mumps,,4,not evaluated\n",
        encoding="utf-8",
    )
    review = '[[review]]\ntable = "review"\ntitle = "An earlier review"\n'
    folder = build(review, outcome_toml(more='review = { column = "direction" }'))
    with (folder / "tables" / "coverage.csv").open(encoding="utf-8", newline="") as stream:
        states = {row["disease"]: row["state"] for row in csv.DictReader(stream)}
    assert states == {
        "pox": "pooled", "gout": "direction_only", "measles": "not_found", "mumps": "not_found"
    }  # fmt: skip
    assert "An earlier review" in page_of(folder)


def test_text_of_the_user_is_text_on_the_page(build, outcome_toml):
    folder = build(outcome_toml(more='caveats = ["<script>alert(1)</script> & more"]'))
    page = page_of(folder)
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; more" in page


def test_mantel_haenszel_and_peto(build, outcome_toml, trials):
    folder = build(
        outcome_toml(
            measure="OR", more="peto = true",
            analysis='model = "mantel_haenszel"\n\n[[outcome.analyses]]\nid = "peto"\ntitle = "Peto"\nmodel = "peto"\n'
            'measure = "PETO"',
        )
    )  # fmt: skip
    found = outcomes_of(folder)["response"]["analyses"]
    effects = m2.harmonise(read_records(trials / "trials"), "response", "OR", studies=["one", "two"])
    assert found[0]["estimates"][0]["estimate"] == m2.MantelHaenszel("OR").fit(effects).estimate
    assert found[1]["estimates"][0]["estimate"] == m2.Peto().fit(effects).estimate
