"""harmonise() of a table in which every study prints other statistics.

The oracle is arithmetic written here (math, SciPy's distributions), or `effect_sizes` on the figures that a conversion
must lead back to.
"""

import math
import re
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import metail2 as m2
from metail2.effects.effect_sizes import TRAIL_COLUMNS
from metail2.errors import EffectSizeError, MetailError, MetailWarning, RecordError, UnknownChoice
from metail2.records.mixed_columns import column_sets, known_columns

NAN = float("nan")
Z = stats.norm.ppf(0.975)


def sheet(**studies):
    """A table, one study a keyword: its figures by column."""
    return pd.DataFrame([{"study": name, **figures} for name, figures in studies.items()])


def one(measure, options=None, **figures):
    """Effect and variance of a sheet with one study; both NaN, with a warning, fail the test."""
    effects = m2.harmonise(sheet(A=figures), measure=measure, **(options or {}))
    return float(effects.yi[0]), float(effects.vi[0])


def steps(effects, study="A"):
    return effects.trail[effects.trail["study"] == study].set_index("quantity")


def refused(error=RecordError, measure="SMD", options=None, **figures):
    with pytest.raises(error) as caught:
        m2.harmonise(sheet(A=figures), measure=measure, **(options or {}))
    return str(caught.value)


def j(m):
    return math.exp(math.lgamma(m / 2) - math.lgamma((m - 1) / 2)) / math.sqrt(m / 2)


def hedges(d, n1, n2):
    g = j(n1 + n2 - 2) * d
    return g, 1 / n1 + 1 / n2 + g**2 / (2 * (n1 + n2))


MEANS = {"mean1": 5.0, "sd1": 2.0, "n1": 20.0, "mean2": 4.0, "sd2": 2.1, "n2": 25.0}
POOLED_SD = math.sqrt((19 * 2.0**2 + 24 * 2.1**2) / 43)
T = 1 / (POOLED_SD * math.sqrt(1 / 20 + 1 / 25))
SIZES = {"n1": 20.0, "n2": 25.0}


def without(names, **more):
    return {name: value for name, value in MEANS.items() if name not in names.split()} | more


# ----------------------------------------------------------------------------- one study of each kind, by hand
def test_one_sheet_with_a_study_of_each_kind():
    half = stats.t.ppf(0.975, 19) * 2.0 / math.sqrt(20)
    wide90 = stats.t.ppf(0.95, 24) * 2.1 / math.sqrt(25)
    se_d = 0.21
    effects = m2.harmonise(
        sheet(
            means=MEANS,
            error=without("sd1", se1=2.0 / math.sqrt(20)),
            interval=without("sd1", mean1_lower=5.0 - half, mean1_upper=5.0 + half),
            level90=without("sd2", mean2_lower=4.0 - wide90, mean2_upper=4.0 + wide90, level=0.9),
            d={**SIZES, "d": 0.5},
            g={**SIZES, "g": 0.5},
            t={**SIZES, "t": 1.7},
            f={**SIZES, "f": 1.7**2, "direction": -1},
            p={**SIZES, "p": 0.03, "direction": 1},
            r={**SIZES, "r": 0.3},
            estimate={"estimate": 0.4, "se": se_d},
            limits={"estimate": 0.4, "ci_lower": 0.1, "ci_upper": 0.7},
            given={"yi": 0.4, "vi": 0.05},
        ),
        measure="SMD",
    )
    by_t = lambda t: hedges(t * math.sqrt(1 / 20 + 1 / 25), 20, 25)  # noqa: E731
    raw = hedges(1 / POOLED_SD, 20, 25)
    want = [
        raw, raw, raw, raw, hedges(0.5, 20, 25), (0.5, 1 / 20 + 1 / 25 + 0.25 / 90), by_t(1.7), by_t(-1.7),
        by_t(stats.t.isf(0.015, 43)), by_t(0.3 * math.sqrt(43 / (1 - 0.09))), (0.4, se_d**2),
        (0.4, (0.6 / (2 * Z)) ** 2), (0.4, 0.05),
    ]  # fmt: skip
    np.testing.assert_allclose(np.column_stack([effects.yi, effects.vi]), want, rtol=1e-12)
    assert effects.study[:3] == ("means", "error", "interval")


def test_median_and_quartiles_by_wan_and_luo():
    n, q1, m, q3 = 20.0, 3.6, 5.0, 6.9
    mean = (0.7 + 0.39 / n) * (q1 + q3) / 2 + (0.3 - 0.39 / n) * m
    sd = (q3 - q1) / (2 * stats.norm.ppf((0.75 * n - 0.125) / (n + 0.25)))
    got = one("MD", **without("mean1 sd1", median1=m, q1_1=q1, q3_1=q3))
    assert got == pytest.approx((mean - 4.0, sd**2 / 20 + 2.1**2 / 25), rel=1e-12)


def test_a_printed_mean_or_sd_is_kept_and_only_the_other_imputed():
    n, low, high = 20.0, 1.0, 9.0
    sd = (high - low) / (2 * stats.norm.ppf((n - 0.375) / (n + 0.25)))
    assert one("MD", **without("sd1", min1=low, max1=high))[1] == pytest.approx(sd**2 / 20 + 2.1**2 / 25, rel=1e-12)
    yi, vi = one("MD", **without("mean1", median1=5.0, q1_1=4.0, q3_1=6.0))
    assert vi == pytest.approx(2.0**2 / 20 + 2.1**2 / 25, rel=1e-12)
    assert yi == pytest.approx(1.0)


def test_the_method_for_medians_is_that_asked_for():
    figures = without("mean1 sd1", median1=5.0, min1=1.0, max1=9.6)
    yi, vi = one("MD", {"method": "hozo2005"}, **figures)
    assert yi == pytest.approx((1 + 2 * 5 + 9.6) / 4 - 4)
    assert vi == pytest.approx(((9.6 - 1) / 4) ** 2 / 20 + 2.1**2 / 25)
    effects = m2.harmonise(sheet(A=figures), measure="MD", method="lognormal")
    assert steps(effects).loc["sd1", "assumption"] == "the values are close to log-normal"


