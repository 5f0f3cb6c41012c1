"""Analyses from the literature with their printed figures; each test is named after its article.

Figures are compared at the digits printed. Data come from `m2.load_dataset`, or are re-keyed from the article cited.
"""

import numpy as np
import pandas as pd
import pytest

import metail2 as m2
from metail2.effects.transforms import freeman_tukey_backward


def printed(value, digits=4):
    """Agree with a printed figure: half a unit of its last digit, with room for the article's own rounding."""
    return pytest.approx(value, rel=0, abs=0.51 * 10**-digits)


def row(result):
    return result.tidy().iloc[0]


def limits(result):
    return [row(result)[name] for name in ("estimate", "ci_lower", "ci_upper")]


def counts(events1, n1, events2, n2):
    return pd.DataFrame({"events1": events1, "n1": n1, "events2": events2, "n2": n2})


@pytest.fixture
def bcg():
    return m2.load_dataset("bcg").rename(columns={"tpos": "events1", "tn": "n1", "cpos": "events2", "cn": "n2"})


@pytest.fixture
def teachers():
    frame = m2.load_dataset("raudenbush1985")
    moderators = frame.assign(capped=frame["weeks"].clip(upper=3))
    return m2.EffectSizes.from_arrays(frame["yi"], frame["vi"], frame["study"], moderators, measure="SMD")


# --------------------------------------------------------------------------- Colditz et al. 1994, beside Stata's metan
@pytest.mark.parametrize(
    ("measure", "tau2", "pooled", "z"),
    [
        ("RR", "CE", [-0.4303, -0.5097, -0.3509], -10.6247),
        ("RR", "DL", [-0.7141, -1.0644, -0.3638], -3.9952),
        ("OR", "CE", [-0.4361, -0.5190, -0.3533], -10.3190),
        ("OR", "DL", [-0.7474, -1.1242, -0.3706], -3.8873),
        ("RD", "CE", [-0.0009, -0.0014, -0.0005], -4.0448),
        ("RD", "DL", [-0.0071, -0.0101, -0.0040], -4.5128),
    ],
)
def test_colditz_1994(bcg, measure, tau2, pooled, z):
    result = m2.pool(m2.effect_sizes(bcg, measure), tau2=tau2, test="z")
    assert limits(result) == [printed(value) for value in pooled]
    assert row(result)["statistic"] == printed(z)


@pytest.mark.parametrize(
    ("measure", "q", "tau2", "i2"),
    [("RR", 152.2330, 0.3088, 92.1173), ("OR", 163.1649, 0.3663, 92.6455), ("RD", 276.4737, None, 95.6596)],
)
def test_colditz_1994_heterogeneity(bcg, measure, q, tau2, i2):
    result = m2.pool(m2.effect_sizes(bcg, measure), tau2="DL", test="z")
    assert result.q == printed(q)
    assert result.i2 == printed(i2)
    assert result.i2_q == printed(i2)
    if tau2 is not None:
        assert result.tau2 == printed(tau2)


@pytest.mark.parametrize(
    ("measure", "tau2", "ratio"),
    [
        ("RR", "CE", [0.6503, 0.6007, 0.7040]),
        ("RR", "DL", [0.4896, 0.3449, 0.6950]),
        ("OR", "DL", [0.4736, 0.3249, 0.6903]),
    ],
)
def test_colditz_1994_ratios(bcg, measure, tau2, ratio):
    shown = m2.pool(m2.effect_sizes(bcg, measure), tau2=tau2, test="z").tidy(exponentiate=True).iloc[0]
    assert [shown["estimate"], shown["ci_lower"], shown["ci_upper"]] == [printed(value) for value in ratio]


@pytest.mark.parametrize(
    ("measure", "pooled", "z", "q"),
    [
        ("RR", [-0.4537, -0.5308, -0.3766], -11.5338, 152.5676),
        ("OR", [-0.4734, -0.5538, -0.3930], -11.5444, 163.9426),
        ("RD", [-0.0033, -0.0039, -0.0027], -11.4708, 386.7759),
    ],
)
def test_colditz_1994_mantel_haenszel(bcg, measure, pooled, z, q):
    result = m2.MantelHaenszel(measure=measure).fit(bcg)
    assert limits(result) == [printed(value) for value in pooled]
    assert row(result)["statistic"] == printed(z)
    assert result.q == printed(q)


def test_colditz_1994_peto(bcg):
    result = m2.Peto().fit(bcg)
    assert limits(result) == [printed(value) for value in (-0.4744, -0.5541, -0.3948)]
    assert row(result)["statistic"] == printed(-11.6689)
    assert result.q == printed(167.7302)
    assert np.exp(limits(result)).tolist() == [printed(value) for value in (0.6222, 0.5746, 0.6738)]


