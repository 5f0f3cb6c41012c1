"""Edges: a right answer or a clear error, never NaN in silence."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import metail2 as m2
from metail2.errors import EffectSizeError, MetailWarning, ModelError, UnknownChoice
from metail2.kernels.coefficient_tests import TESTS
from metail2.kernels.tau2 import TAU2, WEIGHTED


# ------------------------------------------------------------------------------------- few studies
@pytest.mark.parametrize("code", sorted(set(TAU2) - set(WEIGHTED)))
@pytest.mark.parametrize("test", [test for test in TESTS if test != "kenward_roger"])
def test_one_study_shows_its_own_interval(code, test):
    result = m2.pool([0.5], [0.04], tau2=code, test=test)
    assert (result.estimate, result.se) == (0.5, pytest.approx(0.2))
    assert (result.ci_lower, result.ci_upper) == pytest.approx((0.5 - 1.959963984540054 * 0.2, 0.5 + 0.391992796908))
    glance = result.glance().iloc[0]
    assert (glance["k"], glance["status"], glance["test"]) == (1, "one_study", "z")
    assert "nothing is pooled" in glance["status_reason"]
    assert np.isnan([result.tau2, result.i2, result.i2_q, result.q]).all()
    assert "not pooled" in result.summary()
    assert result.studies()["weight"].tolist() == [100]
    with pytest.raises(ModelError, match="One study says nothing about heterogeneity"):
        result.tau2_interval()
    reason = "a common-effect model" if code == "CE" else "at least 3 studies, and there is 1"
    with pytest.warns(MetailWarning, match=reason):
        assert np.isnan(result.prediction_interval()).all()


def test_two_studies_show_the_normal_interval_beside():
    result = m2.pool([0.1, 0.9], [0.04, 0.09])
    # by hand: the estimate solves both weights at the REML τ² = max(0, s² − mean v)
    tau2 = 0.32 - 0.065
    w = 1 / (np.array([0.04, 0.09]) + tau2)
    assert result.tau2 == pytest.approx(tau2, rel=1e-3)
    assert result.estimate == pytest.approx(np.average([0.1, 0.9], weights=w), rel=1e-3)
    companions = result.companions()
    assert companions["test"].tolist() == ["z"]
    assert "1 degree of freedom" in companions["reason"].iloc[0]
    z = m2.pool([0.1, 0.9], [0.04, 0.09], test="z")
    assert companions[["ci_lower", "ci_upper"]].iloc[0].tolist() == pytest.approx([z.ci_lower, z.ci_upper])
    assert companions["p_value"].iloc[0] == pytest.approx(z.p_value)
    glance = result.glance().iloc[0]
    assert math.isnan(glance["pi_lower"])
    assert "at least 3 studies, and there are 2" in glance["status_reason"]
    assert "beside it, normal (z)" in result.summary()
    lower, upper = result.prediction_interval(method="t_k1")  # an explicit method is computed where it is defined
    assert lower < result.estimate < upper


def test_three_studies_have_a_prediction_interval():
    glance = m2.pool([0.1, 0.9, 0.3], [0.04, 0.09, 0.1]).glance().iloc[0]
    assert glance["pi_method"] == "hk"
    assert glance["pi_lower"] < glance["pi_upper"]


# ------------------------------------------------------------------------------------- agreement
@pytest.mark.parametrize("code", sorted(set(TAU2) - set(WEIGHTED)))
@pytest.mark.parametrize("value", [0.0, 0.1, -1 / 3])
def test_all_effects_equal(code, value):
    yi, vi = [value] * 4, [0.1, 0.2, 0.3, 0.4]
    result = m2.pool(yi, vi, tau2=code)
    assert (result.estimate, result.se, result.tau2, result.q) == (value, 0, 0, 0)
    assert (result.ci_lower, result.ci_upper) == (value, value)
    glance = result.glance().iloc[0]
    assert glance["status"] == "zero_se"
    assert "says nothing" in glance["status_reason"]
    assert result.p_value == 0 or value == 0
    shown = result.companions().set_index("test")
    assert shown.loc["z", "ci_upper"] - value == pytest.approx(1.959963984540054 * math.sqrt(0.048))
    assert shown.loc["knapp_hartung_adhoc", "ci_upper"] - value == pytest.approx(
        stats.t.isf(0.025, 3) * math.sqrt(0.048)
    )
    z = m2.pool(yi, vi, tau2=code, test="z").glance().iloc[0]
    assert (z["status"], z["q_p"], z["i2_q"]) == ("ok", 1, 0)


def test_effects_exactly_on_a_line():
    effects = m2.EffectSizes.from_arrays(
        [0.1, 0.2, 0.3, 0.4, 0.7], [0.1, 0.2, 0.3, 0.1, 0.2], moderators={"x": [1, 2, 3, 4, 7]}
    )
    result = m2.pool(effects, moderators="x")
    tidy, glance = result.tidy(), result.glance().iloc[0]
    assert tidy["estimate"].tolist() == pytest.approx([0, 0.1])
    assert tidy["se"].tolist() == [0, 0]
    assert math.isnan(tidy["p_value"].iloc[0])
    assert glance["status"] == "zero_se"
    assert math.isnan(glance["qm"])
    assert "zero_se" not in result.summary()


def test_no_heterogeneity_shows_both_other_intervals():
    result = m2.pool([0.20, 0.25, 0.15, 0.22, 0.31], [0.1, 0.2, 0.3, 0.1, 0.4])
    assert result.tau2 == 0
    assert result.companions()["test"].tolist() == ["z", "knapp_hartung_adhoc"]
    z, adhoc = (m2.pool(result.effects, test=test) for test in ("z", "knapp_hartung_adhoc"))
    shown = result.companions()[["ci_lower", "ci_upper"]].to_numpy()
    np.testing.assert_allclose(shown, [[z.ci_lower, z.ci_upper], [adhoc.ci_lower, adhoc.ci_upper]])
    assert (z.companions().empty, adhoc.companions().empty) == (True, True)


# ------------------------------------------------------------------------------------- precision
@pytest.mark.parametrize("code", sorted(set(TAU2) - set(WEIGHTED)))
@pytest.mark.parametrize("ratio", [1e-8, 1e4])
def test_one_variance_far_from_the_others(code, ratio):
    yi, vi = np.array([0.3, -0.4, 0.9, 0.1, 0.5]), np.array([0.1, 0.2, 0.15 * ratio, 0.1, 0.2])
    for test in TESTS if code == "REML" else set(TESTS) - {"kenward_roger"}:
        result = m2.pool(yi, vi, tau2=code, test=test)
        glance = result.glance().iloc[0]
        assert np.isfinite([result.estimate, result.se, result.q, glance["log_likelihood"], glance["i2_q"]]).all()
        if code != "CE":
            assert np.isfinite([glance["tau2"], glance["tau2_se"], glance["i2"], glance["h2"]]).all()
    if ratio > 1:  # a study without information changes nothing
        rest = m2.pool(yi[[0, 1, 3, 4]], vi[[0, 1, 3, 4]], tau2="CE", test="z")
        assert m2.pool(yi, vi, tau2="CE", test="z").estimate == pytest.approx(rest.estimate, abs=1e-4)
    else:  # a study that knows everything decides
        assert m2.pool(yi, vi, tau2="CE", test="z").estimate == pytest.approx(0.9, abs=1e-6)


# ------------------------------------------------------------------------------------- missing and impossible values
def test_missing_values_are_left_out_by_name():
    with pytest.warns(MetailWarning) as caught:
        result = m2.pool(
            m2.EffectSizes.from_arrays([0.1, np.nan, 0.3, 0.6], [0.1, 0.2, None, 0.1], ["Ann", "Ben", "Cal", "Dee"])
        )
    assert [str(w.message) for w in caught] == [
        "Ben and Cal: left out of the fit, because the effect or its variance is missing."
    ]
    assert result.k == 2
    table = result.studies()
    assert table["study"].tolist() == ["Ann", "Ben", "Cal", "Dee"]
    assert table["state"].tolist() == ["used", "missing", "variance_undefined", "used"]
    assert np.isnan(table["weight"]).tolist() == [False, True, True, False]
    assert result.estimate == m2.pool([0.1, 0.6], [0.1, 0.1]).estimate


@pytest.mark.parametrize(
    ("yi", "vi", "message"),
    [
        ([0.1, 0.2], [0.1, 0.0],
         "study 2: vi is 0; a sampling variance must be above 0 and finite (NaN marks a missing one)."),
        ([0.1, 0.2], [-0.5, 0.1],
         "study 1: vi is -0.5; a sampling variance must be above 0 and finite (NaN marks a missing one)."),
        ([0.1, 0.2], [0.1, math.inf],
         "study 2: vi is inf; a sampling variance must be above 0 and finite (NaN marks a missing one)."),
        ([0.1, -math.inf], [0.1, 0.1], "study 2: yi is -inf; an effect must be finite (NaN marks a missing one)."),
        ([0.1, 0.2], [0.1], "yi has 2 entries but vi has 1; give one for each study."),
        ([0.1, "0,2"], [0.1, 0.1], "yi must hold numbers, but '0,2' is not one."),
        ([[0.1, 0.2]], [0.1, 0.1], "yi must be one-dimensional, but its shape is (1, 2)."),
        ([0.1, 0.2], None, "Sampling variances are missing: give vi (one variance an effect) or V."),
    ],
)  # fmt: skip
def test_impossible_values_are_refused(yi, vi, message):
    with pytest.raises(EffectSizeError) as caught:
        m2.pool(yi, vi)
    assert str(caught.value) == message


@pytest.mark.parametrize("moderators", [None, "x"])
def test_nothing_left_to_pool(moderators):
    effects = m2.EffectSizes.from_arrays([np.nan, 0.2], [0.1, np.nan], moderators={"x": [1, 2]})
    with (
        pytest.warns(MetailWarning, match="study 1 and study 2: left out"),
        pytest.raises(ModelError, match="No effect has both a value and a variance, so there is nothing to pool"),
    ):
        m2.pool(effects, moderators=moderators)


def test_no_effects_at_all():
    with pytest.raises(ModelError, match="nothing to pool"):
        m2.pool([], [])


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"tau2": "remel"}, "Unknown τ² estimator 'remel'. Did you mean 'REML'?"),
        ({"test": "knha"}, "Unknown test 'knha'."),
        ({"tau2": None}, "Unknown τ² estimator None."),
    ],
)
def test_unknown_choices(choice, message):
    with pytest.raises(UnknownChoice) as caught:
        m2.pool([0.1, 0.2], [0.1, 0.1], **choice)
    assert str(caught.value).startswith(message)
    assert "Choose from: " in str(caught.value)


@pytest.mark.parametrize("level", [0, 1, 95, -0.5, math.nan])
def test_a_level_is_between_0_and_1(level):
    with pytest.raises(ModelError, match=r"give a number between 0 and 1, e.g. 0.95"):
        m2.pool([0.1, 0.2], [0.1, 0.1], level=level)


def test_effect_sizes_carry_their_variances(bcg):
    with pytest.raises(ModelError, match="EffectSizes carry their variances; leave vi out"):
        m2.pool(bcg, bcg.vi)


# ------------------------------------------------------------------------------------- designs that cannot be fitted
def with_moderators(k=4, **columns):
    rng = np.random.default_rng(1)
    return m2.EffectSizes.from_arrays(rng.normal(size=k), np.full(k, 0.1), moderators=columns)


@pytest.mark.parametrize(
    ("effects", "formula", "message"),
    [
        (with_moderators(3, a=[1, 2, 3], b=[1, 4, 2]), "a + b",
         "3 studies cannot support 3 coefficients (intercept, a, b); at least 4 are needed, so use fewer moderators."),
        (with_moderators(1, a=[1]), "a",
         "1 study cannot support 2 coefficients (intercept, a); at least 3 are needed, so use fewer moderators."),
        (with_moderators(4, a=[1, 2, 3, 4], b=[2, 4, 6, 8]), "a + b",
         "The columns a and b are collinear (or constant over the studies), so their coefficients cannot be told "
         "apart; leave one out."),
        (with_moderators(4, a=[7, 7, 7, 7]), "a",
         "The columns intercept and a are collinear (or constant over the studies), so their coefficients cannot be "
         "told apart; leave one out."),
        (with_moderators(4, a=[0, 0, 0, 0]), "a",
         "The moderator 'a' is 0 in every study, so it has no coefficient."),
    ],
)  # fmt: skip
def test_designs_that_cannot_be_fitted(effects, formula, message):
    with pytest.raises(ModelError) as caught:
        m2.pool(effects, moderators=formula)
    assert str(caught.value) == message


def test_columns_of_very_different_size_are_not_collinear():
    effects = with_moderators(6, a=[1e9, 2e9, 1.5e9, 4e9, 3e9, 2.2e9], b=[1e-9, 5e-9, 2e-9, 4e-9, 4.5e-9, 3e-9])
    result = m2.pool(effects, moderators="a + b")
    scaled = m2.pool(with_moderators(6, a=[1, 2, 1.5, 4, 3, 2.2], b=[1, 5, 2, 4, 4.5, 3]), moderators="a + b")
    np.testing.assert_allclose(
        result.tidy()["estimate"], scaled.tidy()["estimate"] * np.array([1, 1e-9, 1e9]), rtol=1e-9
    )


def test_repeated_labels_are_kept_and_mentioned():
    effects = m2.EffectSizes.from_arrays([0.1, 0.4, 0.2], [0.1, 0.2, 0.1], ["Ann", "Ann", "Ben"])
    with pytest.warns(MetailWarning, match="More than one effect is labelled Ann; they are pooled as independent"):
        result = m2.pool(effects)
    assert result.studies()["study"].tolist() == ["Ann", "Ann", "Ben"]
    assert result.estimate == m2.pool([0.1, 0.4, 0.2], [0.1, 0.2, 0.1]).estimate


# ------------------------------------------------------------------------------------- effects that share patients
def test_dependent_effects_are_refused_by_name():
    covariance = np.diag([0.1, 0.2, 0.1])
    covariance[0, 2] = covariance[2, 0] = 0.05
    effects = m2.EffectSizes.from_arrays([0.1, 0.2, 0.3], V=covariance, study=["Ann, 3 mg", "Ben", "Ann, 6 mg"])
    with pytest.raises(ModelError) as caught:
        m2.pool(effects)
    assert str(caught.value) == (
        '"Ann, 3 mg" and "Ann, 6 mg" share patients (their sampling covariance is not 0), so they cannot be pooled as '
        "independent effects; combine their arms, or keep one of them."
    )


def test_a_diagonal_covariance_is_pooled():
    effects = m2.EffectSizes.from_arrays([0.1, 0.2, 0.6], V=np.diag([0.1, 0.2, 0.1]))
    assert m2.pool(effects).estimate == m2.pool([0.1, 0.2, 0.6], [0.1, 0.2, 0.1]).estimate


def test_pandas_columns_are_arrays():
    frame = pd.DataFrame({"yi": [0.1, 0.5, 0.2], "vi": [0.1, 0.2, 0.1]}, index=[7, 3, 5])
    assert m2.pool(frame["yi"], frame["vi"]).estimate == m2.pool([0.1, 0.5, 0.2], [0.1, 0.2, 0.1]).estimate


def test_a_formula_without_intercept_has_no_pooled_effect():
    effects = with_moderators(5, x=[1.0, 2, 3, 5, 4])
    result = m2.pool(effects, moderators="0 + x")
    assert result.terms == ("x",)
    for name in ("estimate", "se", "ci_lower", "ci_upper", "p_value"):
        with pytest.raises(ModelError, match=rf"A regression on x has no single pooled effect; read {name} from tidy"):
            getattr(result, name)
    with pytest.raises(ModelError, match="no single pooled effect"):
        result.prediction_interval(method="hk")
    assert "coefficients on the scale of the effect" in result.summary()
    assert math.isnan(result.glance()["r2"].iloc[0])
