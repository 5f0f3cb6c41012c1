"""Pooled means of all subsets beside exact fractions and ordinary fits."""

from fractions import Fraction

import numpy as np
import pytest

from metail2.kernels.fitted import fit_random_effects
from metail2.kernels.heterogeneity import heterogeneity
from metail2.kernels.subsets import every_subset


def members(s, k):
    return (s >> np.arange(k) & 1).astype(bool)


@pytest.mark.parametrize("k", [1, 2, 5, 8, 13])  # 13 studies need a high part
@pytest.mark.parametrize("common", [True, False])
def test_every_subset_is_an_ordinary_fit(k, common):
    rng = np.random.default_rng(k)
    yi, vi = rng.normal(size=k), rng.uniform(0.01, 0.3, k)
    found = every_subset(yi, vi, common=common)
    assert len(found.k) == 2**k
    for s in range(1, 2**k) if k < 13 else rng.integers(1, 2**k, 200):
        kept = members(s, k)
        assert found.k[s] == kept.sum()
        if kept.sum() == 1:
            assert found.estimate[s] == pytest.approx(yi[kept][0], rel=1e-14)
            assert np.isnan([found.tau2[s], found.i2[s], found.q[s], found.i2_q[s]]).all()
            continue
        x = np.ones((int(kept.sum()), 1))
        fitted = fit_random_effects(yi[kept], vi[kept], x, "CE" if common else "DL")
        spread = heterogeneity(yi[kept], vi[kept], x)
        tau2 = float(fitted.tau2.value)
        assert found.estimate[s] == pytest.approx(fitted.beta[0], rel=1e-11, abs=1e-14)
        assert found.tau2[s] == pytest.approx(tau2, rel=1e-10, abs=1e-14)
        assert found.q[s] == pytest.approx(spread.q, rel=1e-11)
        assert found.i2_q[s] == pytest.approx(100 * max(0, 1 - spread.df / spread.q), abs=1e-9)
        if not common:
            assert found.i2[s] == pytest.approx(100 * tau2 / (tau2 + spread.typical_variance), abs=1e-9)


def exact(yi, vi):
    """Mean, Q and τ² by DerSimonian–Laird in rational arithmetic."""
    w = [1 / v for v in vi]
    mean = sum(a * y for a, y in zip(w, yi, strict=True)) / sum(w)
    q = sum(a * (y - mean) ** 2 for a, y in zip(w, yi, strict=True))
    tau2 = max(Fraction(0), (q - len(yi) + 1) / (sum(w) - sum(a * a for a in w) / sum(w)))
    again = [1 / (v + tau2) for v in vi]
    return sum(a * y for a, y in zip(again, yi, strict=True)) / sum(again), q, tau2


def test_no_digits_are_lost_where_one_study_is_far_away_or_far_more_precise():
    yi, vi = np.array([1e6, 0.25, 0.3125, -0.5, 0.75]), np.array([0.5, 2.0**-40, 0.25, 0.125, 0.5])
    found = every_subset(yi, vi, common=False)
    for s in range(1, 32):
        kept = members(s, 5)
        if kept.sum() < 2:
            continue
        mean, q, tau2 = exact([Fraction(y) for y in yi[kept]], [Fraction(v) for v in vi[kept]])
        assert found.q[s] == pytest.approx(float(q), rel=1e-10)
        assert found.tau2[s] == pytest.approx(float(tau2), rel=1e-10)
        assert found.estimate[s] == pytest.approx(float(mean), rel=1e-10)


def test_equal_effects():
    found = every_subset(np.full(4, 1 / 3), np.array([0.1, 0.2, 0.3, 0.4]), common=False)
    assert (found.estimate[1:] == 1 / 3).all()
    several = found.k > 1
    assert (found.q[several] == 0).all()
    assert (found.tau2[several] == 0).all()
    assert (found.i2_q[several] == 0).all()
