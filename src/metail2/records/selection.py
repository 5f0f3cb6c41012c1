"""Which printed figures of a study answer a question: one study, one outcome, one time, one population."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pandas as pd

from metail2.errors import RecordError
from metail2.records.trail import Figure
from metail2.records.trial_records import TrialRecords
from metail2.wording import listed

BEFORE = ("baseline", "enrolment")
_TELLING = ("mean", "median", "value", "events", "percent", "estimate", "fold")
Chosen = str | Mapping[str, str] | None
"""One answer for all studies, one a study (by study_id), or None: the only one there is."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What one arm prints about one outcome at one time.

    Attributes
    ----------
    label : str
        The study's label, for messages.
    arm, role, timepoint : str
        Which arm, its role, when.
    figures : mapping of str to Figure
        By statistic.
    unit, unit_kind : str
        Of the value statistics; empty for counts.
    window : str
        Length of the observation, e.g. "24 weeks"; empty where not stated.
    dose : str
        E.g. "0.33 MIU"; empty where not stated.
    population : str or None
        The analysis population asked for.
    """

    label: str
    arm: str
    role: str
    timepoint: str
    figures: Mapping[str, Figure]
    unit: str = ""
    unit_kind: str = ""
    window: str = ""
    dose: str = ""
    population: str | None = None

    def has(self, *statistics: str) -> bool:
        """Whether all of the statistics are printed as numbers to work with; an inequality is one for P values only."""
        return all(
            name in self.figures and (name == "p_value" or not self.figures[name].qualifier) for name in statistics
        )

    def __getitem__(self, statistic: str) -> Figure:
        return self.figures[statistic]

    def printed(self) -> str:
        """List what is printed, for a message: "n, percent >90"."""
        shown = (f"{name} {f.qualifier}{f.printed}" if f.qualifier else name for name, f in self.figures.items())
        return ", ".join(sorted(shown)) or "nothing"

    def place(self) -> str:
        """Name the cell in a message: "He 2020, arm il2_1, week 12"."""
        return f"{self.label}, arm {self.arm}, {self.timepoint}"


def chosen(option: Chosen, study_id: str) -> str | None:
    """Return the answer for one study."""
    return option.get(study_id) if isinstance(option, Mapping) else option


@dataclass(frozen=True, slots=True)
class Selection:
    """The figures of one study about one outcome.

    Attributes
    ----------
    records : TrialRecords
        Everything.
    study_id, outcome : str
        Which.
    rows : DataFrame
        The study's figures about the outcome.
    """

    records: TrialRecords
    study_id: str
    outcome: str
    rows: pd.DataFrame

    @classmethod
    def of(cls, records: TrialRecords, study_id: str, outcome: str) -> Selection:
        """Select a study's figures, refusing a study without any."""
        study = records.study(study_id)
        rows = records.outcome(outcome)
        rows = rows[(rows["study_id"] == study_id)]
        if rows.empty:
            raise RecordError(f"{study['label']} prints no figure for {outcome!r}; leave it out of studies.")
        return cls(records, study_id, outcome, rows)

    @property
    def study(self) -> pd.Series:
        """The study's row."""
        return self.records.study(self.study_id)

    @property
    def label(self) -> str:
        """The study's label."""
        return str(self.study["label"])

    def timepoint(self, wanted: str | None) -> str:
        """Return the time after baseline that is asked for, or the only one there is."""
        arms = self.rows[(self.rows["role"] != "contrast") & (self.rows["statistic"] != "p_value")]
        times = [t for t in dict.fromkeys(arms["timepoint"]) if t not in BEFORE]
        if wanted is None:
            if len(times) == 1:
                return str(times[0])
            if not times:
                raise RecordError(f"{self.label} prints no figure for {self.outcome!r} after baseline.")
            raise RecordError(
                f"{self.label} prints {self.outcome!r} at several times ({listed(times)}); choose one with timepoint."
            )
        if wanted not in {*times, *BEFORE}:
            raise RecordError(
                f"{self.label} prints no {self.outcome!r} at {wanted!r}; "
                f"it has {listed(times) or 'no time after baseline'}."
            )
        return wanted

    def population(self, timepoint: str, wanted: str | None) -> str | None:
        """Return the analysis population that is asked for, or the only one there is at that time."""
        at = self.rows[(self.rows["timepoint"] == timepoint) & (self.rows["role"] != "contrast")]
        found = [p for p in dict.fromkeys(at["population"]) if p]
        if wanted is None:
            if len(found) > 1:
                raise RecordError(
                    f"{self.label} prints {self.outcome!r} at {timepoint} for several populations ({listed(found)}); "
                    "choose one with population."
                )
            return found[0] if found else None
        if found and wanted not in found:
            raise RecordError(
                f"{self.label} prints no {self.outcome!r} at {timepoint} for the population {wanted!r}; "
                f"it has {listed(found)}."
            )
        return wanted

    def cells(self, timepoint: str, population: str | None = None) -> list[Cell]:
        """Return one cell an arm at that time, in the order of the file."""
        at = self.rows[self.rows["timepoint"] == timepoint]
        if population is not None:
            at = at[at["population"].isin([population, ""])]
        return [
            replace(self._cell(arm, timepoint, rows), population=population)
            for arm, rows in at.groupby("arm", sort=False)
        ]

    def _cell(self, arm: object, timepoint: str, rows: pd.DataFrame) -> Cell:
        figures: dict[str, Figure] = {}
        for row in rows.to_dict("records"):
            name = str(row["statistic"])
            if name in figures:
                raise RecordError(
                    f"{self.label}, arm {arm}, {timepoint}: {name} of {self.outcome!r} is entered twice "
                    f"({figures[name].record_id} and {row['record_id']}); keep one."
                )
            figures[name] = _figure(row)
        first, told = rows.iloc[0], _telling(rows)
        return Cell(
            self.label, str(arm), str(first["role"]), timepoint, figures, str(told["unit"]), str(told["unit_kind"]),
            _window(first), _dose(first),
        )  # fmt: skip

    def total(self, arm: Cell) -> Figure | None:
        """Return the number of patients of all arms together, at the time of `arm` or at enrolment."""
        for cell in self.cells(arm.timepoint, arm.population):
            if cell.role == "both" and cell.has("n"):
                return cell["n"]
        return self.enrolled("both")

    def enrolled(self, arm: str) -> Figure | None:
        """Return the number of patients of an arm at enrolment, of this outcome or as randomised or enrolled."""
        mine = self._sizes(arm)
        for outcome in (self.outcome, "randomised", "enrolled"):
            found = mine[(mine["outcome"] == outcome) & (mine["timepoint"] == "enrolment")]
            if len(found) == 1:
                return _figure(found.to_dict("records")[0])
        return None

    def elsewhere(self, arm: str) -> tuple[Figure, str] | None:
        """Return the number of patients that all other outcomes of the arm agree on, and the name of one of them."""
        mine = self._sizes(arm)
        if mine["value"].nunique() != 1:
            return None
        first = mine.to_dict("records")[0]
        return _figure(first), str(first["outcome"])

    def _sizes(self, arm: str) -> pd.DataFrame:
        figures = self.records.figures
        return figures[(figures["study_id"] == self.study_id) & (figures["statistic"] == "n") & (figures["arm"] == arm)]


def _telling(rows: pd.DataFrame) -> pd.Series:
    """Return the row whose unit is the cell's: a mean before a fold beside it, anything before a number of patients."""
    for statistic in _TELLING:
        found = rows[rows["statistic"] == statistic]
        if len(found):
            return found.iloc[0]
    return rows.iloc[0]


def _figure(row: Mapping[object, object] | dict[object, object]) -> Figure:
    return Figure(
        float(str(row["value"])), str(row["printed"]), str(row["record_id"]), str(row["quote"]),
        str(row.get("qualifier") or ""), str(row.get("note") or ""),
    )  # fmt: skip


def _window(row: pd.Series) -> str:
    time = row.get("time")
    if time is None or pd.isna(time):
        return ""
    return f"{time:g} {row['time_unit']}{'' if time == 1 else 's'}"


def _dose(row: pd.Series) -> str:
    low, high = row.get("dose_low"), row.get("dose_high")
    if low is None or pd.isna(low):
        return ""
    amount = f"{low:g}" if pd.isna(high) or low == high else f"{low:g} to {high:g}"
    return f"{amount} {row['dose_unit']}".strip()
