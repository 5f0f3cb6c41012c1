"""What the tests of this folder share: figures are compared at the digits printed, data come from `data/`."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import metail2 as m2

DATA = Path(__file__).parent / "data"


def printed(value, digits=4):
    """Agree with a printed figure, or a list of them: half a unit of the last digit and a hair."""
    return pytest.approx(value, rel=0, abs=0.51 * 10**-digits)


def read(name):
    return pd.read_csv(DATA / f"{name}.csv")


def generic(name):
    """Effects of a file that prints them as yi and vi; its other columns are moderators."""
    frame = read(name)
    return m2.EffectSizes.from_arrays(frame["yi"], frame["vi"], moderators=frame.drop(columns=["yi", "vi"]))


def row(result):
    return result.tidy().iloc[0]


def limits(result):
    """Estimate and interval."""
    return row(result)[["estimate", "ci_lower", "ci_upper"]].tolist()


def ratios(result):
    """Estimate and interval, exponentiated."""
    return np.exp(limits(result)).tolist()
