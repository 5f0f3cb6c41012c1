"""build_report(): from a specification to a folder with page, tables, figures, results and manifest."""

from __future__ import annotations

import base64
import json
import math
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metail2.checks.findings import Findings
from metail2.checks.validate import validate
from metail2.errors import MetailWarning, ReportError
from metail2.plots.forest import forest
from metail2.plots.saving import save
from metail2.report.coverage import Coverage, coverage
from metail2.report.evaluate import AnalysisAnswer, Answer, answer
from metail2.report.inputs import read_inputs
from metail2.report.manifest import created, manifest
from metail2.report.page import render
from metail2.report.specification import Specification, read_specification, specification_path
from metail2.report.views import Figure, summary_row

FORMATS = ("svg", "png", "pdf")
TABLES: Mapping[str, Callable[[AnalysisAnswer], pd.DataFrame]] = {
    "estimates": lambda analysis: analysis.result.tidy(),
    "models": lambda analysis: analysis.result.glance(),
    "studies": lambda analysis: analysis.result.studies(),
    "trail": lambda analysis: analysis.trail,
}
"""Tables written for every analysis of every outcome, by file name."""


@dataclass(frozen=True, slots=True)
class BuiltReport:
    """A report on disk.

    Attributes
    ----------
    page : Path
        The page to open.
    summary : str
        One line an outcome, and what the checks found, for the terminal.
    """

    page: Path
    summary: str


def build_report(report: str, output: Path, command: str) -> BuiltReport:
    """Build a report; nothing is written unless all of it can be.

    Parameters
    ----------
    report : str
        Name of a shipped report, or path of a TOML file.
    output : Path
        Folder to write: new, empty, or holding an earlier report, which is replaced.
    command : str
        What was typed, for the manifest.

    Raises
    ------
    MetailError
        If the specification, the records or the output folder do not allow it; the message says what to do.

    Warns
    -----
    MetailWarning
        The checks found an error in the records that the specification does not accept.
    """
    target = output.resolve()
    _check_output(output)
    path = specification_path(report)
    spec = read_specification(path)
    records, inputs = read_inputs(spec, path)
    findings = validate(records, accept=spec.accept)
    answers = [answer(records, outcome) for outcome in spec.outcome]
    coverages = [coverage(records, review, answers) for review in spec.review]
    try:
        with _scratch(target) as scratch:
            folder = scratch / "report"
            name = f"reports/{path.resolve().parent.name}/{path.name}"
            _write(folder, spec, answers, coverages, findings, command, inputs | {name: path})
            _move(folder, target)
    except OSError as error:
        raise ReportError(f"The report cannot be written to {output}: {error.strerror or error}.") from error
    _warn_of_errors(findings)
    return BuiltReport(output / "index.html", f"{_summary(answers)}\n\nChecks: {findings.summary}")


def _warn_of_errors(findings: Findings) -> None:
    """A report is written whatever the checks find: it shows what is wrong, and whoever reads it must know."""
    if findings.errors:
        first, others = findings.errors[0], len(findings.errors) - 1
        more = f" (and {others} more)" if others else ""
        warnings.warn(
            f"The records hold errors that nobody accepted: {first.message.rstrip('.')}{more}; correct them, or accept "
            "them with their reasons.", MetailWarning, stacklevel=3,
        )  # fmt: skip


def _check_output(output: Path) -> None:
    if output.exists() and not output.is_dir():
        raise ReportError(f"{output} is a file; give a folder to write the report to.") from NotADirectoryError(output)
    if output.is_dir() and (foreign := _foreign(output)):
        raise ReportError(
            f"{output} holds other files ({foreign[0]}); give a new folder, so that nothing of yours is replaced."
        )


def _foreign(output: Path) -> list[str]:
    """List the files in a folder that no report put there: those that its manifest does not name."""
    files = {path.relative_to(output).as_posix() for path in output.rglob("*") if not path.is_dir()}
    try:
        named = set(json.loads((output / "manifest.json").read_text(encoding="utf-8"))["outputs"])
    except (OSError, ValueError, KeyError, TypeError):
        return sorted(files)
    return sorted(files - named - {"manifest.json"})


@contextmanager
def _scratch(output: Path) -> Iterator[Path]:
    """Give a temporary folder beside the output; where the report fails, the folders made for it go too."""
    new = [folder for folder in output.parents if not folder.exists()]
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=output.parent, prefix=".metail2-") as scratch:
            yield Path(scratch)
    except BaseException:
        for folder in new:
            with suppress(OSError):
                folder.rmdir()
        raise


def _write(
    folder: Path,
    spec: Specification,
    answers: Sequence[Answer],
    coverages: Sequence[Coverage],
    findings: Findings,
    command: str,
    inputs: dict[str, Path],
) -> None:
    for name in ("figures", "tables"):
        (folder / name).mkdir(parents=True)
    at = created()
    figures = {found.spec.id: _figures(folder / "figures", spec, found) for found in answers}
    _write_tables(folder / "tables", answers, coverages)
    _write_csv(folder / "findings.csv", findings.frame())
    data = {"outcomes": [_as_data(found) for found in answers], "findings": [asdict(one) for one in findings]}
    _write_json(folder / "results.json", {"title": spec.title, **data})
    page = render(spec, answers, coverages, findings, figures, at, command)
    (folder / "index.html").write_text(page, encoding="utf-8")
    _write_json(folder / "manifest.json", manifest(command, spec.model_dump(mode="json"), inputs, folder, at))


def _move(folder: Path, output: Path) -> None:
    """Put the report in its place; an earlier one is kept until the new one is there."""
    earlier = folder.with_name("earlier")
    if output.is_dir():
        output.rename(earlier)
    try:
        folder.rename(output)
    except OSError:
        if earlier.is_dir():
            earlier.rename(output)
        raise


