"""Count tables without each of them, beside the same rule for each subset."""

import tracemalloc

import numpy as np
import pytest

from metail2.kernels import table_deletions
from metail2.kernels.table_deletions import q_without_each, tables_without_each
from metail2.kernels.tables import MANTEL_HAENSZEL, one_step

RNG = np.random.default_rng(11)
K = 13
COLUMNS = tuple(RNG.integers(0, 9, K).astype(float) + (j % 2) for j in range(4))


@pytest.mark.parametrize("block", [1, 30, 10_000])
@pytest.mark.parametrize("rule", [*(MANTEL_HAENSZEL[name] for name in MANTEL_HAENSZEL), one_step])
def test_each_deletion_is_the_pool_of_the_others(monkeypatch, rule, block):
    monkeypatch.setattr(table_deletions, "BLOCK", block)
    columns = COLUMNS[:2] if rule is one_step else COLUMNS
    estimate, variance = tables_without_each(rule, columns)
    assert estimate.shape == variance.shape == (K,)
    for i in range(K):
        alone = rule(*(np.delete(column, i) for column in columns))
        np.testing.assert_allclose([estimate[i], variance[i]], [alone.estimate, alone.variance], rtol=1e-13)


def test_memory_is_linear():
    k = 3_000
    columns = tuple(RNG.integers(1, 9, (4, k)).astype(float))
    tracemalloc.start()
    tables_without_each(MANTEL_HAENSZEL["OR"], columns)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6 < 0.5 * 8 * k * k


def test_only_the_last_events_make_a_ratio():
    a, b, c, d = np.array([[1.0, 2, 3], [9, 8, 7], [0, 4, 0], [9, 6, 9]])
    assert np.isnan(tables_without_each(MANTEL_HAENSZEL["OR"], (a, b, c, d))[0]).tolist() == [False, True, False]


def test_q_around_a_centre_for_each_deletion():
    y, v, centre = RNG.normal(size=K), RNG.uniform(0.1, 1, K), RNG.normal(size=K)
    v[4] = np.inf  # no part in it
    found = q_without_each(y, v, centre)
    for i in range(K):
        kept = np.arange(K) != i
        assert found[i] == pytest.approx(((y[kept] - centre[i]) ** 2 / v[kept]).sum(), rel=1e-13)
