"""What the statistics of one arm (or time, or group) are called in a wide table: the name, then the arm's suffix."""

from __future__ import annotations

from collections.abc import Mapping

STATISTICS: Mapping[str, str] = {
    "n": "n{0}",
    "mean": "mean{0}",
    "sd": "sd{0}",
    "se": "se{0}",
    "ci_lower": "mean{0}_lower",
    "ci_upper": "mean{0}_upper",
    "median": "median{0}",
    "q1": "q1{1}",
    "q3": "q3{1}",
    "minimum": "min{0}",
    "maximum": "max{0}",
    "events": "events{0}",
    "percent": "percent{0}",
    "time": "time{0}",
}
"""Statistic of an arm → its column; {0} is the suffix, {1} the same set apart from a digit before it."""


def arm_column(statistic: str, suffix: str) -> str:
    """Name the column of a statistic, e.g. "q1" of the arm "1": ``q1_1``; "ci_lower" of "_post": ``mean_post_lower``.

    Parameters
    ----------
    statistic : str
        Key of `STATISTICS`, or another name, which only gets the suffix.
    suffix : str
        "1" and "2" for two arms, "_post" and "_pre" for two times, "" for one group.
    """
    apart = f"_{suffix}" if suffix[:1].isdigit() else suffix
    return STATISTICS.get(statistic, statistic + "{0}").format(suffix, apart)
