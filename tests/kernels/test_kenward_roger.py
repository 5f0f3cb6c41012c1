"""Kenward–Roger beside dense matrices as the article writes them, which are themselves beside printed figures."""

import numpy as np
import pytest
from scipy import stats

from metail2.kernels.coefficient_tests import TESTS
from metail2.kernels.fitted import fit_random_effects
from metail2.kernels.inference import wald
from metail2.kernels.kenward_roger import kenward_roger

YI = np.array([0.1, 0.8, -0.4, 1.2, 0.5, 0.9, -0.2, 0.3])
VI = np.array([0.02, 0.05, 0.04, 0.1, 0.03, 0.2, 0.5, 0.08])
X = np.column_stack([np.ones(8), [1, 0, 2, 5, 3, 4, 1, 2], [0, 1, 1, 0, 1, 0, 0, 1]])
RULE = TESTS["kenward_roger"]


def dense(y, x, covariance, sizes, contrasts):
    """Sections 2 and 3 of Kenward & Roger 1997 in k × k matrices, for V = covariance(sizes) linear in the sizes.

    Derivatives are central differences. Returns the adjusted covariance, the degrees of freedom and λF.
    """

    def model(at):
        return np.linalg.inv(x.T @ np.linalg.inv(covariance(at)) @ x)

    def slope(function, i):
        step = np.zeros(len(sizes))
        step[i] = 1e-5 * sizes[i]
        return (function(sizes + step) - function(sizes - step)) / (2 * step[i])

    r, v, phi = range(len(sizes)), np.linalg.inv(covariance(sizes)), model(sizes)
    change = [slope(covariance, i) for i in r]
    residual = v - v @ x @ phi @ x.T @ v
    w = np.linalg.inv([[np.trace(residual @ change[i] @ residual @ change[j]) / 2 for j in r] for i in r])
    p = [-x.T @ v @ change[i] @ v @ x for i in r]
    q = [[x.T @ v @ change[i] @ v @ change[j] @ v @ x for j in r] for i in r]
    adjusted = phi + 2 * phi @ sum(w[i, j] * (q[i][j] - p[i] @ phi @ p[j]) for i in r for j in r) @ phi
    theta = contrasts.T @ np.linalg.inv(contrasts @ phi @ contrasts.T) @ contrasts
    product = [theta @ slope(model, i) for i in r]
    a1 = sum(w[i, j] * np.trace(product[i]) * np.trace(product[j]) for i in r for j in r)
    a2 = sum(w[i, j] * np.trace(product[i] @ product[j]) for i in r for j in r)
    m = len(contrasts)
    b = (a1 + 6 * a2) / (2 * m)
    g = ((m + 1) * a1 - (m + 4) * a2) / ((m + 2) * a2)
    c1, c2, c3 = (c / (3 * m + 2 * (1 - g)) for c in (g, m - g, m + 2 - g))
    mean = 1 / (1 - a2 / m)
    variance = 2 / m * (1 + c1 * b) / ((1 - c2 * b) ** 2 * (1 - c3 * b))
    df = 4 + (m + 2) / (m * variance / (2 * mean**2) - 1)
    effect = contrasts @ (phi @ x.T @ v @ y)
    f = df / (mean * (df - 2)) / m * effect @ np.linalg.solve(contrasts @ adjusted @ contrasts.T, effect)
    return adjusted, df, f


# A random intercept for five groups and a factor of three levels: figures of R's pbkrtest 0.5.2 with lme4 1.1-31, and
# the REML variances they belong to.
GROUP = np.array([1, 1, 1, 2, 2, 3, 3, 3, 4, 4, 5, 5, 5, 5])
LEVEL = np.array(list("abcabbccacaabc"))
Y = np.array([2.1, 3.4, 5.9, 1.0, 2.9, 6.1, 8.8, 7.9, 0.4, 4.1, 3.3, 2.2, 4.6, 8.1])
VARIANCES = np.array([2.399931466024, 0.313624671179])


@pytest.mark.parametrize(
    ("contrasts", "df", "f"),
    [
        ([[0, 1, 0], [0, 0, 1]], 7.12803218546, 60.5304966746),
        ([[0, 1, 0]], 7.08522894843, 20.1372929986),
        ([[1, 1, 0]], 4.95014353469, 25.4007325547),
    ],
)
def test_the_dense_matrices_agree_with_pbkrtest(contrasts, df, f):
    x, same = np.column_stack([np.ones(14), LEVEL == "b", LEVEL == "c"]), GROUP[:, None] == GROUP
    contrasts = np.array(contrasts, dtype=float)
    adjusted, found_df, found_f = dense(Y, x, lambda at: at[0] * same + at[1] * np.eye(14), VARIANCES, contrasts)
    np.testing.assert_allclose(np.diagonal(adjusted), [0.5516161802271, 0.1590462763502, 0.1595442395207], rtol=1e-7)
    assert found_df == pytest.approx(df, rel=1e-7)
    assert found_f == pytest.approx(f, rel=1e-7)


