"""The median-unbiased estimator of τ² with any weights (GENQM)."""

import numpy as np
import pytest
from scipy.stats import chi2

from metail2.kernels.quadratic_forms import probability_below
from metail2.kernels.tau2 import TAU2, WEIGHTED
from metail2.kernels.wls import weighted_fit

GENQM = TAU2["GENQM"]


def data(seed=1, k=8, p=1):
    rng = np.random.default_rng(seed)
    x = np.column_stack([np.ones(k), rng.normal(size=(k, p - 1))])
    vi = np.exp(rng.uniform(-4, 0, k))
    return rng.normal(0.3, np.sqrt(vi + 1)), vi, x


@pytest.mark.parametrize("k", [2, 3, 10])
def test_equal_variances_in_closed_form(k):
    yi = np.random.default_rng(k).normal(0, 3, k)
    exact = ((yi - yi.mean()) ** 2).sum() / chi2.median(k - 1) - 0.3
    found = GENQM(yi, np.full(k, 0.3), np.ones((k, 1)), np.full(k, 5.0))
    assert float(found.value) == pytest.approx(max(0, exact), rel=1e-10)


def test_weights_of_paule_and_mandel_at_their_solution_give_pmm():
    """PMM solves with weights 1/(v + τ²); with these weights fixed, Q has the same distribution at that τ²."""
    yi, vi, x = data(2, 8, 2)
    pmm = TAU2["PMM"](yi, vi, x)
    found = GENQM(yi, vi, x, 1 / (vi + pmm.value))
    assert float(found.value) == pytest.approx(float(pmm.value), rel=1e-10)


@pytest.mark.parametrize("p", [1, 3])
def test_observed_q_is_the_median(p):
    yi, vi, x = data(3, 9, p)
    for weights in (1 / vi, np.ones(9), np.linspace(1, 4, 9)):
        found = GENQM(yi, vi, x, weights)
        q = weighted_fit(yi, weights, x).q()
        assert float(found.value) > 0
        assert float(probability_below(q, vi + found.value, x, weights)) == pytest.approx(0.5, rel=1e-11)
        assert found.iterations > 0
        assert abs(float(found.gradient)) < 1e-11


def test_standard_error_by_dense_matrices():
    yi, vi, x = data(4, 8, 2)
    weights = np.linspace(1, 4, 8)
    found = GENQM(yi, vi, x, weights)
    a = np.diag(weights)
    form = a - a @ x @ np.linalg.solve(x.T @ a @ x, x.T @ a)
    both = form @ np.diag(vi + float(found.value))
    assert float(found.se) == pytest.approx(np.sqrt(2 * np.trace(both @ both)) / np.trace(form), rel=1e-10)


def test_half_of_the_estimates_are_too_small():
    rng, vi, x = np.random.default_rng(5), np.array([0.02, 0.1, 0.3, 0.05]), np.ones((4, 1))
    yi = rng.normal(0, np.sqrt(vi + 0.1), (2000, 4))
    median = GENQM(yi, np.broadcast_to(vi, yi.shape), x, np.broadcast_to(1 / vi, yi.shape)).value
    assert abs((median < 0.1).mean() - 0.5) < 3.5 * np.sqrt(0.25 / 2000)
    mean = TAU2["GENQ"](yi, np.broadcast_to(vi, yi.shape), x, np.broadcast_to(1 / vi, yi.shape)).value
    assert (mean < 0.1).mean() > 0.55  # the moment estimator is not median-unbiased


def test_zero_where_q_is_below_its_median():
    vi = np.full(5, 0.2)
    yi = np.array([-1.0, -0.5, 0, 0.5, 1])
    median = np.sqrt(0.2 * chi2.median(4) / 2.5)  # factor at which Q is the median
    for spread, positive in ((0.999, False), (1.001, True)):
        found = GENQM(yi * spread * median, vi, np.ones((5, 1)), 1 / vi)
        assert (float(found.value) > 0) is positive
        assert float(found.gradient) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("code", WEIGHTED)
def test_contract(code):
    rng, rule, x = np.random.default_rng(6), TAU2[code], data(6, 7, 2)[2]
    vi = np.exp(rng.uniform(-3, 0, (2, 3, 7)))
    yi = rng.normal(0, np.sqrt(vi + 0.4))
    many = rule(yi, vi, x, 1 / vi)
    assert many.value.shape == many.se.shape == (2, 3)
    for i in np.ndindex(2, 3):
        one = rule(yi[i], vi[i], x, 1 / vi[i])
        assert float(many.value[i]) == pytest.approx(float(one.value), rel=1e-10, abs=1e-14)
        assert float(many.se[i]) == pytest.approx(float(one.se), rel=1e-9)
    for c in (1e-8, 3.7, 1e8):
        scaled = rule(c * yi, c * c * vi, x, 1 / (c * c * vi))
        np.testing.assert_allclose(scaled.value, c * c * many.value, rtol=1e-12)
        np.testing.assert_allclose(rule(yi, vi, x, c / vi).value, many.value, rtol=1e-12)
    backwards = rule(yi[..., ::-1], vi[..., ::-1], x[::-1], 1 / vi[..., ::-1])
    np.testing.assert_allclose(backwards.value, many.value, rtol=1e-11)
