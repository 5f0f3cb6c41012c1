"""Measures from counts, rates, pairs, alpha and hazard ratios.

Variances are compared with a delta method that is carried out numerically at 30 digits, and with the spread of
simulated estimates; effects with symmetries and with textbook formulas.
"""

import warnings

import mpmath as mp
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import metail2 as m2
from metail2.errors import EffectSizeError, MetailWarning, UnknownChoice

TABLE = ("a", "b", "c", "d")
ASSOCIATION = ("PHI", "ZPHI", "YUQ", "YUY", "RTET", "ZTET")
COMPARISONS = ("AS", "PBIT", "OR2D", "OR2DN", "OR2DL")
PAIRS = ("MPRR", "MPRD", "MPOR", "MPORC", "MPPETO")


def frame(columns, *rows):
    return pd.DataFrame(rows, columns=list(columns), dtype=float)


def effects(columns, measure, *rows, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MetailWarning)
        return m2.effect_sizes(frame(columns, *rows), measure, **options)


def each(columns, measure, *rows, **options):
    result = effects(columns, measure, *rows, **options)
    return list(zip(result.yi.tolist(), result.vi.tolist(), strict=True))


def one(columns, measure, row, **options):
    return each(columns, measure, row, **options)[0]


# ------------------------------------------------------------------------------- the delta method, carried out
def slopes(effect, cells):
    return [mp.diff(effect, tuple(cells), tuple(int(i == j) for j in range(len(cells)))) for i in range(len(cells))]


def delta_variance(effect, cells, groups):
    """Variance of effect(cells) where each group of cells is multinomial; cells in no group are Poisson."""
    g = slopes(effect, cells)
    total = sum(cells[i] * g[i] ** 2 for i in range(len(cells)))
    for group in groups:
        n = sum(cells[i] for i in group)
        total -= sum(cells[i] * g[i] for i in group) ** 2 / n
    return total


def probit(p):
    return mp.sqrt(2) * mp.erfinv(2 * p - 1)


def phi(a, b, c, d):
    return (a * d - b * c) / mp.sqrt((a + b) * (c + d) * (a + c) * (b + d))


def odds(a, b, c, d):
    return a * d / (b * c)


ONE_SAMPLE, ARMS, WHOLE = [(0, 1)], [(0, 1), (2, 3)], [(0, 1, 2, 3)]
EFFECTS = {
    ("AS", None): (lambda a, b, c, d: mp.asin(mp.sqrt(a / (a + b))) - mp.asin(mp.sqrt(c / (c + d))), ARMS),
    ("PBIT", None): (lambda a, b, c, d: probit(a / (a + b)) - probit(c / (c + d)), ARMS),
    ("OR2D", None): (lambda a, b, c, d: mp.log(odds(a, b, c, d)) * mp.sqrt(3) / mp.pi, ARMS),
    ("OR2DL", None): (lambda a, b, c, d: mp.log(odds(a, b, c, d)) * mp.sqrt(3) / mp.pi, ARMS),
    ("OR2DN", None): (lambda a, b, c, d: mp.log(odds(a, b, c, d)) / mp.mpf("1.65"), ARMS),
    ("PHI", "CS"): (phi, WHOLE),
    ("PHI", "ST"): (phi, ARMS),
    ("ZPHI", "CS"): (lambda *t: mp.atanh(phi(*t)), WHOLE),
    ("ZPHI", "ST"): (lambda *t: mp.atanh(phi(*t)), ARMS),
    ("YUQ", None): (lambda *t: (odds(*t) - 1) / (odds(*t) + 1), WHOLE),
    ("YUY", None): (lambda *t: (mp.sqrt(odds(*t)) - 1) / (mp.sqrt(odds(*t)) + 1), WHOLE),
    ("MPRR", None): (lambda a, b, c, d: mp.log((a + b) / (a + c)), WHOLE),
    ("MPRD", None): (lambda a, b, c, d: (b - c) / (a + b + c + d), WHOLE),
    ("MPOR", None): (lambda a, b, c, d: mp.log(odds(a + b, c + d, a + c, b + d)), WHOLE),
    ("MPORC", None): (lambda a, b, c, d: mp.log(b / c), WHOLE),
}  # fmt: skip
TABLES = [(12, 30, 25, 17), (3, 90, 11, 200), (40, 5, 6, 31)]


