"""Nagashima's predictive distribution: τ² beside the exact distribution of Q, a published example, brute force."""

import numpy as np
import pytest
from scipy import stats

from metail2.kernels import nagashima
from metail2.kernels.fitted import fit_random_effects
from metail2.kernels.nagashima import predictive_draws, tau2_draws
from metail2.kernels.prediction import PREDICTION
from metail2.kernels.quadratic_forms import probability_below

# Cisapride against placebo, 13 trials: Hartung & Knapp 2001, Statistics in Medicine 20:3875–3889.
EVENTS1 = np.array([15, 12, 29, 42, 14, 44, 14, 29, 10, 17, 38, 19, 21])
N1 = np.array([16, 16, 34, 56, 22, 54, 17, 58, 14, 26, 44, 29, 38])
EVENTS2 = np.array([9, 1, 18, 31, 6, 17, 7, 23, 3, 6, 12, 22, 19])
N2 = np.array([16, 16, 34, 56, 22, 55, 15, 58, 15, 27, 45, 30, 38])

YI = np.array([0.1, 0.8, -0.4, 1.2, 0.5, 0.9])
VI = np.array([0.02, 0.05, 0.04, 0.1, 0.03, 0.2])


def fit(yi, vi):
    return fit_random_effects(np.asarray(yi), np.asarray(vi), np.ones((np.shape(vi)[-1], 1)), "DL")


def cochran_q(yi, vi):
    w = 1 / vi
    return float((w * (yi - (w * yi).sum() / w.sum()) ** 2).sum())


def upper_tail(q, vi, tau2, terms=400):
    """P(Q > q; τ²) by Ruben's series of χ² distributions over the eigenvalues of the dense quadratic form."""
    w = np.diag(1 / vi)
    root = np.diag(np.sqrt(vi + tau2))
    sizes = np.linalg.eigvalsh(root @ (w - np.outer(1 / vi, 1 / vi) / w.sum()) @ root)[1:]
    smallest = sizes.min()
    powers = 0.5 * ((1 - smallest / sizes) ** np.arange(terms)[:, None]).sum(1)
    share = np.zeros(terms)
    share[0] = np.sqrt(smallest / sizes).prod()
    for j in range(1, terms):
        share[j] = share[:j] @ powers[j:0:-1] / j
    assert share.sum() == pytest.approx(1, abs=1e-9)
    return float(share @ stats.chi2.sf(q / smallest, len(sizes) + 2 * np.arange(terms)))


def test_draws_of_tau2_follow_the_confidence_distribution():
    draws = np.sort(tau2_draws(YI, VI, 200_000, np.random.default_rng(1)))
    q = cochran_q(YI, VI)
    for tau2 in (0.0, 0.03, 0.1, 0.3, 1.0, 4.0):
        expected = upper_tail(q, VI, tau2)
        error = np.sqrt(expected * (1 - expected) / 200_000)
        assert abs(np.searchsorted(draws, tau2, side="right") / 200_000 - expected) < 4 * error


def test_the_confidence_distribution_at_its_draws_is_uniform():
    """H(τ̃²) of every draw above 0, by the inverted Laplace transform of Q; below H(0) are the draws that are 0."""
    draws = tau2_draws(YI / 2, VI, 20_000, np.random.default_rng(9))
    w = 1 / VI
    below = probability_below(np.asarray(cochran_q(YI / 2, VI)), VI + np.append(draws, 0)[:, None], np.ones((6, 1)), w)
    height, at_zero = 1 - below[:-1][draws > 0], 1 - below[-1]
    assert np.mean(draws == 0) == pytest.approx(at_zero, abs=4 * np.sqrt(at_zero / 20_000))
    assert stats.kstest(height, stats.uniform(at_zero, 1 - at_zero).cdf).pvalue > 0.01


def test_with_equal_variances_the_confidence_distribution_is_a_chi_square():
    vi = np.full(6, 0.05)
    draws, q = tau2_draws(YI, vi, 50_000, np.random.default_rng(2)), cochran_q(YI, vi)

    def distribution(tau2):
        """Above 0, where all but 2e-6 of it lies."""
        return stats.chi2.sf(q / (1 + tau2 / 0.05), 5)

    assert stats.kstest(draws[draws > 0], distribution).pvalue > 0.01