def fit(x=X, yi=YI, vi=VI):
    fitted = fit_random_effects(yi, vi, x, "REML")
    return fitted, RULE.reference(fitted, 0.95)


@pytest.mark.parametrize("columns", [1, 2, 3])
def test_sums_over_studies_agree_with_dense_matrices(columns):
    fitted, reference = fit(X[:, :columns])

    def expected(contrasts):
        return dense(YI, fitted.x, lambda at: np.diag(VI) + at[0] * np.eye(8), fitted.tau2.value[None], contrasts)

    adjusted, df, f = expected(np.eye(columns))
    np.testing.assert_allclose(reference.covariance, adjusted, rtol=1e-9)
    joint = RULE.joint(fitted, reference, np.eye(columns))
    assert (joint.statistic, joint.df_error) == pytest.approx((f, df), rel=1e-8)
    assert joint.p_value == pytest.approx(stats.f.sf(f, columns, df), rel=1e-7)
    singles = [expected(row[None])[1] for row in np.eye(columns)]
    np.testing.assert_allclose(reference.df, singles, rtol=1e-8)
    np.testing.assert_allclose(RULE.contrast_df(fitted, reference, np.eye(columns)), singles, rtol=1e-8)


def test_one_contrast_is_the_square_of_its_t():
    fitted, reference = fit()
    contrast = np.array([[1.0, -2.0, 0.5]])
    joint = RULE.joint(fitted, reference, contrast)
    t = (contrast @ fitted.beta)[0] / np.sqrt((contrast @ reference.covariance @ contrast.T)[0, 0])
    assert joint.statistic == pytest.approx(t**2, rel=1e-12)
    assert joint.p_value == pytest.approx(2 * stats.t.sf(abs(t), joint.df_error), rel=1e-10)


@pytest.mark.parametrize(("spread", "tau2"), [(1.0, True), (0.01, False)])
def test_equal_variances_are_exact(spread, tau2):
    """The classical F on k − p df; as τ² is 0 the error variance is the stated one, as ad hoc corrected."""
    fitted, reference = fit(yi=spread * YI, vi=np.full(8, 0.1))
    assert (fitted.tau2.value > 0) == tau2
    classic = TESTS["knapp_hartung_adhoc"]
    other = classic.reference(fitted, 0.95)
    np.testing.assert_allclose(reference.covariance, other.covariance, rtol=1e-9)
    np.testing.assert_allclose(reference.df, 5, rtol=1e-12)
    joint, known = (rule.joint(fitted, found, np.eye(3)[1:]) for rule, found in ((RULE, reference), (classic, other)))
    assert (joint.statistic, joint.df_error) == pytest.approx((known.statistic, 5), rel=1e-9)


def test_many_fits_at_once_and_any_scale(bcg, ones):
    yi, vi = bcg
    fitted, reference = fit(ones(13), np.stack([yi, 1e8 * yi + 3]), np.stack([vi, 1e16 * vi]))
    alone = fit(ones(13), yi, vi)[1]
    np.testing.assert_allclose(reference.covariance[:, 0, 0], alone.covariance[0, 0] * np.array([1, 1e16]), rtol=1e-12)
    np.testing.assert_allclose(reference.df[:, 0], alone.df[0], rtol=1e-12)
    assert kenward_roger(fitted).tau2_variance[1] == pytest.approx(1e32 * float(kenward_roger(fitted).tau2_variance[0]))


def test_where_tau2_is_all_but_undetermined_no_joint_test_is_made_up():
    fitted, reference = fit(X[:6], YI[:6], np.array([1e-9, 1, 1, 1, 1e-9, 1]))
    joint = RULE.joint(fitted, reference, np.eye(3))
    assert np.isnan([joint.statistic, joint.p_value, joint.df_error]).all()
    assert (reference.df > 0).all()


@pytest.mark.parametrize(("tau2", "least", "most"), [(0.2, 0.945, 0.985), (2.0, 0.94, 0.96)])
def test_size_with_a_tenfold_spread_of_variances(tau2, least, most):
    """Known truth: near 95 % where τ² is large, more where τ² is often estimated as 0."""
    rng = np.random.default_rng(7)
    vi = np.geomspace(0.1, 1, 10)
    yi = rng.normal(0.3, np.sqrt(vi + tau2), (4000, 10))
    fitted, reference = fit(np.ones((10, 1)), yi, np.broadcast_to(vi, yi.shape))
    found = wald(fitted.beta, reference.variance, reference.df, 0.95)
    assert least < np.mean((found.lower <= 0.3) & (found.upper >= 0.3)) < most
