"""Stored results against recomputed ones.

The stored figures of the made-up reviews (tests/records/reviews/data) were computed by `revman_by_hand`, in 40-digit
arithmetic that shares no code with metail2; the first test checks that they still are its figures. Everything after it
changes single figures and looks whether the change is found, and nothing else.
"""

import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import revman_by_hand as by_hand

from metail2.checks.definition import CHECKS
from metail2.checks.stored_results import stored_differences
from metail2.records.reviews.precision import Precision
from metail2.records.reviews.reading import read_review
from metail2.records.reviews.review import FIGURES, STORED, TOTALS, Analysis, Review, Settings

DATA = Path(__file__).parents[1] / "records" / "reviews" / "data"
FILES = ("made_up.rm5", "package_v1", "package_v2")
ESTIMATE = ["effect", "ci_lower", "ci_upper"]
TRUE_MEASURE = {("package_v1", "1.2"): "RR"}
CODES = dict.fromkeys(ESTIMATE, "M100") | {"weight": "M105"}
TOTAL_CODES = dict.fromkeys([*ESTIMATE, "z", "p_value"], "M101")
REVIEWS = {file: read_review(DATA / file) for file in FILES}
CASES = [(file, analysis.number) for file in FILES for analysis in REVIEWS[file].analyses if analysis.kind != "other"]


def codes(review):
    return sorted(finding.code for finding in stored_differences(review))


def only(review, number, **changes):
    """A review of one analysis, changed."""
    return replace(review, analyses=(replace(review.analysis(number), **changes),))


def set_cell(frame, at, column, value):
    changed = frame.copy()
    changed.iloc[at, changed.columns.get_loc(column)] = value
    return changed


def reml(analysis):
    return analysis.settings.tau2 == "REML"


# ---------------------------------------------------------------- the fixtures


def effect_by_hand(kind, measure, row):
    figures = [row[name] for name in FIGURES[kind]]
    if kind == "dichotomous":
        return by_hand.of_table(measure, *map(int, figures))
    if kind == "continuous":
        m1, s1, n1, m2, s2, n2 = figures
        return by_hand.of_means(measure, m1, s1, int(n1), m2, s2, int(n2))
    first, second = (by_hand.mpf(str(value)) for value in figures)
    return (first, second**2) if kind == "generic" else (first / second, 1 / second)


def pooled_by_hand(analysis, measure, rows):
    settings = analysis.settings
    pairs = [(effect_by_hand(analysis.kind, measure, row), row) for row in rows if row["state"] == "used"]
    tables = [[int(row[name]) for name in FIGURES["dichotomous"]] for _, row in pairs if "events1" in row]
    method = "MH" if settings.method == "MH" else "IV"
    tau2 = settings.tau2 if settings.model == "random" else ""
    effects = [effect for effect, _ in pairs]
    return by_hand.pool(effects, method, tau2, settings.test, str(settings.level_total), measure, tables)


@pytest.mark.parametrize(("file", "number"), CASES)
def test_the_fixtures_hold_what_arithmetic_gives(file, number):
    analysis = REVIEWS[file].analysis(number)
    measure = TRUE_MEASURE.get((file, number), analysis.settings.measure)
    show = by_hand.mp.exp if analysis.settings.log_scale else by_hand.mpf
    close = {"rel": 1e-12, "abs": 1e-14} if file.endswith("rm5") else {"rel": 1e-15, "abs": 5.0001e-7}
    rows = analysis.table.to_dict("records")
    half = by_hand.quantile(str(analysis.settings.level_studies))
    for row in rows:
        if row["state"] != "not_estimable":
            y, v = effect_by_hand(analysis.kind, measure, row)
            se = by_hand.sqrt(v)
            for name, value in zip(ESTIMATE, (y, y - half * se, y + half * se), strict=True):
                assert row[name] == pytest.approx(float(show(value)), **close)
        else:
            assert math.isnan(row["effect"])
    for stored in analysis.totals.to_dict("records"):
        group = [row for row in rows if stored["subgroup"] in ("", row["subgroup"])]
        pooled = pooled_by_hand(analysis, measure, group)
        for name in set(TOTALS) - {"weight", "between_q", "between_p"}:
            value = show(pooled[name]) if name in ESTIMATE else pooled[name]
            assert stored[name] == pytest.approx(float(value), **close), name
        if analysis.settings.totals == "subgroups" or stored["subgroup"] == "":
            weights = [row["weight"] for row in group if row["state"] == "used"]
            assert weights == pytest.approx([float(w) for w in pooled["weights"]], **close)
    if analysis.subgroups and analysis.settings.totals == "all":
        groups = [
            pooled_by_hand(analysis, measure, [r for r in rows if r["subgroup"] == n]) for n in analysis.subgroups
        ]
        q, p = by_hand.subgroup_test(groups)
        assert analysis.totals["between_q"].iloc[-1] == pytest.approx(float(q), **close)
        assert analysis.totals["between_p"].iloc[-1] == pytest.approx(float(p), **close)


