"""Suspicions: how often they are right, how seldom they are raised for nothing, and what they are computed with."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import metail2 as m2
from metail2.checks.suspect import NOT_BELOW_0, _deleted_residuals
from metail2.checks.validate import validate

BCG = {"study": "author", "events1": "tpos", "n1": "tn", "events2": "cpos", "n2": "cn"}


def codes(table, measure=None, **options):
    return [(finding.code, finding.row, finding.column) for finding in validate(table, measure, **options)]


def codes_of_each(tables, measure=None):
    """What `codes` finds in each of many tables of as many rows, which are validated as outcomes of one table."""
    k = len(tables[0])
    whole = pd.concat([table.assign(outcome=f"O{i}") for i, table in enumerate(tables)], ignore_index=True)
    found = [[] for _ in tables]
    for code, row, column in codes(whole, measure):
        found[(row - 2) // k].append((code, (row - 2) % k + 2, column))
    return found


def trials(rng, k=8, spread=0.2, sizes=(15, 120)):
    """Means and SDs of k two-arm trials on one scale, with two decimals; log SDs differ by `spread`."""
    n = rng.integers(*sizes, (2, k))
    sd = 8 * np.exp(spread * rng.standard_normal(k)) * np.sqrt(rng.chisquare(n - 1) / (n - 1))
    mean = 40 + 3 * rng.standard_normal(k) + rng.standard_normal((2, k)) * sd / np.sqrt(n)
    arms = {"mean1": mean[0], "sd1": sd[0], "n1": n[0], "mean2": mean[1], "sd2": sd[1], "n2": n[1]}
    return pd.DataFrame({"study": [f"T{i}" for i in range(k)], **arms}).round(2)


# ------------------------------------------------------------------ standard errors and SDs
def test_a_standard_error_among_sds_is_found_and_seldom_anything_else():
    rng = np.random.default_rng(1)
    found = missed = wrong = 0
    tables = [trials(rng) for _ in range(80)]
    for table in tables:
        table.loc[3, ["sd1", "sd2"]] /= np.sqrt(table.loc[3, ["n1", "n2"]].to_numpy(float))
    for each in codes_of_each([table.round(3) for table in tables]):
        hits = {(row, column) for code, row, column in each if code == "M030"}
        right = {(5, "sd1"), (5, "sd2")}
        found, missed, wrong = found + len(hits & right), missed + len(right - hits), wrong + len(hits - right)
    assert found / (found + missed) > 0.9
    assert wrong / (80 * 14) < 0.005


def test_an_sd_among_standard_errors_is_found():
    rng = np.random.default_rng(2)
    found = wrong = 0
    tables = [trials(rng).rename(columns={"sd1": "se1", "sd2": "se2"}) for _ in range(60)]
    for table in tables:
        root = np.sqrt(table[["n1", "n2"]].to_numpy(float))
        root[3] = 1
        table[["se1", "se2"]] = (table[["se1", "se2"]] / root).round(3)
    for each in codes_of_each(tables):
        rows = [row for code, row, _ in each if code == "M031"]
        found, wrong = found + rows.count(5), wrong + len(rows) - rows.count(5)
    assert found / 120 > 0.9
    assert wrong / (60 * 14) < 0.005


@pytest.mark.parametrize(("spread", "share"), [(0.1, 0), (0.3, 0.004), (0.6, 0.012)])
def test_sds_are_seldom_suspected_for_nothing(spread, share):
    rng = np.random.default_rng(3)
    each = codes_of_each([trials(rng, spread=spread) for _ in range(60)])
    hits = [code for found in each for code, *_ in found if code in ("M030", "M031")]
    assert len(hits) / (60 * 16) <= share


@pytest.mark.parametrize("change", [False, True])
def test_instruments_of_different_scales_are_seldom_taken_for_standard_errors(change):
    """A pain score from 0 to 10 among those from 0 to 100, as means or as changes of them."""
    rng = np.random.default_rng(12)
    tables = []
    for _ in range(60):
        table = trials(rng, sizes=(60, 150))
        if change:
            shift = 35 + 8 * rng.standard_normal(8)
            table["mean1"] -= shift
            table["mean2"] -= shift
        table.loc[3:5, ["mean1", "sd1", "mean2", "sd2"]] /= 10
        tables.append(table.round(2))
    accused = sum(any(code == "M030" for code, *_ in each) for each in codes_of_each(tables, "SMD"))
    assert accused / 60 <= 0.05


@pytest.mark.parametrize("measure", ["SMD", "ROM"])
def test_where_instruments_may_differ_it_is_said(measure):
    table = trials(np.random.default_rng(1))
    table.loc[3, ["sd1", "sd2"]] /= np.sqrt(table.loc[3, ["n1", "n2"]].to_numpy(float))
    (first, _) = (one.message for one in validate(table.round(3), measure) if one.code == "M030")
    assert first.endswith("look it up, and whether it is on another scale.")


def test_a_study_in_another_unit_is_found_and_seldom_another():
    rng = np.random.default_rng(13)
    found = wrong = 0
    tables = [trials(rng) for _ in range(60)]
    for table in tables:
        table.loc[3, ["mean1", "sd1", "mean2", "sd2"]] *= 10
    for each in codes_of_each(tables, "MD"):
        rows = [row for code, row, _ in each if code == "M046"]
        found, wrong = found + (5 in rows), wrong + len(rows) - (5 in rows)
    for each in codes_of_each([table.assign(unit="cm") for table in tables], "MD"):
        assert "M046" not in {code for code, *_ in each}
    assert found / 60 > 0.7
    assert wrong == 0


@pytest.mark.parametrize("spread", [0.2, 0.5])
def test_studies_are_seldom_said_to_be_in_another_unit(spread):
    rng = np.random.default_rng(14)
    tables = []
    for _ in range(100):
        table, scale = trials(rng, spread=0.2), np.exp(spread * rng.standard_normal(8))
        for name in ("mean1", "sd1", "mean2", "sd2"):
            table[name] *= scale
        tables.append(table.round(2))
    accused = sum("M046" in {code for code, *_ in each} for each in codes_of_each(tables, "MD"))
    assert accused <= 3


def test_sds_of_small_arms_may_differ_much():
    row = {"study": ["A"], "mean1": [5.0], "sd1": [1.0], "n1": [6], "mean2": [5.0], "sd2": [5.0], "n2": [6]}
    expected = 2 * stats.f.sf(25.0, 5, 5)
    assert expected > 1e-6
    assert "M032" not in {code for code, *_ in codes(pd.DataFrame(row))}
    assert "M032" in {code for code, *_ in codes(pd.DataFrame(row | {"n1": [40], "n2": [40]}))}


def test_true_sds_are_seldom_the_width_of_the_quartiles():
    rng = np.random.default_rng(15)
    rows = []
    for i in range(2000):
        arms = [50 + 8 * rng.standard_normal(int(n)) for n in rng.integers(20, 80, 2)]
        row = {"study": f"S{i}"}
        for arm, values in zip("12", arms, strict=True):
            low, high = np.quantile(values, [0.25, 0.75])
            row |= {f"sd{arm}": f"{values.std(ddof=1):.1f}", f"q1_{arm}": f"{low:.1f}", f"q3_{arm}": f"{high:.1f}",
                    f"n{arm}": len(values)}  # fmt: skip
        rows.append(row)
    assert sum(one.code == "M043" for one in validate(pd.DataFrame(rows))) <= 4


def test_studies_are_no_sums_unless_they_are_all_summed():
    counts = pd.DataFrame({"study": ["TOTAL trial", "B", "C"], "n1": [50, 20, 30], "n2": [51, 21, 31]})
    assert "M044" not in {code for code, *_ in codes(counts)}  # 51 is not 52
    assert "M044" in {code for code, *_ in codes(counts.assign(n2=[52, 21, 31]))}
    assert "M044" not in {code for code, *_ in codes(counts.assign(n2=[52, 21, 31], study=list("ABC")))}


@pytest.mark.parametrize(("design", "found"), [("", True), ("crossover", False)])
def test_precision_of_standardised_differences(design, found):
    row = {"study": ["A"], "n1": [30], "n2": [30], "estimate": [0.5], "se": [0.05], "design": [design]}
    assert ("M045" in {code for code, *_ in codes(pd.DataFrame(row), "SMD")}) is found
    true = np.sqrt(2 / 30 + 0.5**2 / 120)
    assert "M045" not in {code for code, *_ in codes(pd.DataFrame(row | {"se": [round(true, 3)]}), "SMD")}


def test_another_unit_is_not_taken_for_a_standard_error():
    table = trials(np.random.default_rng(4))
    table.loc[3, ["mean1", "sd1", "mean2", "sd2"]] /= 7.0
    table.loc[3, ["n1", "n2"]] = 49.0
    assert not [code for code, *_ in codes(table.round(3)) if code == "M030"]


def test_arms_are_compared_within_outcome_unit_and_kind_of_score():
    table = trials(np.random.default_rng(5))
    table.loc[4:, ["sd1", "sd2"]] /= 6
    table.loc[4:, ["n1", "n2"]] = 36.0
    for label in ("outcome", "unit", "score", "timepoint"):
        apart = table.assign(**{label: ["final"] * 4 + ["change"] * 4})
        assert not [code for code, *_ in codes(apart.round(3)) if code == "M030"], label


def test_three_arms_of_other_studies_are_needed():
    table = trials(np.random.default_rng(6), k=3, sizes=(40, 60))
    table.loc[0, ["sd1", "sd2"]] /= 7
    assert [code for code, *_ in codes(table.round(3))].count("M030") == 2
    assert not [code for code, *_ in codes(table.iloc[:2].round(3)) if code == "M030"]


# ------------------------------------------------------------------ effects
def test_deleted_residuals_are_those_of_the_model_without_the_study():
    rng = np.random.default_rng(7)
    for tau in (0.0, 0.5):
        vi = rng.uniform(0.02, 0.3, 9)
        yi = rng.normal(0.3, np.sqrt(vi + tau**2))
        distance, mean = _deleted_residuals(yi, vi)
        for i in range(9):
            rest = m2.pool(np.delete(yi, i), np.delete(vi, i), tau2="DL", test="z")
            expected = (yi[i] - rest.estimate) / np.sqrt(vi[i] + rest.tau2 + rest.se**2)
            assert (distance[i], mean[i]) == pytest.approx((expected, rest.estimate), rel=1e-10)


@pytest.mark.parametrize("tau", [0.0, 0.4])
def test_outliers_are_seldom_named_for_nothing_and_found_where_they_are(tau):
    rng = np.random.default_rng(8)
    tables = []
    for _ in range(120):
        vi = rng.uniform(0.02, 0.2, 12)
        tables.append(pd.DataFrame({"study": range(12), "yi": rng.normal(0, np.sqrt(vi + tau**2)), "vi": vi}))
    clean = sum(any(code == "M041" for code, *_ in each) for each in codes_of_each(tables, "GEN"))
    for table in tables:
        table.loc[6, "yi"] += 3.0
    gross = sum(("M041", 8, "") in each for each in codes_of_each(tables, "GEN"))
    assert clean / 120 < 0.1
    assert gross / 120 > 0.9


def test_one_effect_against_all_needs_three_others_and_an_interval_on_its_side():
    table = pd.DataFrame({"study": list("abcde"), "yi": [0.5, 0.4, -0.6, 0.3, 0.2], "vi": [0.04] * 5})
    assert [hit for hit in codes(table, "GEN") if hit[0] == "M034"] == [("M034", 4, "")]
    assert "M034" not in {code for code, *_ in codes(table.iloc[:3], "GEN")}
    assert "M034" not in {code for code, *_ in codes(table.assign(vi=0.1), "GEN")}
    assert "M034" not in {code for code, *_ in codes(table.assign(yi=[0.5, -0.1, -0.6, 0.3, 0.2]), "GEN")}
    by_outcome = table.assign(outcome=["x", "x", "y", "y", "y"])
    assert "M034" not in {code for code, *_ in codes(by_outcome, "GEN")}


def test_the_baseline_is_compared_by_the_t_test():
    row = {"study": ["A"], "n1": [40], "n2": [35], "baseline_mean1": [10.0], "baseline_sd1": [3.0],
           "baseline_mean2": [12.1], "baseline_sd2": [3.5]}  # fmt: skip
    p = stats.ttest_ind_from_stats(10.0, 3.0, 40, 12.1, 3.5, 35).pvalue
    message = next(finding.message for finding in validate(pd.DataFrame(row)) if finding.code == "M038")
    assert f"P = {p:.3f}" in message
    assert "M038" not in {code for code, *_ in codes(pd.DataFrame(row | {"baseline_mean2": [11.2]}))}


@pytest.mark.parametrize(
    ("unit", "bounded"),
    [("days", True), ("mg/L", True), ("cells/µL", True), ("mm Hg", True), ("years", True), ("points", False),
     ("change in days", False), ("days, change from baseline", False), ("", False), ("z score", False), ("%", False),
     ("score, month 6", False), ("z score per year", False), ("kg lost at 12 months", False), ("month 6", False),
     ("points at 6 m", False), ("kg at 12 months", True), ("survival in months", True), ("stay (days)", True),
     ("score at 30 days", False)],
)  # fmt: skip
def test_units_that_cannot_be_below_0(unit, bounded):
    assert bool(pd.Series([unit]).str.contains(NOT_BELOW_0).iloc[0]) is bounded
    table = pd.DataFrame({"study": ["A"], "mean1": [3.1], "sd1": [4.2], "n1": [20], "unit": [unit]})
    assert ("M039" in {code for code, *_ in codes(table)}) is bounded


# ------------------------------------------------------------------ whole tables
@pytest.mark.parametrize(
    ("name", "measure", "columns", "expected"),
    [
        ("bangertdrowns2004", "GEN", {}, []),
        ("bcg", "RR", BCG, []),
        ("bcg", "OR", BCG, []),
        ("hackshaw1998", "GEN", {}, []),
        ("hackshaw1998", "OR", {"estimate": "odds_ratio"}, []),
        ("nielweise2007", "OR", {}, []),
        ("nielweise2008", "IRR", {}, []),
        ("normand1999", "MD", {}, [("M041", 4, "")]),  # Orpington-Moderate: −55 days, the others −6
        ("normand1999", "SMD", {}, [("M041", 4, "")]),
        ("raudenbush1985", "GEN", {}, []),
        ("yusuf1985", "PETO", {}, []),
        ("yusuf1985", None, {}, []),
    ],
)
def test_no_false_alarms_in_published_tables(name, measure, columns, expected):
    assert codes(m2.load_dataset(name), measure, **columns) == expected


@pytest.mark.parametrize(
    ("measure", "rare", "wrong"),
    [
        ("SMD", {"mean1": 400.0}, {"sd2": -1.0}),
        ("RR", {"events1": 90, "n1": 90, "events2": 0, "n2": 90}, {"events2": 301}),
    ],
)
def test_among_a_hundred_thousand_rows_the_wrong_one_is_found(measure, rare, wrong):
    rng = np.random.default_rng(9)
    k = 100_000
    n1, n2 = rng.integers(20, 200, (2, k))
    cells = {"events1": rng.binomial(n1, 0.2), "n1": n1, "events2": rng.binomial(n2, 0.25), "n2": n2}
    table = trials(rng, k) if measure == "SMD" else pd.DataFrame({"study": [f"T{i}" for i in range(k)], **cells})
    table.loc[k // 2, list(rare)] = list(rare.values())
    table.loc[k - 1, list(wrong)] = list(wrong.values())
    findings = validate(table, measure)
    assert [(finding.row, finding.column) for finding in findings.errors] == [(k + 1, *wrong)]
    warned = {finding.row for finding in findings if finding.code == "M033"}
    assert k // 2 + 2 in warned
    assert len(warned) < 5


def test_effects_are_recomputed_however_many_rows_are_refused():
    """150 of 300 intervals leave their effect out; the one absurd effect among the others is still found."""
    k = 300
    yi = np.where(np.arange(k) < 150, 3.0, 0.0) + np.arange(k) * 0.001
    yi[-1] = 500.0
    lower = np.where(np.arange(k) < k - 1, -1.0, 499.0) + np.arange(k) * 0.001
    table = pd.DataFrame({"yi": yi.round(3), "ci_lower": lower.round(3), "ci_upper": (lower + 2).round(3)})
    table.insert(0, "study", [f"s{i}" for i in range(k)])
    assert "M041" in {one.code for one in validate(table, "GEN") if one.row == k + 1}
