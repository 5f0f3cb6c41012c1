"""Trials made by hand: a study a name, a printed figure a line of text."""

import pandas as pd
import pytest

from metail2.records.trial_records import TrialRecords

STUDY = {
    "cohort": "", "disease": "d", "disease_group": "d", "year": 2020, "country": "", "centre": "", "design": "RCT",
    "allocation": "", "n_total": pd.NA, "note": "words of the study",
}  # fmt: skip
KINDS = {"n": "patients", "events": "patients", "percent": "percent", "p_value": "probability"}


def records_of(lines, studies=None, kind="score", unit="points"):
    """Make TrialRecords of lines "study outcome arm role time statistic printed", with key=value for other columns.

    Times are written without the space ("week12"); the study A is labelled "Trial A".
    """
    rows = []
    for number, line in enumerate(lines, start=1):
        study, outcome, arm, role, when, statistic, printed, *more = line.split()
        qualifier = printed[0] if printed[0] in "<>" else ""
        row = {
            "record_id": f"R{number}", "study_id": study, "outcome": outcome, "arm": arm, "role": role,
            "dose_low": float("nan"), "dose_high": float("nan"), "dose_unit": "",
            "timepoint": when.replace("week", "week "), "time": float("nan"), "time_unit": "", "population": "",
            "statistic": statistic, "value": float(printed.lstrip("<>")), "printed": printed.lstrip("<>"),
            "qualifier": qualifier, "unit": "" if statistic in KINDS else unit,
            "unit_kind": KINDS.get(statistic, kind), "quote": f"words of R{number}",
        }  # fmt: skip
        for name, value in (pair.split("=") for pair in more):
            row[name] = float(value) if name.startswith(("dose_l", "dose_h")) or name == "time" else value
        rows.append(row)
    ids = list(dict.fromkeys(row["study_id"] for row in rows))
    about = [{"study_id": i, "label": f"Trial {i}", **STUDY, "cohort": i, **(studies or {}).get(i, {})} for i in ids]
    return TrialRecords("made", pd.DataFrame(about), pd.DataFrame(rows))


@pytest.fixture(scope="session")
def made():
    return records_of
