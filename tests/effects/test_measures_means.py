"""Measures from means and SDs: symmetries, oracles, delta method by numerical derivatives, simulated variances."""

import warnings

import mpmath as mp
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.meta_analysis import effectsize_smd

import metail2 as m2
from metail2.errors import MetailWarning

ARMS = ("mean1", "sd1", "n1", "mean2", "sd2", "n2")
TIMES = ("mean_post", "sd_post", "mean_pre", "sd_pre", "n", "r")
DRAWS = 40_000


def effects(measure, columns, **options):
    """Effects and variances of a mapping of columns (numbers or arrays)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MetailWarning)
        values = np.broadcast_arrays(*map(np.atleast_1d, columns.values()))
        computed = m2.effect_sizes(pd.DataFrame(dict(zip(columns, values, strict=True))), measure, **options)
    return computed.yi, computed.vi


def one(measure, columns, **options):
    yi, vi = effects(measure, columns, **options)
    return float(yi[0]), float(vi[0])


def arms(*values):
    return dict(zip(ARMS, values, strict=True))


def times(*values):
    return dict(zip(TIMES, values, strict=True))


# ------------------------------------------------------------------------------------- symmetries
POSITIVE = st.floats(0.1, 50)
ARM_ROWS = st.tuples(
    st.floats(1, 40), POSITIVE, st.integers(3, 200), st.floats(1, 40), POSITIVE, st.integers(3, 200)
).map(lambda t: arms(*t))
TIME_ROWS = st.tuples(
    st.floats(1, 40), POSITIVE, st.floats(1, 40), POSITIVE, st.integers(4, 200), st.floats(-0.95, 0.95)
).map(lambda t: times(*t))
LAWS = settings(max_examples=25, deadline=None, derandomize=True)
MIRRORED = ("CLESN", "AUCN", "CLESCN", "AUCCN")
"""Measures between 0 and 1, where the opposite of A is 1 − A."""


def opposite(measure, yi):
    return 1 - yi if measure in MIRRORED else -yi


def agree(got, expected, rtol=1e-8):
    np.testing.assert_allclose(got[0], expected[0], rtol=rtol, atol=1e-11)
    np.testing.assert_allclose(got[1], expected[1], rtol=rtol, atol=1e-14)  # areas near 0 and 1 have hardly any


@given(ARM_ROWS)
@LAWS
@pytest.mark.parametrize("measure", ["SMDH", "RPB", "ZPB", "RBIS", "ZBIS", "VR", "CVR", "CLESN", "AUCN"])
def test_swapping_the_arms_gives_the_opposite(measure, row):
    swapped = arms(*(row[name] for name in ("mean2", "sd2", "n2", "mean1", "sd1", "n1")))
    yi, vi = effects(measure, row)
    agree(effects(measure, swapped), (opposite(measure, yi), vi))


@given(TIME_ROWS)
@LAWS
@pytest.mark.parametrize("measure", ["SMCRP", "SMCRPH", "VRC", "CVRC", "CLESCN", "AUCCN"])
def test_swapping_the_times_gives_the_opposite(measure, row):
    swapped = times(*(row[name] for name in ("mean_pre", "sd_pre", "mean_post", "sd_post", "n", "r")))
    yi, vi = effects(measure, row)
    agree(effects(measure, swapped), (opposite(measure, yi), vi))


@given(ARM_ROWS)
@LAWS
@pytest.mark.parametrize("measure", ["MD", "SMD", "SMDH", "SMD1", "SMD1H", "RPB", "RBIS", "CLESN"])
def test_negative_means_give_the_opposite(measure, row):
    yi, vi = effects(measure, row)
    agree(effects(measure, row | {"mean1": -row["mean1"], "mean2": -row["mean2"]}), (opposite(measure, yi), vi))


@given(TIME_ROWS)
@LAWS
@pytest.mark.parametrize("measure", ["MC", "SMCC", "SMCR", "SMCRH", "SMCRP", "SMCRPH", "CLESCN"])
def test_negative_means_of_a_change_give_the_opposite(measure, row):
    yi, vi = effects(measure, row)
    mirrored = row | {"mean_post": -row["mean_post"], "mean_pre": -row["mean_pre"]}
    agree(effects(measure, mirrored), (opposite(measure, yi), vi))


@given(ARM_ROWS, st.floats(0.001, 1000))
@LAWS
@pytest.mark.parametrize(
    "measure", ["SMDH", "SMD1", "SMD1H", "RPB", "ZPB", "RBIS", "ZBIS", "VR", "CVR", "CLESN", "AUCN"]
)
def test_units_of_the_arms_do_not_matter(measure, row, c):
    scaled = {name: value if name.startswith("n") else c * value for name, value in row.items()}
    agree(effects(measure, scaled), effects(measure, row))


@given(TIME_ROWS, st.floats(0.001, 1000))
@LAWS
@pytest.mark.parametrize("measure", ["SMCRH", "SMCRP", "SMCRPH", "VRC", "CVRC", "CLESCN", "AUCCN"])
def test_units_of_a_change_do_not_matter(measure, row, c):
    scaled = {name: value if name in ("n", "r") else c * value for name, value in row.items()}
    agree(effects(measure, scaled), effects(measure, row))


@given(ARM_ROWS, st.floats(0, 20))
@LAWS
@pytest.mark.parametrize("measure", ["MD", "SMD", "SMDH", "SMD1", "SMD1H", "RPB", "ZPB", "RBIS", "VR", "CLESN"])
def test_adding_a_constant_to_both_arms_changes_nothing(measure, row, c):
    shifted = row | {"mean1": row["mean1"] + c, "mean2": row["mean2"] + c}
    agree(effects(measure, shifted), effects(measure, row))


@given(TIME_ROWS, st.floats(0, 20))
@LAWS
@pytest.mark.parametrize("measure", ["MC", "SMCC", "SMCR", "SMCRH", "SMCRP", "SMCRPH", "VRC", "CLESCN"])
def test_adding_a_constant_at_both_times_changes_nothing(measure, row, c):
    shifted = row | {"mean_post": row["mean_post"] + c, "mean_pre": row["mean_pre"] + c}
    agree(effects(measure, shifted), effects(measure, row))


@given(st.floats(1, 40), POSITIVE, st.integers(3, 200), st.floats(0.001, 1000))
@LAWS
def test_units_of_one_mean(mean, sd, n, c):
    row, scaled = {"mean": mean, "sd": sd, "n": n}, {"mean": c * mean, "sd": c * sd, "n": n}
    for measure, power, shift in (("MN", 1, 0), ("SMN", 0, 0), ("MNLN", 0, 1), ("SDLN", 0, 1), ("CVLN", 0, 0)):
        yi, vi = effects(measure, row)
        agree(effects(measure, scaled), (c**power * yi + shift * np.log(c), c ** (2 * power) * vi))


@given(st.floats(1, 40), POSITIVE, st.floats(1, 40), POSITIVE, st.integers(3, 90), st.integers(3, 90))
@LAWS
def test_a_ratio_is_the_difference_of_its_logs(m1, s1, m2_, s2, n1, n2):
    """VR and CVR against SDLN and CVLN of each arm; CVR has the bias of the mean removed too."""
    both = arms(m1, s1, n1, m2_, s2, n2)
    first, second = {"mean": m1, "sd": s1, "n": n1}, {"mean": m2_, "sd": s2, "n": n2}
    bias = {"VR": 0, "CVR": ((s1 / m1) ** 2 / n1 - (s2 / m2_) ** 2 / n2) / 2}
    for ratio, single in (("VR", "SDLN"), ("CVR", "CVLN")):
        (y1, v1), (y2, v2) = effects(single, first), effects(single, second)
        agree(effects(ratio, both), (y1 - y2 - bias[ratio], v1 + v2))


# ------------------------------------------------------------------------------------- oracles
@pytest.fixture(scope="module")
def raw():
    rng = np.random.default_rng(7)
    return rng.normal(12, 3, 23), rng.normal(10, 2, 17)


def moments(values, suffix):
    return {f"mean{suffix}": values.mean(), f"sd{suffix}": values.std(ddof=1), f"n{suffix}": len(values)}


def test_hedges_g_of_statsmodels(raw):
    row = moments(raw[0], "1") | moments(raw[1], "2")
    theirs, _ = effectsize_smd(*(row[name] for name in ("mean1", "sd1", "n1", "mean2", "sd2", "n2")))
    assert one("SMD", row, correction="approximate")[0] == pytest.approx(theirs, rel=1e-12)


def test_the_point_biserial_correlation_is_a_correlation(raw):
    row = moments(raw[0], "1") | moments(raw[1], "2")
    arm = np.repeat([1.0, 0.0], [len(raw[0]), len(raw[1])])
    r = np.corrcoef(arm, np.concatenate(raw))[0, 1]
    assert one("RPB", row)[0] == pytest.approx(r, rel=1e-12)
    assert one("ZPB", row)[0] == pytest.approx(np.arctanh(r), rel=1e-12)
    density = stats.norm.pdf(stats.norm.ppf(23 / 40))
    assert one("RBIS", row)[0] == pytest.approx(r * np.sqrt(23 * 17) / 40 / density, rel=1e-12)


@pytest.mark.parametrize("df", [1.5, 2, 3.7, 10, 41, 400, 20_000])
def test_the_factor_is_the_quotient_of_gammas(df):
    n = df + 1  # SMN divides by the SD of n − 1 degrees of freedom
    with mp.workdps(30):
        exact = mp.gammaprod([mp.mpf(df) / 2], [(mp.mpf(df) - 1) / 2]) / mp.sqrt(mp.mpf(df) / 2)
    row = {"mean": 1.0, "sd": 1.0, "n": n}
    assert one("SMN", row)[0] == pytest.approx(float(exact), rel=1e-10)
    assert one("SMN", row, correction="approximate")[0] == pytest.approx(1 - 3 / (4 * df - 1), rel=1e-12)
    assert one("SMN", row, correction="none")[0] == 1


# Effects as functions of means, variances and (for two times) the covariance, written without metail2.
def _d(m1, v1, m2_, v2, *c):
    return (m1 - m2_) / mp.sqrt((v1 + v2) / 2)


def _by_second(m1, v1, m2_, v2, *c):
    return (m1 - m2_) / mp.sqrt(v2)


def _area(m1, v1, m2_, v2, *c):
    return mp.ncdf((m1 - m2_) / mp.sqrt(v1 + v2))


def delta_method(function, point, covariance):
    with mp.workdps(30):
        gradient = [mp.diff(function, point, tuple(int(i == j) for j in range(len(point)))) for i in range(len(point))]
        return float(sum(a * b * covariance[i][j] for i, a in enumerate(gradient) for j, b in enumerate(gradient)))


@pytest.mark.parametrize(("measure", "function"), [("SMDH", _d), ("SMD1H", _by_second), ("CLESN", _area)])
def test_variances_of_arms_by_the_delta_method(measure, function):
    m1, s1, n1, m2_, s2, n2 = 5.0, 2.0, 14, 4.2, 1.3, 9
    covariance = np.diag([s1**2 / (n1 - 1), 2 * s1**4 / (n1 - 1), s2**2 / (n2 - 1), 2 * s2**4 / (n2 - 1)])
    options = {} if measure == "CLESN" else {"correction": "none"}
    yi, vi = one(measure, arms(m1, s1, n1, m2_, s2, n2), **options)
    assert yi == pytest.approx(float(function(m1, s1**2, m2_, s2**2)), rel=1e-12)
    assert vi == pytest.approx(delta_method(function, (m1, s1**2, m2_, s2**2), covariance), rel=1e-9)


@pytest.mark.parametrize(
    ("measure", "function"),
    [("SMCRPH", _d), ("SMCRH", _by_second), ("CLESCN", _area), ("VRC", lambda m1, v1, m2_, v2: mp.log(v1 / v2) / 2)],
)
def test_variances_of_a_change_by_the_delta_method(measure, function):
    """Normal values before and after with correlation r: Cov(s₁², s₂²) = 2r²s₁²s₂²/(n − 1)."""
    m1, s1, m2_, s2, n, r = 5.0, 2.0, 4.2, 1.3, 12, 0.6
    c, k = r * s1 * s2, n - 1
    covariance = np.zeros((4, 4))
    covariance[np.ix_([0, 2], [0, 2])] = np.array([[s1**2, c], [c, s2**2]]) / k
    covariance[np.ix_([1, 3], [1, 3])] = 2 * np.array([[s1**4, c**2], [c**2, s2**4]]) / k
    options = {"correction": "none"} if measure.startswith("SM") else {}
    yi, vi = one(measure, times(m1, s1, m2_, s2, n, r), **options)
    assert yi == pytest.approx(float(function(m1, s1**2, m2_, s2**2)), rel=1e-12)
    assert vi == pytest.approx(delta_method(function, (m1, s1**2, m2_, s2**2), covariance), rel=1e-9)


def test_one_mean_by_hand():
    row = {"mean": 5.0, "sd": 2.0, "n": 16}
    assert one("MN", row) == pytest.approx((5, 0.25))
    assert one("MNLN", row) == pytest.approx((np.log(5), 0.16 / 16))
    assert one("SDLN", row) == pytest.approx((np.log(2) + 1 / 30, 1 / 30))
    assert one("SDLN", {"sd": 2.0, "n": 16}) == one("SDLN", row)
    assert one("CVLN", row) == pytest.approx((np.log(0.4) + 1 / 30, 1 / 30 + 0.16 / 16))


def test_ratios_of_spread_need_no_means():
    assert one("VR", {"sd1": 2, "n1": 9, "sd2": 3, "n2": 12}) == one("VR", arms(5, 2, 9, 4, 3, 12))
    assert one("VRC", {"sd_post": 2, "sd_pre": 3, "n": 9, "r": 0.4}) == one("VRC", times(5, 2, 4, 3, 9, 0.4))


# ------------------------------------------------------------------------------------- is the variance the variance?
def arm(rng, mean, sd, n, suffix=""):
    """Draw means and SDs of normal samples of size n from their sampling distributions."""
    spread = sd * np.sqrt(rng.chisquare(n - 1, DRAWS) / (n - 1))
    return {f"mean{suffix}": rng.normal(mean, sd / np.sqrt(n), DRAWS), f"sd{suffix}": spread, f"n{suffix}": n}


def both_arms(rng, first, second):
    return arm(rng, *first, "1") | arm(rng, *second, "2")


def both_times(rng, post, pre, n, rho):
    """Draw means, SDs and correlation of a bivariate normal sample of size n (Bartlett's decomposition)."""
    (m1, s1), (m2_, s2) = post, pre
    root = np.linalg.cholesky([[s1**2, rho * s1 * s2], [rho * s1 * s2, s2**2]])
    a, b, c = np.sqrt(rng.chisquare(n - 1, DRAWS)), rng.normal(size=DRAWS), np.sqrt(rng.chisquare(n - 2, DRAWS))
    x, y, z = root[0, 0] * a, root[1, 0] * a + root[1, 1] * b, root[1, 1] * c
    means = np.array([[m1], [m2_]]) + root @ rng.normal(size=(2, DRAWS)) / np.sqrt(n)
    sd_post, sd_pre = x / np.sqrt(n - 1), np.hypot(y, z) / np.sqrt(n - 1)
    return {"mean_post": means[0], "sd_post": sd_post, "mean_pre": means[1], "sd_pre": sd_pre, "n": n,
            "r": y / np.hypot(y, z)}  # fmt: skip


def holds(measure, columns, truth, rel=0.035):
    """The mean variance is that of the effects (Monte Carlo error 0.7 %, the rest of order 1/n); they are centred.

    Areas have a bias of order 1/n; the others are corrected for it, up to order 1/n².
    """
    yi, vi = effects(measure, columns)
    assert vi.mean() == pytest.approx(yi.var(), rel=rel)
    bias = (0.5 if measure in MIRRORED else 0.1) * yi.var()
    assert yi.mean() == pytest.approx(truth, abs=4 * yi.std() / np.sqrt(DRAWS) + bias)


@pytest.mark.parametrize(
    ("measure", "first", "second", "truth"),
    [
        ("SMDH", (1.0, 2.0, 90), (0.0, 1.0, 70), 1 / np.sqrt(2.5)),
        ("SMD1", (0.7, 1.0, 90), (0.0, 1.0, 70), 0.7),
        ("SMD1H", (1.0, 2.0, 90), (0.0, 1.0, 70), 1.0),
        ("VR", (12.0, 3.0, 40), (10.0, 2.0, 30), np.log(1.5)),
        ("CVR", (12.0, 3.0, 40), (10.0, 2.0, 30), np.log(1.25)),
        ("CLESN", (1.0, 2.0, 90), (0.0, 1.0, 70), stats.norm.cdf(1 / np.sqrt(5))),
    ],
)
def test_variances_of_arms(measure, first, second, truth):
    holds(measure, both_arms(np.random.default_rng(11), first, second), truth)


def test_point_biserial_variances():
    """Arm sizes fixed by design, as the stratified variance assumes."""
    n1, n2, delta = 60, 140, 0.9
    columns = both_arms(np.random.default_rng(12), (delta, 1.0, n1), (0.0, 1.0, n2))
    rho = delta / np.sqrt(delta**2 + (n1 + n2) * (1 / n1 + 1 / n2))
    for measure, truth in (("RPB", rho), ("ZPB", np.arctanh(rho))):
        yi, vi = effects(measure, columns)
        assert vi.mean() == pytest.approx(yi.var(), rel=0.035)
        assert yi.mean() == pytest.approx(truth, abs=0.005)  # r has a bias of order 1/n


@pytest.mark.parametrize("share", [0.3, 0.5])
def test_biserial_variances(share):
    """A normal variable is cut where `share` lies above; sizes of the arms vary from sample to sample."""
    rng, n, rho, draws = np.random.default_rng(13), 250, 0.5, 8000
    latent = rng.normal(size=(draws, n))
    outcome = rho * latent + np.sqrt(1 - rho**2) * rng.normal(size=(draws, n))
    above = latent > stats.norm.ppf(1 - share)
    columns = {}
    for suffix, inside in (("1", above), ("2", ~above)):
        size = inside.sum(1)
        mean = np.where(inside, outcome, 0).sum(1) / size
        squares = np.where(inside, outcome**2, 0).sum(1) - size * mean**2
        columns |= {f"mean{suffix}": mean, f"sd{suffix}": np.sqrt(squares / (size - 1)), f"n{suffix}": size}
    for measure, truth in (("RBIS", rho), ("ZBIS", np.arctanh(rho))):
        yi, vi = effects(measure, columns)
        assert vi.mean() == pytest.approx(yi.var(), rel=0.07)  # Monte Carlo error 1.6 %
        assert yi.mean() == pytest.approx(truth, abs=0.006)


@pytest.mark.parametrize(
    ("measure", "post", "pre", "truth"),
    [
        ("MC", (5.0, 2.0), (4.0, 1.5), 1.0),
        ("SMCC", (5.0, 2.0), (4.0, 1.5), 1 / np.sqrt(4 + 2.25 - 3.6)),
        ("SMCR", (4.8, 1.5), (4.0, 1.5), 0.8 / 1.5),
        ("SMCRH", (5.0, 2.0), (4.0, 1.5), 1 / 1.5),
        ("SMCRP", (4.8, 1.5), (4.0, 1.5), 0.8 / 1.5),
        ("SMCRPH", (5.0, 2.0), (4.0, 1.5), 1 / np.sqrt(3.125)),
        ("ROMC", (12.0, 3.0), (10.0, 2.0), np.log(1.2)),
        ("VRC", (12.0, 3.0), (10.0, 2.0), np.log(1.5)),
        ("CVRC", (12.0, 3.0), (10.0, 2.0), np.log(1.25)),
        ("CLESCN", (5.0, 2.0), (4.0, 1.5), stats.norm.cdf(1 / 2.5)),
    ],
)
def test_variances_of_a_change(measure, post, pre, truth):
    holds(measure, both_times(np.random.default_rng(14), post, pre, 90, 0.6), truth)


@pytest.mark.parametrize(
    ("measure", "truth"),
    [("MN", 12), ("SMN", 4), ("MNLN", np.log(12)), ("SDLN", np.log(3)), ("CVLN", np.log(0.25))],
)
def test_variances_of_one_mean(measure, truth):
    holds(measure, arm(np.random.default_rng(15), 12.0, 3.0, 60), truth, rel=0.04)


@pytest.mark.parametrize("measure", ["CLES", "AUC"])
def test_variance_of_the_area(measure):
    """Newcombe's fourth variance is that of exponential values; with arms of one size, but for (1 − 1/n)²."""
    rng, n, draws = np.random.default_rng(16), 60, 20_000
    values = np.concatenate([rng.exponential(2.0, (draws, n)), rng.exponential(1.0, (draws, n))], axis=1)
    ranks = values.argsort(1).argsort(1)[:, :n] + 1
    auc = (ranks.sum(1) - n * (n + 1) / 2) / n**2
    yi, vi = effects(measure, {"auc": auc, "n1": n, "n2": n})
    assert yi.tolist() == auc.tolist()
    assert yi.mean() == pytest.approx(2 / 3, abs=4 * yi.std() / np.sqrt(draws))
    assert vi.mean() * (1 - 1 / n) ** 2 == pytest.approx(yi.var(), rel=0.04)


# ------------------------------------------------------------------------------------- small samples
@pytest.mark.parametrize("measure", ["SMD", "SMD1"])
def test_standardised_differences_of_few_patients_are_unbiased(measure):
    columns = both_arms(np.random.default_rng(17), (0.8, 1.0, 4), (0.0, 1.0, 5))
    yi, _ = effects(measure, columns)
    assert yi.mean() == pytest.approx(0.8, abs=4 * yi.std() / np.sqrt(DRAWS))
    uncorrected, _ = effects(measure, columns, correction="none")
    assert uncorrected.mean() > 0.8 + 10 * yi.std() / np.sqrt(DRAWS)


def test_standardised_changes_of_few_patients_are_unbiased():
    columns = both_times(np.random.default_rng(18), (0.8, 1.0), (0.0, 1.0), 6, 0.5)
    for measure in ("SMCC", "SMCR", "SMCRH"):
        yi, _ = effects(measure, columns)
        assert yi.mean() == pytest.approx(0.8, abs=4 * yi.std() / np.sqrt(DRAWS))
    for measure in ("SMCRP", "SMCRPH"):  # their degrees of freedom are an approximation
        assert effects(measure, columns)[0].mean() == pytest.approx(0.8, abs=0.02)


@pytest.mark.parametrize("correction", ["exact", "approximate", "none"])
def test_the_unbiased_variance_is_unbiased_with_every_factor(correction):
    columns = both_arms(np.random.default_rng(19), (0.8, 1.0, 6), (0.0, 1.0, 7))
    yi, vi = effects("SMD", columns, vtype="UB", correction=correction)
    assert vi.mean() == pytest.approx(yi.var(), rel=0.03)


def test_the_average_cv_of_negative_means():
    """Means below 0 (changes, temperatures) have a CV too, and its size counts."""
    row = {"sd1": [2.0, 3.0], "n1": [20.0, 30.0], "sd2": [1.0, 2.0], "n2": [25.0, 20.0]}
    above = effects("ROM", row | {"mean1": [9.0, 8.0], "mean2": [5.0, 7.0]}, vtype="AV")
    mixed = effects("ROM", row | {"mean1": [9.0, -8.0], "mean2": [5.0, -7.0]}, vtype="AV")
    agree(mixed, above)
