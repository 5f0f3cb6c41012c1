"""Confidence intervals for τ² from the literature with their printed figures; each test is named after its article."""

import numpy as np
import pytest
from printed_figures import generic, printed
from scipy.stats import chi2, gamma, norm

import metail2 as m2
from metail2.analysis.bootstrap import bootstrap
from metail2.kernels.likelihood import log_likelihood
from metail2.kernels.quadratic_forms import probability_below
from metail2.kernels.wls import weighted_fit


def bounds(result, method="q_profile"):
    interval = result.tau2_interval(method=method)
    return [interval.lower, interval.upper]


def off(result, tau2, tail):
    """How far the generalised Q at τ² is from its χ² quantile, relative: 0 at an exact Q-profile limit."""
    q = weighted_fit(result.effects.yi, 1 / (result.effects.vi + tau2), result.design.x).q()
    return abs(q / chi2.isf(tail, result.spread.df) - 1)


# --------------------------------------------------------------------------- Colditz et al. 1994
def test_colditz_1994_q_profile(bcg):
    """τ² as printed; the printed limits of I² and H² are of a search that ended within 4e-5 of the limits of τ².

    At our limits Q is the χ² quantile to 12 digits; at those behind the printed H² it is off in the fifth.
    """
    result = m2.pool(m2.effect_sizes(bcg, "RR"), tau2="DL", test="z")
    interval = result.tau2_interval()
    assert [interval.lower, interval.upper] == printed([0.1197, 1.1115])
    assert [interval.i2_lower, interval.i2_upper] == [printed(81.9177, 2), printed(97.6781, 3)]
    assert [interval.h2_lower, interval.h2_upper] == [printed(5.5303, 2), printed(43.0680, 3)]

    for limit, h2, tail in ((interval.lower, 5.5303, 0.025), (interval.upper, 43.0680, 0.975)):
        assert off(result, limit, tail) < 1e-12
        assert off(result, (h2 - 1) * result.spread.typical_variance, tail) > 1e-6


# --------------------------------------------------------------------------- van Houwelingen et al. 2002 (BCG, log OR)
@pytest.mark.parametrize(
    ("method", "limits"), [("q_profile", [0.1302, 1.1812]), ("profile_likelihood", [0.1151, 0.8937])]
)
def test_van_houwelingen_2002(bcg, method, limits):
    assert bounds(m2.pool(m2.effect_sizes(bcg, "OR"), tau2="ML"), method) == printed(limits)


# --------------------------------------------------------------------------- Viechtbauer 2007, Statistics in Medicine
@pytest.mark.parametrize(("code", "tau2"), [("DL", 0.2297), ("ML", 0.2386), ("REML", 0.3008), ("SJ", 0.4563)])
def test_viechtbauer_2007_q_profile_table_ii(pre_eclampsia, code, tau2):
    result = m2.pool(pre_eclampsia, tau2=code)
    assert result.tau2 == printed(tau2)
    assert bounds(result) == printed([0.0723, 2.2027])


@pytest.mark.parametrize(
    ("method", "code", "limits"),
    [
        ("biggerstaff_tweedie", "DL", [0.0482, 2.3552]),
        ("profile_likelihood", "ML", [0.0265, 1.1308]),
        ("profile_likelihood", "REML", [0.0427, 1.4747]),
        ("wald", "ML", [0, 0.5782]),
        ("wald", "REML", [0, 0.7322]),
        ("sidik_jonkman", "SJ", [0.2082, 1.6748]),
    ],
)
def test_viechtbauer_2007_table_ii(pre_eclampsia, method, code, limits):
    """As printed but for three last digits, where searches ended early: see the next two tests."""
    assert bounds(m2.pool(pre_eclampsia, tau2=code), method) == printed(limits)


def test_viechtbauer_2007_biggerstaff_tweedie(pre_eclampsia):
    """Printed as 0.0481 and 2.3551. At ours the gamma distribution has its tails; at 0.04815 and 2.35515 it has not."""
    result, k = m2.pool(pre_eclampsia, tau2="DL"), 9
    s1, s2, s3 = ((1 / pre_eclampsia.vi**power).sum() for power in (1, 2, 3))

    def below(tau2):
        mean = k - 1 + tau2 * (s1 - s2 / s1)
        variance = 2 * (k - 1) + 4 * tau2 * (s1 - s2 / s1) + 2 * tau2**2 * (s2 - 2 * s3 / s1 + s2**2 / s1**2)
        return gamma.cdf(result.q, mean**2 / variance, scale=variance / mean)

    lower, upper = bounds(result, "biggerstaff_tweedie")
    assert [below(lower), below(upper)] == pytest.approx([0.975, 0.025], rel=1e-9)
    assert below(0.04815) > 0.97502
    assert below(2.35515) > 0.025 + 1e-8


