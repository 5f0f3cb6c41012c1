"""The IL-2 report, built once a session, and small reports on trials made by hand."""

import json
import os
import subprocess
import sys

import pytest

from metail2.report.build import build_report

EPOCH = "1700000000"
BUILD = """
import pathlib, sys
from metail2.report.build import build_report
build_report("il2", pathlib.Path(sys.argv[1]), "test")
"""

STUDIES = """study_id,label,disease,disease_group,design
one,Alpha 2020,pox,pox,RCT
two,Beta 2021,pox,pox,RCT
three,Gamma 2022,gout,gout,RCT
case,Delta 2023 (case),gout,gout,case report
"""
HEADER = "record_id,study_id,outcome,arm,role,timepoint,statistic,value,unit,unit_kind,source,quote\n"


def _figures():
    rows = []
    counts = {"one": (16, 29, 9, 30), "two": (34, 50, 29, 50), "three": (12, 23, 10, 24)}
    for study, (x, n1, y, n2) in counts.items():
        for arm, role, events, n in (("drug", "experimental", x, n1), ("placebo", "control", y, n2)):
            rows.append((study, "response", arm, role, "week 12", "events", events, "patients", "patients"))
            rows.append((study, "response", arm, role, "week 12", "n", n, "patients", "patients"))
    scores = {"one": (8, 2, 6, 3, 20), "two": (7, 2, 6.5, 2, 25), "three": (9, 3, 5, 3, 30)}
    for study, (pre, sd_pre, post, sd_post, n) in scores.items():
        for when, mean, sd in (("baseline", pre, sd_pre), ("week 12", post, sd_post)):
            for statistic, value in (("mean", mean), ("sd", sd), ("n", n)):
                kind = "patients" if statistic == "n" else "score"
                rows.append((study, "score", "drug", "experimental", when, statistic, value, kind, kind))
    for when, value in (("baseline", 9), ("week 12", 4)):
        rows.append(("case", "score", "drug", "experimental", when, "value", value, "score", "score"))
        rows.append(("case", "score", "drug", "experimental", when, "n", 1, "patients", "patients"))
    return [[f"R{i}", *map(str, row), "made by hand", f"words of R{i}"] for i, row in enumerate(rows, start=1)]


OUTCOMES = HEADER + "".join(",".join(row) + "\n" for row in _figures())


def outcome(id="response", *, more="", analysis="", studies=("one", "two"), design="controlled", measure="RR", part=""):
    """One outcome of a specification, as TOML."""
    source = "response" if design == "controlled" else "score"
    return f"""
[[outcome]]
id = "{id}"
title = "Title of {id}"
question = "Does it work?"
design = "{design}"
measure = "{measure}"
better = "higher"
{more}

[[outcome.parts]]
outcome = "{source}"
studies = {json.dumps(list(studies))}
{part}

[[outcome.analyses]]
id = "primary"
title = "Primary"
{analysis}
"""


HEAD = 'title = "Made by hand"\nrecords = "trials"\n'


@pytest.fixture(scope="session")
def il2(tmp_path_factory):
    """Folders of the IL-2 report built twice: here, and at the same time in a process of its own."""
    home = tmp_path_factory.mktemp("il2")
    environment = os.environ | {"SOURCE_DATE_EPOCH": EPOCH, "PYTHONHASHSEED": "7"}
    other = subprocess.Popen(
        [sys.executable, "-c", BUILD, str(home / "second")], env=environment, cwd=home, stderr=subprocess.PIPE
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOURCE_DATE_EPOCH", EPOCH)
        built = build_report("il2", home / "first", "test")
    _, errors = other.communicate(timeout=600)
    assert other.returncode == 0, errors
    return built, home / "first", home / "second"


@pytest.fixture
def trials(tmp_path):
    """A folder with the hand-made records; the specification goes beside them."""
    home = tmp_path / "here"
    (home / "trials").mkdir(parents=True)
    (home / "trials" / "studies.csv").write_text(STUDIES, encoding="utf-8")
    (home / "trials" / "outcomes.csv").write_text(OUTCOMES, encoding="utf-8")
    return home


@pytest.fixture
def specify(trials):
    """Write a specification beside the hand-made records and return its path."""

    def written(*outcomes, head=HEAD):
        path = trials / "made.toml"
        path.write_text(head + "".join(outcomes), encoding="utf-8")
        return path

    return written


@pytest.fixture
def build(specify, tmp_path, monkeypatch):
    """Build a report of outcomes; returns the folder it is in."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", EPOCH)

    def built(*outcomes, head=HEAD, output="out"):
        build_report(str(specify(*outcomes, head=head)), tmp_path / output, "test")
        return tmp_path / output

    return built


@pytest.fixture
def outcome_toml():
    return outcome
