"""MantelHaenszel and Peto: from a frame or from EffectSizes, sparse tables, and what is undefined."""

import math

import numpy as np
import pandas as pd
import pytest

import metail2 as m2
from metail2.errors import EffectSizeError, MetailWarning, ModelError, UnknownChoice
from metail2.models.peto import peto_conditions
from metail2.results import GLANCE_COLUMNS, STUDY_COLUMNS, TIDY_COLUMNS, Result


def counts(*rows, labels=None):
    frame = pd.DataFrame(rows, columns=["events1", "n1", "events2", "n2"])
    return frame if labels is None else frame.assign(study=labels)


SPARSE = counts((2, 50, 5, 50), (0, 40, 0, 42), (1, 30, 4, 31), labels=["Ann", "Ben", "Cal"])
EVERYBODY = counts((2, 50, 5, 50), (9, 9, 8, 8), (1, 30, 4, 31), labels=["Ann", "Ben", "Cal"])
MODELS = [
    m2.MantelHaenszel(measure="OR"), m2.MantelHaenszel(measure="RR"), m2.MantelHaenszel(measure="RD"), m2.Peto(),
]  # fmt: skip
TESTS = ("cmh", "cmh_p", "breslow_day", "breslow_day_p", "tarone", "tarone_p")
HOMOGENEITY = set(TESTS[2:])


@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_columns_of_the_tables(model, bcg_frame):
    result = model.fit(bcg_frame)
    assert isinstance(result, Result)
    assert tuple(result.tidy()) == TIDY_COLUMNS
    assert tuple(result.glance()) == (*GLANCE_COLUMNS, "level", *TESTS, "tests_reason")
    own = ("o_minus_e", "v") if result.method == "PETO" else ()
    assert tuple(result.studies()) == (*STUDY_COLUMNS, "events1", "n1", "events2", "n2", *own)
    assert result.studies()["weight"].sum() == pytest.approx(100)
    assert np.isnan(result.tidy()["df"].iloc[0])


@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_frame_cells_and_effects_give_the_same(model, bcg_frame):
    want = model.fit(bcg_frame).tidy()
    cells = pd.DataFrame({
        "a": bcg_frame["events1"], "b": bcg_frame["n1"] - bcg_frame["events1"],
        "c": bcg_frame["events2"], "d": bcg_frame["n2"] - bcg_frame["events2"],
    })  # fmt: skip
    assert model.fit(cells).tidy().equals(want)
    assert model.fit(m2.effect_sizes(bcg_frame, "RR")).tidy().equals(want)


def test_person_time():
    frame = m2.load_dataset("nielweise2008")
    assert m2.MantelHaenszel(measure="IRR").fit(frame).glance()["measure"].iloc[0] == "IRR"
    with pytest.raises(EffectSizeError, match="IRR needs the columns events1 time1 events2 time2"):
        m2.MantelHaenszel(measure="IRR").fit(SPARSE)


@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_studies_without_events(model):
    result, without = model.fit(SPARSE), model.fit(SPARSE.iloc[[0, 2]])
    state = result.studies().set_index("study")["state"].to_dict()
    risk_difference = result.glance()["measure"].iloc[0] == "RD"
    if risk_difference:  # they carry information about a difference
        assert state["Ben"] == "used"
        assert abs(result.estimate) < abs(without.estimate)
    else:
        assert state == {"Ann": "used", "Ben": "no_events", "Cal": "used"}
        assert result.estimate == pytest.approx(without.estimate, rel=1e-12)
        assert result.studies()["weight"].iloc[1] == 0
    assert result.glance()["q_df"].iloc[0] == 1  # Q is over the studies with an event


def test_a_study_in_which_everybody_had_the_event():
    """It says nothing about an odds ratio, but its risk ratio is 1 and it has weight in the pooled one."""
    ratio = m2.MantelHaenszel(measure="RR").fit(EVERYBODY)
    table = ratio.studies().set_index("study")
    assert table.loc["Ben", "weight"] > 0
    assert table.loc["Ben", "state"] == "used"
    odds = m2.MantelHaenszel(measure="OR").fit(EVERYBODY)
    assert odds.estimate == pytest.approx(m2.MantelHaenszel(measure="OR").fit(EVERYBODY.iloc[[0, 2]]).estimate)
    assert odds.studies()["weight"].iloc[1] == 0


