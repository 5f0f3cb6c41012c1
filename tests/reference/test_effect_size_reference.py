"""Every figure of effect_sizes.json: the measures registered now, with their options and zero cells."""

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
TWO_BY_TWO = {"ai": "a", "bi": "b", "ci": "c", "di": "d"}
PERSON_TIME = {"x1i": "events1", "t1i": "time1", "x2i": "events2", "t2i": "time2"}
TWO_MEANS = {"m1i": "mean1", "sd1i": "sd1", "n1i": "n1", "m2i": "mean2", "sd2i": "sd2", "n2i": "n2"}
CHANGE = {
    "m1i": "mean_post", "sd1i": "sd_post", "m2i": "mean_pre", "sd2i": "sd_pre", "ni": "n", "ri": "r", "di": "d",
}  # fmt: skip
BASELINE = CHANGE | {"sd1i": "sd_pre", "sd2i": "sd_post"}  # the reference standardises by its first SD
PROPORTION = {"xi": "events", "ni": "n"}
COLUMNS = {
    **dict.fromkeys(("RR", "OR", "RD", "PETO"), TWO_BY_TWO),
    **dict.fromkeys(("IRR", "IRD"), PERSON_TIME),
    **dict.fromkeys(("MD", "SMD", "ROM"), TWO_MEANS),
    **dict.fromkeys(("MC", "SMCC", "ROMC"), CHANGE),
    "SMCR": BASELINE,
    **dict.fromkeys(("PR", "PLO", "PFT"), PROPORTION),
}


def label(case):
    return "-".join([case["measure"], *(f"{key}={value}" for key, value in (case["options"] or {}).items())])


@pytest.mark.parametrize("case", REFERENCE["cases"], ids=label)
def test_effect_sizes(case):
    names = COLUMNS[case["measure"]]
    frame = pd.DataFrame({names[key]: values for key, values in case["inputs"].items()}, dtype=float)
    undefined = any(y is None for y in case["yi"])
    with warnings.catch_warnings():
        if undefined:
            warnings.simplefilter("ignore", MetailWarning)
        effects = m2.effect_sizes(frame, case["measure"], **(case["options"] or {}))
    want_y, want_v = np.array(case["yi"], dtype=float), np.array(case["vi"], dtype=float)
    assert len(effects) == len(frame)
    np.testing.assert_array_equal(np.isnan(effects.yi), np.isnan(want_y))
    for i in np.flatnonzero(~np.isnan(want_y)):
        assert math.isclose(effects.yi[i], want_y[i], rel_tol=CLOSED, abs_tol=CLOSED * math.sqrt(want_v[i]))
        assert math.isclose(effects.vi[i], want_v[i], rel_tol=CLOSED)


def test_the_file_covers_every_registered_measure_and_variance():
    assert set(COLUMNS) | {"GEN"} == set(m2.MEASURES)
    assert {case["measure"] for case in REFERENCE["cases"]} == set(COLUMNS)
    given = {(case["measure"], (case["options"] or {}).get("vtype")) for case in REFERENCE["cases"]}
    for code in COLUMNS:
        for vtype in m2.MEASURES[code].vtypes[1:]:
            assert (code, vtype) in given
