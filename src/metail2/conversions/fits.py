"""What the fitted methods of `mean_sd` share: their result, their refusal, and a minimum in one variable."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar

from metail2.conversions.checks import Array
from metail2.conversions.formulas import Scenario

LEAST_PEOPLE: dict[Scenario, int] = {"range": 3, "quartiles": 5, "five": 5}
"""Fewer people than this cannot have the printed figures as separate order statistics."""


class Fit(NamedTuple):
    """Mean and SD of one fitted distribution, and the key in `FORMULAS` of how they were had."""

    mean: float
    sd: float
    rule: str


class Unfit(Exception):
    """Why a method gives no mean and SD; it becomes `MeanSD.reason` and never leaves this layer."""


def refuse_for_transforming(values: Array) -> None:
    """Raise Unfit unless the figures, in ascending order, are above zero and differ from each other."""
    if values[0] <= 0:
        raise Unfit(f"the method needs figures above zero, and {values[0]:.15g} is printed")
    equal = np.flatnonzero(values[1:] == values[:-1])
    if len(equal):
        raise Unfit(f"two of the figures are {values[equal[0]]:.15g}, so no transformation makes them symmetric")


def least(objective: Callable[[Array], Array], grid: Array) -> tuple[float, float, bool]:
    """Find the global minimum of a function of one variable.

    Parameters
    ----------
    objective : callable
        Values at an array of points.
    grid : ndarray, shape (points,)
        Ascending points, close enough to separate local minima.

    Returns
    -------
    tuple of float, float, bool
        Where the minimum is, its value, and whether it lies inside the grid and Brent's method converged there.
    """
    values = objective(grid)
    best = int(np.argmin(values))
    if best in (0, len(grid) - 1):
        return float(grid[best]), float(values[best]), False
    found = minimize_scalar(
        lambda x: objective(np.array([x]))[0],
        bracket=tuple(grid[best - 1 : best + 2]),
        method="brent",
        options={"xtol": 1e-10},
    )
    return float(found.x), float(found.fun), bool(found.success)
