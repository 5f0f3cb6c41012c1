"""A review as its file holds it: analyses with their settings, study rows, and the results stored beside them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metail2.effects.compute import effect_sizes
from metail2.effects.effect_sizes import EffectSizes
from metail2.errors import EffectSizeError, MetailWarning, RecordError, UnknownChoice
from metail2.records.reviews.precision import Precision
from metail2.wording import some

Floats = NDArray[np.float64]

FIGURES: Mapping[str, tuple[str, ...]] = {
    "dichotomous": ("events1", "n1", "events2", "n2"),
    "continuous": ("mean1", "sd1", "n1", "mean2", "sd2", "n2"),
    "generic": ("yi", "sei"),
    "o_minus_e": ("o_minus_e", "v"),
    "other": (),
}
"""Kinds of analyses, each with the columns of its study rows; a file's columns of other kinds are not read."""

MEASURES: Mapping[str, tuple[str, ...]] = {
    "dichotomous": ("OR", "RR", "RD", "PETO"),
    "continuous": ("MD", "SMD"),
    "generic": ("GEN", "HR"),
    "o_minus_e": ("PETO", "HR", "GEN"),
    "other": (),
}
"""Measures that an analysis of each kind can be computed as."""

STORED = ("effect", "ci_lower", "ci_upper", "weight")
"""What a file stores of each study, on the displayed scale (ratios as ratios); the weight in percent."""

TOTALS = (*STORED, "z", "p_value", "q", "q_df", "q_p", "i2", "tau2", "between_q", "between_p")
"""What a file stores of each subgroup and of the whole; `between_…` is the test for subgroup differences."""

RATIOS = ("OR", "RR", "PETO")

JUDGES: Mapping[str, str] = {"dichotomous": "RR", "continuous": "MD", "generic": "GEN", "o_minus_e": "HR"}
"""Measures that are computed from the very columns of a kind, and so refuse what these cannot hold."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How an analysis says that it was made.

    Attributes
    ----------
    label : str
        The effect measure as the file writes it.
    measure : str
        Its code in metail2; ``"GEN"`` where effects are given with their standard errors under another name than
        hazard ratio.
    method : {"MH", "IV", "PETO", ""}
        Mantel–Haenszel, inverse variance or Peto; empty where the file does not say, or says something else.
    model : {"fixed", "random", ""}
        Empty as above.
    tau2 : str
        Estimator of the between-study variance under the random model, a code of `TAU2`; empty if unknown.
    test : str
        How the pooled interval is made, a code of `TESTS`; empty if unknown.
    log_scale : bool
        Whether effects are analysed as logarithms and shown as ratios.
    level_studies, level_total : float
        Confidence levels, as fractions.
    arms, favours : tuple of str
        Labels of the experimental and control arm; of the left and right side of the forest plot.
    scale : float or None
        Upper end of the forest plot's axis.
    swap_events : bool
        Whether the analysis counts non-events as events.
    totals : {"all", "subgroups", "none"}
        What is pooled.
    subgroup_test : bool
        Whether subgroups are compared.
    """

    label: str
    measure: str
    method: str
    model: str
    tau2: str = "DL"
    test: str = "z"
    log_scale: bool = False
    level_studies: float = 0.95
    level_total: float = 0.95
    arms: tuple[str, str] = ("", "")
    favours: tuple[str, str] = ("", "")
    scale: float | None = None
    swap_events: bool = False
    totals: str = "all"
    subgroup_test: bool = False


@dataclass(frozen=True, eq=False, slots=True)
class Analysis:
    """One analysis (outcome) of a review.

    Attributes
    ----------
    number : str
        Comparison and outcome, e.g. ``"1.2"``.
    name, comparison : str
        As in the file.
    kind : str
        A key of `FIGURES`; ``"other"`` is text only.
    settings : Settings
        How it says that it was made.
    table : DataFrame
        One row a study (a study of several subgroups has several): ``study year subgroup``, the columns of
        `FIGURES` as the file holds them, ``state``, and `STORED`. The index is the row of the file (the line of
        an XML file; of study data that of the first arm, and ``row2`` that of the second). `state` is ``"used"``,
        ``"not_estimable"`` (no figures, or none that give an effect), ``"excluded"`` (they give one, but the file gives
        the study no weight while others have one) or ``"impossible"`` (figures that cannot be, as they stand).
    totals : DataFrame
        One row a stored pooled result: ``file subgroup`` (empty for all studies), `TOTALS`. The index is the row.
    file : str
        Where the study rows stand.
    """

    number: str
    name: str
    comparison: str
    kind: str
    settings: Settings
    table: pd.DataFrame
    totals: pd.DataFrame
    file: str

    @property
    def subgroups(self) -> tuple[str, ...]:
        """Names of the subgroups, in the order of the file; none where the analysis has none."""
        return tuple(name for name in dict.fromkeys(self.table["subgroup"]) if name)