@pytest.mark.parametrize(("measure", "vtype"), EFFECTS, ids=str)
@pytest.mark.parametrize("table", TABLES, ids=str)
def test_effect_and_variance_of_tables(measure, vtype, table):
    effect, groups = EFFECTS[measure, vtype]
    with mp.workdps(30):
        cells = tuple(map(mp.mpf, table))
        expected = float(effect(*cells)), float(delta_variance(effect, cells, groups))
    assert one(TABLE, measure, table, vtype=vtype) == pytest.approx(expected, rel=1e-11)


SINGLE = {
    "PLN": (("events", "n"), lambda x, y: mp.log(x / (x + y)), ONE_SAMPLE),
    "PRZ": (("events", "n"), lambda x, y: probit(x / (x + y)), ONE_SAMPLE),
    "PAS": (("events", "n"), lambda x, y: mp.asin(mp.sqrt(x / (x + y))), ONE_SAMPLE),
    "IR": (("events", "time"), lambda x, t: x / t, []),
    "IRLN": (("events", "time"), lambda x, t: mp.log(x / t), []),
    "IRS": (("events", "time"), lambda x, t: mp.sqrt(x / t), []),
}


@pytest.mark.parametrize("measure", SINGLE)
@pytest.mark.parametrize("row", [(7, 20.0), (1, 400.0), (65, 70.0)], ids=str)
def test_effect_and_variance_of_one_group(measure, row):
    columns, effect, groups = SINGLE[measure]
    with mp.workdps(30):
        x, size = map(mp.mpf, row)
        if groups:
            expected = effect(x, size - x), delta_variance(effect, (x, size - x), groups)
        else:
            expected = effect(x, size), x * mp.diff(lambda events: effect(events, size), x) ** 2
    assert one(columns, measure, row) == pytest.approx(tuple(map(float, expected)), rel=1e-11)


def test_genotypes():
    def effect(aa, ab, bb):
        return mp.log(ab / (2 * mp.sqrt(aa * bb)))

    for row in ((20, 40, 10), (5, 21, 15)):
        with mp.workdps(30):
            cells = tuple(map(mp.mpf, row))
            expected = float(effect(*cells)), float(delta_variance(effect, cells, [(0, 1, 2)]))
        assert one(("aa", "ab", "bb"), "REH", row) == pytest.approx(expected, rel=1e-11)


def test_equilibrium_has_no_excess():
    p = 0.3
    assert one(("aa", "ab", "bb"), "REH", (100 * p**2, 200 * p * (1 - p), 100 * (1 - p) ** 2))[0] == pytest.approx(0)


def test_rate_comparison_by_hand():
    columns = ("events1", "time1", "events2", "time2")
    assert one(columns, "IRSD", (4, 100, 9, 25)) == pytest.approx((0.2 - 0.6, 1 / 400 + 1 / 100))


def test_freeman_tukey_rate_by_hand():
    assert one(("events", "time"), "IRFT", (8, 4)) == pytest.approx(((np.sqrt(2) + 1.5) / 2, 1 / 16))


def test_peto_of_pairs_is_the_stratified_peto_estimate():
    a, b, c, d = 9, 14, 5, 20
    # every pair a table of two patients, one under each condition
    strata = [(1, 0, 1, 0)] * a + [(1, 0, 0, 1)] * b + [(0, 1, 1, 0)] * c + [(0, 1, 0, 1)] * d
    pooled = m2.Peto().fit(frame(TABLE, *strata))
    assert one(TABLE, "MPPETO", (a, b, c, d)) == pytest.approx((pooled.estimate, pooled.se**2))


def test_conditional_odds_ratio_of_pairs_is_the_stratified_estimate():
    a, b, c, d = 9, 14, 5, 20
    strata = [(1, 0, 1, 0)] * a + [(1, 0, 0, 1)] * b + [(0, 1, 1, 0)] * c + [(0, 1, 0, 1)] * d
    pooled = m2.MantelHaenszel(measure="OR").fit(frame(TABLE, *strata))
    assert one(TABLE, "MPORC", (a, b, c, d)) == pytest.approx((pooled.estimate, pooled.se**2))


def test_margins_and_phi_say_as_much_as_the_pairs():
    a, b, c, d = 9, 14, 5, 20
    r = float(phi(*map(mp.mpf, (a, b, c, d))))
    from_pairs = one(TABLE, "MPOR", (a, b, c, d))
    margins = (a + b, c + d, a + c, b + d)
    assert one((*TABLE, "r"), "MPORM", (*margins, r)) == pytest.approx(from_pairs)
    arms = (a + b, a + b + c + d, a + c, a + b + c + d, r)
    assert one(("events1", "n1", "events2", "n2", "r"), "MPORM", arms) == pytest.approx(from_pairs)
    assert one((*TABLE, "r"), "MPORM", (*margins, 0)) == pytest.approx(one(TABLE, "OR", margins))


