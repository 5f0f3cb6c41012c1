"""Patients who would count twice: rows, arms, times, outcomes, cohorts and designs, in tables and in records."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import metail2 as m2
from metail2.checks.unit_of_analysis import record_unit_findings
from metail2.checks.validate import validate
from metail2.records.reading import read_records

MEANS = ("study", "mean1", "sd1", "n1", "mean2", "sd2", "n2")
COUNTS = ("study", "events1", "n1", "events2", "n2")


def table(*rows, columns=MEANS, **more):
    """A table of cells as text, rows counted as a spreadsheet does."""
    frame = pd.DataFrame([list(map(str, row)) for row in rows], columns=list(columns)).assign(**more)
    return frame.set_axis(range(2, len(frame) + 2)).rename_axis("row")


def hits(frame, measure=None):
    """Code, row and message of what this module found."""
    found = [one for one in validate(frame, measure, file="x.csv") if "M080" <= one.code <= "M089"]
    return [(one.code, one.row, one.message) for one in found]


def codes(frame, measure=None):
    return [(code, row) for code, row, _ in hits(frame, measure)]


CONTROL = ("5.2", "1.1", "30")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Hall 2013, 0.3 mg", "Hall 2013, 1 mg"),
        ("Hall 2013a", "Hall 2013b"),
        ("Hall (low)", "HALL (high)"),
        ("Hall", "Hall"),
        ("Hall 2013", "Moore 2015"),
    ],
)
def test_a_shared_control_is_found_under_any_names(one, other):
    frame = table((one, "7.1", "1.4", 28, *CONTROL), ("Wu 2012", "6.5", "1.2", 51, "5.9", "1.3", 49),
                  (other, "7.9", "1.5", 29, *CONTROL))  # fmt: skip
    assert hits(frame) == [
        (
            "M080", 4,
            f"x.csv, row 4, {other}: has the same control arm (n2 30, mean2 5.2, sd2 1.1) as row 2 ({one}), so its "
            "patients count twice; combine the other arms, split this one, or use the covariance of the comparisons.",
        )
    ]  # fmt: skip


def test_three_treatments_against_one_control_give_two_hits():
    rows = [(f"Hall 2013, {dose} mg", f"{mean}", "1.4", 28, *CONTROL) for dose, mean in ((1, 7.1), (2, 7.6), (3, 8))]
    found = hits(table(*rows))
    assert [(code, row) for code, row, _ in found] == [("M080", 3), ("M080", 4)]
    assert all("as row 2 (Hall 2013, 1 mg)" in message for _, _, message in found)


def test_shared_counts_and_cells():
    frame = table(("Hall 2013a", 3, 20, 4, 20), ("Hall 2013b", 6, 22, 4, 20), columns=COUNTS)
    assert codes(frame) == [("M080", 3)]
    cells = table(("Hall 2013a", 3, 17, 4, 16), ("Hall 2013b", 6, 16, 4, 16), columns=("study", *"abcd"))
    assert codes(cells) == [("M080", 3)]


def test_a_shared_first_arm_is_found_too():
    frame = table(
        ("Hall 2013, v. placebo", *CONTROL, "7.1", "1.4", 28), ("Hall 2013, v. drug", *CONTROL, "6", "1.3", 9)
    )
    assert [(code, "same first arm" in message) for code, _, message in hits(frame)] == [("M080", True)]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("A 2001", 1, 20, 0, 20), ("B 2002", 3, 20, 0, 20)),  # none of 20: as often as not
        (("A 2001", 3, 100, 10, 100), ("B 2002", 5, 100, 10, 100)),  # round numbers tell little
    ],
)
def test_few_digits_may_agree_by_chance(first, second):
    assert codes(table(first, second, columns=COUNTS)) == []


def test_chance_is_not_taken_for_a_shared_control():
    """4000 independent trials of similar size: hardly any of the 8 million pairs may be reported."""
    rng = np.random.default_rng(20)
    k = 4000
    frame = pd.DataFrame({
        "study": [f"Trial {i}" for i in range(k)],
        "mean1": rng.normal(50, 5, k).round(1).astype(str), "sd1": rng.normal(10, 1, k).round(1).astype(str),
        "n1": rng.integers(20, 200, k).astype(str),
        "mean2": rng.normal(50, 5, k).round(1).astype(str), "sd2": rng.normal(10, 1, k).round(1).astype(str),
        "n2": rng.integers(20, 200, k).astype(str),
    }, index=range(2, k + 2))  # fmt: skip
    assert codes(frame) == []


def case_series(rng):
    """A proportion in small groups, with its percentage and exact interval."""
    n = rng.integers(3, 25, rng.integers(6, 20))
    x = rng.binomial(n, 0.08)
    low = np.where(x > 0, stats.beta.ppf(0.025, np.maximum(x, 1), n - x + 1), 0)
    high = np.where(x < n, stats.beta.ppf(0.975, x + 1, np.maximum(n - x, 1)), 1)
    return {"events": x, "n": n, "percent": [f"{one:.1f}" for one in 100 * x / n],
            "ci_lower": [f"{end:.3f}" for end in low], "ci_upper": [f"{end:.3f}" for end in high]}  # fmt: skip


def harms(rng):
    """Adverse events of trials of round sizes, with percentages, risk ratio, interval and Fisher's P."""
    n = rng.choice([20, 30, 40, 50, 60, 100], rng.integers(6, 20))
    a, c = rng.binomial(n, 0.08), rng.binomial(n, 0.1)
    p = [stats.fisher_exact([[i, k - i], [j, k - j]]).pvalue for i, j, k in zip(a, c, n, strict=True)]
    ratio, se = (a + 0.5) / (c + 0.5), np.sqrt(1 / (a + 0.5) + 1 / (c + 0.5) - 2 / (n + 1))
    shown = {"estimate": ratio, "ci_lower": ratio * np.exp(-1.96 * se), "ci_upper": ratio * np.exp(1.96 * se)}
    return {
        "events1": a, "n1": n, "events2": c, "n2": n, "percent1": [f"{one:.1f}" for one in 100 * a / n],
        "percent2": [f"{one:.1f}" for one in 100 * c / n], "p": [f"{one:.3f}" for one in p],
        **{name: [f"{one:.2f}" for one in values] for name, values in shown.items()},
    }  # fmt: skip


