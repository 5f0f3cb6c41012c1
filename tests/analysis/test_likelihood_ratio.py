"""Likelihood-ratio tests beside a direct maximisation, metafor's figures and the distribution under the hypothesis."""

import numpy as np
import pytest
from scipy import optimize, stats

import metail2 as m2
from metail2.analysis.likelihood_ratio import likelihood_ratio
from metail2.errors import ModelError


@pytest.fixture
def bcg():
    frame = m2.load_dataset("bcg").rename(columns={"tpos": "events1", "tn": "n1", "cpos": "events2", "cn": "n2"})
    return m2.effect_sizes(frame, "RR", study="author")


def highest(effects, x):
    """Maximal log-likelihood by a general optimiser over the coefficients' profile, from a density of SciPy's."""

    def minus(log_tau):
        v = effects.vi + np.exp(2 * log_tau)
        beta = np.linalg.solve(x.T / v @ x, x.T / v @ effects.yi)
        return -stats.norm.logpdf(effects.yi, x @ beta, np.sqrt(v)).sum()

    return -optimize.minimize_scalar(minus, bounds=(-6, 3), method="bounded", options={"xatol": 1e-9}).fun


# metafor 3.8, anova(full, reduced) with method = "ML", threshold 1e-12
@pytest.mark.parametrize(
    ("full", "reduced", "statistic", "p_value"),
    [
        ("ablat + alloc", "alloc", 9.32935157705282, 0.00225512139677),
        ("ablat", None, 9.95882163972536, 0.00160080481067),
    ],
)
@pytest.mark.parametrize("code", ["ML", "REML", "DL"])
def test_moderators(bcg, full, reduced, statistic, p_value, code):
    models = [m2.pool(bcg, moderators=formula, tau2=code) for formula in (full, reduced)]
    found = likelihood_ratio(*models)
    assert (found.statistic, found.df, found.p_value) == pytest.approx((statistic, 1, p_value), rel=1e-11)
    assert found.statistic == pytest.approx(
        2 * np.subtract(*(highest(bcg, model.design.x) for model in models)), rel=1e-8
    )
    assert found.note == ("" if code == "ML" else f"refitted by maximum likelihood instead of {code}")
    assert found.tau2_full == m2.pool(bcg, moderators=full, tau2="ML").tau2


def test_several_coefficients(bcg):
    found = likelihood_ratio(m2.pool(bcg, moderators="ablat + alloc"), m2.pool(bcg))
    assert found.df == 3
    assert found.p_value == pytest.approx(stats.chi2.sf(found.statistic, 3), rel=1e-12)


def test_heterogeneity_is_on_the_edge(bcg):
    common = m2.pool(bcg, tau2="CE")
    found = likelihood_ratio(m2.pool(bcg, tau2="ML"), common)
    # metafor 3.8: logLik of ML less logLik of EE
    assert (found.statistic, found.df) == (pytest.approx(2 * 57.5584935562, rel=1e-11), 1)
    assert found.p_value == pytest.approx(stats.chi2.sf(found.statistic, 1) / 2, rel=1e-12)
    assert found.tau2_reduced == 0
    both = likelihood_ratio(m2.pool(bcg, moderators="ablat"), common)
    assert both.p_value == pytest.approx(stats.chi2.sf(both.statistic, [1, 2]).mean(), rel=1e-12)
    assert both.note == (
        "refitted by maximum likelihood instead of REML; P is half from χ² with 1 and half from χ² with 2 df, because "
        "τ² cannot be below 0"
    )


def test_no_heterogeneity_at_all():
    yi, vi = [0.2, 0.25, 0.15, 0.22], [0.1, 0.2, 0.3, 0.1]
    found = likelihood_ratio(m2.pool(yi, vi, tau2="ML"), m2.pool(yi, vi, tau2="CE"))
    assert (found.statistic, found.p_value, found.tau2_full) == (0, 1, 0)


