"""Printed P values, intervals, effects and percentages against the figures beside them, in plain tables."""

import re
from dataclasses import replace
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from metail2.checks.disagreement import _without_time
from metail2.checks.disagreement_arms import _intervals
from metail2.checks.recomputed import before_and_after, tables, two_means
from metail2.checks.rounding import printed_p, printed_range
from metail2.checks.validate import validate
from metail2.checks.view import View
from metail2.checks.wide_views import cells_of

OURS = {f"M{code:03d}" for code in (*range(60, 80), 110)}


def table(*rows):
    """A table of text, one dict a row; cells that a row does not have are empty."""
    return pd.DataFrame(list(rows)).astype(object).fillna("").astype(str)


def findings(*rows, measure=None):
    """Our findings of a table as (code, column, message without its place)."""
    found = [one for one in validate(table(*rows), measure) if one.code in OURS]
    return [(one.code, one.column, one.message.partition("' ")[2]) for one in found]


def codes(*rows, measure=None):
    return [code for code, _, _ in findings(*rows, measure=measure)]


def counts(a, n1, c, n2, p, **more):
    return {**more, "events1": a, "n1": n1, "events2": c, "n2": n2, "p": p}


def view_of(*rows):
    frame = table(*rows)
    return View("t", frame, cells_of(frame, {name: name for name in frame}))


# ---------------------------------------------------------------- what is printed


@pytest.mark.parametrize("step", ["1", "0.1", "0.01"])
def test_a_printed_figure_stands_for_every_value_that_rounds_or_is_cut_off_to_it(step):
    values = [Decimal(k) / 2000 for k in range(-2600, 2601)]
    modes = (ROUND_HALF_EVEN, ROUND_HALF_UP, ROUND_DOWN)
    printed = [{value.quantize(Decimal(step), mode) for mode in modes} for value in values]
    numbers = np.array([float(value) for value in values])
    for text in {str(one) for shown in printed for one in shown}:
        allowed = printed_range(cells_of(pd.DataFrame({"x": [text]}), {"x": "x"})["x"])
        prints = np.array([Decimal(text) in shown for shown in printed])
        at_an_end = np.isclose(numbers, allowed.low) | np.isclose(numbers, allowed.high)
        assert ((allowed.holds(numbers) == prints) | at_an_end).all(), text


def test_a_figure_that_was_worked_out_stands_for_itself():
    cells = cells_of(pd.DataFrame({"x": ["7"]}), {"x": "x"})["x"]
    cells.printed[0] = ""
    allowed = printed_range(cells)
    assert (allowed.low[0], allowed.high[0]) == (7, 7)


@pytest.mark.parametrize(
    ("text", "low", "high", "exact", "digits"),
    [
        ("0.036", 0.0355, 0.037, True, 2),
        ("·0039", 0.00385, 0.0040, True, 2),
        ("0.50", 0.495, 0.51, True, 2),
        ("=0.05", 0.045, 0.06, True, 1),
        ("1.2e-05", 1.15e-5, 1.3e-5, True, 2),
        ("0.000", 0, 0.001, True, 0),
        ("1.00", 0.995, 1, True, 3),
        ("<0.05", 0, 0.05, False, 1),
        ("≤ 0.001", 0, 0.001, False, 1),
        (">= 0.05", 0.05, 1, False, 1),
    ],
)
def test_p_values_are_read_from_their_text(text, low, high, exact, digits):
    found = printed_p(cells_of(pd.DataFrame({"p": [text]}), {"p": "p"})["p"])
    assert (found.range.low[0], found.range.high[0]) == pytest.approx((low, high))
    assert (found.exact[0], found.digits[0]) == (exact, digits)


@pytest.mark.parametrize("text", ["", "NS", "1.3", "0,05", "-0.2", "p"])
def test_what_is_no_p_value_is_unknown(text):
    found = printed_p(cells_of(pd.DataFrame({"p": [text]}), {"p": "p"})["p"])
    assert not found.range.known[0]
    assert not found.exact[0]


def test_the_exponent_counts_among_the_decimals():
    cells = cells_of(pd.DataFrame({"x": ["1.2e-05", "1e3", "0.30", "5", "-2.5", "1.25E+1"]}), {"x": "x"})["x"]
    assert cells.decimals.tolist() == [6, 0, 2, 0, 1, 1]


# ---------------------------------------------------------------- counts and P

