"""harmonise() on small trials made by hand: every way from printed figures to an effect, and every refusal."""

import math
import re

import numpy as np
import pytest
from scipy import stats

import metail2 as m2
from metail2.effects.effect_sizes import TRAIL_COLUMNS
from metail2.errors import EffectSizeError, ModelError, RecordError, UnknownChoice


def exactly(message):
    return f"^{re.escape(message)}$"


def arm(study, name, role, when="week12", outcome="o", more="", **figures):
    """Lines of one arm: arm("A", "x", "control", events=3, n=9)."""
    return [
        f"{study} {outcome} {name} {role} {when} {statistic} {printed} {more}" for statistic, printed in figures.items()
    ]


def counts(study, x, n1, y, n2, **options):
    return arm(study, "x", "experimental", events=x, n=n1, **options) + arm(
        study, "p", "control", events=y, n=n2, **options
    )


def means(study, mean, sd, n, control=("1", "2", "9"), **options):
    """A two-arm trial of means and SDs."""
    return arm(study, "x", "experimental", mean=mean, sd=sd, n=n, **options) + arm(
        study, "p", "control", **dict(zip(("mean", "sd", "n"), control, strict=True)), **options
    )


def change(study, pre, post, name="x", role="experimental", **options):
    """One group before and after, each (mean, SD, n)."""
    labels = ("mean", "sd", "n")
    return arm(study, name, role, when="baseline", **dict(zip(labels, pre, strict=True)), **options) + arm(
        study, name, role, **dict(zip(labels, post, strict=True)), **options
    )


def last(effects, quantity):
    return effects.trail[effects.trail["quantity"] == quantity].iloc[-1]


def inputs(effects):
    return {name: values.tolist() for name, values in effects.inputs.items()}


# ---------------------------------------------------------------- counts


def test_printed_events(made):
    effects = m2.harmonise(made(counts("A", 7, 20, 3, 22)), "o", "RR")
    assert inputs(effects) == {"events1": [7], "n1": [20], "events2": [3], "n2": [22]}
    assert effects.yi == pytest.approx(math.log(7 / 20 / (3 / 22)), rel=1e-12)
    assert effects.vi == pytest.approx(1 / 7 - 1 / 20 + 1 / 3 - 1 / 22, rel=1e-12)
    assert effects.trail["basis"].tolist() == ["printed"] * 4 + ["derived"] * 2
    assert effects.trail["records"].tolist() == ["R2", "R1", "R4", "R3", "", ""]
    assert effects.trail["quotes"].tolist()[0] == "words of R2"


def test_a_percentage_of_a_printed_n(made):
    lines = arm("A", "x", "experimental", percent="35.0", n=20) + arm("A", "p", "control", percent="14", n=22)
    effects = m2.harmonise(made(lines), "o", "OR")
    assert inputs(effects) == {"events1": [7], "n1": [20], "events2": [3], "n2": [22]}
    assert effects.yi == pytest.approx(math.log(7 / 13 / (3 / 19)), rel=1e-12)
    step = last(effects, "events2")
    assert (step["basis"], step["conversion"]) == ("derived", "events from percentage")
    assert step["formula"] == "the only count of 22 that prints as 14 % (rounding)"


def test_events_win_over_a_percentage(made):
    lines = arm("A", "x", "experimental", percent="99", events=7, n=20) + arm("A", "p", "control", events=3, n=22)
    assert inputs(m2.harmonise(made(lines), "o", "RR"))["events1"] == [7]


def test_the_only_split_of_a_total(made):
    lines = (
        arm("A", "x", "experimental", percent="83.3") + arm("A", "p", "control", percent="51.7")
        + arm("A", "all", "both", n=53)
    )  # fmt: skip
    effects = m2.harmonise(made(lines), "o", "RD")
    assert inputs(effects) == {"events1": [20], "n1": [24], "events2": [15], "n2": [29]}
    assert effects.yi == pytest.approx(20 / 24 - 15 / 29, rel=1e-12)
    assert last(effects, "n1")["records"] == "R1; R2; R3"


def allocated(ratio="1:1", total=100):
    lines = arm("A", "x", "experimental", percent="68") + arm("A", "p", "control", percent="58")
    return lines + arm("A", "all", "both", n=total), {"A": {"allocation": ratio}}


def test_allocation_shares_the_total_and_says_that_it_is_assumed(made):
    lines, studies = allocated()
    effects = m2.harmonise(made(lines, studies), "o", "RR", arm_sizes="allocation")
    assert inputs(effects) == {"events1": [34], "n1": [50], "events2": [29], "n2": [50]}
    step = last(effects, "n1")
    assert (step["basis"], step["conversion"], step["records"]) == ("assumed", "share of 100 randomised", "R3")
    assert step["assumption"] == "1:1 allocation gave arms of equal size"


def test_allocation_of_the_number_randomised_at_enrolment(made):
    lines, studies = allocated()
    lines[-1] = "A randomised both both enrolment n 100"
    effects = m2.harmonise(made(lines, studies), "o", "RR", arm_sizes="allocation")
    assert inputs(effects)["n1"] == [50]


