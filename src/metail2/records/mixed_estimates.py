"""From a printed estimate of the effect itself to its value and standard error on the pooled scale."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from metail2.conversions import se_from_interval, se_from_p, se_from_t
from metail2.effects.measures import Measure
from metail2.errors import RecordError
from metail2.records.mixed_arms import levels
from metail2.records.mixed_columns import ESTIMATE_IS, column_sets, has_null
from metail2.records.mixed_contradictions import (
    refuse_error_of_other_scale,
    refuse_out_of_bounds,
    refuse_two_estimates,
)
from metail2.records.mixed_sheet import Derivation, Floats, Mask, Rows, Sheet
from metail2.records.moments import HANDBOOK

_ALTMAN = "Altman DG, Bland JM (2011). BMJ 343:d2090"
_T_TESTED: Mapping[str, tuple[str, ...]] = {"MD": ("n1", "n2"), "MC": ("n",), "MN": ("n",)}
"""Measures whose printed tests and intervals come from the t distribution; the groups' sizes give its df."""


def add_estimates(sheet: Sheet, chosen: Measure, rows: Mask, level: float) -> None:
    """Add ``yi`` and ``se`` from the estimate with its standard error or interval.

    Parameters
    ----------
    sheet : Sheet
        It is added to.
    chosen : Measure
        Its transform leads from the displayed to the pooled scale.
    rows : ndarray of bool
        Only these rows are looked at: the others have better figures.
    level : float
        Confidence level where the column ``level`` has none.
    """
    if chosen.transform.code == "identity":
        refuse_out_of_bounds(sheet, chosen, "yi", np.flatnonzero(rows))
    own = ESTIMATE_IS.get(chosen.code, "estimate")
    if chosen.code == "HR":
        refuse_two_estimates(sheet, own)
    for name in ("estimate", own):
        _pooled_estimate(sheet, chosen, name, rows)
    if chosen.code == "MD":
        _difference_of_means(sheet, rows)
    _error_from_interval(sheet, chosen, rows, level)


def add_pooled_error(sheet: Sheet) -> None:
    """Take ``sei``, which is that of the effect, before ``se``, which may be that of a mean or of another scale."""
    rows = np.flatnonzero(sheet.has("sei"))
    sheet.fill(Derivation("se", rows, sheet["sei"][rows], ("sei",), "the printed standard error"))


def add_error_from_p(sheet: Sheet, chosen: Measure, rows: Mask) -> None:
    """Add ``se`` from the estimate and its exact two-sided P value, in the rows that have nothing better."""
    if not has_null(chosen):
        return
    wanted = _determined(sheet, chosen, rows & ~sheet.has("se") & sheet.has("yi", "p"), sheet["p"] == 1, "a P of 1")
    for df, sizes, group in _by_test(sheet, chosen, wanted):
        values = sheet.convert(lambda p, yi, df: se_from_p(yi - chosen.null, p, df=df), group, ("p", "yi"), df)
        quantile, test = (f"t with {_df(sizes)} df", "t test") if sizes else ("normal quantile", "Wald (z) test")
        formula, assumption = f"|estimate|/{quantile} of P/2", f"P is exact, two-sided and comes from a {test}"
        steps = ("SE from P value", formula, _ALTMAN, assumption)
        sheet.fill(Derivation("se", group, values, ("p", *sizes), *steps))


def _determined(sheet: Sheet, chosen: Measure, rows: Mask, zero: Mask, what: str) -> Rows:
    """Keep the rows whose test tells the standard error, and note why the others' does not."""
    none = sheet["yi"] == chosen.null
    for row in map(int, np.flatnonzero(rows & (zero | none))):
        found = "an estimate of no effect" if none[row] else what
        sheet.undetermined[row] = f"{found} leaves the standard error undetermined, so one or an interval is needed"
    return np.flatnonzero(rows & ~zero & ~none)


def refuse_bounded_p(sheet: Sheet, chosen: Measure, rows: Mask) -> None:
    """Raise for the first row whose effect would have to come from a P that is only bounded ("<0.001", 0)."""
    if "p" not in sheet.texts:
        return
    others = [set(names) - {"p"} for names in column_sets(chosen) if "p" in names] + [{"yi"}]
    usable = np.logical_or.reduce([sheet.has(*names) for names in others])
    wrong = rows & usable & sheet.bounded_p
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise RecordError(
            f"{sheet.where(row, 'p')}: P is printed as {sheet.texts['p'][row]}, and only an exact P above 0 gives an "
            "effect; write the exact value, or leave the cell empty."
        )


def _pooled_estimate(sheet: Sheet, chosen: Measure, name: str, rows: Mask) -> None:
    """Bring the printed estimate to the pooled scale."""
    same = chosen.transform.code == "identity"
    conversion = "the printed estimate" if same else f"{chosen.scale} of the printed estimate"
    wanted = np.flatnonzero(rows & ~sheet.has("yi") & sheet.has(name))
    refuse_out_of_bounds(sheet, chosen, name, wanted)
    sheet.fill(Derivation("yi", wanted, _pooled(sheet, chosen, name, wanted), (name,), conversion))


