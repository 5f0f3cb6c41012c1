"""The profile likelihood of τ², its peaks and its flag."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import chi2

import metail2 as m2
from metail2.analysis.profile import FLAGS, SPIKE, profile_tau2
from metail2.errors import ModelError

TWO_PEAKS = ([0.41, 0.29, -0.06, -0.11], [0.13, 0.00028, 0.16, 0.0092])
SPIKED = ([-0.07, -0.47, 0.05, 2.2], [0.0013, 0.16, 0.00055, 0.61])


@pytest.fixture
def bcg():
    frame = m2.load_dataset("bcg").rename(columns={"tpos": "events1", "tn": "n1", "cpos": "events2", "cn": "n2"})
    return m2.effect_sizes(frame, "RR", study="author")


def height(tau2, yi, vi, restricted):
    """Log-likelihood of a mean with all constants, written out."""
    total = np.asarray(vi) + tau2
    w = 1 / total
    mean = (w * yi).sum() / w.sum()
    value = -0.5 * (len(yi) * np.log(2 * np.pi) + np.log(total).sum() + (w * (np.asarray(yi) - mean) ** 2).sum())
    return value + (0.5 * np.log(2 * np.pi * len(yi) / w.sum()) if restricted else 0)


# ------------------------------------------------------------------------------------- the curve
@pytest.mark.parametrize("code", ["REML", "ML"])
def test_curve(bcg, code):
    found = profile_tau2(m2.pool(bcg, tau2=code))
    tau2, below = found.curve["tau2"].to_numpy(), found.curve["below"].to_numpy()
    assert tau2[0] == 0
    assert (np.diff(tau2) > 0).all()
    assert tau2[-1] > found.confidence_set[-1][1]
    assert 200 <= len(tau2) <= 205
    exact = [height(t, bcg.yi, bcg.vi, code == "REML") for t in tau2]
    np.testing.assert_allclose(found.curve["log_likelihood"], exact, rtol=1e-12)
    assert below.min() == 0
    assert found.likelihood == ("restricted" if code == "REML" else "ordinary")
    ends = np.isin(tau2, found.confidence_set[0])
    np.testing.assert_allclose(below[ends], 0.5 * chi2.ppf(0.95, 1), rtol=1e-9)


@pytest.mark.parametrize("data", [TWO_PEAKS, SPIKED])
def test_straight_lines_follow_the_curve(data):
    """The points lie where the curve bends, also beside a narrow peak; as many evenly spaced ones would miss it."""
    found = profile_tau2(m2.pool(*data), points=300)

    def largest_error(tau2):
        heights = np.array([height(t, *data, True) for t in tau2])
        middle = np.array([height(t, *data, True) for t in 0.5 * (tau2[1:] + tau2[:-1])])
        return np.abs(middle - 0.5 * (heights[1:] + heights[:-1])).max()

    own = found.curve["tau2"].to_numpy()
    assert largest_error(own) < 0.01
    assert largest_error(np.linspace(0, own[-1], len(own))) > 0.1


def test_coefficients_along_the_curve(bcg):
    result = m2.pool(bcg, moderators="ablat", test="knapp_hartung")
    found = profile_tau2(result, points=20)
    own = found.coefficients[np.isclose(found.coefficients["tau2"], result.tau2, rtol=1e-12, atol=0)]
    assert own["term"].tolist() == ["intercept", "ablat"]
    np.testing.assert_allclose(own[["estimate", "se"]], result.tidy()[["estimate", "se"]], rtol=1e-9)
    common = m2.pool(bcg, moderators="ablat", tau2="CE", test="knapp_hartung").tidy()
    np.testing.assert_allclose(
        found.coefficients.loc[[0, 1], ["estimate", "se"]], common[["estimate", "se"]], rtol=1e-10
    )


@pytest.mark.parametrize("test", ["z", "knapp_hartung", "kenward_roger"])
def test_fit_at_the_highest_peak_is_the_result(bcg, test):
    result = m2.pool(bcg, test=test, level=0.9)
    fits = profile_tau2(result, level=0.9).fits
    columns = ["estimate", "se", "ci_lower", "ci_upper"]
    np.testing.assert_allclose(fits[columns], result.tidy()[columns], rtol=1e-9)
    assert fits.loc[0, "tau2"] == pytest.approx(result.tau2, rel=1e-12)
    assert fits.loc[0, "log_likelihood"] == pytest.approx(result.glance().loc[0, "log_likelihood"], rel=1e-12)


def test_weights_of_the_user(bcg):
    result = m2.pool(bcg, weights=np.ones(13))
    fits = profile_tau2(result).fits
    assert fits.loc[0, "estimate"] == pytest.approx(bcg.yi.mean(), rel=1e-12)
    assert fits.loc[0, "se"] == pytest.approx(result.tidy().loc[0, "se"], rel=1e-9)


# ------------------------------------------------------------------------------------- flags
def test_regular(bcg):
    found = profile_tau2(m2.pool(bcg))
    assert found.flag == "regular"
    assert len(found.fits) == 1
    assert found.sentence == "The restricted likelihood is highest at τ² = 0.313 (95 % set: 0.115 to 0.965)."


def test_two_peaks():
    found = profile_tau2(m2.pool(*TWO_PEAKS, tau2="ML", test="z"))
    assert found.flag == "two_peaks"
    assert found.fits["tau2"].tolist() == pytest.approx([0.0297433, 0], rel=1e-5)
    assert found.fits["below"].tolist() == pytest.approx([0, 4.10935], rel=1e-5)
    common = m2.pool(*TWO_PEAKS, tau2="CE", test="z").tidy()
    assert found.fits.loc[1, ["estimate", "se", "ci_lower", "ci_upper"]].tolist() == pytest.approx(
        common.loc[0, ["estimate", "se", "ci_lower", "ci_upper"]].tolist(), rel=1e-12
    )
    assert found.sentence == (
        "The ordinary likelihood is highest at τ² = 0.0297 (95 % set: 0.00359 to 0.308); outside the set it also peaks "
        "at τ² = 0 (4.11 log units lower), where a search may stop."
    )


def test_spike():
    found = profile_tau2(m2.pool(*SPIKED, test="z"))
    assert found.flag == "spike"
    assert found.fits["tau2"].tolist() == pytest.approx([0.00682173, 0.4748187], rel=1e-5)
    assert found.fits["estimate"].tolist() == pytest.approx([-0.00408, 0.18591], abs=1e-5)
    assert found.sentence == (
        "The restricted likelihood is highest at τ² = 0.00682 (95 % set: 0.000149 to 6.03), but that peak is a mere "
        "spike, which stands for 16 % of the likelihood over τ; the smallest variance is that of study 3; it also "
        "peaks at τ² = 0.475 (0.47 log units lower): read both fits."
    )


def test_a_spike_at_zero():
    """A variance far below the others: the likelihood falls as 1/τ, up to a τ ten thousand times as large."""
    vi = [1e-8, 1, 1, 1, 1, 1]
    found = profile_tau2(m2.pool([0.1, -0.4, 1.3, -0.2, 0.8, 0.3], vi, tau2="ML"))
    assert found.flag == "spike"
    assert found.fits["tau2"].tolist() == [0]
    assert 0.05 < found.share < 0.2
    assert "(95 % set: 0 to 4.56e−07), but that peak is a mere spike" in found.sentence
    assert found.sentence.endswith("the smallest variance is that of study 1.")


def test_a_set_in_two_pieces():
    found = profile_tau2(m2.pool(*SPIKED), level=0.68)
    assert len(found.confidence_set) == 2
    assert "(68 % set: 0.00142 to 0.135 and 0.244 to 0.716)" in found.sentence


def test_flat():
    found = profile_tau2(m2.pool([0.1, 0.9], [0.1, 0.2]))
    assert found.flag == "flat"
    assert found.sentence == (
        "The restricted likelihood is highest at τ² = 0.170 (95 % set: 0 to 40.06), but hardly tells values of τ² "
        "apart: the set reaches from I² = 0 % to 100 %."
    )


@pytest.mark.parametrize("data", [SPIKED, TWO_PEAKS, ([0.2, 0.5, 0.3], [0.1, 0.2, 0.3])])
def test_share_by_adaptive_integration(data):
    """Curvature at the peak by differences in τ, the integral by adaptive quadrature."""
    yi, vi = data
    found = profile_tau2(m2.pool(yi, vi))
    peak, last = np.sqrt(found.fits.loc[0, "tau2"]), np.sqrt(max(found.confidence_set[-1][1], np.median(vi)))
    best = height(peak**2, yi, vi, True)
    whole, _ = quad(lambda t: np.exp(height(t * t, yi, vi, True) - best), 0, last, points=[peak, 2 * peak], limit=500)
    h = 1e-4 * last if peak == 0 else 1e-3 * peak
    curvature = (2 * best - height((peak + h) ** 2, yi, vi, True) - height((peak - h) ** 2, yi, vi, True)) / h**2
    normal = np.sqrt(2 * np.pi / curvature) * (0.5 if peak == 0 else 1)
    assert found.share == pytest.approx(min(1, normal / whole), rel=2e-3)


def test_regular_profiles_are_no_spikes():
    rng = np.random.default_rng(7)
    smallest = 1.0
    for _ in range(60):
        k = int(rng.integers(2, 12))
        vi = np.exp(rng.uniform(-1, 1, k))
        found = profile_tau2(m2.pool(rng.normal(0, np.sqrt(vi + rng.choice([0, 0.3, 3]))), vi), points=10)
        assert found.flag in {"regular", "flat"}
        smallest = min(smallest, found.share)
    assert SPIKE + 0.05 < smallest < 0.6


def test_units_do_not_matter():
    yi, vi = map(np.array, SPIKED)
    one = profile_tau2(m2.pool(yi, vi))
    for c in (1e-8, 1e8):
        other = profile_tau2(m2.pool(c * yi, c * c * vi))
        assert (other.flag, len(other.curve)) == (one.flag, len(one.curve))
        assert other.share == pytest.approx(one.share, rel=1e-10)
        np.testing.assert_allclose(other.curve["tau2"], c * c * one.curve["tau2"], rtol=1e-10)


# ------------------------------------------------------------------------------------- other estimators, edges
def test_other_estimators_have_the_restricted_likelihood_profiled(bcg):
    found = profile_tau2(m2.pool(bcg, tau2="DL"))
    assert found.likelihood == "restricted"
    assert found.sentence.endswith("; the fit itself has τ² = 0.309 (DL, which maximises no likelihood).")
    assert found.fits.loc[0, "tau2"] == pytest.approx(0.3132432581, rel=1e-9)


@pytest.mark.parametrize(("yi", "vi"), [([0.3, 0.3], [0.1, 0.4]), ([0.3] * 5, [1e-4, 1, 1, 1, 1])])
def test_equal_effects(yi, vi):
    found = profile_tau2(m2.pool(yi, vi, test="z"))
    assert found.fits["tau2"].tolist() == [0]
    assert found.flag in FLAGS
    assert np.isfinite(found.curve.to_numpy()).all()


def test_one_study_and_bad_arguments(bcg):
    with pytest.raises(ModelError, match="profile_tau2 compares studies, and A is the only one in the fit"):
        profile_tau2(m2.pool(m2.EffectSizes.from_arrays([0.1], [0.2], ["A"])))
    with pytest.raises(ModelError, match="3 points were asked for; give a whole number of at least 10"):
        profile_tau2(m2.pool(bcg), points=3)
    with pytest.raises(ModelError, match=r"20\.5 points were asked for"):
        profile_tau2(m2.pool(bcg), points=20.5)
    with pytest.raises(ModelError, match="The confidence level is 95"):
        profile_tau2(m2.pool(bcg), level=95)
    with pytest.raises(ModelError, match="profile_tau2 reads a result of pool"):
        profile_tau2(m2.Peto().fit(bcg.frame))
