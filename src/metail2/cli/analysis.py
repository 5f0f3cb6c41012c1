"""What ``pool`` and ``forest`` share: from the options as typed to effects and a fitted model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metail2.cli.guard import WrongUse
from metail2.errors import EffectSizeError, UnknownChoice

if TYPE_CHECKING:
    import pandas as pd

    from metail2.effects.effect_sizes import EffectSizes
    from metail2.models.mantel_haenszel import MantelHaenszel
    from metail2.models.peto import Peto
    from metail2.models.random_effects import RandomEffects

MODELS = ("random_effects", "mantel_haenszel", "peto")


@dataclass(frozen=True, slots=True)
class Analysis:
    """Options as typed; None where an option was not given.

    Attributes
    ----------
    file : str
        A CSV or XLSX file, or the name of a shipped data set.
    measure, study, columns
        See `effect_sizes`; `columns` as ``("events1=tpos", …)``.
    zero_cells : dict
        ``add``, ``to`` and ``drop00`` of `effect_sizes`.
    model : str
        One of `MODELS`.
    random_effects : dict
        ``tau2``, ``test`` and ``moderators`` of `RandomEffects`.
    level : float
        Confidence level.
    """

    file: str
    measure: str
    study: str | None
    columns: tuple[str, ...]
    zero_cells: dict[str, Any]
    model: str
    random_effects: dict[str, Any]
    level: float

    def specification(self) -> RandomEffects | MantelHaenszel | Peto:
        """Build the model's specification; a wrong choice is refused here, before anything is read."""
        if self.model not in MODELS:
            raise UnknownChoice("model", self.model, MODELS)
        if self.model == "random_effects":
            from metail2 import RandomEffects

            return RandomEffects(**_given(self.random_effects), level=self.level)
        self._refuse_other_options()
        if self.model == "mantel_haenszel":
            from metail2 import MantelHaenszel

            return MantelHaenszel(self.measure, self.level)
        from metail2 import Peto

        if self.measure != "PETO":
            raise UnknownChoice("measure of --model peto", self.measure, ("PETO",))
        return Peto(self.level)

    def _refuse_other_options(self) -> None:
        for name in _given(self.random_effects | self.zero_cells):
            raise WrongUse(f"--{name} has no meaning with --model {self.model}; leave it out.")

    def effects(self) -> EffectSizes:
        """Read the file and compute the effects; an error in the data names the file."""
        from metail2 import effect_sizes

        options: dict[str, Any] = _given(self.zero_cells) | self._columns()
        table = _table(self.file, self.study)
        try:
            return effect_sizes(table, self.measure, self.study, **options)
        except EffectSizeError as error:
            raise EffectSizeError(f"{Path(self.file).name}: {error}") from None

    def _columns(self) -> dict[str, str]:
        """Read ``events1=tpos``; only names of the measure's columns may reach `effect_sizes` as keywords."""
        from metail2 import MEASURES

        known = {name: None for names in MEASURES[self.measure].family.columns for name in names}
        columns: dict[str, str] = {}
        for pair in self.columns:
            name, sign, column = pair.partition("=")
            if not (name and sign and column):
                raise WrongUse(f"--column is {pair!r}; write NAME=COLUMN with a NAME of: {', '.join(known)}.")
            if name not in known:
                raise UnknownChoice(f"column of {self.measure}", name, known)
            if name in columns:
                raise WrongUse(f"--column {name} is given twice; give it once.")
            columns[name] = column
        return columns


def _given(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _table(file: str, study: str | None) -> pd.DataFrame:
    """Read a file, or else the shipped data set of that name; each study has one row."""
    from metail2.records.study_table import check_studies, read_study_table

    path = Path(file)
    is_file = path.exists() or path.name != file or path.suffix != ""
    table = read_study_table(path, study) if is_file else _shipped(file)
    check_studies(table, study, path.name)
    return table


def _shipped(name: str) -> pd.DataFrame:
    from metail2 import list_datasets, load_dataset

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
    table.index += 2  # the row as a spreadsheet counts it
    return table
