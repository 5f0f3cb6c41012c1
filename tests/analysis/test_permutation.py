"""Permutation tests beside loops over dense matrices, closed forms and the pinned figure."""

import itertools

import numpy as np
import pytest
from scipy import stats

import metail2 as m2
from metail2.analysis.permutation import permutation_test
from metail2.errors import ModelError
from metail2.kernels.coefficient_tests import TESTS
from metail2.kernels.permutation import RowOrders

YI = np.array([0.41, -0.10, 0.62, 0.05, 0.33, 0.90])
VI = np.array([0.04, 0.09, 0.02, 0.15, 0.01, 0.30])
MODERATORS = {
    "dose": np.array([1.0, 2.0, 2.0, 5.0, 7.0, 7.0]),
    "arm": np.array(["a", "b", "b", "a", "c", "c"]),
    "late": np.array([0, 0, 1, 1, 0, 1]),
    "w": np.arange(1.0, 7.0),
}
BCG8 = (
    [-0.889311333920205, -1.58538865720143, -1.34807314829969, -1.44155119002131, -0.217547322211296,
     -0.786115585818864, -1.62089822359839, 0.0119523335238405],
    [0.325584765003961, 0.194581121398144, 0.415367965367965, 0.0200100319022476, 0.0512101721696309,
     0.00690561845590876, 0.223017247572315, 0.00396157929781773],
)  # fmt: skip


@pytest.fixture
def effects():
    return m2.EffectSizes.from_arrays(YI, VI, moderators=MODERATORS)


def dense(yi, vi, x, code, scaled, tested, weights=None):
    """Statistics of DL or CE fits by k × k matrices: each t, and β′C⁻¹β."""

    def projection(w):
        return w - w @ x @ np.linalg.inv(x.T @ w @ x) @ x.T @ w

    k, p = x.shape
    first = projection(np.diag(1 / vi))
    tau2 = max(0, (yi @ first @ yi - (k - p)) / np.trace(first)) if code == "DL" else 0.0
    v = np.diag(vi + tau2)
    w = np.linalg.inv(v) if weights is None else np.diag(weights)
    loading = np.linalg.inv(x.T @ w @ x) @ x.T @ w
    covariance = loading @ v @ loading.T * (yi @ projection(np.linalg.inv(v)) @ yi / (k - p) if scaled else 1)
    beta = loading @ yi
    part = covariance[np.ix_(tested, tested)]
    return [*np.abs(beta / np.sqrt(np.diag(covariance)))[tested], beta[tested] @ np.linalg.solve(part, beta[tested])]


def shares(observed, arrangements):
    return np.mean(np.array(arrangements) >= np.array(observed) * (1 - 1e-7), axis=0)


def test_first_eight_bcg_trials():
    # metafor 5.1-12, permutest(rma(yi, vi, method = "DL"), exact = TRUE)
    table = permutation_test(m2.pool(*BCG8, tau2="DL", test="z"))
    assert table.loc[0].tolist() == ["intercept", pytest.approx(-3.4715723957), 0.015625, 0.0, True, 256, ""]


@pytest.mark.parametrize("test", ["z", "knapp_hartung"])
@pytest.mark.parametrize("code", ["CE", "DL"])
@pytest.mark.parametrize("formula", [None, "0 + dose", "0 + dose + late"])
def test_signs_by_dense_matrices(effects, formula, code, test):
    result = m2.pool(effects, tau2=code, test=test, moderators=formula)
    own = (VI, result.design.x, code, test == "knapp_hartung", list(range(len(result.terms))))
    loop = [dense(YI * signs, *own) for signs in itertools.product([1, -1], repeat=6)]
    table = permutation_test(result)
    assert table["p_value"].tolist() == shares(dense(YI, *own), loop).tolist()[: len(table)]
    assert table["term"].tolist() == (["intercept"] if formula is None else [*result.terms, "joint"])


@pytest.mark.parametrize("weights", [None, "w"])
@pytest.mark.parametrize("test", ["z", "knapp_hartung"])
@pytest.mark.parametrize("code", ["CE", "DL"])
@pytest.mark.parametrize(("formula", "count"), [("dose", 180), ("arm", 90), ("dose + late", 720)])
def test_moderators_by_dense_matrices(effects, formula, count, code, test, weights):
    result = m2.pool(effects, tau2=code, test=test, moderators=formula, weights=weights)
    x, w = result.design.x, MODERATORS["w"] if weights else None
    tested = list(range(1, len(result.terms)))
    # here the rows of the moderators move, and equal rows are told apart
    loop = [
        dense(YI, VI, x[list(order)], code, test == "knapp_hartung", tested, w)
        for order in itertools.permutations(range(6))
    ]
    table = permutation_test(result)
    expected = shares(dense(YI, VI, x, code, test == "knapp_hartung", tested, w), loop)
    np.testing.assert_allclose(table["p_value"], expected, rtol=1e-13)
    assert table["term"].tolist() == [*result.terms[1:], "joint"]
    assert (table["exact"].all(), table["permutations"].tolist()) == (True, [count] * len(table))
    shown = [*result.wald.statistic[1:], result.glance()["qm"].iloc[0]]
    np.testing.assert_allclose(table["statistic"], shown, rtol=1e-12)