# ------------------------------------------------------------------------------- symmetries
count = st.integers(1, 400)
tables = st.tuples(count, count, count, count)
exactly = {"rel": 1e-8, "abs": 1e-12}
few = settings(max_examples=25, deadline=None, derandomize=True)


def negated(pair):
    return -pair[0], pair[1]


@pytest.mark.parametrize("measure", COMPARISONS + ASSOCIATION)
@given(table=tables)
@few
def test_swapping_arms_or_events_negates(measure, table):
    a, b, c, d = table
    base, arms, events = each(TABLE, measure, table, (c, d, a, b), (b, a, d, c))
    assert arms == pytest.approx(negated(base), **exactly)
    assert events == pytest.approx(negated(base), **exactly)


@pytest.mark.parametrize("measure", ASSOCIATION)
@given(table=tables)
@few
def test_association_is_the_same_for_the_transposed_table(measure, table):
    a, b, c, d = table
    base, transposed = each(TABLE, measure, table, (a, c, b, d))
    assert transposed == pytest.approx(base, **exactly)


@given(table=tables)
@few
def test_association_measures_agree_with_each_other(table):
    (q, _), (y, _), (rho, _), (z, _) = (one(TABLE, code, table) for code in ("YUQ", "YUY", "RTET", "ZTET"))
    assert q == pytest.approx(2 * y / (1 + y**2), **exactly)
    assert np.tanh(z) == pytest.approx(rho, **exactly)
    assert np.sign(rho) == np.sign(one(TABLE, "PHI", table)[0])


@pytest.mark.parametrize("measure", PAIRS)
@given(table=tables)
@few
def test_pairs_swapped(measure, table):
    a, b, c, d = table
    base, conditions, events = each(TABLE, measure, table, (a, c, b, d), (d, c, b, a))
    assert conditions == pytest.approx(negated(base), **exactly)
    if measure != "MPRR":
        assert events == pytest.approx(negated(base), **exactly)


@pytest.mark.parametrize(("measure", "power"), [("IR", 1), ("IRLN", None), ("IRS", 0.5), ("IRFT", 0.5)])
@given(x=st.integers(1, 300), t=st.floats(0.5, 1e4), scale=st.floats(0.01, 100))
@few
def test_time_in_another_unit(measure, power, x, t, scale):
    base, other = each(("events", "time"), measure, (x, t), (x, t * scale))
    if power is None:
        assert other == pytest.approx((base[0] - np.log(scale), base[1]), **exactly)
    else:
        assert other == pytest.approx((base[0] / scale**power, base[1] / scale ** (2 * power)), **exactly)


@given(
    x1=st.integers(0, 50), x2=st.integers(0, 50), t1=st.floats(1, 1e3), t2=st.floats(1, 1e3), scale=st.floats(0.1, 9)
)
@few
def test_root_rate_difference_swapped_and_scaled(x1, x2, t1, t2, scale):
    columns = ("events1", "time1", "events2", "time2")
    base, swapped, scaled = each(columns, "IRSD", (x1, t1, x2, t2), (x2, t2, x1, t1), (x1, t1 * scale, x2, t2 * scale))
    assert swapped == pytest.approx(negated(base), **exactly)
    assert scaled == pytest.approx((base[0] / np.sqrt(scale), base[1] / scale), **exactly)


@given(x=st.integers(0, 80), rest=st.integers(0, 80))
@few
def test_complementary_proportions(x, rest):
    n = x + rest + 1
    for measure, mirror in (("PRZ", 0), ("PAS", np.pi / 2)):
        (yi, vi), other = each(("events", "n"), measure, (x, n), (n - x, n))
        assert other == pytest.approx((mirror - yi, vi), **exactly)


@given(aa=count, ab=count, bb=count, times=st.integers(2, 9))
@few
def test_alleles_have_no_order(aa, ab, bb, times):
    base, swapped, more = each(
        ("aa", "ab", "bb"), "REH", (aa, ab, bb), (bb, ab, aa), (aa * times, ab * times, bb * times)
    )
    assert swapped == pytest.approx(base, **exactly)
    assert more == pytest.approx((base[0], base[1] / times), **exactly)


