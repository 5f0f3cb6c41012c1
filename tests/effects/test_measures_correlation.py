"""Correlations and R²: symmetries, oracles on raw data, simulated bias and variance."""

import warnings

import mpmath as mp
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.special import hyp2f1

import metail2 as m2
from metail2.errors import EffectSizeError, MetailWarning

DRAWS = 40_000
LAWS = settings(max_examples=30, deadline=None, derandomize=True)


def effects(measure, columns, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MetailWarning)
        values = np.broadcast_arrays(*map(np.atleast_1d, columns.values()))
        computed = m2.effect_sizes(pd.DataFrame(dict(zip(columns, values, strict=True))), measure, **options)
    return computed.yi, computed.vi


def one(measure, columns, **options):
    yi, vi = effects(measure, columns, **options)
    return float(yi[0]), float(vi[0])


# ------------------------------------------------------------------------------------- symmetries
@given(st.floats(-0.999, 0.999), st.integers(5, 500))
@LAWS
@pytest.mark.parametrize(("measure", "vtype"), [("COR", "LS"), ("UCOR", "LS"), ("UCOR", "UB"), ("UCOR", "AV"),
                                                ("ZCOR", "LS"), ("PCOR", "LS"), ("ZPCOR", "LS")])  # fmt: skip
def test_a_negative_correlation_gives_the_opposite(measure, vtype, r, n):
    columns = {"r": r, "n": n, "predictors": 2} if measure.endswith("PCOR") else {"r": r, "n": n}
    yi, vi = effects(measure, columns, vtype=vtype)
    other, same = effects(measure, columns | {"r": -r}, vtype=vtype)
    np.testing.assert_allclose(other, -yi, rtol=1e-12)
    np.testing.assert_array_equal(same, vi)


@given(st.floats(-9, 9), st.integers(8, 500), st.floats(0.93, 0.999))
@LAWS
@pytest.mark.parametrize("measure", ["PCOR", "ZPCOR", "SPCOR", "ZSPCOR"])
def test_a_negative_t_gives_the_opposite(measure, t, n, r2):
    columns = {"t": t, "n": n, "predictors": 3} | ({"r2": r2} if "SP" in measure else {})
    yi, vi = effects(measure, columns)
    other, same = effects(measure, columns | {"t": -t})
    np.testing.assert_allclose(other, -yi, rtol=1e-12)
    np.testing.assert_array_equal(same, vi)


@given(st.floats(-0.999, 0.999), st.integers(5, 500))
@LAWS
def test_with_one_predictor_a_partial_correlation_is_a_correlation(r, n):
    """And so is a semi-partial one, with R² = r²; its variance is over n."""
    yi, vi = effects("COR", {"r": r, "n": n})
    np.testing.assert_allclose(effects("PCOR", {"r": r, "n": n, "predictors": 1}), (yi, vi), rtol=1e-12)
    t = r * np.sqrt((n - 2) / (1 - r**2))
    semi, variance = effects("SPCOR", {"t": t, "n": n, "predictors": 1, "r2": r**2})
    np.testing.assert_allclose(semi, yi, rtol=1e-9)
    np.testing.assert_allclose(variance, (1 - r**2) ** 2 / n, rtol=1e-9)
    z, vz = effects("ZCOR", {"r": r, "n": n})
    np.testing.assert_allclose(effects("ZPCOR", {"r": r, "n": n, "predictors": 1}), (z, vz), rtol=1e-12)


@given(st.floats(0.001, 0.999), st.integers(5, 500))
@LAWS
def test_r2_by_its_root(r2, n):
    """ZR2 is Fisher's z of R; fixed predictors take 1 − R²/2 of the variance; predictors do not enter."""
    columns = {"r2": r2, "n": n, "predictors": 2}
    for plain, fisher in (("R2", "ZR2"), ("R2F", "ZR2F")):
        (yi, vi), (zi, vz) = effects(plain, columns), effects(fisher, columns)
        np.testing.assert_allclose(np.tanh(zi) ** 2, yi, rtol=1e-12)
        np.testing.assert_allclose(vz, vi / (4 * r2 * (1 - r2) ** 2), rtol=1e-9)
        np.testing.assert_array_equal(effects(plain, {"r2": r2, "n": n}), (yi, vi))
    np.testing.assert_allclose(effects("R2F", columns)[1], effects("R2", columns)[1] * (1 - r2 / 2), rtol=1e-12)