TESTS = {
    "χ²": lambda t: stats.chi2_contingency(t, correction=False).pvalue,
    "Yates": lambda t: stats.chi2_contingency(t).pvalue,
    "Fisher": lambda t: stats.fisher_exact(t).pvalue,
    "G": lambda t: stats.chi2_contingency(t, correction=False, lambda_="log-likelihood").pvalue,
}


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(0, 40), st.integers(0, 40)),
    st.sampled_from(sorted(TESTS)), st.integers(1, 6), st.sampled_from([ROUND_HALF_EVEN, ROUND_HALF_UP, ROUND_DOWN]),
)  # fmt: skip
def test_no_p_value_of_a_test_of_the_counts_is_accused(cells, test, decimals, mode):
    a, b, c, d = cells
    if 0 in (a + b, c + d, a + c, b + d):
        return
    p = Decimal(float(TESTS[test](np.array([[a, b], [c, d]])))).quantize(Decimal(10) ** -decimals, mode)
    assert "M060" not in codes(counts(a, a + b, c, c + d, f"{p:f}"))


def test_a_p_value_that_no_test_gives_is_found_with_every_test():
    assert findings(counts(7, 13, 2, 12, "0.036")) == [
        ("M110", "p", "is P = 0.036, but no usual test of 7/13 v 2/12 gives it (χ² 0.053, Yates 0.129, Fisher 0.097, "
         "Fisher mid-P 0.069, twice "
        "one-sided Fisher 0.127, N − 1 χ² 0.058, likelihood ratio 0.048, unpooled z 0.034, Wald log OR 0.064, Wald log "
         "RR 0.091); check the counts and P, unless the article names a stratified or adjusted test.")
    ]  # fmt: skip


def test_the_four_cells_of_a_table_are_its_counts():
    row = {"a": 7, "b": 6, "c": 2, "d": 10, "p": "0.036"}
    assert codes(row, measure="RR") == ["M110"]
    assert not tables(view_of(row)).known[0]  # a, b, c, d are counts only for measures of such tables


def test_fishers_test_is_named_where_it_gives_p_and_chi_squared_does_not():
    assert findings(counts(3, 21, 2, 22, "0.66")) == [
        ("M061", "p", "is P = 0.66, which Fisher's exact test (0.664) gives, not χ² (0.595), for 3/21 v 2/22; work no "
         "standard error out of it.")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("p", "expected"),
    [
        ("0.053", []),  # χ²
        ("0.05", []),
        ("<0.05", []),  # the likelihood-ratio test gives 0.048
        ("<0.01", ["M060"]),
        (">0.05", []),
        (">0.2", ["M110"]),
        (">0.3", ["M060"]),
        ("", []),
        ("NS", []),
    ],
)
def test_bounds_and_rounding_are_allowed_for(p, expected):
    assert codes(counts(7, 13, 2, 12, p)) == expected


def test_a_lost_sign_is_suspected_where_every_test_gives_less():
    ((code, _, message),) = findings(counts(40, 50, 10, 50, "0.001"))
    assert code == "M060"
    assert message.endswith("adjusted test (was P < 0.001 printed?).")


def test_counts_that_cannot_be_a_table_are_left_to_other_checks():
    assert codes(counts(14, 13, 2, 12, "0.036"), counts("7.5", 13, 2, 12, "0.036")) == []


def test_twice_the_one_sided_p_of_fishers_test_is_a_test_of_the_counts():
    p = 2 * stats.fisher_exact([[7, 6], [2, 10]], alternative="greater").pvalue
    ((code, _, message),) = findings(counts(7, 13, 2, 12, f"{p:.4f}"))
    assert code == "M061"
    assert "twice the one-sided P of Fisher's test (0.127)" in message


def test_p_values_of_other_tests_of_the_counts_are_at_most_notes():
    rng = np.random.default_rng(12)
    rows = []
    for _ in range(25):
        n = int(rng.choice([10, 15, 20]))
        a, c = (int(x) for x in rng.binomial(n, (0.3, 0.5)))
        for test in (stats.boschloo_exact, stats.barnard_exact):
            rows.append(counts(a, n, c, n, f"{min(test([[a, n - a], [c, n - c]], n=8).pvalue, 1):.3f}"))
    found = codes(*rows)
    assert "M060" not in found
    assert "M110" in found


def test_other_tests_of_a_plain_table_are_one_note():
    rows = [counts(3, 21, 2, 22, "0.66"), counts(7, 13, 2, 12, "0.053"), counts(8, 20, 3, 21, "0.085"),
            counts(9, 20, 3, 21, "0.043")]  # fmt: skip
    ((code, _, message),) = findings(*rows)
    assert code == "M061"
    assert message.startswith("is P = 0.66, which Fisher's exact test (0.664) gives")
    assert message.endswith("other P values of the table are not of χ² either but of Fisher's exact test (row 4 and "
                            "row 5).")  # fmt: skip


# ---------------------------------------------------------------- patients that depend on each other


