"""Estimators of τ² beside oracles that share no code with them."""

import mpmath as mp
import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats
from scipy.optimize import minimize_scalar
from statsmodels.stats.meta_analysis import combine_effects

from metail2.kernels.heterogeneity import heterogeneity
from metail2.kernels.likelihood import log_likelihood, restricted_log_likelihood
from metail2.kernels.tau2 import TAU2, WEIGHTED
from metail2.kernels.wls import weighted_fit

SCORES = ("ML", "REML", "PM")


# ------------------------------------------------------------------------------------- 30 digits
def exact_root(code, yi, vi, start):
    """Solve the estimating equation with 30 digits by the sums of the textbook."""
    y, v = [mp.mpf(float(value)) for value in yi], [mp.mpf(float(value)) for value in vi]

    def equation(t):
        w = [1 / (variance + t) for variance in v]
        total = mp.fsum(w)
        mean = mp.fsum(a * b for a, b in zip(w, y, strict=True)) / total
        if code == "PM":
            return mp.fsum(a * (b - mean) ** 2 for a, b in zip(w, y, strict=True)) - (len(y) - 1)
        squares = mp.fsum(a**2 * (b - mean) ** 2 for a, b in zip(w, y, strict=True))
        trace = total - (mp.fsum(a**2 for a in w) / total if code == "REML" else 0)
        return squares - trace

    with mp.workdps(30):
        return float(mp.findroot(equation, (mp.mpf(start) * mp.mpf("0.999"), mp.mpf(start) * mp.mpf("1.001"))))


@pytest.mark.parametrize("code", SCORES)
@pytest.mark.parametrize("data", ["bcg", "gravity"])
def test_thirty_digits(code, data, request, ones):
    yi, vi = request.getfixturevalue(data)
    found = TAU2[code](yi, vi, ones(len(yi)))
    exact = exact_root(code, yi, vi, float(found.value))
    # ill-conditioned by the cancellation in 6.674… − mean: data given to 16 digits carry four fewer
    assert float(found.value) == pytest.approx(exact, rel=1e-12 if data == "bcg" else 1e-11)
    assert found.iterations > 0


def test_bcg_reml_is_not_where_the_usual_stopping_rule_ends(bcg, ones):
    assert float(TAU2["REML"](*bcg, ones(13)).value) == pytest.approx(0.3132432581, rel=1e-9)


def test_the_step_at_the_end_is_recorded(bcg, ones):
    for code in SCORES:
        found = TAU2[code](*bcg, ones(13))
        assert abs(float(found.gradient)) < 1e-9
        assert found.maxima == 1


@pytest.mark.parametrize("code", ["PM", "EB", "PMM"])
def test_the_estimating_equation_holds_to_the_last_digits(code, ones):
    rng = np.random.default_rng(12)
    vi = np.exp(rng.uniform(-4, 1, (500, 8)))
    yi = rng.normal(0, np.sqrt(vi + 0.5))
    # one by one: together, all would take the steps of the slowest
    tau2 = np.array([float(TAU2[code](yi[i], vi[i], ones(8)).value) for i in range(500)])
    target = stats.chi2.median(7) if code == "PMM" else 7
    w = 1 / (vi + tau2[:, None])
    mean = (w * yi).sum(1, keepdims=True) / w.sum(1, keepdims=True)
    q = (w * (yi - mean) ** 2).sum(1)
    assert (tau2 > 0).sum() > 300
    np.testing.assert_allclose(q[tau2 > 0], target, rtol=5e-14)
    assert (q[tau2 == 0] <= target).all()


def test_thirty_digits_of_the_median_unbiased_estimator():
    """Three studies leave two terms, P(λ₁χ²₁ + λ₂χ²₁ ≤ q) = 1 − mean over angles of exp(−q/2(λ₁sin² + λ₂cos²))."""
    yi, vi, weights = [0.1, 1.4, -0.3], [0.02, 0.3, 0.1], [1.0, 2.0, 4.0]
    found = TAU2["GENQM"](np.array(yi), np.array(vi), np.ones((3, 1)), np.array(weights))
    with mp.workdps(30):
        y, v, a = (mp.matrix(list(map(mp.mpf, values))) for values in (yi, vi, weights))
        form = mp.diag(list(a)) - a * a.T / mp.fsum(a)
        q = (y.T * form * y)[0]

        def excess(tau2):
            product = form * mp.diag([value + tau2 for value in v])
            trace = product[0, 0] + product[1, 1] + product[2, 2]
            both = product * product
            minors = (trace**2 - (both[0, 0] + both[1, 1] + both[2, 2])) / 2  # λ₁λ₂; the third λ is 0
            root = mp.sqrt(trace**2 - 4 * minors)
            one, two = (trace + root) / 2, (trace - root) / 2
            tail = mp.quad(lambda t: mp.exp(-q / (2 * (one * mp.sin(t) ** 2 + two * mp.cos(t) ** 2))), [0, mp.pi / 2])
            return 1 - 2 * tail / mp.pi - mp.mpf("0.5")

        exact = mp.findroot(excess, (mp.mpf("0.5"), mp.mpf("0.6")))
    assert float(found.value) == pytest.approx(float(exact), rel=1e-12)