# ------------------------------------------------------------------------------------- oracles
def test_correlations_by_hand():
    assert one("COR", {"r": 0.6, "n": 17}) == pytest.approx((0.6, 0.64**2 / 16))
    assert one("ZCOR", {"r": 0.6, "n": 28}) == pytest.approx((np.log(4) / 2, 1 / 25))
    assert one("R2", {"r2": 0.5, "n": 50, "predictors": 2}) == pytest.approx((0.5, 0.01))
    assert one("ZR2", {"r2": 0.36, "n": 50, "predictors": 2}) == pytest.approx((np.log(4) / 2, 0.02))
    assert one("R2F", {"r2": 0.5, "n": 50, "predictors": 2}) == pytest.approx((0.5, 0.0075))
    assert one("ZR2F", {"r2": 0.36, "n": 50, "predictors": 2}) == pytest.approx((np.log(4) / 2, 0.0164))


@pytest.mark.parametrize("n", [4, 5, 6, 20, 101, 5000])
@pytest.mark.parametrize("r", [-0.9999, -0.71, -0.7, 0.01, 0.3, 0.55, 0.97])
def test_the_unbiased_correlation_at_50_digits(n, r):
    with mp.workdps(50):
        exact, z = mp.mpf(r), 1 - mp.mpf(r) ** 2
        u = exact * mp.hyp2f1(0.5, 0.5, mp.mpf(n - 2) / 2, z)
        rho2 = 1 - mp.mpf(n - 3) / (n - 2) * z * mp.hyp2f1(1, 1, mp.mpf(n) / 2, z)
        variance = float(u**2 - rho2)
    yi, vi = one("UCOR", {"r": r, "n": n}, vtype="UB")
    assert yi == pytest.approx(float(u), rel=1e-11)
    assert vi == pytest.approx(variance, rel=1e-8)


@pytest.mark.parametrize("n", [3, 4, 5])
def test_no_correlation_among_few_patients(n):
    assert effects("UCOR", {"r": 0.0, "n": n})[0][0] == 0


@pytest.fixture(scope="module")
def regression():
    """Raw data, and the fit of y on three predictors that are correlated with each other."""
    rng = np.random.default_rng(5)
    shared = rng.normal(size=(40, 1))
    predictors = shared + rng.normal(size=(40, 3))
    outcome = predictors @ [0.5, -0.3, 0.2] + rng.normal(size=40)
    return predictors, outcome, sm.OLS(outcome, sm.add_constant(predictors)).fit()


def residuals(outcome, predictors):
    return sm.OLS(outcome, sm.add_constant(predictors)).fit().resid


def test_partial_correlations_of_raw_data(regression):
    x, y, fit = regression
    for j in range(3):
        others = np.delete(x, j, axis=1)
        partial = np.corrcoef(residuals(y, others), residuals(x[:, j], others))[0, 1]
        semi = np.corrcoef(y, residuals(x[:, j], others))[0, 1]
        columns = {"t": fit.tvalues[j + 1], "n": 40, "predictors": 3}
        assert one("PCOR", columns)[0] == pytest.approx(partial, rel=1e-10)
        assert one("ZPCOR", columns)[0] == pytest.approx(np.arctanh(partial), rel=1e-10)
        assert one("SPCOR", columns | {"r2": fit.rsquared})[0] == pytest.approx(semi, rel=1e-10)
        assert one("ZSPCOR", columns | {"r2": fit.rsquared})[0] == pytest.approx(np.arctanh(semi), rel=1e-10)


def test_partial_correlations_from_other_figures(regression):
    fit = regression[2]
    t, p = fit.tvalues[2], fit.pvalues[2]
    r = t / np.sqrt(t**2 + 36)
    for measure in ("PCOR", "ZPCOR"):
        expected = one(measure, {"t": t, "n": 40, "predictors": 3})
        assert one(measure, {"r": r, "n": 40, "predictors": 3}) == pytest.approx(expected, rel=1e-10)
        told = {"p": p, "direction": np.sign(t), "n": 40, "predictors": 3}
        assert one(measure, told) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("measure", ["COR", "UCOR", "ZCOR"])
def test_correlations_from_their_test(regression, measure):
    x, y, _ = regression
    r, p = stats.pearsonr(x[:, 0], y)
    line = stats.linregress(x[:, 0], y)
    expected = one(measure, {"r": r, "n": 40})
    assert one(measure, {"t": line.slope / line.stderr, "n": 40}) == pytest.approx(expected, rel=1e-9)
    assert one(measure, {"p": p, "direction": np.sign(r), "n": 40}) == pytest.approx(expected, rel=1e-9)


# ------------------------------------------------------------------------------------- is the variance the variance?
def wishart(rng, covariance, n):
    """Draw covariance matrices of normal samples of size n, shape (DRAWS, p, p) (Bartlett's decomposition)."""
    p = len(covariance)
    root = np.tril(rng.normal(size=(DRAWS, p, p)), -1)
    for j in range(p):
        root[:, j, j] = np.sqrt(rng.chisquare(n - 1 - j, DRAWS))
    root = np.linalg.cholesky(covariance) @ root
    return root @ root.transpose(0, 2, 1) / (n - 1)