@pytest.mark.parametrize("arms", ["separate", "combine"])
def test_allocation_counts_all_arms_however_they_are_used(made, arms):
    lines = (
        arm("A", "x", "experimental", percent="50") + arm("A", "y", "experimental", percent="30")
        + arm("A", "p", "control", percent="20") + arm("A", "all", "both", n=30)
    )  # fmt: skip
    effects = m2.harmonise(made(lines, {"A": {"allocation": "1:1:1"}}), "o", "RR", arm_sizes="allocation", arms=arms)
    assert inputs(effects)["n1"] == ([20] if arms == "combine" else [10, 10])
    assert inputs(effects)["events1"] == ([8] if arms == "combine" else [5, 3])
    assert set(inputs(effects)["n2"]) == {10}


def test_allocation_gives_one_arm_its_share_only(made):
    lines = arm("A", "x", "experimental", percent="50") + arm("A", "all", "both", n=20)
    studies = {"A": {"allocation": "1:1"}}
    assert inputs(m2.harmonise(made(lines, studies), "o", "PR", arm_sizes="allocation")) == {"events": [5], "n": [10]}


def randomised(n1=23, n2=24):
    enrolled = [f"A randomised x experimental enrolment n {n1}", f"A randomised p control enrolment n {n2}"]
    return counts("A", 12, 17, 10, 23) + enrolled


def test_the_randomised_without_an_outcome_did_not_respond(made):
    effects = m2.harmonise(made(randomised()), "o", "RR", arm_sizes="randomised")
    assert inputs(effects) == {"events1": [12], "n1": [23], "events2": [10], "n2": [24]}
    assert last(effects, "n1")["assumption"] == "the 6 randomised patients without an outcome did not respond"
    assert last(effects, "n2")["assumption"] == "the 1 randomised patient without an outcome did not respond"


def test_nothing_is_assumed_where_all_randomised_were_analysed(made):
    effects = m2.harmonise(made(randomised(17, 23)), "o", "RR", arm_sizes={"A": "randomised"})
    assert "assumed" not in set(effects.trail["basis"])
    assert (effects.trail["assumption"] == "").all()


def test_the_number_of_another_outcome_of_the_arm(made):
    lines = arm("A", "x", "experimental", percent="15.4") + arm(
        "A", "x", "experimental", outcome="other", events=3, n=26
    )
    effects = m2.harmonise(made(lines), "o", "PR")
    assert inputs(effects) == {"events": [4], "n": [26]}
    step = last(effects, "n")
    assert (step["records"], step["quotes"]) == ("R3", "words of R3")
    assert (step["conversion"], step["basis"], step["assumption"]) == (
        "number printed for other", "assumed", "as many patients were measured here",
    )  # fmt: skip


def test_numbers_of_other_outcomes_that_disagree_are_no_number(made):
    lines = arm("A", "x", "experimental", percent="15.4")
    for outcome, n in (("other", 26), ("third", 25)):
        lines += arm("A", "x", "experimental", outcome=outcome, events=3, n=n)
    with pytest.raises(RecordError, match="the number of patients is not printed"):
        m2.harmonise(made(lines), "o", "PR")


def test_one_convention_prints_both_arms(made):
    """36 % of 45 is 16 only by rounding and 15 % of 45 is 7 only by truncation."""
    lines = arm("A", "x", "experimental", percent="36", n=45) + arm("A", "p", "control", percent="15", n=45)
    with pytest.raises(RecordError, match="fit one arm only by rounding and another only by truncation"):
        m2.harmonise(made(lines), "o", "RR")


def test_notes_of_the_records_are_in_the_trail(made):
    lines = counts("A", 7, 20, 3, 22, more="note=read_as_three")
    trail = m2.harmonise(made(lines), "o", "RR").trail
    assert trail[trail["records"] != ""]["notes"].tolist() == ["read_as_three"] * 4


def test_a_log_ratio_of_a_mean_near_zero_is_marked_as_doubtful(made):
    effects = m2.harmonise(made(change("A", ("9", "2", "16"), ("3", "5", "16"))), "o", "ROMC", r=0.5)
    step = last(effects, "yi")
    assert step["basis"] == "assumed"
    assert step["assumption"] == "the log of mean_post is close to normal, although mean·√n/SD is below 3"
    assert last(m2.harmonise(made(change("A", ("9", "2", "16"), ("4", "5", "16"))), "o", "ROMC", r=0.5), "yi")[
        "assumption"
    ] == ""  # fmt: skip


def test_a_proportion_of_either_arm(made):
    records = made(counts("A", 7, 20, 3, 22))
    assert m2.harmonise(records, "o", "PR").yi.tolist() == [7 / 20]
    assert m2.harmonise(records, "o", "PR", role="control").yi.tolist() == [3 / 22]


# ---------------------------------------------------------------- several arms


@pytest.fixture
def three_arms(made):
    x = "dose_low={} dose_unit=mg"
    return made(
        arm("A", "x", "experimental", events=4, n=20, more=x.format(1))
        + arm("A", "y", "experimental", events=9, n=25, more=x.format(2.5))
        + arm("A", "p", "control", events=3, n=22)
    )


def test_arms_of_counts_combined(three_arms):
    effects = m2.harmonise(three_arms, "o", "RR")
    assert inputs(effects) == {"events1": [13], "n1": [45], "events2": [3], "n2": [22]}
    assert effects.V is None
    assert effects.moderators["dose"].tolist() == ["1 mg, 2.5 mg"]
    assert effects.moderators["arm"].tolist() == ["x, y"]


