"""Counts from printed percentages: the trials, every candidate by brute force, refusals with their lists."""

import re
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Context, Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metail2.conversions import events_from_percent, splits_from_percents, unique
from metail2.errors import EffectSizeError, UnknownChoice

WIDE = Context(prec=60)


def prints(events, n, decimals):
    """Print 100·events/n as authors might, by another route than the code: long decimal division."""
    exact = WIDE.divide(Decimal(100 * events), Decimal(n))
    unit = Decimal(1).scaleb(-decimals)
    rounded = {str(exact.quantize(unit, rounding, WIDE)) for rounding in (ROUND_HALF_UP, ROUND_HALF_EVEN)}
    return rounded, str(exact.quantize(unit, ROUND_DOWN, WIDE))


def convention(events, n, printed):
    rounded, truncated = prints(events, n, len(printed.partition(".")[2]))
    names = [name for name, holds in (("rounding", printed in rounded), ("truncation", printed == truncated)) if holds]
    return " or ".join(names)


def brute_force(printed, n):
    return [(events, how) for events in range(n + 1) if (how := convention(events, n, printed))]


@pytest.mark.parametrize(
    ("printed", "n", "events"),
    [
        pytest.param("55.17", 29, 16, id="He 2020, IL-2, week 12"),
        pytest.param("30.00", 30, 9, id="He 2020, placebo, week 12"),
        pytest.param("65.52", 29, 19, id="He 2020, IL-2, week 24"),
        pytest.param("36.67", 30, 11, id="He 2020, placebo, week 24"),
        pytest.param("68", 50, 34, id="LUPIL-2, IL-2, ITT"),
        pytest.param("58", 50, 29, id="LUPIL-2, placebo, ITT"),
        pytest.param("70.6", 17, 12, id="Zhang 2022, IL-2, week 12"),
        pytest.param("43.5", 23, 10, id="Zhang 2022, placebo, week 12"),
        pytest.param("76.5", 17, 13, id="Zhang 2022, IL-2, week 24"),
        pytest.param("56.5", 23, 13, id="Zhang 2022, placebo, week 24"),
        pytest.param("38.4", 26, 10, id="Allegretti 2023, response"),
        pytest.param("15.4", 26, 4, id="Allegretti 2023, remission"),
    ],
)
def test_trials_with_arm_sizes(printed, n, events):
    assert unique(events_from_percent(printed, n)).events == events


def test_allegretti_2023_prints_only_by_truncation():
    candidates = events_from_percent("38.4", 26)
    assert [(candidate.events, candidate.how) for candidate in candidates] == [(10, "truncation")]
    assert candidates[0].note == "10 of 26 prints as 38.4 only by truncation (38.46)"
    assert candidates.by("rounding") == ()
    with pytest.raises(EffectSizeError) as error:
        unique(candidates, "rounding")
    assert str(error.value) == (
        "No count gives 38.4 % of 26 by rounding; 10 of 26 prints as 38.4 only by truncation (38.46)."
    )


def test_lupil2_per_protocol_has_one_split():
    split = unique(splits_from_percents("83.3", "51.7", 53))
    assert (split.events1, split.n1, split.events2, split.n2) == (20, 24, 15, 29)
    assert split.note == "20/24 and 15/29 print as 83.3 and 51.7 by rounding or truncation (83.33, 51.72)"


def test_le_duff_has_one_split():
    split = unique(splits_from_percents("14.3", "9.1", 43))
    assert (split.events1, split.n1, split.events2, split.n2, split.how) == (3, 21, 2, 22, "rounding")


def test_lupil2_without_arm_sizes_is_refused_with_the_list():
    splits = splits_from_percents(68, 58, 100)
    assert len(splits.by("rounding")) == 18
    assert len(splits.by("truncation")) == 20
    assert len(splits) == 30
    with pytest.raises(EffectSizeError) as error:
        unique(splits)
    message = str(error.value)
    assert message.startswith(
        "68 % and 58 % of 100 in two arms fits 18 splits by rounding (13/19 and 47/81; 15/22 and 45/78; "
    )
    assert "and 12 splits by truncation only (11/16 and 49/84; " in message
    assert message.endswith(", so the counts are not known.")
    assert all(split.text in message for split in splits)
    with pytest.raises(EffectSizeError, match=r"^68 % and 58 % of 100 in two arms fits 18 splits by rounding \("):
        unique(splits, "rounding")


def test_no_count_and_long_lists():
    with pytest.raises(EffectSizeError) as error:
        unique(events_from_percent("38.7", 26))
    assert str(error.value) == "No count gives 38.7 % of 26 by rounding or truncation."
    with pytest.raises(EffectSizeError, match=r"^50 % of 10000 fits \d+ counts by rounding .*; and \d+ more\)"):
        unique(events_from_percent("50", 10_000))


