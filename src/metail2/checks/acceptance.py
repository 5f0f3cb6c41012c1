"""Which findings a report accepts: a code, a study, where needed a row and column, and the reason."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from metail2.checks.definition import Finding
from metail2.errors import RecordError

ENTRY = re.compile(r"(?P<code>M\d{3})(?: (?P<rest>.*))?")
PLACE = re.compile(r"(?P<study>.*?) ?\[(?:row (?P<row>\d+))?(?:(?:(?<=\d), )?column (?P<column>[^\]]+))?\]")
FORM = "write a code, a study and the reason: 'M031 he2020: …'"


@dataclass(frozen=True, slots=True)
class Acceptance:
    """One entry of a report's accept list.

    Attributes
    ----------
    code : str
        Key of `CHECKS`.
    study : str
        Only findings of this study; empty for all.
    row : int or None
        Only findings of this row; None for all.
    column : str
        Only findings of this column; empty for all.
    reason : str
        Why the finding may stand.
    text : str
        The entry as written.
    """

    code: str
    study: str
    row: int | None
    column: str
    reason: str
    text: str

    @classmethod
    def parse(cls, text: str, studies: Collection[str] = ()) -> Acceptance:
        """Read ``"M031 he2020: the reason"``, ``"M031 he2020 [row 3, column n1]: …"`` or ``"M031: the reason"``.

        Parameters
        ----------
        text : str
            In brackets a row, a column or both may follow the study.
        studies : collection of str
            Labels of the studies that were found fault with. A label may hold colons: of all colons at which the text
            can be parted, that after the longest of these labels is taken, else the first.

        Raises
        ------
        RecordError
            If the text does not have this form.
        UnknownChoice
            If there is no check of this code.
        """
        from metail2.checks.catalogue import CHECKS  # filled, which it is not while this module is being imported

        ways = list(_ways(text))
        if not ways:
            raise RecordError(f"accept holds {text!r}; {FORM}.")
        CHECKS[ways[0].code]
        known = [way for way in ways if way.study in studies and way.study]
        return max(known, key=lambda way: len(way.study), default=ways[0])

    @property
    def place(self) -> str:
        """Row and column as they stand in the brackets: "row 3, column n1"; empty for a whole study."""
        return _place(self.row, self.column)

    def covers(self, finding: Finding) -> bool:
        """Whether a finding is one that this entry accepts."""
        return (
            finding.code == self.code
            and self.study in ("", finding.study)
            and self.row in (None, finding.row)
            and self.column in ("", finding.column)
        )

    def refuse_several_errors(self, covered: Sequence[Finding]) -> None:
        """Refuse to accept several errors at once: what cannot be true is looked at one by one, or column by column.

        Raises
        ------
        RecordError
            If the entry names neither row nor column, and covers errors of several places.
        """
        errors = [finding for finding in covered if finding.severity == "error"]
        places = list(dict.fromkeys((one.study, _place(one.row, one.column)) for one in errors))
        if self.place or len(places) < 2:
            return
        study, place = places[0]
        example = " ".join(part for part in (self.code, study, f"[{place}]" if place else "") if part)
        raise RecordError(
            f"accept holds {self.text!r}, which covers {len(places)} errors; accept each by its row or column: "
            f"'{example}: …'."
        )


def _ways(text: str) -> Iterator[Acceptance]:
    """Every way to part an entry at one of its colons into what is accepted and why."""
    for colon in re.finditer(":", text):
        entry, reason = ENTRY.fullmatch(text[: colon.start()]), text[colon.end() :].strip()
        if entry is not None and reason:
            where = (entry["rest"] or "").strip()
            place = PLACE.fullmatch(where)
            if place is None or (place["row"] is None and place["column"] is None):
                yield Acceptance(entry["code"], where, None, "", reason, text)
            else:
                row = int(place["row"]) if place["row"] else None
                yield Acceptance(entry["code"], place["study"], row, place["column"] or "", reason, text)


def _place(row: int | None, column: str) -> str:
    parts = f"row {row}" if row is not None else "", f"column {column}" if column else ""
    return ", ".join(part for part in parts if part)
