"""Global maxima of likelihoods of counts beside grids, general optimisers and closed forms."""

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.optimize import minimize, minimize_scalar
from scipy.special import logsumexp
from statsmodels.discrete.conditional_models import ConditionalLogit

from metail2.kernels.count_densities import Binomial, NoncentralHypergeometric, Poisson
from metail2.kernels.count_fit import maximise, maximise_over_tau
from metail2.kernels.count_likelihood import Point, marginal
from metail2.kernels.count_models import (
    CODINGS,
    fixed_intercepts,
    heterogeneity_tests,
    one_cell,
    orthonormal,
    random_intercepts,
    separated,
)
from metail2.kernels.tau2 import TAU2


def fit(model):
    return maximise_over_tau(model, maximise(model.common))


def proportions(events, n):
    return one_cell(Binomial(np.array(events, float)[:, None], np.array(n, float)[:, None]), np.zeros((len(n), 1)))


def tables(*rows):
    table = np.array(rows, dtype=float)
    return table[:, [0, 2]], table[:, [1, 3]]


def exact(events, n):
    total = events.sum(1, keepdims=True)
    return one_cell(NoncentralHypergeometric(events[:, :1], n[:, :1], n[:, 1:], total), np.zeros(total.shape))


FOUR = tables((1, 30, 12, 28), (6, 25, 2, 31), (5, 40, 19, 40), (5, 12, 1, 14))


# ------------------------------------------------------------------------------------- without τ
def test_common_effect_with_study_intercepts_is_logistic_regression():
    events, n = FOUR
    found = maximise(fixed_intercepts(Binomial(events, n), np.zeros(n.shape), CODINGS["half"]).common)
    design = np.column_stack([np.tile([0.5, -0.5], 4), np.repeat(np.eye(4), 2, axis=0)])
    outcome = np.column_stack([events.reshape(-1), (n - events).reshape(-1)])
    glm = sm.GLM(outcome, design, family=sm.families.Binomial()).fit(tol=1e-14)
    assert found.at.point.shared[0] == pytest.approx(glm.params[0], rel=1e-9)
    np.testing.assert_allclose(found.at.point.own, glm.params[1:], rtol=1e-9)
    assert found.covariance[0, 0] == pytest.approx(glm.cov_params()[0, 0], rel=1e-8)
    assert found.at.value == pytest.approx(glm.llf, rel=1e-10)


def test_common_rate_ratio_is_poisson_regression():
    events, time = tables((7, 1344, 11, 1988), (8, 1600, 8, 1461), (3, 12012, 14, 10962))
    found = maximise(fixed_intercepts(Poisson(events), np.log(time), CODINGS["treatment"]).common)
    design = np.column_stack([np.tile([1.0, 0.0], 3), np.repeat(np.eye(3), 2, axis=0)])
    glm = sm.GLM(events.reshape(-1), design, sm.families.Poisson(), offset=np.log(time.reshape(-1))).fit(tol=1e-14)
    assert found.at.point.shared[0] == pytest.approx(glm.params[0], rel=1e-9)
    assert found.covariance[0, 0] == pytest.approx(glm.cov_params()[0, 0], rel=1e-8)


def test_exact_conditional_common_effect_is_conditional_logistic_regression():
    events, n = FOUR
    patients = [(y, arm, study) for study in range(4) for arm in range(2)
                for y in [1] * int(events[study, arm]) + [0] * int(n[study, arm] - events[study, arm])]  # fmt: skip
    outcome, arm, study = (np.array(column) for column in zip(*patients, strict=True))
    theirs = ConditionalLogit(outcome, (arm == 0).astype(float)[:, None], groups=study).fit(disp=False, method="bfgs")
    found = maximise(exact(*FOUR).common)
    assert found.at.point.shared[0] == pytest.approx(theirs.params[0], rel=1e-5)
    assert np.sqrt(found.covariance[0, 0]) == pytest.approx(theirs.bse[0], rel=1e-5)