@pytest.mark.filterwarnings("ignore:study 3. left out:metail2.errors.MetailWarning")
@pytest.mark.parametrize(
    ("model", "frame", "reason"),
    [
        (m2.MantelHaenszel("RR"), counts((0, 9, 2, 9), (0, 8, 1, 9)),
         "the Mantel–Haenszel ratio is 0, because no event occurred in any experimental arm, so its logarithm and"),
        (m2.MantelHaenszel("OR"), counts((3, 9, 0, 9), (1, 8, 0, 9)),
         "the Mantel–Haenszel ratio is undefined, because no event occurred in any control arm"),
        (m2.MantelHaenszel("OR"), counts((0, 9, 0, 9), (0, 8, 0, 9)),
         "nothing can be pooled, because no event occurred in either arm of any study"),
        (m2.MantelHaenszel("RD"), counts((0, 9, 0, 9), (0, 8, 0, 9)),
         "nothing can be pooled, because no event occurred in either arm of any study"),
        (m2.MantelHaenszel("OR"), counts((9, 9, 3, 9)),
         "the Mantel–Haenszel ratio is infinite, because in every study everybody in the experimental arm had the "
         "event (the sum of bc/n is 0), so its logarithm and interval are undefined"),
        (m2.MantelHaenszel("OR"), counts((9, 9, 3, 9), (3, 9, 0, 9), (0, 7, 0, 7)),
         "the Mantel–Haenszel ratio is infinite, because in every study everybody in the experimental arm had the "
         "event or nobody in the control arm (the sum of bc/n is 0)"),
        (m2.MantelHaenszel("OR"), counts((3, 9, 9, 9), (0, 9, 3, 9)),
         "the Mantel–Haenszel ratio is 0, because in every study everybody in the control arm had the event or nobody "
         "in the experimental arm (the sum of ad/n is 0)"),
        (m2.MantelHaenszel("OR"), counts((9, 9, 3, 9), (3, 9, 0, 9), (2, 7, 1, np.nan)),
         "the Mantel–Haenszel ratio is infinite, because in every study everybody in the experimental arm had the "
         "event or nobody in the control arm"),
        (m2.MantelHaenszel("OR"), counts((9, 9, 8, 8), (0, 9, 0, 9)),
         "nothing can be pooled, because no study has patients with and patients without the event"),
        (m2.MantelHaenszel("RR"), counts((9, 9, 3, 3), (0, 8, 0, 9)),
         "the variance of the Mantel–Haenszel ratio is 0, because in every arm all patients or none had the event"),
        (m2.MantelHaenszel("RD"), counts((9, 9, 0, 3), (7, 7, 0, 5)),
         "the variance of the Mantel–Haenszel difference is 0, because in every arm all patients or none had the"),
        (m2.Peto(), counts((0, 9, 0, 9), (8, 8, 9, 9)),
         "Peto's odds ratio is undefined, because no study has patients with and patients without the event"),
    ],
)  # fmt: skip
def test_undefined_ratios_say_why(model, frame, reason):
    result = model.fit(frame)
    glance = result.glance().iloc[0]
    assert glance["status"] == "undefined"
    assert glance["status_reason"].startswith(reason)
    assert np.isnan([result.estimate, result.se, result.p_value]).all()
    assert "undefined" in result.summary()
    assert "nan" not in result.summary().lower()


@pytest.mark.parametrize("model", MODELS, ids=repr)
@pytest.mark.parametrize("frame", [SPARSE, SPARSE.iloc[:1]])
def test_no_nan_without_a_reason(model, frame):
    glance = model.fit(frame).glance().iloc[0]
    names = (*GLANCE_COLUMNS, *TESTS)
    missing = {name for name in names if isinstance(glance[name], float) and math.isnan(glance[name])}
    missing -= {"qm", "qm_df", "qm_p", "r2"}  # no moderators: p is 1
    common = {"tau2", "tau2_se", "i2", "h2", "log_likelihood", "deviance", "aic", "bic", "aicc", "pi_lower", "pi_upper"}
    assert common <= missing
    assert "there is no τ², prediction interval or likelihood" in glance["status_reason"]
    untested = missing & set(TESTS)
    assert untested in (set(), HOMOGENEITY)
    assert bool(untested) is glance["tests_reason"].startswith("breslow_day and tarone: ")
    assert missing - common - untested in (set(), {"q", "q_p", "i2_q"})
    assert bool(missing - common - untested) is ("at least 2 studies with events" in glance["status_reason"])


