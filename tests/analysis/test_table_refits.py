"""Refits of count tables, beside the slow way through the tables of each result."""

import numpy as np
import pandas as pd
import pytest

import metail2 as m2
from metail2.analysis.cumulative import cumulative
from metail2.analysis.leave_one_out import leave_one_out
from metail2.analysis.refits import by_refits, members
from metail2.errors import MetailWarning

RNG = np.random.default_rng(17)
K = 24
TABLES = pd.DataFrame({"n1": RNG.integers(5, 90, K), "n2": RNG.integers(5, 60, K), "time1": 5.0, "time2": 7.5})
TABLES = TABLES.assign(
    study=[f"trial {i}" for i in range(K)],
    events1=RNG.binomial(TABLES["n1"], 0.05),
    events2=RNG.binomial(TABLES["n2"], 0.06),
)
SCORES = pd.DataFrame({"o_minus_e": [-2.0, 0.0, 1.5, 0.5], "v": [3.0, 0.0, 2.0, 1.0]})
FEW = TABLES.iloc[:4].assign(events1=[0, 1, 0, 2], events2=[0, 0, 3, 0])
SILENT = TABLES.iloc[:6].assign(events1=[0, 8, 0, 5, 2, 0], n1=[9, 8, 7, 5, 60, 9], events2=[0, 9, 0, 6, 0, 1], n2=9)
FULL = pd.DataFrame({"a": [9, 0, 4], "b": [0, 8, 0], "c": [7, 0, 5], "d": [0, 6, 0]})
MODELS = {
    "OR": (m2.MantelHaenszel("OR"), TABLES),
    "RR": (m2.MantelHaenszel("RR", to="all"), TABLES),
    "RD": (m2.MantelHaenszel("RD", level=0.8), TABLES),
    "IRR": (m2.MantelHaenszel("IRR", to="none"), TABLES),
    "IRD": (m2.MantelHaenszel("IRD"), TABLES),
    "if0all": (m2.MantelHaenszel("OR", to="if0all"), TABLES.assign(events1=[0] + [3] * (K - 1), events2=2)),
    "few": (m2.MantelHaenszel("OR"), FEW),
    "silent": (m2.MantelHaenszel("OR", to="none"), SILENT),
    "silent RR": (m2.MantelHaenszel("RR"), SILENT),
    "silent Peto": (m2.Peto(), SILENT),
    "few RR": (m2.MantelHaenszel("RR"), FEW),
    "certain": (m2.MantelHaenszel("RD"), FULL),
    "Peto": (m2.Peto(), TABLES),
    "Peto few": (m2.Peto(), FEW),
    "scores": (m2.Peto(), SCORES),
    "repeated": (m2.MantelHaenszel("OR"), TABLES.assign(study=["twice", "twice", *"abcdefghijklmnopqrstuv"])),
}


def expected(result, subsets):
    study = result.effects.study
    return by_refits(result, [study[i] for i in members(result)], subsets)


@pytest.mark.filterwarnings("ignore::metail2.errors.MetailWarning")
@pytest.mark.parametrize(("model", "tables"), MODELS.values(), ids=MODELS)
def test_figures_and_notes_are_those_of_whole_results(model, tables):
    result = model.fit(tables)
    used = members(result)
    left_out = expected(result, [np.delete(used, i) for i in range(len(used))])
    pd.testing.assert_frame_equal(leave_one_out(result), left_out, rtol=1e-12)
    so_far = expected(result, [used[: n + 1] for n in range(len(used))])
    pd.testing.assert_frame_equal(cumulative(result), so_far, rtol=1e-12)


MANY = pd.concat([TABLES.assign(events1=1, events2=2), TABLES, FEW, TABLES.assign(events2=0), FEW], ignore_index=True)
ALL = pd.DataFrame({"n1": range(5, 14), "n2": 8, "time1": 5.0, "time2": 7.5, "events1": range(5, 14), "events2": 8})
MANY = pd.concat([MANY, ALL], ignore_index=True)
MANY = MANY.assign(study=[f"trial {i}" for i in range(len(MANY))])


@pytest.mark.parametrize("to", ["only0", "all", "if0all", "none"])
@pytest.mark.parametrize("measure", ["OR", "RR", "RD", "IRR", "IRD"])
def test_many_alike_tables(measure, to):
    """Most deletions of a kind are worded once, those of studies that a note names one by one."""
    result = m2.MantelHaenszel(measure, to=to).fit(MANY)
    used = members(result)
    left_out = expected(result, [np.delete(used, i) for i in range(len(used))])
    pd.testing.assert_frame_equal(leave_one_out(result), left_out, rtol=1e-12)
    assert left_out["note"].nunique() > (1 if to == "all" else 5)


@pytest.mark.filterwarnings("ignore::metail2.errors.MetailWarning")
def test_many_tables_of_which_all_or_one_are_undefined():
    none = MANY.assign(events2=0)
    for tables in (none, none.assign(events2=[1] + [0] * (len(MANY) - 1))):
        result = m2.MantelHaenszel("OR").fit(tables)
        used = members(result)
        left_out = expected(result, [np.delete(used, i) for i in range(len(used))])
        pd.testing.assert_frame_equal(leave_one_out(result), left_out, rtol=1e-12)
        assert left_out["estimate"].isna().any()


def test_missing_counts_do_not_appear():
    with pytest.warns(MetailWarning, match="left out"):
        result = m2.MantelHaenszel("RR").fit(TABLES.assign(events1=[np.nan, *TABLES["events1"][1:]]))
    table = leave_one_out(result)
    assert "trial 0" not in table["study"].to_list()
    pd.testing.assert_frame_equal(table, leave_one_out(m2.MantelHaenszel("RR").fit(TABLES[1:])))