@pytest.mark.parametrize("more", [{"design": "cluster RCT"}, {"icc": "0.05"}, {"design_effect": "1.4"},
                                  {"design": "crossover", "r": "0.5"}])  # fmt: skip
def test_figures_of_clusters_and_crossovers_are_not_tested_as_independent(more):
    row = {**moments("10.0", "2.0", 20, "8.0", "2.1", 20, "0.7"), **contrast("2.0", "-9.0", "13.0", "0.7")}
    assert codes(row, measure="MD") == ["M063", "M075"]
    assert codes({**row, **more}, measure="MD") == []
    assert codes({**counts(40, 50, 10, 50, "0.3"), **more}) == []


# ---------------------------------------------------------------- means and P


def moments(mean1, sd1, n1, mean2, sd2, n2, p="", **more):
    return {"mean1": mean1, "sd1": sd1, "n1": n1, "mean2": mean2, "sd2": sd2, "n2": n2, "p": p, **more}


def test_complete_separation_is_recognised():
    assert findings(moments("4.8", "1.9", 6, "0.5", "0.4", 6, "0.0039")) == [
        ("M062", "p", "is P = 0.0039, which is what the two-sided Mann–Whitney test of 6 v 6 with complete separation "
         "gives, by the normal approximation without continuity correction (0.003948; exact 0.0022, with continuity "
         "correction 0.0051); unless the article names another test, work no standard error out of it, for such a P "
         "says only that the groups do not overlap.")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (moments("5.8", "1.9", 6, "0.5", "0.4", 6, "0.0022"), "exact (0.002165"),
        (moments("4.8", "1.9", 6, "0.5", "0.4", 6, "0.0051"), "with continuity correction (0.005075"),
        ({"n1": 6, "n2": 6, "p": "0.0039"}, "without continuity correction (0.003948"),
    ],
)
def test_each_way_to_compute_complete_separation_is_recognised(row, expected):
    ((code, _, message),) = findings(row)
    assert code == "M062"
    assert expected in message


@pytest.mark.parametrize(
    "row",
    [
        moments("1.2", "1.9", 6, "0.5", "0.4", 6, "0.0039"),  # the means are too near for their SDs
        moments("4.8", "1.9", 6, "0.5", "0.4", 6, "0.004"),  # one digit tells too little
        {"n1": 6, "n2": 6, "p": "0.0039", "min1": 2, "max1": 8, "min2": 1, "max2": 3},  # the ranges overlap
        {"n1": 6, "n2": 6, "p": "0.0039", "estimate": 3},
        counts(6, 6, 0, 6, "0.0039"),
        moments("4.8", "1.9", 6, "0.5", "0.4", 6, "0.0022"),  # Welch's t test gives it
        {"n1": 6, "n2": 6, "p": "0.0087"},  # exact, U = 2: the groups overlap
        {"n1": 6, "n2": 6, "p": "<0.0039"},
    ],
)
def test_complete_separation_is_not_claimed_without_grounds(row):
    assert "M062" not in codes(row)


def test_groups_apart_need_means_apart():
    """Of values with a given mean and SD, the lowest lies highest where all but one are equal: SD/√n below the mean."""
    rng = np.random.default_rng(6)
    for n in (2, 5, 9):
        values = rng.standard_normal((20_000, n)) ** rng.integers(1, 6, (20_000, 1))
        scaled = (values - values.mean(1, keepdims=True)) / values.std(1, ddof=1, keepdims=True)
        assert scaled.min(1).max() <= -1 / np.sqrt(n) + 1e-9
    extreme = np.array([0.0] * 8 + [1.0])
    assert (extreme.min() - extreme.mean()) / extreme.std(ddof=1) == pytest.approx(-1 / 3)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(-30, 30), min_size=2, max_size=2), st.lists(st.floats(2, 20), min_size=2, max_size=2),
    st.lists(st.integers(2, 60), min_size=2, max_size=2), st.booleans(), st.integers(0, 2), st.integers(1, 5),
)  # fmt: skip
def test_no_p_value_of_a_t_test_is_accused(means, sds, ns, equal, decimals, p_decimals):
    p = stats.ttest_ind_from_stats(means[0], sds[0], ns[0], means[1], sds[1], ns[1], equal_var=equal).pvalue
    row = moments(*(f"{x:.{decimals}f}" if k < 2 else x for m in zip(means, sds, ns, strict=True)
                    for k, x in enumerate(m)), f"{p:.{p_decimals}f}")  # fmt: skip
    assert not {"M063", "M064"} & set(codes(row))