# ------------------------------------------------------------------------------------- explicit multivariate normal
def dense_log_likelihood(tau2, yi, vi, x, restricted):
    """Log density of y, or of its error contrasts (Harville 1974), with k × k matrices."""
    k, p = x.shape
    v = np.diag(vi + tau2)
    inverse = np.linalg.inv(v)
    information = x.T @ inverse @ x
    residual = yi - x @ np.linalg.solve(information, x.T @ inverse @ yi)
    value = -0.5 * (np.linalg.slogdet(v)[1] + residual @ inverse @ residual)
    if not restricted:
        return value - 0.5 * k * np.log(2 * np.pi)
    correction = np.linalg.slogdet(x.T @ x)[1] - np.linalg.slogdet(information)[1]
    return value - 0.5 * (k - p) * np.log(2 * np.pi) + 0.5 * correction


def brute_force(yi, vi, x, restricted):
    grid = np.concatenate([[0.0], np.geomspace(vi.min() * 1e-3, 10 * (np.var(yi) + vi.max()), 400)])
    heights = [dense_log_likelihood(t, yi, vi, x, restricted) for t in grid]
    best = int(np.argmax(heights))
    if best == 0:
        return 0.0, heights[0]
    bounds = (grid[best - 1], grid[min(best + 1, len(grid) - 1)])
    found = minimize_scalar(
        lambda t: -dense_log_likelihood(t, yi, vi, x, restricted),
        bounds=bounds,
        options={"xatol": 1e-12},
        method="bounded",
    )
    return found.x, -found.fun


def random_problem(seed):
    rng = np.random.default_rng(seed)
    k = int(rng.integers(4, 15))
    x = np.column_stack([np.ones(k), *(rng.normal(size=k) for _ in range(seed % 3))])
    vi = np.exp(rng.uniform(-4, 1, k))
    return rng.normal(0.3, np.sqrt(vi + rng.choice([0, 0.02, 0.5]))), vi, x


@pytest.mark.parametrize("seed", range(24))
@pytest.mark.parametrize("code", ["ML", "REML"])
def test_maximum_of_the_dense_likelihood(code, seed):
    yi, vi, x = random_problem(seed)
    restricted = code == "REML"
    want, height = brute_force(yi, vi, x, restricted)
    found = float(TAU2[code](yi, vi, x).value)
    # a maximum is flat: the search of the oracle knows τ² to about half of its digits only
    assert found == pytest.approx(want, rel=2e-6, abs=1e-6 * vi.min())
    fit = weighted_fit(yi, 1 / (vi + found), x)
    ours = float((restricted_log_likelihood if restricted else log_likelihood)(fit, x))
    assert ours == pytest.approx(dense_log_likelihood(found, yi, vi, x, restricted), rel=1e-11)
    assert ours >= height - 1e-10 * abs(height)


@pytest.mark.parametrize("code", ["ML", "REML"])
def test_standard_error_is_the_expected_information(code, bcg, latitude):
    yi, vi = bcg
    found = TAU2[code](yi, vi, latitude)
    w = np.diag(1 / (vi + found.value))
    p = w - w @ latitude @ np.linalg.solve(latitude.T @ w @ latitude, latitude.T @ w)
    matrix = p if code == "REML" else w
    assert float(found.se) == pytest.approx(np.sqrt(2 / np.trace(matrix @ matrix)), rel=1e-11)


# ------------------------------------------------------------------------------------- moment estimators
@pytest.mark.parametrize("seed", range(12))
def test_moment_estimators_by_dense_matrices(seed):
    """E(y′Ay) = tr(AV) for A = MWM: each moment estimator solves its own such equation (DerSimonian & Kacker 2007)."""
    yi, vi, x = random_problem(seed)
    k, p = x.shape
    for code, weights in (("DL", 1 / vi), ("HE", np.ones(k))):
        w = np.diag(weights)
        a = w - w @ x @ np.linalg.solve(x.T @ w @ x, x.T @ w)
        raw = (yi @ a @ yi - np.trace(a @ np.diag(vi))) / np.trace(a)
        found = TAU2[code](yi, vi, x)
        assert float(found.value) == pytest.approx(max(0.0, raw), rel=1e-10, abs=1e-13)
        total = np.diag(vi + float(found.value))
        se = np.sqrt(2 * np.trace(a @ total @ a @ total)) / np.trace(a)
        assert float(found.se) == pytest.approx(se, rel=1e-10)
    w = np.diag(1 / vi)
    a = w - w @ x @ np.linalg.solve(x.T @ w @ x, x.T @ w)
    for code, factor in (("HS", 1.0), ("HSk", k / (k - p))):
        raw = (factor * (yi @ a @ yi) - k) / np.sum(1 / vi)
        assert float(TAU2[code](yi, vi, x).value) == pytest.approx(max(0.0, raw), rel=1e-10, abs=1e-13)