# ----------------------------------------------------------------------- mean differences, ratios and other scales
def test_the_standard_error_of_an_effect_is_read_by_metafors_name_for_it():
    effects = m2.harmonise(sheet(A={"yi": 0.4, "sei": 0.2}, B={"estimate": math.e, "sei": 0.3}), measure="OR")
    assert effects.yi == pytest.approx([0.4, 1], rel=1e-15)
    assert effects.vi == pytest.approx([0.04, 0.09], rel=1e-15)
    assert steps(effects).loc["sei", "quotes"] == "column 'sei'"
    assert steps(effects).loc["se", "basis"] == "derived"
    assert one("HR", log_hr=0.4, sei=0.2) == pytest.approx((0.4, 0.04), rel=1e-15)
    assert one("OR", estimate=math.e, se=0.9, sei=0.3) == pytest.approx((1, 0.09), rel=1e-15)
    assert refused(measure="OR", estimate=2.0, sei=0.9, ci_lower=1.5, ci_upper=2.7) == (
        "A: column 'sei' is 0.9, but it must be the standard error of the log odds ratio, which the interval from 1.5 "
        "to 2.7 puts at 0.150; correct the entry."
    )


def test_a_standard_error_is_that_of_a_mean_only_beside_a_mean_or_median():
    mean = {"mean": 5.0, "n": 25.0}
    assert one("MNLN", **mean, se=0.4) == pytest.approx((math.log(5), 0.4**2 / 25), rel=1e-15)
    assert one("MNLN", **mean, sei=0.4, yi=math.log(5)) == pytest.approx((math.log(5), 0.16), rel=1e-15)
    assert one("SDLN", mean=5.0, n=25.0, se=0.4) == pytest.approx((math.log(2) + 1 / 48, 1 / 48), rel=1e-15)
    assert one("SDLN", median=5.0, n=25.0, se=0.4) == pytest.approx((math.log(2) + 1 / 48, 1 / 48), rel=1e-15)
    assert one("SDLN", estimate=2.0, n=25.0, se=0.4) == pytest.approx((math.log(2), 0.16), rel=1e-15)


def test_mean_differences_take_the_t_distribution_where_sizes_are_printed():
    t43 = stats.t.ppf(0.975, 43)
    limits = {"estimate": 1.2, "ci_lower": 0.2, "ci_upper": 2.2}
    assert one("MD", **limits, **SIZES) == pytest.approx((1.2, (2 / (2 * t43)) ** 2), rel=1e-12)
    assert one("MD", **limits) == pytest.approx((1.2, (2 / (2 * Z)) ** 2), rel=1e-12)
    assert one("MD", estimate=1.2, p=0.04, **SIZES)[1] == pytest.approx((1.2 / stats.t.isf(0.02, 43)) ** 2, rel=1e-12)
    assert one("MD", estimate=1.2, p=0.04)[1] == pytest.approx((1.2 / stats.norm.isf(0.02)) ** 2, rel=1e-12)
    assert one("MD", estimate=1.2, t=-2.5)[1] == pytest.approx((1.2 / 2.5) ** 2, rel=1e-12)
    assert one("MD", estimate=1.2, se=0.3) == pytest.approx((1.2, 0.09), rel=1e-12)


def test_means_without_sds_stand_in_for_the_estimate_of_a_mean_difference():
    means = without("sd1 sd2")
    want = (1.0, (1.0 / stats.t.isf(0.02, 43)) ** 2)
    assert one("MD", **means, p=0.04) == pytest.approx(want, rel=1e-12)
    assert one("MC", mean_post=7.0, mean_pre=5.0, n=12, t=2.5) == pytest.approx((2.0, (2 / 2.5) ** 2), rel=1e-12)
    # for the SMD they give the sign that P lacks
    for lower, sign in ((4.0, 1), (6.0, -1)):
        yi, _ = one("SMD", **(means | {"mean2": lower}), p=0.04)
        assert yi == pytest.approx(sign * j(43) * stats.t.isf(0.02, 43) * math.sqrt(1 / 20 + 1 / 25), rel=1e-12)


@pytest.mark.parametrize("measure", ["RR", "OR", "ROM", "IRR", "HR"])
def test_a_ratio_with_its_interval_or_p_is_read_on_the_log_scale(measure):
    want = (math.log(1.84), ((math.log(3.48) - math.log(0.97)) / (2 * Z)) ** 2)
    assert one(measure, estimate=1.84, ci_lower=0.97, ci_upper=3.48) == pytest.approx(want, rel=1e-12)
    z99 = stats.norm.ppf(0.995)
    want = (math.log(0.5), ((math.log(0.9) - math.log(0.2)) / (2 * z99)) ** 2)
    assert one(measure, estimate=0.5, ci_lower=0.2, ci_upper=0.9, level=0.99) == pytest.approx(want, rel=1e-12)
    assert one(measure, estimate=0.5, p=0.02) == pytest.approx(
        (math.log(0.5), (math.log(0.5) / stats.norm.isf(0.01)) ** 2), rel=1e-12
    )
    assert one(measure, estimate=0.5, se=0.4) == pytest.approx((math.log(0.5), 0.16), rel=1e-12)


def test_estimates_of_other_scales():
    yi, vi = one("ZCOR", estimate=0.3, ci_lower=0.1, ci_upper=0.5)
    assert (yi, vi) == pytest.approx((math.atanh(0.3), ((math.atanh(0.5) - math.atanh(0.1)) / (2 * Z)) ** 2), rel=1e-12)
    yi, vi = one("PLO", estimate=0.2, ci_lower=0.1, ci_upper=0.35)
    odds = [math.log(p / (1 - p)) for p in (0.1, 0.2, 0.35)]
    assert (yi, vi) == pytest.approx((odds[1], ((odds[2] - odds[0]) / (2 * Z)) ** 2), rel=1e-12)
    # no effect of an AUC is 0.5, so a test is of the distance from there
    assert one("AUC", estimate=0.7, t=2.0) == pytest.approx((0.7, 0.1**2), rel=1e-12)


