"""Pooled tables of counts from the literature with their printed figures; each test is named after its article."""

import pandas as pd
import pytest
from printed_figures import limits, printed, ratios, row

import metail2 as m2


# --------------------------------------------------------------------------- Colditz et al. 1994, beside Stata's metan
@pytest.mark.parametrize(
    ("measure", "pooled", "z", "q"),
    [
        ("RR", [-0.4537, -0.5308, -0.3766], -11.5338, 152.5676),
        ("OR", [-0.4734, -0.5538, -0.3930], -11.5444, 163.9426),
        ("RD", [-0.0033, -0.0039, -0.0027], -11.4708, 386.7759),
    ],
)
def test_colditz_1994_mantel_haenszel(bcg, measure, pooled, z, q):
    result = m2.MantelHaenszel(measure=measure).fit(bcg)
    assert limits(result) == printed(pooled)
    assert row(result)["statistic"] == printed(z)
    assert result.q == printed(q)


def test_colditz_1994_peto(bcg):
    result = m2.Peto().fit(bcg)
    assert limits(result) == printed([-0.4744, -0.5541, -0.3948])
    assert row(result)["statistic"] == printed(-11.6689)
    assert result.q == printed(167.7302)
    assert ratios(result) == printed([0.6222, 0.5746, 0.6738])


# --------------------------------------------------------------------------- Yusuf et al. 1985, p. 107
def test_yusuf_1985_table_6():
    result = m2.Peto().fit(m2.load_dataset("yusuf1985"))
    assert ratios(result) == printed([0.9332, 0.7385, 1.1792])
    state = result.studies().set_index("study")["state"]
    assert state.loc[["Pitt (1.12)", "Hutton (1.15)", "Yusuf (2.2)"]].tolist() == ["no_events"] * 3


# --------------------------------------------------------------------------- Rothman, Greenland & Lash 2008, ch. 15
@pytest.fixture
def smokers():
    # deaths and person-years of British doctors, smokers and others, in five age groups (Table 15-2)
    return pd.DataFrame({
        "events1": [32, 104, 206, 186, 102], "time1": [5.2407, 4.3248, 2.8612, 1.2663, 0.5317],
        "events2": [2, 12, 28, 28, 31], "time2": [1.8790, 1.0673, 0.5710, 0.2585, 0.1462],
    })  # fmt: skip


def test_rothman_table_15_2(smokers):
    difference = m2.MantelHaenszel(measure="IRD", level=0.9).fit(smokers)
    assert limits(difference) == printed([11.4392, 6.3498, 16.5286])
    assert difference.q == printed(26.8758)
    ratio = m2.MantelHaenszel(measure="IRR", level=0.9).fit(smokers)
    assert ratio.estimate == printed(0.3539)
    assert ratios(ratio) == printed([1.4247, 1.1944, 1.6994])
    assert ratio.q == printed(10.4117)


def test_rothman_table_15_5():
    # Down syndrome and spermicides before conception, by the mother's age
    frame = pd.DataFrame({"a": [3, 1], "b": [9, 3], "c": [104, 5], "d": [1059, 86]})
    result = m2.MantelHaenszel(measure="OR", level=0.9).fit(frame)
    assert result.estimate == printed(1.3300)
    assert ratios(result) == printed([3.7812, 1.4304, 9.9954])
