"""The user's own weights, and the moment estimator they define, beside dense matrices and metafor's printed figures."""

import numpy as np
import pytest

import metail2 as m2
from metail2.errors import ModelError, UnknownChoice

WEIGHTS = np.arange(1.0, 14.0)


@pytest.fixture
def bcg(bcg):
    return bcg.assign(w=WEIGHTS)


def dense(bcg, tau2, x):
    """Coefficients, their covariance and the projection by k × k matrices."""
    a, v = np.diag(WEIGHTS), np.diag(bcg.vi)
    inverse = np.linalg.inv(x.T @ a @ x)
    p = a - a @ x @ inverse @ x.T @ a
    loading = inverse @ x.T @ a
    return loading @ bcg.yi, loading @ (v + tau2 * np.eye(13)) @ loading.T, p, v


@pytest.mark.parametrize("formula", [None, "ablat"])
@pytest.mark.parametrize("code", ["REML", "CE", "GENQ"])
def test_coefficients_by_dense_matrices(bcg, code, formula):
    result = m2.pool(bcg, tau2=code, weights="w", moderators=formula, test="z")
    beta, covariance, p, v = dense(bcg, result.tau2, result.design.x)
    np.testing.assert_allclose(result.tidy()["estimate"], beta, rtol=1e-11)
    np.testing.assert_allclose(result.covariance, covariance, rtol=1e-11)
    if code == "GENQ":
        assert result.tau2 == pytest.approx((bcg.yi @ p @ bcg.yi - np.trace(p @ v)) / np.trace(p), rel=1e-12)
        twice = p @ (v + result.tau2 * np.eye(13))
        assert result.tau2_estimate.se == pytest.approx(np.sqrt(2 * np.trace(twice @ twice)) / np.trace(p), rel=1e-11)


# metafor 3.8, rma(yi, vi, weights = 1:13, …) on the BCG log risk ratios
@pytest.mark.parametrize(
    ("code", "test", "estimate", "se", "tau2"),
    [
        ("REML", "z", -0.5216580921, 0.2132385261, 0.3132432581),
        ("GENQ", "z", -0.5216580921, 0.2258987809, 0.3694568923),
        ("CE", "z", -0.5216580921, 0.1203767692, 0.0),
        ("REML", "knapp_hartung", -0.5216580921, 0.2144367557, 0.3132432581),
        ("GENQ", "knapp_hartung", -0.5216580921, 0.2136854400, 0.3694568923),
        ("CE", "knapp_hartung", -0.5216580921, 0.4287523116, 0.0),
    ],
)
def test_figures_of_the_reference(bcg, code, test, estimate, se, tau2):
    result = m2.pool(bcg, tau2=code, weights="w", test=test)
    assert (result.estimate, result.se, result.tau2) == pytest.approx((estimate, se, tau2), abs=6e-11)


def test_inverse_variance_weights_collapse_to_what_is_known(bcg):
    plain = m2.pool(bcg, tau2="DL")
    weighted = m2.pool(bcg, tau2="GENQ", weights=1 / bcg.vi)
    assert weighted.tau2 == pytest.approx(plain.tau2, rel=1e-12)
    final = m2.pool(bcg, tau2="DL", weights=1 / (bcg.vi + plain.tau2))
    np.testing.assert_allclose(final.tidy().iloc[0, 1:], plain.tidy().iloc[0, 1:].astype(float), rtol=1e-10)
    equal = m2.pool(bcg, tau2="GENQ", weights=np.ones(13))
    assert equal.tau2 == pytest.approx(m2.pool(bcg, tau2="HE").tau2, rel=1e-12)
    assert equal.estimate == pytest.approx(bcg.yi.mean(), rel=1e-13)


def test_only_the_ratio_of_weights_matters(bcg):
    one, other = (m2.pool(bcg, tau2="GENQ", weights=c * WEIGHTS) for c in (1.0, 1e7))
    np.testing.assert_allclose(one.tidy().iloc[0, 1:].astype(float), other.tidy().iloc[0, 1:].astype(float), rtol=1e-12)
    np.testing.assert_allclose(one.studies()["weight"], 100 * WEIGHTS / WEIGHTS.sum())


@pytest.mark.parametrize(
    ("bad", "shown"), [(0, "0.0"), (-1, "-1.0"), (np.nan, "nan"), (np.inf, "inf"), ("heavy", "'heavy'")]
)
def test_a_weight_that_is_no_positive_number_is_named(bcg, bad, shown):
    column = list(WEIGHTS)
    column[3] = bad
    with pytest.raises(ModelError) as caught:
        m2.pool(bcg, weights=column)
    assert str(caught.value) == f"{bcg.study[3]}: the weight in 'weights' is {shown}; give a number above 0."


def test_a_weight_that_is_a_whole_number_is_printed_as_one(bcg):
    with pytest.raises(ModelError, match=r"the weight in 'weights' is 0; give a number above 0\.$"):
        m2.pool(bcg, weights=np.array([0] + [2] * 12))


def test_weights_that_are_not_there(bcg):
    with pytest.raises(UnknownChoice, match="column of weights 'size'"):
        m2.pool(bcg, weights="size")
    with pytest.raises(ModelError, match="13 effects but 2 weights"):
        m2.pool(bcg, weights=[1, 2])
    with pytest.raises(ModelError, match="GENQ is defined by weights"):
        m2.pool(bcg, tau2="GENQ")
