"""Results stored in a review's file, recomputed from the study data beside them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from metail2.checks.definition import Check, Finding, describe, found
from metail2.checks.impossible import REVERSED
from metail2.checks.revman import Way
from metail2.checks.stored_figures import file_column
from metail2.checks.stored_ways import Comparison, Difference, Total, way_of_studies, way_of_totals
from metail2.records.reviews.impossible import impossible_reasons
from metail2.records.reviews.review import Analysis, Review
from metail2.wording import MINUS, TAU2_NAMES, TEST_NAMES, listed

STUDY = describe(
    "M100", "warning", "a stored study result differs",
    help="""The effect or interval that the file stores of a study is not the one that its figures give, by RevMan's
    own formulas and at the precision of the file. A figure was changed after the review was calculated, or the result
    was typed in. Check the figures against the article, then calculate the review again. It is harmless where the
    program that wrote the file corrects zero cells in another way than RevMan. Source: Deeks & Higgins (2010),
    Statistical algorithms in Review Manager 5.""",
)  # fmt: skip
POOLED = describe(
    "M101", "warning", "a stored pooled result differs",
    help="""The pooled estimate, its interval or its test is not what the study data of the file give by the method and
    model that the file names. A study was changed, added or left out after the review was calculated. Compare the
    studies with those of the published forest plot. It is harmless where another program made the totals by another
    rule for zero cells. Source: Deeks & Higgins (2010).""",
)  # fmt: skip
LABEL = describe(
    "M102", "warning", "a label disagrees with the data",
    help="""The settings name one effect measure, method or model, but the stored results are those of another (found by
    computing them). Whoever reads the label takes, for instance, an odds ratio for a risk ratio. Correct the label, or
    analyse again by what it says. With one study, or results near no effect, two measures can agree by chance.""",
)  # fmt: skip
HETEROGENEITY = describe(
    "M103", "warning", "stored heterogeneity differs",
    help="""Q, its P value, I², τ² or the test for subgroup differences is not what the study data give. See M101. I² is
    accepted from Q and from τ² (RevMan since 2025), as a percentage and as a fraction. Source: Deeks & Higgins
    (2010).""",
)  # fmt: skip
TWICE = describe(
    "M104", "warning", "a study counted twice in the total",
    help="""The study stands in several subgroups that are pooled together. If they hold the same patients (two
    outcomes, two doses with one control arm), these count twice and the interval is too narrow: keep one subgroup,
    combine them, split the control arm, or give no total. It is harmless where the subgroups hold different patients,
    such as women and men. Source: Cochrane Handbook, sections 6.2 and 10.5.""",
)  # fmt: skip
WEIGHT = describe(
    "M105", "warning", "a stored weight differs",
    help="""The share that the file gives a study in the pooled estimate is not the one that the method gives it. See
    M101.""",
)  # fmt: skip
SKIPPED = describe(
    "M106", "note", "stored results were not recomputed",
    help="""The file stores results that were not compared, because it names a measure, method, model, estimator or
    interval that is not known here, or because a study has figures that cannot be. Check them by the program that made
    them, or correct the figures, which other findings name, and check again.""",
)  # fmt: skip
EXCLUDED = describe(
    "M107", "note", "a study left out of the totals",
    help="""The study's figures give an effect, but the file gives it no weight while other studies have one. Someone
    left it out, for a reason that the file does not hold: find it in the review's text.""",
)  # fmt: skip

METHODS = {"MH": "Mantel–Haenszel", "IV": "inverse variance", "PETO": "Peto"}
NAMES = {
    "OR": "odds ratio", "RR": "risk ratio", "RD": "risk difference", "PETO": "Peto odds ratio",
    "MD": "mean difference", "SMD": "standardised mean difference",
}  # fmt: skip
SPREAD = ("q", "q_df", "q_p", "i2", "tau2", "between_q", "between_p")
"""Figures of heterogeneity."""


def stored_differences(review: Review) -> list[Finding]:
    """Recompute what a review's file stores, and say where it differs at the precision of the file.

    Parameters
    ----------
    review : Review
        From `read_review`; study data without stored results give no finding.

    Returns
    -------
    list of Finding
        M100 a study's effect or interval, M101 a pooled result, M102 a label, M103 heterogeneity, M105 weights; also
        M017 a stored interval in reverse order, M104 studies that count twice in a total, M106 results that could not
        be recomputed, M107 studies left out. Each difference names both numbers.

    Notes
    -----
    By RevMan's own algorithms (see `metail2.checks.revman`), so that a difference is one of data or labels and not of
    methods. Prediction intervals and intervals for τ² are not compared.
    """
    # absurd figures (1e308 patients) make infinite results, which then differ from the stored ones
    with np.errstate(all="ignore"):
        return [finding for analysis in review.analyses for finding in _of_analysis(review, analysis)]


