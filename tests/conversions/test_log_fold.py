"""Fold changes with quartiles or a range, on the log scale."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metail2.conversions import log_fold
from metail2.errors import EffectSizeError


def test_louapre_2023_day_15():
    result = log_fold(median=[1.26, 1.01], q1=[1.21, 0.95], q3=[1.33, 1.05], n=15)
    # the notes have 0.003 for the second, the log of the mean on the raw scale; on logs it is 0.0018
    assert result.mean.round(4).tolist() == [0.2360, 0.0018]
    assert result.mean == pytest.approx([0.236, 0.003], abs=0.0013)
    assert result.sd.round(3).tolist() == [0.077, 0.082]
    assert result.sd_method.tolist() == ["wan2014_sd_quartiles"] * 2


@given(st.lists(st.floats(1e-3, 1e3), min_size=3, max_size=3).map(sorted), st.integers(2, 200))
def test_inverse_fold_changes_sign(values, n):
    low, middle, high = values
    mean, sd = log_fold(minimum=low, median=middle, maximum=high, n=n)
    inverse_mean, inverse_sd = log_fold(minimum=1 / high, median=1 / middle, maximum=1 / low, n=n)
    np.testing.assert_allclose([inverse_mean, inverse_sd], [-mean, sd], rtol=1e-11, atol=1e-13)


def test_fold_of_zero_is_refused():
    with pytest.raises(EffectSizeError, match=r"^The lower quartile fold 0 is not above zero \(index 1\)\.$"):
        log_fold(median=[1.2, 1.1], q1=[1.1, 0], q3=[1.3, 1.2], n=15)
