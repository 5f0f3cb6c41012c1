"""validate and harmonise: every row that harmonise loses is named once, with what to look up, and no other row."""

import warnings

import numpy as np
import pandas as pd
import pytest

import metail2 as m2
from metail2.checks.validate import validate
from metail2.errors import MetailError
from metail2.records.mixed_columns import ESTIMATE_IS

THREE = {"study": ["Ames", "Bo", "Cy"]}
SIZES = THREE | {"n1": 30, "n2": 30}
MEANS = SIZES | {"mean1": [5.0, 6, 7], "mean2": [4.0, 5, 6], "sd2": 2.0}
TIMES = THREE | {"n": 30, "mean_post": [1.0, 2, 3], "mean_pre": [0.5, 1, 2]}


def compared(table, measure):
    """Rows that validate says are lost (as harmonise counts them), its findings, and whether each row has an effect."""
    findings = [one for one in validate(table, measure) if one.code in ("M004", "M006", "M007")]
    said = "needs the columns"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", m2.MetailWarning)
        try:
            complete = m2.harmonise(table, measure=measure).complete
        except MetailError as error:
            said = str(error)
            complete = np.zeros(len(table), dtype=bool)
    assert "needs the columns" in said or "has no column that" in said
    return [one.row - 2 for one in findings if one.code == "M007"], findings, complete


@pytest.mark.parametrize(
    ("measure", "columns", "says"),
    [
        ("MD", MEANS | {"sd1": [2, None, 2], "se": [None, 0.5, None]}, []),
        ("MD", MEANS | {"sd1": [2, None, 2], "se": None}, [
            "row 3, Bo: has no figure in column 'sd1', so its mean difference cannot be computed; look it up",
        ]),
        ("MD", MEANS | {"sd1": [2, None, 2], "t": [None, 2.0, None]}, []),
        ("MD", MEANS | {"t": [1.0, 2.0, None]}, [
            "row 4, Cy: has no figure in column 't', so its mean difference cannot be computed; look it up",
        ]),
        ("MD", MEANS | {"vi": 0.25}, []),
        ("MD", MEANS | {"estimate": 1, "p": [0.04, 1, 0.03]}, [
            "row 3, Bo: has no mean difference: a P of 1 leaves the standard error undetermined, so one or an interval "
            "is needed",
        ]),
        ("OR", THREE | {"estimate": [0.8, None, 0.9], "ci_lower": [0.6, 0.7, 0.7], "ci_upper": [1.1, 1.2, None]}, [
            "row 3, Bo: has no figure in column 'estimate', so its odds ratio cannot be computed; look it up",
            "row 4, Cy: has no figure in column 'ci_upper', so its odds ratio cannot be computed; look it up",
        ]),
        ("SMD", THREE | {"yi": [0.3, 0.4, None], "sei": [0.2, None, None]}, [
            "row 3, Bo: has no figure in column 'sei', so its standardised mean difference (Hedges' g) cannot be "
            "computed; look it up",
            "row 4, Cy: has no figures in columns 'yi' and 'sei', so its standardised mean difference (Hedges' g) "
            "cannot be computed; look them up",
        ]),
        ("OR", THREE | {"estimate": [0.3, 0.4, 0.5], "p": ["0.02", None, "0.04"]}, [
            "row 3, Bo: has no figure in column 'p', so its odds ratio cannot be computed; look it up",
        ]),
        ("ZBIS", SIZES | {"direction": 1, "p": [0.02, 0.04, None]}, [
            "row 4, Cy: has no figure in column 'p', so its biserial correlation cannot be computed; look it up",
        ]),
        ("ZBIS", SIZES | {"mean1": 5.0, "mean2": 4.0, "p": [0.02, 0.04, 0.3]}, []),
        ("MC", THREE | {"n": 30, "mean_change": 1.0, "mean_change_lower": [0.5, 0.4, None], "mean_change_upper": 2.0}, [
            "row 4, Cy: has no figure in column 'mean_change_lower', so its mean change cannot be computed; look it up",
        ]),
        ("SMCC", TIMES | {"se_change": [0.3, None, 0.4]}, [
            "row 3, Bo: has no figure in column 'se_change', so its standardised mean change (SD of the change) cannot "
            "be computed; look it up",
        ]),
        ("SMCC", TIMES | {"sd_post": 2.0, "sd_pre": 2.0, "r": [0.5, None, 0.3]}, [
            "row 3, Bo: has no figure in column 'r', so its standardised mean change (SD of the change) cannot be "
            "computed; look it up, or let harmonise assume one (r=0.5)",
        ]),
        ("MD", MEANS | {"sd1": None, "q1_1": [3.0, 4, 5], "q3_1": [7.0, None, 9], "min1": 1.0}, [
            "row 3, Bo: has no figure in column 'sd1', so its mean difference cannot be computed; look it up",
        ]),
        ("MPORC", THREE | {"a": [24, None, 20], "b": 12, "c": 9, "d": 20}, [
            "row 3, Bo: has no figure in column 'a', so its conditional odds ratio (matched pairs) cannot be computed; "
            "look it up",
        ]),
    ],
)  # fmt: skip
def test_a_lost_row_is_told_and_a_computed_one_is_not(measure, columns, says):
    told, findings, complete = compared(pd.DataFrame(columns), measure)
    assert [one.message for one in findings] == [f"table, {each}." for each in says]
    assert told == np.flatnonzero(~complete).tolist()