def test_printed_effects_of_gen_and_hr_have_their_own_names():
    assert one("GEN", yi=0.3, ci_lower=0.1, ci_upper=0.5, level=0.8)[1] == pytest.approx(
        (0.4 / (2 * stats.norm.ppf(0.9))) ** 2, rel=1e-12
    )
    assert one("GEN", yi=0.3, sei=0.1) == pytest.approx((0.3, 0.01))
    assert one("GEN", yi=0.3, se=0.1) == pytest.approx((0.3, 0.01))
    assert one("HR", hr=0.7, ci_lower=0.5, ci_upper=0.98)[0] == pytest.approx(math.log(0.7))
    assert one("HR", hr=0.7, se=0.2)[1] == pytest.approx(0.04)
    assert one("HR", o_minus_e=-4.0, v=10.0) == pytest.approx((-0.4, 0.1))


# ------------------------------------------------------------------------------------------------ change, one group
CHANGE = {"mean_post": 7.0, "sd_post": 2.0, "mean_pre": 5.0, "sd_pre": 1.5, "n": 12.0}


def test_changes_of_each_kind():
    sd = 1.8
    half = stats.t.ppf(0.975, 11) * sd / math.sqrt(12)
    effects = m2.harmonise(
        sheet(
            paired={**CHANGE, "r": 0.6},
            change={"mean_change": 2.0, "sd_change": sd, "n": 12},
            error={"mean_change": 2.0, "se_change": sd / math.sqrt(12), "n": 12},
            interval={"mean_change": 2.0, "mean_change_lower": 2 - half, "mean_change_upper": 2 + half, "n": 12},
            means={"mean_post": 7.0, "mean_pre": 5.0, "sd_change": sd, "n": 12},
            estimate={"estimate": 2.0, "ci_lower": 2 - half, "ci_upper": 2 + half, "n": 12},
            test={"mean_change": 2.0, "t": 2 / (sd / math.sqrt(12)), "n": 12},
            p={"mean_change": 2.0, "p": 2 * stats.t.sf(2 / (sd / math.sqrt(12)), 11), "n": 12},
        ),
        measure="MC",
    )
    np.testing.assert_allclose(effects.yi, 2.0)
    np.testing.assert_allclose(effects.vi, [(4 + 2.25 - 2 * 0.6 * 3) / 12, *[sd**2 / 12] * 7], rtol=1e-10)


def test_an_assumed_correlation_is_the_last_resort_and_marked():
    table = sheet(
        A=CHANGE, B={**CHANGE, "r": 0.6}, C={**CHANGE, "mean_change": 2.0, "sd_change": 1.0},
        D={**CHANGE, "estimate": 2.1, "se": 0.3},
    )  # fmt: skip
    effects = m2.harmonise(table, measure="MC", r=0.5)
    np.testing.assert_allclose(effects.vi, [(6.25 - 3) / 12, (6.25 - 3.6) / 12, 1 / 12, 0.09], rtol=1e-12)
    step = steps(effects).loc["r"]
    assert (step["basis"], step["assumption"]) == ("assumed", "r = 0.5; it is not printed")
    assert steps(effects, "B").loc["r", "basis"] == "printed"
    assert "r" not in steps(effects, "C").index
    named = table.iloc[1:2].rename(columns={"r": "rho"})
    assert m2.harmonise(named, measure="MC", r="rho").vi == pytest.approx((6.25 - 3.6) / 12)


@pytest.mark.filterwarnings("ignore::metail2.MetailWarning")
def test_without_a_correlation_a_change_is_missing():
    effects = m2.harmonise(sheet(A=CHANGE, B={**CHANGE, "r": 0.6}), measure="MC")
    assert np.isnan(effects.yi).tolist() == [True, False]
    assert steps(effects).loc["yi", "notes"].startswith("r is missing")


def test_standardised_changes():
    d = 0.8
    g = j(11) * d
    want = (g, 1 / 12 + g**2 / 24)
    for figures in (
        {"d": d}, {"g": g}, {"t": d * math.sqrt(12)}, {"mean_change": 1.6, "sd_change": 2.0},
        {"p": 2 * stats.t.sf(d * math.sqrt(12), 11), "direction": 1},
    ):  # fmt: skip
        assert one("SMCC", n=12, **figures) == pytest.approx(want, rel=1e-9)


# ------------------------------------------------------------------------------------------------------------ counts
def test_counts_of_each_kind():
    effects = m2.harmonise(
        sheet(
            counts={"events1": 8, "n1": 20, "events2": 15, "n2": 25},
            cells={"a": 8, "b": 12, "c": 15, "d": 10},
            percent={"percent1": "40.0", "n1": 20, "percent2": "60", "n2": 25},
            sign={"percent1": "40 %", "n1": 20, "events2": 15, "n2": 25},
            ratio={"estimate": 0.67, "ci_lower": 0.35, "ci_upper": 1.26},
        ),
        measure="RR",
    )
    want = (math.log(8 / 20) - math.log(15 / 25), 1 / 8 - 1 / 20 + 1 / 15 - 1 / 25)
    np.testing.assert_allclose(np.column_stack([effects.yi, effects.vi])[:4], [want] * 4, rtol=1e-12)
    assert effects.yi[4] == pytest.approx(math.log(0.67))
    assert set(effects.inputs) == {"events1", "n1", "events2", "n2"}
    np.testing.assert_array_equal(effects.inputs["events1"][:4], 8)
    tables = effects.subset(np.arange(5) < 4)
    assert m2.MantelHaenszel("RR").fit(tables).estimate == pytest.approx(want[0])


def test_a_table_in_cells_counts_for_if0all_like_one_in_events():
    table = sheet(A={"events1": 8, "n1": 20, "events2": 15, "n2": 25}, B={"a": 0, "b": 12, "c": 15, "d": 10})
    effects = m2.harmonise(table, measure="OR", to="if0all")
    assert effects.yi[0] == pytest.approx(math.log(8.5 * 10.5 / (12.5 * 15.5)))
    assert steps(effects).loc["yi", "conversion"] == "odds ratio, 0.5 added to every cell"
    alone = m2.harmonise(table.iloc[:1], measure="OR", to="if0all")
    assert steps(alone).loc["yi", "conversion"] == "odds ratio"


def test_zero_cells_and_double_zeros_are_treated_as_asked():
    table = sheet(A={"a": 0, "b": 12, "c": 5, "d": 10}, B={"events1": 0, "n1": 9, "events2": 0, "n2": 9})
    with pytest.warns(MetailWarning, match=r"^The risk ratio of B cannot be computed"):
        effects = m2.harmonise(table, measure="RR", add=0.25, drop00=True)
    assert effects.yi[0] == pytest.approx(math.log(0.25 / 12.5) - math.log(5.25 / 15.5))
    assert math.isnan(effects.yi[1])


