"""The IL-2 report: all files, the states the evidence allows, numbers that agree, a page that stands alone."""

import csv
import hashlib
import json
import math
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser

import pandas as pd
import pytest

import metail2 as m2
from metail2.report.specification import read_specification, specification_path

SPEC = read_specification(specification_path("il2"))
STATES = {
    "salt_change": "one_study",
    "salt50_response": "not_comparable",
    "treg_change_placebo": "one_study",
    "treg_fold_placebo": "one_study",
    "treg_percentage_change": "pooled",
    "platelet_rise": "one_study",
    "sri4_week12": "pooled",
    "sledai": "one_study",
    "injection_site_reaction": "pooled",
    "influenza_like": "pooled",
    "serious_adverse_event": "pooled",
    "basdai": "one_study",
    "clinical_response": "pooled",
    "activity_change": "not_comparable",
}
BEFORE_AFTER = [outcome.id for outcome in SPEC.outcome if outcome.design == "before_after"]
VOID = {"meta", "link", "img", "br"}


class Page(HTMLParser):
    """What a test asks of the page: its elements, its text, and whether every element is closed."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.open, self.words, self.unclosed = [], [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if self.open.pop() != tag:
            self.unclosed.append(tag)

    def handle_data(self, data):
        if not {"style", "script"} & set(self.open):
            self.words.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self):
        return re.sub(r"\s+", " ", " ".join(self.words))


@pytest.fixture(scope="module")
def folder(il2):
    return il2[1]


@pytest.fixture(scope="module")
def results(folder):
    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    return json.loads((folder / "results.json").read_text(encoding="utf-8"), parse_constant=refuse)


@pytest.fixture(scope="module")
def outcomes(results):
    return {found["id"]: found for found in results["outcomes"]}


@pytest.fixture(scope="module")
def html(folder):
    return (folder / "index.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


@pytest.fixture(scope="module")
def sections(html):
    """Text of each outcome's part of the page."""
    parts = re.split(r'<section aria-labelledby="([a-z0-9_]+)">', html)
    return {name: Page(body.split("</section>")[0]).text for name, body in zip(parts[1::2], parts[2::2], strict=True)}


@pytest.fixture(scope="module")
def coverage(folder):
    return pd.read_csv(folder / "tables" / "coverage.csv", keep_default_na=False)


def analysis(outcomes, outcome, key):
    return next(found for found in outcomes[outcome]["analyses"] if found["id"] == key)


# ---------------------------------------------------------------- files


def test_every_file_is_there(il2, folder):
    assert il2[0].page == folder / "index.html"
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    figures = [outcome.id for outcome in SPEC.outcome]
    figures += [f"{o.id}-{a.id}" for o in SPEC.outcome for i, a in enumerate(o.analyses) if a.figure and i]
    tables = ["summary", "coverage", "estimates", "models", "studies", "trail", "sensitivity", "control_risks"]
    assert names == {
        "index.html", "results.json", "findings.csv", "manifest.json", *(f"tables/{name}.csv" for name in tables),
        *(f"figures/{name}.{suffix}" for name in figures for suffix in ("svg", "png", "pdf")),
    }  # fmt: skip


def test_the_summary_for_the_terminal_has_a_line_an_outcome(il2):
    *lines, empty, checks = il2[0].summary.splitlines()
    assert [line.split("  ")[0] for line in lines] == [outcome.title for outcome in SPEC.outcome]
    assert (empty, checks.split(",")[0]) == ("", "Checks: 0 errors")
    assert "risk ratio 1.341 (0.896 to 2.007)" in lines[6]


def test_two_builds_are_the_same_byte_for_byte(il2):
    _, first, second = il2
    files = {path.relative_to(first) for path in first.rglob("*") if path.is_file()}
    assert files == {path.relative_to(second) for path in second.rglob("*") if path.is_file()}
    assert [str(name) for name in sorted(files) if (first / name).read_bytes() != (second / name).read_bytes()] == []


