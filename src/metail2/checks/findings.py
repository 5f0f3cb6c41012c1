"""Findings: what the checks found, and which of it was accepted with a reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace

import pandas as pd

from metail2.checks.acceptance import Acceptance
from metail2.checks.definition import CHECKS, SEVERITIES, Finding, describe, found

COLUMNS = tuple(entry.name for entry in fields(Finding))

STALE = describe(
    "M009", "warning", "an accepted finding that is not there",
    help="""A report's accept list names a finding that the checks no longer make: the figure was corrected, or the
    code or the study is misspelt. Remove the entry, so that the list says only what is true.""",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Findings(Sequence[Finding]):
    """What was found, gravest first.

    Attributes
    ----------
    entries : tuple of Finding
        In the order of severity, code, file and row.
    """

    entries: tuple[Finding, ...]

    @classmethod
    def of(cls, findings: Iterable[Finding], accept: Iterable[str] = (), file: str = "accept") -> Findings:
        """Sort findings, mark those that are accepted, and add one for each acceptance that covers none.

        Parameters
        ----------
        findings : iterable of Finding
            In any order; the same finding twice counts once.
        accept : iterable of str
            See `Acceptance.parse`.
        file : str
            Where the acceptances stand, for messages.

        Raises
        ------
        RecordError
            If an acceptance is no such text, or covers several errors without naming a row or column.
        """
        marked = list(dict.fromkeys(findings))
        studies = {finding.study for finding in marked}
        for entry in (Acceptance.parse(text, studies) for text in accept):
            covered = [entry.covers(finding) for finding in marked]
            entry.refuse_several_errors([finding for finding, hit in zip(marked, covered, strict=True) if hit])
            if not any(covered):
                marked.append(found(STALE, _stale(entry), file=file, study=entry.study))
            marked = [
                replace(finding, accepted=entry.reason) if hit and not finding.accepted else finding
                for finding, hit in zip(marked, [*covered, False], strict=False)
            ]
        return cls(tuple(sorted(marked, key=_order)))

    @property
    def open(self) -> tuple[Finding, ...]:
        """Findings that nobody accepted."""
        return tuple(finding for finding in self.entries if not finding.accepted)

    @property
    def errors(self) -> tuple[Finding, ...]:
        """Errors that nobody accepted."""
        return tuple(finding for finding in self.open if finding.severity == "error")

    @property
    def summary(self) -> str:
        """How many are open of each severity, and how many accepted: "2 errors, 1 warning, 0 notes (1 accepted)".

        Accepted errors are told: "0 errors, 1 warning, 0 notes (3 accepted, of them 2 errors)".
        """
        found = Counter(finding.severity for finding in self.open)
        counts = [f"{found[name]} {name}{'' if found[name] == 1 else 's'}" for name in SEVERITIES]
        accepted = len(self.entries) - len(self.open)
        errors = sum(finding.severity == "error" for finding in self.entries) - len(self.errors)
        grave = f", of them {errors} error{'' if errors == 1 else 's'}" if errors else ""
        return ", ".join(counts) + (f" ({accepted} accepted{grave})" if accepted else "")

    def frame(self) -> pd.DataFrame:
        """One row a finding; columns ``code severity file row study column message accepted``."""
        table = pd.DataFrame([asdict(finding) for finding in self.entries], columns=list(COLUMNS))
        return table.astype({"row": "Int64"})

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.entries)

    def __getitem__(self, index: int) -> Finding:  # type: ignore[override]
        return self.entries[index]


def _stale(entry: Acceptance) -> str:
    place = f" in {entry.place}" if entry.place else ""
    return f"accepts {entry.code} ({CHECKS[entry.code].title}){place}, which is not found; remove the entry from accept"


def _order(finding: Finding) -> tuple[int, str, str, int, str]:
    return SEVERITIES.index(finding.severity), finding.code, finding.file, finding.row or 0, finding.study