def test_colditz_1994_q_profile(bcg):
    interval = m2.pool(m2.effect_sizes(bcg, "RR"), tau2="DL", test="z").tau2_interval()
    assert (interval.lower, interval.upper) == (printed(0.1197), printed(1.1115))
    # the printed I² and H² round the search of the software that made them
    assert (interval.i2_lower, interval.i2_upper) == (printed(81.9177, 2), printed(97.6781, 3))
    assert (interval.h2_lower, interval.h2_upper) == (printed(5.5303, 2), printed(43.0680, 3))


# --------------------------------------------------------------------------- van Houwelingen et al. 2002 (BCG, log OR)
def test_van_houwelingen_2002(bcg):
    effects = m2.effect_sizes(bcg, "OR")
    fixed = m2.pool(effects, tau2="CE", test="z").tidy(exponentiate=True).iloc[0]
    assert [fixed["estimate"], fixed["ci_lower"], fixed["ci_upper"]] == [printed(v) for v in (0.6465, 0.5951, 0.7024)]
    result = m2.pool(effects, tau2="ML", test="z")
    random = result.tidy(exponentiate=True).iloc[0]
    assert [random["estimate"], random["ci_lower"], random["ci_upper"]] == [
        printed(v) for v in (0.4762, 0.3360, 0.6749)
    ]
    assert result.tau2 == printed(0.3025)
    interval = result.tau2_interval()
    assert (interval.lower, interval.upper) == (printed(0.1302), printed(1.1812))
    assert list(result.prediction_interval(method="normal")) == [printed(-1.875, 3), printed(0.391, 3)]
    hartung_knapp = m2.pool(effects, tau2="ML", test="knapp_hartung").tidy(exponentiate=True).iloc[0]
    assert [hartung_knapp["ci_lower"], hartung_knapp["ci_upper"]] == [printed(0.3175), printed(0.7141)]


def test_van_houwelingen_2002_latitude(bcg):
    result = m2.pool(m2.effect_sizes(bcg, "OR"), tau2="ML", test="z", moderators="ablat")
    tidy, glance = result.tidy(), result.glance().iloc[0]
    # the article's search ended at τ² = 0.004025, the maximum is at 0.003998: intercept, SE and R² differ in digit 4
    assert tidy["estimate"].tolist() == [printed(0.3710, 3), printed(-0.0327)]
    assert tidy["se"].tolist() == [printed(0.1061, 3), printed(0.0034)]
    assert glance["tau2"] == printed(0.0040)
    assert glance["r2"] == printed(98.67, 1)


# --------------------------------------------------------------------------- Berkey et al. 1995 (BCG), p. 408
@pytest.fixture
def smoothed(bcg):
    """Log risk ratios with the article's smoothed variances: each arm's (1 − p)/p averaged over the trials."""

    def arm(events, n):
        return ((n - events) / events).sum() / (len(events) * n)

    yi = m2.effect_sizes(bcg, "RR").yi
    vi = arm(bcg["events1"], bcg["n1"]) + arm(bcg["events2"], bcg["n2"])
    return m2.EffectSizes.from_arrays(yi, vi, bcg["author"], bcg, measure="RR")


def test_berkey_1995_random_effects(smoothed):
    result = m2.pool(smoothed, tau2="EB", test="z")
    assert (result.estimate, result.se, result.tau2) == (printed(-0.5429), printed(0.1842), printed(0.2682))


def test_berkey_1995_regression(smoothed, bcg):
    result = m2.pool(smoothed.assign(latitude=bcg["ablat"] - 33.46), tau2="EB", test="z", moderators="latitude")
    tidy, glance = result.tidy(), result.glance().iloc[0]
    assert tidy["estimate"].tolist() == [printed(-0.6303), printed(-0.0268)]
    assert tidy["se"].tolist() == [printed(0.1591), printed(0.0110)]
    assert glance["tau2"] == printed(0.1572)
    assert glance["r2"] == printed(41.3844)
    new = pd.DataFrame({"latitude": [0, 42 - 33.46]})
    assert np.exp(result.predict(new)["estimate"]).tolist() == [printed(0.5324), printed(0.4236)]


def test_berkey_1995_common_effect_regression(smoothed, bcg):
    result = m2.pool(smoothed.assign(latitude=bcg["ablat"] - 33.46), tau2="CE", test="z", moderators="latitude")
    assert result.tidy()["estimate"].tolist() == [printed(-0.5949), printed(-0.0282)]
    assert result.tidy()["se"].tolist() == [printed(0.0696), printed(0.0040)]


