"""Sampling covariances from an assumed correlation, for effects of the same people.

Several outcomes, scales or times of one study are correlated, and the correlation is seldom printed. It is assumed
here, as one number or by pair of outcomes: state it and vary it.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from metail2.conversions.checks import Array, figures, refuse
from metail2.errors import EffectSizeError

Rows = npt.NDArray[np.intp]


class Block(NamedTuple):
    """The covariance matrix of one cluster.

    Attributes
    ----------
    cluster : Hashable
        Its label.
    rows : ndarray of int, shape (m,)
        Which effects belong to it, ascending.
    V : ndarray, shape (m, m)
        Their sampling covariance.
    """

    cluster: Hashable
    rows: Rows
    V: Array


def sampling_covariance(
    vi: npt.ArrayLike,
    cluster: npt.ArrayLike,
    rho: float | pd.DataFrame,
    *,
    outcome: npt.ArrayLike | None = None,
) -> Array:
    """Assemble the block-diagonal sampling covariance matrix of dependent effects, ρ·√(vᵢ·vⱼ) within a cluster.

    Parameters
    ----------
    vi : array_like, shape (k,)
        Sampling variances, above zero. NaN gives NaN in its row and column within the cluster.
    cluster : array_like, shape (k,)
        Which effects come from the same people: labels of the study or sample. They need not stand together.
    rho : float or DataFrame
        Assumed correlation of two effects of one cluster: one number, or a symmetric frame with the labels of
        `outcome` as rows and columns. Its diagonal is the correlation of two effects of one cluster which have the same
        outcome (two times, two scales).
    outcome : array_like, shape (k,), optional
        What each effect is about; needed for a frame.

    Returns
    -------
    ndarray, shape (k, k)
        Effects of different clusters have covariance 0. `covariance_blocks` gives the same without the zeros.

    Raises
    ------
    EffectSizeError
        When shapes differ, a variance is not above zero, a label is missing, a frame is not symmetric or lacks an
        outcome, or a cluster's matrix is not positive definite (for m effects, ρ must lie between −1/(m − 1) and 1).

    Examples
    --------
    >>> sampling_covariance([0.04, 0.09, 0.16], ["a", "a", "b"], rho=0.5)
    array([[0.04, 0.03, 0.  ],
           [0.03, 0.09, 0.  ],
           [0.  , 0.  , 0.16]])
    """
    blocks = covariance_blocks(vi, cluster, rho, outcome=outcome)
    k = sum(len(block.rows) for block in blocks)
    V = np.zeros((k, k))
    for block in blocks:
        V[np.ix_(block.rows, block.rows)] = block.V
    return V


def covariance_blocks(
    vi: npt.ArrayLike,
    cluster: npt.ArrayLike,
    rho: float | pd.DataFrame,
    *,
    outcome: npt.ArrayLike | None = None,
) -> list[Block]:
    """Give the blocks of `sampling_covariance`, whose memory grows with the clusters and not with k².

    Parameters
    ----------
    vi, cluster, rho, outcome
        As in `sampling_covariance`.

    Returns
    -------
    list of Block
        In order of the clusters' first appearance.

    Raises
    ------
    EffectSizeError
        As `sampling_covariance`.
    """
    (variances,) = figures(vi)
    if variances.ndim != 1:
        raise EffectSizeError(f"Sampling variances of shape {variances.shape} are not one value for each effect.")
    refuse((variances <= 0) | np.isinf(variances), "The sampling variance {vi} is not above zero", vi=variances)
    clusters, labels = _codes(cluster, len(variances), "cluster")
    table, position = _correlations(rho, outcome, len(variances))
    return [
        Block(labels[code], rows, _block(variances[rows], table[np.ix_(position[rows], position[rows])], labels[code]))
        for code, rows in enumerate(_rows_by_code(clusters))
    ]


def _codes(labels: npt.ArrayLike, k: int, name: str) -> tuple[Rows, list[Hashable]]:
    """Number labels in order of first appearance; refuse missing ones and another length."""
    values = np.asarray(labels, dtype=object)
    if values.shape != (k,):
        raise EffectSizeError(f"The {name} labels of shape {values.shape} are not one for each of {k} effects.")
    codes, found = pd.factorize(values)
    if (codes < 0).any():
        raise EffectSizeError(f"The {name} of row {int(np.argmax(codes < 0))} is missing.")
    return codes, list(found)


def _rows_by_code(codes: Rows) -> Iterator[Rows]:
    """Yield the rows of code 0, 1, …, each ascending."""
    if not len(codes):
        return iter(())
    order = np.argsort(codes, kind="stable")
    return iter(np.split(order, np.cumsum(np.bincount(codes))[:-1]))


def _correlations(rho: float | pd.DataFrame, outcome: npt.ArrayLike | None, k: int) -> tuple[Array, Rows]:
    """Table of correlations between outcomes, and where in it each effect stands."""
    if not isinstance(rho, pd.DataFrame):
        (one,) = figures(rho)
        if one.ndim or not np.abs(one) <= 1:
            raise EffectSizeError(f"The correlation rho = {rho} is not a number in [−1, 1].")
        return one.reshape(1, 1), np.zeros(k, dtype=np.intp)
    if outcome is None:
        raise EffectSizeError("A frame of correlations needs the outcome of each effect.")
    codes, labels = _codes(outcome, k, "outcome")
    return _frame(rho, labels), codes


def _frame(rho: pd.DataFrame, outcomes: list[Hashable]) -> Array:
    """Correlations in order of `outcomes`; refuse a frame that is not symmetric or lacks one."""
    for axis, name in ((rho.index, "row"), (rho.columns, "column")):
        if not axis.is_unique:
            raise EffectSizeError(f"The frame of correlations has a {name} twice.")
        lacking = [outcome for outcome in outcomes if outcome not in axis]
        if lacking:
            raise EffectSizeError(f"The frame of correlations has no {name} {lacking[0]!r}.")
    (table,) = figures(rho.loc[outcomes, outcomes].to_numpy())
    bad = ~(np.abs(table) <= 1) | ~np.isclose(table, table.T, rtol=0, atol=1e-12)
    if bad.any():
        i, j = (int(index) for index in np.argwhere(bad)[0])
        raise EffectSizeError(
            f"The correlations of {outcomes[i]!r} and {outcomes[j]!r}, {table[i, j]:.15g} and {table[j, i]:.15g}, are "
            "not one number in [−1, 1]."
        )
    return table


def _block(vi: Array, correlation: Array, cluster: Hashable) -> Array:
    """Covariance of one cluster; refuse correlations that no people could have."""
    correlation = correlation.copy()
    np.fill_diagonal(correlation, 1.0)
    lowest = float(np.linalg.eigvalsh(correlation)[0])
    if lowest <= 1e-12 * len(vi):
        raise EffectSizeError(
            f"The assumed correlations of the {len(vi)} effects of cluster {cluster!r} are impossible together: their "
            f"matrix has the eigenvalue {lowest:.3g} and is not positive definite."
        )
    se = np.sqrt(vi)
    covariance: Array = correlation * se[:, None] * se
    np.fill_diagonal(covariance, vi)
    return covariance
