"""Predicted true effects from the literature with their printed figures; each test is named after its article."""

import json
from pathlib import Path

import numpy as np
from printed_figures import printed

import metail2 as m2
from metail2.analysis.blup import blup

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "diagnostics.json").read_text())

TEACHERS = [
    0.0543, 0.1006, -0.0064, 0.2143, 0.1051, -0.0082, 0.0174, -0.0293, 0.1604, 0.2485,
    0.1617, 0.1101, 0.0646, 0.1105, -0.0288, 0.0258, 0.1905, 0.0744, 0.0248,
]  # fmt: skip
"""Empirical Bayes predictions of the 19 studies, without moderators."""


def test_raudenbush_bryk_1985(teachers):
    result = m2.pool(teachers, tau2="REML", test="z")
    found = blup(result)
    assert found["estimate"].tolist() == printed(TEACHERS)
    case = next(case for case in REFERENCE["cases"] if (case["set"], case["method"]) == ("raudenbush", "REML"))
    for column, name in (("estimate", "pred"), ("se", "se"), ("pi_lower", "pi_lb"), ("pi_upper", "pi_ub")):
        np.testing.assert_allclose(found[column], case["blup"][name], rtol=2e-9, atol=2e-10)


def test_raudenbush_bryk_1985_weeks(teachers):
    """With weeks of prior contact τ² is 0: no study's true effect departs from the line."""
    result = m2.pool(teachers, tau2="REML", test="z", moderators="capped")
    found = blup(result)
    assert (found["deviation"] == 0).all()
    line = 0.4072 - 0.1572 * teachers.moderators["capped"]
    np.testing.assert_allclose(found["estimate"], line, atol=2.5e-4)