def test_nothing_is_found_but_what_was_put_there():
    assert codes(REVIEWS["made_up.rm5"]) == []
    assert codes(REVIEWS["package_v1"]) == ["M102"]
    assert codes(REVIEWS["package_v2"]) == ["M104", "M107"]


def test_findings_name_their_place():
    (label,) = stored_differences(REVIEWS["package_v1"])
    assert label.message == (
        "CD000001-overall-estimates-and-settings.csv, row 3: analysis 1.2 says 'Odds Ratio', but the stored effects "
        "are risk ratios; correct the label, or analyse again."
    )
    left_out, twice = stored_differences(REVIEWS["package_v2"])
    assert (left_out.file, left_out.row, left_out.study, left_out.severity) == (
        "CD000002-data-rows.csv", 6, "Gorse 2018", "note",
    )  # fmt: skip
    assert (twice.row, twice.study) == (7, "Ash 2001")
    assert "by the subgroups Low dose and High dose (rows 7 and 9)" in twice.message


# ---------------------------------------------------------------- every stored figure, changed


@pytest.mark.parametrize(("file", "number"), CASES)
def test_every_changed_study_figure_is_found(file, number):
    review = REVIEWS[file]
    analysis = review.analysis(number)
    before = codes(only(review, number))
    for at, name in np.ndindex(len(analysis.table), len(STORED)):
        stored = analysis.table[STORED[name]].iloc[at]
        if stored > 0 or stored < 0:
            # REML may have stopped a little early, which a change must exceed
            changed = set_cell(analysis.table, at, STORED[name], stored * (1.02 if reml(analysis) else 1.001))
            found = stored_differences(only(review, number, table=changed))
            assert sorted(f.code for f in found) == sorted([*before, CODES[STORED[name]]])
            (finding,) = [f for f in found if f.code == CODES[STORED[name]]]
            assert (finding.row, finding.study) == (changed.index[at], changed["study"].iloc[at])
            assert finding.column == STORED[name]
            assert f"column '{STORED[name]}' ({review.columns[STORED[name]]}, analysis {number}) " in finding.message


@pytest.mark.parametrize(("file", "number"), CASES)
def test_every_changed_pooled_figure_is_found(file, number):
    review = REVIEWS[file]
    analysis = review.analysis(number)
    before = codes(only(review, number))
    compared = 0
    for at, name in ((at, name) for at in range(len(analysis.totals)) for name in TOTALS if name != "weight"):
        row = analysis.totals.iloc[at]
        applies = row["q_df"] > 0 if name in ("q", "q_df", "q_p", "i2", "tau2") else True
        if not applies or not abs(row[name]) > 1e-3:
            continue
        value = row[name] + 1 if name == "q_df" else row[name] * (1.02 if reml(analysis) else 1.002)
        changed = set_cell(analysis.totals, at, name, value)
        found = stored_differences(only(review, number, totals=changed))
        assert sorted(f.code for f in found) == sorted([*before, TOTAL_CODES.get(name, "M103")]), name
        compared += 1
        (finding,) = [f for f in found if f.code == TOTAL_CODES.get(name, "M103")]
        assert (finding.file, finding.row, finding.column) == (
            row["file"],
            analysis.totals.index[at],
            name,
        )
        assert f"({review.columns[name]}, analysis {number})" in finding.message
    assert compared >= 5


