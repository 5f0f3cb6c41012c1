"""Mantel–Haenszel by naive loops over studies, Peto by sums over the hypergeometric distribution."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import hypergeom
from statsmodels.stats.contingency_tables import StratifiedTable

from metail2.kernels.tables import MANTEL_HAENSZEL, hypergeometric_variance, observed_minus_expected, one_step

TABLES = np.array([[4, 119, 11, 128], [6, 300, 29, 274], [0, 231, 11, 209], [62, 136, 24, 128], [3, 0, 2, 5.0]])
RATES = np.array([[7, 1344, 11, 1988], [0, 1600, 8, 1461], [3, 12012, 14, 10962.0]])


def odds_ratio(tables):
    r = s = pr = ps_qr = qs = 0.0
    for a, b, c, d in tables:
        n = a + b + c + d
        r += a * d / n
        s += b * c / n
        pr += (a + d) * a * d / n**2
        ps_qr += ((a + d) * b * c + (b + c) * a * d) / n**2
        qs += (b + c) * b * c / n**2
    return math.log(r / s), pr / (2 * r**2) + ps_qr / (2 * r * s) + qs / (2 * s**2)


def risk_ratio(tables):
    r = s = p = 0.0
    for a, b, c, d in tables:
        n1, n2, n = a + b, c + d, a + b + c + d
        r += a * n2 / n
        s += c * n1 / n
        p += (n1 * n2 * (a + c) - a * c * n) / n**2
    return math.log(r / s), p / (r * s)


def risk_difference(tables):
    total = weighted = 0.0
    for a, b, c, d in tables:
        n1, n2 = a + b, c + d
        w = n1 * n2 / (n1 + n2)
        total += w
        weighted += w * (a / n1 - c / n2)
    estimate = weighted / total
    j = 0.0
    for a, b, c, d in tables:  # Sato, Greenland & Robins 1989, as in Greenland & Lash 2008, p. 279
        n1, n2, n = a + b, c + d, a + b + c + d
        p = (n1**2 * c - n2**2 * a + n1 * n2 * (n2 - n1) / 2) / n**2
        q = (a * (n2 - c) + c * (n1 - a)) / (2 * n)
        j += estimate * p + q
    return estimate, j / total**2


def rate_ratio(rates):
    r = s = v = 0.0
    for x1, t1, x2, t2 in rates:
        t = t1 + t2
        r += x1 * t2 / t
        s += x2 * t1 / t
        v += t1 * t2 * (x1 + x2) / t**2
    return math.log(r / s), v / (r * s)


def rate_difference(rates):
    total = weighted = variance = 0.0
    for x1, t1, x2, t2 in rates:
        w = t1 * t2 / (t1 + t2)
        total += w
        weighted += w * (x1 / t1 - x2 / t2)
        variance += w**2 * (x1 / t1**2 + x2 / t2**2)
    return weighted / total, variance / total**2


def peto(a, b, c, d):
    return one_step(*observed_minus_expected(a, b, c, d))


NAIVE = {"OR": odds_ratio, "RR": risk_ratio, "RD": risk_difference, "IRR": rate_ratio, "IRD": rate_difference}


@pytest.mark.parametrize("measure", list(MANTEL_HAENSZEL))
def test_mantel_haenszel_by_loops(measure):
    data = RATES if measure.startswith("IR") else TABLES
    found = MANTEL_HAENSZEL[measure](*data.T)
    assert (float(found.estimate), float(found.variance)) == pytest.approx(NAIVE[measure](data), rel=1e-12)


def test_mantel_haenszel_odds_ratio_by_statsmodels():
    other = StratifiedTable([[[a, b], [c, d]] for a, b, c, d in TABLES])
    found = MANTEL_HAENSZEL["OR"](*TABLES.T)
    assert float(found.estimate) == pytest.approx(other.logodds_pooled, rel=1e-12)
    assert math.sqrt(float(found.variance)) == pytest.approx(other.logodds_pooled_se, rel=1e-12)


@pytest.mark.parametrize("measure", list(MANTEL_HAENSZEL))
def test_weights_are_those_of_the_estimate(measure):
    """The estimate is the weighted mean of the studies' own estimates, as ratios or differences."""
    rng = np.random.default_rng(2)
    data = rng.integers(1, 40, (6, 4)).astype(float)
    found = MANTEL_HAENSZEL[measure](*data.T)
    each = np.array([NAIVE[measure](row[None])[0] for row in data])
    ratio = measure not in ("RD", "IRD")
    mean = np.average(np.exp(each) if ratio else each, weights=found.weights)
    assert (np.log(mean) if ratio else mean) == pytest.approx(float(found.estimate), rel=1e-12)


@pytest.mark.parametrize("measure", list(MANTEL_HAENSZEL))
def test_one_table_with_its_classic_variance(measure):
    """In one study without zeros Mantel–Haenszel is the study's own estimate."""
    a, b, c, d = 12.0, 88.0, 30.0, 70.0
    own = {
        "OR": (math.log(a * d / (b * c)), 1 / a + 1 / b + 1 / c + 1 / d),
        "RR": (math.log(a / 100 / (c / 100)), 1 / a - 1 / 100 + 1 / c - 1 / 100),
        "RD": (-0.18, None),  # the variance of Sato is not that of Wald
        "IRR": (math.log(a / b) - math.log(c / d), 1 / a + 1 / c),
        "IRD": (a / b - c / d, a / b**2 + c / d**2),
    }[measure]
    found = MANTEL_HAENSZEL[measure](*np.array([[a], [b], [c], [d]]))
    assert float(found.estimate) == pytest.approx(own[0], rel=1e-12)
    if own[1] is not None:
        assert float(found.variance) == pytest.approx(own[1], rel=1e-12)


