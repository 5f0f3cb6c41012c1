"""The report's specification: `report.toml` as frozen, checked data."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from metail2.checks.acceptance import Acceptance
from metail2.errors import RecordError, ReportError, UnknownChoice
from metail2.kernels.coefficient_tests import TESTS
from metail2.kernels.tau2 import TAU2
from metail2.records.catalogue import report_folder

PerStudy = str | dict[str, str] | None
Correlation = Annotated[float, Field(ge=-1, le=1, allow_inf_nan=False)]
Identifier = Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]


def _acceptance(text: str) -> str:
    try:
        Acceptance.parse(text)
    except (RecordError, UnknownChoice) as error:
        raise ValueError(str(error)) from None
    return text


TURNED = {"percent_change": False, "percent_reduction": True}
"""Percentage scales, and whether the sign of their effects is changed."""


class _Table(BaseModel):
    """A table of the TOML file: unknown keys are refused, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Part(_Table):
    """What `harmonise` is asked for; several parts are joined into one set of effects.

    Attributes
    ----------
    outcome, studies, timepoint, population, arm_sizes, arms, baseline, role
        As in `harmonise`.
    turn : bool
        Change the sign, so that benefit is positive.
    """

    outcome: str | list[str]
    studies: list[str]
    timepoint: PerStudy = None
    population: PerStudy = None
    arm_sizes: PerStudy = "printed"
    arms: Literal["combine", "separate"] = "combine"
    baseline: str = "baseline"
    role: Literal["experimental", "control"] = "experimental"
    turn: bool = False


class Analysis(_Table):
    """One way to answer an outcome's question; what it does not say is taken from the outcome.

    Attributes
    ----------
    id, title : str
        Key and heading.
    model : str
        ``"random_effects"``, ``"mantel_haenszel"``, ``"peto"``, or ``"show"`` for studies side by side.
    measure, transform : str, optional
        Another measure or display than the outcome's.
    tau2, test : str
        Of a random-effects model.
    subgroup : str, optional
        Column of the studies, such as ``"disease"``, whose groups are pooled apart and compared.
    common_tau2 : bool
        One between-study variance for all subgroups.
    r : float, optional
        Another assumed correlation.
    parts : list of Part, optional
        Other figures than the outcome's.
    reason : str
        Why this analysis is here or what it means; for ``"show"`` why nothing is pooled.
    figure : bool
        Whether it gets a forest plot of its own.
    exploratory : bool
        Labelled so wherever it is shown.
    """

    id: Identifier
    title: str
    model: Literal["random_effects", "mantel_haenszel", "peto", "show"] = "random_effects"
    measure: str | None = None
    transform: str | None = None
    tau2: str = "REML"
    test: str = "knapp_hartung"
    subgroup: str | None = None
    common_tau2: bool = False
    r: Correlation | None = None
    parts: list[Part] | None = None
    reason: str = ""
    figure: bool = False
    exploratory: bool = False

    @model_validator(mode="after")
    def _known_names(self) -> Analysis:
        try:
            TAU2[self.tau2], TESTS[self.test]
        except UnknownChoice as error:
            raise ValueError(str(error)) from None
        if self.subgroup is not None and self.model != "random_effects":
            raise ValueError("subgroup belongs to a random_effects model: leave it out, or change the model")
        if self.common_tau2 and self.subgroup is None:
            raise ValueError("common_tau2 says how subgroups share τ²: name their column in subgroup")
        if self.model in ("mantel_haenszel", "peto") and any(part.turn for part in self.parts or []):
            raise ValueError("Mantel–Haenszel and Peto pool counts, whose sign cannot be changed: leave turn out")
        return self


