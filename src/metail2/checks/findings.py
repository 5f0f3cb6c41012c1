"""Findings: what the checks found, and which of it was accepted with a reason."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace

import pandas as pd

from metail2.checks.definition import CHECKS, SEVERITIES, Finding, describe, found
from metail2.errors import RecordError

ACCEPTED = re.compile(r"(?P<code>M\d{3})(?: (?P<study>[^:]+))?: *(?P<reason>.*\S) *")
COLUMNS = tuple(entry.name for entry in fields(Finding))

STALE = describe(
    "M009", "warning", "an accepted finding that is not there",
    help="""A report's accept list names a finding that the checks no longer make: the figure was corrected, or the
    code or the study is misspelt. Remove the entry, so that the list says only what is true.""",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Acceptance:
    """One entry of a report's accept list.

    Attributes
    ----------
    code : str
        Key of `CHECKS`.
    study : str
        Only findings of this study; empty for all.
    reason : str
        Why the finding may stand.
    """

    code: str
    study: str
    reason: str

    @classmethod
    def parse(cls, text: str) -> Acceptance:
        """Read ``"M031 he2020: the reason"`` or ``"M031: the reason"``.

        Raises
        ------
        RecordError
            If the text does not have this form.
        UnknownChoice
            If there is no check of this code.
        """
        from metail2.checks.catalogue import CHECKS  # filled, which it is not while this module is being imported

        match = ACCEPTED.fullmatch(text)
        if match is None:
            raise RecordError(f"accept holds {text!r}; write a code, a study and the reason: 'M031 he2020: …'.")
        CHECKS[match["code"]]
        return cls(match["code"], match["study"] or "", match["reason"])

    def covers(self, finding: Finding) -> bool:
        """Whether a finding is one that this entry accepts."""
        return finding.code == self.code and self.study in ("", finding.study)


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
        """
        marked = list(dict.fromkeys(findings))
        for entry in map(Acceptance.parse, accept):
            covered = [entry.covers(finding) for finding in marked]
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
        """How many are open of each severity, and how many accepted: "2 errors, 1 warning, 0 notes (1 accepted)"."""
        found = Counter(finding.severity for finding in self.open)
        counts = [f"{found[name]} {name}{'' if found[name] == 1 else 's'}" for name in SEVERITIES]
        accepted = len(self.entries) - len(self.open)
        return ", ".join(counts) + (f" ({accepted} accepted)" if accepted else "")

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
    return f"accepts {entry.code} ({CHECKS[entry.code].title}), which is not found; remove the entry from accept"


def _order(finding: Finding) -> tuple[int, str, str, int, str]:
    return SEVERITIES.index(finding.severity), finding.code, finding.file, finding.row or 0, finding.study