def _of_analysis(review: Review, analysis: Analysis) -> Iterator[Finding]:
    if not (analysis.table["effect"].notna().any() or analysis.totals["effect"].notna().any()):
        return
    if analysis.settings.measure not in NAMES and analysis.kind in ("dichotomous", "continuous", "other"):
        yield _unknown(analysis, f"the effect measure {analysis.settings.label!r}, which is not known here")
        return
    work = Comparison(review, analysis)
    ways = way_of_studies(work)
    yield from _label_of_studies(work, ways[0])
    yield from _reversed(work)
    for at, differences in work.of_studies(ways[0]).items():
        yield _of_study(STUDY, work, at, differences, "the figures of the study give")
    yield from _spoilt_studies(work)
    yield from _excluded(work)
    yield from _twice(work)
    yield from _of_totals(work, ways)


def _of_totals(work: Comparison, ways: Sequence[Way]) -> Iterator[Finding]:
    settings = work.analysis.settings
    yield from _spoilt_totals(work)
    if not work.totals:
        return
    parts = {
        "method": settings.method,
        "model": settings.model,
        "estimator of τ²": settings.tau2,
        "interval": settings.test,
    }
    unknown = [name for name, code in parts.items() if not code]
    if unknown:
        yield _unknown(work.analysis, f"a {listed(unknown)} that is not known here")
        return
    way = way_of_totals(work, ways)
    yield from _label_of_totals(work, way)
    for total in work.totals:
        differences = work.of_total(way, total)
        yield from _of_total(POOLED, work, total, [entry for entry in differences if entry.name not in SPREAD])
        yield from _of_total(HETEROGENEITY, work, total, [entry for entry in differences if entry.name in SPREAD])
    for at, difference in work.of_weights(way).items():
        yield _of_study(WEIGHT, work, at, [difference], "the method gives")


# ---------------------------------------------------------------- figures


def _of_study(check: Check, work: Comparison, at: int, differences: Sequence[Difference], source: str) -> Finding:
    table = work.analysis.table
    return found(
        check, _says(work, differences, source), file=work.analysis.file, row=int(table.index[at]),
        study=str(table["study"].iloc[at]), column=differences[0].name,
    )  # fmt: skip


def _of_total(check: Check, work: Comparison, total: Total, differences: Sequence[Difference]) -> Iterator[Finding]:
    if differences:
        group = str(total.stored["subgroup"])
        source = f"the studies of subgroup {group!r} give" if group else "the studies give"
        yield found(
            check, _says(work, differences, source), file=str(total.stored["file"]), row=total.row,
            column=differences[0].name,
        )  # fmt: skip


def _cause(work: Comparison, at: int) -> str:
    return str(impossible_reasons(work.analysis.table.iloc[[at]])[0])


def _says(work: Comparison, differences: Sequence[Difference], source: str) -> str:
    """Both numbers of every difference; the sentence goes on after the name of the first one's column."""
    first, *rest = differences
    stored, given = _numbers(first)
    more = [f"{file_column(work.review, entry.name)} {' and not '.join(_numbers(entry))}" for entry in rest]
    also = f"; likewise {listed(more)}" if more else ""
    return f"({_about(work, first.name)}) holds {stored}, but {source} {given}{also}; find out which is right"


def _numbers(entry: Difference) -> tuple[str, str]:
    """Write both numbers with as many digits as it takes to tell them apart."""
    digits = 4
    while digits < 15 and f"{entry.stored:.{digits}g}" == f"{entry.given:.{digits}g}":
        digits += 1
    stored, given = (
        "nothing" if math.isnan(value) else f"{value:.{digits}g}".replace("-", "−")
        for value in (entry.stored, entry.given)
    )
    return stored, given


# ---------------------------------------------------------------- labels


def _label_of_studies(work: Comparison, way: Way) -> Iterator[Finding]:
    settings = work.analysis.settings
    wrong = []
    if way.measure != settings.measure:
        wrong.append(f"the stored effects are {NAMES[way.measure]}s")
    elif way.log_scale != settings.log_scale:
        scale = "ratios, whose logarithms the figures are" if way.log_scale else "the figures themselves and no ratios"
        wrong.append(f"the stored effects are {scale}")
    if way.swapped != settings.swap_events:
        counted = "non-events" if way.swapped else "events"
        wrong.append(f"the stored effects count {counted}, against the setting")
    if wrong:
        yield _label(work, f"says {settings.label!r}, but {' and '.join(wrong)}")


def _label_of_totals(work: Comparison, way: Way) -> Iterator[Finding]:
    settings = work.analysis.settings
    named = _words(settings.method, settings.tau2 if settings.model == "random" else "", settings.test)
    actual = _words(way.method, way.tau2, way.test)
    # Peto's estimate is the inverse-variance estimate of Peto's effects
    if actual not in (named, named.replace(METHODS["PETO"], METHODS["IV"])):
        yield _label(work, f"says {named}, but the stored totals are those of {actual}")


