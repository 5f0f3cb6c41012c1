"""P values of the tests that trials print, recomputed from counts and from moments; all two-sided.

Shapes: every argument is an array and they broadcast; results have the broadcast shape. A test that is not defined for
a table (nobody or everybody had the event, a cell of 0 for a test on the log scale) gives NaN.
a events among n1 people in the first arm, c events among n2 in the second.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc, fdtrc, gammaln, ndtr, stdtr, xlogy

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

MOST_PEOPLE = 1_000_000
"""Above so many people in a table Fisher's test is not computed; it then agrees with χ² with Yates' correction."""

_TIE = 1e-7  # two tables are as likely as each other within this relative difference, as in R's fisher.test
_CHUNK = 2_000_000


# ---------------------------------------------------------------- two-by-two tables


def table_tests(a: Floats, n1: Floats, c: Floats, n2: Floats) -> dict[str, Floats]:
    """Run every test of a two-by-two table that a trial may print a P value of.

    Returns
    -------
    dict of str to ndarray
        By the name of the test, the usual ones first.
    """
    exact = fisher(a, n1, c, n2)
    return {
        "χ²": chi2_p(a, n1, c, n2),
        "Yates": yates_p(a, n1, c, n2),
        "Fisher": exact.exact,
        "Fisher mid-P": exact.mid,
        "twice one-sided Fisher": exact.doubled,
        "N − 1 χ²": n1_chi2_p(a, n1, c, n2),
        "likelihood ratio": likelihood_ratio_p(a, n1, c, n2),
        "unpooled z": unpooled_z_p(a, n1, c, n2),
        "Wald log OR": wald_odds_p(a, n1, c, n2),
        "Wald log RR": wald_risk_p(a, n1, c, n2),
    }


def _chi2(a: Floats, n1: Floats, c: Floats, n2: Floats, less: float | Floats = 0.0) -> Floats:
    """Pearson's χ² with `less` taken from |ad − bc|, not below 0."""
    n, m = n1 + n2, a + c
    cross = np.maximum(np.abs(a * n2 - c * n1) - less, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(n * cross**2 / (n1 * n2 * m * (n - m)))


def chi2_p(a: Floats, n1: Floats, c: Floats, n2: Floats) -> Floats:
    """Pearson's χ² test; the same as the z test with the pooled proportion."""
    return np.asarray(chdtrc(1, _chi2(a, n1, c, n2)))


def yates_p(a: Floats, n1: Floats, c: Floats, n2: Floats) -> Floats:
    """χ² test with Yates' continuity correction (Yates 1934, J R Stat Soc Suppl 1:217–235)."""
    return np.asarray(chdtrc(1, _chi2(a, n1, c, n2, (n1 + n2) / 2)))


def n1_chi2_p(a: Floats, n1: Floats, c: Floats, n2: Floats) -> Floats:
    """χ² times (N − 1)/N (Campbell 2007, Stat Med 26:3661–3675); Mantel–Haenszel's χ² of one stratum, uncorrected."""
    n = n1 + n2
    return np.asarray(chdtrc(1, _chi2(a, n1, c, n2) * (n - 1) / n))


def likelihood_ratio_p(a: Floats, n1: Floats, c: Floats, n2: Floats) -> Floats:
    """Likelihood-ratio χ² test (G test); NaN where nobody or everybody had the event."""
    n, m = n1 + n2, a + c
    cells = xlogy(a, a) + xlogy(n1 - a, n1 - a) + xlogy(c, c) + xlogy(n2 - c, n2 - c) + xlogy(n, n)
    margins = xlogy(n1, n1) + xlogy(n2, n2) + xlogy(m, m) + xlogy(n - m, n - m)
    defined = (m > 0) & (m < n)
    return np.where(defined, chdtrc(1, np.maximum(2 * (cells - margins), 0.0)), np.nan)


def unpooled_z_p(a: Floats, n1: Floats, c: Floats, n2: Floats) -> Floats:
    """z test of the risk difference with its Wald variance."""
    p1, p2 = a / n1, c / n2
    return _wald(p1 - p2, p1 * (1 - p1) / n1 + p2 * (1 - p2) / n2)


def wald_odds_p(a: Floats, n1: Floats, c: Floats, n2: Floats) -> Floats:
    """Wald test of the log odds ratio, as logistic regression gives it; NaN where a cell is 0."""
    b, d = n1 - a, n2 - c
    with np.errstate(divide="ignore", invalid="ignore"):
        return _wald(np.log(a) - np.log(b) - np.log(c) + np.log(d), 1 / a + 1 / b + 1 / c + 1 / d)


def wald_risk_p(a: Floats, n1: Floats, c: Floats, n2: Floats) -> Floats:
    """Wald test of the log risk ratio; NaN where an arm has no event."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return _wald(np.log(a / n1) - np.log(c / n2), 1 / a - 1 / n1 + 1 / c - 1 / n2)


def _wald(estimate: Floats, variance: Floats) -> Floats:
    """Two-sided normal P; NaN where the variance is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.abs(estimate) / np.sqrt(variance)
    return np.where(variance > 0, 2 * ndtr(-z), np.nan)


@dataclass(frozen=True, slots=True)
class FisherP:
    """Two-sided P values of Fisher's test.

    Attributes
    ----------
    exact : ndarray
        Sum of the probabilities, given the margins, of all tables that are no likelier than the one observed.
    mid : ndarray
        The same less half of the probability of the tables that are exactly as likely as the one observed.
    doubled : ndarray
        Twice the smaller of the two one-sided P values, at most 1.
    """

    exact: Floats
    mid: Floats
    doubled: Floats


def fisher(a: Floats, n1: Floats, c: Floats, n2: Floats) -> FisherP:
    """Fisher's exact test of many tables at once.

    Parameters
    ----------
    a, n1, c, n2 : ndarray
        Counts, whole numbers.

    Returns
    -------
    FisherP
        NaN for a table of more than `MOST_PEOPLE` people, with a NaN or with a count below 0.

    Notes
    -----
    Fisher RA (1935). J R Stat Soc 98:39–82. Mid-P: Lancaster HO (1961). J Am Stat Assoc 56:223–234; Hirji KF (2006),
    Exact Analysis of Discrete Data, section 2.11. Twice the smaller tail: Agresti A (1992), Stat Sci 7:131–153.
    """
    table = np.broadcast_arrays(*(np.asarray(count, dtype=float) for count in (a, n1, c, n2)))
    first, size1, second, size2 = (count.ravel() for count in table)
    possible = (first >= 0) & (first <= size1) & (second >= 0) & (second <= size2) & (size1 + size2 <= MOST_PEOPLE)
    found = np.full((3, *first.shape), np.nan)
    rows = np.flatnonzero(possible)
    if len(rows):
        counts = np.stack([first, size1, second, size2])[:, rows].astype(np.int64)
        found[:, rows] = _fisher_chunks(counts)
    return FisherP(*(own.reshape(table[0].shape) for own in found))


def _fisher_chunks(counts: Counts) -> Floats:
    """Work through the tables in parts that fit into memory; `counts` has shape (4, m), the result (3, m)."""
    a, n1, c, n2 = counts
    lowest, highest = np.maximum(0, a + c - n2), np.minimum(n1, a + c)
    ends = np.cumsum(highest - lowest + 1)
    log_factorial = gammaln(np.arange((n1 + n2).max() + 1) + 1.0)
    parts = np.split(np.arange(len(a)), np.flatnonzero(np.diff(ends // _CHUNK)) + 1)
    found = [_fisher_part(counts[:, part], lowest[part], highest[part], log_factorial) for part in parts]
    return np.concatenate(found, axis=1)


def _fisher_part(counts: Counts, lowest: Counts, highest: Counts, log_factorial: Floats) -> Floats:
    """Sum over every table with the same margins; the tables of one row lie next to each other."""
    a, n1, c, n2 = counts
    m, width = a + c, highest - lowest + 1
    starts = np.cumsum(width) - width
    row = np.repeat(np.arange(len(a)), width)
    x = np.arange(width.sum()) - np.repeat(starts - lowest, width)
    weight = (log_factorial[x] + log_factorial[(m[row] - x)] + log_factorial[n1[row] - x]
              + log_factorial[n2[row] - m[row] + x])  # fmt: skip
    difference = weight[starts + a - lowest][row] - weight  # log likelihood less that of the table observed
    likelihood = np.exp(np.minimum.reduceat(weight, starts)[row] - weight)  # relative to the likeliest table
    tie = np.abs(difference) <= _TIE
    total = np.add.reduceat(likelihood, starts)
    extreme = np.add.reduceat(np.where((difference < 0) | tie, likelihood, 0.0), starts)
    equal = np.add.reduceat(np.where(tie, likelihood, 0.0), starts)
    tails = [np.add.reduceat(np.where(side, likelihood, 0.0), starts) for side in (x <= a[row], x >= a[row])]
    return np.stack([
        np.minimum(extreme / total, 1.0), (extreme - equal / 2) / total,
        np.minimum(2 * np.minimum(*tails) / total, 1.0),
    ])  # fmt: skip


# ---------------------------------------------------------------- ranks


def mann_whitney_normal_p(u: Floats, n1: Floats, n2: Floats, continuity: bool) -> Floats:
    """Mann–Whitney test by the normal approximation, without ties.

    Parameters
    ----------
    u : ndarray
        Mann–Whitney's U of either group; 0 (or n1·n2) when the groups do not overlap.
    n1, n2 : ndarray
        Sizes.
    continuity : bool
        Whether ½ is taken from |U − n1·n2/2|, not below 0.

    Notes
    -----
    Mann HB, Whitney DR (1947). Ann Math Stat 18:50–60.
    """
    distance = np.abs(np.asarray(u) - n1 * n2 / 2) - (0.5 if continuity else 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(2 * ndtr(-np.maximum(distance, 0.0) / np.sqrt(n1 * n2 * (n1 + n2 + 1) / 12)))


def mann_whitney_exact_p(u: Counts, n1: int, n2: int) -> Floats:
    """Exact Mann–Whitney test without ties: twice the smaller tail, at most 1.

    Parameters
    ----------
    u : ndarray of int
        U of either group, between 0 and n1·n2.
    n1, n2 : int
        Sizes, the same for all of `u`.
    """
    least = np.minimum(u, n1 * n2 - np.asarray(u))
    return np.minimum(2 * _mann_whitney_tail(int(n1), int(n2))[least], 1.0)


@cache
def _mann_whitney_tail(n1: int, n2: int) -> Floats:
    """P(U ≤ u) for u = 0, 1, …, n1·n2: partial sums of the Gaussian binomial coefficient."""
    ways = np.zeros(n1 * n2 + 1)
    ways[0] = 1.0
    for size in range(1, n1 + 1):
        ways[n2 + size :] -= ways[: len(ways) - n2 - size].copy() if n2 + size < len(ways) else 0.0
        for start in range(size, len(ways)):
            ways[start] += ways[start - size]
    return np.asarray(np.cumsum(ways) / ways.sum())


# ---------------------------------------------------------------- means


def t_p(difference: Floats, se: Floats, df: Floats) -> Floats:
    """Two-sided P of difference/SE by t with `df` degrees of freedom (normal where df is infinite).

    Also the paired t test: mean change, SD/√n and n − 1.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.abs(difference) / se
    return np.asarray(2 * np.where(np.isinf(df), ndtr(-t), stdtr(np.where(np.isinf(df), 1.0, df), -t)))


def student_se(sd1: Floats, n1: Floats, sd2: Floats, n2: Floats) -> Floats:
    """Standard error of a difference of means with the pooled SD; n1 + n2 − 2 degrees of freedom."""
    pooled = ((n1 - 1) * sd1**2 + (n2 - 1) * sd2**2) / (n1 + n2 - 2)
    return np.asarray(np.sqrt(pooled * (1 / n1 + 1 / n2)))


def welch_se(sd1: Floats, n1: Floats, sd2: Floats, n2: Floats) -> Floats:
    """Standard error of a difference of means with separate SDs; see `welch_df`."""
    return np.asarray(np.sqrt(sd1**2 / n1 + sd2**2 / n2))


def welch_df(sd1: Floats, n1: Floats, sd2: Floats, n2: Floats) -> Floats:
    """Welch and Satterthwaite's degrees of freedom (Welch 1947, Biometrika 34:28–35)."""
    v1, v2 = sd1**2 / n1, sd2**2 / n2
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray((v1 + v2) ** 2 / (v1**2 / (n1 - 1) + v2**2 / (n2 - 1)))


def student_p(mean1: Floats, sd1: Floats, n1: Floats, mean2: Floats, sd2: Floats, n2: Floats) -> Floats:
    """Student's t test of two means with the pooled SD."""
    return t_p(mean1 - mean2, student_se(sd1, n1, sd2, n2), np.asarray(n1 + n2 - 2.0))


def welch_p(mean1: Floats, sd1: Floats, n1: Floats, mean2: Floats, sd2: Floats, n2: Floats) -> Floats:
    """Welch's t test of two means with separate SDs."""
    return t_p(mean1 - mean2, welch_se(sd1, n1, sd2, n2), welch_df(sd1, n1, sd2, n2))


def one_way_p(mean: Floats, sd: Floats, n: Floats) -> Floats:
    """One-way analysis of variance of k groups from their moments.

    Parameters
    ----------
    mean, sd, n : ndarray, shape (..., k)
        Groups along the last axis.

    Returns
    -------
    ndarray, shape (...)
    """
    k, total = np.shape(mean)[-1], np.sum(n, axis=-1)
    grand = np.sum(n * mean, axis=-1) / total
    between = np.sum(n * (mean - np.expand_dims(grand, -1)) ** 2, axis=-1) / (k - 1)
    within = np.sum((n - 1) * sd**2, axis=-1) / (total - k)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(fdtrc(k - 1, total - k, between / within))
