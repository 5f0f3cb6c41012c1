"""The manifest: versions, command, resolved settings, and the SHA-256 of everything read and written."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from metail2.errors import ReportError

PACKAGES = ("metail2", "numpy", "scipy", "pandas", "statsmodels", "matplotlib", "forestplot", "jinja2", "pydantic")


def created() -> str:
    """Return the time of the report, ISO 8601 in UTC: SOURCE_DATE_EPOCH if set, else now."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    if epoch is None:
        return datetime.now(UTC).isoformat(timespec="seconds")
    try:
        return datetime.fromtimestamp(int(epoch), UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError):
        raise ReportError(f"SOURCE_DATE_EPOCH is {epoch!r}; it must be a whole number of seconds since 1970.") from None


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def manifest(
    command: str, settings: Mapping[str, Any], inputs: Mapping[str, Path], folder: Path, at: str
) -> dict[str, Any]:
    """Describe a report so that it can be made again and checked.

    Parameters
    ----------
    command : str
        What was typed.
    settings : mapping
        The specification with every default filled in.
    inputs : mapping of str to Path
        Files read, by the name they are listed under.
    folder : Path
        The folder written; every file in it is listed.
    at : str
        Time of the report.
    """
    outputs = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        "created": at,
        "command": command,
        "python": platform.python_version(),
        "versions": {name: version(name) for name in PACKAGES},
        "settings": settings,
        "inputs": {name: sha256(path) for name, path in sorted(inputs.items())},
        "outputs": {path.relative_to(folder).as_posix(): sha256(path) for path in outputs},
    }
