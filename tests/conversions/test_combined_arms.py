"""Combined arms and shared controls: the Hartemann trial, exactness on raw data, simulated covariances, refusals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metail2.conversions import (
    combine_events,
    combine_means,
    shared_control_covariance,
    shared_control_matrix,
)
from metail2.errors import EffectSizeError, UnknownChoice

HARTEMANN = {"means": [2.8, 3.9, 4.8], "sds": [1.2, 1.8, 1.9], "ns": [6, 6, 6]}


def test_hartemann_2013_combined():
    mean, sd, n = combine_means(**HARTEMANN)
    assert (round(float(mean), 4), round(float(sd), 4), float(n)) == (3.8333, 1.7738, 18)
    assert round(float(np.sqrt(sd**2 / n + 0.4**2 / 6)), 3) == 0.449


def test_hartemann_2013_shared_placebo():
    covariance = shared_control_covariance("MD", sd=0.4, n=6)
    assert float(covariance) == pytest.approx(0.02667, abs=5e-6)
    vi = (np.square(HARTEMANN["sds"]) + 0.4**2) / 6
    assert np.sqrt(vi).round(3).tolist() == [0.516, 0.753, 0.793]
    matrix = shared_control_matrix(vi, float(covariance))
    np.testing.assert_allclose(np.diag(matrix), vi, rtol=1e-14)
    np.testing.assert_allclose(matrix[~np.eye(3, dtype=bool)], 0.16 / 6, rtol=1e-14)
    assert np.linalg.eigvalsh(matrix).min() > 0


def test_hartemann_2013_events():
    events, n = combine_events([3, 5, 6], [6, 6, 6])
    assert (float(events), float(n)) == (14, 18)


arms = st.lists(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=8), min_size=1, max_size=5).filter(
    lambda lists: sum(map(len, lists)) > 1
)


@given(arms, st.floats(-1e6, 1e6))
def test_combined_arms_are_the_concatenated_data(data, shift):
    data = [np.array(values) + shift for values in data]
    sds = [np.std(values, ddof=1) if len(values) > 1 else np.nan for values in data]
    mean, sd, n = combine_means([values.mean() for values in data], sds, [len(values) for values in data])
    everyone = np.concatenate(data)
    size = np.abs(everyone).max()
    assert float(n) == len(everyone)
    assert float(mean) == pytest.approx(everyone.mean(), abs=1e-13 * size)
    assert float(sd) == pytest.approx(np.std(everyone, ddof=1), rel=1e-12, abs=1e-13 * size)


def test_combining_broadcasts_over_leading_axes():
    means, sds = np.array([[1.0, 2.0], [3.0, 5.0]]), np.array([[0.5, 0.6], [0.7, 0.8]])
    stacked = combine_means(means, sds, [10, 12])
    for row in range(2):
        single = combine_means(means[row], sds[row], [10, 12])
        assert [float(values[row]) for values in stacked] == [float(value) for value in single]


def test_one_person_in_all_has_no_sd():
    mean, sd, n = combine_means([4.0], [np.nan], [1])
    assert (float(mean), float(n)) == (4.0, 1.0)
    assert np.isnan(sd)


def test_formulas_for_counts_and_ratios():
    assert float(shared_control_covariance("RR", events=4, n=20)) == pytest.approx(1 / 4 - 1 / 20)
    assert float(shared_control_covariance("OR", events=4, n=20)) == pytest.approx(1 / 4 + 1 / 16)
    assert float(shared_control_covariance("RD", events=4, n=20)) == pytest.approx(0.2 * 0.8 / 20)
    assert float(shared_control_covariance("ROM", mean=2, sd=0.4, n=6)) == pytest.approx(0.16 / 24)


def test_covariances_match_simulated_trials():
    random = np.random.default_rng(20130109)
    replicates, n, risk = 40_000, 400, 0.3
    control, one, two = (random.binomial(n, p, replicates) / n for p in (risk, 0.4, 0.5))
    level = random.normal(10, 2 / np.sqrt(n), (3, replicates))
    pairs = {
        "RD": (one - control, two - control, {"events": risk * n}),
        "RR": (np.log(one / control), np.log(two / control), {"events": risk * n}),
        "OR": (logit(one) - logit(control), logit(two) - logit(control), {"events": risk * n}),
        "MD": (level[0] - level[2], level[1] - level[2], {"sd": 2}),
        "ROM": (np.log(level[0] / level[2]), np.log(level[1] / level[2]), {"mean": 10, "sd": 2}),
    }
    for measure, (first, second, figures) in pairs.items():
        products = (first - first.mean()) * (second - second.mean())
        se = products.std() / np.sqrt(replicates)
        expected = float(shared_control_covariance(measure, n=n, **figures))
        # the delta method is right to first order in 1/n: 2 % here
        assert abs(products.mean() - expected) < 4 * se + 0.02 * expected, measure


def logit(p):
    return np.log(p / (1 - p))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: combine_means([1, 2], [1, -1], [5, 5]), "The SD -1 is negative (index 1)."),
        (lambda: combine_means([1, 2], [1, 1], [5, 0]), "An arm of 0 people cannot be combined (index 1)."),
        (lambda: combine_events([3, 7], [6, 6]), "7 events among 6 people are impossible (index 1)."),
        (lambda: combine_events([-1, 3], [6, 6]), "-1 events among 6 people are impossible (index 0)."),
        (lambda: shared_control_covariance("MD", n=6), "The covariance of MD needs the control arm's sd."),
        (lambda: shared_control_covariance("ROM", n=6), "The covariance of ROM needs the control arm's mean and sd."),
        (lambda: shared_control_covariance("MD", sd=-1, n=6), "The SD -1 is negative."),
        (lambda: shared_control_covariance("MD", sd=1, n=0), "A control arm of 0 people is impossible."),
        (lambda: shared_control_covariance("RD", events=7, n=6), "7 events among 6 people are impossible."),
        (lambda: shared_control_covariance("RR", events=0, n=6), "A control arm with 0 events has no log risk ratio."),
        (
            lambda: shared_control_covariance("OR", events=[3, 6], n=6),
            "A control arm with 6 events among 6 people has no log odds ratio (index 1).",
        ),
        (
            lambda: shared_control_covariance("ROM", mean=0, sd=1, n=6),
            "A control mean of 0 has no log ratio of means.",
        ),
        (
            lambda: shared_control_matrix([0.3, 0.1], 0.2),
            "The variance 0.1 does not exceed 0.2, the part that its control arm contributes (index 1).",
        ),
        (lambda: shared_control_matrix([0.3, 0.1], -0.2), "The covariance -0.2 is negative."),
    ],
)
def test_impossible_figures_are_refused(call, message):
    with pytest.raises(EffectSizeError) as error:
        call()
    assert str(error.value) == message


def test_unknown_measure():
    with pytest.raises(UnknownChoice, match=r"Unknown measure with a shared control 'SMD'\. Did you mean 'MD'\?"):
        shared_control_covariance("SMD", n=6, sd=1)