def test_numbers_as_percentages_show_the_decimals_they_need():
    figures = {"percent1": 38.4, "n1": 26, "events2": 5, "n2": 20}  # 10 of 26 is 38.46 %: by truncation only
    assert one("RD", **figures)[0] == pytest.approx(10 / 26 - 0.25)
    # 30 stands for 30, 30.0 …: two counts of 150 print so
    said = refused(measure="RD", percent1=30.0, n1=150, events2=5, n2=20)
    assert said.startswith("A, column 'percent1': 30 % of 150 fits 1 count by rounding (45 of 150) and 1 count by")
    assert one("RD", percent1="30.00", n1=150, events2=5, n2=20)[0] == pytest.approx(0.3 - 0.25)


def test_events_in_person_time_and_one_group():
    assert one("IRR", events1=5, time1=100, events2=9, time2=90) == pytest.approx(
        (math.log(5 / 100) - math.log(9 / 90), 1 / 5 + 1 / 9)
    )
    assert one("PR", percent="25", n=20) == pytest.approx((0.25, 5 * 15 / 20**3))
    assert one("MN", mean=5.0, se=0.5, n=16) == pytest.approx((5.0, 0.25))
    assert one("MN", mean=5.0, se=0.5) == pytest.approx((5.0, 0.25))
    assert one("MN", median=5.0, q1=4.0, q3=6.0, n=16)[0] == pytest.approx(5.0)


# -------------------------------------------------------------------------------- collapses to the direct computation
VALUES = {
    "a": 8, "b": 12, "c": 15, "d": 10, "events1": 8, "n1": 20, "events2": 15, "n2": 25, "time1": 100, "time2": 90,
    "mean1": 5, "sd1": 2, "mean2": 4, "sd2": 2.1, "mean_post": 7, "sd_post": 2, "mean_pre": 5, "sd_pre": 1.5, "n": 30,
    "r": 0.3, "mean_change": 2, "sd_change": 1.5, "events": 7, "time": 100, "mean": 5, "sd": 2, "t": 2.1, "f": 4.4,
    "p": 0.03, "direction": 1, "predictors": 3, "r2": 0.4, "alpha": 0.8, "items": 10, "aa": 20, "ab": 40, "bb": 10,
    "auc": 0.7, "log_hr": -0.3, "se": 0.2, "o_minus_e": -4, "v": 10, "yi": 0.3, "vi": 0.04, "sei": 0.2,
}  # fmt: skip
SETS = [(code, names) for code, entry in m2.MEASURES.items() for names in column_sets(entry)]


@pytest.mark.parametrize(
    ("code", "names"), SETS, ids=lambda value: value if isinstance(value, str) else "-".join(value)
)
def test_every_way_of_every_measure_is_that_of_effect_sizes(code, names):
    figures = {name: VALUES[name] for name in names}
    if names[0] == "d" and "c" not in names:
        figures["d"] = 0.4
    if code == "MPORM":  # both conditions in the same patients
        figures |= {"n2": 20} if "n2" in names else {"d": 5}
    table = sheet(A=figures, B=figures)
    for vtype in m2.MEASURES[code].vtypes:
        got, want = m2.harmonise(table, measure=code, vtype=vtype), m2.effect_sizes(table, code, vtype=vtype)
        np.testing.assert_array_equal(got.yi, want.yi)
        np.testing.assert_array_equal(got.vi, want.vi)
    assert got.complete.all()
    assert set(got.inputs) <= set(known_columns(m2.MEASURES[code]))


@pytest.mark.parametrize("measure", ["MD", "SMD", "ROM"])
def test_what_sds_can_be_had_from_gives_the_effect_of_the_sds(measure):
    rng = np.random.default_rng(4)
    k = 40
    table = pd.DataFrame(
        {name: rng.uniform(low, high, k) for name, low, high in (
            ("mean1", 4, 8), ("sd1", 1, 3), ("mean2", 4, 8), ("sd2", 1, 3))}
    ).assign(n1=rng.integers(5, 90, k), n2=rng.integers(5, 90, k))  # fmt: skip
    direct = m2.effect_sizes(table, measure)
    other = table.drop(columns=["sd1", "sd2"])
    for arm in "12":
        n, sd, mean = table[f"n{arm}"], table[f"sd{arm}"], table[f"mean{arm}"]
        se = sd / np.sqrt(n)
        half = stats.t.ppf(0.95, n - 1) * se
        first = np.arange(k) < k / 2
        other[f"se{arm}"] = np.where(first, se, NAN)
        other[f"mean{arm}_lower"] = np.where(first, NAN, mean - half)
        other[f"mean{arm}_upper"] = np.where(first, NAN, mean + half)
    got = m2.harmonise(other, measure=measure, level=0.9)
    np.testing.assert_allclose(got.yi, direct.yi, rtol=1e-10)
    np.testing.assert_allclose(got.vi, direct.vi, rtol=1e-10)


def mixed(k, seed=0):
    """A large sheet in which the kinds of study alternate."""
    rng = np.random.default_rng(seed)
    kind = np.arange(k) % 8
    table = {}

    def put(name, values, *kinds):
        table[name] = np.where(np.isin(kind, kinds), values, NAN)

    for arm in "12":
        n, mean, sd = rng.integers(10, 200, k).astype(float), rng.normal(5, 1, k), rng.uniform(1, 3, k)
        put(f"n{arm}", n, 0, 1, 2, 3, 4, 5, 6)
        put(f"mean{arm}", mean, 0, 1, 2)
        put(f"sd{arm}", sd, 0)
        put(f"se{arm}", sd / np.sqrt(n), 1)
        put(f"mean{arm}_lower", mean - sd / 2, 2)
        put(f"mean{arm}_upper", mean + sd / 2, 2)
        for name, figure in ((f"median{arm}", mean), (f"q1_{arm}", mean - sd), (f"q3_{arm}", mean + sd)):
            put(name, figure, 3)
    put("d", rng.normal(0.3, 0.2, k), 4)
    put("t", rng.normal(1, 1, k), 5)
    put("p", rng.uniform(0.001, 1, k), 6)
    put("direction", 1.0, 6)
    put("estimate", 0.2, 7)
    put("ci_lower", -0.2, 7)
    put("ci_upper", 0.6, 7)
    return pd.DataFrame({"study": [f"S{i}" for i in range(k)], **table})


