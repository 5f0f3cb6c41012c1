"""Estimators of τ² from the literature with their printed figures; each test is named after its article."""

import numpy as np
import pytest
from printed_figures import generic, printed

import metail2 as m2
from metail2.kernels.likelihood import log_likelihood, restricted_log_likelihood
from metail2.kernels.quadratic_forms import probability_below
from metail2.kernels.wls import weighted_fit

# --------------------------------------------------------------------------- Viechtbauer 2005, pp. 271–272
CODES = ["HS", "HE", "DL", "ML", "REML", "EB", "SJ"]
VIECHTBAUER_2005 = {
    "viechtbauer2005_example1": {
        "tau2": [0.2282, 0.1484, 0.2768, 0.1967, 0.2232, 0.1920, 0.1992],
        "i2": [77.2284, 68.7988, 80.4447, 74.5098, 76.8399, 74.0511, 74.7545],
        "tau2_se": [0.1328, 0.1234, 0.1841, 0.1255, 0.1464, 0.1330, 0.0979],
    },
    "viechtbauer2005_example2": {
        "tau2": [0.0099, 0, 0.0126, 0.0132, 0.0157, 0.0104, 0.0248],
        "i2": [22.9266, 0, 27.5275, 28.4505, 32.0203, 23.7198, 42.6734],
    },
}


@pytest.mark.parametrize("name", VIECHTBAUER_2005)
@pytest.mark.parametrize("code", CODES)
def test_viechtbauer_2005(name, code):
    """The article prints τ² to three digits and I² to two; software gives four, and there the searches show.

    The I² of ML, REML and EB are those of τ² up to 1e-4 (relative) from the optimum: see the next test.
    """
    glance = m2.pool(generic(name), tau2=code).glance().iloc[0]
    searched = code in ("ML", "REML", "EB")
    for column, figures in VIECHTBAUER_2005[name].items():
        digits = 2 if searched and column == "i2" else 4
        assert glance[column] == printed(figures[CODES.index(code)], digits)


@pytest.mark.parametrize(
    ("example", "code", "distance"),
    [
        (1, "ML", lambda fit, x: -log_likelihood(fit, x)),
        (1, "REML", lambda fit, x: -restricted_log_likelihood(fit, x)),
        (2, "ML", lambda fit, x: -log_likelihood(fit, x)),
        (2, "REML", lambda fit, x: -restricted_log_likelihood(fit, x)),
        (2, "EB", lambda fit, x: abs(fit.q() - 17)),
    ],
)
def test_viechtbauer_2005_searches(example, code, distance):
    """The τ² behind the printed I² of ML, REML and EB is further from the optimum than ours."""
    name = f"viechtbauer2005_example{example}"
    result = m2.pool(generic(name), tau2=code)
    i2 = VIECHTBAUER_2005[name]["i2"][CODES.index(code)]
    effects, x = result.effects, result.design.x
    ended = weighted_fit(effects.yi, 1 / (effects.vi + result.spread.typical_variance * i2 / (100 - i2)), x)
    assert distance(ended, x) > distance(result.fit, x)


# --------------------------------------------------------------------------- DerSimonian & Kacker 2007, CLASP
@pytest.mark.parametrize(
    ("code", "tau", "mean", "se"),
    [
        ("PM", 0.3681, -0.3811, 0.2060),
        ("HE", 0.4410, -0.4035, 0.2327),
        ("DL", 0.2323, -0.3240, 0.1540),
        ("EB", 0.3681, -0.3811, 0.2060),
        ("REML", 0.1843, -0.2980, 0.1343),
        ("HS", 0.1330, -0.2666, 0.1125),
        ("SJ", 0.4572, -0.4079, 0.2386),
        ("HSk", 0.1644, -0.2863, 0.1259),
        ("PMM", 0.4341, -0.4016, 0.2302),
    ],
)
def test_dersimonian_kacker_2007_clasp(clasp, code, tau, mean, se):
    """Tables 3 and 4; the article's CA is HE. SJ, HSk and PMM are of other software, for the same data."""
    result = m2.pool(clasp, tau2=code, test="z")
    assert [np.sqrt(result.tau2), result.estimate, result.se] == printed([tau, mean, se])


def test_dersimonian_kacker_2007_clasp_ml(clasp):
    """Maximum likelihood: τ = 0.0023 is printed, 0 is the maximum, and μ and its standard error are the same at both.

    The log-likelihood falls from τ² = 0 on: −3.268071 there, −3.268182 at 0.0023².
    """
    result = m2.pool(clasp, tau2="ML", test="z")
    assert result.tau2 == 0
    assert [result.estimate, result.se] == printed([-0.1974, 0.0694], 3)
    x = result.design.x
    ended = weighted_fit(clasp.yi, 1 / (clasp.vi + 0.0023**2), x)
    assert [ended.beta[0], np.sqrt(ended.covariance[0, 0])] == printed([-0.1974, 0.0694])
    assert log_likelihood(result.fit, x) > log_likelihood(ended, x)
    grid = [log_likelihood(weighted_fit(clasp.yi, 1 / (clasp.vi + t), x), x) for t in np.geomspace(1e-12, 10, 400)]
    assert max(grid) < log_likelihood(result.fit, x)


