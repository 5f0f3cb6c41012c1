"""Mixed models of counts: the reference's figures, and where they are not exact, which of the two is.

`glmm.json` holds the converged values; `binary.json` those of the reference. Its unconditional models are fitted by a
general engine: with one random effect by seven quadrature points, with two by Laplace's approximation, standard errors
by differences. An independent integral over a grid (`Brute`) decides between them.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import logsumexp

from metail2.models.mixed_counts import MixedCounts

FOLDER = Path(__file__).parent
REFERENCE = json.loads((FOLDER / "binary.json").read_text())
CONVERGED = json.loads((FOLDER / "glmm.json").read_text())
TABLES = REFERENCE["tables"] | REFERENCE["person_time"]
ENGINE = 2e-3
"""Relative accuracy of the reference's figures."""


def label(case):
    return f"{case['data']}-{case['measure']}-{case['model']}"


def frame(case):
    return pd.DataFrame(TABLES[case["data"]], dtype=float)


def fitted(case):
    return MixedCounts(case["measure"], case["model"], case.get("coding", "half")).fit(frame(case))


def case_of(data, model):
    return next(c for c in REFERENCE["glmm"] if (c["data"], c["model"]) == (data, model))


@pytest.mark.parametrize("case", REFERENCE["glmm"], ids=label)
def test_agrees_with_the_reference_to_its_accuracy(case):
    expect, used = case["expect"], frame(case)
    random = case["model"] == "UM.RS"
    if random:  # the reference leaves out studies without events, which say something here
        used = used[used["events1"] + used["events2"] > 0]
    result = MixedCounts(case["measure"], case["model"]).fit(used)
    assert result.estimate == pytest.approx(expect["b"], rel=ENGINE)
    assert result.se == pytest.approx(expect["se"], rel=0.015 if random else ENGINE)
    assert result.tau2 == pytest.approx(expect["tau2"], rel=0.015 if random else ENGINE)
    if "QE_LRT" in expect and not random:
        glance = result.glance().iloc[0]
        assert glance["q_lrt"] == pytest.approx(expect["QE_LRT"], rel=1e-8)
        assert glance["q_wald"] == pytest.approx(expect["QE_Wld"], rel=1e-3)


@pytest.mark.parametrize("data", ["nielweise2007", "bcg"])
def test_heterogeneity_with_random_intercepts(data):
    """The reference gives the experimental arm each study's effect, i.e. codes it 1/0, also beside ±½ elsewhere."""
    case = case_of(data, "UM.RS")
    used = frame(case)
    used = used[used["events1"] + used["events2"] > 0]
    glance = MixedCounts("OR", "UM.RS", coding="treatment").fit(used).glance().iloc[0]
    assert glance["q_lrt"] == pytest.approx(case["expect"]["QE_LRT"], rel=1e-4)
    assert glance["q_wald"] == pytest.approx(case["expect"]["QE_Wld"], rel=5e-3)


@pytest.mark.parametrize("case", CONVERGED["cases"], ids=lambda case: f"{label(case)}-{case['coding']}")
def test_converged_values(case):
    result, expect = fitted(case), case["values"]
    glance = result.glance().iloc[0]
    got = {"estimate": result.estimate, "se": result.se, "tau2": result.tau2} | {
        name: glance[name] for name in ("sigma2", "log_likelihood", "q_lrt", "q_wald") if name in expect
    }
    for name, value in expect.items():
        assert got[name] == pytest.approx(value, rel=1e-7, abs=1e-9), name
    assert glance["gradient"] < 1e-7


def given_the_modes(result):
    """Log-likelihood of the counts with the random effects at their posterior modes."""
    model, point = result.fits.model, result.fits.chosen.at.point
    beta, sigma = np.split(point.shared, [model.coefficients])
    eta = model.offset + model.x @ beta + (point.modes * sigma) @ model.z.T
    if model.own is not None:
        eta = eta + model.own * point.own[:, None]
    return model.density(eta[..., None]).value.sum()


@pytest.mark.parametrize("case", [c for c in REFERENCE["glmm"] if c["model"] != "UM.RS"], ids=label)
def test_conventions_of_the_reference_for_the_log_likelihood(case):
    """Of CM.EL for odds ratios it is the marginal likelihood, as ours; of the others that given the modes."""
    result, theirs = fitted(case), case["expect"]["logLik"]
    ours = result.glance()["log_likelihood"].iloc[0]
    if (case["measure"], case["model"]) == ("OR", "CM.EL"):
        assert ours == pytest.approx(theirs, abs=1e-5)
    else:
        assert given_the_modes(result) == pytest.approx(theirs, abs=1e-3)
        assert ours < theirs


