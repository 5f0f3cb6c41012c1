"""RevMan 5 files (.rm5): the review's XML with its analyses, data and calculated results.

What the format is like was seen in a RevMan 5.0.23 file and in public programs that read such files (2026):
``COCHRANE_REVIEW/ANALYSES_AND_DATA/COMPARISON`` holds outcomes ``DICH_OUTCOME`` (dichotomous), ``CONT_OUTCOME``
(continuous), ``IV_OUTCOME`` (generic inverse variance), ``IPD_OUTCOME`` (O − E and variance) and ``OTHER_OUTCOME``
(text); where ``SUBGROUPS="YES"`` their rows (``…_DATA``) stand in ``…_SUBGROUP``. Settings and calculated results are
attributes: results with all digits of a double, on the displayed scale, intervals by the exact normal quantile; ``Z``
without its sign; ``LOG_…`` to base 10; what does not apply is ``0.0`` or ``-Infinity``. Rows name their study by
``STUDY_ID``, which ``STUDIES//STUDY`` gives a name and a year. Unverified: where a generic analysis says that it is on
the log scale (it is read from the stored results instead), and the attributes of the test for subgroup differences in
versions after 5.0.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from metail2.errors import RecordError
from metail2.records.reviews.markup import Element, parse_markup
from metail2.records.reviews.review import FIGURES, Analysis, Review, Settings
from metail2.records.reviews.tables import Line, precisions, study_table, totals_table
from metail2.records.reviews.words import level, measure_code, method_code, truth

KINDS = {"DICH": "dichotomous", "CONT": "continuous", "IV": "generic", "IPD": "o_minus_e", "OTHER": "other"}
ATTRIBUTES: Mapping[str, str] = {
    "events1": "EVENTS_1", "n1": "TOTAL_1", "events2": "EVENTS_2", "n2": "TOTAL_2",
    "mean1": "MEAN_1", "sd1": "SD_1", "mean2": "MEAN_2", "sd2": "SD_2",
    "yi": "ESTIMATE", "sei": "SE", "o_minus_e": "O_E", "v": "VAR",
    "effect": "EFFECT_SIZE", "ci_lower": "CI_START", "ci_upper": "CI_END", "weight": "WEIGHT",
    "z": "Z", "p_value": "P_Z", "q": "CHI2", "q_df": "DF", "q_p": "P_CHI2", "i2": "I2", "tau2": "TAU2",
    "between_q": "Q", "between_p": "P_Q",
}  # fmt: skip
RESULTS = ("effect", "ci_lower", "ci_upper", "weight", "z", "p_value", "q", "q_df", "q_p", "i2", "tau2")
BETWEEN = ("between_q", "between_p")
TOTALS = {"YES": "all", "SUB": "subgroups", "NO": "none"}


class _Study(NamedTuple):
    name: str
    year: str


def read_rm5(file: str, data: bytes) -> Review:
    """Read a RevMan 5 file.

    Parameters
    ----------
    file : str
        Name of the file.
    data : bytes
        Its content.

    Raises
    ------
    RecordError
        If the XML is not whole, is no review, or holds no analysis; or the first entry that cannot be.
    """
    root = parse_markup(file, data)
    if root.tag != "COCHRANE_REVIEW":
        raise RecordError(f"{file} is XML, but of {root.tag!r} and not of a Cochrane review; give a RevMan 5 file.")
    studies = {
        study.attributes.get("ID", ""): _Study(study.attributes.get("NAME", ""), study.attributes.get("YEAR", ""))
        for study in root.within("STUDY")
    }
    read = [
        _analysis(file, comparison, outcome, studies)
        for comparison in root.within("COMPARISON")
        for outcome in comparison.every(*(f"{prefix}_OUTCOME" for prefix in KINDS))
    ]
    if not read:
        raise RecordError(f"{file} holds no analysis (no outcome in ANALYSES_AND_DATA); give a file with data.")
    analyses, lines = zip(*read, strict=True)
    cover = root.child("COVER_SHEET")
    about = root.attributes
    return Review(
        title=cover.words("TITLE") if cover else "",
        file=file,
        format="RevMan 5",
        version=about.get("REVMAN_SUB_VERSION") or about.get("REVMAN_VERSION", ""),
        analyses=analyses,
        precision=precisions(line for part in lines for line in part),
        columns=ATTRIBUTES,
    )


def _analysis(
    file: str, comparison: Element, outcome: Element, studies: Mapping[str, _Study]
) -> tuple[Analysis, list[Line]]:
    prefix = outcome.tag.removesuffix("_OUTCOME")
    kind = KINDS[prefix]
    groups = list(outcome.every(f"{prefix}_SUBGROUP")) if truth(outcome.attributes.get("SUBGROUPS", "")) else []
    parts = [(group.words("NAME") or f"subgroup {i}", group) for i, group in enumerate(groups, start=1)]
    rows = [
        _study_line(file, row, kind, name, studies)
        for name, part in [*parts, ("", outcome)]
        for row in part.every(f"{prefix}_DATA")
        if kind != "other"
    ]
    settings = _settings(file, outcome, kind, rows)
    pooled = _pooled_lines(file, outcome, parts, settings) if kind != "other" else []
    number = f"{comparison.attributes.get('NO', '')}.{outcome.attributes.get('NO', '')}"
    analysis = Analysis(
        number=number,
        name=outcome.words("NAME"),
        comparison=comparison.words("NAME"),
        kind=kind,
        settings=settings,
        table=study_table(kind, settings, rows, ATTRIBUTES),
        totals=totals_table(pooled, ATTRIBUTES),
        file=file,
    )
    return analysis, [*rows, *pooled]


def _study_line(file: str, row: Element, kind: str, subgroup: str, studies: Mapping[str, _Study]) -> Line:
    key = row.attributes.get("STUDY_ID", "")
    study = studies.get(key, _Study("", ""))
    figures = {name: row.attributes.get(ATTRIBUTES[name], "") for name in FIGURES[kind]}
    cells = figures | _results(row, RESULTS[:4])
    return Line(file, row.line, cells, study.name or key.removeprefix("STD-"), study.year, subgroup)


def _results(element: Element, names: tuple[str, ...]) -> dict[str, str]:
    """Stored results; there are none where the element says that nothing is estimable."""
    estimable = element.attributes.get("ESTIMABLE", "YES") == "YES"
    return {name: element.attributes.get(ATTRIBUTES[name], "") if estimable else "" for name in names}


def _pooled_lines(file: str, outcome: Element, parts: list[tuple[str, Element]], settings: Settings) -> list[Line]:
    lines = [Line(file, part.line, _results(part, RESULTS), subgroup=name) for name, part in parts]
    if settings.totals == "none":
        return []
    if settings.totals == "all":
        compared = settings.subgroup_test and len(parts) > 1
        names = (*RESULTS, *BETWEEN) if compared else RESULTS
        lines.append(Line(file, outcome.line, _results(outcome, names)))
    return lines


def _settings(file: str, outcome: Element, kind: str, rows: list[Line]) -> Settings:
    about = outcome.attributes
    label = about.get("EFFECT_MEASURE") or outcome.words("EFFECT_MEASURE")
    scale, place = about.get("SCALE", ""), f"{file}, row {outcome.line}"
    measure = measure_code(label, kind)
    ratio = measure in ("OR", "RR", "PETO") or kind == "o_minus_e"
    return Settings(
        label=label,
        measure=measure,
        method=method_code(about.get("METHOD", "")) or "IV",
        model="random" if truth(about.get("RANDOM", "")) else "fixed",
        log_scale=ratio or (kind == "generic" and _on_log_scale(label, rows)),
        level_studies=level(about.get("CI_STUDY", ""), place),
        level_total=level(about.get("CI_TOTAL", ""), place),
        arms=(outcome.words("GROUP_LABEL_1"), outcome.words("GROUP_LABEL_2")),
        favours=(outcome.words("GRAPH_LABEL_1"), outcome.words("GRAPH_LABEL_2")),
        scale=float(scale) if scale.replace(".", "", 1).isdigit() else None,
        swap_events=truth(about.get("SWAP_EVENTS", "")),
        totals=TOTALS.get(about.get("TOTALS", "YES"), "all"),
        subgroup_test=truth(about.get("SUBGROUP_TEST", "")),
    )


def _on_log_scale(label: str, rows: list[Line]) -> bool:
    """Whether generic effects are logarithms: as the first stored effect shows, else as the measure's name says."""
    for estimate, shown in _pairs(rows):
        plain, ratio = math.isclose(shown, estimate, rel_tol=1e-6), _ratio_of(estimate, shown)
        if plain != ratio:
            return ratio
    return "ratio" in label.lower()


def _pairs(rows: list[Line]) -> Iterator[tuple[float, float]]:
    for row in rows:
        estimate, shown = (row.number(name, ATTRIBUTES[name]) for name in ("yi", "effect"))
        if math.isfinite(estimate) and math.isfinite(shown):
            yield estimate, shown


def _ratio_of(estimate: float, shown: float) -> bool:
    return shown > 0 and math.isclose(math.log(shown), estimate, rel_tol=1e-6, abs_tol=1e-9)
