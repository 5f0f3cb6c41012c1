"""LocationScale: its tables, tests, predictions and edges."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import metail2 as m2
from metail2.errors import MetailWarning, ModelError, UnknownChoice
from metail2.models.location_scale import LocationScale
from metail2.results import GLANCE_COLUMNS, STATUS, STUDY_COLUMNS, TIDY_COLUMNS, Result
from metail2.wording import listed

LINKS = ("log", "identity")
OWN = ["level", "link", "p_scale", "qs", "qs_df", "qs_p", "lr", "lr_df", "lr_p", "tau2_min", "tau2_max", "iterations",
       "gradient"]  # fmt: skip


@pytest.fixture
def spreading():
    """Twenty studies that differ the more, the longer they last."""
    rng = np.random.default_rng(3)
    weeks = np.arange(20.0) / 2
    v = rng.uniform(0.02, 0.1, 20)
    y = rng.normal(0.4 + 0.1 * weeks, np.sqrt(v + 0.05 + 0.15 * weeks))
    columns = {"weeks": weeks, "one": np.ones(20), "half": weeks / 2, "drug": ["a", "b"] * 10}
    return m2.EffectSizes.from_arrays(y, v, moderators=columns)


def groups(first, second, spread=1.0):
    """Two groups of equal precision: in the second, effects agree."""
    y = [*np.array(first) * spread, *second]
    moderators = {"drug": ["a"] * len(first) + ["b"] * len(second)}
    return m2.EffectSizes.from_arrays(y, [0.05] * len(y), moderators=moderators)


# ------------------------------------------------------------------------------------- tables
def test_the_three_tables(spreading):
    result = LocationScale("weeks", moderators="drug").fit(spreading)
    assert isinstance(result, Result)
    tidy, glance, studies = result.tidy(), result.glance().iloc[0], result.studies()
    assert tuple(tidy.columns) == TIDY_COLUMNS
    assert tidy["term"].tolist() == ["intercept", "drug[T.b]", "scale:intercept", "scale:weeks"]
    assert list(glance.index) == [*GLANCE_COLUMNS, *OWN]
    assert (glance["k"], glance["p"], glance["p_scale"], glance["status"]) == (20, 2, 2, "ok")
    assert list(studies.columns) == [*STUDY_COLUMNS, "tau2"]
    alpha = tidy["estimate"].to_numpy()[2:]
    np.testing.assert_allclose(studies["tau2"], np.exp(alpha[0] + alpha[1] * spreading.moderators["weeks"]))
    weights = 1 / (spreading.vi + studies["tau2"])
    np.testing.assert_allclose(studies["weight"], 100 * weights / weights.sum())
    assert (glance["tau2_min"], glance["tau2_max"]) == (studies["tau2"].min(), studies["tau2"].max())


def test_what_is_undefined_has_its_reason(spreading):
    glance = LocationScale("weeks", moderators="drug").fit(spreading).glance().iloc[0]
    assert glance[["tau2", "tau2_se", "i2", "h2", "r2", "pi_lower", "pi_upper"]].isna().all()
    for words in ("τ² depends on the study", "no prediction interval", "R² is not defined"):
        assert words in glance["status_reason"]


def test_single_figures_where_they_exist_and_an_error_where_not(spreading):
    result = LocationScale("weeks").fit(spreading)
    row = result.tidy().iloc[0]
    assert (result.estimate, result.se, result.p_value) == (row["estimate"], row["se"], row["p_value"])
    with pytest.raises(ModelError, match="τ² depends on intercept and weeks, so there is no single τ²"):
        _ = result.tau2
    with pytest.raises(ModelError, match="no single pooled effect"):
        _ = LocationScale("weeks", moderators="drug").fit(spreading).estimate


def test_ratios_are_of_the_location_part_only(bcg):
    result = LocationScale("ablat", moderators="ablat").fit(bcg)
    plain, ratios = result.tidy(), result.tidy(exponentiate=True)
    np.testing.assert_allclose(ratios["estimate"][:2], np.exp(plain["estimate"][:2]))
    pd.testing.assert_frame_equal(ratios.iloc[2:], plain.iloc[2:])
    text = result.summary()
    assert "scale:ablat" in text
    assert "Rows named scale: are coefficients of log τ² (log link)." in text
    assert "Pooled" not in text
    pooled = LocationScale("ablat").fit(bcg)
    assert f"Pooled risk ratio {np.exp(pooled.estimate):.3f}, 95 % interval {np.exp(pooled.ci_lower):.3f} to" in (
        pooled.summary()
    )


@pytest.mark.parametrize(
    ("scale", "level"),
    [
        ("weeks", {"intercept"}),
        ("1", {"intercept"}),
        ("drug + weeks", {"intercept"}),
        ("0 + drug", {"drug[a]", "drug[b]"}),
        ("0 + drug + center(weeks)", {"drug[a]", "drug[b]"}),
        ("0 + half", {"half"}),
    ],
)
@pytest.mark.parametrize("link", LINKS)
def test_the_level_of_tau2_has_no_p_value_in_the_text(spreading, scale, level, link):
    result = LocationScale(scale, link=link).fit(spreading)
    assert set(result.untested) == {f"scale:{term}" for term in level}
    text, null = result.summary(), {"log": "1, which depends on the unit", "identity": "0, the least it can be"}[link]
    for row in result.tidy().itertuples():
        line = next(line for line in text.splitlines() if line.startswith(f"  {row.term} "))
        assert (", P " in line) is (row.term not in result.untested)
    assert f"No P value for {listed(list(result.untested))}: a test of 0 would be one of τ² = {null}" in text
    np.testing.assert_array_equal(result.tidy()["p_value"].iloc[1:], result.scale_wald.p_value)


@pytest.mark.parametrize("scale", ["weeks", "0 + drug + center(weeks)", "drug + weeks"])
def test_exactly_those_coefficients_are_untested_whose_test_depends_on_the_unit(spreading, scale):
    c = 100.0
    other = m2.EffectSizes.from_arrays(c * spreading.yi, c**2 * spreading.vi, moderators=spreading.moderators)
    before, after = (LocationScale(scale).fit(effects) for effects in (spreading, other))
    shift = (after.tidy().set_index("term") - before.tidy().set_index("term")).loc[list(before.untested)]
    np.testing.assert_allclose(shift["estimate"], 2 * np.log(c), rtol=1e-6)
    assert (shift["p_value"].abs() > 1e-3).all()
    rest = [f"scale:{term}" for term in before.scale.terms if f"scale:{term}" not in before.untested]
    for column in ("estimate", "p_value"):
        one, two = (result.tidy().set_index("term").loc[rest, column] for result in (before, after))
        np.testing.assert_allclose(two, one, rtol=1e-5)


# ------------------------------------------------------------------------------------- the random-effects model
@pytest.mark.parametrize("test", ["z", "t", "knapp_hartung", "knapp_hartung_adhoc"])
@pytest.mark.parametrize("method", ["REML", "ML"])
@pytest.mark.parametrize("link", LINKS)
def test_a_constant_scale_is_the_random_effects_model(bcg, link, method, test):
    ours = LocationScale("1", link, method=method, test=test).fit(bcg)
    plain = m2.pool(bcg, tau2=method, test=test)
    pd.testing.assert_frame_equal(ours.tidy().iloc[:1], plain.tidy(), rtol=1e-11)
    assert ours.tau2 == pytest.approx(plain.tau2, rel=1e-12)
    one, other = ours.glance().iloc[0], plain.glance().iloc[0]
    same = [name for name in GLANCE_COLUMNS if name not in ("tau2_se", "pi_method", "status_reason")]
    pd.testing.assert_series_equal(one[same], other[same], rtol=1e-11, check_names=False)
    assert (one["pi_method"], one["status_reason"]) == (other["pi_method"], "")
    pd.testing.assert_frame_equal(ours.studies()[list(STUDY_COLUMNS)], plain.studies()[list(STUDY_COLUMNS)])
    pd.testing.assert_frame_equal(ours.predict().drop(columns="tau2"), plain.predict(), rtol=1e-11)


@pytest.mark.parametrize("test", ["z", "knapp_hartung"])
def test_a_constant_scale_with_moderators_is_the_meta_regression(bcg, test):
    ours = LocationScale("1", moderators="ablat", test=test).fit(bcg).glance().iloc[0]
    plain = m2.pool(bcg, moderators="ablat", test=test).glance().iloc[0]
    for name in ("tau2", "i2", "h2", "q", "q_p", "qm", "qm_df", "qm_p", "log_likelihood", "aic", "bic", "aicc"):
        assert ours[name] == pytest.approx(plain[name], rel=1e-9), name


@pytest.mark.parametrize(("link", "alpha"), [("log", -math.inf), ("identity", 0.0)])
def test_effects_that_agree_have_a_tau2_of_zero_and_say_so(link, alpha):
    effects = m2.EffectSizes.from_arrays([0.1, 0.2, 0.15], [0.1, 0.1, 0.2])
    result = LocationScale("1", link).fit(effects)
    plain = m2.pool(effects, test="z")
    assert (result.tau2, result.estimate, result.se) == (0, plain.estimate, plain.se)
    row = result.tidy().iloc[1]
    assert row["estimate"] == alpha
    assert row[["se", "p_value", "ci_lower", "ci_upper"]].isna().all()
    assert "τ² is 0, the least it can be, in every study" in result.glance()["status_reason"].iloc[0]


def test_two_studies():
    effects = m2.EffectSizes.from_arrays([0.1, 0.9], [0.04, 0.09])
    result = LocationScale("1", test="knapp_hartung").fit(effects)
    plain = m2.pool(effects)
    assert (result.tau2, result.se) == pytest.approx((plain.tau2, plain.se), rel=1e-9)
    assert math.isnan(result.glance()["pi_lower"].iloc[0])
    assert "at least 3 studies, and there are 2" in result.glance()["status_reason"].iloc[0]


# ------------------------------------------------------------------------------------- tests of the scale part
@pytest.mark.parametrize("link", LINKS)
def test_wald_and_likelihood_ratio_by_hand(spreading, link):
    result = LocationScale("weeks", link).fit(spreading)
    glance, row = result.glance().iloc[0], result.tidy().iloc[2]
    assert (glance["qs"], glance["qs_df"]) == (pytest.approx(row["statistic"] ** 2, rel=1e-12), 1)
    assert glance["qs_p"] == pytest.approx(row["p_value"], rel=1e-12)
    same = m2.pool(spreading, test="z").glance()["log_likelihood"].iloc[0]
    assert glance["lr"] == pytest.approx(2 * (glance["log_likelihood"] - same), rel=1e-12)
    assert glance["lr_p"] == pytest.approx(stats.chi2.sf(glance["lr"], 1), rel=1e-12)
    assert glance["lr_p"] < 0.05  # the effects do spread


def test_scale_coefficients_by_t_have_k_minus_q_degrees_of_freedom(spreading):
    for test in ("t", "knapp_hartung"):
        result = LocationScale("weeks + drug", moderators="drug", test=test).fit(spreading)
        assert result.tidy()["df"].tolist() == [18, 18, 17, 17, 17]
        statistic = result.scale_test()
        alpha, covariance = result.scale_wald.estimate[1:], result.scale_covariance[1:, 1:]
        assert statistic.statistic == pytest.approx(alpha @ np.linalg.inv(covariance) @ alpha / 2, rel=1e-9)
        assert statistic.p_value == pytest.approx(stats.f.sf(statistic.statistic, 2, 17), rel=1e-9)
        z = LocationScale("weeks + drug", moderators="drug").fit(spreading).tidy()
        np.testing.assert_allclose(result.tidy()["se"][2:], z["se"][2:])  # Hartung–Knapp scales the location part only


def test_coding_of_a_factor_changes_nothing_but_the_names(spreading):
    treatment = LocationScale("drug").fit(spreading)
    cells = LocationScale("0 + drug").fit(spreading)
    np.testing.assert_allclose(cells.studies()["tau2"], treatment.studies()["tau2"], rtol=1e-9)
    one, other = treatment.glance().iloc[0], cells.glance().iloc[0]
    assert one["lr"] == pytest.approx(other["lr"], rel=1e-9)
    assert math.isnan(other["qs"])
    assert "no Wald test of the scale part, because it has no intercept" in other["status_reason"]


def test_a_scale_without_a_constant_has_no_likelihood_ratio(spreading):
    glance = LocationScale("0 + weeks").fit(spreading).glance().iloc[0]
    assert glance[["lr", "lr_p", "qs"]].isna().all()


def test_no_p_value_where_a_constant_tau2_is_zero():
    y = [0.0, 0.05, -0.05, 0.02, 0.3, -0.3, 0.25, -0.2]
    effects = m2.EffectSizes.from_arrays(y, [0.06] * 8, moderators={"x": [0, 0, 0, 0, 1, 1, 1, 1]})
    glance = LocationScale("x", "identity").fit(effects).glance().iloc[0]
    assert glance["tau2_max"] > 0
    assert math.isnan(glance["lr_p"])
    assert glance["lr"] > 0
    assert "no P value, because a constant τ² is estimated as 0" in glance["status_reason"]


# ------------------------------------------------------------------------------------- prediction
@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("test", ["z", "knapp_hartung"])
def test_new_rows_are_encoded_as_the_fit_was(spreading, link, test):
    result = LocationScale("center(weeks)", link, moderators="drug + center(weeks)", test=test).fit(spreading)
    rows = result.predict(spreading.moderators.iloc[[3, 12]])
    pd.testing.assert_frame_equal(rows, result.predict().iloc[[3, 12]].reset_index(drop=True), rtol=1e-9)
    half = stats.t.isf(0.025, 17) * np.sqrt(rows["se"] ** 2 + rows["tau2"])
    np.testing.assert_allclose(rows["pi_upper"] - rows["estimate"], half, rtol=1e-9)


def test_a_negative_tau2_is_not_predicted(spreading):
    result = LocationScale("weeks", "identity").fit(spreading)
    with pytest.raises(ModelError, match=r"Row 2 of the new data has τ² = −.* by the identity link, which cannot be"):
        result.predict(pd.DataFrame({"weeks": [1.0, -50.0]}))
    with pytest.raises(ModelError, match="The new data lack the column weeks"):
        result.predict(pd.DataFrame({"week": [1.0]}))


# ------------------------------------------------------------------------------------- the boundary
def test_a_group_that_agrees_is_an_error_by_the_log_link_and_zero_by_the_identity_link():
    effects = groups([-1.0, 0.4, 1.5, 2.0, -0.3], [0.1, 0.11, 0.12, 0.09])
    with pytest.raises(ModelError, match=r"τ² of study 6, study 7, study 8 and study 9 goes to 0.*link='identity'"):
        LocationScale("drug").fit(effects)
    result = LocationScale("drug", "identity").fit(effects)
    assert result.studies()["tau2"].tolist()[5:] == [0, 0, 0, 0]
    tidy, glance = result.tidy(), result.glance().iloc[0]
    assert tidy["se"][1:].isna().all()
    assert (
        "in study 6, study 7, study 8 and study 9, so scale coefficients have no standard error"
        in (glance["status_reason"])
    )
    assert math.isnan(glance["qs_p"])
    assert 0 < glance["lr_p"] < 0.05
    assert tidy["se"].iloc[0] > 0


def test_all_effects_equal():
    effects = groups([0.3] * 4, [0.3] * 4)
    with pytest.raises(ModelError, match="τ² of every study goes to 0"):
        LocationScale("drug").fit(effects)
    result = LocationScale("drug", "identity", test="knapp_hartung").fit(effects)
    glance = result.glance().iloc[0]
    assert (result.estimate, result.se, glance["tau2_max"]) == (0.3, 0, 0)
    assert (glance["status"], STATUS["zero_se"] in glance["status_reason"]) == ("zero_se", True)


def test_a_study_with_a_mean_and_a_tau2_of_its_own_leaves_that_tau2_undetermined():
    effects = groups([-1.0, 0.4, 1.5, 2.0, -0.3], [0.7])
    with pytest.raises(ModelError, match="does not determine the scale coefficients"):
        LocationScale("drug", moderators="drug").fit(effects)


@pytest.mark.parametrize("link", LINKS)
def test_only_the_sum_of_two_variances_is_determined(link):
    # all that is left after the line in w are the differences between groups, with variance τ²(0) + τ²(1) + 0.2
    columns = {"x": [0, 0, 1, 1], "w": [0, 1, 0, 1]}
    effects = m2.EffectSizes.from_arrays([-1.0, 1.2, -3.0, 3.5], [0.1] * 4, moderators=columns)
    with pytest.raises(ModelError, match="does not determine the scale coefficients"):
        LocationScale("x", link, moderators="w").fit(effects)


# ------------------------------------------------------------------------------------- what is refused or left out
def test_studies_without_a_scale_moderator_are_left_out_by_name(spreading):
    weeks = spreading.moderators["weeks"].where(lambda w: ~w.isin([1.0, 4.5]))
    dose = pd.Series(np.where(np.arange(20) == 7, np.nan, np.arange(20.0) ** 2))
    with_gaps = spreading.assign(weeks=weeks, dose=dose)
    with pytest.warns(MetailWarning) as caught:
        result = LocationScale("weeks", moderators="center(dose)").fit(with_gaps)
    assert [str(w.message) for w in caught] == [
        "study 8 lacks a moderator and is left out of the fit.",
        "study 3 and study 10 lack a moderator and are left out of the fit.",
    ]
    assert result.k == 17
    studies = result.studies()
    assert studies["state"].tolist()[2] == studies["state"].tolist()[7] == "missing_moderator"
    assert studies["tau2"].isna().sum() == 3
    # centred on the studies that are used
    kept = with_gaps.subset(np.isin(np.arange(20), result.used))
    again = LocationScale("weeks", moderators="center(dose)").fit(kept)
    pd.testing.assert_frame_equal(result.tidy(), again.tidy(), rtol=1e-9)


def test_a_missing_effect_is_left_out_by_name(spreading):
    y = spreading.yi.copy()
    y[4] = np.nan
    gap = m2.EffectSizes.from_arrays(y, spreading.vi, moderators=spreading.moderators)
    with pytest.warns(MetailWarning, match="study 5: left out of the fit"):
        result = LocationScale("weeks").fit(gap)
    assert (result.k, result.studies()["state"].iloc[4]) == (19, "missing")


@pytest.mark.parametrize(
    ("k", "scale", "moderators", "message"),
    [
        (1, "1", None, r"1 study cannot support 1 coefficient \(intercept\)"),
        (2, "weeks", None, r"2 studies cannot support 2 coefficients \(intercept, weeks\)"),
        (3, "weeks", "drug", "3 studies cannot support 2 location and 2 scale coefficients; at least 4 are needed"),
        (2, "1", "drug", r"2 studies cannot support 2 coefficients \(intercept, drug\[T.b\]\)"),
        (20, "one", None, "The columns intercept and one are collinear"),
        (20, "weeks + half", None, "The columns weeks and half are collinear"),
        (20, "length", None, "names 'length', which is no column"),
        (20, "weeks ~ drug", None, "has a left side"),
        (20, "0", None, "leaves no coefficient"),
    ],
)
def test_what_cannot_be_fitted_is_said(spreading, k, scale, moderators, message):
    few = spreading.subset(np.arange(20) < k)
    with pytest.raises(ModelError, match=message):
        LocationScale(scale, moderators=moderators).fit(few)


def test_as_many_coefficients_as_studies_is_the_most():
    columns = {"x": [0, 0, 0, 1], "w": [0, 1, 3, 2]}
    four = m2.EffectSizes.from_arrays([-1.0, 1.2, -3.0, 3.5], [0.1] * 4, moderators=columns)
    glance = LocationScale("x", "identity", moderators="w").fit(four).glance().iloc[0]
    # three studies fit a line with 1 residual df, the fourth deviates from it: a variance each
    line = np.polynomial.Polynomial.fit([0, 1, 3], [-1.0, 1.2, -3.0], 1)
    residual = np.array([-1.0, 1.2, -3.0]) - line(np.array([0, 1, 3]))
    assert glance["tau2_min"] == pytest.approx((residual**2).sum() - 0.1, rel=1e-9)
    assert (glance["k"], glance["p"] + glance["p_scale"]) == (4, 4)


def test_nothing_to_pool(spreading):
    nothing = m2.EffectSizes.from_arrays([np.nan] * 3, [0.1] * 3, moderators={"weeks": [1, 2, 3]})
    with pytest.warns(MetailWarning), pytest.raises(ModelError, match="nothing to pool"):
        LocationScale("weeks").fit(nothing)


def test_dependent_effects_are_refused():
    V = np.eye(4) * 0.1
    V[0, 1] = V[1, 0] = 0.05
    effects = m2.EffectSizes.from_arrays([1.0, 2.0, 3.0, 5.0], V=V)
    with pytest.raises(ModelError, match="study 1 and study 2 share patients"):
        LocationScale("1").fit(effects)


@pytest.mark.parametrize(
    ("choice", "error"),
    [
        ({"link": "logit"}, UnknownChoice), ({"method": "DL"}, UnknownChoice), ({"test": "tt"}, UnknownChoice),
        ({"level": 95}, ModelError),
    ],
)  # fmt: skip
def test_wrong_choices_are_refused(choice, error):
    with pytest.raises(error):
        LocationScale("1", **choice)


def test_predictions_take_the_level_of_the_fit(spreading):
    wide = LocationScale("weeks", level=0.8).fit(spreading)
    assert wide.predict().equals(wide.predict(level=0.8))
    assert (wide.predict()["ci_upper"] < wide.predict(level=0.95)["ci_upper"]).all()
