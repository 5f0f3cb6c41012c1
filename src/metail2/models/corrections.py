"""What adding to zero cells does to effects that are pooled: whose are corrected, and whose are nothing else."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from metail2.effects.effect_sizes import EffectSizes
from metail2.errors import ModelError
from metail2.models.count_arms import arms
from metail2.wording import some

Places = NDArray[np.int64]

RATIOS = ("OR", "RR", "IRR")
"""Measures about which a study says nothing if no event occurred in either arm."""
INSTEAD = "MantelHaenszel, Peto and MixedCounts pool the counts as they are"


def refuse_corrections_alone(effects: EffectSizes, used: Places) -> None:
    """Raise if all effects used are ratios of studies that say nothing about one."""
    if effects.added is None:
        return
    empty = _without_information(effects, used)
    if len(empty) and len(empty) == len(used):
        raise ModelError(
            f"{_named(effects, empty)}: {_why(effects)}, so {effects.measure} would be made by what was added to the "
            "cells alone; leave such studies out (drop00=True), pool a difference of risks, or say that no ratio can "
            "be estimated."
        )


def correction_notes(effects: EffectSizes, used: Places) -> list[str]:
    """Say which of the effects used rest on corrected counts, and which on nothing else."""
    amount = np.zeros(len(effects)) if effects.added is None else effects.added
    notes = []
    for size in np.unique(amount[used][amount[used] > 0]):
        those = used[amount[used] == size]
        who = "every study" if len(those) == len(used) > 1 else _named(effects, those)
        notes.append(f"{size:g} was added to the counts of {who}, and is part of what is pooled")
    empty = _without_information(effects, used)
    if len(empty):
        effect = "its effect is" if len(empty) == 1 else "their effects are"
        notes.append(
            f"{_named(effects, empty)}: {_why(effects)}, so {effect} made by what was added and by the sizes of the "
            f"arms; drop00=True leaves such studies out, and {INSTEAD}"
        )
    return notes


def _without_information(effects: EffectSizes, used: Places) -> Places:
    """Which of the effects used are ratios of studies without an event, and of odds also without anything else."""
    amount = effects.added
    if amount is None or effects.measure not in RATIOS or not (amount[used] > 0).any() or not effects.inputs:
        return used[:0]
    events, size = arms(effects)
    empty = events.sum(1) == 0
    if effects.measure == "OR":
        empty |= (events == size).all(1)
    return np.flatnonzero(empty & (amount > 0) & np.isin(np.arange(len(effects)), used))


def _why(effects: EffectSizes) -> str:
    return "nobody or everybody had the event" if effects.measure == "OR" else "no event occurred in either arm"


def _named(effects: EffectSizes, places: Places) -> str:
    return some([effects.study[i] for i in places])
