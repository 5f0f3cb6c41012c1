"""MixedCounts with moderators: other software, logistic regression, invariance, and what is refused."""

import math

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats

from metail2.errors import MetailWarning, ModelError
from metail2.models.mixed_counts import LIKELIHOODS, MixedCounts

PAIRS = [("OR", model) for model in LIKELIHOODS["OR"]]


@pytest.fixture
def bcg(bcg_frame):
    return bcg_frame


def table(result):
    return result.tidy().set_index("term")[["estimate", "se"]]


@pytest.mark.parametrize(
    ("model", "estimate", "se", "tau2", "wald", "lrt", "qm"),
    [
        ("UM.FS", [0.398859, -0.0333291], [0.0822144, 0.00278536], 0, 25.09542, 25.01385, 143.1809),
        ("CM.AL", [0.292970, -0.0299316], [0.1868365, 0.00536126], 0.031868, 29.89462, 30.01339, 31.16932),
    ],
)
def test_metafor_3_8_on_bcg_by_latitude(bcg, model, estimate, se, tau2, wald, lrt, qm):
    """Run by hand: rma.glmm(measure = "OR", …, mods = ~ ablat, data = dat.bcg); six or seven digits."""
    result = MixedCounts("OR", model, moderators="ablat").fit(bcg)
    glance = result.glance().iloc[0]
    assert table(result)["estimate"].tolist() == pytest.approx(estimate, rel=2e-5)
    assert table(result)["se"].tolist() == pytest.approx(se, rel=2e-5)
    assert result.tau2 == pytest.approx(tau2, rel=1e-4)
    assert [glance["q_wald"], glance["q_lrt"], glance["qm"]] == pytest.approx([wald, lrt, qm], rel=1e-5)
    assert (glance["p"], glance["q_df"], glance["qm_df"]) == (2, 11, 1)
    assert glance["qm_p"] == pytest.approx(stats.chi2.sf(glance["qm"], 1))


def test_metafor_3_8_on_proportions_by_latitude(bcg):
    """Run by hand: rma.glmm(measure = "PLO", xi = tpos, ni = tpos + tneg, mods = ~ ablat, data = dat.bcg)."""
    single = bcg.rename(columns={"events1": "events", "n1": "n"})
    result = MixedCounts("PLO", moderators="ablat").fit(single)
    assert table(result)["estimate"].tolist() == pytest.approx([-6.208623, 0.03862945], rel=2e-5)
    assert table(result)["se"].tolist() == pytest.approx([0.760567, 0.02125159], rel=2e-5)
    assert [result.tau2, result.q] == pytest.approx([1.055104, 854.4878], rel=5e-5)


def test_a_common_regression_is_logistic_regression_with_interactions(bcg):
    result = MixedCounts("OR", "UM.FS", tau2="CE", moderators="ablat + C(alloc)").fit(bcg)
    x = np.repeat(result.design.x, 2, axis=0) * np.tile([0.5, -0.5], 13)[:, None]
    design = np.column_stack([x, np.repeat(np.eye(13), 2, axis=0)])
    events, n = (bcg[[f"{name}1", f"{name}2"]].to_numpy(float).reshape(-1) for name in ("events", "n"))
    glm = sm.GLM(np.column_stack([events, n - events]), design, family=sm.families.Binomial()).fit(tol=1e-13)
    assert table(result)["estimate"].tolist() == pytest.approx(glm.params[:4].tolist(), rel=1e-7)
    np.testing.assert_allclose(result.covariance, glm.cov_params()[:4, :4], rtol=1e-6)
    assert result.glance()["log_likelihood"].iloc[0] == pytest.approx(glm.llf, rel=1e-10)


@pytest.mark.parametrize(("measure", "model"), PAIRS)
def test_the_origin_and_unit_of_a_moderator(bcg, measure, model):
    """Centred and in tens: the slope is ten times as large; τ² and predictions stay."""
    one = MixedCounts(measure, model, moderators="ablat").fit(bcg)
    other = MixedCounts(measure, model, moderators="tens").fit(bcg.assign(tens=(bcg["ablat"] - 33) / 10))
    assert table(other)["estimate"].iloc[1] == pytest.approx(10 * table(one)["estimate"].iloc[1], rel=1e-8)
    assert [other.tau2, other.q] == pytest.approx([one.tau2, one.q], rel=1e-7)
    mean = one.predict(pd.DataFrame({"ablat": [33]})).iloc[0]
    assert table(other).iloc[0].tolist() == pytest.approx([mean["estimate"], mean["se"]], rel=1e-8)


EVERY = [(measure, model) for measure in LIKELIHOODS for model in LIKELIHOODS[measure]]


def as_counts(bcg, measure):
    """The same counts for any measure, patients being also person-time."""
    names = {
        "IRR": {"n1": "time1", "n2": "time2"}, "PLO": {"events1": "events", "n1": "n"},
        "IRLN": {"events1": "events", "n1": "time"},
    }  # fmt: skip
    single = ["events2", "n2"] if measure in ("PLO", "IRLN") else []
    return bcg.drop(columns=single).rename(columns=names.get(measure, {}))


@pytest.mark.parametrize(("measure", "model"), EVERY)
def test_no_unit_and_no_origin_of_a_moderator_is_too_far(bcg, measure, model):
    """With x′ = c(x + d): coefficients, covariance and all that does not depend on them."""
    frame = as_counts(bcg, measure)
    one = MixedCounts(measure, model, moderators="ablat").fit(frame)
    row = one.glance().iloc[0]
    same = ["log_likelihood", "tau2", "q", "q_wald", "qm"]
    for c, d in ((1e-8, 0), (1e6, -33), (1e8, 1000)):
        other = MixedCounts(measure, model, moderators="x").fit(frame.assign(x=c * (frame["ablat"] + d)))
        back, glance = np.array([[1, c * d], [0, c]]), other.glance().iloc[0]
        np.testing.assert_allclose(back @ other.wald.estimate, one.wald.estimate, rtol=1e-9)
        np.testing.assert_allclose(back @ other.covariance @ back.T, one.covariance, rtol=1e-9)
        np.testing.assert_allclose(glance[same].astype(float), row[same].astype(float), rtol=1e-9)
        np.testing.assert_allclose(other.studies()["fitted"], one.studies()["fitted"], rtol=1e-9)
        assert glance["gradient"] < 1e-9