@dataclass(frozen=True, eq=False, slots=True)
class Review:
    """A review, read by `read_review`.

    Attributes
    ----------
    title : str
        As in the file, or the review's number.
    file : str
        Name of the file.
    format : str
        ``"RevMan 5"``, ``"Cochrane data package"`` or ``"study data"``.
    version : str
        Of the program that wrote it, or of the package; empty where the file does not say.
    analyses : tuple of Analysis
        In the order of the file.
    precision : mapping of str to Precision
        How precisely the file stores each figure of `TOTALS`; ``"effect"`` holds for intervals too.
    columns : mapping of str to str
        What the file calls the figures.
    """

    title: str
    file: str
    format: str
    version: str
    analyses: tuple[Analysis, ...]
    precision: Mapping[str, Precision] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)

    @property
    def comparisons(self) -> tuple[str, ...]:
        """Names of the comparisons, in the order of the file."""
        return tuple(dict.fromkeys(analysis.comparison for analysis in self.analyses))

    def analysis(self, number: str) -> Analysis:
        """Return the analysis ``"1.2"``; an UnknownChoice lists those there are."""
        for analysis in self.analyses:
            if analysis.number == str(number):
                return analysis
        raise UnknownChoice(f"analysis of {self.file}", number, [analysis.number for analysis in self.analyses])

    def frame(self) -> pd.DataFrame:
        """List the analyses, one a row: ``number name comparison kind measure method model k subgroups``."""
        rows = [
            (a.number, a.name, a.comparison, a.kind, a.settings.label, a.settings.method, a.settings.model,
             a.table["study"].nunique(), len(a.subgroups))
            for a in self.analyses
        ]  # fmt: skip
        names = ["number", "name", "comparison", "kind", "measure", "method", "model", "k", "subgroups"]
        return pd.DataFrame(rows, columns=names)

    def effects(self, number: str, measure: str | None = None, subgroup: str | None = None) -> EffectSizes:
        """Compute the effects of one analysis from its study rows, ready to be pooled.

        Parameters
        ----------
        number : str
            E.g. ``"1.2"``.
        measure : str, optional
            A measure of `MEASURES` for its kind; by default the analysis's own.
        subgroup : str, optional
            Only this subgroup.

        Returns
        -------
        EffectSizes
            On metail2's scales: ratios as logarithms. `moderators` holds ``study year subgroup`` and, where there are
            subgroups, ``group``. Where the analysis swaps events and non-events, so do the effects. Effects given with
            their standard errors are ``"HR"`` where the analysis calls them hazard ratios, else ``"GEN"``.

        Warns
        -----
        MetailWarning
            Names the studies that the review leaves out of its totals and that are left out here, and those that give
            no effect (no patients in an arm; for ratios no event, or only events, in both arms), which stay as NaN.

        Raises
        ------
        RecordError
            If the analysis holds no figures.
        EffectSizeError
            If a figure cannot be (events above n, a negative SD …), or a study stands twice in a subgroup; one sentence
            that names file, row, study, column and value. `validate` lists all of them.
        UnknownChoice
            If there is no such analysis, measure or subgroup.

        Notes
        -----
        These are metail2's effects. RevMan's standardised mean difference uses approximations instead: see
        `metail2.checks.stored_results`.
        """
        analysis = self.analysis(number)
        if not MEASURES[analysis.kind] or analysis.table.empty:
            raise RecordError(f"{self.file}: analysis {number} ({analysis.name}) holds no figures to compute with.")
        code = measure or analysis.settings.measure
        if code not in MEASURES[analysis.kind]:
            raise UnknownChoice(f"measure of analysis {number}", code, MEASURES[analysis.kind])
        table = _chosen(analysis, subgroup)
        _refuse_impossible(analysis, table)
        _refuse_repeated(analysis, table)
        _warn_excluded(analysis, table)
        return _effects(analysis, table[table["state"] != "excluded"], code)


