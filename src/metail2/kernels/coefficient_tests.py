"""How coefficients are tested: a covariance, degrees of freedom, and a joint test, by the codes of the literature.

Sources: Hartung & Knapp 2001, Statistics in Medicine 20:3875–3889; Knapp & Hartung 2003, Statistics in Medicine
22:2693–2710; Kenward & Roger 1997, Biometrics 53:983–997; IQWiG 2020, General Methods, version 6.0; Schulz, Schürmann,
Skipka & Bender 2022, Methods in Molecular Biology 2345:91–102.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from metail2.kernels.fitted import Fitted
from metail2.kernels.inference import FACTORS, Factor, JointTest, joint_test, quantile
from metail2.kernels.kenward_roger import kenward_roger, kenward_roger_joint
from metail2.kernels.tau2 import TAU2
from metail2.kernels.wls import weighted_fit
from metail2.registry import Registry

Floats = NDArray[np.float64]


class Reference(NamedTuple):
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
        return self.covariance.diagonal(0, -2, -1)


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


def iqwig(fitted: Fitted, level: float) -> Reference:
    """Hartung–Knapp, ad hoc corrected only where its interval is narrower than that of DerSimonian and Laird.

    The rule of the Institute for Quality and Efficiency in Health Care (IQWiG) for a pooled effect: the factor is s²,
    and at least 1 where the Hartung–Knapp interval at `level` is shorter than the normal interval with τ² by
    DerSimonian–Laird. IQWiG's own analyses take τ² by Paule–Mandel; here τ² is that of the fit. With moderators the
    first coefficient decides for all.
    """
    classic = TAU2["DL"](fitted.yi, fitted.vi, fitted.x).value
    variance = weighted_fit(fitted.yi, 1 / (fitted.vi + classic[..., None]), fitted.x).covariance[..., 0, 0]
    df = float(fitted.df)
    own = quantile(level, df) ** 2 * fitted.s2 * fitted.covariance[..., 0, 0]
    narrower = own < quantile(level, np.inf) ** 2 * variance
    factor = np.where(narrower, np.maximum(fitted.s2, 1.0), fitted.s2)
    return Reference(factor[..., None, None] * fitted.covariance, df, factor, factor)


TESTS.add("iqwig", TestRule(iqwig))


def small_sample(fitted: Fitted, level: float) -> Reference:
    """Covariance and degrees of freedom of every coefficient by Kenward and Roger."""
    found, s2 = kenward_roger(fitted), fitted.s2
    return Reference(found.covariance, found.df(np.eye(fitted.x.shape[-1])), np.ones_like(s2), s2)


TESTS.add(
    "kenward_roger",
    TestRule(
        small_sample,
        lambda fitted, reference, contrasts: kenward_roger(fitted).df(contrasts),
        lambda fitted, reference, contrasts: kenward_roger_joint(fitted, contrasts),
    ),
)