def test_the_manifest_can_be_checked(folder):
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["created"] == "2023-11-14T22:13:20+00:00"
    assert manifest["command"] == "test"
    written = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    del written["manifest.json"]
    assert manifest["outputs"] == {
        name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in written.items()
    }
    home = specification_path("il2").parents[2]
    read = {"reports/il2/report.toml", *(f"datasets/il2/{p.name}" for p in (home / "datasets" / "il2").glob("*.csv"))}
    assert set(manifest["inputs"]) == read
    for name, digest in manifest["inputs"].items():
        assert hashlib.sha256((home / name).read_bytes()).hexdigest() == digest
    assert manifest["settings"] == SPEC.model_dump(mode="json")
    assert manifest["settings"]["outcome"][0]["analyses"][0]["tau2"] == "REML"  # a default, filled in
    assert set(manifest["versions"]) >= {"metail2", "numpy", "scipy", "pandas", "matplotlib", "forestplot"}


def test_every_picture_is_a_picture(folder):
    for path in sorted((folder / "figures").iterdir()):
        start = path.read_bytes()[:8]
        if path.suffix == ".svg":
            assert ElementTree.parse(path).getroot().tag == "{http://www.w3.org/2000/svg}svg"
        elif path.suffix == ".png":
            assert start == b"\x89PNG\r\n\x1a\n"
        else:
            assert start.startswith(b"%PDF-")


@pytest.mark.parametrize("outcome", [outcome.id for outcome in SPEC.outcome if outcome.favours])
def test_pictures_say_whom_they_favour(folder, outcome):
    """An SVG draws words as outlines and keeps them in a comment beside each."""
    words = (folder / "figures" / f"{outcome}.svg").read_text(encoding="utf-8")
    spec = next(found for found in SPEC.outcome if found.id == outcome)
    lower, higher = spec.favours
    assert f"<!-- ← {lower} -->" in words
    assert f"<!-- {higher} → -->" in words


# ---------------------------------------------------------------- states


def test_every_outcome_has_its_state_and_reason(outcomes):
    assert {name: found["state"] for name, found in outcomes.items()} == STATES
    for found in outcomes.values():
        assert found["reason"].endswith(".")


def test_one_study_says_why_nothing_is_pooled(outcomes):
    assert outcomes["platelet_rise"]["reason"] == (
        "Only Zhang 2018 (1 case) prints figures for this question; its variance is undefined (n = 1), so nothing is "
        "pooled."
    )
    assert outcomes["salt_change"]["reason"] == (
        "Only Castela 2014 prints figures for this question; there is no second study, so nothing is pooled."
    )
    for name in ("platelet_rise", "salt_change"):
        assert outcomes[name]["analyses"][0]["estimates"] == []
    states = [study["state"] for study in outcomes["platelet_rise"]["analyses"][0]["studies"]]
    assert states == ["variance_undefined"]


def test_nothing_but_the_pooled_outcomes_has_a_pooled_estimate(outcomes):
    for name, found in outcomes.items():
        assert bool(found["analyses"][0]["estimates"]) == (STATES[name] == "pooled")


def test_disease_activity_has_no_diamond_in_any_analysis(outcomes):
    assert [found["estimates"] for found in outcomes["activity_change"]["analyses"]] == [[], [], []]
    studies = analysis(outcomes, "activity_change", "romc")["studies"]
    case = next(row for row in studies if row["study"].startswith("Humrich 2014"))
    assert (case["state"], case["ci_lower"]) == ("variance_undefined", None)
    assert not any(row["study"].startswith("Zhang 2016") for row in studies)  # DAS28 has no true zero
    assert any(
        row["study"].startswith("Zhang 2016") for row in analysis(outcomes, "activity_change", "smcr")["studies"]
    )


def test_every_row_of_both_reviews_is_covered(coverage):
    titles = [review.title for review in SPEC.review]
    rows = {title: sorted(set(part["row"].astype(int))) for title, part in coverage.groupby("table")}
    assert rows == {titles[0]: list(range(1, 11)), titles[1]: list(range(1, 8))}
    assert len(coverage) == 17 * len(SPEC.outcome)
    assert set(coverage["state"]) == {"pooled", "one_study", "not_comparable", "direction_only", "not_found"}


@pytest.mark.parametrize(
    ("row", "outcome", "state"),
    [
        ("1", "sri4_week12", "pooled"),  # lupus
        ("2", "treg_percentage_change", "direction_only"),  # Sjögren: Treg up, no figures
        ("2", "sri4_week12", "not_found"),
        ("7", "treg_change_placebo", "one_study"),  # type 1 diabetes: Hartemann
        ("7", "platelet_rise", "not_found"),
        ("8", "platelet_rise", "one_study"),
        ("9", "salt50_response", "not_comparable"),
    ],
)
def test_cells_of_the_coverage(coverage, row, outcome, state):
    published = coverage[coverage["table"] == SPEC.review[0].title]
    here = published[(published["row"].astype(str) == row) & (published["outcome"] == outcome)]
    assert here["state"].tolist() == [state]


