"""Every figure of binary.json: Mantel–Haenszel and Peto on sparse and on large tables, and on person-time."""

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


@pytest.mark.parametrize("case", REFERENCE["mantel_haenszel"], ids=lambda case: f"{case['data']}-{case['measure']}")
def test_mantel_haenszel(case):
    frame = pd.DataFrame(TABLES[case["data"]])
    compare(m2.MantelHaenszel(measure=case["measure"]).fit(frame), case["expect"])


@pytest.mark.parametrize("case", REFERENCE["peto"], ids=lambda case: case["data"])
def test_peto(case):
    compare(m2.Peto().fit(pd.DataFrame(TABLES[case["data"]])), case["expect"])


def test_every_measure_and_every_figure_is_compared():
    assert {case["measure"] for case in REFERENCE["mantel_haenszel"]} == set(MANTEL_HAENSZEL)
    figures = {key for case in REFERENCE["mantel_haenszel"] + REFERENCE["peto"] for key in case["expect"]}
    assert figures == {"b", "se", "zval", "pval", "ci_lb", "ci_ub", "QE", "QEp", "I2", "H2"}
    assert {case["data"] for case in REFERENCE["mantel_haenszel"]} == set(TABLES)
