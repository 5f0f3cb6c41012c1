"""One run beside statsmodels, PyMARE and metafor: median times and their ratios, as a Markdown table.

    python benchmarks/compare.py [--quick] [--gosh]

PyMARE and metafor take part where they are installed (``Rscript`` with the package metafor); R measures itself, so that
starting it does not count. Every package gets the same data. ``--gosh`` also lets metafor fit all 2^20 − 1 subsets,
which takes minutes.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from statsmodels.stats.meta_analysis import combine_effects

import metail2 as m2

SIZES = (2, 3, 5, 13, 100, 1000, 10_000)
MOST_FOR_METAFOR = 1000
"""metafor holds k × k matrices: 10,000 studies would take minutes and gigabytes."""
SECONDS = 1.0
"""Time spent on one measurement, at most about three times as long."""

R_SCRIPT = """
suppressMessages(library(metafor))
jobs <- jsonlite::fromJSON(commandArgs(TRUE)[1], simplifyDataFrame = FALSE)
median_time <- function(run, seconds) {
  times <- c()
  while (length(times) < 3 || sum(times) < seconds) {
    repeats <- 1
    started <- proc.time()[["elapsed"]]
    run()
    spent <- proc.time()[["elapsed"]] - started
    if (spent < 0.05) {
      repeats <- 20
      started <- proc.time()[["elapsed"]]
      for (i in seq_len(repeats)) run()
      spent <- (proc.time()[["elapsed"]] - started) / repeats
    }
    times <- c(times, spent)
    if (sum(times) > 3 * seconds) break
  }
  median(times)
}
runs <- list(
  reml = function(d) rma(d$yi, d$vi, test = "knha"),
  regression = function(d) rma(d$yi, d$vi, mods = cbind(d$x1, d$x2), test = "knha"),
  leave_one_out = function(d) leave1out(rma(d$yi, d$vi, test = "knha")),
  gosh = function(d) gosh(rma(d$yi, d$vi, method = "DL"), subsets = 2^20 + 1, progbar = FALSE)
)
for (job in jobs) {
  d <- job$data
  cat(job$name, median_time(function() runs[[job$kind]](d), job$seconds), "\\n")
}
"""


@dataclass(frozen=True)
class Problem:
    """One thing to measure.

    Attributes
    ----------
    name, kind : str
        As printed, and the entry of ``runs`` in the R script.
    data : dict of str to list
        Columns for R.
    ways : dict of str to callable
        Package → what it does.
    """

    name: str
    kind: str
    data: dict[str, list[float]]
    ways: dict[str, Callable[[], object]]


def effects(k: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Effects with τ² = 0.1 and variances between 0.01 and 0.5."""
    rng = np.random.default_rng(seed)
    vi = rng.uniform(0.01, 0.5, k)
    return rng.normal(0.2, np.sqrt(vi + 0.1)), vi


def one_fit(k: int) -> Problem:
    """REML with Hartung–Knapp, or what comes nearest: statsmodels has Paule–Mandel, PyMARE no Hartung–Knapp."""
    yi, vi = effects(k)
    ways: dict[str, Callable[[], object]] = {
        "metail2": lambda: m2.pool(yi, vi),
        "metail2, table": lambda: m2.pool(yi, vi).tidy(),
        "statsmodels, interval": lambda: combine_effects(yi, vi, use_t=True).conf_int(),
        "statsmodels, table": lambda: combine_effects(yi, vi, use_t=True).summary_frame(),
    }
    if find_spec("pymare"):
        ways["PyMARE"] = pymare_fit(yi, vi, np.ones((k, 1)))
    return Problem(f"REML, Hartung–Knapp, k = {k:,}", "reml", {"yi": yi.tolist(), "vi": vi.tolist()}, ways)


def regression(k: int = 500) -> Problem:
    """Meta-regression on two moderators."""
    yi, vi = effects(k, 2)
    x1, x2 = np.random.default_rng(3).normal(size=(2, k))
    prepared = m2.EffectSizes.from_arrays(yi, vi, moderators={"x1": x1, "x2": x2})
    ways: dict[str, Callable[[], object]] = {"metail2": lambda: m2.pool(prepared, moderators="x1 + x2")}
    if find_spec("pymare"):
        ways["PyMARE"] = pymare_fit(yi, vi, np.column_stack([np.ones(k), x1, x2]))
    columns = {"yi": yi, "vi": vi, "x1": x1, "x2": x2}
    data = {name: values.tolist() for name, values in columns.items()}
    return Problem(f"meta-regression, k = {k}, p = 3", "regression", data, ways)


