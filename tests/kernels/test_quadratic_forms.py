"""The distribution of a generalised Q beside closed forms, series, integrals at 30 digits and simulation."""

import tracemalloc

import mpmath as mp
import numpy as np
import pytest
from scipy.stats import chi2

from metail2.kernels import quadratic_forms
from metail2.kernels.quadratic_forms import probability_below, solve_tau2
from metail2.kernels.wls import weighted_fit


def combination(q, factors):
    """P(Σ λ χ²₁ ≤ q): a design that fits the first study exactly leaves the others as they are."""
    variances = np.concatenate([[0.7], factors])
    first = np.zeros((len(variances), 1))
    first[0] = 1
    return probability_below(np.asarray(q, dtype=float), variances, first, np.ones(len(variances)))


def problem(seed, p, extra=6):
    rng = np.random.default_rng(seed)
    k = p + extra
    x = np.column_stack([np.ones(k), rng.normal(size=(k, p - 1))])
    vi = np.exp(rng.uniform(-4, 1, k))
    return rng.normal(0, np.sqrt(vi + 0.3)), vi, x


def factors_of(total, x, weights):
    """λ by dense matrices."""
    a = np.diag(weights)
    form = a - a @ x @ np.linalg.solve(x.T @ a @ x, x.T @ a)
    root = np.sqrt(total)
    return np.linalg.eigvalsh(root[:, None] * form * root)[x.shape[1] :]


def series(q, factors, terms=2500):
    """Ruben 1962: a mixture of χ² distributions with ever more degrees of freedom, all terms positive."""
    smallest, n = factors.min(), len(factors)
    powers = 1 - smallest / factors
    g = np.array([0.5 * (powers**j).sum() for j in range(terms)])
    a = np.zeros(terms)
    a[0] = np.sqrt(smallest / factors).prod()
    for j in range(1, terms):
        a[j] = (g[1 : j + 1] * a[j - 1 :: -1]).sum() / j
    return float((a * chi2.cdf(q / smallest, n + 2 * np.arange(terms))).sum())


@pytest.mark.parametrize("k", [2, 3, 6, 100, 10_000])
def test_equal_weights_give_chi_squared(k):
    q = chi2.ppf([1e-8, 0.5, 1 - 1e-9], k - 1)
    found = probability_below(3 * q, np.full(k, 0.3), np.ones((k, 1)), np.full(k, 10.0))
    np.testing.assert_allclose(found, chi2.cdf(q, k - 1), rtol=2e-13 if k < 1000 else 2e-12)


def test_small_probabilities_keep_their_digits():
    q = np.array([1e-30, 1e-10, 1e-4])
    np.testing.assert_allclose(combination(q, np.ones(9)), chi2.cdf(q, 9), rtol=1e-12)


def test_two_pairs_in_closed_form():
    q, a, b = np.array([0.1, 1, 4, 20]), 3.0, 0.2
    exact = 1 - (a * np.exp(-q / (2 * a)) - b * np.exp(-q / (2 * b))) / (a - b)
    np.testing.assert_allclose(combination(q, [a, a, b, b]), exact, rtol=1e-12)


@pytest.mark.parametrize("factors", [(1, 1.5), (1, 100), (1e8, 1)])
@pytest.mark.parametrize("share", [0.01, 1, 8])
def test_two_terms_by_an_integral_at_30_digits(factors, share):
    q = share * sum(factors)
    with mp.workdps(30):
        a, b = map(mp.mpf, factors)
        nodes = [0, mp.mpf(10) ** -6, mp.mpf(10) ** -3, mp.pi / 4, mp.pi / 2]  # of the angle from the smaller axis
        exact = mp.quad(lambda t: 1 - mp.exp(-q / (2 * (a * mp.sin(t) ** 2 + b * mp.cos(t) ** 2))), nodes)
        assert float(combination(q, factors)) == pytest.approx(float(exact * 2 / mp.pi), abs=1e-13)


