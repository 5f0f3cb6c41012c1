"""The marginal likelihood beside integrals by other means; its derivatives beside differences of its value."""

import mpmath as mp
import numpy as np
import pytest
from scipy import stats
from scipy.optimize import brentq
from scipy.special import expit

from metail2.kernels import count_likelihood
from metail2.kernels.count_densities import Binomial, NoncentralHypergeometric, Poisson
from metail2.kernels.count_likelihood import Point, marginal
from metail2.kernels.count_models import CODINGS, fixed_intercepts, one_cell, random_intercepts

EVENTS = np.array([[2.0, 5], [0, 3], [7, 9], [1, 0]])
N = np.array([[30.0, 28], [25, 31], [40, 40], [12, 14]])
TIME = np.array([[100.0, 90], [80, 120], [300, 210], [50, 55]])
POINTS = 60


def conditional():
    total = EVENTS.sum(1, keepdims=True)
    return one_cell(NoncentralHypergeometric(EVENTS[:, :1], N[:, :1], N[:, 1:], total), np.zeros((4, 1)))


MODELS = {
    "one": one_cell(Binomial(EVENTS[:, :1], N[:, :1]), np.zeros((4, 1))),
    "exact": conditional(),
    "fixed": fixed_intercepts(Binomial(EVENTS, N), np.zeros((4, 2)), CODINGS["half"]),
    "treatment": fixed_intercepts(Binomial(EVENTS, N), np.zeros((4, 2)), CODINGS["treatment"]),
    "random": random_intercepts(Binomial(EVENTS, N), np.zeros((4, 2)), CODINGS["half"]),
    "rates": random_intercepts(Poisson(EVENTS), np.log(TIME), CODINGS["control"]),
}


def point(model, shared, own=0.0):
    return Point(np.array(shared), np.full(model.k, own), np.zeros((model.k, model.dimensions)))


PLACES = {
    "one": ([-1.4, 0.8], 0.0), "exact": ([-0.6, 0.7], 0.0), "fixed": ([-0.6, 0.7], -2.0),
    "treatment": ([-0.6, 0.7], -1.8), "random": ([-2.0, -0.6, 0.9, 0.7], 0.0), "rates": ([-3.6, -0.4, 0.8, 0.6], 0.0),
}  # fmt: skip


def at(name, points=POINTS):
    shared, own = PLACES[name]
    return marginal(MODELS[name], point(MODELS[name], shared, own), points)


# ------------------------------------------------------------------------------------- the value
def log_binomial(y, n, eta):
    return mp.log(mp.binomial(int(n), int(y))) + y * eta - n * mp.log1p(mp.exp(eta))


def test_thirty_digits():
    """P(counts | ν, μ, τ) of the first two studies, by Gauss–Legendre at 30 digits."""
    with mp.workdps(30):
        expected = []
        for (y1, y2), (n1, n2) in zip(EVENTS[:2], N[:2], strict=True):

            def density(u, y1=y1, y2=y2, n1=n1, n2=n2):
                theta = mp.mpf("-0.6") + mp.mpf("0.7") * u
                return mp.exp(log_binomial(y1, n1, -2 + theta / 2) + log_binomial(y2, n2, -2 - theta / 2)) * mp.npdf(u)

            expected.append(float(mp.log(mp.quad(density, mp.linspace(-10, 10, 21)))))
    np.testing.assert_allclose(at("fixed").by_study[:2], expected, rtol=1e-13)


def sums(logs, axes):
    """log Σ exp over the last axes: the trapezoidal rule, exact for functions so smooth that end so far out."""
    top = logs.max(axis=axes, keepdims=True)
    return (top + np.log(np.exp(logs - top).sum(axis=axes, keepdims=True))).reshape(logs.shape[0])


def test_one_random_effect_by_the_trapezoidal_rule():
    u, step = np.linspace(-12, 12, 2401, retstep=True)
    for name in ("one", "exact", "fixed", "treatment"):
        model, (shared, own) = MODELS[name], PLACES[name]
        theta = shared[0] + shared[1] * u
        eta = model.z[:, :1] * theta + (own if model.own is not None else 0)
        logs = model.density(np.broadcast_to(eta, (4, *eta.shape))).value.sum(1) - u * u / 2
        np.testing.assert_allclose(at(name).by_study, sums(logs, (1,)) + np.log(step / np.sqrt(2 * np.pi)), rtol=1e-12)


def test_two_random_effects_by_the_trapezoidal_rule():
    axis, step = np.linspace(-10, 10, 301, retstep=True)
    v, u = (grid.reshape(-1) for grid in np.meshgrid(axis, axis, indexing="ij"))
    for name in ("random", "rates"):
        model, (alpha, mu, sigma, tau) = MODELS[name], PLACES[name][0]
        eta = alpha + sigma * v + model.z[:, 1:] * (mu + tau * u)
        logs = model.density(model.offset[..., None] + eta).value.sum(1) - (v * v + u * u) / 2
        expected = sums(logs, (1,)) + np.log(step**2 / (2 * np.pi))
        np.testing.assert_allclose(at(name).by_study, expected, rtol=1e-10)


