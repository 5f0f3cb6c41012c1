"""Leave-one-out and cumulative analyses refit `result.spec` on subsets of `result.effects`, down to one study."""

import numpy as np
import pandas as pd
import pytest

import metail2 as m2

LABELS = ["Ann", "Ben", "Cal", "Dee"]
COUNTS = pd.DataFrame(
    [(2, 50, 5, 50), (3, 40, 0, 42), (1, 9, 4, 8), (0, 30, 0, 31)], columns=["events1", "n1", "events2", "n2"]
).assign(study=LABELS, year=[1990, 1991, 1992, 1993])
CELLS = pd.DataFrame({
    "study": LABELS, "a": COUNTS["events1"], "b": COUNTS["n1"] - COUNTS["events1"], "c": COUNTS["events2"],
    "d": COUNTS["n2"] - COUNTS["events2"],
})  # fmt: skip
RATES = COUNTS.rename(columns={"n1": "time1", "n2": "time2"})
SCORES = pd.DataFrame({"study": LABELS, "o_minus_e": [-8.5, 3.0, -2.2, 0], "v": [16.0, 7.5, 9.1, 0]})
CASES = [
    *[(m2.MantelHaenszel(measure, to="all", add=0.25), COUNTS) for measure in ("OR", "RR", "RD")],
    *[(m2.MantelHaenszel(measure), RATES) for measure in ("IRR", "IRD")],
    (m2.MantelHaenszel("OR"), CELLS),
    (m2.Peto(level=0.9), COUNTS),
    (m2.Peto(), CELLS),
    (m2.Peto(), SCORES),
    (m2.Peto(measure="PETO"), SCORES),
    (m2.Peto(measure="HR"), SCORES.merge(COUNTS, on="study")),
    (m2.Peto(measure="PETO"), SCORES.merge(COUNTS, on="study")),
]


def same(one, other):
    pd.testing.assert_frame_equal(one.tidy(), other.tidy(), rtol=1e-13)
    pd.testing.assert_frame_equal(one.glance(), other.glance(), rtol=1e-13)
    pd.testing.assert_frame_equal(one.studies(), other.studies(), rtol=1e-13)
    pd.testing.assert_frame_equal(one.tests(), other.tests(), rtol=1e-13)


@pytest.mark.parametrize(("model", "frame"), CASES)
def test_a_subset_of_the_effects_is_the_fit_of_its_rows(model, frame):
    result = model.fit(frame)
    for i in range(4):
        same(result.spec.fit(result.effects.drop(i)), model.fit(frame.drop(index=i)))
    for k in (1, 2, 3, 4):
        same(result.spec.fit(result.effects.subset(np.arange(4) < k)), model.fit(frame.iloc[:k]))


@pytest.mark.parametrize(("model", "frame"), CASES)
def test_one_study_is_its_own_estimate(model, frame):
    result = model.fit(frame)
    alone = result.spec.fit(result.effects.subset(np.arange(4) == 0))
    if isinstance(model, m2.MantelHaenszel):  # the studies shown may be corrected, the estimate is not
        shown = m2.effect_sizes(frame.iloc[:1], model.measure).yi[0]
    else:
        shown = alone.studies()["yi"].iloc[0]
    assert alone.estimate == pytest.approx(shown, rel=1e-13)
    glance = alone.glance().iloc[0]
    assert glance["status"] == "ok"
    assert np.isnan(glance[["q", "q_p", "i2_q", "breslow_day", "tarone"]].to_numpy(dtype=float)).all()
    assert "heterogeneity needs an estimate and at least 2 studies" in glance["status_reason"]


@pytest.mark.parametrize(
    ("model", "frame", "kept", "reason"),
    [
        (
            m2.MantelHaenszel("OR"),
            COUNTS,
            "Ben",
            "the Mantel–Haenszel ratio is undefined, because no event occurred in",
        ),
        (
            m2.MantelHaenszel("IRR"),
            RATES,
            "Dee",
            "nothing can be pooled, because no event occurred in either arm of any",
        ),
        (
            m2.MantelHaenszel("RD"),
            COUNTS,
            "Dee",
            "nothing can be pooled, because no event occurred in either arm of any",
        ),
        (m2.Peto(), COUNTS, "Dee", "Peto's odds ratio is undefined, because no study has patients with and patients"),
        (m2.Peto(), SCORES, "Dee", "Peto's hazard ratio is undefined, because no study has a V above 0"),
    ],
)
def test_what_remains_may_be_undefined(model, frame, kept, reason):
    result = model.fit(frame)
    left = result.spec.fit(result.effects.subset(np.array(LABELS) == kept))
    glance = left.glance().iloc[0]
    assert np.isnan([left.estimate, left.se, left.ci_lower, left.p_value, left.q, left.i2_q]).all()
    assert glance["status"] == "undefined"
    assert glance["status_reason"].startswith(reason)
    assert "nan" not in left.summary()


def test_the_set_of_columns_that_was_used_is_used_again():
    """Effects of named columns are refitted from these, although the table holds another whole set."""
    frame = CELLS.set_axis(["study", "w", "x", "y", "z"], axis=1).merge(COUNTS.assign(events1=1), on="study")
    effects = m2.effect_sizes(frame.iloc[[0, 2]], "OR", a="w", b="x", c="y", d="z")
    want = m2.MantelHaenszel("OR").fit(CELLS.iloc[[0, 2]])
    assert m2.MantelHaenszel("OR").fit(effects).estimate == want.estimate
    assert m2.MantelHaenszel("OR").fit(effects.drop(1)).estimate == pytest.approx(effects.yi[0], rel=1e-13)


def test_moderators_and_labels_stay():
    result = m2.Peto().fit(COUNTS)
    left = result.spec.fit(result.effects.drop(0))
    assert left.effects.moderators["year"].tolist() == [1991, 1992, 1993]
    assert left.studies()["study"].tolist() == LABELS[1:]
