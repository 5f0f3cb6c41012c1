"""A shared arm split into parts: what stays, what divides, and what the pooled comparisons then say."""

import numpy as np
import pytest

from metail2.conversions import combine_events, combine_means, split_events, split_means
from metail2.errors import EffectSizeError


def test_each_part_keeps_mean_sd_and_risk():
    mean, sd, n = split_means([0.4, 1.0], [0.9, 1.1], [6, 7], 2)
    assert mean.tolist() == [[0.4, 0.4], [1.0, 1.0]]
    assert sd.tolist() == [[0.9, 0.9], [1.1, 1.1]]
    assert n.tolist() == [[3, 3], [3.5, 3.5]]
    events, n = split_events(1, 6, 3)
    assert events.tolist() == pytest.approx([1 / 3] * 3)
    assert n.tolist() == [2, 2, 2]


@pytest.mark.parametrize("parts", [1, 2, 3, 5])
def test_the_parts_add_up_to_the_arm(parts):
    whole = combine_means(*split_means(2.8, 1.2, 17, parts))
    assert float(whole.n) == pytest.approx(17)
    assert float(whole.mean) == pytest.approx(2.8)
    # the parts have the same mean, so only the degrees of freedom differ
    assert float(whole.sd) == pytest.approx(1.2 * np.sqrt((17 - parts) / 16))
    events, n = combine_events(*split_events(4, 17, parts))
    assert (float(events), float(n)) == pytest.approx((4, 17))


def test_pooling_split_comparisons_counts_nobody_twice():
    # k equal arms of n against one control of n: pooled by inverse variance, the variance of a common difference is
    # sd²(1/(kn) + 1/n) exactly; with the control used whole each time it would be 2·sd²/(kn)
    k, n, sd = 3, 12, 2.0
    part = split_means(0.0, sd, n, k)
    vi = sd**2 / n + part.sd**2 / part.n
    assert 1 / (1 / vi).sum() == pytest.approx(sd**2 * (1 / (k * n) + 1 / n))
    assert 2 * sd**2 / (k * n) < 1 / (1 / vi).sum()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: split_means(1, -1, 6, 2), "The SD -1 is negative."),
        (
            lambda: split_means(1, 1, [6, 2], 3),
            "An arm of 2 people has less than one person for each of 3 parts (index 1).",
        ),
        (lambda: split_events(7, 6, 2), "7 events among 6 people are impossible."),
        (lambda: split_events(1, 6, 0), "An arm cannot be split into 0 parts."),
        (lambda: split_events(1, 6, 1.5), "An arm cannot be split into 1.5 parts."),
    ],
)
def test_impossible_figures_are_refused(call, message):
    with pytest.raises(EffectSizeError) as error:
        call()
    assert str(error.value) == message


def test_missing_figures_stay_missing():
    assert np.isnan(split_means(np.nan, 1, 6, 2).mean).all()
    assert np.isnan(split_events(1, np.nan, 2).n).all()