@pytest.mark.parametrize("measure", list(MANTEL_HAENSZEL))
def test_leading_axes(measure):
    rng = np.random.default_rng(4)
    a, b, c, d = rng.integers(0, 30, (4, 3, 2, 5)).astype(float) + 1
    many = MANTEL_HAENSZEL[measure](a, b, c, d)
    for i in np.ndindex(3, 2):
        one = MANTEL_HAENSZEL[measure](a[i], b[i], c[i], d[i])
        assert float(many.estimate[i]) == pytest.approx(float(one.estimate), rel=1e-13)
        assert float(many.variance[i]) == pytest.approx(float(one.variance), rel=1e-13)


@pytest.mark.parametrize("measure", ["OR", "RR", "IRR"])
def test_no_event_in_an_arm_is_undefined(measure):
    found = MANTEL_HAENSZEL[measure](np.zeros(2), np.full(2, 9.0), np.array([1.0, 2]), np.full(2, 9.0))
    assert np.isnan(found.estimate)
    assert np.isnan(found.variance)


def test_peto_by_hypergeometric_sums():
    observed = expected = variance = 0.0
    for a, b, c, d in TABLES:
        n, n1, m = a + b + c + d, a + b, a + c
        support = np.arange(max(0, m - (c + d)), min(n1, m) + 1)
        probability = hypergeom.pmf(support, n, n1, m)
        mean = (support * probability).sum()
        observed += a
        expected += mean
        variance += ((support - mean) ** 2 * probability).sum()
    found = peto(*TABLES.T)
    assert float(found.estimate) == pytest.approx((observed - expected) / variance, rel=1e-9)
    assert float(found.variance) == pytest.approx(1 / variance, rel=1e-9)


def test_peto_gives_no_weight_to_tables_without_information():
    tables = np.array([[0, 10, 0, 12], [5, 0, 7, 0], [3, 7, 1, 9.0]])
    found = peto(*tables.T)
    assert found.weights.tolist()[:2] == [0, 0]
    assert float(found.estimate) == pytest.approx(float(peto(*tables[2:].T).estimate), rel=1e-12)
    assert np.isnan(peto(*tables[:2].T).estimate)


@given(st.lists(st.tuples(*[st.integers(0, 60)] * 4), min_size=1, max_size=6))
@settings(max_examples=80, deadline=None, derandomize=True)
def test_swapping_arms_changes_the_sign_only(rows):
    tables = np.array(rows, dtype=float) + 1
    a, b, c, d = tables.T
    for measure in ("OR", "RR", "RD"):
        one, other = MANTEL_HAENSZEL[measure](a, b, c, d), MANTEL_HAENSZEL[measure](c, d, a, b)
        np.testing.assert_allclose(other.estimate, -one.estimate, rtol=1e-9, atol=1e-13)
        np.testing.assert_allclose(other.variance, one.variance, rtol=1e-9)
    one, other = peto(a, b, c, d), peto(c, d, a, b)
    np.testing.assert_allclose(other.estimate, -one.estimate, rtol=1e-9, atol=1e-12)
    flipped = MANTEL_HAENSZEL["OR"](b, a, d, c)
    np.testing.assert_allclose(flipped.estimate, -MANTEL_HAENSZEL["OR"](a, b, c, d).estimate, rtol=1e-9, atol=1e-13)


CERTAIN = np.array([[9, 0, 8, 0], [0, 7, 0, 3.0]])


@pytest.mark.parametrize("measure", ["RR", "RD"])
@pytest.mark.parametrize("swap", [[0, 1, 2, 3], [0, 1, 3, 2]])
def test_a_variance_of_0_is_not_certainty(measure, swap):
    """In every arm all patients or none have the event; with effective sizes rounding must not leave a residue."""
    sizes = np.random.default_rng(6).uniform(3, 60, (50, 3, 2))
    for data in (CERTAIN, *(np.insert(size, [1, 2], 0, axis=1)[:, swap] for size in sizes)):
        found = MANTEL_HAENSZEL[measure](*data.T)
        assert np.isnan([found.estimate, found.variance]).all()


def test_one_step_is_the_maximum_of_its_quadratic():
    rng = np.random.default_rng(5)
    o_minus_e, v = rng.normal(0, 2, (3, 8)), rng.uniform(0, 9, (3, 8))
    found = one_step(o_minus_e, v)
    for i in range(3):
        curve = [(o_minus_e[i] * theta - v[i] * theta**2 / 2).sum() for theta in found.estimate[i] + [-1e-3, 0, 1e-3]]
        assert curve[1] > max(curve[0], curve[2])
        assert float(found.variance[i]) == pytest.approx(1 / v[i].sum(), rel=1e-13)
    assert np.isnan(one_step(np.zeros(2), np.zeros(2)).estimate)


def test_observed_minus_expected_is_that_of_the_margins():
    a, b, c, d = TABLES.T
    expected = (a + c) * (a + b) / (a + b + c + d)
    np.testing.assert_allclose(observed_minus_expected(a, b, c, d)[0], a - expected, rtol=1e-12)


def test_hypergeometric_variance_of_a_single_patient_is_not_a_number():
    with np.errstate(invalid="ignore"):
        assert np.isnan(hypergeometric_variance(*np.array([[1.0], [0.0], [0.0], [0.0]]))[0])
