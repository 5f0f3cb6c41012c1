"""Variances that are exactly 0 do not pass as rounding errors, and formulas free of cancellation are those of the text.

The oracle is mpmath: the delta method from the definition, with numerical derivatives at 60 digits.
"""

import itertools
import warnings

import mpmath as mp
import numpy as np
import pandas as pd
import pytest

import metail2 as m2
from metail2.effects.compute import computed
from metail2.effects.counts import ZeroCells
from metail2.errors import EffectSizeError, MetailWarning

MACHINE = ZeroCells(to="none")


def variance(code, options=MACHINE, vtype=None, **columns):
    inputs = {name: np.array([value], dtype=float) for name, value in columns.items()}
    yi, vi = computed(m2.MEASURES[code], inputs, options, vtype, ("A",))
    return float(yi[0]), float(vi[0])


DEGENERATE = [
    ("PHI", {"a": 5, "b": 0, "c": 0, "d": 10}),
    ("PHI", {"a": 0, "b": 7, "c": 31, "d": 0}),
    ("PHI", {"a": 123457, "b": 0, "c": 0, "d": 99991}),
    ("ZPHI", {"a": 123457, "b": 0, "c": 0, "d": 99991}),
    ("ZPHI", {"a": 0, "b": 3, "c": 7, "d": 0}),
    ("YUQ", {"a": 5, "b": 0, "c": 2, "d": 10}),
    ("YUY", {"a": 5, "b": 0, "c": 2, "d": 10}),
    ("RR", {"a": 5, "b": 0, "c": 7, "d": 0}),
    ("RD", {"a": 5, "b": 0, "c": 0, "d": 7}),
    ("MPOR", {"a": 5, "b": 0, "c": 0, "d": 10}),
    ("MPOR", {"a": 3, "b": 0, "c": 0, "d": 7}),
    ("MPRR", {"a": 5, "b": 0, "c": 0, "d": 10}),
    ("MPRD", {"a": 0, "b": 13, "c": 0, "d": 0}),
    ("MPORM", {"a": 5, "b": 9, "c": 5, "d": 9, "r": 1}),
    ("PLN", {"events": 7, "n": 7}),
    ("PR", {"events": 7, "n": 7}),
    ("UCOR", {"r": 0.3, "n": 3}),
    ("UCOR", {"r": -0.71, "n": 3}),
    ("COR", {"r": -1, "n": 20}),
    ("VRC", {"sd_post": 2, "sd_pre": 3, "n": 9, "r": 1}),
    # an SD had from a standard error, 0.7·√9/√9, differs from the printed one by rounding
    ("MC", {"mean_post": 2, "sd_post": 0.7, "mean_pre": 1, "sd_pre": 0.7000000000000001, "n": 9, "r": 1}),
    ("ROMC", {"mean_post": 0.3, "sd_post": 0.1, "mean_pre": 0.6, "sd_pre": 0.2, "n": 9, "r": 1}),
    ("ROMC", {"mean_post": 0.7, "sd_post": 0.21, "mean_pre": 1.1, "sd_pre": 0.33, "n": 9, "r": 1}),
    ("R2", {"r2": 1, "n": 9}),
    ("ARAW", {"alpha": 1, "items": 9, "n": 30}),
]


@pytest.mark.parametrize(("code", "columns"), DEGENERATE)
def test_a_variance_of_0_is_nan_with_its_reason(code, columns):
    entry = m2.MEASURES[code]
    for vtype in entry.vtypes:
        if vtype == "AV":  # that of the mean of all studies
            continue
        yi, vi = variance(code, vtype=vtype, **columns)
        assert np.isnan(vi)
        with pytest.warns(MetailWarning) as caught:
            m2.effect_sizes(pd.DataFrame([columns]), code, to="none", vtype=vtype)
        reason = entry.undefined if np.isnan(yi) else entry.no_variance
        assert f"({reason})" in str(caught[0].message)


CELLS = [0, 1, 2, 7, 400, 10**6]
TABLES = [table for table in itertools.product(CELLS, repeat=4) if sum(table)][::11]


def multinomial(effect, table):
    """Delta method of a function of multinomial counts; exact up to the 60 digits of the derivatives."""
    point = [mp.mpf(count) for count in table]
    step = mp.mpf(10) ** -25
    slopes = []
    for place, count in enumerate(point):
        if count == 0:
            slopes.append(mp.mpf(0))
            continue
        up, down = list(point), list(point)
        up[place], down[place] = count * (1 + step), count * (1 - step)
        slopes.append((effect(*up) - effect(*down)) / (2 * step * count))
    mean = sum(count * slope for count, slope in zip(point, slopes, strict=True)) / sum(point)
    return sum(count * (slope - mean) ** 2 for count, slope in zip(point, slopes, strict=True))


def phi(a, b, c, d):
    return (a * d - b * c) / mp.sqrt((a + b) * (c + d) * (a + c) * (b + d))


def marginal(a, b, c, d):
    return mp.log((a + b) * (b + d) / ((c + d) * (a + c)))


@pytest.mark.parametrize(
    ("code", "effect"),
    [("PHI", phi), ("MPOR", marginal), ("MPRD", lambda a, b, c, d: (b - c) / (a + b + c + d)),
     ("YUQ", lambda a, b, c, d: (a * d - b * c) / (a * d + b * c)),
     ("YUY", lambda a, b, c, d: (mp.sqrt(a * d) - mp.sqrt(b * c)) / (mp.sqrt(a * d) + mp.sqrt(b * c)))],
)  # fmt: skip
def test_variances_of_extreme_tables_are_those_of_the_delta_method(code, effect):
    checked = 0
    with mp.workdps(60):
        for a, b, c, d in TABLES:
            if min(a + b, c + d, a + c, b + d) == 0 or (code.startswith("YU") and min(a, b, c, d) == 0):
                continue
            want = multinomial(effect, (a, b, c, d))
            vi = variance(code, a=a, b=b, c=c, d=d)[1]
            if want < mp.mpf(10) ** -40:
                assert np.isnan(vi), (a, b, c, d)
            else:
                assert vi == pytest.approx(float(want), rel=1e-6), (a, b, c, d)
                checked += 1
    assert checked > 8


