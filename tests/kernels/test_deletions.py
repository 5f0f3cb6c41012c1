"""Fits without each study beside fits to each subset, a dense grid, exact fractions and their memory."""

import tracemalloc
from fractions import Fraction

import numpy as np
import pytest

from metail2.kernels.coefficient_tests import TESTS
from metail2.kernels.fitted import fit_random_effects
from metail2.kernels.heterogeneity import heterogeneity
from metail2.kernels.leave_one_out import without_each
from metail2.kernels.leave_one_out_mean import mean_without_each
from metail2.kernels.likelihood import maximise, profile_ml, profile_reml
from metail2.kernels.tau2 import TAU2, WEIGHTED
from metail2.kernels.wls import weighted_fit

K = 9
PARTS = ("beta", "covariance", "model_covariance", "df", "factor", "tau2", "q", "typical_variance")


def data(k=K, seed=1):
    rng = np.random.default_rng(seed)
    return rng.normal(size=k), rng.uniform(0.01, 0.3, k), rng.uniform(1, 3, k)


def design(k, p, seed=2):
    return np.column_stack([np.ones(k), np.random.default_rng(seed).normal(size=(k, p - 1))])


def one_subset(fitted, test, i):
    """The fit without study i, by itself."""
    kept = np.arange(fitted.k) != i
    weights = None if fitted.weights is None else fitted.weights[kept]
    part = fit_random_effects(fitted.yi[kept], fitted.vi[kept], fitted.x[kept], fitted.estimator, weights)
    reference, spread = TESTS[test].reference(part, 0.95), heterogeneity(part.yi, part.vi, part.x)
    return {
        "beta": part.beta,
        "covariance": reference.covariance,
        "model_covariance": part.covariance,
        "df": np.broadcast_to(reference.df, part.beta.shape),
        "factor": reference.factor,
        "tau2": part.tau2.value,
        "q": spread.q,
        "typical_variance": spread.typical_variance,
    }


def assert_equal_to_subsets(fitted, test, rtol=1e-9, atol=0.0):
    found = without_each(fitted, test, 0.95)
    for i in range(fitted.k):
        for name, want in one_subset(fitted, test, i).items():
            np.testing.assert_allclose(getattr(found, name)[i], want, rtol=rtol, atol=atol, err_msg=f"{name} {i}")


@pytest.mark.parametrize("code", list(TAU2))
@pytest.mark.parametrize("test", list(TESTS))
@pytest.mark.parametrize("p", [1, 3])
def test_every_deletion_is_the_fit_to_its_subset(code, test, p):
    yi, vi, weights = data()
    for own in (weights,) if code in WEIGHTED else (None, weights):
        assert_equal_to_subsets(fit_random_effects(yi, vi, design(K, p), code, own), test)