@pytest.mark.parametrize("make", [case_series, harms])
def test_figures_that_follow_from_counts_are_no_evidence_of_copies(make):
    """Small counts agree by chance, and so does all that is computed of them: at most 1 of 100 tables is accused."""
    rng = np.random.default_rng(31)
    accused = 0
    for _ in range(100):
        made = make(rng)
        frame = pd.DataFrame({"study": [f"Author{i}" for i in range(len(made["percent1" if make is harms else "n"]))],
                              **made})  # fmt: skip
        accused += bool({"M080", "M081"} & {one.code for one in validate(frame)})
    assert accused <= 1


def test_what_follows_from_means_is_no_evidence_either():
    row = {"mean1": 5, "sd1": 2, "n1": 20, "mean2": 4, "sd2": 2, "n2": 20, "p": "0.122", "estimate": "1.00",
           "ci_lower": "-0.28", "ci_upper": "2.28"}  # fmt: skip
    others = [{"study": f"Trial {n}", **row, "mean1": 5 + n, "n1": n} for n in range(21, 30)]
    frame = pd.DataFrame([*({"study": name, **row} for name in ("Adams 2001", "Baker 2002")), *others])
    assert codes(frame) == []
    precise = frame.head(2).assign(mean1="5.23", sd1="2.11", mean2="4.18", sd2="2.46")
    assert codes(precise) == [("M081", 3)]


def test_effects_of_few_patients_agree_as_often_as_their_counts():
    rng = np.random.default_rng(32)
    accused = 0
    for _ in range(60):
        n = rng.choice([10, 20, 50, 200], rng.integers(6, 20))
        a, c = rng.binomial(n, 0.15) + 0.5, rng.binomial(n, 0.4) + 0.5
        ratio, spread = a / c, np.exp(1.96 * np.sqrt(1 / a + 1 / c - 2 / (n + 1)))
        shown = {"estimate": ratio, "ci_lower": ratio / spread, "ci_upper": ratio * spread}
        effects = {name: [f"{one:.2f}" for one in values] for name, values in shown.items()}
        frame = pd.DataFrame({"study": [f"A{i}" for i in range(len(n))], "n1": n, "n2": n, **effects})
        accused += "M081" in {one.code for one in validate(frame, "RR")}
    assert accused <= 1


def test_effects_with_an_interval_entered_twice():
    one = ("0.74", "0.55", "1.00", "0.051")
    rows = [("A", *one), ("B", "0.9", "0.7", "1.2", "0.4"), ("C", *one), ("D", "0.9", "0.7", "1.2", "0.4")]
    frame = table(*rows, columns=("study", "estimate", "ci_lower", "ci_upper", "p"))
    assert codes(frame) == [("M081", 4)]


