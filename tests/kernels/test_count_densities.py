"""Densities of counts beside SciPy and 40 digits, in small and in large margins; slopes beside differences."""

import mpmath as mp
import numpy as np
import pytest
from scipy import stats
from scipy.optimize import minimize_scalar

from metail2.kernels.count_densities import Binomial, NoncentralHypergeometric, Poisson, damping, own_maximum

RNG = np.random.default_rng(20261127)
ETA = np.linspace(-6, 6, 25)


def column(*values):
    return np.array(values, dtype=float)[:, None]


def hypergeometric(a, n1, n2, m):
    return NoncentralHypergeometric(*(np.atleast_1d(np.asarray(v, dtype=float))[:, None] for v in (a, n1, n2, m)))


DENSITIES = {
    "binomial": Binomial(column(0, 3, 8, 8), column(8, 8, 8, 0 + 20)),
    "poisson": Poisson(column(0, 1, 4, 30)),
    "hypergeometric": hypergeometric([0, 3, 5, 4], [9, 6, 5, 40], [8, 7, 9, 30], [4, 8, 9, 21]),
}


def spread(density):
    return np.broadcast_to(ETA, (4, 1, len(ETA)))


def test_binomial_and_poisson_beside_scipy():
    events, n = np.array([0, 3, 8, 8]), np.array([8, 8, 8, 20])
    p = 1 / (1 + np.exp(-ETA))
    got = DENSITIES["binomial"](spread(None)).value[:, 0]
    np.testing.assert_allclose(got, stats.binom.logpmf(events[:, None], n[:, None], p), rtol=1e-12, atol=1e-14)
    counts = np.array([0, 1, 4, 30])
    got = DENSITIES["poisson"](spread(None)).value[:, 0]
    np.testing.assert_allclose(got, stats.poisson.logpmf(counts[:, None], np.exp(ETA)), rtol=1e-12)


def forty_digits(a, n1, n2, m, eta):
    """Log-density, slope and curvature by the definition."""
    with mp.workdps(40):
        support = list(range(max(0, m - n2), min(n1, m) + 1))
        weights = [mp.binomial(n1, x) * mp.binomial(n2, m - x) * mp.exp(x * mp.mpf(eta)) for x in support]
        total = mp.fsum(weights)
        mean = mp.fsum(x * w for x, w in zip(support, weights, strict=True)) / total
        variance = mp.fsum((x - mean) ** 2 * w for x, w in zip(support, weights, strict=True)) / total
        value = mp.log(weights[support.index(a)] / total)
        return float(value), float(a - mean), float(-variance)


def test_hypergeometric_beside_40_digits():
    for _ in range(100):
        n1, n2 = (int(n) for n in RNG.integers(1, 40, 2))
        m = int(RNG.integers(0, n1 + n2 + 1))
        a = int(RNG.integers(max(0, m - n2), min(n1, m) + 1))
        eta = float(RNG.normal() * 5)
        terms = hypergeometric(a, n1, n2, m)(np.array([[[eta]]]))
        got = [float(part.item()) for part in (terms.value, terms.slope, terms.curvature)]
        np.testing.assert_allclose(got, forty_digits(a, n1, n2, m, eta), rtol=1e-12, atol=1e-13)


def test_hypergeometric_at_the_largest_trial_of_bcg():
    """Madras: 505 and 499 cases among 88 391 a group; SciPy's distribution sums in another way."""
    density = hypergeometric(505, 88391, 88391, 1004)
    eta = np.array([-0.5, -0.05, 0.012, 0.4])
    terms = density(eta[None, None])
    theirs = stats.nchypergeom_fisher(176782, 88391, 1004, np.exp(eta))
    np.testing.assert_allclose(terms.slope[0, 0], 505 - theirs.mean(), rtol=1e-7, atol=1e-7)
    np.testing.assert_allclose(-terms.curvature[0, 0], theirs.var(), rtol=1e-7)
    exact = [forty_digits(505, 88391, 88391, 1004, float(one)) for one in eta[:2]]
    np.testing.assert_allclose(terms.value[0, 0, :2], [one[0] for one in exact], rtol=1e-12)


