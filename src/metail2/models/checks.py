"""Options checked once, at the boundary, each by one sentence."""

from __future__ import annotations

import numpy as np

from metail2.effects.effect_sizes import EffectSizes
from metail2.errors import ModelError


def check_effects(effects: object) -> None:
    """Raise unless effects were given."""
    if not isinstance(effects, EffectSizes):
        raise ModelError(
            f"A model is fitted to EffectSizes, not to {type(effects).__name__}; make them with effect_sizes(), "
            "harmonise() or EffectSizes.from_arrays()."
        )


def check_level(level: object) -> None:
    """Raise unless the confidence level is a fraction between 0 and 1."""
    if not isinstance(level, float | np.number | int) or not 0 < level < 1:  # True and False are 1 and 0
        raise ModelError(f"The confidence level is {level!r}; give a number between 0 and 1, e.g. 0.95.")


def chosen_level(level: float | None, own: float) -> float:
    """Return the level asked for, by default that of the fit; raise unless it is between 0 and 1."""
    chosen = own if level is None else level
    check_level(chosen)
    return float(chosen)


def check_count(count: object, what: str, least: int) -> int:
    """Return how many were asked for, or raise unless it is a whole number of at least `least`."""
    if (
        isinstance(count, bool)
        or not isinstance(count, int | float | np.integer)
        or (isinstance(count, float) and not float(count).is_integer())
        or count < least
    ):
        given = repr(count) if isinstance(count, str) else count
        raise ModelError(f"{given} {what} were asked for; give a whole number of at least {least}.")
    return int(count)


def check_seed(seed: object) -> int | None:
    """Return the seed of random draws, or raise unless it is a whole number of at least 0, or None (a new one)."""
    if seed is None:
        return None
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise ModelError(f"The seed is {seed!r}; give a whole number of at least 0, or None for new draws every time.")
    return int(seed)