@pytest.mark.parametrize(
    ("measure", "shared"),
    [("RR", 1 / 3 - 1 / 22), ("OR", 1 / 3 + 1 / 19), ("RD", 3 / 22 * 19 / 22 / 22)],
)
def test_arms_of_counts_apart_share_their_control(three_arms, measure, shared):
    effects = m2.harmonise(three_arms, "o", measure, arms="separate")
    assert list(effects.study) == ["Trial A, 1 mg", "Trial A, 2.5 mg"]
    assert inputs(effects)["events1"] == [4, 9]
    np.testing.assert_allclose(effects.V, [[effects.vi[0], shared], [shared, effects.vi[1]]], rtol=1e-12)
    assert list(dict.fromkeys(effects.trail["study"])) == list(effects.study)
    with pytest.raises(ModelError, match=r'"Trial A, 1 mg" and "Trial A, 2\.5 mg" share patients'):
        m2.pool(effects)


def test_arms_of_means_combined_and_apart(made):
    records = made(
        arm("A", "x", "experimental", mean=3, sd=1, n=10) + arm("A", "y", "experimental", mean=6, sd=2, n=5)
        + arm("A", "p", "control", mean=2, sd="1.5", n=9)
    )  # fmt: skip
    both = m2.harmonise(records, "o", "MD")
    people = 15
    mean = (30 + 30) / people
    sd = math.sqrt((9 * 1 + 4 * 4 + 10 * (3 - mean) ** 2 + 5 * (6 - mean) ** 2) / (people - 1))
    assert [both.inputs[name][0] for name in ("mean1", "sd1", "n1")] == pytest.approx([mean, sd, people], rel=1e-12)
    assert last(both, "sd1")["citation"].startswith("Higgins")
    for measure, shared in (("MD", 1.5**2 / 9), ("ROM", 1.5**2 / (9 * 2**2))):
        apart = m2.harmonise(records, "o", measure, arms="separate")
        assert list(apart.study) == ["Trial A, x", "Trial A, y"]
        np.testing.assert_allclose(apart.V[0, 1], shared, rtol=1e-12)


def test_one_dose_twice_is_told_by_the_names_of_the_arms(made):
    one = "dose_low=1 dose_unit=mg"
    lines = (
        arm("A", "daily", "experimental", events=4, n=20, more=one)
        + arm("A", "weekly", "experimental", events=5, n=20, more=one)
        + arm("A", "p", "control", events=3, n=22)
    )
    assert list(m2.harmonise(made(lines), "o", "RR", arms="separate").study) == ["Trial A, daily", "Trial A, weekly"]


def test_one_arm_apart_is_as_combined(made):
    effects = m2.harmonise(made(counts("A", 7, 20, 3, 22)), "o", "RR", arms="separate")
    assert list(effects.study) == ["Trial A"]
    assert effects.V is None


@pytest.mark.parametrize(
    ("lines", "measure", "why"),
    [
        (
            arm("A", "x", "experimental", events=0, n=20) + arm("A", "y", "experimental", events=5, n=20)
            + arm("A", "p", "control", events=3, n=22),
            "RR",
            "a table has a zero cell, so the shared part of the variance depends on its correction",
        ),
        (
            arm("A", "x", "experimental", mean=3, sd=1, n=9) + arm("A", "y", "experimental", mean=4, sd=1, n=9)
            + arm("A", "p", "control", mean=2, sd=1, n=9),
            "SMD",
            "Unknown measure with a shared control 'SMD'. Did you mean 'MD'? Choose from: MD, ROM, RR, OR, RD, "
            "VR, CVR, AS, IRR, IRD, IRSD.",
        ),
    ],
)  # fmt: skip
def test_arms_apart_without_a_known_covariance(made, lines, measure, why):
    message = f'"Trial A, x" and "Trial A, y" share a control arm: {why}; combine the arms instead.'
    with pytest.raises(RecordError, match=exactly(message)):
        m2.harmonise(made(lines), "o", measure, arms="separate")


# ---------------------------------------------------------------- means and SDs


def test_sd_from_standard_error(made):
    lines = arm("A", "x", "experimental", mean=3, se="0.5", n=16) + arm("A", "p", "control", mean=1, sd=2, n=9)
    effects = m2.harmonise(made(lines), "o", "MD")
    assert effects.inputs["sd1"].tolist() == [2.0]
    assert last(effects, "sd1")["formula"] == "SE·√n"
    assert effects.vi == pytest.approx(0.25 + 4 / 9, rel=1e-12)


def test_sd_from_interval(made):
    lines = arm("A", "x", "experimental", mean=3, ci_low=2, ci_high=4, n=16)
    effects = m2.harmonise(made(lines + arm("A", "p", "control", mean=1, sd=2, n=9)), "o", "MD")
    assert effects.inputs["sd1"] == pytest.approx(math.sqrt(16) / stats.t.isf(0.025, 15), rel=1e-10)
    assert last(effects, "sd1")["basis"] == "derived"


def test_sd_of_a_change_from_an_exact_p(made):
    lines = arm("A", "x", "experimental", when="change", mean=3, p_value="0.02", n=16)
    effects = m2.harmonise(made(lines + arm("A", "p", "control", when="change", mean=1, sd=2, n=9)), "o", "MD")
    assert effects.inputs["sd1"] == pytest.approx(math.sqrt(16) * 3 / stats.t.isf(0.01, 15), rel=1e-10)
    step = last(effects, "sd1")
    assert (step["basis"], step["assumption"]) == ("assumed", "P is exact and comes from a paired t test")