def test_every_distinct_order_is_listed_once(effects):
    x = m2.pool(effects, moderators="arm").design.x
    scheme = RowOrders.of(x)
    own = m2.pool(effects, moderators="arm", tau2="CE").fitted
    fitted = scheme.listed(0, scheme.count, own)
    # which study meets which row of the design
    given = {tuple(sorted((y, *row) for y, row in zip(yi, x.tolist(), strict=True))) for yi in fitted.yi.tolist()}
    assert len(given) == scheme.count == 90
    np.testing.assert_array_equal(np.sort(fitted.yi, axis=-1), np.tile(np.sort(YI), (90, 1)))
    assert {pair for pair in zip(fitted.yi.ravel(), fitted.vi.ravel(), strict=True)} == set(zip(YI, VI, strict=True))


@pytest.mark.parametrize("formula", [None, "dose"])
def test_random_arrangements_agree_with_all_of_them(effects, formula):
    result = m2.pool(effects, moderators=formula)
    p = permutation_test(result)["p_value"].iloc[0]
    drawn = [permutation_test(result, permutations=50, seed=seed) for seed in range(60)]
    assert not any(table["exact"].any() for table in drawn)
    many = [table["p_value"].iloc[0] for table in drawn]
    assert np.mean(many) == pytest.approx((50 * p + 1) / 51, abs=4 * np.sqrt(p * (1 - p) / 3000))
    assert np.std(many) == pytest.approx(np.sqrt(p * (1 - p) / 50), rel=0.3)


def test_a_seed_fixes_the_draws_and_the_standard_error_is_theirs(effects):
    result = m2.pool(effects, moderators="dose + late")
    once, again = (permutation_test(result, permutations=200, seed=8) for _ in range(2))
    assert once.equals(again)
    p = once["p_value"]
    np.testing.assert_allclose(once["mc_se"], np.sqrt(p * (1 - p) / 201), rtol=1e-14)
    np.testing.assert_allclose(p * 201, np.round(p * 201), rtol=1e-12)
    assert not permutation_test(result, permutations=200, seed=9)["p_value"].equals(p)
    assert permutation_test(result, permutations=720)["exact"].all()


def test_p_values_are_uniform_under_the_hypothesis():
    rng = np.random.default_rng(2026)
    vi = np.array([0.05, 0.1, 0.2, 0.02, 0.4, 0.1, 0.07])
    p = [
        permutation_test(m2.pool(rng.normal(0, np.sqrt(vi + 0.1)), vi, tau2="DL"))["p_value"].iloc[0]
        for _ in range(300)
    ]
    # exact P values take each of the 64 multiples of 1/64 equally often
    counts = np.bincount(np.round(np.array(p) * 64).astype(int), minlength=65)[1:]
    assert stats.chisquare(counts.reshape(8, 8).sum(1)).pvalue > 0.01


# ------------------------------------------------------------------------------------- edges
def test_the_observed_arrangement_counts_itself_whatever_the_rounding():
    rng = np.random.default_rng(1)
    for _ in range(40):
        yi, vi = np.abs(rng.normal(5, 0.1, 6)) * 1e8, np.full(6, 1e13)  # all of one sign: the most extreme arrangement
        assert permutation_test(m2.pool(yi, vi))["p_value"].iloc[0] == 2 / 64


def test_equal_effects_have_the_smallest_p_value_and_zeros_the_largest():
    assert permutation_test(m2.pool([0.3] * 6, VI))["p_value"].iloc[0] == 2 / 64
    assert permutation_test(m2.pool([0.0] * 6, VI))["p_value"].iloc[0] == 1


def test_an_exact_regression_has_the_smallest_p_value():
    effects = m2.EffectSizes.from_arrays(0.5 * np.arange(6.0), VI, moderators={"dose": np.arange(6.0)})
    table = permutation_test(m2.pool(effects, moderators="dose"))
    assert table["p_value"].tolist() == [2 / 720, 2 / 720]


def test_few_studies_say_how_small_p_can_be():
    two = permutation_test(m2.pool([0.5, 0.7], [0.01, 0.01])).iloc[0]
    assert two["p_value"] == 0.5
    assert two["note"] == "there are only 4 arrangements, so P cannot be below 0.500"
    assert "below 0.062" in permutation_test(m2.pool(YI[:5], VI[:5]))["note"].iloc[0]
    with pytest.raises(ModelError, match="One study has the same statistic with either sign"):
        permutation_test(m2.pool([0.5], [0.01]))
    with pytest.raises(ModelError, match="0 permutations were asked for; give at least 1"):
        permutation_test(m2.pool(YI, VI), permutations=0)


@pytest.mark.parametrize("c", [1e-8, -1e8])
def test_scale_changes_nothing(effects, c):
    scaled = m2.EffectSizes.from_arrays(c * YI, c**2 * VI, moderators=MODERATORS)
    for formula in (None, "arm"):
        before, after = (permutation_test(m2.pool(e, moderators=formula)) for e in (effects, scaled))
        assert after["p_value"].tolist() == before["p_value"].tolist()


@pytest.mark.parametrize("test", list(TESTS))
def test_every_test_can_be_permuted(effects, test):
    table = permutation_test(m2.pool(effects, test=test, moderators="dose"))
    assert table["p_value"].between(1 / 180, 1).all()


def test_a_progress_bar_counts_the_fits(effects, capsys):
    permutation_test(m2.pool(effects), progress=True)
    assert "32/32" in capsys.readouterr().err
    permutation_test(m2.pool(effects))
    assert capsys.readouterr().err == ""