def test_one_study():
    result = m2.MantelHaenszel("OR").fit(SPARSE.iloc[:1])
    assert result.estimate == pytest.approx(math.log(2 * 45 / (5 * 48)))
    assert "1 study" in result.summary()


def test_missing_counts_are_left_out_by_name():
    frame = SPARSE.astype({"events1": float})
    frame.loc[0, "events1"] = np.nan
    for model in MODELS:
        with pytest.warns(MetailWarning) as caught:
            result = model.fit(frame)
        assert [str(w.message) for w in caught] == ["Ann: left out of the fit, because a count is missing."]
        assert result.studies()["state"].iloc[0] == "missing"
        assert result.estimate == pytest.approx(model.fit(SPARSE.iloc[1:]).estimate)


@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_a_study_entered_twice_is_named(model):
    twice = pd.concat([SPARSE, SPARSE.iloc[[0]]])
    with pytest.warns(MetailWarning) as caught:
        result = model.fit(twice)
    assert [str(w.message)[:79] for w in caught] == [
        "More than one effect is labelled Ann; they are pooled as independent, so keep o"
    ]
    assert caught[0].filename == __file__
    assert len(result.studies()) == 4


@pytest.mark.parametrize("model", MODELS, ids=repr)
@pytest.mark.parametrize(
    ("row", "sizes"), [((0, 0, 0, 0), "0 and 0"), ((0, 0, 3, 4), "0 and 7"), ((0.1, 0.2, 0.3, 0.4), "0.3 and 0.7")]
)
def test_arms_without_patients(model, row, sizes):
    frame = pd.DataFrame([(2, 48, 5, 45), row], columns=list("abcd")).assign(study=["Ann", "Ben"])
    with pytest.raises(ModelError) as caught:
        model.fit(frame)
    assert str(caught.value) == (
        f"Ben: the arms have {sizes} patients, but patients in both and more than 1 together are needed to compare "
        "them; correct the counts or leave the study out."
    )


@pytest.mark.parametrize("model", MODELS, ids=repr)
@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("two", 9, 1, 9), "Ben: column 'events1' holds 'two', which is not a number"),
        ((np.inf, 9, 1, 9), "Ben: column 'events1' is inf, but it must be at most n1, which is 9"),
        ((1, np.inf, 1, 9), "Ben: column 'n1' is inf, but it must be a number of patients above 0"),
        ((-1, 9, 1, 9), "Ben: column 'events1' is -1, but it must be 0 or more"),
        ((1, 9, 10, 9), "Ben: column 'events2' is 10, but it must be at most n2, which is 9"),
        ((0, 0, 1, 9), "Ben: column 'n1' is 0, but it must be a number of patients above 0"),
    ],
)
def test_impossible_counts_are_named(model, row, message):
    with pytest.raises(EffectSizeError) as caught:
        model.fit(counts((2, 50, 5, 50), row, labels=["Ann", "Ben"]))
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_what_is_no_table(model, bcg_frame):
    with pytest.raises(EffectSizeError, match="The table has no rows, so there is nothing to compute"):
        model.fit(bcg_frame.iloc[:0])
    with pytest.raises(ModelError, match="Give a DataFrame of counts, or effects that carry them, not dict"):
        model.fit(dict(bcg_frame))


def test_an_undefined_odds_ratio_is_not_called_large():
    assert peto_conditions(m2.effect_sizes(counts((0, 9, 0, 9), (0, 8, 0, 9)), "PETO", add=0.5)) == []


