"""Pooled effects from the literature with their printed figures; each test is named after its article."""

from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from printed_figures import limits, printed, ratios, read, row

import metail2 as m2
from metail2.analysis.henmi_copas import henmi_copas


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
    assert limits(result) == printed(pooled)
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
    assert shown[["estimate", "ci_lower", "ci_upper"]].tolist() == printed(ratio)


# --------------------------------------------------------------------------- Berkey et al. 1995 (BCG), p. 408
def test_berkey_1995_random_effects(smoothed):
    result = m2.pool(smoothed, tau2="EB", test="z")
    assert [result.estimate, result.se, result.tau2] == printed([-0.5429, 0.1842, 0.2682])


# --------------------------------------------------------------------------- van Houwelingen et al. 2002 (BCG, log OR)
def test_van_houwelingen_2002(bcg):
    effects = m2.effect_sizes(bcg, "OR")
    assert ratios(m2.pool(effects, tau2="CE", test="z")) == printed([0.6465, 0.5951, 0.7024])
    result = m2.pool(effects, tau2="ML", test="z")
    assert ratios(result) == printed([0.4762, 0.3360, 0.6749])
    assert result.tau2 == printed(0.3025)
    assert list(result.prediction_interval(method="normal")) == printed([-1.875, 0.391], 3)
    assert ratios(m2.pool(effects, tau2="ML", test="knapp_hartung")) == printed([0.4762, 0.3175, 0.7141])


# --------------------------------------------------------------------------- teacher expectancy
def test_raudenbush_bryk_1985(teachers):
    result = m2.pool(teachers, tau2="REML", test="z")
    assert [result.estimate, result.tau2, result.q] == printed([0.0837, 0.0188, 35.8295])
    assert row(result)["statistic"] == printed(1.6208)


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
    assert [result.tau2, result.estimate, result.se] == printed([tau2, mean, se])
    assert m2.pool(teachers, tau2=code, test="knapp_hartung").se == printed(hartung_knapp)


# --------------------------------------------------------------------------- Normand 1999
@pytest.mark.parametrize("code", ["CE", "DL", "REML"])
def test_normand_1999_lidocaine_tables_iii_and_vii(code):
    """Data of Hine et al. 1989; risk differences in percent."""
    effects = m2.effect_sizes(read("hine1989"), "RD")
    result = m2.pool(100 * effects.yi, 1e4 * effects.vi, tau2=code, test="z")
    assert limits(result) == printed([2.9444, 0.3831, 5.5058])
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
    assert limits(result) == printed(pooled)
    assert result.tau2 == printed(tau2)


# --------------------------------------------------------------------------- passive smoking
def test_hackshaw_1997_and_1998():
    """Hackshaw AK, Law MR, Wald NJ (1997), BMJ 315:980–988: excess risk 24 % (13 % to 36 %) in 37 studies."""
    frame = m2.load_dataset("hackshaw1998")
    effects = m2.EffectSizes.from_arrays(frame["yi"], frame["vi"], frame["study"], measure="OR")
    shown = m2.pool(effects, tau2="DL", test="z").tidy(exponentiate=True).iloc[0]
    assert shown[["estimate", "ci_lower", "ci_upper"]].tolist() == printed([1.24, 1.13, 1.36], 2)


# --------------------------------------------------------------------------- Lee & Done 2004, in Henmi & Copas 2010
def test_henmi_copas_2010():
    """P. 2978: stimulation of P6 against nausea after surgery, 16 trials; DerSimonian–Laird, then the article's own."""
    result = m2.pool(m2.effect_sizes(read("lee2004"), "OR"), tau2="DL", test="z")
    assert result.tau2 == printed(0.3325)
    assert limits(result) == printed([-0.6787, -1.0664, -0.2911])
    found = henmi_copas(result)
    assert [found.estimate, found.ci_lower, found.ci_upper] == printed([-0.5145, -0.9994, -0.0295])


# --------------------------------------------------------------------------- Viechtbauer 2007, tutorial
def test_viechtbauer_2007_tutorial(st_johns_wort):
    fixed = m2.pool(st_johns_wort, tau2="CE", test="z")
    assert ratios(fixed) == printed([1.3840, 1.2599, 1.5204])
    assert fixed.q == printed(51.5454)
    result = m2.pool(st_johns_wort, tau2="DL", test="z")
    assert ratios(result) == printed([1.5722, 1.3103, 1.8864])
    assert result.tau2 == printed(0.0903)
    assert np.exp(result.prediction_interval(method="normal")).tolist() == printed([0.8488, 2.9120])


