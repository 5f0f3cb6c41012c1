"""Known truth: bias and coverage by simulation, seeded; the kernels take all data sets in one call."""

import numpy as np
import pytest

from metail2.kernels.coefficient_tests import TESTS
from metail2.kernels.fitted import fit_random_effects
from metail2.kernels.inference import wald
from metail2.kernels.tau2 import TAU2, WEIGHTED
from metail2.kernels.tau2_intervals import TAU2_INTERVALS

SETS, K, MU, TRUE_TAU2 = 2000, 10, 0.4, 0.1


def simulate(seed, *, equal):
    rng = np.random.default_rng(seed)
    vi = np.full((SETS, K), 0.1) if equal else rng.uniform(0.02, 0.4, (SETS, K))
    return rng.normal(MU, np.sqrt(vi + TRUE_TAU2)), vi


def fitted(yi, vi, code, test, x=None):
    x = np.ones((K, 1)) if x is None else x
    found = fit_random_effects(yi, vi, x, code, 1 / np.sqrt(vi) if code in WEIGHTED else None)
    reference = TESTS[test].reference(found, 0.95)
    return found.tau2.value, wald(found.beta, reference.variance, reference.df, 0.95)


def coverage(found, truth):
    return np.mean((found.lower[..., -1] <= truth) & (truth <= found.upper[..., -1]))


@pytest.mark.parametrize("code", list(TAU2))
def test_the_mean_is_unbiased(code):
    _, found = fitted(*simulate(1, equal=False), code, "z")
    estimate = found.estimate[:, 0]
    assert abs(estimate.mean() - MU) < 3 * estimate.std() / np.sqrt(SETS)


def test_hartung_knapp_covers_with_equal_sizes():
    # exact: y′Py/(k − 1) is then independent of the mean, and the statistic is t with k − 1 df
    _, found = fitted(*simulate(2, equal=True), "REML", "knapp_hartung")
    assert 0.93 <= coverage(found, MU) <= 0.97
    assert abs(coverage(found, MU) - 0.95) < 3 * np.sqrt(0.95 * 0.05 / SETS)


def test_the_normal_interval_covers_less_with_ten_studies():
    data = simulate(2, equal=True)
    _, normal = fitted(*data, "REML", "z")
    _, hartung_knapp = fitted(*data, "REML", "knapp_hartung")
    assert coverage(normal, MU) < 0.935
    assert coverage(normal, MU) < coverage(hartung_knapp, MU)


def test_a_slope_is_covered_too():
    yi, vi = simulate(3, equal=True)
    x = np.column_stack([np.ones(K), np.linspace(-1, 1, K)])
    _, found = fitted(yi + 0.7 * x[:, 1], vi, "REML", "knapp_hartung", x)
    assert 0.93 <= coverage(found, 0.7) <= 0.97


def test_the_moment_estimators_of_tau2_are_unbiased_before_they_are_cut_at_0():
    # τ² large enough that the cut hardly matters
    rng = np.random.default_rng(4)
    vi = rng.uniform(0.02, 0.1, (SETS, K))
    yi = rng.normal(MU, np.sqrt(vi + 1))
    for code in ("DL", "HE", "PM", "REML"):
        tau2 = TAU2[code](yi, vi, np.ones((K, 1))).value
        assert abs(tau2.mean() - 1) < 3 * tau2.std() / np.sqrt(SETS), code


def test_maximum_likelihood_underestimates_tau2_by_about_one_part_in_k():
    rng = np.random.default_rng(5)
    vi = np.full((SETS, K), 0.05)
    yi = rng.normal(MU, np.sqrt(vi + 1))
    mean = TAU2["ML"](yi, vi, np.ones((K, 1))).value.mean()
    assert mean == pytest.approx(1.05 * (K - 1) / K - 0.05, abs=0.04)


def test_median_unbiased_paule_mandel_has_the_median_right():
    above = np.mean(TAU2["PMM"](*simulate(6, equal=False), np.ones((K, 1))).value > TRUE_TAU2)
    assert abs(above - 0.5) < 3 * np.sqrt(0.25 / SETS)


def test_q_profile_covers_exactly():
    yi, vi = simulate(7, equal=False)
    found = TAU2_INTERVALS["q_profile"](fit_random_effects(yi, vi, np.ones((K, 1)), "DL"), 0.95)
    lower, upper = found.lower, found.upper
    covered = np.mean((lower <= TRUE_TAU2) & (upper >= TRUE_TAU2))
    assert abs(covered - 0.95) < 3 * np.sqrt(0.95 * 0.05 / SETS)