@pytest.mark.parametrize(
    ("measure", "columns", "says"),
    [
        ("OR", {"estimate": [0.8, 1.1, 0.9]}, "OR needs the columns estimate se, but se is missing; name a column so, "
         'or give se="its name"'),
        ("SMD", {"mean1": 1.0, "n1": 10, "mean2": 2.0, "n2": 10}, "SMD needs the columns mean1 sd1 n1 mean2 sd2 n2, "
         'but sd1 and sd2 are missing; name a column so, or give sd1="its name"'),
        ("MC", {"mean_post": 1.0, "mean_pre": 0.5, "n": 30}, "MC needs the columns mean_post mean_pre sd_change n, but "
         'sd_change is missing; name a column so, or give sd_change="its name"'),
        ("SMCR", {"mean_post": 1.0, "mean_pre": 0.5, "se_pre": 2.0, "n": 30}, "SMCR needs the columns mean_post "
         'mean_pre se_pre n r, but r is missing; name a column so, or give r="its name", or let harmonise assume one '
         "(r=0.5)"),
    ],
)  # fmt: skip
def test_columns_that_all_rows_lack_are_told_once(measure, columns, says):
    _, findings, complete = compared(pd.DataFrame(THREE | columns), measure)
    assert [(one.code, one.message) for one in findings] == [("M004", f"table: {says}.")]
    assert not complete.any()


def test_a_refused_row_is_told_if_nothing_else_is():
    table = pd.DataFrame(THREE | {"mean1": [5.0, 6, 7], "mean2": 4.0, "estimate": [0.4, 2, 0.5], "se": 0.2})
    (finding,) = (one for one in validate(table, "SMD") if one.code == "M007")
    assert finding.message == (
        "table, row 3, Bo: has no standardised mean difference (Hedges' g): column 'estimate' is 2, but it must be in "
        "SDs, and this is mean1 − mean2; give the SDs or the standardised estimate; correct the entry."
    )
    with pytest.raises(m2.MetailError, match="Bo: column 'estimate' is 2, but it must be in SDs"):
        m2.harmonise(table, measure="SMD")


def test_a_level_counts_beside_any_interval():
    level = [0.95, 0.9, 95]
    table = pd.DataFrame(THREE | {"n": 30, "mean_change": 1.0, "mean_change_lower": 0.5, "mean_change_upper": 1.5})
    assert [one.row for one in validate(table.assign(level=level), "MC")] == [4]


# ---------------------------------------------------------------- random tables

ARM = {"mean{}": 6.0, "sd{}": 2.0, "se{}": 0.4, "mean{}_lower": 5.2, "mean{}_upper": 6.8, "median{}": 6.1}
"""What is printed of 25 patients, near enough."""