def leave_one_out(k: int = 1000) -> Problem:
    """Leave-one-out of a REML fit with Hartung–Knapp."""
    yi, vi = effects(k, 4)
    result = m2.pool(yi, vi)
    ways: dict[str, Callable[[], object]] = {"metail2": lambda: m2.leave_one_out(result)}
    return Problem(f"leave-one-out, k = {k:,}", "leave_one_out", {"yi": yi.tolist(), "vi": vi.tolist()}, ways)


def gosh(k: int = 20) -> Problem:
    """All subsets with DerSimonian–Laird."""
    yi, vi = effects(k, 5)
    result = m2.pool(yi, vi, tau2="DL")
    ways: dict[str, Callable[[], object]] = {"metail2": lambda: m2.gosh(result)}
    return Problem(f"GOSH, all 2^{k} subsets, DL", "gosh", {"yi": yi.tolist(), "vi": vi.tolist()}, ways)


def pymare_fit(yi: np.ndarray, vi: np.ndarray, x: np.ndarray) -> Callable[[], object]:
    """PyMARE's REML with the summary that holds its estimate."""
    from pymare import Dataset
    from pymare.estimators import VarianceBasedLikelihoodEstimator

    def fit() -> object:
        dataset = Dataset(y=yi[:, None], v=vi[:, None], X=x, add_intercept=False)
        return VarianceBasedLikelihoodEstimator(method="REML").fit_dataset(dataset).summary().get_fe_stats()

    return fit


def median_time(run: Callable[[], object], seconds: float) -> float:
    """Median over batches of at least 5 ms."""
    run()
    started = time.perf_counter()
    run()
    batch = max(1, int(0.005 / max(time.perf_counter() - started, 1e-7)))
    times: list[float] = []
    while len(times) < 5 or sum(times) * batch < seconds:
        started = time.perf_counter()
        for _ in range(batch):
            run()
        times.append((time.perf_counter() - started) / batch)
        if sum(times) * batch > 3 * seconds:
            break
    return statistics.median(times)


def metafor_times(problems: list[Problem], seconds: float) -> dict[str, float]:
    """Let R measure metafor; an empty dict where R or metafor is missing."""
    if shutil.which("Rscript") is None:
        return {}
    jobs = [{"name": str(i), "kind": p.kind, "data": p.data, "seconds": seconds} for i, p in enumerate(problems)]
    with TemporaryDirectory() as folder:
        file, script = Path(folder) / "jobs.json", Path(folder) / "run.R"
        file.write_text(json.dumps(jobs))
        script.write_text(R_SCRIPT)
        found = subprocess.run(["Rscript", str(script), str(file)], capture_output=True, text=True, check=False)
    if found.returncode:
        warnings.warn(f"metafor is left out: {found.stderr.strip().splitlines()[-1]}", stacklevel=2)
        return {}
    pairs = (line.split() for line in found.stdout.strip().splitlines())
    return {problems[int(place)].name: float(spent) for place, spent in pairs}


def rows(problems: list[Problem], metafor: dict[str, float], seconds: float) -> Iterator[str]:
    """Lines of the table: milliseconds, and how many times as long as metail2."""
    yield "| problem | package | ms | times metail2 |"
    yield "|---|---|---|---|"
    for problem in problems:
        spent = {name: median_time(way, seconds) for name, way in problem.ways.items()}
        if problem.name in metafor:
            spent["metafor"] = metafor[problem.name]
        ours = spent["metail2"]
        for name, value in spent.items():
            yield f"| {problem.name} | {name} | {1000 * value:,.3g} | {value / ours:,.2f} |"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="short measurements, to see that everything runs")
    parser.add_argument("--gosh", action="store_true", help="let metafor fit all subsets too (minutes)")
    options = parser.parse_args()
    seconds = 0.05 if options.quick else SECONDS
    warnings.simplefilter("ignore")
    problems = [*(one_fit(k) for k in SIZES), regression(), leave_one_out(), gosh()]
    small = [p for p in problems if len(p.data["yi"]) <= MOST_FOR_METAFOR and (p.kind != "gosh" or options.gosh)]
    small = [p for p in small if p.kind != "leave_one_out" or options.gosh]
    for line in rows(problems, metafor_times(small, seconds), seconds):
        print(line, flush=True)


if __name__ == "__main__":
    main()
