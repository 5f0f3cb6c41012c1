"""Printed effects and their intervals against the raw figures, and effects against the t they are made of."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np

from metail2.checks.definition import Hit, describe, of_comparisons
from metail2.checks.designs import dependent
from metail2.checks.effect_scales import Quantiles, effects, mapped
from metail2.checks.phrases import about, interval
from metail2.checks.recomputed import figure, tables
from metail2.checks.rounding import Range
from metail2.checks.view import Floats, View
from metail2.effects.compute import computed
from metail2.effects.counts import ZeroCells
from metail2.effects.measures import Measure
from metail2.wording import number

WIDTHS = (2 / 3, 3 / 2)
"""Between these ratios an interval may differ from that of the raw figures.

Adjustment for a baseline value that is correlated with r = 0.75 narrows it by √(1 − r²) = 0.66.
"""
RAW = {"mean1", "sd1", "n1", "mean2", "sd2", "n2", "events1", "events2", "a", "b", "c", "d", "time1", "time2"}
"""Figures that effects are recomputed from."""
EXACT = {"n1", "n2", "events1", "events2", "a", "b", "c", "d"}
"""Whole numbers, which are not rounded."""

FAR_EFFECT = describe(
    "M068", "warning", "an effect far from its figures",
    help="""The printed effect is not that of the printed counts, or means and SDs, all rounding allowed, and differs
    from it by more than two standard errors, or by more than one and lies on the other side of no effect; or an effect
    d (or g) is not that of the t and sizes beside it. Often the arms are exchanged, a
    ratio stands on the log scale, an odds ratio for a risk ratio, or a figure is mistyped. Check them. Harmless where
    the effect was adjusted and the arms differed much at baseline.""",
)  # fmt: skip
EFFECT = describe(
    "M069", "note", "an effect that is not that of its figures",
    help="""The printed effect differs from that of the printed counts, or means and SDs, by more than rounding explains
    and by two standard errors at most. Adjusted effects do. Decide which of the two enters the pool, for all studies
    alike. Harmless where the effect was adjusted.""",
)  # fmt: skip
WIDTH = describe(
    "M075", "warning", "an interval of another width than its figures give",
    help=f"""The printed interval is narrower than {WIDTHS[0]:.2f} or wider than {WIDTHS[1]:.2f} times that of the
    printed counts, or means and SDs. Often an SD is a standard error or the reverse, or the level is not 95 % (column
    level). Harmless for an effect that was adjusted for a very strong predictor. Not looked for in clusters and
    crossovers (column design, icc or design_effect).""",
)  # fmt: skip


# ---------------------------------------------------------------- effect and interval against the raw figures


@of_comparisons
def _effects(view: View) -> Iterator[Hit]:
    names, measure = _raw_names(view), view.measure
    if not names or measure is None or np.isnan(measure.null) or "estimate" not in view:
        return
    printed = mapped(figure(view, "estimate"), measure)
    rows, own = _recomputed(view, measure, names, printed)
    printed, yi, se = printed.at(rows), view.computed["yi"][rows], np.sqrt(view.computed["vi"][rows])
    apart = printed.gap(own)
    opposite = ((printed.low > 0) & (own.high < 0)) | ((printed.high < 0) & (own.low > 0))
    for k in np.flatnonzero(apart > 1e-9 * np.abs(yi)):
        at, far = int(rows[k]), bool(apart[k] > (1 if opposite[k] else 2) * se[k])
        yield Hit(FAR_EFFECT if far else EFFECT, at, "estimate", _effect_text(view, at, float(yi[k]), far))


def _effect_text(view: View, at: int, yi: float, far: bool) -> str:
    assert view.measure is not None
    shown = number(float(view.measure.transform(yi)), 3)
    what = f"is {view.text(at, 'estimate')}{about(view, at)}, but the raw figures give {view.measure.name} {shown}"
    if not far:
        return f"{what}; decide whether the printed (adjusted?) or the raw effect is pooled"
    mirrored = float(view.measure.transform(-yi))
    swapped = np.isclose(view["estimate"][at], mirrored, rtol=0.02)
    return f"{what}; check {'whether the arms are exchanged' if swapped else 'both'}"


def _recomputed(view: View, measure: Measure, names: tuple[str, ...], printed: Range) -> tuple[np.ndarray, Range]:
    """Entries whose printed effect is not the recomputed one, and what rounding of the raw figures allows there."""
    away = printed.gap(Range(view.computed["yi"], view.computed["yi"]))
    rows = np.flatnonzero((away > 0) & ~_zero_cells(view) & _complete(view, names))
    ends = {name: _ends(view, name, rows) for name in names}
    fine = np.all([_same_sign(name, one, measure) for name, one in ends.items()], axis=0)
    return rows[fine], _corners(measure, {name: one[:, fine] for name, one in ends.items()})


def _raw_names(view: View) -> tuple[str, ...]:
    """The columns of raw figures that the measure was recomputed from; none where it was from something else."""
    if view.measure is None or "yi" not in view.computed:
        return ()
    ways = (names for names in view.measure.family.columns if all(name in view for name in names))
    return next((names for names in ways if set(names) <= RAW), ())


def _zero_cells(view: View) -> np.ndarray:
    """Tables whose effect depends on what is added to a zero cell."""
    table = tables(view)
    cells = [table.n1 - table.a, table.n2 - table.c, *(view[name] for name in ("events1", "events2", *"abcd"))]
    return np.asarray(np.any([cell == 0 for cell in cells], axis=0))


def _complete(view: View, names: tuple[str, ...]) -> np.ndarray:
    return np.asarray(~np.isnan(np.sum([view[name] for name in names], axis=0)))


def _ends(view: View, name: str, rows: np.ndarray) -> Floats:
    """Lowest and highest value of a figure, shape (2, rows); both the same where it is not rounded."""
    if name in EXACT:
        return np.stack([view[name][rows]] * 2)
    found = figure(view, name).at(rows)
    return np.stack([found.low, found.high])


def _same_sign(name: str, ends: Floats, measure: Measure) -> np.ndarray:
    """Whether rounding leaves an SD, or a mean that a ratio is made of, above 0."""
    free = name in EXACT or (name.startswith("mean") and measure.transform.code == "identity")
    return np.asarray(free | (ends[0] > 0))


def _corners(measure: Measure, ends: dict[str, Floats]) -> Range:
    """Lowest and highest effect at all combinations of the ends; effects rise or fall with each figure."""
    m = next(iter(ends.values())).shape[1]
    low, high, labels = np.full(m, np.inf), np.full(m, -np.inf), tuple(map(str, range(m)))
    free = [name for name, one in ends.items() if not np.array_equal(*one)]
    for corner in product((0, 1), repeat=len(free)) if m else ():
        inputs = {name: one[dict(zip(free, corner, strict=True)).get(name, 0)] for name, one in ends.items()}
        effects = [computed(measure, inputs, ZeroCells(), None, labels)[0], _uncorrected(measure, inputs, labels)]
        low, high = np.fmin.reduce([low, *effects]), np.fmax.reduce([high, *effects])
    return Range(low, high)


def _uncorrected(measure: Measure, inputs: dict[str, Floats], labels: tuple[str, ...]) -> Floats:
    """Effects of means without their correction for small samples, which articles mostly leave out; others as they are.

    Without a factor J the correction falls as 1/n, so that it vanishes with very many patients.
    """
    if measure.df is not None:
        return computed(measure, inputs, ZeroCells(), None, labels, correction="none")[0]
    if "mean1" in inputs:
        inputs = inputs | {"n1": 1e12 * inputs["n1"], "n2": 1e12 * inputs["n2"]}
    return computed(measure, inputs, ZeroCells(), None, labels)[0]


@of_comparisons
def _widths(view: View) -> Iterator[Hit]:
    names, measure = _raw_names(view), view.measure
    if not names or measure is None:
        return
    ours = ~_zero_cells(view) & _complete(view, names) & ~dependent(view)
    for scale in (scale for effect in effects(view) for scale in effect.scales[:1]):
        se = Quantiles.of(view).se(scale.width)
        rows = np.flatnonzero(scale.possible & _other_width(se.over(np.sqrt(view.computed["vi"]))) & ours)
        inputs, labels = {name: view[name][rows] for name in names}, tuple(map(str, rows))
        variances = [computed(measure, inputs, ZeroCells(), vtype, labels)[1] for vtype in measure.vtypes]
        ratios = [se.at(rows).over(np.sqrt(variance)) for variance in variances]
        for k in np.flatnonzero(np.all([_other_width(ratio) for ratio in ratios], axis=0)):
            at, middle = int(rows[k]), float(ratios[0].low[k] + ratios[0].high[k]) / 2
            yield Hit(WIDTH, at, "ci_lower", (
                f"begins the interval {interval(view, at)}{about(view, at)}, {number(middle, 2)} times as wide as the "
                "raw figures give; check them, the limits and the level"
            ))  # fmt: skip


def _other_width(ratio: Range) -> np.ndarray:
    return np.asarray((ratio.high < WIDTHS[0]) | (ratio.low > WIDTHS[1]))


# ---------------------------------------------------------------- d against t


@of_comparisons
def _of_t(view: View) -> Iterator[Hit]:
    """Standardised differences of two arms beside their t: d = t·√(1/n1 + 1/n2), or that with its correction."""
    n1, n2, t = view["n1"], view["n2"], abs(figure(view, "t"))
    root = np.sqrt(1 / np.where(n1 > 0, n1, np.nan) + 1 / np.where(n2 > 0, n2, np.nan))
    corrected = root * (1 - 3 / (4 * (n1 + n2 - 2) - 1))
    for name in ("d", "g"):
        if name not in view or "t" not in view:
            continue
        printed = abs(figure(view, name))
        own = Range(t.low * corrected, t.high * root)
        apart, se = printed.gap(own), np.sqrt(root**2 + view[name] ** 2 / (2 * (n1 + n2)))
        for at in map(int, np.flatnonzero(apart > 1e-9)):
            far = apart[at] > 2 * se[at]
            yield Hit(FAR_EFFECT if far else EFFECT, at, name, (
                f"is {view.text(at, name)}{about(view, at)}, but t = {view.text(at, 't')} with n1 = {n1[at]:g} and n2 "
                f"= {n2[at]:g} gives {number(float(root[at] * view['t'][at]), 3)}; check all four"
            ))  # fmt: skip
