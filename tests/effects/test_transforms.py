"""Display transforms: round trips, order, labels; the Freeman–Tukey inverse."""

import mpmath as mp
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import metail2 as m2
from metail2.effects.transforms import (
    TRANSFORMS,
    freeman_tukey_backward,
    freeman_tukey_proportion,
    freeman_tukey_rate,
    harmonic_mean,
)
from metail2.errors import UnknownChoice

RANGE = {
    "sine_squared": (0.0, np.pi / 2), "logistic": (-15.0, 15.0), "tanh": (-5.0, 5.0), "square": (0.0, 4.0),
    "one_minus_exp": (-4.0, 10.0),
}  # fmt: skip


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
     ("percent", 0.25, 25), ("logistic", 0, 0.5), ("sine_squared", np.pi / 4, 0.5), ("tanh", np.arctanh(0.4), 0.4),
     ("antilog", np.log(0.2), 0.2), ("normal_cdf", 1.959963984540054, 0.975), ("square", 0.3, 0.09),
     ("one_minus_cube", 0.5, 0.875), ("one_minus_exp", np.log(5), 0.8)],
)  # fmt: skip
def test_known_values(code, value, shown):
    assert float(TRANSFORMS[code](value)) == pytest.approx(shown)


def test_log_axes_are_ratios():
    assert {code for code, t in TRANSFORMS.items() if t.log_axis} == {"exp", "percent_change", "percent_reduction"}


def test_values_beyond_the_scale_are_shown_at_its_end():
    assert TRANSFORMS["square"]([-0.5, 0.0, 0.5]).tolist() == [0, 0, 0.25]
    assert TRANSFORMS["sine_squared"]([-0.5, 2.0]).tolist() == [0, 1]
    assert np.isnan(TRANSFORMS["square"](np.nan))


SHOWN = {
    "exp": "RR OR PETO MPRR MPOR MPORC MPPETO MPORM IRR D2OR D2ORN D2ORL REH HR",
    "identity": "RD AS PHI YUQ YUY RTET PBIT OR2D OR2DN OR2DL MPRD IRD IRSD PR IR ARAW GEN",
    "tanh": "ZPHI ZTET",
    "antilog": "PLN IRLN",
    "logistic": "PLO",
    "normal_cdf": "PRZ",
    "sine_squared": "PAS PFT",
    "square": "IRS IRFT",
    "one_minus_cube": "AHW",
    "one_minus_exp": "ABT",
}
SINGLE = ("PR", "PLO", "PLN", "PRZ", "PAS", "PFT", "IR", "IRLN", "IRS", "IRFT", "ARAW", "AHW", "ABT")


@pytest.mark.parametrize(("transform", "codes"), SHOWN.items())
def test_transforms_and_nulls_of_measures_from_counts(transform, codes):
    for code in codes.split():
        measure = m2.MEASURES[code]
        assert measure.transform.code == transform
        assert np.isnan(measure.null) if code in SINGLE else measure.null == 0


@pytest.mark.parametrize(
    ("measure", "columns", "row", "shown"),
    [("PLN", ("events", "n"), (3, 12), 0.25), ("PRZ", ("events", "n"), (3, 12), 0.25),
     ("PAS", ("events", "n"), (3, 12), 0.25), ("PLO", ("events", "n"), (3, 12), 0.25),
     ("IRLN", ("events", "time"), (3, 12), 0.25), ("IRS", ("events", "time"), (3, 12), 0.25),
     ("AHW", ("alpha", "items", "n"), (0.7, 4, 50), 0.7), ("ABT", ("alpha", "items", "n"), (0.7, 4, 50), 0.7),
     ("ZTET", ("a", "b", "c", "d"), (3, 1, 1, 3), np.sin(np.pi / 4)), ("ZPHI", ("a", "b", "c", "d"), (3, 1, 1, 3), 0.5),
     ("REH", ("aa", "ab", "bb"), (4, 9, 1), 2.25), ("HR", ("log_hr", "se"), (np.log(0.7), 1), 0.7)],
)  # fmt: skip
def test_an_effect_is_shown_as_what_it_measures(measure, columns, row, shown):
    found = m2.effect_sizes(pd.DataFrame([row], columns=list(columns), dtype=float), measure)
    assert float(m2.MEASURES[measure].transform(found.yi)[0]) == pytest.approx(shown)


# ------------------------------------------------------------------------------------- Freeman–Tukey
def pft_angle(x, n):
    return 0.5 * (np.arcsin(np.sqrt(x / (n + 1))) + np.arcsin(np.sqrt((x + 1) / (n + 1))))


