"""Tests of stratified tables, and Peto's method from O − E and V, with printed figures; named after the source."""

import math

import numpy as np
import pandas as pd
import pytest
from printed_figures import printed, row

import metail2 as m2


def tables(*rows):
    return pd.DataFrame(rows, columns=["a", "b", "c", "d"])


def figures(result, name):
    found = result.tests().set_index("test").loc[name]
    return [found["statistic"], found["df"], found["p_value"]]


# ------------------------------------------------------------- Breslow & Day 1980, Table 4.1: the Ille-et-Vilaine study
@pytest.fixture
def oesophagus():
    # cases and controls drinking 80 g of alcohol a day or more, then less; six age groups
    cases, controls = [(1, 0), (4, 5), (25, 21), (42, 34), (19, 36), (5, 8)], [
        (9, 106), (26, 164), (29, 138), (27, 139), (18, 88), (0, 31)]  # fmt: skip
    return tables(*[(*case, *control) for case, control in zip(cases, controls, strict=True)])


def test_breslow_day_1980(oesophagus):
    result = m2.MantelHaenszel("OR").fit(oesophagus)
    assert math.exp(result.estimate) == printed(5.158, 3)
    assert figures(result, "breslow_day")[:2] == [printed(9.32, 2), 5]


def test_breslow_day_1980_as_statas_manual_prints_it(oesophagus):
    result = m2.MantelHaenszel("OR").fit(oesophagus)
    assert figures(result, "tarone") == [printed(9.30, 2), 5, printed(0.0977)]
    assert figures(result, "cmh")[0] == printed(85.01, 2)


# ----------------------------------------- Beitler & Landis 1985: a cream against infection in eight centres (Agresti)
def test_beitler_landis_1985():
    result = m2.MantelHaenszel("OR").fit(tables(
        (11, 25, 10, 27), (16, 4, 22, 10), (14, 5, 7, 12), (2, 14, 1, 16), (6, 11, 0, 12), (1, 10, 0, 10), (1, 4, 1, 8),
        (4, 2, 6, 1),
    ))  # fmt: skip
    assert math.exp(result.estimate) == printed(2.13, 2)
    assert figures(result, "cmh") == [printed(6.38, 2), 1, printed(0.012, 3)]
    assert figures(result, "breslow_day") == [printed(8.0, 1), 7, printed(0.33, 2)]


# -------------------------------------------------------- Liu 1992: smoking and lung cancer in eight cities (Agresti)
@pytest.fixture
def cities():
    return tables(
        (126, 100, 35, 61), (908, 688, 497, 807), (913, 747, 336, 598), (235, 172, 58, 121), (402, 308, 121, 215),
        (182, 156, 72, 98), (60, 99, 11, 43), (104, 89, 21, 36),
    )  # fmt: skip


def test_liu_1992(cities):
    """Also the example of statsmodels' StratifiedTable; figures as SAS prints them."""
    result = m2.MantelHaenszel("OR").fit(cities)
    assert math.exp(result.estimate) == printed(2.174, 3)
    assert figures(result, "cmh")[:2] == [printed(280.138, 3), 1]
    assert figures(result, "breslow_day") == [printed(5.200, 3), 7, printed(0.636, 3)]
    assert math.exp(m2.MantelHaenszel("RR").fit(cities).estimate) == printed(1.519, 3)


# ----------------------------------------------------------- SAS/STAT User's Guide, FREQ, Example 7: hypothetical data
def test_sas_freq_example_7():
    result = m2.MantelHaenszel("OR").fit(tables((16, 11, 5, 20), (12, 16, 7, 19)))
    assert figures(result, "cmh") == [printed(8.3052), 1, printed(0.0040)]


# ---------------------------------------------------------------------- Rothman, Greenland & Lash 2008, Table 15-2
def test_rothman_table_15_2():
    # deaths and person-years of British doctors, smokers and others, in five age groups
    frame = pd.DataFrame({
        "events1": [32, 104, 206, 186, 102], "time1": [52407, 43248, 28612, 12663, 5317],
        "events2": [2, 12, 28, 28, 31], "time2": [18790, 10673, 5710, 2585, 1462],
    })  # fmt: skip
    result = m2.MantelHaenszel("IRR").fit(frame)
    assert figures(result, "cmh_corrected")[0] == printed(10.7021)
    assert figures(result, "cmh")[0] == printed(11.0162)
    in_thousands = m2.MantelHaenszel("IRR").fit(frame.assign(time1=frame["time1"] / 1e3, time2=frame["time2"] / 1e3))
    assert figures(in_thousands, "cmh") == pytest.approx(figures(result, "cmh"), rel=1e-12)


# -------------------------------------------------------------------------------- Yusuf et al. 1985, Table 6, p. 107
def test_yusuf_1985_by_its_scores():
    """The printed odds ratio 0.93 (0.74 to 1.18) again from each trial's O − E and V."""
    studies = m2.Peto().fit(m2.load_dataset("yusuf1985")).studies()[["study", "o_minus_e", "v"]]
    result = m2.Peto(measure="PETO").fit(studies)
    assert np.exp(row(result)[["estimate", "ci_lower", "ci_upper"]].tolist()).tolist() == printed(
        [0.9332, 0.7385, 1.1792]
    )
    assert row(result)["statistic"] == pytest.approx(
        studies["o_minus_e"].sum() / math.sqrt(studies["v"].sum()), rel=1e-12
    )


# ---------------- "Calculating an odds ratio: hypothetical example", Box 11.8 of mussenhealth.us/clinical-trials
def test_box_11_8_of_four_hypothetical_trials():
    counts = pd.DataFrame({
        "study": list("ABCD"), "events1": [29, 3, 7, 45], "n1": [67, 23, 39, 145], "events2": [39, 10, 11, 64],
        "n2": [72, 30, 28, 172],
    })  # fmt: skip
    result = m2.Peto().fit(counts)
    studies = result.studies()
    assert studies["o_minus_e"].tolist() == printed([-3.78, -2.64, -3.48, -4.86], 2)
    assert studies["v"].tolist() == printed([8.74, 2.46, 3.25, 17.81], 2)
    assert np.exp(studies["yi"]).tolist() == printed([0.65, 0.34, 0.34, 0.76], 2)
    from_the_box = pd.DataFrame({"o_minus_e": [-3.78, -2.64, -3.48, -4.86], "v": [8.74, 2.46, 3.25, 17.81]})
    again = m2.Peto(measure="PETO").fit(from_the_box)
    assert again.estimate == printed(result.estimate, 3)  # the box's figures have two decimals
    assert math.exp(again.estimate) == printed(0.633, 3)  # "a 36 per cent reduction in the odds of death"
