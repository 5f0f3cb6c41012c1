"""Influence measures beside dense matrices and the regression diagnostics of statsmodels."""

from dataclasses import fields

import numpy as np
import pytest
import statsmodels.api as sm

from metail2.kernels.coefficient_tests import TESTS
from metail2.kernels.fitted import fit_random_effects
from metail2.kernels.influence import Influence, influence_measures, influential, own_fit, residuals_and_errors
from metail2.kernels.leave_one_out import without_each

RNG = np.random.default_rng(3)
K = 10
YI, VI, WEIGHTS = RNG.normal(size=K), RNG.uniform(0.01, 0.3, K), RNG.uniform(1, 3, K)
X = {1: np.ones((K, 1)), 3: np.column_stack([np.ones(K), RNG.normal(size=(K, 2))])}


def measured(code, test, p, weights=None):
    fitted = fit_random_effects(YI, VI, X[p], code, weights)
    reference = TESTS[test].reference(fitted, 0.95)
    return fitted, reference, influence_measures(fitted, reference, without_each(fitted, test, 0.95))


@pytest.mark.parametrize("p", [1, 3])
def test_a_common_effect_by_hartung_knapp_has_the_diagnostics_of_weighted_regression(p):
    """Hartung–Knapp's factor is the residual mean square, so all formulas are those of ordinary regression."""
    fitted, _, found = measured("CE", "knapp_hartung", p)
    root = np.sqrt(1 / VI)
    classic = sm.OLS(root * YI, root[:, None] * X[p]).fit().get_influence()
    hat = own_fit(fitted).leverage()
    np.testing.assert_allclose(hat, classic.hat_matrix_diag, rtol=1e-10)
    np.testing.assert_allclose(found.rstudent, classic.resid_studentized_external, rtol=1e-9)
    np.testing.assert_allclose(found.dffits, classic.dffits[0], rtol=1e-9)
    np.testing.assert_allclose(found.cooks_distance, p * classic.cooks_distance[0], rtol=1e-9)
    np.testing.assert_allclose(found.dfbetas, classic.dfbetas, rtol=1e-9)
    np.testing.assert_allclose(found.cov_ratio, classic.cov_ratio, rtol=1e-9)


@pytest.mark.parametrize("test", ["z", "knapp_hartung"])
@pytest.mark.parametrize("p", [1, 3])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_dense_matrices(test, p, weights):
    fitted, reference, found = measured("REML", test, p, weights)
    x = X[p]
    for i in range(K):
        kept = np.arange(K) != i
        part = fit_random_effects(YI[kept], VI[kept], x[kept], "REML", None if weights is None else weights[kept])
        deleted = TESTS[test].reference(part, 0.95)
        tau2, factor = float(part.tau2.value), float(deleted.factor)
        change = fitted.beta - part.beta
        se = np.sqrt(factor * (VI[i] + tau2) + x[i] @ deleted.covariance @ x[i])
        assert found.rstudent[i] == pytest.approx((YI[i] - x[i] @ part.beta) / se, rel=1e-9)
        a = np.diag(1 / (VI + tau2) if weights is None else weights)
        loading = np.linalg.inv(x.T @ a @ x) @ x.T @ a
        covariance = loading @ np.diag(VI + tau2) @ loading.T
        hat = own_fit(fitted).leverage()[i]
        variance = hat * (VI[i] + tau2) if weights is None else x[i] @ covariance @ x[i]
        assert found.dffits[i] == pytest.approx(x[i] @ change / np.sqrt(factor * variance), rel=1e-8)
        np.testing.assert_allclose(found.dfbetas[i], change / np.sqrt(factor * np.diag(covariance)), rtol=1e-8)
        assert found.cooks_distance[i] == pytest.approx(change @ np.linalg.inv(reference.covariance) @ change, rel=1e-8)
        ratio = np.linalg.det(deleted.covariance) / np.linalg.det(reference.covariance)
        assert found.cov_ratio[i] == pytest.approx(ratio, rel=1e-9)
        assert found.shift[i] == pytest.approx((x[i] @ change) ** 2 / (x[i] @ deleted.covariance @ x[i]), rel=1e-8)


@pytest.mark.parametrize("p", [1, 3])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_errors_of_residuals_are_those_of_the_dense_projection(p, weights):
    fitted = fit_random_effects(YI, VI, X[p], "DL", weights)
    total = np.diag(VI + fitted.tau2.value)
    a = np.linalg.inv(total) if weights is None else np.diag(weights)
    projection = np.eye(K) - X[p] @ np.linalg.inv(X[p].T @ a @ X[p]) @ X[p].T @ a
    raw, raw_se = residuals_and_errors(fitted)
    np.testing.assert_allclose(raw, projection @ YI, rtol=1e-10)
    np.testing.assert_allclose(raw_se, np.sqrt(np.diag(projection @ total @ projection.T)), rtol=1e-10)


def test_the_error_of_a_dominating_study_keeps_its_digits():
    vi = np.array([1e-14, 1.0, 2.0])
    fitted = fit_random_effects(np.array([0.3, 0.5, 0.1]), vi, np.ones((3, 1)), "CE")
    w = 1 / vi
    assert residuals_and_errors(fitted)[1][0] == pytest.approx(
        np.sqrt(vi[0] * (w[1] + w[2]) / w.sum()), rel=1e-14, abs=0
    )


def test_a_large_variance_ratio_does_not_cancel_in_dfbetas():
    yi, vi = np.array([0.3, 0.5, 0.1, 0.4]), np.array([1e-12, 1.0, 2.0, 3.0])
    fitted = fit_random_effects(yi, vi, np.ones((4, 1)), "CE")
    found = influence_measures(fitted, TESTS["z"].reference(fitted, 0.95), without_each(fitted, "z", 0.95))
    change = np.average(yi, weights=1 / vi) - np.average(yi[1:], weights=1 / vi[1:])
    assert found.dfbetas[0, 0] == pytest.approx(change * np.sqrt((1 / vi).sum()), rel=1e-12)


@pytest.mark.parametrize("p", [1, 3])
@pytest.mark.parametrize(("above", "expected"), [(0.999, False), (1.001, True)])
@pytest.mark.parametrize("rule", ["dffits", "cooks_distance", "hat", "dfbetas"])
def test_each_rule_of_thumb_alone(rule, above, expected, p):
    zero, hat = np.zeros(K), np.zeros(K)
    values = dict.fromkeys((field.name for field in fields(Influence)), zero) | {"dfbetas": np.zeros((K, p))}
    medians = {1: 0.454936423119573, 3: 2.36597388437534}  # of χ² with p degrees of freedom
    limit = {"dffits": -3 * np.sqrt(p / (K - p)), "cooks_distance": medians[p], "hat": 3 * p / K, "dfbetas": -1}[rule]
    reached = np.zeros((K, p)) if rule == "dfbetas" else np.zeros(K)
    reached[4] = above * limit
    if rule == "hat":
        hat = reached
    else:
        values[rule] = reached
    flags = influential(Influence(**values), hat, p)
    assert flags.tolist() == [i == 4 and expected for i in range(K)]
