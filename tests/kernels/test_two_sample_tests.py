"""Tests that trials print P values of, against SciPy, statsmodels, exact fractions and every permutation."""

from fractions import Fraction
from itertools import combinations, product
from math import comb

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import StratifiedTable, Table2x2
from statsmodels.stats.proportion import test_proportions_2indep as proportions_2indep

from metail2.kernels.two_sample_tests import (
    MOST_PEOPLE,
    fisher,
    mann_whitney_exact_p,
    mann_whitney_normal_p,
    one_way_p,
    student_p,
    t_p,
    table_tests,
    welch_df,
    welch_p,
)

TABLES = [
    (a, n1, c, n2) for n1, n2 in product((2, 3, 7), (2, 4, 9)) for a in range(n1 + 1) for c in range(n2 + 1)
]  # fmt: skip
MIXED = [table for table in TABLES if 0 < table[0] + table[2] < table[1] + table[3]]
INNER = [table for table in TABLES if 0 < table[0] < table[1] and 0 < table[2] < table[3]]


def columns(tables):
    return [np.array(column, dtype=float) for column in zip(*tables, strict=True)]


def square(a, n1, c, n2):
    return np.array([[a, n1 - a], [c, n2 - c]])


def mid_p(a, n1, c, n2):
    """Sum of the probabilities below that of the table, and half of those equal to it, in whole numbers."""
    m = a + c
    ways = {x: comb(n1, x) * comb(n2, m - x) for x in range(max(0, m - n2), min(n1, m) + 1)}
    below = sum(way for way in ways.values() if way < ways[a])
    equal = sum(way for way in ways.values() if way == ways[a])
    return float(Fraction(2 * below + equal, 2 * sum(ways.values())))


# ---------------------------------------------------------------- two-by-two tables


@pytest.mark.parametrize(
    ("name", "oracle"),
    [
        ("χ²", lambda t: stats.chi2_contingency(t, correction=False).pvalue),
        ("likelihood ratio", lambda t: stats.chi2_contingency(t, correction=False, lambda_="log-likelihood").pvalue),
        ("N − 1 χ²", lambda t: StratifiedTable([t]).test_null_odds().pvalue),
    ],
)
def test_chi_squared_tests_agree_with_scipy_and_statsmodels(name, oracle):
    with np.errstate(all="ignore"):
        expected = [oracle(square(*table)) for table in MIXED]
    # a statistic near 0 passes the root of its error on to P
    np.testing.assert_allclose(table_tests(*columns(MIXED))[name], expected, rtol=1e-9, atol=2e-7)


def test_yates_correction_agrees_with_scipy():
    expected = [stats.chi2_contingency(square(*table)).pvalue for table in MIXED]
    np.testing.assert_allclose(table_tests(*columns(MIXED))["Yates"], expected, rtol=1e-9)


@pytest.mark.parametrize(
    ("name", "oracle"),
    [
        ("Wald log OR", lambda a, n1, c, n2: Table2x2(square(a, n1, c, n2)).log_oddsratio_pvalue()),
        ("Wald log RR", lambda a, n1, c, n2: Table2x2(square(a, n1, c, n2)).log_riskratio_pvalue()),
        ("unpooled z", lambda a, n1, c, n2: proportions_2indep(a, n1, c, n2, method="wald", compare="diff").pvalue),
    ],
)
def test_wald_tests_agree_with_statsmodels(name, oracle):
    expected = [oracle(*table) for table in INNER]
    np.testing.assert_allclose(table_tests(*columns(INNER))[name], expected, rtol=1e-9, atol=1e-12)


def test_fisher_agrees_with_scipy_on_every_small_table():
    expected = [stats.fisher_exact(square(*table)).pvalue for table in TABLES]
    np.testing.assert_allclose(table_tests(*columns(TABLES))["Fisher"], expected, rtol=1e-9)


def test_fisher_agrees_with_scipy_on_large_and_extreme_tables():
    rng = np.random.default_rng(3)
    n1, n2 = rng.integers(50, 3000, (2, 60))
    tables = [*zip(rng.binomial(n1, 0.3), n1, rng.binomial(n2, 0.34), n2, strict=True), (0, 400, 400, 400)]
    expected = [stats.fisher_exact(square(*table)).pvalue for table in tables]
    np.testing.assert_allclose(table_tests(*columns(tables))["Fisher"], expected, rtol=1e-6)


def test_mid_p_agrees_with_whole_numbers():
    expected = [mid_p(*table) for table in TABLES]
    np.testing.assert_allclose(table_tests(*columns(TABLES))["Fisher mid-P"], expected, rtol=1e-9)


def test_twice_the_smaller_tail_agrees_with_scipy():
    expected = [
        min(1.0, 2 * min(stats.fisher_exact(square(*table), alternative=side).pvalue for side in ("less", "greater")))
        for table in TABLES
    ]
    np.testing.assert_allclose(table_tests(*columns(TABLES))["twice one-sided Fisher"], expected, rtol=1e-9)


def test_fisher_does_not_depend_on_how_tables_are_put_into_parts(monkeypatch):
    whole = fisher(*columns(TABLES))
    monkeypatch.setattr("metail2.kernels.two_sample_tests._CHUNK", 7)
    parts = fisher(*columns(TABLES))
    np.testing.assert_array_equal(parts.exact, whole.exact)
    np.testing.assert_array_equal(parts.mid, whole.mid)
    np.testing.assert_array_equal(parts.doubled, whole.doubled)


