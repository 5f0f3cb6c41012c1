"""Prediction intervals beside scipy's distributions, for one fit and for many."""

import numpy as np
import pytest
from scipy import stats

from metail2.kernels.coefficient_tests import TESTS
from metail2.kernels.fitted import fit_random_effects
from metail2.kernels.prediction import PREDICTION, ScaledT

YI = np.array([0.1, 0.8, -0.4, 1.2, 0.5, 0.9])
VI = np.array([0.02, 0.05, 0.04, 0.1, 0.03, 0.2])


def prediction(method, k=6, test="knapp_hartung"):
    fitted = fit_random_effects(YI[:k], VI[:k], np.ones((k, 1)), "REML")
    return PREDICTION[method](fitted, TESTS[test].reference(fitted, 0.95)), fitted


@pytest.mark.parametrize(
    ("method", "df", "scaled"),
    [("normal", np.inf, False), ("t_k1", 5, False), ("hts", 4, False), ("hk", 5, True), ("hk_pr", 4, True)],
)
def test_prediction_intervals(method, df, scaled):
    found, fitted = prediction(method)
    tau2 = float(fitted.tau2.value)
    w = 1 / (VI + tau2)
    mean = (w * YI).sum() / w.sum()
    s2 = (w * (YI - mean) ** 2).sum() / 5 if scaled else 1
    t = (
        stats.t(df, mean, np.sqrt(s2 / w.sum() + tau2))
        if df < np.inf
        else stats.norm(mean, np.sqrt(1 / w.sum() + tau2))
    )
    np.testing.assert_allclose(found.interval(0.9), (t.ppf(0.05), t.ppf(0.95)), rtol=1e-12)
    assert found.above(0.3) == pytest.approx(t.sf(0.3), rel=1e-12)
    lower, _ = found.interval(0.9)
    assert found.above(float(lower)) == pytest.approx(0.95, rel=1e-12)


@pytest.mark.parametrize(("method", "lost"), [("kr", 0), ("kr_pr", 1)])
def test_kenward_roger_prediction_intervals(method, lost):
    """The closed form for a mean: ν = S₁² tr(PP)/S₂² with Sᵣ = Σwʳ, variance (1 + 2W(S₃/S₁ − S₂²/S₁²))/S₁."""
    found, fitted = prediction(method)
    tau2 = float(fitted.tau2.value)
    s1, s2, s3 = ((1 / (VI + tau2) ** power).sum() for power in (1, 2, 3))
    information = s2 - 2 * s3 / s1 + (s2 / s1) ** 2
    variance = (1 + 4 / information * (s3 / s1 - (s2 / s1) ** 2)) / s1
    t = stats.t(s1**2 * information / s2**2 - lost, fitted.beta[0], np.sqrt(variance + tau2))
    np.testing.assert_allclose(found.interval(0.95), (t.ppf(0.025), t.ppf(0.975)), rtol=1e-11)
    assert found.above(0.3) == pytest.approx(t.sf(0.3), rel=1e-11)


def test_a_far_threshold_keeps_its_digits():
    found = ScaledT(np.asarray(0.0), np.asarray(1.0), np.inf)
    assert found.above(37.0) == pytest.approx(stats.norm.sf(37.0), rel=1e-12)


def test_without_degrees_of_freedom_nothing_is_defined():
    undefined = [name for name in PREDICTION if np.isnan(prediction(name, 2)[0].interval(0.95)).any()]
    assert undefined == ["hts", "hk_pr", "kr_pr"]


@pytest.mark.parametrize("method", list(PREDICTION))
def test_many_fits_at_once(method):
    many = np.stack([YI, YI[::-1], YI * 2])
    fitted = fit_random_effects(many, np.broadcast_to(VI, many.shape), np.ones((6, 1)), "REML")
    lower, upper = PREDICTION[method](fitted, TESTS["knapp_hartung"].reference(fitted, 0.95)).interval(0.95)
    for i in range(3):
        one = fit_random_effects(many[i], VI, np.ones((6, 1)), "REML")
        alone = PREDICTION[method](one, TESTS["knapp_hartung"].reference(one, 0.95)).interval(0.95)
        np.testing.assert_allclose((lower[i], upper[i]), alone, rtol=1e-12)
