"""MantelHaenszel and Peto: from a frame or from EffectSizes, sparse tables, and what is undefined."""

import math

import numpy as np
import pandas as pd
import pytest

import metail2 as m2
from metail2.errors import EffectSizeError, MetailWarning, ModelError, UnknownChoice
from metail2.results import GLANCE_COLUMNS, STUDY_COLUMNS, TIDY_COLUMNS, Result


def counts(*rows, labels=None):
    frame = pd.DataFrame(rows, columns=["events1", "n1", "events2", "n2"])
    return frame if labels is None else frame.assign(study=labels)


SPARSE = counts((2, 50, 5, 50), (0, 40, 0, 42), (1, 30, 4, 31), labels=["Ann", "Ben", "Cal"])
EVERYBODY = counts((2, 50, 5, 50), (9, 9, 8, 8), (1, 30, 4, 31), labels=["Ann", "Ben", "Cal"])
MODELS = [
    m2.MantelHaenszel(measure="OR"), m2.MantelHaenszel(measure="RR"), m2.MantelHaenszel(measure="RD"), m2.Peto(),
]  # fmt: skip


@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_columns_of_the_tables(model, bcg_frame):
    result = model.fit(bcg_frame)
    assert isinstance(result, Result)
    assert tuple(result.tidy()) == TIDY_COLUMNS
    assert tuple(result.glance()) == (*GLANCE_COLUMNS, "level")
    assert tuple(result.studies()) == (*STUDY_COLUMNS, "events1", "n1", "events2", "n2")
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
         "the Mantel–Haenszel ratio is undefined, because one of its sums is 0"),
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
    missing = {name for name in GLANCE_COLUMNS if isinstance(glance[name], float) and math.isnan(glance[name])}
    missing -= {"qm", "qm_df", "qm_p", "r2"}  # no moderators: p is 1
    common = {"tau2", "tau2_se", "i2", "h2", "log_likelihood", "deviance", "aic", "bic", "aicc", "pi_lower", "pi_upper"}
    assert common <= missing
    assert "there is no τ², prediction interval or likelihood" in glance["status_reason"]
    assert missing - common <= {"q", "q_p", "i2_q"}
    assert bool(missing - common) is ("at least 2 studies with events" in glance["status_reason"])


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


def test_zero_cells_are_not_corrected():
    frame = counts((0, 50, 5, 50), (3, 40, 6, 42))
    by_hand_top = 3 * 36 / 82  # Σ ad/n: the first table adds 0
    by_hand_bottom = 5 * 50 / 100 + 6 * 37 / 82
    assert m2.MantelHaenszel("OR").fit(frame).estimate == pytest.approx(math.log(by_hand_top / by_hand_bottom))
