"""Q–Q envelopes beside closed forms and their coverage."""

import numpy as np
import pytest
from scipy import stats

import metail2 as m2
from metail2.analysis.qq import qq_envelope
from metail2.analysis.residuals import residuals
from metail2.errors import ModelError

RNG = np.random.default_rng(41)
EFFECTS = m2.EffectSizes.from_arrays(
    RNG.normal(size=9), RNG.uniform(0.1, 0.5, 9), moderators={"x": RNG.normal(size=9), "w": RNG.uniform(1, 2, 9)}
)


@pytest.mark.parametrize("moderators", [None, "x"])
@pytest.mark.parametrize("weights", [None, "w"])
def test_coordinates(moderators, weights):
    result = m2.pool(EFFECTS, moderators=moderators, weights=weights)
    table = qq_envelope(result, replicates=200, seed=1)
    assert list(table) == ["study", "theoretical", "residual", "lower", "upper"]
    own = residuals(result).set_index("study")["standardized"].sort_values()
    assert table["study"].tolist() == own.index.tolist()
    np.testing.assert_array_equal(table["residual"], own)
    np.testing.assert_allclose(table["theoretical"], stats.norm.ppf((np.arange(1, 10) - 0.375) / 9.25), rtol=1e-12)
    assert (table["lower"] < table["upper"]).all()
    assert (np.diff(table["lower"]) > 0).all()


def test_two_studies_have_a_half_normal_residual():
    """The residuals of a common effect are ±|z|, so the limits are quantiles of |z|."""
    result = m2.pool([0.1, 0.5], [0.1, 0.3], tau2="CE", test="z")
    table = qq_envelope(result, replicates=20_000, seed=2, level=0.9)
    lower, upper = stats.halfnorm.ppf([0.05, 0.95])
    assert table["residual"].tolist() == pytest.approx([-0.4 / np.sqrt(0.4), 0.4 / np.sqrt(0.4)])
    assert table["lower"].tolist() == pytest.approx([-upper, lower], abs=0.04)
    assert table["upper"].tolist() == pytest.approx([-lower, upper], abs=0.04)


@pytest.mark.parametrize("tau2", ["CE", "REML"])
def test_a_simultaneous_envelope_holds_the_stated_share_of_data_sets(tau2):
    result = m2.pool(EFFECTS, tau2=tau2, test="z")
    table = qq_envelope(result, replicates=4000, seed=3, level=0.9, simultaneous=True)
    rng, spread = np.random.default_rng(4), np.sqrt(EFFECTS.vi + result.tau2)
    inside = []
    for _ in range(400):
        again = residuals(m2.pool(rng.normal(result.estimate, spread), EFFECTS.vi, tau2=tau2, test="z"))
        z = np.sort(again["standardized"])
        inside.append((z >= table["lower"]).all() and (z <= table["upper"]).all())
    assert np.mean(inside) == pytest.approx(0.9, abs=4 * np.sqrt(0.09 / 400))
    pointwise = qq_envelope(result, replicates=4000, seed=3, level=0.9)
    assert (table["lower"] < pointwise["lower"]).all()
    assert (table["upper"] > pointwise["upper"]).all()


def test_the_same_seed_gives_the_same_envelope():
    result = m2.pool(EFFECTS)
    first = qq_envelope(result, replicates=100, seed=5)
    assert first.equals(qq_envelope(result, replicates=100, seed=5))
    assert not first.equals(qq_envelope(result, replicates=100, seed=6))


def test_the_level_is_that_of_the_result():
    wide, narrow = (qq_envelope(m2.pool(EFFECTS, level=level), replicates=500, seed=5) for level in (0.95, 0.5))
    assert (wide["upper"] > narrow["upper"]).all()


def test_scale_does_not_matter():
    base = qq_envelope(m2.pool(EFFECTS.yi, EFFECTS.vi), replicates=100, seed=1)
    scaled = qq_envelope(m2.pool(1e8 * EFFECTS.yi, 1e16 * EFFECTS.vi), replicates=100, seed=1)
    np.testing.assert_allclose(scaled[["residual", "lower", "upper"]], base[["residual", "lower", "upper"]], rtol=1e-9)


def test_a_study_without_a_residual_does_not_appear():
    effects = EFFECTS.assign(new=[0.0] * 8 + [1.0])
    table = qq_envelope(m2.pool(effects, moderators="new"), replicates=100, seed=1)
    assert len(table) == 8
    assert "study 9" not in set(table["study"])


def test_a_progress_bar_on_request(capsys):
    qq_envelope(m2.pool(EFFECTS), replicates=100, seed=1, progress=True)
    assert "100/100" in capsys.readouterr().err


def test_what_cannot_be_simulated_is_refused():
    with pytest.raises(ModelError, match=r"An envelope of 95 % needs at least 40 replicates, not 39\."):
        qq_envelope(m2.pool(EFFECTS), replicates=39)
    assert len(qq_envelope(m2.pool(EFFECTS), replicates=40, seed=1)) == 9
    with pytest.raises(ModelError, match="confidence level"):
        qq_envelope(m2.pool(EFFECTS), level=95)
    with pytest.raises(ModelError, match="qq_envelope compares studies"):
        qq_envelope(m2.pool([0.3], [0.1]))
