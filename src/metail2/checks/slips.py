"""Slips of copying that leave figures which could be true: a lost point, a width as SD, a sum as a study, a unit."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.special import fdtrc, ndtri, stdtrit

from metail2.checks.definition import Hit, describe, of_arms, of_comparisons, of_tables
from metail2.checks.labels import label_texts
from metail2.checks.rounding import Range, printed_range
from metail2.checks.view import Floats, View
from metail2.wording import number

Rows = NDArray[np.intp]

SD_RATIO, RARE_F = 4.0, 1e-6
LEAST_DIGITS, LEAST_N = 3, 30
"""Of an SD that alone agrees with a width; fewer agree by chance, but not in two arms of so many patients."""
PRECISE = 0.5
PEERS = 4
"""So many other studies must stand beside means before their scale is compared."""
LEAST_UNIT, RARE_UNIT = np.log(1.8), 3e-4
TOTAL = r"(?i)^\W*(?:grand |sub)?(?:totals?|overall|pooled|summary|sums?|all (?:studies|trials)|combined)\b"
FEWEST_SUMMED = 3
"""So many studies must be summed before a row without such a label is taken for their sum."""
PAIRED = r"(?i)cross|paired|within|split|match"

UNLIKE_SDS = describe(
    "M032", "warning", "two SDs of a study far apart",
    help=f"""The SDs of the two arms (or times) of a study differ by a factor above {SD_RATIO:g}, and the F test of
    their variances has P < {RARE_F:g}; where n is not printed, by a factor above 10. Often a standard error beside an
    SD, two units, or a slip of the decimal point. Look both up. Harmless where one arm hardly varies, as after complete
    remission; then compare the means without pooling the SDs (SMDH, MD).""",
)  # fmt: skip
WIDTH_AS_SD = describe(
    "M043", "warning", "the width of a range as SD",
    help="""An SD equals the distance from the lower to the upper quartile, or from the minimum to the maximum, in all
    printed digits (three or more, or in both of two arms of 30 patients or more): the width may have been copied into
    the column of the SD. The interquartile range is
    1.35 SDs of a normal distribution. Look the SD up; if there is none, leave the cell empty, and metail2 estimates it
    from the quartiles.""",
)  # fmt: skip
SUM_ROW = describe(
    "M044", "warning", "a row that is the sum of the others",
    help=f"""All patients (and events) of a row are the sums of those of the other rows of its outcome, and it is called
    a total or has {FEWEST_SUMMED} or more others. Pooled as a study it would count every patient twice. Remove the row.
    Harmless if a study happens to be as large as all others together.""",
)  # fmt: skip
TOO_PRECISE = describe(
    "M045", "warning", "a standardised difference that is too precise",
    help=f"""The standard error of a standardised difference of two groups is about √(1/n1 + 1/n2) or more. The printed
    one, or that of the printed interval, is below {PRECISE:g} times that. Often it is the standard error of the raw
    difference, or a variance, or n is that of one arm. Check the interval and the sizes. Harmless where patients were
    their own controls (say so in a column design), or where the effect was adjusted for a very strong predictor.""",
)  # fmt: skip
OTHER_UNIT = describe(
    "M046", "warning", "means and SDs in another unit?",
    help=f"""The means and the SDs of a study are larger (or smaller) than those of the other studies of a mean
    difference by one and the same factor, as if they were in another unit (lb for kg, mm for cm, a slip of the point).
    Found without a column unit, beside {PEERS} other studies or more: on the log scale both lie further off than
    {np.exp(LEAST_UNIT):.1f}-fold and than the t quantile of {RARE_UNIT:g} times the spread of the others, and they
    differ from each other by less than a third of that. Look up the unit, and convert the figures.""",
)  # fmt: skip


@of_comparisons
def _unlike_sds(view: View) -> Iterator[Hit]:
    pairs = (("sd1", "sd2", view["n1"], view["n2"]), ("sd_post", "sd_pre", view["n"], view["n"]))
    for one, other, n1, n2 in pairs:
        first = view[one] < view[other]
        small, large = np.minimum(view[one], view[other]), np.maximum(view[one], view[other])
        known = np.flatnonzero((small > 0) & np.isfinite(large) & (large > SD_RATIO * small))
        of_small, of_large = (np.where(first, *sizes)[known] for sizes in ((n1, n2), (n2, n1)))
        ratio = large[known] / small[known]
        tested = (of_small > 1) & (of_large > 1)
        p = 2 * fdtrc(np.where(tested, of_large - 1, 1), np.where(tested, of_small - 1, 1), ratio**2)
        for at in known[np.where(tested, p < RARE_F, ratio > 10)].tolist():
            low, high = (one, other) if first[at] else (other, one)
            yield Hit(UNLIKE_SDS, at, low, (
                f"is {view.text(at, low)}, but the other SD ({view.beside(at, low, high)}) is "
                f"{view.text(at, high)}, {number(large[at] / small[at], 0)} times as large; look both up"
            ))  # fmt: skip


@of_arms
def _width_as_sd(view: View) -> Iterator[Hit]:
    """SDs that are widths; that of a range is no SD at all where n is printed (M023)."""
    for low, high in (("q1", "q3"), ("min", "max")) if "sd" in view else ():
        sd, n, width = view["sd"], view["n"], view[high] - view[low]
        asked = (sd > 0) & (np.isnan(n) if low == "min" else ~(n <= 2))
        same = np.flatnonzero(asked & np.isclose(sd, width, rtol=1e-9))
        rows, large = view.cells["sd"].row[same], n[same] >= LEAST_N
        for at, row in zip(same.tolist(), rows.tolist(), strict=True):
            digits = len(view.text(at, "sd").replace(".", "").strip("0"))
            if digits >= LEAST_DIGITS or (large & (rows == row)).sum() > 1:
                yield Hit(WIDTH_AS_SD, at, "sd", (
                    f"is {view.text(at, 'sd')}, just the distance from {view.text(at, low)} to {view.text(at, high)} "
                    f"({view.beside(at, 'sd', low)} to {view.beside(at, 'sd', high)}); look whether it is the SD"
                ))  # fmt: skip


@of_tables
def _sum_rows(view: View) -> Iterator[Hit]:
    summed = [name for name in ("n1", "n2", "n", "events1", "events2", "events") if name in view]
    if not {"n1", "n"} & set(summed):
        return
    labels = label_texts(view, ("study", "outcome", "timepoint"))
    called = labels["study"].str.contains(TOTAL).to_numpy(dtype=bool)
    values = np.stack([view[name] for name in summed])
    for rows in labels.groupby(["outcome", "timepoint"], sort=False).indices.values():
        rows = rows[(np.nansum(values[:, rows], axis=0) > 0)]
        if len(rows) > 2:
            each = values[:, rows]
            others = np.nansum(each, axis=1, keepdims=True) - each
            same = np.all(np.isnan(each) | (each == others), axis=0) & ~np.isnan(each[0])
            several = (~np.isnan(each)).sum(axis=0) > 1
            many = len(rows) > FEWEST_SUMMED
            for at in rows[same & (called[rows] | (several & many))].tolist():
                yield _sum(view, int(at), [name for name in summed if view[name][at] > 0], len(rows) - 1)


def _sum(view: View, at: int, names: list[str], others: int) -> Hit:
    told = ", ".join(f"{name} {view.text(at, name)}" for name in names)
    says = f"holds the sums of the {others} other rows ({told}), so that every patient would count twice"
    return Hit(SUM_ROW, at, "", f"{says}; remove the row if it is a total")


# ---------------------------------------------------------------- standardised differences


@of_comparisons
def _too_precise(view: View) -> Iterator[Hit]:
    asked = "d" in view or "g" in view if view.measure is None else "standardised mean diff" in view.measure.name
    if not asked or not ("n1" in view and "n2" in view):
        return
    with np.errstate(all="ignore"):
        least = PRECISE * np.sqrt(1 / view["n1"] + 1 / view["n2"])
    own = label_texts(view, ("design",))["design"].str.contains(PAIRED).to_numpy(dtype=bool)
    open_ = ~own & ~(np.abs(view["r"]) <= 1) & (view["n1"] > 0) & (view["n2"] > 0)
    for quantity, se in _standard_errors(view):
        for at in np.flatnonzero(open_ & (se < least)).tolist():
            what = "begins an interval with" if quantity == "ci_lower" else "tells"
            yield Hit(TOO_PRECISE, at, quantity, (
                f"is {view.text(at, quantity)} and {what} a standard error of at most {number(se[at], 3)}, but that of "
                f"a standardised difference of {view.text(at, 'n1')} v {view.text(at, 'n2')} patients is about "
                f"{number(least[at] / PRECISE, 3)} or more; check both"
            ))  # fmt: skip
            open_[at] = False


def _standard_errors(view: View) -> Iterator[tuple[str, Floats]]:
    """The largest standard errors that printed figures of an effect allow, each with its column."""
    for quantity in ("se", "sei", "vi"):
        if quantity in view:
            high = printed_range(view.cells[quantity]).high
            yield quantity, np.where(view[quantity] > 0, np.sqrt(high) if quantity == "vi" else high, np.nan)
    if "ci_lower" in view and "ci_upper" in view:
        level = np.where((view["level"] > 0) & (view["level"] < 1), view["level"], 0.95)
        width: Range = printed_range(view.cells["ci_upper"]) - printed_range(view.cells["ci_lower"])
        yield "ci_lower", np.where(width.low > 0, width.high / (2 * ndtri(0.5 + level / 2)), np.nan)


# ---------------------------------------------------------------- units


@of_tables
def _other_unit(view: View) -> Iterator[Hit]:
    if view.measure is None or view.measure.code != "MD" or {"unit", "unit_kind"} & set(view.labels):
        return
    with np.errstate(all="ignore"):
        logs = np.log(np.stack([np.abs(view["mean1"] * view["mean2"]), view["sd1"] * view["sd2"]])) / 2
    same_sign = view["mean1"] * view["mean2"] > 0
    known = np.flatnonzero(np.isfinite(logs).all(axis=0) & same_sign)
    groups = label_texts(view, ("outcome", "score", "timepoint")).iloc[known]
    for places in groups.groupby([*groups], sort=False).indices.values():
        rows = known[places]
        if PEERS < len(rows) <= 1000:
            yield from _far_units(view, rows, logs[:, rows])


def _far_units(view: View, rows: Rows, logs: Floats) -> Iterator[Hit]:
    limit = stdtrit(len(rows) - 2, 1 - RARE_UNIT / 2)
    for i in range(len(rows)):
        others = np.delete(logs, i, axis=1)
        middle = np.median(others, axis=1)
        spread = 1.4826 * np.median(np.abs(others - middle[:, None]), axis=1)
        off = logs[:, i] - middle
        far = np.abs(off) > np.maximum(limit * spread, LEAST_UNIT)
        if far.all() and abs(off[0] - off[1]) < np.abs(off).max() / 3:
            at = int(rows[i])
            yield Hit(OTHER_UNIT, at, "mean1", (
                f"is {view.text(at, 'mean1')}; means and SDs of this study are about {number(np.exp(off[0]), 1)} and "
                f"{number(np.exp(off[1]), 1)} times those of the {len(rows) - 1} others; look whether its unit is "
                "another one"
            ))  # fmt: skip
