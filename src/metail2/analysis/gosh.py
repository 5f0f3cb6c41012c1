"""Graphical display of study heterogeneity: the pooled mean of all subsets of the studies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metail2.analysis.blocks import NUMBERS
from metail2.analysis.refits import NO_I2, is_mean, labels, random_effects
from metail2.errors import ModelError, UnknownChoice
from metail2.kernels.fitted import Fitted, fit_random_effects
from metail2.kernels.heterogeneity import heterogeneity, i2_from_q, i2_from_tau2
from metail2.kernels.subsets import SubsetMeans, every_subset
from metail2.models.checks import check_count, check_seed
from metail2.models.random_effects_result import RandomEffectsResult

Integers = NDArray[np.int64]
Bits = NDArray[np.uint8]

MOST_ENUMERATED = 20
"""Up to this many studies all subsets are pooled."""
DRAWN = 100_000
"""Random subsets where there are more studies, unless the caller says otherwise."""
SHARED = {"CE": True, "DL": False}
"""Estimators whose sums subsets share, and whether they take a common effect."""

ONE_STUDY = "one study: its own effect, with nothing to compare it with"
BITS = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(axis=1)
"""Number of bits set in each byte."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Gosh:
    """Pooled means of subsets of the studies.

    Attributes
    ----------
    means : SubsetMeans
        The subsets' sizes, estimates, τ², Q and I².
    study : tuple of str
        Labels of the studies, in the order of the fit.
    packed : ndarray of uint8, shape (subsets, ⌈studies/8⌉)
        Which studies are in each subset: bit j (little-endian) of a row stands for study j.
    exhaustive : bool
        Whether these are all subsets.
    """

    means: SubsetMeans
    study: tuple[str, ...]
    packed: Bits
    exhaustive: bool

    def __repr__(self) -> str:
        what = f"All {len(self):,}" if self.exhaustive else f"{len(self):,} random"
        shown = {"pooled effect": self.means.estimate, "τ²": self.means.tau2, "I² (from Q), %": self.means.i2_q}
        figures = pd.DataFrame(shown).quantile([0, 0.5, 1]).T.set_axis(["smallest", "median", "largest"], axis=1)
        return f"{what} subsets of {len(self.study)} studies\n{figures.to_string()}"

    def table(self) -> pd.DataFrame:
        """Return one row a subset: ``k estimate tau2 i2 q i2_q note``.

        Its number of studies, the pooled effect, τ², I² from τ², Cochran's Q, and I² from Q (both percent). A subset of
        one study has its own effect, and NaN for all that compares studies; a common effect has no I² from τ²; `note`
        (categorical) says so.
        """
        columns = {field.name: getattr(self.means, field.name) for field in fields(self.means)}
        one = self.means.k == 1
        reason = np.where(one, 1, np.where(np.isnan(self.means.i2), 2, 0)).astype(np.int8)
        note = pd.Categorical.from_codes(reason, categories=pd.Index(["", ONE_STUDY, NO_I2]))
        return pd.DataFrame(columns | {"note": note}, copy=False)

    def __len__(self) -> int:
        return len(self.packed)

    def includes(self, study: str) -> NDArray[np.bool_]:
        """Which subsets hold a study, shape (subsets,).

        Raises
        ------
        UnknownChoice
            If no study of the fit has this label.
        ModelError
            If several have it.
        """
        if study not in self.study:
            raise UnknownChoice("study", study, self.study)
        if (same := self.study.count(study)) > 1:
            raise ModelError(f"{same} studies are labelled {study!r}; give each its own label.")
        j = self.study.index(study)
        return (self.packed[:, j // 8] >> (j % 8) & 1).astype(bool)

    def members(self, row: int) -> list[str]:
        """Labels of the studies in the subset of a row."""
        return [self.study[j] for j in np.flatnonzero(_unpacked(self.packed[row], len(self.study)))]


def gosh(
    result: RandomEffectsResult, subsets: int | None = None, seed: int | None = None, progress: bool = False
) -> Gosh:
    """Pool every subset of the studies, or a random sample of subsets, as the result was pooled.

    Parameters
    ----------
    result : RandomEffectsResult
        A pooled mean; its estimator of τ², and its weights if it has any, pool the subsets.
    subsets : int, optional
        How many subsets to draw at random. By default all 2^k − 1 that are not empty for up to 20 studies (as for any
        larger number than there are), otherwise 100,000. Up to 20 studies no subset is drawn twice; for more, every
        draw is independent, each subset as likely as any other.
    seed : int, optional
        Of the random draws; the same seed gives the same subsets.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Gosh

    Raises
    ------
    ModelError
        If the result has moderators or is of another model, the fit has one study, `subsets` is not a whole number
        above 0, or `seed` not one of at least 0.

    Notes
    -----
    Olkin I, Dahabreh IJ, Trikalinos TA (2012). Research Synthesis Methods 3:214–223. All subsets of a common effect or
    with DerSimonian–Laird share their sums; other estimators fit subsets of equal size together.
    """
    random_effects(result, "gosh")
    if not is_mean(result):
        raise ModelError("gosh shows one pooled effect beside its heterogeneity; pool without moderators.")
    if subsets is not None:
        subsets = check_count(subsets, "subsets", 1)
    rng = np.random.default_rng(check_seed(seed))
    study, k = tuple(labels(result)), result.k
    all_of_them = k <= MOST_ENUMERATED and (subsets is None or subsets >= 2**k - 1)
    packed = _everything(k) if all_of_them else _drawn(k, subsets or DRAWN, rng)
    own = result.fitted
    if all_of_them and own.estimator in SHARED and own.weights is None:
        means = every_subset(own.yi, own.vi, common=SHARED[own.estimator]).without_first()
    else:
        means = _by_size(own, packed, progress)
    return Gosh(means, study, packed, all_of_them)


def _everything(k: int) -> Bits:
    """Members of all subsets that are not empty; row s − 1 holds the bits of s."""
    return _as_bytes(np.arange(1, 2**k, dtype="<u4"), k)


def _as_bytes(subsets: Integers | NDArray[np.uint32], k: int) -> Bits:
    return np.ascontiguousarray(subsets.astype("<u4", copy=False).view(np.uint8).reshape(-1, 4)[:, : -(-k // 8)])


def _unpacked(packed: Bits, k: int) -> Bits:
    return np.unpackbits(packed, axis=-1, count=k, bitorder="little")


def _drawn(k: int, count: int, rng: np.random.Generator) -> Bits:
    """Members of random subsets that are not empty."""
    if k <= MOST_ENUMERATED:
        return _as_bytes(1 + np.sort(rng.choice(2**k - 1, count, replace=False)), k)
    packed = rng.integers(0, 256, (count, -(-k // 8)), dtype=np.uint8)
    packed[:, -1] &= (1 << ((k - 1) % 8 + 1)) - 1
    while (empty := ~packed.any(axis=1)).any():
        packed[empty] = _drawn(k, int(empty.sum()), rng)
    return packed


def _by_size(own: Fitted, packed: Bits, progress: bool) -> SubsetMeans:
    """Fit subsets of equal size together."""
    from tqdm import tqdm

    found = SubsetMeans.empty(len(packed))
    found.k[:] = BITS[packed].sum(axis=1)
    with tqdm(total=len(packed), unit="subset", disable=not progress) as bar:
        for rows in _equal_sizes(found.k):
            members = np.nonzero(_unpacked(packed[rows], own.k))[1].reshape(len(rows), -1)
            _fill(found, rows, own, members)
            bar.update(len(rows))
    return found


def _equal_sizes(sizes: Integers) -> Iterator[Integers]:
    """Rows of one size each, in blocks that bound the memory."""
    for size in np.unique(sizes):
        rows, step = np.flatnonzero(sizes == size), max(1, NUMBERS // int(size))
        yield from (rows[i : i + step] for i in range(0, len(rows), step))


def _fill(found: SubsetMeans, rows: Integers, own: Fitted, members: Integers) -> None:
    yi, vi, size = own.yi[members], own.vi[members], members.shape[1]
    if size == 1:
        found.estimate[rows] = yi[:, 0]
        return
    x = np.ones((size, 1))
    fitted = fit_random_effects(yi, vi, x, own.estimator, None if own.weights is None else own.weights[members])
    spread = heterogeneity(yi, vi, x)
    found.estimate[rows], found.tau2[rows], found.q[rows] = fitted.beta[:, 0], fitted.tau2.value, spread.q
    found.i2_q[rows] = i2_from_q(spread.q, spread.df)
    if own.estimator != "CE":
        found.i2[rows] = i2_from_tau2(fitted.tau2.value, spread.typical_variance)