# ---------------------------------------------------------------- numbers


@pytest.mark.parametrize(
    ("outcome", "key", "measure", "expected"),
    [
        ("sri4_week12", "dl", "ratio", (1.341, 0.896, 2.007)),
        ("sri4_week12", "ce", "ratio", (1.274, 0.969, 1.675)),
        ("clinical_response", "primary", "ratio", (1.276, 0.950, 1.715)),
        ("clinical_response", "per_protocol", "ratio", (1.377, 0.971, 1.953)),
        ("treg_percentage_change", "primary", "ratio", (3.267, 1.767, 6.039)),
        ("injection_site_reaction", "mh_rr", "ratio", (6.690, 1.447, 30.922)),
        ("injection_site_reaction", "mh_rd", "difference", (0.291, 0.130, 0.452)),
        ("influenza_like", "mh_rd", "difference", (0.157, 0.047, 0.268)),
        ("serious_adverse_event", "mh_rd", "difference", (-0.077, -0.165, 0.012)),
    ],
)
def test_pooled_numbers(outcomes, sections, outcome, key, measure, expected):
    row = analysis(outcomes, outcome, key)["estimates"][0]
    values = [row[name] for name in ("estimate", "ci_lower", "ci_upper")]
    shown = [math.exp(value) if measure == "ratio" else value for value in values]
    assert [round(value, 3) for value in shown] == list(expected)
    first, low, high = (f"{value:.3f}".replace("-", "−") for value in expected)
    assert f"{first} ({low} to {high})" in sections[outcome]


def test_numbers_are_those_of_the_library(outcomes):
    records = m2.load_records("il2")
    when = {"qin_as": "week 1", "zhang2016ra": "day 5", "feng2019": "after"}
    effects = m2.harmonise(records, "treg_count", "ROMC", timepoint=when, studies=list(when), r=0.5)
    result = m2.pool(effects)
    found = analysis(outcomes, "treg_percentage_change", "primary")
    assert [row["yi"] for row in found["studies"]] == effects.yi.tolist()
    assert found["estimates"][0]["estimate"] == result.estimate
    assert found["model"][0]["tau2"] == result.tau2
    assert found["model"][0]["pi_lower"] == result.prediction_interval()[0]


def test_a_percentage_change_is_shown_as_such(sections):
    change = [100 * (ratio - 1) for ratio in (3.2668, 1.7673, 6.0387)]
    assert "226.7 % (76.7 to 503.9)" in sections["treg_percentage_change"]
    assert [round(value, 1) for value in change] == [226.7, 76.7, 503.9]


def test_castela_over_the_correlation(outcomes, sections):
    rows = {row["r"]: row for row in outcomes["salt_change"]["sensitivity"]}
    expected = {0.3: (-52.5, 21.6), 0.5: (-48.3, 17.4), 0.7: (-43.4, 12.5), 0.9: (-37.5, 6.6)}
    assert {r: (round(row["ci_lower"], 1), round(row["ci_upper"], 1)) for r, row in rows.items()} == expected
    for row in rows.values():
        assert row["shown"] in sections["salt_change"]


def test_dose_contrasts_keep_their_covariance(outcomes):
    matrix = analysis(outcomes, "treg_change_placebo", "by_dose")["covariance"]
    assert [round(matrix[i][j], 5) for i, j in ((0, 1), (0, 2), (1, 2))] == [0.02667] * 3
    assert analysis(outcomes, "treg_change_placebo", "combined")["covariance"] is None


def test_two_studies_print_both_intervals(outcomes, sections):
    beside = analysis(outcomes, "sri4_week12", "reml_hk")["companions"]
    assert [row["test"] for row in beside] == ["z"]
    hartung = analysis(outcomes, "sri4_week12", "reml_hk")["estimates"][0]
    assert f"{math.exp(hartung['ci_lower']):.2f}" == "0.10"
    assert f"{math.exp(hartung['ci_upper']):.0f}" == "18"
    assert "The primary interval is the one by z" in sections["sri4_week12"]