def test_the_range_of_a_t_test_holds_every_value_that_rounding_allows():
    rng = np.random.default_rng(7)
    row = moments("10.4", "3", 5, "6", "1.2", 9)
    found = two_means(view_of(row))
    for mean1, sd1, mean2, sd2 in zip(
        rng.uniform(10.35, 10.5, 4000), rng.uniform(2.5, 4, 4000), rng.uniform(5.5, 7, 4000),
        rng.uniform(1.15, 1.3, 4000), strict=True,
    ):  # fmt: skip
        for name, equal in (("Student's t", True), ("Welch's t", False)):
            p = stats.ttest_ind_from_stats(mean1, sd1, 5, mean2, sd2, 9, equal_var=equal).pvalue
            assert found[name].low[0] <= p <= found[name].high[0]


def test_a_p_value_far_from_the_t_tests_is_a_warning_and_a_near_one_a_note():
    far = findings(moments("10.0", "2.0", 20, "8.0", "2.1", 20, "0.7"))
    assert [code for code, _, _ in far] == ["M063"]
    assert "far from what the printed means, SDs and sizes give (Student's t 0.00" in far[0][2]
    near = findings(moments("10.0", "2.0", 20, "8.0", "2.1", 20, "0.03"))
    assert [code for code, _, _ in near] == ["M064"]
    assert "a rank test or an adjusted one may have been used" in near[0][2]
    assert codes(moments("10.0", "2.0", 20, "8.0", "2.1", 20, "<0.05")) == []


def test_standard_errors_serve_where_sds_are_not_printed():
    row = {"mean1": "10.0", "se1": "0.447", "n1": 20, "mean2": "8.0", "se2": "0.470", "n2": 20}
    assert codes({**row, "p": "0.004"}) == []
    assert codes({**row, "p": "0.7"}) == ["M063"]


def paired(p, **more):
    return {"mean_pre": "18.67", "sd_pre": "14.08", "mean_post": "78.55", "sd_post": "44.67", "n": 26, "p": p, **more}


def test_a_paired_p_value_that_no_correlation_explains_is_found():
    assert findings(paired("0.001")) == [
        ("M065", "p", "is P = 0.001, but a paired t test of 18.67 (SD 14.08) and 78.55 (SD 44.67), n = 26, gives P "
         "between 3.3e−10 (r = 1) and 2.3e−05 (r = −1); check the figures (was P < 0.001 printed?), and work no "
         "correlation and no SD of the change out of P.")
    ]  # fmt: skip
    assert codes(paired("<0.001")) == []
    assert codes(paired("0.00001")) == []


def test_the_range_of_a_paired_test_holds_every_correlation():
    found = before_and_after(view_of(paired("")))
    for r in np.linspace(-1, 1, 41):
        sd = np.sqrt(14.08**2 + 44.67**2 - 2 * r * 14.08 * 44.67)
        p = 2 * stats.t.sf((78.55 - 18.67) / (sd / np.sqrt(26)), 25)
        assert found.low[0] <= p <= found.high[0]


def test_a_mean_change_is_tested_by_a_paired_t_test():
    row = {"mean_change": "-3.1", "sd_change": "4.0", "n": 12}
    assert codes({**row, "p": "0.021"}) == []
    assert codes({**row, "p": "0.9"}) == ["M063"]


# ---------------------------------------------------------------- effects and intervals


def contrast(estimate, lower, upper, p="", **more):
    return {"estimate": estimate, "ci_lower": lower, "ci_upper": upper, "p": p, **more}


ROUNDED = {"RR": np.exp, "OR": np.exp, "RD": lambda effect: effect}


@pytest.mark.parametrize("measure", sorted(ROUNDED))
def test_nothing_is_found_in_effects_and_wald_intervals_of_the_counts(measure):
    rng = np.random.default_rng(8)
    n1, n2 = rng.integers(8, 200, (2, 400))
    a, c = rng.integers(1, n1), rng.integers(1, n2)
    b, d = n1 - a, n2 - c
    effect, variance = {
        "RR": (np.log(a / n1 / (c / n2)), 1 / a - 1 / n1 + 1 / c - 1 / n2),
        "OR": (np.log(a * d / (b * c)), 1 / a + 1 / b + 1 / c + 1 / d),
        "RD": (a / n1 - c / n2, a * b / n1**3 + c * d / n2**3),
    }[measure]
    half, show = stats.norm.ppf(0.975) * np.sqrt(variance), ROUNDED[measure]
    rows = []
    for k in range(400):
        printed = [f"{show(x):.{k % 3 + 1}f}" for x in (effect[k], effect[k] - half[k], effect[k] + half[k])]
        se, p = np.sqrt(variance[k]), 2 * stats.norm.sf(abs(effect[k]) / np.sqrt(variance[k]))
        about = contrast(*printed, se=f"{se:.3f}", percent1=f"{100 * a[k] / n1[k]:.1f}")
        rows.append({**about, **counts(a[k], n1[k], c[k], n2[k], f"{p:.3f}")})
    assert set(codes(*rows, measure=measure)) <= {"M061"}


