"""Printed P values against those recomputed from the printed figures, at the precision of what is printed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from scipy.special import comb

from metail2.checks.definition import Hit, describe, of_comparisons
from metail2.checks.designs import dependent
from metail2.checks.labels import label_texts
from metail2.checks.phrases import about, listed_tests, p_number, p_text
from metail2.checks.recomputed import (
    Tables,
    before_and_after,
    has_means,
    paired_changes,
    tables,
    two_means,
    z_range,
)
from metail2.checks.rounding import PrintedP, Range, printed_p
from metail2.checks.view import Floats, View
from metail2.kernels.two_sample_tests import (
    chi2_p,
    mann_whitney_exact_p,
    mann_whitney_normal_p,
    student_p,
    table_tests,
    welch_p,
)
from metail2.wording import listed, number, some

FAR = 2.0
"""P values whose normal deviates differ by more are rarely of one set of figures.

In 10,000 simulations each of two arms of 8, 20 and 60 patients the deviates of Welch's t test and of a rank test, or of
one adjusted for a baseline with r up to 0.5, differed by more in at most 0.2 % (normal and exponential values); with
skewed or long-tailed values (log-normal, t with 3 df) and effects of one SD, or with r = 0.7, in up to 10 %.
"""
NEAR = 0.3
"""P values of other tests of the same counts (Boschloo's, Barnard's, stratified ones) mostly lie within this distance.

