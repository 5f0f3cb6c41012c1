"""Measures of a single proportion: events among n."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from metail2.effects.counts import ZeroCells, check_events, corrected
from metail2.effects.definition import Family, Measure, measure
from metail2.effects.transforms import PROPORTION_INVERSES
from metail2.effects.two_by_two import NOT_ADDED
from metail2.kernels.tetrachoric import threshold

Floats = NDArray[np.float64]
NO_NULL = float("nan")
_EXTREME = f"all patients or none have the event, {NOT_ADDED}"


def _prepare(columns: Mapping[str, Floats], chosen: Measure, options: ZeroCells) -> dict[str, Floats]:
    check_events(columns, "events", "n")
    cells = {"events": columns["events"], "rest": columns["n"] - columns["events"]}
    return corrected(cells, (cells["events"] == 0) | (cells["rest"] == 0), options, chosen.add)


PROPORTION = Family("proportion", (("events", "n"),), _prepare)


@measure(
    "PR", "proportion", PROPORTION, formulas=("x/n", "x(n − x)/n³"), null=NO_NULL, bounds=(0, 1), no_variance=_EXTREME,
    citation="Wald variance p(1 − p)/n",
)  # fmt: skip
def raw_proportion(events: Floats, rest: Floats, vtype: str) -> tuple[Floats, Floats]:
    """Proportion."""
    n = events + rest
    return events / n, events * rest / n**3


@measure(
    "PLO", "proportion (logit)", PROPORTION,
    formulas=("ln(x/(n − x))", "1/x + 1/(n − x)"),
    scale="log odds", transform="logistic", null=NO_NULL,
    citation="Stijnen T, Hamza TH, Özdemir P (2010). Statistics in Medicine 29:3046–3067",
)  # fmt: skip
def logit_proportion(events: Floats, rest: Floats, vtype: str) -> tuple[Floats, Floats]:
    """Log odds of the event."""
    return np.log(events) - np.log(rest), 1 / events + 1 / rest


@measure(
    "PFT", "proportion (Freeman–Tukey)", PROPORTION,
    formulas=("½(asin √(x/(n + 1)) + asin √((x + 1)/(n + 1)))", "1/(4n + 2)"),
    scale="double arcsine", transform="sine_squared", null=NO_NULL, inverses=PROPORTION_INVERSES,
    add=0.0, citation="Freeman MF, Tukey JW (1950). Annals of Mathematical Statistics 21:607–611",
)  # fmt: skip
def freeman_tukey(events: Floats, rest: Floats, vtype: str) -> tuple[Floats, Floats]:
    """Half the sum of two arcsines.

    `transforms.freeman_tukey_backward` inverts it exactly for one sample, `transforms.freeman_tukey_proportion` by
    convention for a pooled angle.
    """
    n = events + rest
    angle = 0.5 * (np.arcsin(np.sqrt(events / (n + 1))) + np.arcsin(np.sqrt((events + 1) / (n + 1))))
    return angle, 1 / (4 * n + 2)


@measure(
    "PLN", "proportion (log)", PROPORTION,
    formulas=("ln(x/n)", "1/x − 1/n"),
    scale="log proportion", transform="antilog", shown="proportion", bounds=(0, 1), null=NO_NULL,
    no_variance=f"all patients have the event, {NOT_ADDED}",
    citation="Delta method from the variance p(1 − p)/n",
)  # fmt: skip
def log_proportion(events: Floats, rest: Floats, vtype: str) -> tuple[Floats, Floats]:
    """Log proportion."""
    n = events + rest
    return np.log(events / n), rest / (events * n)


@measure(
    "PRZ", "proportion (probit)", PROPORTION,
    formulas=("Φ⁻¹(x/n)", "2π·p(1 − p)·exp(z²)/n, p = x/n, z = Φ⁻¹(p)"),
    scale="probit", transform="normal_cdf", null=NO_NULL,
    citation="Delta method from the variance p(1 − p)/n",
)  # fmt: skip
def probit_proportion(events: Floats, rest: Floats, vtype: str) -> tuple[Floats, Floats]:
    """Standard normal quantile of the proportion."""
    n = events + rest
    z = threshold(events, rest)
    return z, 2 * np.pi * events * rest * np.exp(z**2) / n**3


@measure(
    "PAS", "proportion (arcsine)", PROPORTION,
    formulas=("asin √(x/n)", "1/(4n)"),
    scale="arcsine, in radians", transform="sine_squared", null=NO_NULL,
    add=0.0, citation="Bartlett MS (1947). Biometrics 3:39–52",
)  # fmt: skip
def arcsine_proportion(events: Floats, rest: Floats, vtype: str) -> tuple[Floats, Floats]:
    """Arcsine of the root of the proportion, whose variance hardly depends on the proportion."""
    n = events + rest
    return np.arcsin(np.sqrt(events / n)), 1 / (4 * n)
