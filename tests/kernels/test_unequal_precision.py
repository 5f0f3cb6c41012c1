"""One study 1e4 to 1e12 times as precise as the others, or as imprecise, beside 60 digits."""

import mpmath as mp
import numpy as np
import pytest

from metail2.kernels.heterogeneity import heterogeneity
from metail2.kernels.likelihood import restricted_log_likelihood
from metail2.kernels.tau2 import TAU2, WEIGHTED
from metail2.kernels.wls import weighted_fit

YI = 6 * np.array([0.3, -0.8, 1.9, 0.4, -0.1, 0.6])
OTHERS = np.array([0.5, 0.5, 0.8, 0.3, 0.6, 0.4])
X = np.column_stack([np.ones(6), [1.0, 4, 2, 8, 5, 7]])


@pytest.fixture(autouse=True)
def digits():
    with mp.workdps(60):
        yield


class Exact:
    """The textbook's formulas with k × k matrices, 60 digits."""

    def __init__(self, yi, vi, x, tau2=0):
        k = len(yi)
        self.x, self.y = mp.matrix(x.tolist()), mp.matrix([mp.mpf(float(value)) for value in yi])
        self.v = [mp.mpf(float(value)) for value in vi]
        self.w = mp.diag([1 / (value + tau2) for value in self.v])
        self.information = self.x.T * self.w * self.x
        self.beta = mp.lu_solve(self.information, self.x.T * self.w * self.y)
        self.p = self.w - self.w * self.x * mp.inverse(self.information) * self.x.T * self.w
        self.df = k - x.shape[1]

    def trace(self, matrix):
        return mp.fsum(matrix[i, i] for i in range(matrix.rows))

    def q(self):
        return (self.y.T * self.p * self.y)[0]

    def score(self):
        return (self.y.T * self.p * self.p * self.y)[0] - self.trace(self.p)


def relative(got, want):
    return float(abs(mp.mpf(float(got)) / want - 1))


@pytest.mark.parametrize("ratio", [1e-4, 1e-8, 1e-12, 1e4])
@pytest.mark.parametrize("place", [0, 3, 5])
def test_a_mean(ratio, place):
    vi = OTHERS.copy()
    vi[place] *= ratio
    x = np.ones((6, 1))
    exact = Exact(YI, vi, x)
    spread, fit = heterogeneity(YI, vi, x), weighted_fit(YI, 1 / vi, x)
    assert relative(spread.q, exact.q()) < 1e-13
    assert relative(spread.typical_variance, exact.df / exact.trace(exact.p)) < 1e-13
    assert relative(fit.trace_product(), exact.trace(exact.p * exact.p)) < 1e-13
    assert relative(fit.beta[0], exact.beta[0]) < 1e-13

    raw = (exact.q() - exact.df) / exact.trace(exact.p)
    moment = TAU2["DL"](YI, vi, x)
    assert relative(moment.value, raw) < 1e-12
    product = exact.p * mp.diag([value + raw for value in exact.v])
    assert relative(moment.se, mp.sqrt(2 * exact.trace(product * product)) / exact.trace(exact.p)) < 1e-12

    found = TAU2["REML"](YI, vi, x)
    assert found.maxima == 1
    root = mp.findroot(lambda t: Exact(YI, vi, x, t).score(), mp.mpf(float(found.value)))
    assert relative(found.value, root) < 1e-12
    solution = Exact(YI, vi, x, root)
    assert relative(found.se, mp.sqrt(2 / solution.trace(solution.p * solution.p))) < 1e-12


@pytest.mark.parametrize("ratio", [1e-4, 1e-8, 1e4])
def test_a_regression(ratio):
    vi = OTHERS.copy()
    vi[2] *= ratio
    exact, fit = Exact(YI, vi, X), weighted_fit(YI, 1 / vi, X)
    bound = 1e-15 / min(ratio, 1)  # the leverage 1 − h of the precise study keeps 16 digits of 1, not of itself
    assert relative(fit.q(), exact.q()) < max(1e-12, 100 * bound**2)
    assert relative(fit.trace(), exact.trace(exact.p)) < max(1e-12, 10 * bound)
    assert relative(fit.trace_product(), exact.trace(exact.p * exact.p)) < max(1e-11, 10 * bound)
    found = TAU2["REML"](YI, vi, X)
    root = mp.findroot(lambda t: Exact(YI, vi, X, t).score(), mp.mpf(float(found.value)))
    assert relative(found.value, root) < 1e-11
    assert np.isfinite(float(TAU2["DL"](YI, vi, X).se))


