"""Numbers and names as readers see them; the same words in the terminal, on pictures and in reports."""

from __future__ import annotations

import math
import re
from decimal import Decimal

MINUS = "−"

TAU2_NAMES = {
    "CE": "common effect (τ² = 0)",
    "DL": "DerSimonian–Laird",
    "HE": "Hedges",
    "HS": "Hunter–Schmidt",
    "HSk": "Hunter–Schmidt, small-sample corrected",
    "SJ": "Sidik–Jonkman",
    "ML": "maximum likelihood",
    "REML": "restricted maximum likelihood",
    "EB": "empirical Bayes",
    "PM": "Paule–Mandel",
    "PMM": "Paule–Mandel, median-unbiased",
    "GENQ": "generalised Q moment estimator, the user's weights",
    "GENQM": "generalised Q, median-unbiased, the user's weights",
    "MH": "Mantel–Haenszel",
    "PETO": "Peto",
    "UM.FS": "exact likelihood of both arms, fixed study intercepts",
    "UM.RS": "exact likelihood of both arms, random study intercepts",
    "CM.EL": "exact likelihood given each study's events",
    "CM.AL": "approximate likelihood given each study's events",
    "BB": "beta-binomial",
}
TEST_NAMES = {
    "z": "normal (z)",
    "t": "t distribution",
    "knapp_hartung": "Hartung–Knapp",
    "knapp_hartung_adhoc": "Hartung–Knapp, ad hoc corrected",
    "iqwig": "Hartung–Knapp, ad hoc corrected by IQWiG's rule",
    "kenward_roger": "Kenward–Roger",
}
PREDICTION_NAMES = {
    "normal": "normal quantile",
    "t_k1": "t, k − 1 df",
    "hts": "Higgins–Thompson–Spiegelhalter, t with k − 2 df",
    "hk": "t, k − 1 df, Hartung–Knapp SE",
    "hk_pr": "Partlett–Riley, t with k − 2 df, Hartung–Knapp SE",
    "kr": "Kenward–Roger SE and df",
    "kr_pr": "Partlett–Riley, Kenward–Roger SE and df − 1",
    "nagashima": "Nagashima–Noma–Furukawa, simulated",
}


def number(value: float, digits: int = 2) -> str:
    """Write `value` with `digits` decimals, and more where it would read as zero; a true minus sign.

    >>> number(-0.071)
    '−0.07'
    >>> number(0.00071)
    '0.00071'
    """
    if math.isnan(value):
        return "not estimable"
    if math.isinf(value):
        return "∞" if value > 0 else f"{MINUS}∞"
    size = abs(value)
    if size >= 1e5 or 0 < size < 1e-4:
        text = f"{value:.{digits}e}"
    elif 0 < size < 0.5 * 10**-digits:
        text = f"{value:.2g}"
    else:
        text = f"{value:.{digits}f}"
    if float(text) == 0:
        text = text.lstrip("-")
    return text.replace("-", MINUS)


def interval(lower: float, upper: float, digits: int = 2) -> str:
    """Write an interval as "lower to upper"."""
    return f"{number(lower, digits)} to {number(upper, digits)}"


def estimate_interval(estimate: float, lower: float, upper: float, digits: int = 2) -> str:
    """Write an estimate with its interval, "1.34 (0.90 to 2.01)"; a missing one in words."""
    if math.isnan(estimate):
        return "not estimable"
    if math.isnan(lower) or math.isnan(upper):
        return f"{number(estimate, digits)} (no interval)"
    return f"{number(estimate, digits)} ({interval(lower, upper, digits)})"


def p_value(value: float) -> str:
    """Write an exact P value: "P = 0.052", "P = 2.3e−26"."""
    if math.isnan(value):
        return "P not defined"
    if value == 0:
        return f"P < 1e{MINUS}300"
    if value > 0.995:
        return "P > 0.99"
    text = f"{value:.2f}" if value >= 0.1 else f"{value:.3f}" if value >= 0.001 else _small(value)
    return f"P = {text.replace('-', MINUS)}"


def _small(value: float) -> str:
    return f"{value:.4f}" if value >= 0.0001 else f"{value:.1e}"


def hundredths(level: float) -> str:
    """Write a confidence level in hundredths, with all its digits.

    >>> hundredths(0.95), hundredths(0.999999999)
    ('95', '99.9999999')
    """
    return f"{(100 * Decimal(str(level))).normalize():f}"


def percent(value: float, digits: int = 1) -> str:
    """Write a percentage with its sign, "36.0 %"."""
    return "not defined" if math.isnan(value) else f"{number(value, digits)} %"


def listed(items: list[str]) -> str:
    """Join names as a sentence does: "a", "a and b", "a, b and c"."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else ""


def some(items: list[str], most: int = 5) -> str:
    """Join names as `listed` does, counting those beyond the first few: "a, b, c, d, e and 3 more".

    A name that would read as two is quoted.

    >>> print(some(["Ann", "O'Neil, J", "Roe (a, b)"]))
    Ann, "O'Neil, J" and Roe (a, b)
    """
    shown = [_as_one(name) for name in items]
    return listed(shown if len(shown) <= most + 1 else [*shown[:most], f"{len(shown) - most} more"])


def _as_one(name: str) -> str:
    """Quote a name with a comma or "and" outside brackets, unless it is in quotes already."""
    outside = re.sub(r"\([^()]*\)|\[[^][]*\]", "", name)
    several = "," in outside or " and " in outside
    return f'"{name}"' if several and name[0] not in "'\"" else name


def sentence(text: str) -> str:
    """Begin with a capital and end with a full stop; symbols such as τ stay as they are, and nothing stays nothing."""
    if not text:
        return ""
    first = text[:1].upper() if text[:1].isascii() else text[:1]
    return f"{first}{text[1:].rstrip('.')}."