def test_a_year_in_front_does_not_name_a_study():
    rows = [("2001 Smith", 3, 20, 0, 20), ("2001 Jones", 5, 22, 0, 20), ("2001", 4, 21, 0, 20)]
    assert codes(table(*rows, columns=COUNTS)) == []
    assert codes(table(rows[0], ("2001 Smith, 5 mg", 6, 23, 0, 20), columns=COUNTS)) == [("M080", 3)]


def test_another_time_outcome_or_population_is_another_control():
    rows = [("Hall 2013", "7.1", "1.4", 28, *CONTROL), ("Hall 2013", "7.9", "1.5", 29, *CONTROL)]
    for column, values in (("timepoint", ["week 4", "week 8"]), ("population", ["ITT", "PP"])):
        assert codes(table(*rows, **{column: values})) == [("M083", 3)]
    assert codes(table(*rows, outcome=["pain", "sleep"])) == [("M084", 3)]


@pytest.mark.parametrize("other", ["Hall 2013", "Moore 2015"])
def test_a_row_entered_twice(other):
    row = ("7.1", "1.4", 28, *CONTROL)
    assert hits(table(("Hall 2013", *row), (other, *row))) == [
        (
            "M081", 3,
            f"x.csv, row 3, {other}: repeats every figure of row 2 (Hall 2013); remove one of the rows or correct it.",
        )
    ]  # fmt: skip


def test_effects_entered_twice():
    frame = table(("A", "0.1234", "0.0567"), ("B", "0.1234", "0.0567"), ("C", "0.1", "0.2"), ("D", "0.1", "0.2"),
                  columns=("study", "yi", "vi"))  # fmt: skip
    assert codes(frame) == [("M081", 3)]


def test_one_study_in_several_rows():
    frame = table(("A", 1, 20, 2, 21), ("B", 4, 30, 5, 31), ("A", 6, 40, 7, 41), ("A", 8, 50, 9, 51), columns=COUNTS)
    assert hits(frame) == [
        (
            "M082", 4,
            "x.csv, row 4, A: stands in row 2, row 4 and row 5; one outcome has one row a study, so keep one, combine "
            "them, or name them apart.",
        )
    ]  # fmt: skip


def test_one_study_at_several_times():
    frame = table(("A", 1, 20, 2, 21), ("B", 4, 30, 5, 31), ("A", 6, 20, 7, 21), columns=COUNTS)
    frame["timepoint"] = ["week 12", "week 12", "week 24"]
    assert hits(frame) == [
        (
            "M083", 4,
            "x.csv, row 4, A: stands in 2 rows, row 2 (week 12) and row 4 (week 24); these are the same patients, so "
            "keep one of the rows in a pool.",
        )
    ]  # fmt: skip


def test_several_outcomes_of_a_study_are_a_note():
    frame = table(("A", 1, 20, 2, 21), ("B", 4, 30, 5, 31), ("A", 6, 20, 7, 21), columns=COUNTS)
    frame["outcome"] = ["pain", "pain", "sleep"]
    (found,) = [one for one in validate(frame, file="x.csv") if one.code == "M084"]
    assert (found.severity, found.row) == ("note", 4)
    assert "has rows of 'pain' and 'sleep', which rest on the same patients" in found.message


@pytest.mark.parametrize("column", ["arm", "role"])
def test_where_a_row_is_an_arm_a_study_may_have_several(column):
    rows = [("A", 3, 20), ("A", 3, 20), ("B", 3, 30), ("B", 4, 31)]
    frame = table(*rows, columns=("study", "events", "n"))
    assert codes(frame) == [("M081", 3), ("M082", 5)]
    arms = frame.assign(**{column: ["experimental", "control"] * 2})
    assert codes(arms) == []
    assert codes(arms.assign(**{column: ["experimental", "control", "control", "control"]})) == [("M082", 5)]


def test_a_cohort_in_two_studies():
    rows = [(name, i, 20 + i, 2, 31 + i) for i, name in enumerate("ABCD", start=1)]
    assert codes(table(*rows, columns=COUNTS, cohort=["x", "y", "x", ""])) == [("M085", 4)]
    assert codes(table(*rows, columns=COUNTS, cohort=["x", "y", "x", ""], outcome=list("pqrs"))) == []


@pytest.mark.parametrize("design", ["cluster RCT", "Group-randomised", "cross-over trial", "Crossover", "split-mouth"])
def test_designs_with_dependent_patients(design):
    rows = [(name, i, 20 + i, 2, 31 + i) for i, name in enumerate("ABC", start=1)]
    frame = table(*rows, columns=COUNTS, design=["RCT", design, design])
    assert codes(frame) == [("M086", 3), ("M086", 4)]
    for column in ("icc", "design_effect", "r"):
        assert codes(frame.assign(**{column: ["", "0.05", ""]})) == [("M086", 4)]


