"""Every figure of univariate.json: 12 data sets, all estimators of τ², all tests, with and without moderators."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

import metail2 as m2
from metail2.kernels.inference import FACTORS
from metail2.kernels.tau2 import TAU2, WEIGHTED

REFERENCE = json.loads((Path(__file__).parent / "univariate.json").read_text())
SETS = REFERENCE["sets"]
TEST = {"z": "z", "t": "t", "knha": "knapp_hartung", "adhoc": "knapp_hartung_adhoc"}
PREDICTION = {"z": "normal", "t": "t_k1"}
CLOSED_FORM = {"FE", "DL", "HE", "HS", "HSk", "SJ"}
CLOSED, ITERATIVE = 1e-8, 1e-7


def close(got, want, rel, scale=0.0):
    """Agree to `rel`, relative to |want| or to `scale` where want is about 0; None in the file is undefined."""
    if want is None:
        return math.isnan(got)
    return abs(got - want) <= rel * max(abs(want), scale)


def pooled(case):
    data = SETS[case["set"]]
    effects = m2.EffectSizes.from_arrays(data["yi"], data["vi"], moderators=data["moderators"] or None)
    return m2.pool(
        effects,
        tau2="CE" if case["method"] == "FE" else case["method"],
        test=TEST[case["test"]],
        moderators=" + ".join(case["moderators"]) or None,
    )


def label(case):
    return "-".join([case["set"], case["method"], case["test"], *case["moderators"]])


def coefficients(case, tidy, rel):
    expect = case["expect"]
    unit = max(abs(b) for b in expect["b"]) + max(expect["se"])
    for j, row in enumerate(tidy.to_dict("records")):
        yield "estimate", row["estimate"], expect["b"][j], rel, unit
        yield "se", row["se"], expect["se"][j], rel, unit
        yield "ci_lower", row["ci_lower"], expect["ci_lb"][j], rel, unit
        yield "ci_upper", row["ci_upper"], expect["ci_ub"][j], rel, unit
        # the tail multiplies the relative error of the statistic by about its square
        yield "p_value", row["p_value"], expect["pval"][j], rel * 500, 1e-12
        if expect["zval"][j] is None:
            assert math.isinf(row["statistic"])
        else:
            yield "statistic", row["statistic"], expect["zval"][j], rel * 10, 1
        yield "df", row["df"], expect["ddf"], 0, 0


def covariance(result, case, rel):
    want = np.reshape(case["expect"]["vb"], (case["expect"]["p"],) * 2)
    for (i, j), value in np.ndenumerate(want):
        yield f"vb[{i},{j}]", result.covariance[i, j], value, rel * 10, np.abs(want).max()


def heterogeneity(case, glance, rel):
    expect, smallest = case["expect"], min(SETS[case["set"]]["vi"])
    yield "k", glance["k"], expect["k"], 0, 0
    yield "p", glance["p"], expect["p"], 0, 0
    yield "q", glance["q"], expect["QE"], CLOSED, 1e-10
    yield "q_p", glance["q_p"], expect["QEp"], 1e-6, 1e-300
    if case["method"] == "FE":
        # the reference calls I² and H² what we call I² from Q (and no H²) where τ² is 0 by assumption
        yield "tau2", glance["tau2"], 0, 0, 0
        yield "i2_q", glance["i2_q"], expect["I2"], rel * 10, 1
        if expect["QE"] > glance["q_df"]:
            yield "h2 from Q", glance["q"] / glance["q_df"], expect["H2"], rel * 10, 1
        assert math.isnan(glance["i2"])
        return
    yield "tau2", glance["tau2"], expect["tau2"], rel * 10, smallest
    yield "tau2_se", glance["tau2_se"], expect["se_tau2"], rel * 100, 0
    yield "i2", glance["i2"], expect["I2"], rel * 10, 1
    yield "h2", glance["h2"], expect["H2"], rel * 10, 1


def moderator_figures(case, glance, tidy, rel):
    expect = case["expect"]
    if case["moderators"]:
        yield "qm", glance["qm"], expect["QM"], rel * 50, 1e-8
        yield "qm_p", glance["qm_p"], expect["QMp"], rel * 500, 1e-12
        if case["method"] == "FE":
            # the reference then means an R² of weighted least squares; ours is a share of τ², which is 0 by assumption
            assert math.isnan(glance["r2"])
        else:
            yield "r2", glance["r2"], expect["R2"], rel * 100, 1
    elif expect["QM"] is not None:
        # without moderators the reference tests the mean: the square of our statistic
        yield "qm", tidy["statistic"].iloc[0] ** 2, expect["QM"], rel * 50, 1
        yield "qm_p", tidy["p_value"].iloc[0], expect["QMp"], rel * 500, 1e-12


def likelihood(case, glance, rel):
    fit = case["expect"].get("fit")
    if fit is None:
        return
    scale = max(1.0, abs(fit["logLik"]))
    for ours, theirs in (("log_likelihood", "logLik"), ("deviance", "deviance"), ("aic", "AIC"), ("bic", "BIC"),
                         ("aicc", "AICc")):  # fmt: skip
        yield ours, glance[ours], fit[theirs], rel * 10, scale


def prediction(result, case, rel):
    expect = case["expect"]
    if "pi_lb" in expect and case["method"] != "FE":
        unit = max(abs(expect["pi_lb"]), abs(expect["pi_ub"]))
        lower, upper = result.prediction_interval(method=PREDICTION.get(case["test"], "hk"))
        yield "pi_lower", lower, expect["pi_lb"], rel * 10, unit
        yield "pi_upper", upper, expect["pi_ub"], rel * 10, unit


@pytest.mark.parametrize("case", REFERENCE["fits"], ids=label)
def test_fit(case):
    rel = CLOSED if case["method"] in CLOSED_FORM else ITERATIVE
    result = pooled(case)
    tidy, glance = result.tidy(), result.glance().iloc[0]
    checks = [
        *coefficients(case, tidy, rel),
        *covariance(result, case, rel),
        *heterogeneity(case, glance, rel),
        *moderator_figures(case, glance, tidy, rel),
        *likelihood(case, glance, rel),
        *prediction(result, case, rel),
    ]
    wrong = [f"{what}: {got!r}, reference {want!r}" for what, got, want, r, s in checks if not close(got, want, r, s)]
    assert not wrong


@pytest.mark.parametrize("case", REFERENCE["tau2_intervals"], ids=lambda case: f"{case['set']}-{case['method']}")
def test_q_profile(case):
    data = SETS[case["set"]]
    result = m2.pool(data["yi"], data["vi"], tau2=case["method"], test="z")
    interval = result.tau2_interval(method="q_profile")
    scale = min(data["vi"])
    # root finding in the reference ends at about five digits of the scale it works on
    for ours, theirs, unit in (
        ("", "tau2", scale),
        ("tau_", "tau", scale**0.5),
        ("i2_", "I2", 1.0),
        ("h2_", "H2", 1.0),
    ):
        assert close(getattr(interval, f"{ours}lower"), case[theirs][1], 1e-5, unit)
        assert close(getattr(interval, f"{ours}upper"), case[theirs][2], 1e-5, unit)


def test_the_file_covers_every_estimator_and_test():
    methods = {"CE" if case["method"] == "FE" else case["method"] for case in REFERENCE["fits"]}
    assert methods == set(TAU2) - set(WEIGHTED)
    assert {TEST[case["test"]] for case in REFERENCE["fits"]} == set(FACTORS)
    assert {case["set"] for case in REFERENCE["fits"]} == set(SETS)
    assert len(REFERENCE["fits"]) == 322
    assert len(REFERENCE["tau2_intervals"]) == 36


def test_every_figure_of_a_fit_is_compared():
    known = {"b", "se", "zval", "pval", "ci_lb", "ci_ub", "vb", "tau2", "se_tau2", "QE", "QEp", "QM", "QMp", "I2", "H2",
             "R2", "k", "p", "ddf", "fit", "pi_lb", "pi_ub"}  # fmt: skip
    assert {key for case in REFERENCE["fits"] for key in case["expect"]} == known
