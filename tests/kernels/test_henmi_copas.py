"""Henmi–Copas: moments beside dense matrices and simulation, the tail beside 30 digits, coverage with known truth."""

import mpmath
import numpy as np
import pytest
from scipy import integrate, stats

from metail2.kernels.henmi_copas import conditional_q, henmi_copas_fit

VI = np.array([0.02, 0.05, 0.04, 0.1, 0.03, 0.2])
YI = np.array([0.1, 0.8, -0.4, 1.2, 0.5, 0.9])
TAU2 = np.asarray(0.15)


def dense(vi, tau2):
    """D, M and a of the quadratic form Q = e′Me and the linear form R = a′e."""
    w = 1 / vi
    d = np.diag(vi + tau2)
    return d, np.diag(w) - np.outer(w, w) / w.sum(), w / np.sqrt(w @ d @ w)


def test_moments_of_q_given_the_error_of_the_mean_in_matrices():
    d, m, a = dense(VI, 0.15)
    given = d - np.outer(d @ a, a @ d)
    found = conditional_q(VI, TAU2)
    for r in (0.0, 0.7, 3.0):
        shift = r * (d @ a)
        mean = shift @ m @ shift + np.trace(m @ given)
        variance = 2 * np.trace(m @ given @ m @ given) + 4 * shift @ m @ given @ m @ shift
        assert found.mean + found.mean_slope * r**2 == pytest.approx(mean, rel=1e-12)
        assert found.variance + found.variance_slope * r**2 == pytest.approx(variance, rel=1e-12)


def test_moments_of_q_given_the_error_of_the_mean_by_simulation():
    rng = np.random.default_rng(1)
    e = rng.normal(0, np.sqrt(VI + TAU2), (1_000_000, 6))
    _, m, a = dense(VI, 0.15)
    r2, q = (e @ a) ** 2, ((e @ m) * e).sum(1)
    found = conditional_q(VI, TAU2)
    error = q - found.mean - found.mean_slope * r2
    excess = error**2 - found.variance - found.variance_slope * r2
    for residual in (error, error * r2, excess, excess * r2):
        assert abs(residual.mean()) < 4 * residual.std() / 1000


@pytest.mark.parametrize("t", [0.5, 1.9, 3.4])
def test_the_tail_to_thirty_digits(t):
    found = conditional_q(VI, TAU2)
    with mpmath.workdps(30):
        names = ("mean", "mean_slope", "variance", "variance_slope", "inflation", "rise")
        mean0, mean1, variance0, variance1, inflation, rise = (mpmath.mpf(float(getattr(found, n))) for n in names)

        def density(r):
            mean, variance = mean0 + mean1 * r**2, variance0 + variance1 * r**2
            limit = 5 + rise * (inflation * r**2 / t**2 - 1)
            below = mpmath.gammainc(mean**2 / variance, 0, mean * limit / variance, regularized=True)
            return below * mpmath.npdf(r)

        first = t / mpmath.sqrt(inflation)
        expected = mpmath.quad(density, mpmath.linspace(first, first + 12, 13))
    assert float(found.tail(np.asarray(t))) == pytest.approx(float(expected), rel=1e-12)


@pytest.mark.parametrize("k", [2, 20, 2000])
def test_with_equal_variances_q_is_an_independent_chi_square(k):
    found = conditional_q(np.full(k, 0.1), np.asarray(0.3))
    t = 2.1

    def density(r):
        limit = k - 1 + (k - 1) * (4 * r**2 / t**2 - 1)
        return stats.chi2.cdf(limit / 4, k - 1) * stats.norm.pdf(r)

    expected, _ = integrate.quad(density, t / 2, 12, points=[t - 0.1, t, t + 0.1], epsabs=1e-13, epsrel=1e-12)
    assert float(found.tail(np.asarray(t))) == pytest.approx(expected, rel=1e-9)


def test_the_exact_distribution_by_simulation():
    """The gamma distribution is an approximation only: tails of the statistic itself, within 0.4 points of percent."""
    rng = np.random.default_rng(2)
    yi = rng.normal(0, np.sqrt(VI + TAU2), (400_000, 6))
    w = 1 / VI
    mean = yi @ w / w.sum()
    q = ((yi - mean[:, None]) ** 2) @ w
    tau2 = np.maximum(0, (q - 5) / (w.sum() - (w**2).sum() / w.sum()))
    statistic = np.abs(mean) / np.sqrt(w.sum() + tau2 * (w**2).sum()) * w.sum()
    for t in (1.5, 2.5):
        two_sided = 2 * float(conditional_q(VI, TAU2).tail(np.asarray(t)))
        assert two_sided == pytest.approx(np.mean(statistic > t), abs=0.004)


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.999])
def test_the_quantile_leaves_half_of_alpha_in_each_tail(level):
    found = henmi_copas_fit(YI, VI, level)
    assert conditional_q(VI, found.tau2).tail(found.quantile) == pytest.approx((1 - level) / 2, rel=1e-11)


def test_without_heterogeneity_the_interval_is_shorter_than_the_normal_one():
    found = henmi_copas_fit(np.array([0.3, 0.31, 0.29, 0.32]), np.array([0.04, 0.05, 0.03, 0.06]), 0.95)
    assert found.tau2 == 0
    assert found.variance == pytest.approx(1 / (1 / np.array([0.04, 0.05, 0.03, 0.06])).sum(), rel=1e-12)
    assert 1 < found.quantile < stats.norm.ppf(0.975)


def test_many_at_once_in_any_order_and_scale():
    order = [3, 0, 5, 1, 4, 2]
    alone = henmi_copas_fit(YI, VI, 0.95)
    many = henmi_copas_fit(np.stack([YI, YI[order], 1e8 * YI]), np.stack([VI, VI[order], 1e16 * VI]), 0.95)
    np.testing.assert_allclose(many.estimate, float(alone.estimate) * np.array([1, 1, 1e8]), rtol=1e-12)
    np.testing.assert_allclose(many.variance, float(alone.variance) * np.array([1, 1, 1e16]), rtol=1e-12)
    np.testing.assert_allclose(many.quantile, float(alone.quantile), rtol=1e-12)


def test_memory_stays_linear_and_the_quantile_normal_with_many_studies():
    rng = np.random.default_rng(3)
    vi = rng.uniform(0.01, 1, 10_000)
    found = henmi_copas_fit(rng.normal(0, np.sqrt(vi + 0.2)), vi, 0.95)
    assert found.quantile == pytest.approx(stats.norm.ppf(0.975), rel=1e-3)


def test_coverage():
    """Known truth: 4,000 data sets of 20 studies whose variances spread tenfold, I² near 50 %."""
    rng = np.random.default_rng(4)
    vi = np.geomspace(0.1, 1, 20)
    yi = rng.normal(0.3, np.sqrt(vi + 0.25), (4000, 20))
    found = henmi_copas_fit(yi, vi, 0.95)
    covered = np.mean(np.abs(found.estimate - 0.3) <= found.quantile * np.sqrt(found.variance))
    assert 0.93 < covered < 0.96
