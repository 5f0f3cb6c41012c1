"""The commands and their options; heavy packages are imported inside them, so that ``--help`` is quick."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from metail2 import __version__
from metail2.cli.analysis import Analysis
from metail2.cli.guard import Guarded, GuardedGroup, refuse_closed_output
from metail2.cli.options import (
    Add,
    Arm,
    Coding,
    Columns,
    CommonTau2,
    Control,
    Correlation,
    Drop00,
    File,
    Level,
    Likelihood,
    Measure,
    Method,
    Model,
    Moderators,
    Number,
    Study,
    Subgroup,
    Tau2,
    Test,
    To,
    Transform,
    Weights,
)
from metail2.cli.source import Source

EXIT_STATUS = """\b
Exit status:
  0  done
  1  the data cannot be used as asked (what a file holds, or no model fits),
     or metail2 itself failed
  2  wrong use: an unknown option, choice or name, a file that cannot be
     opened, a place that cannot be written to
Results go to standard output, errors and warnings to standard error. After
an error nothing is written. The traceback: metail2 --debug COMMAND."""
POOL_EXAMPLES = """\b
Examples:
  metail2 pool trials.csv --measure RR
  metail2 pool hackshaw1998 --measure GEN --transform exp
  metail2 pool bcg --measure RR --study author --column events1=tpos \\
      --column n1=tn --column events2=cpos --column n2=cn"""
FOREST_EXAMPLE = """\b
Example:
  metail2 forest trials.csv --measure RR --output forest.svg \\
      --favours "low-dose IL-2" placebo"""

VALIDATE_EPILOG = """\b
Examples:
  metail2 validate trials.csv --measure RR
  metail2 validate il2
  metail2 validate report.toml --format html --output checks.html
\b
Exit status:
  0  no error was found, or every error is accepted
  1  an error was found that nobody accepted, or the file is no table
  2  wrong use: an unknown option, choice or name, a file that cannot be
     opened, a place that cannot be written to"""

app = typer.Typer(
    name="metail2",
    cls=GuardedGroup,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    epilog=EXIT_STATUS,
)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit.

    Parameters
    ----------
    arguments : list of str, optional
        Words after ``metail2``; those of the process by default.
    """
    refuse_closed_output()
    app(arguments, prog_name="metail2")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"metail2 {__version__}")
        raise typer.Exit


@app.callback()
def metail2(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and end.")
    ] = False,
) -> None:
    """Pool the figures that trials print: effect sizes, random-effects models, forest plots, reports."""


@app.command(cls=Guarded, epilog=EXIT_STATUS)
def report(
    report: Annotated[
        str,
        typer.Argument(
            metavar="NAME_OR_TOML",
            show_default=False,
            help="A shipped report such as il2, or a file that says what is pooled and how.",
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="Where index.html and what belongs to it goes.")
    ] = Path("out"),
) -> None:
    """Write the report of an evidence base.

    A page with, for every outcome, its forest plot, its pooled estimate or why there is none, and the sentence that
    each figure came from; beside it tables (CSV), figures and a manifest.
    """
    from metail2.report.build import build_report

    built = build_report(report, output, shlex.join(["metail2", "report", report, "--output", str(output)]))
    typer.echo(f"{built.summary.rstrip()}\n\n{built.page}")


@app.command(cls=Guarded, epilog=f"{POOL_EXAMPLES}\n\n{EXIT_STATUS}")
def pool(
    file: File,
    measure: Measure = None,
    study: Study = None,
    column: Columns = None,
    arm: Arm = None,
    control: Control = None,
    analysis: Number = None,
    model: Model = "random_effects",
    likelihood: Likelihood = None,
    coding: Coding = None,
    tau2: Tau2 = None,
    test: Test = None,
    moderators: Moderators = None,
    weights: Weights = None,
    subgroup: Subgroup = None,
    common_tau2: CommonTau2 = False,
    level: Level = 0.95,
    add: Add = None,
    to: To = None,
    drop00: Drop00 = False,
    r: Correlation = None,
    method: Method = None,
    transform: Transform = None,
    format: Annotated[
        str,
        typer.Option(
            metavar="FORMAT",
            help="text, csv or json. csv: the tables tidy, glance, studies, companions (what must stand beside the "
            "interval) and of subgroups groups, on the pooled scale, an empty line between them; json: one object that "
            "holds them as lists.",
        ),
    ] = "text",
) -> None:
    """Pool the studies of one outcome.

    FILE holds the columns of the measure (metail2 measures lists them): for RR events1 n1 events2 n2, for GEN yi
    (the effect on the scale it is pooled on, log for ratios) with vi, with sei, or with ci_lower and ci_upper. Studies
    may print other statistics instead (se1, median1 with q1_1 and q3_1, estimate with ci_lower and ci_upper, p and
    others; docs/ways-in.md lists them). Empty cells, NA, N/A and NaN are missing values.
    """
    from metail2.cli.output import check_format, result_text

    check_format(format, transform, moderators)
    source = Source(file, measure, study, tuple(column or ()), arm, tuple(control or ()), analysis)
    computing = {"add": add, "to": to, "drop00": drop00 or None, "r": r, "method": method}
    random_effects = {"tau2": tau2, "test": test, "moderators": moderators, "weights": weights}
    groups = {"subgroup": subgroup, "common-tau2": common_tau2 or None}
    counts = {"likelihood": likelihood, "coding": coding}
    asked = Analysis(source, computing, model, random_effects, groups, counts, level)
    specification, effects = asked.prepared()
    result = specification.fit(effects)
    typer.echo(result_text(result, format, transform), nl=False)