# --------------------------------------------------------------------------- teacher expectancy
def test_raudenbush_bryk_1985(teachers):
    result = m2.pool(teachers, tau2="REML", test="z")
    assert (result.estimate, result.tau2, result.q) == (printed(0.0837), printed(0.0188), printed(35.8295))
    assert row(result)["statistic"] == printed(1.6208)


def test_raudenbush_bryk_1985_weeks(teachers):
    result = m2.pool(teachers, tau2="REML", test="z", moderators="capped")
    assert result.tidy()["estimate"].tolist() == [printed(0.4072), printed(-0.1572)]
    assert result.tidy()["statistic"].tolist() == [printed(4.6782, 3), printed(-4.3884, 3)]
    assert (result.tau2, result.q) == (0, printed(16.5708))


@pytest.mark.parametrize(
    ("code", "tau2", "mean", "se", "hartung_knapp"),
    [
        ("CE", 0, 0.0604, 0.0365, 0.0515),
        ("ML", 0.0126, 0.0777, 0.0475, 0.0593),
        ("REML", 0.0188, 0.0837, 0.0516, 0.0616),
        ("DL", 0.0259, 0.0893, 0.0558, 0.0636),
        ("HE", 0.0804, 0.1143, 0.0792, 0.0711),
    ],
)
def test_raudenbush_2009_table_16_3(teachers, code, tau2, mean, se, hartung_knapp):
    result = m2.pool(teachers, tau2=code, test="z")
    assert (result.tau2, result.estimate, result.se) == (printed(tau2), printed(mean), printed(se))
    assert m2.pool(teachers, tau2=code, test="knapp_hartung").se == printed(hartung_knapp)


# --------------------------------------------------------------------------- Normand 1999
@pytest.mark.parametrize("code", ["CE", "DL", "REML"])
def test_normand_1999_lidocaine_tables_iii_and_vii(code):
    # Hine LK, Laird N, Hewitt P, Chalmers TC (1989). Archives of Internal Medicine 149:2694–2698
    frame = counts([2, 4, 6, 7, 7, 11], [39, 44, 107, 103, 110, 154], [1, 4, 4, 5, 3, 4], [43, 44, 110, 100, 106, 146])
    effects = m2.effect_sizes(frame, "RD")
    result = m2.pool(100 * effects.yi, 1e4 * effects.vi, tau2=code, test="z")
    assert limits(result) == [printed(value) for value in (2.9444, 0.3831, 5.5058)]
    assert result.tau2 == 0


@pytest.mark.parametrize(
    ("code", "pooled", "tau2"),
    [
        ("CE", [-3.4939, -5.0265, -1.9613], 0),
        ("DL", [-14.0972, -24.4454, -3.7490], 218.7216),
        ("REML", [-15.1217, -32.6716, 2.4282], 685.1965),
    ],
)
def test_normand_1999_stroke_stay_table_ix(code, pooled, tau2):
    effects = m2.effect_sizes(m2.load_dataset("normand1999"), "MD", vtype="HO")
    result = m2.pool(effects, tau2=code, test="z")
    # the REML of the table was stopped early: its τ² differs from the maximum in the sixth digit
    digits = 4 if code != "REML" else 3
    assert limits(result) == [printed(value, digits) for value in pooled]
    assert result.tau2 == printed(tau2, digits)


# --------------------------------------------------------------------------- passive smoking
def test_hackshaw_1997_and_1998():
    # Hackshaw AK, Law MR, Wald NJ (1997). BMJ 315:980–988: excess risk 24 % (13 % to 36 %) in 37 studies
    frame = m2.load_dataset("hackshaw1998")
    effects = m2.EffectSizes.from_arrays(frame["yi"], frame["vi"], frame["study"], measure="OR")
    shown = m2.pool(effects, tau2="DL", test="z").tidy(exponentiate=True).iloc[0]
    assert [shown["estimate"], shown["ci_lower"], shown["ci_upper"]] == [printed(v, 2) for v in (1.24, 1.13, 1.36)]


# --------------------------------------------------------------------------- Peto
def test_yusuf_1985_table_6():
    result = m2.Peto().fit(m2.load_dataset("yusuf1985"))
    assert np.exp(limits(result)).tolist() == [printed(value) for value in (0.9332, 0.7385, 1.1792)]
    state = result.studies().set_index("study")["state"]
    assert state.loc[["Pitt (1.12)", "Hutton (1.15)", "Yusuf (2.2)"]].tolist() == ["no_events"] * 3