def test_two_common_effects(bcg):
    found = likelihood_ratio(*(m2.pool(bcg, moderators=formula, tau2="CE") for formula in ("ablat", None)))
    # of common effects the statistic is the fall of Q
    fall = m2.pool(bcg, tau2="CE").q - m2.pool(bcg, tau2="CE", moderators="ablat").q
    assert (found.statistic, found.tau2_full, found.note) == (pytest.approx(fall, rel=1e-12), 0, "")


def test_rejections_under_the_hypothesis_are_as_frequent_as_stated():
    rng = np.random.default_rng(7)
    vi = np.full(40, 0.1)
    p = []
    for _ in range(400):
        yi = rng.normal(0.3, np.sqrt(vi))
        p.append(likelihood_ratio(m2.pool(yi, vi, tau2="ML"), m2.pool(yi, vi, tau2="CE")).p_value)
    assert np.mean(np.array(p) < 0.2) == pytest.approx(0.2, abs=3 * np.sqrt(0.16 / 400))
    assert np.mean(np.array(p) == 1) == pytest.approx(0.5, abs=0.12)


@pytest.mark.parametrize("c", [1e-8, 1e8])
def test_scale(bcg, c):
    def test(effects):
        return likelihood_ratio(m2.pool(effects, moderators="ablat"), m2.pool(effects, tau2="CE"))

    other = m2.EffectSizes.from_arrays(c * bcg.yi, c**2 * bcg.vi, bcg.study, bcg.moderators)
    assert test(other).statistic == pytest.approx(test(bcg).statistic, rel=1e-12)


def test_the_same_columns_in_another_coding_are_nested(bcg):
    found = likelihood_ratio(m2.pool(bcg, moderators="poly(ablat, 2)"), m2.pool(bcg, moderators="ablat"))
    squared = bcg.assign(squared=bcg.moderators["ablat"] ** 2)
    again = likelihood_ratio(
        m2.pool(squared, moderators="ablat + squared"), m2.pool(squared, moderators="center(ablat)")
    )
    assert found.df == again.df == 1
    assert found.statistic == pytest.approx(again.statistic, rel=1e-8)


def test_models_that_cannot_be_compared(bcg):
    def refused(full, reduced, message):
        with pytest.raises(ModelError, match=message):
            likelihood_ratio(full, reduced)

    plain, ablat = m2.pool(bcg), m2.pool(bcg, moderators="ablat")
    refused(plain, plain, "Both models say the same")
    refused(m2.pool(bcg, moderators="0 + alloc"), m2.pool(bcg, moderators="alloc"), "Both models say the same")
    refused(plain, ablat, "not nested: the full model lacks ablat")
    refused(ablat, m2.pool(bcg, moderators="year"), "not nested: the full model lacks year")
    refused(
        m2.pool(bcg, tau2="CE", moderators="ablat"), plain, "full model is a common effect and the reduced one is not"
    )
    refused(ablat, m2.pool(bcg.drop(0)), r"different studies \(Aronson 1948 is in one only\)")
    refused(
        ablat, m2.pool(bcg.subset(np.arange(13) > 1)), r"\(Aronson 1948 and Ferguson & Simes 1949 are in one only\)"
    )
    other = m2.EffectSizes.from_arrays(bcg.yi, 2 * bcg.vi, bcg.study)
    refused(ablat, m2.pool(other), "same studies but other effects or variances")
    backwards = m2.EffectSizes.from_arrays(bcg.yi[::-1], bcg.vi[::-1], bcg.study[::-1])
    refused(ablat, m2.pool(backwards), "their order differs")
    refused(
        m2.pool(bcg.assign(w=bcg.vi), weights="w"), m2.pool(bcg, tau2="CE"), "fit the models without the user's weights"
    )
    refused(m2.pool([1.0], [0.1]), m2.pool([1.0], [0.1], tau2="CE"), "study 1 is the only one in the fit")