def test_normal_intervals_of_few_studies_are_marked(sections):
    """Primary z of 2 studies, per protocol likewise; the common effect has no τ² that it could take as known."""
    found = sections["sri4_week12"]
    few = "with 2 studies the normal (z) interval, which takes τ² as known, holds the truth less often than it says."
    assert found.count(few) == 2
    assert re.search(rf"z \(primary\)\s*No prediction interval: [^;]*; {re.escape(few)}", found)


def test_a_row_says_everything_its_model_says(outcomes, sections):
    """What is NaN in the row has its reason in it, and nothing that a model says of itself is left out."""
    rows = 0
    for outcome, answer in outcomes.items():
        for found in answer["analyses"]:
            (model,) = found["model"]
            if model["status_reason"] and model["status"] not in ("not_pooled", "one_study"):
                rows += 1
                assert model["status_reason"][1:].rstrip(".") in sections[outcome]
    assert rows >= 15


def test_control_risks(outcomes, sections):
    risks = {row["study"]: row["risk"] for row in outcomes["clinical_response"]["control_risks"]}
    assert list(risks.values()) == [9 / 30, 29 / 50, 2 / 22, 10 / 24]
    assert [round(100 * value) for value in (min(risks.values()), max(risks.values()))] == [9, 58]
    assert "29/50" in sections["clinical_response"]


def test_an_undefined_ratio_is_said_to_be_undefined(outcomes, sections):
    found = analysis(outcomes, "influenza_like", "mh_rr")
    assert (found["model"][0]["status"], found["estimates"][0]["estimate"]) == ("undefined", None)
    assert "no event occurred in any control arm" in found["model"][0]["status_reason"]
    assert "undefined" in sections["influenza_like"]
    assert "No event occurred in any control arm" in sections["influenza_like"] or (
        "no event occurred in any control arm" in sections["influenza_like"]
    )


def test_the_double_zero_study_keeps_its_weight(outcomes, sections):
    rows = analysis(outcomes, "serious_adverse_event", "mh_rd")["studies"]
    weights = [18 * 6 / 24, rows[1]["n1"] * rows[1]["n2"] / (rows[1]["n1"] + rows[1]["n2"])]
    assert [row["weight"] for row in rows] == pytest.approx([100 * w / sum(weights) for w in weights], rel=1e-9)
    assert f"{rows[0]['weight']:.1f} %" in sections["serious_adverse_event"]
    assert analysis(outcomes, "serious_adverse_event", "mh_rr")["model"][0]["k"] == 1


@pytest.mark.parametrize("outcome", ["injection_site_reaction", "influenza_like", "serious_adverse_event"])
def test_peto_is_not_used_and_the_page_says_why(outcomes, sections, outcome):
    reasons = outcomes[outcome]["peto_conditions_not_met"]
    assert reasons
    assert "Peto's odds ratio is not used here, because its conditions do not hold." in sections[outcome]
    for reason in reasons:
        assert reason in sections[outcome]
    assert ("60 days" if outcome.startswith("serious") else "6 days") in sections[outcome]
    assert "24 weeks" in sections[outcome]


def test_tables_hold_the_same_numbers(folder, outcomes):
    with (folder / "tables" / "estimates.csv").open(encoding="utf-8", newline="") as stream:
        table = {(row["outcome"], row["analysis"]): row for row in csv.DictReader(stream)}
    for name, found in outcomes.items():
        for part in found["analyses"]:
            for row in part["estimates"]:
                printed = table[name, part["id"]]["estimate"]
                assert (float(printed) if printed else None) == row["estimate"]
    summary = pd.read_csv(folder / "tables" / "summary.csv")
    assert dict(zip(summary["id"], summary["state"], strict=True)) == STATES


def test_every_effect_has_a_trail(folder, outcomes):
    trail = pd.read_csv(folder / "tables" / "trail.csv", keep_default_na=False)
    assert set(trail["basis"]) == {"printed", "derived", "assumed"}
    for name, found in outcomes.items():
        for part in found["analyses"]:
            mine = trail[(trail["outcome"] == name) & (trail["analysis"] == part["id"])]
            for study in part["studies"]:
                steps = mine[mine["study"] == study["study"]]
                assert (steps["quotes"] != "").any()
                if part["model"][0]["method"] == "MH":  # pools the counts themselves, so the trail ends at them
                    assert set(steps["quantity"]) <= {"events1", "n1", "events2", "n2"}
                    for quantity in ("events1", "n1", "events2", "n2"):
                        assert float(steps[steps["quantity"] == quantity]["value"].iloc[-1]) == study[quantity]
                else:
                    last = steps[steps["quantity"] == "yi"].iloc[-1]
                    assert float(last["value"]) == pytest.approx(study["yi"], rel=1e-12)


