"""What ``validate`` does: from a file, a folder or a name to findings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metail2.cli.guard import WrongUse
from metail2.cli.source import REVIEWS, named_columns, shipped_table
from metail2.errors import EffectSizeError, RecordError, UnknownChoice

if TYPE_CHECKING:
    import pandas as pd

    from metail2.checks.findings import Findings
    from metail2.records.trial_records import TrialRecords


@dataclass(frozen=True, slots=True)
class TableOptions:
    """What only a table of studies can be asked; None where an option was not given.

    Attributes
    ----------
    measure, study, scale_items
        See `metail2.validate`.
    columns : tuple of str
        As typed: ``("events1=tpos", …)``.
    arm : str or None
        Column of arm labels, of a table with one row an arm.
    control : tuple of str
        Labels of the control arms.
    """

    measure: str | None
    study: str | None
    columns: tuple[str, ...]
    scale_items: int | None
    arm: str | None
    control: tuple[str, ...]

    def refuse(self, target: str, what: str) -> None:
        """Refuse options that have no meaning for what is not a table of studies."""
        given = {"measure": self.measure, "study": self.study, "column": self.columns or None}
        given |= {"arm": self.arm, "control": self.control or None}
        for name, value in (given | {"scale-items": self.scale_items}).items():
            if value is not None:
                raise WrongUse(f"--{name} has no meaning for {target}, which is {what}; leave it out.")


def findings_of(target: str, options: TableOptions) -> Findings:
    """Find out what the target is, read it, and run the checks.

    Parameters
    ----------
    target : str
        A file, a folder, or the name of a shipped report or data set.
    options : TableOptions
        For a table of studies.

    Raises
    ------
    MetailError
        If there is no such target, or it cannot be read; what it holds is told by findings, not raised.
    """
    path = Path(target)
    if path.exists() or path.name != target or path.suffix:
        return _of_path(path, options)
    return _shipped(target, options)


def _of_path(path: Path, options: TableOptions) -> Findings:
    from metail2.records.reviews.reading import is_package

    suffix = path.suffix.lower()
    if suffix == ".toml":
        options.refuse(str(path), "a report")
        return _of_report(str(path))
    if suffix in REVIEWS:
        options.refuse(str(path), "a review")
        return _of_review(path)
    if path.is_dir() and is_package(path):
        options.refuse(str(path), "a review")
        return _of_review(path)
    if path.is_dir() or _is_workbook_of_records(path):
        from metail2.records.reading import read_records

        options.refuse(str(path), "trial records")
        return _of_records(lambda: read_records(path))
    from metail2.records.study_table import read_cells

    return _of_table(_wide(read_cells(path), path.name, options), path.name, options)


def _wide(table: pd.DataFrame, file: str, options: TableOptions) -> pd.DataFrame:
    """Bring a table with one row an arm to one row a study, in the row of its experimental arm."""
    if options.arm is None:
        return table
    from metail2.records.long_table import wide_from_long

    try:
        return wide_from_long(table, study=options.study or "study", arm=options.arm, control=options.control or None)
    except RecordError as error:
        raise RecordError(f"{file}: {error}") from None


def _is_workbook_of_records(path: Path) -> bool:
    from metail2.records.files import WORKBOOKS, read_workbook
    from metail2.records.reading import CORE

    return path.suffix.lower() in WORKBOOKS and path.is_file() and set(CORE) <= set(read_workbook(path))


def _shipped(name: str, options: TableOptions) -> Findings:
    from metail2.records.catalogue import list_datasets, report_names
    from metail2.records.reading import load_records

    listed = list_datasets()
    kinds: dict[str, str] = dict(zip(listed["name"], listed["kind"], strict=True))
    if name in report_names():
        options.refuse(name, "a report")
        return _of_report(name)
    if name not in kinds:
        raise UnknownChoice("file, report or data set", name, dict.fromkeys([*report_names(), *kinds]))
    if kinds[name] == "records":
        options.refuse(name, "trial records")
        return _of_records(lambda: load_records(name))
    return _of_table(shipped_table(name), name, options)


def _of_table(table: pd.DataFrame, file: str, options: TableOptions) -> Findings:
    from metail2.checks.validate import validate
    from metail2.checks.wide_views import known_columns
    from metail2.effects.measures import MEASURES

    chosen = None if options.measure is None else MEASURES[options.measure]
    columns: dict[str, Any] = named_columns(options.columns, known_columns(chosen), "column")
    try:
        return validate(
            table, options.measure, options.study, scale_items=options.scale_items, file=file, **columns
        )  # fmt: skip
    except EffectSizeError as error:
        raise EffectSizeError(f"{file}: {error}") from None


def _of_records(read: Callable[[], TrialRecords], accept: tuple[str, ...] = ()) -> Findings:
    """Check trial records; where they do not meet the schema, nothing else can be told of them."""
    from metail2.checks.findings import Findings
    from metail2.checks.schema_violations import schema_findings
    from metail2.checks.validate import validate
    from metail2.records.schema import SchemaError

    try:
        records = read()
    except SchemaError as error:
        return Findings.of(schema_findings(error))
    return validate(records, accept=accept)


def _of_report(report: str) -> Findings:
    from metail2.report.inputs import read_inputs
    from metail2.report.specification import read_specification, specification_path

    path = specification_path(report)
    specification = read_specification(path)
    return _of_records(lambda: read_inputs(specification, path)[0], tuple(specification.accept))


def _of_review(path: Path) -> Findings:
    from metail2.checks.validate import validate
    from metail2.records.reviews.reading import read_review

    return validate(read_review(path))
