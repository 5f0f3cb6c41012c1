"""Pooled effects as readers see them: which limits stand in the tables, and back-transforms that need sizes."""

import numpy as np
import pandas as pd
import pytest

import metail2 as m2
from metail2.effects.transforms import freeman_tukey_backward


def test_an_exact_regression_is_told_as_one():
    line = m2.EffectSizes.from_arrays([1.0, 2, 3, 4, 5], [0.1] * 5, moderators={"x": [1.0, 2, 3, 4, 5]})
    text = m2.pool(line, moderators="x").summary()
    assert "x 1.0000, 1.0000 to 1.0000, P not defined" in text
    assert "All moderators together: test not defined; R² = 100.0 %" in text
    assert "Residual heterogeneity: Q = 0.00" in text
    assert "all effects agree exactly with the fit" in text


def test_headings_read_as_they_were_given():
    """A missing one makes whole numbers decimal, and is not called "nan"."""
    given = m2.EffectSizes.from_arrays([0.1, 0.5, 0.3], [0.1, 0.2, 0.1], moderators={"group": [1, None, 2]})
    assert m2.pool(given).studies()["group"].tolist() == ["1", "", "2"]


@pytest.mark.parametrize(
    ("measure", "columns"),
    [
        ("HR", {"hr": [0.8, 0.7], "ci_lower": [0.6, 0.5], "ci_upper": [1.0667, 0.98]}),
        ("GEN", {"yi": [0.1, 0.3], "ci_lower": [-0.2, -0.1], "ci_upper": [0.41, 0.72]}),
    ],
)
def test_a_printed_interval_does_not_replace_the_computed_one(measure, columns):
    effects = m2.effect_sizes(pd.DataFrame(columns), measure)
    studies = m2.pool(effects).studies()
    half = 1.959963984540054 * np.sqrt(effects.vi)
    np.testing.assert_allclose(studies["ci_lower"], effects.yi - half, rtol=1e-12)
    np.testing.assert_allclose(studies["ci_upper"], effects.yi + half, rtol=1e-12)
    assert list(effects.frame["ci_lower"]) == columns["ci_lower"]


def test_one_proportion_by_the_inverses_that_need_sizes_is_the_proportion_itself():
    """With equal sizes the harmonic mean is the size, and equal proportions come back exactly."""
    effects = m2.effect_sizes(pd.DataFrame({"events": [3, 3, 3], "n": [40, 40, 40]}), "PFT")
    result = m2.pool(effects, tau2="CE", test="z")
    assert "by Miller's inverse at the harmonic mean size: 0.075, " in result.summary()
    v = result.se**2
    barendregt = float(freeman_tukey_backward(result.estimate, 1 / (4 * v)))
    assert f"by Barendregt and Doi's inverse: {barendregt:.3f}, " in result.summary()


def test_a_pooled_rate_by_its_exact_inverse():
    effects = m2.effect_sizes(pd.DataFrame({"events": [6, 6], "time": [50.0, 50.0]}), "IRFT")
    text = m2.pool(effects, tau2="CE", test="z").summary()
    assert "by the exact inverse at the harmonic mean person-time: 0.120, " in text


def test_a_proportion_has_no_p_value_because_it_has_no_value_of_no_effect():
    effects = m2.effect_sizes(pd.DataFrame({"events": [3, 9, 5], "n": [40, 41, 42]}), "PLO")
    first = m2.pool(effects).summary().split("\n")[2]
    assert first.startswith("  proportion (logit) 0.")
    assert "P " not in first