SUMMARIES = {
    "range": ({"median": 5, "min": 1, "max": 12}, "luo2018_mean_range", "wan2014_sd_range"),
    "quartiles": ({"median": 5, "q1": 3, "q3": 8}, "luo2018_mean_quartiles", "wan2014_sd_quartiles"),
    "five": ({"median": 5, "min": 1, "max": 12, "q1": 3, "q3": 8}, "luo2018_mean_five", "shi2020_sd_five"),
}


@pytest.mark.parametrize("name", SUMMARIES)
def test_means_and_sds_from_medians(made, name):
    from metail2.conversions import FORMULAS, mean_sd

    figures, mean_rule, sd_rule = SUMMARIES[name]
    lines = arm("A", "x", "experimental", n=16, **figures) + arm("A", "p", "control", mean=1, sd=2, n=9)
    effects = m2.harmonise(made(lines), "o", "MD")
    words = {"min": "minimum", "max": "maximum"}
    mean, sd = mean_sd(n=16, **{words.get(key, key): value for key, value in figures.items()})
    assert (effects.inputs["mean1"][0], effects.inputs["sd1"][0]) == (float(mean), float(sd))
    for quantity, rule in (("mean1", mean_rule), ("sd1", sd_rule)):
        step = last(effects, quantity)
        assert (step["basis"], step["assumption"]) == ("assumed", "the values are close to normal")
        assert (step["formula"], step["citation"]) == (FORMULAS[rule].text, FORMULAS[rule].citation)
        assert len(step["records"].split("; ")) == len(figures)


def test_the_method_for_medians_can_be_chosen(made):
    lines = arm("A", "x", "experimental", n=16, median=5, min=1, max=12) + arm("A", "p", "control", mean=1, sd=2, n=9)
    effects = m2.harmonise(made(lines), "o", "MD", method="hozo2005")
    assert effects.inputs["mean1"].tolist() == [(1 + 10 + 12) / 4]
    assert effects.inputs["sd1"].tolist() == [(12 - 1) / 4]


def test_a_printed_mean_with_a_range_keeps_its_mean(made):
    lines = arm("A", "x", "experimental", n=16, mean="4.8", min=0, max=11)
    effects = m2.harmonise(made(lines + arm("A", "p", "control", mean=1, sd=2, n=9)), "o", "MD")
    assert effects.inputs["mean1"].tolist() == [4.8]
    assert effects.inputs["sd1"] == pytest.approx(11 / (2 * stats.norm.ppf((16 - 0.375) / 16.25)), rel=1e-10)
    assert last(effects, "mean1")["basis"] == "printed"
    assert len(last(effects, "sd1")["records"].split("; ")) == 2


def test_folds_become_log_ratios(made):
    lines = arm("A", "x", "experimental", n=15, median=2, q1=1, q3=4)
    lines += arm("A", "p", "control", n=15, median=1, q1="0.5", q3=2)
    effects = m2.harmonise(made(lines, kind="fold"), "o", "ROM")
    spread = 2 * stats.norm.ppf((0.75 * 15 - 0.125) / 15.25)
    assert effects.yi == pytest.approx(math.log(2), rel=1e-12)
    assert effects.vi == pytest.approx(2 * (math.log(4) / spread) ** 2 / 15, rel=1e-10)
    assert effects.inputs == {}
    assert last(effects, "sd1")["assumption"] == "fold changes are close to log-normal"


# ---------------------------------------------------------------- changes in one group


@pytest.mark.parametrize("r", [-0.2, 0.0, 0.5, 0.9])
def test_a_change_with_its_correlation(made, r):
    effects = m2.harmonise(made(change("A", (8, 2, 20), (5, 3, 20))), "o", "MC", r=r)
    assert effects.yi.tolist() == [-3]
    assert effects.vi == pytest.approx((4 + 9 - 2 * r * 6) / 20, rel=1e-12)
    step = last(effects, "r")
    assert (step["basis"], step["assumption"]) == ("assumed", f"r = {r:g}; it is not printed")


def test_a_change_of_the_control_arm(made):
    lines = change("A", (8, 2, 20), (5, 3, 20)) + change("A", (9, 2, 21), (8, 3, 21), name="p", role="control")
    assert m2.harmonise(made(lines), "o", "MC", r=0.5).yi.tolist() == [-3]
    assert m2.harmonise(made(lines), "o", "MC", r=0.5, role="control").yi.tolist() == [-1]


def test_a_change_of_several_arms_is_that_of_all_their_patients(made):
    lines = change("A", (8, 2, 20), (5, 3, 20)) + change("A", (6, 2, 10), (6, 3, 10), name="y")
    effects = m2.harmonise(made(lines), "o", "MC", r=0.5)
    assert inputs(effects)["n"] == [30]
    assert effects.yi == pytest.approx((5 * 20 + 6 * 10) / 30 - (8 * 20 + 6 * 10) / 30, rel=1e-12)


@pytest.mark.parametrize("missing", ["baseline", "week12"])
def test_n_printed_at_one_time_holds_for_both(made, missing):
    lines = [line for line in change("A", (8, 2, 20), (5, 3, 20)) if f" {missing} n " not in line]
    assert inputs(m2.harmonise(made(lines), "o", "MC", r=0.5))["n"] == [20]


def test_another_baseline(made):
    lines = arm("A", "x", "experimental", when="week4", mean=8, sd=2, n=20)
    lines += arm("A", "x", "experimental", mean=5, sd=3, n=20)
    effects = m2.harmonise(made(lines), "o", "MC", r=0.5, baseline="week 4", timepoint="week 12")
    assert effects.yi.tolist() == [-3]