def test_fisher_z_of_the_point_biserial_correlation_at_great_differences():
    for d in (-1e6, -2.5, 0.0, 0.3, 40.0, 1e9):
        with mp.workdps(60):
            sizes = mp.mpf(1) / 12 + mp.mpf(1) / 9
            h, exact = 19 * sizes, mp.mpf(d)
            r = exact / mp.sqrt(exact**2 + h)
            of_r = h**2 / (h + exact**2) ** 3 * (sizes + exact**2 / 42)
            want = float(mp.atanh(r)), float(of_r / (1 - r**2) ** 2)
        assert variance("ZPB", d=d, n1=12, n2=9) == pytest.approx(want, rel=1e-12)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_biserial_correlation_beyond_1_has_no_variance(sign):
    yi, vi = variance("RBIS", d=6.0 * sign, n1=20, n2=20)
    assert abs(yi) > 1
    assert np.isnan(vi)
    yi, vi = variance("RBIS", d=1.0 * sign, n1=20, n2=20)
    assert abs(yi) < 1
    assert vi > 0
    with pytest.warns(MetailWarning, match="beyond ±1, where Soper's variance does not hold"):
        m2.effect_sizes(pd.DataFrame({"d": [6.0], "n1": [20], "n2": [20]}), "RBIS")


# ---------------------------------------------------------------------------------------- margins of matched pairs
def test_a_correlation_that_the_margins_cannot_have_is_refused():
    frame = pd.DataFrame({"a": [10.0], "b": [90.0], "c": [50.0], "d": [50.0], "r": [0.5]})
    with pytest.raises(EffectSizeError) as caught:
        m2.effect_sizes(frame, "MPORM")
    assert str(caught.value) == (
        "study 1: column 'r' is 0.5, but it must lie between −0.333 and 0.333, the limits that the events under the "
        "two conditions leave to their correlation; correct the entry."
    )


def test_the_limits_are_those_of_all_tables_with_the_margins():
    n = 12
    for first, second in itertools.product(range(1, n), repeat=2):
        possible = [
            float(phi(both, first - both, second - both, n - first - second + both))
            for both in range(max(0, first + second - n), min(first, second) + 1)
        ]
        for r, ok in ((max(possible), True), (min(possible), True), (max(possible) + 0.01, False),
                      (min(possible) - 0.01, False)):  # fmt: skip
            figures = {"events1": first, "n1": n, "events2": second, "n2": n, "r": float(np.clip(r, -1, 1))}
            if ok or abs(r) > 1:
                variance("MPORM", **figures)
            else:
                with pytest.raises(EffectSizeError, match="must lie between"):
                    variance("MPORM", **figures)


# ----------------------------------------------------------------------------------------- reasons, and what is left
def test_rows_left_out_on_request_say_so():
    frame = pd.DataFrame({"events1": [0, 3], "n1": [9, 9], "events2": [0, 2], "n2": [9, 9]})
    for code in ("RR", "OR", "AS"):
        with pytest.warns(MetailWarning, match=r"left out on request \(drop00\)"):
            m2.effect_sizes(frame, code, drop00=True)
    rates = frame.rename(columns={"n1": "time1", "n2": "time2"})
    with pytest.warns(MetailWarning, match=r"left out on request \(drop00\)"):
        m2.effect_sizes(rates, "IRR", drop00=True)


def test_a_test_that_cannot_be_inverted_says_so():
    for figures, reason in (
        ({"r": [1.0], "n1": [9], "n2": [9]}, "a correlation of 1 or −1 has no finite test statistic"),
        ({"p": [1e-320], "direction": [1], "n1": [9], "n2": [9]}, "the P value is too small to give a test statistic"),
    ):
        with pytest.warns(MetailWarning, match=reason):
            m2.effect_sizes(pd.DataFrame(figures), "SMD")


def test_what_is_left_of_a_study_is_told():
    frame = pd.DataFrame({"study": ["A", "B", "C"], "r": [1.0, 0.5, 0.4], "n": [20, 3, 20]})
    with pytest.warns(MetailWarning) as caught:
        m2.effect_sizes(frame, "ZCOR")
    assert str(caught[0].message).endswith("; of B only the variance is NaN, the others stay in the table as NaN.")
    with pytest.warns(MetailWarning) as caught:
        m2.effect_sizes(frame.iloc[1:], "ZCOR")
    assert str(caught[0].message) == (
        "The correlation of B cannot be computed with its variance from the figures given (there are too few patients: "
        "n must be above 3); the effect stays in the table, its variance is NaN."
    )


def test_a_regression_without_a_residual_degree_of_freedom_is_refused():
    for code in ("R2", "ZR2", "R2F", "ZR2F"):
        with pytest.raises(EffectSizeError, match="column 'predictors' is 3, but it must be below n − 1, which is 3"):
            variance(code, r2=0.4, n=4, predictors=3)
        assert variance(code, r2=0.4, n=5, predictors=3)[1] > 0


def test_nothing_is_said_of_sound_studies():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        m2.effect_sizes(pd.DataFrame({"a": [5], "b": [2], "c": [1], "d": [10]}), "PHI")