def correlations(rng, rho, n):
    s = wishart(rng, np.array([[1, rho], [rho, 1]]), n)
    return s[:, 0, 1] / np.sqrt(s[:, 0, 0] * s[:, 1, 1])


@pytest.mark.parametrize("rho", [0.0, 0.6])
@pytest.mark.parametrize(("measure", "vtype"), [("COR", "LS"), ("UCOR", "LS"), ("UCOR", "UB"), ("UCOR", "AV"),
                                                ("ZCOR", "LS")])  # fmt: skip
def test_variances_of_correlations(measure, vtype, rho):
    n = 150
    yi, vi = effects(measure, {"r": correlations(np.random.default_rng(21), rho, n), "n": n}, vtype=vtype)
    assert vi.mean() == pytest.approx(yi.var(), rel=0.03)
    truth = np.arctanh(rho) if measure == "ZCOR" else rho
    bias = 0 if measure == "UCOR" else 0.6 * rho / n
    assert yi.mean() == pytest.approx(truth, abs=4 * yi.std() / np.sqrt(DRAWS) + bias)


@pytest.mark.parametrize("rho", [0.3, 0.7])
@pytest.mark.parametrize("n", [5, 8])
def test_the_unbiased_correlation_of_few_patients(n, rho):
    """Estimate and variance (UB) have no bias at all, where r itself has one of several Monte Carlo errors."""
    r = correlations(np.random.default_rng(22), rho, n)
    yi, vi = effects("UCOR", {"r": r, "n": n}, vtype="UB")
    error = yi.std() / np.sqrt(DRAWS)
    assert yi.mean() == pytest.approx(rho, abs=4 * error)
    assert r.mean() < rho - 5 * error
    rho2 = 1 - (n - 3) / (n - 2) * (1 - r**2) * hyp2f1(1, 1, n / 2, 1 - r**2)
    assert rho2.mean() == pytest.approx(rho**2, abs=4 * rho2.std() / np.sqrt(DRAWS))
    known = yi**2 > rho2 + 1e-9  # elsewhere the unbiased estimate of the variance is not above 0, and NaN
    np.testing.assert_allclose(vi[known], (yi**2 - rho2)[known], rtol=1e-5)
    assert np.isnan(vi[yi**2 < rho2 - 1e-9]).all()


@pytest.fixture(scope="module")
def regressions():
    """Test of one of three normal predictors, and R², in samples of 200, with their true values."""
    covariance = np.array([[1, 0.5, 0.3, 0.2], [0.5, 1, 0.4, 0.1], [0.3, 0.4, 1, 0.3], [0.2, 0.1, 0.3, 1]])
    n, m = 200, 3
    precision = np.linalg.inv(wishart(np.random.default_rng(23), covariance, n))
    partial = -precision[:, 0, 1] / np.sqrt(precision[:, 0, 0] * precision[:, 1, 1])
    s = np.linalg.inv(precision)
    columns = {"t": partial * np.sqrt((n - m - 1) / (1 - partial**2)), "n": n, "predictors": m,
               "r2": 1 - 1 / (s[:, 0, 0] * precision[:, 0, 0])}  # fmt: skip
    inverse = np.linalg.inv(covariance)
    true_partial = -inverse[0, 1] / np.sqrt(inverse[0, 0] * inverse[1, 1])
    r2 = 1 - 1 / inverse[0, 0]
    rest = covariance[0, 2:] @ np.linalg.solve(covariance[2:, 2:], covariance[0, 2:])
    return columns, {"PCOR": true_partial, "SPCOR": np.sqrt(r2 - rest), "R2": r2}


@pytest.mark.parametrize(
    ("measure", "plain"),
    [("PCOR", "PCOR"), ("ZPCOR", "PCOR"), ("SPCOR", "SPCOR"), ("ZSPCOR", "SPCOR"), ("R2", "R2"), ("ZR2", "R2")],
)
def test_variances_of_regressions(regressions, measure, plain):
    columns, truths = regressions
    names = {"PCOR": ("t", "n", "predictors"), "SPCOR": ("t", "n", "predictors", "r2"), "R2": ("r2", "n", "predictors")}
    yi, vi = effects(measure, {name: columns[name] for name in names[plain]})
    truth = truths[plain] if measure == plain else np.arctanh(np.sqrt(truths["R2"]) if plain == "R2" else truths[plain])
    assert vi.mean() == pytest.approx(yi.var(), rel=0.04)
    assert yi.mean() == pytest.approx(truth, abs=0.015)  # biases are of order 1/n, that of R² is m(1 − R²)/n


