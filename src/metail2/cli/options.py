"""The options that ``pool`` and ``forest`` share, each with its help."""

from __future__ import annotations

import math
from typing import Annotated

import typer


def _number(text: str | float) -> float:
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a number.") from None


def _level(text: str | float) -> float:
    value = _number(text)
    if not 0 < value < 1:
        raise typer.BadParameter(f"{value:g} is not between 0 and 1; give e.g. 0.95.")
    return value


def _correlation(text: str | float) -> float:
    value = _number(text)
    if not -1 <= value <= 1:
        raise typer.BadParameter(f"{value:g} is not between -1 and 1; give e.g. 0.5.")
    return value


def _addition(text: str | float) -> float:
    value = _number(text)
    if not 0 <= value < math.inf:
        raise typer.BadParameter(f"{value:g} is not 0 or a positive number; give e.g. 0.5.")
    return value


File = Annotated[
    str,
    typer.Argument(
        metavar="FILE",
        show_default=False,
        help="A CSV (UTF-8) or XLSX file, a review (.rm5, .zip), or a shipped data set such as bcg (see: metail2 "
        "datasets).",
    ),
]
Measure = Annotated[
    str | None,
    typer.Option(
        metavar="CODE", help="Effect measure, e.g. RR (see: metail2 measures); a review has its own, a table needs one."
    ),
]
Study = Annotated[
    str | None, typer.Option(metavar="COLUMN", help="Column of study labels; by default 'study', if there is one.")
]
Arm = Annotated[
    str | None,
    typer.Option(metavar="COLUMN", help="Column of arm labels, where a row is an arm; needs --control."),
]
Control = Annotated[
    list[str] | None, typer.Option(metavar="LABEL", help="Which arm is the control; once for each label it has.")
]
Number = Annotated[
    str | None, typer.Option("--analysis", metavar="NUMBER", help="Which analysis of a review file, e.g. 1.2.")
]
Columns = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=COLUMN",
        help="Where a column of the measure has another name in the file, e.g. events1=tpos; once for each.",
    ),
]
Model = Annotated[
    str,
    typer.Option(
        metavar="MODEL",
        help="random_effects, mantel_haenszel, peto (measure PETO, or HR from o_minus_e and v), "
        "mixed_counts or beta_binomial.",
    ),
]
Likelihood = Annotated[
    str | None,
    typer.Option(metavar="CODE", help="With --model mixed_counts: UM.FS (the default), UM.RS, CM.EL or CM.AL."),
]
Coding = Annotated[
    str | None,
    typer.Option(
        metavar="CODE",
        help="With --likelihood UM.FS or UM.RS: how the random effect enters the two arms, half (the default, both "
        "alike), treatment or control.",
    ),
]
Tau2 = Annotated[
    str | None,
    typer.Option(
        metavar="CODE",
        help="Estimator of the between-study variance: REML (the default), DL, PM, ML, EB, HE, HS, HSk, SJ, PMM, "
        "GENQ or GENQM (with --weights), or CE for a common effect. With --model mixed_counts: ML or CE.",
    ),
]
Test = Annotated[
    str | None,
    typer.Option(metavar="TEST", help="knapp_hartung (the default), knapp_hartung_adhoc, iqwig, kenward_roger, t, z."),
]
Moderators = Annotated[
    str | None, typer.Option(metavar="FORMULA", help='Meta-regression on columns of the file, e.g. "ablat + year".')
]
Weights = Annotated[
    str | None, typer.Option(metavar="COLUMN", help="Your own weights of the studies; GENQ and GENQM need them.")
]
Subgroup = Annotated[
    str | None, typer.Option(metavar="COLUMN", help="Groups of studies to pool apart and to compare, e.g. disease.")
]
CommonTau2 = Annotated[
    bool, typer.Option("--common-tau2", help="With --subgroup: one between-study variance for all groups.")
]
Level = Annotated[float, typer.Option(metavar="NUMBER", parser=_level, help="Confidence level of all intervals.")]
Add = Annotated[
    float | None,
    typer.Option(
        metavar="NUMBER",
        parser=_addition,
        help="Added to the cells of a table with a zero; by default what the measure adds.",
    ),
]
To = Annotated[
    str | None,
    typer.Option(metavar="RULE", help="Which tables --add corrects: only0 (the default), all, if0all or none."),
]
Drop00 = Annotated[
    bool, typer.Option("--drop00", help="Leave out tables without events (or without non-events) in both arms.")
]
Correlation = Annotated[
    float | None,
    typer.Option(
        "--r",
        metavar="NUMBER",
        parser=_correlation,
        help="Correlation of before and after that is assumed where none is printed.",
    ),
]
Method = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="How medians, quartiles and ranges become means and SDs: recommended (the default), luo2018, wan2014, "
        "hozo2005, shi2020, bland2015, walter2007, lognormal, mcgrath2020_qe, mcgrath2020_bc or cai2021.",
    ),
]
Transform = Annotated[
    str | None,
    typer.Option(
        metavar="CODE",
        help="Show the estimate on another scale: exp, percent_change, percent_reduction (of effects turned so "
        "that a decrease is positive), percent, logistic, sine_squared, square, normal_cdf, antilog, tanh, "
        "one_minus_cube, one_minus_exp or identity.",
    ),
]
