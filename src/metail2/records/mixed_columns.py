"""Which columns of a table of mixed statistics mean something for a measure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from metail2.effects.measures import Measure
from metail2.records.arm_columns import arm_column

ESTIMATES = ("estimate", "se", "ci_lower", "ci_upper", "level")
"""A printed estimate of the effect itself, and what tells its precision."""
TESTS = ("t", "p")
"""Its test against no effect."""
POOLED = ("yi", "vi", "sei", "se")
"""The effect and its variance or standard error on the pooled scale (``sei`` in metafor's words)."""
ESTIMATE_IS: Mapping[str, str] = {"HR": "hr", "MC": "mean_change", "MN": "mean"}
"""Measure → its own name for the printed estimate."""
_NO_INVERSE = ("sine_squared", "square")
"""Transforms of which some measures have another one for each sample size (Freeman and Tukey)."""
_SPREAD = ("mean", "sd", "se", "ci_lower", "ci_upper", "median", "q1", "q3", "minimum", "maximum")


@dataclass(frozen=True, slots=True)
class Arm:
    """One arm, time or group whose moments or counts a measure needs.

    Attributes
    ----------
    suffix : str
        As in `arm_column`.
    n : str
        Column of its number of patients.
    """

    suffix: str
    n: str

    def __call__(self, statistic: str) -> str:
        """Name the column of a statistic."""
        return arm_column(statistic, self.suffix)


def column_sets(chosen: Measure) -> tuple[tuple[str, ...], ...]:
    """Return the sets of columns that the measure computes with; printed intervals are read here, by their level."""
    return tuple(names for names in chosen.family.columns if "ci_lower" not in names)


def is_test(chosen: Measure, names: tuple[str, ...]) -> bool:
    """Whether a set of columns is a test that stands for the figures which the measure is about."""
    correlation_for_means = names[0] == "r" and bool(standardised_sizes(chosen))
    return names != column_sets(chosen)[0] and (names[0] in ("t", "f", "p") or correlation_for_means)


def own_columns(chosen: Measure) -> list[str]:
    """Name every column of `column_sets` once."""
    return list(dict.fromkeys(name for names in column_sets(chosen) for name in names))


def arms_with_means(chosen: Measure) -> list[Arm]:
    """Find the arms (or times) of which the measure takes mean and SD."""
    own = own_columns(chosen)
    suffixes = [name.removeprefix("mean") for name in own if name.startswith("mean")]
    return [Arm(suffix, _size(own, suffix)) for suffix in suffixes if f"sd{suffix}" in own]


def arms_with_events(chosen: Measure) -> list[Arm]:
    """Find the arms of which the measure takes events among n patients."""
    own = own_columns(chosen)
    suffixes = [name.removeprefix("events") for name in own if name.startswith("events")]
    return [Arm(suffix, f"n{suffix}") for suffix in suffixes if f"n{suffix}" in own]


def _size(own: list[str], suffix: str) -> str:
    """Find the column of an arm's size: its own, that of its last digit ("_pre1": n1), or the one of all times."""
    return next(name for name in (f"n{suffix}", f"n{suffix[-1:]}", "n") if name in own or name == "n")


def has_estimates(chosen: Measure) -> bool:
    """Whether a printed estimate can be brought to the pooled scale without further figures."""
    return chosen.transform.code not in _NO_INVERSE


def has_null(chosen: Measure) -> bool:
    """Whether there is a value of no effect, which a test can be against."""
    return not math.isnan(chosen.null)


def standardised_sizes(chosen: Measure) -> tuple[str, ...]:
    """Return the columns of sizes beside Cohen's d, where the measure takes it; otherwise nothing."""
    sets = column_sets(chosen)
    return next((sizes for sizes in (("n1", "n2"), ("n",)) if ("d", *sizes) in sets), ())


def assumes_r(chosen: Measure) -> bool:
    """Whether a correlation may be assumed: the measure takes one beside the figures it is about."""
    first = column_sets(chosen)[0]
    return "r" in first and bool(set(first) - {"r", "n"})


def known_columns(chosen: Measure) -> list[str]:
    """Name every column that is understood for a measure; see `harmonise` for their meaning."""
    names = own_columns(chosen)
    for arm in arms_with_means(chosen):
        names += [arm.n, *map(arm, _SPREAD), "level"]
    names += [arm("percent") for arm in arms_with_events(chosen)]
    if standardised_sizes(chosen):
        names.append("g")
    if has_estimates(chosen):
        names += [*ESTIMATES, *(TESTS if has_null(chosen) else ())]
        names += [ESTIMATE_IS[chosen.code]] if chosen.code in ESTIMATE_IS else []
    names += POOLED
    return list(dict.fromkeys(names))
