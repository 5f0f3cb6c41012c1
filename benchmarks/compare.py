"""One run beside statsmodels, PyMARE and metafor: times and their ratios, as a Markdown table.

    python benchmarks/compare.py [--quick] [--gosh]

PyMARE and metafor take part where they are installed (``Rscript`` with the package metafor); R measures itself, so that
starting it does not count. Every package gets the same data. All packages take turns in several rounds, because a
shared machine changes its speed by half within seconds; the table gives the median of the ratios of the rounds, and the
ratio of the fastest rounds of both, which neighbours have disturbed least. ``--gosh`` also lets metafor fit all
2^20 − 1 subsets, which takes minutes.
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
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from subprocess import PIPE
from tempfile import TemporaryDirectory

import numpy as np
from statsmodels.stats.meta_analysis import combine_effects

import metail2 as m2
from metail2.kernels.coefficient_tests import TESTS
from metail2.kernels.fitted import fit_random_effects
from metail2.kernels.inference import Wald, wald

SIZES = (2, 3, 5, 13, 100, 1000, 10_000)
MOST_FOR_METAFOR = 1000
"""metafor holds k × k matrices: 10,000 studies would take minutes and gigabytes."""
ROUNDS = 41
SECONDS = 0.08
"""Time spent on one measurement of a round, at least; one run where that takes longer."""

R_SCRIPT = """
suppressMessages(library(metafor))
jobs <- jsonlite::fromJSON(commandArgs(TRUE)[1], simplifyDataFrame = FALSE)
runs <- list(
  reml = function(d) rma(d$yi, d$vi, test = "knha"),
  regression = function(d) rma(d$yi, d$vi, mods = cbind(d$x1, d$x2), test = "knha"),
  leave_one_out = function(d) leave1out(rma(d$yi, d$vi, test = "knha")),
  gosh = function(d) gosh(rma(d$yi, d$vi, method = "DL"), subsets = 2^20 + 1, progbar = FALSE)
)
input <- file("stdin", "r")
while (length(line <- readLines(input, 1))) {
  asked <- strsplit(line, " ")[[1]]
  job <- jobs[[as.integer(asked[1])]]
  seconds <- as.numeric(asked[2])
  repeats <- 0
  started <- proc.time()[["elapsed"]]
  while (repeats == 0 || proc.time()[["elapsed"]] - started < seconds) {
    runs[[job$kind]](job$data)
    repeats <- repeats + 1
  }
  cat((proc.time()[["elapsed"]] - started) / repeats, "\\n")
  flush(stdout())
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
        "metail2, kernels alone": lambda: kernels(yi, vi, np.ones((k, 1))),
        "metail2, and Q, I², SE of τ²": lambda: everything(m2.pool(yi, vi)),
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
    ways: dict[str, Callable[[], object]] = {
        "metail2": lambda: m2.pool(prepared, moderators="x1 + x2"),
        "metail2, kernels alone": lambda: kernels(yi, vi, np.column_stack([np.ones(k), x1, x2])),
        "metail2, and Q, I², SE of τ²": lambda: everything(m2.pool(prepared, moderators="x1 + x2")),
    }
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


def kernels(yi: np.ndarray, vi: np.ndarray, x: np.ndarray) -> Wald:
    """Fit and test by arrays only: no labels, no checks of the input, no result that explains itself."""
    fitted = fit_random_effects(yi, vi, x, "REML")
    reference = TESTS["knapp_hartung"].reference(fitted, 0.95)
    return wald(fitted.beta, reference.variance, reference.df, 0.95)


def everything(result: m2.RandomEffectsResult) -> tuple[object, ...]:
    """Ask for what a result computes when it is asked: the rest of what metafor computes at once."""
    return result.q, result.i2, result.spread.p_value, result.tau2_estimate.se


def pymare_fit(yi: np.ndarray, vi: np.ndarray, x: np.ndarray) -> Callable[[], object]:
    """PyMARE's REML with the summary that holds its estimate."""
    from pymare import Dataset
    from pymare.estimators import VarianceBasedLikelihoodEstimator

    def fit() -> object:
        dataset = Dataset(y=yi[:, None], v=vi[:, None], X=x, add_intercept=False)
        return VarianceBasedLikelihoodEstimator(method="REML").fit_dataset(dataset).summary().get_fe_stats()

    return fit


def mean_time(run: Callable[[], object], seconds: float) -> float:
    """Time of one run, from as many as fit into `seconds`."""
    repeats, started = 0, time.perf_counter()
    while repeats == 0 or time.perf_counter() - started < seconds:
        run()
        repeats += 1
    return (time.perf_counter() - started) / repeats


@contextmanager
def metafor(problems: list[Problem]) -> Iterator[dict[str, Callable[[float], float]]]:
    """Start R and yield for each problem a function ``seconds → time of one fit``; none without R or metafor."""
    if shutil.which("Rscript") is None:
        yield {}
        return
    with TemporaryDirectory() as folder:
        file, script = Path(folder) / "jobs.json", Path(folder) / "run.R"
        file.write_text(json.dumps([{"kind": problem.kind, "data": problem.data} for problem in problems]))
        script.write_text(R_SCRIPT)
        with subprocess.Popen(["Rscript", script, file], stdin=PIPE, stdout=PIPE, text=True) as r:

            def measure(place: int, seconds: float) -> float:
                assert r.stdin is not None
                assert r.stdout is not None
                print(place, seconds, file=r.stdin, flush=True)
                return float(r.stdout.readline())

            works = subprocess.run(
                ["Rscript", "-e", "library(metafor); library(jsonlite)"], capture_output=True
            ).returncode
            found = {} if works else {p.name: partial(measure, place) for place, p in enumerate(problems, 1)}
            yield found
            r.communicate()


def rows(problem: Problem, others: dict[str, Callable[[float], float]], rounds: int, seconds: float) -> Iterator[str]:
    """Lines of the table: milliseconds, and how many times as long as metail2, in the median and at the fastest."""
    measures: dict[str, Callable[[float], float]] = {
        name: partial(mean_time, way) for name, way in problem.ways.items()
    }
    if problem.name in others:
        measures["metafor"] = others[problem.name]
    for measure in measures.values():
        measure(0)
    times = [{name: measure(seconds) for name, measure in measures.items()} for _ in range(rounds)]
    for name in measures:
        spent = statistics.median(row[name] for row in times)
        ratio = statistics.median(row[name] / row["metail2"] for row in times)
        least, own = (1000 * min(row[which] for row in times) for which in (name, "metail2"))
        cells = (problem.name, name, f"{1000 * spent:,.3g}", f"{ratio:,.2f}", f"{least:,.3g}", f"{least / own:,.2f}")
        yield f"| {' | '.join(cells)} |"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one short round, to see that everything runs")
    parser.add_argument("--gosh", action="store_true", help="let metafor fit all subsets too (minutes)")
    options = parser.parse_args()
    rounds, seconds = (1, 0.02) if options.quick else (ROUNDS, SECONDS)
    warnings.simplefilter("ignore")
    problems = [*(one_fit(k) for k in SIZES), regression(), leave_one_out(), gosh()]
    theirs = [problem for problem in problems if len(problem.data["yi"]) <= MOST_FOR_METAFOR]
    if not options.gosh:
        theirs = [problem for problem in theirs if problem.kind in ("reml", "regression")]
    print("| problem | package | ms | times metail2 | fastest, ms | times metail2 |\n|---|---|---|---|---|---|")
    with metafor(theirs) as others:
        for problem in problems:
            for line in rows(problem, others, rounds, seconds):
                print(line, flush=True)


if __name__ == "__main__":
    main()
