"""Exact likelihoods of counts from the literature with their printed figures; each test is named after its article."""

import io

import numpy as np
import pandas as pd
import pytest
from printed_figures import limits, printed, ratios
from scipy.optimize import minimize

import metail2 as m2
from metail2.kernels.count_likelihood import Point, marginal
from metail2.models.mixed_counts import MixedCounts


def one_unit(values):
    """Agree within one unit of the fourth digit: the figures printed are those of optimisers that stopped early."""
    return pytest.approx(values, rel=0, abs=1e-4)


def arm(frame, which, size):
    return pd.DataFrame({"events": frame[f"events{which}"], size: frame[f"{size}{which}"]})


# --------------------------------------------------------------------------- Stijnen, Hamza & Özdemir 2010
@pytest.fixture
def catheters():
    """Catheter-related bloodstream infections, 18 trials of Niël-Weise et al. 2007."""
    return m2.load_dataset("nielweise2007")


@pytest.fixture
def catheter_days():
    """The same in person-time, 9 trials of Niël-Weise et al. 2008."""
    return m2.load_dataset("nielweise2008")


def few_points(model, points):
    """Estimate, and τ², where the likelihood is integrated by that many points only, as by general software."""

    def loss(values):
        return -marginal(model, Point(values, np.zeros(model.k), np.zeros((model.k, 1))), points).value

    found = minimize(loss, [-4.0, 0.9], method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-10}).x
    return [found[0], found[1] ** 2]


@pytest.mark.parametrize(
    ("which", "mean", "se", "tau2", "exact"),
    [("2", -3.4964, 0.2570, 0.8124, 0.8122), ("1", -4.8121, 0.3555, 0.8265, 0.8253)],
)
def test_stijnen_2010_table_ii_binomial_normal(catheters, which, mean, se, tau2, exact):
    """The printed figures are those of seven quadrature points; with points enough the third digit of τ² differs."""
    result = MixedCounts("PLO").fit(arm(catheters, which, "n"))
    assert [result.estimate, result.se] == printed([mean, se], 3)
    assert result.tau2 == printed(exact)
    assert few_points(result.fits.model, 7) == printed([mean, tau2])


@pytest.mark.parametrize(
    ("model", "mean", "se", "tau"), [("CM.EL", -1.3532, 0.3511, 0.8327), ("CM.AL", -1.3027, 0.3386, 0.7750)]
)
def test_stijnen_2010_table_iii_odds_ratio(catheters, model, mean, se, tau):
    result = MixedCounts("OR", model).fit(catheters)
    assert [result.estimate, result.se, np.sqrt(result.tau2)] == one_unit([mean, se, tau])


@pytest.mark.parametrize(
    ("which", "mean", "se", "tau2"), [("1", -6.0583, 0.3303, 0.6543), ("2", -5.5071, 0.2310, 0.3165)]
)
def test_stijnen_2010_table_vii_poisson_normal(catheter_days, which, mean, se, tau2):
    """The table counts events in 1000 days: 1.4007 and .8494 are these with log 1000 added."""
    result = MixedCounts("IRLN").fit(arm(catheter_days, which, "time"))
    assert [result.estimate, result.se] == one_unit([mean, se])
    assert result.tau2 == printed(tau2, 3)
    assert result.estimate + np.log(1000) == printed({"2": 1.4007, "1": 0.8494}[which])


def test_stijnen_2010_table_viii_rate_ratio(catheter_days):
    result = MixedCounts("IRR", "CM.EL").fit(catheter_days)
    assert [result.estimate, result.se, np.sqrt(result.tau2)] == printed([-0.4762, 0.2377, 0.3501])


# --------------------------------------------------------------------------- van Houwelingen, Zwinderman & Stijnen 1993
BLEEDING = """n1 events1 n2 events2
50 8 50 16
56 11 53 12
18 5 12 1
14 2 15 6
33 12 36 10
40 9 48 11
20 7 20 8
46 5 47 12
18 0 19 3
45 9 43 3
21 10 19 8
153 44 132 30
14 0 14 0
10 1 9 4
24 4 24 5
78 14 80 21
259 50 260 51
10 3 11 1
31 6 29 12
51 16 54 15
106 16 107 15
33 6 39 7
36 11 26 5
34 3 31 13
15 2 14 3
"""
"""Persistent or recurrent bleeding in trials of cimetidine or ranitidine in acute upper gastrointestinal bleeding:
Collins R, Langman M (1985). New England Journal of Medicine 313:660–666. Two further trials do not report it."""