# ------------------------------------------------------------------------------------- who is right about UM.RS
class Brute:
    """The likelihood of UM.RS by the trapezoidal rule over both arms' predictors; shares no code with the package.

    In each study the two predictors are bivariate normal with variance σ² + τ²/4 and covariance σ² − τ²/4. The grid of
    an arm covers where its likelihood times its normal density exceeds 1e-30 of the largest.
    """

    def __init__(self, data, points=121):
        self.counts = [np.array(TABLES[data][name], dtype=float) for name in ("events1", "events2")]
        self.binomial, self.points = "n1" in TABLES[data], points
        self.size = [np.array(TABLES[data][("n" if self.binomial else "time") + arm], dtype=float) for arm in "12"]

    def arm(self, j, eta):
        y, size = self.counts[j][:, None], self.size[j][:, None]
        if self.binomial:
            return stats.binom.logpmf(y, size, 1 / (1 + np.exp(-eta)))
        return stats.poisson.logpmf(y, size * np.exp(eta))

    def grid(self, j, mean, spread):
        wide = mean + spread * np.linspace(-12, 12, 4001) + np.zeros((len(self.counts[j]), 1))
        height = self.arm(j, wide) - ((wide - mean) / spread) ** 2 / 2
        inside = height > height.max(1, keepdims=True) - 69
        first, last = inside.argmax(1), inside.shape[1] - 1 - inside[:, ::-1].argmax(1)
        rows = np.arange(len(wide))
        return np.linspace(wide[rows, first], wide[rows, last], self.points, axis=1)

    def __call__(self, values):
        alpha, mu, sigma, tau = values
        variance, covariance = sigma**2 + tau**2 / 4, sigma**2 - tau**2 / 4
        one, two = (self.grid(j, alpha + s * mu / 2, np.sqrt(variance)) for j, s in ((0, 1), (1, -1)))
        a, b = (one - alpha - mu / 2)[:, :, None], (two - alpha + mu / 2)[:, None]
        determinant = variance**2 - covariance**2
        normal = -(variance * (a * a + b * b) - 2 * covariance * a * b) / (2 * determinant)
        logs = self.arm(0, one)[:, :, None] + self.arm(1, two)[:, None] + normal
        area = (one[:, 1] - one[:, 0]) * (two[:, 1] - two[:, 0]) / (2 * np.pi * np.sqrt(determinant))
        return float((logsumexp(logs, axis=(1, 2)) + np.log(area)).sum())


def differences(function, at, step):
    """Gradient and Hessian by central differences."""
    axes = np.eye(len(at)) * step
    gradient = [(function(at + a) - function(at - a)) / (2 * step) for a in axes]
    hessian = np.empty((len(at), len(at)))
    for i, a in enumerate(axes):
        for j, b in enumerate(axes[: i + 1]):
            corners = function(at + a + b) - function(at + a - b) - function(at - a + b) + function(at - a - b)
            hessian[i, j] = hessian[j, i] = corners / (4 * step**2)
    return np.array(gradient), hessian


@pytest.mark.parametrize("data", ["nielweise2007", "bcg", "nielweise2008"])
def test_an_independent_integral_decides_for_the_converged_values(data):
    case = next(c for c in CONVERGED["cases"] if (c["data"], c["model"], c["coding"]) == (data, "UM.RS", "half"))
    result, brute, theirs = fitted(case), Brute(data), case_of(data, "UM.RS")["expect"]
    best = result.fits.chosen.at.point.shared
    assert brute(best) == pytest.approx(result.glance()["log_likelihood"].iloc[0], abs=1e-8)
    gradient, hessian = differences(brute, best, 2e-3)
    covariance = np.linalg.inv(-hessian)
    assert np.abs(np.linalg.solve(hessian, gradient)).max() < 1e-5  # where a Newton step from here would lead
    assert result.se == pytest.approx(np.sqrt(covariance[1, 1]), rel=1e-5)
    assert result.fits.chosen.covariance[3, 3] == pytest.approx(covariance[3, 3], rel=1e-4)
    moved = best.copy()
    moved[[1, 3]] = theirs["b"], np.sqrt(theirs["tau2"])
    assert brute(moved) < brute(best)