class Beside(_Table):
    """Figures that stand beside the analyses and never enter them.

    Attributes
    ----------
    study : str
        study_id.
    reason : str
        Why it is not pooled.
    outcome, measure, timepoint, baseline, r
        What to harmonise and show; without a measure only the reason is shown.
    state : str
        What is known without a measure: nothing (``"not_found"``), or a direction alone (``"direction_only"``).
    role : str
        Whose figures, for measures of one group.
    turn : bool
        Change the sign, so that benefit is positive.
    """

    study: str
    reason: str
    outcome: str = ""
    measure: str | None = None
    timepoint: str | None = None
    baseline: str = "baseline"
    r: Correlation | None = None
    state: Literal["not_found", "direction_only"] = "not_found"
    role: Literal["experimental", "control"] = "experimental"
    turn: bool = False


class ReviewLink(_Table):
    """Where the review's table says in which direction this outcome went: a column, and what it must hold."""

    column: str
    marker_column: str = ""
    marker: str = ""


class Outcome(_Table):
    """One question of the report.

    Attributes
    ----------
    id, title, question : str
        Key, heading, and what is asked in a sentence.
    design : {"controlled", "before_after", "single_arm"}
        What kind of comparison it is; the three are never mixed.
    measure, transform : str
        Effect measure, and a display other than its own.
    better : {"higher", "lower", "neither"}
        Direction of benefit of the measured value.
    unit : str
        Of a difference or change, on axes and in the summary, e.g. ``"percentage points"``.
    favours : list of two str
        What lower and what higher effects mean, e.g. ``"Favours placebo"``; empty where nothing is favoured.
    parts : list of Part
        Where the figures come from.
    r, r_values : float, list of float
        Assumed correlation of before and after, and those of the sensitivity table.
    heading : str
        Column of the studies table by which the plot is headed, e.g. ``"disease"``.
    not_comparable : str
        Why the studies are shown but not pooled; empty where they may be.
    analyses : list of Analysis
        The first is the primary one.
    common : str
        Id of the analysis drawn as a second diamond.
    beside : list of Beside
        Figures shown beside the analyses.
    caveats : list of str
        What a reader must know, in sentences.
    control_risks, peto : bool
        Show each trial's control risk; check Peto's conditions.
    review : ReviewLink, optional
        Where the review speaks of this outcome.
    """

    id: Identifier
    title: str
    question: str
    design: Literal["controlled", "before_after", "single_arm"]
    measure: str
    transform: str | None = None
    better: Literal["higher", "lower", "neither"]
    unit: str = ""
    favours: list[str] = []
    parts: list[Part] = []
    r: Correlation | None = None
    r_values: list[Correlation] = []
    heading: str = ""
    not_comparable: str = ""
    analyses: Annotated[list[Analysis], Field(min_length=1)]
    common: str = ""
    beside: list[Beside] = []
    caveats: list[str] = []
    control_risks: bool = False
    peto: bool = False
    review: ReviewLink | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Outcome:
        ids = [analysis.id for analysis in self.analyses]
        if len(set(ids)) < len(ids):
            raise ValueError(f"two analyses of {self.id!r} have one id")
        if self.common and self.common not in ids:
            raise ValueError(
                f"common = {self.common!r} of {self.id!r} is no analysis; its analyses are {', '.join(ids)}"
            )
        turned = {part.turn for part in self.parts}
        if self.transform in TURNED and turned != {TURNED[self.transform]}:
            raise ValueError(
                f"{self.transform} of {self.id!r} needs parts that are {'all' if TURNED[self.transform] else 'never'} "
                "turned; a mix has no percentage axis, so leave transform out"
            )
        if True in turned and any(analysis.model in ("mantel_haenszel", "peto") for analysis in self.analyses):
            raise ValueError(f"{self.id!r} pools counts, whose sign cannot be changed: leave turn out")
        if len(self.favours) not in (0, 2):
            raise ValueError(f"favours of {self.id!r} must have two entries, for lower and for higher effects")
        return self


class ReviewTable(_Table):
    """A table of a review every row of which the coverage table accounts for.

    Attributes
    ----------
    table, title : str
        Its name in the records, and a heading.
    by : {"disease", "study"}
        Whether a row is covered by any study of its disease, or only by its own.
    """

    table: str
    title: str
    by: Literal["disease", "study"] = "disease"


