"""A random-effects fit without each of its studies in turn, in blocks that bound the memory.

Every deletion is a fit like any other: the effects that remain are rows of a sliding window over the effects laid end
to end, so that no k × k array is made, and the kernels broadcast over a block of rows. Means by a likelihood, the
default, share their sums instead (`leave_one_out_mean`), and so does the search for τ² of regressions
(`leave_one_out_regression`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from metail2.kernels.coefficient_tests import TESTS
from metail2.kernels.fitted import Fitted, at_tau2, fit_random_effects
from metail2.kernels.heterogeneity import heterogeneity
from metail2.kernels.inference import FACTORS, Factor
from metail2.kernels.leave_one_out_mean import mean_without_each
from metail2.kernels.leave_one_out_regression import from_starts, starts
from metail2.kernels.likelihood import profile_ml, profile_reml
from metail2.kernels.tau2 import Tau2Estimate, unmeasured

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

BLOCK = 131_072
"""Numbers in one array of a block: small enough for a processor's cache."""
LIKELIHOODS = ("ML", "REML")


@dataclass(frozen=True, slots=True)
class Deletions:
    """Fits without each study: entry i is the fit without study i, NaN where there is none.

    Attributes
    ----------
    beta : ndarray, shape (k, p)
        Coefficients.
    covariance : ndarray, shape (k, p, p)
        Their covariance as the test uses it.
    model_covariance : ndarray, shape (k, p, p)
        Their covariance before the test scales or adjusts it.
    df : ndarray, shape (k, p)
        Degrees of freedom of each coefficient's t distribution; inf for the normal.
    factor : ndarray, shape (k,)
        What the model-based covariance was multiplied by.
    tau2, q, typical_variance : ndarray, shape (k,)
        τ², Cochran's Q and the typical sampling variance.
    """

    beta: Floats
    covariance: Floats
    model_covariance: Floats
    df: Floats
    factor: Floats
    tau2: Floats
    q: Floats
    typical_variance: Floats


def without_each(fitted: Fitted, test: str, level: float, estimable: NDArray[np.bool_] | None = None) -> Deletions:
    """Fit without each study.

    Parameters
    ----------
    fitted : Fitted
        One fit (no leading axes).
    test : str
        A code of `TESTS`.
    level : float
        Confidence level, on which some tests depend.
    estimable : ndarray of bool, shape (k,), optional
        Which deletions leave a design of full rank and more studies than coefficients; all by default.
    """
    k, p = fitted.x.shape
    wanted = np.arange(k) if estimable is None else np.flatnonzero(estimable)
    simple = fitted.weights is None and fitted.estimator in LIKELIHOODS and test in FACTORS
    if simple and _is_mean(fitted.x) and len(wanted):
        return _means(fitted, FACTORS[test])
    found = Deletions(*(np.full(shape, np.nan) for shape in ((k, p), (k, p, p), (k, p, p), (k, p), k, k, k, k)))
    for rows, part in _fits(fitted, wanted):
        reference, spread = TESTS[test].reference(part, level), heterogeneity(part.yi, part.vi, part.x)
        found.beta[rows], found.covariance[rows] = part.beta, reference.covariance
        found.model_covariance[rows], found.df[rows] = part.covariance, reference.df
        found.factor[rows], found.tau2[rows] = reference.factor, part.tau2.value
        found.q[rows], found.typical_variance[rows] = spread.q, spread.typical_variance
    return found


def _is_mean(x: Floats) -> bool:
    return bool(x.shape[1] == 1 and (x == 1).all())


def _means(fitted: Fitted, rule: Factor) -> Deletions:
    """Deletions from a mean by a likelihood, whose sums are shared."""
    found = mean_without_each(fitted.yi, fitted.vi, restricted=fitted.estimator == "REML")
    factor, df = rule(found.s2, fitted.df - 1)
    model = found.variance[:, None, None]
    covariance, every_df = factor[:, None, None] * model, np.full((fitted.k, 1), df)
    spread = (found.q, found.typical_variance)
    return Deletions(found.beta[:, None], covariance, model, every_df, factor, found.tau2, *spread)


def _fits(fitted: Fitted, wanted: Integers) -> Iterator[tuple[Integers, Fitted]]:
    """Yield blocks of deletions with their fits."""
    others, near = _Others(fitted), np.full(fitted.k, np.nan)
    if fitted.estimator in LIKELIHOODS and others.x is not None:
        near = starts(fitted.yi, fitted.vi, fitted.x, restricted=fitted.estimator == "REML")
    known = np.isfinite(near[wanted])
    left = [wanted[~known]]
    for rows in others.blocks(wanted[known]):
        found = others.fit_from(rows, near[rows])
        if found is None:
            left.append(rows)
        else:
            yield rows, found
    for rows in others.blocks(np.concatenate(left)):
        yield rows, others.fit(rows)


class _Others:
    """The studies that remain without each one, as views that take no memory."""

    def __init__(self, fitted: Fitted) -> None:
        self.whole = fitted
        self.yi, self.vi = left_out(fitted.yi), left_out(fitted.vi)
        self.weights = None if fitted.weights is None else left_out(fitted.weights)
        self.x = None if _is_mean(fitted.x) else np.swapaxes(left_out(fitted.x), -1, -2)

    def blocks(self, wanted: Integers) -> Iterator[Integers]:
        """Cut deletions into blocks that bound the memory."""
        size = max(1, BLOCK // self.whole.x.size)
        return (wanted[i : i + size] for i in range(0, len(wanted), size))

    def _data(self, rows: Integers) -> tuple[Floats, Floats, Floats]:
        return self.yi[rows], self.vi[rows], self.whole.x[1:] if self.x is None else self.x[rows]

    def _own_weights(self, rows: Integers) -> Floats | None:
        return None if self.weights is None else self.weights[rows]

    def fit(self, rows: Integers) -> Fitted:
        """Fit some deletions."""
        return fit_random_effects(*self._data(rows), self.whole.estimator, self._own_weights(rows))

    def fit_from(self, rows: Integers, near: Floats) -> Fitted | None:
        """Fit some deletions whose only maximum is near a known τ²; None where it was not reached."""
        data = self._data(rows)
        found = from_starts(profile_reml if self.whole.estimator == "REML" else profile_ml, *data, near)
        if found is None:
            return None
        tau2, fit, steps = found
        estimate = Tau2Estimate(tau2, steps, np.ones(len(rows), dtype=np.int64), partial(unmeasured, tau2), fit)
        return at_tau2(*data, self.whole.estimator, estimate, self._own_weights(rows))


def left_out(values: Floats) -> Floats:
    """Row i holds all entries of the first axis but entry i, in cyclic order; a view, shape (k, ..., k − 1)."""
    twice = np.concatenate([values, values[:-1]])
    return np.asarray(sliding_window_view(twice, len(values) - 1, axis=0)[1:])
