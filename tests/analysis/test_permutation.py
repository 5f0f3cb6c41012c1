"""Permutation tests beside loops over dense matrices, closed forms and the pinned figure."""

import itertools
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

import metail2 as m2
from metail2.analysis.permutation import permutation_interval, permutation_test
from metail2.errors import ModelError
from metail2.kernels.coefficient_tests import TESTS
from metail2.kernels.permutation import RowOrders, SignFlips

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


# metafor 3.8, permutest(rma(yi, vi, mods = …), exact = TRUE) on the first seven BCG trials; its P of the intercept,
# which the hypothesis is not about, is left out here
@pytest.mark.parametrize(
    ("formula", "code", "test", "expected"),
    [
        ("ablat + year", "REML", "z", [0.187698412698, 0.489285714286, 0.369444444444]),
        ("ablat + year", "REML", "knapp_hartung", [0.204166666667, 0.495634920635, 0.378571428571]),
        ("ablat + year", "PM", "z", [0.174206349206, 0.481547619048, 0.365674603175]),
        ("alloc", "DL", "z", [0.047619047619, 0.047619047619]),
    ],
)
def test_moderators_of_seven_bcg_trials(formula, code, test, expected):
    yi, vi = (values[:7] for values in BCG8)
    moderators = {
        "ablat": [44, 55, 42, 52, 13, 44, 19],
        "year": [1948, 1949, 1960, 1977, 1973, 1953, 1973],
        "alloc": ["random"] * 4 + ["alternate"] * 2 + ["random"],
    }
    effects = m2.EffectSizes.from_arrays(yi, vi, moderators=moderators)
    table = permutation_test(m2.pool(effects, tau2=code, test=test, moderators=formula))
    assert table["p_value"].tolist() == pytest.approx(expected, abs=1e-12)


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


# ------------------------------------------------------------------------------------- intervals
def test_limits_of_a_common_effect_are_means_of_subsets():
    yi, vi = map(np.array, BCG8)
    w = 1 / vi
    signs = np.array(list(itertools.product([1, -1], repeat=8)))
    # the statistics of two arrangements cross where the mean of the studies with different signs is the mean tested
    crossings = np.sort([np.average(yi, weights=w * (row < 0)) for row in signs if (row < 0).any()])

    def p(mean):
        scores = np.abs(signs @ (w * (yi - mean)))
        return np.mean(scores >= scores[0] * (1 - 1e-9))

    between = (crossings[1:] + crossings[:-1]) / 2
    estimate = np.average(yi, weights=w)
    for level in (0.9, 0.95, 0.98):
        agrees = np.array([p(mean) > 1 - level for mean in between])
        lower = crossings[1:][~agrees & (between < estimate)].max()
        upper = crossings[:-1][~agrees & (between > estimate)].min()
        found = permutation_interval(m2.pool(yi, vi, tau2="CE", test="z"), level)
        assert (found.lower, found.upper) == pytest.approx((lower, upper), abs=1e-5 * w.sum() ** -0.5)
        assert (found.level, found.exact, found.permutations, found.note) == (level, True, 256, "")


def test_limits_of_seven_bcg_trials():
    found = permutation_interval(m2.pool(BCG8[0][:7], BCG8[1][:7], tau2="DL", test="z"))
    # metafor 3.8, permutest(rma(yi, vi, method = "DL"), exact = TRUE, permci = TRUE, control = list(tol = 1e-9))
    assert (found.lower, found.upper) == pytest.approx((-1.58538866553, -0.454150741463), abs=1e-6)


@pytest.mark.parametrize("code", ["DL", "REML"])
def test_the_interval_holds_the_means_that_are_not_rejected(code):
    yi, vi = map(np.array, BCG8)
    result = m2.pool(yi, vi, tau2=code)
    found = permutation_interval(result, 0.9)
    for limit, out in ((found.lower, -1), (found.upper, 1)):
        inside, outside = (
            permutation_test(m2.pool(yi - limit + side * 1e-5 * result.se, vi, tau2=code))["p_value"].iloc[0]
            for side in (out, -out)
        )
        assert outside <= 0.1 + 1e-12 < inside


