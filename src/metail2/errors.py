"""What can go wrong, by stage: every message is one sentence that says what to do."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class MetailError(Exception):
    """Base of every error that metail2 raises on purpose."""


class RecordError(MetailError):
    """A file, a table of printed figures or a data set cannot be used as it stands."""


class EffectSizeError(MetailError):
    """An effect size cannot be computed from the columns given."""


class ModelError(MetailError):
    """A model cannot be fitted to the effects given."""


class ReportError(MetailError):
    """A report specification cannot be carried out, or its output cannot be written."""


class UnknownChoice(MetailError):
    """A name that is not among the choices; the message lists them and suggests `meant`, or else the nearest."""

    def __init__(self, kind: str, given: object, choices: Iterable[str], meant: str | None = None) -> None:
        names = list(choices)
        near = get_close_matches(str(meant or given).lower(), [name.lower() for name in names], n=1, cutoff=0.5)
        hint = next((f" Did you mean {name!r}?" for name in names if near and name.lower() == near[0]), "")
        known = f"Choose from: {', '.join(names)}" if names else "There is none to choose from"
        super().__init__(f"Unknown {kind} {given!r}.{hint} {known}.")


class MetailWarning(UserWarning):
    """Something was left out or marked, and the message says which study and why."""
