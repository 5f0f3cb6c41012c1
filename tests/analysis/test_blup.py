"""Predictions of true effects beside the dense mixed-model formulas."""

import numpy as np
import pytest
from scipy import stats

import metail2 as m2
from metail2.analysis.blup import blup
from metail2.errors import ModelError

RNG = np.random.default_rng(21)
K = 7
EFFECTS = m2.EffectSizes.from_arrays(
    RNG.normal(size=K), RNG.uniform(0.01, 0.5, K), moderators={"x": RNG.normal(size=K), "w": RNG.uniform(1, 3, K)}
)


def dense(result):
    """Predictions Ly and u's predictor with the variance of their errors, from matrices."""
    x, tau2, v = result.design.x, result.tau2, EFFECTS.vi
    total = np.diag(v + tau2)
    a = np.linalg.inv(total) if result.fitted.weights is None else np.diag(result.fitted.weights)
    hat = x @ np.linalg.inv(x.T @ a @ x) @ x.T @ a
    share = np.diag(tau2 / (v + tau2))
    deviation = share @ (np.eye(K) - hat)
    effect = hat + deviation
    # error of a linear predictor Ay of θ = Xβ + u (or of u): A(u + e) − u
    errors = [(a - np.eye(K)) @ (a - np.eye(K)).T * tau2 + a @ np.diag(v) @ a.T for a in (effect, deviation)]
    return effect @ EFFECTS.yi, deviation @ EFFECTS.yi, *(np.sqrt(np.diag(e)) for e in errors)


@pytest.mark.parametrize("moderators", [None, "x"])
@pytest.mark.parametrize("weights", [None, "w"])
def test_predictions_and_their_errors_are_those_of_the_dense_formulas(moderators, weights):
    result = m2.pool(EFFECTS, test="z", moderators=moderators, weights=weights)
    table = blup(result)
    for column, expected in zip(("estimate", "deviation", "se", "deviation_se"), dense(result), strict=True):
        np.testing.assert_allclose(table[column], expected, rtol=1e-9)
    z = stats.norm.isf(0.025)
    np.testing.assert_allclose(table["pi_lower"], table["estimate"] - z * table["se"], rtol=1e-12)
    np.testing.assert_allclose(table["deviation_upper"], table["deviation"] + z * table["deviation_se"], rtol=1e-12)


def test_the_test_and_level_of_the_result():
    result = m2.pool(EFFECTS, level=0.8)
    table = blup(result)
    share = result.tau2 / (result.tau2 + EFFECTS.vi)
    se = np.sqrt(share * EFFECTS.vi + (1 - share) ** 2 * result.se**2)
    np.testing.assert_allclose(table["se"], se, rtol=1e-12)
    half = stats.t.isf(0.1, K - 1) * se
    np.testing.assert_allclose(table["pi_upper"] - table["estimate"], half, rtol=1e-10)


@pytest.mark.parametrize("options", [{"tau2": "CE"}, {"tau2": "REML"}])
def test_without_heterogeneity_every_effect_is_the_fitted_value(options):
    yi, vi = [0.30, 0.31, 0.29, 0.30], [0.1, 0.2, 0.3, 0.4]
    result = m2.pool(yi, vi, test="z", **options)
    table = blup(result)
    assert result.tau2 == 0
    assert (table["estimate"] == result.estimate).all()
    np.testing.assert_allclose(table["se"], result.se, rtol=1e-12)
    np.testing.assert_allclose(table["pi_upper"], result.ci_upper, rtol=1e-12)
    assert (table[["deviation", "deviation_se", "deviation_lower", "deviation_upper"]] == 0).all(axis=None)


def test_kenward_roger_has_degrees_of_freedom_for_each_prediction():
    table = blup(m2.pool(EFFECTS, test="kenward_roger", moderators="x"))
    critical = (table["pi_upper"] - table["estimate"]) / table["se"]
    assert critical.nunique() == K


def test_scale_and_shift():
    base, scaled = blup(m2.pool(EFFECTS.yi, EFFECTS.vi)), blup(m2.pool(1e8 * EFFECTS.yi + 3e8, 1e16 * EFFECTS.vi))
    np.testing.assert_allclose(scaled["estimate"], 1e8 * base["estimate"] + 3e8, rtol=1e-12)
    np.testing.assert_allclose(scaled["se"], 1e8 * base["se"], rtol=1e-12)


def test_one_study_is_refused():
    with pytest.raises(ModelError, match="blup compares studies, and study 1 is the only one in the fit"):
        blup(m2.pool([0.3], [0.1]))
