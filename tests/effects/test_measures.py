"""effect_sizes(): options, zero cells, symmetries, messages; rows are never dropped or reordered."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.special import gamma

import metail2 as m2
from metail2.effects.counts import TO
from metail2.errors import EffectSizeError, MetailWarning, UnknownChoice


def two_by_two(*rows, labels=None):
    frame = pd.DataFrame(rows, columns=["events1", "n1", "events2", "n2"], dtype=float)
    return frame if labels is None else frame.assign(study=labels)


def means(**columns):
    base = {"mean1": [5.0], "sd1": [2.0], "n1": [20.0], "mean2": [4.0], "sd2": [1.5], "n2": [25.0]}
    return pd.DataFrame(base | {name: np.atleast_1d(values) for name, values in columns.items()})


def change(**columns):
    base = {"mean_post": [5.0], "sd_post": [2.0], "mean_pre": [4.0], "sd_pre": [1.5], "n": [20.0], "r": [0.6]}
    return pd.DataFrame(base | {name: np.atleast_1d(values) for name, values in columns.items()})


def one(frame, measure, **options):
    effects = m2.effect_sizes(frame, measure, **options)
    return float(effects.yi[0]), float(effects.vi[0])


def quiet(frame, measure, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MetailWarning)
        return m2.effect_sizes(frame, measure, **options)


# ------------------------------------------------------------------------------------- by hand
def test_two_by_two_by_hand():
    frame = two_by_two((4, 20, 10, 25))
    assert one(frame, "RR") == pytest.approx((np.log(0.2 / 0.4), 1 / 4 - 1 / 20 + 1 / 10 - 1 / 25))
    assert one(frame, "OR") == pytest.approx((np.log(4 * 15 / (16 * 10)), 1 / 4 + 1 / 16 + 1 / 10 + 1 / 15))
    assert one(frame, "RD") == pytest.approx((-0.2, 0.2 * 0.8 / 20 + 0.4 * 0.6 / 25))
    v = stats.hypergeom(45, 20, 14).var()
    assert one(frame, "PETO") == pytest.approx(((4 - 14 * 20 / 45) / v, 1 / v))


def test_person_time_by_hand():
    frame = pd.DataFrame({"events1": [4.0], "time1": [100.0], "events2": [9.0], "time2": [90.0]})
    assert one(frame, "IRR") == pytest.approx((np.log(0.04 / 0.1), 1 / 4 + 1 / 9))
    assert one(frame, "IRD") == pytest.approx((-0.06, 4 / 100**2 + 9 / 90**2))


def test_two_means_by_hand():
    assert one(means(), "MD") == pytest.approx((1, 4 / 20 + 2.25 / 25))
    pooled = (19 * 4 + 24 * 2.25) / 43
    assert one(means(), "MD", vtype="HO") == pytest.approx((1, pooled * (1 / 20 + 1 / 25)))
    j = gamma(43 / 2) / (np.sqrt(43 / 2) * gamma(42 / 2))
    g = j / np.sqrt(pooled)
    assert one(means(), "SMD") == pytest.approx((g, 1 / 20 + 1 / 25 + g**2 / 90))
    ratio = np.log(5 / 4) + 0.5 * (0.4**2 / 20 - 0.375**2 / 25)
    assert one(means(), "ROM") == pytest.approx((ratio, 0.4**2 / 20 + 0.375**2 / 25))


def test_change_by_hand():
    variance = 4 + 2.25 - 2 * 0.6 * 3
    assert one(change(), "MC") == pytest.approx((1, variance / 20))
    j = gamma(19 / 2) / (np.sqrt(19 / 2) * gamma(18 / 2))
    g = j / np.sqrt(variance)
    assert one(change(), "SMCC") == pytest.approx((g, 1 / 20 + g**2 / 40))
    assert one(pd.DataFrame({"d": [1 / np.sqrt(variance)], "n": [20]}), "SMCC") == pytest.approx(
        (g, 1 / 20 + g**2 / 40)
    )
    g = j / 1.5
    assert one(change(), "SMCR") == pytest.approx((g, 0.8 / 20 + g**2 / 40))
    assert one(change().drop(columns="sd_post"), "SMCR") == one(change(), "SMCR")


def test_proportions_by_hand():
    frame = pd.DataFrame({"events": [3.0], "n": [12.0]})
    assert one(frame, "PR") == pytest.approx((0.25, 0.25 * 0.75 / 12))
    assert one(frame, "PLO") == pytest.approx((np.log(3 / 9), 1 / 3 + 1 / 9))
    angle = 0.5 * (np.arcsin(np.sqrt(3 / 13)) + np.arcsin(np.sqrt(4 / 13)))
    assert one(frame, "PFT") == pytest.approx((angle, 1 / 50))


def test_generic_effects():
    assert one(pd.DataFrame({"yi": [0.3], "vi": [0.04]}), "GEN") == (0.3, 0.04)
    assert one(pd.DataFrame({"yi": [0.3], "sei": [0.2]}), "GEN") == pytest.approx((0.3, 0.04))
    half = 1.959963984540054 * 0.2
    interval = pd.DataFrame({"yi": [0.3], "ci_lower": [0.3 - half], "ci_upper": [0.3 + half]})
    assert one(interval, "GEN") == pytest.approx((0.3, 0.04))


# ------------------------------------------------------------------------------------- zero cells
def test_zero_cells_get_a_half_where_a_table_has_one():
    frame = two_by_two((0, 10, 3, 10), (2, 10, 3, 10))
    yi = m2.effect_sizes(frame, "OR").yi
    assert yi.tolist() == pytest.approx([np.log(0.5 * 7.5 / (10.5 * 3.5)), np.log(2 * 7 / (8 * 3))])


@pytest.mark.parametrize(
    ("to", "corrected"), [("only0", [True, False]), ("all", [True, True]), ("if0all", [True, True])]
)
def test_which_tables_are_corrected(to, corrected):
    frame = two_by_two((0, 10, 3, 10), (2, 10, 3, 10))
    yi = m2.effect_sizes(frame, "RD", to=to, add=1).yi
    raw, added = [-0.3, -0.1], [1 / 12 - 4 / 12, 3 / 12 - 4 / 12]
    assert yi.tolist() == pytest.approx([a if c else r for r, a, c in zip(raw, added, corrected, strict=True)])


def test_if0all_without_a_zero_corrects_nothing():
    frame = two_by_two((1, 10, 3, 10), (2, 10, 3, 10))
    assert m2.effect_sizes(frame, "OR", to="if0all").yi.tolist() == m2.effect_sizes(frame, "OR", to="none").yi.tolist()


def test_uncorrected_zero_cells_are_nan_by_name():
    frame = two_by_two((0, 10, 3, 10), (2, 10, 3, 10), labels=["Ann", "Ben"])
    for options in ({"to": "none"}, {"add": 0}):
        with pytest.warns(MetailWarning, match="The odds ratio of Ann cannot be computed"):
            effects = m2.effect_sizes(frame, "OR", **options)
        assert np.isnan(effects.yi).tolist() == [True, False]
        assert effects.study == ("Ann", "Ben")


@pytest.mark.parametrize("measure", ["RR", "OR", "RD", "PETO"])
def test_drop00(measure):
    frame = two_by_two((0, 10, 0, 12), (10, 10, 12, 12), (1, 10, 0, 12))
    kept = m2.effect_sizes(frame, measure)
    assert np.isfinite(kept.yi).all()
    with pytest.warns(MetailWarning, match="of study 1 and study 2 cannot"):
        dropped = m2.effect_sizes(frame, measure, drop00=True)
    assert np.isnan(dropped.yi).tolist() == [True, True, False]
    assert dropped.yi[2] == kept.yi[2]


@pytest.mark.parametrize("measure", ["IRR", "IRD"])
def test_drop00_of_rates(measure):
    frame = pd.DataFrame({"events1": [0.0, 1], "time1": [9.0, 9], "events2": [0.0, 0], "time2": [8.0, 8]})
    with pytest.warns(MetailWarning, match="of study 1 cannot"):
        assert np.isnan(m2.effect_sizes(frame, measure, drop00=True).yi).tolist() == [True, False]


def test_the_freeman_tukey_angle_needs_no_correction():
    frame = pd.DataFrame({"events": [0.0, 10], "n": [10.0, 10]})
    assert m2.effect_sizes(frame, "PFT").yi.sum() == pytest.approx(np.pi / 2)


@pytest.mark.parametrize("to", TO)
@pytest.mark.parametrize("measure", ["RR", "OR", "RD", "PETO"])
def test_the_correction_leaves_the_inputs_alone(measure, to):
    frame = two_by_two((0, 10, 3, 10), (2, 10, 3, 10))
    effects = quiet(frame, measure, to=to)
    assert effects.inputs["events1"].tolist() == [0, 2]
    assert frame["events1"].tolist() == [0, 2]


# ------------------------------------------------------------------------------------- rows and columns
def test_rows_are_never_dropped_or_reordered():
    frame = pd.DataFrame({
        "study": ["d", "a", "c", "b"], "mean1": [1.0, np.nan, 3, 4], "sd1": [1.0, 1, 0, 1], "n1": [9.0, 9, 9, 9],
        "mean2": [0.0, 0, 0, 0], "sd2": [1.0, 1, 0, 1], "n2": [9.0, 9, 9, np.nan],
    }, index=[4, 2, 9, 1])  # fmt: skip
    with pytest.warns(MetailWarning) as caught:
        effects = m2.effect_sizes(frame, "MD")
    assert [str(w.message) for w in caught] == [
        "The mean difference of a, c and b cannot be computed with its variance from the figures given (a: mean1 is "
        "missing; c: both SDs are 0; b: n2 is missing); of c and b only the variance is NaN, the others stay in the "
        "table as "
        "NaN."
    ]
    assert effects.study == ("d", "a", "c", "b")
    assert np.isnan(effects.vi).tolist() == [False, True, True, True]
    assert effects.moderators["study"].tolist() == ["d", "a", "c", "b"]


def test_many_missing_effects_are_summed_up():
    frame = two_by_two(*[(np.nan, 9, 1, 9)] * 8)
    with pytest.warns(MetailWarning, match="study 1, study 2, study 3, study 4, study 5 and 3 more cannot"):
        m2.effect_sizes(frame, "RR")


def test_columns_may_have_any_name():
    frame = two_by_two((4, 20, 10, 25), labels=["Ann"])
    renamed = frame.rename(columns={"events1": "x", "n1": "total treated", "study": "trial"})
    effects = m2.effect_sizes(renamed, "RR", study="trial", events1="x", n1="total treated")
    assert effects.yi.tolist() == m2.effect_sizes(frame, "RR").yi.tolist()
    assert effects.study == ("Ann",)
    assert list(effects.inputs) == ["events1", "n1", "events2", "n2"]


def test_either_set_of_columns():
    cells = pd.DataFrame({"a": [4.0], "b": [16.0], "c": [10.0], "d": [15.0]})
    assert m2.effect_sizes(cells, "OR").yi.tolist() == m2.effect_sizes(two_by_two((4, 20, 10, 25)), "OR").yi.tolist()


@pytest.mark.parametrize("dtype", ["int64", "float32", "Int64", "object", "string"])
def test_types_of_columns(dtype):
    frame = two_by_two((4, 20, 10, 25)).astype("int64").astype(dtype)
    assert m2.effect_sizes(frame, "RR").yi[0] == pytest.approx(np.log(0.5))


def test_missing_values_of_pandas():
    frame = two_by_two((4, 20, 10, 25), (5, 20, 9, 25)).astype("Int64")
    frame.loc[1, "events1"] = pd.NA
    with pytest.warns(MetailWarning, match="of study 2 cannot"):
        assert np.isnan(m2.effect_sizes(frame, "RR").yi).tolist() == [False, True]


@pytest.mark.parametrize(
    ("measure", "frame"),
    [("SMD", means(n1=1, n2=1)), ("SMCC", change(n=1)), ("SMCR", change(n=2, r=1.0, mean_post=4.0)),
     ("ROM", means(mean1=-5)), ("SMD", means(sd1=0, sd2=0)), ("MC", change(r=1, sd_post=1.5)),
     ("ROMC", change(mean_pre=0))],
)  # fmt: skip
def test_what_has_no_variance_is_marked(measure, frame):
    with pytest.warns(MetailWarning, match="of study 1 cannot be computed"):
        assert np.isnan(m2.effect_sizes(frame, measure).vi[0])


def test_arms_of_one_patient():
    assert one(two_by_two((1, 1, 0, 1)), "RR") == pytest.approx((np.log(3), 2 / 3 - 1 / 2 + 2 - 1 / 2))
    assert one(means(n1=1), "MD") == pytest.approx((1, 4 + 2.25 / 25))


# ------------------------------------------------------------------------------------- messages, word for word
MESSAGES = [
    (lambda: m2.effect_sizes(two_by_two((12, 10, 3, 9), labels=["Ann"]), "RR"),
     "Ann: column 'events1' is 12, but it must be at most n1, which is 10; correct the entry."),
    (lambda: m2.effect_sizes(two_by_two((2, 10, 3, 9), (2, 10, -3, 9)), "RR"),
     "study 2: column 'events2' is -3, but it must be 0 or more; correct the entry."),
    (lambda: m2.effect_sizes(two_by_two((0, 0, 3, 9)), "OR"),
     "study 1: column 'n1' is 0, but it must be a number of patients above 0; correct the entry."),
    (lambda: m2.effect_sizes(two_by_two((1, np.inf, 3, 9)), "OR"),
     "study 1: column 'n1' is inf, but it must be a number of patients above 0; correct the entry."),
    (lambda: m2.effect_sizes(two_by_two((11, 10, 3, 9)).rename(columns={"events1": "x"}), "RR", events1="x"),
     "study 1: column 'x' is 11, but it must be at most n1, which is 10; correct the entry."),
    (lambda: m2.effect_sizes(means(sd1=-2), "MD"),
     "study 1: column 'sd1' is -2, but it must be 0 or more; correct the entry."),
    (lambda: m2.effect_sizes(means(mean2=np.inf), "MD"),
     "study 1: column 'mean2' is inf, but it must be finite; correct the entry."),
    (lambda: m2.effect_sizes(change(r=1.2), "MC"),
     "study 1: column 'r' is 1.2, but it must lie between −1 and 1; correct the entry."),
    (lambda: m2.effect_sizes(change(r=-1.01), "SMCR"),
     "study 1: column 'r' is -1.01, but it must lie between −1 and 1; correct the entry."),
    (lambda: m2.effect_sizes(pd.DataFrame({"events": [3], "n": [2]}), "PR"),
     "study 1: column 'events' is 3, but it must be at most n, which is 2; correct the entry."),
    (lambda: m2.effect_sizes(pd.DataFrame({"events1": [3], "time1": [0], "events2": [1], "time2": [5]}), "IRR"),
     "study 1: column 'time1' is 0, but it must be a person-time above 0; correct the entry."),
    (lambda: m2.effect_sizes(pd.DataFrame({"yi": [1], "ci_lower": [2], "ci_upper": [3]}), "GEN"),
     "study 1: column 'ci_lower' is 2, but it must leave the estimate 1 inside the interval; correct the entry."),
    (lambda: m2.effect_sizes(pd.DataFrame({"yi": [1], "sei": [0]}), "GEN"),
     "study 1: column 'sei' is 0, but it must be above 0; correct the entry."),
    (lambda: m2.effect_sizes(two_by_two((1, 10, 3, 9), labels=["Ann"]).assign(n2="9 (3)"), "RR"),
     "Ann: column 'n2' holds '9 (3)', which is not a number; correct it or leave it empty."),
    (lambda: m2.effect_sizes(pd.DataFrame({"events1": [1], "n1": [2]}), "RR"),
     "RR needs the columns events1 n1 events2 n2 or a b c d; events2 and n2 are missing. The table has events1, n1; "
     'name a column as events2="its name".'),
    (lambda: m2.effect_sizes(pd.DataFrame({"mean1": [1], "sd1": [2], "n1": [3], "mean2": [1], "n2": [3]}), "MD"),
     "MD needs the columns mean1 sd1 n1 mean2 sd2 n2; sd2 is missing. The table has mean1, sd1, n1, mean2, n2; name a "
     'column as sd2="its name".'),
    (lambda: m2.effect_sizes(two_by_two((1, 2, 1, 2)), "RR", events1="deaths"),
     "There is no column 'deaths' (given as events1); the table has events1, n1, events2, n2."),
    (lambda: m2.effect_sizes(two_by_two((1, 2, 1, 2)), "RR", study="trial"),
     "There is no column 'trial' for the study labels; the table has events1, n1, events2, n2."),
    (lambda: m2.effect_sizes(pd.DataFrame(), "RR"), "The table has no rows, so there is nothing to compute."),
    (lambda: m2.effect_sizes(two_by_two((1, 2, 1, 2)), "RR", add=-1), "add is -1; it must be 0 or a positive number."),
]  # fmt: skip


@pytest.mark.parametrize(("act", "message"), MESSAGES, ids=[message[:50] for _, message in MESSAGES])
def test_messages(act, message):
    with pytest.raises(EffectSizeError) as caught:
        act()
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"measure": "OddsRatio"}, "Unknown measure 'OddsRatio'."),
        ({"measure": "rr"}, "Unknown measure 'rr'. Did you mean 'RR'?"),
        ({"measure": "RR", "vtype": "UB"}, "Unknown variance of RR 'UB'. Choose from: LS."),
        ({"measure": "RR", "to": "zero"}, "Unknown rule for zero cells 'zero'."),
        ({"measure": "RR", "event1": "x"}, "Unknown column of RR 'event1'. Did you mean 'events1'?"),
    ],
)
def test_unknown_choices(options, message):
    with pytest.raises(UnknownChoice) as caught:
        m2.effect_sizes(two_by_two((1, 2, 1, 2)), **options)
    assert str(caught.value).startswith(message)


# ------------------------------------------------------------------------------------- symmetries
TABLE = st.tuples(st.integers(0, 30), st.integers(1, 40), st.integers(0, 30), st.integers(1, 40)).map(
    lambda t: (t[0], t[0] + t[1], t[2], t[2] + t[3])
)
POSITIVE = st.floats(0.1, 50)
GROUP = st.tuples(st.floats(1, 40), POSITIVE, st.integers(2, 200))


@given(st.lists(TABLE, min_size=1, max_size=5))
@settings(max_examples=80, deadline=None, derandomize=True)
@pytest.mark.parametrize("measure", ["RR", "OR", "RD", "PETO"])
def test_swapping_the_arms_changes_the_sign(measure, rows):
    frame = two_by_two(*rows)
    swapped = frame.rename(columns={"events1": "events2", "events2": "events1", "n1": "n2", "n2": "n1"})
    one_way, other = quiet(frame, measure), quiet(swapped, measure)
    np.testing.assert_allclose(other.yi, -one_way.yi, rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(other.vi, one_way.vi, rtol=1e-10)


@given(st.lists(TABLE, min_size=1, max_size=5))
@settings(max_examples=80, deadline=None, derandomize=True)
@pytest.mark.parametrize("measure", ["OR", "RD", "PETO"])
def test_counting_the_other_outcome_changes_the_sign(measure, rows):
    """Survival instead of death; a risk ratio alone has no such symmetry."""
    frame = two_by_two(*rows)
    other = frame.assign(events1=frame["n1"] - frame["events1"], events2=frame["n2"] - frame["events2"])
    first, second = quiet(frame, measure), quiet(other, measure)
    np.testing.assert_allclose(second.yi, -first.yi, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(second.vi, first.vi, rtol=1e-9)


@given(GROUP, GROUP)
@settings(max_examples=80, deadline=None, derandomize=True)
@pytest.mark.parametrize("measure", ["MD", "SMD", "ROM"])
def test_swapping_the_groups_changes_the_sign(measure, first, second):
    m1, s1, n1 = first
    m2_, s2, n2 = second
    one_way = quiet(means(mean1=m1, sd1=s1, n1=n1, mean2=m2_, sd2=s2, n2=n2), measure)
    other = quiet(means(mean1=m2_, sd1=s2, n1=n2, mean2=m1, sd2=s1, n2=n1), measure)
    np.testing.assert_allclose(other.yi, -one_way.yi, rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(other.vi, one_way.vi, rtol=1e-10)


@given(GROUP, GROUP, st.floats(0.001, 1000))
@settings(max_examples=80, deadline=None, derandomize=True)
@pytest.mark.parametrize(("measure", "power"), [("MD", 1), ("SMD", 0), ("ROM", 0)])
def test_units_of_two_means(measure, power, first, second, c):
    m1, s1, n1 = first
    m2_, s2, n2 = second
    plain = quiet(means(mean1=m1, sd1=s1, n1=n1, mean2=m2_, sd2=s2, n2=n2), measure)
    scaled = quiet(means(mean1=c * m1, sd1=c * s1, n1=n1, mean2=c * m2_, sd2=c * s2, n2=n2), measure)
    np.testing.assert_allclose(scaled.yi, c**power * plain.yi, rtol=1e-9, atol=1e-11 * c**power)
    np.testing.assert_allclose(scaled.vi, c ** (2 * power) * plain.vi, rtol=1e-9)


@given(st.floats(1, 40), POSITIVE, st.floats(1, 40), POSITIVE, st.integers(3, 200), st.floats(-0.95, 0.95),
       st.floats(0.001, 1000))  # fmt: skip
@settings(max_examples=80, deadline=None, derandomize=True)
@pytest.mark.parametrize(("measure", "power"), [("MC", 1), ("SMCC", 0), ("SMCR", 0), ("ROMC", 0)])
def test_units_of_a_change(measure, power, post, sd_post, pre, sd_pre, n, r, c):
    plain = quiet(change(mean_post=post, sd_post=sd_post, mean_pre=pre, sd_pre=sd_pre, n=n, r=r), measure)
    scaled = quiet(
        change(mean_post=c * post, sd_post=c * sd_post, mean_pre=c * pre, sd_pre=c * sd_pre, n=n, r=r), measure
    )
    np.testing.assert_allclose(scaled.yi, c**power * plain.yi, rtol=1e-9, atol=1e-11 * c**power)
    np.testing.assert_allclose(scaled.vi, c ** (2 * power) * plain.vi, rtol=1e-8)


@given(st.integers(0, 60), st.integers(1, 60))
@settings(max_examples=80, deadline=None, derandomize=True)
def test_counting_the_other_outcome_of_a_proportion(events, rest):
    frame = pd.DataFrame({"events": [float(events)], "n": [float(events + rest)]})
    other = frame.assign(events=float(rest))
    for measure, total in (("PR", 1), ("PLO", 0), ("PFT", np.pi / 2)):
        first, second = quiet(frame, measure), quiet(other, measure)
        np.testing.assert_allclose(first.yi + second.yi, total, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(second.vi, first.vi, rtol=1e-9)


@given(st.lists(TABLE, min_size=2, max_size=6), st.randoms())
@settings(max_examples=40, deadline=None, derandomize=True)
@pytest.mark.parametrize("measure", ["RR", "OR", "RD", "PETO"])
def test_rows_do_not_touch_each_other(measure, rows, random):
    order = list(range(len(rows)))
    random.shuffle(order)
    plain, shuffled = quiet(two_by_two(*rows), measure), quiet(two_by_two(*(rows[i] for i in order)), measure)
    np.testing.assert_array_equal(shuffled.yi, plain.yi[order])
    np.testing.assert_array_equal(shuffled.vi, plain.vi[order])


# ------------------------------------------------------------------------------------- is the variance the variance?
DRAWS = 40_000


def simulated(measure, frame, truth, rel, bias):
    """The mean variance is the variance of the estimates, and the estimates are centred."""
    effects = m2.effect_sizes(frame, measure)
    assert effects.vi.mean() == pytest.approx(effects.yi.var(), rel=rel)
    assert effects.yi.mean() == pytest.approx(truth, abs=bias)


def group(rng, mean, sd, n):
    values = rng.normal(mean, sd, (DRAWS, n))
    return values.mean(1), values.std(1, ddof=1)


@pytest.mark.parametrize("vtype", ["LS", "LS2", "UB"])
def test_variance_of_smd(vtype):
    rng = np.random.default_rng(1)
    (mean1, sd1), (mean2, sd2) = group(rng, 0.7, 1, 25), group(rng, 0, 1, 20)
    frame = pd.DataFrame({"mean1": mean1, "sd1": sd1, "n1": 25, "mean2": mean2, "sd2": sd2, "n2": 20})
    effects = m2.effect_sizes(frame, "SMD", vtype=vtype)
    # unbiased in the mean; LS2 is the variance of the biased estimate shrunk, a few per cent too small
    assert effects.vi.mean() == pytest.approx(effects.yi.var(), rel=0.02 if vtype == "UB" else 0.06)
    assert effects.yi.mean() == pytest.approx(0.7, abs=4 * np.sqrt(effects.yi.var() / DRAWS))


def test_variance_of_rom():
    rng = np.random.default_rng(2)
    (mean1, sd1), (mean2, sd2) = group(rng, 12, 3, 30), group(rng, 10, 2, 30)
    frame = pd.DataFrame({"mean1": mean1, "sd1": sd1, "n1": 30, "mean2": mean2, "sd2": sd2, "n2": 30})
    simulated("ROM", frame, np.log(1.2), 0.03, 2e-3)


def test_variance_of_rr():
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"events1": rng.binomial(300, 0.2, DRAWS), "n1": 300,
                          "events2": rng.binomial(300, 0.3, DRAWS), "n2": 300})  # fmt: skip
    simulated("RR", frame, np.log(2 / 3), 0.03, 5e-3)


def test_variance_of_smcr():
    rng = np.random.default_rng(4)
    n, r = 60, 0.6
    pre = rng.normal(0, 1, (DRAWS, n))
    post = 0.5 + r * pre + np.sqrt(1 - r**2) * rng.normal(0, 1, (DRAWS, n))
    frame = pd.DataFrame({
        "mean_post": post.mean(1), "sd_post": post.std(1, ddof=1), "n": n, "r": r,
        "mean_pre": pre.mean(1), "sd_pre": pre.std(1, ddof=1),
    })  # fmt: skip
    simulated("SMCR", frame, 0.5, 0.05, 4e-3)