def test_nothing_to_pool():
    frame = pd.DataFrame({"events1": [np.nan], "n1": [9.0], "events2": [1.0], "n2": [9.0]})
    with pytest.raises(ModelError, match="No study has all its counts, so there is nothing to pool"):
        m2.Peto().fit(frame)
    with pytest.raises(ModelError) as caught:
        m2.Peto().fit(m2.EffectSizes.from_arrays([0.1], [0.2]))
    assert str(caught.value) == "These effects carry no counts; give a frame with events1, n1, events2 and n2."


@pytest.mark.parametrize("measure", ["SMD", "or", "PETO"])
def test_unknown_measures(measure):
    with pytest.raises(UnknownChoice, match=f"Unknown Mantel–Haenszel measure '{measure}'"):
        m2.MantelHaenszel(measure=measure)


def test_order_of_the_studies(bcg_frame):
    for model in MODELS:
        one, other = model.fit(bcg_frame), model.fit(bcg_frame.iloc[::-1])
        assert other.estimate == pytest.approx(one.estimate, rel=1e-13)
        assert other.q == pytest.approx(one.q, rel=1e-12)


def test_the_level_is_used(bcg_frame):
    narrow, wide = m2.Peto(level=0.5).fit(bcg_frame), m2.Peto(level=0.99).fit(bcg_frame)
    assert wide.ci_lower < narrow.ci_lower < narrow.ci_upper < wide.ci_upper
    assert (wide.ci_upper - wide.estimate) / wide.se == pytest.approx(2.5758293035489004)


@pytest.mark.parametrize("level", [0, 95, -1])
@pytest.mark.parametrize("model", [m2.MantelHaenszel, m2.Peto])
def test_a_level_is_between_0_and_1(model, level):
    with pytest.raises(ModelError, match=r"give a number between 0 and 1, e.g. 0.95"):
        model(level=level)


def test_exponentiate(bcg_frame):
    shown = m2.Peto().fit(bcg_frame).tidy(exponentiate=True)["estimate"].iloc[0]
    assert shown == pytest.approx(math.exp(m2.Peto().fit(bcg_frame).estimate))
    with pytest.raises(ModelError, match="RD is not pooled on a log scale"):
        m2.MantelHaenszel("RD").fit(bcg_frame).tidy(exponentiate=True)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"add": -1}, "add is -1; it must be 0 or a positive number"), ({"to": "zeros"}, "rule for zero cells 'zeros'")],
)
def test_corrections_are_checked_when_the_model_is_specified(wrong, message):
    with pytest.raises((EffectSizeError, UnknownChoice), match=message):
        m2.MantelHaenszel(**wrong)


MIXED = counts(
    (3, 50, 6, 50),
    (0, 40, 2, 40),
    (0, 30, 0, 30),
    (5, 5, 5, 5),
    (10, 20, 12, 20),
    (2, 60, 0, 61),
    labels=list("ABCDEF"),
)
SCORES = pd.DataFrame({"o_minus_e": [-2.0, 0.0, 1.5], "v": [3.0, 0.0, 2.0], "study": list("ABC")})
NO_EVENT = "C has no weight, because no event occurred in either arm"
ALL_EVENTS = "D has no weight, because everybody had the event"


@pytest.mark.parametrize(
    ("model", "frame", "outside", "notes"),
    [
        (m2.MantelHaenszel("OR"), MIXED, "CD", [NO_EVENT, ALL_EVENTS]),
        (m2.MantelHaenszel("OR", to="none"), MIXED, "CD", [NO_EVENT, ALL_EVENTS]),
        (m2.MantelHaenszel("RR"), MIXED, "C", [NO_EVENT]),
        (m2.MantelHaenszel("RR", to="none"), MIXED, "C", [NO_EVENT]),
        (m2.MantelHaenszel("RD"), MIXED, "", []),
        (m2.MantelHaenszel("IRR", to="none"), MIXED.rename(columns={"n1": "time1", "n2": "time2"}), "C", [NO_EVENT]),
        (m2.Peto(), MIXED, "CD", [NO_EVENT, ALL_EVENTS]),
        (m2.Peto(), SCORES, "B", ["B has no weight, because V is 0"]),
    ],
)
def test_k_is_of_the_studies_without_which_the_estimate_differs(model, frame, outside, notes):
    """All others are named, and without them nothing changes."""
    result = model.fit(frame)
    table = result.studies().set_index("study")
    for study in frame["study"]:
        without = model.fit(frame[frame["study"] != study])
        differs = without.estimate != pytest.approx(result.estimate, rel=1e-12)
        assert table.loc[study, "state"] == ("used" if differs else "no_events")
        assert differs is (study not in outside)
    k = len(frame) - len(outside)
    assert result.glance()["k"].iloc[0] == result.k == k
    assert f", {k} studies, " in result.summary()
    assert [note for note in result.reason.split("; ") if "no weight" in note] == notes


