"""Random trials: counts go through unchanged, and a percentage gives the true counts back or is refused."""

from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import metail2 as m2
from metail2.errors import RecordError

ARM = st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
TRIAL = st.tuples(ARM, ARM)
ROUNDING = st.sampled_from([ROUND_HALF_UP, ROUND_HALF_EVEN, ROUND_DOWN])


def lines_of(study, trial, printed=None):
    lines = []
    for (name, role), (events, n) in zip((("x", "experimental"), ("p", "control")), trial, strict=True):
        what = f"events {events}" if printed is None else f"percent {printed(events, n)}"
        lines += [f"{study} o {name} {role} week12 {what}", f"{study} o {name} {role} week12 n {n}"]
    return lines


def frame_of(trials):
    rows = [(x, n1, y, n2) for (x, n1), (y, n2) in trials]
    return pd.DataFrame(rows, columns=["events1", "n1", "events2", "n2"])


def attempt(records):
    """The effects, or the refusal in words."""
    try:
        return m2.harmonise(records, "o", "RD"), ""
    except RecordError as error:
        return None, str(error)


def writer(decimals, rounding):
    """Print percentages as an article does, in exact decimal arithmetic."""
    unit = Decimal(1).scaleb(-decimals)

    def printed(events, n):
        return str((Decimal(100 * events) / Decimal(n)).quantize(unit, rounding=rounding))

    return printed


@settings(max_examples=60, deadline=None)
@given(trials=st.lists(TRIAL, min_size=1, max_size=4), measure=st.sampled_from(["RR", "OR", "RD"]))
@pytest.mark.filterwarnings("ignore::metail2.errors.MetailWarning")
def test_counts_give_what_effect_sizes_gives(made, trials, measure):
    records = made([line for i, trial in enumerate(trials) for line in lines_of(f"S{i}", trial)])
    effects = m2.harmonise(records, "o", measure)
    plain = m2.effect_sizes(frame_of(trials), measure)
    np.testing.assert_array_equal(effects.yi, plain.yi)
    np.testing.assert_array_equal(effects.vi, plain.vi)
    for name, values in plain.inputs.items():
        np.testing.assert_array_equal(effects.inputs[name], values)


@settings(max_examples=250, deadline=None)
@given(trial=TRIAL, decimals=st.integers(0, 3), rounding=ROUNDING)
def test_a_percentage_gives_the_true_counts_or_is_refused(made, trial, decimals, rounding):
    printed = writer(decimals, rounding)
    effects, refusal = attempt(made(lines_of("A", trial, printed)))
    if effects is None:
        assert refusal.endswith("so the counts are not known.")
        return
    assert [effects.inputs["events1"][0], effects.inputs["events2"][0]] == [x for x, _ in trial]


@settings(max_examples=40, deadline=None)
@given(
    trial=st.tuples(*[st.integers(2, 30).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))] * 2),
    decimals=st.integers(0, 2),
    rounding=ROUNDING,
)
def test_two_percentages_of_a_total_give_the_true_split_or_are_refused(made, trial, decimals, rounding):
    printed = writer(decimals, rounding)
    lines = [line for line in lines_of("A", trial, printed) if " n " not in line]
    records = made([*lines, f"A o all both week12 n {sum(n for _, n in trial)}"])
    effects, refusal = attempt(records)
    if effects is None:
        assert "so the counts are not known." in refusal
        return
    found = [int(effects.inputs[name][0]) for name in ("events1", "n1", "events2", "n2")]
    assert found == [*trial[0], *trial[1]]


@settings(max_examples=60, deadline=None)
@given(n=st.integers(1, 100), events=st.data())
def test_no_percentage_is_refused_where_it_has_decimals_enough(made, n, events):
    """Up to 100 patients two counts differ by a whole percent or more, so two decimals tell them apart."""
    count = events.draw(st.integers(0, n))
    line = f"A o x experimental week12 percent {writer(2, ROUND_HALF_UP)(count, n)}"
    effects = m2.harmonise(made([line, f"A o x experimental week12 n {n}"]), "o", "PR")
    assert effects.inputs["events"].tolist() == [count]
