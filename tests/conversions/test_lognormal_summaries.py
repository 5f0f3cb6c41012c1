"""The log-normal formulas: reference figures by another route, text and citation, large-sample limit."""

import numpy as np
import pytest
from scipy import stats

from metail2.conversions import FORMULAS, mean_sd


def test_five_figures_by_hand():
    # written out from the formulas in the module's text, with the reference row min 1.2 … max 9.7, n = 120
    a, q1, m, q3, b = np.log([1.2, 2.2, 3.1, 4.4, 9.7])
    n = 120
    w1, w2 = 2.2 / (2.2 + n**0.75), 0.7 - 0.72 / n**0.55
    mu = w1 * (a + b) / 2 + w2 * (q1 + q3) / 2 + (1 - w1 - w2) * m
    xi, eta = (2 * stats.norm.ppf(p) for p in ((n - 0.375) / (n + 0.25), (0.75 * n - 0.125) / (n + 0.25)))
    w = 1 / (1 + 0.07 * n**0.6)
    s = w * (b - a) / xi + (1 - w) * (q3 - q1) / eta
    v, v2 = s**2 / (1 + 0.28 / np.log(n) ** 2), s**4 / (1 + 3.93 / n)
    mean = np.exp(mu + v / 2) / (1 + 0.405 * v / n + 0.315 * v2 / n)
    second = np.exp(2 * mu + 2 * v) / (1 + 1.62 * v / n + 5.04 * v2 / n)
    sd = np.sqrt(second - np.exp(2 * mu + v) / (1 + 1.62 * v / n + 1.26 * v2 / n))
    found = mean_sd(minimum=1.2, q1=2.2, median=3.1, q3=4.4, maximum=9.7, n=n, method="lognormal")
    np.testing.assert_allclose([found.mean, found.sd], [mean, sd], rtol=1e-13)


def test_large_samples_give_the_log_normal_moments():
    truth = stats.lognorm(0.7, scale=np.exp(1.2))
    found = mean_sd(q1=truth.ppf(0.25), median=truth.ppf(0.5), q3=truth.ppf(0.75), n=1e7, method="lognormal")
    np.testing.assert_allclose([found.mean, found.sd], [truth.mean(), truth.std()], rtol=3e-6)


@pytest.mark.parametrize(
    "names", [("minimum", "median", "maximum"), ("q1", "median", "q3"), ("minimum", "q1", "median", "q3", "maximum")]
)
def test_the_estimate_of_the_mean_is_unbiased_in_small_samples(names):
    n, sigma, replicates = 13, 0.8, 40_000
    sample = np.sort(np.random.default_rng(20200500).lognormal(0, sigma, (replicates, n)), axis=1)
    places = dict(zip(("minimum", "q1", "median", "q3", "maximum"), range(0, n, 3), strict=True))
    found = mean_sd(**{name: sample[:, places[name]] for name in names}, n=n, method="lognormal")
    truth = stats.lognorm(sigma).mean()
    se = found.mean.std() / np.sqrt(replicates)
    plain = mean_sd(**{name: np.log(sample[:, places[name]]) for name in names}, n=n)
    uncorrected = np.exp(plain.mean + plain.sd**2 / 2).mean() / truth - 1
    bias = found.mean.mean() / truth - 1
    print(f"{'+'.join(names)}: bias {100 * bias:.2f} % (MCSE {100 * se:.2f}), uncorrected {100 * uncorrected:.2f} %")
    assert abs(bias) < 0.01 + 3 * se
    assert abs(bias) < uncorrected / 3


@pytest.mark.parametrize("scenario", ["range", "quartiles", "five"])
def test_the_text_names_every_coefficient(scenario):
    texts = [FORMULAS[f"shi2020_lognormal_{moment}_{scenario}"] for moment in ("mean", "sd")]
    numbers = {"range": ("0.565", "0.37"), "quartiles": ("0.57", "0.75"), "five": ("0.405", "0.315")}[scenario]
    assert all(number in texts[0].text for number in numbers)
    assert all(f"{4 * float(number):g}" in texts[1].text for number in numbers)
    assert all("Stat Interface 2020;13:519–531" in rule.citation for rule in texts)


def test_one_person_has_neither_mean_nor_sd():
    found = mean_sd(q1=2, median=2, q3=2, n=1, method="lognormal")
    assert np.isnan(found.mean)
    assert found.reason == "one person has no SD"