def test_the_order_of_the_rows_does_not_matter():
    table = mixed(400)
    order = np.random.default_rng(3).permutation(400)
    straight, shuffled = m2.harmonise(table, measure="SMD"), m2.harmonise(table.iloc[order], measure="SMD")
    assert shuffled.study == tuple(straight.study[i] for i in order)
    np.testing.assert_array_equal(shuffled.yi, straight.yi[order])
    np.testing.assert_array_equal(shuffled.vi, straight.vi[order])
    columns = ["study", "step", "quantity", "value", "conversion", "basis"]
    sorted_trails = [e.trail[columns].sort_values(["study", "step"], ignore_index=True) for e in (straight, shuffled)]
    pd.testing.assert_frame_equal(*sorted_trails)
    assert list(dict.fromkeys(shuffled.trail["study"])) == list(shuffled.study)


def test_a_hundred_thousand_studies():
    table = mixed(100_000)
    effects = m2.harmonise(table, measure="SMD")
    assert effects.complete.all()
    raw = table.iloc[::8]
    np.testing.assert_array_equal(effects.yi[::8], m2.effect_sizes(raw, "SMD").yi)
    assert effects.trail["study"].nunique() == 100_000
    assert (effects.trail["quantity"] == "vi").sum() == 100_000


# ------------------------------------------------------------------------------------------------- order of preference
LADDER = [
    ("mean1 sd1", {"mean1": 5.0, "sd1": 2.0}),
    ("se1", {"se1": 0.5, "mean1": 5.0}),
    ("mean1_lower", {"mean1_lower": 4.1, "mean1_upper": 5.9, "mean1": 5.0}),
    ("median1", {"median1": 5.2, "q1_1": 4.0, "q3_1": 6.6}),
    ("d", {"d": 0.35}),
    ("yi", {"yi": 0.3, "vi": 0.2}),
    ("estimate", {"estimate": 0.31, "se": 0.4}),
    ("ci_lower", {"estimate": 0.31, "ci_lower": -0.4, "ci_upper": 1.0}),
    ("t", {"t": 1.1}),
    ("f", {"f": 1.3, "direction": 1}),
    ("r", {"r": 0.2}),
    ("p", {"p": 0.3, "direction": 1}),
]


@pytest.mark.parametrize("step", range(len(LADDER) - 1))
def test_a_row_takes_the_first_way_that_is_whole(step):
    """A rung alone, and beside everything below it, gives the same effect by the same figures."""
    second = {"mean2": 4.0, "sd2": 2.1} if step < 4 else {}
    alone = {**LADDER[step][1], **second, **SIZES}
    beside = {}
    for _, figures in LADDER[step + 1 :]:
        beside = figures | beside
    if step in (1, 2, 3):
        beside = {name: value for name, value in beside.items() if name not in ("mean1", "sd1")}
    both = m2.harmonise(sheet(A={**beside, **alone}), measure="SMD")
    single = m2.harmonise(sheet(A=alone), measure="SMD")
    assert (both.yi[0], both.vi[0]) == (single.yi[0], single.vi[0])
    assert both.trail["quantity"].tolist() == single.trail["quantity"].tolist()
    assert LADDER[step][0].split()[0] in single.trail["quantity"].tolist()


def test_no_figure_is_borrowed_from_other_rows():
    table = sheet(A=MEANS, B=without("sd1"))
    with pytest.warns(MetailWarning) as caught:
        effects = m2.harmonise(table, measure="SMD")
    assert str(caught[0].message) == (
        "The standardised mean difference (Hedges' g) of B cannot be computed with its variance from the figures given "
        "(sd1 is missing and cannot be had from what is printed); it stays in the table as NaN."
    )
    assert caught[0].filename == __file__
    assert effects.yi[0] == m2.effect_sizes(table.iloc[:1], "SMD").yi[0]


@pytest.mark.parametrize(
    ("figures", "options", "reason"),
    [
        ({"t": 2.0, "n1": 20}, {}, "n2 is missing and"),
        ({"estimate": 0.3}, {}, "a standard error, interval, t or P is missing and"),
        ({"se": 0.3}, {}, "the estimate is missing and"),
        (SIZES, {}, "mean1, sd1, mean2 and sd2 are missing and"),
        (without("sd1 mean1", median1=5), {}, "mean1 and sd1 are missing and"),
        (
            without("sd1 mean1", median1=5, q1_1=4, q3_1=6), {"method": "hozo2005"},
            "mean1 and sd1 are missing and cannot be had from what is printed (Hozo 2005 has no formula for median and",
        ),
        ({**MEANS, "sd1": 0, "sd2": 0}, {}, "the SD that it is divided by is 0, or there are too few patients"),
    ],
)  # fmt: skip
def test_a_row_with_too_little_is_missing_with_its_reason(figures, options, reason):
    with pytest.warns(
        MetailWarning, match=re.escape(f"of B cannot be computed with its variance from the figures given ({reason}")
    ):
        effects = m2.harmonise(sheet(A=MEANS, B=figures), measure="SMD", **options)
    assert effects.complete.tolist() == [True, False]
    last = effects.trail.iloc[-1]
    assert (last["study"], last["quantity"], last["conversion"]) == ("B", "yi", "not computed")
    assert math.isnan(last["value"])
    assert last["notes"].startswith(reason)


# --------------------------------------------------------------------------------------------------------- the trail
def test_the_warning_groups_studies_by_reason():
    with pytest.warns(MetailWarning) as caught:
        m2.harmonise(sheet(A=without("sd1"), B=MEANS, C={"estimate": 0.2}, D=without("sd1")), measure="MD")
    assert str(caught[0].message) == (
        "The mean difference of A, C and D cannot be computed with its variance from the figures given (A and D: sd1 "
        "is missing and cannot be had from what is printed; C: a standard error, interval, t or P is missing and "
        "cannot be had from what is printed); it stays in the table as NaN."
    )


