"""Figures of study rows that cannot be: read as they stand, told by the checks, refused by whatever computes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metail2.wording import MINUS

NOT_NEGATIVE = ("events1", "n1", "events2", "n2", "sd1", "sd2", "sei", "v")
BESIDE: Mapping[str, tuple[str, ...]] = {"n1": ("events1", "mean1", "sd1"), "n2": ("events2", "mean2", "sd2")}
"""Sizes, and the figures that nobody can have given where the size is 0."""


def impossible_reasons(figures: pd.DataFrame) -> NDArray[np.object_]:
    """Say for each study row why its figures cannot be.

    A size of 0 in an arm without any other figure is RevMan's way to write that nothing was filled in, and is possible.

    Parameters
    ----------
    figures : DataFrame, k rows
        Those of `metail2.records.reviews.review.FIGURES` of one kind of analysis.

    Returns
    -------
    ndarray of str, shape (k,)
        The first reason, as "sd1 is −6, below 0"; empty where there is none.
    """
    reasons = np.full(len(figures), "", dtype=object)
    for name in NOT_NEGATIVE:
        if name in figures:
            _say(reasons, figures, name, figures[name] < 0, "below 0")
    for n, others in BESIDE.items():
        for other in (name for name in others if n in figures and name in figures):
            filled = (figures[n] == 0) & figures[other].notna() & (figures[other] != 0)
            _say(reasons, figures, n, filled, f"although there is a figure in {other}")
            if other.startswith("events"):
                _say(reasons, figures, other, figures[other] > figures[n], f"above {n}")
    return reasons


def _say(reasons: NDArray[np.object_], figures: pd.DataFrame, name: str, wrong: pd.Series, why: str) -> None:
    for at in np.flatnonzero(wrong.to_numpy() & (reasons == "")).tolist():
        value = f"{figures[name].iloc[at]:g}".replace("-", MINUS)
        reasons[at] = f"{name} is {value}, {why}"
