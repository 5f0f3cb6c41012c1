"""Printed effects, intervals, standard errors and P values against each other."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from metail2.checks.definition import Hit, describe, of_comparisons
from metail2.checks.effect_scales import LOPSIDED, Effect, Quantiles, Scale, effects, errors, levels, mapped, of_counts
from metail2.checks.phrases import about, interval, level_too, p_number, p_text
from metail2.checks.recomputed import figure, fits_figures, z_range
from metail2.checks.rounding import Range, printed_p
from metail2.checks.view import View

NEAR = 0.3
"""A P and an interval whose normal deviates differ by less may lie on both sides of 0.05 because of the test alone."""
P_FAR = 1.0
"""P values whose normal deviates differ by more are not of one effect and interval."""
SE_TOLERANCE = {"t": 0.1, "normal": 0.05}
"""A standard error and an interval may part by this ratio, by the distribution that the interval is made with."""
UNCENTRED = ("RD", "MPRD")
"""Measures whose usual intervals are not centred: score intervals of a difference of proportions."""

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
    interval may be right; but a standard error taken from its width would not be. So is that of a risk difference,
    whose score intervals (Newcombe, Miettinen–Nurminen) are not centred. Check the three figures. Source: Newcombe RG
    (1998), Stat Med 17:873–890.""",
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
    help=f"""The printed effect and interval (or, without one, its standard error) give a P value (normal, or t) whose
    normal deviate differs from that of the printed P by more than {P_FAR:g}, all rounding allowed. A limit, the effect
    or P is wrong, or the level of the interval is not 95 % (column level). Source: Altman DG, Bland JM (2011), BMJ
    343:d2304.""",
)  # fmt: skip
OTHER_P = describe(
    "M074", "note", "a P value that is not that of its interval",
    help="""The printed effect and interval (or, without one, its standard error) give a P value (normal, or t) near the
    printed one, but not equal to it, all rounding allowed, and the raw figures, if there are any, do not give it
    either. Two tests were used, a digit is wrong, or the level of the interval is not 95 % (column level). Prefer the
    interval to P where a standard error is needed. Source: Altman DG, Bland JM (2011), BMJ 343:d2304.""",
)  # fmt: skip
INTERVAL_SE = describe(
    "M076", "warning", "a standard error that is not that of the interval",
    help="""The printed standard error differs from that of the printed interval, (upper − lower)/(2·1.96) or with t for
    1.96, by more than a tenth, all rounding allowed; for ratios of counts and hazards, whose intervals are normal, by
    more than a twentieth. For ratios both are taken on the log scale. A variance is compared by its root. Often the
    standard error of a ratio is not on the log scale, a standard error stands for a variance, or the level is not 95 %
    (column level). Check both; only one can be used.""",
)  # fmt: skip


# ---------------------------------------------------------------- the interval by itself


@of_comparisons
def _lopsided(view: View) -> Iterator[Hit]:
    known = view.measure is not None and view.measure.code not in UNCENTRED
    log = view.measure is not None and view.measure.transform.code == "exp"
    for effect in effects(view):
        value, possible = view[effect.column], np.any([scale.possible for scale in effect.scales], axis=0)
        centred = np.any([scale.centred for scale in effect.scales], axis=0)
        # an effect outside its interval is an error of its own
        inside = np.any([_inside(scale) for scale in effect.scales], axis=0)
        for at in map(int, np.flatnonzero(possible & ~np.isnan(value) & ~centred & inside)):
            yield Hit(LOPSIDED_MEASURE if known else LOPSIDED_UNKNOWN, at, effect.column, (
                f"is {view.text(at, effect.column)}{about(view, at)}, which is not the middle of its interval "
                f"{interval(view, at)}{' on the log scale' if log else ''}; check the three figures and take no "
                "standard error from the interval"
            ))  # fmt: skip


def _inside(scale: Scale) -> np.ndarray:
    return np.asarray(
        scale.possible & (scale.lower.low <= scale.estimate.high) & (scale.estimate.low <= scale.upper.high)
    )


@of_comparisons
def _standard_errors(view: View) -> Iterator[Hit]:
    quantiles, tolerance = Quantiles.of(view), SE_TOLERANCE["normal" if of_counts(view.measure) else "t"]
    for effect in effects(view):
        some = np.any([scale.possible for scale in effect.scales], axis=0)
        own = [quantiles.se(scale.width).where(scale.possible) for scale in effect.scales]
        for name, se in errors(view).items():
            apart = np.all([~(se.gap(one) <= tolerance * one.high) for one in own], axis=0)
            for at in map(int, np.flatnonzero(some & se.known & apart)):
                yield Hit(INTERVAL_SE, at, name, _other_error(view, effect, at, name, se, own))