@pytest.mark.parametrize("model", [m2.MantelHaenszel("OR", to="none"), m2.MantelHaenszel("RR"), m2.Peto()], ids=repr)
def test_studies_in_the_estimate_but_not_in_q_are_named(model):
    result = model.fit(MIXED)
    said = [note for note in result.reason.split("; ") if "but not in Q" in note]
    names = said[0].split(" count")[0].replace(" and ", "").replace(", ", "") if said else ""
    assert result.q_df + 1 + len(names) == result.k
    assert names == {"OR": "BF", "RR": "D", "PETO": ""}[result.effects.measure]


def test_no_q_although_several_studies_are_pooled():
    result = m2.MantelHaenszel("OR", to="none").fit(MIXED.iloc[[0, 1]])
    assert (result.k, result.q_df) == (2, 0)
    assert "heterogeneity needs at least 2 studies that enter Q" in result.glance()["status_reason"].iloc[0]


CORRECTED = counts((0, 50, 5, 50), (3, 40, 6, 42), (0, 9, 0, 9), (2, 60, 0, 61), labels=["Ann", "Ben", "Cal", "Dee"])


@pytest.mark.parametrize(
    ("options", "corrected", "note"),
    [
        ({}, {0: 0.5, 3: 0.5}, "the effect and interval shown for Ann and Dee, and Q, use 0.5 added to every cell"),
        ({"add": 0.1}, {0: 0.1, 3: 0.1}, "shown for Ann and Dee, and Q, use 0.1 added to every cell"),
        ({"to": "all"}, {0: 0.5, 1: 0.5, 3: 0.5}, "shown for every study, and Q, use 0.5 added to every cell"),
        ({"to": "if0all", "add": 1}, {0: 1, 1: 1, 3: 1}, "shown for every study, and Q, use 1 added to every cell"),
        (
            {"to": "none"},
            {},
            "Ann and Dee count in the estimate but not in Q, because a zero cell was not corrected, so there is no "
            "effect or variance of its own",
        ),
        ({"add": 0}, {}, "Ann and Dee count in the estimate but not in Q, because a zero cell was not corrected"),
    ],
)
def test_corrections_change_the_studies_shown_and_q_alone(options, corrected, note):
    """rma.mh's add and to for the studies; the pooled estimate and the tests use the counts as they are."""
    plain, result = m2.MantelHaenszel("OR").fit(CORRECTED), m2.MantelHaenszel("OR", **options).fit(CORRECTED)
    assert result.tidy().equals(plain.tidy())
    assert result.tests().equals(plain.tests())
    assert note in result.glance()["status_reason"].iloc[0]
    q, known = 0.0, 0
    for i, (a, n1, c, n2) in enumerate(CORRECTED.drop(columns="study").to_numpy(dtype=float)):
        cells = np.array([a, n1 - a, c, n2 - c]) + corrected.get(i, 0)
        if cells.all() and i != 2:  # Cal has no event
            effect = math.log(cells[0] * cells[3] / (cells[1] * cells[2]))
            assert result.studies()["yi"].iloc[i] == pytest.approx(effect, rel=1e-12)
            q, known = q + (effect - result.estimate) ** 2 / (1 / cells).sum(), known + 1
        else:
            assert np.isnan(result.studies()["yi"].iloc[i])
    assert result.q == pytest.approx(q if known > 1 else np.nan, rel=1e-12, nan_ok=True)
    assert result.q_df == known - 1


