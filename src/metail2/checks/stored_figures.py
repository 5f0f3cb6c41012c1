"""The study figures of a review as a table for the checks, and what they find in the words of its file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import pandas as pd

from metail2.checks.definition import Finding
from metail2.records.reviews.review import FIGURES, MEASURES, Analysis, Review

WORDS: Mapping[str, str] = {
    "events1": "Experimental events", "n1": "Experimental total", "mean1": "Experimental mean",
    "sd1": "Experimental SD", "events2": "Control events", "n2": "Control total", "mean2": "Control mean",
    "sd2": "Control SD", "yi": "effect estimate", "sei": "SE", "o_minus_e": "O−E", "v": "variance",
}  # fmt: skip
"""What RevMan's screens call the figures of a study."""

HAZARDS: Mapping[str, str] = {"log_hr": "yi", "se": "sei"}
"""Columns of hazard ratios that are given as effects with standard errors."""


def tables_of(analysis: Analysis) -> Iterator[pd.DataFrame]:
    """Return the study rows of each subgroup; what the file says is not estimable, or leaves out, is no fault.

    A study may stand in several subgroups, which `stored_differences` judges.
    """
    counted = analysis.table[analysis.table["state"].isin(("used", "impossible"))]
    for _, rows in counted.groupby("subgroup", sort=False):
        yield rows[["study", *FIGURES[analysis.kind]]]


def measure_of(analysis: Analysis) -> tuple[str | None, Mapping[str, str]]:
    """Return the measure to check the figures by (None where it is unknown), and its columns of another name."""
    code = "HR" if analysis.kind == "o_minus_e" else analysis.settings.measure
    named = HAZARDS if (analysis.kind, code) == ("generic", "HR") else {}
    return (code if code in MEASURES[analysis.kind] else None), named


def in_review(review: Review, analysis: Analysis, finding: Finding) -> Finding:
    """Name the analysis, and the column in RevMan's words and in those of the file, where a finding is about figures.

    Parameters
    ----------
    review, analysis : Review and Analysis
        That the figures are of.
    finding : Finding
        Made of a table of `tables_of`, with the name of the review's file.
    """
    row, message = finding.row, finding.message
    if finding.row is not None and finding.column.endswith("2") and "row2" in analysis.table:
        row = int(analysis.table["row2"].loc[[finding.row]].iloc[0])
        message = message.replace(f", row {finding.row}", f", row {row}", 1)
    words = dict.fromkeys((WORDS.get(finding.column, ""), review.columns.get(finding.column, "")))
    about = ", ".join([*filter(None, words), f"analysis {analysis.number}"])
    if finding.column:
        column = f"column {finding.column!r}"
        message = message.replace(column, f"{column} ({about})", 1)
    else:
        message = message.replace(finding.file, f"{finding.file}, {about}", 1)
    return replace(finding, row=row, message=message)


def file_column(review: Review, figure: str) -> str:
    """Name a stored figure for the middle of a sentence: "'q' (CHI2)"."""
    column = review.columns.get(figure, "")
    return f"{figure!r} ({column})" if column else repr(figure)
