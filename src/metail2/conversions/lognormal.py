"""Mean and SD of log-normal values: the formulas of Shi, Tong, Wang and Genton (2020).

The figures are logged; mean μ and SD of the logarithms come from Luo et al. (2018) and Wan et al. (2014) or Shi et al.
(2020); the squared SD is divided so that it is unbiased for σ² and, once more squared, for σ⁴; and the log-normal
moments exp(μ + σ²/2) and exp(2μ + 2σ²) − exp(2μ + σ²) are divided by their bias.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from metail2.conversions.checks import Array
from metail2.conversions.formulas import (
    LUO_MEAN,
    PRINTED_IN,
    WAN_SD,
    Figures,
    Formula,
    Scenario,
    formula,
    shi_sd,
)

SHI_LOGNORMAL = (
    "Shi J, Tong T, Wang Y, Genton MG. Estimating the mean and variance from the five-number summary of a log-normal "
    "distribution. Stat Interface 2020;13:519–531. doi:10.4310/SII.2020.v13.n4.a9"
)


@dataclass(frozen=True)
class _Coefficients:
    """What one scenario divides by: s² for σ², s⁴ for σ⁴, and the moments by 1 + (αk²σ² + βk⁴σ⁴ …)/n."""

    sd: Formula
    second: Callable[[Array], Array]
    second_text: str
    fourth: Callable[[Array], Array]
    fourth_text: str
    alpha: float
    beta: float


_COEFFICIENTS: dict[Scenario, _Coefficients] = {
    "range": _Coefficients(
        WAN_SD["range"],
        lambda n: 1.01 + 0.25 / np.log(n) ** 2,
        "1.01 + 0.25/ln²n",
        lambda n: 1 + 2.23 / np.log(n) ** 2,
        "1 + 2.23/ln²n",
        0.565,
        0.37,
    ),
    "quartiles": _Coefficients(
        WAN_SD["quartiles"],
        lambda n: 1 + 1.58 / n,
        "1 + 1.58/n",
        lambda n: 1 + 19.2 / n**1.2,
        "1 + 19.2/n^1.2",
        0.57,
        0.75,
    ),
    "five": _Coefficients(
        shi_sd,
        lambda n: 1 + 0.28 / np.log(n) ** 2,
        "1 + 0.28/ln²n",
        lambda n: 1 + 3.93 / n,
        "1 + 3.93/n",
        0.405,
        0.315,
    ),
}


@dataclass(frozen=True)
class _LogScale:
    """Mean, variance and squared variance of the logarithms of figures divided by their median; n; the median."""

    mean: Array
    variance: Array
    fourth: Array
    n: Array
    median: Array


def _logged(f: Figures, scenario: Scenario) -> _LogScale:
    """Estimate the moments of the logarithms; figures are above zero and n above 1."""
    a, q1, m, q3, b = (np.log(getattr(f, name) / f.m) for name in ("a", "q1", "m", "q3", "b"))
    logs = Figures(a, q1, m, q3, b, f.n)
    chosen = _COEFFICIENTS[scenario]
    squared = chosen.sd.compute(logs) ** 2
    mean = LUO_MEAN[scenario].compute(logs)
    return _LogScale(mean, squared / chosen.second(f.n), squared**2 / chosen.fourth(f.n), f.n, f.m)


def _bias(log: _LogScale, alpha: float, beta: float) -> Array:
    return 1 + (alpha * log.variance + beta * log.fourth) / log.n


def _mean(f: Figures, scenario: Scenario) -> Array:
    log, c = _logged(f, scenario), _COEFFICIENTS[scenario]
    with np.errstate(over="ignore"):
        return _finite(log.median * np.exp(log.mean + log.variance / 2) / _bias(log, c.alpha, c.beta))


def _sd(f: Figures, scenario: Scenario) -> Array:
    log, c = _logged(f, scenario), _COEFFICIENTS[scenario]
    with np.errstate(over="ignore", invalid="ignore"):
        second = np.exp(2 * log.mean + 2 * log.variance) / _bias(log, 4 * c.alpha, 16 * c.beta)
        squared_mean = np.exp(2 * log.mean + log.variance) / _bias(log, 4 * c.alpha, 4 * c.beta)
        return _finite(log.median * np.sqrt(second - squared_mean))


def _finite(values: Array) -> Array:
    """NaN where the exponentials of very large logarithms overflow."""
    return np.where(np.isfinite(values), values, np.nan)


def _register(scenario: Scenario) -> tuple[Formula, Formula]:
    """Register the mean and the SD of one scenario."""
    c = _COEFFICIENTS[scenario]
    figures = ", ".join(f"ln {name}" for name in PRINTED_IN[scenario])
    parts = (
        f"μ (Luo 2018) and s ({'Shi' if scenario == 'five' else 'Wan'}) from {figures}; σ² = s²/({c.second_text}), "
        f"σ⁴ = s⁴/({c.fourth_text})"
    )
    mean = f"mean = exp(μ + σ²/2)/(1 + [{c.alpha:g}σ² + {c.beta:g}σ⁴]/n); {parts}"
    sd = (
        f"SD² = exp(2μ + 2σ²)/(1 + [{4 * c.alpha:g}σ² + {16 * c.beta:g}σ⁴]/n) − "
        f"exp(2μ + σ²)/(1 + [{4 * c.alpha:g}σ² + {4 * c.beta:g}σ⁴]/n); {parts}"
    )
    return (
        formula(f"shi2020_lognormal_mean_{scenario}", mean, SHI_LOGNORMAL)(lambda f: _mean(f, scenario)),
        formula(f"shi2020_lognormal_sd_{scenario}", sd, SHI_LOGNORMAL)(lambda f: _sd(f, scenario)),
    )


_REGISTERED = {scenario: _register(scenario) for scenario in _COEFFICIENTS}
LOGNORMAL_MEAN = {scenario: mean for scenario, (mean, _) in _REGISTERED.items()}
LOGNORMAL_SD = {scenario: sd for scenario, (_, sd) in _REGISTERED.items()}