# --------------------------------------------------------------------------- Konstantopoulos 2011, no districts
def test_konstantopoulos_2011_table_4_two_levels():
    frame = read("konstantopoulos2011")
    result = m2.pool(frame["yi"], frame["vi"], tau2="REML", test="z")
    assert [result.estimate, result.se] == printed([0.1279, 0.0439])
    assert result.glance().loc[0, ["tau2", "tau2_se"]].tolist() == printed([0.0884, 0.0202])


# --------------------------------------------------------------------------- Stijnen, Hamza & Özdemir 2010
def test_stijnen_2010_table_ii_proportions():
    frame = m2.load_dataset("nielweise2007")
    for arm, mean, se, tau2 in (("2", -3.3018, 0.2378, 0.6629), ("1", -4.2604, 0.2589, 0.3928)):
        one = pd.DataFrame({"events": frame[f"events{arm}"], "n": frame[f"n{arm}"]})
        result = m2.pool(m2.effect_sizes(one, "PLO"), tau2="REML", test="z")
        assert [result.estimate, result.se, result.tau2] == printed([mean, se, tau2])


def test_stijnen_2010_table_iii_odds_ratio():
    with pytest.warns(m2.MetailWarning, match="study 15"):  # no infection in either arm
        effects = m2.effect_sizes(m2.load_dataset("nielweise2007").drop(columns="study"), "OR", drop00=True)
    with pytest.warns(m2.MetailWarning, match="left out of the fit"):
        result = m2.pool(effects, tau2="REML", test="z")
    assert [result.estimate, result.se, np.sqrt(result.tau2)] == printed([-0.9804, 0.2435, 0.1886])


def test_stijnen_2010_rate_ratio():
    result = m2.pool(m2.effect_sizes(m2.load_dataset("nielweise2008"), "IRR"), tau2="REML", test="z")
    assert [result.estimate, result.se, np.sqrt(result.tau2)] == printed([-0.3963, 0.2268, 0.3060])


@pytest.mark.parametrize(("arm", "mean", "se", "tau2"), [("2", 1.4676, 0.2425, 0.3699), ("1", 0.9808, 0.3259, 0.6393)])
def test_stijnen_2010_table_vii_rates(arm, mean, se, tau2):
    """Infections per 1,000 catheter days; the second arm is the control."""
    frame = m2.load_dataset("nielweise2008")
    one = pd.DataFrame({"events": frame[f"events{arm}"], "time": frame[f"time{arm}"] / 1000})
    result = m2.pool(m2.effect_sizes(one, "IRLN"), tau2="REML", test="z")
    assert [result.estimate, result.se, result.tau2] == printed([mean, se, tau2])


# --------------------------------------------------------------------------- constants of nature
def exact_q(y, v):
    """Cochran's Q of binary floating-point data in rational arithmetic."""
    w, y = [1 / Fraction(value) for value in v], [Fraction(value) for value in y]
    mean = sum(map(lambda a, b: a * b, w, y)) / sum(w)
    return float(sum(a * (b - mean) ** 2 for a, b in zip(w, y, strict=True)))


@pytest.mark.parametrize(
    ("name", "q", "digits", "p", "p_digits"),
    [
        ("newton_g", 197.8399, 4, 0, 7),
        ("planck_h_2017", 3.442127, 6, 0.1788758, 7),
        ("planck_h_1979_2017", 26.63226, 5, 0.06368617, 8),
    ],
)
def test_laboratories_in_any_order(name, q, digits, p, p_digits):
    """The values agree in 5 to 7 digits, so that a sum of squares less a squared sum would lose all of Q."""
    frame = read(name)
    rng = np.random.default_rng(1)
    for _ in range(50):
        mixed = frame.iloc[rng.permutation(len(frame))]
        y, v = mixed["value"].to_numpy(), mixed["uncertainty"].to_numpy() ** 2
        result = m2.pool(y, v, tau2="DL", test="z")
        assert result.q == printed(q, digits)
        assert result.q == pytest.approx(exact_q(y, v), rel=1e-12)
        assert result.glance().loc[0, "q_p"] == printed(p, p_digits)


def test_newton_g_reml():
    """τ² is 10⁻⁷ of the squared effects: 8.96385107e-7, nine digits."""
    frame = read("newton_g")
    result = m2.pool(frame["value"], frame["uncertainty"] ** 2, tau2="REML")
    assert result.tau2 == printed(8.96385107e-7, 15)
