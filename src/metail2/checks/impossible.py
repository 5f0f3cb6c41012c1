"""Figures that cannot be true: by themselves, beside another figure of their arm, or on their scale.

Printed figures are rounded or cut off. Where two are compared, each stands for every value that prints so, and an
error is raised only if no such values could stand together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from metail2.checks.definition import Check, Hit, describe, of_arms, of_comparisons
from metail2.checks.labels import label_texts
from metail2.checks.rounding import SLACK, Range, printed_range
from metail2.checks.view import Floats, View, Whole
from metail2.effects.measures import MEASURES
from metail2.wording import MINUS, number

Truths = NDArray[np.bool_]

MOST_PEOPLE = 1e10
ROUNDED = """Printed rounding and truncation are allowed for: every value that prints so is tried."""
HANDBOOK = "Source: Cochrane Handbook for Systematic Reviews of Interventions, version 6, chapters 6 and 10."

NEGATIVE_SPREAD = describe(
    "M010", "error", "an SD or standard error below 0",
    help="""A standard deviation, standard error or variance is a size and never below 0. Often a minus sign that
    belongs to the mean, or a limit of an interval in the wrong column. Correct the entry.""",
)  # fmt: skip
ZERO_SPREAD = describe(
    "M011", "warning", "an SD or standard error of 0",
    help="""An SD of 0 says that all patients had the same value, and a standard error of 0 would give the study all the
    weight. Usually a figure rounded to 0 or an empty cell filled with 0. Look it up, or leave the cell empty. Harmless
    where all patients did have the same value, as no relapse in anyone; such an arm has no standardised difference.""",
)  # fmt: skip
WRONG_SIZE = describe(
    "M012", "error", "a size that cannot be",
    help=f"""The number of patients (or of items or predictors) is 0 or below, or above {MOST_PEOPLE:.0e}, more than
    there are people. Correct the entry, or leave the row out if nobody was measured.""",
)  # fmt: skip
NOT_WHOLE = describe(
    "M013", "warning", "a count that is not whole",
    help="""Patients, events and the cells of a table are counted, so they are whole numbers. A fraction is often a
    percentage, a mean or a decimal point in the wrong column or place. Correct the entry. Harmless where counts were
    adjusted on purpose: divided by a design effect, a control arm split among comparisons, 0.5 added to the cells
    (which metail2 does by itself where a cell is 0). Silent in rows with an icc or a design_effect, and of a cluster
    design.""",
)  # fmt: skip
NEGATIVE_COUNT = describe(
    "M014", "error", "a count below 0",
    help="""Events and the cells of a table are counted, so they are 0 or more. A cell computed as a difference is below
    0 where the events were entered as the total, or the total as the events. Correct the entry.""",
)  # fmt: skip
MORE_EVENTS = describe(
    "M015", "error", "more events than patients",
    help=f"""An arm has more patients with the event than patients. Two columns exchanged, a percentage entered as a
    count, or happenings of which one patient may have several: those are rates, not proportions. Correct the entry.
    {HANDBOOK}""",
)  # fmt: skip
PERCENT = describe(
    "M016", "error", "a percentage outside 0 to 100",
    help="""A percentage of patients lies between 0 and 100. Correct the entry; a percentage change or percentage points
    are other quantities with other columns.""",
)  # fmt: skip
REVERSED = describe(
    "M017", "error", "limits of an interval in reverse order",
    help="""The lower limit lies above the upper one. Exchange them, and look whether the minus signs are right: a
    hyphen between two limits is easily read as a minus.""",
)  # fmt: skip
OUTSIDE = describe(
    "M018", "error", "an estimate outside its interval",
    help=f"""An estimate or mean lies outside its own confidence interval. One of the three figures is misread, or they
    stand on different scales (a ratio beside the limits of its log). {ROUNDED} Correct the figure. An interval that is
    not for this estimate, as one of an adjusted analysis, does not belong beside it.""",
)  # fmt: skip
OFF_SCALE = describe(
    "M019", "error", "a figure that its scale does not have",
    help="""A correlation lies between −1 and 1; R², an area under the curve or a proportion between 0 and 1; a ratio is
    not below 0; coefficient alpha is at most 1; an F statistic is not below 0; a direction is 1 or −1; a confidence
    level is a fraction such as 0.95. Often a percentage where a fraction belongs, or the log of a ratio where the ratio
    belongs. Correct the entry.""",
)  # fmt: skip
WRONG_P = describe(
    "M020", "error", "a P value outside 0 to 1",
    help="""A P value is a probability. Often a test statistic, a percentage or a lost decimal point. Correct the
    entry.""",
)  # fmt: skip
BOUND_OF_P = describe(
    "M021", "warning", "a P value that is a bound",
    help=f"""P = 0.000 is how programs print P < 0.0005, and "<0.001" or "ns" say only on which side of a bound P lies.
    Told only where the effect of the row, or its standard error, could be had from nothing but P: a bound does not
    suffice for it. The entry is right as it is printed. Look for the exact P, the test statistic or the interval.
    {HANDBOOK}""",
)  # fmt: skip
DISORDER = describe(
    "M022", "error", "minimum, quartiles, median, mean or maximum out of order",
    help=f"""The minimum is at most the lower quartile, this at most the median, and so on; the mean lies between
    minimum and maximum. {ROUNDED} Look whether columns were exchanged, or whether an interval or the width of a range
    was entered as quartiles.""",
)  # fmt: skip
SD_OF_RANGE = describe(
    "M023", "error", "an SD that the range does not allow",
    help=f"""For n values between a minimum and a maximum which both occur, the SD (with n − 1) is largest if half of
    the values lie at each end and smallest if all but two lie in the middle; with a mean it is at most √((max −
    mean)(mean − min)·n/(n − 1)) (Bhatia R, Davis C (2000). American Mathematical Monthly 107:353–357). The printed SD
    lies outside these limits. {ROUNDED} Often a standard error entered as SD, quartiles entered as range, or an n of
    other patients. Correct the entry.""",
)  # fmt: skip
SD_OF_ONE = describe(
    "M024", "error", "an SD of one patient",
    help="""One value has no SD: with n − 1 = 0 it is not defined. The n is wrong, or the SD belongs to another arm.
    Correct the entry.""",
)  # fmt: skip
FAR_MEDIAN = describe(
    "M025", "error", "mean and median further apart than one SD",
    help=f"""The mean and the median of any data lie at most √((n − 1)/n) SDs apart (Hotelling H, Solomons LM (1932).
    Annals of Mathematical Statistics 3:141–142). {ROUNDED} Often a standard error entered as SD, or the figures of two
    arms in one row. Correct the entry.""",
)  # fmt: skip
NO_VARIANCE = describe(
    "M026", "error", "a sampling variance that is not above 0",
    help="""The variance or standard error of an effect is above 0. A negative one is a slip; 0 would give the study all
    the weight, and pooling refuses it. Correct the entry, or leave it empty so that the study is left out.""",
)  # fmt: skip
NO_TIME = describe(
    "M027", "error", "a person-time that is not above 0",
    help="""Events were counted over a person-time of 0 or less, so that no rate can be had from them. Often a cell
    filled with 0 where the article prints none. Correct the entry.""",
)  # fmt: skip
ZERO_RATIO = describe(
    "M028", "warning", "a ratio printed as 0",
    help="""A ratio, or a limit of its interval, is printed as 0 or 0.00. It was rounded: a ratio is above 0, and the
    log of 0 does not exist, so no standard error can be had from it. Look for more decimals, or use the counts.""",
)  # fmt: skip
NOUNS = {
    "n": "a number of patients", "events": "a number of events", "items": "a number of items", "predictors": "a number "
    "of predictors", "sd": "an SD", "se": "a standard error", "sei": "a standard error", "r": "a correlation",
    "p": "a P value", "f": "an F statistic", "direction": "a direction", "level": "a confidence level",
    "r2": "R²", "auc": "an area under the curve", "alpha": "coefficient alpha", "percent": "a percentage of patients",
    "vi": "a sampling variance", "v": "a variance", "hr": "a hazard ratio", "scale_items": "a number of items",
    "sd_change": "an SD", "se_change": "a standard error", "baseline_sd1": "an SD", "baseline_sd2": "an SD",
}  # fmt: skip
SPREADS = ("se", "sd_change", "se_change", "baseline_sd1", "baseline_sd2")
COUNTED = ("a", "b", "c", "d", "aa", "ab", "bb")


@dataclass(frozen=True, slots=True)
class Limit:
    """What figures of some quantities can be, each by itself.

    Attributes
    ----------
    check : Check
        What is wrong with a figure beyond the limit.
    arms, comparisons : tuple of str
        Quantities of each kind of view.
    broken : callable
        Values → which of them cannot be; NaN can.
    rule : str
        Goes on after "but an SD ".
    advice : str
        What to do.
    """

    check: Check
    arms: tuple[str, ...]
    comparisons: tuple[str, ...]
    broken: Callable[[Floats], Truths]
    rule: str
    advice: str = "correct the entry"


MEASURED = {"r": "COR", "r2": "R2", "auc": "AUC", "alpha": "ARAW", "hr": "HR"}
"""Printed quantity → the measure that it is an effect of."""


def _bounds(quantity: str, bounds: tuple[float, float]) -> Limit:
    lowest, highest = bounds
    return Limit(OFF_SCALE, (), (quantity,), lambda x: (x < lowest) | (x > highest), _between(lowest, highest))


def _between(lowest: float, highest: float) -> str:
    low, high = (f"{end:.4g}".replace("-", MINUS) for end in (lowest, highest))
    if np.isinf(highest):
        return f"is never below {low}"
    return f"is never above {high}" if np.isinf(lowest) else f"lies between {low} and {high}"


LIMITS = (
    Limit(NEGATIVE_SPREAD, ("sd", "se"), SPREADS, lambda x: x < 0, "is never below 0"),
    Limit(ZERO_SPREAD, ("sd", "se"), SPREADS, lambda x: x == 0, "of 0 leaves no variation at all",
          "look it up, or leave the cell empty"),
    Limit(WRONG_SIZE, ("n",), ("items", "scale_items", "predictors"), lambda x: x <= 0, "is at least 1"),
    Limit(WRONG_SIZE, ("n", "events"), COUNTED, lambda x: np.isfinite(x) & (x > MOST_PEOPLE),
          "is not above that of all people"),
    Limit(NOT_WHOLE, ("n", "events"), COUNTED, lambda x: np.isfinite(x) & (x != np.round(x)), "is whole",
          "correct the entry, unless it was adjusted on purpose"),
    Limit(NOT_WHOLE, (), ("items", "predictors", "scale_items"), lambda x: np.isfinite(x) & (x != np.round(x)),
          "is whole"),
    Limit(NEGATIVE_COUNT, ("events",), COUNTED, lambda x: x < 0, "is 0 or more"),
    Limit(PERCENT, ("percent",), (), lambda x: (x < 0) | (x > 100), "lies between 0 and 100"),
    *(_bounds(name, MEASURES[code].bounds) for name, code in MEASURED.items()),
    Limit(OFF_SCALE, (), ("f",), lambda x: x < 0, "is never below 0"),
    Limit(OFF_SCALE, (), ("direction",), lambda x: np.abs(np.abs(x) - 1) > 0, "is 1 or −1, the sign of the effect"),
    Limit(OFF_SCALE, (), ("level",), lambda x: (x <= 0) | (x >= 1), "is a fraction between 0 and 1",
          "write 0.95 for 95 %"),
    Limit(WRONG_P, (), ("p",), lambda x: (x < 0) | (x > 1), "lies between 0 and 1"),
    Limit(NO_VARIANCE, (), ("vi", "sei", "v"), lambda x: x <= 0, "is above 0"),
)  # fmt: skip


def _beyond(view: View, limit: Limit, quantities: tuple[str, ...]) -> Iterator[Hit]:
    """Figures beyond a limit; sums of cells are not printed, and their cells are looked at by themselves."""
    for quantity in quantities:
        if quantity in view:
            says = f"but {NOUNS.get(quantity, 'a count')} {limit.rule}; {limit.advice}"
            asked = view.cells[quantity].printed != ""
            if limit.check is NOT_WHOLE:
                asked &= ~_adjusted(view)
            for at in np.flatnonzero(limit.broken(view[quantity]) & asked).tolist():
                yield Hit(limit.check, at, quantity, f"is {view.text(at, quantity)}, {says}")


def _adjusted(view: View) -> Truths:
    """Rows whose counts were divided by a design effect, as their columns say."""
    designs = label_texts(view, ("design",))["design"].str.contains("(?i)cluster").to_numpy(dtype=bool)
    return np.asarray((view["icc"] > 0) | (view["design_effect"] > 0) | designs)


@of_arms
def _arm_limits(view: View) -> Iterator[Hit]:
    for limit in LIMITS:
        yield from _beyond(view, limit, limit.arms)


@of_comparisons
def _comparison_limits(view: View) -> Iterator[Hit]:
    elsewhere = _not_counted(view) | (set() if "o_minus_e" in view else {"v"})
    for limit in LIMITS:
        yield from _beyond(view, limit, tuple(name for name in limit.comparisons if name not in elsewhere))


def _not_counted(view: View) -> set[str]:
    """Columns a to d that are something else (one of them alone), or that the arms show as events."""
    if not all(name in view for name in "abcd"):
        return set("abcd")
    return {"a", "c"} if _is_two_by_two(view) else set()


def _is_two_by_two(view: View) -> bool:
    return view.measure is not None and view.measure.family.name == "two_by_two"


@of_comparisons
def _empty_arms(view: View) -> Iterator[Hit]:
    """Tables given by their cells in which an arm has nobody; in matched pairs the rows are no arms."""
    for one, other in ("ab", "cd") if _is_two_by_two(view) else ():
        for at in np.flatnonzero((view[one] == 0) & (view[other] == 0)).tolist():
            says = f"is 0 and so is its neighbour ({view.beside(at, one, other)}), but an arm has at least one patient"
            yield Hit(WRONG_SIZE, at, one, f"{says}; correct the entries")


@of_arms
def _counts(view: View) -> Iterator[Hit]:
    """Events against patients and person-time."""
    events, n, time = view["events"], view["n"], view["time"]
    for at in np.flatnonzero((events > n) & (n > 0)).tolist():
        if not view.text(at, "n"):
            continue  # a sum of cells, one of which is below 0
        yield Hit(MORE_EVENTS, at, "events", (
            f"is {view.text(at, 'events')}, more than the {view.text(at, 'n')} patients "
            f"({view.beside(at, 'events', 'n')}); correct one of the two"
        ))  # fmt: skip
    for at in np.flatnonzero((time <= 0) & ~np.isnan(events)).tolist():
        says = f"is {view.text(at, 'time')}, but events take a person-time above 0; correct the entry"
        yield Hit(NO_TIME, at, "time", says)


# ---------------------------------------------------------------- intervals


@of_arms
def _intervals_of_means(view: View) -> Iterator[Hit]:
    yield from _interval(view, "mean", "mean_lower", "mean_upper")


@of_comparisons
def _intervals_of_estimates(view: View) -> Iterator[Hit]:
    yield from _interval(view, _estimate(view), "ci_lower", "ci_upper")


def _estimate(view: View) -> str:
    """Name the quantity that the columns ci_lower and ci_upper are the limits of."""
    own = {"HR": "hr", "MC": "mean_change", "GEN": "yi"}.get(view.measure.code, "") if view.measure else ""
    # beside a variance of their own, effects may stand on the log scale and the limits on that of the ratio
    return "estimate" if "estimate" in view or (own == "yi" and ("vi" in view or "sei" in view)) else own or "estimate"


def _interval(view: View, estimate: str, lower: str, upper: str) -> Iterator[Hit]:
    low, high, value = view[lower], view[upper], view[estimate]
    for at in _in_reverse(view, lower, upper, np.flatnonzero(low > high)).tolist():
        yield Hit(REVERSED, at, lower, (
            f"is {view.text(at, lower)}, above the upper limit {view.text(at, upper)} "
            f"({view.beside(at, lower, upper)}); exchange or correct them"
        ))  # fmt: skip
    outside = np.flatnonzero((low <= high) & ((value < low) | (value > high)))
    if not len(outside):
        return
    near, first, last = (_ranges(view, name, outside) for name in (estimate, lower, upper))
    for at in outside[(near.high < first.low) | (near.low > last.high)].tolist():
        yield Hit(OUTSIDE, at, estimate, (
            f"is {view.text(at, estimate)}, outside its own interval {view.text(at, lower)} to "
            f"{view.text(at, upper)}; correct the figure that is wrong"
        ))  # fmt: skip


def _in_reverse(view: View, low: str, high: str, rows: Whole) -> Whole:
    """Those of some entries, in which `low` is printed above `high`, where rounding does not explain it."""
    if not len(rows):
        return rows
    lower, upper = _ranges(view, low, rows), _ranges(view, high, rows)
    # figures with the same number of decimals were rounded alike, and rounding keeps an order
    alike = np.isclose(lower.high - lower.low, upper.high - upper.low, atol=0)
    return rows[alike | (lower.low > upper.high)]


def _ranges(view: View, quantity: str, rows: Whole) -> Range:
    """What the printed figures of some entries can stand for."""
    return printed_range(view.cells[quantity].at(rows))


@of_comparisons
def _displayed_scale(view: View) -> Iterator[Hit]:
    """Printed estimates, and limits of ratios, that the measure does not have on the scale that it is displayed on."""
    if view.measure is None or not ("estimate" in view or "hr" in view):
        return  # without printed estimates, the limits may be those of the effect on the pooled scale
    lowest, highest = view.measure.bounds
    # limits of a normal interval may lie beyond the bounds, but not if it was computed on the log scale
    on_log = view.measure.transform.log_axis or view.measure.transform.code == "antilog"
    printed = ("estimate", "ci_lower", "ci_upper") if on_log else ("estimate",)
    for quantity in printed:
        for at in np.flatnonzero((view[quantity] < lowest) | (view[quantity] > highest)).tolist():
            says = f"is {view.text(at, quantity)}, but the {view.measure.name} {_between(lowest, highest)}"
            yield Hit(OFF_SCALE, at, quantity, f"{says}; correct the entry, or its scale")
    for quantity in (*printed, "hr") if on_log else ():
        for at in np.flatnonzero(view[quantity] == 0).tolist():
            says = f"is {view.text(at, quantity)}, but a ratio is above 0, so it was rounded; look for more decimals"
            yield Hit(ZERO_RATIO, at, quantity, says)


# ---------------------------------------------------------------- order


@of_arms
def _order(view: View) -> Iterator[Hit]:
    """Each pair of neighbours among the figures that are printed; if these are in order, all are."""
    ladder = [name for name in ("min", "q1", "median", "q3", "max") if name in view]
    for low, high in combinations(ladder, 2):
        between = ladder[ladder.index(low) + 1 : ladder.index(high)]
        yield from _disorder(view, low, high, np.all([np.isnan(view[name]) for name in between], axis=0))
    for low, high in (("min", "mean"), ("mean", "max")):
        if low in view and high in view:
            yield from _disorder(view, low, high, np.ones(len(view), dtype=bool))


LADDER = {"min": "the minimum", "q1": "the lower quartile", "median": "the median", "mean": "the mean",
          "q3": "the upper quartile", "max": "the maximum"}  # fmt: skip


def _disorder(view: View, low: str, high: str, neighbours: Truths) -> Iterator[Hit]:
    for at in _in_reverse(view, low, high, np.flatnonzero((view[low] > view[high]) & neighbours)).tolist():
        yield Hit(DISORDER, at, low, (
            f"is {view.text(at, low)}, but {LADDER[low]} is not above {LADDER[high]}, which is "
            f"{view.text(at, high)} ({view.beside(at, low, high)}); correct the figure that is wrong"
        ))  # fmt: skip


# ---------------------------------------------------------------- SDs


@of_arms
def _sd_of_one(view: View) -> Iterator[Hit]:
    for at in np.flatnonzero((view["n"] == 1) & (view["sd"] > 0)).tolist():
        says = (
            f"is {view.text(at, 'sd')}, but one patient ({view.beside(at, 'sd', 'n')}) has no SD; correct n or the SD"
        )
        yield Hit(SD_OF_ONE, at, "sd", says)


@of_arms
def _sd_of_range(view: View) -> Iterator[Hit]:
    """SDs outside what n values from a minimum to a maximum, both of which occur, can have.

    The sum of squares around the mean is convex in each value, so it is largest with every value at an end. With j
    values at the maximum it is j(n − j)/n·R², which is largest for j = n/2, rounded. It is smallest if the two ends,
    R/2 from the middle each, are the only values away from the middle: R²/2. Divided by n − 1 these are the squares of
    the limits. With the mean m, Σ(max − x)(x − min) ≥ 0 gives Σ(x − m)² ≤ n(max − m)(m − min).
    """
    if "sd" not in view:
        return
    found = list(_sd_between(view))
    yield from found
    told = {hit.at for hit in found}
    yield from (hit for hit in _sd_of_bounds(view) if hit.at not in told)


def _sd_between(view: View) -> Iterator[Hit]:
    rows = np.flatnonzero((view["n"] >= 2) & (view["max"] >= view["min"]) & (view["sd"] >= 0))
    if not len(rows):
        return
    n, sd = view["n"][rows], _ranges(view, "sd", rows)
    width = abs(_ranges(view, "max", rows) - _ranges(view, "min", rows))
    half = np.floor(n / 2)
    least = width.low / np.sqrt(2 * (n - 1))
    most = width.high * np.sqrt(half * (n - half) / (n * (n - 1)))
    wrong = (sd.low > most * (1 + SLACK)) | (sd.high < least * (1 - SLACK))
    for at, low, high in zip(rows[wrong].tolist(), least[wrong], most[wrong], strict=True):
        yield Hit(SD_OF_RANGE, at, "sd", (
            f"is {view.text(at, 'sd')}, but {_values(view, at)} have an SD of {number(low)} to {number(high)}; correct "
            "the figure that is wrong"
        ))  # fmt: skip


def _values(view: View, at: int) -> str:
    return f"{view.text(at, 'n')} values from {view.text(at, 'min')} to {view.text(at, 'max')}"


def _sd_of_bounds(view: View) -> Iterator[Hit]:
    mean = view["mean"]
    rows = np.flatnonzero((view["n"] >= 2) & (view["max"] >= mean) & (mean >= view["min"]) & (view["sd"] >= 0))
    if not len(rows):
        return
    n, sd, middle = view["n"][rows], _ranges(view, "sd", rows), _ranges(view, "mean", rows)
    above, below = _ranges(view, "max", rows) - middle, middle - _ranges(view, "min", rows)
    most = np.sqrt(above.high * below.high * n / (n - 1))
    wrong = sd.low > most * (1 + SLACK)
    for at, high in zip(rows[wrong].tolist(), most[wrong], strict=True):
        yield Hit(SD_OF_RANGE, at, "sd", (
            f"is {view.text(at, 'sd')}, but {_values(view, at)} with the mean {view.text(at, 'mean')} have an SD of at "
            f"most {number(high)}; correct the figure that is wrong"
        ))  # fmt: skip


@of_arms
def _far_median(view: View) -> Iterator[Hit]:
    n = view["n"]
    share = np.sqrt(np.where(n >= 1, (n - 1) / n, 1.0))
    rows = np.flatnonzero(np.abs(view["mean"] - view["median"]) > share * view["sd"])
    if not len(rows):
        return
    apart = abs(_ranges(view, "mean", rows) - _ranges(view, "median", rows))
    wrong = apart.low > share[rows] * _ranges(view, "sd", rows).high * (1 + SLACK)
    for at in rows[wrong & (view["sd"][rows] >= 0)].tolist():
        yield Hit(FAR_MEDIAN, at, "sd", (
            f"is {view.text(at, 'sd')}, but the mean {view.text(at, 'mean')} and the median {view.text(at, 'median')} "
            "lie further apart than one SD, which no data can have; correct the figure that is wrong"
        ))  # fmt: skip