def _figures(folder: Path, spec: Specification, found: Answer) -> list[Figure]:
    """Draw the primary analysis and those that ask for a figure, in every format."""
    drawn = []
    for analysis in found.analyses:
        if analysis is not found.primary and not analysis.spec.figure:
            continue
        name = found.spec.id if analysis is found.primary else f"{found.spec.id}-{analysis.spec.id}"
        picture = _forest(spec, found, analysis)
        for suffix in FORMATS:
            save(picture, folder / f"{name}.{suffix}")
        svg = base64.b64encode((folder / f"{name}.svg").read_bytes()).decode("ascii")
        drawn.append(Figure(name, analysis.spec.title, analysis.spec.reason, f"data:image/svg+xml;base64,{svg}"))
    return drawn


def _forest(spec: Specification, found: Answer, analysis: AnalysisAnswer) -> Any:
    common = None
    if found.spec.common and analysis is found.primary:
        common = found.analysis(found.spec.common).result
    favours = None if math.isnan(analysis.display.measure.null) else tuple(found.spec.favours) or None
    return forest(
        analysis.result,
        common=common,
        favours=favours,  # type: ignore[arg-type]
        arms=(spec.arms[0], spec.arms[1]),
        title=_figure_title(found, analysis),
        transform=analysis.display.transform.code,
        unit=found.spec.unit,
    )


def _figure_title(found: Answer, analysis: AnalysisAnswer) -> str:
    title = found.spec.title if analysis is found.primary else f"{found.spec.title} – {analysis.spec.title}"
    return f"{title} (exploratory)" if analysis.spec.exploratory else title


def _write_tables(folder: Path, answers: Sequence[Answer], coverages: Sequence[Coverage]) -> None:
    _write_csv(folder / "summary.csv", pd.DataFrame([summary_row(found) for found in answers]))
    _write_csv(folder / "coverage.csv", pd.concat([table.frame() for table in coverages]) if coverages else None)
    for name in TABLES:
        parts = [_labelled(found, analysis, name) for found in answers for analysis in found.analyses]
        if name == "trail":
            parts += [_beside_trail(found) for found in answers]
        filled = [part for part in parts if len(part)]
        _write_csv(folder / f"{name}.csv", pd.concat(filled, ignore_index=True) if filled else parts[0])
    _write_csv(folder / "sensitivity.csv", _by_outcome(answers, "sensitivity"))
    _write_csv(folder / "control_risks.csv", _by_outcome(answers, "risks"))


def _labelled(found: Answer, analysis: AnalysisAnswer, name: str) -> pd.DataFrame:
    table = TABLES[name](analysis)
    return pd.concat([_key(found, analysis, len(table)), table.reset_index(drop=True)], axis=1)


def _beside_trail(found: Answer) -> pd.DataFrame:
    parts = [b.effects.trail for b in found.beside if b.effects is not None]
    return pd.concat(parts).assign(outcome=found.spec.id, analysis="beside") if parts else pd.DataFrame()


def _key(found: Answer, analysis: AnalysisAnswer, rows: int) -> pd.DataFrame:
    return pd.DataFrame({"outcome": [found.spec.id] * rows, "analysis": [analysis.spec.id] * rows})


def _by_outcome(answers: Sequence[Answer], name: str) -> pd.DataFrame | None:
    parts = [table.assign(outcome=a.spec.id) for a in answers if (table := getattr(a, name)) is not None]
    return pd.concat(parts, ignore_index=True) if parts else None


def _write_csv(path: Path, table: pd.DataFrame | None) -> None:
    if table is not None:
        table.to_csv(path, index=False, encoding="utf-8", lineterminator="\n")


def _as_data(found: Answer) -> dict[str, Any]:
    return {
        "id": found.spec.id,
        "title": found.spec.title,
        "state": found.state,
        "reason": found.reason,
        "analyses": [_analysis_data(analysis) for analysis in found.analyses],
        "beside": [{"study": b.label, "shown": b.shown, "state": b.state, "reason": b.reason} for b in found.beside],
        "sensitivity": _rows(found.sensitivity),
        "control_risks": _rows(found.risks),
        "peto_conditions_not_met": list(found.peto),
    }


def _analysis_data(analysis: AnalysisAnswer) -> dict[str, Any]:
    pooled = analysis.pooled
    return {
        "id": analysis.spec.id,
        "title": analysis.spec.title,
        "display": analysis.display.transform.code,
        "estimates": _rows(analysis.result.tidy()),
        "model": _rows(analysis.result.glance()),
        "studies": _rows(analysis.result.studies()),
        "companions": _rows(pooled.companions()) if pooled is not None else [],
        "covariance": _matrix(analysis.effects.V),
    }


def _rows(table: pd.DataFrame | None) -> list[dict[str, Any]]:
    if table is None:
        return []
    return [{str(k): _plain(v) for k, v in row.items()} for row in table.to_dict("records")]


def _matrix(V: NDArray[np.float64] | None) -> list[list[Any]] | None:
    return None if V is None else [[_plain(value) for value in row] for row in V.tolist()]


def _plain(value: Any) -> Any:
    """JSON has no NaN: a missing number is null, and its reason stands beside it."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _write_json(path: Path, data: Any) -> None:
    path.write_text(json.dumps(data, ensure_ascii=False, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def _summary(answers: Sequence[Answer]) -> str:
    rows = [summary_row(found) for found in answers]
    width = max(len(row["title"]) for row in rows)
    return "\n".join(f"{row['title']:<{width}}  {row['state_name']:<14}  {row['shown']}" for row in rows)
