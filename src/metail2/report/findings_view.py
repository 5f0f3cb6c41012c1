"""Findings as readers see them: in groups of one code, gravest first, what was accepted apart."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from metail2.checks.catalogue import CHECKS
from metail2.checks.definition import SEVERITIES, Check, Finding
from metail2.checks.findings import Findings

HEADINGS = {"error": "Errors", "warning": "Warnings", "note": "Notes"}
MEANINGS = {
    "error": "cannot be true",
    "warning": "probably wrong",
    "note": "a reader should know",
}
ACCEPTED = "somebody looked at it and gave a reason"


@dataclass(frozen=True, slots=True)
class Group:
    """All findings of one code; `check` says what the code means."""

    check: Check
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """All groups of one severity, or all that was accepted.

    Attributes
    ----------
    key : str
        ``"error"``, ``"accepted error"``, ``"warning"``, ``"note"`` or ``"accepted"``.
    heading, meaning : str
        In words.
    groups : tuple of Group
        In the order of their codes.
    """

    key: str
    heading: str
    meaning: str
    groups: tuple[Group, ...]

    @property
    def count(self) -> int:
        """How many findings the section holds."""
        return sum(len(group.findings) for group in self.groups)


def sections(findings: Findings) -> list[Section]:
    """Group findings for the terminal and for pages; a section without findings is left out."""
    parts = [
        Section(name, HEADINGS[name], MEANINGS[name], _groups(one for one in findings.open if one.severity == name))
        for name in SEVERITIES
    ]
    accepted = [one for one in findings if one.accepted]
    errors, others = (_groups(one for one in accepted if (one.severity == "error") is grave) for grave in (True, False))
    parts.insert(1, Section("accepted error", "Accepted errors", f"{MEANINGS['error']}, but {ACCEPTED}", errors))
    parts.append(Section("accepted", "Accepted", ACCEPTED, others))
    return [part for part in parts if part.groups]


def _groups(findings: Iterable[Finding]) -> tuple[Group, ...]:
    by_code: dict[str, list[Finding]] = {}
    for finding in findings:
        by_code.setdefault(finding.code, []).append(finding)
    return tuple(Group(CHECKS[code], tuple(by_code[code])) for code in sorted(by_code))
