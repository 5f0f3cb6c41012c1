"""Location–scale likelihoods against dense matrices, grids, closed forms and simulation."""

import tracemalloc

import numpy as np
import pytest
from scipy import optimize

from metail2.errors import UnknownChoice
from metail2.kernels.location_scale import LINKS, location_scale
from metail2.kernels.tau2 import TAU2

METHODS = {"REML": True, "ML": False}
EVERY = [(link, restricted) for link in LINKS for restricted in METHODS.values()]


def dense(alpha, y, v, x, z, link, restricted):
    """Log-likelihood by k × k matrices and determinants; also of complex coefficients. Shares no code."""
    eta = z @ alpha
    variance = np.diag(v + (np.exp(eta) if link == "log" else eta))
    inverse = np.linalg.inv(variance)
    information = x.T @ inverse @ x
    beta = np.linalg.solve(information, x.T @ inverse @ y)
    residual = y - x @ beta
    k, p = x.shape
    value = -0.5 * (k * np.log(2 * np.pi) + np.log(np.linalg.det(variance)) + residual @ inverse @ residual)
    if restricted:
        value += 0.5 * (p * np.log(2 * np.pi) + np.log(np.linalg.det(x.T @ x)) - np.log(np.linalg.det(information)))
    return value


def dense_score(alpha, *problem):
    """Score by complex steps, exact to rounding."""
    step = 1e-30j
    return np.array([dense(alpha + step * e, *problem).imag / 1e-30 for e in np.eye(len(alpha))])


def dense_hessian(alpha, *problem):
    """Central differences of the score."""
    step = 1e-5 * (1e-3 + np.abs(alpha))
    rows = [
        (dense_score(alpha + h * e, *problem) - dense_score(alpha - h * e, *problem)) / (2 * h)
        for h, e in zip(step, np.eye(len(alpha)), strict=True)
    ]
    return np.array(rows)


def heights(tau2, y, v, x, restricted):
    """Log-likelihood at many sets of variances, shape (points, k), by normal equations."""
    w = 1 / (v + tau2)
    information = np.einsum("ki,nk,kj->nij", x, w, x)
    beta = np.linalg.solve(information, np.einsum("ki,nk,k->ni", x, w, y)[..., None])[..., 0]
    value = 0.5 * (np.log(w) - w * (y - beta @ x.T) ** 2).sum(1) - 0.5 * len(y) * np.log(2 * np.pi)
    if restricted:
        constant = x.shape[1] * np.log(2 * np.pi) + np.linalg.slogdet(x.T @ x)[1]
        value += 0.5 * (constant - np.linalg.slogdet(information)[1])
    return value


def regular(seed=0, k=14):
    """A problem with an interior maximum for both links: two moderators of the variance, one of the effect."""
    rng = np.random.default_rng(seed)
    s = rng.uniform(0, 2, k)
    v = rng.uniform(0.02, 0.1, k)
    y = rng.normal(0.3 + 0.2 * s, np.sqrt(v + 0.1 + 0.4 * s))
    return y, v, np.column_stack([np.ones(k), s]), np.column_stack([np.ones(k), s])


def hard(seed):
    """Few studies, variances over five orders of magnitude or one and a half, effects that fit them or do not."""
    rng = np.random.default_rng(seed)
    k = int(rng.integers(4, 10))
    low, high = (1e-4, 10) if seed % 2 else (0.01, 0.5)
    v = np.exp(rng.uniform(np.log(low), np.log(high), k))
    s = rng.normal(size=k) if rng.integers(2) else (np.arange(k) % 2).astype(float)
    x = np.ones((k, 1)) if rng.integers(2) else np.column_stack([np.ones(k), rng.normal(size=k)])
    truth = np.exp(rng.normal(-2, 2) + s) * rng.integers(2)
    return rng.normal(0, np.sqrt(v + truth) * rng.choice([0.5, 1, 3])), v, x, np.column_stack([np.ones(k), s])


