"""Mantel–Haenszel and Peto of binary.json, with their tests: sparse and large tables, and person-time."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import metail2 as m2
from metail2.kernels.tables import MANTEL_HAENSZEL

REFERENCE = json.loads((Path(__file__).parent / "binary.json").read_text())
TABLES = REFERENCE["tables"] | REFERENCE["person_time"]
CLOSED = 1e-8
TESTS = {"cmh_corrected": "MH", "cochran_corrected": "CO", "tarone": "TA"}
"""Our names → the reference's; its association tests are corrected for continuity, CO by the binomial variance."""


def compare(result, expect):
    tidy, glance = result.tidy().iloc[0], result.glance().iloc[0]
    for ours, theirs in (("estimate", "b"), ("se", "se"), ("ci_lower", "ci_lb"), ("ci_upper", "ci_ub")):
        np.testing.assert_allclose(tidy[ours], expect[theirs], rtol=0, atol=CLOSED * expect["se"], err_msg=ours)
    np.testing.assert_allclose(tidy["statistic"], expect["zval"], rtol=CLOSED)
    np.testing.assert_allclose(tidy["p_value"], expect["pval"], rtol=1e-6)
    np.testing.assert_allclose(glance["q"], expect["QE"], rtol=CLOSED)
    np.testing.assert_allclose(glance["q_p"], expect["QEp"], rtol=1e-6)
    if "I2" in expect:
        np.testing.assert_allclose(glance["i2_q"], expect["I2"], rtol=CLOSED)
    if "H2" in expect:
        np.testing.assert_allclose(glance["q"] / glance["q_df"], expect["H2"], rtol=CLOSED)
    compare_tests(result, expect)


def compare_tests(result, expect):
    """The reference gives its tests for the odds ratio alone; null elsewhere."""
    found = result.tests().set_index("test")
    for ours, theirs in TESTS.items():
        if expect.get(theirs) is not None:
            np.testing.assert_allclose(found.loc[ours, "statistic"], expect[theirs], rtol=CLOSED, err_msg=ours)
            np.testing.assert_allclose(found.loc[ours, "p_value"], expect[f"{theirs}p"], rtol=1e-6, err_msg=ours)


@pytest.mark.parametrize("case", REFERENCE["mantel_haenszel"], ids=lambda case: f"{case['data']}-{case['measure']}")
def test_mantel_haenszel(case):
    frame = pd.DataFrame(TABLES[case["data"]])
    compare(m2.MantelHaenszel(measure=case["measure"]).fit(frame), case["expect"])


@pytest.mark.parametrize("case", REFERENCE["peto"], ids=lambda case: case["data"])
def test_peto(case):
    compare(m2.Peto().fit(pd.DataFrame(TABLES[case["data"]])), case["expect"])


@pytest.mark.parametrize(("data", "expect"), REFERENCE["mantel_haenszel_uncorrected"].items())
def test_cochran_mantel_haenszel_uncorrected(data, expect):
    frame = pd.DataFrame(TABLES[data])
    for model in (m2.MantelHaenszel("OR"), m2.MantelHaenszel("RD"), m2.Peto()):
        glance = model.fit(frame).glance().iloc[0]
        np.testing.assert_allclose(glance["cmh"], expect["MH"], rtol=CLOSED)
        np.testing.assert_allclose(glance["cmh_p"], expect["MHp"], rtol=1e-6)


def test_every_measure_and_every_figure_is_compared():
    assert {case["measure"] for case in REFERENCE["mantel_haenszel"]} == set(MANTEL_HAENSZEL)
    figures = {key for case in REFERENCE["mantel_haenszel"] + REFERENCE["peto"] for key in case["expect"]}
    tests = {name for theirs in TESTS.values() for name in (theirs, f"{theirs}p")}
    assert figures == {"b", "se", "zval", "pval", "ci_lb", "ci_ub", "QE", "QEp", "I2", "H2"} | tests
    assert sum(case["expect"].get("TA") is not None for case in REFERENCE["mantel_haenszel"]) == 2
    assert {case["data"] for case in REFERENCE["mantel_haenszel"]} == set(TABLES)
