"""Weighted fits and traces beside explicit k × k matrices."""

import numpy as np
import pytest

from metail2.kernels.wls import fitter, weighted_fit

LEADS = [(), (3,), (2, 3)]
DESIGNS = [1, 2, 3]


def problem(lead, p, k=9, seed=5):
    rng = np.random.default_rng(seed)
    y, v = rng.normal(size=(*lead, k)), rng.uniform(0.05, 2, size=(*lead, k))
    x = np.column_stack([np.ones(k), *(rng.normal(size=k) for _ in range(p - 1))])
    return y, 1 / v, x


def dense(weights, x):
    """P = W − WX(X′WX)⁻¹X′W of one problem."""
    w = np.diag(weights)
    return w - w @ x @ np.linalg.solve(x.T @ w @ x, x.T @ w)


def each(lead):
    return np.ndindex(*lead) if lead else [()]


@pytest.fixture(params=[(lead, p) for lead in LEADS for p in DESIGNS], ids=str)
def case(request):
    lead, p = request.param
    y, w, x = problem(lead, p)
    return lead, y, w, x, weighted_fit(y, w, x)


def test_coefficients_and_covariance(case):
    lead, y, w, x, fit = case
    for i in each(lead):
        information = x.T @ np.diag(w[i]) @ x
        np.testing.assert_allclose(fit.beta[i], np.linalg.solve(information, x.T @ (w[i] * y[i])), rtol=1e-11)
        np.testing.assert_allclose(fit.covariance[i], np.linalg.inv(information), rtol=1e-10, atol=1e-14)
        np.testing.assert_allclose(fit.residual[i], y[i] - x @ fit.beta[i], rtol=1e-10, atol=1e-13)
        np.testing.assert_allclose(fit.log_det()[i], np.linalg.slogdet(information)[1], rtol=1e-11)