@pytest.mark.parametrize("measure", ["MD", "SMD", "ROM"])
def test_nothing_is_found_in_effects_and_t_intervals_of_the_means(measure):
    rng = np.random.default_rng(9)
    rows = []
    for k in range(300):
        (n1, n2), (s1, s2), (m1, m2) = rng.integers(4, 80, 2), rng.uniform(2, 20, 2), rng.uniform(25, 90, 2)
        pooled = np.sqrt(((n1 - 1) * s1**2 + (n2 - 1) * s2**2) / (n1 + n2 - 2))
        if k % 2:  # Student's interval
            se, df = pooled * np.sqrt(1 / n1 + 1 / n2), n1 + n2 - 2
        else:
            se, df = np.hypot(s1 / np.sqrt(n1), s2 / np.sqrt(n2)), welch_df(s1, n1, s2, n2)
        effect, se, df = {
            "MD": (m1 - m2, se, df),
            "SMD": ((m1 - m2) / pooled, np.sqrt(1 / n1 + 1 / n2 + ((m1 - m2) / pooled) ** 2 / 2 / (n1 + n2)), np.inf),
            "ROM": (np.log(m1 / m2), np.hypot(s1 / m1 / np.sqrt(n1), s2 / m2 / np.sqrt(n2)), np.inf),
        }[measure]
        half, show = stats.t.ppf(0.975, df) * se, np.exp if measure == "ROM" else float
        printed = [f"{show(x):.2f}" for x in (effect, effect - half, effect + half)]
        arms = [f"{x:.{k % 3}f}" for x in (m1, s1, m2, s2)]
        p = f"{2 * stats.t.sf(abs(effect) / se, df):.4f}" if measure == "MD" else ""
        rows.append({**contrast(*printed), **moments(*arms[:2], n1, *arms[2:], n2, p)})
    assert codes(*rows, measure=measure) == []


def welch_df(s1, n1, s2, n2):
    v1, v2 = s1**2 / n1, s2**2 / n2
    return (v1 + v2) ** 2 / (v1**2 / (n1 - 1) + v2**2 / (n2 - 1))


def test_exchanged_arms_are_named():
    row = moments("10.0", "2.0", 20, "8.0", "2.0", 20, estimate="-2.0")
    assert findings(row, measure="MD") == [
        ("M068", "estimate", "is -2.0, but the raw figures give mean difference 2.000; check whether the arms are "
         "exchanged.")
    ]  # fmt: skip
    assert codes({**row, "estimate": "2.0"}, measure="MD") == []


def test_a_ratio_on_the_log_scale_is_far_from_its_counts():
    ((code, _, message),) = findings(counts(40, 50, 10, 50, "", estimate="1.39"), measure="RR")
    assert (code, "risk ratio 4.000" in message) == ("M068", True)


@pytest.mark.parametrize(("estimate", "expected"), [
    ("2.4", "M069"), ("3.1", "M069"), ("3.5", "M068"), ("0.9", "M069"), ("-0.1", "M068"),
])  # fmt: skip
def test_an_effect_within_two_standard_errors_is_a_note(estimate, expected):
    """The standard error is 0.63; an effect on the other side of 0 may part by one."""
    row = moments("10.0", "2.0", 20, "8.0", "2.0", 20, estimate=estimate)
    assert codes(row, measure="MD") == [expected]


def test_an_effect_on_the_other_side_may_part_by_one_standard_error():
    row = moments("8.2", "2.0", 20, "8.0", "2.0", 20, estimate="-0.3")
    assert codes(row, measure="MD") == ["M069"]


def test_a_correction_for_small_samples_is_no_disagreement():
    row = moments("10.00", "2.00", 5, "8.00", "2.00", 5)
    assert [codes({**row, "estimate": one}, measure="SMD") for one in ("1.00", "0.90", "0.60")] == [[], [], ["M069"]]


def test_a_lopsided_interval_is_a_warning_where_the_measure_is_known():
    assert findings(contrast("1.34", "0.90", "2.51"), measure="OR") == [
        ("M070", "estimate", "is 1.34, which is not the middle of its interval 0.90 to 2.51 on the log scale; check "
         "the three figures and take no standard error from the interval.")
    ]  # fmt: skip
    assert codes(contrast("1.34", "0.90", "2.01"), measure="OR") == []
    assert codes(contrast("1.0", "0.2", "5"), measure="OR") == []