@given(alpha=st.floats(-3, 0.99), items=st.integers(2, 60), n=st.integers(3, 5000))
@few
def test_alpha_on_three_scales(alpha, items, n):
    columns = ("alpha", "items", "n")
    raw, cube, log = (one(columns, code, (alpha, items, n)) for code in ("ARAW", "AHW", "ABT"))
    assert raw[0] == alpha
    assert 1 - (1 - cube[0]) ** 3 == pytest.approx(alpha, **exactly)
    assert 1 - np.exp(-log[0]) == pytest.approx(alpha, **exactly)
    assert log[1] * (1 - alpha) ** 2 == pytest.approx(raw[1], **exactly)  # delta method
    # Hakstian and Whalen correct the degrees of freedom; the delta method differs from it by terms of order 1/n
    assert cube[1] == pytest.approx(raw[1] / (9 * (1 - alpha) ** (4 / 3)), rel=5 / n)


@pytest.mark.parametrize("letter", ["", "N", "L"])
@given(mean=st.floats(-50, 50), sd1=st.floats(0.1, 9), sd2=st.floats(0.1, 9), n1=st.integers(2, 90))
@few
def test_means_as_odds_ratios(letter, mean, sd1, sd2, n1):
    columns = ("mean1", "sd1", "n1", "mean2", "sd2", "n2")
    base, swapped, shifted = each(
        columns, f"D2OR{letter}", (mean, sd1, n1, 3, sd2, 20), (3, sd2, 20, mean, sd1, n1),
        (10 * mean + 7, 10 * sd1, n1, 37, 10 * sd2, 20),
    )  # fmt: skip
    assert swapped == pytest.approx(negated(base), **exactly)
    assert shifted == pytest.approx(base, **exactly)
    d = (mean - 3) / np.sqrt(((n1 - 1) * sd1**2 + 19 * sd2**2) / (n1 + 18))
    scale = 1.65 if letter == "N" else np.pi / np.sqrt(3)
    assert base == pytest.approx((d * scale, (1 / n1 + 0.05 + d**2 / (2 * (n1 + 20))) * scale**2), **exactly)


# ------------------------------------------------------------------------------- hazard ratios
@given(hr=st.floats(0.05, 20), ratio=st.floats(1.01, 20))
@few
def test_hazard_ratios_inverted(hr, ratio):
    columns = ("hr", "ci_lower", "ci_upper")
    base, inverse = each(columns, "HR", (hr, hr / ratio, hr * ratio), (1 / hr, 1 / hr / ratio, 1 / hr * ratio))
    assert inverse == pytest.approx(negated(base), **exactly)
    assert base == pytest.approx((np.log(hr), (np.log(ratio) / 1.959963984540054) ** 2), **exactly)
    assert one(("log_hr", "se"), "HR", (base[0], np.sqrt(base[1]))) == pytest.approx(base, **exactly)
    assert one(("o_minus_e", "v"), "HR", (base[0] / base[1], 1 / base[1])) == pytest.approx(base, **exactly)


HR_COLUMNS = ("study", "hr", "ci_lower", "ci_upper")
GEN_COLUMNS = ("study", "yi", "ci_lower", "ci_upper")


