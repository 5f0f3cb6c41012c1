"""Parts of sentences about a printed P value and the comparison it belongs to."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from metail2.checks.view import View
from metail2.wording import number


def about(view: View, at: int) -> str:
    """Name the outcome of an entry of trial records: " for sri4_response (il2_1 v placebo, week 12)"; else nothing."""
    names = ("outcome", "arm", "control", "timepoint", "population")
    facts = {name: str(view.labels[name].iloc[at]) for name in names if name in view.labels}
    arms = " v ".join(facts[name] for name in ("arm", "control") if facts.get(name))
    others = [fact for name, fact in facts.items() if name in names[3:] and fact != "analysed"]
    where = ", ".join(fact for fact in (arms, *others) if fact)
    return (f" for {facts['outcome']}" if facts.get("outcome") else "") + (f" ({where})" if where else "")


def p_text(view: View, at: int) -> str:
    """Write a P value as printed: "P = 0.036", "P < 0.001"."""
    printed = view.text(at, "p").replace("=", "").strip()
    return f"P {printed[0]} {printed[1:].strip()}" if printed[0] in "<>≤≥" else f"P = {printed}"


def interval(view: View, at: int) -> str:
    """Write an interval as printed: "0.90 to 2.51"."""
    return f"{view.text(at, 'ci_lower')} to {view.text(at, 'ci_upper')}"


def level_too(view: View, at: int) -> str:
    """Name the level of an interval as what else may be wrong, where the table does not give it."""
    return ", and whether the interval is of 95 % (column level)" if np.isnan(view["level"][at]) else ""


def p_number(value: float) -> str:
    """Write a recomputed P value with four decimals, and small ones with two digits: "0.0039", "3.3e−10"."""
    return number(value, 4 if value >= 1e-4 else 1)


def listed_tests(found: Mapping[str, float], decimals: int = 3) -> str:
    """List tests with their P values: "χ² 0.053, Yates 0.129, Fisher 0.097"."""
    return ", ".join(f"{name} {number(value, decimals)}" for name, value in found.items() if value == value)
