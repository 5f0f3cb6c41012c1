"""Meta-regressions from the literature with their printed figures; each test is named after its article."""

import numpy as np
import pandas as pd
from printed_figures import generic, printed

import metail2 as m2
from metail2.kernels.likelihood import log_likelihood, restricted_log_likelihood
from metail2.kernels.wls import weighted_fit


def refit(result, tau2):
    """The weighted regression of a result at another τ²."""
    effects = result.effects
    return weighted_fit(effects.yi, 1 / (effects.vi + tau2), result.design.x)


def standard_errors(fit):
    return np.sqrt(np.diagonal(fit.covariance)).tolist()


# --------------------------------------------------------------------------- van Houwelingen et al. 2002 (BCG, log OR)
def test_van_houwelingen_2002_latitude(bcg):
    """τ² is 0.0040 as printed; the other figures are those at τ² = 0.004025, where the article's search ended.

    The maximum is at 0.003998: the log-likelihood is higher there, and the intercept 0.3711 (not 0.3710), its standard
    error 0.1060 (0.1061) and R² 98.68 (98.67).
    """
    effects = m2.effect_sizes(bcg, "OR")
    result = m2.pool(effects, tau2="ML", test="z", moderators="ablat")
    assert result.tau2 == printed(0.0040)
    ended = refit(result, 0.004025)
    assert ended.beta.tolist() == printed([0.3710, -0.0327])
    assert standard_errors(ended) == printed([0.1061, 0.0034])
    assert 100 * (1 - 0.004025 / m2.pool(effects, tau2="ML").tau2) == printed(98.67, 2)
    assert log_likelihood(result.fit, result.design.x) > log_likelihood(ended, result.design.x)
    tidy = result.tidy()
    assert tidy["estimate"].tolist() == printed([0.3711, -0.0327])
    assert tidy["se"].tolist() == printed([0.1060, 0.0034])
    assert result.glance().loc[0, "r2"] == printed(98.68, 2)


# --------------------------------------------------------------------------- Berkey et al. 1995 (BCG), p. 408
def test_berkey_1995_regression(smoothed):
    result = m2.pool(smoothed, tau2="EB", test="z", moderators="latitude")
    tidy, glance = result.tidy(), result.glance().iloc[0]
    assert tidy["estimate"].tolist() == printed([-0.6303, -0.0268])
    assert tidy["se"].tolist() == printed([0.1591, 0.0110])
    assert glance["tau2"] == printed(0.1572)
    assert glance["r2"] == printed(41.3844)
    new = pd.DataFrame({"latitude": [0, 42 - 33.46]})
    assert np.exp(result.predict(new)["estimate"]).tolist() == printed([0.5324, 0.4236])


def test_berkey_1995_common_effect_regression(smoothed):
    result = m2.pool(smoothed, tau2="CE", test="z", moderators="latitude")
    assert result.tidy()["estimate"].tolist() == printed([-0.5949, -0.0282])
    assert result.tidy()["se"].tolist() == printed([0.0696, 0.0040])


# --------------------------------------------------------------------------- teacher expectancy
def test_raudenbush_bryk_1985_weeks(teachers):
    """τ² is 0; the printed z values are those at τ² = 5e-7, short of the boundary.

    The restricted likelihood is highest at 0, where they are 4.6783 and −4.3885 (not 4.6782 and −4.3884).
    """
    result = m2.pool(teachers, tau2="REML", test="z", moderators="capped")
    assert result.tidy()["estimate"].tolist() == printed([0.4072, -0.1572])
    assert [result.tau2, result.q] == [0, printed(16.5708)]
    ended = refit(result, 5e-7)
    assert (ended.beta / standard_errors(ended)).tolist() == printed([4.6782, -4.3884])
    assert restricted_log_likelihood(result.fit, result.design.x) > restricted_log_likelihood(ended, result.design.x)
    assert result.tidy()["statistic"].tolist() == printed([4.6783, -4.3885])


# --------------------------------------------------------------------------- Konstantopoulos 2011, no districts
def test_konstantopoulos_2011_year():
    effects = generic("konstantopoulos2011")
    effects = effects.assign(centred=effects.moderators["year"] - effects.moderators["year"].mean())
    result = m2.pool(effects, tau2="REML", test="z", moderators="centred")
    assert result.tidy()["estimate"].tolist() == printed([0.1258, 0.0052])


# --------------------------------------------------------------------------- Viechtbauer 2007, tutorial
def test_viechtbauer_2007_tutorial(st_johns_wort):
    result = m2.pool(st_johns_wort, tau2="DL", test="z", moderators="dose * score")
    assert result.tidy()["estimate"].tolist() == printed([0.47626, -0.00584, -0.06723, -0.00157], 5)
    assert result.glance().loc[0, "r2"] == printed(47.3778)