def _other_error(view: View, effect: Effect, at: int, name: str, se: Range, own: list[Range]) -> str:
    row, kind = np.array([at]), "variance" if name == "vi" else "standard error"
    low, high = min(float(one.low[at]) for one in own), max(float(one.high[at]) for one in own)
    advice = "check both, and that of a ratio on the log scale"
    if any(figure(view, name).at(row).meets(one.at(row))[0] for one in own) and name == "vi":
        advice = "a standard error seems to stand for a variance"
    elif of_counts(view.measure) and any(se.at(row).meets(_of_ratio(one, view, effect).at(row))[0] for one in own):
        advice = "it seems to be that of the ratio, not of its logarithm"
    power = 2 if name == "vi" else 1
    return (
        f"is {view.text(at, name)}{about(view, at)}, but the interval {interval(view, at)} has another {kind} "
        f"({p_number(low**power)} to {p_number(high**power)}); {advice}{level_too(view, at)}"
    )


def _of_ratio(se: Range, view: View, effect: Effect) -> Range:
    ratio = view[effect.column]
    return Range(se.low * ratio, se.high * ratio)


# ---------------------------------------------------------------- P


@of_comparisons
def _p_and_interval(view: View) -> Iterator[Hit]:
    if "p" not in view:
        return
    p = printed_p(view.cells["p"]).range
    for effect in effects(view):
        found = effect.scales
        # with an unknown measure a scale on which the interval is centred says what no effect is; else both are allowed
        centred = [scale.centred | np.isnan(view[effect.column]) & scale.possible for scale in found]
        some = np.any(centred, axis=0)
        use = [np.where(some, fit, scale.possible) for fit, scale in zip(centred, found, strict=True)]
        contrary = np.all(
            [_contrary(view, scale, p) | ~used for scale, used in zip(found, use, strict=True)], axis=0
        ) & np.any(use, axis=0)  # fmt: skip
        own = [_p_of_interval(view, scale).where(used & some) for scale, used in zip(found, use, strict=True)]
        yield from _p_hits(view, p, contrary, own)


def _p_hits(view: View, p: Range, contrary: np.ndarray, own: list[Range]) -> Iterator[Hit]:
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
            f"{says}which contradicts the interval {interval(view, at)}; check both, and that they are of one analysis"
        ))  # fmt: skip
    elif np.isfinite(apart) and (contrary or not fits):
        gives = f"but the interval {interval(view, at)} gives {_between(at, own)}"
        if apart > P_FAR and not fits:
            yield Hit(FAR_P, at, "p", f"{says}{gives}; check all four figures and the level of the interval")
        else:
            yield Hit(OTHER_P, at, "p", (
                f"{says}{gives}; find out which test was used{level_too(view, at)}, and take no standard error from P"
            ))  # fmt: skip


def _between(at: int, own: list[Range]) -> str:
    low, high = np.nanmin([one.low[at] for one in own]), np.nanmax([one.high[at] for one in own])
    return f"P between {p_number(float(low))} and {p_number(float(high))}"


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


@of_comparisons
def _p_and_error(view: View) -> Iterator[Hit]:
    """P beside an effect with its standard error, where no interval is printed."""
    if "p" not in view:
        return
    p, quantiles = printed_p(view.cells["p"]).range, Quantiles.of(view)
    without = np.isnan(view["ci_lower"]) | np.isnan(view["ci_upper"])
    for effect in effects(view):
        for name, se in errors(view).items():
            asked = effect.rows & without & ~np.isnan(view[effect.column]) & p.known & se.known
            own = [quantiles.p_of_error(away, se).where(asked) for away in _from_none(view, effect)]
            apart = np.min([np.where(one.known, z_range(one).gap(z_range(p)), np.inf) for one in own], axis=0)
            rows = np.flatnonzero(asked & (apart > 1e-9) & np.isfinite(apart))
            for at, fits in zip(map(int, rows), fits_figures(view, rows), strict=True):
                if not fits:
                    yield _not_of_error(view, effect.column, name, at, bool(apart[at] > P_FAR), own)


def _from_none(view: View, effect: Effect) -> Iterator[Range]:
    """Distances of an effect from none, one for each scale that it and its standard error can be on."""
    printed, measure = figure(view, effect.column), view.measure
    displayed = effect.column not in ("yi", "log_hr")
    if measure is None or not displayed or measure.transform.code == "identity":
        null = 0.0 if measure is None else measure.null
        yield abs(Range(printed.low - null, printed.high - null))
    if displayed and (measure is None or measure.transform.code != "identity"):
        away = abs(mapped(printed, measure)) if measure is not None else _logs(printed)
        yield away
        # the standard error of a ratio may be its own: that of the logarithm times the ratio
        yield Range(away.low * printed.low, away.high * printed.high)


def _logs(printed: Range) -> Range:
    return abs(Range(np.log(np.where(printed.low > 0, printed.low, np.nan)), np.log(printed.high)))


def _not_of_error(view: View, effect: str, error: str, at: int, far: bool, own: list[Range]) -> Hit:
    told = " and ".join(f"{name} {view.text(at, name)}" for name in (effect, error))
    advice = "check all three figures" if far else "find out which test was used, and take no standard error from P"
    return Hit(FAR_P if far else OTHER_P, at, "p", (
        f"is {p_text(view, at)}{about(view, at)}, but {told} give {_between(at, own)}; {advice}"
    ))  # fmt: skip