def grid(y, v, z, link):
    """All τ² that a line in the second column of z gives, by their values at its ends; shape (points, k)."""
    level = np.geomspace(v.min() * 1e-4, 30 * (np.var(y) + v.max()), 60)
    share = (z[:, 1] - z[:, 1].min()) / np.ptp(z[:, 1])
    if link == "log":
        first, last = (ends.ravel()[:, None] for ends in np.meshgrid(np.log(level), np.log(level)))
        return np.exp(first * (1 - share) + last * share)
    first, last = (ends.ravel()[:, None] for ends in np.meshgrid(np.append(0, level), np.append(0, level)))
    return first * (1 - share) + last * share


# ------------------------------------------------------------------------------------- derivatives
@pytest.mark.parametrize(("link", "restricted"), EVERY)
def test_score_is_zero_and_information_is_the_curvature(link, restricted):
    problem = (*regular(), link, restricted)
    fit = location_scale(*problem)
    assert fit.status == "ok"
    assert fit.log_likelihood == pytest.approx(dense(fit.alpha, *problem), rel=1e-13)
    unit = np.sqrt(np.diag(fit.alpha_covariance))
    assert np.abs(dense_score(fit.alpha, *problem) * unit).max() < 1e-12
    assert fit.gradient < 1e-12
    np.testing.assert_allclose(np.linalg.inv(-dense_hessian(fit.alpha, *problem)), fit.alpha_covariance, rtol=1e-7)
    y, v, x, _ = problem[:4]
    w = 1 / (v + fit.tau2)
    np.testing.assert_allclose(fit.covariance, np.linalg.inv(x.T @ (w[:, None] * x)), rtol=1e-12)
    np.testing.assert_allclose(fit.beta, fit.covariance @ x.T @ (w * y), rtol=1e-12)


@pytest.mark.parametrize(("link", "restricted"), EVERY)
def test_no_other_optimiser_climbs_higher(link, restricted):
    problem = (*regular(seed=1, k=25), link, restricted)
    fit = location_scale(*problem)
    assert not fit.vanished.any()
    found = optimize.minimize(
        lambda alpha: -dense(alpha, *problem), fit.alpha * 1.05, method="Nelder-Mead", options={"xatol": 1e-9}
    )
    assert fit.log_likelihood >= -found.fun - 1e-12
    np.testing.assert_allclose(found.x, fit.alpha, rtol=1e-4)


# ------------------------------------------------------------------------------------- the global maximum
@pytest.mark.parametrize(("link", "restricted"), EVERY)
def test_no_grid_point_is_higher(link, restricted):
    states = set()
    for seed in range(24):
        y, v, x, z = hard(seed)
        fit = location_scale(y, v, x, z, link, restricted)
        best = heights(grid(y, v, z, link), y, v, x, restricted).max()
        assert fit.log_likelihood >= best - 1e-9 * max(1, abs(best)), seed
        assert fit.log_likelihood == pytest.approx(heights(fit.tau2[None], y, v, x, restricted)[0], rel=1e-9)
        assert fit.gradient < 1e-7
        states.add((fit.status, bool(fit.vanished.any())))
    expected = {("ok", False), ("endless", True)} if link == "log" else {("ok", False), ("ok", True)}
    assert states == expected  # the problems reach the boundary, and not all of them do


@pytest.mark.parametrize("method", METHODS)
def test_a_constant_scale_is_the_random_effects_model(method):
    for seed in range(40):
        rng = np.random.default_rng(seed)
        k = int(rng.integers(2, 9))
        v = np.exp(rng.uniform(np.log(1e-4), np.log(10), k))
        y = rng.normal(0, np.sqrt(v) * rng.choice([0.5, 1, 3], size=k))
        one = np.ones((k, 1))
        tau2 = float(TAU2[method](y, v, one).value)
        identity = location_scale(y, v, one, one, "identity", METHODS[method])
        assert identity.alpha[0] == pytest.approx(tau2, rel=1e-12, abs=0)
        log = location_scale(y, v, one, one, "log", METHODS[method])
        assert (log.status == "endless") is (tau2 == 0)
        assert log.tau2[0] == pytest.approx(tau2, rel=1e-11, abs=0)