@pytest.mark.parametrize("column", ["estimate", "hr"])
def test_effects_are_compared_under_any_name(column):
    row = {column: "0.80", "ci_lower": "0.50", "ci_upper": "2.50"}
    ((code, where, _),) = findings(row, measure="HR")
    assert (code, where) == ("M070", column)
    assert codes({**row, "ci_upper": "1.28"}, measure="HR") == []
    assert codes({**row, "ci_upper": "1.28", "p": "0.001"}, measure="HR") == ["M072"]


@pytest.mark.parametrize(("row", "measure"), [
    ({"yi": "-0.30", "sei": "0.15"}, "GEN"), ({"yi": "-0.30", "vi": "0.0225"}, "GEN"),
    ({"yi": "-0.30", "sei": "0.15"}, None),
    ({"log_hr": "-0.30", "se": "0.15"}, "HR"), ({"estimate": "0.74", "se": "0.15"}, "HR"),
    ({"estimate": "-0.30", "se": "0.15"}, "MD"),
])  # fmt: skip
def test_p_is_compared_with_an_effect_and_its_standard_error(row, measure):
    p = 2 * stats.norm.sf(2)
    assert codes({**row, "p": f"{p:.3f}"}, measure=measure) == []
    if "estimate" in row and measure == "HR":  # the standard error may be that of the ratio, 0.11 of its logarithm
        row = {**row, "n1": 100, "n2": 100}
    ((code, column, message),) = findings({**row, "p": "0.9"}, measure=measure)
    assert (code, column) == ("M073", "p")
    assert "; check all three figures" in message
    ((code, _, message),) = findings({**row, "n1": 200, "n2": 200, "p": "0.08"}, measure=measure)
    assert code == "M074"


def test_effect_standard_error_and_p_agree_whatever_the_sample():
    rng = np.random.default_rng(14)
    rows = []
    for k in range(300):
        n, effect, se = int(rng.integers(5, 100)), rng.normal(0, 1), rng.uniform(0.1, 0.9)
        p = 2 * (stats.t.sf(abs(effect) / se, 2 * n - 2) if k % 2 else stats.norm.sf(abs(effect) / se))
        rows.append({"yi": f"{effect:.3f}", "sei": f"{se:.3f}", "p": f"{p:.3f}", "n1": n, "n2": n})
    assert codes(*rows, measure="GEN") == []
    ratios = [{**row, "estimate": f"{np.exp(float(row['yi'])):.3f}", "se": row["sei"]} for row in rows]
    assert codes(*[{k: v for k, v in row.items() if k not in ("yi", "sei")} for row in ratios], measure="HR") == []


def test_a_standard_error_in_the_place_of_a_variance_is_found():
    row = {"yi": "-0.30", "ci_lower": "-0.594", "ci_upper": "-0.006", "n1": 200, "n2": 200}
    assert codes({**row, "vi": "0.0225"}, measure="GEN") == []
    ((code, column, message),) = findings({**row, "vi": "0.15"}, measure="GEN")
    assert (code, column) == ("M076", "vi")
    assert "a standard error seems to stand for a variance" in message


def test_the_standard_error_of_a_ratio_is_told_from_that_of_its_logarithm():
    row = {**contrast("0.80", "0.63", "1.02"), "se": "0.10"}
    ((code, column, message),) = findings(row, measure="HR")
    assert (code, column) == ("M076", "se")
    assert "it seems to be that of the ratio, not of its logarithm, and whether the interval is of 95 %" in message
    assert codes({**row, "se": "0.123"}, measure="HR") == []


def test_a_level_that_is_given_is_no_cause():
    row = {**contrast("1.50", "1.10", "2.05", n1=200, n2=200), "se": "0.24"}
    for more, named in (({}, True), ({"level": "0.95"}, False)):
        ((_, _, message),) = findings({**row, **more}, measure="OR")
        assert ("(column level)" in message) is named


def test_limits_beside_a_log_hazard_ratio_may_be_logarithms_or_not():
    row = {"log_hr": "-0.223", "ci_lower": "0.63", "ci_upper": "1.02", "se": "0.123"}
    assert codes(row, measure="HR") == []
    assert codes({**row, "ci_lower": "-0.464", "ci_upper": "0.018"}, measure="HR") == []


def test_limits_beside_effects_as_pooled_may_be_as_displayed():
    half = 1.96 / np.sqrt(47)
    row = {"yi": "0.549", "vi": f"{1 / 47:.4f}", "ci_lower": f"{np.tanh(0.549 - half):.3f}",
           "ci_upper": f"{np.tanh(0.549 + half):.3f}", "n": 50}  # fmt: skip
    assert codes(row, measure="ZCOR") == []
    ratio = {"yi": "-0.223", "vi": "0.0151", "ci_lower": "0.63", "ci_upper": "1.02"}
    assert [codes(ratio, measure=code) for code in ("GEN", "OR")] == [[], []]
    assert codes({**ratio, "ci_upper": "2.02"}, measure="OR") == ["M070", "M076"]


