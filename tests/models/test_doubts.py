"""What stands beside a Hartung–Knapp interval of few studies, and why."""

import numpy as np
import pytest

import metail2 as m2
from metail2.errors import ModelError


def beside(yi, vi, **options):
    found = m2.pool(yi, vi, **options).companions().set_index("test")
    return found["reason"].to_dict()


def test_two_studies():
    result = m2.pool([0.1, 0.6], [0.1, 0.1])
    reasons = beside([0.1, 0.6], [0.1, 0.1])
    z = m2.pool([0.1, 0.6], [0.1, 0.1], test="z")
    times = (result.ci_upper - result.ci_lower) / (z.ci_upper - z.ci_lower)
    assert f"rests on 1 degree of freedom and is {times:.1f} times as wide as this one" in reasons["z"]
    assert reasons["z"].endswith("contains the intervals of both studies, so it says little about the mean")


def test_an_interval_that_contains_every_study():
    yi, vi = [0.0, 0.45, -0.5], [0.01, 0.02, 0.01]
    result = m2.pool(yi, vi)
    half = 1.959963984540054 * np.sqrt(vi)
    assert result.ci_lower < min(yi - half)
    assert result.ci_upper > max(yi + half)
    assert beside(yi, vi) == {
        "z": "the Hartung–Knapp interval contains the intervals of all 3 studies, so it says little about the mean"
    }
    assert "z" not in beside([*yi, *yi], [*vi, *vi])  # six studies know more than one


def test_an_interval_narrower_than_z():
    reasons = beside([0.30, 0.31, 0.29, 0.30, 0.32], [0.1] * 5)
    assert reasons == {
        "z": "τ² is estimated as 0, which 5 studies can hardly show",
        "knapp_hartung_adhoc": "the Hartung–Knapp standard error is smaller than the one behind z, and so is the "
        "interval: the effects lie closer together than sampling error alone would let one expect",
    }
    # Q is above k − 1 here: it is the estimated τ² that the effects fall short of
    yi, vi = np.r_[0.5, np.linspace(-0.3, 0.3, 9)], np.r_[0.0005, np.full(9, 0.2)]
    assert m2.pool(yi, vi).q > 9
    assert "closer together than the estimated τ² would let one expect" in beside(yi, vi)["knapp_hartung_adhoc"]


def test_few_studies_of_unequal_size_are_named_in_the_reason():
    yi, vi = [0.3, -0.4, 0.9], [0.1, 0.2, 0.01]
    assert "10 times as precise as the median one" in m2.pool(yi, vi).glance()["status_reason"].iloc[0]
    assert "times as precise" not in m2.pool(yi, vi, test="z").glance()["status_reason"].iloc[0]
    assert "times as precise" not in m2.pool(yi * 4, vi * 4).glance()["status_reason"].iloc[0]  # twelve studies
    adhoc = m2.pool(yi, vi, test="knapp_hartung_adhoc")
    assert "times as precise" not in adhoc.glance()["status_reason"].iloc[0]


def test_two_studies_beside_any_t_interval():
    for test, name in (("t", "t"), ("knapp_hartung_adhoc", "Hartung–Knapp"), ("iqwig", "Hartung–Knapp")):
        assert f"the {name} interval rests on 1 degree" in beside([0.2, 0.5], [0.04, 0.05], test=test)["z"]
    assert "the Kenward–Roger interval rests on" in beside([0.2, 0.5], [0.04, 0.05], test="kenward_roger")["z"]
    assert "times as wide" not in beside([0.2, 0.21], [0.04, 0.05])["z"]  # the narrower one


def test_a_normal_interval_of_few_studies_is_marked():
    said = "with 3 studies the normal (z) interval, which takes τ² as known, holds the truth less often than it says"
    assert said in m2.pool([0.2, 0.5, 0.1], [0.04, 0.05, 0.1], test="z").summary()
    assert said not in m2.pool([0.2, 0.5, 0.1], [0.04, 0.05, 0.1], test="z", tau2="CE").summary()


def test_a_regression_narrower_than_z_says_so():
    effects = m2.EffectSizes.from_arrays(
        [0.1, 0.15, 0.12, 0.5, 0.52, 0.51], [0.05] * 6, moderators={"g": list("aaabbb")}
    )
    result = m2.pool(effects, moderators="g")
    plain = m2.pool(effects, moderators="g", test="z")
    share = float(result.tidy()["se"].iloc[1] / plain.tidy()["se"].iloc[1])
    assert f"the Hartung–Knapp standard errors are {share:.2f} times those behind z" in result.summary()


def test_the_level_of_the_fit_is_the_level_of_its_intervals():
    result = m2.pool([0.2, 0.5, 0.1, 0.9], [0.04, 0.05, 0.1, 0.02], level=0.9)
    glance = result.glance().iloc[0]
    assert result.prediction_interval() == (glance["pi_lower"], glance["pi_upper"])
    assert result.tau2_interval().level == 0.9
    assert result.predict()["ci_lower"].iloc[0] == pytest.approx(result.ci_lower, rel=1e-12)
    assert result.prediction_interval(0.95) != result.prediction_interval()