def test_the_trail_tells_figures_conversion_and_source():
    half = stats.t.ppf(0.975, 24) * 2.1 / math.sqrt(25)
    figures = without("sd2", mean2_lower=4 - half, mean2_upper=4 + half, p=0.5)
    effects = m2.harmonise(sheet(A=figures).rename(columns={"mean1": "m"}), measure="SMD", mean1="m")
    trail = effects.trail
    assert list(trail.columns) == list(TRAIL_COLUMNS)
    told = trail[["step", "quantity", "records", "quotes", "conversion", "basis"]].to_numpy().tolist()
    assert told == [
        [1, "mean1", "row 1", "column 'm'", "as printed", "printed"],
        [2, "sd1", "row 1", "column 'sd1'", "as printed", "printed"],
        [3, "n1", "row 1", "column 'n1'", "as printed", "printed"],
        [4, "mean2", "row 1", "column 'mean2'", "as printed", "printed"],
        [5, "n2", "row 1", "column 'n2'", "as printed", "printed"],
        [6, "mean2_lower", "row 1", "column 'mean2_lower'", "as printed", "printed"],
        [7, "mean2_upper", "row 1", "column 'mean2_upper'", "as printed", "printed"],
        [8, "sd2", "row 1", "", "SD from 95 % interval", "assumed"],
        [9, "yi", "row 1", "", "standardised mean difference (Hedges' g)", "derived"],
        [10, "vi", "row 1", "", "sampling variance", "derived"],
    ]
    assert trail["value"].iloc[7] == pytest.approx(2.1)
    assert trail["citation"].iloc[7].startswith("Higgins JPT")
    assert trail["citation"].iloc[8].startswith("Hedges LV (1981)")
    assert (trail["value"].iloc[8], trail["value"].iloc[9]) == (effects.yi[0], effects.vi[0])


@pytest.mark.parametrize(
    ("figures", "quantity", "conversion", "citation", "basis"),
    [
        (without("sd1", se1=0.4), "sd1", "SD from standard error", "Higgins", "derived"),
        (
            without("sd1 mean1", median1=5, q1_1=4, q3_1=6),
            "mean1",
            "imputed from q1_1, median1, q3_1",
            "Luo",
            "assumed",
        ),
        (without("sd1 mean1", median1=5, q1_1=4, q3_1=6), "sd1", "imputed from q1_1, q3_1", "Wan", "assumed"),
        ({**SIZES, "g": 0.4}, "d", "Cohen's d from Hedges' g", "Hedges", "derived"),
        ({**SIZES, "t": 1.4}, "yi", "standardised mean difference", "Higgins", "derived"),
        ({**SIZES, "p": 0.4, "direction": 1}, "yi", "standardised mean difference", "Higgins", "assumed"),
        ({"estimate": 0.4, "p": 0.4}, "se", "SE from P value", "Altman", "assumed"),
        ({"estimate": 0.4, "ci_lower": 0.1, "ci_upper": 0.7}, "se", "SE from 95 % interval", "Higgins", "assumed"),
    ],
)
def test_each_conversion_names_its_source_and_what_it_rests_on(figures, quantity, conversion, citation, basis):
    step = steps(m2.harmonise(sheet(A=figures), measure="SMD")).loc[quantity]
    assert step["conversion"].startswith(conversion)
    assert step["citation"].startswith(citation)
    assert step["basis"] == basis
    assert bool(step["assumption"]) == (basis == "assumed")
    assert step["formula"]


def test_a_figure_that_is_not_used_is_not_in_the_trail():
    effects = m2.harmonise(sheet(A={**SIZES, "d": 0.4, "se1": 0.3, "q1_2": 4, "estimate": 0.5}), measure="SMD")
    assert effects.trail["quantity"].tolist() == ["n1", "n2", "d", "yi", "vi"]


def test_the_trail_goes_with_a_subset_and_a_reversal():
    effects = m2.harmonise(mixed(16), measure="SMD")
    part = effects.subset(np.arange(16) == 3).reversed()
    assert set(part.trail["study"]) == {"S3"}
    assert part.trail["value"].iloc[-1] == -effects.yi[3]


# -------------------------------------------------------------------------------------------------- names and options
def test_columns_are_named_as_in_effect_sizes():
    table = sheet(A=MEANS).rename(columns={"mean1": "m_exp", "study": "trial"})
    effects = m2.harmonise(table, measure="SMD", study="trial", mean1="m_exp")
    assert effects.study == ("A",)
    assert effects.yi[0] == m2.effect_sizes(sheet(A=MEANS), "SMD").yi[0]
    assert list(effects.moderators.columns) == list(table.columns)


def test_unicode_labels_and_a_table_without_labels():
    effects = m2.harmonise(sheet(**{"Åström 1999 – α": MEANS}), measure="MD")
    assert effects.study == ("Åström 1999 – α",)
    assert set(effects.trail["study"]) == {"Åström 1999 – α"}
    assert m2.harmonise(pd.DataFrame([MEANS, MEANS]), measure="MD").study == ("study 1", "study 2")


def test_text_cells_with_numbers_spaces_and_marks_of_absence_are_read():
    figures = {name: f" {value} " for name, value in MEANS.items()} | {"d": "NA", "t": "", "p": None}
    assert one("SMD", **figures) == one("SMD", **MEANS)


def test_the_table_given_is_not_changed():
    table = sheet(A=MEANS, B={**SIZES, "p": "0.04", "direction": 1})
    before = table.copy(deep=True)
    effects = m2.harmonise(table, measure="SMD")
    effects.inputs["mean1"][0] = 99
    pd.testing.assert_frame_equal(table, before)


def test_a_column_of_levels_may_have_another_name():
    figures = {"estimate": 1.2, "ci_lower": 0.2, "ci_upper": 2.2, "conf": 0.9}
    assert one("MD", {"level": "conf"}, **figures)[1] == pytest.approx((1 / stats.norm.ppf(0.95)) ** 2)