@pytest.mark.parametrize("name", ["d", "g"])
def test_a_standardised_difference_is_that_of_its_t(name):
    t, n1, n2 = 2.5, 20, 22
    d = t * np.sqrt(1 / n1 + 1 / n2)
    row = {"t": "2.50", "n1": n1, "n2": n2}
    for shown in (d, -d, d * (1 - 3 / (4 * 40 - 1))):
        assert codes({**row, name: f"{shown:.2f}"}, measure="SMD") == []
    ((code, column, message),) = findings({**row, "d": "1.77"}, measure="SMD")
    assert (code, column) == ("M068", "d")
    assert "t = 2.50 with n1 = 20 and n2 = 22 gives 0.772" in message
    assert codes({**row, "d": "0.95"}, measure="SMD") == ["M069"]


def test_intervals_of_correlations_may_be_made_by_fishers_z():
    rng = np.random.default_rng(15)
    rows = []
    for _ in range(200):
        n, r = int(rng.integers(5, 100)), float(np.tanh(rng.normal(0.4, 0.4)))
        low, high = np.tanh(np.arctanh(r) + np.array([-1.96, 1.96]) / np.sqrt(n - 3))
        p = 2 * stats.t.sf(abs(r * np.sqrt((n - 2) / (1 - r * r))), n - 2)
        rows.append({"n": n, "r": f"{r:.2f}", **contrast(f"{r:.2f}", f"{low:.2f}", f"{high:.2f}", f"{p:.3f}")})
    assert codes(*rows, measure="COR") == []
    assert codes(contrast("0.20", "0.10", "0.60", n=50), measure="COR") == ["M070"]


def test_a_risk_difference_need_not_be_in_the_middle_of_its_interval():
    assert codes(contrast("-0.200", "-0.500", "-0.010"), measure="RD") == ["M071"]


def test_ratios_that_are_not_above_0_are_left_to_another_check():
    assert codes(contrast("-0.22", "-0.46", "0.30"), measure="HR") == []


def test_a_lopsided_interval_is_a_note_where_it_is_not():
    assert codes(contrast("1.34", "0.90", "3.51")) == ["M071"]
    assert codes(contrast("1.34", "0.90", "2.01")) == []  # the middle on the log scale
    assert codes(contrast("1.34", "0.67", "2.01")) == []  # the plain middle
    assert codes(contrast("-0.5", "-1.5", "3.0")) == ["M071"]


@pytest.mark.parametrize(
    ("row", "measure", "expected"),
    [
        (contrast("1.34", "0.90", "2.01", "0.03"), "OR", ["M072"]),
        (contrast("1.34", "0.90", "2.01", "<0.05"), "OR", ["M072"]),
        (contrast("1.34", "0.90", "2.01", "0.15"), "OR", []),
        (contrast("1.50", "1.10", "2.05", "0.30"), "OR", ["M072"]),
        (contrast("1.50", "1.10", "2.05", "0.010"), "OR", []),
        (contrast("-0.171", "-0.308", "-0.034", "0.015"), None, []),
        (contrast("-0.171", "-0.308", "-0.034", "0.15"), None, ["M072"]),
        (contrast("1.34", "0.90", "2.01", "0.03"), None, ["M072"]),  # centred on the log scale, so 1 is no effect
        (contrast("0.50", "0.10", "0.90", "0.03"), None, []),  # centred as it stands, so 0 is no effect
        (contrast("1.34", "0.90", "2.01", "0.07", level="0.9"), "OR", ["M072"]),
        (contrast("", "0.90", "2.01", "0.03"), "OR", ["M072"]),
    ],
)
def test_p_and_interval_must_lie_on_the_same_side(row, measure, expected):
    assert codes(row, measure=measure) == expected


def test_p_and_interval_that_only_just_part_are_a_note():
    assert codes(contrast("1.500", "0.998", "2.255", "0.045", n1=200, n2=200), measure="OR") == ["M074"]


def test_a_p_value_that_the_counts_give_does_not_contradict_its_interval():
    """Fisher's test and the Wald interval of one table may lie on both sides of 0.05."""
    ((code, _, message),) = [
        one for one in findings({**contrast("2.25", "1.02", "4.94"), **counts(9, 10, 4, 10, "0.057")}, measure="RR")
        if one[0] != "M061"
    ]  # fmt: skip
    assert code == "M074"
    assert "gives P between 0.04" in message