def test_a_finding_names_both_numbers():
    review = REVIEWS["made_up.rm5"]
    table = set_cell(review.analysis("1.4").table, 1, "effect", -0.25)
    (finding,) = stored_differences(only(review, "1.4", table=table))
    g = float(by_hand.of_means("SMD", 41.0, 11.5, 140, 43.5, 12.0, 139)[0])
    assert finding.message == (
        f"made_up.rm5, row {table.index[1]}, Beech 2003: column 'effect' (EFFECT_SIZE, analysis 1.4) holds −0.25, but "
        f"the figures of the study give −{abs(g):.4g}; find out which is right."
    )


@pytest.mark.parametrize("number", ["1.1", "1.2", "1.3"])
def test_a_changed_count_is_found_in_the_study_and_in_the_total(number):
    review = REVIEWS["made_up.rm5"]
    table = review.analysis(number).table
    changed = set_cell(table, 0, "events1", table["events1"].iloc[0] + 4)
    found = stored_differences(only(review, number, table=changed))
    studies = [finding for finding in found if finding.code == "M100"]
    assert [finding.study for finding in studies] == ["Ash 2001"]
    assert {"M100", "M101", "M103"} <= {finding.code for finding in found}
    assert "M102" not in {finding.code for finding in found}


# ---------------------------------------------------------------- labels


@pytest.mark.parametrize(
    ("file", "number", "settings", "words"),
    [
        ("made_up.rm5", "1.1", {"label": "RD", "measure": "RD", "log_scale": False}, "effects are risk ratios"),
        ("made_up.rm5", "1.2", {"label": "RR", "measure": "RR"}, "'RR', but the stored effects are odds ratios"),
        ("made_up.rm5", "1.2", {"swap_events": True}, "count events, against the setting"),
        ("made_up.rm5", "1.3", {"label": "OR", "measure": "OR", "method": "IV"}, "are Peto odds ratios"),
        ("made_up.rm5", "1.4", {"label": "MD", "measure": "MD"}, "are standardised mean differences"),
        ("made_up.rm5", "2.1", {"log_scale": False}, "ratios, whose logarithms the figures are"),
        ("made_up.rm5", "1.2", {"method": "IV"}, "says inverse variance, fixed effect, but the stored totals"),
        ("made_up.rm5", "1.2", {"model": "random"}, "those of Mantel–Haenszel, fixed effect"),
        ("made_up.rm5", "1.4", {"model": "fixed"}, "those of random effects, DerSimonian–Laird"),
        ("made_up.rm5", "2.1", {"model": "fixed"}, "those of random effects, DerSimonian–Laird"),
        ("package_v2", "1.1", {"test": "z"}, "those of random effects, restricted maximum likelihood, Hartung–Knapp"),
    ],
)  # fmt: skip
def test_a_label_that_disagrees_is_one_finding(file, number, settings, words):
    review = REVIEWS[file]
    chosen = replace(review.analysis(number).settings, **settings)
    found = stored_differences(only(review, number, settings=chosen))
    labels = [finding for finding in found if finding.code == "M102"]
    assert len(labels) == 1
    assert words in labels[0].message
    assert {finding.code for finding in found} <= {"M102", "M107"}


def test_a_peto_method_by_its_other_name_is_no_finding():
    review = REVIEWS["made_up.rm5"]
    assert codes(only(review, "1.3", settings=replace(review.analysis("1.3").settings, method="IV"))) == []


def test_random_mantel_haenszel_is_that_of_inverse_variance_but_for_q():
    """RevMan's "M-H, random": the label may say either, and each is found where its own Q is stored."""
    review = REVIEWS["made_up.rm5"]
    analysis = review.analysis("1.1")
    settings = replace(analysis.settings, method="IV")
    found = stored_differences(only(review, "1.1", settings=settings))
    assert all(finding.code != "M102" for finding in found)
    used = analysis.table[analysis.table["state"] == "used"].to_dict("records")
    pooled = pooled_by_hand(replace(analysis, settings=settings), "RR", used)
    totals = analysis.totals
    for name in (*ESTIMATE, "z", "p_value", "q", "q_p", "i2", "tau2"):
        value = by_hand.mp.exp(pooled[name]) if name in ESTIMATE else pooled[name]
        totals = set_cell(totals, 2, name, float(value))
    weights = np.where(analysis.table["state"] == "used", 0.0, np.nan)
    weights[np.isfinite(weights)] = [float(w) for w in pooled["weights"]]
    table = analysis.table.assign(weight=weights)
    totals = totals.iloc[[2]].assign(between_q=np.nan, between_p=np.nan)
    assert codes(only(review, "1.1", totals=totals, table=table)) == []