def test_q_of_differences_does_not_depend_on_what_is_called_an_event():
    frame = counts((2, 50, 5, 50), (0, 40, 0, 42), (9, 9, 8, 8), (1, 30, 4, 31), labels=["Ann", "Ben", "Cal", "Dee"])
    turned = frame.assign(events1=frame["n1"] - frame["events1"], events2=frame["n2"] - frame["events2"])
    result, other = m2.MantelHaenszel("RD").fit(frame), m2.MantelHaenszel("RD").fit(turned)
    assert other.estimate == pytest.approx(-result.estimate, rel=1e-12)
    assert other.q == pytest.approx(result.q, rel=1e-11)
    assert (result.q_df, other.q_df) == (1, 1)
    assert result.reason.startswith(
        "Ben and Cal count in the estimate but not in Q, because nobody or everybody had the event"
    )
    rates = pd.DataFrame({"events1": [0, 3], "time1": [9.0, 8], "events2": [0, 5], "time2": [7.0, 9]})
    assert (
        m2.MantelHaenszel("IRD")
        .fit(rates)
        .reason.startswith("study 1 counts in the estimate but not in Q, because no event occurred")
    )
    assert "Q" not in m2.MantelHaenszel("IRR").fit(rates).reason


def test_a_weight_of_0_says_why():
    note = "Dee has a weight of 0 %, having no event in the control arm, yet the events of the experimental arm count"
    assert note in m2.MantelHaenszel("RR").fit(CORRECTED).reason
    full = counts((9, 9, 3, 8), (3, 40, 6, 42), labels=["Eve", "Ben"])
    assert "Eve has a weight of 0 %, having no event in the control arm or nothing but events in the experimental" in (
        m2.MantelHaenszel("OR").fit(full).reason
    )
    assert "weight of 0" not in m2.MantelHaenszel("RR").fit(full).reason


def test_correction_of_person_time_is_of_events():
    frame = pd.DataFrame({"events1": [0, 3], "time1": [9.0, 8], "events2": [2, 5], "time2": [7.0, 9]})
    result = m2.MantelHaenszel("IRR").fit(frame)
    assert "shown for study 1, and Q, use 0.5 added to every number of events" in result.reason


def test_counts_need_not_be_whole(bcg_frame):
    """Effective sizes of cluster-randomised trials: all counts over 1.5 leave the ratio and widen its interval."""
    shrunk = bcg_frame.assign(**{name: bcg_frame[name] / 1.5 for name in ("events1", "n1", "events2", "n2")})
    for measure in ("OR", "RR", "RD"):
        whole, part = (m2.MantelHaenszel(measure).fit(frame) for frame in (bcg_frame, shrunk))
        assert part.estimate == pytest.approx(whole.estimate, rel=1e-12)
        assert part.se / whole.se == pytest.approx(math.sqrt(1.5), rel=1e-12)


def test_zero_cells_are_not_corrected():
    frame = counts((0, 50, 5, 50), (3, 40, 6, 42))
    by_hand_top = 3 * 36 / 82  # Σ ad/n: the first table adds 0
    by_hand_bottom = 5 * 50 / 100 + 6 * 37 / 82
    assert m2.MantelHaenszel("OR").fit(frame).estimate == pytest.approx(math.log(by_hand_top / by_hand_bottom))


@pytest.mark.parametrize("measure", ["RR", "OR", "RD"])
@pytest.mark.filterwarnings("ignore::metail2.MetailWarning")
def test_q_is_spoken_of_where_there_is_one(measure):
    """Also where a study has no weight but an effect of its own, which enters Q."""
    rng, seen = np.random.default_rng(3), set()
    for _ in range(600):
        n1, n2 = rng.integers(2, 12, size=(2, int(rng.integers(1, 4))))
        events = rng.binomial(n1, rng.choice([0, 0.1, 0.5])), rng.binomial(n2, rng.choice([0, 0.1, 0.5]))
        model = m2.MantelHaenszel(measure, to=str(rng.choice(["only0", "all"])))
        result = model.fit(counts(*zip(events[0], n1, events[1], n2, strict=True)))
        if " added to every cell" in result.reason:
            assert (", and Q, use" in result.reason) != np.isnan(result.q)
            seen.add(bool(np.isnan(result.q)))
    assert seen == {True, False}