def test_without_spread_the_density_itself():
    model = MODELS["fixed"]
    eta = -2.0 + model.z[None] * -0.6
    value = model.density(np.broadcast_to(eta, (4, 2, 1))).value.sum()
    assert marginal(model, point(model, [-0.6, 0.0], -2.0), 10).value == pytest.approx(value, rel=1e-13)
    assert marginal(model.common, point(model.common, [-0.6], -2.0), 1).value == pytest.approx(value, rel=1e-15)


def test_one_point_is_laplaces_approximation():
    """The log-density at the mode less ½ log(1 + τ²·information there)."""
    mu, tau = PLACES["one"][0]
    for i, (y, n) in enumerate(zip(EVENTS[:, 0], N[:, 0], strict=True)):
        mode = brentq(lambda u, y=y, n=n: tau * (y - n * expit(mu + tau * u)) - u, -9, 9, xtol=1e-14)
        p = expit(mu + tau * mode)
        expected = stats.binom.logpmf(y, n, p) - mode**2 / 2 - np.log1p(tau**2 * n * p * (1 - p)) / 2
        assert at("one", 1).by_study[i] == pytest.approx(expected, rel=1e-10)


def test_it_is_even_in_every_standard_deviation():
    for name in ("fixed", "random"):
        model, (shared, own) = MODELS[name], PLACES[name]
        flipped = np.array(shared)
        flipped[model.coefficients :] *= -1
        assert marginal(model, point(model, flipped, own), 20).value == pytest.approx(at(name, 20).value, rel=1e-13)


# ------------------------------------------------------------------------------------- the derivatives
def shifted(name, position, step):
    shared, own = PLACES[name]
    moved = np.array(shared)
    moved[position] += step
    return marginal(MODELS[name], point(MODELS[name], moved, own), POINTS)


@pytest.mark.parametrize("name", MODELS)
def test_score_and_hessian_are_those_of_the_value(name):
    here, step = at(name), 1e-4
    for j in range(len(here.score)):
        up, down = shifted(name, j, step), shifted(name, j, -step)
        assert here.score[j] == pytest.approx((up.value - down.value) / (2 * step), rel=1e-6, abs=1e-7)
        np.testing.assert_allclose(here.hessian[j], (up.score - down.score) / (2 * step), rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(here.cross[:, j], (up.own_score - down.own_score) / (2 * step), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", ["fixed", "treatment"])
def test_derivatives_in_the_own_coefficients(name):
    model, (shared, own), step = MODELS[name], PLACES[name], 1e-4
    up, down = (marginal(model, point(model, shared, own + sign * step), POINTS) for sign in (1, -1))
    np.testing.assert_allclose(at(name).own_score, (up.by_study - down.by_study) / (2 * step), rtol=1e-6, atol=1e-7)
    slope = (up.own_score - down.own_score) / (2 * step)
    np.testing.assert_allclose(at(name).own_information, -slope, rtol=1e-6)


def test_at_tau_0_the_second_derivative_is_twice_the_slope_in_tau2():
    model, (shared, own) = MODELS["fixed"], PLACES["fixed"]
    zero = marginal(model, point(model, [shared[0], 0.0], own), 20)
    near = marginal(model, point(model, [shared[0], 1e-3], own), 20)
    assert zero.score[1] == pytest.approx(0, abs=1e-12)
    assert zero.hessian[1, 1] / 2 == pytest.approx((near.value - zero.value) / 1e-6, rel=1e-4)


def test_information_on_the_effect_adds_up():
    found = at("fixed")
    profile = -found.hessian[0, 0] - (found.cross[:, 0] ** 2 / found.own_information).sum()
    assert found.information_on(np.eye(2)[0]).sum() == pytest.approx(profile, rel=1e-12)
    assert (found.information_on(np.eye(2)[0]) > 0).all()


# ------------------------------------------------------------------------------------- memory
@pytest.mark.parametrize("name", MODELS)
def test_blocks_of_studies_change_nothing(name, monkeypatch):
    whole, model = at(name, 8), MODELS[name]
    monkeypatch.setattr(count_likelihood, "BLOCKS", {1: 3, 2: 3})
    cut = count_likelihood.CountModel(model.density, model.offset, model.x, model.z, model.own)
    assert len(cut.blocks) == 2
    shared, own = PLACES[name]
    parts = marginal(cut, point(cut, shared, own), 8)
    np.testing.assert_allclose(parts.by_study, whole.by_study, rtol=1e-13)
    np.testing.assert_allclose(parts.hessian, whole.hessian, rtol=1e-12, atol=1e-12)