def test_groups_with_their_own_means_are_fitted_apart():
    # equal sampling variances: REML of a group is s² − v, ML (k − 1)/k·s² − v, or 0
    rng = np.random.default_rng(1)
    group = np.repeat([0, 1, 2], [5, 6, 7])
    y = rng.normal(0, np.array([1.0, 2.0, 0.1])[group])
    dummies = np.eye(3)[group]
    for restricted in (True, False):
        fit = location_scale(y, np.full(18, 0.2), dummies, dummies, "identity", restricted)
        closed = [max(0.0, np.var(y[group == g], ddof=int(restricted)) - 0.2) for g in range(3)]
        assert closed[2] == 0
        np.testing.assert_allclose(fit.alpha, closed, rtol=1e-12, atol=1e-15)
        np.testing.assert_array_equal(fit.vanished, group == 2)
        assert np.isnan(fit.alpha_covariance).all()


# ------------------------------------------------------------------------------------- no finite maximum
@pytest.mark.parametrize("restricted", METHODS.values())
def test_a_group_that_agrees_has_no_finite_log_variance(restricted):
    y = np.array([0.1, 0.11, 0.12, 0.09, -1.0, 0.4, 1.5, 2.0, -0.3])
    v, one, group = np.full(9, 0.05), np.ones(9), np.repeat([0.0, 1.0], [4, 5])
    z = np.column_stack([one, group])
    log = location_scale(y, v, one[:, None], z, "log", restricted)
    assert log.status == "endless"
    np.testing.assert_array_equal(log.vanished, group == 0)
    assert np.isnan(log.alpha).all()
    assert np.isnan(log.alpha_covariance).all()
    # the limit is what the identity link, which can reach 0, attains
    identity = location_scale(y, v, one[:, None], z, "identity", restricted)
    np.testing.assert_allclose(log.tau2, identity.tau2, rtol=1e-9)
    assert log.log_likelihood == pytest.approx(identity.log_likelihood, rel=1e-12)
    np.testing.assert_allclose(log.beta, identity.beta, rtol=1e-9)


def test_a_variance_that_no_residual_tells_of_is_undetermined():
    rng = np.random.default_rng(0)
    y, v = rng.normal(0, 1, 8), np.full(8, 0.1)
    alone = np.column_stack([np.ones(8), np.eye(8)[0]])  # the first study has its own mean and its own τ²
    for link in LINKS:
        assert location_scale(y, v, alone, alone, link).status == "undetermined"


@pytest.mark.parametrize("link", LINKS)
def test_equal_effects_have_no_variance(link):
    k = 6
    z = np.column_stack([np.ones(k), np.arange(k)])
    fit = location_scale(np.full(k, -1 / 3), np.linspace(0.1, 0.5, k), np.ones((k, 1)), z, link)
    np.testing.assert_array_equal(fit.tau2, 0)
    assert fit.vanished.all()
    assert fit.beta[0] == -1 / 3


# ------------------------------------------------------------------------------------- scale, order, size
@pytest.mark.parametrize(("link", "restricted"), EVERY)
@pytest.mark.parametrize("c", [-2.5, 1e-6, 3e5, 1e8])
def test_scale_of_the_effects(link, restricted, c):
    y, v, x, z = regular()
    before = location_scale(y, v, x, z, link, restricted)
    after = location_scale(c * y, c * c * v, x, z, link, restricted)
    np.testing.assert_allclose(after.tau2, c * c * before.tau2, rtol=1e-12)
    np.testing.assert_allclose(after.beta, c * before.beta, rtol=1e-12)
    jacobian = (len(y) - 2 * restricted) * np.log(abs(c))
    assert after.log_likelihood == pytest.approx(before.log_likelihood - jacobian, rel=1e-12)
    if link == "log":
        alpha, covariance = before.alpha + np.array([np.log(c * c), 0]), before.alpha_covariance
    else:
        alpha, covariance = c * c * before.alpha, c**4 * before.alpha_covariance
    np.testing.assert_allclose(after.alpha, alpha, rtol=1e-12, atol=1e-12 if link == "log" else 0)
    np.testing.assert_allclose(after.alpha_covariance, covariance, rtol=1e-11)