def test_a_single_patient_has_an_effect_and_no_variance(made):
    lines = arm("A", "x", "experimental", when="baseline", value=36, n=1)
    lines += arm("A", "x", "experimental", value=85)
    records = made(lines + change("B", (40, 9, 12), (60, 9, 12)))
    effects = m2.harmonise(records, "o", "ROMC", r=0.5)
    assert effects.yi[0] == pytest.approx(math.log(85 / 36), rel=1e-12)
    assert np.isnan(effects.vi).tolist() == [True, False]
    assert np.isnan(effects.inputs["sd_pre"]).tolist() == [True, False]
    mine = effects.trail[effects.trail["study"] == "Trial A"]
    assert mine["quantity"].iloc[-1] == "yi"
    assert mine["assumption"].iloc[-1] == "one patient: the variance is undefined"


def test_arms_of_one_patient_have_no_variance(made):
    lines = arm("A", "x", "experimental", value=5, n=1) + arm("A", "p", "control", value=3, n=1)
    effects = m2.harmonise(made(lines), "o", "MD")
    assert effects.yi.tolist() == [2]
    assert np.isnan(effects.vi).all()
    assert last(effects, "yi")["assumption"] == "one patient: the variance is undefined"


# ---------------------------------------------------------------- printed estimates


def test_a_printed_estimate_with_its_error_or_interval(made):
    lines = arm("A", "between", "contrast", estimate="1.2", se="0.5")
    lines += arm("B", "between", "contrast", estimate="0.8", ci_low="-0.2", ci_high="1.8")
    effects = m2.harmonise(made(lines), "o", "GEN")
    assert effects.yi.tolist() == [1.2, 0.8]
    assert effects.vi == pytest.approx([0.25, (2 / (2 * stats.norm.isf(0.025))) ** 2], rel=1e-10)
    reverse = m2.harmonise(made(lines), "o", "GEN", studies=["B", "A"])
    np.testing.assert_array_equal(reverse.vi, effects.vi[::-1])


def test_the_estimate_of_the_arm_whose_role_is_asked_for(made):
    lines = arm("A", "x", "experimental", estimate=1, se=1) + arm("A", "p", "control", estimate=2, se=1)
    assert m2.harmonise(made(lines), "o", "GEN").yi.tolist() == [1]
    assert m2.harmonise(made(lines), "o", "GEN", role="control").yi.tolist() == [2]


# ---------------------------------------------------------------- which figures


def test_several_times_and_populations_are_chosen_study_by_study(made):
    lines = counts("A", 7, 20, 3, 22) + counts("A", 9, 20, 4, 22, when="week24")
    lines += counts("B", 5, 20, 3, 22, more="population=per_protocol")
    lines += counts("B", 6, 30, 3, 32, more="population=all_randomised")
    effects = m2.harmonise(
        made(lines), "o", "RR", timepoint={"A": "week 24"}, population={"B": "all_randomised"}, studies=["B", "A"]
    )
    assert list(effects.study) == ["Trial B", "Trial A"]
    assert inputs(effects)["events1"] == [6, 9]
    assert effects.moderators["timepoint"].tolist() == ["week 12", "week 24"]
    assert effects.moderators["study_id"].tolist() == ["B", "A"]


def test_all_studies_in_the_order_of_the_file(made):
    lines = counts("C", 5, 20, 3, 22) + counts("A", 7, 20, 3, 22) + counts("B", 5, 20, 3, 22, outcome="other")
    assert list(m2.harmonise(made(lines), "o", "RR").study) == ["Trial C", "Trial A"]
    assert list(m2.harmonise(made(lines), ["o", "other"], "RR").study) == ["Trial C", "Trial A", "Trial B"]
    assert list(m2.harmonise(made(lines), "o", "RR", studies="A").study) == ["Trial A"]


MANY = counts("A", 7, 20, 3, 22) + counts("A", 9, 20, 4, 22, when="week24")
TWO_GROUPS = counts("A", 7, 20, 3, 22, more="population=per_protocol") + counts(
    "A", 7, 20, 3, 22, more="population=all_randomised"
)
FIVE = arm("A", "p", "control", mean=1, sd=2, n=9)

