"""The catalogue of checks: what a finding is, and the registry of every code with its severity and help."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeVar

from metail2.checks.view import View
from metail2.registry import Registry

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
"""From what cannot be true, over what is probably wrong, to what a reader should know."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found wrong, suspect or worth knowing.

    Attributes
    ----------
    code : str
        Key of `CHECKS`, e.g. ``"M012"``.
    severity : {"error", "warning", "note"}
        How grave it is.
    file : str
        Name of the file or sheet.
    row : int or None
        Row as a spreadsheet counts it; None where it concerns no single row.
    study : str
        Label of the study; empty where it concerns the whole table.
    column : str
        Column of the file; empty where it concerns no single column.
    message : str
        One line that names file, row, study and column, what is wrong and what to do.
    accepted : str
        The reason why it was accepted; empty where it was not.
    """

    code: str
    severity: Severity
    file: str
    row: int | None
    study: str
    column: str
    message: str
    accepted: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """One entry of the catalogue.

    Attributes
    ----------
    code : str
        ``"M001"`` …
    severity : {"error", "warning", "note"}
        Of every finding with this code.
    title : str
        What is wrong, in a few words.
    help : str
        What it means, how it is found, what to do, when it is harmless, and the source.
    """

    code: str
    severity: Severity
    title: str
    help: str


CHECKS: Registry[Check] = Registry("check")


def describe(code: str, severity: Severity, title: str, *, help: str) -> Check:
    """Add a code to the catalogue; see `Check` for the meaning of each argument."""
    return CHECKS.add(code, Check(code, severity, title, " ".join(help.split())))


class Hit(NamedTuple):
    """What a finder saw: entry `at` of its view, in the cells of `quantity`, and the rest of the sentence.

    `says` goes on after "column 'sd1' ": e.g. "is -2, but an SD is above 0; correct the entry". With an empty
    `quantity` it goes on after the name of the study.
    """

    check: Check
    at: int
    quantity: str
    says: str


Finder = Callable[[View], Iterable[Hit]]
F = TypeVar("F", bound=Finder)

ARM_FINDERS: list[Finder] = []
"""Look at one arm of one study at one time in each entry."""

COMPARISON_FINDERS: list[Finder] = []
"""Look at one comparison (or one group) a study in each entry."""

TABLE_FINDERS: list[Finder] = []
"""Look at the comparisons of a plain table as the studies of a pool; trial records are a library, not a pool."""


def of_arms(finder: F) -> F:
    """Register a finder that looks at arms."""
    ARM_FINDERS.append(finder)
    return finder


def of_comparisons(finder: F) -> F:
    """Register a finder that looks at comparisons."""
    COMPARISON_FINDERS.append(finder)
    return finder


def of_tables(finder: F) -> F:
    """Register a finder that looks at a plain table as a pool."""
    TABLE_FINDERS.append(finder)
    return finder


def finding(view: View, hit: Hit) -> Finding:
    """Write a hit as a finding: the place, then what is wrong."""
    study = str(view.labels["study"].iloc[hit.at])
    row, column = view.place(hit.at, hit.quantity)
    return found(hit.check, hit.says, file=view.file, row=row, study=study, column=column)


def found(check: Check, says: str, *, file: str, row: int | None = None, study: str = "", column: str = "") -> Finding:
    """Write a finding; the message names every part of the place that is known.

    Parameters
    ----------
    check : Check
        From `describe`.
    says : str
        The rest of the sentence, without its full stop; see `Hit`.
    file, row, study, column
        As in `Finding`.
    """
    # a row without a label is called after its number
    parts = dict.fromkeys((file, f"row {row}" if row is not None else "", study))
    place = ", ".join(part for part in parts if part)
    subject = f"column {column!r} " if column else ""
    message = " ".join(f"{place}: {subject}{says}.".split())  # a label may hold line breaks
    return Finding(check.code, check.severity, file, row, study, column, message)