def test_an_interval_from_random_arrangements_is_fixed_by_its_seed():
    result = m2.pool(*BCG8, tau2="DL")
    exact = permutation_interval(result)
    drawn = [permutation_interval(result, permutations=200, seed=seed) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert (drawn[0].exact, drawn[0].permutations) == (False, 200)
    assert drawn[0].lower == pytest.approx(exact.lower, abs=0.3 * result.se)
    assert permutation_interval(result, permutations=100).lower < result.estimate  # one seed for all means tested


def test_too_few_arrangements_exclude_nothing():
    found = permutation_interval(m2.pool(YI[:5], VI[:5]))
    assert (found.lower, found.upper) == (-np.inf, np.inf)
    assert found.note == "there are only 32 arrangements, so P cannot be below 0.062"
    assert np.isfinite(permutation_interval(m2.pool(YI[:5], VI[:5]), 0.9).lower)


@pytest.mark.parametrize(
    ("yi", "size", "seed", "drawn", "smallest"), [(YI[:5], 30, 1, 3, "0.129"), (YI, 25, 0, 2, "0.115")]
)
def test_random_arrangements_that_repeat_the_observed_one_too_often_exclude_nothing(yi, size, seed, drawn, smallest):
    result = m2.pool(yi, VI[: len(yi)])
    found = permutation_interval(result, permutations=size, seed=seed)
    assert (found.lower, found.upper) == (-np.inf, np.inf)
    assert found.note == (
        f"there are only {size} random arrangements, of which {drawn} repeat the observed one, "
        f"so P cannot be below {smallest}"
    )
    assert permutation_test(result, permutations=size, seed=seed)["note"].iloc[0] == found.note
    # no mean has a smaller P, and one far away has this
    far = m2.pool(yi + 1e9, VI[: len(yi)])
    assert permutation_test(far, permutations=size, seed=seed)["p_value"].iloc[0] == (drawn + 1) / (size + 1)


def test_a_note_counts_the_draws_of_its_p_value_without_a_seed():
    for _ in range(20):
        row = permutation_test(m2.pool(YI[:4] + 9, VI[:4]), permutations=10).iloc[0]  # all effects of one sign
        assert row["note"].endswith(f"so P cannot be below {row['p_value']:.3f}")


@pytest.mark.parametrize("scheme", [SignFlips(4), RowOrders(np.array([0, 1, 1, 2]))])
def test_repeats_are_the_draws_whose_statistics_are_the_observed_ones(scheme):
    own = m2.pool(YI[:4], VI[:4], tau2="CE").fitted
    drawn = scheme.drawn(300, np.random.default_rng(3), own).yi
    same = [YI[:4], -YI[:4]] if isinstance(scheme, SignFlips) else [YI[:4], YI[[0, 2, 1, 3]]]
    assert 0 < scheme.repeats(300, np.random.default_rng(3)) == sum((drawn == row).all(-1).sum() for row in same) < 300


@pytest.mark.parametrize("c", [1, 1e-30, -1e30])
def test_a_study_without_weight_leaves_ties_however_far_the_mean(c):
    yi, vi = c * np.array([0.2, 0.5, -0.1, 0.4, 0.3, 0.6]), c**2 * np.array([0.1] * 5 + [1e9])
    found = permutation_interval(m2.pool(yi, vi, tau2="CE", test="z"))
    assert (found.lower, found.upper) == (-np.inf, np.inf)
    assert found.note == (
        "P of a mean stays at 0.062 however far it is from all effects, as the signs of studies that have hardly any "
        "weight do not matter"
    )
    # of the 64 patterns the observed one and its mirror image, with either sign of the last study
    assert permutation_test(m2.pool(yi + c * 1e9, vi, tau2="CE", test="z"))["p_value"].iloc[0] == 4 / 64
    assert np.isfinite(permutation_interval(m2.pool(yi, vi, tau2="CE", test="z"), 0.9).lower)


def test_one_limit_can_be_infinite():
    # below the others the last study, far above them, has some say
    yi, vi = np.array([0.2, 0.5, -0.1, 0.4, 0.3, 1e3]), np.array([0.1] * 5 + [1e9])
    found = permutation_interval(m2.pool(yi, vi, tau2="CE", test="z"))
    assert (found.lower, found.upper) == (pytest.approx(-0.1, abs=1e-6), np.inf)
    assert found.note.startswith("P of a mean stays at 0.062")


@pytest.mark.parametrize("code", ["DL", "REML", "SJ", "PM"])
@pytest.mark.parametrize("c", [1, 1e-30, -1e30])
def test_a_limit_that_is_far_away_is_found(code, c):
    # τ² follows the distance between a study's changed sign and the others, once that exceeds its standard error
    yi, vi = np.array([0.2, 0.5, -0.1, 0.4, 0.3, 0.6]), np.array([0.1] * 5 + [1e9])
    found = permutation_interval(m2.pool(c * yi, c**2 * vi, tau2=code, test="z"))
    limits = sorted((found.lower / c, found.upper / c))
    for limit, out in zip(limits, (-1, 1), strict=True):
        inside, outside = (
            permutation_test(m2.pool(yi - limit - step * out * (1e-4 + 1e-9 * abs(limit)), vi, tau2=code, test="z"))
            for step in (-1, 1)
        )
        assert outside["p_value"].iloc[0] <= 0.05 < inside["p_value"].iloc[0]
    assert found.note == ""


def test_equal_effects_have_an_interval_of_no_length():
    found = permutation_interval(m2.pool([0.3] * 6, VI))
    assert (found.lower, found.upper) == pytest.approx((0.3, 0.3), abs=1e-6)


def test_an_interval_is_of_one_mean(effects):
    with pytest.raises(ModelError, match="permutation_interval is about one pooled effect; pool without moderators"):
        permutation_interval(m2.pool(effects, moderators="dose"))
    with pytest.raises(ModelError, match="confidence level is 95"):
        permutation_interval(m2.pool(effects), 95)


# ------------------------------------------------------------------------------------- edges
def test_the_observed_arrangement_counts_itself_whatever_the_rounding():
    rng = np.random.default_rng(1)
    for _ in range(40):
        yi, vi = np.abs(rng.normal(5, 0.1, 6)) * 1e8, np.full(6, 1e13)  # all of one sign: the most extreme arrangement
        assert permutation_test(m2.pool(yi, vi))["p_value"].iloc[0] == 2 / 64


def test_ties_are_those_of_exact_arithmetic():
    rng, noughts = np.random.default_rng(7), 0  # sums of 0
    for _ in range(80):
        yi, vi, dose = rng.integers(-2, 3, 5), rng.integers(1, 4, 5), rng.integers(0, 3, 5)
        dose[:2] = 0, 2
        effects = m2.EffectSizes.from_arrays(yi / 10, vi * 1.0, moderators={"dose": dose + 2000.0})
        terms = [Fraction(int(y), int(v)) for y, v in zip(yi, vi, strict=True)]
        sums = [
            abs(sum(s * t for s, t in zip(sign, terms, strict=True))) for sign in itertools.product([1, -1], repeat=5)
        ]
        found = permutation_test(m2.pool(effects, tau2="CE", test="z"))["p_value"].tolist()
        assert found == [np.mean([one >= sums[0] for one in sums])]
        noughts += sums[0] == 0
        # of studies of equal variance the slope is a multiple of this
        sums = [abs(5 * dose @ yi[list(o)] - dose.sum() * yi.sum()) for o in itertools.permutations(range(5))]
        equal = m2.EffectSizes.from_arrays(yi / 10, [0.3] * 5, moderators={"dose": dose + 2000.0})
        found = permutation_test(m2.pool(equal, tau2="CE", test="z", moderators="dose"))["p_value"]
        np.testing.assert_allclose(found, np.mean(np.array(sums) >= sums[0]), rtol=1e-14)
        noughts += sums[0] == 0
    assert noughts > 3


@pytest.mark.parametrize("test", ["z", "knapp_hartung"])
@pytest.mark.parametrize("code", ["CE", "REML"])
@pytest.mark.parametrize("c", [1, 1e-30, 1e30])
def test_a_mean_of_0_has_the_largest_p_value(c, code, test):
    for yi in ([-0.5, 0.5, -0.2, 0.2], [-0.3, 0.9, 0.7, -0.1, -1.2]):
        result = m2.pool(c * np.array(yi), np.full(len(yi), 0.1 * c**2), tau2=code, test=test)
        assert permutation_test(result)["p_value"].tolist() == [1]


@pytest.mark.parametrize("test", ["z", "knapp_hartung", "kenward_roger"])
@pytest.mark.parametrize("first", [1, 2001, 1_000_001])
@pytest.mark.parametrize("c", [1, 1e-30, 1e30])
def test_slopes_of_0_have_the_largest_p_value(test, first, c):
    yi, x = np.array([0.1, 0.7, 0.3, 0.3, 0.7, 0.1]), np.arange(6.0)
    moderators = {"x": x + first, "cube": (x - 2.5) ** 3}
    effects = m2.EffectSizes.from_arrays(c * yi, np.full(6, 0.1 * c**2), moderators=moderators)
    for formula in ("x", "x + cube"):
        assert (permutation_test(m2.pool(effects, moderators=formula, test=test))["p_value"] == 1).all()


def test_a_small_statistic_is_no_nought():
    # where the large effects cancel, the small ones leave 7.5e-9 in 8 of the 64 patterns and 6.5e-9 in 8
    result = m2.pool([1.0, -1.0, 2.0, -2.0, 7e-9, 0.5e-9], [0.1] * 6, tau2="CE", test="z")
    assert permutation_test(result)["p_value"].tolist() == [56 / 64]


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
    nine = permutation_test(m2.pool(YI, VI), permutations=9, seed=1)
    assert nine["note"].iloc[0] == "there are only 9 random arrangements, so P cannot be below 0.100"


@pytest.mark.parametrize("function", [permutation_test, permutation_interval])
def test_what_cannot_be_permuted(function):
    with pytest.raises(ModelError, match=f"{function.__name__} compares studies, and study 1 is the only one"):
        function(m2.pool([0.5], [0.01]))
    with pytest.raises(ModelError, match="0 permutations were asked for; give a whole number of at least 1"):
        function(m2.pool(YI, VI), permutations=0)
    with pytest.raises(ModelError, match=r"2\.5 permutations"):
        function(m2.pool(YI, VI), permutations=2.5)
    effects = m2.EffectSizes.from_arrays(YI, VI, moderators={"group": ["a", "a", "a", "b", "b", "b"]})
    with pytest.raises(ModelError, match="this is a SubgroupResult"):
        function(m2.pool(effects, subgroup="group"))


@pytest.mark.parametrize("c", [1e-8, -1e8])
def test_scale_changes_nothing(effects, c):
    scaled = m2.EffectSizes.from_arrays(c * YI, c**2 * VI, moderators=MODERATORS)
    for formula in (None, "arm"):
        before, after = (permutation_test(m2.pool(e, moderators=formula)) for e in (effects, scaled))
        assert after["p_value"].tolist() == before["p_value"].tolist()


@pytest.mark.parametrize("test", [test for test in TESTS if test != "iqwig"])  # which has no moderators
def test_every_test_can_be_permuted(effects, test):
    table = permutation_test(m2.pool(effects, test=test, moderators="dose"))
    assert table["p_value"].between(1 / 180, 1).all()


def test_a_progress_bar_counts_the_fits(effects, capsys):
    permutation_test(m2.pool(effects), progress=True)
    assert "32/32" in capsys.readouterr().err
    permutation_test(m2.pool(effects))
    assert capsys.readouterr().err == ""


def test_nought_over_nought_is_said_to_count_as_nought():
    effects = m2.EffectSizes.from_arrays([0.4] * 6, VI, moderators={"dose": np.arange(6.0)})
    table = permutation_test(m2.pool(effects, moderators="dose"))
    assert table["statistic"].tolist() == [0, 0]
    assert (table["note"] == "estimate and standard error are both 0, which counts as a statistic of 0").all()
    assert (permutation_test(m2.pool(YI, VI))["note"] == "").all()


def test_a_moderator_called_as_the_intercept(effects):
    result = m2.pool(effects, moderators="dose")
    with pytest.raises(ModelError, match="A moderator is called 'intercept', as the model's own; rename its column"):
        permutation_test(replace(result, terms=("intercept", "intercept")))


def test_the_joint_statistic_of_kenward_and_roger_is_not_scaled(effects):
    result = m2.pool(effects, test="kenward_roger", moderators="arm + late")
    beta, covariance = result.wald.estimate[1:], result.covariance[1:, 1:]
    joint = permutation_test(result, permutations=2, seed=1)["statistic"].iloc[-1]
    assert joint == pytest.approx(beta @ np.linalg.solve(covariance, beta) / 3, rel=1e-10)
    assert joint != pytest.approx(result.glance()["qm"][0], rel=1e-4)
