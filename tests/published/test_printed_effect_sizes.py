"""Effect sizes from the literature with their printed figures; each test is named after its article."""

import numpy as np
import pandas as pd
import pytest
from printed_figures import printed

import metail2 as m2
from metail2.effects.transforms import freeman_tukey_backward


# --------------------------------------------------------------------------- Miller 1978, p. 138
def test_miller_1978():
    n = np.array([11, 17, 21, 6])
    effects = m2.effect_sizes(pd.DataFrame({"events": [3, 6, 10, 1], "n": n}), "PFT")
    assert (2 * effects.yi).tolist() == printed([1.1391, 1.2888, 1.5253, 0.9515])
    assert (4 * effects.vi).tolist() == printed([0.0870, 0.0571, 0.0465, 0.1538])
    harmonic = len(n) / (1 / n).sum()
    unweighted, weighted = effects.yi.mean(), m2.pool(effects, tau2="CE", test="z").estimate
    assert [2 * unweighted, 2 * weighted] == printed([1.2262, 1.3093])
    assert float(freeman_tukey_backward(unweighted, harmonic)) == printed(0.3164)
    assert float(freeman_tukey_backward(weighted, harmonic)) == printed(0.3595)


# --------------------------------------------------------------------------- Morris 2008, Table 5
@pytest.fixture
def trained():
    """Five studies of training, before and after; pre-post correlations are the same in both groups."""
    return pd.DataFrame({
        "mean_pre": [30.6, 23.5, 0.5, 53.4, 35.6], "mean_post": [38.5, 26.8, 0.7, 75.9, 36.0],
        "sd_pre": [15.0, 3.1, 0.1, 14.5, 4.7], "sd_post": [11.6, 4.1, 0.1, 4.4, 4.6],
        "n": [20, 50, 9, 10, 14], "r": [0.47, 0.64, 0.77, 0.89, 0.44],
    })  # fmt: skip


@pytest.fixture
def controls():
    return pd.DataFrame({
        "mean_pre": [23.1, 24.9, 0.6, 55.7, 34.8], "mean_post": [19.7, 25.3, 0.6, 60.7, 33.4],
        "sd_pre": [13.8, 4.1, 0.2, 17.3, 3.1],
        "n": [20, 42, 9, 11, 14], "r": [0.47, 0.64, 0.77, 0.89, 0.44],
    })  # fmt: skip


def test_morris_2008_table_5(trained, controls):
    """Standardised change, treated less control: each by its own standard deviation before."""
    treated, control = m2.effect_sizes(trained, "SMCR"), m2.effect_sizes(controls, "SMCR")
    assert (treated.yi - control.yi).tolist() == printed([0.7421, 0.9524, 1.8054, 1.1514, 0.5050])
    assert (treated.vi + control.vi).tolist() == printed([0.1138, 0.0426, 0.2833, 0.1458, 0.1667])


def test_morris_2008_change_scores(trained):
    """By the standard deviation of the changes."""
    changes = m2.effect_sizes(trained, "SMCC")
    assert changes.yi.tolist() == printed([0.5417, 1.0198, 2.6619, 1.9088, 0.0765])