@pytest.mark.parametrize(
    ("measure", "columns", "row", "message"),
    [
        ("HR", HR_COLUMNS, ("Ann", 0.8, 0.85, 1.2), "Ann: column 'ci_lower' is 0.85, but it must leave the estimate "
         "0.8 inside the interval; correct the entry."),
        ("HR", HR_COLUMNS, ("Ann", 0.8, 0.5, 0.7), "Ann: column 'ci_upper' is 0.7, but it must leave the estimate"),
        ("HR", HR_COLUMNS, ("Ann", 0.8, -0.5, 1.2), "Ann: column 'ci_lower' is -0.5, but it must be above 0"),
        ("HR", HR_COLUMNS, ("Ann", -0.8, 0.5, 1.2), "Ann: column 'hr' is -0.8, but it must be above 0"),
        ("HR", HR_COLUMNS, ("Ann", 0.8, 0.5, np.inf), "Ann: column 'ci_upper' is inf, but it must be above 0"),
        ("HR", ("study", "log_hr", "se"), ("Ann", 0.8, 0), "Ann: column 'se' is 0, but it must be above 0"),
        ("HR", ("study", "log_hr", "se"), ("Ann", np.inf, 1), "Ann: column 'log_hr' is inf, but it must be finite"),
        ("HR", ("study", "o_minus_e", "v"), ("Ann", 0.8, 0), "Ann: column 'v' is 0, but it must be above 0"),
        ("GEN", GEN_COLUMNS, ("Ann", 0.8, 0.85, 1.2), "Ann: column 'ci_lower' is 0.85, but it must leave the estimate"),
        ("GEN", GEN_COLUMNS, ("Ann", 0.8, -np.inf, 1.2), "Ann: column 'ci_lower' is -inf, but it must be finite"),
        ("MPOR", ("study", *TABLE), ("Ann", 1, -2, 3, 4), "Ann: column 'b' is -2, but it must be 0 or more"),
        ("MPORM", ("study", *TABLE, "r"), ("Ann", 1, 2, 3, 4, 0.2), "Ann: column 'd' is 4, but it must make c + d "
         "equal a + b, which is 3, because both conditions were seen in the same patients; correct the entry."),
        ("MPORM", ("study", "events1", "n1", "events2", "n2", "r"), ("Ann", 1, 9, 3, 8, 0.2),
         "Ann: column 'n2' is 8, but it must equal n1, which is 9, because both conditions were seen in the same"),
        ("MPORM", ("study", *TABLE, "r"), ("Ann", 1, 2, 1, 2, 1.2), "Ann: column 'r' is 1.2, but it must lie between"),
        ("IR", ("study", "events", "time"), ("Ann", -1, 2), "Ann: column 'events' is -1, but it must be 0 or more"),
        ("IR", ("study", "events", "time"), ("Ann", 1, 0), "Ann: column 'time' is 0, but it must be a person-time"),
        ("REH", ("study", "aa", "ab", "bb"), ("Ann", 1, 4, -1), "Ann: column 'bb' is -1, but it must be 0 or more"),
        ("ABT", ("study", "alpha", "items", "n"), ("Ann", 1.1, 4, 9), "Ann: column 'alpha' is 1.1, but it must be at"),
        ("ABT", ("study", "alpha", "items", "n"), ("Ann", 0.8, 1, 9), "Ann: column 'items' is 1, but it must be a"),
        ("ABT", ("study", "alpha", "items", "n"), ("Ann", 0.8, 4, 2), "Ann: column 'n' is 2, but it must be a number"),
    ],
)  # fmt: skip
def test_impossible_entries_are_named(measure, columns, row, message):
    table = pd.DataFrame([("Zoe", *[np.nan] * (len(row) - 1)), row], columns=list(columns))
    with pytest.raises(EffectSizeError) as caught:
        m2.effect_sizes(table, measure)
    assert str(caught.value).startswith(message)


def test_a_missing_limit_is_a_missing_variance():
    table = pd.DataFrame(
        {"hr": [0.8, 0.7, np.nan], "ci_lower": [0.6, np.nan, 0.9], "ci_upper": [1.1, 0.9, 0.5]}, dtype=float
    )
    with pytest.warns(MetailWarning, match="study 2 and study 3 cannot be computed"):
        found = m2.effect_sizes(table, "HR")
    assert np.isnan(found.vi).tolist() == [False, True, True]
    assert found.yi[1] == np.log(0.7)


# ------------------------------------------------------------------------------- zero cells
ZERO_TABLE = (0, 10, 3, 7)


@pytest.mark.parametrize("measure", ["YUQ", "YUY", "PBIT", "OR2D", "OR2DN", "OR2DL", *PAIRS])
def test_half_is_added_to_every_cell_of_a_table_with_a_zero(measure):
    half = tuple(cell + 0.5 for cell in ZERO_TABLE)
    assert one(TABLE, measure, ZERO_TABLE) == one(TABLE, measure, half)
    assert one(TABLE, measure, ZERO_TABLE, add=0.1) == pytest.approx(
        one(TABLE, measure, tuple(cell + 0.1 for cell in ZERO_TABLE))
    )
    first, second = each(TABLE, measure, ZERO_TABLE, (1, 2, 3, 4), to="if0all")
    assert [first, second] == each(TABLE, measure, half, (1.5, 2.5, 3.5, 4.5))


@pytest.mark.parametrize("measure", ["AS", "PHI", "ZPHI", "RTET"])
def test_nothing_is_added_by_default(measure):
    as_is, left, corrected = (one(TABLE, measure, ZERO_TABLE, **o) for o in ({}, {"to": "none"}, {"add": 0.5}))
    assert str(as_is) == str(left)
    assert as_is[0] != corrected[0]
    assert corrected == one(TABLE, measure, tuple(cell + 0.5 for cell in ZERO_TABLE))