@pytest.mark.parametrize("q", [5.0, 20.0, 1e8, 4e8])
def test_one_term_a_hundred_million_times_the_others(q):
    with mp.workdps(30):
        edge = mp.sqrt(mp.mpf(q) / 10**8)
        nodes = [0, edge / 100, edge / 2, edge * (1 - mp.mpf(10) ** -6), edge]

        def rest(z):
            return mp.gammainc(5, 0, (q - 10**8 * z * z) / 2, regularized=True) * mp.npdf(z)

        exact = 2 * mp.quad(rest, nodes)
    assert float(combination(q, [1e8, *np.ones(10)])) == pytest.approx(float(exact), rel=1e-11)


@pytest.mark.parametrize("p", [1, 2, 4])
@pytest.mark.parametrize("seed", range(2))
def test_ruben_s_series_with_moderators(seed, p):
    _, vi, x = problem(seed, p)
    for weights in (1 / vi, 1 / np.sqrt(vi), np.ones(len(vi))):
        factors = factors_of(vi + 0.2, x, weights)
        for share in (0.05, 0.6, 1, 2):
            q = share * factors.sum()
            found = probability_below(np.asarray(q), vi + 0.2, x, weights)
            assert float(found) == pytest.approx(series(q, factors), abs=2e-12)


def test_a_study_that_outweighs_all_others():
    _, vi, x = problem(4, 2)
    vi[0] = 1e-8
    factors = factors_of(vi + 0.2, x, 1 / np.sqrt(vi))
    q = np.array([0.3, 1, 3]) * factors.sum()
    want = [series(one, factors) for one in q]
    np.testing.assert_allclose(probability_below(q, vi + 0.2, x, 1 / np.sqrt(vi)), want, rtol=1e-10)


def test_simulated_q():
    rng = np.random.default_rng(6)
    _, vi, x = problem(1, 2)
    weights = rng.uniform(0.2, 3, len(vi))
    y = rng.normal(x @ np.array([0.4, -1.0]), np.sqrt(vi + 0.2), (200_000, len(vi)))
    drawn = weighted_fit(y, weights, x).q()
    for share in (0.1, 0.5, 0.9):
        point = np.quantile(drawn, share)
        assert abs(float(probability_below(point, vi + 0.2, x, weights)) - share) < 4 * np.sqrt(
            share * (1 - share) / 2e5
        )


def test_ends_of_the_distribution():
    found = combination([0, np.inf, 1e6], [1.0, 2.0])
    assert found.tolist() == [0, 1, 1]


def test_leading_axes_give_what_single_calls_give(monkeypatch):
    rng = np.random.default_rng(2)
    _, vi, x = problem(3, 2)
    total, weights, q = vi + rng.uniform(0, 1, (3, 1, 8)), 1 / vi, rng.uniform(0.5, 60, (4,))
    monkeypatch.setattr(quadratic_forms, "BLOCK", 1000)  # several blocks
    many = probability_below(q, total, x, weights)
    assert many.shape == (3, 4)
    for i, j in np.ndindex(3, 4):
        one = float(probability_below(q[j], total[i, 0], x, weights))
        assert float(many[i, j]) == pytest.approx(one, rel=1e-12)
    designs = np.stack([x, x[::-1]])
    both = probability_below(q[:2], vi, designs, np.stack([weights, np.ones(8)]))
    alone = [probability_below(q[0], vi, x, weights), probability_below(q[1], vi, x[::-1], np.ones(8))]
    np.testing.assert_allclose(both, alone, rtol=1e-12)


