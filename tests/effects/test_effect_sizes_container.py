"""EffectSizes: building, choosing, joining; what it refuses."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import metail2 as m2
from metail2.effects.effect_sizes import TRAIL_COLUMNS
from metail2.errors import EffectSizeError, UnknownChoice


@pytest.fixture
def effects():
    return m2.EffectSizes.from_arrays(
        [0.1, 0.2, 0.3, 0.4], [0.01, 0.02, 0.03, 0.04], ["Ann", "Ben", "Cal", "Dee"], {"dose": [1, 2, 4, 8]}
    )


def test_attributes(effects):
    assert len(effects) == 4
    assert (effects.yi.dtype, effects.vi.dtype) == (np.float64, np.float64)
    assert (effects.yi.shape, effects.vi.shape) == ((4,), (4,))
    assert effects.study == ("Ann", "Ben", "Cal", "Dee")
    assert effects.measure == "GEN"
    assert effects.V is None
    assert effects.moderators["dose"].tolist() == [1, 2, 4, 8]
    assert effects.frame["study"].tolist() == list(effects.study)
    assert tuple(effects.trail) == TRAIL_COLUMNS
    assert effects.complete.all()
    assert effects.definition is m2.MEASURES["GEN"]


def test_it_cannot_be_changed(effects):
    with pytest.raises(AttributeError):
        effects.yi = np.zeros(4)


def test_labels_by_default():
    effects = m2.EffectSizes.from_arrays([0.1, 0.2], [0.1, 0.1])
    assert effects.study == ("study 1", "study 2")
    assert effects.moderators.shape == (2, 0)


def test_labels_may_be_anything_that_has_a_name():
    assert m2.EffectSizes.from_arrays([0.1, 0.2], [0.1, 0.1], [1994, None]).study == ("1994", "None")


def test_input_arrays_are_not_changed(effects):
    yi = np.array([0.1, 0.2])
    m2.EffectSizes.from_arrays(yi, np.array([0.1, 0.1])).subset([True, False])
    assert yi.tolist() == [0.1, 0.2]


def test_missing_values_are_none_or_nan():
    effects = m2.EffectSizes.from_arrays([0.1, None, 0.3], [0.1, 0.2, np.nan])
    assert effects.complete.tolist() == [True, False, False]


@pytest.mark.filterwarnings("ignore::pandas.errors.ChainedAssignmentError")  # pandas says as much where it can
def test_nothing_changes_in_place():
    given = pd.DataFrame({"dose": [1.0, 2.0, 4.0]})
    effects = m2.EffectSizes.from_arrays([0.1, 0.2, 0.4], [0.1, 0.1, 0.1], moderators=given)
    given["dose"] = 0.0
    effects.moderators["dose"] = 0.0
    effects.moderators.loc[0, "dose"] = 0.0
    assert effects.moderators["dose"].tolist() == [1, 2, 4]
    assert effects.numbers("dose").tolist() == [1, 2, 4]
    dependent = m2.EffectSizes.from_arrays([0.1, 0.2], V=[[0.1, 0], [0, 0.1]])
    counts = pd.DataFrame({"events1": [0, 4], "n1": [9, 9], "events2": [2, 3], "n2": [9, 9]})
    added = m2.effect_sizes(counts, "OR").added
    for array in (effects.yi, effects.vi, effects.complete, effects.numbers("dose"), dependent.V, added):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 5


def test_numbers_are_plain_numbers_of_one_column():
    table = pd.DataFrame({"n": [3, 4], "text": ["a", "b"], "flag": [True, False], "nullable": [1, 2]})
    table = table.astype({"nullable": "Int64"})
    twice = pd.concat([table, table[["n"]]], axis=1)
    effects = m2.EffectSizes.from_arrays([0.1, 0.2], [0.1, 0.1], moderators=table)
    assert effects.numbers("n").tolist() == [3.0, 4.0]
    assert [effects.numbers(name) for name in ("text", "flag", "nullable", "absent")] == [None] * 4
    assert effects.assign(n=[5, 6]).numbers("n").tolist() == [5.0, 6.0]
    assert effects.drop(0).numbers("n").tolist() == [4.0]
    assert m2.EffectSizes.from_arrays([0.1, 0.2], [0.1, 0.1], moderators=twice).numbers("n") is None


def test_moderators_of_a_frame_lose_their_index():
    frame = pd.DataFrame({"dose": [1, 2]}, index=[5, 9])
    effects = m2.EffectSizes.from_arrays([0.1, 0.2], [0.1, 0.1], moderators=frame)
    assert effects.moderators.index.tolist() == [0, 1]


# ------------------------------------------------------------------------------------- choosing
def test_subset(effects):
    kept = effects.subset([True, False, False, True])
    assert kept.yi.tolist() == [0.1, 0.4]
    assert kept.vi.tolist() == [0.01, 0.04]
    assert kept.study == ("Ann", "Dee")
    assert kept.moderators["dose"].tolist() == [1, 8]
    assert len(effects) == 4


@pytest.mark.parametrize(("i", "left"), [(0, "Ben Cal Dee"), (2, "Ann Ben Dee"), (-1, "Ann Ben Cal")])
def test_drop(effects, i, left):
    assert effects.drop(i).study == tuple(left.split())


def test_drop_keeps_the_default_names():
    assert m2.EffectSizes.from_arrays([0.1, 0.2, 0.3], [0.1, 0.1, 0.1]).drop(0).study == ("study 2", "study 3")


def test_subset_keeps_the_block_of_the_covariance():
    covariance = np.array([[0.1, 0.02, 0], [0.02, 0.2, 0], [0, 0, 0.3]])
    effects = m2.EffectSizes.from_arrays([1, 2, 3], V=covariance)
    assert effects.vi.tolist() == [0.1, 0.2, 0.3]
    kept = effects.drop(0)
    assert kept.V.tolist() == [[0.2, 0], [0, 0.3]]
    m2.pool(kept)  # what is left is independent


def test_subset_keeps_inputs_and_columns():
    frame = m2.load_dataset("yusuf1985").assign(group="oral")
    effects = m2.effect_sizes(frame, "RD", add=0.5)
    kept = effects.drop(0)
    assert kept.inputs["events1"].tolist() == frame["events1"].tolist()[1:]
    assert list(kept.frame) == ["study", "events1", "n1", "events2", "n2"]
    assert kept.moderators["group"].tolist() == ["oral"] * (len(frame) - 1)


# ------------------------------------------------------------------------------------- joining
def part(labels, measure="RR", **moderators):
    k = len(labels)
    return m2.EffectSizes.from_arrays(np.arange(k), np.ones(k), labels, moderators or None, measure=measure)


def test_concat():
    joined = m2.EffectSizes.concat([part(["Ann", "Ben"], dose=[1, 2]), part(["Cal"], year=[1999])])
    assert joined.study == ("Ann", "Ben", "Cal")
    assert joined.measure == "RR"
    assert joined.yi.tolist() == [0, 1, 0]
    assert joined.moderators["dose"].tolist()[:2] == [1, 2]
    assert joined.moderators["dose"].isna().tolist() == [False, False, True]
    assert joined.V is None


def test_concat_undoes_subset(effects):
    again = m2.EffectSizes.concat([effects.subset([True, True, False, False]), effects.drop(0).drop(0)])
    assert again.study == effects.study
    assert again.yi.tolist() == effects.yi.tolist()
    assert again.moderators.equals(effects.moderators)


def test_concat_keeps_covariances_within_their_part():
    dependent = m2.EffectSizes.from_arrays([1, 2], V=[[0.1, 0.05], [0.05, 0.2]], study=["a", "b"])
    independent = m2.EffectSizes.from_arrays([3], [0.3], ["c"])
    for parts, want in (
        ([dependent, independent], [[0.1, 0.05, 0], [0.05, 0.2, 0], [0, 0, 0.3]]),
        ([independent, dependent], [[0.3, 0, 0], [0, 0.1, 0.05], [0, 0.05, 0.2]]),
    ):
        assert m2.EffectSizes.concat(parts).V.tolist() == want


def test_concat_of_inputs():
    frame = pd.DataFrame({"events1": [1.0, 2], "n1": [9.0, 9], "events2": [3.0, 4], "n2": [9.0, 9]})
    first = m2.effect_sizes(frame.assign(study=["a", "b"]), "RR")
    joined = m2.EffectSizes.concat([first, part(["c"])])
    assert joined.inputs["events1"].tolist()[:2] == [1, 2]
    assert np.isnan(joined.inputs["events1"][2])


# ------------------------------------------------------------------------------------- refusals, word for word
GOOD = ([0.1, 0.2], [0.1, 0.1])
REFUSALS = [
    (lambda: m2.EffectSizes.from_arrays(*GOOD, ["Ann"]),
     "yi has 2 entries but study has 1 labels; give one for each study."),
    (lambda: m2.EffectSizes.from_arrays(*GOOD, moderators={"dose": [1, 2, 3]}),
     "yi has 2 entries but the moderators have 3 rows; give one for each study."),
    (lambda: m2.EffectSizes.from_arrays(*GOOD, moderators={"dose": [1, 2], "year": [1]}),
     "Moderators must be columns of one length: All arrays must be of the same length."),
    (lambda: m2.EffectSizes.from_arrays([0.1, 0.2], V=np.eye(3)),
     "V must have shape (2, 2), one row and column an effect, but it is (3, 3)."),
    (lambda: m2.EffectSizes.from_arrays([0.1, 0.2], V=[[1, 0.5], [0.4, 1]]),
     "V must be symmetric: the covariance of two effects is one number."),
    (lambda: m2.EffectSizes.from_arrays([0.1, 0.2], V=[[1, 0], [0, 0]], study=["Ann", "Ben"]),
     "Ben: vi is 0; a sampling variance must be above 0 and finite (NaN marks a missing one)."),
    (lambda: m2.EffectSizes.from_arrays(["x", 0.2], [0.1, 0.1]), "yi must hold numbers, but 'x' is not one."),
    (lambda: m2.EffectSizes.from_arrays([0.1, 0.2], [0.1, "n/a"]), "vi must hold numbers, but 'n/a' is not one."),
    (lambda: part(["a", "b"]).drop(2), "There is no effect at position 2: there are 2."),
    (lambda: part(["a", "b"]).drop(-3), "There is no effect at position -3: there are 2."),
    (lambda: part(["a", "b"]).subset([True]), "subset needs one True or False for each of the 2 effects."),
    (lambda: part(["a", "b"]).subset([1, 0]), "subset needs one True or False for each of the 2 effects."),
    (lambda: m2.EffectSizes.concat([]), "There are no effects to join."),
    (lambda: m2.EffectSizes.concat([part(["a"], "RR"), part(["b"], "OR")]),
     "Effects of different measures cannot be joined: OR, RR."),
    (lambda: m2.EffectSizes.concat([part(["a", "b"]), part(["b", "c"])]),
     "b would be entered twice; keep one of its effects."),
]  # fmt: skip


@pytest.mark.parametrize(("act", "message"), REFUSALS, ids=[message[:40] for _, message in REFUSALS])
def test_refusals(act, message):
    with pytest.raises(EffectSizeError) as caught:
        act()
    assert str(caught.value) == message


def test_unknown_measure():
    with pytest.raises(UnknownChoice, match=r"Unknown measure 'rr'\. Did you mean 'RR'\? Choose from: "):
        m2.EffectSizes.from_arrays(*GOOD, measure="rr")


@given(st.integers(1, 12), st.data())
@settings(max_examples=60, deadline=None, derandomize=True)
def test_dropping_one_by_one_is_a_subset(k, data):
    effects = m2.EffectSizes.from_arrays(np.arange(k), np.arange(1, k + 1), moderators={"x": np.arange(k)})
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=k, max_size=k)), dtype=bool)
    left = effects
    for i in np.flatnonzero(~mask)[::-1]:
        left = left.drop(int(i))
    chosen = effects.subset(mask)
    assert left.study == chosen.study
    assert left.yi.tolist() == chosen.yi.tolist()
    assert left.moderators["x"].tolist() == chosen.moderators["x"].tolist()