def _chosen(analysis: Analysis, subgroup: str | None) -> pd.DataFrame:
    if subgroup is None:
        return analysis.table
    if subgroup not in analysis.subgroups:
        raise UnknownChoice(f"subgroup of analysis {analysis.number}", subgroup, analysis.subgroups)
    return analysis.table[analysis.table["subgroup"] == subgroup]


def _refuse_impossible(analysis: Analysis, table: pd.DataFrame) -> None:
    """Let the kind's plainest measure refuse the first row with impossible figures, under the name of its place."""
    wrong = table[table["state"] == "impossible"].head(1)
    if len(wrong):
        effect_sizes(wrong.assign(study=_place(analysis, wrong)), JUDGES[analysis.kind])


def _refuse_repeated(analysis: Analysis, table: pd.DataFrame) -> None:
    counted = table[table["state"].isin(("used", "impossible"))]
    repeated = counted[counted.duplicated(["study", "subgroup"])].head(1)
    if len(repeated):
        study, subgroup = repeated[["study", "subgroup"]].iloc[0]
        first = counted.index[((counted["study"] == study) & (counted["subgroup"] == subgroup)).argmax()]
        where = f"subgroup {subgroup!r} of analysis" if subgroup else "analysis"
        raise EffectSizeError(
            f"{_place(analysis, repeated)}: column 'study' holds {study!r}, which stands in row {first} of {where} "
            f"{analysis.number} too; keep one of the two, or name them apart."
        )


def _place(analysis: Analysis, row: pd.DataFrame) -> str:
    """Where a study stands, for a message: a table of one row."""
    rows = f"rows {row.index[0]} and {row['row2'].iloc[0]}" if "row2" in row else f"row {row.index[0]}"
    return f"{analysis.file}, {rows}, {row['study'].iloc[0]}"


def _warn_excluded(analysis: Analysis, table: pd.DataFrame) -> None:
    names = list(table["study"][table["state"] == "excluded"])
    if names:
        warnings.warn(
            f"{some(names)}: left out, because analysis {analysis.number} gives no weight although the figures allow "
            "an effect.",
            MetailWarning,
            stacklevel=3,
        )


def _effects(analysis: Analysis, table: pd.DataFrame, code: str) -> EffectSizes:
    frame = table[["study", *FIGURES[analysis.kind]]].assign(**figures(analysis.kind, table))
    if analysis.kind == "dichotomous" and analysis.settings.swap_events:
        frame = frame.assign(events1=frame["n1"] - frame["events1"], events2=frame["n2"] - frame["events2"])
    about = table[["study", "year", "subgroup"]].reset_index(drop=True)
    if analysis.subgroups:
        about["group"] = about["subgroup"]
    if analysis.kind == "o_minus_e" and code != "HR":
        yi, vi = frame["o_minus_e"] / frame["v"], 1 / frame["v"]
        return EffectSizes.from_arrays(yi, vi, frame["study"], about, measure=code)
    named = frame.rename(columns={"yi": "log_hr", "sei": "se"}) if code == "HR" else frame
    effects = effect_sizes(named, code, drop00=code in RATIOS)
    return effects.assign(**{str(name): about[name] for name in about})


def figures(kind: str, table: pd.DataFrame) -> dict[str, Floats]:
    """Return the figures of study rows; all are NaN where they cannot be, an arm has nobody, or an SE or variance is 0.

    RevMan writes 0 into what was not filled in.

    Parameters
    ----------
    kind : str
        A key of `FIGURES`.
    table : DataFrame, k rows
        Rows of `Analysis.table`.

    Returns
    -------
    dict of str to ndarray, each of shape (k,)
    """
    columns = {name: table[name].to_numpy(dtype=float) for name in FIGURES[kind]}
    empty = (table["state"] == "impossible").to_numpy(copy=True)
    for name in ("n1", "n2", "sei", "v"):
        if name in columns:
            empty |= columns[name] == 0
    return {name: np.where(empty, np.nan, values) for name, values in columns.items()}