@pytest.mark.parametrize("n", [1, 2, 3, 10, 47, 1000])
def test_freeman_tukey_is_inverted_exactly_at_every_count(n):
    x = np.arange(n + 1)
    np.testing.assert_allclose(freeman_tukey_backward(pft_angle(x, n), n), x / n, rtol=1e-12, atol=1e-15)


@given(st.integers(1, 10**7).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_freeman_tukey_round_trip(counts):
    x, n = counts
    assert float(freeman_tukey_backward(pft_angle(x, n), n)) == pytest.approx(x / n, rel=1e-8, abs=1e-14)


@given(st.floats(0.01, 1.56), st.floats(0.5, 500))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_freeman_tukey_agrees_with_the_printed_formula(angle, n):
    with mp.workdps(40):
        t, size = 2 * mp.mpf(angle), mp.mpf(n)
        lowest = mp.asin(mp.sqrt(1 / (size + 1)))
        t = min(max(t, lowest), mp.pi - lowest)
        c = mp.sin(t) + (mp.sin(t) - 1 / mp.sin(t)) / size
        expected = (1 - mp.sign(mp.cos(t)) * mp.sqrt(1 - min(c**2, mp.mpf(1)))) / 2
    assert float(freeman_tukey_backward(angle, n)) == pytest.approx(float(expected), rel=1e-11, abs=1e-14)


def test_freeman_tukey_beyond_its_range():
    assert freeman_tukey_backward([0, -1, np.pi / 2, 3], 20).tolist() == pytest.approx([0, 0, 1, 1], abs=1e-12)
    assert freeman_tukey_backward([[0.3], [0.9]], [10, 40]).shape == (2, 2)
    assert np.isnan(freeman_tukey_backward(np.nan, 20))


@given(st.integers(0, 10**6), st.floats(1e-3, 1e6))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_freeman_tukey_rate_round_trip(x, t):
    root = 0.5 * (np.sqrt(x / t) + np.sqrt((x + 1) / t))
    assert float(freeman_tukey_rate(root, t)) == pytest.approx(x / t, rel=1e-9, abs=1e-13 / t)


def test_freeman_tukey_rates_of_the_measure():
    table = pd.DataFrame({"events": np.arange(200.0), "time": np.linspace(0.1, 300, 200)})
    found = m2.effect_sizes(table, "IRFT")
    np.testing.assert_allclose(
        freeman_tukey_rate(found.yi, table["time"]), table["events"] / table["time"], rtol=1e-12, atol=1e-13
    )
    assert freeman_tukey_rate([0.1, -1], 4).tolist() == [0, 0]
    assert np.isnan(freeman_tukey_rate(np.nan, 4))


def test_pooled_angle_of_one_study_is_that_study():
    x, n = 7, 40
    angle = pft_angle(x, n)
    assert float(freeman_tukey_proportion(angle, [n], 1 / (4 * n + 2))) == pytest.approx(x / n)
    # Barendregt and Doi take 1/v, which is n + ½ for one study
    found = float(freeman_tukey_proportion(angle, [n], 1 / (4 * n + 2), "barendregt_doi"))
    assert found == pytest.approx(float(freeman_tukey_backward(angle, n + 0.5)))
    assert found == pytest.approx(x / n, abs=0.01)


def test_pooled_angles_take_the_harmonic_mean_or_the_inverse_variance():
    sizes = np.array([11, 17, 21, 6])
    angles = np.array([0.5, 0.6, 0.8])
    np.testing.assert_array_equal(
        freeman_tukey_proportion(angles, sizes, 0.004), freeman_tukey_backward(angles, stats.hmean(sizes))
    )
    np.testing.assert_array_equal(
        freeman_tukey_proportion(angles, sizes, 0.004, method="barendregt_doi"), freeman_tukey_backward(angles, 62.5)
    )
    with pytest.raises(UnknownChoice, match="Choose from: miller, barendregt_doi"):
        freeman_tukey_proportion(angles, sizes, 0.004, method="harmonic")


def test_harmonic_mean():
    assert harmonic_mean([4, 12]) == pytest.approx(6)
    assert harmonic_mean([9]) == pytest.approx(9)


@given(st.integers(1, 200), st.floats(0, np.pi / 2), st.floats(0, np.pi / 2))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_freeman_tukey_is_monotone(n, first, second):
    low, high = sorted([first, second])
    assert float(freeman_tukey_backward(low, n)) <= float(freeman_tukey_backward(high, n)) + 1e-9