def arm(suffix, shift=0.0):
    apart = f"_{suffix}" if suffix.isdigit() else suffix
    moments = {name.format(suffix): value if name[:2] in ("sd", "se") else value + shift for name, value in ARM.items()}
    quartiles = {f"q1{apart}": 4.6, f"q3{apart}": 7.4, f"min{suffix}": 2.0, f"max{suffix}": 10.0}
    return moments | {name: value + shift for name, value in quartiles.items()}


def effect(estimate, se):
    return {"yi": estimate, "vi": se**2, "sei": se, "se": se, "t": estimate / se, "p": 0.04}


TWO = arm("1", 1.2) | arm("2") | {"n1": 25, "n2": 25}
ONE = arm("_post", 1.2) | arm("_pre") | {"n": 25, "r": 0.5}
CHANGE = {"mean_change": 1.2, "sd_change": 2.0, "se_change": 0.4, "mean_change_lower": 0.4, "mean_change_upper": 2.0}
COUNTS = {"n1": 30, "n2": 30, "events1": 12, "events2": 6, "percent1": 40, "percent2": 20}
ODDS = {"estimate": np.exp(0.9), "ci_lower": np.exp(0.9 - 1.96 * 0.6), "ci_upper": np.exp(0.9 + 1.96 * 0.6)}
NORMAL = {"estimate": 0.6, "ci_lower": 0.6 - 1.96 * 0.29, "ci_upper": 0.6 + 1.96 * 0.29}
FIGURES = {
    "MD": TWO | effect(1.2, 0.57) | {"estimate": 1.2, "ci_lower": 0.05, "ci_upper": 2.35},
    "SMD": TWO | effect(0.6, 0.29) | NORMAL | {"d": 0.6, "g": 0.59, "f": 4.3, "direction": 1},
    "ZBIS": TWO | effect(0.38, 0.16) | {"estimate": 0.36, "d": 0.6, "f": 4.3, "direction": 1},
    "MC": ONE | CHANGE | effect(1.2, 0.4) | {"estimate": 1.2, "ci_lower": 0.4, "ci_upper": 2.0},
    "SMCC": ONE | CHANGE | effect(0.6, 0.29) | NORMAL | {"d": 0.6, "direction": 1},
    "OR": COUNTS | effect(0.9, 0.6) | ODDS | {"a": 12, "b": 18, "c": 6, "d": 24},
    "PR": {"events": 12, "n": 30, "percent": 40, "estimate": 0.4, "yi": 0.4, "vi": 0.008, "sei": 0.089, "se": 0.089},
    "HR": effect(0.9, 0.6) | ODDS | {"hr": np.exp(0.9), "log_hr": 0.9, "o_minus_e": 2.5, "v": 2.78},
    "COR": {"r": 0.4, "n": 40, "direction": 1, "estimate": 0.4} | effect(0.4, 0.13),
    "MN": arm("") | {"n": 25, "yi": 6.0, "vi": 0.16, "sei": 0.4, "estimate": 6.0, "ci_lower": 5.2, "ci_upper": 6.8},
}
"""Measure → what may be printed of one study, all of which agrees."""


def random_table(figures, dice):
    names = dice.choice(list(figures), size=dice.integers(1, min(9, len(figures)) + 1), replace=False)
    k, share = dice.integers(1, 4), dice.choice([0.0, 0.2, 0.4])
    cells = {name: [figures[name] if dice.random() >= share else None for _ in range(k)] for name in names}
    return pd.DataFrame({"study": [f"S{at}" for at in range(k)]} | cells)


@pytest.mark.parametrize("measure", FIGURES)
def test_validate_and_harmonise_lose_the_same_rows(measure):
    dice, both = np.random.default_rng(4), set()
    for _ in range(40):
        table = random_table(FIGURES[measure], dice)
        told, findings, complete = compared(table, measure)
        whole = [one for one in findings if one.code != "M007"]
        assert told == ([] if whole else np.flatnonzero(~complete).tolist()), table.to_dict("list")
        assert not (whole and complete.any()), table.to_dict("list")
        both |= set(complete.tolist())
    assert both == {True, False}
    assert ESTIMATE_IS.get(measure, "estimate") in FIGURES[measure]
