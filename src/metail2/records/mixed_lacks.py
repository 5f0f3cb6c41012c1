"""What a row of a mixed sheet lacks for an effect, and which columns could hold it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache

from metail2.effects.measures import MEASURES, Measure
from metail2.records.mixed_columns import (
    ESTIMATE_IS,
    Arm,
    arms_with_events,
    arms_with_means,
    column_sets,
    has_estimates,
    has_null,
    own_columns,
    standardised_sizes,
)

Names = tuple[str, ...]

_OF_ARMS: Mapping[str, tuple[Names, ...]] = {
    "sd": (("se",), ("ci_lower", "ci_upper"), ("q1", "q3"), ("minimum", "maximum")),
    "mean": (("median",), ("q1", "q3"), ("minimum", "maximum")),
    "events": (("percent",),),
}
"""Statistic of an arm → sets of others, from each of which it may be had."""
_POOLED = ("yi", "se")
_PAIRS: tuple[Names, ...] = (("mean1", "mean2"), ("mean_post", "mean_pre"))


def ways(chosen: Measure) -> tuple[Names, ...]:
    """Return every set of figures that an effect is computed from: the measure's own, then the effect and its error."""
    return (*column_sets(chosen), _POOLED)


def instead_of(chosen: Measure, name: str) -> tuple[Names, ...]:
    """Return the sets of other figures from which a figure may be had, the preferred one first."""
    return _instead(chosen.code).get(name, ())


@cache
def _instead(code: str) -> dict[str, tuple[Names, ...]]:
    chosen = MEASURES[code]
    own = own_columns(chosen)
    found = {"yi": _effects(chosen), "se": _errors(chosen)}
    for arms, statistics in ((arms_with_means(chosen), ("mean", "sd")), (arms_with_events(chosen), ("events",))):
        found |= {arm(name): _of_arm(arm, name) for arm in arms for name in statistics}
    if "mean_change" in own:
        found["mean_change"] = (*found.get("mean_change", ()), ("mean_post", "mean_pre"))
    if "direction" in own:
        found["direction"] = tuple(pair for pair in _PAIRS if {*pair} <= {*own})
    if standardised_sizes(chosen):
        found["d"] = (("g",),)
    return found


def _of_arm(arm: Arm, statistic: str) -> tuple[Names, ...]:
    return tuple(tuple(arm(name) for name in names) for names in _OF_ARMS[statistic])


def _effects(chosen: Measure) -> tuple[Names, ...]:
    if not has_estimates(chosen):
        return ()
    own = ESTIMATE_IS.get(chosen.code)
    pairs = {"MD": _PAIRS[:1], "MC": _PAIRS[1:]}.get(chosen.code, ())
    return (("estimate",), *([(own,)] if own else []), *pairs)


def _errors(chosen: Measure) -> tuple[Names, ...]:
    tests = (("t",), ("p",)) if has_null(chosen) else ()
    return (("sei",), ("vi",), *((("ci_lower", "ci_upper"), *tests) if has_estimates(chosen) else ()))


def whole(chosen: Measure, there: Collection[str]) -> list[Names]:
    """Find the ways of which every figure, or what it may be had from, is among some columns."""
    return [names for names in ways(chosen) if all(may_be_had(chosen, name, there) for name in names)]


def may_be_had(chosen: Measure, name: str, there: Collection[str]) -> bool:
    """Whether a figure, or all of a set of others that it may be had from, is among some columns."""
    return name in there or any(all(other in there for other in others) for others in instead_of(chosen, name))


def lacking(chosen: Measure, known: Collection[str], there: Collection[str]) -> Names:
    """Name the figures that the nearest way to an effect lacks.

    Parameters
    ----------
    chosen : Measure
        Of what effect.
    known : collection of str
        The figures that a row has, printed or had from others.
    there : collection of str
        The columns of the table. Ways that it has no columns for are left out, unless the row has half an effect.
    """
    known = {*known}
    if "yi" not in known and may_be_had(chosen, "se", known):
        known.add("se")  # which could be had, were there an estimate
    missing = {names: tuple(name for name in names if name not in known) for names in ways(chosen)}
    possible = whole(chosen, there) + ([_POOLED] if {*_POOLED} & known else [])
    if possible:
        return min((missing[names] for names in possible), key=lambda names: _still(chosen, names, known))
    return missing[max(missing, key=lambda names: len(names) - len(missing[names]))]


def _still(chosen: Measure, missing: Names, known: Collection[str]) -> int:
    """Count the missing figures that nothing else which is known stands for."""
    return sum(not may_be_had(chosen, name, known) for name in missing)