def test_quadratic_forms(case):
    lead, y, w, x, fit = case
    for i in each(lead):
        p = dense(w[i], x)
        np.testing.assert_allclose(fit.scores[i], p @ y[i], rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(fit.q()[i], y[i] @ p @ y[i], rtol=1e-11)
        np.testing.assert_allclose(fit.q_slope()[i], y[i] @ p @ p @ y[i], rtol=1e-11)
        np.testing.assert_allclose(fit.q_curvature()[i], y[i] @ p @ p @ p @ y[i], rtol=1e-10)


def test_traces(case):
    lead, _y, w, x, fit = case
    rng = np.random.default_rng(1)
    first, second = rng.uniform(0.1, 2, w.shape), rng.uniform(0.1, 2, w.shape)
    for i in each(lead):
        p = dense(w[i], x)
        root = np.diag(1 / np.sqrt(w[i]))
        m = root @ p @ root
        np.testing.assert_allclose(fit.leverage()[i], 1 - np.diagonal(m), rtol=1e-9, atol=1e-13)
        np.testing.assert_allclose(fit.trace()[i], np.trace(p), rtol=1e-11)
        np.testing.assert_allclose(fit.trace(first)[i], np.trace(m @ np.diag(first[i])), rtol=1e-11)
        np.testing.assert_allclose(fit.trace_product()[i], np.trace(p @ p), rtol=1e-11)
        mixed = np.trace(m @ np.diag(first[i]) @ m @ np.diag(second[i]))
        np.testing.assert_allclose(fit.trace_product(first, second)[i], mixed, rtol=1e-11)
        np.testing.assert_allclose(fit.trace_product(first)[i], np.trace(m @ np.diag(first[i]) @ m @ np.diag(first[i])),
                                   rtol=1e-11)  # fmt: skip


def test_leverages_sum_to_the_number_of_coefficients(case):
    lead, _y, _w, x, fit = case
    np.testing.assert_allclose(fit.leverage().sum(-1), np.full(lead, x.shape[-1]), rtol=1e-12)


def test_slope_and_curvature_are_the_derivatives_of_q(bcg, latitude):
    y, v = bcg
    tau2, h = 0.1, 1e-4

    def q(t):
        return weighted_fit(y, 1 / (v + t), latitude).q()

    fit = weighted_fit(y, 1 / (v + tau2), latitude)
    assert (q(tau2 + h) - q(tau2 - h)) / (2 * h) == pytest.approx(-fit.q_slope(), rel=1e-5)
    assert (q(tau2 + h) - 2 * q(tau2) + q(tau2 - h)) / h**2 == pytest.approx(2 * fit.q_curvature(), rel=1e-4)


def test_the_fast_mean_is_the_regression_on_ones(bcg, ones):
    y, v = bcg
    fast = fitter(ones(13), 1 / v)(y, 1 / v)
    general = weighted_fit(y, 1 / v, np.full((13, 1), 2.0))
    assert type(fast) is not type(general)
    np.testing.assert_allclose(general.beta * 2, fast.beta, rtol=1e-14)
    for name in ("q", "q_slope", "q_curvature", "leverage", "trace", "trace_product"):
        np.testing.assert_allclose(getattr(general, name)(), getattr(fast, name)(), rtol=1e-12)


def test_one_set_of_weights_serves_many_outcomes(bcg, ones):
    y, v = bcg
    many = np.stack([y, 2 * y, y[::-1]])
    fit = weighted_fit(many, 1 / v, ones(13))
    np.testing.assert_allclose(fit.beta[1], 2 * fit.beta[0], rtol=1e-14)
    np.testing.assert_allclose(fit.beta[2], weighted_fit(y[::-1], 1 / v, ones(13)).beta, rtol=1e-14)


@pytest.mark.parametrize("value", [0.1, -1 / 3, 1e-300, 7e9])
def test_equal_effects_leave_no_residual(value, ones):
    v = np.array([0.1, 0.2, 0.3, 1e-8, 4e4])
    fit = weighted_fit(np.full(5, value), 1 / v, ones(5))
    assert fit.beta[0] == value
    assert fit.q() == 0
    regression = weighted_fit(np.full(5, value), 1 / v, np.column_stack([np.ones(5), [3, 1, 4, 1, 5]]))
    assert regression.q() == 0
    assert regression.beta[1] == 0
    assert regression.beta[0] == pytest.approx(value, rel=1e-14)


def test_equal_effects_of_any_value_and_weights_leave_no_residual(ones):
    rng = np.random.default_rng(6)
    values, weights = rng.normal(size=(500, 1)), rng.uniform(1, 9, (500, 7))
    fit = weighted_fit(np.repeat(values, 7, axis=1), weights, ones(7))
    np.testing.assert_array_equal(fit.beta, values)
    assert not fit.q().any()


def test_effects_on_a_line_leave_no_residual():
    x = np.array([1.0, 2, 3, 5, 7])
    fit = weighted_fit(0.1 * x, np.array([3.0, 1, 4, 1, 5]), np.column_stack([np.ones(5), x]))
    assert fit.q() == 0
    assert fit.beta[0] == 0
    assert fit.beta[1] == pytest.approx(0.1, rel=1e-14)


def test_residuals_that_are_real_stay():
    x = np.column_stack([np.ones(4), [1.0, 2, 3, 4]])
    y = np.array([1.0, 1, 1, 1 + 1e-10])
    assert weighted_fit(y, np.ones(4), x).q() == pytest.approx(0.3e-20, rel=1e-4)


@pytest.mark.parametrize("p", [2, 3])
def test_one_problem_is_decomposed_as_each_of_many(p):
    y, w, x = problem((4,), p)
    w[2] *= 10.0 ** np.linspace(-8, 8, w.shape[-1])
    many = weighted_fit(y, w, x)
    for i in range(4):
        for one in (weighted_fit(y[i], w[i], x), weighted_fit(y[i : i + 1], w[i : i + 1], x)):
            basis, triangle = one.basis.reshape(many.basis[i].shape), one.triangle.reshape(p, p)
            np.testing.assert_allclose(basis.T @ basis, np.eye(p), atol=1e-14)
            rooted = np.sqrt(w[i])[:, None] * x
            np.testing.assert_allclose(basis @ triangle, rooted, atol=1e-14 * np.abs(rooted).max())
            assert (np.tril(triangle, -1) == 0).all()
            np.testing.assert_allclose(one.beta.ravel(), many.beta[i], rtol=1e-12)
            np.testing.assert_allclose(one.leverage().ravel(), many.leverage()[i], rtol=1e-12, atol=1e-15)


def test_no_problems_at_all():
    y, w, x = problem((4,), 3)
    assert weighted_fit(y[:0], w[:0], x).beta.shape == (0, 3)


@pytest.mark.parametrize("lead", [(), (1,), (4,)])
def test_a_column_of_zeros_has_no_coefficient(lead):
    y, w, x = problem(lead, 3)
    x[:, 1] = 0
    with pytest.raises(np.linalg.LinAlgError, match="Singular"):
        weighted_fit(y, w, x)


@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e100])
def test_an_exact_fit_has_no_residual_and_an_inexact_one_keeps_its_own(scale):
    y, w, x = problem((), 3)
    y = scale * (x @ [1 / 3, 0.0, 1 / 7])
    exact = weighted_fit(y, w, x)
    assert (exact.residual == 0).all()
    assert exact.beta[1] == 0
    y[0] *= 1 + 1e-9
    assert np.abs(weighted_fit(y, w, x).residual).max() > 1e-10 * abs(y[0])
