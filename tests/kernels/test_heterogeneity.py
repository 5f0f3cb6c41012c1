"""Q, I², H² and the Q-profile interval beside their definitions."""

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import brentq

from metail2.kernels.fitted import fit_random_effects
from metail2.kernels.heterogeneity import h2_from_tau2, heterogeneity, i2_from_q, i2_from_tau2
from metail2.kernels.tau2 import TAU2, solve_q
from metail2.kernels.tau2_intervals import TAU2_INTERVALS


def q_profile(yi, vi, x):
    found = TAU2_INTERVALS["q_profile"](fit_random_effects(yi, vi, x, "DL"), 0.95)
    return found.lower, found.upper


def generalised_q(tau2, yi, vi, x):
    """Q by dense matrices."""
    w = np.diag(1 / (vi + tau2))
    residual = yi - x @ np.linalg.solve(x.T @ w @ x, x.T @ w @ yi)
    return residual @ w @ residual


@pytest.mark.parametrize("moderator", [False, True])
def test_q_profile_by_root_finding(bcg, latitude, ones, moderator):
    yi, vi = bcg
    x = latitude if moderator else ones(13)
    df = 13 - x.shape[1]
    lower, upper = q_profile(yi, vi, x)
    for limit, tail in ((lower, 0.025), (upper, 0.975)):
        target = stats.chi2.isf(tail, df)
        if generalised_q(0.0, yi, vi, x) < target:
            assert float(limit) == 0
        else:
            want = brentq(lambda t, target=target: generalised_q(t, yi, vi, x) - target, 0, 100, xtol=1e-14, rtol=1e-13)
            assert float(limit) == pytest.approx(want, rel=1e-10)
    assert float(upper) > 0


def test_an_upper_limit_has_no_cap(ones):
    _, upper = q_profile(np.array([0.0, 1e6]), np.ones(2), ones(2))
    assert float(upper) == pytest.approx(0.5e12 / stats.chi2.isf(0.975, 1) - 1, rel=1e-9)


def test_an_empty_confidence_set_is_0_to_0(ones):
    limits = q_profile(np.full(9, 0.3), np.full(9, 1.0), ones(9))
    assert [float(limit) for limit in limits] == [0, 0]


def test_q_profile_covers_many_outcomes_at_once(bcg, ones):
    yi, vi = bcg
    many = np.stack([yi, 0.1 * yi, yi**2])
    lower, upper = q_profile(many, vi, ones(13))
    for i in range(3):
        one = q_profile(many[i], vi, ones(13))
        assert (float(lower[i]), float(upper[i])) == pytest.approx([float(limit) for limit in one], rel=1e-10)


def test_paule_mandel_lies_inside_its_interval(bcg, gravity, ones):
    for yi, vi in (bcg, gravity):
        lower, upper = q_profile(yi, vi, ones(len(yi)))
        assert lower < TAU2["PM"](yi, vi, ones(len(yi))).value < upper
        assert lower < TAU2["PMM"](yi, vi, ones(len(yi))).value < upper


def test_solving_q_from_far_below(ones):
    # one variance 1e-10 of the others: Q(0) is huge, and Newton on 1/Q still rises to the root
    yi, vi = np.array([0.0, 3.0, -2.0, 1.0]), np.array([1e-10, 1.0, 1.0, 1.0])
    root, steps = solve_q(yi, vi, ones(4), np.asarray(3.0))
    assert generalised_q(float(root), yi, vi, ones(4)) == pytest.approx(3, rel=1e-10)
    assert steps < 60


def test_i2_and_h2(bcg, ones):
    yi, vi = bcg
    spread = heterogeneity(yi, vi, ones(13))
    w = 1 / vi
    typical = 12 * w.sum() / (w.sum() ** 2 - (w**2).sum())
    assert float(spread.typical_variance) == pytest.approx(typical, rel=1e-13)
    # from the DerSimonian–Laird τ² both definitions of I² are the same number
    tau2 = TAU2["DL"](yi, vi, ones(13)).value
    assert float(i2_from_tau2(tau2, spread.typical_variance)) == pytest.approx(
        float(i2_from_q(spread.q, 12)), rel=1e-12
    )
    assert float(h2_from_tau2(tau2, spread.typical_variance)) == pytest.approx(float(spread.q) / 12, rel=1e-12)
    assert float(i2_from_q(np.asarray(3.0), 12)) == 0
    assert float(i2_from_q(np.asarray(0.0), 12)) == 0


def test_q_is_chi_squared_with_its_degrees_of_freedom(bcg, latitude):
    spread = heterogeneity(*bcg, latitude)
    assert spread.df == 11
    assert float(spread.p_value) == pytest.approx(stats.chi2.sf(generalised_q(0.0, *bcg, latitude), 11), rel=1e-10)
