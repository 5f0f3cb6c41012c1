"""What one arm prints twice in two ways: counts and percentage, SD and standard error, SD and interval."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.special import ndtri, stdtrit

from metail2.checks.definition import Hit, describe, of_arms
from metail2.checks.effect_scales import levels
from metail2.checks.recomputed import figure, spread
from metail2.checks.view import View
from metail2.wording import number

PERCENT = describe(
    "M077", "warning", "a percentage that is not that of its counts",
    help="""Events and patients are printed beside their percentage, and the percentage is not what they give, rounded
    or cut off at the printed digits. One of the three is wrong, or the percentage has another denominator (patients
    with data, all randomised). Correct it, or enter the denominator that was used.""",
)  # fmt: skip
SE_SD = describe(
    "M078", "warning", "a standard error that is not that of the SD",
    help="""The standard error of the mean is not SD/√n, all rounding allowed. Often the two are exchanged or n is that
    of another analysis. Correct it. Harmless where the standard error is that of a model (an adjusted mean); then leave
    one of the two out. Source: Altman DG, Bland JM (2005), BMJ 331:903.""",
)  # fmt: skip
MEAN_INTERVAL = describe(
    "M079", "warning", "an interval of a mean that does not follow from the SD",
    help="""The half-width of the interval of a mean (of 95 %, or of the column level) differs from 1.96·SD/√n and from
    that with t for 1.96 by more than a tenth, all rounding allowed. Often a standard deviation is a standard error or
    the reverse, the limits are quartiles, or n is that of another analysis. Correct it. Harmless for the interval of an
    adjusted or geometric mean. Source: Cochrane Handbook, section 6.5.2.2.""",
)  # fmt: skip


@of_arms
def _percents(view: View) -> Iterator[Hit]:
    events, n = view["events"], view["n"]
    exact = 100 * events / np.where(n > 0, n, np.nan)
    fits = figure(view, "percent").holds(exact)
    for at in map(int, np.flatnonzero(~np.isnan(exact + view["percent"]) & (events <= n) & (events >= 0) & ~fits)):
        yield Hit(PERCENT, at, "percent", (
            f"is {view.text(at, 'percent')} %, but {events[at]:g} of {n[at]:g} is {number(float(exact[at]), 2)} %; "
            "correct one of the three or enter the denominator that was used"
        ))  # fmt: skip


@of_arms
def _standard_errors(view: View) -> Iterator[Hit]:
    n = view["n"]
    sd, se, root = figure(view, "sd"), figure(view, "se"), np.sqrt(np.where(n > 0, n, np.nan))
    own = sd.over(root)
    exchanged = sd.meets(se.over(root))
    for at in map(int, np.flatnonzero(own.known & se.known & ~own.meets(se))):
        advice = "the two seem to be exchanged" if exchanged[at] else "correct one of the three"
        yield Hit(SE_SD, at, "se", (
            f"is {view.text(at, 'se')}, but SD {view.text(at, 'sd')} and n = {n[at]:g} give "
            f"{number(float(view['sd'][at] / root[at]), 3)}; {advice}"
        ))  # fmt: skip


@of_arms
def _intervals(view: View) -> Iterator[Hit]:
    n = view["n"]
    lower, upper, root = figure(view, "mean_lower"), figure(view, "mean_upper"), np.sqrt(np.where(n > 1, n, np.nan))
    width, sd = upper - lower, spread(view, "sd", "se", n)
    apart = []
    upper_tail = 0.5 + levels(view) / 2
    t = stdtrit(n - 1, upper_tail)
    for q in (ndtri(upper_tail), t):
        own = sd.over(root / (2 * q))
        apart.append(width.gap(own) > 0.1 * own.high)
    known = width.known & sd.known & (n > 1) & (view["mean_lower"] < view["mean_upper"])
    for at in map(int, np.flatnonzero(known & np.all(apart, axis=0))):
        half = t[at] * (sd.low[at] + sd.high[at]) / 2 / root[at]
        yield Hit(MEAN_INTERVAL, at, "mean_lower", (
            f"begins the interval {view.text(at, 'mean_lower')} to {view.text(at, 'mean_upper')}, but SD and n give "
            f"mean ± {number(float(half), 3)}; correct the limits, the SD or n"
        ))  # fmt: skip