@pytest.mark.parametrize("link", LINKS)
def test_units_of_a_scale_moderator_and_order_of_the_studies(link):
    y, v, x, z = regular()
    before = location_scale(y, v, x, z, link)
    order = np.random.default_rng(2).permutation(len(y))
    after = location_scale(y[order], v[order], x[order], (z * [1, 1e6])[order], link)
    np.testing.assert_allclose(after.tau2, before.tau2[order], rtol=1e-11)
    np.testing.assert_allclose(after.alpha * [1, 1e6], before.alpha, rtol=1e-11)


@pytest.mark.parametrize("link", LINKS)
def test_one_variance_far_from_the_others(link):
    y, v, x, z = regular()
    for factor in (1e-8, 1e4):
        unequal = np.where(np.arange(len(v)) == 3, factor * v, v)
        fit = location_scale(y, unequal, x, z, link)
        best = heights(grid(y, v, z, link), y, unequal, x, True).max()
        assert fit.log_likelihood >= best
        assert fit.gradient < 1e-9


def test_a_steep_slope_that_leaves_some_variances_at_nothing_is_an_ordinary_maximum():
    # the last study lies so far out that its τ² is e⁻¹⁰⁰ or less; the slope is that of the others
    y, v, _, z = regular()
    z = z * [1, -1] + [0, 2]
    far = np.vstack([z, [1, 400.0]])
    one = np.ones((15, 1))
    fit = location_scale(np.append(y, 0.4), np.append(v, 0.05), one, far, "log")
    assert fit.status == "ok"
    assert fit.tau2[-1] < 1e-44
    assert np.isfinite(fit.alpha_covariance).all()


def test_ten_thousand_studies_need_linear_memory():
    rng = np.random.default_rng(0)
    k = 10_000
    s, v = rng.normal(size=k), rng.uniform(0.01, 0.3, k)
    y = rng.normal(0.2, np.sqrt(v + np.exp(-2 + 0.5 * s)))
    tracemalloc.start()
    fit = location_scale(y, v, np.ones((k, 1)), np.column_stack([np.ones(k), s]))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 150e6  # one k × k matrix alone has 800 MB
    se = np.sqrt(np.diag(fit.alpha_covariance))
    assert (np.abs(fit.alpha - [-2, 0.5]) < 4 * se).all()


def test_estimates_and_intervals_of_simulated_data():
    rng = np.random.default_rng(20)
    truth, runs, k = np.array([-1.5, 0.8]), 100, 80
    errors, covered = [], []
    for _ in range(runs):
        s, v = rng.normal(size=k), rng.uniform(0.02, 0.1, k)
        y = rng.normal(0.3, np.sqrt(v + np.exp(truth[0] + truth[1] * s)))
        fit = location_scale(y, v, np.ones((k, 1)), np.column_stack([np.ones(k), s]))
        errors.append(fit.alpha - truth)
        covered.append(np.abs(errors[-1]) < 1.96 * np.sqrt(np.diag(fit.alpha_covariance)))
    spread = np.std(errors, axis=0) / np.sqrt(runs)
    assert (np.abs(np.mean(errors, axis=0)) < 3 * spread + 0.03).all()  # and a small-sample bias
    assert (np.abs(np.mean(covered, axis=0) - 0.95) < 3 * np.sqrt(0.95 * 0.05 / runs)).all()


def test_an_unknown_link_is_refused():
    with pytest.raises(UnknownChoice, match="Did you mean 'log'"):
        location_scale(*regular(), "logs")
