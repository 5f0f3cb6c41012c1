"""Two-by-two tables from a figure and the margins: reference cells, brute force, round trips, refusals."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from metail2.conversions import table_from_chi2, table_from_or, table_from_phi, table_from_rd, table_from_rr
from metail2.errors import EffectSizeError

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "conversions.json").read_text())["two_by_two"]
MARGINS = tuple(REFERENCE[name] for name in ("n", "row1", "column1"))


@pytest.mark.parametrize(
    ("block", "rebuild"),
    [
        ("from_or", lambda case: table_from_or(case["or"], *MARGINS)),
        ("from_phi", lambda case: table_from_phi(case["phi"], *MARGINS)),
        ("from_chi2", lambda case: table_from_chi2(case["chi2"], *MARGINS, direction=1)),
    ],
)
def test_reference(block, rebuild):
    table = rebuild(REFERENCE[block])
    assert {cell: getattr(table, cell).tolist() for cell in "abcd"} == REFERENCE[block]["cells"]


def odds_ratio(a, b, c, d):
    return a * d / (b * c)


def risk_ratio(a, b, c, d):
    return (a / (a + b)) / (c / (c + d))


def risk_difference(a, b, c, d):
    return a / (a + b) - c / (c + d)


def phi(a, b, c, d):
    return stats.pearsonr(np.repeat([1, 1, 0, 0], [a, b, c, d]), np.repeat([1, 0, 1, 0], [a, b, c, d])).statistic


def chi2(a, b, c, d, correction=False):
    return stats.chi2_contingency([[a, b], [c, d]], correction=correction).statistic


FIGURES = {
    "or": (odds_ratio, table_from_or),
    "rr": (risk_ratio, table_from_rr),
    "rd": (risk_difference, table_from_rd),
    "phi": (phi, table_from_phi),
}
cells = st.tuples(*[st.integers(1, 40)] * 4)


@given(cells, st.sampled_from(sorted(FIGURES)), st.integers(1, 4))
def test_a_printed_figure_gives_back_a_table_that_prints_it(table, name, decimals):
    a, b, c, d = table
    figure, rebuild = FIGURES[name]
    printed = round(float(figure(a, b, c, d)), decimals)
    found = rebuild(printed, a + b + c + d, a + b, a + c, decimals=decimals)
    assert found.reproduces
    assert found.figure == pytest.approx(figure(*(int(cell) for cell in found[:4])), rel=1e-12, abs=1e-12)
    assert abs(found.figure - printed) <= 0.5 * 10.0**-decimals + 1e-9
    assert (found.a + found.b, found.c + found.d, found.a + found.c) == (a + b, c + d, a + c)
    if found.tables == 1:
        assert tuple(float(cell) for cell in found[:4]) == table


@given(cells, st.booleans())
def test_chi2_gives_back_its_table(table, yates):
    a, b, c, d = table
    side = np.sign(a * d - b * c) or 1
    printed = float(chi2(a, b, c, d, yates))
    found = table_from_chi2(printed, a + b + c + d, a + b, a + c, direction=side, yates=yates, decimals=8)
    assert found.reproduces
    assert found.figure == pytest.approx(printed, rel=1e-9, abs=1e-9)
    assert found.tables > 1 or tuple(float(cell) for cell in found[:4]) == table


@given(st.integers(2, 60), st.data())
def test_the_number_of_tables_by_brute_force(n, data):
    row, column = (data.draw(st.integers(1, n - 1)) for _ in range(2))
    printed = data.draw(st.sampled_from([0.0, 0.3, 0.7, 1.0, 1.5, 2.0, 4.0]))
    fitting = []
    for a in range(n + 1):
        b, c, d = row - a, column - a, n - row - column + a
        if min(b, c, d) >= 0 and c > 0 and abs(risk_ratio(a, b, c, d) - printed) <= 0.05 + 1e-12:
            fitting.append(a)
    found = table_from_rr(printed, n, row, column, decimals=1)
    assert found.tables == len(fitting)
    assert bool(found.reproduces) == bool(fitting)
    assert not fitting or found.a in fitting


def test_decimals_decide_what_is_reproduced():
    # 21/60 v 12/60: odds ratio 2.154
    assert table_from_or(2.2, 120, 60, 33).reproduces
    assert not table_from_or(2.2, 120, 60, 33, decimals=2).reproduces
    assert table_from_or([2.15, 2.154], 120, 60, 33).reproduces.all()


def test_zero_and_unbounded_ratios():
    assert table_from_or(0, 20, 10, 6).a == 0
    assert table_from_rr(0, 20, 10, 6).reproduces
    # the next table towards more events in row 1 has no events in row 2 and an infinite ratio
    assert table_from_or(100, 20, 10, 6).figure == pytest.approx(9 * 5 / 5)


def test_missing_figures_give_no_table():
    found = table_from_or([np.nan, 2.15], [120, 120], [60, None], 33)
    assert np.isnan(found.a).all()
    assert np.isnan(found.d).all()
    assert not found.reproduces.any()
    assert found.tables.tolist() == [0, 0]


def test_shapes_follow_broadcasting():
    found = table_from_rd([[0.1], [0.2]], 100, 50, [20, 30, 40], decimals=2)
    assert all(values.shape == (2, 3) for values in found)
    assert table_from_rd(0.1, 100, 50, 20).a.shape == ()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: table_from_or(-1, 120, 60, 33), "The odds ratio -1 is not a number from 0 up."),
        (lambda: table_from_rr([1, np.inf], 120, 60, 33), "The risk ratio inf is not a number from 0 up (index 1)."),
        (lambda: table_from_rd(12, 120, 60, 33), "The risk difference 12 is outside [−1, 1]: give a proportion."),
        (lambda: table_from_phi(1.2, 120, 60, 33), "The coefficient φ = 1.2 is outside [−1, 1]."),
        (lambda: table_from_chi2(-2, 120, 60, 33, direction=1), "The χ² -2 is not a number from 0 up."),
        (lambda: table_from_chi2(2, 120, 60, 33, direction=0), "The direction 0 is neither 1 nor −1."),
        (
            lambda: table_from_or(2, 120, 60.5, 33),
            "The number of people in row 1, 60.5, is not a whole number of at least 1.",
        ),
        (
            lambda: table_from_or(2, 0, 60, 33),
            "The number of people in all, 0, is not a whole number of at least 1.",
        ),
        (lambda: table_from_or(2, 50, 60, 33), "The 60 people in row 1 leave none of 50 for the other one."),
        (lambda: table_from_or(2, 50, 25, 50), "The 50 people in column 1 leave none of 50 for the other one."),
        (
            lambda: table_from_or(2.1, 120, 60, 33, decimals=1.5),
            "The number of decimals 1.5 is not a whole number.",
        ),
    ],
)
def test_impossible_figures_are_refused(call, message):
    with pytest.raises(EffectSizeError) as error:
        call()
    assert str(error.value) == message