def test_a_p_value_far_from_its_interval_is_a_warning():
    ((code, column, message),) = findings(contrast("2.0", "1.5", "2.7", "0.04", n1=200, n2=200), measure="OR")
    assert (code, column) == ("M073", "p")
    told = re.search(r"is P = 0.04, but the interval 1.5 to 2.7 gives P between (\S+) and (\S+); check all", message)
    low, high = (float(number.replace("−", "-")) for number in told.groups())
    assert low < 2 * stats.norm.sf(np.log(2) / (np.log(2.7 / 1.5) / 2 / stats.norm.ppf(0.975))) < high < 0.0002


def test_small_samples_may_have_intervals_by_t():
    """Four patients an arm: t with 6 df makes the interval, and P."""
    difference, se = 3.0, 0.5
    half, p = stats.t.ppf(0.975, 6) * se, 2 * stats.t.sf(difference / se, 6)
    row = contrast("3.00", f"{3 - half:.2f}", f"{3 + half:.2f}", f"{p:.4f}")
    assert codes(row) == []
    assert codes({**row, "n1": 4, "n2": 4}) == []
    assert codes({**row, "n1": 400, "n2": 400}) == ["M073"]


def test_an_interval_of_another_width_than_its_figures_is_found():
    row = moments("10.0", "2.0", 20, "8.0", "2.0", 20)
    assert codes({**row, **contrast("2.0", "0.7", "3.3")}, measure="MD") == []
    ((code, column, message),) = findings({**row, **contrast("2.0", "1.7", "2.3")}, measure="MD")
    assert (code, column) == ("M075", "ci_lower")
    assert "0.2" in message


def test_a_standard_error_off_the_log_scale_is_found():
    row = contrast("1.50", "1.10", "2.05", n1=200, n2=200)
    assert codes({**row, "se": "0.159"}, measure="OR") == []
    assert codes({**row, "se": "0.24"}, measure="OR") == ["M076"]


# ---------------------------------------------------------------- one arm


def arm(**figures):
    return codes({name: str(figure) for name, figure in figures.items()})


def test_a_percentage_is_rounded_or_cut_off():
    assert arm(events=10, n=26, percent="38.5") == []
    assert arm(events=10, n=26, percent="38.4") == []
    assert findings({"events1": 16, "n1": 30, "percent1": "55.2"}) == [
        ("M077", "percent1", "is 55.2 %, but 16 of 30 is 53.33 %; correct one of the three or enter the denominator "
         "that was used.")
    ]  # fmt: skip


def test_a_standard_error_is_that_of_the_sd():
    assert arm(mean=5, sd="2.0", n=16, se="0.5") == []
    assert arm(mean=5, sd="2", n=17, se="0.5") == []
    assert arm(mean=5, sd="2.0", n=16, se="0.7") == ["M078"]
    ((_, _, message),) = findings({"mean": "5", "sd": "0.5", "n": "16", "se": "2.0"})
    assert "the two seem to be exchanged" in message


@pytest.mark.parametrize(("lower", "upper", "expected"), [
    ("3.93", "6.07", []), ("4.02", "5.98", []), ("4.5", "5.5", ["M079"]), ("1", "9", ["M079"]),
])  # fmt: skip
def test_an_interval_of_a_mean_follows_from_the_sd(lower, upper, expected):
    assert arm(mean="5.0", sd="2.0", n=16, mean_lower=lower, mean_upper=upper) == expected
    assert arm(mean="5.0", se="0.50", n=16, mean_lower=lower, mean_upper=upper) == expected


def test_the_level_of_an_interval_of_a_mean_is_heeded():
    """Half-widths of 2/√16 = 0.5 at 90 %: 0.82 normal, 0.88 by t with 15 df."""
    row = {"mean": "5.00", "sd": "2.00", "n": "16", "mean_lower": "4.15", "mean_upper": "5.85"}
    for level, expected in (("0.90", []), ("90", []), ("", ["M079"]), ("0.95", ["M079"])):
        view = view_of({**row, "level": level})
        assert [hit.check.code for hit in _intervals(view)] == expected, level


def test_an_empty_view_of_several_times_is_in_agreement():
    view = replace(view_of(counts(1, 2, 1, 2, "0.3", n=4)), labels=pd.DataFrame({"study": ["A"], "timepoint": ["x"]}))
    none = np.zeros(0, dtype=np.int64)
    empty = replace(view, labels=view.labels.iloc[:0], cells={name: own.at(none) for name, own in view.cells.items()})
    assert list(_without_time(empty)) == []


def test_a_table_without_rows_is_in_agreement():
    empty = pd.DataFrame(
        columns=["p", "timepoint", "events1", "n1", "events2", "n2", "estimate", "ci_lower", "ci_upper"]
    )
    assert [one for one in validate(empty, "RR") if one.code in OURS] == []