def hard_problems(seed, count):
    """Variances over six orders of magnitude, and effects that either fit them or do not."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        k = int(rng.integers(3, 12))
        v = np.exp(rng.uniform(np.log(1e-4), np.log(1e2), k))
        yield rng.normal(0, np.sqrt(v) * rng.choice([0.5, 1, 3], size=k)), v


@pytest.mark.parametrize("code", ["REML", "ML"])
def test_shared_sums_find_the_same_global_maximum(code):
    several = 0
    for yi, vi in hard_problems(5, 120):
        found = mean_without_each(yi, vi, restricted=code == "REML").tau2
        for i in range(len(yi)):
            v = np.delete(vi, i)
            alone = TAU2[code](np.delete(yi, i), v, np.ones((len(v), 1)))
            several += int(alone.maxima > 1)
            assert abs(found[i] - alone.value) <= 1e-10 * (alone.value + v.min())
    assert several > 20  # some likelihoods have several maxima, or the test could not tell


def height(tau2, y, v, restricted):
    """Profile log-likelihood of a mean, written out."""
    total = v + np.asarray(tau2)[:, None]
    w = 1 / total
    mean = (w * y).sum(-1, keepdims=True) / w.sum(-1, keepdims=True)
    value = -0.5 * (np.log(total).sum(-1) + (w * (y - mean) ** 2).sum(-1))
    return value - 0.5 * np.log(w.sum(-1)) if restricted else value


@pytest.mark.parametrize("restricted", [True, False])
def test_no_grid_point_is_higher(restricted):
    for yi, vi in hard_problems(6, 60):
        found = mean_without_each(yi, vi, restricted=restricted).tau2
        for i in range(len(yi)):
            y, v = np.delete(yi, i), np.delete(vi, i)
            grid = np.concatenate([[0], np.geomspace(v.min() * 1e-3, 3 * (np.var(y) + v.max()), 800)])
            best = height(grid, y, v, restricted).max()
            assert height(found[[i]], y, v, restricted)[0] >= best - 1e-9 * max(1.0, abs(best))


@pytest.mark.parametrize("dominance", [1e-12, 1e-6, 1e6])
def test_a_study_far_more_precise_than_the_others_costs_no_digits(dominance):
    yi, vi, _ = data(7)
    vi[3] = dominance
    assert_equal_to_subsets(fit_random_effects(yi, vi, np.ones((7, 1)), "REML"), "knapp_hartung", atol=1e-12)


def test_scale_and_shift():
    yi, vi, _ = data(30)
    base = mean_without_each(yi, vi, restricted=True)
    scaled = mean_without_each(1e8 * yi + 3e8, 1e16 * vi, restricted=True)
    np.testing.assert_allclose(scaled.tau2, 1e16 * base.tau2, rtol=1e-12)
    np.testing.assert_allclose(scaled.beta, 1e8 * base.beta + 3e8, rtol=1e-12)
    np.testing.assert_allclose(scaled.variance, 1e16 * base.variance, rtol=1e-12)
    np.testing.assert_allclose([scaled.q, scaled.s2], [base.q, base.s2], rtol=1e-12)


def test_equal_effects_leave_exactly_nothing():
    yi, vi = np.array([0.3, 0.3, 0.3, 2.0]), np.array([0.1, 0.2, 0.3, 0.4])
    found = mean_without_each(yi, vi, restricted=True)
    assert (found.tau2[3], found.q[3], found.s2[3], found.beta[3]) == (0, 0, 0, 0.3)
    assert (found.q[:3] > 0).all()


def test_a_deletion_that_is_not_wanted_is_nan():
    yi, vi, _ = data(6)
    x = np.column_stack([np.ones(6), [0, 0, 0, 0, 0, 1]])
    found = without_each(fit_random_effects(yi, vi, x, "REML"), "z", 0.95, np.arange(6) < 5)
    assert all(np.isnan(getattr(found, name)[5]).all() for name in PARTS)
    assert all(np.isfinite(getattr(found, name)[:5]).all() for name in PARTS if name != "df")


@pytest.mark.parametrize(("code", "k", "most"), [("REML", 10_000, 100e6), ("DL", 2_500, 20e6)])
def test_memory_is_linear(code, k, most):
    rng = np.random.default_rng(0)
    vi = rng.uniform(0.01, 0.5, k)
    fitted = fit_random_effects(rng.normal(0, np.sqrt(vi + 0.1)), vi, np.ones((k, 1)), code)
    tracemalloc.start()
    without_each(fitted, "knapp_hartung", 0.95)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < most < 0.5 * 8 * k * k


@pytest.mark.parametrize("profile", [profile_reml, profile_ml])
def test_the_likelihood_takes_a_design_for_each_problem(profile):
    rng = np.random.default_rng(4)
    v = np.exp(rng.uniform(np.log(1e-4), np.log(1e2), (150, 6)))
    y = rng.normal(0, np.sqrt(v) * rng.choice([0.5, 1, 3], size=v.shape))
    x = np.stack([design(6, 2, seed) for seed in range(150)])
    found = maximise(profile, y, v, x)
    alone = [maximise(profile, y[i], v[i], x[i]).tau2 for i in range(150)]
    np.testing.assert_allclose(found.tau2, alone, rtol=1e-9)
    assert (found.maxima > 1).sum() > 5


def test_one_minus_the_leverage_keeps_its_digits():
    weights = np.array([1e10, 3.0, 5.0])
    found = weighted_fit(np.array([1.0, 2.0, 3.0]), weights, np.ones((3, 1))).complement()
    exact = [1 - Fraction(w) / Fraction(weights.sum()) for w in weights]
    assert found == pytest.approx([float(share) for share in exact], rel=1e-15, abs=0)
