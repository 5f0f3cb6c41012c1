"""IQWiG's rule by its two intervals, written out: when Hartung–Knapp is corrected and when it is left alone."""

import numpy as np
import pytest
from scipy import stats

from metail2.kernels.coefficient_tests import TESTS
from metail2.kernels.fitted import fit_random_effects
from metail2.kernels.inference import wald

ALIKE = [0.30, 0.31, 0.29, 0.32, 0.30, 0.28, 0.31], [0.04, 0.05, 0.03, 0.06, 0.04, 0.05, 0.04]
FEW = [0.10, 0.45, 0.40], [0.05, 0.04, 0.06]
SPREAD = [0.1, 0.9, 0.4, -0.6], [0.02, 0.03, 0.05, 0.04]


def half_widths(yi, vi, tau2):
    """Half the width of the Hartung–Knapp interval, of the same ad hoc corrected, and of DerSimonian–Laird's."""
    yi, vi, k = np.array(yi), np.array(vi), len(yi)
    w, w0 = 1 / (vi + tau2), 1 / vi
    mean, mean0 = (w * yi).sum() / w.sum(), (w0 * yi).sum() / w0.sum()
    factor = (w * (yi - mean) ** 2).sum() / (k - 1)
    q = (w0 * (yi - mean0) ** 2).sum()
    dl = max(0.0, (q - (k - 1)) / (w0.sum() - (w0**2).sum() / w0.sum()))
    t = stats.t.ppf(0.975, k - 1)
    own, corrected = (t * np.sqrt(f / w.sum()) for f in (factor, max(1.0, factor)))
    return own, corrected, stats.norm.ppf(0.975) / np.sqrt((1 / (vi + dl)).sum())


def half_width(yi, vi, tau2="PM"):
    fitted = fit_random_effects(np.array(yi), np.array(vi), np.ones((len(yi), 1)), tau2)
    reference = TESTS["iqwig"].reference(fitted, 0.95)
    found = wald(fitted.beta, reference.variance, reference.df, 0.95)
    return float(found.upper[0] - found.lower[0]) / 2, fitted, reference


@pytest.mark.parametrize("tau2", ["PM", "REML", "DL"])
def test_narrower_than_dersimonian_laird_is_corrected(tau2):
    width, fitted, reference = half_width(*ALIKE, tau2)
    own, corrected, classic = half_widths(*ALIKE, float(fitted.tau2.value))
    assert own < classic
    assert width == pytest.approx(corrected, rel=1e-12)
    assert reference.factor == 1


def test_a_small_standard_error_alone_is_not_corrected():
    """Three studies that agree: the factor is below 1, but t on 2 df keeps the interval the wider one."""
    width, fitted, reference = half_width(*FEW)
    own, corrected, classic = half_widths(*FEW, float(fitted.tau2.value))
    assert classic < own < corrected
    assert width == pytest.approx(own, rel=1e-12)
    assert reference.factor == reference.knapp_hartung < 1


def test_a_wide_interval_is_hartung_knapps():
    width, fitted, _ = half_width(*SPREAD)
    assert width == pytest.approx(half_widths(*SPREAD, float(fitted.tau2.value))[0], rel=1e-12)


def test_equal_effects_get_the_corrected_interval_not_a_point():
    width, _, _ = half_width([0.5, 0.5, 0.5], [0.1, 0.2, 0.4])
    assert width == pytest.approx(stats.t.ppf(0.975, 2) / np.sqrt(17.5), rel=1e-12)


def test_each_of_many_fits_is_decided_for_itself():
    yi = np.array([FEW[0], [0.3, 0.31, 0.3], [0.1, 2.0, -1.0]])
    widths = [half_width(row, FEW[1])[0] for row in yi]
    fitted = fit_random_effects(yi, np.broadcast_to(FEW[1], (3, 3)), np.ones((3, 1)), "PM")
    reference = TESTS["iqwig"].reference(fitted, 0.95)
    half = stats.t.ppf(0.975, 2) * np.sqrt(reference.variance[:, 0])
    np.testing.assert_allclose(half, widths, rtol=1e-12)