REFUSALS = [
    # which studies
    (counts("A", 7, 20, 3, 22), {"studies": ["A", "A"]}, RecordError,
     "studies names a study twice; a study is entered once in an outcome."),
    (counts("A", 7, 20, 3, 22), {"studies": []}, RecordError,
     "studies names no study; name at least one, or leave it out for all."),
    (counts("A", 7, 20, 3, 22) + counts("B", 7, 20, 3, 22, outcome="other"), {"studies": ["B"]}, RecordError,
     "Trial B prints no figure for 'o'; leave it out of studies."),
    (counts("A", 7, 20, 3, 22), {"studies": ["Z"]}, UnknownChoice, "Unknown study 'Z'. Choose from: A."),
    (counts("A", 7, 20, 3, 22), {"timepoint": {"Z": "week 12"}}, UnknownChoice,
     "Unknown study 'Z'. Choose from: A."),
    (counts("A", 7, 20, 3, 22), {"arm_sizes": {"Z": "randomised"}}, UnknownChoice,
     "Unknown study 'Z'. Choose from: A."),
    (counts("A", 7, 20, 3, 22), {"outcome": "oo"}, UnknownChoice,
     "Unknown outcome 'oo'. Did you mean 'o'? Choose from: o."),
    (counts("A", 7, 20, 3, 22) + counts("A", 7, 20, 3, 22, outcome="other"), {"outcome": ["o", "other"]}, RecordError,
     "Trial A would be entered twice, for 'o' and 'other'."),
    # which choices
    (counts("A", 7, 20, 3, 22), {"measure": "IRR"}, UnknownChoice,
     "Unknown measure of printed figures 'IRR'. Did you mean 'RR'? Choose from: "),
    (counts("A", 7, 20, 3, 22), {"arms": "apart"}, UnknownChoice,
     "Unknown way to treat several arms 'apart'. Did you mean 'separate'? Choose from: combine, separate."),
    (counts("A", 7, 20, 3, 22), {"role": "controls"}, UnknownChoice,
     "Unknown role 'controls'. Did you mean 'control'? Choose from: experimental, control."),
    (counts("A", 7, 20, 3, 22), {"arm_sizes": "randomized"}, UnknownChoice,
     "Unknown source of arm sizes 'randomized'. Did you mean 'randomised'? Choose from: printed, allocation, "
     "randomised."),
    (counts("A", 7, 20, 3, 22), {"method": "hozo"}, UnknownChoice,
     "Unknown summary method 'hozo'. Did you mean 'hozo2005'? Choose from: "),
    (counts("A", 7, 20, 3, 22), {"vtype": "XX"}, UnknownChoice, "Unknown variance of RR 'XX'. Choose from: "),
    # when and who
    (MANY, {}, RecordError,
     "Trial A prints 'o' at several times (week 12 and week 24); choose one with timepoint."),
    (MANY, {"timepoint": "week 8"}, RecordError,
     "Trial A prints no 'o' at 'week 8'; it has week 12 and week 24."),
    (counts("A", 7, 20, 3, 22, when="baseline"), {}, RecordError,
     "Trial A prints no figure for 'o' after baseline."),
    (counts("A", 7, 20, 3, 22, when="baseline"), {"timepoint": "week 8"}, RecordError,
     "Trial A prints no 'o' at 'week 8'; it has no time after baseline."),
    (TWO_GROUPS, {}, RecordError,
     "Trial A prints 'o' at week 12 for several populations (per_protocol and all_randomised); choose one with "
     "population."),
    (TWO_GROUPS, {"population": "analysed"}, RecordError,
     "Trial A prints no 'o' at week 12 for the population 'analysed'; it has per_protocol and all_randomised."),
    (means("A", 1, 1, 9, when="change", more="population=per_protocol"),
     {"measure": "MD", "population": "all_randomised"}, RecordError,
     "Trial A prints no 'o' at change for the population 'all_randomised'; it has per_protocol."),
    ([*counts("A", 7, 20, 3, 22), "A o x experimental week12 events 8"], {}, RecordError,
     "Trial A, arm x, week 12: events of 'o' is entered twice (R1 and R5); keep one."),
    # which arms
    (arm("A", "x", "experimental", events=7, n=20), {}, RecordError,
     "Trial A has no control arm for 'o' at week 12; leave it out."),
    (arm("A", "p", "control", events=7, n=20), {"measure": "PR"}, RecordError,
     "Trial A has no experimental arm for 'o' at week 12; leave it out."),
    (counts("A", 7, 20, 3, 22) + arm("A", "q", "control", events=3, n=22), {}, RecordError,
     "Trial A has 2 control arms for 'o'; keep one."),
    # counts
    (arm("A", "x", "experimental", events=7) + arm("A", "p", "control", events=3, n=22), {}, RecordError,
     "Trial A, arm x, week 12: the number of patients is not printed; add it to the records or leave the study out."),
    (arm("A", "x", "experimental", n=20) + arm("A", "p", "control", events=3, n=22), {}, RecordError,
     "Trial A, arm x, week 12: neither events nor a percentage is printed (n); leave it out."),
    (arm("A", "x", "experimental", n=20, percent=">30") + arm("A", "p", "control", events=3, n=22), {}, RecordError,
     "Trial A, arm x, week 12: neither events nor a percentage is printed (n, percent >30); leave it out."),
    (counts("A", 21, 20, 3, 22), {}, RecordError,
     "Trial A, arm x, week 12: 21 events among 20 patients are impossible; correct the records."),
    (counts("A", 7, 6, 3, 22) + arm("A", "y", "experimental", events=1, n=6), {}, RecordError,
     "Trial A, arm x, week 12: 7 events among 6 patients are impossible; correct the records."),
    (arm("A", "x", "experimental", percent="38.6", n=26), {"measure": "PR"}, RecordError,
     "Trial A, arm x, week 12: No count gives 38.6 % of 26 by rounding or truncation."),
    (arm("A", "x", "experimental", percent="38", n=200), {"measure": "PR"}, RecordError,
     "Trial A, arm x, week 12: 38 % of 200 fits 3 counts by rounding (75 of 200; 76 of 200; 77 of 200), so the counts "
     "are not known."),
    (arm("A", "x", "experimental", percent="50") + arm("A", "p", "control", n="")[:0]
     + arm("A", "p", "control", events=3) + arm("A", "all", "both", n=43), {}, RecordError,
     "Trial A, week 12: two percentages and the total number of patients are needed to find the counts."),
    (arm("A", "x", "experimental", percent="83.3") + arm("A", "y", "experimental", percent="83.3")
     + arm("A", "p", "control", percent="51.7") + arm("A", "all", "both", n=53), {"arms": "separate"}, RecordError,
     "Trial A, week 12: two percentages and the total number of patients are needed to find the counts."),
    # arm sizes
    (allocated()[0], {"arm_sizes": "allocation"}, RecordError,
     "Trial A, arm x, week 12: the studies table gives no equal allocation ratio, so the arm sizes stay unknown."),
    (counts("A", 7, 20, 3, 22), {"arm_sizes": "randomised"}, RecordError,
     "Trial A, arm x, week 12: the number randomised is not printed; choose another arm_sizes."),
    (randomised(16), {"arm_sizes": "randomised"}, RecordError,
     "Trial A, arm x, week 12: 17 patients were analysed but 16 randomised; correct the records."),
    # means
    (arm("A", "x", "experimental", mean=3, n=9) + FIVE, {"measure": "MD"}, RecordError,
     "Trial A, arm x, week 12: a mean and an SD cannot be had from what is printed (mean, n); leave the study out."),
    (arm("A", "x", "experimental", n=9) + FIVE, {"measure": "MD"}, RecordError,
     "Trial A, arm x, week 12: a mean and an SD cannot be had from what is printed (n); leave the study out."),
    (arm("A", "x", "experimental", mean=3, sd="<2", n=9) + FIVE, {"measure": "MD"}, RecordError,
     "Trial A, arm x, week 12: a mean and an SD cannot be had from what is printed (mean, n, sd <2); leave the study "
     "out."),
    (arm("A", "x", "experimental", mean=3, p_value="0.02", n=9) + FIVE, {"measure": "MD"}, RecordError,
     "Trial A, arm x, week 12: the SD cannot be had from P 0.02; only an exact P of a paired t test of a change gives "
     "one."),
    (arm("A", "x", "experimental", when="change", mean=3, p_value="<0.001", n=9)
     + arm("A", "p", "control", when="change", mean=1, sd=2, n=9), {"measure": "MD"}, RecordError,
     "Trial A, arm x, change: the SD cannot be had from P <0.001; only an exact P of a paired t test of a change gives "
     "one."),
    (arm("A", "x", "experimental", value=3, n=9) + FIVE, {"measure": "MD"}, RecordError,
     "Trial A, arm x, week 12: one value is printed for 9 patients, so no mean and SD can be had."),
    (arm("A", "x", "experimental", median=3, min=4, max=9, n=9) + FIVE, {"measure": "MD"}, RecordError,
     "Trial A, arm x, week 12: the minimum 4 is above the median 3; correct the records."),
    (arm("A", "x", "experimental", mean=3, min=4, max=9, n=9) + FIVE, {"measure": "MD"}, RecordError,
     "Trial A, arm x, week 12: the mean 3 is below the minimum 4; correct the records."),
    (arm("A", "x", "experimental", median=5, q1=4, q3=9, n=9) + FIVE, {"measure": "MD", "method": "walter2007"},
     RecordError,
     "Trial A, arm x, week 12: the method 'walter2007' gives no mean and SD from q1, median, q3 "
     "(Walter and Yao 2007 has no formula for median and quartiles)."),
    # changes
    (change("A", (8, 2, 20), (5, 3, 20)), {"measure": "MC"}, RecordError,
     "MC needs the correlation of the values before and after, which trials seldom print; assume one with r=0.5 (the "
     "trail marks it as assumed) and vary it."),
    (change("A", (8, 2, 20), (5, 3, 20)), {"measure": "MC", "r": 1.5}, EffectSizeError,
     "Trial A: column 'r' is 1.5, but it must lie between −1 and 1; correct the entry."),
    (arm("A", "x", "experimental", mean=5, sd=3, n=20), {"measure": "MC", "r": 0.5}, RecordError,
     "Trial A, arm x, week 12: nothing is printed at baseline, so there is no change; leave the study out."),
    (change("A", (8, 2, 20), (5, 3, 18)), {"measure": "MC", "r": 0.5}, RecordError,
     "Trial A: 20 patients at baseline but 18 at week 12, so the change is not that of one group; leave the study "
     "out."),
    # printed estimates
    (counts("A", 7, 20, 3, 22), {"measure": "GEN"}, RecordError,
     "Trial A prints no estimate for 'o'; leave it out."),
    (arm("A", "b", "contrast", estimate=1, se=1), {"measure": "GEN", "timepoint": "week 9"}, RecordError,
     "Trial A prints no estimate for 'o' at week 9; leave it out."),
    (arm("A", "b", "contrast", estimate=1), {"measure": "GEN"}, RecordError,
     "Trial A, arm b, week 12: the estimate has neither a standard error nor an interval; leave it out."),
    (arm("A", "b", "contrast", estimate=1, se=1) + arm("A", "b", "contrast", when="week24", estimate=1, se=1),
     {"measure": "GEN"}, RecordError,
     "Trial A prints several estimates for 'o' (arm b, week 12 and arm b, week 24); choose one with timepoint, or keep "
     "one in the records."),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "options", "error", "message"), REFUSALS, ids=[r[3][:60] for r in REFUSALS])
