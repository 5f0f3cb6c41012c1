"""Tests of tables: by statsmodels, by 50-digit roots, by hypergeometric moments, and where there is nothing to test."""

import math

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, hypergeom
from statsmodels.stats.contingency_tables import StratifiedTable

from metail2.kernels.table_tests import RATE_TESTS, TABLE_TESTS, association, fitted_cell, informative
from metail2.kernels.tables import MANTEL_HAENSZEL
from metail2.registry import Registry

TABLES = np.array([[4, 119, 11, 128], [6, 300, 29, 274], [0, 231, 11, 209], [62, 136, 24, 128], [3, 1, 2, 5.0]])
RATES = np.array([[7, 1344, 11, 1988], [0, 1600, 8, 1461], [3, 12012, 14, 10962.0]])
EMPTY = np.array([[0, 20, 0, 31], [9, 0, 8, 0.0]])
HOMOGENEITY = ["breslow_day", "tarone"]


def statistic(name, tables):
    return float(TABLE_TESTS[name](*np.asarray(tables).T).statistic)


def stratified(tables):
    return StratifiedTable([[[a, b], [c, d]] for a, b, c, d in tables])


@pytest.mark.parametrize(("name", "corrected"), [("cmh", False), ("cmh_corrected", True)])
def test_association_by_statsmodels(name, corrected):
    other = stratified(TABLES).test_null_odds(correction=corrected)
    found = TABLE_TESTS[name](*TABLES.T)
    assert float(found.statistic) == pytest.approx(other.statistic, rel=1e-12)
    assert float(found.p_value) == pytest.approx(other.pvalue, rel=1e-10)
    assert float(found.df) == 1


@pytest.mark.parametrize(("name", "adjust"), [("breslow_day", False), ("tarone", True)])
def test_homogeneity_by_statsmodels(name, adjust):
    other = stratified(TABLES).test_equal_odds(adjust=adjust)
    found = TABLE_TESTS[name](*TABLES.T)
    assert float(found.statistic) == pytest.approx(other.statistic, rel=1e-9)
    assert float(found.p_value) == pytest.approx(other.pvalue, rel=1e-9)
    assert float(found.df) == 4


def test_association_by_moments_of_the_hypergeometric():
    total = variance = binomial = 0.0
    for a, b, c, d in TABLES:
        given_margins = hypergeom(a + b + c + d, a + b, a + c)
        total += a - given_margins.mean()
        variance += given_margins.var()
        binomial += given_margins.var() * (a + b + c + d - 1) / (a + b + c + d)
    assert statistic("cmh", TABLES) == pytest.approx(total**2 / variance, rel=1e-11)
    assert statistic("cmh_corrected", TABLES) == pytest.approx((abs(total) - 0.5) ** 2 / variance, rel=1e-11)
    assert statistic("cochran", TABLES) == pytest.approx(total**2 / binomial, rel=1e-11)
    assert statistic("cochran_corrected", TABLES) == pytest.approx((abs(total) - 0.5) ** 2 / binomial, rel=1e-11)


def test_association_of_rates_by_moments_of_the_binomial():
    total = variance = 0.0
    for x1, t1, x2, t2 in RATES:
        given_events = binom(x1 + x2, t1 / (t1 + t2))
        total += x1 - given_events.mean()
        variance += given_events.var()
    assert float(RATE_TESTS["cmh"](*RATES.T).statistic) == pytest.approx(total**2 / variance, rel=1e-11)
    corrected = RATE_TESTS["cmh_corrected"](*RATES.T)
    assert float(corrected.statistic) == pytest.approx((abs(total) - 0.5) ** 2 / variance, rel=1e-11)


def test_one_table_without_correction_is_pearsons_chi_square():
    a, b, c, d = 12.0, 88.0, 30.0, 70.0
    pearson = 200 * (a * d - b * c) ** 2 / (100 * 100 * 42 * 158)
    assert statistic("cochran", [[a, b, c, d]]) == pytest.approx(pearson, rel=1e-12)
    assert statistic("cmh", [[a, b, c, d]]) == pytest.approx(pearson * 199 / 200, rel=1e-12)


def test_the_correction_stops_at_0():
    """|Σ(O − E)| is 0.08 here; squaring 0.08 − 0.5 would make a difference out of nothing."""
    tables = [[1, 9, 1, 9], [2, 10, 2, 11.0]]
    for name in ("cmh_corrected", "cochran_corrected"):
        found = TABLE_TESTS[name](*np.array(tables).T)
        assert (float(found.statistic), float(found.p_value)) == (0, 1)


def test_p_values_keep_their_tail():
    o_minus_e, v = np.array([370.0]), np.array([100.0])
    exact = mpmath.erfc(mpmath.sqrt(mpmath.mpf(1369) / 2))
    assert 0 < float(association(o_minus_e, v).p_value) == pytest.approx(float(exact), rel=1e-9)


