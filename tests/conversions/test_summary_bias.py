"""Bias and error of every method of mean_sd under known truth: normal, log-normal and exponential values.

The tables are printed (``pytest -s``). Errors are relative to the true mean and SD; "answers" is the share of samples
for which a method gives both, and its bias and RMSE are those of the answered samples only.
"""

import numpy as np
import pytest

from metail2.conversions import SUMMARY_METHODS, mean_sd

PEOPLE = 49  # 4Q + 1: minimum, quartiles, median and maximum are order statistics
CLOSED = 10_000
FITTED = 150
SCENARIOS = {
    "range": ("minimum", "median", "maximum"),
    "quartiles": ("q1", "median", "q3"),
    "five": ("minimum", "q1", "median", "q3", "maximum"),
}
SIGMA = 0.6
PARENTS = {
    "normal": (lambda random, shape: random.normal(50, 10, shape), 50.0, 10.0),
    "log-normal": (
        lambda random, shape: random.lognormal(0, SIGMA, shape),
        np.exp(SIGMA**2 / 2),
        np.exp(SIGMA**2 / 2) * np.sqrt(np.expm1(SIGMA**2)),
    ),
    "exponential": (lambda random, shape: random.exponential(1, shape), 1.0, 1.0),
}


def summaries(parent):
    draw, _, _ = PARENTS[parent]
    sample = np.sort(draw(np.random.default_rng(20200900), (CLOSED, PEOPLE)), axis=1)
    places = np.arange(5) * (PEOPLE - 1) // 4
    return dict(zip(SCENARIOS["five"], sample[:, places].T, strict=True))


@pytest.fixture(scope="module")
def results():
    """Relative bias and RMSE of mean and SD, and the share of answers, by parent, scenario and method."""
    table = {}
    for parent, (_, mean, sd) in PARENTS.items():
        printed = summaries(parent)
        for scenario, names in SCENARIOS.items():
            for method, entry in SUMMARY_METHODS.items():
                if scenario not in entry.mean:
                    continue
                rows = CLOSED if hasattr(entry, "positive") else FITTED
                found = mean_sd(**{name: printed[name][:rows] for name in names}, n=PEOPLE, method=method)
                answered = ~np.isnan(found.sd)
                errors = np.array([found.mean[answered] / mean, found.sd[answered] / sd]) - 1
                table[parent, scenario, method] = (
                    *errors.mean(axis=1),
                    *np.sqrt((errors**2).mean(axis=1)),
                    answered.mean(),
                    errors.std(axis=1) / np.sqrt(answered.sum()),
                )
    return table


def test_the_table_is_printed_and_every_method_answers_somewhere(results):
    print(f"\n{PEOPLE} people; per cent   mean: bias RMSE   SD: bias RMSE   answers")
    for (parent, scenario, method), (mean_bias, sd_bias, mean_rmse, sd_rmse, share, _) in results.items():
        print(
            f"{parent:12s}{scenario:10s}{method:16s}{100 * mean_bias:7.1f}{100 * mean_rmse:7.1f}"
            f"{100 * sd_bias:9.1f}{100 * sd_rmse:7.1f}{100 * share:9.0f}"
        )
    assert {method for *_, method in results} == set(SUMMARY_METHODS)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_luo_and_wan_are_unbiased_on_normal_values(results, scenario):
    for method in ("recommended", "luo2018", "wan2014"):
        mean_bias, sd_bias, *_ = results["normal", scenario, method]
        assert abs(mean_bias) < 0.01
        assert abs(sd_bias) < 0.01


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_log_normal_formulas_beat_the_normal_ones_on_log_normal_values(results, scenario):
    bias, sd_bias, rmse, sd_rmse, *_ = results["log-normal", scenario, "lognormal"]
    _, _, normal_rmse, normal_sd_rmse, *_ = results["log-normal", scenario, "recommended"]
    assert abs(bias) < 0.01
    assert abs(sd_bias) < 0.06
    assert rmse < normal_rmse
    assert sd_rmse < normal_sd_rmse


def test_normal_formulas_lose_a_tail_that_the_quartiles_do_not_show(results):
    for parent in ("log-normal", "exponential"):
        mean_bias, sd_bias, *_ = results[parent, "quartiles", "recommended"]
        assert mean_bias < -0.1
        assert sd_bias < -0.15


@pytest.mark.parametrize("parent", ["log-normal", "exponential"])
def test_fitted_methods_have_less_bias_in_the_mean_of_skewed_quartiles(results, parent):
    for method in ("mcgrath2020_qe", "mcgrath2020_bc", "cai2021"):
        assert abs(results[parent, "quartiles", method][0]) < abs(results[parent, "quartiles", "recommended"][0])


@pytest.mark.parametrize("parent", PARENTS)
def test_box_cox_methods_are_nearly_unbiased_from_five_figures(results, parent):
    for method in ("mcgrath2020_bc", "cai2021"):
        mean_bias, sd_bias, *_, (mean_se, sd_se) = results[parent, "five", method]
        assert abs(mean_bias) < 0.02 + 3 * mean_se
        assert abs(sd_bias) < 0.05 + 3 * sd_se


def test_quantile_estimation_always_answers_and_box_cox_does_not(results):
    assert all(results[parent, scenario, "mcgrath2020_qe"][4] == 1 for parent in PARENTS for scenario in SCENARIOS)
    for method in ("mcgrath2020_bc", "cai2021"):
        assert results["log-normal", "quartiles", method][4] < 0.75
        assert results["log-normal", "five", method][4] > 0.8


def test_the_log_normal_formulas_mislead_where_values_are_not_log_normal(results):
    assert results["exponential", "range", "lognormal"][1] > 1
