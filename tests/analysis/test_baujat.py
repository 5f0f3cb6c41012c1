"""Baujat's coordinates against Cochran's Q and refits."""

import numpy as np
import pytest

import metail2 as m2
from metail2.analysis.baujat import baujat
from metail2.errors import ModelError

YI, VI = np.array([0.1, 0.5, 0.3, 0.9, -0.2]), np.array([0.1, 0.02, 0.3, 0.1, 0.05])


def test_contributions_of_a_common_effect_are_the_terms_of_q():
    result = m2.pool(YI, VI, tau2="CE", test="z")
    assert baujat(result)["contribution"].sum() == pytest.approx(result.q, rel=1e-14)


@pytest.mark.parametrize("tau2", ["CE", "REML"])
@pytest.mark.parametrize("test", ["z", "knapp_hartung"])
def test_coordinates_follow_from_refits(tau2, test):
    result = m2.pool(YI, VI, tau2=tau2, test=test)
    table = baujat(result)
    assert list(table) == ["study", "contribution", "influence", "note"]
    for i in range(5):
        refit = m2.pool(np.delete(YI, i), np.delete(VI, i), tau2=tau2, test=test)
        squared = (YI[i] - result.estimate) ** 2 / (VI[i] + result.tau2)
        assert table["contribution"][i] == pytest.approx(squared, rel=1e-12)
        assert table["influence"][i] == pytest.approx((refit.estimate - result.estimate) ** 2 / refit.se**2, rel=1e-8)


def test_user_weights():
    weights = np.array([1.0, 2.0, 1.0, 5.0, 3.0])
    result = m2.pool(YI, VI, weights=weights, test="z")
    refit = m2.pool(YI[1:], VI[1:], weights=weights[1:], test="z")
    table = baujat(result)
    assert table["contribution"][0] == pytest.approx((YI[0] - result.estimate) ** 2 / (VI[0] + result.tau2), rel=1e-12)
    assert table["influence"][0] == pytest.approx((refit.estimate - result.estimate) ** 2 / refit.se**2, rel=1e-9)


def test_few_studies():
    table = baujat(m2.pool(YI[:2], VI[:2]))
    assert table["contribution"].notna().all()
    assert table["influence"].isna().all()
    assert (table["note"] != "").all()
    with pytest.raises(ModelError, match="baujat compares studies"):
        baujat(m2.pool(YI[:1], VI[:1]))
