"""BetaBinomial: one fit on any scale, sparse data, and what is undefined."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.optimize import minimize

from metail2.errors import EffectSizeError, MetailWarning, ModelError, UnknownChoice
from metail2.models.beta_binomial import OWN_COLUMNS, SCALES, BetaBinomial
from metail2.results import GLANCE_COLUMNS, STATUS, STUDY_COLUMNS, TIDY_COLUMNS, Result

PAIRS = ["OR", "RR", "RD"]


def counts(*rows):
    return pd.DataFrame(rows, columns=["events1", "n1", "events2", "n2"])


def single(frame):
    return frame.rename(columns={"events1": "events", "n1": "n"})


SPARSE = counts((2, 50, 9, 50), (0, 40, 0, 42), (1, 30, 4, 31), (6, 60, 5, 62)).assign(
    study=["Ann", "Ben", "Cal", "Dee"]
)


def direct(frame, link):
    """Estimate and SE by a general optimiser in the link's own parametrisation: intercept, effect, logit ρ."""

    def loss(values):
        rho = 1 / (1 + np.exp(-values[2]))
        size, total = (1 - rho) / rho, 0.0
        for arm, eta in (("1", values[0] + values[1]), ("2", values[0])):
            p = link(eta)
            total += stats.betabinom.logpmf(frame["events" + arm], frame["n" + arm], size * p, size * (1 - p)).sum()
        return -total

    p = frame["events2"].sum() / frame["n2"].sum()
    start = [{"OR": np.log(p / (1 - p)), "RR": np.log(p), "RD": p}[link.__name__], 0.0, -3.0]
    best = minimize(loss, start, method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12, "maxiter": 9000}).x
    step = np.array([1e-4, 1e-4, 1e-3])
    axes = np.diag(step)
    hessian = np.array([[(loss(best + a + b) - loss(best + a - b) - loss(best - a + b) + loss(best - a - b))
                         / (4 * a.sum() * b.sum()) for a in axes] for b in axes])  # fmt: skip
    return best[1], np.sqrt(np.linalg.inv(hessian)[1, 1])


def OR(eta):
    return 1 / (1 + np.exp(-eta))


def RR(eta):
    return np.exp(eta)


def RD(eta):
    return eta


@pytest.mark.parametrize("link", [OR, RR, RD])
def test_each_measure_is_the_fit_in_its_own_link(link):
    result = BetaBinomial(link.__name__).fit(SPARSE)
    estimate, se = direct(SPARSE, link)
    assert result.estimate == pytest.approx(estimate, rel=1e-5)
    assert result.se == pytest.approx(se, rel=1e-3)


@pytest.mark.parametrize("measure", list(SCALES))
def test_columns_of_the_tables(measure):
    result = BetaBinomial(measure).fit(single(SPARSE) if measure == "PLO" else SPARSE)
    assert isinstance(result, Result)
    assert tuple(result.tidy()) == TIDY_COLUMNS
    assert tuple(result.glance()) == (*GLANCE_COLUMNS, *OWN_COLUMNS)
    studies = result.studies()
    assert tuple(studies)[: len(STUDY_COLUMNS)] == STUDY_COLUMNS
    assert studies["state"].tolist() == ["used"] * 4
    glance = result.glance().iloc[0]
    assert (glance["k"], glance["method"], glance["status"]) == (4, "BB", "ok")
    assert glance["status"] in STATUS
    missing = {name for name in GLANCE_COLUMNS if isinstance(glance[name], float) and math.isnan(glance[name])}
    assert {"tau2", "i2", "q", "pi_lower"} <= missing
    assert "there is no τ², I², Q, prediction interval or weight of a study" in glance["status_reason"]
    assert "no deviance" in glance["status_reason"]


def test_one_fit_whatever_the_scale():
    rows = [BetaBinomial(measure).fit(SPARSE).glance().iloc[0] for measure in PAIRS]
    for name in ("rho", "rho_se", "log_likelihood", "rho_lrt", "aic"):
        assert len({row[name] for row in rows}) == 1


def test_figures_of_glance():
    result = BetaBinomial().fit(SPARSE)
    glance, fit = result.glance().iloc[0], result.likelihood
    assert glance["rho_lrt"] == pytest.approx(2 * (fit.log_likelihood - fit.binomial))
    assert glance["rho_lrt_p"] == pytest.approx(stats.chi2.sf(glance["rho_lrt"], 1) / 2)
    assert glance["aic"] == pytest.approx(2 * 3 - 2 * fit.log_likelihood)
    assert glance["bic"] == pytest.approx(3 * np.log(8) - 2 * fit.log_likelihood)
    assert glance["rho_se"] == pytest.approx(np.sqrt(fit.covariance[2, 2]))
    assert glance["gradient"] < 1e-9


def test_without_correlation_it_is_one_big_table():
    frame = counts((5, 40, 9, 50), (5, 40, 10, 50), (5, 40, 9, 50))
    result = BetaBinomial().fit(frame)
    a, b, c, d = 15, 105, 28, 122
    assert result.rho == 0
    assert result.estimate == pytest.approx(np.log(a * d / (b * c)))
    assert result.se == pytest.approx(np.sqrt(1 / a + 1 / b + 1 / c + 1 / d))
    glance = result.glance().iloc[0]
    assert (glance["rho_lrt"], glance["rho_lrt_p"]) == (0, 1)
    assert math.isnan(glance["rho_se"])
    assert "ρ is estimated as 0, so it has no standard error" in glance["status_reason"]