@given(st.data(), st.integers(1, 400), st.integers(0, 3))
def test_candidates_are_exactly_those_that_print_as_given(data, n, decimals):
    rounded, truncated = prints(data.draw(st.integers(0, n)), n, decimals)
    printed = data.draw(st.sampled_from(sorted({*rounded, truncated})))
    found = [(candidate.events, candidate.how) for candidate in events_from_percent(printed, n)]
    assert found
    assert found == brute_force(printed, n)


@given(st.integers(0, 1000), st.integers(1, 60))
def test_impossible_percentages_have_no_candidates(tenths, n):
    printed = f"{tenths / 10:.1f}"
    assert [(c.events, c.how) for c in events_from_percent(printed, n)] == brute_force(printed, n)


@given(st.data(), st.integers(2, 30), st.integers(0, 1), st.integers(0, 1))
def test_splits_are_exactly_those_that_print_as_given(data, total, decimals1, decimals2):
    n1 = data.draw(st.integers(1, total - 1))
    printed1 = sorted(prints(data.draw(st.integers(0, n1)), n1, decimals1)[0])[0]
    printed2 = sorted(prints(data.draw(st.integers(0, total - n1)), total - n1, decimals2)[0])[0]
    expected = [
        (one, n, two, total - n, " or ".join(both))
        for n in range(1, total)
        for one, how1 in brute_force(printed1, n)
        for two, how2 in brute_force(printed2, total - n)
        if (both := [name for name in ("rounding", "truncation") if name in how1 and name in how2])
    ]
    splits = splits_from_percents(printed1, printed2, total)
    assert [(s.events1, s.n1, s.events2, s.n2, s.how) for s in splits] == expected


def test_ties_are_accepted_up_and_to_even():
    # 1 of 8 is 12.5: "13" half up, "12" to even (and by truncation)
    assert [(c.events, c.how) for c in events_from_percent("13", 8)] == [(1, "rounding")]
    assert [(c.events, c.how) for c in events_from_percent("12", 8)] == [(1, "rounding or truncation")]


@pytest.mark.parametrize(
    ("percent", "decimals"),
    [
        ("30.00", None),
        ("30.00 %", None),
        ("30·00%", None),
        (30.0, 2),
        (30, 2),
        ("30", 2),
        (Decimal("30.00"), None),
        (np.float64(30), 2),
    ],
)
def test_ways_to_write_a_percentage(percent, decimals):
    assert unique(events_from_percent(percent, np.int64(30), decimals)).printed == "30.00"


def test_binary_floats_never_decide():
    # 100 * (29 / 100) is 28.999999999999996 as a float
    assert unique(events_from_percent("29", 100)).how == "rounding or truncation"
    assert unique(events_from_percent(5.7, 1000, 2)).how == "rounding or truncation"
    # 1.15 as a float lies below 1.15: its printed digits count
    assert unique(events_from_percent(1.15, 10_000, 2)).events == 115


def test_candidates_are_a_sequence():
    candidates = events_from_percent("68", 500)
    assert [candidate.events for candidate in candidates] == list(range(338, 345))
    assert candidates[1:3] == (candidates[1], candidates[2])
    assert candidates[0] in candidates


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((38.4, 26), "Say with how many decimals 38.4 % was printed, or give it as text."),
        (("38.4", 26, 0), "38.4 % has more decimals than the 0 stated."),
        (("about 38", 26), "'about 38' is not a percentage."),
        (("nan", 26), "nan is not a percentage from 0 to 100."),
        (("101", 26), "101 is not a percentage from 0 to 100."),
        (("-1", 26), "-1 is not a percentage from 0 to 100."),
        (("38.4", 0), "The number of people 0 is not a whole number of at least 1."),
        (("38.4", 25.5), "The number of people 25.5 is not a whole number of at least 1."),
        (("38.4", float("nan")), "The number of people nan is not a whole number of at least 1."),
        (("38.4", 26, -1), "The number of decimals -1 is not a whole number of at least 0."),
    ],
)
def test_impossible_figures_are_refused(arguments, message):
    with pytest.raises(EffectSizeError) as error:
        events_from_percent(*arguments)
    assert str(error.value) == message


def test_a_total_needs_two_arms():
    with pytest.raises(EffectSizeError, match=r"^The total 1 is not a whole number of at least 2\.$"):
        splits_from_percents("50", "50", 1)


def test_unknown_convention():
    with pytest.raises(UnknownChoice, match=r"Unknown convention 'round'\. Did you mean 'rounding'\?"):
        unique(events_from_percent("50", 2), "round")


@pytest.mark.parametrize(
    ("percent", "n", "decimals", "says"),
    [
        ("50", 10**16, None, "The number of people 10000000000000000 is more than 1,000,000"),
        (50.0, 100, 10**16, "The number of decimals 10000000000000000 is more than 15"),
    ],
)
def test_a_size_that_no_percentage_resolves_is_refused_at_once(percent, n, decimals, says):
    with pytest.raises(EffectSizeError, match=f"^{re.escape(says)}"):
        events_from_percent(percent, n, decimals)
