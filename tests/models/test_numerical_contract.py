"""Scale, shift and order (section 4 of the design): to 1e-12, for every estimator and test."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import metail2 as m2
from metail2.kernels.coefficient_tests import TESTS
from metail2.kernels.tau2 import TAU2, WEIGHTED

REL = 1e-12
YEAR = [1948, 1949, 1960, 1977, 1973, 1953, 1973, 1980, 1968, 1961, 1974, 1969, 1976]
# near no boundary, on the boundary τ² = 0, and with variances over seven orders of magnitude
COMBINATIONS = [
    (code, test) for code in TAU2 for test in TESTS
    if code not in WEIGHTED and (test != "kenward_roger" or code == "REML")
]  # fmt: skip
SETS = {
    "bcg": (
        [-0.889311333920205, -1.58538865720143, -1.34807314829969, -1.44155119002131, -0.217547322211296,
         -0.786115585818864, -1.62089822359839, 0.0119523335238405, -0.469417648738149, -1.37134480347278,
         -0.339358828338391, 0.445913400571379, -0.0173139482168798],
        [0.325584765003961, 0.194581121398144, 0.415367965367965, 0.0200100319022476, 0.0512101721696309,
         0.00690561845590876, 0.223017247572315, 0.00396157929781773, 0.056434210463249, 0.0730247936130289,
         0.0124122139715597, 0.532505845200153, 0.0714046596839863],
    ),
    "homogeneous": ([0.20, 0.25, 0.15, 0.22, 0.31], [0.1, 0.2, 0.3, 0.1, 0.4]),
    "wide": ([0.3, -0.8, 1.9, 0.4, -0.1, 0.6], [1e-5, 0.2, 80.0, 0.03, 2.0, 0.4]),
}  # fmt: skip


def same(got, want, unit):
    """Agree to 1e-12 of the larger of the figure and its natural unit; NaN with NaN."""
    got, want = np.asarray(got, dtype=float), np.asarray(want, dtype=float)
    np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
    bound = np.broadcast_to(REL * np.maximum(np.abs(want), unit), want.shape)
    finite = np.isfinite(want)
    np.testing.assert_array_equal(got[~finite], want[~finite])
    assert (np.abs(got[finite] - want[finite]) <= bound[finite]).all(), (got, want)


def effects(name, c=1.0, d=0.0, order=None):
    yi, vi = (np.array(values) for values in SETS[name])
    yi, vi = c * yi + d, c**2 * vi
    moderator = np.array(YEAR[: len(yi)]) - 1960.0
    if order is not None:
        yi, vi, moderator = yi[order], vi[order], moderator[order]
    return m2.EffectSizes.from_arrays(yi, vi, moderators={"year": moderator})


def unchanged(before, after, c):
    """What neither scale nor shift may change, and what changes by a power of the scale."""
    one, other = before.glance().iloc[0], after.glance().iloc[0]
    for name in ("i2", "i2_q", "h2", "q", "q_p", "r2"):
        same(other[name], one[name], 1.0)
    for name in ("tau2", "tau2_se"):
        same(other[name], c**2 * one[name], c**2 * min(before.effects.vi))
    jacobian = (before.k - (len(before.terms) if before.spec.tau2 == "REML" else 0)) * np.log(abs(c))
    same(other["log_likelihood"], one["log_likelihood"] - jacobian, abs(jacobian) + before.k)
    for name in ("k", "p", "q_df", "method", "test", "status", "maxima"):
        assert one[name] == other[name]


@pytest.mark.parametrize(("code", "test"), COMBINATIONS)
@pytest.mark.parametrize("name", list(SETS))
@pytest.mark.parametrize(("c", "d"), [(-2.5, 0.0), (1e-6, 0.0), (3e5, 0.0), (1.0, 1.25), (-0.7, -3.0)])
def test_scale_and_shift_of_a_mean(name, code, test, c, d):
    before = m2.pool(effects(name), tau2=code, test=test)
    after = m2.pool(effects(name, c, d), tau2=code, test=test)
    unchanged(before, after, c)
    unit = abs(c) * before.se + abs(d)
    same(after.estimate, c * before.estimate + d, unit)
    same(after.se, abs(c) * before.se, 0)
    limits = sorted([c * before.ci_lower + d, c * before.ci_upper + d])
    same([after.ci_lower, after.ci_upper], limits, unit)
    if d == 0:
        same(after.p_value, before.p_value, 0 if before.p_value > 1e-6 else 1e-6)
    if code != "CE":
        interval = sorted(c * limit + d for limit in before.prediction_interval())
        same(after.prediction_interval(), interval, unit)


@pytest.mark.parametrize(("code", "test"), [pair for pair in COMBINATIONS if pair[1] != "iqwig"])
@pytest.mark.parametrize(("c", "d"), [(-2.5, 0.0), (1e-6, 0.0), (1.0, 1.25)])
def test_scale_and_shift_of_a_regression(code, test, c, d):
    before = m2.pool(effects("bcg"), tau2=code, test=test, moderators="year")
    after = m2.pool(effects("bcg", c, d), tau2=code, test=test, moderators="year")
    unchanged(before, after, c)
    shift = np.array([d, 0.0])
    same(after.wald.estimate, c * before.wald.estimate + shift, abs(c) * before.wald.se + shift)
    same(after.wald.se, abs(c) * before.wald.se, 0)
    one, other = before.glance().iloc[0], after.glance().iloc[0]
    same(other["qm"], one["qm"], 1.0)
    same(after.tidy()["p_value"].iloc[1], before.tidy()["p_value"].iloc[1], 0.01)


@pytest.mark.parametrize("code", sorted(set(TAU2) - set(WEIGHTED)))
@pytest.mark.parametrize("name", list(SETS))
def test_order_of_the_studies(name, code):
    k = len(SETS[name][0])
    before = m2.pool(effects(name), tau2=code)
    for seed in range(4):
        order = np.random.default_rng(seed).permutation(k)
        after = m2.pool(effects(name, order=order), tau2=code)
        unchanged(before, after, 1.0)
        same([after.estimate, after.se], [before.estimate, before.se], before.se)
        same(after.studies()["weight"], before.studies()["weight"].to_numpy()[order], 100)


@pytest.mark.parametrize("code", sorted(set(TAU2) - set(WEIGHTED)))
def test_the_interval_for_tau2_scales(code):
    before, after = m2.pool(effects("bcg"), tau2=code), m2.pool(effects("bcg", 250.0, 3.0), tau2=code)
    one, other = before.tau2_interval(), after.tau2_interval()
    same([other.lower, other.upper], [250.0**2 * one.lower, 250.0**2 * one.upper], 0)
    same([other.i2_lower, other.i2_upper, other.h2_lower, other.h2_upper],
         [one.i2_lower, one.i2_upper, one.h2_lower, one.h2_upper], 0)  # fmt: skip


@given(
    data=st.lists(st.tuples(st.floats(-3, 3), st.floats(0.01, 2)), min_size=3, max_size=9),
    exponent=st.integers(-60, 60),
    code=st.sampled_from(sorted(set(TAU2) - set(WEIGHTED))),
)
@settings(max_examples=120, deadline=None, derandomize=True)
def test_powers_of_two_change_no_digit(data, exponent, code):
    """Scaling by a power of 2 is exact in binary, so apart from logarithms not one bit may move."""
    yi, vi = np.array(data).T
    c = 2.0**exponent
    one, other = m2.pool(yi, vi, tau2=code, test="z"), m2.pool(c * yi, c * c * vi, tau2=code, test="z")
    same(other.tau2, c * c * one.tau2, c * c * vi.min())
    same(other.estimate, c * one.estimate, c * one.se)
    assert other.se == pytest.approx(c * one.se, rel=REL)


def test_p_values_far_out_in_the_tails():
    far = m2.pool([0.37, 0.37], [2e-4, 2e-4], tau2="CE", test="z")
    assert far.p_value == pytest.approx(5.725571222524681e-300, rel=1e-9)
    # k = 3 and t = 1e9: the tail of t with 2 df is 1/t²
    t = m2.pool([1e9 - 1, 1e9, 1e9 + 1], [3.0, 3.0, 3.0], tau2="CE", test="t")
    assert t.tidy()["statistic"].iloc[0] == pytest.approx(1e9, rel=1e-12)
    assert t.p_value == pytest.approx(1e-18, rel=1e-9)


@pytest.mark.parametrize("code", sorted(set(TAU2) - set(WEIGHTED)))
@pytest.mark.parametrize("moderators", [None, "x"])
def test_ten_thousand_studies_need_linear_memory(code, moderators):
    rng = np.random.default_rng(0)
    k = 10_000
    vi = rng.uniform(0.01, 0.3, k)
    given_effects = m2.EffectSizes.from_arrays(
        rng.normal(0.2, np.sqrt(vi + 0.1)), vi, moderators={"x": rng.normal(size=k)}
    )
    m2.pool(given_effects, tau2=code, moderators=moderators)  # imports are not the model's memory
    tracemalloc.start()
    m2.pool(given_effects, tau2=code, moderators=moderators)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60e6  # one k × k matrix alone has 800 MB
