"""Beta-binomial likelihood and its maximum beside SciPy, general optimisers and the binomial limit."""

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import minimize, minimize_scalar

from metail2.kernels.beta_binomial import _slopes, fit_beta_binomial, group, reached

EVENTS = (np.array([0.0, 1, 2, 0, 5, 12]), np.array([3.0, 3, 9, 7, 6, 1]))
N = (np.array([116.0, 44, 208, 130, 151, 60]), np.array([117.0, 35, 195, 136, 157, 61]))


def by_scipy(eta, rho, events, n):
    """The definition by beta functions, for ρ > 0."""
    size, p = (1 - rho) / rho, 1 / (1 + np.exp(-eta))
    return stats.betabinom.logpmf(events, n, size * p, size * (1 - p)).sum()


def groups(events=EVENTS, n=N):
    return [group(y, size) for y, size in zip(events, n, strict=True)]


@pytest.mark.parametrize("rho", [1e-4, 0.01, 0.3, 0.95])
@pytest.mark.parametrize("eta", [-6.0, -2.0, 1.5])
def test_the_likelihood_is_that_of_the_definition(eta, rho):
    got = _slopes(groups()[0], eta, rho / (1 - rho)).value
    assert got == pytest.approx(by_scipy(eta, rho, EVENTS[0], N[0]), rel=1e-8)


def test_without_correlation_it_is_binomial():
    got = _slopes(groups()[1], -2.5, 0.0).value
    assert got == pytest.approx(stats.binom.logpmf(EVENTS[1], N[1], 1 / (1 + np.exp(2.5))).sum(), rel=1e-13)


@pytest.mark.parametrize("gamma", [0.0, 1e-3, 0.2, 5.0])
def test_derivatives_are_those_of_the_value(gamma):
    arms, eta, step = groups()[1], -2.2, 1e-5
    here = _slopes(arms, eta, gamma)
    up, down = _slopes(arms, eta + step, gamma), _slopes(arms, eta - step, gamma)
    assert here.eta == pytest.approx((up.value - down.value) / (2 * step), rel=1e-7)
    assert here.eta_eta == pytest.approx((up.eta - down.eta) / (2 * step), rel=1e-7)
    assert here.eta_gamma == pytest.approx((up.gamma - down.gamma) / (2 * step), rel=1e-6)
    step = 1e-6
    up, down = _slopes(arms, eta, gamma + step), _slopes(arms, eta, gamma - step)
    assert here.gamma == pytest.approx((up.value - down.value) / (2 * step), rel=1e-6)
    assert here.gamma_gamma == pytest.approx((up.gamma - down.gamma) / (2 * step), rel=1e-6)


def test_rules_for_long_runs_add_up_to_the_terms():
    counts = np.array([3.0, 70, 1000, 88391, 88391, 500000])
    few, r = reached(counts), np.arange(500000.0)
    arms = (counts[:, None] > r).sum(0)
    assert len(few.r) < 400
    for base, gamma in ((0.3, 0.0), (1e-4, 1e-6), (1e-4, 0.01), (0.5, 10.0)):
        t, every = base + few.r * gamma, base + r * gamma
        for some, all_terms in (
            (np.log(t), np.log(every)),
            (few.r / t, r / every),
            ((few.r / t) ** 2, (r / every) ** 2),
        ):
            assert few.arms @ some == pytest.approx(arms @ all_terms, rel=1e-12)


def test_the_maximum_is_that_of_a_general_optimiser():
    found = fit_beta_binomial(groups())

    def loss(values):
        rho = 1 / (1 + np.exp(-values[2]))
        return -sum(by_scipy(eta, rho, y, n) for eta, y, n in zip(values[:2], EVENTS, N, strict=True))

    best = np.array([*found.eta, np.log(found.rho / (1 - found.rho))])
    other = minimize(loss, best + 0.3, method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12, "maxiter": 5000})
    np.testing.assert_allclose(other.x, best, atol=1e-5)
    assert found.log_likelihood == pytest.approx(-other.fun, rel=1e-10)
    assert found.distance < 1e-9
    assert (found.maxima, found.bounded) == (1, True)
    step = 1e-3
    axes = np.eye(3) * step
    hessian = np.array([[(loss(best + a + b) - loss(best + a - b) - loss(best - a + b) + loss(best - a - b))
                         / (4 * step**2) for a in axes] for b in axes])  # fmt: skip
    scale = np.diag([1, 1, found.rho * (1 - found.rho)])  # dρ/d logit ρ
    np.testing.assert_allclose(found.covariance, scale @ np.linalg.inv(hessian) @ scale, rtol=1e-3)


def test_on_the_boundary_the_arms_are_binomial():
    """Counts that vary less than binomial ones: ρ = 0, all patients of a treatment are as of one study."""
    events, n = (np.array([5.0, 5, 5]), np.array([9.0, 10, 9])), (np.full(3, 40.0), np.full(3, 50.0))
    found = fit_beta_binomial(groups(events, n))
    p = np.array([15 / 120, 28 / 150])
    assert found.rho == 0
    np.testing.assert_allclose(found.eta, np.log(p / (1 - p)), rtol=1e-12)
    np.testing.assert_allclose(
        np.diag(found.covariance), [1 / (120 * p[0] * (1 - p[0])), 1 / (150 * p[1] * (1 - p[1])), 0]
    )
    assert found.log_likelihood == found.binomial


def highest(rho, events, n):
    """Log-likelihood at the best log-odds for one correlation."""
    return -minimize_scalar(lambda e: -by_scipy(e, rho, events, n), bounds=(-8, 4), method="bounded").fun


def test_random_problems_beside_a_grid():
    rng, grid = np.random.default_rng(11), np.concatenate([[1e-9], np.geomspace(1e-4, 0.99, 40)])
    zeros = 0
    for _ in range(40):
        n = rng.integers(2, 80, 5).astype(float)
        rho = rng.choice([0.0, 0.02, 0.3])
        p = rng.beta(0.2 * (1 / rho - 1), 0.8 * (1 / rho - 1), 5) if rho else np.full(5, 0.2)
        events = rng.binomial(n.astype(int), p).astype(float)
        if 0 < events.sum() < n.sum():
            found = fit_beta_binomial([group(events, n)])
            best = max(highest(r, events, n) for r in grid[1:])
            assert not found.bounded or found.log_likelihood >= best - 1e-8
            zeros += found.rho == 0
    assert 3 < zeros < 37


def test_arms_with_all_events_or_none_have_no_inner_maximum():
    found = fit_beta_binomial([group(np.array([0.0, 9, 0, 7]), np.array([8.0, 9, 10, 7]))])
    assert not found.bounded


def test_arms_of_one_patient_say_nothing_about_the_correlation():
    found = fit_beta_binomial([group(np.array([0.0, 1, 1]), np.ones(3))])
    assert (found.rho, found.bounded) == (0, True)
    assert found.eta[0] == pytest.approx(np.log(2))