def test_tetrachoric_on_the_boundary_keeps_its_value_without_a_variance():
    with pytest.warns(MetailWarning, match="The tetrachoric correlation of study 1 and study 2 cannot"):
        found = m2.effect_sizes(frame(TABLE, ZERO_TABLE, (4, 0, 3, 9), (1, 2, 3, 4)), "RTET")
    assert found.yi[:2].tolist() == [-1, 1]
    assert np.isnan(found.vi).tolist() == [True, True, False]
    assert np.isnan(one(TABLE, "ZTET", ZERO_TABLE)).all()


@pytest.mark.parametrize("measure", ["PLN", "PRZ"])
def test_half_is_added_where_nobody_or_everybody_has_the_event(measure):
    columns = ("events", "n")
    assert each(columns, measure, (0, 9), (9, 9)) == each(columns, measure, (0.5, 10), (9.5, 10))


@pytest.mark.parametrize(("measure", "add"), [("IR", 0.5), ("IRLN", 0.5), ("IRS", 0), ("IRFT", 0)])
def test_rates_without_events(measure, add):
    columns = ("events", "time")
    assert one(columns, measure, (0, 9)) == one(columns, measure, (add, 9))
    assert one(columns, measure, (0, 9), add=0.25) == one(columns, measure, (0.25, 9))
    assert one(columns, measure, (3, 9), to="all", add=1) == one(columns, measure, (4, 9))


def test_genotypes_without_one_kind():
    columns = ("aa", "ab", "bb")
    assert one(columns, "REH", (0, 4, 9)) == one(columns, "REH", (0.5, 4.5, 9.5))
    assert np.isnan(one(columns, "REH", (0, 4, 9), add=0)).all()


@pytest.mark.parametrize("measure", PAIRS)
def test_pairs_without_events_or_without_non_events_can_be_marked(measure):
    rows = [(0, 0, 0, 9), (9, 0, 0, 0), (0, 0, 2, 9), (9, 1, 0, 0), (4, 0, 0, 9)]
    assert np.isfinite(effects(TABLE, measure, *rows).yi).all()
    assert np.isnan(effects(TABLE, measure, *rows, drop00=True).yi).tolist() == [True, True, False, False, False]


def test_margins_without_events_can_be_marked():
    rows = [(0, 9, 0, 9, 0.2), (9, 0, 9, 0, 0.2), (1, 8, 0, 9, 0.2)]
    marked = effects((*TABLE, "r"), "MPORM", *rows, drop00=True)
    assert np.isnan(marked.yi).tolist() == [True, True, False]


@pytest.mark.parametrize("measure", ["AS", *ASSOCIATION, "PBIT", "OR2D"])
def test_tables_without_events_can_be_marked(measure):
    rows = [(0, 9, 0, 8), (9, 0, 8, 0), (4, 5, 6, 2)]
    marked = effects(TABLE, measure, *rows, drop00=True)
    assert np.isnan(marked.yi).tolist() == [True, True, False]


def test_root_rates_without_events_can_be_marked():
    columns = ("events1", "time1", "events2", "time2")
    assert each(columns, "IRSD", (0, 9, 0, 8)) == [(0, pytest.approx(1 / 36 + 1 / 32))]
    assert np.isnan(each(columns, "IRSD", (0, 9, 0, 8), drop00=True)).all()


def test_unknown_variance():
    with pytest.raises(UnknownChoice, match="Choose from: CS, ST"):
        m2.effect_sizes(frame(TABLE, (1, 2, 3, 4)), "PHI", vtype="LS")


def test_alpha_of_one_has_no_log():
    with pytest.warns(MetailWarning, match="its alpha is 1"):
        m2.effect_sizes(frame(("alpha", "items", "n"), (1, 4, 9)), "ABT")


# ------------------------------------------------------------------------------- simulated variances
REPLICATES = 20_000


def check_spread(columns, measure, rows, truth, bias, **options):
    """Compare the spread of simulated effects with their mean variance, and their mean with the truth.

    The tolerance is 4 standard errors of the simulated variance (from the fourth moment), plus `bias`, a relative
    allowance for what asymptotic formulas leave out at the size simulated; of the mean, 4 standard errors plus `bias`
    standard deviations.
    """
    found = effects(columns, measure, *rows, **options)
    yi = found.yi
    spread = yi.var(ddof=1)
    fourth = ((yi - yi.mean()) ** 4).mean() / spread**2
    error = np.sqrt((fourth - 1) / len(yi))
    assert np.isfinite(found.vi).all()
    assert abs(found.vi.mean() / spread - 1) < 4 * error + bias
    assert abs(yi.mean() - truth) < (4 / np.sqrt(len(yi)) + bias) * np.sqrt(spread)


