"""Display transforms: round trips, order, labels; the Freeman–Tukey inverse."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import metail2 as m2
from metail2.effects.transforms import TRANSFORMS, freeman_tukey_backward

RANGE = {"sine_squared": (0.0, np.pi / 2), "logistic": (-15.0, 15.0), "tanh": (-5.0, 5.0)}


@pytest.mark.parametrize("code", list(TRANSFORMS))
def test_round_trip(code):
    transform = TRANSFORMS[code]
    low, high = RANGE.get(code, (-4.0, 4.0))
    values = np.linspace(low, high, 101)
    np.testing.assert_allclose(transform.backward(transform(values)), values, rtol=1e-8, atol=1e-7)


@pytest.mark.parametrize("code", list(TRANSFORMS))
def test_order_and_shape_are_kept(code):
    transform = TRANSFORMS[code]
    low, high = RANGE.get(code, (-4.0, 4.0))
    assert (np.diff(transform(np.linspace(low, high, 101))) > 0).all()
    assert transform(np.zeros((2, 3))).shape == (2, 3)
    assert np.isnan(transform([np.nan, 0.1])).tolist() == [True, False]
    assert transform.code == code


@pytest.mark.parametrize(
    ("code", "value", "shown"),
    [("identity", 0.3, 0.3), ("exp", 0, 1), ("percent_change", np.log(1.25), 25), ("percent_reduction", np.log(2), 50),
     ("percent", 0.25, 25), ("logistic", 0, 0.5), ("sine_squared", np.pi / 4, 0.5), ("tanh", np.arctanh(0.4), 0.4)],
)  # fmt: skip
def test_known_values(code, value, shown):
    assert float(TRANSFORMS[code](value)) == pytest.approx(shown)


def test_every_transform_is_tested_and_log_axes_are_ratios():
    assert len(TRANSFORMS) == 8
    assert {code for code, t in TRANSFORMS.items() if t.log_axis} == {"exp", "percent_change", "percent_reduction"}


def test_transforms_of_the_measures():
    used = {code: m2.MEASURES[code].transform.code for code in m2.MEASURES}
    ratios = {"RR", "OR", "PETO", "IRR", "ROM", "ROMC"}
    assert {code for code, name in used.items() if name == "exp"} == ratios
    assert {used["PLO"], used["PFT"]} == {"logistic", "sine_squared"}
    assert {code for code in m2.MEASURES if np.isnan(m2.MEASURES[code].null)} == {"PR", "PLO", "PFT"}


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_freeman_tukey_round_trip(counts):
    x, n = counts
    angle = 0.5 * (np.arcsin(np.sqrt(x / (n + 1))) + np.arcsin(np.sqrt((x + 1) / (n + 1))))
    assert float(freeman_tukey_backward(angle, n)) == pytest.approx(x / n, abs=1e-7)


def test_freeman_tukey_beyond_its_range():
    assert freeman_tukey_backward([0, -1, np.pi / 2, 3], 20).tolist() == pytest.approx([0, 0, 1, 1], abs=1e-12)
    assert freeman_tukey_backward([[0.3], [0.9]], [10, 40]).shape == (2, 2)
    assert np.isnan(freeman_tukey_backward(np.nan, 20))


@given(st.integers(1, 200), st.floats(0, np.pi / 2), st.floats(0, np.pi / 2))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_freeman_tukey_is_monotone(n, first, second):
    low, high = sorted([first, second])
    assert float(freeman_tukey_backward(low, n)) <= float(freeman_tukey_backward(high, n)) + 1e-9