# ---------------------------------------------------------------- who is counted, and what is not recomputed


def test_a_study_in_two_subgroups_counts_twice_only_in_a_total():
    review = REVIEWS["made_up.rm5"]
    assert codes(only(review, "2.3")) == []  # totals of subgroups only
    analysis = review.analysis("1.1")
    table = analysis.table.assign(study=["Ash 2001", "Beech 2003", "Cedar 2007", "Ash 2001", "Cedar 2007"])
    assert codes(only(review, "1.1", table=table)) == ["M104"]  # Cedar 2007 has no weight in one of its rows


def test_what_is_not_known_is_said_and_not_compared():
    review = REVIEWS["package_v1"]
    analysis = review.analysis("1.1")
    for unknown in ("method", "model", "tau2", "test"):
        (finding,) = stored_differences(only(review, "1.1", settings=replace(analysis.settings, **{unknown: ""})))
        assert finding.code == "M106"
        assert "not known here, so its stored results were not recomputed" in finding.message
    other = replace(analysis.settings, measure="GEN", label="Ratio of ratios")
    assert codes(only(review, "1.1", settings=other)) == ["M106"]


def test_without_stored_results_there_is_nothing_to_find():
    review = REVIEWS["made_up.rm5"]
    analysis = review.analysis("1.2")
    table, totals = analysis.table.copy(), analysis.totals.copy()
    table[list(STORED)] = np.nan
    totals[list(TOTALS)] = np.nan
    assert codes(only(review, "1.2", table=table, totals=totals)) == []
    assert codes(only(review, "1.2", table=table)) == []  # totals alone can be right …
    wrong = set_cell(analysis.totals, 0, "effect", 2.0)
    assert codes(only(review, "1.2", table=table, totals=wrong)) == ["M101"]  # … or wrong


def test_a_total_of_no_study_and_an_effect_of_no_figures():
    review = REVIEWS["made_up.rm5"]
    analysis = review.analysis("1.5")
    table = analysis.table.assign(n1=0.0, n2=0.0, state="not_estimable")
    found = stored_differences(only(review, "1.5", table=table))
    assert [finding.code for finding in found] == ["M100", "M100", "M101"]
    assert all("give nothing" in finding.message for finding in found)


# ---------------------------------------------------------------- precision and zero cells


@pytest.mark.parametrize("decimals", [1, 2, 4])
def test_rounded_files_give_no_finding_and_changes_beyond_rounding_do(decimals):
    review = REVIEWS["made_up.rm5"]
    precision = {name: Precision(decimals, 17) for name in ("effect", *TOTALS[3:])}
    analyses = []
    for analysis in review.analyses:
        table, totals = analysis.table.copy(), analysis.totals.copy()
        table[list(STORED)] = table[list(STORED)].round(decimals)
        totals[list(TOTALS)] = totals[list(TOTALS)].round(decimals)
        analyses.append(replace(analysis, table=table, totals=totals))
    rounded = replace(review, analyses=tuple(analyses), precision=precision)
    assert codes(rounded) == []
    table = rounded.analysis("1.2").table
    changed = set_cell(table, 0, "effect", table["effect"].iloc[0] + 1.1 * 10.0**-decimals)
    assert codes(only(rounded, "1.2", table=changed)) == ["M100"]


def made(measure, tables, stored, method="IV", log_scale=True, total=None):
    """An analysis of two-by-two tables with effects and intervals stored to two decimals."""
    settings = Settings(measure, measure, method, "fixed", log_scale=log_scale)
    table = pd.DataFrame(tables, columns=list(FIGURES["dichotomous"]), dtype=float)
    table[ESTIMATE] = stored
    table = table.assign(study=[f"S{i}" for i in range(len(table))], year="", subgroup="", state="used", weight=np.nan)
    totals = pd.DataFrame([] if total is None else [total], columns=list(TOTALS), dtype=float)
    totals = totals.assign(file="f", subgroup="")
    analysis = Analysis("1.1", "x", "y", "dichotomous", settings, table, totals, "f")
    precision = {name: Precision(2, 4) for name in ("effect", *TOTALS[3:])}
    return Review("", "f", "RevMan 5", "", (analysis,), precision)


