"""The likelihood can have several maxima; the highest must be found."""

import numpy as np
import pytest

from metail2.kernels.likelihood import log_likelihood, restricted_log_likelihood
from metail2.kernels.tau2 import TAU2
from metail2.kernels.wls import weighted_fit

SIZES = (3, 4, 5, 6, 7, 8)
PROBLEMS = 170
"""Data sets of each size: 1,020 in all."""


def heights(tau2, y, v, restricted):
    """Profile log-likelihood of a mean, without constants, at many τ²; written out, sharing no code."""
    total = v + np.asarray(tau2)[:, None]
    w = 1 / total
    mean = (w * y).sum(-1, keepdims=True) / w.sum(-1, keepdims=True)
    value = -0.5 * (np.log(total).sum(-1) + (w * (y - mean) ** 2).sum(-1))
    return value - 0.5 * np.log(w.sum(-1)) if restricted else value


def hard_problems(seed, k, decades):
    """Variances over several orders of magnitude, and effects that either fit them or do not."""
    rng = np.random.default_rng(seed)
    v = 10 ** rng.uniform(-decades, 0, (PROBLEMS, k))
    return rng.normal(0, np.sqrt(v) * rng.choice([0.5, 1, 3], size=v.shape)), v


@pytest.mark.parametrize("decades", [4, 6])
@pytest.mark.parametrize("code", ["REML", "ML"])
def test_no_grid_point_is_higher(code, decades):
    several = 0
    for k in SIZES:
        y, v = hard_problems(10 * decades + k, k, decades)
        found = TAU2[code](y, v, np.ones((k, 1)))
        several += int((found.maxima > 1).sum())
        for i in range(PROBLEMS):
            last = 3 * (np.var(y[i]) + np.max(v[i]))
            grid = np.concatenate([[0], np.geomspace(v[i].min() * 1e-3, last, 1500)])
            ours = heights([float(found.value[i])], y[i], v[i], code == "REML")[0]
            assert ours >= heights(grid, y[i], v[i], code == "REML").max() - 1e-9, (k, i)
    assert several > 50  # the problems are hard enough to tell a local search from a global one


def test_no_grid_point_is_higher_with_a_moderator():
    rng = np.random.default_rng(3)
    x = np.column_stack([np.ones(6), rng.normal(size=6)])
    v = 10 ** rng.uniform(-4, 0, (100, 6))
    y = rng.normal(0, np.sqrt(v) * rng.choice([0.5, 3], size=v.shape))
    for code, rule in (("REML", restricted_log_likelihood), ("ML", log_likelihood)):
        found = TAU2[code](y, v, x).value
        for i in range(100):
            grid = np.concatenate([[0], np.geomspace(v[i].min() * 1e-3, 3 * (np.var(y[i]) + v[i].max()), 400)])
            at_grid = rule(weighted_fit(y[i], 1 / (v[i] + grid[:, None]), x), x)
            ours = float(rule(weighted_fit(y[i], 1 / (v[i] + found[i]), x), x))
            assert ours >= at_grid.max() - 1e-9


def test_two_maxima_of_the_likelihood():
    found = TAU2["ML"](np.array([0.41, 0.29, -0.06, -0.11]), np.array([0.13, 0.00028, 0.16, 0.0092]), np.ones((4, 1)))
    assert float(found.value) == pytest.approx(0.0297433, abs=5e-8)
    assert found.maxima == 2


def test_two_maxima_of_the_restricted_likelihood():
    found = TAU2["REML"](np.array([-0.07, -0.47, 0.05, 2.2]), np.array([0.0013, 0.16, 0.00055, 0.61]), np.ones((4, 1)))
    assert float(found.value) == pytest.approx(0.00682, abs=5e-6)
    assert found.maxima == 2


def test_on_the_boundary_the_score_decides():
    # Q is just below and just above what makes the score at 0 positive
    v = np.full(5, 0.2)
    y = np.array([-1.0, -0.5, 0, 0.5, 1])
    for spread, positive in ((0.999, False), (1.001, True)):
        scaled = y * spread * np.sqrt(0.2 / y.var(ddof=1))
        found = TAU2["REML"](scaled, v, np.ones((5, 1)))
        assert (float(found.value) > 0) is positive
        assert float(found.value) == pytest.approx(max(0, 0.2 * (spread**2 - 1)), rel=1e-9)
        assert found.maxima == 1
