"""How often confidence and prediction intervals hold what they promise, by simulation: the tables of docs/coverage.md.

    python benchmarks/coverage.py                       # under four minutes of computing
    python benchmarks/coverage.py --sets 500 --output /tmp/coverage.md

Effects are drawn as yᵢ ~ N(0, vᵢ + τ²) with known vᵢ, so the only errors are those of estimating τ². All data sets of a
cell go through the kernels in one call.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.special import ndtr, ndtri

from metail2.kernels.coefficient_tests import TESTS
from metail2.kernels.fitted import Fitted, fit_random_effects
from metail2.kernels.henmi_copas import henmi_copas_fit
from metail2.kernels.heterogeneity import heterogeneity
from metail2.kernels.inference import wald
from metail2.kernels.nagashima import predictive_draws
from metail2.kernels.prediction import PREDICTION

PAGE = Path(__file__).parents[1] / "docs" / "coverage.md"
LEVEL = 0.95
NORMAL = float(ndtri(0.5 + LEVEL / 2))
SHARED = 250
"""Data sets that share the draws of a simulated prediction interval."""
SIZES: dict[str, Callable[[int], np.ndarray]] = {
    "equal": lambda k: np.ones(k),
    "tenfold spread": lambda k: np.geomspace(1, 0.1, k),
    "one large": lambda k: np.append(np.ones(k - 1), 1 / 25),
}
"""Sampling variances of k studies."""
INTERVALS = {
    "z": "z", "t": "t", "knapp_hartung": "HK", "knapp_hartung_adhoc": "HK ad hoc", "iqwig": "IQWiG",
    "kenward_roger": "KR", "henmi_copas": "HC",
}  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """One situation: number of studies, their sizes, and I² in percent."""

    k: int
    sizes: str
    i2: int

    @property
    def vi(self) -> np.ndarray:
        return SIZES[self.sizes](self.k)

    @property
    def tau2(self) -> float:
        """τ² at which I² = τ²/(τ² + typical sampling variance), with the typical variance of Higgins & Thompson."""
        typical = heterogeneity(self.vi, self.vi, np.ones((self.k, 1))).typical_variance
        return float(self.i2 / (100 - self.i2) * typical)

    def fit(self, sets: int, rng: np.random.Generator) -> Fitted:
        yi = rng.normal(0, np.sqrt(self.vi + self.tau2), (sets, self.k))
        return fit_random_effects(yi, self.vi, np.ones((self.k, 1)), "REML")


@dataclass(frozen=True)
class Found:
    """Coverage with its Monte Carlo error, the median width beside the best possible one, and the share undefined."""

    coverage: float
    error: float
    width: float
    undefined: float


Table = dict[Cell, dict[str, Found]]


def confidence(cell: Cell, fitted: Fitted) -> Iterator[tuple[str, Found]]:
    """Every interval of the mean: does it hold 0?"""
    best = 2 * NORMAL / np.sqrt((1 / (cell.vi + cell.tau2)).sum())
    for name in INTERVALS:
        lower, upper = mean_interval(name, fitted)
        yield name, found((lower <= 0) & (upper >= 0), (upper - lower) / best)


def mean_interval(name: str, fitted: Fitted) -> tuple[np.ndarray, np.ndarray]:
    if name == "henmi_copas":
        own = henmi_copas_fit(fitted.yi, fitted.vi, LEVEL)
        half = own.quantile * np.sqrt(own.variance)
        return own.estimate - half, own.estimate + half
    reference = TESTS[name].reference(fitted, LEVEL)
    limits = wald(fitted.beta, reference.variance, reference.df, LEVEL)
    return limits.lower[:, 0], limits.upper[:, 0]


def prediction(cell: Cell, fitted: Fitted, draws: int, seed: int) -> Iterator[tuple[str, Found]]:
    """Every prediction interval: which share of the true effects N(0, τ²) does it hold? Exact for each data set."""
    tau = np.sqrt(cell.tau2)
    reference = TESTS["knapp_hartung"].reference(fitted, LEVEL)
    for name, rule in PREDICTION.items():
        if name == "nagashima":
            lower, upper = simulated(cell, fitted.yi, draws, seed)
        else:
            lower, upper = rule(fitted, reference).interval(LEVEL)
        yield name, found(ndtr(upper / tau) - ndtr(lower / tau), (upper - lower) / (2 * NORMAL * tau))


def simulated(cell: Cell, yi: np.ndarray, draws: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    parts = []
    for start in range(0, len(yi), SHARED):
        fitted = fit_random_effects(yi[start : start + SHARED], cell.vi, np.ones((cell.k, 1)), "DL")
        parts.append(predictive_draws(fitted, draws, seed + start).interval(LEVEL))
    lower, upper = zip(*parts, strict=True)
    return np.concatenate(lower), np.concatenate(upper)


DOUBTS = {
    "contains": "HK contains the intervals of all studies", "narrower": "HK narrower than z",
    "knapp_hartung": "then HK holds", "z": "then z holds", "knapp_hartung_adhoc": "then HK ad hoc holds",
}  # fmt: skip


def doubts(fitted: Fitted) -> Iterator[tuple[str, Found]]:
    """How often Hartung–Knapp is absurdly wide, how often narrower than z, and what holds where it is narrower."""
    limits = {name: mean_interval(name, fitted) for name in ("knapp_hartung", "z", "knapp_hartung_adhoc")}
    (lower, upper), (z_lower, z_upper) = limits["knapp_hartung"], limits["z"]
    own = NORMAL * np.sqrt(fitted.vi)
    contains = (lower <= (fitted.yi - own).min(-1)) & (upper >= (fitted.yi + own).max(-1))
    narrower = upper - lower < z_upper - z_lower
    everywhere = np.ones(len(lower))
    yield "contains", found(contains, everywhere)
    yield "narrower", found(narrower, everywhere)
    for name, (low, high) in limits.items():
        yield name, found(((low <= 0) & (high >= 0))[narrower], everywhere[narrower])


def found(covered: np.ndarray, width: np.ndarray) -> Found:
    defined = ~np.isnan(width)
    if not defined.any():
        return Found(np.nan, np.nan, np.nan, 100.0)
    held = covered[defined].astype(float)
    error = held.std() / np.sqrt(len(held))
    median = float(np.median(np.where(defined, width, np.inf)))
    return Found(100 * held.mean(), 100 * error, median, 100 * (1 - defined.mean()))


def study(counts: list[int], sets: int, draws: int, seed: int) -> tuple[Table, Table, Table]:
    """Run every cell; each has its own random numbers, so that one cell can be run alone."""
    means, predictions, doubtful = {}, {}, {}
    for cell in (Cell(k, sizes, i2) for k in counts for sizes in SIZES for i2 in (25, 50, 75)):
        rng = np.random.default_rng([seed, cell.k, list(SIZES).index(cell.sizes), cell.i2])
        fitted = cell.fit(sets, rng)
        means[cell] = dict(confidence(cell, fitted))
        predictions[cell] = dict(prediction(cell, fitted, draws, seed))
        doubtful[cell] = dict(doubts(fitted))
    return means, predictions, doubtful


def table(cells: Table, names: dict[str, str], show: Callable[[Found], str]) -> str:
    """Write a Markdown table, one row a cell and one column a method."""
    head = ["k", "sizes", "I²", *names.values()]
    rows = [[str(c.k), c.sizes, f"{c.i2} %", *(show(row[name]) for name in names)] for c, row in cells.items()]
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows])


def coverage(cell: Found) -> str:
    if np.isnan(cell.coverage):
        return "undefined"
    text = f"{cell.coverage:.1f} ({cell.error:.1f})"
    return f"{text}, {cell.undefined:.0f} % undefined" if cell.undefined >= 0.5 else text


def width(cell: Found) -> str:
    return "undefined" if np.isnan(cell.width) else f"{cell.width:.2f}" if cell.width < 100 else "> 100"


def fill(page: str, blocks: dict[str, str]) -> str:
    """Replace what stands between ``<!-- name -->`` and ``<!-- end -->``."""
    for name, block in blocks.items():
        page, count = re.subn(
            rf"(<!-- {name} -->\n).*?(<!-- end -->)", lambda m, b=block: f"{m[1]}\n{b}\n\n{m[2]}", page, flags=re.DOTALL
        )
        if count != 1:
            raise ValueError(f"The page has {count} places for {name!r}; it needs one.")
    return page


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=int, default=4000, help="data sets a cell (4000)")
    parser.add_argument("--draws", type=int, default=4000, help="draws of each simulated prediction interval (4000)")
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--output", type=Path, default=PAGE, help="page to write; its text is that of docs/coverage.md")
    given = parser.parse_args()
    means, predictions, _ = study([5, 20], given.sets, given.draws, given.seed)
    few, few_predictions, few_doubts = study([2, 3, 4], given.sets, given.draws, given.seed)
    methods = {name: name for name in PREDICTION}
    blocks = {
        "setting": f"{given.sets:,} data sets a cell, seed {given.seed}, {given.draws:,} draws for `nagashima`.",
        "intervals": table(means, INTERVALS, coverage),
        "interval widths": table(means, INTERVALS, width),
        "predictions": table(predictions, methods, coverage),
        "prediction widths": table(predictions, methods, width),
        "few": table(few, INTERVALS, coverage),
        "few widths": table(few, INTERVALS, width),
        "few predictions": table(few_predictions, methods, coverage),
        "few doubts": table(few_doubts, DOUBTS, coverage),
    }
    given.output.write_text(fill(PAGE.read_text("utf-8"), blocks), "utf-8")


if __name__ == "__main__":
    main()
