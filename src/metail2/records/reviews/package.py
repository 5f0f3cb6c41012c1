"""Cochrane data packages: a zip (or a folder) of CSV files that RevMan writes for a published review.

Columns and files are those of the data package specification in Cochrane's RevMan knowledge base (version 1: packages
until 23 September 2024) and, for version 2, of public programs that read and write such packages (2026):
``<id>-analysis-data/<id>-overall-estimates-and-settings.csv`` (one row an analysis), ``…-subgroup-estimates.csv`` and
``…-data-rows.csv`` (one row a study); version 2 replaces "Study CI" and "Estimate CI" by "CI/PI level" and adds
"Heterogeneity estimator" and "CI method". "GIV Mean" and "GIV SE" are logarithms where "Log-scale data" is TRUE, but
"Mean", "CI start" and "CI end" are what the forest plot shows, so ratios. Files may begin with a byte-order mark; cells
that do not apply are empty, "#N/A" or 0.0. Files downloaded from RevMan may hold the package as ``…-data.zip`` within a
folder. Unverified: the meaning of "Applicability" (it is not used), the words for data types other than Dichotomous,
Continuous, Contrast level, and O-E and variance, and whether a package tells that a study is left out of a total other
than by giving it no weight.
"""

from __future__ import annotations

from collections.abc import Container, Mapping

from metail2.errors import RecordError
from metail2.records.files import Table
from metail2.records.reviews.archive import Members
from metail2.records.reviews.review import FIGURES, RATIOS, STORED, Analysis, Review, Settings
from metail2.records.reviews.tables import NO_VALUE, Line, precisions, study_table, totals_table
from metail2.records.reviews.words import (
    kind_code,
    level,
    measure_code,
    method_code,
    model_code,
    tau2_code,
    test_code,
    truth,
)

OVERALL = "overall-estimates-and-settings.csv"
ROWS = "data-rows.csv"
SUBGROUPS = "subgroup-estimates.csv"
DIAGNOSTIC = "parameters.csv"
COLUMNS: Mapping[str, str] = {
    "events1": "Experimental cases", "n1": "Experimental N", "events2": "Control cases", "n2": "Control N",
    "mean1": "Experimental mean", "sd1": "Experimental SD", "mean2": "Control mean", "sd2": "Control SD",
    "yi": "GIV Mean", "sei": "GIV SE", "o_minus_e": "O-E", "v": "Variance",
    "effect": "Mean", "ci_lower": "CI start", "ci_upper": "CI end", "weight": "Weight",
    "z": "Effect Z", "p_value": "Effect P", "q": "Heterogeneity Chi²", "q_df": "Heterogeneity df",
    "q_p": "Heterogeneity P", "i2": "Heterogeneity I²", "tau2": "Heterogeneity Tau²",
    "between_q": "Subgroup Chi²", "between_p": "Subgroup P",
}  # fmt: skip
NEEDED = {
    OVERALL: ("Analysis group", "Analysis number", "Data type", "Effect measure", "Statistical method",
              "Analysis model", "Mean", "CI start", "CI end"),
    ROWS: ("Analysis group", "Analysis number", "Study", "Mean", "CI start", "CI end"),
    SUBGROUPS: ("Analysis group", "Analysis number", "Subgroup", "Mean", "CI start", "CI end"),
}  # fmt: skip

Row = Mapping[str, str]
Numbered = dict[tuple[str, str], list[tuple[int, Row]]]


def read_package(members: Members) -> Review:
    """Read a data package.

    Parameters
    ----------
    members : Members
        Its files.

    Raises
    ------
    RecordError
        If a file or column is missing, the package is of diagnostic tests, or it holds no analysis; or the first entry
        that cannot be.
    """
    if members.name(DIAGNOSTIC) is not None:
        raise RecordError(
            f"{members.file} is the data package of a review of diagnostic tests, whose analyses are not read here; "
            "give that of a review of interventions."
        )
    overall, rows = _table(members, OVERALL), _table(members, ROWS)
    subgroups = _table(members, SUBGROUPS) if members.name(SUBGROUPS) is not None else None
    settings = _one_each(overall)
    studies = _by_analysis(rows)
    groups = _by_analysis(subgroups) if subgroups is not None else {}
    _refuse_orphans(rows, studies, settings, overall.file)
    files = (overall.file, rows.file, subgroups.file if subgroups else "")
    read = [_analysis(key, row, studies.get(key, []), groups.get(key, []), files) for key, row in settings.items()]
    if not read:
        raise RecordError(f"{overall.file} has no row below its header, so the package holds no analysis.")
    analyses, lines = zip(*read, strict=True)
    return Review(
        title=members.title,
        file=members.file,
        format="Cochrane data package",
        version="2" if "CI/PI level" in overall.cells.columns else "1",
        analyses=analyses,
        precision=precisions(line for part in lines for line in part),
        columns=COLUMNS,
    )


