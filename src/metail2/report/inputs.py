"""The trial records that a report rests on, and the files that they were read from."""

from __future__ import annotations

from pathlib import Path

from metail2.records.catalogue import list_datasets, records_folder
from metail2.records.reading import load_records, read_records
from metail2.records.trial_records import TrialRecords
from metail2.report.specification import Specification


def read_inputs(spec: Specification, path: Path) -> tuple[TrialRecords, dict[str, Path]]:
    """Read the records: shipped under the name, or a folder or workbook beside the specification.

    Parameters
    ----------
    spec : Specification
        Names the records.
    path : Path
        Where the specification stands.

    Returns
    -------
    tuple of TrialRecords and dict of str to Path
        The records, and their files by the names that the manifest lists them under.
    """
    if spec.records in set(list_datasets()["name"]):
        folder = records_folder(spec.records)
        files = {f"datasets/{spec.records}/{file.name}": file for file in sorted(folder.glob("*.csv"))}
        return load_records(spec.records), files
    place = path.parent / spec.records
    if place.is_dir():
        return read_records(place), {f"{spec.records}/{file.name}": file for file in sorted(place.glob("*.csv"))}
    return read_records(place), {spec.records: place}
