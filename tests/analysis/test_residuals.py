"""Residuals beside dense matrices and refits."""

import numpy as np
import pytest

import metail2 as m2
from metail2.analysis.influence import influence
from metail2.analysis.residuals import residuals
from metail2.errors import ModelError

RNG = np.random.default_rng(12)
K = 8
EFFECTS = m2.EffectSizes.from_arrays(
    RNG.normal(size=K), RNG.uniform(0.01, 0.3, K), moderators={"x": RNG.normal(size=K), "w": RNG.uniform(1, 2, K)}
)


@pytest.mark.parametrize("test", ["z", "knapp_hartung"])
@pytest.mark.parametrize("moderators", [None, "x"])
@pytest.mark.parametrize("weights", [None, "w"])
def test_standardised_residuals_are_those_of_the_dense_projection(test, moderators, weights):
    result = m2.pool(EFFECTS, test=test, moderators=moderators, weights=weights)
    table = residuals(result)
    assert list(table) == ["study", "raw", "standardized", "deleted", "raw_se", "deleted_se", "note"]
    x, total = result.design.x, np.diag(EFFECTS.vi + result.tau2)
    a = np.linalg.inv(total) if weights is None else np.diag(EFFECTS.moderators["w"])
    projection = np.eye(K) - x @ np.linalg.inv(x.T @ a @ x) @ x.T @ a
    se = np.sqrt(np.diag(projection @ total @ projection.T))
    np.testing.assert_allclose(table["raw"], projection @ EFFECTS.yi, rtol=1e-9)
    np.testing.assert_allclose(table["raw_se"], se, rtol=1e-9)
    np.testing.assert_allclose(table["standardized"], projection @ EFFECTS.yi / se, rtol=1e-9)


def test_deleted_residuals_are_predictions_of_the_others():
    result = m2.pool(EFFECTS, test="z", moderators="x")
    table = residuals(result)
    refit = m2.pool(EFFECTS.drop(2), test="z", moderators="x")
    predicted = refit.predict(EFFECTS.moderators.iloc[[2]]).iloc[0]
    se = np.sqrt(EFFECTS.vi[2] + refit.tau2 + predicted["se"] ** 2)
    assert table["deleted_se"][2] == pytest.approx(se, rel=1e-9)
    assert table["deleted"][2] == pytest.approx((EFFECTS.yi[2] - predicted["estimate"]) / se, rel=1e-9)
    np.testing.assert_array_equal(table["deleted"], influence(result)["rstudent"])


def test_standardised_residuals_have_variance_one_under_the_model():
    vi = np.array([0.05, 0.1, 0.2, 0.3, 0.5, 1.0])
    y = np.random.default_rng(0).normal(0.3, np.sqrt(vi), (400, 6))
    found = np.array([residuals(m2.pool(row, vi, tau2="CE", test="z"))["standardized"] for row in y])
    assert (found**2).mean() == pytest.approx(1, abs=4 * np.sqrt(2 / found.size))


def test_a_study_that_alone_determines_a_coefficient_has_no_residual():
    effects = EFFECTS.assign(new=[0.0] * 7 + [1.0])
    table = residuals(m2.pool(effects, moderators="new"))
    assert np.isnan(table.loc[7, ["standardized", "deleted"]].astype(float)).all()
    assert table["raw_se"][7] == 0
    assert "alone determines a coefficient" in table["note"][7]
    assert table.loc[:6, ["standardized", "deleted"]].notna().all(axis=None)


def test_as_many_coefficients_as_would_remain_still_have_standardised_residuals():
    effects = m2.EffectSizes.from_arrays([0.1, 0.5, 0.3], [0.1, 0.2, 0.3], moderators={"x": [1.0, 2.0, 4.0]})
    table = residuals(m2.pool(effects, moderators="x", tau2="CE"))
    # with one degree of freedom all are ±√Q
    q = m2.pool(effects, moderators="x", tau2="CE").q
    np.testing.assert_allclose(np.abs(table["standardized"]), np.sqrt(q), rtol=1e-10)
    assert table["deleted"].isna().all()
    assert (table["note"] != "").all()


def test_one_study_is_refused():
    with pytest.raises(ModelError, match="residuals compares studies"):
        residuals(m2.pool([0.3], [0.1]))