Of 300 simulated trials each, 10 to 30 patients an arm, no P of Boschloo's or Barnard's test lay farther by its normal
deviate from the nearest of the tests of M060; of 2000 Cochran–Mantel–Haenszel tests over four centres, 20 to 100
patients an arm, risks from 0.1 to 0.75, 0.3 % did.
"""
MOST_OUTCOMES = 400
"""Complete separation is looked for in groups with n1·n2 up to this; beyond it P is too small to be told apart."""
THRESHOLDS = (0.05, 0.01, 0.005, 0.001, 0.0005, 0.0001, 0.00001)

COUNTS = describe(
    "M060", "warning", "a P value that no test of the counts gives",
    help=f"""The printed P is neither that of χ² (Pearson, Yates, N − 1, likelihood ratio), of Fisher's exact test (its
    mid-P, or twice its smaller tail), of the unpooled z test, nor of a Wald test of the log odds or risk ratio; every
    value that rounds or is cut off to the printed digits was allowed, and the normal deviates differ from all of them
    by more than {NEAR:g} (M110 where they are nearer). Either the counts or P is wrong, or the test was another one:
    stratified, adjusted or one-sided. Check both against the article; do not work a standard error out of P. Harmless
    where the article names such a test.""",
)  # fmt: skip
NEAR_COUNTS = describe(
    "M110", "note", "a P value near, but not that of, the tests of the counts",
    help=f"""The printed P is given by none of the tests of M060, all rounding allowed, but lies near one of them: the
    normal deviates differ by {NEAR:g} at most. Boschloo's and Barnard's tests, and tests stratified by centre or
    adjusted, give such values; so does a wrong digit in a count or in P. Check both against the article; do not work a
    standard error out of P. Harmless where the article names such a test. Source: Lydersen S, Fagerland MW, Laake P
    (2009), Stat Med 28:1159–1175.""",
)  # fmt: skip
WHICH = describe(
    "M061", "note", "which test a P value is of",
    help="""The printed P is not that of Pearson's χ² test of the counts but of another one, for instance Fisher's exact
    test. It agrees with the counts; only, an effect with its interval computed from the counts has another P, and a
    standard error worked out of this P would not be that of the counts. Nothing is to be corrected.""",
)  # fmt: skip
SEPARATION = describe(
    "M062", "note", "a P value of complete separation",
    help="""P is what a Mann–Whitney test gives when the two groups do not overlap at all: the smallest P that the test
    can give for such sizes, whatever the values. It holds no information about how far the groups lie apart, so no
    standard error, t or effect may be worked out of it. Found for P values of two digits or more, where of all outcomes
    of the test (exact, or normal approximation with or without continuity correction) only complete separation prints
    so, the printed means and SDs allow it, and no t test of them gives it. Source: Mann HB, Whitney DR (1947), Ann Math
    Stat 18:50–60.""",
)  # fmt: skip
MEANS = describe(
    "M063", "warning", "a P value far from the t tests of the means",
    help=f"""The printed P is far from those of Student's, Welch's and the z test of the printed means, SDs and sizes,
    all rounding allowed: the normal deviates of the P values differ by more than {FAR:g}, which other tests of the same
    values rarely do. Often an SD is a standard error, a sign < was lost, or a mean, SD or n is mistyped. Check them.
    Harmless where P comes from a test adjusted for a strong predictor or from very skewed values.""",
)  # fmt: skip
OTHER_TEST = describe(
    "M064", "note", "a P value that is not of a t test",
    help="""The printed P is near, but not equal to, those of the t tests of the printed means, SDs and sizes, all
    rounding allowed. A rank test or one adjusted for baseline gives such values. Do not work a standard error out of
    it: that formula holds for t tests only.""",
)  # fmt: skip
PAIRED = describe(
    "M065", "warning", "a P value that no correlation of before and after explains",
    help="""Whatever the correlation r of the values before and after, from −1 to 1, a paired t test of the printed
    means, SDs and n cannot give the printed P, all rounding allowed. The P is of another test (for instance
    Wilcoxon's), lost its sign <, or a figure is wrong. No correlation and no SD of the change may be worked out of it.
    Source: Cochrane Handbook, section 6.5.2.8, whose formula for the SD of a change is solved for r.""",
)  # fmt: skip
NO_TIME = describe(
    "M066", "note", "a P value that belongs to none of the times",
    help="""A P value is printed for no single time, and counts are printed at several. The message gives the tests at
    each of them. Find out in the article what was compared (for instance all visits together); until then the P is of
    no use as a check or as data.""",
)  # fmt: skip


# ---------------------------------------------------------------- counts


@of_comparisons
def _counts(view: View) -> Iterator[Hit]:
    if "p" not in view:
        return
    p, table = printed_p(view.cells["p"]), tables(view)
    rows = np.flatnonzero(p.range.known & table.known & ~has_means(view) & ~dependent(view))
    rows = rows[~p.range.at(rows).holds(chi2_p(*table.at(rows)))]
    tests = table_tests(*table.at(rows))
    fits = {name: p.range.at(rows).holds(found) for name, found in tests.items()}
    fitting = np.any(list(fits.values()), axis=0) | np.isnan(tests["Fisher"])
    told: list[tuple[Hit, str]] = []
    for k in np.flatnonzero(~fitting | _telling(p)[rows]):
        at, found = int(rows[k]), {name: float(values[k]) for name, values in tests.items()}
        same = [name for name, fit in fits.items() if fit[k]]
        if not fitting[k]:
            yield _no_test(view, table, p, at, found)
        elif same:
            told.append((_which(view, table, at, same, found), same[0]))
    yield from _once(view, told)


def _telling(p: PrintedP) -> np.ndarray:
    """P values that can tell tests apart: numbers of two decimals or more, below 0.995."""
    return np.asarray(p.exact & (p.unit < 0.05) & (p.range.low < 0.99))


def _which(view: View, table: Tables, at: int, same: list[str], found: Mapping[str, float]) -> Hit:
    told = listed([f"{_NAMES[name]} ({number(found[name], 3)})" for name in same]).replace(" and ", " or ")
    return Hit(WHICH, at, "p", (
        f"is {p_text(view, at)}{about(view, at)}, which {told} gives, not χ² "
        f"({number(found['χ²'], 3)}), for {_table(view, table, at)}; work no standard error out of it"
    ))  # fmt: skip


def _once(view: View, told: list[tuple[Hit, str]]) -> Iterator[Hit]:
    """Each of the hits in trial records; in a plain table the first, which names the other rows and their tests."""
    if len(told) < 2 or "control" in view.labels:
        yield from (hit for hit, _ in told)
        return
    (first, _), *others = told
    rows = {name: [f"row {view.place(hit.at, 'p')[0]}" for hit, one in others if one == name] for _, name in others}
    also = listed([f"{_NAMES[name]} ({some(places)})" for name, places in rows.items()])
    yield first._replace(says=f"{first.says}; other P values of the table are not of χ² either but of {also}")


_NAMES = {
    "χ²": "χ²", "Yates": "χ² with Yates' correction", "Fisher": "Fisher's exact test", "Fisher mid-P": "Fisher's mid-P",
    "twice one-sided Fisher": "twice the one-sided P of Fisher's test",
    "N − 1 χ²": "the N − 1 (Mantel–Haenszel) χ²", "likelihood ratio": "the likelihood-ratio χ²",
    "unpooled z": "the unpooled z test", "Wald log OR": "the Wald test of the log odds ratio",
    "Wald log RR": "the Wald test of the log risk ratio",
}  # fmt: skip


def _no_test(view: View, table: Tables, p: PrintedP, at: int, found: Mapping[str, float]) -> Hit:
    other = _another_split(view, p, at)
    if other:
        return Hit(WHICH, at, "p", (
            f"is {p_text(view, at)}{about(view, at)}, which {_table(view, table, at)} does not give, but {other} does; "
            "find the sizes of the arms before the counts are used"
        ))  # fmt: skip
    z, printed = (z_range(Range(*ends)) for ends in (
        (np.array(_numbers(found)),) * 2, (p.range.low[at : at + 1], p.range.high[at : at + 1])
    ))  # fmt: skip
    near = np.min(z.gap(printed)) <= NEAR
    return Hit(NEAR_COUNTS if near else COUNTS, at, "p", (
        f"is {p_text(view, at)}{about(view, at)}, but no usual test of {_table(view, table, at)} gives it "
        f"({listed_tests(found, _decimals(p, at))}); check the counts and P, unless the article names a stratified or "
        f"adjusted test{_lost_sign(p, at, max(_numbers(found)))}"
    ))  # fmt: skip


def _another_split(view: View, p: PrintedP, at: int) -> str:
    """Of the splits of the total that print the same percentages, one whose test gives P; empty if there is none."""
    splits = view.labels["splits"].iloc[at] if "splits" in view.labels else ()
    if not splits:
        return ""
    counts = np.array(splits, dtype=float).T
    tests = table_tests(*counts)
    for k in range(counts.shape[1]):
        same = [name for name, values in tests.items() if p.range.low[at] <= values[k] <= p.range.high[at]]
        if same:
            a, n1, c, n2 = splits[k]
            return f"{a}/{n1} v {c}/{n2} by {_NAMES[same[0]]}"
    return ""


def _numbers(found: Mapping[str, float]) -> list[float]:
    return [value for value in found.values() if value == value]


def _decimals(p: PrintedP, at: int) -> int:
    """Three decimals, and as many as printed where P is small."""
    printed = round(-np.log10(p.unit[at]))
    return max(3, printed) if p.range.low[at] < 0.1 else 3


def _table(view: View, table: Tables, at: int) -> str:
    how = str(view.labels["counts"].iloc[at]) if "counts" in view.labels else ""
    return table.text(at) + (f" ({how})" if how else "")


# ---------------------------------------------------------------- means


@of_comparisons
def _separated(view: View) -> Iterator[Hit]:
    rows = np.array(_separations(view), dtype=np.int64)
    if not len(rows):
        return
    n1, n2, p = view["n1"][rows], view["n2"][rows], printed_p(view.cells["p"]).range.at(rows)
    ways = _of_no_overlap(n1, n2)
    fits = {name: p.holds(found) for name, found in ways.items()}
    welch = two_means(view)["Welch's t"].at(rows).meets(p)
    for k, at in enumerate(map(int, rows)):
        values = {name: float(found[k]) for name, found in ways.items()}
        way = next(name for name, fit in fits.items() if fit[k])
        others = [f"{name} {p_number(value)}" for name, value in values.items() if name != way]
        also = "; Welch's t test of the rounded figures could give it too" if welch[k] else ""
        yield Hit(SEPARATION, at, "p", (
            f"is {p_text(view, at)}{about(view, at)}, which is what the two-sided Mann–Whitney test of {n1[k]:g} v "
            f"{n2[k]:g} with complete separation gives, {_WAYS[way]} ({values[way]:.4g}; {', '.join(others)}{also}); "
            "unless the article names another test, work no standard error out of it, for such a P says only that the "
            "groups do not overlap"
        ))  # fmt: skip


_WAYS = {
    "exact": "exact", "with continuity correction": "by the normal approximation with continuity correction",
    "without continuity correction": "by the normal approximation without continuity correction",
}  # fmt: skip


def _of_no_overlap(n1: Floats, n2: Floats) -> dict[str, Floats]:
    """P values of the Mann–Whitney test of groups that do not overlap, by the way they are computed."""
    return {
        "exact": np.asarray(2 / comb(n1 + n2, n1)),
        "without continuity correction": mann_whitney_normal_p(0 * n1, n1, n2, False),
        "with continuity correction": mann_whitney_normal_p(0 * n1, n1, n2, True),
    }


def _separations(view: View) -> list[int]:
    """Entries whose P of two digits or more only complete separation gives."""
    if "p" not in view:
        return []
    p, n1, n2 = printed_p(view.cells["p"]), view["n1"], view["n2"]
    whole = (n1 == np.round(n1)) & (n2 == np.round(n2)) & (n1 > 1) & (n2 > 1) & (n1 * n2 <= MOST_OUTCOMES)
    asked = p.exact & (p.digits >= 2) & whole & ~tables(view).known & np.isnan(view["estimate"])
    rows = np.flatnonzero(asked & _may_be_separate(view) & ~_by_t(view, p.range))
    fits = np.any([p.range.at(rows).holds(found) for found in _of_no_overlap(n1[rows], n2[rows]).values()], axis=0)
    return [int(at) for at in rows[fits] if not _overlap_too(p.range.at(np.array([at])), int(n1[at]), int(n2[at]))]


def _by_t(view: View, p: Range) -> np.ndarray:
    """Whether a t test of the figures as they stand gives the printed P, shape (m,)."""
    figures = [view[f"{name}{suffix}"] for suffix in "12" for name in ("mean", "sd", "n")]
    return np.asarray(p.holds(student_p(*figures)) | p.holds(welch_p(*figures)))


def _may_be_separate(view: View) -> np.ndarray:
    """Whether the printed figures allow that the groups do not overlap; shape (m,).

    The lowest of n values lies at least SD/√n below their mean (just so where all but the highest are equal), so groups
    apart need means that differ by at least SD1/√n1 + SD2/√n2. Printed extremes must not overlap.
    """
    n1, n2 = view["n1"], view["n2"]
    needed = view["sd1"] / np.sqrt(n1) + view["sd2"] / np.sqrt(n2)
    apart = ~(np.abs(view["mean1"] - view["mean2"]) < needed)
    overlap = (view["max1"] >= view["min2"]) & (view["max2"] >= view["min1"])
    return np.asarray(apart & ~overlap)


def _overlap_too(p: Range, n1: int, n2: int) -> bool:
    """Whether a Mann–Whitney test of groups that overlap, U above 0, prints so too."""
    u = np.arange(1, n1 * n2 // 2 + 1)
    sizes = np.array(float(n1)), np.array(float(n2))
    values = [mann_whitney_exact_p(u, n1, n2)]
    values += [mann_whitney_normal_p(u.astype(float), *sizes, correct) for correct in (False, True)]
    return bool(np.any([p.holds(found) for found in values]))


@of_comparisons
def _t_tests(view: View) -> Iterator[Hit]:
    if "p" not in view or not has_means(view).any():
        return
    p, tests = printed_p(view.cells["p"]), {**two_means(view), "paired t": paired_changes(view)}
    known = np.any([found.known for found in tests.values()], axis=0) & p.range.known & ~tables(view).known
    known &= ~dependent(view)  # patients of clusters, or with two values each, are tested otherwise
    z = z_range(p.range)
    apart = np.min([np.where(found.known, z_range(found).gap(z), np.inf) for found in tests.values()], axis=0)
    fits = np.any([found.meets(p.range) for found in tests.values()], axis=0)
    fits[_separations(view)] = True
    for at in map(int, np.flatnonzero(known & ~fits)):
        told = {name: found for name, found in tests.items() if found.known[at]}
        yield _not_a_t_test(view, p, at, told, float(apart[at]))


def _not_a_t_test(view: View, p: PrintedP, at: int, tests: Mapping[str, Range], apart: float) -> Hit:
    told = ", ".join(f"{name} {p_number(found.low[at])} to {p_number(found.high[at])}" for name, found in tests.items())
    highest = max(float(found.high[at]) for found in tests.values())
    if apart > FAR:
        return Hit(MEANS, at, "p", (
            f"is {p_text(view, at)}{about(view, at)}, far from what the printed means, SDs and sizes give ({told}); "
            f"check whether an SD is a standard error and every figure{_lost_sign(p, at, highest)}"
        ))  # fmt: skip
    return Hit(OTHER_TEST, at, "p", (
        f"is {p_text(view, at)}{about(view, at)}, not that of a t test of the printed means, SDs and sizes ({told}); a "
        "rank test or an adjusted one may have been used, so work no standard error out of it"
    ))  # fmt: skip


@of_comparisons
def _before_after(view: View) -> Iterator[Hit]:
    if "p" not in view or "mean_pre" not in view:
        return
    p, possible = printed_p(view.cells["p"]), before_and_after(view)
    for at in map(int, np.flatnonzero(p.range.known & possible.known & ~possible.meets(p.range))):
        yield Hit(PAIRED, at, "p", (
            f"is {p_text(view, at)}{about(view, at)}, but a paired t test of {_pair(view, at)} gives P between "
            f"{p_number(possible.low[at])} (r = 1) and {p_number(possible.high[at])} (r = −1); check the figures"
            f"{_lost_sign(p, at, float(possible.high[at]))}, and work no correlation and no SD of the change out of P"
        ))  # fmt: skip


def _pair(view: View, at: int) -> str:
    told = [f"{view.text(at, f'mean_{when}')} (SD {_sd(view, at, when)})" for when in ("pre", "post")]
    return f"{' and '.join(told)}, n = {view['n'][at]:g},"


def _sd(view: View, at: int, when: str) -> str:
    sd = f"sd_{when}"
    if sd in view and view.text(at, sd):
        return view.text(at, sd)
    return f"from SE {view.text(at, f'se_{when}')}"


# ---------------------------------------------------------------- P values of no time


@of_comparisons
def _without_time(view: View) -> Iterator[Hit]:
    """A P value alone in its entry, while the same outcome has counts at other times."""
    if "p" not in view or "timepoint" not in view.labels:
        return
    p, table = printed_p(view.cells["p"]), tables(view)
    if not len(view):  # no text to join
        return
    alone = p.exact & np.isnan(view["n1"]) & np.isnan(view["n"]) & ~has_means(view)
    labels = label_texts(view, ["study", "outcome", "population"])
    keys = labels["study"].str.cat(labels[["outcome", "population"]], sep="\n").to_numpy()
    for at in map(int, np.flatnonzero(alone & np.isin(keys, keys[table.known]))):
        times = np.flatnonzero((keys == keys[at]) & table.known)
        told, fits = [], []
        for k, when in zip(map(int, times), view.labels["timepoint"].iloc[times], strict=True):
            found = {name: float(value[0]) for name, value in table_tests(*table.at(np.array([k]))).items()}
            told.append(f"{_table(view, table, k)} at {when} ({listed_tests(found)})")
            fits += [when for value in found.values() if p.range.low[at] <= value <= p.range.high[at]]
        likely = f" (one of the tests at {listed(list(dict.fromkeys(fits)))} gives it)" if fits else ""
        yield Hit(NO_TIME, at, "p", (
            f"is {p_text(view, at)}{about(view, at)}, printed for no single time; compare {listed(told)}{likely}, and "
            "find out what it tests before it is used"
        ))  # fmt: skip


def _lost_sign(p: PrintedP, at: int, highest: float) -> str:
    """Say so where a P looks like a bound whose sign was lost: 0.001 printed, and everything gives less."""
    bound = float(p.range.low[at] + p.unit[at] / 2)
    lost = p.exact[at] and highest < bound and np.isclose(bound, THRESHOLDS).any()
    return f" (was P < {bound:g} printed?)" if lost else ""