def test_studies_without_events_are_used():
    with_ben, without = BetaBinomial().fit(SPARSE), BetaBinomial().fit(SPARSE.drop(index=1))
    assert with_ben.k == without.k + 1
    assert with_ben.estimate != pytest.approx(without.estimate, rel=1e-3)


@pytest.mark.parametrize("measure", PAIRS)
def test_swapping_the_arms_and_the_order_of_the_studies(measure):
    one = BetaBinomial(measure).fit(SPARSE)
    swapped = SPARSE.rename(columns={"events1": "events2", "events2": "events1", "n1": "n2", "n2": "n1"})
    other = BetaBinomial(measure).fit(swapped.iloc[::-1])
    assert [other.estimate, other.se, other.rho] == pytest.approx([-one.estimate, one.se, one.rho], rel=1e-9)


def test_a_single_arm():
    result = BetaBinomial("PLO").fit(single(SPARSE))
    assert result.estimate == pytest.approx(BetaBinomial("PLO").fit(single(SPARSE)).likelihood.eta[0])
    assert 0 < 1 / (1 + np.exp(-result.estimate)) < 0.1


@pytest.mark.parametrize("measure", PAIRS)
@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (counts((0, 9, 2, 9), (0, 8, 1, 9)), "no event occurred in any experimental arm"),
        (counts((3, 9, 0, 9), (1, 8, 0, 9)), "no event occurred in any control arm"),
        (counts((9, 9, 2, 9), (8, 8, 1, 9)), "everybody had the event in every experimental arm"),
    ],
)
def test_undefined_estimates_say_why(measure, frame, reason):
    result = BetaBinomial(measure).fit(frame)
    glance = result.glance().iloc[0]
    assert glance["status"] == "undefined"
    assert glance["status_reason"].startswith(f"the estimate is undefined, because {reason}")
    assert np.isnan([result.estimate, result.se, result.rho]).all()


def test_all_or_nothing_arms_have_no_maximum():
    result = BetaBinomial("PLO").fit(single(counts((0, 8, 1, 9), (9, 9, 1, 9), (0, 10, 1, 9), (7, 7, 1, 9))))
    assert result.glance()["status_reason"].iloc[0].startswith("the likelihood is largest at ρ = 1")
    assert math.isnan(result.estimate)


def test_one_study_is_its_own_table():
    result = BetaBinomial("RR").fit(SPARSE.iloc[:1])
    assert result.estimate == pytest.approx(np.log(2 / 9))
    assert result.se == pytest.approx(np.sqrt(1 / 2 - 1 / 50 + 1 / 9 - 1 / 50))
    assert (result.rho, result.status) == (0, "one_study")
    assert "nothing is pooled" in result.glance()["status_reason"].iloc[0]


def test_studies_show_raw_differences_and_corrected_ratios():
    difference, ratio = (BetaBinomial(measure).fit(SPARSE) for measure in ("RD", "RR"))
    assert difference.studies()["yi"].tolist() == pytest.approx([2 / 50 - 9 / 50, 0, 1 / 30 - 4 / 31, 6 / 60 - 5 / 62])
    assert "the interval shown for Ben uses 0.5 added" in difference.glance()["status_reason"].iloc[0]
    assert math.isnan(ratio.studies()["yi"].iloc[1])


def test_bad_input():
    frame = SPARSE.astype({"events1": float})
    frame.loc[0, "events1"] = np.nan
    with pytest.warns(MetailWarning, match="Ann: left out of the fit, because a count is missing"):
        result = BetaBinomial().fit(frame)
    assert result.studies()["state"].tolist() == ["missing", "used", "used", "used"]
    with pytest.raises(EffectSizeError, match="Ben: column 'events1' is 41, but it must be at most n1"):
        BetaBinomial().fit(SPARSE.assign(events1=[2, 41, 1, 6]))
    with pytest.raises(
        ModelError, match=r"Ben: column 'events1' is 0.5, but a likelihood of counts needs whole numbers"
    ):
        BetaBinomial().fit(SPARSE.assign(events1=[2, 0.5, 1, 6]))
    with pytest.raises(UnknownChoice, match="Unknown measure of BetaBinomial 'IRR'"):
        BetaBinomial("IRR")
    with pytest.raises(ModelError, match="between 0 and 1"):
        BetaBinomial(level=0)


def test_the_truth_is_found_in_many_studies():
    """400 studies, risks 8 % and 15 %, correlation 0.05 in both arms."""
    rng, k, rho = np.random.default_rng(4), 400, 0.05
    size = 1 / rho - 1
    frame = pd.DataFrame({"n1": rng.integers(20, 90, k), "n2": rng.integers(20, 90, k)})
    for arm, risk in (("1", 0.08), ("2", 0.15)):
        frame["events" + arm] = rng.binomial(frame["n" + arm], rng.beta(size * risk, size * (1 - risk), k))
    result = BetaBinomial("RR").fit(frame)
    assert abs(result.estimate - np.log(0.08 / 0.15)) < 3 * result.se
    assert result.se < 0.08
    assert abs(result.rho - rho) < 3 * result.glance()["rho_se"].iloc[0]
