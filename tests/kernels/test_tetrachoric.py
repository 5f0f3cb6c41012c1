"""The tetrachoric correlation against 25-digit integrals, closed forms, and derivatives taken numerically."""

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metail2.kernels.tetrachoric import FARTHEST, tetrachoric, threshold

TABLES = [
    (4, 119, 11, 128), (20, 10, 5, 40), (13536, 62, 12619, 248), (3, 100, 200, 5), (50, 1, 40, 2), (999, 1, 998, 2),
    (1000, 1, 1, 1000), (1, 100, 100, 10**6), (10**6, 100, 100, 1), (1, 2, 3, 10**7), (0.5, 20.5, 3.5, 17.5),
]  # fmt: skip


def fitted(*cells):
    return tetrachoric(*(np.atleast_1d(np.asarray(cell, dtype=float)) for cell in cells))


def single(*cells):
    result = fitted(*cells)
    return float(result.z[0]), float(result.z_variance[0])


def quantile(p):
    if p < mp.mpf("0.01"):
        return -mp.sqrt(2) * mp.erfinv(1 - 2 * p)
    return mp.sqrt(2) * mp.erfinv(2 * p - 1)


def orthant(h, k, z):
    """P(X < h, Y < k) by conditioning on X, split where the conditional probability turns."""
    rho = mp.tanh(z)
    turn, width = k / rho, 1 / abs(mp.sinh(z))
    cuts = [h - 20, h - 8, h - 4, h - 2, h - 1, *(turn + s * width for s in (-12, -6, -3, -1, 0, 1, 3, 6, 12))]
    inside = sorted(cut for cut in cuts if h - 30 < cut < h)
    return mp.quad(lambda x: mp.npdf(x) * mp.ncdf((k - rho * x) * mp.cosh(z)), [h - 30, *inside, h])


@pytest.mark.parametrize("table", TABLES, ids=str)
def test_solves_the_orthant_probability(table):
    found, _ = single(*table)
    with mp.workdps(25):
        a, b, c, d = map(mp.mpf, table)
        n, z = a + b + c + d, mp.mpf(found)
        h, k = quantile((a + b) / n), quantile((a + c) / n)
        rho = mp.tanh(z)
        density = mp.exp(-(h**2 - 2 * rho * h * k + k**2) / (2 * (1 - rho**2))) / (2 * mp.pi * mp.sqrt(1 - rho**2))
        error = (orthant(h, k, z) - a / n) / density
    assert abs(error) < 1e-14  # of ρ
    assert abs(error / (1 - rho**2)) < 1e-12  # of z


@pytest.mark.parametrize("table", TABLES, ids=str)
def test_the_variance_is_the_delta_method(table):
    cells = np.array(table, dtype=float)
    n = cells.sum()
    steps = 1e-4 * np.minimum(cells, n - cells)
    up, down = (fitted(*(cells[:, None] + side * np.diag(steps))).z for side in (1, -1))
    slope = (up - down) / (2 * steps)
    expected = (cells * slope**2).sum() - (cells * slope).sum() ** 2 / n
    # central differences of relative step 1e-4 are good to about 1e-8
    assert single(*table)[1] == pytest.approx(expected, rel=1e-6)


@given(st.integers(1, 10**6), st.integers(1, 10**6))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_median_splits_have_a_closed_form(same, other):
    # Sheppard: P(both below their medians) = ¼ + asin ρ/2π; the variance from the binomial share of concordant pairs
    # and, by symmetry, nothing from the thresholds
    z, variance = single(same, other, other, same)
    angle = np.pi / 2 * (same - other) / (same + other)
    assert z == pytest.approx(np.arctanh(np.sin(angle)), rel=1e-9, abs=1e-12)
    n = 2.0 * (same + other)
    share = same / (same + other)
    rho_variance = np.pi**2 * np.cos(angle) ** 2 * share * (1 - share) / n
    assert variance == pytest.approx(rho_variance / np.cos(angle) ** 4, rel=1e-8)


cells = st.one_of(st.integers(1, 50), st.integers(1, 10**6))


@given(cells, cells, cells, cells)
@settings(max_examples=100, deadline=None, derandomize=True)
def test_symmetries(a, b, c, d):
    z, variance = single(a, b, c, d)
    for sign, table in ((1, (a, c, b, d)), (1, (d, c, b, a)), (-1, (b, a, d, c)), (-1, (c, d, a, b))):
        turned = single(*table)
        assert turned == pytest.approx((sign * z, variance), rel=1e-9, abs=1e-15)
    assert single(4 * a, 4 * b, 4 * c, 4 * d) == pytest.approx((z, variance / 4), rel=1e-9, abs=1e-15)
    assert np.sign(z) == np.sign(a * d - b * c)


def test_no_association_is_exactly_zero():
    assert single(5, 5, 5, 5) == pytest.approx((0, np.pi**2 / 80), rel=1e-12)
    assert single(1, 10, 100, 1000)[0] == 0


def test_a_zero_cell_puts_the_estimate_on_the_boundary():
    result = fitted([0, 10, 0, 7], [20, 0, 6, 0], [3, 5, 4, 0], [17, 5, 0, 9])
    assert result.z.tolist() == [-np.inf, np.inf, -np.inf, np.inf]
    assert result.rho.tolist() == [-1, 1, -1, 1]
    assert np.isnan(result.z_variance).all()
    assert np.isnan(result.rho_variance).all()


def test_an_empty_margin_or_a_missing_cell_has_no_estimate():
    result = fitted([0, 0, np.nan, np.inf, 0], [15, 0, 4, 4, 0], [0, 5, 5, 5, 0], [15, 5, 6, 6, 0])
    assert np.isnan(result.z).all()
    assert np.isnan(result.z_variance).all()


def test_a_cell_beyond_all_counts_is_on_the_boundary():
    z, variance = single(10, 1e-30, 1e-30, 10)
    assert z == np.inf
    assert np.isnan(variance)
    assert FARTHEST > single(1e9, 1, 1, 1e9)[0] > 15


def test_shape_is_kept_and_rows_do_not_touch():
    rng = np.random.default_rng(1)
    table = rng.integers(0, 40, (4, 3, 50)).astype(float)
    together = tetrachoric(*table)
    assert together.z.shape == together.rho.shape == together.rho_variance.shape == (3, 50)
    alone = [single(*table[:, i, j]) for i in range(3) for j in range(50)]
    np.testing.assert_allclose(together.z.ravel(), [z for z, _ in alone], rtol=1e-13)
    np.testing.assert_allclose(together.z_variance.ravel(), [v for _, v in alone], rtol=1e-13)
    empty = tetrachoric(*np.empty((4, 0)))
    assert empty.z.shape == (0,)


def test_threshold_is_exact_in_both_tails():
    with mp.workdps(40):
        expected = float(quantile(mp.mpf(1) / (10**12 + 1)))
    yes, no = np.array([1.0, 1e12]), np.array([1e12, 1.0])
    np.testing.assert_allclose(threshold(yes, no), [expected, -expected], rtol=1e-13)