@pytest.mark.parametrize("seed", range(12))
def test_sidik_jonkman_by_its_article(seed):
    yi, vi, x = random_problem(seed)
    k, p = x.shape
    crude = np.mean((yi - yi.mean()) ** 2)
    r = np.diag(1 / (vi / crude + 1))
    residual = yi - x @ np.linalg.solve(x.T @ r @ x, x.T @ r @ yi)
    assert float(TAU2["SJ"](yi, vi, x).value) == pytest.approx(residual @ r @ residual / (k - p), rel=1e-10)


# ------------------------------------------------------------------------------------- statsmodels
@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("code", "method"), [("DL", "dl"), ("PM", "iterated")])
def test_statsmodels(seed, code, method, ones):
    # heterogeneous sets only: statsmodels does not cut DerSimonian–Laird at 0
    rng = np.random.default_rng(seed)
    vi = rng.uniform(0.02, 0.4, 12)
    yi = rng.normal(0.3, np.sqrt(vi + 0.5))
    # no tighter: where rounding carries its equation below 0 at the root, statsmodels answers τ² = 0
    options = {"atol": 1e-8} if code == "PM" else {}
    other = combine_effects(yi, vi, method_re=method, **options)
    tau2 = TAU2[code](yi, vi, ones(12))
    assert float(tau2.value) == pytest.approx(float(np.ravel(other.tau2)[0]), rel=2e-9)
    fit = weighted_fit(yi, 1 / (vi + tau2.value), ones(12))
    assert float(fit.beta[0]) == pytest.approx(float(other.mean_effect_re), rel=2e-9)
    assert float(fit.covariance[0, 0]) == pytest.approx(float(other.sd_eff_w_re) ** 2, rel=2e-9)
    hartung_knapp = float(fit.q()) / 11 * float(fit.covariance[0, 0])
    assert hartung_knapp == pytest.approx(float(other.sd_eff_w_re_hksj) ** 2, rel=2e-9)
    assert float(heterogeneity(yi, vi, ones(12)).q) == pytest.approx(float(other.q), rel=1e-10)


@pytest.mark.parametrize("seed", range(6))
def test_common_effect_regression_by_statsmodels(seed):
    yi, vi, x = random_problem(3 * seed + 2)
    other = sm.WLS(yi, x, weights=1 / vi).fit()
    fit = weighted_fit(yi, 1 / vi, x)
    np.testing.assert_allclose(fit.beta, other.params, rtol=1e-10)
    np.testing.assert_allclose(fit.covariance, other.normalized_cov_params, rtol=1e-10)
    # Knapp and Hartung's factor is the residual mean square of weighted least squares
    assert float(fit.q()) / (len(yi) - x.shape[1]) == pytest.approx(other.mse_resid, rel=1e-10)


def test_leading_axes_give_what_single_fits_give():
    rng = np.random.default_rng(8)
    v = np.exp(rng.uniform(-3, 1, (4, 5, 7)))
    y = rng.normal(0, np.sqrt(v + rng.choice([0, 0.3], size=(4, 5, 1))))
    x = np.column_stack([np.ones(7), rng.normal(size=7)])
    for code in set(TAU2) - set(WEIGHTED):
        for design in (np.ones((7, 1)), x):
            many = TAU2[code](y, v, design)
            assert many.value.shape == many.se.shape == many.maxima.shape == (4, 5)
            for i in np.ndindex(4, 5):
                one = TAU2[code](y[i], v[i], design)
                assert float(many.value[i]) == pytest.approx(float(one.value), rel=1e-10, abs=1e-14)
                np.testing.assert_allclose(many.se[i], one.se, rtol=1e-9)


def test_variances_may_be_shared_by_many_outcomes(bcg, ones):
    y, v = bcg
    many = np.stack([y, y + 1, 2 * y])
    for code in set(TAU2) - set(WEIGHTED):
        found = TAU2[code](many, v, ones(13)).value
        assert found.shape == (3,)
        assert float(found[1]) == pytest.approx(float(found[0]), rel=1e-12)
