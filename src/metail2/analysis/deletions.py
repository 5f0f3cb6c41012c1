"""A random-effects fit beside its deletions, as influence, residuals and Baujat's coordinates read them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metail2.analysis.refits import deletable, noted, random_effects
from metail2.kernels.influence import Influence, influence_measures
from metail2.kernels.leave_one_out import Deletions, without_each
from metail2.models.random_effects_result import RandomEffectsResult

NO_ERROR = "all effects agree exactly with the fit, so Hartung–Knapp standard errors are 0 and no unit of measurement"
NO_ERROR_WITHOUT = (
    "the other studies agree exactly with their fit: without this one Hartung–Knapp standard errors are 0"
)


@dataclass(frozen=True, slots=True)
class Compared:
    """A fit and its deletions, one entry or row a study.

    Attributes
    ----------
    without : Deletions
        The fits without each study.
    found : Influence
        What leaving it out does.
    notes : list of str
        Why figures are NaN or infinite.
    """

    without: Deletions
    found: Influence
    notes: list[str]


def compared(result: RandomEffectsResult, name: str) -> Compared:
    """Leave out each study of a fit, for the function called `name`.

    Raises
    ------
    ModelError
        If the result is of another model, or the fit has one study.
    """
    random_effects(result, name, "leave_one_out and cumulative read any pooled result")
    estimable, notes = deletable(result)
    without = without_each(result.fitted, result.spec.test, result.spec.level, estimable)
    found = influence_measures(result.fitted, result.reference, without)
    exact = np.diagonal(result.covariance).all()
    said = noted(notes, without.factor == 0, NO_ERROR_WITHOUT if exact else NO_ERROR)
    return Compared(without, found, said)
