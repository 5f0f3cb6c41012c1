"""The named methods of `mean_sd`: which formula or fit answers for which printed figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from metail2.conversions.box_cox import BOX_COX, fit_box_cox
from metail2.conversions.checks import Array
from metail2.conversions.fits import LEAST_PEOPLE, Fit, Unfit
from metail2.conversions.formulas import (
    LUO_MEAN,
    PRINTED_IN,
    WAN_SD,
    Figures,
    Formula,
    Rule,
    Scenario,
    bland_mean,
    bland_sd,
    hozo_mean,
    hozo_sd,
    luo_mean_five,
    shi_sd,
    walter_mean,
    walter_sd,
    wan_mean_quartiles,
    wan_mean_range,
)
from metail2.conversions.likelihood_fit import LIKELIHOOD, fit_likelihood
from metail2.conversions.lognormal import LOGNORMAL_MEAN, LOGNORMAL_SD
from metail2.conversions.quantile_fit import QUANTILE_FIT, fit_quantiles
from metail2.registry import Registry

Names = npt.NDArray[np.str_]

NONE = "none"

_WORDS: dict[Scenario, str] = {
    "range": "median, minimum and maximum",
    "quartiles": "median and quartiles",
    "five": "all five figures",
}


@dataclass(frozen=True)
class Estimates:
    """Means and SDs of shape (rows,), the key in `FORMULAS` of each or "none", and why a value is NaN, else ""."""

    mean: Array
    sd: Array
    mean_rule: Names
    sd_rule: Names
    reason: Names


class SummaryMethod(Protocol):
    """A named way from printed figures to mean and SD."""

    @property
    def name(self) -> str:
        """Its key in `SUMMARY_METHODS`."""

    @property
    def label(self) -> str:
        """Its name for readers."""

    @property
    def assumes(self) -> str:
        """What it assumes of the values, as a clause."""

    @property
    def mean(self) -> Mapping[Scenario, Formula]:
        """The rule for the mean in each scenario that it answers for."""

    @property
    def sd(self) -> Mapping[Scenario, Formula]:
        """The rule for the SD in each scenario that it answers for."""

    def estimate(self, printed: Figures) -> Estimates:
        """Estimate each row from what it has."""


@dataclass(frozen=True)
class ClosedMethod:
    """A choice of formulas: for each scenario one for the mean and one for the SD, where published.

    Attributes
    ----------
    name, label : str
        As in `SummaryMethod`.
    mean, sd : mapping
        From scenario to formula.
    positive : bool
        Whether the formulas hold only for figures above zero.
    assumes : str
        As in `SummaryMethod`.
    """

    name: str
    label: str
    mean: Mapping[Scenario, Formula]
    sd: Mapping[Scenario, Formula]
    positive: bool = False
    assumes: str = "the values are close to normal"

    def estimate(self, printed: Figures) -> Estimates:
        """Estimate all rows of a scenario at once."""
        rows = len(printed.n)
        means, sds = np.full(rows, np.nan), np.full(rows, np.nan)
        mean_rules, sd_rules = np.full(rows, NONE, dtype="U32"), np.full(rows, NONE, dtype="U32")
        for scenario, within in printed.scenarios().items():
            usable = within & ~self._excluded(printed, scenario)
            _apply(self.mean.get(scenario), printed, usable & (printed.n >= 1), means, mean_rules)
            _apply(self.sd.get(scenario), printed, usable & (printed.n > 1), sds, sd_rules)
        return Estimates(means, sds, mean_rules, sd_rules, self._reasons(printed, np.isnan(means) | np.isnan(sds)))

    def _excluded(self, printed: Figures, scenario: Scenario) -> npt.NDArray[np.bool_]:
        """Mark the rows that a method for positive values cannot use: a figure not above zero, or one person."""
        if not self.positive:
            return np.zeros(len(printed.n), dtype=bool)
        lowest: Array = printed.of(scenario)[0]
        return (lowest <= 0) | (printed.n <= 1)

    def _reasons(self, printed: Figures, missing: npt.NDArray[np.bool_]) -> Names:
        """Say for each row with a missing value why it is missing."""
        scenarios = printed.scenarios()
        texts = [""] * len(missing)
        for row in np.flatnonzero(missing).tolist():
            scenario = next((name for name, within in scenarios.items() if within[row]), None)
            texts[row] = self._reason(printed, row, scenario)
        return np.array(texts, dtype=np.str_)

    def _reason(self, printed: Figures, row: int, scenario: Scenario | None) -> str:
        if scenario is None:
            return UNPRINTED
        if scenario not in self.mean:
            return f"{self.label} has no formula for {_WORDS[scenario]}"
        if self.positive and (low := printed.of(scenario)[0][row]) <= 0:
            return f"the method needs figures above zero, and {low:.15g} is printed"
        return _incomplete(printed, row) or "the formula has no finite value for these figures"


UNPRINTED = "neither minimum and maximum nor both quartiles are printed"


def _incomplete(printed: Figures, row: int) -> str:
    """Say what else is missing beside range and quartiles, or nothing."""
    if np.isnan(printed.n[row]):
        return "the number of people is missing"
    if printed.n[row] <= 1:
        return "one person has no SD"
    return "the median is missing" if np.isnan(printed.m[row]) else ""


def _apply(formula: Formula | None, printed: Figures, rows: npt.NDArray[np.bool_], values: Array, rules: Names) -> None:
    """Write the values of a formula and its name into the marked rows; NaN stays without a name."""
    if formula is None:
        return
    values[rows] = formula.compute(printed.at(rows))
    rules[rows & ~np.isnan(values)] = formula.name


@dataclass(frozen=True)
class FittedMethod:
    """A method that fits a distribution to each row, a few milliseconds a row.

    Attributes
    ----------
    name, label : str
        As in `SummaryMethod`.
    fit : callable
        Scenario, figures in ascending order and n to a `Fit`; raises `Unfit`.
    rule : Rule
        What it does, in words, and its citation.
    assumes : str
        As in `SummaryMethod`.
    """

    name: str
    label: str
    fit: Callable[[Scenario, Array, float], Fit]
    rule: Rule
    assumes: str = "the values are close to normal after a Box–Cox transformation"

    @property
    def mean(self) -> Mapping[Scenario, Formula]:
        """The same fit in every scenario."""
        return self._formulas(lambda printed: self.estimate(printed).mean)

    @property
    def sd(self) -> Mapping[Scenario, Formula]:
        """The same fit in every scenario."""
        return self._formulas(lambda printed: self.estimate(printed).sd)

    def _formulas(self, compute: Callable[[Figures], Array]) -> Mapping[Scenario, Formula]:
        formula = Formula(self.rule.name, self.rule.text, self.rule.citation, compute)
        return dict.fromkeys(PRINTED_IN, formula)

    def estimate(self, printed: Figures) -> Estimates:
        """Fit row by row."""
        found: list[Fit | str] = [UNPRINTED] * len(printed.n)
        for scenario, within in printed.scenarios().items():
            figures = np.array(printed.of(scenario))
            for row in np.flatnonzero(within).tolist():
                found[row] = self._one(printed, row, scenario, figures[:, row])
        fits = [entry if isinstance(entry, Fit) else Fit(np.nan, np.nan, NONE) for entry in found]
        rules = np.array([fit.rule for fit in fits], dtype=np.str_)
        return Estimates(
            np.array([fit.mean for fit in fits]),
            np.array([fit.sd for fit in fits]),
            rules,
            rules.copy(),
            np.array(["" if isinstance(entry, Fit) else entry for entry in found], dtype=np.str_),
        )

    def _one(self, printed: Figures, row: int, scenario: Scenario, values: Array) -> Fit | str:
        """Fit one row, or say why not."""
        if incomplete := _incomplete(printed, row):
            return incomplete
        if printed.n[row] < LEAST_PEOPLE[scenario]:
            return f"{_WORDS[scenario]} of fewer than {LEAST_PEOPLE[scenario]} people cannot be fitted"
        try:
            return self.fit(scenario, values, float(printed.n[row]))
        except Unfit as reason:
            return str(reason)


_WAN_MEAN: Mapping[Scenario, Formula] = {
    "range": wan_mean_range,
    "quartiles": wan_mean_quartiles,
    "five": bland_mean,  # Wan et al. take this mean over from Bland
}

SUMMARY_METHODS: Registry[SummaryMethod] = Registry("summary method")
_METHODS: tuple[SummaryMethod, ...] = (
    ClosedMethod("recommended", "mean Luo 2018, SD Wan 2014 or Shi 2020", LUO_MEAN, {**WAN_SD, "five": shi_sd}),
    ClosedMethod("hozo2005", "Hozo 2005", {"range": hozo_mean}, {"range": hozo_sd}),
    ClosedMethod("wan2014", "Wan 2014", _WAN_MEAN, WAN_SD),
    ClosedMethod("luo2018", "mean Luo 2018, SD Wan 2014", LUO_MEAN, WAN_SD),
    ClosedMethod("shi2020", "mean Luo 2018, SD Shi 2020", {"five": luo_mean_five}, {"five": shi_sd}),
    ClosedMethod("bland2015", "Bland 2015", {"five": bland_mean}, {"five": bland_sd}),
    ClosedMethod("walter2007", "Walter and Yao 2007", {"range": walter_mean}, {"range": walter_sd}),
    ClosedMethod(
        "lognormal",
        "log-normal values, Shi 2020",
        LOGNORMAL_MEAN,
        LOGNORMAL_SD,
        True,
        "the values are close to log-normal",
    ),
    FittedMethod(
        "mcgrath2020_qe",
        "quantile estimation, McGrath 2020",
        fit_quantiles,
        QUANTILE_FIT,
        "the values follow the fitted distribution",
    ),
    FittedMethod("mcgrath2020_bc", "Box–Cox, McGrath 2020", fit_box_cox, BOX_COX),
    FittedMethod("cai2021", "Box–Cox by maximum likelihood, Cai 2021", fit_likelihood, LIKELIHOOD),
)
for _method in _METHODS:
    SUMMARY_METHODS.add(_method.name, _method)
