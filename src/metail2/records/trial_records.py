"""TrialRecords: studies and the long table of the figures that they print."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metail2.errors import UnknownChoice


@dataclass(frozen=True, eq=False)
class TrialRecords:
    """Trials and what they print, read and checked.

    Attributes
    ----------
    name : str
        Name of the shipped data set, or of the folder or workbook that was read.
    studies : pandas.DataFrame
        One row a study; columns in ``datasets/il2/README.md``. Doses are in ``dose_unit``; ``year`` and ``n_total``
        are whole numbers or missing; empty text is ``""``.
    figures : pandas.DataFrame
        One row a printed figure: the columns of ``outcomes.csv`` with ``value`` as a number, and with ``printed`` (the
        digits as printed) and ``decimals`` (how many of them follow the decimal point).
    tables : Mapping[str, pandas.DataFrame]
        Every other table of the folder or workbook, by name, e.g. ``derived_counts``.
    files : Mapping[str, str]
        What messages call the tables ``studies`` and ``outcomes``: their file or sheet.
    figure_rows : ndarray of int, or None
        Row of each figure as a spreadsheet counts it; None where they follow the header without a gap.
    """

    name: str
    studies: pd.DataFrame
    figures: pd.DataFrame
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=lambda: {"studies": "studies.csv", "outcomes": "outcomes.csv"})
    figure_rows: NDArray[np.int64] | None = None

    @property
    def outcomes(self) -> list[str]:
        """Names of all outcomes that any study prints a figure for, sorted."""
        return sorted(set(self.figures["outcome"]))

    def outcome(self, name: str) -> pd.DataFrame:
        """Figures of one outcome, in the order of the file.

        Raises
        ------
        UnknownChoice
            No figure has this outcome.
        """
        found = self.figures[self.figures["outcome"] == name]
        if found.empty:
            raise UnknownChoice("outcome", name, self.outcomes)
        return found.reset_index(drop=True)

    def study(self, study_id: str) -> pd.Series:
        """One study's row of `studies`.

        Raises
        ------
        UnknownChoice
            There is no such study.
        """
        found = self.studies[self.studies["study_id"] == study_id]
        if found.empty:
            raise UnknownChoice("study", study_id, self.studies["study_id"])
        return found.iloc[0]

    def __len__(self) -> int:
        return len(self.figures)

    def __repr__(self) -> str:
        return f"TrialRecords({self.name!r}: {len(self.studies)} studies, {len(self)} printed figures)"
