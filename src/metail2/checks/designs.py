"""Designs whose patients are not independent: what the column design says, and what is given beside it."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from metail2.checks.labels import label_texts
from metail2.checks.view import View

_WORD = r"(?:cluster\w*|group[- ]randomi[sz]ed|cross-?over|split[- ]mouth)"
_DEPENDENT = re.compile(rf"(?i){_WORD}")
_DENIED = re.compile(
    rf"(?i)\b(?:not?|non|without|never)\b[\s:-]*(?:(?:an?|any|by|in|of|the)\s+)*{_WORD}"
    r"|cross-?over\W+(?:(?:was|is|were|to|not)\W+)*(?:allowed|permitted|possible|at progression|after progression)"
)
_FIRST_PERIOD = re.compile(r"(?i)\b(?:first|1st)[\s-]+(?:period|phase)|\bperiod (?:1|one|I)\b|\bbefore (?:the )?cross")
SIZES_ADJUSTED = ("icc", "design_effect")
"""Columns that say how alike the patients of a cluster are."""


def of_dependent_patients(designs: pd.Series) -> np.ndarray:
    """Find designs in clusters or with several values a patient.

    Parameters
    ----------
    designs : Series of str
        As written: "cluster RCT", "parallel, not crossover", "cross-over, first period only" …

    Returns
    -------
    ndarray of bool
        False where such a word is denied, names what patients may do after the trial, or where of a crossover only the
        first period counts, which is a parallel trial.
    """
    return np.array([_dependent(str(design)) for design in designs], dtype=bool)


def _dependent(design: str) -> bool:
    said = _DENIED.sub("", design)
    if _FIRST_PERIOD.search(said):
        said = re.sub(r"(?i)cross-?over", "", said)
    return _DEPENDENT.search(said) is not None


def correlation_given(view: View, columns: Sequence[str] = SIZES_ADJUSTED) -> np.ndarray:
    """Where one of some columns holds a number, shape (m,)."""
    return np.asarray(np.any([np.isfinite(view[name]) for name in columns], axis=0))


def dependent(view: View) -> np.ndarray:
    """Entries whose tests and intervals are not those of independent patients, shape (m,)."""
    return np.asarray(of_dependent_patients(label_texts(view, ("design",))["design"]) | correlation_given(view))