class Specification(_Table):
    """A whole report.

    Attributes
    ----------
    title, subtitle : str
        Of the page.
    records : str
        Name of shipped trial records, or a folder or workbook beside the TOML file.
    introduction, caveats : list of str
        Paragraphs before the outcomes, and what holds for all of them.
    arms : list of two str
        Names of the experimental and the control arm.
    review : list of ReviewTable
        Whose rows the coverage table lists.
    accept : list of str
        Findings of the checks that may stand, each with its reason: ``"M031 he2020: the reason"``; in brackets behind
        the study a row or column, ``"M031 he2020 [row 7]: …"``, which one of several errors needs.
    outcome : list of Outcome
        In the order of the page.
    """

    title: str
    subtitle: str = ""
    records: str
    introduction: list[str] = []
    caveats: list[str] = []
    arms: Annotated[list[str], Field(min_length=2, max_length=2)] = ["Experimental", "Control"]
    review: list[ReviewTable] = []
    accept: list[Annotated[str, AfterValidator(_acceptance)]] = []
    outcome: Annotated[list[Outcome], Field(min_length=1)]

    @model_validator(mode="after")
    def _unique(self) -> Specification:
        ids = [outcome.id for outcome in self.outcome]
        if len(set(ids)) < len(ids):
            raise ValueError("two outcomes have one id")
        return self


def specification_path(report: str) -> Path:
    """Find a report: the name of a shipped one, or the path of a TOML file.

    Raises
    ------
    ReportError
        If a path is given and there is no such file.
    UnknownChoice
        If a name is given and no report of that name is shipped.
    """
    path = Path(report)
    if path.suffix != ".toml":
        return report_folder(report) / "report.toml"
    if not path.is_file():
        raise ReportError(
            f"There is no file {str(path)!r}; give the name of a shipped report or a TOML file."
        ) from FileNotFoundError(report)
    return path


def read_specification(path: Path) -> Specification:
    """Read and check a specification.

    Raises
    ------
    ReportError
        If the file cannot be read, is no TOML, or a key is wrong; the message names the place and what to do.
    """
    try:
        data: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ReportError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from error
    except tomllib.TOMLDecodeError as error:
        raise ReportError(f"{path} is not valid TOML: {error}.") from None
    try:
        return Specification.model_validate(data)
    except ValidationError as error:
        raise ReportError(f"{path}: {_first_problem(error, data)}") from None
    except UnknownChoice as error:
        raise ReportError(f"{path}: {error}") from None


def _first_problem(error: ValidationError, data: dict[str, Any]) -> str:
    problem = error.errors()[0]
    place = ".".join(str(step) for step in problem["loc"]) or "the file"
    others = error.error_count() - 1
    more = f" ({others} more {'problem follows' if others == 1 else 'problems follow'})" if others else ""
    return f"at {place}: {_plain_words(problem)}{_named(problem['loc'], data)}; correct it{more}."


def _plain_words(problem: Mapping[str, Any]) -> str:
    """Say what is wrong without the validator's own terms."""
    key = str(problem["loc"][-1]) if problem["loc"] else ""
    if problem["type"] == "missing":
        return f"the key {key!r} is missing"
    if problem["type"] == "extra_forbidden":
        known = {name for table in _Table.__subclasses__() for name in table.model_fields}
        near = get_close_matches(key, sorted(known), n=1)
        return f"the key {key!r} is unknown{f' (did you mean {near[0]!r}?)' if near else ''}"
    return str(problem["msg"]).removeprefix("Value error, ").removesuffix(".")


def _named(place: tuple[int | str, ...], data: dict[str, Any]) -> str:
    """Name the outcome a problem lies in, since a position in a list tells a reader little."""
    if len(place) > 1 and place[0] == "outcome" and isinstance(place[1], int):
        found = data["outcome"][place[1]]
        return f" (outcome {found.get('id', place[1] + 1)!r})" if isinstance(found, dict) else ""
    return ""
