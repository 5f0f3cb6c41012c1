"""Figures that can be true but seldom are: beside the other arm, beside the other studies, on their scale."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import stdtrit

from metail2.checks.definition import Check, Hit, describe, of_arms, of_comparisons, of_tables
from metail2.checks.labels import label_texts, row_of
from metail2.checks.view import Floats, View
from metail2.effects.definition import Measure
from metail2.kernels.inference import quantile
from metail2.kernels.two_sample_tests import student_se, t_p
from metail2.wording import interval, number, p_value

Rows = NDArray[np.intp]

PEERS = 3
"""So many arms of other studies must stand beside an SD before it is compared with theirs."""
CLOSE, RARE = 0.25, 0.002
"""Spread of log SDs that one instrument has anyway; share of arms that lie far from the others by chance."""
EXACT = 200
"""In larger groups a study is compared with the median of all arms, its own among them."""
SIZE_RATIO = 10.0
LARGE_G, LARGE_LOG = 3.0, 5.0
LEAST_STUDIES, MOST_STUDIES = 5, 1000
"""How many studies an outlier is looked for among."""
OUTLIER = 0.05
"""Probability of naming any study of an outcome an outlier if there is none."""
ALIKE_DIGITS = 6
ONE_SCALE = ("MD", "MC", "MN")
"""Measures whose studies all stand on one scale; others may mix instruments."""
TIME = r"(?:days?|weeks?|months?|years?|hours?|minutes?|seconds?|ms)\b"
"""A word of time is the unit where it begins the words, or stands behind "in": "score, month 6" is a score."""
CHANGED = r"\b(?:change|difference|los[ts]|loss|gain(?:ed)?|reduction|decrease|increase|z|score|index)\b|[Δ∆]"
NOT_BELOW_0 = (
    rf"(?i)^(?!.*(?:{CHANGED}))(?:(?:.*(?:\bin |\(|number of ))?{TIME}(?!\W*\d)|.*(?<!\d )\b(?:"
    r"[munpµμ]?g|kg|[mcd]?m|mm\s?hg|[munpµμ]?mol|[md]?l|cells?|iu|u)\b)"
)
"""Units of quantities that cannot be below 0: durations, lengths, masses, pressures, concentrations, cells."""
COUNTED = ("count", "cell_fraction")
"""Kinds of unit, in trial records, of which the same is true."""
DIRECTIONS, SCORES = ("higher", "lower"), ("change", "final")

SE_AS_SD = describe(
    "M030", "warning", "a standard error entered as SD?",
    help=f"""An SD is far below those of the other studies of its outcome and unit ({PEERS} arms or more), but times √n
    it agrees with them: it may be the standard error, which makes the study's weight far too great. Not where the means
    differ from the others' as the SD does: that is another unit or scale. In simulated tables of 8 studies 70 to 96 %
    of the standard errors were found; no table in 1200 of mixed instruments (as SMD) was accused, but 7 % of those with
    very different SDs. Look it up; if it is one, enter it as se1 or se2. Harmless in more uniform patients. Source:
    Cochrane Handbook, chapter 6.5.2.""",
)  # fmt: skip
SD_AS_SE = describe(
    "M031", "warning", "an SD entered as standard error?",
    help="""A standard error times √n is far above the SDs of the other studies, but the figure itself agrees with them:
    it may be the SD. Taken as standard error it hides the effect and gives the study hardly any weight. Found as M030,
    the other way round. Look the figure up; if it is one, enter it as sd1 or sd2.""",
)  # fmt: skip
EXTREME = describe(
    "M033", "warning", "an effect of rare size",
    help=f"""A standardised difference beyond {LARGE_G:g} SDs, or a log ratio beyond {LARGE_LOG:g} (a factor of 148), is
    seldom true in patients. Most often a standard error stands as SD, two arms or columns are exchanged, or a decimal
    point is lost. Look all figures of the row up. Harmless where the outcome is changed by the treatment itself, as
    eosinophils by an antibody against them.""",
)  # fmt: skip
OPPOSITE = describe(
    "M034", "warning", "one effect against all others",
    help="""One study's interval lies wholly on one side of no effect, and the effects of all others (at least 3) on the
    other side: its arms may be exchanged, or its scale may run the other way. Look which arm is which and what a high
    value means. Harmless if the study did find the opposite; that is a result, and must not be turned.""",
)  # fmt: skip
SCALES = describe(
    "M035", "warning", "scales that run in opposite directions",
    help="""The column scale_direction says "higher" in some rows and "lower" in others of one outcome, so that their
    differences have opposite meanings and cancel when pooled. Change the signs of the effects of one kind (for means:
    of both means), so that all run one way, and write the direction that they then have. Source: Cochrane Handbook,
    chapter 6.5.1.""",
)  # fmt: skip
MIXED_SCORES = describe(
    "M036", "warning", "final and change scores in one standardised difference",
    help="""The column score says "final" in some rows and "change" in others. Final scores are divided by the SD
    between patients and changes by the SD of changes, so that the standardised differences are in different units. Pool
    them apart, use the mean difference if the scale is one, or bring all to one SD with the correlation of before and
    after. Source: Cochrane Handbook, chapter 10.5.2.""",
)  # fmt: skip
WORDS = describe(
    "M037", "note", "an entry that is not understood",
    help=f"""The column scale_direction knows {DIRECTIONS[0]} and {DIRECTIONS[1]}, the column score {SCORES[0]} and
    {SCORES[1]}; another word stands in a row, which is left out of these checks. Correct it.""",
)  # fmt: skip
BASELINE = describe(
    "M038", "note", "arms that differ before treatment",
    help="""The columns baseline_mean1, baseline_sd1, baseline_mean2 and baseline_sd2 show arms more than half an SD
    apart before treatment, with P < 0.01. Chance does this in one of a hundred randomised trials; else it points to
    allocation that was not random, to arms exchanged at one time, or to a slip. Look the figures up, and prefer an
    analysis that is adjusted for the baseline.""",
)  # fmt: skip
SKEWED = describe(
    "M039", "note", "a skewed quantity",
    help="""The SD is larger than the mean of a quantity that cannot be below 0 (because of its unit, or a minimum that
    is printed), so the values are skewed to the right and the mean describes them badly. Prefer medians, geometric
    means or logs where they are printed. Source: Altman DG, Bland JM (1996). BMJ 313:1200.""",
)  # fmt: skip
UNEQUAL = describe(
    "M040", "note", "one arm ten times as large as the other",
    help=f"""The sizes of the arms differ by a factor above {SIZE_RATIO:g}: a digit too many or too few, or the total in
    the place of an arm. Look both up. Harmless in cohorts, where exposure is rare or common.""",
)  # fmt: skip
FAR_EFFECT = describe(
    "M041", "note", "an effect far from all others",
    help=f"""Beside the other studies of its outcome an effect is an outlier: its distance from their random-effects
    mean (DerSimonian–Laird without the study), in standard deviations of that distance, exceeds the t quantile (k − 2
    df) at which a study would be named in {100 * OUTLIER:g} % of outcomes without outliers, divided by their number
    (Bonferroni). Looked for among {LEAST_STUDIES} to {MOST_STUDIES} studies. Look all figures of the row up. A true
    outlier is a result: keep it, and show the analysis without it. Source: Viechtbauer W, Cheung MW-L (2010). Research
    Synthesis Methods 1:112–125.""",
)  # fmt: skip
SAME_ARMS = describe(
    "M042", "warning", "the same figures in both arms",
    help=f"""Mean and SD of the two arms of a study agree in all printed digits, {ALIKE_DIGITS} or more: one arm may
    have been copied into the place of the other. Look both up. Harmless if the arms did agree.""",
)  # fmt: skip


# ---------------------------------------------------------------- SDs beside those of other studies


@dataclass(frozen=True, slots=True)
class Spreads:
    """SDs of the arms of one outcome, on the log scale; all arrays of shape (m,).

    Attributes
    ----------
    rows : ndarray of int
        Entries of the view.
    study : ndarray of int
        Which study each belongs to.
    claimed, other : ndarray
        Log SD if the figure is what its column says, and if it is the other of SD and standard error.
    mean : ndarray
        Log of the size of the largest mean of the study, which tells its scale; −inf where all are 0.
    """

    rows: Rows
    study: NDArray[np.intp]
    claimed: Floats
    other: Floats
    mean: Floats

    def misread(self, peers: Floats, part: float) -> NDArray[np.bool_]:
        """Which figures agree with their `peers` only as the other of SD and standard error.

        Where the means differ from those of the peers by more than this `part` of what the SDs do, the scale is another
        one.
        """
        now, then = self.claimed - peers[0], self.other - peers[0]
        far = np.abs(now) > np.maximum(peers[1], 3 * CLOSE)
        fits = np.abs(then) < np.minimum(np.maximum(peers[2], 2 * CLOSE), np.abs(now) / 2)
        with np.errstate(invalid="ignore"):
            same_unit = ~(np.sign(now) * (self.mean - peers[3]) > part * np.abs(now))
        return np.asarray(far & fits & same_unit)

    def accompanied(self) -> NDArray[np.bool_]:
        """Which SDs are like those of another study as they stand: two on one scale of their own, shape (m,)."""
        ordered = np.sort(self.claimed)
        near = [np.searchsorted(ordered, self.claimed + step) for step in (-2 * CLOSE, 2 * CLOSE)]
        return np.asarray(near[1] - near[0] > np.bincount(self.study)[self.study])

    def peers(self) -> Floats:
        """Middle, far distance, near distance and middle of the means of the arms of other studies, shape (4, m)."""
        found = np.full((4, len(self.rows)), np.nan)
        if len(self.rows) > EXACT:
            found[:] = _middle(self.claimed, self.mean)
            return found
        for study in np.unique(self.study):
            others = self.study != study
            if others.sum() >= PEERS:
                found[:, ~others] = _middle(self.claimed[others], self.mean[others])
        return found


def _middle(logs: Floats, means: Floats) -> Floats:
    middle = np.median(logs)
    spread = 1.4826 * np.median(np.abs(logs - middle))
    return np.array([[middle], [stdtrit(len(logs) - 1, 1 - RARE / 2) * spread], [2 * spread], [np.median(means)]])


@of_arms
def _sd_or_se(view: View) -> Iterator[Hit]:
    """SDs that agree with those of other studies only as standard errors, and the reverse."""
    n, sd, se = view["n"], view["sd"], view["se"]
    by_sd = sd > 0
    usable = np.flatnonzero(~np.isnan(view["mean"]) & (n >= 2) & np.isfinite(n) & (by_sd | (se > 0)))
    if len(usable) <= PEERS:
        return
    one_scale = view.measure is None or view.measure.code in ONE_SCALE
    part, also = (0.5, "") if one_scale else (0.25, ", and whether it is on another scale")
    root = np.sqrt(n)
    claimed, other = np.where(by_sd, sd, se * root), np.where(by_sd, sd * root, se)
    for spreads in _by_outcome(view, usable[np.isfinite(claimed + other)[usable]], claimed, other):
        peers = spreads.peers()
        wrong = spreads.misread(peers, part) & (one_scale | ~spreads.accompanied())
        for i in np.flatnonzero(wrong).tolist():
            at = int(spreads.rows[i])
            quantity, median = "sd" if by_sd[at] else "se", number(np.exp(peers[0, i]))
            if by_sd[at]:
                fits = f"as a standard error it would be an SD of {number(other[at])}, which fits"
            else:
                fits = f"it would be an SD of {number(claimed[at])}, while the figure itself fits as an SD"
            yield Hit(SE_AS_SD if by_sd[at] else SD_AS_SE, at, quantity, (
                f"is {view.text(at, quantity)}, but the SDs of the other studies have the median {median}; {fits} "
                f"(n = {view.text(at, 'n')}); look it up{also}"
            ))  # fmt: skip


def _by_outcome(view: View, rows: Rows, claimed: Floats, other: Floats) -> Iterator[Spreads]:
    study, _ = pd.factorize(view.labels["study"].to_numpy(dtype=object)[rows])
    for places in _same_quantity(view, rows):
        at = rows[places]
        largest = pd.Series(np.abs(view["mean"][at])).groupby(study[places]).transform("max").to_numpy()
        with np.errstate(divide="ignore"):
            yield Spreads(at, study[places], np.log(claimed[at]), np.log(other[at]), np.log(largest))


def _same_quantity(view: View, rows: Rows) -> Iterator[Rows]:
    """Places in `rows` of arms that measure one thing in one unit; a change has other SDs than a final score."""
    names = [name for name in ("outcome", "unit", "score", "timepoint") if name in view.labels]
    if not names:
        yield np.arange(len(rows))
        return
    facts = label_texts(view, names).iloc[rows]
    if "timepoint" in facts:
        facts["timepoint"] = facts["timepoint"] == "change"
    yield from map(np.asarray, facts.groupby(names, sort=False).indices.values())


@of_arms
def _skewed(view: View) -> Iterator[Hit]:
    mean, sd = view["mean"], view["sd"]
    large = np.flatnonzero((mean > 0) & (sd > mean) & np.isfinite(sd))
    if not len(large):
        return
    facts = label_texts(view, ("unit", "unit_kind", "score", "timepoint")).iloc[large]
    by_unit = (facts["unit"].str.contains(NOT_BELOW_0) | facts["unit_kind"].isin(COUNTED)).to_numpy()
    bounded = by_unit | (view["min"][large] >= 0)
    change = ((facts["score"] == "change") | (facts["timepoint"] == "change")).to_numpy()
    for at in large[bounded & ~change].tolist():
        yield Hit(SKEWED, at, "sd", (
            f"is {view.text(at, 'sd')}, more than the mean {view.text(at, 'mean')} of a quantity that is never below "
            "0, so its values are skewed; prefer a median or a log scale"
        ))  # fmt: skip


# ---------------------------------------------------------------- two arms of one study


@of_comparisons
def _unequal_sizes(view: View) -> Iterator[Hit]:
    n1, n2 = view["n1"], view["n2"]
    small, large = np.minimum(n1, n2), np.maximum(n1, n2)
    for at in np.flatnonzero((small > 0) & (large > SIZE_RATIO * small) & np.isfinite(large)).tolist():
        yield Hit(UNEQUAL, at, "n1", (
            f"is {view.text(at, 'n1')}, but the other arm ({view.beside(at, 'n1', 'n2')}) has "
            f"{view.text(at, 'n2')} patients; look both up"
        ))  # fmt: skip


@of_comparisons
def _same_arms(view: View) -> Iterator[Hit]:
    same = (view["mean1"] == view["mean2"]) & (view["sd1"] == view["sd2"])
    for at in np.flatnonzero(same).tolist():
        texts = [view.text(at, name) for name in ("mean1", "sd1")]
        if sum(len(text.replace(".", "").lstrip("-0")) for text in texts) >= ALIKE_DIGITS:
            yield Hit(SAME_ARMS, at, "mean1", (
                f"is {texts[0]} and the SD is {texts[1]} in both arms; look whether one arm was copied from the other"
            ))  # fmt: skip


@of_comparisons
def _baseline(view: View) -> Iterator[Hit]:
    means, sds = view["baseline_mean1"] - view["baseline_mean2"], (view["baseline_sd1"], view["baseline_sd2"])
    n1, n2 = view["n1"], view["n2"]
    known = np.flatnonzero((n1 > 1) & (n2 > 1) & (sds[0] > 0) & (sds[1] > 0) & np.isfinite(means))
    if not len(known):
        return
    se = student_se(sds[0], n1, sds[1], n2)
    d = np.abs(means) / (se / np.sqrt(1 / n1 + 1 / n2))
    p = t_p(np.abs(means), se, n1 + n2 - 2)
    for at in known[(d[known] > 0.5) & (p[known] < 0.01)].tolist():
        yield Hit(BASELINE, at, "baseline_mean1", (
            f"is {view.text(at, 'baseline_mean1')}, but {view.text(at, 'baseline_mean2')} in the other arm, "
            f"{number(d[at])} SDs apart before treatment ({p_value(float(p[at]))}); look the figures up"
        ))  # fmt: skip


# ---------------------------------------------------------------- effects


@of_comparisons
def _extreme(view: View) -> Iterator[Hit]:
    if view.measure is None or "yi" not in view.computed:
        return
    ratio = view.measure.transform.log_axis
    limit = LARGE_LOG if ratio else LARGE_G if "standardised" in view.measure.name else np.inf
    yi = view.computed["yi"]
    for at in np.flatnonzero(np.abs(yi) > limit).tolist():
        shown = number(float(view.measure.transform(yi[at]))) if ratio else number(yi[at])
        yield Hit(EXTREME, at, "", f"its {view.measure.name} is {shown}, which is seldom true; look all its figures up")


@of_tables
def _opposite(view: View) -> Iterator[Hit]:
    if view.measure is None or not np.isfinite(view.measure.null):
        return
    away = view.computed["yi"] - view.measure.null
    half = quantile(0.95, np.inf) * np.sqrt(view.computed["vi"])
    for rows in _outcomes(view, np.flatnonzero(np.isfinite(away * half))):
        for sign in (-1, 1):
            against = rows[np.sign(away[rows]) == sign]
            if len(rows) >= 4 and len(against) == 1 and (np.sign(away[rows]) == -sign).sum() == len(rows) - 1:
                at = int(against[0])
                if abs(away[at]) > half[at]:
                    yi = view.computed["yi"][at]
                    yield Hit(OPPOSITE, at, "", _against(view.measure, yi, half[at], len(rows) - 1))


def _against(measure: Measure, yi: float, half: float, others: int) -> str:
    estimate, lower, upper = (float(x) for x in measure.transform([yi, yi - half, yi + half]))
    return (
        f"its {measure.name} is {number(estimate)} ({interval(lower, upper)}), while all {others} others lie on "
        "the other side of no effect; look whether its arms are exchanged or its scale runs the other way"
    )


@of_tables
def _far_effect(view: View) -> Iterator[Hit]:
    if view.measure is None:
        return
    yi, vi = view.computed["yi"], view.computed["vi"]
    for rows in _outcomes(view, np.flatnonzero(np.isfinite(yi * vi) & (vi > 0))):
        k = len(rows)
        if LEAST_STUDIES <= k <= MOST_STUDIES:
            distance, mean = _deleted_residuals(yi[rows], vi[rows])
            limit = stdtrit(k - 2, 1 - OUTLIER / (2 * k))
            for i in np.flatnonzero(np.abs(distance) > limit).tolist():
                shown = view.measure.transform([yi[rows[i]], mean[i]])
                yield Hit(FAR_EFFECT, int(rows[i]), "", (
                    f"its {view.measure.name} is {number(shown[0])}, while the other {k - 1} studies have a mean of "
                    f"{number(shown[1])}; look all its figures up"
                ))  # fmt: skip


def _deleted_residuals(yi: Floats, vi: Floats) -> tuple[Floats, Floats]:
    """Distance of each effect from the mean of the others in its standard deviations, and that mean; shape (k,)."""
    others = ~np.eye(len(yi), dtype=bool)
    w = others / vi
    total, squares = w.sum(1), (w**2).sum(1)
    mean = w @ yi / total
    q = (w * (yi - mean[:, None]) ** 2).sum(1)
    tau2 = np.maximum(0, (q - (len(yi) - 2)) / (total - squares / total))
    w = others / (vi + tau2[:, None])
    mean = w @ yi / w.sum(1)
    return (yi - mean) / np.sqrt(vi + tau2 + 1 / w.sum(1)), mean


def _outcomes(view: View, rows: Rows) -> Iterator[Rows]:
    """Some entries, outcome by outcome."""
    names = [name for name in ("outcome", "timepoint", "population") if name in view.labels]
    if not names:
        yield rows
    elif len(rows):
        for places in label_texts(view, names).iloc[rows].groupby(names, sort=False).indices.values():
            yield rows[places]


# ---------------------------------------------------------------- directions and kinds of scores


@of_tables
def _directions(view: View) -> Iterator[Hit]:
    advice = "so their differences have opposite meanings; change the signs of one kind"
    yield from _two_words(view, "scale_direction", DIRECTIONS, SCALES, advice)


@of_tables
def _scores(view: View) -> Iterator[Hit]:
    if view.measure is not None and view.measure.name.startswith("standardised mean difference"):
        advice = "whose SDs are in different units; pool them apart, or use the mean difference"
        yield from _two_words(view, "score", SCORES, MIXED_SCORES, advice)


def _two_words(view: View, label: str, words: tuple[str, str], check: Check, advice: str) -> Iterator[Hit]:
    """Both words in one outcome, told at the first row that differs; a column without either is something else."""
    if label not in view.labels:
        return
    facts = label_texts(view, ("outcome", "study", label))
    facts["word"] = facts[label].str.casefold().str.replace(r"\W.*", "", regex=True)
    known = facts["word"].isin(words)
    if not known.any():
        return
    for at in np.flatnonzero(~known & (facts["word"] != "")).tolist():
        says = f"has {label} {facts[label].iloc[at]!r}, but metail2 knows {words[0]} and {words[1]}; correct it"
        yield Hit(WORDS, at, "", says)
    for _, rows in facts[known].groupby("outcome", sort=False):
        word, first = rows["word"], int(rows.index[0])
        if word.nunique() > 1:
            at = int(rows.index[word != word.iloc[0]][0])
            yield Hit(check, at, "", (
                f"has {label} {word[at]!r}, but row {row_of(view, first)} ({rows['study'].iloc[0]}) "
                f"{word.iloc[0]!r}, {advice}"
            ))  # fmt: skip