def _words(method: str, tau2: str, test: str) -> str:
    """Name a method and model; a random-effects estimate has inverse-variance weights whatever its method's name."""
    if not tau2:
        return f"{METHODS[method]}, fixed effect"
    return f"random effects, {TAU2_NAMES[tau2]}" + ("" if test == "z" else f", {TEST_NAMES[test]}")


def _label(work: Comparison, says: str) -> Finding:
    """Write a finding about the settings, which stand in the row of the total where there is one."""
    analysis = work.analysis
    overall = analysis.totals[analysis.totals["subgroup"] == ""]
    row = int(overall.index[0]) if len(overall) else None
    file = str(overall["file"].iloc[0]) if len(overall) else analysis.file
    return found(LABEL, f"analysis {analysis.number} {says}; correct the label, or analyse again", file=file, row=row)


# ---------------------------------------------------------------- who is counted


def _excluded(work: Comparison) -> Iterator[Finding]:
    table = work.analysis.table
    left_out = table[table["state"] == "excluded"]
    for row, study in zip(left_out.index, left_out["study"], strict=True):
        says = f"has no weight in analysis {work.analysis.number}, although its figures give an effect; find out why"
        yield found(EXCLUDED, says, file=work.analysis.file, row=int(row), study=str(study))


def _twice(work: Comparison) -> Iterator[Finding]:
    analysis = work.analysis
    if not work.has_overall:
        return
    used = analysis.table[analysis.table["state"] == "used"]
    for study, rows in used.groupby("study", sort=False):
        if rows["subgroup"].nunique() > 1:  # twice in one subgroup is told by the checks of its figures
            says = (
                f"counts {len(rows)} times in the total of analysis {analysis.number}, by the subgroups "
                f"{listed(list(rows['subgroup']))} (rows {listed([str(row) for row in rows.index])}); unless these "
                "hold different patients, keep one of them or combine them"
            )
            yield found(TWICE, says, file=analysis.file, row=int(rows.index[0]), study=str(study))


# ---------------------------------------------------------------- what cannot be


def _spoilt_studies(work: Comparison) -> Iterator[Finding]:
    """Stored results of studies from whose figures nothing can be recomputed."""
    table = work.analysis.table
    for at in np.flatnonzero(work.impossible & np.isfinite(work.stored[:, 0])).tolist():
        says = (
            f"({_about(work, 'effect')}) was not recomputed, because {_cause(work, at)}; correct the figures and "
            "check again"
        )
        yield found(
            SKIPPED, says, file=work.analysis.file, row=int(table.index[at]), study=str(table["study"].iloc[at]),
            column="effect",
        )  # fmt: skip


def _spoilt_totals(work: Comparison) -> Iterator[Finding]:
    table = work.analysis.table
    for total in work.stored_totals:
        faulty = np.flatnonzero(work.faulty_rows(total)).tolist()
        if faulty:
            causes = listed(
                [f"{_cause(work, at)} in {table['study'].iloc[at]} (row {table.index[at]})" for at in faulty]
            )
            group = str(total.stored["subgroup"])
            what = f"the total of subgroup {group!r}" if group else "the total"
            says = f"({_about(work, 'effect')}), {what}, was not recomputed, because {causes}; correct the figures"
            yield found(SKIPPED, says, file=str(total.stored["file"]), row=total.row, column="effect")


def _reversed(work: Comparison) -> Iterator[Finding]:
    """Stored intervals whose lower limit lies above the upper one."""
    analysis = work.analysis
    rows = [(analysis.file, at, str(row["study"]), row) for at, row in analysis.table.iterrows()]
    rows += [(str(row["file"]), at, "", row) for at, row in analysis.totals.iterrows()]
    for file, at, study, row in rows:
        if row["ci_lower"] > row["ci_upper"]:
            says = (
                f"({_about(work, 'ci_lower')}) is {_shown(row['ci_lower'])}, above the upper limit "
                f"{_shown(row['ci_upper'])} ({file_column(work.review, 'ci_upper')}); exchange or correct them"
            )
            yield found(REVERSED, says, file=file, row=int(str(at)), study=study, column="ci_lower")


def _about(work: Comparison, figure: str) -> str:
    """What the file calls a figure, and which analysis it is of."""
    column = work.review.columns.get(figure, "")
    return ", ".join(filter(None, (column, f"analysis {work.analysis.number}")))


def _shown(value: float) -> str:
    return f"{value:.6g}".replace("-", MINUS)


def _unknown(analysis: Analysis, what: str) -> Finding:
    says = f"analysis {analysis.number} ({analysis.name}) has {what}, so its stored results were not recomputed"
    return found(SKIPPED, says, file=analysis.file)