def test_fisher_of_an_impossible_or_a_huge_table_is_missing():
    impossible = columns([(5, 4, 1, 3), (-1, 4, 1, 3), (np.nan, 4, 1, 3), (1, MOST_PEOPLE, 1, 3)])
    assert np.isnan(fisher(*impossible).exact).all()


def test_tests_are_missing_where_they_are_not_defined():
    found = table_tests(*columns([(0, 5, 0, 5), (0, 5, 3, 5), (5, 5, 5, 5)]))
    assert found["Fisher"].tolist()[::2] == [1, 1]
    assert np.isnan([found[name][0] for name in ("χ²", "likelihood ratio", "unpooled z", "Wald log RR")]).all()
    assert np.isnan([found[name][1] for name in ("Wald log OR", "Wald log RR")]).all()
    assert np.isnan([found[name][2] for name in ("χ²", "Wald log OR", "Wald log RR", "unpooled z")]).all()


def test_shapes_broadcast():
    found = table_tests(np.arange(4.0)[:, None], np.array(9.0), np.arange(3.0), np.array(8.0))
    assert {values.shape for values in found.values()} == {(4, 3)}
    assert found["Fisher"][3, 1] == pytest.approx(stats.fisher_exact([[3, 6], [1, 7]]).pvalue)


# ---------------------------------------------------------------- ranks


def groups_with(u, n1, n2):
    """Two groups without ties whose U (pairs in which the first is larger) is u."""
    first = np.zeros(n1)
    for k in range(n1):
        step = min(u, n2)
        first[k] = step + (k + 1) / (n1 + 2) - 1e-3
        u -= step
    return first, np.arange(1, n2 + 1) + 0.0


@pytest.mark.parametrize(("n1", "n2"), [(6, 6), (3, 8), (1, 4)])
@pytest.mark.parametrize("continuity", [True, False])
def test_the_normal_mann_whitney_test_agrees_with_scipy(n1, n2, continuity):
    for u in range(n1 * n2 + 1):
        found = stats.mannwhitneyu(*groups_with(u, n1, n2), method="asymptotic", use_continuity=continuity)
        assert found.statistic == u
        assert mann_whitney_normal_p(np.array(u), n1, n2, continuity) == pytest.approx(min(found.pvalue, 1))


@pytest.mark.parametrize(("n1", "n2"), [(4, 3), (1, 4), (3, 3), (5, 2)])
def test_the_exact_mann_whitney_test_agrees_with_every_permutation(n1, n2):
    us = []
    for chosen in combinations(range(n1 + n2), n1):
        others = [rank for rank in range(n1 + n2) if rank not in chosen]
        us.append(sum(one > other for one in chosen for other in others))
    found = mann_whitney_exact_p(np.arange(n1 * n2 + 1), n1, n2)
    for u in range(n1 * n2 + 1):
        tail = min(sum(x <= u for x in us), sum(x >= u for x in us)) / len(us)
        assert found[u] == pytest.approx(min(1, 2 * tail))


def test_the_exact_mann_whitney_test_agrees_with_scipy_at_larger_sizes():
    found = mann_whitney_exact_p(np.array([0, 20, 61, 100, 120]), 12, 20)
    expected = [
        stats.mannwhitneyu(*groups_with(u, 12, 20), method="exact").pvalue for u in (0, 20, 61, 100, 120)
    ]  # fmt: skip
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_complete_separation_of_six_and_six():
    u, n = np.zeros(1), np.array([6.0])
    assert mann_whitney_normal_p(u, n, n, False)[0] == pytest.approx(0.003948, abs=5e-7)
    assert mann_whitney_exact_p(u.astype(int), 6, 6)[0] == pytest.approx(2 / comb(12, 6))


# ---------------------------------------------------------------- means


@pytest.fixture(scope="module")
def samples():
    rng = np.random.default_rng(4)
    return [rng.normal(10, 3, 9), rng.normal(12, 6, 14), rng.normal(11, 1, 5)]


def moments(sample):
    return np.array(sample.mean()), np.array(sample.std(ddof=1)), np.array(float(len(sample)))


def test_two_sample_t_tests_agree_with_scipy(samples):
    one, two, _ = samples
    for equal, own in ((True, student_p), (False, welch_p)):
        expected = stats.ttest_ind(one, two, equal_var=equal)
        assert own(*moments(one), *moments(two)) == pytest.approx(expected.pvalue, rel=1e-12)
    assert welch_df(*moments(one)[1:], *moments(two)[1:]) == pytest.approx(expected.df, rel=1e-12)


def test_the_paired_t_test_agrees_with_scipy(samples):
    mean, sd, n = moments(samples[0] - 9)
    assert t_p(mean, sd / np.sqrt(n), n - 1) == pytest.approx(stats.ttest_1samp(samples[0], 9).pvalue, rel=1e-12)


def test_t_with_infinite_df_is_normal_and_an_se_of_zero_leaves_no_doubt():
    assert t_p(np.array(1.0), np.array(0.5), np.array(np.inf)) == pytest.approx(2 * stats.norm.sf(2))
    assert t_p(np.array(1.0), np.array(0.0), np.array(3.0)) == 0
    assert t_p(np.array(37.0), np.array(1.0), np.array(np.inf)) > 0


def test_analysis_of_variance_agrees_with_scipy(samples):
    mean, sd, n = (np.array(values) for values in zip(*map(moments, samples), strict=True))
    assert one_way_p(mean, sd, n) == pytest.approx(stats.f_oneway(*samples).pvalue, rel=1e-12)
    two = one_way_p(mean[:2], sd[:2], n[:2])
    assert two == pytest.approx(student_p(mean[0], sd[0], n[0], mean[1], sd[1], n[1]), rel=1e-12)
