"""Variance inflation beside the coefficients' own variances, closed forms and metafor's figures."""

import numpy as np
import pytest

import metail2 as m2
from metail2.analysis.collinearity import vif
from metail2.errors import ModelError


@pytest.fixture
def bcg():
    frame = m2.load_dataset("bcg").rename(columns={"tpos": "events1", "tn": "n1", "cpos": "events2", "cn": "n2"})
    return m2.effect_sizes(frame, "RR", study="author")


def correlations(result):
    """Correlations of the estimated coefficients but the intercept."""
    covariance = result.fitted.covariance[1:, 1:]
    scale = np.sqrt(np.diag(covariance))
    return covariance / np.outer(scale, scale)


def test_figures_of_the_reference(bcg):
    # metafor 3.8, vif(rma(yi, vi, mods = ~ ablat + year + alloc), btt = list(2, 3, 4:5))
    table = vif(m2.pool(bcg, moderators="ablat + year + alloc"))
    assert table[["term", "df"]].to_numpy().tolist() == [["ablat", 1], ["year", 1], ["alloc", 2]]
    assert table["vif"].tolist() == pytest.approx([1.7697, 1.9148, 1.2339], abs=5e-5)
    assert table["se_inflation"].tolist() == pytest.approx([1.3303, 1.3838, 1.0540], abs=5e-5)
    assert vif(m2.pool(bcg, moderators="ablat + year"))["vif"].tolist() == pytest.approx([1.53913018355] * 2, rel=1e-11)
    assert vif(m2.pool(bcg, moderators="0 + ablat + alloc"))["vif"].iloc[0] == pytest.approx(5.8242, abs=5e-5)


@pytest.mark.parametrize("test", ["z", "knapp_hartung", "kenward_roger"])
def test_determinants_of_the_coefficients_correlations(bcg, test):
    result = m2.pool(bcg, moderators="ablat + alloc + year", test=test)
    r = correlations(result)
    place = {term: j for j, term in enumerate(result.terms[1:])}
    factor = [place["alloc[T.random]"], place["alloc[T.systematic]"]]
    others = [place["ablat"], place["year"]]
    expected = np.linalg.det(r[np.ix_(factor, factor)]) * np.linalg.det(r[np.ix_(others, others)]) / np.linalg.det(r)
    row = vif(result).set_index("term").loc["alloc"]
    assert row["vif"] == pytest.approx(expected, rel=1e-10)
    assert row["se_inflation"] == pytest.approx(expected**0.25, rel=1e-10)
    alone = vif(result).set_index("term").loc["ablat", "vif"]
    assert alone == pytest.approx(np.linalg.inv(r)[place["ablat"], place["ablat"]], rel=1e-10)


@pytest.mark.parametrize("formula", ["ablat", "alloc", "0 + ablat", "0 + alloc"])
def test_the_only_term_is_not_inflated(bcg, formula):
    assert vif(m2.pool(bcg, moderators=formula))[["vif", "se_inflation"]].to_numpy() == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize("angle", [0.5, 1e-3, 1e-6])
def test_two_moderators_at_a_known_angle(angle):
    # equal weights, two orthogonal directions about the mean: the correlation is cos(angle)
    first, second = np.tile([1.0, 1, -1, -1], 3), np.tile([1.0, -1, 1, -1], 3)
    moderators = {"a": first, "b": np.cos(angle) * first + np.sin(angle) * second}
    effects = m2.EffectSizes.from_arrays(np.sin(np.arange(12.0)), np.full(12, 0.1), moderators=moderators)
    found = vif(m2.pool(effects, moderators="a + b"))["vif"]
    assert found.tolist() == pytest.approx([1 / np.sin(angle) ** 2] * 2, rel=1e-8)


def test_units_and_places_of_moderators_do_not_matter(bcg):
    moved = bcg.assign(ablat=1e8 * bcg.moderators["ablat"], year=bcg.moderators["year"] - 1900)
    before, after = (vif(m2.pool(effects, moderators="ablat + year")) for effects in (bcg, moved))
    np.testing.assert_allclose(after["vif"], before["vif"], rtol=1e-9)


def test_the_users_weights_count(bcg):
    equal = vif(m2.pool(bcg.assign(w=1.0), moderators="ablat + year", weights="w"))["vif"]
    r = np.corrcoef(bcg.moderators["ablat"], bcg.moderators["year"])[0, 1]
    assert equal.tolist() == pytest.approx([1 / (1 - r**2)] * 2, rel=1e-11)


def test_a_mean_has_no_moderators(bcg):
    for result in (m2.pool(bcg), m2.pool(bcg, moderators="1")):
        with pytest.raises(ModelError, match="no moderators, so there is no collinearity"):
            vif(result)