@pytest.mark.parametrize(
    "design",
    ["parallel, not crossover", "individually randomised (no clusters)", "cross-over, first period only",
     "non-clustered", "not a cross-over trial", "RCT; crossover was not permitted",
     "crossover (data before crossover used)",
     "randomised individually, not by cluster", "crossover trial, period 1"],
)  # fmt: skip
def test_designs_that_deny_it(design):
    rows = [(name, i, 20 + i, 2, 31 + i) for i, name in enumerate("AB", start=1)]
    assert codes(table(*rows, columns=COUNTS, design=["RCT", design])) == []


def test_a_plain_table_without_labels_or_figures_has_nothing_to_find():
    frame = table((1, 20, 2, 21), (1, 20, 2, 22), columns=COUNTS[1:])
    assert codes(frame) == []
    assert codes(table(("A", "x"), ("A", "y"), columns=("study", "remark"))) == []


@pytest.mark.parametrize("name", ["bcg", "nielweise2007", "nielweise2008", "normand1999", "yusuf1985", "hackshaw1998"])
def test_the_teaching_sets_are_clean(name):
    frame = m2.load_dataset(name)
    own = {"events1": "tpos", "n1": "tn", "events2": "cpos", "n2": "cn", "study": "author"} if name == "bcg" else {}
    assert [one for one in validate(frame, **own) if "M080" <= one.code <= "M089"] == []


# ---------------------------------------------------------------- records


def test_il2_shares_a_placebo_cohorts_and_happenings():
    found = {(one.code, one.study): one for one in record_unit_findings(m2.load_records("il2"))}
    assert set(found) == {
        ("M087", "hartemann2013"), ("M089", "seelig2018"), ("M088", "humrich2014case"), ("M088", "an2019"),
        ("M088", "zhang2019dmpm"), ("M088", "miao2021"), ("M088", "zhang2016ra"),
    }  # fmt: skip
    assert {one.severity for one in found.values()} == {"note"}
    assert found["M087", "hartemann2013"].message == (
        "outcomes.csv, hartemann2013: compares il2_0.33, il2_1 and il2_3 with one control arm in treg_pct_cd4, "
        "adverse_event_nonserious, injection_site_reaction, influenza_like and serious_adverse_event, so the "
        "comparisons share patients; combine the arms (as harmonise does) or keep them apart with their covariance "
        '(arms="separate").'
    )
    assert found["M088", "miao2021"].message == (
        "studies.csv, miao2021: may hold the same patients as Yunzhi 2022 (via AB0911) (cohort 'peking_myositis'); "
        "enter one of them in any one pool; more than one of them prints cdasi."
    )
    assert "464 for injection_site_reaction (R0078)" in found["M089", "seelig2018"].message


STUDIES = "study_id,label,design\none,Alpha 2020,{}\n"
HEADER = "record_id,study_id,outcome,arm,role,timepoint,statistic,value,unit_kind,source,quote\n"
ARM = "R{},one,pain,{},{},week 4,{},{},{},made by hand,words\n"


def records(tmp_path, *arms, design="RCT"):
    """One study; each arm is a name, a role and a statistic with its value."""
    rows = [
        ARM.format(i, name, role, statistic, value, "patients" if statistic in ("n", "events") else "score")
        for i, (name, role, statistic, value) in enumerate(arms, start=1)
    ]
    (tmp_path / "studies.csv").write_text(STUDIES.format(design), encoding="utf-8")
    (tmp_path / "outcomes.csv").write_text(HEADER + "".join(rows), encoding="utf-8")
    return [one.code for one in record_unit_findings(read_records(tmp_path))]


def test_records_with_one_arm_or_none_beside_the_control(tmp_path):
    control = ("placebo", "control", "mean", 5)
    assert records(tmp_path, ("drug", "experimental", "mean", 7), control) == []
    assert records(tmp_path, ("low", "experimental", "mean", 7), ("high", "experimental", "mean", 8), control) == [
        "M087"
    ]
    # numbers of patients alone are no comparison, and without a control nothing is shared
    assert records(tmp_path, ("low", "experimental", "n", 7), ("high", "experimental", "n", 8), control) == []
    assert records(tmp_path, ("low", "experimental", "mean", 7), ("high", "experimental", "mean", 8)) == []


def test_records_of_a_crossover(tmp_path):
    assert records(tmp_path, ("drug", "experimental", "mean", 7), design="crossover RCT") == ["M086"]
