"""Trial records that do not meet the schema: every violation as a finding, where reading them stops at the first."""

from __future__ import annotations

from collections.abc import Iterator

from metail2.checks.definition import Finding, describe, found
from metail2.records.schema import SchemaError

SCHEMA = describe(
    "M095", "error", "does not meet the schema",
    help="""A cell of trial records holds what its column does not allow: an unknown statistic or kind of unit, text
    for a number, a study that is not in the table of studies. The columns and what they may hold are described in
    datasets/il2/README.md. Correct the cell; the records cannot be read before all of them are.""",
)  # fmt: skip


def schema_findings(error: SchemaError) -> Iterator[Finding]:
    """Write the violations that reading found as findings.

    Parameters
    ----------
    error : SchemaError
        Raised by `read_records`.

    Yields
    ------
    Finding
        One a cell; ``study`` is the study_id.
    """
    for cell in error.violations:
        yield found(SCHEMA, cell.problem, file=cell.file, row=cell.row, study=cell.study, column=cell.column)
