"""The search for one problem, in numbers, and that for many, in arrays, read a scan alike."""

import numpy as np
import pytest

from metail2.kernels import likelihood, one_search
from metail2.kernels.likelihood import FLAT


@pytest.mark.parametrize("values", [(-2, -0.5, 0.5, 2), (-0.5, 0, 0.5), (-1.5, -1, -0.5, 0, 0.5, 1, 1.5)])
def test_turns_are_those_of_the_search_for_many(values):
    rng, found = np.random.default_rng(1), 0
    for _ in range(3000):
        excess = FLAT * rng.choice(values, size=int(rng.integers(2, 9)))
        those = np.flatnonzero(likelihood.turns(excess)).tolist()
        assert one_search.turns(excess.tolist()) == those
        found += len(those)
    assert found > 300
