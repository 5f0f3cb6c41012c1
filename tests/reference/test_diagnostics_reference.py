"""Every figure of diagnostics.json: influence, residuals, leave-one-out, cumulative, BLUPs of three data sets."""

import json
from pathlib import Path

import numpy as np
import pytest

import metail2 as m2
from metail2.analysis.blup import blup
from metail2.analysis.cumulative import cumulative
from metail2.analysis.influence import influence
from metail2.analysis.leave_one_out import leave_one_out
from metail2.analysis.residuals import residuals

REFERENCE = json.loads((Path(__file__).parent / "diagnostics.json").read_text())
INFLUENCE = {
    "rstudent": "rstudent", "dffits": "dffits", "cook_d": "cooks_distance", "cov_r": "cov_ratio",
    "tau2_del": "tau2_deleted", "QE_del": "q_deleted", "hat": "hat", "weight": "weight",
}  # fmt: skip
BLUP = {"pred": "estimate", "se": "se", "pi_lb": "pi_lower", "pi_ub": "pi_upper"}
CLOSED, OPTIMUM = 1e-8, 1e-7  # the reference's optima are good to about 1e-8
CASES = REFERENCE["cases"]


@pytest.fixture(params=CASES, ids=[f"{case['set']}-{case['method']}" for case in CASES])
def case(request):
    return request.param


@pytest.fixture
def result(case):
    data = REFERENCE["sets"][case["set"]]
    return m2.pool(data["yi"], data["vi"], tau2="CE" if case["method"] == "FE" else case["method"], test="z")


@pytest.fixture
def close(case):
    """Agree relative to the larger of the figure and a unit below which the reference's digits end."""

    def check(got, want, unit):
        rel = OPTIMUM if case["method"] == "REML" else CLOSED
        want = np.array(want, dtype=float)
        if case["method"] == "FE" and want.size == 0:  # the reference writes no τ² for a common effect
            want = np.zeros(len(got))
        assert (np.abs(got - want) <= rel * np.maximum(np.abs(want), unit)).all()

    return check


def test_influence(case, result, close):
    table = influence(result)
    for key, column in INFLUENCE.items():
        close(table[column], case["influence"][key], 0.01)
    close(table["dfbeta_intercept"], np.ravel(case["influence"]["dfbs"]), 0.01)
    assert table["influential"].tolist() == case["influence"]["is_infl"]


def test_standardised_residuals(case, result, close):
    close(residuals(result)["standardized"], case["rstandard"], 0.01)


def test_leave_one_out(case, result, close):
    table, expected = leave_one_out(result), case["leave1out"]
    i2 = "i2_q" if case["method"] == "FE" else "i2"
    for key, column, unit in (
        ("estimate", "estimate", 0.01), ("se", "se", 0.001), ("tau2", "tau2", 0.01), ("Q", "q", 1), ("I2", i2, 1)
    ):  # fmt: skip
        close(table[column], expected[key], unit)


def test_cumulative(case, result, close):
    table, expected = cumulative(result), case["cumulative"]
    close(table["estimate"], expected["estimate"], 0.01)
    close(table["se"], expected["se"], 0.001)
    close(table["tau2"][1:], expected["tau2"][1:], 0.01)  # the first row is one study, whose τ² is unknown


def test_blups(case, result, close):
    table = blup(result)
    for key, values in case["blup"].items():
        close(table[BLUP[key]], values, 0.01)
    assert bool(case["blup"]) is (case["method"] != "FE")