# --------------------------------------------------------------------------- Viechtbauer 2007, Statistics in Medicine
@pytest.fixture
def pre_eclampsia():
    # Collins R, Yusuf S, Peto R (1985). BMJ 290:17–23: pre-eclampsia under diuretics, nine trials
    frame = counts(
        [14, 21, 14, 6, 12, 138, 15, 6, 65],
        [131, 385, 57, 38, 1011, 1370, 506, 108, 153],
        [14, 17, 24, 18, 35, 175, 20, 2, 40],
        [136, 134, 48, 40, 760, 1336, 524, 103, 102],
    )
    return m2.effect_sizes(frame, "OR")


@pytest.mark.parametrize(("code", "tau2"), [("DL", 0.2297), ("ML", 0.2386), ("REML", 0.3008), ("SJ", 0.4563)])
def test_viechtbauer_2007_intervals_for_tau2_table_ii(pre_eclampsia, code, tau2):
    result = m2.pool(pre_eclampsia, tau2=code)
    assert result.tau2 == printed(tau2)
    interval = result.tau2_interval()
    assert (interval.lower, interval.upper) == (printed(0.0723), printed(2.2027))


@pytest.mark.parametrize(("code", "upper"), [("ML", 0.5782), ("REML", 0.7322)])
def test_viechtbauer_2007_wald_intervals_for_tau2(pre_eclampsia, code, upper):
    glance = m2.pool(pre_eclampsia, tau2=code).glance().iloc[0]
    assert glance["tau2"] + 1.959964 * glance["tau2_se"] == printed(upper)


# --------------------------------------------------------------------------- Viechtbauer 2007, tutorial
@pytest.fixture
def st_johns_wort():
    # Linde K, Berner M, Egger M, Mulrow C (2005). British Journal of Psychiatry 186:99–107: responders in 17 trials
    # whose baseline scores are comparable; total dose in grams, baseline score on the Hamilton scale
    frame = counts(
        [20, 14, 4, 20, 28, 34, 35, 24, 45, 67, 34, 46, 55, 23, 26, 46, 98],
        [25, 20, 25, 32, 50, 48, 53, 49, 80, 106, 60, 70, 123, 37, 98, 113, 186],
        [11, 9, 2, 6, 13, 25, 12, 16, 12, 22, 17, 34, 57, 15, 19, 56, 80],
        [25, 20, 25, 33, 55, 49, 54, 49, 79, 47, 59, 70, 124, 35, 102, 116, 189],
    )
    frame["milligrams"] = [380, 900, 900, 900, 900, 240, 900, 900, 500, 1050, 900, 500, 900, 900, 1050, 1200, 900]
    frame["weeks"] = [8, 4, 4, 6, 4, 6, 4, 6, 6, 6, 6, 6, 6, 6, 8, 8, 6]
    frame["baseline"] = [
        19.5, 12.5, 22.7, 16.5, 15.8, 23.6, 20.7, 21.1, 19.4, 22.7, 16.7, 20.9, 21.5, 19.9, 22.5, 22.9, 21.9,
    ]  # fmt: skip
    frame["grams"] = frame["milligrams"] * 7 * frame["weeks"] / 1000
    return m2.effect_sizes(frame, "RR")


def test_viechtbauer_2007_tutorial(st_johns_wort):
    fixed = m2.pool(st_johns_wort, tau2="CE", test="z")
    assert np.exp(limits(fixed)).tolist() == [printed(value) for value in (1.3840, 1.2599, 1.5204)]
    assert fixed.q == printed(51.5454)
    result = m2.pool(st_johns_wort, tau2="DL", test="z")
    assert np.exp(limits(result)).tolist() == [printed(value) for value in (1.5722, 1.3103, 1.8864)]
    assert result.tau2 == printed(0.0903)
    assert np.exp(result.prediction_interval(method="normal")).tolist() == [printed(0.8488), printed(2.9120)]


@pytest.mark.parametrize(
    ("code", "tau2", "digits"),
    [("HS", 0.0253, 4), ("HE", 0.0388, 4), ("DL", 0.0475, 4), ("SJ", 0.0912, 4), ("PM", 0.0633, 4), ("EB", 0.0633, 4),
     ("ML", 0.024, 3), ("REML", 0.0558, 4)],
)  # fmt: skip
def test_viechtbauer_2007_tutorial_moderators(st_johns_wort, code, tau2, digits):
    effects = st_johns_wort.assign(
        dose=st_johns_wort.moderators["grams"] - 34, score=st_johns_wort.moderators["baseline"] - 20
    )
    result = m2.pool(effects, tau2=code, test="z", moderators="dose * score")
    assert result.tau2 == printed(tau2, digits)
    if code == "DL":
        assert result.tidy()["estimate"].tolist() == [printed(v, 5) for v in (0.47626, -0.00584, -0.06723, -0.00157)]
        assert result.glance().iloc[0]["r2"] == printed(47.3778)