OPTIONS = {
    "outcome": ({"outcome": "pain"}, "outcome='pain' has no meaning for a table, which has one outcome and one row a"),
    "timepoint": ({"timepoint": "week 12"}, "timepoint='week 12' has no meaning for a table"),
    "population": ({"population": {"A": "ITT"}}, "population={'A': 'ITT'} has no meaning for a table"),
    "studies": ({"studies": ["A"]}, "studies=['A'] has no meaning for a table"),
    "baseline": ({"baseline": "week 0"}, "baseline='week 0' has no meaning for a table"),
    "arms": ({"arms": "separate"}, "arms='separate' has no meaning for a table"),
    "role": ({"role": "control"}, "role='control' has no meaning for a table"),
    "arm_sizes": ({"arm_sizes": "allocation"}, "arm_sizes='allocation' has no meaning for a table"),
    "r": ({"r": 0.5}, "SMD assumes no correlation, so r=0.5 has no meaning; leave it out."),
    "level": ({"level": 95}, "level is 95, but a confidence level is a fraction between 0 and 1, such as 0.95."),
    "vtype": ({"vtype": "AV"}, "Unknown variance of SMD 'AV'."),
    "method": ({"method": "wan"}, "Unknown summary method 'wan'."),
    "to": ({"to": "some"}, "Unknown rule for zero cells 'some'."),
    "add": ({"add": -1}, "add is -1; it must be 0 or a positive number."),
    "column": ({"meen1": "mean1"}, "Unknown column of SMD 'meen1'. Did you mean 'mean1'?"),
    "source": ({"mean1": "x"}, "There is no column 'x' (given as mean1); the table has study, mean1, sd1,"),
    "study": ({"study": "trial"}, "There is no column 'trial' for the study labels; the table has study, mean1,"),
}


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_without_meaning_or_of_no_choice_is_refused(option):
    given, want = OPTIONS[option]
    assert refused(MetailError, options=given, **MEANS).startswith(want)


def test_a_measure_in_the_place_of_the_outcome_is_told():
    with pytest.raises(RecordError, match=re.escape('give the measure by its name: measure="SMD".')):
        m2.harmonise(sheet(A=MEANS), "SMD")


def test_an_impossible_assumed_correlation_is_refused():
    assert refused(measure="MC", options={"r": 1.5}, **CHANGE) == ("r is 1.5, but a correlation lies between −1 and 1.")


def test_trial_records_take_no_options_of_tables(made):
    records = made(["A treg drug experimental week12 n 5"])
    for options, want in (
        ({"outcome": "treg", "study": "x"}, "study='x' has no meaning for trial records; leave it out."),
        ({"outcome": "treg", "level": 0.9}, "level=0.9 has no meaning for trial records; leave it out."),
        ({"outcome": "treg", "mean1": "m"}, "mean1='m' has no meaning for trial records; leave it out."),
        ({"outcome": "treg", "r": "rho"}, "Trial records need r as a number."),
        ({}, "Trial records need an outcome: which of theirs is to be taken."),
    ):
        with pytest.raises(RecordError, match=re.escape(want)):
            m2.harmonise(records, measure="MD", **options)


# ------------------------------------------------------------------------------------------------------- bad figures
@pytest.mark.parametrize(
    ("figures", "said"),
    [
        ({**MEANS, "sd1": "2.0*"}, "A: column 'sd1' holds '2.0*', which is not a number; correct it or leave it"),
        ({**MEANS, "sd1": math.inf}, "A: column 'sd1' holds inf, which is not finite; correct it or leave it empty."),
        ({**SIZES, "p": "o.03", "direction": 1}, "A: column 'p' holds 'o.03', which is not a number"),
        (
            without("sd1", se1=-1.0),
            "A, columns 'se1' and 'n1': the standard error -1 is negative; correct the table.",
        ),
        (
            without("sd1", mean1_lower=6.0, mean1_upper=4.0),
            "A, columns 'mean1_lower', 'mean1_upper', 'n1' and 'mean1': the limits 6 to 4 are reversed; correct",
        ),
        (
            without("sd1 mean1", median1=5.0, q1_1=6.0, q3_1=4.0),
            "A, columns 'n1', 'q1_1', 'median1' and 'q3_1': the lower quartile 6 is above the median 5; correct the",
        ),
        ({**SIZES, "d": 0.4, "level": 95, "estimate": 1}, None),
        (
            {"estimate": 0.4, "ci_lower": 0.5, "ci_upper": 0.7},
            "A, columns 'ci_lower' and 'ci_upper': 0.5 to 0.7 is no interval around the estimate 0.4; correct the",
        ),
        (
            {"estimate": 0.4, "ci_lower": 0.1, "ci_upper": 0.7, "level": 95},
            "A: column 'level' is 95, but it must be a fraction between 0 and 1, such as 0.95; correct the entry.",
        ),
        (
            {**SIZES, "t": 2.0, "direction": -1},
            "A: column 't' is 2, but it must have the sign of the effect, which direction or the means give; correct",
        ),
        (
            {**without("sd1 sd2"), "d": -0.4},
            "A: column 'd' is -0.4, but it must have the sign of the effect, which direction or the means give;",
        ),
    ],
)  # fmt: skip
def test_impossible_figures_are_refused_with_study_and_column(figures, said):
    if said is None:  # what is not used is not judged here
        assert one("SMD", **figures)
    else:
        assert refused(**figures).startswith(said)


@pytest.mark.parametrize(
    ("measure", "figures", "said"),
    [
        ("SMD", {**MEANS, "sd1": -2.0}, "A: column 'sd1' is -2, but it must be 0 or more; correct the entry."),
        ("RR", {"events1": 9, "n1": 5, "events2": 1, "n2": 5}, "A: column 'events1' is 9, but it must be at most n1"),
        ("GEN", {"yi": 1, "vi": 0}, "A: column 'vi' is 0, but it must be above 0; correct the entry."),
        ("MD", {"estimate": 1, "se": -1}, "A: column 'se' is -1, but it must be above 0; correct the entry."),
        ("SMD", {**SIZES, "f": 2.0, "direction": 2}, "A: column 'direction' is 2, but it must be 1 or −1"),
        ("SMD", {**SIZES, "p": 1.5, "direction": 1}, "A: column 'p' is 1.5, but it must be a two-sided P value"),
    ],
)
def test_what_the_measure_refuses_names_the_users_column(measure, figures, said):
    assert refused(EffectSizeError, measure, **figures).startswith(said)
    renamed = sheet(A=figures).rename(columns=lambda name: name if name == "study" else f"my_{name}")
    with pytest.raises(EffectSizeError, match=re.escape(said.split("column '")[1].split("'")[0].join(["my_", "'"]))):
        m2.harmonise(renamed, measure=measure, **{name: f"my_{name}" for name in figures})


