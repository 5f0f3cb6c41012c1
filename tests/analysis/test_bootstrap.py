"""Bootstrap beside loops of refits, SciPy's own bootstrap, closed forms and printed intervals."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import metail2 as m2
from metail2.analysis.bootstrap import bootstrap
from metail2.errors import MetailWarning, ModelError, UnknownChoice

YI = np.array([0.41, -0.10, 0.62, 0.05, 0.33, 0.90, 0.15, 0.48])
VI = np.array([0.04, 0.09, 0.02, 0.15, 0.01, 0.30, 0.05, 0.02])
MODERATORS = {
    "dose": np.array([1.0, 2.0, 2.0, 5.0, 7.0, 7.0, 3.0, 4.0]),
    "arm": np.array(["a", "b", "b", "a", "c", "c", "a", "b"]),
    "w": np.arange(1.0, 9.0),
}
# log odds ratios of diuretics in pregnancy (Collins, Yusuf & Peto 1985), pre-eclampsia
PRE_ECLAMPSIA = [[14, 131, 14, 136], [21, 385, 17, 134], [14, 57, 24, 48], [6, 38, 18, 40], [12, 1011, 35, 760],
                 [138, 1370, 175, 1336], [15, 506, 20, 524], [6, 108, 2, 103], [65, 153, 40, 102]]  # fmt: skip


@pytest.fixture
def effects():
    return m2.EffectSizes.from_arrays(YI, VI, moderators=MODERATORS)


def quantities(result):
    estimates = result.wald.estimate.tolist()
    return estimates if result.spec.tau2 == "CE" else [*estimates, result.tau2, result.i2]


@pytest.mark.parametrize("formula", [None, "dose"])
@pytest.mark.parametrize(("code", "weights"), [("CE", None), ("DL", None), ("REML", None), ("PM", None), ("GENQ", "w")])
def test_replicates_by_a_loop_of_refits(effects, code, weights, formula):
    spec = {"tau2": code, "weights": weights, "moderators": formula}
    result = m2.pool(effects, **spec)
    noise = np.random.default_rng(5).standard_normal((4, 8))
    cases = np.random.default_rng(5).integers(8, size=(4, 8))
    spread = np.sqrt(VI + result.tau2)
    expected, resampled = [], []
    for z, case in zip(noise, cases, strict=True):
        yi = result.design.x @ result.wald.estimate + spread * z
        expected.append(quantities(m2.pool(m2.EffectSizes.from_arrays(yi, VI, moderators=MODERATORS), **spec)))
        again = {name: values[case] for name, values in MODERATORS.items()}
        resampled.append(quantities(m2.pool(m2.EffectSizes.from_arrays(YI[case], VI[case], moderators=again), **spec)))
    np.testing.assert_allclose(bootstrap(result, "parametric", 4, seed=5).draws, expected, rtol=1e-9, atol=1e-12)
    found = bootstrap(result, "case", 4, seed=5)
    np.testing.assert_allclose(found.draws, resampled, rtol=1e-9, atol=1e-12)
    assert found.draws.columns.tolist() == [*result.terms, *(() if code == "CE" else ("tau2", "i2"))]


def dersimonian_laird(yi, vi, axis=-1):
    """τ² by its closed formula."""
    w = 1 / vi
    mean = (w * yi).sum(axis) / w.sum(axis)
    df = yi.shape[axis] - 1
    q = (w * (yi - np.expand_dims(mean, axis)) ** 2).sum(axis)
    return np.maximum(0, (q - df) / (w.sum(axis) - (w**2).sum(axis) / w.sum(axis)))


@pytest.mark.parametrize("method", ["percentile", "basic", "BCa"])
def test_limits_by_scipy(effects, method):
    # SciPy draws the same cases from the same generator
    theirs = stats.bootstrap(
        (YI, VI), dersimonian_laird, paired=True, method=method, confidence_level=0.9, n_resamples=3000,
        rng=np.random.default_rng(3),
    )  # fmt: skip
    found = bootstrap(m2.pool(effects, tau2="DL"), "case", 3000, seed=3)
    assert found.degenerate == 0
    row = found.interval(0.9, method.lower()).set_index("quantity").loc["tau2"]
    limits = np.maximum(theirs.confidence_interval, 0)
    assert (row["ci_lower"], row["ci_upper"], row["se"]) == pytest.approx((*limits, theirs.standard_error), rel=1e-9)
    assert row["bias"] == pytest.approx(theirs.bootstrap_distribution.mean() - dersimonian_laird(YI, VI), rel=1e-9)
    assert row["note"] == ""


def test_a_common_effect_has_the_normal_interval(effects):
    result = m2.pool(effects, tau2="CE", test="z", level=0.9)
    row = bootstrap(result, replicates=40_000, seed=2).interval(0.9).iloc[0]
    error = result.se / np.sqrt(40_000)
    assert row["bias"] == pytest.approx(0, abs=3 * error)
    assert row["se"] == pytest.approx(result.se, abs=3 * error)
    assert (row["ci_lower"], row["ci_upper"]) == pytest.approx((result.ci_lower, result.ci_upper), abs=6 * error)


def test_intervals_of_viechtbauer_2007():
    columns = pd.DataFrame(dict(zip(("events1", "n1", "events2", "n2"), np.transpose(PRE_ECLAMPSIA), strict=True)))
    result = m2.pool(m2.effect_sizes(columns, "OR"), tau2="DL")
    assert result.tau2 == pytest.approx(0.2297, abs=5e-5)
    # printed from 1,000 random replicates: 0 to 0.7171 and 0.0218 to 0.5143
    limits = {kind: bootstrap(result, kind, 20_000, seed=12345).interval().iloc[1] for kind in ("parametric", "case")}
    assert limits["parametric"]["ci_lower"] == 0
    assert limits["parametric"]["ci_upper"] == pytest.approx(0.7171, abs=0.06)
    assert limits["case"]["ci_lower"] == pytest.approx(0.0218, abs=0.015)
    assert limits["case"]["ci_upper"] == pytest.approx(0.5143, abs=0.03)


def test_limits_stay_where_the_quantity_can_be(effects):
    table = bootstrap(m2.pool(effects), replicates=500, seed=1).interval(method="basic").set_index("quantity")
    assert table.loc["tau2", "ci_lower"] == 0
    assert table.loc["i2", "ci_upper"] <= 100
    assert (table["ci_lower"] <= table["ci_upper"]).all()


def test_a_seed_fixes_the_draws(effects):
    result = m2.pool(effects)
    draws = [bootstrap(result, "case", 50, seed=seed).draws for seed in (1, 1, 2)]
    assert draws[0].equals(draws[1])
    assert not draws[0].equals(draws[2])


def test_resamples_that_cannot_be_fitted_are_counted(effects):
    three = m2.pool(YI[:3], VI[:3])
    cases = np.random.default_rng(4).integers(3, size=(200, 3))
    same = int((cases == cases[:, :1]).all(1).sum())
    with pytest.warns(MetailWarning, match=f"^{same} of 200 resamples had too few distinct studies"):
        found = bootstrap(three, "case", 200, seed=4)
    assert (found.degenerate, len(found.draws)) == (same, 200 - same)
    result = m2.pool(effects, moderators="arm")
    cases = np.random.default_rng(4).integers(8, size=(300, 8))
    lost = sum(np.linalg.matrix_rank(result.design.x[case]) < 3 or len(set(case)) < 4 for case in cases)
    with pytest.warns(MetailWarning, match=f"^{lost} of 300 resamples"):
        assert bootstrap(result, "case", 300, seed=4).degenerate == lost


def test_a_generated_level_leaves_the_jackknife_without_an_answer():
    moderators = {"arm": ["a", "a", "b", "a", "a", "a"]}
    effects = m2.EffectSizes.from_arrays(YI[:6], VI[:6], list("uvwxyz"), moderators)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MetailWarning)
        found = bootstrap(m2.pool(effects, moderators="arm"), "case", 100, seed=1)
    with pytest.raises(ModelError, match="Without w the coefficients cannot be told apart, so BCa has no acceleration"):
        found.interval(method="bca")


def test_estimates_outside_their_replicates_have_no_bca_limits(effects):
    found = bootstrap(m2.pool(effects), "case", 2, seed=2)
    table = found.interval(method="bca")
    above = (found.draws > table["estimate"].to_numpy()).all()
    assert above.tolist() == [True, False, False]
    assert table["note"].tolist() == ["all replicates lie on one side of the estimate", "", ""]
    assert table[["ci_lower", "ci_upper"]].isna().all(axis=1).tolist() == [True, False, False]


def test_equal_effects():
    found = bootstrap(m2.pool([0.3] * 6, VI[:6]), "case", 50, seed=1)
    for method in ("percentile", "basic", "bca"):
        table = found.interval(method=method).set_index("quantity")
        assert table.loc["intercept", ["estimate", "se", "ci_lower", "ci_upper"]].tolist() == pytest.approx(
            [0.3, 0, 0.3, 0.3], abs=1e-15
        )
        assert table.loc["tau2", ["estimate", "bias", "ci_lower", "ci_upper"]].tolist() == [0, 0, 0, 0]


def test_missing_values_are_not_drawn():
    with pytest.warns(MetailWarning, match="study 2: left out"):
        result = m2.pool([0.1, np.nan, 0.4, 0.8, 0.3], [0.1] * 5)
    assert np.isfinite(bootstrap(result, "parametric", 20, seed=1).draws.to_numpy()).all()


def test_what_cannot_be_bootstrapped(effects):
    result = m2.pool(effects)
    with pytest.raises(UnknownChoice, match=r"Unknown kind of bootstrap 'cases'\. Did you mean 'case'"):
        bootstrap(result, "cases")
    with pytest.raises(UnknownChoice, match="Unknown bootstrap interval 'bc'"):
        bootstrap(result, replicates=20).interval(method="bc")
    with pytest.raises(ModelError, match="1 replicates were asked for; give a whole number of at least 2"):
        bootstrap(result, replicates=1)
    with pytest.raises(ModelError, match="BCa intervals are for kind='case'"):
        bootstrap(result, replicates=20).interval(method="bca")
    with pytest.raises(ModelError, match="confidence level is 95"):
        bootstrap(result, replicates=20).interval(95)
    with pytest.raises(ModelError, match="bootstrap compares studies, and study 1 is the only one"):
        bootstrap(m2.pool([0.5], [0.1]))
    with pytest.raises(ModelError, match=r"Every resample of the 2 studies .*\(intercept\) is the data themselves"):
        bootstrap(m2.pool([0.5, 0.1], [0.1, 0.1]), "case")
    assert len(bootstrap(m2.pool([0.5, 0.1], [0.1, 0.1]), replicates=30).draws) == 30


@pytest.mark.parametrize("c", [1e-8, 1e8])
@pytest.mark.parametrize("kind", ["parametric", "case"])
def test_scale(effects, kind, c):
    other = m2.EffectSizes.from_arrays(c * YI, c**2 * VI)
    before, after = (bootstrap(m2.pool(e), kind, 60, seed=6).draws for e in (effects, other))
    np.testing.assert_allclose(after / [c, c**2, 1], before, rtol=1e-11, atol=1e-13)


def test_a_progress_bar_counts_the_fits(effects, capsys):
    bootstrap(m2.pool(effects), replicates=50, progress=True)
    assert "50/50" in capsys.readouterr().err


def test_a_moderator_is_not_taken_for_a_variance():
    for name in ("tau2", "i2"):
        effects = m2.EffectSizes.from_arrays(YI, VI, moderators={name: MODERATORS["dose"] - 100})
        with pytest.raises(ModelError, match=rf"name of a quantity of the model \({name}\); rename its column"):
            bootstrap(m2.pool(effects, moderators=name), replicates=20)
        # a common effect has no such quantities; its slope may be negative
        table = bootstrap(m2.pool(effects, moderators=name, tau2="CE"), replicates=200, seed=1).interval()
        assert table["quantity"].tolist() == ["intercept", name]
        assert table["ci_lower"].iloc[1] < 0
        assert table["ci_upper"].iloc[0] > 0


def test_limits_of_coefficients_are_not_cut(effects):
    table = bootstrap(m2.pool(effects, moderators="dose"), replicates=300, seed=1).interval(0.9999, "basic")
    assert (table["ci_lower"] < 0).tolist() == [True, True, False, False]
    assert table["ci_lower"].tolist()[2:] == [0, 0]


def test_one_replicate_is_too_few():
    result = m2.pool([0.1, 0.5, 0.3], [0.1, 0.2, 0.1])
    distinct = [
        [len(set(case)) > 1 for case in np.random.default_rng(seed).integers(3, size=(2, 3))] for seed in range(40)
    ]
    seed = [sum(fits) for fits in distinct].index(1)
    with pytest.raises(ModelError, match="Of 2 resamples 1 can be fitted, and 2 are the least; take more"):
        bootstrap(result, "case", 2, seed=seed)
