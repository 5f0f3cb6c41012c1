"""Permutation P values of teacher expectancy (Raudenbush & Bryk 1985), beside the same counted by plain sums."""

import numpy as np
import pytest

import metail2 as m2
from metail2.analysis.permutation import permutation_test


def sums(x, yi, w):
    """Normal equations of weighted regressions: x (..., k, p), yi (..., k)."""
    xw = x * w[..., None]
    return np.swapaxes(xw, -1, -2) @ x, (np.swapaxes(xw, -1, -2) @ yi[..., None])[..., 0]


def last_z(x, yi, vi):
    """The last z of DerSimonian–Laird meta-regressions, by dense sums."""
    w = 1 / vi
    information, score = sums(x, yi, w)
    inverse = np.linalg.inv(information)
    beta = (inverse @ score[..., None])[..., 0]
    q = (w * yi**2).sum(-1) - (beta * score).sum(-1)
    squares, _ = sums(x, yi, w**2)
    trace = w.sum(-1) - np.trace(inverse @ squares, axis1=-2, axis2=-1)
    tau2 = np.maximum(0, (q - (x.shape[-2] - x.shape[-1])) / trace)
    information, score = sums(x, yi, 1 / (vi + tau2[..., None]))
    inverse = np.linalg.inv(information)
    return (inverse @ score[..., None])[..., -1, 0] / np.sqrt(inverse[..., -1, -1])


def test_raudenbush_bryk_1985_mean_by_all_signs(teachers):
    """All 524,288 signs, exactly: P = 0.0953, where the normal reference gives 0.1094."""
    found = permutation_test(m2.pool(teachers, tau2="DL", test="z"), permutations=2**19).iloc[0]
    reached = 0
    x, low = np.ones((19, 1)), np.arange(2**14)[:, None] >> np.arange(14) & 1
    observed = abs(last_z(x, teachers.yi, teachers.vi))
    for high in range(2**5):
        bits = np.hstack([low, np.broadcast_to(high >> np.arange(5) & 1, (2**14, 5))])
        reached += (abs(last_z(x, (1 - 2 * bits) * teachers.yi, teachers.vi)) >= observed * (1 - 1e-8)).sum()
    assert found["exact"]
    assert found["p_value"] == reached / 2**19
    assert round(found["p_value"], 4) == 0.0953


@pytest.mark.parametrize(("moderator", "p_value"), [("capped", 1.1e-5), ("weeks", 0.0091)])
def test_raudenbush_bryk_1985_weeks_by_order(teachers, moderator, p_value):
    """Weeks of prior contact, in random orders; P is of a million orders by plain sums, here repeated with fewer."""
    found = permutation_test(
        m2.pool(teachers, tau2="DL", test="z", moderators=moderator), permutations=20_000, seed=1985
    ).iloc[0]
    rng = np.random.default_rng(19)
    weeks = teachers.moderators[moderator].to_numpy(dtype=float)
    x = np.stack([np.ones((20_000, 19)), rng.permuted(np.tile(weeks, (20_000, 1)), axis=1)], axis=-1)
    observed = last_z(np.column_stack([np.ones(19), weeks]), teachers.yi, teachers.vi)
    share = (abs(last_z(x, teachers.yi, teachers.vi)) >= abs(observed)).mean()
    error = np.sqrt(p_value / 20_000) + 1 / 20_001  # the observed order counts as one of those drawn
    assert [found["p_value"], share] == pytest.approx([p_value, p_value], rel=0, abs=4 * error)