def _table(members: Members, suffix: str) -> Table:
    table = members.table(suffix)
    missing = [name for name in NEEDED[suffix] if name not in table.cells.columns]
    if missing:
        raise RecordError(
            f"{table.file} has no column {missing[0]!r}, so it is no file of a Cochrane data package; export the "
            "package again."
        )
    return table


def _by_analysis(table: Table) -> Numbered:
    found: Numbered = {}
    for number, row in zip(table.cells.index, table.cells.to_dict("records"), strict=True):
        key = (str(row["Analysis group"]), str(row["Analysis number"]))
        found.setdefault(key, []).append((int(number), {str(name): str(cell) for name, cell in row.items()}))
    return found


def _one_each(table: Table) -> dict[tuple[str, str], tuple[int, Row]]:
    found = _by_analysis(table)
    for key, rows in found.items():
        if len(rows) > 1:
            raise RecordError(
                f"{table.file}: analysis {'.'.join(key)} is in rows {rows[0][0]} and {rows[1][0]}; one row holds the "
                "settings of an analysis, so keep one of them."
            )
    return {key: rows[0] for key, rows in found.items()}


def _refuse_orphans(rows: Table, studies: Numbered, settings: Container[tuple[str, str]], overall: str) -> None:
    for key in studies:
        if key not in settings:
            number, row = studies[key][0]
            raise RecordError(
                f"{rows.file}, row {number}, {row['Study']}: the row belongs to analysis {'.'.join(key)}, which "
                f"{overall} does not have; export the package again."
            )


def _analysis(
    key: tuple[str, str],
    overall: tuple[int, Row],
    studies: list[tuple[int, Row]],
    groups: list[tuple[int, Row]],
    files: tuple[str, str, str],
) -> tuple[Analysis, list[Line]]:
    number, row = overall
    kind = kind_code(row["Data type"], row["Effect measure"])
    settings = _settings(row, kind, f"{files[0]}, row {number}")
    rows = [
        Line(files[1], place, _cells(cells, (*FIGURES[kind], *STORED)), cells["Study"], _text(cells, "Study year"),
             _text(cells, "Subgroup"))
        for place, cells in studies
        if kind != "other"
    ]  # fmt: skip
    pooled = [
        Line(files[2], place, _cells(cells, tuple(COLUMNS)), subgroup=cells["Subgroup"]) for place, cells in groups
    ]
    if settings.totals == "all":
        pooled.append(Line(files[0], number, _cells(row, tuple(COLUMNS))))
    table = study_table(kind, settings, rows, COLUMNS)
    name, comparison = _text(row, "Analysis name"), _text(row, "Analysis group name")
    totals = totals_table(pooled if kind != "other" else [], COLUMNS)
    analysis = Analysis(".".join(key), name, comparison, kind, settings, table, totals, files[1])
    return analysis, [*rows, *pooled]


def _cells(row: Row, names: tuple[str, ...]) -> dict[str, str]:
    return {name: row.get(COLUMNS[name], "") for name in names}


def _text(row: Row, column: str) -> str:
    """Words of a column that may be missing; marks of "does not apply" are none."""
    words = row.get(column, "")
    return "" if words in NO_VALUE else words


def _settings(row: Row, kind: str, place: str) -> Settings:
    measure = measure_code(row["Effect measure"], kind)
    scale = _text(row, "Graph scale")
    both = _text(row, "CI/PI level")
    ratio = measure in RATIOS or kind == "o_minus_e"
    return Settings(
        label=row["Effect measure"],
        measure=measure,
        method=method_code(row["Statistical method"]),
        model=model_code(row["Analysis model"]),
        tau2=tau2_code(_text(row, "Heterogeneity estimator")),
        test=test_code(_text(row, "CI method")),
        log_scale=ratio or (kind == "generic" and truth(_text(row, "Log-scale data"))),
        level_studies=level(both or _text(row, "Study CI"), place),
        level_total=level(both or _text(row, "Estimate CI"), place),
        arms=(_text(row, "Experimental group label"), _text(row, "Control group label")),
        favours=(_text(row, "Graph label (left)"), _text(row, "Graph label (right)")),
        scale=float(scale) if scale.replace(".", "", 1).isdigit() else None,
        swap_events=truth(_text(row, "Swap event and non-event")),
        totals=_totals(row),
        subgroup_test=truth(_text(row, "Test for subgroup differences")),
    )


def _totals(row: Row) -> str:
    if truth(_text(row, "Overall estimates") or "TRUE"):
        return "all"
    return "subgroups" if truth(_text(row, "Subgroup estimates")) else "none"
