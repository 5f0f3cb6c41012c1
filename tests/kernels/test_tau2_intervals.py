"""Intervals for τ² beside closed forms, dense grids, root finding in other words, and simulated coverage."""

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import chi2, gamma, norm

from metail2.kernels.fitted import fit_random_effects
from metail2.kernels.likelihood import log_likelihood, profile_ml, profile_reml, restricted_log_likelihood
from metail2.kernels.likelihood_sets import likelihood_set
from metail2.kernels.quadratic_forms import probability_below
from metail2.kernels.tau2 import TAU2
from metail2.kernels.tau2_intervals import TAU2_INTERVALS
from metail2.kernels.wls import weighted_fit

EXACT_Q = ("generalised_q", "biggerstaff_jackson", "jackson")
OF_THE_DATA = (*EXACT_Q, "q_profile", "biggerstaff_tweedie", "profile_likelihood", "sidik_jonkman")
TWO_PEAKS = (np.array([-0.07, -0.47, 0.05, 2.2]), np.array([0.0013, 0.16, 0.00055, 0.61]))


def data(seed=1, k=7, p=1, spread=0.5):
    rng = np.random.default_rng(seed)
    x = np.column_stack([np.ones(k), rng.normal(size=(k, p - 1))])
    vi = np.exp(rng.uniform(-4, 0, k))
    return rng.normal(0.3, np.sqrt(vi + spread)), vi, x


def limits(method, yi, vi, x, estimator="REML", level=0.95, weights=None):
    found = TAU2_INTERVALS[method](fit_random_effects(yi, vi, x, estimator, weights), level)
    return np.array([found.lower, found.upper]), found.note


# ------------------------------------------------------------------------------------- distribution of Q
@pytest.mark.parametrize("method", [*EXACT_Q, "q_profile"])
@pytest.mark.parametrize("k", [2, 9])
def test_equal_variances_give_the_interval_of_a_variance(method, k):
    yi = np.random.default_rng(k).normal(0, 3, k)
    squares, v = ((yi - yi.mean()) ** 2).sum(), 0.4
    exact = squares / chi2.isf([0.025, 0.975], k - 1) - v
    found, note = limits(method, yi, np.full(k, v), np.ones((k, 1)))
    np.testing.assert_allclose(found, np.maximum(exact, 0), rtol=1e-10)
    assert note == ""


@pytest.mark.parametrize("p", [1, 3])
def test_tail_probabilities_at_the_limits(p):
    yi, vi, x = data(2, 9, p, 2.0)
    own = np.linspace(1, 3, 9)
    cases = [
        ("biggerstaff_jackson", "REML", None, 1 / vi),
        ("generalised_q", "DL", None, 1 / vi),
        ("generalised_q", "HE", None, np.ones(9)),
        ("generalised_q", "GENQ", own, own),
        ("jackson", "REML", own, 1 / np.sqrt(vi)),
    ]
    for method, estimator, given, weights in cases:
        found, _ = limits(method, yi, vi, x, estimator, 0.9, given)
        q = weighted_fit(yi, weights, x).q()
        tails = [float(probability_below(q, vi + limit, x, weights)) for limit in found]
        assert tails == pytest.approx([0.95, 0.05], rel=1e-10)


def test_gamma_approximation():
    yi, vi, x = data(3)
    w = 1 / vi
    form = np.diag(w) - np.outer(w, w) / w.sum()
    q = yi @ form @ yi

    def below(tau2):
        mean, both = np.trace(form @ np.diag(vi + tau2)), form @ np.diag(vi + tau2)
        variance = 2 * np.trace(both @ both)
        return gamma.cdf(q, mean**2 / variance, scale=variance / mean)

    exact = [brentq(lambda t, level=level: below(t) - level, 0, 1e3, xtol=1e-15) for level in (0.975, 0.025)]
    np.testing.assert_allclose(limits("biggerstaff_tweedie", yi, vi, x)[0], exact, rtol=1e-10)


@pytest.mark.parametrize("method", ["q_profile", *EXACT_Q])
def test_simulated_coverage(method):
    rng, vi, x, tau2 = np.random.default_rng(4), np.array([0.02, 0.1, 0.3, 0.05, 0.5]), np.ones((5, 1)), 0.1
    yi = rng.normal(0, np.sqrt(vi + tau2), (1500, 5))
    (lower, upper), _ = limits(method, yi, np.broadcast_to(vi, yi.shape), x, "DL", 0.9)
    error = np.sqrt(0.05 * 0.95 / 1500)
    assert abs((lower > tau2).mean() - 0.05) < 3.5 * error
    assert abs((upper < tau2).mean() - 0.05) < 3.5 * error


