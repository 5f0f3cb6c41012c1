"""Printed effects and their intervals against the raw figures, against each other and against P."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy.special import ndtri, stdtrit

from metail2.checks.definition import Hit, describe, of_comparisons
from metail2.checks.phrases import about, p_number, p_text
from metail2.checks.recomputed import figure, fits_figures, tables, z_range
from metail2.checks.rounding import Range, printed_p
from metail2.checks.view import Floats, View
from metail2.effects.compute import computed
from metail2.effects.counts import ZeroCells
from metail2.effects.measures import Measure
from metail2.kernels.two_sample_tests import t_p
from metail2.wording import number

FEWEST_DF = 4.0
"""Of the t distribution that an interval may be made with where the number of patients is not printed."""
LOPSIDED = 0.1
"""The middle of an interval may lie off its estimate by this part of its half-width."""
NEAR = 0.3
"""A P and an interval whose normal deviates differ by less may lie on both sides of 0.05 because of the test alone."""
P_FAR = 1.0
"""P values whose normal deviates differ by more are not of one effect and interval."""
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
    from it by more than one standard error, or lies on the other side of no effect. Often the arms are exchanged, a
    ratio stands on the log scale, an odds ratio for a risk ratio, or a figure is mistyped. Check them. Harmless where
    the effect was adjusted and the arms differed much at baseline.""",
)  # fmt: skip
EFFECT = describe(
    "M069", "note", "an effect that is not that of its figures",
    help="""The printed effect differs from that of the printed counts, or means and SDs, by more than rounding explains
    and less than one standard error. Adjusted effects do. Decide which of the two enters the pool, for all studies
    alike. Harmless where the effect was adjusted.""",
)  # fmt: skip
LOPSIDED_MEASURE = describe(
    "M070", "warning", "an interval that is not centred on its effect",
    help=f"""On the scale on which such effects are pooled (the log scale for ratios) the middle of the printed interval
    differs from the printed effect by more than {LOPSIDED:.0%} of its half-width, all rounding allowed. Often a limit
    or the effect is mistyped. An SE taken from the width would be wrong. Harmless for exact, profile-likelihood and
    bootstrap intervals.""",
)  # fmt: skip
LOPSIDED_UNKNOWN = describe(
    "M071", "note", "an interval that is not centred on its estimate",
    help=f"""The middle of the printed interval differs from the printed estimate by more than {LOPSIDED:.0%} of its
    half-width, all rounding allowed, as it stands and on the log scale. What is estimated is not known, so that the
    interval may be right; but a standard error taken from its width would not be. Check the three figures.""",
)  # fmt: skip
SIDES = describe(
    "M072", "warning", "P and interval contradict each other",
    help=f"""P is below 0.05 while the 95 % interval holds the value of no effect (0 for differences, 1 for ratios), or
    the reverse, all rounding allowed; for another level of the interval (column level) the bound is 1 − level. One of
    the figures is wrong, or they come from different analyses. Check them. Not found where the raw figures give the
    printed P, or where a t test for a normal interval explains the difference (normal deviates that differ by less
    than {NEAR:g}); M074 then says so. Harmless where P tests non-inferiority.""",
)  # fmt: skip
FAR_P = describe(
    "M073", "warning", "a P value far from its interval",
    help=f"""The printed effect and interval give a P value (normal, or t) whose normal
    deviate differs from that of the printed P by more than {P_FAR:g}, all rounding allowed. A limit, the effect or P
    is wrong, or the level of the interval is not 95 % (column level). Source: Altman DG, Bland JM (2011), BMJ
    343:d2304.""",
)  # fmt: skip
OTHER_P = describe(
    "M074", "note", "a P value that is not that of its interval",
    help="""The printed effect and interval give a P value (normal, or t) near the printed
    one, but not equal to it, all rounding allowed, and the raw figures, if there are any, do not give it either. Two
    tests were used, or a digit is wrong. Prefer the interval to P where a standard error is needed. Source: Altman DG,
    Bland JM (2011), BMJ 343:d2304.""",
)  # fmt: skip
WIDTH = describe(
    "M075", "warning", "an interval of another width than its figures give",
    help=f"""The printed interval is narrower than {WIDTHS[0]:.2f} or wider than {WIDTHS[1]:.2f} times that of the
    printed counts, or means and SDs. Often an SD is a standard error or the reverse, or the level is not 95 % (column
    level). Harmless for an effect that was adjusted for a very strong predictor, or in clusters.""",
)  # fmt: skip
INTERVAL_SE = describe(
    "M076", "warning", "a standard error that is not that of the interval",
    help="""The printed standard error differs from that of the printed interval, (upper − lower)/(2·1.96) or with t for
    1.96, by more than a tenth, all rounding allowed. For ratios both are taken on the log scale. Often the standard
    error of a ratio is not on the log scale. Check both; only one can be used.""",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Scale:
    """An effect and its interval on one scale that they could have been computed on.

    Attributes
    ----------
    possible : ndarray of bool, shape (m,)
        Whether the figures can be on this scale.
    null : float
        No effect.
    estimate, lower, upper : Range
        What prints so, mapped to the scale.
    """

    possible: np.ndarray
    null: float
    estimate: Range
    lower: Range
    upper: Range

    @property
    def width(self) -> Range:
        """Of the interval; never below 0."""
        width = self.upper - self.lower
        return Range(np.maximum(width.low, 0.0), width.high)

    @property
    def middle(self) -> Range:
        """Of the interval."""
        return (self.upper + self.lower).over(2.0)

    @property
    def centred(self) -> np.ndarray:
        """Whether the estimate may be the middle of the interval, but for `LOPSIDED`."""
        return np.asarray(self.possible & (self.estimate.gap(self.middle) <= LOPSIDED * self.width.high / 2))


def scales(view: View) -> list[Scale]:
    """Scales of the printed effects: that of the measure, or else both the plain and the log scale."""
    if "ci_lower" not in view or "ci_upper" not in view:
        return []
    printed = tuple(figure(view, name) for name in ("estimate", "ci_lower", "ci_upper"))
    known = printed[1].known & printed[2].known & (view["ci_lower"] < view["ci_upper"])
    if view.measure is not None:
        pooled = [_mapped(one, view.measure) for one in printed]
        return [] if np.isnan(view.measure.null) else [Scale(known, view.measure.null, *pooled)]
    positive = known & (view["ci_lower"] >= 0) & ~(view["estimate"] < 0)
    logs = [Range(np.log(np.maximum(one.low, 0.0)), np.log(one.high)) for one in printed]
    return [Scale(known, 0.0, *printed), Scale(positive, 0.0, *logs)]


def _mapped(displayed: Range, measure: Measure) -> Range:
    ends = [measure.transform.backward(end) for end in (displayed.low, displayed.high)]
    below = np.isnan(ends[0]) & ~np.isnan(displayed.low)  # rounding reaches beyond what a ratio can be
    low = np.where(below, -np.inf, ends[0])
    return Range(np.minimum(low, ends[1]), np.maximum(low, ends[1]))


def levels(view: View) -> Floats:
    """Confidence level of each interval, 0.95 where none is given; 95 means 95 %."""
    level = view["level"]
    return np.where(np.isnan(level), 0.95, np.where(level > 1, level / 100, level))


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Two-sided quantiles that intervals may have been made with: from the normal to the t of fewest df.

    Attributes
    ----------
    normal, t : ndarray, shape (m,)
        Quantiles.
    df : ndarray, shape (m,)
        Of `t`: one less than the patients of the smaller arm (or of the group), the fewest that Welch's test can have;
        `FEWEST_DF` where no sizes are known.
    """

    normal: Floats
    t: Floats
    df: Floats

    @classmethod
    def of(cls, view: View) -> Quantiles:
        """Find those of each entry."""
        df = np.fmin(np.fmin(view["n1"], view["n2"]), view["n"]) - 1
        df = np.where(np.isnan(df), FEWEST_DF, np.maximum(df, 1.0))
        upper = 0.5 + levels(view) / 2
        return cls(ndtri(upper), stdtrit(df, upper), df)

    def se(self, width: Range) -> Range:
        """Standard errors that the width of an interval allows."""
        return Range(width.low / (2 * self.t), width.high / (2 * self.normal))

    def p(self, away: Range, width: Range) -> Range:
        """P values that an effect (its distance from no effect) and the width of its interval allow."""
        ends = [(self.normal, np.full(len(self.df), np.inf)), (self.t, self.df)]
        low = [t_p(away.high, width.low / (2 * q), df) for q, df in ends]
        high = [t_p(away.low, width.high / (2 * q), df) for q, df in ends]
        return Range(np.fmin(*low), np.fmax(*high))


# ---------------------------------------------------------------- effect and interval against the raw figures


@of_comparisons
def _effects(view: View) -> Iterator[Hit]:
    names, measure = _raw_names(view), view.measure
    if not names or measure is None or np.isnan(measure.null) or "estimate" not in view:
        return
    printed = _mapped(figure(view, "estimate"), measure)
    rows, own = _recomputed(view, measure, names, printed)
    printed, yi, se = printed.at(rows), view.computed["yi"][rows], np.sqrt(view.computed["vi"][rows])
    apart = printed.gap(own)
    opposite = ((printed.low > 0) & (own.high < 0)) | ((printed.high < 0) & (own.low > 0))
    for k in np.flatnonzero(apart > 1e-9 * np.abs(yi)):
        at, far = int(rows[k]), bool(apart[k] > se[k] or opposite[k])
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
    for scale in scales(view) if names and measure is not None else []:
        assert measure is not None
        se = Quantiles.of(view).se(scale.width)
        far = _other_width(se.over(np.sqrt(view.computed["vi"])))
        rows = np.flatnonzero(scale.possible & far & ~_zero_cells(view) & _complete(view, names))
        inputs, labels = {name: view[name][rows] for name in names}, tuple(map(str, rows))
        variances = [computed(measure, inputs, ZeroCells(), vtype, labels)[1] for vtype in measure.vtypes]
        ratios = [se.at(rows).over(np.sqrt(variance)) for variance in variances]
        for k in np.flatnonzero(np.all([_other_width(ratio) for ratio in ratios], axis=0)):
            at, middle = int(rows[k]), float(ratios[0].low[k] + ratios[0].high[k]) / 2
            yield Hit(WIDTH, at, "ci_lower", (
                f"begins the interval {_interval(view, at)}{about(view, at)}, {number(middle, 2)} times as wide as the "
                "raw figures give; check them, the limits and the level"
            ))  # fmt: skip


def _other_width(ratio: Range) -> np.ndarray:
    return np.asarray((ratio.high < WIDTHS[0]) | (ratio.low > WIDTHS[1]))


# ---------------------------------------------------------------- the interval by itself


@of_comparisons
def _lopsided(view: View) -> Iterator[Hit]:
    found = [scale for scale in scales(view) if "estimate" in view]
    if not found:
        return
    asked = found[0].possible & ~np.isnan(view["estimate"])
    outside = (view["estimate"] < view["ci_lower"]) | (view["estimate"] > view["ci_upper"])  # an error of its own
    centred = np.any([scale.centred for scale in found], axis=0)
    for at in map(int, np.flatnonzero(asked & ~centred & ~outside)):
        check = LOPSIDED_UNKNOWN if view.measure is None else LOPSIDED_MEASURE
        log = view.measure is not None and view.measure.transform.code == "exp"
        yield Hit(check, at, "estimate", (
            f"is {view.text(at, 'estimate')}{about(view, at)}, which is not the middle of its interval "
            f"{_interval(view, at)}{' on the log scale' if log else ''}; check the three figures and take no standard "
            "error from the interval"
        ))  # fmt: skip


@of_comparisons
def _standard_errors(view: View) -> Iterator[Hit]:
    found = scales(view)
    if "se" not in view or not found:
        return
    se, known = figure(view, "se"), np.any([scale.possible for scale in found], axis=0)
    own = [Quantiles.of(view).se(scale.width).where(scale.possible) for scale in found]
    apart = np.all([~(se.gap(one) <= 0.1 * one.high) for one in own], axis=0)
    for at in map(int, np.flatnonzero(known & se.known & apart)):
        yield Hit(INTERVAL_SE, at, "se", (
            f"is {view.text(at, 'se')}{about(view, at)}, but the interval {_interval(view, at)} has another standard "
            "error; check both, and that of a ratio on the log scale"
        ))  # fmt: skip


def _interval(view: View, at: int) -> str:
    return f"{view.text(at, 'ci_lower')} to {view.text(at, 'ci_upper')}"


# ---------------------------------------------------------------- the interval and P


@of_comparisons
def _p_and_interval(view: View) -> Iterator[Hit]:
    found = scales(view)
    if "p" not in view or not found:
        return
    p = printed_p(view.cells["p"]).range
    # with an unknown measure a scale on which the interval is centred says what no effect is; else both are allowed
    centred = [scale.centred | np.isnan(view["estimate"]) & scale.possible for scale in found]
    some = np.any(centred, axis=0)
    use = [np.where(some, fit, scale.possible) for fit, scale in zip(centred, found, strict=True)]
    contrary = np.all(
        [_contrary(view, scale, p) | ~used for scale, used in zip(found, use, strict=True)], axis=0
    ) & np.any(use, axis=0)  # fmt: skip
    own = [_p_of_interval(view, scale).where(used & some) for scale, used in zip(found, use, strict=True)]
    apart = np.min([np.where(one.known, z_range(one).gap(z_range(p)), np.inf) for one in own], axis=0)
    apart = np.where(np.any([one.meets(p) for one in own], axis=0), 0.0, apart)
    rows = np.flatnonzero(p.known & (apart > 0) & (contrary | np.isfinite(apart)))
    fits = fits_figures(view, rows)
    for at, fit in zip(map(int, rows), fits, strict=True):
        yield from _p_hit(view, at, bool(contrary[at]), bool(fit), float(apart[at]), own)


def _p_hit(view: View, at: int, contrary: bool, fits: bool, apart: float, own: list[Range]) -> Iterator[Hit]:
    """The gravest of what is wrong with a P value that its interval does not give."""
    says = f"is {p_text(view, at)}{about(view, at)}, "
    if contrary and not fits and apart > NEAR:
        yield Hit(SIDES, at, "p", (
            f"{says}which contradicts the interval {_interval(view, at)}; check both, and that they are of one analysis"
        ))  # fmt: skip
    elif np.isfinite(apart) and (contrary or not fits):
        low, high = np.nanmin([one.low[at] for one in own]), np.nanmax([one.high[at] for one in own])
        gives = (
            f"but the interval {_interval(view, at)} gives P between {p_number(float(low))} and {p_number(float(high))}"
        )
        if apart > P_FAR and not fits:
            yield Hit(FAR_P, at, "p", f"{says}{gives}; check all four figures and the level of the interval")
        else:
            yield Hit(
                OTHER_P, at, "p", f"{says}{gives}; find out which test was used, and take no standard error from P"
            )


def _contrary(view: View, scale: Scale, p: Range) -> np.ndarray:
    """Whether P is surely on one side of 1 − level and the interval on the other."""
    alpha = 1 - levels(view)
    below, above = p.high <= alpha * (1 + 1e-9), p.low >= alpha * (1 - 1e-9)
    holds = (scale.lower.high < scale.null) & (scale.null < scale.upper.low)
    leaves_out = (scale.lower.low > scale.null) | (scale.upper.high < scale.null)
    return np.asarray((below & holds) | (above & leaves_out))


def _p_of_interval(view: View, scale: Scale) -> Range:
    """P values that the estimate (or the middle of the interval) and the width allow."""
    missing = np.isnan(scale.estimate.low)
    centre = Range(np.where(missing, scale.middle.low, scale.estimate.low) - scale.null,
                   np.where(missing, scale.middle.high, scale.estimate.high) - scale.null)  # fmt: skip
    return Quantiles.of(view).p(abs(centre), scale.width)
