"""The correlation of before and after: round trips, raw data, the trials whose P values need impossible ones."""

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from metail2.conversions import (
    change_sd,
    correlation_from_change_p,
    correlation_from_change_t,
    correlation_from_sds,
)
from metail2.errors import EffectSizeError

OUTCOMES = Path(__file__).parents[2] / "datasets" / "il2" / "outcomes.csv"


def test_cochrane_handbook_correlation():
    # SDs 6.4 before, 7.1 after and 4.5 of the change: 0.78
    assert round(float(correlation_from_sds(6.4, 7.1, 4.5)), 2) == 0.78


@given(st.floats(1e-3, 1e3), st.floats(0.05, 20), st.floats(-1, 1))
def test_round_trip(pre, ratio, r):
    assert float(correlation_from_sds(pre, ratio * pre, change_sd(pre, ratio * pre, r))) == pytest.approx(r, abs=1e-12)


def test_a_paired_test_of_raw_data():
    random = np.random.default_rng(20190600)
    before = random.normal(50, 10, 23)
    after = 0.6 * before + random.normal(26, 7, 23)
    test = stats.ttest_rel(after, before)
    figures = (before.std(ddof=1), after.std(ddof=1), 23)
    change = after.mean() - before.mean()
    truth = np.corrcoef(before, after)[0, 1]
    assert float(correlation_from_change_t(change, -test.statistic, *figures)) == pytest.approx(truth, rel=1e-10)
    assert float(correlation_from_change_p(change, test.pvalue, *figures)) == pytest.approx(truth, rel=1e-9)


def printed(study):
    """Mean and SD before and after, n and the P value of each outcome of one study, as printed."""
    found = {}
    with OUTCOMES.open(newline="") as file:
        for row in csv.DictReader(file):
            when = {"baseline": "pre", "change": "change"}.get(row["timepoint"], "post")
            if row["study_id"] == study and row["statistic"] in ("mean", "sd", "n", "p_value"):
                found.setdefault(row["outcome"], {})[when, row["statistic"]] = float(row["value"])
    return {outcome: values for outcome, values in found.items() if ("change", "p_value") in values}


def solve(values):
    change = values["post", "mean"] - values["pre", "mean"]
    p, pre, post, n = (values[key] for key in (("change", "p_value"), ("pre", "sd"), ("post", "sd"), ("post", "n")))
    return correlation_from_change_p(change, p, pre, post, n)


@pytest.mark.parametrize(
    ("outcome", "needed"),
    [("treg_count", "-3.597"), ("tender_joints", "-1.04"), ("th17_count", "1.088"), ("th17_treg_ratio", "-5.019")],
)
def test_zhang_2016_prints_p_values_that_no_correlation_gives(outcome, needed):
    with pytest.raises(EffectSizeError, match=rf"needs a correlation of {needed}, outside \[−1, 1\]: the P value is"):
        solve(printed("zhang2016ra")[outcome])


def test_the_refusal_names_every_figure():
    with pytest.raises(EffectSizeError) as error:
        solve(printed("zhang2016ra")["treg_count"])
    assert str(error.value) == (
        "A change of 59.88 with P = 0.001 among 26 people means an SD of the change of 81.96, which with SDs of 14.08 "
        "before and 44.67 after needs a correlation of -3.597, outside [−1, 1]: the P value is rounded or not that of "
        "a paired t test."
    )


def test_the_p_values_that_some_correlation_gives():
    # implausible for the same joint counts and scores five days apart, but not impossible
    assert round(float(solve(printed("zhang2016ra")["das28_esr"])), 2) == -0.13
    assert round(float(solve(printed("zhang2016ra")["swollen_joints"])), 2) == -0.06
    assert round(float(solve(printed("qin_as")["th17_count"])), 2) == 0.40


def test_missing_figures_stay_missing():
    assert np.isnan(correlation_from_sds([np.nan, 1], [1, np.nan], 1)).all()
    assert np.isnan(correlation_from_change_p(1, [0.5, np.nan], 1, 1, [np.nan, 9])).all()


def test_rounding_in_the_last_place_is_no_impossible_correlation():
    for pre, post in ((0.1, 0.3), (0.7, 0.1), (1 / 3, 2 / 3)):
        for change, r in ((pre + post, -1), (abs(pre - post), 1)):
            found = float(correlation_from_sds(pre, post, change * (1 + 4e-16)))
            assert -1 <= found <= 1
            assert found == pytest.approx(r, abs=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: correlation_from_sds([3, 3], [4, 4], [5, 7.5]),
            "The SDs 3 before, 4 after and 7.5 of the change need a correlation of -1.302, outside [−1, 1]: one of "
            "them is wrong, rounded too far or a standard error (index 1).",
        ),
        (
            lambda: correlation_from_change_t(5, 20, 6, 8, 25),
            "A change of 5 with t = 20 among 25 people means an SD of the change of 1.25, which with SDs of 6 before "
            "and 8 after needs a correlation of 1.025, outside [−1, 1]: the t is not that of a paired test of these "
            "figures.",
        ),
        (lambda: correlation_from_sds(0, 4, 5), "The SD before, 0, is not above zero."),
        (lambda: correlation_from_sds(3, -4, 5), "The SD after, -4, is not above zero."),
        (lambda: correlation_from_sds(3, 4, -5), "The SD of the change, -5, is negative."),
        (lambda: correlation_from_change_p(5, 0.03, 6, 8, 1), "The number of people 1 is below 2."),
        (lambda: correlation_from_change_p(5, 1.2, 6, 8, 9), "The P value 1.2 is outside (0, 1]."),
        (
            lambda: correlation_from_change_t(5, 0, 6, 8, 9),
            "A t statistic of 0 leaves the standard error of 5 undetermined.",
        ),
    ],
)
def test_impossible_figures_are_refused(call, message):
    with pytest.raises(EffectSizeError) as error:
        call()
    assert str(error.value) == message
