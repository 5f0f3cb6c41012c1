"""Data that tests of several articles use."""

import pytest
from printed_figures import read

import metail2 as m2


@pytest.fixture
def bcg():
    """The 13 trials of Colditz et al. 1994."""
    return m2.load_dataset("bcg").rename(columns={"tpos": "events1", "tn": "n1", "cpos": "events2", "cn": "n2"})


@pytest.fixture
def teachers():
    """The 19 studies of Raudenbush & Bryk 1985; `capped` is weeks of prior contact, at most 3."""
    frame = m2.load_dataset("raudenbush1985")
    moderators = frame.assign(capped=frame["weeks"].clip(upper=3))
    return m2.EffectSizes.from_arrays(frame["yi"], frame["vi"], frame["study"], moderators, measure="SMD")


@pytest.fixture
def pre_eclampsia():
    """Log odds ratios of Collins, Yusuf & Peto 1985."""
    return m2.effect_sizes(read("collins1985b"), "OR")


@pytest.fixture
def clasp():
    """Log odds ratios of the six trials of DerSimonian & Kacker 2007."""
    return m2.effect_sizes(read("dersimonian_kacker2007"), "OR")


@pytest.fixture
def st_johns_wort():
    """Log risk ratios of 17 trials of Linde et al. 2005, with dose and baseline centred as in Viechtbauer 2007."""
    effects = m2.effect_sizes(read("linde2005"), "RR")
    frame = effects.moderators
    grams = frame["milligrams"] * 7 * frame["weeks"] / 1000
    return effects.assign(dose=grams - 34, score=frame["baseline"] - 20)


@pytest.fixture
def smoothed(bcg):
    """Log risk ratios with the variances of Berkey et al. 1995: each arm's (1 − p)/p averaged over the trials."""

    def arm(events, n):
        return ((n - events) / events).sum() / (len(events) * n)

    vi = arm(bcg["events1"], bcg["n1"]) + arm(bcg["events2"], bcg["n2"])
    moderators = bcg.assign(latitude=bcg["ablat"] - 33.46)
    return m2.EffectSizes.from_arrays(m2.effect_sizes(bcg, "RR").yi, vi, bcg["author"], moderators, measure="RR")
