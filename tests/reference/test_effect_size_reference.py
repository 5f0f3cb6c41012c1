"""Every figure of effect_sizes.json: all measures, with their options and zero cells.

The names of the reference's arguments, and the two groups of figures that are not compared, are those of the
reference's own script: rows of RTET and ZTET with a zero cell (the estimate lies on the boundary, where the reference's
variance is an artefact) and the variance of R2F and ZR2F (an open choice; `tests/effects` simulates ours).
"""

import json
import math
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import metail2 as m2
from metail2.errors import MetailWarning

REFERENCE = json.loads((Path(__file__).parent / "effect_sizes.json").read_text())
CLOSED = 1e-8
COLUMNS = {
    "two_by_two": {"ai": "a", "bi": "b", "ci": "c", "di": "d", "ri": "r"},
    "person_time": {"x1i": "events1", "t1i": "time1", "x2i": "events2", "t2i": "time2"},
    "two_means": {"m1i": "mean1", "sd1i": "sd1", "n1i": "n1", "m2i": "mean2", "sd2i": "sd2", "n2i": "n2"},
    "change": {
        "m1i": "mean_post", "sd1i": "sd_post", "m2i": "mean_pre", "sd2i": "sd_pre", "ni": "n", "ri": "r", "di": "d",
    },
    "proportion": {"xi": "events", "ni": "n"},
    "rate": {"xi": "events", "ti": "time"},
    "one_mean": {"mi": "mean", "sdi": "sd", "ni": "n"},
    "correlation": {"ri": "r", "ni": "n"},
    "partial": {"ti": "t", "ni": "n", "mi": "predictors", "r2i": "r2"},
    "reliability": {"ai": "alpha", "mi": "items", "ni": "n"},
    "genotype": {"ai": "aa", "bi": "ab", "ci": "bb"},
    "superiority": {"ai": "auc", "n1i": "n1", "n2i": "n2"},
}  # fmt: skip
KINDS = {
    "two_by_two": "RR OR RD AS PETO PHI ZPHI YUQ YUY RTET ZTET PBIT OR2D OR2DN OR2DL MPRD MPRR MPOR MPORC MPPETO MPORM",
    "person_time": "IRR IRD IRSD",
    "two_means": "MD SMD SMDH SMD1 SMD1H ROM VR CVR RPB ZPB RBIS ZBIS D2OR D2ORN D2ORL CLESN AUCN",
    "change": "MC SMCC SMCR SMCRH SMCRP SMCRPH CLESCN AUCCN ROMC VRC CVRC",
    "proportion": "PR PLN PLO PRZ PAS PFT",
    "rate": "IR IRLN IRS IRFT",
    "one_mean": "MN SMN MNLN SDLN CVLN",
    "correlation": "COR UCOR ZCOR",
    "partial": "PCOR ZPCOR SPCOR ZSPCOR R2 ZR2 R2F ZR2F",
    "reliability": "ARAW AHW ABT",
    "genotype": "REH",
    "superiority": "CLES AUC",
}
KIND = {code: kind for kind, codes in KINDS.items() for code in codes.split()}
BASELINE = {"sd1i": "sd_pre", "sd2i": "sd_post"}  # the reference standardises SMCR and SMCRH by its first SD
BEYOND_THE_REFERENCE = {"GEN", "HR"}


def label(case):
    return "-".join([case["measure"], *(f"{key}={value}" for key, value in (case["options"] or {}).items())])


def frame_of(case):
    names = COLUMNS[KIND[case["measure"]]] | (BASELINE if case["measure"] in ("SMCR", "SMCRH") else {})
    return pd.DataFrame({names[key]: values for key, values in case["inputs"].items()}, dtype=float)


@pytest.mark.parametrize("case", REFERENCE["cases"], ids=label)
def test_effect_sizes(case):
    frame, measure = frame_of(case), case["measure"]
    with warnings.catch_warnings():
        if any(y is None for y in case["yi"]):
            warnings.simplefilter("ignore", MetailWarning)
        effects = m2.effect_sizes(frame, measure, **(case["options"] or {}))
    assert len(effects) == len(frame)
    want_y, want_v = np.array(case["yi"], dtype=float), np.array(case["vi"], dtype=float)
    on_boundary = (frame == 0).any(axis=1).to_numpy() & (measure in ("RTET", "ZTET"))
    for i in np.flatnonzero(~on_boundary):
        scale = 0.0 if np.isnan(want_v[i]) else math.sqrt(want_v[i])
        np.testing.assert_allclose(effects.yi[i], want_y[i], rtol=CLOSED, atol=CLOSED * scale)
        if measure not in ("R2F", "ZR2F"):
            np.testing.assert_allclose(effects.vi[i], want_v[i], rtol=CLOSED)


def test_all_84_measures_are_compared_and_nothing_else_is_registered():
    assert len(KIND) == 84
    assert {case["measure"] for case in REFERENCE["cases"]} == set(KIND)
    assert set(KIND) | BEYOND_THE_REFERENCE == set(m2.MEASURES)