def multinomial(seed, n, shares):
    return np.random.default_rng(seed).multinomial(n, np.array(shares) / np.sum(shares), REPLICATES)


def arms(seed, n1, p1, n2, p2):
    rng = np.random.default_rng(seed)
    a, c = rng.binomial(n1, p1, REPLICATES), rng.binomial(n2, p2, REPLICATES)
    return np.column_stack([a, n1 - a, c, n2 - c])


@pytest.mark.parametrize("measure", [*COMPARISONS, "PHI ST", "ZPHI ST"])
def test_variance_from_two_arms(measure):
    code, _, vtype = measure.partition(" ")
    effect, _ = EFFECTS[code, vtype or None]
    n1, p1, n2, p2 = 1500, 0.3, 800, 0.15
    truth = float(effect(*map(mp.mpf, (n1 * p1, n1 * (1 - p1), n2 * p2, n2 * (1 - p2)))))
    check_spread(TABLE, code, arms(1, n1, p1, n2, p2), truth, 0.03, vtype=vtype or None)


def test_stratified_and_cross_sectional_variances_of_phi_differ():
    rows = arms(2, 1500, 0.75, 150, 0.1)
    spread = effects(TABLE, "PHI", *rows).yi.var()
    stratified, crossed = (effects(TABLE, "PHI", *rows, vtype=vtype).vi.mean() for vtype in ("ST", "CS"))
    assert stratified == pytest.approx(spread, rel=0.05)
    assert abs(crossed / spread - 1) > 0.2


@pytest.mark.parametrize("measure", ["PHI", "ZPHI", "YUQ", "YUY", "MPRR", "MPRD", "MPOR", "MPORC"])
def test_variance_from_one_sample_of_tables(measure):
    effect, _ = EFFECTS[measure, "CS" if measure in ("PHI", "ZPHI") else None]
    shares = (0.3, 0.12, 0.2, 0.38)
    truth = float(effect(*map(mp.mpf, shares)))
    check_spread(TABLE, measure, multinomial(3, 1500, shares), truth, 0.03)


def test_variance_of_peto_for_pairs_without_effect():
    check_spread(TABLE, "MPPETO", multinomial(4, 600, (0.3, 0.2, 0.2, 0.3)), 0, 0.03)


def test_variance_from_margins_with_the_true_phi():
    shares = np.array((0.3, 0.12, 0.2, 0.38))
    a, b, c, d = multinomial(5, 1500, shares).T
    r = float(phi(*map(mp.mpf, shares)))
    truth = float(EFFECTS["MPOR", None][0](*map(mp.mpf, shares)))
    rows = np.column_stack([a + b, c + d, a + c, b + d, np.full(REPLICATES, r)])
    check_spread((*TABLE, "r"), "MPORM", rows, truth, 0.03)


@pytest.mark.parametrize("rho", [-0.4, 0.0, 0.6])
def test_variance_of_tetrachoric_correlations(rho):
    # persons drawn from a bivariate normal distribution and cut at 0.3 and −0.5, 1000 a study
    rng = np.random.default_rng(6)
    first, other = rng.standard_normal((2, 4000, 1000), dtype=np.float32)
    low, left = first < 0.3, np.float32(rho) * first + np.float32(np.sqrt(1 - rho**2)) * other < -0.5
    rows = np.column_stack([(low & left).sum(1), (low & ~left).sum(1), (~low & left).sum(1), (~low & ~left).sum(1)])
    check_spread(TABLE, "RTET", rows, rho, 0.05)
    check_spread(TABLE, "ZTET", rows, np.arctanh(rho), 0.05)


@pytest.mark.parametrize("measure", ["PLN", "PRZ", "PAS"])
def test_variance_of_proportions(measure):
    columns, effect, _ = SINGLE[measure]
    events = np.random.default_rng(7).binomial(800, 0.2, REPLICATES)
    truth = float(effect(mp.mpf("0.2"), mp.mpf("0.8")))
    check_spread(columns, measure, np.column_stack([events, np.full(REPLICATES, 800)]), truth, 0.03)


@pytest.mark.parametrize("measure", ["IR", "IRLN", "IRS", "IRFT"])
def test_variance_of_rates(measure):
    events = np.random.default_rng(8).poisson(0.4 * 500, REPLICATES)
    truth = {"IR": 0.4, "IRLN": np.log(0.4)}.get(measure, np.sqrt(0.4))
    check_spread(("events", "time"), measure, np.column_stack([events, np.full(REPLICATES, 500)]), truth, 0.06)


