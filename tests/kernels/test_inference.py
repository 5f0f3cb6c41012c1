"""Tests, intervals and tails beside 30-digit arithmetic and scipy.stats."""

import mpmath as mp
import numpy as np
import pytest
from scipy import stats

from metail2.errors import UnknownChoice
from metail2.kernels.inference import FACTORS, chi2_upper, joint_test, quantile, quantiles, two_sided, wald


@pytest.mark.parametrize("z", [0.0, 1.959963984540054, -8.0, 20.0, 37.0, -37.5])
def test_normal_tails_keep_their_digits(z):
    with mp.workdps(40):
        exact = float(mp.erfc(abs(mp.mpf(z)) / mp.sqrt(2)))
    assert float(two_sided(np.array(z), np.inf)) == pytest.approx(exact, rel=1e-12)


def test_a_p_value_of_1e_300_stays_one():
    z = 37.0653  # so far out that 1 − cdf is 0
    p = float(two_sided(np.array(z), np.inf))
    assert 1e-301 < p < 1e-299
    assert 1 - stats.norm.cdf(z) == 0


@pytest.mark.parametrize("df", [1, 2, 5, 12, 200])
@pytest.mark.parametrize("t", [0.3, -4.0, 1e3, -1e8, 1e20])
def test_t_tails_keep_their_digits(df, t):
    with mp.workdps(40):
        x = mp.mpf(df) / (mp.mpf(df) + mp.mpf(t) ** 2)
        exact = float(mp.betainc(mp.mpf(df) / 2, mp.mpf("0.5"), 0, x, regularized=True))
    assert float(two_sided(np.array(t), float(df))) == pytest.approx(exact, rel=1e-10, abs=1e-307)


@pytest.mark.parametrize(("q", "df"), [(0.0, 3), (5.0, 1), (152.233, 12), (1400.0, 12), (3.0, 200)])
def test_chi_squared_tails_keep_their_digits(q, df):
    with mp.workdps(40):
        exact = float(mp.gammainc(mp.mpf(df) / 2, mp.mpf(q) / 2, mp.inf, regularized=True))
    assert float(chi2_upper(np.array(q), df)) == pytest.approx(exact, rel=1e-12)


def test_quantiles():
    assert quantile(0.95, np.inf) == pytest.approx(1.959963984540054, rel=1e-14)
    assert quantile(0.9, 4.0) == pytest.approx(2.131846786326649, rel=1e-12)
    assert quantile(0.95, 1.0) == pytest.approx(np.tan(0.95 * np.pi / 2), rel=1e-12)


def test_wald_interval_and_test_agree():
    found = wald(np.array([2.0, -2.0]), np.array([1.0, 4.0]), 7.0, 0.95)
    np.testing.assert_allclose(found.statistic, [2, -1])
    for j in range(2):
        # the P value is 1 − the level whose interval just reaches 0
        edge = wald(found.estimate, found.se**2, 7.0, 1 - float(found.p_value[j]))
        assert min(abs(edge.lower[j]), abs(edge.upper[j])) < 1e-12


def test_a_standard_error_of_0():
    found = wald(np.array([0.5, -0.5, 0.0]), np.zeros(3), 3.0, 0.95)
    np.testing.assert_array_equal(found.statistic, [np.inf, -np.inf, np.nan])
    np.testing.assert_array_equal(found.p_value, [0, 0, np.nan])
    np.testing.assert_array_equal(found.lower, found.upper)


def test_what_a_test_does_to_the_covariance():
    s2 = np.array([0.25, 4.0])
    assert {name: (rule(s2, 6)[0].tolist(), rule(s2, 6)[1]) for name, rule in FACTORS.items()} == {
        "z": ([1, 1], np.inf),
        "t": ([1, 1], 6.0),
        "knapp_hartung": ([0.25, 4], 6.0),
        "knapp_hartung_adhoc": ([1, 4], 6.0),
    }


def test_an_unknown_test_is_answered_with_the_nearest():
    with pytest.raises(UnknownChoice, match="Did you mean 'knapp_hartung'"):
        FACTORS["knap_hartung"]


def test_joint_test_is_the_f_test():
    beta, covariance = np.array([0.5, -1.0]), np.array([[0.2, 0.05], [0.05, 0.4]])
    chi2 = float(beta @ np.linalg.inv(covariance) @ beta)
    found = joint_test(beta, covariance, np.inf)
    assert (found.statistic, found.p_value) == pytest.approx((chi2, stats.chi2.sf(chi2, 2)), rel=1e-12)
    found = joint_test(beta, covariance, 9.0, scale=0.8)
    assert (found.statistic, found.p_value) == pytest.approx((0.4 * chi2, stats.f.sf(0.4 * chi2, 2, 9)), rel=1e-12)
    assert (found.df, found.df_error) == (2.0, 9.0)


def test_joint_test_of_one_coefficient_is_the_square_of_its_own():
    one = wald(np.array([1.3]), np.array([0.4]), 8.0, 0.95)
    found = joint_test(np.array([1.3]), np.array([[0.4]]), 8.0)
    assert found.statistic == pytest.approx(float(one.statistic[0]) ** 2, rel=1e-13)
    assert found.p_value == pytest.approx(float(one.p_value[0]), rel=1e-12)


def test_joint_test_without_any_variance_is_undefined():
    found = joint_test(np.array([0.0]), np.zeros((1, 1)), 3.0)
    assert np.isnan([found.statistic, found.p_value]).all()


def test_every_coefficient_may_have_its_own_degrees_of_freedom():
    found = wald(np.array([1.0, 2.0]), np.array([0.3, 0.5]), np.array([3.5, 80.0]), 0.9)
    for j, df in enumerate((3.5, 80.0)):
        one = wald(found.estimate[[j]], found.se[[j]] ** 2, df, 0.9)
        assert (found.lower[j], found.p_value[j]) == pytest.approx((one.lower[0], one.p_value[0]), rel=1e-14)
    np.testing.assert_allclose(quantiles(0.9, np.array([3.5, 80.0])), stats.t.isf(0.05, [3.5, 80.0]), rtol=1e-12)