@app.command(cls=Guarded, epilog=f"{FOREST_EXAMPLE}\n\n{EXIT_STATUS}")
def forest(
    file: File,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE", show_default=False, help="The picture: .svg, .pdf or .png."),
    ],
    measure: Measure = None,
    study: Study = None,
    column: Columns = None,
    arm: Arm = None,
    control: Control = None,
    analysis: Number = None,
    model: Model = "random_effects",
    likelihood: Likelihood = None,
    coding: Coding = None,
    tau2: Tau2 = None,
    test: Test = None,
    moderators: Moderators = None,
    weights: Weights = None,
    subgroup: Subgroup = None,
    common_tau2: CommonTau2 = False,
    level: Level = 0.95,
    add: Add = None,
    to: To = None,
    drop00: Drop00 = False,
    r: Correlation = None,
    method: Method = None,
    transform: Transform = None,
    favours: Annotated[
        tuple[str, str] | None,
        typer.Option(metavar="LEFT RIGHT", help="What lower and what higher values favour, written under the axis."),
    ] = None,
    common: Annotated[
        bool, typer.Option("--common", help="Draw the common-effect estimate as a second diamond.")
    ] = False,
) -> None:
    """Draw the studies of one outcome and what they come to together.

    FILE and the options of the model are those of metail2 pool.
    """
    from metail2.cli.drawing import check_picture, draw

    check_picture(output, transform)
    source = Source(file, measure, study, tuple(column or ()), arm, tuple(control or ()), analysis)
    computing = {"add": add, "to": to, "drop00": drop00 or None, "r": r, "method": method}
    random_effects = {"tau2": tau2, "test": test, "moderators": moderators, "weights": weights}
    groups = {"subgroup": subgroup, "common-tau2": common_tau2 or None}
    counts = {"likelihood": likelihood, "coding": coding}
    asked = Analysis(source, computing, model, random_effects, groups, counts, level)
    draw(asked, output, transform, favours, common)
    typer.echo(output)


@app.command(cls=Guarded, epilog=VALIDATE_EPILOG)
def validate(
    target: Annotated[
        str,
        typer.Argument(
            metavar="TARGET",
            show_default=False,
            help="A table of studies (CSV or XLSX), trial records (a folder or workbook), a report (TOML), a review "
            "(.rm5, .zip), or the name of a shipped report or data set.",
        ),
    ],
    measure: Annotated[
        str | None,
        typer.Option(metavar="CODE", help="Of a table: the effect measure, so that effects are recomputed, e.g. RR."),
    ] = None,
    study: Study = None,
    column: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=COLUMN", help="Of a table: where a column has another name; once for each."),
    ] = None,
    arm: Arm = None,
    control: Control = None,
    scale_items: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Of a table: means are of scores averaged over N items of whole numbers (1: a whole or a sum score).",
        ),
    ] = None,
    format: Annotated[
        str, typer.Option(metavar="FORMAT", help="text, json (a list of objects), csv or html (one page).")
    ] = "text",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write to a file instead of the screen.")
    ] = None,
) -> None:
    """Check figures before they are pooled.

    Looks for what is impossible, suspect or in disagreement; nothing is changed, left out or mended. Findings have a
    code (metail2 explain CODE) and are errors, warnings or notes; a report's accept list says which may stand and why.
    The last line counts those that nobody accepted, and apart from them the accepted ones.
    """
    from metail2.cli.findings_text import check_findings_format, show
    from metail2.cli.validation import TableOptions, findings_of

    check_findings_format(format)
    options = TableOptions(measure, study, tuple(column or ()), scale_items, arm, tuple(control or ()))
    findings = findings_of(target, options)
    show(findings, format, target, output)
    raise typer.Exit(1 if findings.errors else 0)


@app.command(cls=Guarded)
def explain(
    code: Annotated[
        str | None, typer.Argument(metavar="[CODE]", show_default=False, help="A code such as M012; all by default.")
    ] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Write the page of the documentation.")] = False,
) -> None:
    """Say what a check means and what to do, or list all checks."""
    from metail2.cli.findings_text import check_text, checks_markdown, checks_text

    typer.echo(checks_markdown() if markdown else checks_text() if code is None else check_text(code), nl=False)


@app.command(cls=Guarded)
def init(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", show_default=False, help="New, or without files of these names.")
    ],
    kind: Annotated[
        str,
        typer.Option(
            metavar="KIND",
            help="records: trial records and a report; table: plain tables, one row a study.",
        ),
    ] = "records",
) -> None:
    """Begin a folder with templates to fill in.

    Commented files with made-up example rows to replace, which validate without a finding. No file of yours is ever
    replaced.
    """
    from metail2.records.starter import write_starter

    typer.echo("\n".join(map(str, write_starter(folder, kind))))


@app.command(cls=Guarded)
def datasets() -> None:
    """List the data sets that are shipped with metail2."""
    from metail2.cli.listing import datasets_text

    typer.echo(datasets_text(), nl=False)


@app.command(cls=Guarded)
def measures(
    code: Annotated[
        str | None, typer.Argument(metavar="[CODE]", show_default=False, help="All about one measure, e.g. SMD.")
    ] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Write the table of the documentation.")] = False,
) -> None:
    """List the effect measures, or say all about one."""
    from metail2.cli.listing import measures_markdown, measures_text

    typer.echo(measures_markdown() if markdown else measures_text(code), nl=False)