@pytest.mark.parametrize("method", [*EXACT_Q, "q_profile", "biggerstaff_tweedie", "sidik_jonkman"])
def test_equal_effects_leave_an_empty_set_that_says_so(method):
    found, note = limits(method, np.full(6, 0.3), np.full(6, 0.2), np.ones((6, 1)))
    assert found.tolist() == [0, 0]
    assert note == "The studies agree so closely that no τ² is compatible with them; 0 is shown."


# ------------------------------------------------------------------------------------- likelihood
def on_a_grid(yi, vi, x, restricted, level=0.95):
    """Outermost τ² within the critical height on a grid of relative step 1e-3."""
    grid = np.concatenate([[0], np.geomspace(vi.min() * 1e-4, 1e5 * (vi.max() + np.var(yi)), 30_000)])
    rule = restricted_log_likelihood if restricted else log_likelihood
    heights = rule(weighted_fit(yi, 1 / (vi + grid[:, None]), x), x)
    return grid[heights >= heights.max() - 0.5 * chi2.ppf(level, 1)][[0, -1]]


@pytest.mark.parametrize("seed", range(20))
def test_profile_likelihood_on_a_grid(seed):
    rng = np.random.default_rng(seed)
    k = int(rng.integers(3, 9))
    x = np.column_stack([np.ones(k), rng.normal(size=k)])[:, : 1 + seed % 2]
    vi = 10 ** rng.uniform(-4, 0, k)
    yi = rng.normal(0, np.sqrt(vi) * rng.choice([0.5, 1, 3], k))
    for code in ("ML", "REML"):
        found, _ = limits("profile_likelihood", yi, vi, x, code)
        want = on_a_grid(yi, vi, x, code == "REML")
        np.testing.assert_allclose(found, want, rtol=2e-3, atol=vi.min() * 2e-4)


@pytest.mark.parametrize("k", [2, 12])
def test_profile_likelihood_with_equal_variances(k):
    yi, v = np.random.default_rng(k).normal(0, 2, k), 0.4
    squares, free = ((yi - yi.mean()) ** 2).sum(), k - 1

    def ratio(total):  # of the restricted likelihood
        best = squares / free
        return free * np.log(total / best) + squares / total - free - chi2.ppf(0.95, 1)

    low = brentq(ratio, 1e-3 * squares / free, squares / free, xtol=1e-15)
    exact = np.array([low, brentq(ratio, squares / free, 1e6 * squares, xtol=1e-12)]) - v
    found, note = limits("profile_likelihood", yi, np.full(k, v), np.ones((k, 1)), "DL")
    np.testing.assert_allclose(found, np.maximum(exact, 0), rtol=1e-10)
    assert note == ""


def test_likelihood_of_many_studies():
    """The peak is narrower than the knots of the scan are apart; far from 0 the likelihood is nearly normal."""
    yi, vi, x = data(5, 10_000)
    found, _ = limits("profile_likelihood", yi, vi, x)
    fitted = fit_random_effects(yi, vi, x, "REML")
    half = norm.ppf(0.975) * float(fitted.tau2.se)
    np.testing.assert_allclose((found - fitted.tau2.value) / half, [-1, 1], atol=0.03)


def test_a_set_of_two_pieces():
    yi, vi = TWO_PEAKS
    found = likelihood_set(profile_reml, yi, vi, np.ones((4, 1)), 0.68)
    assert found.maxima == pytest.approx([0.0068217253, 0.4748186997], rel=1e-7)
    assert len(found.pieces) == 2
    (lower, upper), note = limits("profile_likelihood", yi, vi, np.ones((4, 1)), level=0.68)
    assert [lower, upper] == [found.pieces[0, 0], found.pieces[1, 1]]
    heights = restricted_log_likelihood(
        weighted_fit(yi, 1 / (vi + found.pieces.reshape(-1, 1)), np.ones((4, 1))), np.ones((4, 1))
    )
    np.testing.assert_allclose(found.heights.max() - heights, 0.5 * chi2.ppf(0.68, 1), rtol=1e-9)
    first, second = found.pieces
    assert note == (
        f"The likelihood has separate peaks, so its confidence set is {first[0]:.3f} to {first[1]:.3f} and "
        f"{second[0]:.3f} to {second[1]:.3f}: the ends are given."
    )
    assert len(likelihood_set(profile_ml, yi, vi, np.ones((4, 1)), 0.95).pieces) == 1