def test_a_fit_that_has_not_arrived_is_never_ok(bcg, monkeypatch):
    monkeypatch.setattr("metail2.kernels.count_optimum.MAX_STEPS", 2)
    result = MixedCounts(moderators="ablat").fit(bcg)
    assert result.status == "undefined"
    assert "the maximum of the likelihood was not found: the last step was still" in result.reason
    assert np.isnan(table(result)).to_numpy().all()


def test_a_moderator_whose_slope_rests_on_less_than_rounding():
    """The three studies at 10⁸ expect no event at a slope below 0, and the others differ by 10⁻⁸ of that."""
    frame = pd.DataFrame({
        "events": [0, 4, 0, 9, 0, 8, 0, 0], "n": [11, 70, 50, 68, 11, 69, 67, 13],
        "x": [1e8, 5, 5, 0, 0, 0, 1e8, 1e8],
    })  # fmt: skip
    result = MixedCounts("PLO", moderators="x").fit(frame)
    assert result.status == "undefined"
    assert np.isnan(table(result)).to_numpy().all()
    assert result.reason


@pytest.mark.parametrize(("measure", "model"), PAIRS)
def test_the_intercept_alone_is_no_moderator(bcg, measure, model):
    one, other = MixedCounts(measure, model).fit(bcg), MixedCounts(measure, model, moderators="1").fit(bcg)
    assert one.tidy().equals(other.tidy())
    assert one.glance().equals(other.glance())


def test_predictions(bcg):
    result = MixedCounts("OR", "CM.EL", moderators="ablat").fit(bcg)
    found = result.predict(pd.DataFrame({"ablat": [13.0, 42.0]}))
    x = np.array([[1, 13], [1, 42]])
    np.testing.assert_allclose(found["estimate"], x @ result.wald.estimate, rtol=1e-12)
    np.testing.assert_allclose(found["se"] ** 2, np.diagonal(x @ result.covariance @ x.T), rtol=1e-10)
    half = stats.t.ppf(0.975, 11) * np.sqrt(found["se"] ** 2 + result.tau2)
    np.testing.assert_allclose(found["pi_upper"], found["estimate"] + half, rtol=1e-10)
    studies = result.studies()
    np.testing.assert_allclose(studies["fitted"], result.predict()["estimate"], rtol=1e-12)
    assert studies["weight"].sum() == pytest.approx(100)


def test_r2_compares_with_the_model_without_moderators(bcg):
    result = MixedCounts("OR", "CM.AL", moderators="ablat").fit(bcg)
    total = MixedCounts("OR", "CM.AL").fit(bcg).tau2
    assert result.glance()["r2"].iloc[0] == pytest.approx(100 * (1 - result.tau2 / total))
    bare = MixedCounts("OR", "CM.AL", moderators="0 + ablat").fit(bcg)
    assert math.isnan(bare.glance()["r2"].iloc[0])
    assert "R² needs an intercept" in bare.glance()["status_reason"].iloc[0]
    assert bare.studies()["weight"].isna().all()


def test_missing_moderators_are_left_out_by_name(bcg):
    frame = bcg.assign(study=[f"trial {i}" for i in range(13)])
    frame.loc[4, "ablat"] = np.nan
    with pytest.warns(MetailWarning, match="trial 4 lacks a moderator and is left out of the fit"):
        result = MixedCounts(moderators="ablat").fit(frame)
    assert result.studies()["state"].tolist()[4] == "missing_moderator"
    whole = MixedCounts(moderators="ablat").fit(frame.drop(index=4))
    assert table(result)["estimate"].tolist() == pytest.approx(table(whole)["estimate"].tolist(), rel=1e-10)


def test_moderators_that_separate_the_events():
    """Dose 0: no event in the first arm of any study; no finite difference between the doses fits best."""
    frame = pd.DataFrame({
        "events1": [0, 0, 4, 6], "n1": [30, 40, 50, 60], "events2": [3, 5, 5, 4], "n2": [30, 40, 50, 60],
        "dose": [0.0, 0, 1, 1],
    })  # fmt: skip
    for model in LIKELIHOODS["OR"]:
        result = MixedCounts("OR", model, moderators="dose").fit(frame)
        glance = result.glance().iloc[0]
        if model == "UM.RS":  # its common level, held by the second arms, holds the first arms, too
            assert glance["status"] == "ok"
            continue
        assert glance["status"] == "undefined"
        assert glance["status_reason"].startswith("a coefficient is infinite, because the moderators separate")
        assert np.isnan(table(result)).to_numpy().all()


def test_regressions_that_are_refused(bcg):
    with pytest.raises(ModelError, match="cannot support 2 coefficients"):
        MixedCounts(moderators="ablat").fit(bcg.iloc[:2])
    with pytest.raises(ModelError, match="collinear"):
        MixedCounts(moderators="ablat + twice").fit(bcg.assign(twice=2 * bcg["ablat"]))
    with pytest.raises(ModelError, match="which is no column"):
        MixedCounts(moderators="dose").fit(bcg)
    with pytest.raises(ModelError, match="has no single pooled effect"):
        _ = MixedCounts(moderators="ablat").fit(bcg).estimate