@pytest.mark.parametrize(
    ("tau2", "pooled", "se", "likelihood", "between"),
    [
        ("CE", [0.1216, -0.0734, 0.3165], 0.0995, -53.6789, 0.0),
        ("ML", [0.1744, -0.0929, 0.4417], 0.1364, -52.9901, 0.1192),
    ],
)
def test_van_houwelingen_1993_bleeding(tau2, pooled, se, likelihood, between):
    """The article's odds ratio is that of controls against treated."""
    frame = pd.read_csv(io.StringIO(BLEEDING), sep=" ")
    swapped = frame.rename(columns=lambda name: name[:-1] + {"1": "2", "2": "1"}[name[-1]])
    result = MixedCounts("OR", "CM.EL", tau2=tau2).fit(swapped)
    # 1.96 for the normal quantile and a Hessian by differences leave the last digit of the article's interval
    assert limits(result) == pytest.approx(pooled, rel=0, abs=2.5e-4)
    assert result.se == one_unit(se)
    assert result.glance()["log_likelihood"].iloc[0] == printed(likelihood)
    assert result.tau2 == printed(between)


# --------------------------------------------------------------------------- Rothman, Greenland & Lash 2008, ch. 15
def test_rothman_table_15_5_maximum_likelihood():
    """Down syndrome and spermicides before conception, by the mother's age."""
    frame = pd.DataFrame({"a": [3, 1], "b": [9, 3], "c": [104, 5], "d": [1059, 86]})
    conditional = MixedCounts("OR", "CM.EL", tau2="CE").fit(frame)
    assert [conditional.estimate, ratios(conditional)[0]] == printed([1.3257, 3.7647])
    unconditional = MixedCounts("OR", "UM.FS", tau2="CE").fit(frame)
    assert [unconditional.estimate, ratios(unconditional)[0]] == printed([1.3318, 3.7878])


def test_rothman_table_15_2_maximum_likelihood():
    """Deaths and person-years of British doctors, smokers and others, in five age groups."""
    frame = pd.DataFrame({
        "events1": [32, 104, 206, 186, 102], "time1": [5.2407, 4.3248, 2.8612, 1.2663, 0.5317],
        "events2": [2, 12, 28, 28, 31], "time2": [1.8790, 1.0673, 0.5710, 0.2585, 0.1462],
    })  # fmt: skip
    for model in ("UM.FS", "CM.EL"):  # for rates, conditioning makes no difference
        result = MixedCounts("IRR", model, tau2="CE").fit(frame)
        glance = result.glance().iloc[0]
        assert [result.estimate, glance["q_wald"], glance["q_lrt"]] == printed([0.3545, 10.1991, 12.1324])


# --------------------------------------------------------------------------- Jackson et al. 2018 (the coding)
def test_the_coding_defines_the_model(catheters):
    """τ² of the model with study intercepts: 0.319513 with ±½ coding, 0.3802 with 1/0."""
    assert MixedCounts("OR", "UM.FS").fit(catheters).tau2 == pytest.approx(0.319513, abs=5e-7)
    assert MixedCounts("OR", "UM.FS", coding="treatment").fit(catheters).tau2 == printed(0.3802)


def test_laplaces_approximation_of_the_same(catheters):
    """τ² = 0.3312, as software prints that integrates by one point."""
    model = MixedCounts("OR", "UM.FS").fit(catheters).fits.model
    best = MixedCounts("OR", "UM.FS").fit(catheters).fits.chosen.at.point

    def loss(values):
        return -marginal(model, Point(values[:2], values[2:], best.modes), 1).value

    start = np.concatenate([best.shared, best.own])
    found = minimize(loss, start, method="BFGS", options={"gtol": 1e-5})
    assert found.x[1] ** 2 == printed(0.3312)
