"""How coefficients are tested: a covariance, degrees of freedom, and a joint test, by the codes of the literature.

Sources: Hartung & Knapp 2001, Statistics in Medicine 20:3875–3889; Knapp & Hartung 2003, Statistics in Medicine
22:2693–2710.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from metail2.kernels.fitted import Fitted
from metail2.kernels.inference import FACTORS, Factor, JointTest, joint_test
from metail2.registry import Registry

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Reference:
    """What the coefficients of a fit are compared with.

    Attributes
    ----------
    covariance : ndarray, shape (..., p, p)
        Of the coefficients, as the test uses it.
    df : float, or ndarray of shape (..., p)
        Degrees of freedom of each coefficient's t distribution; inf for the normal.
    factor : ndarray, shape (...)
        What the model-based covariance was multiplied by (1 where it was not, or not by one number).
    knapp_hartung : ndarray, shape (...)
        The factor of Hartung and Knapp that belongs to this test: its own where it scales, s² otherwise.
    """

    covariance: Floats
    df: float | Floats
    factor: Floats
    knapp_hartung: Floats

    @property
    def variance(self) -> Floats:
        """Variances of the coefficients, shape (..., p)."""
        return np.diagonal(self.covariance, axis1=-2, axis2=-1)


def same_df(fitted: Fitted, reference: Reference, contrasts: Floats) -> float | Floats:
    """Degrees of freedom of every row of `contrasts`: those of any coefficient."""
    return reference.df


def wald_joint(fitted: Fitted, reference: Reference, contrasts: Floats) -> JointTest:
    """Wald's χ² or F test that ``contrasts @ beta`` is 0."""
    covariance = contrasts @ reference.covariance @ contrasts.T
    return joint_test(contrasts @ fitted.beta, covariance, float(np.max(reference.df)))


@dataclass(frozen=True, slots=True)
class TestRule:
    """One way to test.

    Attributes
    ----------
    reference : callable
        ``(fitted, level) → Reference``.
    contrast_df : callable
        ``(fitted, reference, contrasts) → df`` of each row of `contrasts`, shape (m, p).
    joint : callable
        ``(fitted, reference, contrasts) → JointTest`` of one fit (no leading axes).
    """

    __test__ = False  # the name begins as pytest's classes do

    reference: Callable[[Fitted, float], Reference]
    contrast_df: Callable[[Fitted, Reference, Floats], float | Floats] = same_df
    joint: Callable[[Fitted, Reference, Floats], JointTest] = wald_joint


TESTS: Registry[TestRule] = Registry("test")


def scaled(name: str, rule: Factor, fitted: Fitted, level: float) -> Reference:
    """Scale the covariance by the factor of `rule`."""
    s2 = fitted.s2
    factor, df = rule(s2, fitted.df)
    own = factor if name.startswith("knapp_hartung") else s2
    return Reference(factor[..., None, None] * fitted.covariance, df, factor, own)


for _name, _rule in FACTORS.items():
    TESTS.add(_name, TestRule(partial(scaled, _name, _rule)))
