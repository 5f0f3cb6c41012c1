"""What the registry says of each measure: its variances by formula and source, its bounds, its displayed scale."""

import math
import re

import numpy as np
import pandas as pd
import pytest

import metail2 as m2
from metail2.effects.compute import from_prepared


def j(m):
    return math.exp(math.lgamma(m / 2) - math.lgamma((m - 1) / 2)) / math.sqrt(m / 2)


MEANS = {"mean1": 5.0, "sd1": 2.0, "n1": 20.0, "mean2": 4.0, "sd2": 2.1, "n2": 25.0}
OTHER = {"mean1": 6.0, "sd1": 1.0, "n1": 10.0, "mean2": 3.0, "sd2": 1.1, "n2": 30.0}


@pytest.mark.parametrize("correction", ["exact", "approximate", "none"])
def test_the_formulas_printed_for_smd_give_its_variances(correction):
    m, pooled = 43, math.sqrt((19 * 4 + 24 * 2.1**2) / 43)
    J = {"exact": j(m), "approximate": 1 - 3 / (4 * m - 1), "none": 1.0}[correction]
    g, n1, n2 = J / pooled, 20, 25
    d, sizes = g / J, 1 / n1 + 1 / n2
    want = {
        "LS": sizes + g**2 / (2 * (n1 + n2)),
        "LS2": J**2 * (sizes + d**2 / (2 * (n1 + n2))),
        "UB": J**2 / j(m) ** 2 * sizes + (1 - (m - 2) / (m * j(m) ** 2)) * g**2,
        "H0": J**2 * m / (m - 2) * sizes,
    }
    assert list(m2.MEASURES["SMD"].vtypes) == list(want)
    for vtype, value in want.items():
        effects = m2.effect_sizes(pd.DataFrame([MEANS]), "SMD", vtype=vtype, correction=correction)
        assert effects.vi[0] == pytest.approx(value, rel=1e-12)


def test_the_formulas_printed_for_md_and_rom_give_their_variances():
    table = pd.DataFrame([MEANS, OTHER])
    pooled = (19 * 4 + 24 * 2.1**2) / 43
    assert m2.effect_sizes(table, "MD", vtype="HO").vi[0] == pytest.approx(pooled * (1 / 20 + 1 / 25))
    want = pooled * (1 / (20 * 25) + 1 / (25 * 16))
    assert m2.effect_sizes(table, "ROM", vtype="HO").vi[0] == pytest.approx(want)
    c1 = (20 * 2 / 5 + 10 * 1 / 6) / 30
    c2 = (25 * 2.1 / 4 + 30 * 1.1 / 3) / 55
    assert m2.effect_sizes(table, "ROM", vtype="AV").vi[0] == pytest.approx(c1**2 / 20 + c2**2 / 25)
    c = (30 * c1 + 55 * c2) / 85
    assert m2.effect_sizes(table, "ROM", vtype="AVHO").vi[0] == pytest.approx(c**2 * (1 / 20 + 1 / 25))


def test_the_formula_printed_for_the_stratified_phi_gives_its_variance():
    a, b, c, d = 8.0, 12.0, 15.0, 10.0
    n1, n2, x, y = a + b, c + d, a + c, b + d
    phi = (a * d - b * c) / math.sqrt(n1 * n2 * x * y)
    s, h = math.sqrt(n1 * n2 / (x * y)), phi * (y - x) / (2 * x * y)
    want = (s - n1 * h) ** 2 * a * b / n1**3 + (s + n2 * h) ** 2 * c * d / n2**3
    effects = m2.effect_sizes(pd.DataFrame({"a": [a], "b": [b], "c": [c], "d": [d]}), "PHI", vtype="ST")
    assert effects.vi[0] == pytest.approx(want, rel=1e-12)


@pytest.mark.parametrize("code", [code for code, entry in m2.MEASURES.items() if len(entry.variances) > 1])
def test_every_further_variance_has_its_own_formula_and_source(code):
    first, *others = m2.MEASURES[code].variances.values()
    assert len({variance.formula for variance in (first, *others)}) == 1 + len(others)
    assert all(variance.citation for variance in others)


