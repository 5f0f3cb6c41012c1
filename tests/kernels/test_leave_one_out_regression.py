"""τ² of regressions without each study, from shared sums, beside searches of each likelihood and a dense grid."""

import numpy as np
import pytest

from metail2.kernels import leave_one_out_regression
from metail2.kernels.coefficient_tests import TESTS
from metail2.kernels.fitted import fit_random_effects
from metail2.kernels.heterogeneity import heterogeneity
from metail2.kernels.leave_one_out import without_each
from metail2.kernels.leave_one_out_regression import from_starts, starts
from metail2.kernels.likelihood import maximise, profile_ml, profile_reml

PROFILES = {True: profile_reml, False: profile_ml}


def problems(seed, count, orders):
    """Designs of two or three columns, variances over some orders of magnitude, effects that fit them or do not."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        k, p = int(rng.integers(6, 25)), int(rng.integers(2, 4))
        v = np.exp(rng.uniform(0, np.log(10.0**orders), k))
        x = np.column_stack([np.ones(k), rng.normal(size=(k, p - 1))])
        yield rng.normal(0, np.sqrt(v) * rng.choice([0.5, 1, 3], size=k)), v, x


def others(i, *arrays):
    return tuple(np.delete(values, i, axis=0) for values in arrays)


@pytest.mark.parametrize("restricted", [True, False])
@pytest.mark.parametrize("orders", [1, 3.9])
def test_starts_lie_at_the_only_maximum(restricted, orders):
    known = several = zero = count = 0
    for yi, vi, x in problems(3, 60, orders):
        found = starts(yi, vi, x, restricted=restricted)
        for i in range(len(yi)):
            y, v, own = others(i, yi, vi, x)
            alone = maximise(PROFILES[restricted], y, v, own)
            count, several = count + 1, several + int(alone.maxima > 1)
            if np.isnan(found[i]):
                continue
            assert alone.maxima == 1
            assert (found[i] == 0) == (alone.tau2 == 0)
            assert abs(found[i] - alone.tau2) <= 1e-4 * (alone.tau2 + v.min())
            known, zero = known + 1, zero + int(alone.tau2 == 0)
    assert known > 0.6 * count
    assert zero > 20
    assert several > (20 if orders > 3 else -1)  # likelihoods of which nothing is said, or the test could not tell


@pytest.mark.parametrize("restricted", [True, False])
def test_no_grid_point_is_higher(restricted):
    for yi, vi, x in problems(4, 12, 3.9):
        near = starts(yi, vi, x, restricted=restricted)
        for i in np.flatnonzero(np.isfinite(near)):
            y, v, own = others(i, yi, vi, x)
            tau2, _, _ = from_starts(PROFILES[restricted], y[None], v[None], own[None], near[[i]])
            grid = np.append(tau2, np.geomspace(v.min() * 1e-3, 3 * (np.var(y) + v.max()), 600))
            best, *heights = height(grid, y, v, own, restricted)
            assert best >= max(heights) - 1e-9 * max(1, abs(best))


def height(tau2, y, v, x, restricted):
    """Profile log-likelihood of a regression by dense matrices, but for constants."""
    for at in tau2:
        w = 1 / (v + at)
        cross = x.T @ (w[:, None] * x)
        residual = y - x @ np.linalg.solve(cross, x.T @ (w * y))
        value = -0.5 * (-np.log(w).sum() + w @ residual**2)
        yield value - 0.5 * np.linalg.slogdet(cross)[1] if restricted else value


@pytest.mark.parametrize(
    ("code", "test"),
    [("REML", "knapp_hartung"), ("REML", "z"), ("REML", "kenward_roger"), ("ML", "knapp_hartung"), ("ML", "z")],
)
def test_deletions_are_fits_to_the_others(code, test):
    for yi, vi, x in problems(5, 12, 2):
        found = without_each(fit_random_effects(yi, vi, x, code), test, 0.95)
        for i in range(len(yi)):
            y, v, own = others(i, yi, vi, x)
            alone = fit_random_effects(y, v, own, code)
            reference, spread = TESTS[test].reference(alone, 0.95), heterogeneity(y, v, own)
            np.testing.assert_allclose(found.tau2[i], alone.tau2.value, rtol=1e-9, atol=1e-12 * v.min())
            np.testing.assert_allclose(found.beta[i], alone.beta, rtol=1e-9, atol=1e-11 * np.abs(y).max())
            np.testing.assert_allclose(
                found.covariance[i], reference.covariance, rtol=1e-9, atol=1e-11 * np.abs(reference.covariance).max()
            )
            np.testing.assert_allclose(found.df[i], reference.df, rtol=1e-8)
            np.testing.assert_allclose([found.q[i], found.typical_variance[i]], [spread.q, spread.typical_variance])


def test_what_sums_cannot_tell_is_left_to_exact_fits():
    yi, vi, x = next(problems(6, 1, 1))
    assert np.isfinite(starts(yi, vi, x, restricted=True)).any()
    unequal = np.append(vi[:-1], 1e5 * vi.max())
    assert np.isnan(starts(yi, unequal, x, restricted=True)).all()
    assert np.isnan(starts(x @ np.arange(1.0, x.shape[1] + 1), vi, x, restricted=True)).all()  # no residuals
    alone = np.column_stack([x, np.arange(len(yi)) == 2])
    found = starts(yi, vi, alone, restricted=True)
    assert np.isnan(found[2])
    assert np.isfinite(found).sum() > 2


def test_a_start_that_is_too_far_is_given_up(monkeypatch):
    yi, vi, x = next(problems(7, 1, 1))
    yi = 3 * yi
    tau2 = maximise(profile_reml, yi, vi, x).tau2
    assert tau2 > 0
    problem = (profile_reml, yi[None], vi[None], x[None])
    found, fit, steps = from_starts(*problem, 1.001 * tau2[None])
    assert found[0] == pytest.approx(tau2, rel=1e-11)
    np.testing.assert_array_equal(fit.weights[0], 1 / (vi + found[0]))
    monkeypatch.setattr(leave_one_out_regression, "MAX_STEPS", steps)
    assert from_starts(*problem, 1.001 * tau2[None]) is None


def test_what_is_given_up_is_searched_in_full(monkeypatch):
    yi, vi, x = next(problems(7, 1, 1))
    fitted = fit_random_effects(3 * yi, vi, x, "REML")
    found = without_each(fitted, "z", 0.95)
    monkeypatch.setattr(leave_one_out_regression, "MAX_STEPS", 0)
    np.testing.assert_allclose(without_each(fitted, "z", 0.95).tau2, found.tau2, rtol=1e-11)


def test_scale_shift_and_order():
    for yi, vi, x in problems(8, 10, 2):
        base = starts(yi, vi, x, restricted=True)
        np.testing.assert_allclose(starts(1e8 * yi, 1e16 * vi, x, restricted=True), 1e16 * base, rtol=1e-9)
        np.testing.assert_allclose(starts(yi[::-1], vi[::-1], x[::-1], restricted=True), base[::-1], rtol=1e-6)


def test_nothing_is_overwritten():
    yi, vi, x = next(problems(9, 1, 1))
    design = np.asfortranarray(x)
    starts(yi, vi, design, restricted=True)
    np.testing.assert_array_equal(design, x)