@pytest.mark.parametrize("ratio", [1e-4, 1e-8, 1e-12])
@pytest.mark.parametrize("places", [[0], [1, 4], [0, 3, 5]])
def test_several_precise_studies_of_a_regression(ratio, places):
    """As many as there are coefficients: each determines one direction, and leverages differ from 1 by `ratio`."""
    rng = np.random.default_rng(3)
    x, vi = np.column_stack([np.ones(8), rng.normal(size=(8, 2))]), rng.uniform(0.05, 2, 8)
    yi, vi[places] = rng.normal(size=8), ratio * vi[places]
    exact, fit = Exact(yi, vi, x), weighted_fit(yi, 1 / vi, x)
    bound = max(1e-12, 4e-15 / np.sqrt(ratio))  # the rows of the design weighed by 1/√v share 16 digits
    square, cube = exact.p * exact.p, exact.p * exact.p * exact.p
    assert relative(fit.trace(), exact.trace(exact.p)) < bound
    assert relative(fit.trace_product(), exact.trace(square)) < bound
    assert relative(fit.q(), exact.q()) < 1e-13
    assert relative(fit.q_slope(), (exact.y.T * square * exact.y)[0]) < bound
    assert relative(fit.q_curvature(), (exact.y.T * cube * exact.y)[0]) < bound
    assert max(relative(fit.complement()[i], exact.p[i, i] * exact.v[i]) for i in range(8)) < 100 * bound
    a, b = vi**0.5, rng.uniform(0.1, 1, 8)
    product = mp.diag([mp.sqrt(v) for v in exact.v])
    m = product * exact.p * product
    want = mp.fsum(mp.mpf(float(a[i])) * float(b[j]) * m[i, j] ** 2 for i in range(8) for j in range(8))
    assert relative(fit.trace_product(a, b), want) < bound
    with_others = weighted_fit(yi, 1 / np.stack([vi, np.ones(8), vi[::-1]]), x)
    np.testing.assert_allclose(with_others.trace_product()[0], fit.trace_product(), rtol=bound)
    np.testing.assert_allclose(with_others.trace()[1], 5, rtol=1e-14)


def test_the_likelihood_without_heterogeneity():
    """At τ² = 0 with one variance 1e-12 of the others, no figure is NaN and none is off."""
    yi, vi = YI / 60, OTHERS * np.array([1e-12, 1, 1, 1, 1, 1])
    found = TAU2["REML"](yi, vi, np.ones((6, 1)))
    exact = Exact(yi, vi, np.ones((6, 1)))
    assert float(found.value) == 0
    assert relative(found.se, mp.sqrt(2 / exact.trace(exact.p * exact.p))) < 1e-12
    want = -(exact.df * mp.log(2 * mp.pi) + mp.fsum(mp.log(v) for v in exact.v) - mp.log(6)
             + mp.log(mp.det(exact.information)) + exact.q()) / 2  # fmt: skip
    fit = weighted_fit(yi, 1 / vi, np.ones((6, 1)))
    assert relative(restricted_log_likelihood(fit, np.ones((6, 1))), want) < 1e-13


@pytest.mark.parametrize("code", sorted(set(TAU2) - set(WEIGHTED)))
def test_a_dominated_set_may_stand_beside_others(code):
    """Leading axes: one of the data sets dominated by a study, the others not."""
    vi = np.stack([OTHERS, OTHERS * np.array([1, 1, 1e-9, 1, 1, 1]), np.full(6, 0.4)])
    for x in (np.ones((6, 1)), X):
        many = TAU2[code](YI, vi, x)
        for i in range(3):
            one = TAU2[code](YI, vi[i], x)
            np.testing.assert_allclose(many.value[i], one.value, rtol=1e-9)
            np.testing.assert_allclose(many.se[i], one.se, rtol=1e-6)