# ---------------------------------------------------------------- the page


def test_the_page_is_whole(page):
    assert page.open == []
    assert page.unclosed == []
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("h1")) == len(page.all("title")) == 1
    assert page.text.count(SPEC.title) >= 2
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(set(ids)) == len(ids)
    links = [attributes["href"].removeprefix("#") for attributes in page.all("a")]
    assert set(links) <= set(ids)


def test_the_page_stands_alone(page, html):
    assert not page.all("script")
    assert not page.all("iframe")
    for attributes in page.all("img"):
        assert attributes["src"].startswith("data:image/svg+xml;base64,")
        assert attributes["alt"].startswith("Forest plot: ")
    for attributes in page.all("link"):
        assert attributes["href"].startswith("data:")
    assert "url(" not in html
    assert "@import" not in html
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)


def test_the_page_has_a_picture_for_every_outcome(page, folder):
    assert len(page.all("img")) == len(list((folder / "figures").glob("*.svg")))


def test_the_page_says_no_missing_number_as_such(page):
    for word in ("nan", "NaN", "None", "inf", "<NA>"):
        assert not re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", page.text)
    assert "significan" not in page.text.lower()


@pytest.mark.parametrize("spec", SPEC.outcome, ids=lambda spec: spec.id)
def test_every_outcome_is_on_the_page(sections, outcomes, spec):
    words = sections[spec.id]
    state = {"pooled": "pooled", "one_study": "one study", "not_comparable": "not comparable"}[STATES[spec.id]]
    for expected in (spec.title, spec.question, state, outcomes[spec.id]["reason"], *spec.caveats):
        assert expected in words
    for beside in outcomes[spec.id]["beside"]:
        assert beside["study"] in words
        assert beside["shown"] in words
        assert beside["reason"] in words
    for part in outcomes[spec.id]["analyses"][:1]:
        for study in part["studies"]:
            assert study["study"] in words


@pytest.mark.parametrize("outcome", BEFORE_AFTER)
def test_before_and_after_says_what_it_cannot_show(sections, outcome):
    assert "A before/after comparison has no control group." in sections[outcome]
    assert "regression to the mean" in sections[outcome]
    assert "never mixed with comparisons against control" in sections[outcome]


def test_before_and_after_is_never_in_one_analysis_with_control(outcomes):
    families = {"MC": 1, "SMCC": 1, "SMCR": 1, "ROMC": 1}
    for spec in SPEC.outcome:
        measures = {part["model"][0]["measure"] for part in outcomes[spec.id]["analyses"]}
        assert {families.get(measure, 0) for measure in measures} == {int(spec.design == "before_after")}


def test_one_hospital_is_named(page, sections):
    assert "one hospital group (Shanxi)" in page.text
    assert sections["treg_percentage_change"].count("Shanxi") >= 4


def test_the_placebo_arm_stands_beside_the_change_in_activity(sections):
    assert "placebo moved 0.45 on the scale of the log ratio, IL-2 0.72" in sections["activity_change"]
    assert "He 2020, control arm" in sections["activity_change"]


def test_assumptions_and_formulas_are_on_the_page(sections):
    words = sections["salt_change"]
    for expected in ("Luo D, Wan X", "Wan X, Wang W", "r = 0.5; it is not printed", "the values are close to normal"):
        assert expected in words
    assert "1:1 allocation gave arms of equal size" in sections["sri4_week12"]
    assert "68 % and 58 % alone fit 18 splits of 100" in sections["sri4_week12"]


def test_every_review_row_is_on_the_page(html):
    cover = html.split('id="coverage"')[1]
    records = m2.load_records("il2")
    for review in SPEC.review:
        table = cover.split(f"<h3>{review.title}</h3>")[1].split("</table>")[0]
        cells = re.findall(r"<tr><td>(\d+)</td><td>(.*?)</td>", table)
        shown = records.tables[review.table]
        assert [row for row, _ in cells] == shown["row"].astype(str).tolist()
        assert [disease for _, disease in cells] == shown["disease"].tolist()
        assert len(re.findall('class="badge', table)) == len(shown) * len(SPEC.outcome)
    assert "direction only" in cover
    assert "not found" in cover