def test_one_sentence_says_what_is_wrong(made, lines, options, error, message):
    asked = {"outcome": "o", "measure": "RR"} | options
    with pytest.raises(error) as caught:
        m2.harmonise(made(lines), asked.pop("outcome"), asked.pop("measure"), **asked)
    said = str(caught.value)
    assert said.startswith(message) if message.endswith(": ") else said == message


@pytest.mark.parametrize(
    ("ratio", "total", "message"),
    [
        ("2:1", 100, "the studies table gives no equal allocation ratio, so the arm sizes stay unknown."),
        ("1:1", 101, "101 patients cannot be shared 1:1."),
        ("1", 100, "2 arms are printed, but the allocation ratio 1 has 1; correct the records."),
    ],
)
def test_arm_sizes_that_allocation_does_not_give(made, ratio, total, message):
    with pytest.raises(RecordError, match=exactly(f"Trial A, arm x, week 12: {message}")):
        m2.harmonise(made(*allocated(ratio, total)), "o", "RR", arm_sizes="allocation")


def test_allocation_without_a_total(made):
    lines, studies = allocated()
    message = "Trial A, arm x, week 12: the total number of patients is not printed, so the arm sizes stay unknown."
    with pytest.raises(RecordError, match=exactly(message)):
        m2.harmonise(made(lines[:-1], studies), "o", "RR", arm_sizes="allocation")