def test_no_prediction_interval_is_nan_with_a_warning():
    two, common = m2.pool([0.1, 0.2], [0.1, 0.1]), m2.pool([0.1, 0.2, 0.4], [0.1] * 3, tau2="CE")
    for method in ("hts", "hk_pr"):
        with pytest.warns(m2.MetailWarning, match="needs at least 3 studies, and there are 2"):
            assert np.isnan(two.prediction_interval(method=method)).all()
    with pytest.warns(m2.MetailWarning, match="no between-study variance"):
        assert np.isnan(common.probability_above(0.0, "hk"))


def test_kenward_roger_is_refused_where_it_is_not_derived():
    for options in ({"tau2": "DL"}, {"weights": [1, 2, 3]}):
        with pytest.raises(ModelError, match="Kenward–Roger is derived for τ² by REML"):
            m2.pool([0.1, 0.2, 0.5], [0.1, 0.1, 0.1], test="kenward_roger", **options)
        with pytest.raises(ModelError, match="Kenward–Roger is derived for τ² by REML"):
            m2.pool([0.1, 0.2, 0.5], [0.1, 0.1, 0.1], **options).prediction_interval(method="kr")
    with pytest.raises(ModelError, match="IQWiG's rule is for one pooled effect"):
        m2.RandomEffects(test="iqwig", moderators="x")


def test_kenward_roger_says_when_its_interval_says_little():
    result = m2.pool([0.3, -0.4, 0.35], [0.5, 0.4, 1e-3], test="kenward_roger")
    assert (
        "Kenward–Roger has 5.10e−05 degrees of freedom: its interval says little"
        in result.glance()["status_reason"].iloc[0]
    )


def test_options_of_the_simulated_interval():
    result = m2.pool([0.1, 0.9, 0.4, -0.2], [0.1, 0.2, 0.1, 0.3])
    default = result.prediction_interval(method="nagashima")
    assert default == result.prediction_interval(method="nagashima")
    other = result.prediction_interval(method="nagashima", draws=2000, seed=1)
    assert other != default
    assert other == pytest.approx(default, abs=0.5)
    assert result.probability_above(other[0], "nagashima", draws=2000, seed=1) == pytest.approx(0.975, abs=1e-3)
    with pytest.raises(ModelError, match="'hk' does not simulate"):
        result.prediction_interval(draws=10)
    with pytest.raises(ModelError, match="0 draws were asked for"):
        result.prediction_interval(method="nagashima", draws=0)
    with pytest.raises(ModelError, match="weights of its own"):
        m2.pool([0.1, 0.2, 0.5], [0.1] * 3, weights=[1, 2, 3]).prediction_interval(method="nagashima")


def test_probability_above_a_threshold():
    result = m2.pool([0.1, 0.9, 0.4, -0.2], [0.1, 0.2, 0.1, 0.3])
    lower, upper = result.prediction_interval()
    assert (result.probability_above(lower), result.probability_above(upper)) == pytest.approx(
        (0.975, 0.025), rel=1e-10
    )
    assert result.probability_above(result.estimate) == pytest.approx(0.5)
    with pytest.raises(ModelError, match="threshold is nan"):
        result.probability_above(float("nan"))
    with pytest.warns(m2.MetailWarning, match="needs at least 3 studies"):
        assert np.isnan(m2.pool([0.1, 0.2], [0.1, 0.1]).probability_above(0))
    with pytest.raises(ModelError, match="One study says nothing about other studies"):
        m2.pool([0.1], [0.1]).prediction_interval(method="normal")


def test_coefficients_whose_standard_errors_are_scaled_down_or_rest_on_no_heterogeneity():
    columns = {"x": [1, 2, 3, 4, 5, 6], "h": [1, 2, 1, 2, 1, 3]}
    effects = m2.EffectSizes.from_arrays([0.1, 0.12, 0.11, 0.6, 0.61, 0.62], [0.05] * 6, moderators=columns)
    result = m2.pool(effects, moderators="x + h")
    found = result.companions()
    assert found["test"].tolist() == ["z"] * 3 + ["knapp_hartung_adhoc"] * 3
    assert found["term"].tolist() == ["intercept", "x", "h"] * 2
    for test, rows in found.groupby("test"):
        other = m2.pool(effects, moderators="x + h", test=test)
        limits = ["ci_lower", "ci_upper", "p_value"]
        np.testing.assert_allclose(rows[limits], other.tidy()[limits], rtol=1e-12)
        joint = other.glance().iloc[0]
        kind = "F" if test != "z" else "χ²"
        assert f"all moderators together have {kind} = {joint['qm']:.2f} on 2 " in rows["reason"].iloc[0]
    assert "0.72 times those behind z" in found["reason"].iloc[-1]
    assert "x −0.0693 to 0.3301" in result.summary()
    spread = m2.EffectSizes.from_arrays([0.1, 1.2, -0.9, 0.6, 1.9, -0.3], [0.05] * 6, moderators=columns)
    wide = m2.pool(spread, moderators="x + h")
    assert (wide.tau2 > 0, float(wide.reference.factor)) == (True, pytest.approx(1))
    assert wide.companions().empty