def test_windows_leave_out_nothing_that_counts():
    """With 30 000 possible counts only some hundred are summed; the whole sum is the same."""
    a, n1, n2, m = 20000.0, 60000, 90000, 30000
    x = np.arange(0.0, m + 1)
    steps = np.log((n1 - x[:-1]) * (m - x[:-1])) - np.log((x[:-1] + 1) * (n2 - m + x[:-1] + 1))
    weight = np.concatenate([[0.0], np.cumsum(steps)])
    for eta in (-9.0, -1.0, 0.0, 1.2, 9.0):
        terms = hypergeometric(a, n1, n2, m)(np.array([[[eta]]]))
        logs = weight - weight[int(a)] + (x - a) * eta
        share = np.exp(logs - logs.max())
        mean = share @ x / share.sum()
        np.testing.assert_allclose(terms.value.item(), -logs.max() - np.log(share.sum()), rtol=1e-12)
        np.testing.assert_allclose(terms.slope.item(), a - mean, rtol=1e-11)
        np.testing.assert_allclose(-terms.curvature.item(), share @ (x - mean) ** 2 / share.sum(), rtol=1e-10)


def test_sums_over_blocks_are_the_sums_over_all(monkeypatch):
    density = DENSITIES["hypergeometric"]
    whole = density(spread(None))
    monkeypatch.setattr("metail2.kernels.count_densities.BLOCK", 50)
    parts = density(spread(None))
    assert (parts.value == whole.value).all()
    assert (parts.curvature == whole.curvature).all()


@pytest.mark.parametrize("name", DENSITIES)
def test_slope_and_curvature_are_those_of_the_value(name):
    density, eta, step = DENSITIES[name], spread(None), 1e-5
    up, down, here = density(eta + step), density(eta - step), density(eta)
    np.testing.assert_allclose(here.slope, (up.value - down.value) / (2 * step), rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(here.curvature, (up.slope - down.slope) / (2 * step), rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("name", DENSITIES)
def test_the_third_derivative_is_at_most_the_second(name):
    """What the damping of Newton's method rests on."""
    density, eta, step = DENSITIES[name], spread(None), 1e-4
    third = (density(eta + step).curvature - density(eta - step).curvature) / (2 * step)
    assert (np.abs(third) <= -density(eta).curvature * (1 + 1e-5) + 1e-9).all()


def test_damping():
    assert damping(np.array([0.0, 1.0])).tolist() == [1, np.log(2)]


@pytest.mark.parametrize("name", DENSITIES)
def test_every_cell_at_its_own_maximum(name):
    density = DENSITIES[name]
    own = own_maximum(density)
    for i in range(4):
        one = density.rows(slice(i, i + 1))
        if not np.isfinite(own.eta[i, 0]):
            far = np.sign(own.eta[i, 0]) * 40.0
            assert one(np.array([[[far]]])).value.item() == pytest.approx(0, abs=1e-12)
            assert (own.value[i, 0], own.information[i, 0]) == (0, 0)
            continue
        best = minimize_scalar(
            lambda e, one=one: -one(np.array([[[e]]])).value.item(), bounds=(-9, 9), method="bounded"
        )
        assert own.eta[i, 0] == pytest.approx(best.x, abs=1e-4)
        assert own.value[i, 0] >= -best.fun
        assert own.information[i, 0] == pytest.approx(-one(own.eta[i : i + 1, :, None]).curvature.item(), rel=1e-12)


def test_own_maxima_in_closed_form():
    binomial = own_maximum(Binomial(column(3, 0, 5), column(10, 4, 5)))
    assert binomial.eta[:, 0].tolist() == [pytest.approx(np.log(3 / 7), rel=1e-14), -np.inf, np.inf]
    assert binomial.information[:, 0].tolist() == [pytest.approx(2.1), 0, 0]
    poisson = own_maximum(Poisson(column(7, 0)))
    assert poisson.eta[:, 0].tolist() == [pytest.approx(np.log(7), rel=1e-14), -np.inf]


def test_totals_without_a_choice_have_the_density_1():
    """No event at all, or nothing else: the total decides, whatever the odds ratio."""
    density = hypergeometric([0, 5], [5, 5], [7, 7], [0, 12])
    assert (density(np.full((2, 1, 3), 2.5)).value == 0).all()
    assert density.lowest.all()
    assert density.highest.all()


def test_an_absurd_rate_is_impossible_not_undefined():
    terms = Poisson(column(3))(np.array([[[2000.0]]]))
    assert np.isfinite(terms.slope).all()
    assert terms.value.item() < -1e250