def test_one_cohort_is_entered_once(made):
    records = made(counts("A", 7, 20, 3, 22) + counts("B", 7, 20, 3, 22), {"B": {"cohort": "A"}})
    message = "Trial A and Trial B may be the same patients (cohort 'A'); keep one with studies."
    with pytest.raises(RecordError, match=exactly(message)):
        m2.harmonise(records, "o", "RR")
    assert len(m2.harmonise(records, "o", "RR", studies=["B"])) == 1


# ---------------------------------------------------------------- zero cells, and what effects carry on


def test_zero_cells_are_treated_as_effect_sizes_does(made):
    records = made(counts("A", 0, 20, 3, 22) + counts("B", 4, 20, 3, 22))
    frame = m2.harmonise(records, "o", "OR").frame
    for options in ({}, {"add": 1.0}, {"to": "all", "add": 0.25}, {"drop00": True}):
        effects = m2.harmonise(records, "o", "OR", **options)
        plain = m2.effect_sizes(frame, "OR", **options)
        np.testing.assert_array_equal(effects.yi, plain.yi)
        np.testing.assert_array_equal(effects.vi, plain.vi)
        assert last(effects, "yi")["value"] == effects.yi[1]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, ["odds ratio, 0.5 added to every cell", "odds ratio"]),
        ({"add": 0.1}, ["odds ratio, 0.1 added to every cell", "odds ratio"]),
        ({"to": "all", "add": 0.25}, ["odds ratio, 0.25 added to every cell"] * 2),
        ({"to": "none"}, ["odds ratio", "odds ratio"]),
    ],
)
def test_the_trail_says_what_was_added_to_a_zero_cell(made, options, said):
    records = made(counts("A", 0, 20, 3, 22) + counts("B", 4, 20, 3, 22))
    trail = m2.harmonise(records, "o", "OR", **options).trail
    assert trail.loc[trail["quantity"] == "yi", "conversion"].tolist() == said


@pytest.fixture
def three_studies(made):
    return m2.harmonise(
        made(counts("C", 5, 20, 3, 22) + counts("A", 7, 20, 3, 22) + counts("B", 9, 20, 3, 22)), "o", "RR"
    )


def test_a_part_keeps_its_trail(three_studies):
    part = three_studies.subset([True, False, True])
    assert list(dict.fromkeys(part.trail["study"])) == ["Trial C", "Trial B"]
    assert last(part, "yi")["value"] == part.yi[1]
    assert "Trial C" not in set(three_studies.drop(0).trail["study"])


def test_joined_effects_keep_their_trails(three_studies):
    parts = [three_studies.subset([False, False, True]), three_studies.subset([True, True, False])]
    joined = m2.EffectSizes.concat(parts)
    assert list(dict.fromkeys(joined.trail["study"])) == list(joined.study) == ["Trial B", "Trial C", "Trial A"]
    assert len(joined.trail) == len(three_studies.trail)
    with pytest.raises(EffectSizeError, match=exactly("Trial B would be entered twice; keep one of its effects.")):
        m2.EffectSizes.concat([three_studies, parts[0]])


def test_turned_effects_say_so(three_studies):
    turned = three_studies.reversed()
    np.testing.assert_array_equal(turned.yi, -three_studies.yi)
    np.testing.assert_array_equal(turned.vi, three_studies.vi)
    assert tuple(turned.trail.columns) == TRAIL_COLUMNS
    for study, effect in zip(turned.study, turned.yi, strict=True):
        steps = turned.trail[turned.trail["study"] == study]
        assert steps["conversion"].iloc[-1] == "sign changed"
        assert steps["value"].iloc[-1] == effect
        assert steps["step"].is_monotonic_increasing
    assert len(turned.trail) == len(three_studies.trail) + 3
    np.testing.assert_array_equal(turned.reversed().yi, three_studies.yi)


@pytest.mark.parametrize("arms", ["combine", "separate"])
def test_more_arms_than_the_ratio_are_not_allocated(made, arms):
    lines = [f"A o both both week12 n 120 {''}"]
    for name, role in (("x", "experimental"), ("y", "experimental"), ("p", "control")):
        lines += arm("A", name, role, percent="50")
    with pytest.raises(RecordError, match="3 arms are printed, but the allocation ratio 1:1 has 2"):
        m2.harmonise(made(lines, {"A": {"allocation": "1:1"}}), "o", "RR", arms=arms, arm_sizes="allocation")