# --------------------------------------------------------------------------- Miller 1978, p. 138
def test_miller_1978():
    n = np.array([11, 17, 21, 6])
    effects = m2.effect_sizes(pd.DataFrame({"events": [3, 6, 10, 1], "n": n}), "PFT")
    assert (2 * effects.yi).tolist() == [printed(value) for value in (1.1391, 1.2888, 1.5253, 0.9515)]
    assert (4 * effects.vi).tolist() == [printed(value) for value in (0.0870, 0.0571, 0.0465, 0.1538)]
    harmonic = len(n) / (1 / n).sum()
    unweighted, weighted = effects.yi.mean(), m2.pool(effects, tau2="CE", test="z").estimate
    assert (2 * unweighted, 2 * weighted) == (printed(1.2262), printed(1.3093))
    assert float(freeman_tukey_backward(unweighted, harmonic)) == printed(0.3164)
    assert float(freeman_tukey_backward(weighted, harmonic)) == printed(0.3595)


# --------------------------------------------------------------------------- Rothman, Greenland & Lash 2008, ch. 15
@pytest.fixture
def smokers():
    # deaths and person-years of British doctors, smokers and others, in five age groups (Table 15-2)
    return pd.DataFrame({
        "events1": [32, 104, 206, 186, 102], "time1": [5.2407, 4.3248, 2.8612, 1.2663, 0.5317],
        "events2": [2, 12, 28, 28, 31], "time2": [1.8790, 1.0673, 0.5710, 0.2585, 0.1462],
    })  # fmt: skip


def test_rothman_table_15_2(smokers):
    difference = m2.MantelHaenszel(measure="IRD", level=0.9).fit(smokers)
    assert limits(difference) == [printed(value) for value in (11.4392, 6.3498, 16.5286)]
    assert difference.q == printed(26.8758)
    ratio = m2.MantelHaenszel(measure="IRR", level=0.9).fit(smokers)
    assert ratio.estimate == printed(0.3539)
    assert np.exp(limits(ratio)).tolist() == [printed(value) for value in (1.4247, 1.1944, 1.6994)]
    assert ratio.q == printed(10.4117)


def test_rothman_table_15_5():
    # Down syndrome and spermicides before conception, by the mother's age
    frame = pd.DataFrame({"a": [3, 1], "b": [9, 3], "c": [104, 5], "d": [1059, 86]})
    result = m2.MantelHaenszel(measure="OR", level=0.9).fit(frame)
    assert result.estimate == printed(1.3300)
    assert np.exp(limits(result)).tolist() == [printed(value) for value in (3.7812, 1.4304, 9.9954)]


# --------------------------------------------------------------------------- Stijnen, Hamza & Özdemir 2010
def test_stijnen_2010_table_ii_proportions():
    frame = m2.load_dataset("nielweise2007")
    for arm, mean, se, tau2 in (("2", -3.3018, 0.2378, 0.6629), ("1", -4.2604, 0.2589, 0.3928)):
        one = pd.DataFrame({"events": frame[f"events{arm}"], "n": frame[f"n{arm}"]})
        result = m2.pool(m2.effect_sizes(one, "PLO"), tau2="REML", test="z")
        assert (result.estimate, result.se, result.tau2) == (printed(mean), printed(se), printed(tau2))


def test_stijnen_2010_table_iii_odds_ratio():
    with pytest.warns(m2.MetailWarning, match="study 15"):  # no infection in either arm
        effects = m2.effect_sizes(m2.load_dataset("nielweise2007").drop(columns="study"), "OR", drop00=True)
    with pytest.warns(m2.MetailWarning, match="left out of the fit"):
        result = m2.pool(effects, tau2="REML", test="z")
    assert (result.estimate, result.se, np.sqrt(result.tau2)) == (printed(-0.9804), printed(0.2435), printed(0.1886))


def test_stijnen_2010_rate_ratio():
    result = m2.pool(m2.effect_sizes(m2.load_dataset("nielweise2008"), "IRR"), tau2="REML", test="z")
    assert (result.estimate, result.se, np.sqrt(result.tau2)) == (printed(-0.3963), printed(0.2268), printed(0.3060))
