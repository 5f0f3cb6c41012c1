"""One regression has its own search for the maximum of the likelihood: the general answer, and the right one."""

import mpmath as mp
import numpy as np
import pytest

from metail2.kernels.likelihood import maximise, profile_ml, profile_reml
from metail2.kernels.one_regression import one_regression
from metail2.kernels.one_search import highest
from metail2.kernels.tau2 import TAU2
from metail2.kernels.wls import weighted_fit

GENERAL = {"REML": profile_reml, "ML": profile_ml}
BOTH = pytest.mark.parametrize("code", ["REML", "ML"])


def problems(decades, count, seed=1):
    """Regressions whose variances span several orders of magnitude, on moderators of any unit."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        p = int(rng.integers(2, 5))
        k = p + int(rng.integers(2, 9))
        v = 10 ** rng.uniform(-decades, 0, k)
        x = np.column_stack([np.ones(k), rng.normal(3, 1, (k, p - 1)) * 10.0 ** rng.integers(-3, 4, p - 1)])
        yield rng.normal(0, np.sqrt(v) * rng.choice([0.5, 1, 3], size=k)), v, x


def exact_excess(y, v, x, code, tau2):
    """1 − trace/y′PPy with 50 digits, from the projection as a matrix."""
    w = mp.diag([1 / (mp.mpf(float(value)) + tau2) for value in v])
    design, effects = mp.matrix(x.tolist()), mp.matrix([float(value) for value in y])
    p = w - w * design * mp.inverse(design.T * w * design) * design.T * w
    traced, scores = p if code == "REML" else w, p * effects
    return 1 - sum(traced[i, i] for i in range(len(y))) / (scores.T * scores)[0]


@BOTH
def test_the_general_search_finds_the_same(code):
    positive = several = 0
    for y, v, x in problems(3.9, 400):
        assert one_regression(y, v, x, restricted=True) is not None
        found, general = TAU2[code](y, v, x), maximise(GENERAL[code], y, v, x)
        assert found.maxima == general.maxima
        assert abs(found.value - general.tau2) <= 1e-10 * max(float(general.tau2), v.min())
        assert abs(found.gradient) < 1e-9
        positive += int(found.value > 0)
        several += int(found.maxima > 1)
    assert positive > 100
    assert several > 3


@BOTH
def test_fifty_digits(code):
    positive = 0
    for y, v, x in problems(3.9, 40, seed=2):
        tau2 = float(TAU2[code](y, v, x).value)
        if tau2 > 0:
            positive += 1
            with mp.workdps(50):
                below, above = (exact_excess(y, v, x, code, tau2 * (1 + mp.mpf(step))) for step in (-1e-10, 1e-10))
            assert below > 0 > above
    assert positive > 8


@BOTH
def test_the_excess_by_sums_is_that_of_the_projection(code):
    for y, v, x in problems(3.9, 20, seed=3):
        tau2 = np.array([0, 0.01, 1.0]) * v.max()
        with mp.workdps(50):
            exact = [float(exact_excess(y, v, x, code, mp.mpf(at))) for at in tau2]
        found = one_regression(y, v, x, restricted=code == "REML").excess(tau2)
        np.testing.assert_allclose(1 - np.array(found), 1 - np.array(exact), rtol=1e-8)


@BOTH
def test_the_height_is_twice_the_log_likelihood(code):
    y, v, x = next(problems(2, 1))
    fit = weighted_fit(y, 1 / (v + 0.3), x)
    found = one_regression(y, v, x, restricted=code == "REML").height(0.3)
    assert found == pytest.approx(2 * float(GENERAL[code].value(fit, x)), rel=1e-14)


@pytest.mark.parametrize("unit", [1e-30, 1e-8, 1.0, 1e8, 1e30])
def test_any_unit(unit):
    y, v, x = next(problems(2, 1, seed=8))
    found = highest(one_regression(y * unit, v * unit**2, x, restricted=True))
    assert float(found.tau2) == pytest.approx(
        float(highest(one_regression(y, v, x, restricted=True)).tau2) * unit**2, rel=1e-11, abs=0
    )
    assert found.tau2 > 0


@BOTH
@pytest.mark.parametrize("p", [1, 2])
def test_a_level_far_from_zero_costs_no_digits(code, p):
    """Effects in steps of 2⁻²⁷, so that a level of 2²⁵ changes no digit of them; also of many problems at once."""
    rng = np.random.default_rng(21)
    v = rng.uniform(2e-4, 1e-3, (20, 12))
    y = np.round(rng.normal(0, np.sqrt(v + 6e-4)) * 2**27) / 2**27
    x = np.column_stack([np.ones(12), rng.normal(size=12)])[:, :p]
    near, far = TAU2[code](y, v, x).value, TAU2[code](y + 2.0**25, v, x).value
    assert far == pytest.approx(near, rel=1e-12, abs=0)
    assert float(TAU2[code](y[0] + 2.0**25, v[0], x).value) == pytest.approx(near[0], rel=1e-12)
    assert (near > 0).sum() > 10


@BOTH
@pytest.mark.parametrize("level", [0.0, 0.7, -3e8])
def test_effects_on_the_line_have_no_heterogeneity(code, level):
    x = np.column_stack([np.ones(6), [1, 2, 4, 7, 9, 11]])
    found = TAU2[code](level + 0.3 * level * x[:, 1], np.array([0.1, 0.2, 0.1, 0.3, 0.2, 0.1]), x)
    assert (found.value, found.maxima) == (0, 1)


def test_sums_serve_neither_very_unequal_variances_nor_very_many_moderators():
    rng = np.random.default_rng(4)
    y, v, x = rng.normal(size=50), np.full(50, 0.1), rng.normal(size=(50, 3))
    assert one_regression(y, v, x, restricted=True) is not None
    assert one_regression(y, np.append(v[1:], 0.9e-5), x, restricted=True) is None
    many = rng.normal(size=(2000, 40))
    assert one_regression(rng.normal(size=2000), np.full(2000, 0.1), many, restricted=True) is None


def test_sums_do_not_serve_effects_far_from_zero():
    rng = np.random.default_rng(4)
    y, v, x = rng.normal(size=50), np.full(50, 0.1), np.column_stack([np.ones(50), rng.normal(size=50)])
    assert one_regression(y + 1e3, v, x, restricted=True) is not None
    assert one_regression(y + 1e5, v, x, restricted=True) is None