def test_viechtbauer_2007_profile_likelihood(pre_eclampsia):
    """ML's lower limit is printed as 0.0266; twice the log-likelihood ratio is χ²₁ at 0.026542, not at 0.02655."""
    result = m2.pool(pre_eclampsia, tau2="ML")
    x, highest = result.design.x, log_likelihood(result.fit, result.design.x)

    def ratio(tau2):
        return 2 * (highest - log_likelihood(weighted_fit(pre_eclampsia.yi, 1 / (pre_eclampsia.vi + tau2), x), x))

    lower, _ = bounds(result, "profile_likelihood")
    assert ratio(lower) == pytest.approx(chi2.isf(0.05, 1), rel=1e-9)
    assert ratio(0.02655) < chi2.isf(0.05, 1) - 5e-4


@pytest.mark.parametrize(("kind", "limits"), [("parametric", [0, 0.7171]), ("case", [0.0218, 0.5143])])
def test_viechtbauer_2007_bootstrap(pre_eclampsia, kind, limits):
    """Percentile limits of DerSimonian–Laird's τ²: printed for one seed, so they lie among ours.

    With 1,000 samples the tails of 0.025 are known to 0.005: ours of 0.005 and 0.045 are 4 such errors apart from them.
    """
    draws = bootstrap(m2.pool(pre_eclampsia, tau2="DL", test="z"), kind, 20_000, seed=1).draws["tau2"]
    least, most = np.quantile(draws, [[0.005, 0.955], [0.045, 0.995]])
    assert (least <= limits).all()
    assert (limits <= most).all()


# --------------------------------------------------------------------------- Konstantopoulos 2011, no districts
def test_konstantopoulos_2011_q_profile():
    """The lower limit is printed as 0.0564, but it is 0.056466: there Q is the χ² quantile, at 0.05645 it is larger."""
    result = m2.pool(generic("konstantopoulos2011"), tau2="REML")
    lower, upper = bounds(result)
    assert [lower, upper] == printed([0.0565, 0.1388])
    assert off(result, lower, 0.025) < 1e-12
    assert off(result, 0.05645, 0.025) > 1e-4


# --------------------------------------------------------------------------- Jackson et al. 2014: meta-regressions
@pytest.mark.parametrize(("example", "limits"), [(1, [0.0023, 1.4871]), (2, [0.0178, 0.1564])])
def test_jackson_2014_q_profile(example, limits):
    result = m2.pool(generic(f"jackson2014_example{example}"), tau2="PM", test="z", moderators="x")
    assert bounds(result) == printed(limits)


@pytest.mark.parametrize(("example", "limits"), [(1, [0.0110, 0.6330]), (2, [0.0163, 0.1108])])
def test_jackson_2014_wald_on_the_log_scale(example, limits):
    """The article's normal quantile is 1.96; by the exact one the first upper limit would be 0.6329."""
    result = m2.pool(generic(f"jackson2014_example{example}"), tau2="REML", test="z", moderators="x")
    interval = result.tau2_interval(method="wald_log", level=1 - 2 * norm.sf(1.96))
    assert [interval.lower, interval.upper] == printed(limits)


@pytest.mark.parametrize(
    ("example", "power", "method", "limits"),
    [
        (1, -1, "biggerstaff_jackson", [0.0029, 0.6907]),
        (1, -0.5, "jackson", [0.0000, 1.1246]),
        (2, -1, "biggerstaff_jackson", [0.0170, 0.1393]),
        (2, -0.5, "jackson", [0.0180, 0.1375]),
    ],
)
def test_jackson_2014_generalised_q(example, power, method, limits):
    """Weights 1/v and 1/√v: as the user's own, and by name. 1.1246 is printed as 1.1245: see the next test."""
    effects = generic(f"jackson2014_example{example}")
    weighted = m2.pool(effects.assign(w=effects.vi**power), tau2="GENQ", weights="w", test="z", moderators="x")
    assert bounds(weighted, "generalised_q") == printed(limits)
    assert bounds(m2.pool(effects, tau2="DL", test="z", moderators="x"), method) == printed(limits)


def test_jackson_2014_generalised_q_upper_limit():
    """With weights 1/√v, P(Q ≤ observed) is 0.025 at 1.124565, and more at all that rounds to the printed 1.1245."""
    effects = generic("jackson2014_example1")
    result = m2.pool(effects, tau2="DL", test="z", moderators="x")
    weights, x = 1 / np.sqrt(effects.vi), result.design.x
    q = weighted_fit(effects.yi, weights, x).q()
    _, upper = bounds(result, "jackson")
    assert probability_below(q, effects.vi + upper, x, weights) == pytest.approx(0.025, rel=1e-9)
    assert probability_below(q, effects.vi + 1.12455, x, weights) > 0.025 + 1e-6