def test_the_example_of_pimeta():
    """Figures printed in the introduction to R's pimeta 1.1.4, itself simulated (25,000 draws): within four errors."""
    a, b, c, d = (cell + 0.5 for cell in (EVENTS1, N1 - EVENTS1, EVENTS2, N2 - EVENTS2))
    found = predictive_draws(fit(np.log(a * d / (b * c)), 1 / a + 1 / b + 1 / c + 1 / d), 400_000, 1)
    lower, upper = found.interval(0.95)
    density = 1 / np.diff(np.quantile(found.draws, [[0.02, 0.97], [0.03, 0.98]]), axis=0)[0] * 0.01
    error = np.sqrt(0.025 * 0.975 / 25_000) / density
    assert abs(lower - np.log(0.533)) < 4 * error[0]
    assert abs(upper - np.log(33.692)) < 4 * error[1]
    assert 1 - found.above(0.0) == pytest.approx(0.075, abs=4 * np.sqrt(0.075 * 0.925 / 25_000))


def test_the_recipe_of_the_article_step_by_step():
    """τ̃² by inverting the exact distribution at uniform numbers, then mean, standard error, normal and t."""
    rng, q = np.random.default_rng(3), cochran_q(YI, VI)
    grid = np.concatenate([[0.0], np.geomspace(1e-4, 1e4, 400)])
    height = np.array([upper_tail(q, VI, t) for t in grid])
    tau2 = np.interp(rng.uniform(size=100_000), height, grid)
    w = 1 / (VI + tau2[:, None])
    mean = (w * YI).sum(1) / w.sum(1)
    se = np.sqrt((w * (YI - mean[:, None]) ** 2).sum(1) / 5 / w.sum(1))
    expected = mean + np.sqrt(tau2) * rng.standard_normal(100_000) - se * rng.standard_t(5, 100_000)
    found = predictive_draws(fit(YI, VI), 100_000, 4).draws
    assert stats.ks_2samp(found, expected).pvalue > 0.01


def test_registered_draws_are_the_same_each_time_and_can_be_chosen():
    fitted = fit(YI, VI)
    first, again = (PREDICTION["nagashima"](fitted, None).interval(0.95) for _ in range(2))
    assert first == again
    assert PREDICTION["nagashima"](fitted, None, seed=5).interval(0.95) != first
    assert PREDICTION["nagashima"](fitted, None, draws=100).draws.shape == (100,)


def test_interval_and_probability_come_from_the_draws():
    found = PREDICTION["nagashima"](fit(YI, VI), None, draws=1001)
    np.testing.assert_allclose(found.interval(0.9), np.sort(found.draws)[[50, 950]], rtol=1e-12)
    assert found.above(float(np.median(found.draws))) == 500 / 1001


@pytest.mark.parametrize("shared", [True, False])
def test_many_problems_get_what_each_gets_alone(shared):
    yi = np.stack([YI, YI[::-1] / 3, YI * 2])
    vi = VI if shared else np.stack([VI, VI[::-1], VI * 3])
    many = predictive_draws(fit(yi, vi), 3000, 6).draws
    for i in range(3):
        alone = predictive_draws(fit(yi[i], vi if shared else vi[i]), 3000, 6).draws
        np.testing.assert_allclose(many[i], alone, rtol=1e-11)


def test_neither_order_nor_scale_matters():
    order = [3, 0, 5, 1, 4, 2]
    found = predictive_draws(fit(YI, VI), 2000, 7).draws
    np.testing.assert_allclose(predictive_draws(fit(YI[order], VI[order]), 2000, 7).draws, found, rtol=1e-9)
    scaled = predictive_draws(fit(1e8 * YI, 1e16 * VI), 2000, 7).draws
    np.testing.assert_allclose(scaled, 1e8 * found, rtol=1e-9, atol=1e-12 * 1e8)


def test_the_size_of_blocks_does_not_matter(monkeypatch):
    whole = predictive_draws(fit(YI, VI), 500, 7).draws
    monkeypatch.setattr(nagashima, "BLOCK", 7 * len(YI))
    np.testing.assert_array_equal(predictive_draws(fit(YI, VI), 500, 7).draws, whole)


def test_two_studies_and_equal_effects():
    two = predictive_draws(fit([0.1, 0.9], [0.1, 0.3]), 1000, 8).interval(0.95)
    assert np.isfinite(two).all()
    assert two[0] < two[1]
    assert predictive_draws(fit([0.5, 0.5, 0.5], [0.1, 0.2, 0.3]), 1000, 8).interval(0.95) == (0.5, 0.5)
