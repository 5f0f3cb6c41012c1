"""The location–scale cases of scale_permutation.json (metafor 5.1-12 on 46 studies of Bangert-Drowns et al. 2004)."""

import json
from pathlib import Path

import numpy as np
import pytest

import metail2 as m2
from metail2.models.location_scale import LocationScale

REFERENCE = json.loads((Path(__file__).parent / "scale_permutation.json").read_text())
BANGERT = REFERENCE["data"]["bangert"]
CASES = {case["link"]: case["expect"] for case in REFERENCE["cases"] if case["set"] == "bangert"}
# the reference reached the log link's optimum to 10 digits, the identity link's only to 3 or 4
TOLERANCE = {"log": 1e-7, "identity": 4e-4}


def fitted(link):
    effects = m2.EffectSizes.from_arrays(BANGERT["yi"], BANGERT["vi"], moderators={"length": BANGERT["length"]})
    return LocationScale("length", link, moderators="length" if link == "log" else None).fit(effects)


@pytest.mark.parametrize("link", CASES)
def test_coefficients_and_standard_errors(link):
    expect, rel = CASES[link], TOLERANCE[link]
    tidy = fitted(link).tidy()
    estimates = np.append(np.atleast_1d(expect["b"]), expect["alpha"])
    errors = np.append(np.atleast_1d(expect["se"]), expect["se_alpha"])
    np.testing.assert_allclose(tidy["estimate"], estimates, rtol=rel)
    np.testing.assert_allclose(tidy["se"], errors, rtol=rel)


@pytest.mark.parametrize("link", CASES)
def test_the_likelihood_is_at_least_the_references(link):
    ours = fitted(link).glance()["log_likelihood"].iloc[0]
    assert ours >= CASES[link]["logLik"] - 1e-11
    assert ours == pytest.approx(CASES[link]["logLik"], abs=1e-7)


def restricted_height(alpha):
    """Restricted log-likelihood of a mean at τ² = z′α, without the constant; written out, sharing no code."""
    y, v, length = (np.array(BANGERT[name], dtype=float) for name in ("yi", "vi", "length"))
    w = 1 / (v + alpha[0] + alpha[1] * length)
    mean = (w @ y) / w.sum()
    return 0.5 * (np.log(w).sum() - w @ (y - mean) ** 2 - np.log(w.sum()))


def test_where_the_identity_link_differs_ours_is_the_maximum():
    ours, theirs = fitted("identity").scale_wald.estimate, np.array(CASES["identity"]["alpha"])
    gain = restricted_height(ours) - restricted_height(theirs)
    assert gain == pytest.approx(4.96e-8, rel=0.01)
    # around ours the height falls on every side; around theirs it rises towards ours
    for angle in np.linspace(0, 2 * np.pi, 24, endpoint=False):
        away = 1e-3 * ours * np.array([np.cos(angle), np.sin(angle)])
        assert restricted_height(ours + away) < restricted_height(ours)
    assert restricted_height(theirs + 0.5 * (ours - theirs)) > restricted_height(theirs)
