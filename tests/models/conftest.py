"""Data that several model tests use."""

import numpy as np
import pytest

import metail2 as m2


@pytest.fixture
def bcg_frame():
    return m2.load_dataset("bcg").rename(columns={"tpos": "events1", "tn": "n1", "cpos": "events2", "cn": "n2"})


@pytest.fixture
def bcg(bcg_frame):
    return m2.effect_sizes(bcg_frame, "RR", study="author")


@pytest.fixture
def hackshaw():
    frame = m2.load_dataset("hackshaw1998")
    return np.array(frame["yi"]), np.array(frame["vi"])