@pytest.mark.parametrize("truth", [0.15, 0.4, 0.75])
def test_variance_of_r2_with_fixed_predictors(truth):
    """R² from a noncentral χ²; the variance for random predictors is too large by 1/(1 − R²/2)."""
    rng, n, m = np.random.default_rng(24), 400, 3
    explained = rng.noncentral_chisquare(m, n * truth / (1 - truth), DRAWS)
    r2 = explained / (explained + rng.chisquare(n - m - 1, DRAWS))
    columns = {"r2": r2, "n": n, "predictors": m}
    for measure in ("R2F", "ZR2F"):
        yi, vi = effects(measure, columns)
        assert vi.mean() == pytest.approx(yi.var(), rel=0.04)
    assert effects("R2", columns)[1].mean() == pytest.approx(r2.var() / (1 - truth / 2), rel=0.05)


def test_fixed_predictors_by_regression():
    """The same from raw data: one design matrix, new errors each time."""
    rng, n = np.random.default_rng(25), 60
    x = np.column_stack([np.ones(n), rng.normal(size=(n, 2))])
    mean = x @ [0, 0.6, 0.4]
    y = mean + rng.normal(size=(8000, n))
    hat = x @ np.linalg.solve(x.T @ x, x.T)
    centred = y - y.mean(1, keepdims=True)
    r2 = 1 - ((y - y @ hat) ** 2).sum(1) / (centred**2).sum(1)
    signal = ((mean - mean.mean()) ** 2).sum()
    assert r2.mean() == pytest.approx(signal / (n + signal), abs=0.03)
    _, vi = effects("R2F", {"r2": r2, "n": n, "predictors": 2})
    assert vi.mean() == pytest.approx(r2.var(), rel=0.12)  # terms of order 1/n at n = 60


# ------------------------------------------------------------------------------------- messages
@pytest.mark.parametrize(
    ("measure", "columns", "message"),
    [
        ("COR", {"r": 1.2, "n": 9}, "column 'r' is 1.2, but it must lie between −1 and 1; correct the entry."),
        ("ZCOR", {"r": 0.2, "n": 0},
         "column 'n' is 0, but it must be a number of patients above 0; correct the entry."),
        ("PCOR", {"t": 2, "n": 9, "predictors": 0},
         "column 'predictors' is 0, but it must be the number of predictors in the regression, at least 1; correct the "
         "entry."),
        ("R2", {"r2": 1.1, "n": 9, "predictors": 2},
         "column 'r2' is 1.1, but it must lie between 0 and 1; correct the entry."),
        ("SPCOR", {"t": 5, "n": 29, "predictors": 3, "r2": 0.1},
         "column 'r2' is 0.1, but it must be at least 0.5, the share of the variance that t alone implies; correct the "
         "entry."),
        ("ZCOR", {"p": 0, "direction": 1, "n": 20},
         "column 'p' is 0, but it must be above 0: a P printed as 0.000 is a bound, from which no effect can be had; "
         "correct the entry."),
        ("ZCOR", {"p": 0.03, "direction": 0, "n": 20},
         "column 'direction' is 0, but it must be 1 or −1, the sign of the effect; correct the entry."),
    ],
)  # fmt: skip
def test_messages(measure, columns, message):
    with pytest.raises(EffectSizeError) as caught:
        m2.effect_sizes(pd.DataFrame({name: [value] for name, value in columns.items()}), measure)
    assert str(caught.value) == f"study 1: {message}"


@pytest.mark.parametrize(
    ("measure", "columns", "reason"),
    [
        ("ZCOR", {"r": 1, "n": 20}, "the correlation is 1 or −1, or there are too few patients"),
        ("COR", {"r": 1, "n": 20}, "the correlation is 1 or −1, or there are too few patients"),
        ("ZCOR", {"r": 0.5, "n": 2}, "the correlation is 1 or −1, or there are too few patients"),
        ("ZCOR", {"r": 0.5, "n": 3}, "there are too few patients: n must be above 3"),
        ("PCOR", {"r": 0.5, "n": 4, "predictors": 3},
         "there are too few patients for that many predictors, or the correlation is beyond 1"),
        ("R2", {"r2": 0, "n": 20, "predictors": 3}, "R² is 0 or 1, where its large-sample variance is 0"),
        ("ZR2", {"r2": 1, "n": 20, "predictors": 3}, "R² is 1"),
    ],
)  # fmt: skip
def test_what_has_no_variance_says_why(measure, columns, reason):
    frame = pd.DataFrame({name: [value] for name, value in columns.items()})
    with pytest.warns(MetailWarning) as caught:
        effects = m2.effect_sizes(frame, measure)
    assert np.isnan(effects.vi[0])
    left = "it stays in the table as NaN." if np.isnan(effects.yi[0]) else "the effect stays in the table, its variance"
    assert f"from the figures given ({reason}); {left}" in str(caught[0].message)
