"""MixedCounts: tables, invariances, what each model uses of sparse data, and what is undefined."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import metail2 as m2
from metail2.effects.two_by_two import cells
from metail2.errors import EffectSizeError, MetailWarning, ModelError, UnknownChoice
from metail2.kernels.count_models import CODINGS
from metail2.models.count_arms import common_events_note, corrected_note
from metail2.models.doubts import few_studies
from metail2.models.mixed_counts import LIKELIHOODS, MixedCounts
from metail2.models.mixed_counts_result import OWN_COLUMNS
from metail2.results import GLANCE_COLUMNS, STATUS, STUDY_COLUMNS, STUDY_STATES, TIDY_COLUMNS, Result


def counts(*rows):
    return pd.DataFrame(rows, columns=["events1", "n1", "events2", "n2"])


PAIRS = [(measure, model) for measure in ("OR", "IRR") for model in LIKELIHOODS[measure]]
EVERY = [(measure, model) for measure in LIKELIHOODS for model in LIKELIHOODS[measure]]
FOUR = counts((1, 30, 12, 28), (6, 25, 2, 31), (5, 40, 19, 40), (5, 12, 1, 14)).assign(
    study=["Ann", "Ben", "Cal", "Dee"]
)
SPARSE = counts((2, 50, 5, 50), (0, 40, 0, 42), (1, 30, 4, 31)).assign(study=["Ann", "Ben", "Cal"])
SILENT = {"UM.FS", "CM.EL", "CM.AL"}


def data(measure, frame=FOUR):
    """The same counts for any measure: patients are also person-time, the first arm is also a single one."""
    if measure == "OR":
        return frame
    names = {"IRR": {"n1": "time1", "n2": "time2"}, "PLO": {"events1": "events", "n1": "n"}}
    return frame.rename(columns=names.get(measure, {"events1": "events", "n1": "time"}))


def swapped(frame):
    return frame.rename(columns=lambda name: name[:-1] + {"1": "2", "2": "1"}.get(name[-1], name[-1]))


# ------------------------------------------------------------------------------------- the tables
@pytest.mark.parametrize(("measure", "model"), EVERY)
def test_columns_of_the_tables(measure, model):
    result = MixedCounts(measure, model).fit(data(measure))
    assert isinstance(result, Result)
    assert tuple(result.tidy()) == TIDY_COLUMNS
    assert tuple(result.glance()) == (*GLANCE_COLUMNS, *OWN_COLUMNS)
    studies = result.studies()
    assert tuple(studies)[: len(STUDY_COLUMNS)] == STUDY_COLUMNS
    assert studies["weight"].sum() == pytest.approx(100)
    assert set(studies["state"]) <= set(STUDY_STATES)
    row = result.tidy().iloc[0]
    assert row["ci_upper"] - row["estimate"] == pytest.approx(1.959963984540054 * row["se"])
    glance = result.glance().iloc[0]
    assert glance["status"] in STATUS
    assert glance["gradient"] < 1e-9


def test_no_nan_without_a_reason():
    glance = MixedCounts().fit(FOUR).glance().iloc[0]
    missing = {name for name in GLANCE_COLUMNS if isinstance(glance[name], float) and math.isnan(glance[name])}
    assert missing == {"qm", "qm_df", "qm_p", "r2"}  # no moderators: p is 1
    common = MixedCounts(tau2="CE").fit(FOUR).glance().iloc[0]
    missing = {name for name in GLANCE_COLUMNS if isinstance(common[name], float) and math.isnan(common[name])}
    assert missing - {"qm", "qm_df", "qm_p", "r2"} == {"tau2_se", "i2", "h2", "pi_lower", "pi_upper"}
    assert "τ² is 0 by assumption, so it has no standard error or H²" in common["status_reason"]
    assert "no prediction interval: a common-effect model" in common["status_reason"]


def test_figures_of_glance():
    result = MixedCounts().fit(FOUR)
    glance = result.glance().iloc[0]
    model = result.fits.chosen.at
    assert glance["tau2"] == pytest.approx(model.point.shared[1] ** 2)
    assert glance["tau2_se"] == pytest.approx(2 * model.point.shared[1] * np.sqrt(result.fits.chosen.covariance[1, 1]))
    effects = m2.effect_sizes(FOUR, "OR")
    w = 1 / effects.vi
    typical = 3 / (w.sum() - (w**2).sum() / w.sum())
    assert glance["i2"] == pytest.approx(100 * glance["tau2"] / (glance["tau2"] + typical))
    assert glance["h2"] == pytest.approx(glance["tau2"] / typical + 1)
    assert (glance["q"], glance["q_df"]) == (glance["q_lrt"], 3)
    assert glance["q_p"] == pytest.approx(stats.chi2.sf(glance["q"], 3))
    assert glance["i2_q"] == pytest.approx(100 * (glance["q"] - 3) / glance["q"])
    half = stats.t.ppf(0.975, 3) * np.sqrt(result.se**2 + result.tau2)
    assert [glance["pi_lower"], glance["pi_upper"]] == pytest.approx([result.estimate - half, result.estimate + half])
    events, n = (FOUR[[f"{name}1", f"{name}2"]].to_numpy() for name in ("events", "n"))
    saturated = stats.binom.logpmf(events, n, events / n).sum()
    assert glance["deviance"] == pytest.approx(2 * (saturated - glance["log_likelihood"]))
    assert glance["aic"] == pytest.approx(2 * 6 - 2 * glance["log_likelihood"])  # effect, τ², four intercepts
    assert glance["bic"] == pytest.approx(6 * np.log(8) - 2 * glance["log_likelihood"])


@pytest.mark.parametrize(
    ("measure", "model", "parameters"), [("OR", "UM.RS", 4), ("OR", "CM.EL", 2), ("PLO", "UM.FS", 2)]
)
def test_parameters_are_counted(measure, model, parameters):
    glance = MixedCounts(measure, model).fit(data(measure)).glance().iloc[0]
    assert glance["aic"] + 2 * glance["log_likelihood"] == pytest.approx(2 * parameters)


def test_the_text_of_a_result(monkeypatch):
    monkeypatch.setitem(m2.models.summary.TAU2_NAMES, "UM.FS", "a mixed model")
    text = MixedCounts().fit(FOUR).summary()
    assert "Odds ratio, 4 studies, a mixed model, normal (z)" in text
    assert "Q is the likelihood-ratio test of heterogeneity" in text


# ------------------------------------------------------------------------------------- invariance
@pytest.mark.parametrize(("measure", "model"), PAIRS)
def test_swapping_the_arms_changes_the_sign(measure, model):
    frame = data(measure)
    one, other = MixedCounts(measure, model).fit(frame), MixedCounts(measure, model).fit(swapped(frame))
    assert other.estimate == pytest.approx(-one.estimate, rel=1e-9)
    assert [other.se, other.tau2, other.q] == pytest.approx([one.se, one.tau2, one.q], rel=1e-8)


def test_swapping_the_arms_swaps_the_codings():
    one = MixedCounts(coding="treatment").fit(FOUR)
    other = MixedCounts(coding="control").fit(swapped(FOUR))
    assert [other.estimate, other.tau2] == pytest.approx([-one.estimate, one.tau2], rel=1e-9)


@pytest.mark.parametrize(("measure", "model"), EVERY)
def test_the_order_of_the_studies_does_not_matter(measure, model):
    frame = data(measure)
    one, other = MixedCounts(measure, model).fit(frame), MixedCounts(measure, model).fit(frame.iloc[::-1])
    assert [other.estimate, other.se, other.tau2] == pytest.approx([one.estimate, one.se, one.tau2], rel=1e-9)


@pytest.mark.parametrize("measure", ["IRR", "IRLN"])
def test_the_unit_of_time_does_not_matter(measure):
    frame = data(measure)
    scaled = frame.assign(**{name: frame[name] * 1e6 for name in frame if name.startswith("time")})
    one, other = MixedCounts(measure).fit(frame), MixedCounts(measure).fit(scaled)
    shift = math.log(1e6) if measure == "IRLN" else 0.0
    assert [other.estimate + shift, other.se, other.tau2] == pytest.approx([one.estimate, one.se, one.tau2], rel=1e-9)


def test_frame_cells_and_effects_give_the_same():
    want = MixedCounts().fit(FOUR).tidy()
    table = cells(m2.effect_sizes(FOUR, "OR").inputs)
    assert MixedCounts().fit(pd.DataFrame(table)).tidy().equals(want)
    assert MixedCounts().fit(m2.effect_sizes(FOUR, "RR")).tidy().equals(want)


def test_conditioning_makes_no_difference_for_a_common_rate_ratio():
    one, other = (MixedCounts("IRR", model, tau2="CE").fit(data("IRR")) for model in ("UM.FS", "CM.EL"))
    assert [other.estimate, other.se, other.q] == pytest.approx([one.estimate, one.se, one.q], rel=1e-8)


def test_the_approximate_likelihood_is_near_the_exact_one_where_events_are_rare():
    rare = FOUR.assign(n1=FOUR["n1"] * 1000, n2=FOUR["n2"] * 1000)
    exact, approximate = (MixedCounts("OR", model).fit(rare) for model in ("CM.EL", "CM.AL"))
    assert approximate.estimate == pytest.approx(exact.estimate, rel=1e-3)
    assert approximate.tau2 == pytest.approx(exact.tau2, rel=1e-3)


def test_the_coding_makes_a_difference():
    tau2 = [MixedCounts(coding=coding).fit(FOUR).tau2 for coding in CODINGS]
    assert len({round(value, 3) for value in tau2}) == 3


# ------------------------------------------------------------------------------------- sparse data
@pytest.mark.parametrize(("measure", "model"), PAIRS)
def test_studies_without_events(measure, model):
    frame = data(measure, SPARSE)
    result, without = MixedCounts(measure, model).fit(frame), MixedCounts(measure, model).fit(frame.iloc[[0, 2]])
    state = result.studies().set_index("study")["state"].to_dict()
    reason = result.glance()["status_reason"].iloc[0]
    if model in SILENT:
        assert state == {"Ann": "used", "Ben": "no_events", "Cal": "used"}
        assert (result.k, result.estimate) == (2, without.estimate)
        assert "Ben says nothing in this model, having no event" in reason
    else:
        assert state["Ben"] == "used"
        assert result.k == 3
        assert result.estimate != pytest.approx(without.estimate, rel=1e-4)
        assert "says nothing" not in reason


def test_a_study_in_which_everybody_had_the_event():
    frame = counts((2, 50, 5, 50), (9, 9, 8, 8), (1, 30, 4, 31))
    for model in SILENT:
        result = MixedCounts("OR", model).fit(frame)
        assert result.studies()["state"].tolist() == ["used", "no_events", "used"]
        assert "having no event or only events in either arm" in result.glance()["status_reason"].iloc[0]
    assert MixedCounts("OR", "UM.RS").fit(frame).studies()["state"].tolist() == ["used"] * 3


def test_the_likelihood_needs_no_correction_of_zero_cells():
    frame = counts((0, 50, 5, 50), (3, 40, 6, 42), (1, 30, 2, 31))
    result = MixedCounts().fit(frame)
    assert (
        "shown for study 1 use 0.5 added to every cell; the likelihood does not" in result.glance()["status_reason"][0]
    )
    conditional = MixedCounts("OR", "CM.EL", tau2="CE").fit(frame)
    # by hand: the conditional score Σ(a − E) is 0 at the estimate
    total, odds_ratio = frame["events1"] + frame["events2"], math.exp(conditional.estimate)
    expected = stats.nchypergeom_fisher.mean(frame["n1"] + frame["n2"], frame["n1"], total, odds_ratio)
    assert np.sum(frame["events1"] - expected) == pytest.approx(0, abs=1e-6)


INFINITE = "the estimate is infinite, because "
NOTHING = "nothing can be pooled, because no study has patients with "


@pytest.mark.parametrize(
    ("measure", "model", "frame", "reason"),
    [
        ("OR", "UM.FS", counts((0, 9, 2, 9), (0, 8, 1, 9)), INFINITE + "no event occurred in any experimental arm"),
        ("OR", "CM.EL", counts((3, 9, 0, 9), (1, 8, 0, 9)), INFINITE + "no event occurred in any control arm"),
        ("OR", "UM.FS", counts((9, 9, 3, 9), (8, 8, 1, 9)), INFINITE + "everybody in every experimental arm"),
        ("OR", "CM.EL", counts((3, 9, 9, 9), (1, 8, 9, 9)), INFINITE + "everybody in every control arm had the event"),
        ("OR", "UM.FS", counts((9, 9, 3, 9), (3, 9, 0, 9)), INFINITE + "in every study the events are as unequal as"),
        ("OR", "UM.RS", counts((0, 9, 0, 9), (0, 8, 0, 9)), NOTHING + "and patients without the event"),
        ("OR", "UM.RS", counts((9, 9, 9, 9), (8, 8, 9, 9)), NOTHING + "and patients without the event"),
        ("OR", "UM.RS", counts((0, 9, 0, 9), (8, 8, 9, 9)), NOTHING + "and patients without the event"),
        ("OR", "UM.RS", counts((9, 9, 3, 9), (8, 8, 1, 9)), INFINITE + "everybody in every experimental arm had the"),
        ("IRR", "UM.RS", counts((0, 9, 0, 9), (0, 8, 0, 9)), NOTHING + "the event"),
        ("OR", "CM.AL", counts((0, 9, 0, 9), (0, 8, 0, 9)), NOTHING + "and patients without the event"),
        ("IRR", "UM.RS", counts((0, 9, 2, 9), (0, 8, 1, 9)), INFINITE + "no event occurred in any experimental arm"),
        ("IRR", "CM.EL", counts((0, 9, 0, 9)), NOTHING + "the event"),
        ("PLO", "UM.FS", counts((0, 9, 0, 9), (0, 8, 0, 9)), INFINITE + "no event occurred"),
        ("PLO", "UM.FS", counts((9, 9, 0, 9), (8, 8, 0, 9)), INFINITE + "everybody had the event"),
        ("PLO", "UM.FS", counts((9, 9, 0, 9), (0, 8, 0, 9)), "the likelihood is largest beyond τ = 30: "),
    ],
)
def test_undefined_estimates_say_why(measure, model, frame, reason):
    result = MixedCounts(measure, model).fit(data(measure, frame))
    glance = result.glance().iloc[0]
    assert glance["status"] == "undefined"
    assert glance["status_reason"].startswith(reason)
    assert np.isnan([result.estimate, result.se, result.p_value, result.tau2, glance["log_likelihood"]]).all()
    assert result.studies()["weight"].isna().all()


# ------------------------------------------------------------------------------------- few studies
@pytest.mark.parametrize(("measure", "model"), EVERY)
@pytest.mark.parametrize("tau2", ["ML", "CE"])
def test_one_study(measure, model, tau2):
    result = MixedCounts(measure, model, tau2=tau2).fit(data(measure, SPARSE.iloc[:1]))
    glance = result.glance().iloc[0]
    assert (glance["status"], glance["k"]) == ("one_study", 1)
    assert np.isnan([result.tau2, result.i2, result.q, glance["pi_lower"]]).all()
    if model in ("UM.FS", "UM.RS"):
        own = m2.effect_sizes(data(measure, SPARSE.iloc[:1]), measure)
        assert result.estimate == pytest.approx(own.yi[0])
        assert result.se == pytest.approx(np.sqrt(own.vi[0]))


def test_two_studies_have_no_prediction_interval():
    result = MixedCounts().fit(counts((2, 50, 25, 50), (24, 30, 3, 31)))
    glance = result.glance().iloc[0]
    assert result.tau2 > 5
    assert math.isnan(glance["pi_lower"])
    assert "it needs at least 3 studies, and there are 2" in glance["status_reason"]


@pytest.mark.parametrize(("measure", "model"), EVERY)
def test_equal_studies(measure, model):
    """τ² = 0 and Q = 0; together they are one study of all their patients, with the intercepts profiled out."""
    result = MixedCounts(measure, model).fit(data(measure, counts(*[(2, 50, 5, 50)] * 4)))
    assert (result.tau2, result.status) == (0, "ok")
    assert result.q == pytest.approx(0, abs=1e-9)
    assert "τ² is estimated as 0" in result.glance()["status_reason"].iloc[0]
    if model != "CM.EL":
        whole = MixedCounts(measure, model, tau2="CE").fit(data(measure, counts((8, 200, 20, 200))))
        assert [result.estimate, result.se] == pytest.approx([whole.estimate, whole.se], rel=1e-6)


def test_one_patient_an_arm_says_nothing_about_heterogeneity():
    result = MixedCounts("PLO").fit(pd.DataFrame({"events": [0, 1, 1, 0, 1], "n": [1] * 5}))
    assert (result.tau2, result.status) == (0, "ok")
    assert "every τ² has the same likelihood" in result.glance()["status_reason"].iloc[0]


# ------------------------------------------------------------------------------------- what is said
def reasons(result):
    return result.glance()["status_reason"].iloc[0]


def test_greatest_heterogeneity_is_no_reason_for_a_common_effect():
    reason = reasons(MixedCounts("PLO").fit(data("PLO", counts((9, 9, 0, 9), (0, 8, 0, 9)))))
    assert "the studies differ as much as can be" in reason
    assert "they should not be pooled" in reason
    assert "CE" not in reason


COMMON = counts((30, 50, 20, 50), (35, 50, 25, 50), (28, 40, 15, 40)).assign(study=["Ann", "Ben", "Cal"])


@pytest.mark.parametrize(
    ("measure", "sizes", "place"),
    [
        ("OR", {"n1": [10, 12], "n2": [9, 12]}, "cell"),
        ("IRR", {"time1": [10, 12], "time2": [9, 12]}, "number of events"),
    ],
)
def test_corrections_are_told_by_what_was_corrected(measure, sizes, place):
    table = pd.DataFrame({"study": ["A", "B"], "events1": [0, 4], "events2": [3, 5], **sizes})
    told = m2.MixedCounts(measure, "CM.EL").fit(m2.effect_sizes(table, measure)).glance()["status_reason"][0]
    assert f"shown for A use 0.5 added to every {place}; the likelihood does not" in told


@pytest.mark.parametrize("tau2", ["ML", "CE"])
def test_only_a_common_effect_predicts_no_new_study(tau2):
    table = pd.DataFrame(
        {"study": list("ABCD"), "events1": [1, 4, 3, 9], "n1": [20] * 4, "events2": [3, 5, 9, 2], "n2": [20] * 4}
    )
    found = m2.MixedCounts("OR", "CM.EL", tau2=tau2).fit(m2.effect_sizes(table, "OR")).predict()
    assert found["pi_lower"].isna().all() == (tau2 == "CE")
    why = "no prediction interval: a common-effect model has no between-study variance"
    assert (found["note"] == (why if tau2 == "CE" else "")).all()
    assert found["ci_lower"].notna().all()


def test_common_events_make_the_approximate_odds_ratio_a_risk_ratio():
    near, exact = (MixedCounts("OR", model, tau2="CE").fit(COMMON) for model in ("CM.AL", "CM.EL"))
    risks = m2.MantelHaenszel("RR").fit(COMMON).estimate
    assert abs(near.estimate - risks) < 0.02 < 0.4 < exact.estimate - risks
    assert (
        "CM.AL gives about the risk ratio, not the odds ratio, unless events are rare (in at most 10 % of the patients "
        "of every study), but 55 % of all patients and up to 60 % of a study have the event (Ann, Ben and Cal); CM.EL "
        "is exact"
    ) in reasons(near)
    assert "CM.AL" not in reasons(exact)
    assert "risk ratio" not in reasons(MixedCounts("OR", "CM.AL").fit(COMMON.assign(n1=500, n2=500)))
    one = pd.concat([COMMON.iloc[:1], counts((1, 9000, 1, 9000)).assign(study="Dee")])
    assert "0 % of all patients and up to 50 % of a study have the event (Ann)" in reasons(
        MixedCounts("OR", "CM.AL").fit(one)
    )


@pytest.mark.parametrize(
    ("k", "tau2", "said"), [(1, "ML", False), (2, "ML", True), (9, "ML", True), (10, "ML", False), (4, "CE", False)]
)
def test_normal_intervals_of_few_studies(k, tau2, said):
    frame = pd.concat([FOUR] * 3).iloc[:k].assign(study=[f"trial {i}" for i in range(k)])
    assert (few_studies(k) in reasons(MixedCounts(tau2=tau2).fit(frame))) is said


def test_tau2_of_0_in_plain_words():
    same = counts(*[(2, 50, 5, 50)] * 4)
    predicted = "prediction intervals take every study's true effect as the same"
    zero = "τ² is estimated as 0, so it has no standard error; "
    assert zero + predicted + "; " in reasons(MixedCounts().fit(same))
    two = reasons(MixedCounts().fit(same.iloc[:2]))
    assert zero in two
    assert predicted not in two
    regression = MixedCounts(moderators="x").fit(same.assign(x=[1, 2, 3, 5]))
    assert zero + predicted + " at the same moderators" in reasons(regression)


@pytest.mark.parametrize("note", [corrected_note, common_events_note])
def test_labels_are_taken_once_for_all_studies(monkeypatch, note):
    effects, taken = m2.effect_sizes(counts(*[(0, 9, 4, 9)] * 20), "OR"), []

    def labels(self):
        taken.append(1)
        return [f"study {i}" for i in range(20)]

    monkeypatch.setattr(m2.EffectSizes, "study", property(labels))
    assert "study 0" in note(effects, np.ones(20, dtype=bool))
    assert len(taken) == 1


def test_intervals_have_the_level_of_the_fit():
    result = MixedCounts(level=0.8).fit(FOUR)
    glance = result.glance().iloc[0]
    assert result.prediction_interval() == result.prediction_interval(0.8) == (glance["pi_lower"], glance["pi_upper"])
    assert result.prediction_interval(0.95)[0] < glance["pi_lower"]
    assert result.predict().equals(result.predict(level=0.8))
    with pytest.raises(ModelError, match="give a number between 0 and 1"):
        result.prediction_interval(95)


# ------------------------------------------------------------------------------------- bad input
def test_missing_counts_are_left_out_by_name():
    frame = FOUR.astype({"events1": float})
    frame.loc[1, "events1"] = np.nan
    with pytest.warns(MetailWarning) as caught:
        result = MixedCounts().fit(frame)
    assert [str(w.message) for w in caught] == ["Ben: left out of the fit, because a count is missing."]
    assert result.studies()["state"].tolist() == ["used", "missing", "used", "used"]
    assert result.estimate == pytest.approx(MixedCounts().fit(FOUR.drop(index=1)).estimate, rel=1e-12)


def test_impossible_and_broken_counts():
    with pytest.raises(EffectSizeError, match="Ben: column 'events1' is 60, but it must be at most n1, which is 25"):
        MixedCounts().fit(FOUR.assign(events1=[1, 60, 5, 5]))
    with pytest.raises(ModelError) as caught:
        MixedCounts("OR", "CM.EL").fit(FOUR.assign(events2=[12, 2.5, 19, 1]))
    assert str(caught.value) == (
        "Ben: column 'events2' is 2.5, but a likelihood of counts needs whole numbers; correct the entry."
    )
    assert MixedCounts("IRR").fit(data("IRR").assign(time1=[30.5, 25.25, 40, 12])).status == "ok"


def test_nothing_to_pool():
    with pytest.raises(ModelError, match="No study has all its counts, so there is nothing to pool"):
        MixedCounts().fit(counts((np.nan, 9.0, 1, 9)))
    with pytest.raises(ModelError, match="These effects carry no counts"):
        MixedCounts().fit(m2.EffectSizes.from_arrays([0.1], [0.2]))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"measure": "RR"}, "Unknown measure with a likelihood of counts 'RR'"),
        ({"model": "UM.FE"}, "Unknown model of OR 'UM.FE'. Did you mean 'UM.FS'"),
        ({"measure": "IRR", "model": "CM.AL"}, "Unknown model of IRR 'CM.AL'"),
        ({"coding": "1/0"}, "Unknown coding of the treatment effect '1/0'"),
        ({"tau2": "REML"}, "Unknown estimator of τ² for counts 'REML'"),
    ],
)
def test_unknown_choices(wrong, message):
    with pytest.raises(UnknownChoice, match=message.replace("?", r"\?")):
        MixedCounts(**wrong)


def test_a_coding_that_makes_no_difference_is_refused():
    with pytest.raises(ModelError, match=r"The coding 'treatment' makes no difference to CM.EL of OR"):
        MixedCounts("OR", "CM.EL", coding="treatment")
    with pytest.raises(ModelError, match="give a number between 0 and 1"):
        MixedCounts(level=95)


# ------------------------------------------------------------------------------------- known truth
@pytest.mark.parametrize(("model", "coding"), [("UM.FS", "half"), ("UM.RS", "half"), ("CM.EL", "half")])
def test_the_truth_is_found_in_many_studies(model, coding):
    """500 studies with log odds ratios N(−0.5, 0.6²), control log-odds N(−1.5, 0.8²) before the effect is halved."""
    rng, k = np.random.default_rng(8), 500
    level, effect = rng.normal(-1.5, 0.8, k), rng.normal(-0.5, 0.6, k)
    n1, n2 = rng.integers(40, 120, k), rng.integers(40, 120, k)
    frame = pd.DataFrame({
        "events1": rng.binomial(n1, 1 / (1 + np.exp(-level - effect / 2))), "n1": n1,
        "events2": rng.binomial(n2, 1 / (1 + np.exp(-level + effect / 2))), "n2": n2,
    })  # fmt: skip
    result = MixedCounts("OR", model, coding).fit(frame)
    assert abs(result.estimate + 0.5) < 3 * result.se
    assert result.se < 0.05
    assert abs(result.tau2 - 0.36) < 3 * result.tau2_se
    if model == "UM.RS":
        assert result.glance()["sigma2"].iloc[0] == pytest.approx(0.64, abs=0.12)