# ------------------------------------------------------------------------------------- closed forms
def test_wald():
    yi, vi, x = data(6)
    tau2 = TAU2["REML"](yi, vi, x)
    value, se = float(tau2.value), float(tau2.se)
    found, note = limits("wald", yi, vi, x)
    assert found == pytest.approx([max(0, value - 1.959963984540054 * se), value + 1.959963984540054 * se], rel=1e-12)
    assert note == "The lower limit falls below 0 and is shown as 0."
    assert limits("wald", yi, vi, x, level=0.5)[1] == ""
    found, note = limits("wald_log", yi, vi, x)
    assert np.log(found / value) == pytest.approx(np.array([-1, 1]) * 1.959963984540054 * se / value, rel=1e-12)
    assert note == ""


def test_no_logarithm_of_zero():
    found, note = limits("wald_log", np.array([0.1, 0.11, 0.1]), np.full(3, 0.2), np.ones((3, 1)))
    assert np.isnan(found).all()
    assert note == (
        "τ² is estimated as 0, which has no logarithm, so there is no Wald interval on that scale; use q_profile."
    )


def test_sidik_jonkman():
    yi, vi, x = data(7)
    total = 6 * float(TAU2["SJ"](yi, vi, x).value)
    assert limits("sidik_jonkman", yi, vi, x)[0] == pytest.approx(total / chi2.isf([0.025, 0.975], 6), rel=1e-12)


def test_a_common_effect_has_intervals_of_the_data_only():
    yi, vi, x = data(8)
    for method in OF_THE_DATA:
        np.testing.assert_array_equal(limits(method, yi, vi, x, "CE")[0], limits(method, yi, vi, x, "DL")[0])
    for method in ("wald", "wald_log"):
        found, note = limits(method, yi, vi, x, "CE")
        assert np.isnan(found).all()
        assert note == (
            "A common-effect model sets τ² to 0 without estimating it, so there is no Wald interval; use q_profile."
        )


# ------------------------------------------------------------------------------------- contract
@pytest.mark.parametrize("method", list(TAU2_INTERVALS))
def test_scale_shift_and_order(method):
    yi, vi, x = data(9, 6, 2)
    found, _ = limits(method, yi, vi, x)
    for c in (1e-8, 3.7, 1e8):
        np.testing.assert_allclose(limits(method, c * yi, c * c * vi, x)[0], c * c * found, rtol=1e-12)
    np.testing.assert_allclose(limits(method, yi + 2.5, vi, x)[0], found, rtol=1e-11)
    np.testing.assert_allclose(limits(method, yi[::-1], vi[::-1], x[::-1])[0], found, rtol=1e-12)


@pytest.mark.parametrize("method", list(TAU2_INTERVALS))
def test_leading_axes_give_what_single_fits_give(method):
    rng = np.random.default_rng(10)
    vi = np.exp(rng.uniform(-3, 0, (2, 3, 5)))
    yi = rng.normal(0, np.sqrt(vi + 0.5))
    many, _ = limits(method, yi, vi, np.ones((5, 1)))
    assert many.shape == (2, 2, 3)
    for i in np.ndindex(2, 3):
        np.testing.assert_allclose(many[(..., *i)], limits(method, yi[i], vi[i], np.ones((5, 1)))[0], rtol=1e-9)


@pytest.mark.parametrize("method", list(TAU2_INTERVALS))
def test_limits_are_ordered_and_nothing_caps_them(method):
    yi, vi = np.array([-40.0, 55.0]), np.array([0.01, 0.02])
    (lower, upper), _ = limits(method, yi, vi, np.ones((2, 1)))
    assert 0 <= lower < upper < np.inf
    assert upper > 10_000
    hard = (np.array([0.2, 0.9, -0.4, 0.3]), np.array([1e-8, 0.3, 0.1, 0.2]))  # one study outweighs all others
    (lower, upper), _ = limits(method, *hard, np.ones((4, 1)), "DL")
    assert 0 <= lower < upper < np.inf