# ------------------------------------------------------------------------------------- with τ
MODELS = {
    "exact": exact(*FOUR),
    "fixed": fixed_intercepts(Binomial(*FOUR), np.zeros((4, 2)), CODINGS["half"]),
    "random": random_intercepts(Binomial(*FOUR), np.zeros((4, 2)), CODINGS["treatment"]),
}


@pytest.mark.parametrize("name", MODELS)
def test_no_general_optimiser_finds_a_higher_point(name):
    model = MODELS[name]
    found, p, shared = fit(model), model.coefficients, model.coefficients + model.dimensions
    assert found.free.tolist() == [True] * shared
    assert found.maxima == 1

    def loss(values):
        own = values[shared:] if model.own is not None else np.zeros(4)
        return -marginal(model, Point(values[:shared], own, np.zeros((4, model.dimensions))), 30).value

    best = np.concatenate([found.at.point.shared, found.at.point.own if model.own is not None else []])
    assert -loss(best) == pytest.approx(found.at.value, abs=1e-9)
    for start in (best + 0.2, np.concatenate([np.zeros(p), np.full(len(best) - p, 1.5)])):
        other = minimize(loss, start, method="BFGS", options={"gtol": 1e-6})
        assert other.fun >= -found.at.value - 1e-9
        np.testing.assert_allclose(np.abs(other.x[p:shared]), found.at.point.shared[p:], rtol=1e-3)
        assert other.x[p - 1] == pytest.approx(found.at.point.shared[p - 1], rel=1e-3)


@pytest.mark.parametrize("name", MODELS)
def test_the_end_is_recorded(name):
    found = fit(MODELS[name])
    assert found.distance < 1e-9
    assert found.change <= 1e-8
    assert found.points > 1
    assert found.bounded


def profile(model, grid):
    """Log-likelihood of proportions along τ, at the best effect for each, by the trapezoidal rule."""
    u, step = np.linspace(-9, 9, 1201, retstep=True)
    weight = np.log(step / np.sqrt(2 * np.pi)) - u * u / 2

    def loss(mu, tau):
        eta = np.broadcast_to(mu + tau * u, (model.k, 1, len(u)))
        return -logsumexp(model.density(eta).value[:, 0] + weight, axis=1).sum()

    crude = model.density.crude
    bounds = (crude.min() - 1, crude.max() + 1)
    return np.array([-minimize_scalar(loss, bounds=bounds, args=(t,), method="bounded").fun for t in grid])


def test_random_problems_beside_a_grid():
    """Never below the best point of the grid, and τ = 0 exactly where the grid has its maximum there."""
    rng, grid = np.random.default_rng(5), np.concatenate([[0.0], np.geomspace(0.1, 2, 8)])
    zeros = 0
    for _ in range(20):
        k = int(rng.integers(3, 7))
        n = rng.integers(5, 60, k)
        events = rng.binomial(n, 1 / (1 + np.exp(1.5 + rng.normal(size=k) * rng.choice([0.0, 0.5, 1.0]))))
        if 0 < events.sum() < n.sum():
            model = proportions(events, n)
            found, heights = fit(model), profile(model, grid)
            assert found.at.value >= heights.max() - 1e-9
            at_zero = found.at.point.shared.size == 1
            zeros += at_zero
            assert not at_zero or heights[0] == heights.max()
    assert 3 < zeros < 17


