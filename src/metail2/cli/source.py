"""Where ``pool`` and ``forest`` take their effects from: a table, one row a study or an arm, or a review file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metail2.cli.guard import WrongUse
from metail2.errors import EffectSizeError, RecordError, UnknownChoice

if TYPE_CHECKING:
    import pandas as pd

    from metail2.effects.effect_sizes import EffectSizes

REVIEWS = (".rm5", ".zip")
"""Files of other review programs."""


@dataclass(frozen=True, slots=True)
class Source:
    """Options as typed; None (or empty) where an option was not given.

    Attributes
    ----------
    file : str
        A CSV or XLSX file, a review file, or the name of a shipped data set.
    measure : str or None
        Code of the effect measure; a review file has its own.
    study : str or None
        Column of study labels.
    columns : tuple of str
        ``("events1=tpos", …)``.
    arm : str or None
        Column of arm labels, of a table with one row an arm.
    control : tuple of str
        Labels of the control arms.
    analysis : str or None
        Number of an analysis of a review file, e.g. ``"1.2"``.
    """

    file: str
    measure: str | None
    study: str | None
    columns: tuple[str, ...]
    arm: str | None
    control: tuple[str, ...]
    analysis: str | None

    def effects(self, options: dict[str, Any]) -> EffectSizes:
        """Read the file and compute the effects; an error in the data names the file.

        Parameters
        ----------
        options : dict
            Further options of `harmonise` that were given.
        """
        if Path(self.file).suffix.lower() in REVIEWS:
            return self._of_review(options)
        if self.analysis is not None:
            raise WrongUse(f"--analysis has no meaning for {self.file}, which is no review file; leave it out.")
        return self._of_table(options)

    def _of_table(self, options: dict[str, Any]) -> EffectSizes:
        from metail2 import harmonise

        if self.measure is None:
            raise WrongUse("A table needs --measure: the code of an effect measure, e.g. RR (see: metail2 measures).")
        named: dict[str, Any] = self._columns()
        table = self._table()
        try:
            return harmonise(table, measure=self.measure, study=self.study, **options, **named)
        except (EffectSizeError, RecordError) as error:
            raise EffectSizeError(f"{Path(self.file).name}: {error}") from None

    def _of_review(self, options: dict[str, Any]) -> EffectSizes:
        from metail2 import read_review

        table_only = {"study": self.study, "column": self.columns, "arm": self.arm, "control": self.control} | options
        for name, value in table_only.items():
            if value:
                raise WrongUse(f"--{name} has no meaning for {self.file}, which is a review file; leave it out.")
        review = read_review(self.file)
        if self.analysis is None:
            listed = "; ".join(f"{entry.number} {entry.name}" for entry in review.analyses)
            raise WrongUse(f"{self.file} holds several analyses; give one with --analysis: {listed}.")
        return review.effects(self.analysis, self.measure)

    def _columns(self) -> dict[str, str]:
        """Read ``events1=tpos``; only names that `harmonise` knows as columns may reach it as keywords."""
        from metail2 import MEASURES
        from metail2.records.mixed_columns import known_columns

        assert self.measure is not None, "a table has one"
        return named_columns(self.columns, known_columns(MEASURES[self.measure]), f"column of {self.measure}")

    def _table(self) -> pd.DataFrame:
        """Read a file, or else the shipped data set of that name."""
        from metail2.records.study_table import check_studies, read_table

        path = Path(self.file)
        if path.exists() or path.name != self.file or path.suffix != "":
            return read_table(path, study=self.study, arm=self.arm, control=self.control or None)
        table = shipped_table(self.file)
        check_studies(table, self.study, self.file)
        return table


def named_columns(pairs: Sequence[str], known: Sequence[str], kind: str) -> dict[str, str]:
    """Read pairs such as ``events1=tpos``.

    Parameters
    ----------
    pairs : sequence of str
        As typed.
    known : sequence of str
        Names that may stand before the sign.
    kind : str
        What they are, for the message about an unknown one.
    """
    columns: dict[str, str] = {}
    for pair in pairs:
        name, sign, column = pair.partition("=")
        if not (name and sign and column):
            raise WrongUse(f"--column is {pair!r}; write NAME=COLUMN with a NAME of: {', '.join(known)}.")
        if name not in known:
            raise UnknownChoice(kind, name, known)
        if name in columns:
            raise WrongUse(f"--column {name} is given twice; give it once.")
        columns[name] = column
    return columns


def shipped_table(name: str) -> pd.DataFrame:
    """Load a shipped table of studies; its index is the row as a spreadsheet counts it."""
    from metail2 import list_datasets, load_dataset
    from metail2.records.study_table import ROW

    listed = list_datasets()
    kinds: dict[str, str] = dict(zip(listed["name"], listed["kind"], strict=True))
    tables = [known for known, kind in kinds.items() if kind == "table"]
    if name in kinds and name not in tables:
        raise WrongUse(
            f"{name!r} holds trial records, not one table of studies; see `metail2 report {name}`, "
            f"or choose from: {', '.join(tables)}."
        )
    if name not in tables:
        raise UnknownChoice("file or data set", name, tables)
    table = load_dataset(name)
    return table.set_axis(table.index + 2).rename_axis(ROW)
