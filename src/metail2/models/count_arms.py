"""Counts of arms as the exact likelihoods need them: whole numbers, one column an arm."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from metail2.effects.effect_sizes import EffectSizes
from metail2.effects.two_by_two import cells
from metail2.errors import ModelError
from metail2.wording import some

Floats = NDArray[np.float64]

RARE = 0.1
"""Share of a study's patients with the event up to which their number is nearly proportional to the odds."""


def check_whole(effects: EffectSizes) -> None:
    """Raise where a count, not a person-time, is not a whole number; the message names the study."""
    for name in (name for name in effects.inputs if "time" not in name):
        counts = np.asarray(effects.inputs[name], dtype=float)
        broken = np.flatnonzero(np.isfinite(counts) & (counts != np.round(counts)))
        if len(broken):
            i = int(broken[0])
            raise ModelError(
                f"{effects.study[i]}: column {name!r} is {counts[i]:g}, but a likelihood of counts needs whole "
                "numbers; correct the entry."
            )


def arms(effects: EffectSizes) -> tuple[Floats, Floats]:
    """Return events and patients (or person-time), each of shape (k, arms)."""
    inputs = effects.inputs
    if effects.definition.family.name == "two_by_two":
        table = cells(inputs)
        events, rest = (np.column_stack([table[i] for i in names]) for names in ("ac", "bd"))
        return events, events + rest
    suffixes = ("1", "2") if "events1" in inputs else ("",)
    size = "time" if any("time" in name for name in inputs) else "n"
    events, sizes = (np.column_stack([inputs[name + suffix] for suffix in suffixes]) for name in ("events", size))
    return np.asarray(events, dtype=float), np.asarray(sizes, dtype=float)


def corrected_note(effects: EffectSizes, used: NDArray[np.bool_]) -> str:
    """Say which of the used studies are shown with a correction that the likelihood does not need; may be empty."""
    events, size = arms(effects)
    patients = not any("time" in name for name in effects.inputs)
    zero = ((events == 0) | ((events == size) & patients)).any(1)
    labels = effects.study
    names = [labels[i] for i in np.flatnonzero(zero & used & effects.complete)]
    if not names:
        return ""
    what, verb = ("interval", "uses") if effects.measure == "RD" else ("effect and interval", "use")
    place = "cell" if patients else "number of events"
    return f"the {what} shown for {some(names)} {verb} 0.5 added to every {place}; the likelihood does not"


def common_events_note(effects: EffectSizes, used: NDArray[np.bool_]) -> str:
    """Say where events are too common for CM.AL, whose odds ratio is then the risk ratio; may be empty.

    With probabilities p of an event it takes the ratio of the p for that of the p/(1 − p) (Stijnen, Hamza & Özdemir
    2010). The criterion is each study's own share, because one large study of few events would hide the others in a
    total.
    """
    events, size = (columns[used].sum(1) for columns in arms(effects))
    share, labels = events / size, effects.study
    often = [labels[i] for i in np.flatnonzero(used)[share > RARE]]
    if not often:
        return ""
    most, together = share.max(), events.sum() / size.sum()
    return (
        f"CM.AL gives about the risk ratio, not the odds ratio, unless events are rare (in at most {RARE:.0%} of the "
        f"patients of every study), but {together:.0%} of all patients and up to {most:.0%} of a study have the event "
        f"({some(often)}); CM.EL is exact"
    ).replace("%", " %")
