"""Mean, SD and number of patients of one arm, from whatever its article prints."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from metail2.conversions import (
    FORMULAS,
    SUMMARY_METHODS,
    combine_means,
    log_fold,
    mean_sd,
    sd_from_interval,
    sd_from_se,
    se_from_p,
)
from metail2.errors import EffectSizeError, RecordError
from metail2.records.selection import Cell
from metail2.records.trail import ASSUMED, Figure, Trail

_COCHRANE = "Higgins JPT, Li T, Deeks JJ (2024). Cochrane Handbook, ch. 6, table 6.5.2.a"
HANDBOOK = "Higgins JPT, Li T, Deeks JJ (2024). Cochrane Handbook, section 6.5.2"


@dataclass(frozen=True, slots=True)
class Moments:
    """Mean, SD (NaN for one patient) and number of patients."""

    mean: float
    sd: float
    n: float


def arm_moments(cell: Cell, n: float, trail: Trail, method: str, suffix: str) -> Moments:
    """Return the moments of one arm of n patients, recording every step.

    `method` says how medians and ranges are read; `suffix` names the quantities in the trail (``mean1``, ``sd_pre``).

    Raises
    ------
    RecordError
        If the cell prints too little; the message says what it prints.
    """
    rule = next((rule for needs, rule in _RULES if cell.has(*needs)), None)
    if rule is None:
        raise RecordError(
            f"{cell.place()}: a mean and an SD cannot be had from what is printed ({cell.printed()}); leave the study "
            "out."
        )
    try:
        return rule(cell, n, trail, method, suffix)
    except EffectSizeError as error:
        raise RecordError(f"{cell.place()}: {_lower(str(error)).removesuffix('.')}; correct the records.") from None


def _lower(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]


def _plain(cell: Cell, n: float, trail: Trail, method: str, suffix: str) -> Moments:
    return Moments(_mean(cell, trail, suffix), trail.printed(f"sd{suffix}", cell["sd"], cell.unit), n)


def _mean(cell: Cell, trail: Trail, suffix: str) -> float:
    return trail.printed(f"mean{suffix}", cell["mean"], cell.unit)


def _standard_error(cell: Cell, n: float, trail: Trail, method: str, suffix: str) -> Moments:
    sd = float(sd_from_se(cell["se"].value, n))
    trail.step(f"sd{suffix}", sd, "SD from standard error", [cell["se"]], formula="SE·√n", citation=HANDBOOK)
    return Moments(_mean(cell, trail, suffix), sd, n)


def _interval(cell: Cell, n: float, trail: Trail, method: str, suffix: str) -> Moments:
    low, high = cell["ci_low"], cell["ci_high"]
    sd = float(sd_from_interval(low.value, high.value, n, mean=cell["mean"].value))
    trail.step(
        f"sd{suffix}", sd, "SD from 95 % interval", [low, high], formula="√n·(upper − lower)/(2·t with n − 1 df)",
        citation=HANDBOOK,
    )  # fmt: skip
    return Moments(_mean(cell, trail, suffix), sd, n)


def _change_p(cell: Cell, n: float, trail: Trail, method: str, suffix: str) -> Moments:
    p = cell["p_value"]
    if cell.timepoint != "change" or p.qualifier:
        raise RecordError(
            f"{cell.place()}: the SD cannot be had from P {p.qualifier}{p.printed}; only an exact P of a paired t test "
            "of a change gives one."
        )
    se = float(se_from_p(cell["mean"].value, p.value, df=n - 1))
    sd = float(sd_from_se(se, n))
    trail.step(
        f"sd{suffix}", sd, "SD from P value", [p], formula="√n·mean/t with n − 1 df", citation=HANDBOOK,
        assumption="P is exact and comes from a paired t test", basis=ASSUMED,
    )  # fmt: skip
    return Moments(_mean(cell, trail, suffix), sd, n)


def _summary(cell: Cell, n: float, trail: Trail, method: str, suffix: str) -> Moments:
    """Mean and SD from median, quartiles and range; a printed mean is kept and only its SD imputed."""
    names = {"minimum": "min", "q1": "q1", "median": "median", "q3": "q3", "maximum": "max", "mean": "mean"}
    used = {argument: cell[name] for argument, name in names.items() if cell.has(name)}
    values = {argument: figure.value for argument, figure in used.items()}
    if cell.unit_kind == "fold":
        return _log_fold(cell, n, trail, method, suffix, used, values)
    found = mean_sd(n=n, method=method, **values)
    mean, sd = float(found.mean), float(found.sd)
    if math.isnan(mean) or math.isnan(sd):
        why = f" ({found.reason})" if str(found.reason) else ""
        raise RecordError(f"{cell.place()}: the method {method!r} gives no mean and SD from {', '.join(used)}{why}.")
    assumes = SUMMARY_METHODS[method].assumes
    _summary_step(trail, f"mean{suffix}", mean, str(found.mean_method), used, assumes)
    _summary_step(trail, f"sd{suffix}", sd, str(found.sd_method), used, assumes)
    return Moments(mean, sd, n)


def _summary_step(
    trail: Trail, quantity: str, value: float, method: str, used: dict[str, Figure], assumes: str
) -> None:
    if method == "printed":
        trail.printed(quantity, used["mean"])
        return
    rule = FORMULAS[method]
    figures = [figure for name, figure in used.items() if name != "mean"]
    trail.step(
        quantity, value, f"imputed from {', '.join(name for name in used if name != 'mean')}", figures,
        formula=rule.text, citation=rule.citation, assumption=assumes, basis=ASSUMED,
    )  # fmt: skip


def _log_fold(
    cell: Cell, n: float, trail: Trail, method: str, suffix: str, used: dict[str, Figure], values: dict[str, float]
) -> Moments:
    found = log_fold(n=n, method=method, **values)
    if math.isnan(found.mean) or math.isnan(found.sd):
        raise RecordError(f"{cell.place()}: the method {method!r} gives no mean and SD from {', '.join(used)}.")
    for quantity, value, name in (
        (f"mean{suffix}", float(found.mean), str(found.mean_method)),
        (f"sd{suffix}", float(found.sd), str(found.sd_method)),
    ):
        rule = FORMULAS[name]
        trail.step(
            quantity, value, f"log of the fold change, imputed from {', '.join(used)}", used.values(),
            formula=rule.text, citation=rule.citation, assumption="fold changes are close to log-normal", basis=ASSUMED,
        )  # fmt: skip
    return Moments(float(found.mean), float(found.sd), n)


def _one_patient(cell: Cell, n: float, trail: Trail, method: str, suffix: str) -> Moments:
    if n != 1:
        raise RecordError(f"{cell.place()}: one value is printed for {n:g} patients, so no mean and SD can be had.")
    return Moments(trail.printed(f"mean{suffix}", cell["value"], cell.unit), math.nan, 1.0)


Rule = Callable[[Cell, float, Trail, str, str], Moments]
_RULES: tuple[tuple[tuple[str, ...], Rule], ...] = (
    (("mean", "sd"), _plain),
    (("mean", "se"), _standard_error),
    (("mean", "ci_low", "ci_high"), _interval),
    (("mean", "min", "max"), _summary),
    (("median", "min", "max"), _summary),
    (("median", "q1", "q3"), _summary),
    (("mean", "p_value"), _change_p),
    (("value",), _one_patient),
)
"""What must be printed, and the rule that then applies; the first that fits is used."""


def combined_moments(parts: list[Moments], trail: Trail, suffix: str) -> Moments:
    """Combine several arms into one (a single arm is returned as it is)."""
    if len(parts) == 1:
        return parts[0]
    found = combine_means(*(np.array([getattr(part, name) for part in parts]) for name in ("mean", "sd", "n")))
    mean, sd, n = float(found.mean), float(found.sd), float(found.n)
    conversion = f"{len(parts)} arms combined"
    for quantity, value in ((f"mean{suffix}", mean), (f"sd{suffix}", sd), (f"n{suffix}", n)):
        trail.step(quantity, value, conversion, formula="pooled as if one sample", citation=_COCHRANE)
    return Moments(mean, sd, n)