@pytest.mark.parametrize(
    ("measure", "tables", "stored"),
    [
        # everybody had the event: RevMan shows a risk ratio of 1, by 0.5 in every cell
        ("RR", [(10, 10, 10, 10)], [(1.00, 0.83, 1.20)]),
        ("RR", [(15, 15, 14, 15)], [(1.07, 0.89, 1.28)]),  # corrected as it has an empty cell
        ("RR", [(15, 15, 14, 15)], [(1.07, 0.94, 1.23)]),  # not corrected, as it can be computed without
        ("RD", [(0, 10, 0, 10)], [(0.00, -0.17, 0.17)]),
        ("RD", [(0, 10, 3, 10)], [(-0.30, -0.60, 0.00)]),  # the difference of the counts, a corrected variance
    ],
)
def test_both_ways_to_correct_zero_cells_are_accepted(measure, tables, stored):
    assert codes(made(measure, tables, stored, log_scale=measure != "RD")) == []


def test_a_mantel_haenszel_total_may_be_made_with_or_without_the_correction():
    tables = [(0, 50, 4, 50), (6, 60, 9, 61)]
    effects = [by_hand.of_table("OR", *table) for table in tables]
    stored = [
        [float(by_hand.mp.exp(y + sign * by_hand.quantile("0.95") * by_hand.sqrt(v))) for sign in (0, -1, 1)]
        for y, v in effects
    ]
    with_half, _, _ = by_hand.mantel_haenszel("OR", tables)
    top = sum(a * (n2 - c) / (n1 + n2) for a, n1, c, n2 in tables)
    bottom = sum((n1 - a) * c / (n1 + n2) for a, n1, c, n2 in tables)
    for estimate in (math.exp(with_half), top / bottom):
        total = dict.fromkeys(TOTALS, math.nan) | {"effect": estimate}
        assert codes(made("OR", tables, stored, "MH", total=total)) == []
    wrong = dict.fromkeys(TOTALS, math.nan) | {"effect": top / bottom + 0.2}
    assert codes(made("OR", tables, stored, "MH", total=wrong)) == ["M101"]


def test_the_subgroup_test_of_revman_5_0_is_accepted():
    """It took Q within the subgroups from the Q of all studies."""
    review = REVIEWS["package_v1"]
    analysis = review.analysis("1.3")
    totals = analysis.totals
    old = totals["q"].iloc[2] - totals["q"].iloc[:2].sum()
    totals = set_cell(
        set_cell(totals, 2, "between_q", old), 2, "between_p", float(by_hand.chi2_tail(by_hand.mpf(old), 1))
    )
    assert codes(only(review, "1.3", totals=totals)) == []


def test_i2_as_a_fraction_and_a_p_value_by_t():
    review = REVIEWS["package_v2"]
    analysis = review.analysis("1.1")
    totals = set_cell(analysis.totals, 0, "i2", analysis.totals["i2"].iloc[0] / 100)
    mean = analysis.totals["effect"].iloc[0]
    half = (analysis.totals["ci_upper"].iloc[0] - analysis.totals["ci_lower"].iloc[0]) / 2
    t = by_hand.mpf(abs(mean)) / half * by_hand.t_quantile(by_hand.mpf("0.95"), 3)
    tail = by_hand.mp.betainc(1.5, 0.5, 0, 3 / (3 + t**2), regularized=True)
    totals = set_cell(set_cell(totals, 0, "z", float(t)), 0, "p_value", float(tail))
    assert codes(only(review, "1.1", totals=totals)) == ["M107"]


def test_study_data_have_no_stored_results(tmp_path):
    text = (DATA / "study_data" / "CD000003-study-results.csv").read_text("utf-8")
    (tmp_path / "study-results.csv").write_text(text, "utf-8")
    assert stored_differences(read_review(tmp_path / "study-results.csv")) == []
    shutil.rmtree(tmp_path)


def test_every_code_is_described():
    for number in range(100, 108):
        assert len(CHECKS[f"M{number}"].help) > 60