@pytest.mark.parametrize("odds", [1e-12, 0.03, 1 - 1e-9, 1.0, 1 + 1e-9, 40.0, 1e12])
def test_the_fitted_table_by_the_quadratic_in_50_digits(odds):
    rng = np.random.default_rng(int(1e3 * odds) % 1000)
    tables = np.floor(10 ** rng.uniform(0, 6, (60, 4)))
    cell, variance = fitted_cell(np.array([odds]), *tables.T)
    with mpmath.workdps(50):
        for row, found, spread in zip(tables.tolist(), cell, variance, strict=True):
            a, b, c, d = map(mpmath.mpf, row)
            n1, n2, m, psi = a + b, c + d, a + c, mpmath.mpf(odds)
            linear, square = n2 - m + psi * (n1 + m), 1 - psi
            roots = [mpmath.mpf(n1 * m / (n1 + n2))]
            if square:
                half = mpmath.sqrt(linear**2 + 4 * square * psi * n1 * m)
                roots = [(-linear + half) / (2 * square), (-linear - half) / (2 * square)]
            (exact,) = [root for root in roots if max(0, m - n2) <= root <= min(n1, m)]
            precise = 1 / (1 / exact + 1 / (n1 - exact) + 1 / (m - exact) + 1 / (n2 - m + exact))
            assert found == pytest.approx(float(exact), rel=1e-14)
            assert spread == pytest.approx(float(precise), rel=1e-14)


def test_the_fitted_table_has_its_odds_ratio_and_margins():
    a, b, c, d = TABLES.T
    cell, _ = fitted_cell(np.array([2.5]), a, b, c, d)
    other = (a + b - cell, a + c - cell, d - a + cell)
    np.testing.assert_allclose(cell * other[2] / (other[0] * other[1]), 2.5, rtol=1e-12)


@pytest.mark.parametrize("name", list(TABLE_TESTS))
def test_tables_without_information_change_nothing(name):
    found, alone = TABLE_TESTS[name](*np.vstack([EMPTY, TABLES]).T), TABLE_TESTS[name](*TABLES.T)
    assert float(found.statistic) == pytest.approx(float(alone.statistic), rel=1e-12)
    assert float(found.df) == float(alone.df)
    assert informative(*np.vstack([EMPTY, TABLES]).T).tolist() == [False, False, True, True, True, True, True]


@pytest.mark.parametrize("name", list(TABLE_TESTS))
def test_without_any_information_there_is_no_test(name):
    found = TABLE_TESTS[name](*EMPTY.T)
    assert np.isnan([found.statistic, found.p_value]).all()


@pytest.mark.parametrize("name", HOMOGENEITY)
@pytest.mark.parametrize("tables", [TABLES[:1], [[0, 9, 3, 8], [0, 8, 2, 9.0]], [[3, 9, 0, 8], [1, 8, 0, 9.0]]])
def test_homogeneity_needs_two_tables_and_a_common_odds_ratio(name, tables):
    found = TABLE_TESTS[name](*np.asarray(tables).T)
    assert np.isnan([found.statistic, found.p_value]).all()
    assert float(found.df) == len(tables) - 1


def test_equal_odds_ratios_give_0():
    """Three tables of odds ratio 6: the fitted tables are the tables, and P is 1."""
    tables = [[6, 1, 1, 1], [12, 4, 2, 4], [30, 10, 4, 8.0]]
    for name in HOMOGENEITY:
        found = TABLE_TESTS[name](*np.array(tables).T)
        assert float(found.statistic) == pytest.approx(0, abs=1e-24)
        assert float(found.p_value) == pytest.approx(1)


@pytest.mark.parametrize("tests", [TABLE_TESTS, RATE_TESTS], ids=lambda tests: tests.kind)
def test_leading_axes(tests):
    assert isinstance(tests, Registry)
    a, b, c, d = np.random.default_rng(4).integers(0, 30, (4, 3, 2, 5)).astype(float) + 1
    for name in tests:
        many = tests[name](a, b, c, d)
        for i in np.ndindex(3, 2):
            one = tests[name](a[i], b[i], c[i], d[i])
            assert float(many.statistic[i]) == pytest.approx(float(one.statistic), rel=1e-12)
            assert float(many.p_value[i]) == pytest.approx(float(one.p_value), rel=1e-12)


@given(st.lists(st.tuples(*[st.integers(0, 40)] * 4), min_size=2, max_size=6))
@settings(max_examples=80, deadline=None, derandomize=True)
def test_order_arms_and_outcome_do_not_matter(rows):
    tables = np.array(rows) + np.array([1.0, 1, 0, 1])
    if math.isnan(MANTEL_HAENSZEL["OR"](*tables.T).estimate):
        return
    a, b, c, d = tables.T
    for name in TABLE_TESTS:
        want = float(TABLE_TESTS[name](a, b, c, d).statistic)
        for other in (tables[::-1].T, (c, d, a, b), (b, a, d, c)):
            assert float(TABLE_TESTS[name](*other).statistic) == pytest.approx(want, rel=1e-8, abs=1e-12, nan_ok=True)
        assert not want < 0


def test_tarone_holds_its_level_where_odds_ratios_are_equal():
    """4,000 sets of 6 tables of odds ratio 3: P below 0.05 in 5 % of them, with a Monte Carlo error of 0.35 %."""
    rng = np.random.default_rng(11)
    n, base = 150, rng.uniform(0.2, 0.5, (4000, 6))
    odds = 3 * base / (1 - base)
    a, c = rng.binomial(n, odds / (1 + odds)).astype(float), rng.binomial(n, base).astype(float)
    p = TABLE_TESTS["tarone"](a, n - a, c, n - c).p_value
    assert np.mean(p < 0.05) == pytest.approx(0.05, abs=3.5 * 0.0035)
