"""RandomEffects: its three tables, what they leave open and why, intervals, and text."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import metail2 as m2
from metail2.errors import MetailWarning, ModelError, UnknownChoice
from metail2.kernels.tau2 import TAU2, WEIGHTED
from metail2.results import GLANCE_COLUMNS, STATUS, STUDY_COLUMNS, STUDY_STATES, TIDY_COLUMNS, Result


def test_columns_of_the_tables(bcg):
    result = m2.pool(bcg)
    assert isinstance(result, Result)
    assert tuple(result.tidy()) == TIDY_COLUMNS
    assert tuple(result.glance()) == (
        *GLANCE_COLUMNS, "level", "iterations", "gradient", "maxima", "weights", "qm_df_error",
    )  # fmt: skip
    assert tuple(result.studies()) == (*STUDY_COLUMNS, "events1", "n1", "events2", "n2")
    assert (len(result.tidy()), len(result.glance()), len(result.studies())) == (1, 1, 13)


def test_the_specification_is_data(bcg):
    spec = m2.RandomEffects(tau2="PM", test="z")
    assert spec == m2.RandomEffects("PM", "z")
    assert hash(spec) == hash(m2.RandomEffects("PM", "z"))
    with pytest.raises(AttributeError):
        spec.tau2 = "DL"
    result = spec.fit(bcg)
    assert result.spec is spec
    assert result.effects is bcg
    assert result.tidy().equals(m2.pool(bcg, tau2="PM", test="z").tidy())


def test_leave_one_out_by_the_specification(bcg):
    """What `analysis` will do: the specification refits without one effect."""
    result = m2.pool(bcg)
    without = result.spec.fit(result.effects.drop(3))
    keep = np.arange(13) != 3
    assert without.estimate == m2.pool(bcg.yi[keep], bcg.vi[keep]).estimate


def test_study_table(bcg):
    table = m2.pool(bcg, tau2="CE", test="z").studies()
    half = 1.959963984540054 * np.sqrt(bcg.vi)
    np.testing.assert_allclose(table["ci_lower"], bcg.yi - half, rtol=1e-12)
    np.testing.assert_allclose(table["ci_upper"], bcg.yi + half, rtol=1e-12)
    np.testing.assert_allclose(table["weight"], 100 / bcg.vi / (1 / bcg.vi).sum(), rtol=1e-12)
    np.testing.assert_allclose(table["residual"], bcg.yi - table["fitted"], rtol=1e-12)
    assert table["fitted"].nunique() == 1
    assert set(table["state"]) == {"used"}
    assert set(table["state"]) <= set(STUDY_STATES)
    assert table["group"].tolist() == [""] * 13


def test_groups_come_from_the_moderator_of_that_name(bcg):
    grouped = bcg.assign(group=["near" if lat < 30 else "far" for lat in bcg.moderators["ablat"]])
    assert set(m2.pool(grouped).studies()["group"]) == {"near", "far"}


def test_the_level_is_used_everywhere(bcg):
    result = m2.pool(bcg, test="z", level=0.9)
    assert result.ci_upper - result.estimate == pytest.approx(stats.norm.isf(0.05) * result.se)
    table = result.studies()
    np.testing.assert_allclose(table["ci_upper"] - table["yi"], stats.norm.isf(0.05) * np.sqrt(bcg.vi), rtol=1e-12)
    glance = result.glance().iloc[0]
    assert glance["level"] == 0.9
    half = stats.t.isf(0.05, 12) * math.sqrt(result.se**2 + result.tau2)
    assert glance["pi_upper"] - result.estimate == pytest.approx(half)
    assert "90 % interval" in result.summary()
    assert "90 % prediction interval" in result.summary()


def test_exponentiate_shows_ratios(bcg):
    plain, shown = m2.pool(bcg).tidy(), m2.pool(bcg).tidy(exponentiate=True)
    for name in ("estimate", "ci_lower", "ci_upper"):
        np.testing.assert_allclose(shown[name], np.exp(plain[name]))
    for name in ("se", "statistic", "df", "p_value"):
        np.testing.assert_array_equal(shown[name], plain[name])


@pytest.mark.parametrize("measure", ["MD", "RD", "SMD", "PFT"])
def test_exponentiate_is_refused_where_there_is_no_log_scale(measure):
    effects = m2.EffectSizes.from_arrays([1.0, 2, 3], [0.1, 0.2, 0.1], measure=measure)
    with pytest.raises(ModelError) as caught:
        m2.pool(effects).tidy(exponentiate=True)
    assert str(caught.value) == f"{measure} is not pooled on a log scale, so it has no ratio to show."


# ------------------------------------------------------------------------------------- no NaN without a reason
NO_MODERATORS = {"qm", "qm_df", "qm_p", "r2"}
"""Undefined without moderators: `p` is 1 and beside them."""
REASONS = {
    "pi_lower": "no prediction interval", "pi_upper": "no prediction interval",
    "i2": "τ² is 0 by assumption", "h2": "τ² is 0 by assumption", "tau2_se": "τ² is 0 by assumption",
    "r2": "R²",
}  # fmt: skip


def effects(k=5, **moderators):
    rng = np.random.default_rng(0)
    return m2.EffectSizes.from_arrays(rng.normal(0, 1, k), rng.uniform(0.1, 0.3, k), moderators=moderators or None)


@pytest.mark.parametrize("k", [1, 2, 3, 5])
@pytest.mark.parametrize("code", sorted(set(TAU2) - set(WEIGHTED)))
@pytest.mark.parametrize("formula", [None, "x", "0 + x"])
def test_no_nan_without_a_reason(k, code, formula):
    if (formula == "x" and k < 3) or (formula == "0 + x" and k < 2):
        formula = None
    result = m2.pool(effects(k, x=np.arange(1.0, k + 1)), tau2=code, moderators=formula)
    glance = result.glance().iloc[0]
    missing = {name for name in GLANCE_COLUMNS if isinstance(glance[name], float) and math.isnan(glance[name])}
    if glance["status"] == "one_study":
        assert "nothing is pooled" in glance["status_reason"]
        return
    if formula is None:
        assert missing >= NO_MODERATORS
        missing -= NO_MODERATORS
    for name in missing:
        assert REASONS[name] in glance["status_reason"], name
    assert glance["status"] in STATUS


def test_r2_has_its_reason_where_there_is_nothing_to_explain():
    homogeneous = m2.EffectSizes.from_arrays([0.2, 0.25, 0.15, 0.22], [0.1] * 4, moderators={"x": [1, 2, 4, 3]})
    glance = m2.pool(homogeneous, moderators="x").glance().iloc[0]
    assert math.isnan(glance["r2"])
    assert "R² is undefined, because τ² is 0 also without the moderators" in glance["status_reason"]


def test_a_second_maximum_is_mentioned():
    result = m2.pool([-0.07, -0.47, 0.05, 2.2], [0.0013, 0.16, 0.00055, 0.61])
    glance = result.glance().iloc[0]
    assert glance["maxima"] == 2
    assert "more than one maximum; the highest is reported (profile_tau2 shows" in glance["status_reason"]
    assert "more than one maximum" in result.summary()


def test_the_optimum_is_recorded(bcg):
    glance = m2.pool(bcg).glance().iloc[0]
    assert glance["iterations"] > 0
    assert abs(glance["gradient"]) < 1e-9
    closed = m2.pool(bcg, tau2="DL").glance().iloc[0]
    assert closed["iterations"] == 0
    assert math.isnan(closed["gradient"])


# ------------------------------------------------------------------------------------- likelihood
def test_information_criteria_follow_from_the_likelihood(bcg):
    for code, formula in (("ML", None), ("ML", "ablat"), ("REML", "ablat"), ("CE", None), ("DL", None)):
        result = m2.pool(bcg, tau2=code, moderators=formula, test="z")
        g = result.glance().iloc[0]
        parameters = g["p"] + (code != "CE")
        n = 13 - (g["p"] if code == "REML" else 0)
        assert g["aic"] == pytest.approx(2 * parameters - 2 * g["log_likelihood"])
        assert g["bic"] == pytest.approx(parameters * math.log(n) - 2 * g["log_likelihood"])
        correction = 2 * parameters * (parameters + 1) / (n - parameters - 1)
        assert g["aicc"] == pytest.approx(g["aic"] + correction)


def test_ordinary_likelihood_is_a_sum_of_normal_densities(bcg):
    result = m2.pool(bcg, tau2="ML", test="z")
    density = stats.norm.logpdf(bcg.yi, result.estimate, np.sqrt(bcg.vi + result.tau2)).sum()
    assert result.glance()["log_likelihood"].iloc[0] == pytest.approx(density, rel=1e-12)
    saturated = stats.norm.logpdf(bcg.yi, bcg.yi, np.sqrt(bcg.vi)).sum()
    assert result.glance()["deviance"].iloc[0] == pytest.approx(2 * (saturated - density), rel=1e-12)


# ------------------------------------------------------------------------------------- intervals
def test_prediction_intervals_by_hand(bcg):
    result = m2.pool(bcg)
    mean, tau2 = result.estimate, result.tau2
    w = 1 / (bcg.vi + tau2)
    plain = 1 / w.sum()
    scaled = plain * (w * (bcg.yi - mean) ** 2).sum() / 12
    want = {
        "normal": stats.norm.isf(0.025) * math.sqrt(plain + tau2),
        "t_k1": stats.t.isf(0.025, 12) * math.sqrt(plain + tau2),
        "hts": stats.t.isf(0.025, 11) * math.sqrt(plain + tau2),
        "hk": stats.t.isf(0.025, 12) * math.sqrt(scaled + tau2),
        "hk_pr": stats.t.isf(0.025, 11) * math.sqrt(scaled + tau2),
    }
    for method, half in want.items():
        assert result.prediction_interval(method=method) == pytest.approx((mean - half, mean + half))
    assert result.prediction_interval() == result.prediction_interval(method="hk")
    # the method, not the test of the fit, decides
    normal_test = m2.pool(bcg, test="z")
    assert normal_test.prediction_interval() == normal_test.prediction_interval(method="t_k1")
    assert normal_test.prediction_interval(method="hk") == pytest.approx(result.prediction_interval(method="hk"))


def test_prediction_interval_of_the_ad_hoc_test_uses_its_standard_error():
    result = m2.pool([0.20, 0.25, 0.15, 0.22, 0.31], [0.1, 0.2, 0.3, 0.1, 0.4], test="knapp_hartung_adhoc")
    assert result.prediction_interval() == pytest.approx((result.ci_lower, result.ci_upper))  # τ² is 0


def test_unknown_methods_are_answered_with_the_choices(bcg):
    with pytest.raises(UnknownChoice, match=r"Unknown prediction interval 'hkk'\. Did you mean 'hk'"):
        m2.pool(bcg).prediction_interval(method="hkk")
    with pytest.raises(UnknownChoice, match="Unknown τ² interval 'profile'"):
        m2.pool(bcg).tau2_interval(method="profile")


@pytest.mark.parametrize("moderators", [None, "ablat"])
def test_a_common_effect_predicts_no_new_study(bcg, moderators):
    found = m2.pool(bcg, tau2="CE", test="z", moderators=moderators).predict()
    assert found[["pi_lower", "pi_upper"]].isna().all(axis=None)
    assert (found["note"] == "no prediction interval: a common-effect model has no between-study variance").all()
    assert found["ci_lower"].notna().all()


def test_a_threshold_on_which_all_effects_lie():
    exact = m2.pool([0.3] * 4, [0.1, 0.2, 0.3, 0.4])
    assert (exact.probability_above(0.2), exact.probability_above(0.4)) == (1, 0)
    with pytest.warns(MetailWarning, match=r"No probability: every true effect is estimated as 0\.3, the threshold"):
        assert np.isnan(exact.probability_above(0.3))


def test_no_prediction_interval_says_why(bcg):
    with pytest.warns(MetailWarning, match="a common-effect model has no between-study variance"):
        assert np.isnan(m2.pool(bcg, tau2="CE").prediction_interval()).all()
    with pytest.warns(MetailWarning, match="with moderators it depends on their values"):
        assert np.isnan(m2.pool(bcg, moderators="ablat").prediction_interval()).all()
    with pytest.raises(ModelError, match="A regression on intercept and ablat has no single pooled effect"):
        m2.pool(bcg, moderators="ablat").prediction_interval(method="hk")


def test_tau2_interval_gives_all_four_scales(bcg):
    interval = m2.pool(bcg).tau2_interval(level=0.9)
    assert interval.level == 0.9
    assert interval.method == "q_profile"
    assert interval.note == ""
    wide = m2.pool(bcg).tau2_interval()
    assert wide.lower < interval.lower < m2.pool(bcg, tau2="PM").tau2 < interval.upper < wide.upper
    assert (interval.tau_lower, interval.tau_upper) == pytest.approx(
        (math.sqrt(interval.lower), math.sqrt(interval.upper))
    )
    for limit, i2, h2 in (
        (interval.lower, interval.i2_lower, interval.h2_lower),
        (interval.upper, interval.i2_upper, interval.h2_upper),
    ):
        assert h2 == pytest.approx(1 / (1 - i2 / 100))
        assert limit == pytest.approx((h2 - 1) * float(m2.pool(bcg).spread.typical_variance))


def test_an_empty_interval_for_tau2_is_explained():
    interval = m2.pool([0.3] * 9, [1.0] * 9).tau2_interval()
    assert (interval.lower, interval.upper) == (0, 0)
    assert interval.note == "The studies agree so closely that no τ² is compatible with them; 0 is shown."


# ------------------------------------------------------------------------------------- text
def test_summary_in_words(bcg):
    lines = m2.pool(bcg).summary().splitlines()
    assert lines[0] == "Risk ratio, 13 studies, restricted maximum likelihood, Hartung–Knapp"
    assert lines[2] == "  risk ratio 0.489, 95 % interval 0.330 to 0.726, P = 0.002"
    assert lines[3] == "  95 % prediction interval 0.136 to 1.763  [t, k − 1 df, Hartung–Knapp SE]"
    assert lines[5] == (
        "  Heterogeneity: Q = 152.23 on 12 df, P = 2.0e−26; τ² = 0.3132, I² (from τ²) = 92.2 %; I² (from Q) = 92.1 %"
    )
    assert len(lines) == 6


def test_summary_of_a_regression(bcg):
    text = m2.pool(bcg, moderators="ablat", test="z").summary()
    assert "coefficients on the scale of the log risk ratio, with 95 % intervals:" in text
    assert "  ablat −0.0291, −0.0432 to −0.0150, P = 5.2e−05" in text
    assert "prediction interval: with moderators it depends on their values (use predict)" in text


def test_summary_never_says_significant(bcg):
    for code in set(TAU2) - set(WEIGHTED):
        text = m2.pool(bcg, tau2=code).summary().lower()
        assert "signific" not in text
        assert "nan" not in text


def test_the_notebook_shows_the_summary(bcg):
    result = m2.pool(bcg)
    assert result._repr_html_() == f"<pre>{result.summary()}</pre>"
    assert repr(result) == result.summary()
    labelled = m2.pool(m2.EffectSizes.from_arrays([0.1], [0.2], ["<b>Ann & Ben</b>"]))
    assert "<b>" not in labelled._repr_html_()


@pytest.mark.parametrize(
    ("measure", "shown"),
    [("RR", "risk ratio 1.105"), ("RD", "risk difference 0.100"), ("PLO", "proportion (logit) 0.525"),
     ("MD", "mean difference 0.100"), ("GEN", "effect 0.100")],
)  # fmt: skip
def test_summary_is_back_transformed(measure, shown):
    result = m2.pool(m2.EffectSizes.from_arrays([0.0, 0.1, 0.2], [0.1, 0.1, 0.1], measure=measure))
    assert shown in result.summary()


# ------------------------------------------------------------------------------------- predict
def test_predict_without_new_data_gives_the_fitted_values(bcg):
    result = m2.pool(bcg, moderators="ablat")
    table = result.predict()
    assert list(table) == ["estimate", "se", "ci_lower", "ci_upper", "pi_lower", "pi_upper", "note"]
    np.testing.assert_allclose(table["estimate"], result.studies()["fitted"], rtol=1e-12)


def test_predict_by_hand(bcg):
    result = m2.pool(bcg, moderators="ablat")
    table = result.predict(pd.DataFrame({"ablat": [10, 50]}))
    for i, latitude in enumerate((10, 50)):
        x = np.array([1, latitude])
        se = math.sqrt(x @ result.covariance @ x)
        t = stats.t.isf(0.025, 11)
        mean = x @ result.tidy()["estimate"]
        assert table.iloc[i, :6].tolist() == pytest.approx([
            mean, se, mean - t * se, mean + t * se,
            mean - t * math.hypot(se, math.sqrt(result.tau2)), mean + t * math.hypot(se, math.sqrt(result.tau2)),
        ])  # fmt: skip


def test_predict_of_a_mean_is_the_mean(bcg):
    result = m2.pool(bcg)
    table = result.predict(pd.DataFrame(index=range(2)))
    assert table["estimate"].tolist() == [result.estimate] * 2
    assert (table["pi_lower"].iloc[0], table["pi_upper"].iloc[0]) == pytest.approx(result.prediction_interval())


def test_prediction_needs_three_studies():
    assert np.isnan(m2.pool([0.1, 0.9], [0.04, 0.09]).predict()["pi_lower"]).all()