def two_steps(effects, tau2, code):
    """τ² of a second step whose fixed weights are 1/(v + τ²) of the first; for SJ a multiple of the first τ²."""
    if code == "SJ2":
        return tau2 * m2.pool(effects.yi, effects.vi + tau2).q / (len(effects) - 1)
    weighted = effects.assign(second=1 / (effects.vi + tau2))
    return m2.pool(weighted, tau2="GENQ", weights="second").tau2


@pytest.mark.parametrize(
    ("code", "first", "tau", "mean", "se"),
    [
        ("CA2", "HE", 0.3831, -0.3861, 0.2115),
        ("DL2", "DL", 0.3254, -0.3655, 0.1901),
        ("SJ2", "HE", 0.4084, -0.3941, 0.2208),
    ],
)
def test_dersimonian_kacker_2007_clasp_two_steps(clasp, code, first, tau, mean, se):
    """CA2 and DL2 are the generalised moment estimator with the weights of the first step; μ has those of the second.

    SJ2 is Sidik & Jonkman's estimator begun at HE (Computational Statistics & Data Analysis 2006, 50:3681–3701).
    """
    tau2 = two_steps(clasp, m2.pool(clasp, tau2=first).tau2, code)
    result = m2.pool(clasp.yi, clasp.vi + tau2, tau2="CE", test="z")
    assert [np.sqrt(tau2), result.estimate, result.se] == printed([tau, mean, se])


def test_dersimonian_kacker_2007_clasp_median(clasp):
    """GENQM with weights 1/v, which the mean has too: τ and μ as printed, the standard error 0.2341 (not 0.2342).

    0.2342 needs a τ of at least 0.29293, where P(Q ≤ observed) is 0.49994; at the median-unbiased 0.292895 it is 0.5.
    """
    result = m2.pool(clasp.assign(w=1 / clasp.vi), tau2="GENQM", weights="w", test="z")
    assert [np.sqrt(result.tau2), result.estimate, result.se] == printed([0.2929, -0.1973, 0.2341])

    def below(tau2):
        return probability_below(np.asarray(result.q), clasp.vi + tau2, result.design.x, 1 / clasp.vi)

    assert below(result.tau2) == pytest.approx(0.5, rel=1e-10)
    w = 1 / clasp.vi / (1 / clasp.vi).sum()
    assert np.sqrt((w**2 * (clasp.vi + 0.29293**2)).sum()) == printed(0.2342)
    assert below(0.29293**2) < 0.49995


# --------------------------------------------------------------------------- Viechtbauer 2007, tutorial
MODERATORS = "dose * score"


@pytest.mark.parametrize(
    ("code", "tau2", "digits"),
    [("HS", 0.0253, 4), ("HE", 0.0388, 4), ("DL", 0.0475, 4), ("SJ", 0.0912, 4), ("PM", 0.0633, 4), ("EB", 0.0633, 4),
     ("ML", 0.024, 3), ("REML", 0.0558, 4)],
)  # fmt: skip
def test_viechtbauer_2007_tutorial(st_johns_wort, code, tau2, digits):
    result = m2.pool(st_johns_wort, tau2=code, test="z", moderators=MODERATORS)
    assert result.tau2 == printed(tau2, digits)


def test_viechtbauer_2007_tutorial_weights(st_johns_wort):
    """The generalised moment estimator, weighted by the number of patients."""
    patients = st_johns_wort.assign(patients=st_johns_wort.moderators[["n1", "n2"]].sum(axis=1))
    result = m2.pool(patients, tau2="GENQ", weights="patients", moderators=MODERATORS)
    assert result.tau2 == printed(0.0600)


def test_viechtbauer_2007_tutorial_iterated_moments(st_johns_wort):
    """DL, its weights brought up to date until τ² stays, ends at Paule–Mandel's 0.0633."""
    tau2 = m2.pool(st_johns_wort, tau2="DL", moderators=MODERATORS).tau2
    for _ in range(60):
        weighted = st_johns_wort.assign(w=1 / (st_johns_wort.vi + tau2))
        tau2 = m2.pool(weighted, tau2="GENQ", weights="w", moderators=MODERATORS).tau2
    assert tau2 == printed(0.0633)
    assert tau2 == pytest.approx(m2.pool(st_johns_wort, tau2="PM", moderators=MODERATORS).tau2, rel=1e-10)