@pytest.mark.parametrize("p", [1, 3])
@pytest.mark.parametrize("block", [1, 100])
def test_blocks_of_nodes_do_not_change_the_numbers(monkeypatch, p, block):
    y, vi, x = problem(6, p, 14)
    weights, target = 1 / np.sqrt(vi), np.array([0.025, 0.5, 0.975])
    q = 3 * weighted_fit(y, weights, x).q()
    whole = probability_below(q, vi + 0.1, x, weights), solve_tau2(q, target, vi, x, weights)[0]
    monkeypatch.setattr(quadratic_forms, "BLOCK", block)
    np.testing.assert_allclose(probability_below(q, vi + 0.1, x, weights), whole[0], rtol=1e-13)
    np.testing.assert_allclose(solve_tau2(q, target, vi, x, weights)[0], whole[1], rtol=1e-13)


def test_memory_is_a_few_vectors():
    k = 2 * quadratic_forms.BLOCK
    tracemalloc.start()
    probability_below(np.asarray(float(k)), np.ones(k), np.ones((k, 1)), np.ones(k))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 * k * 8  # all nodes at once have 80 times as much in every array


# ------------------------------------------------------------------------------------- τ² at a probability
def test_two_studies_in_closed_form():
    y, vi, x = np.array([0, 1.0]), np.array([0.01, 0.02]), np.ones((2, 1))
    target = np.array([1e-6, 0.025, 0.5, 0.9])
    tau2, steps = solve_tau2(weighted_fit(y, 1 / vi, x).q(), target, vi, x, 1 / vi)
    np.testing.assert_allclose(tau2, (1 / chi2.ppf(target, 1) - 0.03) / 2, rtol=1e-10)
    assert 0 < steps < 15


@pytest.mark.parametrize("p", [1, 2, 4])
def test_the_probability_is_the_target(p):
    y, vi, x = problem(p, p)
    y = 4 * y
    for weights in (1 / vi, 1 / np.sqrt(vi)):
        q = weighted_fit(y, weights, x).q()
        target = np.array([1e-10, 0.025, 0.3, 0.5, 0.9])
        tau2, _ = solve_tau2(q, target, vi, x, weights)
        assert (tau2 > 0).all()
        np.testing.assert_allclose(probability_below(q, vi + tau2[:, None], x, weights), target, rtol=1e-11)


def test_zero_where_the_probability_at_zero_is_below_the_target():
    vi, x = np.full(4, 0.5), np.ones((4, 1))
    q = np.array([0, 1.0, chi2.ppf(0.5, 3)])
    tau2, _ = solve_tau2(q, np.array(0.5 + 1e-9), vi, x, 1 / vi)
    assert tau2.tolist() == [0, 0, 0]
    just, _ = solve_tau2(q[2:], np.array(0.5 - 1e-9), vi, x, 1 / vi)
    assert 0 < just[0] < 1e-8


@pytest.mark.parametrize("c", [1e-8, 3.7, 1e8])
def test_units_do_not_matter(c):
    y, vi, x = problem(2, 2)
    q, target = 9 * weighted_fit(y, 1 / vi, x).q(), np.array([0.025, 0.5, 0.975])
    tau2, _ = solve_tau2(q, target, vi, x, 1 / vi)
    scaled, _ = solve_tau2(q, target, c * c * vi, x, 1 / (c * c * vi))
    np.testing.assert_allclose(scaled, c * c * tau2, rtol=1e-12)
    other, _ = solve_tau2(c * q, target, vi, x, c / vi)
    np.testing.assert_allclose(other, tau2, rtol=1e-12)


def test_many_targets_and_many_data_sets():
    rng = np.random.default_rng(9)
    _, vi, x = problem(5, 1)
    y = rng.normal(0, np.sqrt(vi + 1), (6, len(vi)))
    q, target = weighted_fit(y, 1 / vi, x).q(), rng.uniform(size=40)
    tau2, _ = solve_tau2(q[:, None], target, vi, x, 1 / vi)
    assert tau2.shape == (6, 40)
    for i, j in ((0, 0), (2, 7), (5, 39)):
        assert float(tau2[i, j]) == pytest.approx(float(solve_tau2(q[i], target[j], vi, x, 1 / vi)[0]), rel=1e-10)
    order = np.argsort(target)
    assert (np.diff(tau2[:, order]) <= 0).all()