@pytest.mark.parametrize("rate", [1.0, 2.0, 4.0])
def test_freeman_tukey_rate_has_the_steadier_variance_for_few_events(rate):
    # exact, by the Poisson probabilities of 0 to 60 events
    events = np.arange(61)
    shares = stats.poisson.pmf(events, rate)
    rows = np.column_stack([events, np.ones(61)])
    errors = {}
    for code in ("IRS", "IRFT"):
        yi = effects(("events", "time"), code, *rows).yi
        errors[code] = abs(np.average((yi - np.average(yi, weights=shares)) ** 2, weights=shares) / 0.25 - 1)
    assert errors["IRFT"] < 0.06 < 0.2 < errors["IRS"]


def test_variance_of_root_rate_differences():
    rng = np.random.default_rng(10)
    x1, x2 = rng.poisson(300, REPLICATES), rng.poisson(90, REPLICATES)
    rows = np.column_stack([x1, np.full(REPLICATES, 1000), x2, np.full(REPLICATES, 400)])
    columns = ("events1", "time1", "events2", "time2")
    check_spread(columns, "IRSD", rows, np.sqrt(0.3) - np.sqrt(0.225), 0.03)


@pytest.mark.parametrize("excess", [1.0, 1.3])
def test_variance_of_excess_heterozygosity(excess):
    rows = multinomial(11, 1200, (0.3**2, 2 * 0.3 * 0.7 * excess, 0.7**2))
    check_spread(("aa", "ab", "bb"), "REH", rows, np.log(excess), 0.04)


def test_variance_of_alpha():
    # items with one common factor: equal variances, equal correlations of 0.4; alpha = m·r/(1 + (m − 1)r)
    replicates, n, m, r = 6000, 100, 5, 0.4
    rng = np.random.default_rng(12)
    common = rng.standard_normal((replicates, n, 1))
    scores = np.sqrt(r) * common + np.sqrt(1 - r) * rng.standard_normal((replicates, n, m))
    items, total = scores.var(1, ddof=1).sum(1), scores.sum(2).var(1, ddof=1)
    alphas = m / (m - 1) * (1 - items / total)
    rows = np.column_stack([alphas, np.full(replicates, m), np.full(replicates, n)])
    alpha = m * r / (1 + (m - 1) * r)
    for code, truth in (("ARAW", alpha), ("AHW", 1 - np.cbrt(1 - alpha)), ("ABT", -np.log(1 - alpha))):
        check_spread(("alpha", "items", "n"), code, rows, truth, 0.12)


def test_variance_of_means_as_odds_ratios():
    rng = np.random.default_rng(13)
    n1, n2, delta = 120, 200, 0.5
    mean1, mean2 = delta + rng.standard_normal(REPLICATES) / np.sqrt(n1), rng.standard_normal(REPLICATES) / np.sqrt(n2)
    sd1, sd2 = (
        np.sqrt(rng.chisquare(n1 - 1, REPLICATES) / (n1 - 1)),
        np.sqrt(rng.chisquare(n2 - 1, REPLICATES) / (n2 - 1)),
    )
    rows = np.column_stack([mean1, sd1, np.full(REPLICATES, n1), mean2, sd2, np.full(REPLICATES, n2)])
    columns = ("mean1", "sd1", "n1", "mean2", "sd2", "n2")
    check_spread(columns, "D2ORL", rows, delta * np.pi / np.sqrt(3), 0.03)


def test_log_odds_ratios_stand_for_means_of_logistic_outcomes():
    # two logistic distributions δ SDs apart, cut anywhere, give ln OR = δ·π/√3 exactly
    delta, cut = 0.6, 0.35
    risks = [1 / (1 + np.exp((cut - shift) * np.pi / np.sqrt(3))) for shift in (delta, 0)]
    rows = [(1e4 * p, 1e4 * (1 - p)) for p in risks]
    assert one(TABLE, "OR2D", (*rows[0], *rows[1]))[0] == pytest.approx(delta)


def test_probits_stand_for_means_of_normal_outcomes():
    delta, cut = 0.6, 0.35
    with mp.workdps(20):
        first, second = (float(mp.ncdf(shift - cut)) for shift in (delta, 0))
    assert one(TABLE, "PBIT", (first, 1 - first, second, 1 - second))[0] == pytest.approx(delta)