@pytest.mark.parametrize(
    ("events", "n", "tau"), [([1, 43, 18392], [8, 123, 37616], 0.3156), ([41, 17097, 2], [141, 83941, 8], 0.0)]
)
def test_the_higher_of_two_maxima(events, n, tau):
    """One very large study among small ones makes two maxima, τ = 0 and another; either may be the higher."""
    model = proportions(events, n)
    found = fit(model)
    assert found.maxima == 2
    assert (found.sigma[0] if found.sigma.size else 0.0) == pytest.approx(tau, abs=1e-4)
    grid = np.concatenate([[0.0], np.geomspace(0.005, 1, 30)])
    u = np.linspace(-9, 9, 36001)  # narrow posteriors of large studies
    weight = np.log((u[1] - u[0]) / np.sqrt(2 * np.pi)) - u * u / 2
    for mu in np.linspace(*np.sort(model.density.crude[:, 0])[[0, -1]], 9):
        for t in grid:
            value = model.density(np.broadcast_to(mu + t * u, (3, 1, len(u)))).value[:, 0]
            assert found.at.value >= logsumexp(value + weight, axis=1).sum() - 1e-9


def test_the_score_at_0_decides_however_small_tau_is():
    """Just above the variance of the binomial τ is small but not 0; just below it is 0."""
    above, below = proportions([4860, 5000, 5140], [10000] * 3), proportions([4960, 5000, 5040], [10000] * 3)
    assert 0 < fit(above).sigma[0] < 0.05
    assert fit(below).at.point.shared.size == 1
    scores = [marginal(m, Point(np.append(maximise(m.common).at.point.shared, 0), np.zeros(3), np.zeros((3, 1))), 9)
              for m in (above, below)]  # fmt: skip
    assert scores[0].hessian[1, 1] > 0 > scores[1].hessian[1, 1]


def test_tau_without_a_maximum_is_told():
    assert not fit(proportions([0, 10, 0, 10], [10] * 4)).bounded


def test_one_patient_a_study_says_nothing_about_tau():
    """A mixture of Bernoulli variables is one, so that every τ has the same likelihood: the smallest is taken."""
    for events in ([0, 1, 1, 0], [0, 1, 1, 0, 1], [1, 0, 0, 0, 0, 0, 1]):
        found = fit(proportions(events, [1] * len(events)))
        p = np.mean(events)
        assert (found.maxima, found.sigma.size) == (0, 0)
        assert found.at.point.shared[0] == pytest.approx(np.log(p / (1 - p)), abs=1e-12)
        assert found.covariance[0, 0] == pytest.approx(1 / (len(events) * p * (1 - p)))


def test_a_hard_integral_is_refined_until_it_is_stable():
    """τ = 8: posteriors cut off on one side need hundreds of points."""
    found = fit(proportions([0, 0, 5, 10, 10, 3, 0, 10], [10] * 8))
    assert found.points > 300
    assert found.change <= 1e-8
    assert found.sigma[0] == pytest.approx(8.417, abs=0.001)


def test_large_margins_are_normal():
    """With millions of patients the likelihood is that of normal log odds ratios with known variances."""
    rows = tables(
        (1000000, 10000000, 2000000, 10000000), (100000, 1000000, 300000, 1000000), (90000, 900000, 95000, 800000)
    )
    found = fit(fixed_intercepts(Binomial(*rows), np.zeros((3, 2)), CODINGS["half"]))
    yi = np.log(rows[0] / (rows[1] - rows[0])) @ [1, -1]
    vi = (1 / rows[0] + 1 / (rows[1] - rows[0])).sum(1)
    normal = TAU2["ML"](yi, vi, np.ones((3, 1)))
    assert found.sigma[0] ** 2 == pytest.approx(float(normal.value), rel=1e-4)
    weight = 1 / (vi + normal.value)
    assert found.at.point.shared[0] == pytest.approx(weight @ yi / weight.sum(), rel=1e-5)
    np.testing.assert_allclose(found.at.information_on(np.eye(2)[0]), weight, rtol=1e-3)


