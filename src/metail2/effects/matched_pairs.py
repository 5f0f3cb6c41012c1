"""Measures from matched pairs and cross-over trials: a event under both conditions, b only 1, c only 2, d neither."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from metail2.effects.counts import Problem, ZeroCells, check_not_negative, corrected, marked, require
from metail2.effects.definition import Family, Measure, measure
from metail2.effects.two_by_two import NOT_ADDED, TWO_BY_TWO, cells
from metail2.wording import number

Floats = NDArray[np.float64]
ROUNDING = 0.005
"""How far r may lie beyond its limits: a correlation is printed with two decimals."""


def _prepare(columns: Mapping[str, Floats], chosen: Measure, options: ZeroCells) -> dict[str, Floats]:
    check_not_negative(columns, "a", "b", "c", "d")
    a, b, c, d = (columns[name] for name in "abcd")
    zero = (a == 0) | (b == 0) | (c == 0) | (d == 0)
    ready = corrected({name: columns[name] for name in "abcd"}, zero, options, chosen.add)
    discordant = b + c > 0
    # The arms are the two conditions: no event in either, or no non-event in either.
    return marked(ready, ~discordant & ((a == 0) | (d == 0))) if options.drop00 else ready


def _prepare_margins(columns: Mapping[str, Floats], chosen: Measure, options: ZeroCells) -> dict[str, Floats]:
    require(columns, "r", np.abs(columns["r"]) <= 1, "must lie between −1 and 1")
    table = TWO_BY_TWO.prepare(columns, chosen, options)
    _check_same_pairs(columns)
    _check_possible_correlation(columns)
    return table | {"r": columns["r"]}


def _check_same_pairs(columns: Mapping[str, Floats]) -> None:
    """Both conditions were seen in the same patients, so their totals agree."""
    raw = cells(columns)
    n1, n2 = raw["a"] + raw["b"], raw["c"] + raw["d"]
    wrong = np.abs(n1 - n2) > 1e-9 * n1
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        column, other = ("n2", "equal n1") if "n2" in columns else ("d", "make c + d equal a + b")
        rule = f"must {other}, which is {n1[row]:g}, because both conditions were seen in the same patients"
        raise Problem(row, column, float(columns[column][row]), rule)


def _check_possible_correlation(columns: Mapping[str, Floats]) -> None:
    """Two binary variables with given margins have no correlation φ beyond certain limits (Fréchet bounds)."""
    raw = cells(columns)
    zero = np.min([raw[name] for name in "abcd"], axis=0) == 0  # a margin without spread has no correlation at all
    first, second = np.where(zero, np.nan, raw["a"] / raw["b"]), raw["c"] / raw["d"]  # odds
    ratio, product = np.sqrt(first / second), np.sqrt(first * second)
    highest, lowest = np.minimum(ratio, 1 / ratio), -np.minimum(product, 1 / product)
    r = columns["r"]
    wrong = (r > highest + ROUNDING) | (r < lowest - ROUNDING)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        rule = (
            f"must lie between {number(float(lowest[row]), 3)} and {number(float(highest[row]), 3)}, the limits that "
            "the events under the two conditions leave to their correlation"
        )
        raise Problem(row, "r", float(r[row]), rule)


MATCHED_PAIRS = Family("matched_pairs", (("a", "b", "c", "d"),), _prepare)
MATCHED_MARGINS = Family(
    "matched_margins", (("events1", "n1", "events2", "n2", "r"), ("a", "b", "c", "d", "r")), _prepare_margins
)
_CONCORDANT = f"no pair is discordant (b and c are 0), {NOT_ADDED}"
_MARGINAL = (
    "Becker MP, Balagtas CC (1993). Biometrics 49:997–1009; Elbourne DR et al. (2002). International Journal of "
    "Epidemiology 31:140–149"
)


@measure(
    "MPRR", "risk ratio (matched pairs)", MATCHED_PAIRS,
    formulas=("ln((a + b)/(a + c))", "(b + c)/((a + b)(a + c))"),
    scale="log risk ratio", transform="exp",
    no_variance=_CONCORDANT, citation="Zou GY (2007). Clinical Trials 4:25–31",
)  # fmt: skip
def paired_risk_ratio(a: Floats, b: Floats, c: Floats, d: Floats, vtype: str) -> tuple[Floats, Floats]:
    """Log ratio of the risks under the two conditions."""
    return np.log((a + b) / (a + c)), (b + c) / ((a + b) * (a + c))


@measure(
    "MPRD", "risk difference (matched pairs)", MATCHED_PAIRS,
    formulas=("(b − c)/n", "(b + c − (b − c)²/n)/n²"), bounds=(-1, 1),
    no_variance=f"no pair is discordant, or all are so in one direction, {NOT_ADDED}",
    citation="Newcombe RG (1998). Statistics in Medicine 17:2635–2650 (Wald variance)",
)  # fmt: skip
def paired_risk_difference(a: Floats, b: Floats, c: Floats, d: Floats, vtype: str) -> tuple[Floats, Floats]:
    """Difference of the risks under the two conditions, as a fraction."""
    n = a + b + c + d
    return (b - c) / n, ((b + c) * (a + d) + 4 * b * c) / n**3


@measure(
    "MPOR", "marginal odds ratio (matched pairs)", MATCHED_PAIRS,
    formulas=(
        "ln((a + b)(b + d)/((c + d)(a + c)))",
        "1/(a + b) + 1/(c + d) + 1/(a + c) + 1/(b + d) − 2n(ad − bc)/((a + b)(c + d)(a + c)(b + d))",
    ),
    scale="log odds ratio", transform="exp", no_variance=_CONCORDANT, citation=_MARGINAL,
)  # fmt: skip
def paired_marginal_odds_ratio(a: Floats, b: Floats, c: Floats, d: Floats, vtype: str) -> tuple[Floats, Floats]:
    """Log odds ratio of the two conditions' margins, for the population as a whole.

    The variance is computed as the multinomial mean of the squared derivatives, whose terms are all positive, so that
    it is exactly 0 where no pair is discordant.
    """
    e1, f1, e2, f2 = a + b, c + d, a + c, b + d
    concordant = (b - c) ** 2 * (a / (e1 * e2) ** 2 + d / (f1 * f2) ** 2)
    discordant = b * (1 / e1 + 1 / f2) ** 2 + c * (1 / f1 + 1 / e2) ** 2
    return np.log(e1 * f2 / (f1 * e2)), concordant + discordant


@measure(
    "MPORC", "conditional odds ratio (matched pairs)", MATCHED_PAIRS,
    formulas=("ln(b/c)", "1/b + 1/c"),
    scale="log odds ratio", transform="exp",
    citation="Breslow NE, Day NE (1980). Statistical Methods in Cancer Research, vol. I, ch. 5",
)  # fmt: skip
def paired_conditional_odds_ratio(a: Floats, b: Floats, c: Floats, d: Floats, vtype: str) -> tuple[Floats, Floats]:
    """Log odds ratio within pairs, from the discordant pairs only."""
    return np.log(b / c), 1 / b + 1 / c


@measure(
    "MPPETO", "conditional odds ratio (Peto, matched pairs)", MATCHED_PAIRS,
    formulas=("2(b − c)/(b + c)", "4/(b + c)"),
    scale="log odds ratio", transform="exp",
    citation="Yusuf S, Peto R, Lewis J, Collins R, Sleight P (1985). Progress in Cardiovascular Diseases 27:335–371 "
    "(each pair a stratum)",
)  # fmt: skip
def paired_peto_odds_ratio(a: Floats, b: Floats, c: Floats, d: Floats, vtype: str) -> tuple[Floats, Floats]:
    """Log odds ratio within pairs by Peto's one step: a discordant pair has O − E = ±½ and V = ¼."""
    return 2 * (b - c) / (b + c), 4 / (b + c)


@measure(
    "MPORM", "marginal odds ratio (matched pairs, from the margins)", MATCHED_MARGINS,
    formulas=("ln(ad/(bc)), rows are conditions", "1/a + 1/b + 1/c + 1/d − 2r·√(1/a + 1/b)·√(1/c + 1/d)"),
    scale="log odds ratio", transform="exp", citation=_MARGINAL,
    no_variance="r is 1, so that the conditions never differ",
)  # fmt: skip
def marginal_odds_ratio_from_margins(
    a: Floats, b: Floats, c: Floats, d: Floats, r: Floats, vtype: str
) -> tuple[Floats, Floats]:
    """Log odds ratio of two conditions in the same patients, with r, the φ coefficient between the conditions."""
    first, second = 1 / a + 1 / b, 1 / c + 1 / d
    # (√v1 − √v2)² + 2(1 − r)√(v1·v2) is the same variance without cancellation when r is near 1
    roots = np.sqrt(first) - np.sqrt(second)
    return np.log(a * d / (b * c)), roots**2 + 2 * (1 - r) * np.sqrt(first * second)