def _difference_of_means(sheet: Sheet, rows: Mask) -> None:
    """Take a mean difference from the means, for an interval or a test printed beside them instead of SDs."""
    wanted = np.flatnonzero(rows & ~sheet.has("yi") & sheet.has("mean1", "mean2"))
    values = sheet["mean1"][wanted] - sheet["mean2"][wanted]
    sheet.fill(Derivation("yi", wanted, values, ("mean1", "mean2"), "difference of the means", "m1 − m2"))


def _pooled(sheet: Sheet, chosen: Measure, name: str, rows: Rows) -> Floats:
    """Bring figures of the displayed scale to the pooled one; those that have no place there are refused."""
    with np.errstate(all="ignore"):
        values = np.asarray(chosen.transform.backward(sheet[name][rows]), dtype=float)
    wrong = np.zeros(len(sheet), dtype=bool)
    wrong[rows] = ~np.isfinite(values)
    sheet.refuse(wrong, name, f"has no {chosen.scale}")
    return values


def _error_from_interval(sheet: Sheet, chosen: Measure, rows: Mask, level: float) -> None:
    """Take the standard error from the width of the interval on the pooled scale.

    On a transformed scale the interval is preferred to a printed standard error, whose scale is seldom said.
    """
    if chosen.transform.code != "identity":
        both = np.flatnonzero(rows & sheet.has("se", "yi", "ci_lower", "ci_upper") & ~sheet.has("vi"))
        printed = sheet["level"]
        refuse_error_of_other_scale(sheet, chosen, both, np.where(np.isnan(printed), level, printed))
        sheet.set_aside("se", both)
    wanted = rows & ~sheet.has("se") & sheet.has("yi", "ci_lower", "ci_upper")
    _refuse_bad_interval(sheet, chosen, wanted)
    changed = "" if chosen.transform.code == "identity" else ", limits on the pooled scale"
    for df, sizes, group in _by_test(sheet, chosen, np.flatnonzero(wanted)):
        quantile = f"t with {_df(sizes)} df" if sizes else "normal quantile"
        test = "a t test" if sizes else "a normal (z) test"
        for each in levels(sheet, group, level):
            lower, upper = (_pooled(sheet, chosen, name, each.rows) for name in ("ci_lower", "ci_upper"))
            values = se_from_interval(lower, upper, level=each.value, df=df[np.isin(group, each.rows)])
            formula = f"(upper − lower)/(2·{quantile}){changed}"
            steps = (f"SE from {100 * each.value:g} % interval", formula, HANDBOOK)
            assumption = f"the interval is that of {test}{each.assumption}"
            sources = ("ci_lower", "ci_upper", *sizes, *each.sources)
            sheet.fill(Derivation("se", each.rows, values, sources, *steps, assumption))


def _refuse_bad_interval(sheet: Sheet, chosen: Measure, rows: Mask) -> None:
    lower, printed, upper = (sheet[name] for name in ("ci_lower", "estimate", "ci_upper"))
    estimate = np.where(np.isnan(printed), chosen.transform(sheet["yi"]), printed)
    wrong = rows & ((lower > estimate) | (estimate > upper) | (lower == upper))
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise RecordError(
            f"{sheet.where(row, 'ci_lower', 'ci_upper')}: {lower[row]:g} to {upper[row]:g} is no interval "
            f"around the estimate {estimate[row]:g}; correct the table."
        )


def add_error_from_t(sheet: Sheet, chosen: Measure, rows: Mask) -> None:
    """Add ``se`` from the estimate's distance to no effect and its t (or z) statistic."""
    if not has_null(chosen):
        return
    zero = sheet["t"] == 0
    wanted = _determined(sheet, chosen, rows & ~sheet.has("se") & sheet.has("yi", "t"), zero, "a t statistic of 0")
    values = sheet.convert(lambda t, yi: se_from_t(yi - chosen.null, t), wanted, ("t", "yi"))
    sheet.fill(Derivation("se", wanted, values, ("t",), "SE from test statistic", "|estimate/t|", HANDBOOK))


def _by_test(sheet: Sheet, chosen: Measure, rows: Rows) -> Iterator[tuple[Floats, tuple[str, ...], Rows]]:
    """Part rows by the distribution of their test: degrees of freedom (NaN for z), the sizes they come from, rows."""
    sizes = _T_TESTED.get(chosen.code, ())
    known = sheet.has(*sizes)[rows] & bool(sizes)
    for names, group in ((sizes, rows[known]), ((), rows[~known])):
        df = sum((sheet[name] - 1 for name in names), np.full(len(sheet), 0.0 if names else np.nan))
        if names:
            none = np.isin(np.arange(len(sheet)), group) & (df <= 0)
            sheet.refuse(none, names[0], "leaves the t test no degree of freedom")
        yield df[group], names, group


def _df(sizes: tuple[str, ...]) -> str:
    return f"{' + '.join(sizes)} − {len(sizes)}"
