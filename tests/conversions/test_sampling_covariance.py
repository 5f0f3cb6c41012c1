"""Covariances: shared controls of more measures by simulation, and blocks from an assumed correlation."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metail2.conversions import (
    SHARED_CONTROL,
    covariance_blocks,
    sampling_covariance,
    shared_control_covariance,
    shared_control_smd_covariance,
)
from metail2.errors import EffectSizeError

# --- shared controls ---------------------------------------------------------------------------------------------


def compare(first, second, expected, label):
    """Simulated against first-order covariance, which is right to about 1/n."""
    products = (first - first.mean()) * (second - second.mean())
    se = products.std() / np.sqrt(len(products))
    print(f"{label}: simulated {products.mean():.3e} (MCSE {se:.1e}), formula {expected:.3e}")
    assert abs(products.mean() - expected) < 4 * se + 0.02 * expected


def test_covariances_of_rates_and_spreads_match_simulated_trials():
    random = np.random.default_rng(20090100)
    replicates, time, n = 40_000, 200.0, 150
    control, one, two = (random.poisson(rate * time, replicates) for rate in (1.5, 2.0, 2.5))
    compare(np.log(one / control), np.log(two / control), shared_control_covariance("IRR", events=300), "IRR")
    compare(
        (one - control) / time, (two - control) / time, shared_control_covariance("IRD", events=300, time=time), "IRD"
    )
    roots = [np.sqrt(count / time) for count in (control, one, two)]
    compare(roots[1] - roots[0], roots[2] - roots[0], shared_control_covariance("IRSD", time=time), "IRSD")
    angles = [np.arcsin(np.sqrt(random.binomial(n, risk, replicates) / n)) for risk in (0.3, 0.4, 0.5)]
    compare(angles[1] - angles[0], angles[2] - angles[0], shared_control_covariance("AS", n=n), "AS")
    # mean and SD of a normal sample are independent
    means = random.normal(10, 2 / np.sqrt(n), (3, replicates))
    sds = 2 * np.sqrt(random.chisquare(n - 1, (3, replicates)) / (n - 1))
    ratios = np.log(sds)
    compare(ratios[1] - ratios[0], ratios[2] - ratios[0], shared_control_covariance("VR", n=n), "VR")
    cvs = np.log(sds / means)
    compare(cvs[1] - cvs[0], cvs[2] - cvs[0], shared_control_covariance("CVR", mean=10, sd=2, n=n), "CVR")


@pytest.mark.parametrize("smds", [(0.0, 0.0), (0.8, 1.5), (-1.0, 1.2)])
def test_covariance_of_standardised_differences_matches_simulated_trials(smds):
    random = np.random.default_rng(20090101)
    replicates, sizes = 60_000, np.array([90, 60, 110])  # control, then the two treated arms
    means = np.array([0.0, *smds])[:, None] + random.normal(size=(3, replicates)) / np.sqrt(sizes)[:, None]
    squares = np.array([random.chisquare(size - 1, replicates) for size in sizes])
    own = [np.sqrt((squares[0] + squares[i]) / (sizes[0] + sizes[i] - 2)) for i in (1, 2)]
    expected = shared_control_smd_covariance(*smds, 60, 110, 90)
    compare((means[1] - means[0]) / own[0], (means[2] - means[0]) / own[1], expected, f"own SDs, {smds}")
    pooled = np.sqrt(squares.sum(axis=0) / (sizes.sum() - 3))
    expected = shared_control_smd_covariance(*smds, 60, 110, 90, n_pooled=260)
    compare((means[1] - means[0]) / pooled, (means[2] - means[0]) / pooled, expected, f"pooled SD, {smds}")


def test_every_measure_names_what_it_needs():
    given = {"n": 20, "mean": 3.0, "sd": 1.0, "events": 5, "time": 40.0}
    for measure, share in SHARED_CONTROL.items():
        needed = {name: given[name] for name in share.needs}
        assert shared_control_covariance(measure, **needed) > 0
        with pytest.raises(EffectSizeError, match=f"^The covariance of {measure} needs the control arm's "):
            shared_control_covariance(measure)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: shared_control_covariance("IRR", events=0), "A control arm with 0 events has no log rate ratio."),
        (lambda: shared_control_covariance("VR", n=1), "A control arm of 1 people has no SD."),
        (lambda: shared_control_covariance("IRD", events=3, time=0), "The person-time 0 is not above zero."),
        (lambda: shared_control_smd_covariance(0.1, 0.2, 9, 1, 9), "An arm of 1 people has no SD."),
        (
            lambda: shared_control_smd_covariance(0.1, 0.2, 9, 8, 9, n_pooled=17),
            "The pooled SD of 17 people leaves out some of 26.",
        ),
    ],
)
def test_impossible_controls_are_refused(call, message):
    with pytest.raises(EffectSizeError) as error:
        call()
    assert str(error.value) == message


# --- an assumed correlation --------------------------------------------------------------------------------------

RHO = pd.DataFrame(
    [[0.7, 0.4, 0.2], [0.4, 0.8, 0.1], [0.2, 0.1, 0.6]], index=["treg", "salt", "ae"], columns=["treg", "salt", "ae"]
)


def by_hand(vi, cluster, rho):
    k = len(vi)
    return np.array(
        [
            [vi[i] if i == j else (rho * np.sqrt(vi[i] * vi[j]) if cluster[i] == cluster[j] else 0.0) for j in range(k)]
            for i in range(k)
        ]
    )


@given(
    st.lists(st.tuples(st.floats(1e-6, 1e4), st.sampled_from(["a", "b", 3, 2.5, ("x", 1)])), min_size=1, max_size=12),
    st.floats(-0.09, 0.99),
)
def test_one_correlation_by_hand(effects, rho):
    vi = [variance for variance, _ in effects]
    labels = np.empty(len(vi), dtype=object)
    labels[:] = [label for _, label in effects]
    V = sampling_covariance(vi, labels, rho)
    np.testing.assert_allclose(V, by_hand(vi, labels, rho), rtol=1e-14, atol=1e-300)
    assert (np.diag(V) == vi).all()
    scale = np.sqrt(np.diag(V))
    assert np.linalg.eigvalsh(V / scale / scale[:, None]).min() > 0


def test_blocks_are_the_matrix_without_its_zeros():
    vi, cluster = [0.04, 0.09, 0.16, 0.25, 0.36], ["a", "b", "a", "c", "b"]
    V = sampling_covariance(vi, cluster, 0.6)
    blocks = covariance_blocks(vi, cluster, 0.6)
    assert [block.cluster for block in blocks] == ["a", "b", "c"]
    assert [block.rows.tolist() for block in blocks] == [[0, 2], [1, 4], [3]]
    for block in blocks:
        np.testing.assert_array_equal(V[np.ix_(block.rows, block.rows)], block.V)
    assert np.count_nonzero(V) == sum(block.V.size for block in blocks)


def test_correlations_by_outcome():
    vi = np.array([0.04, 0.09, 0.16, 0.25])
    outcome = ["treg", "ae", "treg", "salt"]
    V = sampling_covariance(vi, ["one"] * 4, RHO, outcome=outcome)
    correlation = V / np.sqrt(np.outer(vi, vi))
    np.testing.assert_allclose(correlation[0], [1, 0.2, 0.7, 0.4], rtol=1e-14)
    np.testing.assert_allclose(correlation[1], [0.2, 1, 0.2, 0.1], rtol=1e-14)
    # the order of the frame does not matter
    turned = RHO.iloc[::-1, [1, 0, 2]]
    np.testing.assert_array_equal(V, sampling_covariance(vi, ["one"] * 4, turned, outcome=outcome))


def test_the_matrix_is_the_covariance_of_simulated_outcomes():
    random = np.random.default_rng(20100101)
    n, rho = 50, 0.6
    people = random.multivariate_normal([0, 0], [[4, rho * 2 * 3], [rho * 2 * 3, 9]], (20_000, n))
    means = people.mean(axis=1)
    V = sampling_covariance([4 / n, 9 / n], ["trial", "trial"], rho)
    np.testing.assert_allclose(np.cov(means.T), V, rtol=0.04)


def test_large_data_keep_to_their_blocks():
    k = 200_000
    cluster = np.arange(k) // 4
    blocks = covariance_blocks(np.full(k, 0.1), cluster, 0.5)
    assert len(blocks) == k // 4
    assert sum(block.V.size for block in blocks) == 4 * k


def test_a_missing_variance_is_missing_only_in_its_row():
    V = sampling_covariance([0.1, np.nan, 0.2], ["a", "a", "b"], 0.5)
    assert np.isnan(V).tolist() == [[False, True, False], [True, True, False], [False, False, False]]


def test_no_effects():
    assert sampling_covariance([], [], 0.5).shape == (0, 0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: sampling_covariance([0.1, 0.2, 0.3], ["t", "t", "t"], -0.5),
            "The assumed correlations of the 3 effects of cluster 't' are impossible together: their matrix has the "
            "eigenvalue",
        ),
        (lambda: sampling_covariance([0.1, 0.2], ["t", "t"], 1), "The assumed correlations of the 2 effects of cluste"),
        (lambda: sampling_covariance([0.1, 0.2], ["t", "t"], 1.2), "The correlation rho = 1.2 is not a number in [−1,"),
        (lambda: sampling_covariance([0.1, 0.2], ["t", "t"], None), "The correlation rho = None is not a number in"),
        (
            lambda: sampling_covariance([0.1, 0], ["t", "t"], 0.5),
            "The sampling variance 0 is not above zero (index 1).",
        ),
        (
            lambda: sampling_covariance([[0.1]], [["t"]], 0.5),
            "Sampling variances of shape (1, 1) are not one value for",
        ),
        (
            lambda: sampling_covariance([0.1, 0.2], ["t"], 0.5),
            "The cluster labels of shape (1,) are not one for each of",
        ),
        (lambda: sampling_covariance([0.1, 0.2], ["t", None], 0.5), "The cluster of row 1 is missing."),
        (lambda: sampling_covariance([0.1], ["t"], RHO), "A frame of correlations needs the outcome of each effect."),
        (
            lambda: sampling_covariance([0.1], ["t"], RHO, outcome=["pain"]),
            "The frame of correlations has no row 'pain'.",
        ),
        (
            lambda: sampling_covariance([0.1], ["t"], RHO.drop(columns="ae"), outcome=["ae"]),
            "The frame of correlations has no column 'ae'.",
        ),
        (
            lambda: sampling_covariance([0.1, 0.1], "tt", RHO.replace(0.4, {"treg": 0.5}), outcome=["treg", "salt"]),
            "The cluster labels of shape () are not one for each of 2 effects.",
        ),
        (
            lambda: sampling_covariance([0.1, 0.1], ["t", "t"], skewed(), outcome=["treg", "salt"]),
            "The correlations of 'treg' and 'salt', 0.9 and 0.4, are not one number in [−1, 1].",
        ),
        (
            lambda: sampling_covariance([0.1], ["t"], pd.concat([RHO, RHO]), outcome=["treg"]),
            "The frame of correlations has a row twice.",
        ),
    ],
)
def test_impossible_assumptions_are_refused(call, message):
    with pytest.raises(EffectSizeError) as error:
        call()
    assert str(error.value).startswith(message)


def skewed():
    frame = RHO.copy()
    frame.loc["treg", "salt"] = 0.9
    return frame
