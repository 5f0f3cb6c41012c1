"""The page: everything the reader sees, from one template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import TYPE_CHECKING

from metail2.checks.findings import Findings
from metail2.report.coverage import Coverage
from metail2.report.evaluate import STATES, Answer
from metail2.report.findings_view import sections
from metail2.report.specification import Specification
from metail2.report.views import STATE_NAMES, Figure, outcome_view, summary_row

if TYPE_CHECKING:
    from jinja2 import Template

METHODS = (
    "Random-effects models: τ² by restricted maximum likelihood (REML) unless another estimator is named; Q-profile "
    "intervals for τ² (Viechtbauer 2007); Hartung–Knapp intervals (Hartung & Knapp 2001), with the z or ad hoc "
    "interval beside them where they may mislead; prediction intervals as labelled (Partlett & Riley 2017).",
    "I² is given twice: from τ² and from Q (Higgins & Thompson 2002). P values are exact and two-sided.",
    "Tables with zero cells: Mantel–Haenszel without correction (variances of Greenland & Robins 1985, Robins, Breslow "
    "& Greenland 1986, and Sato 1989 for the risk difference).",
    "Means and SDs from medians, quartiles and ranges: Luo 2018 for the mean, Wan 2014 for the SD, Shi 2020 where all "
    "five numbers are printed. Counts from percentages: only where one count alone reproduces the printed figure.",
)


def template(name: str) -> Template:
    """Load one of the package's templates; the others can be included in it."""
    from jinja2 import DictLoader, Environment, StrictUndefined

    folder = files("metail2.report") / "templates"
    sources = {part.name: part.read_text(encoding="utf-8") for part in folder.iterdir() if part.is_file()}
    environment = Environment(
        loader=DictLoader(sources), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template(name)


def render(
    spec: Specification,
    answers: Sequence[Answer],
    coverages: Sequence[Coverage],
    findings: Findings,
    figures: Mapping[str, list[Figure]],
    at: str,
    command: str,
) -> str:
    """Render the page as one self-contained HTML document."""
    return template("report.html").render(
        spec=spec,
        summary=[summary_row(found) for found in answers],
        outcomes=[outcome_view(found, figures[found.spec.id]) for found in answers],
        coverages=coverages,
        sections=sections(findings),
        counts=findings.summary,
        titles={found.spec.id: found.spec.title for found in answers},
        states=STATES,
        state_names=STATE_NAMES,
        methods=METHODS,
        at=at,
        command=command,
    )