@pytest.mark.parametrize("p", ["<0.001", "< 0.05", ">0.05", "≤0.01", "ns", "N.S.", 0.0, "0", "0.000"])
def test_a_bounded_p_is_refused_where_it_is_needed_and_else_ignored(p):
    for measure, figures in (("SMD", {**SIZES, "direction": 1}), ("RR", {"estimate": 0.5}), ("MD", without("sd1"))):
        said = refused(measure=measure, **figures, p=p)
        assert said == (
            f"A, column 'p': P is printed as {p}, and only an exact P above 0 gives an effect; write the exact value, "
            "or leave the cell empty."
        )
    assert one("SMD", **MEANS, p=p) == one("SMD", **MEANS)


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        ({"percent1": "33", "n1": 1000}, "A, column 'percent1': 33 % of 1000 fits 10 counts by rounding"),
        ({"percent1": "33.3", "n1": 4}, "A, column 'percent1': No count gives 33.3 % of 4 by rounding or truncation."),
        ({"percent1": "120", "n1": 20}, "A: column 'percent1'"),
        ({"percent1": "35", "n1": 20.5}, "A, column 'percent1': The number of people 20.5 is not a whole number"),
        ({"percent1": "about 35", "n1": 20}, "A: column 'percent1' holds 'about 35', which is not a number"),
        (
            {"percent1": "38.4", "n1": 26, "percent2": "66.7", "n2": 3, "events2": None},
            "A, columns 'percent1' and 'percent2': the counts fit one arm only by rounding and the other only by",
        ),
    ],
)
def test_percentages_that_do_not_tell_the_count_are_refused(figures, said):
    if said == "A: column 'percent1'":
        said = "A, column 'percent1': 120 is not a percentage from 0 to 100."
    full = {"events2": 1, "n2": 9} | figures
    assert refused(measure="RR", **full).startswith(said)


def test_a_negative_cell_is_refused():
    said = refused(measure="RR", a=3, b=-1, c=2, d=5)
    assert said == "A: column 'b' is -1, but it must be 0 or more; correct the entry."


@pytest.mark.parametrize(
    ("measure", "value", "rule"),
    [
        ("RR", -0.4, "must be above 0, as a risk ratio is (is it the log of the ratio?)"),
        ("OR", 0.0, "has no log odds ratio"),
        ("ZCOR", 1.2, "must be from −1 to 1, as a correlation is (is it in percent?)"),
        ("PLO", 1.0, "has no log odds"),
        ("HR", -2.0, "must be above 0, as a hazard ratio is (is it the log of the ratio?)"),
        ("PR", 30.0, "must be from 0 to 1, as a proportion is (is it in percent?)"),
        ("RD", 12.5, "must be from −1 to 1, as a risk difference is (is it in percent?)"),
        ("ARAW", 1.4, "must be 1 or less, as a coefficient alpha is (is it in percent?)"),
    ],
)
def test_an_estimate_that_the_scale_has_no_place_for_is_refused(measure, value, rule):
    said = refused(measure=measure, estimate=value, se=0.2)
    assert said == (f"A: column 'estimate' is {value:g}, but it {rule}; correct the entry.")


def test_the_study_at_fault_is_found_among_many():
    table = mixed(1000)
    table.loc[table.index[721], "se1"] = -0.5  # 721 is of the kind that prints standard errors
    with pytest.raises(RecordError, match=r"^S721, columns 'se1' and 'n1': the standard error -0\.5 is negative"):
        m2.harmonise(table, measure="SMD")


def test_tables_that_are_none_are_refused():
    empty = pd.DataFrame({"study": [], "mean1": []})
    twice = sheet(A=MEANS, B=MEANS).assign(study="A")
    unnamed = sheet(A=MEANS, B=MEANS).assign(study=["A", None])
    doubled = pd.concat([sheet(A=MEANS)] * 2, axis=1)
    nothing = sheet(A={"x": 1})
    for table, said in (
        (empty, "The table has no rows, so there is nothing to compute."),
        (twice, "The table: study 'A' is in rows 1 and 2; one outcome has one row a study"),
        (unnamed, "The table, row 2: column 'study' is empty; name the study."),
        (doubled, "The table has two columns 'study'; rename or remove one."),
        (nothing, "The table has no column that SMD can be had from (mean1, sd1, n1,"),
    ):
        with pytest.raises(RecordError, match=f"^{re.escape(said)}"):
            m2.harmonise(table, measure="SMD")


def test_an_unknown_measure_and_none():
    for measure in ("SMDD", ""):
        with pytest.raises(UnknownChoice, match=f"Unknown measure '{measure}'"):
            m2.harmonise(sheet(A=MEANS), measure=measure)


# ------------------------------------------------------------------------------------------------------- from files
def test_from_a_file_of_arms_to_a_pooled_result(tmp_path):
    half = stats.t.ppf(0.975, 29) * 3.0 / math.sqrt(30)
    lines = [
        "study,arm,n,mean,sd,ci_lower,ci_upper,median,q1,q3,year",
        "Åsa,placebo,21,4.0,2.1,,,,,,2001",
        "Åsa,IL-2,20,5.0,2.0,,,,,,2001",
        f"Müller,IL-2,30,7.5,,{7.5 - half:.15g},{7.5 + half:.15g},,,,2003",
        "Müller,placebo,31,,,,,6.0,4.5,7.5,2003",
    ]
    path = tmp_path / "arms.csv"
    path.write_text("\n".join(lines), encoding="utf-8-sig")
    from metail2.records.study_table import read_table

    effects = m2.harmonise(read_table(path, arm="arm", control="placebo"), measure="MD")
    sd = 3.0 / (2 * stats.norm.ppf((0.75 * 31 - 0.125) / 31.25))
    np.testing.assert_allclose(effects.yi, [1.0, 1.5])
    np.testing.assert_allclose(effects.vi, [4 / 20 + 2.1**2 / 21, 9 / 30 + sd**2 / 31], rtol=1e-10)
    assert steps(effects, "Müller")["records"].unique().tolist() == ["row 4"]
    assert m2.pool(effects, tau2="CE").estimate == pytest.approx(np.average(effects.yi, weights=1 / effects.vi))


def test_nothing_is_warned_of_where_all_is_well():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        m2.harmonise(mixed(80), measure="SMD")