# ------------------------------------------------------------------------------------- tests of heterogeneity
def test_heterogeneity_of_proportions_in_closed_form():
    events, n = np.array([3.0, 9, 4]), np.array([20.0, 30, 40])
    model = proportions(events, n)
    found = heterogeneity_tests(model, maximise(model.common).at.value)
    p, all_p = events / n, events.sum() / n.sum()
    lrt = 2 * (events * np.log(p / all_p) + (n - events) * np.log((1 - p) / (1 - all_p))).sum()
    weight, logit = n * p * (1 - p), np.log(p / (1 - p))
    wald = weight @ (logit - weight @ logit / weight.sum()) ** 2
    assert (found.likelihood_ratio, found.wald, found.df) == (pytest.approx(lrt), pytest.approx(wald), 2)


def test_wald_test_of_random_intercepts_beside_the_full_matrix():
    model = MODELS["random"]
    found = heterogeneity_tests(model, maximise(model.common).at.value)
    start = np.concatenate([[-1.5, 0.8], np.zeros(4)])

    def loss(values):
        u, step = np.linspace(-9, 9, 181, retstep=True)
        base = values[0] + values[1] * u
        eta = np.stack([values[2:, None] + base, np.broadcast_to(base, (4, len(u)))], axis=1)
        logs = model.density(eta).value.sum(1) - u * u / 2
        return -(np.log(np.exp(logs).sum(1)) + np.log(step / np.sqrt(2 * np.pi))).sum()

    best = minimize(loss, start, method="BFGS", options={"gtol": 1e-7})
    h, size = 1e-3, len(start)
    axes = np.eye(size) * h
    hessian = np.array([[(loss(best.x + a + b) - loss(best.x + a - b) - loss(best.x - a + b) + loss(best.x - a - b))
                         / (4 * h * h) for a in axes] for b in axes])  # fmt: skip
    covariance = np.linalg.inv(hessian)[2:, 2:]
    contrast = np.eye(4)[1:] - np.eye(4)[:1]
    apart = contrast @ best.x[2:]
    wald = apart @ np.linalg.solve(contrast @ covariance @ contrast.T, apart)
    assert found.wald == pytest.approx(wald, rel=1e-3)
    assert found.saturated == pytest.approx(-best.fun, rel=1e-7)


def test_studies_with_an_empty_arm_count_in_the_likelihood_ratio_alone():
    events, n = tables((2, 30, 9, 28), (0, 25, 3, 31), (7, 40, 19, 40))
    model = fixed_intercepts(Binomial(events, n), np.zeros((3, 2)), CODINGS["half"])
    found = heterogeneity_tests(model, maximise(model.common).at.value)
    finite = np.array([0, 2])
    effect = np.log(events / (n - events) + (events == 0)) @ [1, -1]
    weight = 1 / (1 / events[finite] + 1 / (n - events)[finite]).sum(1)
    mean = weight @ effect[finite] / weight.sum()
    assert found.wald == pytest.approx(weight @ (effect[finite] - mean) ** 2, rel=1e-12)
    assert found.df == 2


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([(0, 9, 2, 9), (0, 8, 1, 9)], True),
        ([(0, 9, 2, 9), (1, 8, 9, 9)], True),  # the second has as few events in the first arm as its total allows
        ([(0, 9, 2, 9), (1, 8, 1, 9)], False),
        ([(9, 9, 2, 9), (3, 8, 0, 9)], True),
    ],
)
def test_separation_is_seen_and_agrees_between_conditional_and_unconditional(rows, expected):
    events, n = tables(*rows)
    assert separated(fixed_intercepts(Binomial(events, n), np.zeros(n.shape), CODINGS["half"])) is expected
    assert separated(exact(events, n)) is expected


def test_orthonormal_basis_of_a_design():
    x = np.column_stack([np.ones(5), 1e8 * np.array([1.0, 2, 4, 7, 7]), 1e-8 * np.array([0.0, 1, 0, 1, 1])])
    basis, back = orthonormal(x)
    np.testing.assert_allclose(basis.T @ basis, 5 * np.eye(3), atol=1e-14)
    np.testing.assert_allclose(x @ back, basis, atol=1e-14)
    np.testing.assert_allclose(basis[:, 0], 1, rtol=1e-14)