def test_only_a_variance_marked_as_averaged_depends_on_the_other_studies():
    for code, entry in m2.MEASURES.items():
        for vtype, variance in entry.variances.items():
            if len(entry.variances) == 1:
                continue
            columns = entry.family.columns[0]
            if columns[0] == "mean1":
                rows = pd.DataFrame([MEANS, OTHER])
            elif columns[0] == "r":
                rows = pd.DataFrame([{"r": 0.3, "n": 20}, {"r": 0.7, "n": 30}])
            else:
                rows = pd.DataFrame([{"events1": 5, "n1": 20, "events2": 9, "n2": 20},
                                     {"events1": 9, "n1": 20, "events2": 3, "n2": 20}])  # fmt: skip
            together = m2.effect_sizes(rows, code, vtype=vtype).vi[0]
            alone = m2.effect_sizes(rows.iloc[:1], code, vtype=vtype).vi[0]
            assert (together != alone) == variance.averaged


AMBIGUOUS = re.compile(r"1/\d+[a-z(]|/2\(|/\d+n\d?|/\d+sd|/\d+s⁴|ad/bc")


@pytest.mark.parametrize("code", list(m2.MEASURES))
def test_no_formula_can_be_read_in_two_ways(code):
    entry = m2.MEASURES[code]
    texts = [entry.formula, *(v.formula for v in entry.variances.values()), *sum(entry.from_columns.values(), ())]
    for text in texts:
        assert not AMBIGUOUS.search(text), text


def test_the_displayed_scale_is_named_as_what_it_is():
    shown = {code: m2.MEASURES[code].shown for code in ("PLN", "IRLN", "CVLN", "MNLN", "SDLN", "ZR2", "RR", "MD")}
    assert shown == {
        "PLN": "proportion", "IRLN": "incidence rate", "CVLN": "coefficient of variation, without unit",
        "MNLN": "original units", "SDLN": "original units", "ZR2": "multiple correlation", "RR": "ratio", "MD": "",
    }  # fmt: skip
    for code in ("R2", "ZR2", "R2F", "ZR2F"):
        assert "biased upwards in small samples" in m2.MEASURES[code].formula
        assert "biased upwards" in m2.MEASURES[code].compute.__doc__


@pytest.mark.parametrize("code", list(m2.MEASURES))
def test_bounds_are_those_of_the_displayed_scale(code):
    entry = m2.MEASURES[code]
    low, high = entry.bounds
    assert low < high
    values = entry.transform(np.linspace(-30, 30, 601))
    if entry.transform.code != "identity" and code not in ("PLN", "ZR2", "ZR2F", "AHW"):
        assert low <= values.min() and values.max() <= high  # noqa: PT018
        for bound, reached in ((low, values.min()), (high, values.max())):
            assert math.isinf(bound) or reached == pytest.approx(bound, abs=1e-9)


@pytest.mark.parametrize(
    ("code", "bounds"),
    [("RR", (0, math.inf)), ("PR", (0, 1)), ("RD", (-1, 1)), ("MPRD", (-1, 1)), ("PHI", (-1, 1)), ("YUQ", (-1, 1)),
     ("YUY", (-1, 1)), ("RTET", (-1, 1)), ("COR", (-1, 1)), ("ZCOR", (-1, 1)), ("RPB", (-1, 1)), ("PCOR", (-1, 1)),
     ("SPCOR", (-1, 1)), ("AUC", (0, 1)), ("CLES", (0, 1)), ("CLESCN", (0, 1)), ("R2", (0, 1)),
     ("ARAW", (-math.inf, 1)), ("AHW", (-math.inf, 1)),
     ("IR", (0, math.inf)), ("PLN", (0, 1)), ("MD", (-math.inf, math.inf)), ("RBIS", (-math.inf, math.inf))],
)  # fmt: skip
def test_the_bounds_of_a_measure(code, bounds):
    assert m2.MEASURES[code].bounds == bounds


def test_formulas_follow_the_columns():
    change, hazard = m2.MEASURES["MC"], m2.MEASURES["HR"]
    assert change.formulas(("mean_change", "sd_change", "n")) == ("mean_change", "sd_change²/n")
    assert change.formulas() == ("m_post − m_pre", "(sd_post² + sd_pre² − 2r·sd_post·sd_pre)/n")
    assert hazard.formulas(("o_minus_e", "v")) == ("(O − E)/V of the log-rank test", "1/V")
    assert m2.MEASURES["MD"].formulas(vtype="HO")[1].startswith("sd_pooled²·(1/n1 + 1/n2)")


def test_a_prepared_table_is_computed_like_a_whole_one():
    ready = {"d": np.array([0.4]), "n1": np.array([20.0]), "n2": np.array([25.0])}
    yi, vi = from_prepared(m2.MEASURES["SMD"], ready, "H0", "none")
    assert (yi[0], vi[0]) == pytest.approx((0.4, 43 / 41 * (1 / 20 + 1 / 25)))
