"""SDs and standard errors: reference figures, published worked examples, round trips, refusals."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from metail2.conversions import (
    change_sd,
    ratio_from_interval,
    sd_from_interval,
    sd_from_se,
    se_from_f,
    se_from_interval,
    se_from_p,
    se_from_t,
)
from metail2.errors import EffectSizeError, UnknownChoice

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "conversions.json").read_text())


def test_ratio_with_interval_reference():
    case = REFERENCE["wald_interval"]
    yi, vi = ratio_from_interval(case["inputs"]["out"], case["inputs"]["lo"], case["inputs"]["hi"])
    np.testing.assert_allclose(yi, case["yi"], rtol=1e-10)
    np.testing.assert_allclose(vi, case["vi"], rtol=1e-10)


def test_p_value_reference():
    case = REFERENCE["wald_p"]
    se = se_from_p(case["inputs"]["out"], case["inputs"]["pval"])
    np.testing.assert_allclose(se**2, case["vi_z"], rtol=1e-10)


def test_altman_and_bland_2011_difference():
    # 49 % v 32 %, P = 0.032: 95 % CI 1.4 to 32.6 percentage points
    se = se_from_p(17, 0.032)
    # the article approximates z by a formula (2.141; exact 2.144)
    assert [float(17 + sign * 1.96 * se) for sign in (-1, 1)] == pytest.approx([1.4, 32.6], abs=0.1)


def test_cochrane_handbook_difference_with_p_value():
    # MD 3.8, P = 0.008, 25 and 22 people: t = 2.78 with 45 df, SE = 1.37
    se = se_from_p(3.8, 0.008, df=45)
    assert round(float(3.8 / se), 2) == 2.78
    assert round(float(se), 2) == 1.37
    assert float(se_from_t(3.8, -2.78)) == pytest.approx(1.37, abs=0.005)


def test_cochrane_handbook_divisor_of_a_t_interval():
    # 25 people: the interval is 2 × 2.0639 = 4.128 standard errors wide
    assert float(1 / se_from_interval(0, 1, df=24)) == pytest.approx(4.128, abs=5e-4)
    assert float(sd_from_interval(0, 1, 25)) == pytest.approx(5 / 4.128, rel=2e-4)


def test_cochrane_handbook_change_from_baseline():
    # SDs 6.4 before and 7.1 after, change 4.5: correlation 0.78
    assert round(float(change_sd(6.4, 7.1, 0.78)), 1) == 4.5


def test_cochrane_handbook_cross_over():
    # SDs 2.38 and 2.21, correlation 0.68, 10 people: SE of the mean difference 0.583
    assert round(float(change_sd(2.38, 2.21, 0.68) / np.sqrt(10)), 3) == 0.583


def test_castela_standard_error_of_change():
    se = change_sd(15.6811406341724, 30.514652044876, [0.3, 0.5, 0.7, 0.9]) / np.sqrt(5)
    assert se.round(1).tolist() == [13.3, 11.8, 10.1, 7.9]
    # the t interval with 4 df at r = 0.9: −37.5 to 6.6
    half = stdtrit(4, 0.975) * se[3]
    assert [round(float(-15.4512 + sign * half), 1) for sign in (-1, 1)] == [-37.5, 6.6]


def test_f_is_the_square_of_t():
    np.testing.assert_allclose(se_from_f([3.8, -3.8], 2.78**2), se_from_t([3.8, -3.8], 2.78), rtol=1e-15)


sizes = st.floats(1e-3, 1e3)


@given(st.floats(-1e3, 1e3), sizes, st.floats(0.5, 0.999), st.floats(1, 1e6))
def test_interval_round_trip(estimate, se, level, df):
    for quantile, freedom in ((ndtri((1 + level) / 2), None), (stdtrit(df, (1 + level) / 2), df)):
        lower, upper = estimate - quantile * se, estimate + quantile * se
        back = se_from_interval(lower, upper, estimate=estimate, level=level, df=freedom)
        # the limits lose what the estimate's size takes from their digits
        assert float(back) == pytest.approx(se, rel=1e-9 + 1e-15 * abs(estimate) / se)


@given(st.floats(0.01, 100), st.floats(0.01, 2), st.floats(0.5, 0.999))
def test_ratio_round_trip(ratio, se, level):
    quantile = ndtri((1 + level) / 2)
    yi, vi = ratio_from_interval(ratio, ratio * np.exp(-quantile * se), ratio * np.exp(quantile * se), level)
    assert float(yi) == pytest.approx(np.log(ratio), abs=1e-15)
    assert float(np.sqrt(vi)) == pytest.approx(se, rel=1e-10)


@given(st.sampled_from([-1, 1]), sizes, st.floats(0.05, 30))
def test_p_value_round_trip_far_into_the_tail(sign, se, z):
    assert float(se_from_p(sign * z * se, 2 * ndtr(-z))) == pytest.approx(se, rel=1e-9)
    assert float(se_from_p(sign * z * se, 2 * stdtr(7.0, -z), df=7)) == pytest.approx(se, rel=1e-9)


@given(sizes, st.integers(2, 10**6))
def test_sd_and_its_interval_agree(sd, n):
    half = stdtrit(n - 1, 0.975) * sd / np.sqrt(n)
    assert float(sd_from_interval(-half, half, n, mean=0)) == pytest.approx(sd, rel=1e-10)
    assert float(sd_from_se(sd / np.sqrt(n), n)) == pytest.approx(sd, rel=1e-14)


def test_normal_quantile_and_log_scale_of_an_arm():
    se = 0.4 / np.sqrt(12)
    limits = np.exp(1.5 + ndtri(0.975) * se * np.array([-1, 1]))
    sd = sd_from_interval(*limits, 12, quantile="normal", scale="log", mean=np.exp(1.5))
    assert float(sd) == pytest.approx(0.4, rel=1e-12)


@given(sizes, sizes, st.floats(-1, 1))
def test_change_sd_lies_between_difference_and_sum(pre, post, r):
    sd = float(change_sd(pre, post, r))
    assert abs(pre - post) * (1 - 1e-14) <= sd <= (pre + post) * (1 + 1e-14)


def test_change_sd_keeps_its_digits_near_a_correlation_of_one():
    # exact: (1 − r)·2·s² with 1 − r = 2⁻⁵⁰, s = 3
    assert float(change_sd(3, 3, 1 - 2.0**-50)) == pytest.approx(np.sqrt(18 * 2.0**-50), rel=1e-15)


def test_missing_figures_stay_missing():
    assert np.isnan(se_from_interval([np.nan, 1], [2, np.nan])).all()
    assert np.isnan(se_from_p([np.nan, 1], [0.5, np.nan])).all()
    assert np.isnan(sd_from_interval(0, 1, [np.nan])).all()
    assert np.isnan(change_sd(1, [np.nan], 0.5)).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sd_from_se([0.2, -0.1], 9), "The standard error -0.1 is negative (index 1)."),
        (lambda: sd_from_se(0.2, 0), "The number of people 0 is not a count of at least 1."),
        (lambda: change_sd(-1, 2, 0.5), "The SD before, -1, is negative."),
        (lambda: change_sd(1, [2, 3, -2], 0.5), "The SD after, -2, is negative (index 2)."),
        (lambda: change_sd(1, 2, [0.5, 1.04]), "The correlation 1.04 is outside [−1, 1] (index 1)."),
        (lambda: se_from_interval(3, 1), "The limits 3 to 1 are reversed."),
        (lambda: se_from_interval(-np.inf, 1), "The limits -inf to 1 are not finite."),
        (
            lambda: se_from_interval([1, 1], [3, 3], estimate=[2, 3.5]),
            "The estimate 3.5 is outside its interval 1 to 3 (index 1).",
        ),
        (lambda: se_from_interval(1, 3, level=95), "The confidence level 95 is not between 0 and 1."),
        (lambda: se_from_interval(1, 3, df=0), "The degrees of freedom 0 are not above zero."),
        (lambda: ratio_from_interval(0.5, 0, 3), "The lower limit 0 of a ratio is not above zero."),
        (lambda: ratio_from_interval(0.5, 0.97, 3.48), "The estimate 0.5 is outside its interval 0.97 to 3.48."),
        (lambda: sd_from_interval(0, 1, 1), "The number of people 1 is below 2."),
        (lambda: se_from_p(0.6, [0.03, 0]), "The P value 0 is outside (0, 1] (index 1)."),
        (lambda: se_from_p(0.6, 1.2), "The P value 1.2 is outside (0, 1]."),
        (lambda: se_from_p(0.6, 1), "A P value of 1 leaves the standard error of 0.6 undetermined."),
        (lambda: se_from_p(0, 0.4), "An estimate of 0 with P = 0.4 leaves the standard error undetermined."),
        (lambda: se_from_t(0.6, 0), "A t statistic of 0 leaves the standard error of 0.6 undetermined."),
        (lambda: se_from_t(0, 2), "An estimate of 0 with t = 2 leaves the standard error undetermined."),
        (lambda: se_from_f(0.6, -1), "The F statistic -1 is negative."),
        (lambda: se_from_f(0.6, 0), "An F statistic of 0 leaves the standard error of 0.6 undetermined."),
    ],
)
def test_impossible_figures_are_refused(call, message):
    with pytest.raises(EffectSizeError) as error:
        call()
    assert str(error.value) == message


def test_unknown_choices():
    with pytest.raises(UnknownChoice, match=r"Unknown scale 'logs'\. Did you mean 'log'\?"):
        se_from_interval(1, 3, scale="logs")
    with pytest.raises(UnknownChoice, match="Unknown quantile 'z'"):
        sd_from_interval(1, 3, 12, quantile="z")
