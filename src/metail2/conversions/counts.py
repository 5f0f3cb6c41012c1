"""Counts from printed percentages, in exact arithmetic.

A percentage is printed by rounding (ties up or to even: both are accepted) or, by some authors, by truncation. Every
count that reproduces the printed figure is listed, and one is used only where it is the only one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Generic, Literal, Protocol, TypeAlias, TypeVar, overload

from metail2.errors import EffectSizeError, UnknownChoice

How: TypeAlias = Literal["rounding", "truncation", "rounding or truncation"]
Convention: TypeAlias = Literal["rounding", "truncation", "either"]
Percent: TypeAlias = str | int | float | Decimal

MOST_PEOPLE = 1_000_000
"""Counts are looked at one by one, and no percentage has the decimals to tell one among more people."""
MOST_DECIMALS = 15
_LISTED = 40  # a message with more possibilities than this only counts the rest


class Reproduction(Protocol):
    """What a candidate count or split says about itself."""

    @property
    def how(self) -> How:
        """By which convention it prints as given."""

    @property
    def text(self) -> str:
        """The counts in words."""

    @property
    def note(self) -> str:
        """The counts and how they print, as one clause."""


C = TypeVar("C", bound=Reproduction)


@dataclass(frozen=True)
class Candidate:
    """One number of events that prints as given.

    Attributes
    ----------
    events, n : int
        Events among people.
    printed : str
        The percentage as printed.
    how : str
        "rounding", "truncation" (only by truncation) or "rounding or truncation" (both give the same figure).
    """

    events: int
    n: int
    printed: str
    how: How

    @property
    def percent(self) -> Fraction:
        """The exact percentage."""
        return Fraction(100 * self.events, self.n)

    @property
    def text(self) -> str:
        """The count in words: "10 of 26"."""
        return f"{self.events} of {self.n}"

    @property
    def note(self) -> str:
        """The count and how it prints: "10 of 26 prints as 38.4 only by truncation (38.46)"."""
        return f"{self.text} prints as {self.printed} {_by(self.how)} ({_digits(self.percent, self.printed)})"


@dataclass(frozen=True)
class Split:
    """One split of a total into two arms whose percentages both print as given, by the same convention.

    Attributes
    ----------
    events1, n1, events2, n2 : int
        Events and people of the first and second arm.
    printed1, printed2 : str
        The percentages as printed.
    how : str
        As in `Candidate`; both arms print by this convention.
    """

    events1: int
    n1: int
    events2: int
    n2: int
    printed1: str
    printed2: str
    how: How

    @property
    def text(self) -> str:
        """The counts in words: "20/24 and 15/29"."""
        return f"{self.events1}/{self.n1} and {self.events2}/{self.n2}"

    @property
    def note(self) -> str:
        """The counts and how they print: "20/24 and 15/29 print as 83.3 and 51.7 by rounding …"."""
        exact = [
            _digits(Fraction(100 * events, n), printed)
            for events, n, printed in (
                (self.events1, self.n1, self.printed1),
                (self.events2, self.n2, self.printed2),
            )
        ]
        return f"{self.text} print as {self.printed1} and {self.printed2} {_by(self.how)} ({exact[0]}, {exact[1]})"


@dataclass(frozen=True)
class Candidates(Sequence[C], Generic[C]):
    """Everything that reproduces a printed figure, in order; an immutable sequence.

    Attributes
    ----------
    question : str
        What was asked, for messages: "38.4 % of 26".
    kind : str
        What is counted, for messages: "count" or "split".
    found : tuple
        The `Candidate` or `Split` entries.
    """

    question: str
    kind: str
    found: tuple[C, ...]

    @overload
    def __getitem__(self, index: int) -> C: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[C, ...]: ...
    def __getitem__(self, index: int | slice) -> C | tuple[C, ...]:
        return self.found[index]

    def __len__(self) -> int:
        return len(self.found)

    def __iter__(self) -> Iterator[C]:
        return iter(self.found)

    def by(self, convention: Convention) -> tuple[C, ...]:
        """Return the entries that print as given by "rounding", by "truncation" or by "either"."""
        if convention not in ("rounding", "truncation", "either"):
            raise UnknownChoice("convention", convention, ("rounding", "truncation", "either"))
        return tuple(entry for entry in self.found if convention == "either" or convention in entry.how)


def events_from_percent(percent: Percent, n: int, decimals: int | None = None) -> Candidates[Candidate]:
    """List every number of events whose percentage of `n` prints as given.

    Parameters
    ----------
    percent : str, int, float or Decimal
        The percentage as printed, best as text ("30.00"): its decimals decide which counts reproduce it. A percent
        sign and a raised decimal point are understood.
    n : int
        Number of people, at least 1.
    decimals : int, optional
        Printed decimals; needed for a float, which does not remember them.

    Returns
    -------
    Candidates of Candidate
        In order of events; empty where no count prints so.

    Raises
    ------
    EffectSizeError
        When the percentage is not a number from 0 to 100, has more decimals than stated, or does not say how many; or
        when `n` is not a whole number of at least 1.

    Examples
    --------
    >>> [candidate.note for candidate in events_from_percent("38.4", 26)]
    ['10 of 26 prints as 38.4 only by truncation (38.46)']
    """
    people = _whole(n, "number of people", least=1, most=MOST_PEOPLE)
    printed = _printed(percent, decimals)
    return Candidates(f"{printed} % of {people}", "count", tuple(_candidates(printed, people)))


def splits_from_percents(
    percent1: Percent, percent2: Percent, total: int, decimals1: int | None = None, decimals2: int | None = None
) -> Candidates[Split]:
    """List every split of a total into two arms that reproduces both printed percentages.

    Both arms must print by the same convention: rounding for both or truncation for both. 68 and 58 of 100 people, for
    instance, come from 18 splits by rounding (8 of them also by truncation) and 12 more by truncation only, 30 in all;
    83.3 and 51.7 of 53 come from 20/24 and 15/29 alone.

    Parameters
    ----------
    percent1, percent2 : str, int, float or Decimal
        Percentages of the two arms, as in `events_from_percent`.
    total : int
        People in both arms together, at least 2; neither arm is empty.
    decimals1, decimals2 : int, optional
        Printed decimals of each.

    Returns
    -------
    Candidates of Split
        In order of the size of the first arm, then of its events.

    Raises
    ------
    EffectSizeError
        As `events_from_percent`, and when `total` is below 2.

    Examples
    --------
    >>> unique(splits_from_percents("83.3", "51.7", 53)).text
    '20/24 and 15/29'
    """
    people = _whole(total, "total", least=2, most=MOST_PEOPLE)
    printed1, printed2 = _printed(percent1, decimals1), _printed(percent2, decimals2)
    found = tuple(
        Split(one.events, one.n, two.events, two.n, printed1, printed2, how)
        for n1 in range(1, people)
        for one in _candidates(printed1, n1)
        for two in _candidates(printed2, people - n1)
        if (how := _shared(one.how, two.how)) is not None
    )
    return Candidates(f"{printed1} % and {printed2} % of {people} in two arms", "split", found)


def unique(candidates: Candidates[C], convention: Convention = "either") -> C:
    """Return the only entry, or refuse with the list of those that print as given.

    Parameters
    ----------
    candidates : Candidates
        From `events_from_percent` or `splits_from_percents`.
    convention : {"either", "rounding", "truncation"}
        By which convention an entry must print as given.

    Returns
    -------
    Candidate or Split

    Raises
    ------
    EffectSizeError
        When there is none, naming those that print so by the other convention; or when there are several, listing them.
    UnknownChoice
        For another convention.
    """
    fitting = candidates.by(convention)
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise EffectSizeError(_several(candidates, fitting))
    named = "rounding or truncation" if convention == "either" else convention
    others = "".join(f"; {entry.note}" for entry in candidates[:_LISTED])
    raise EffectSizeError(f"No {candidates.kind} gives {candidates.question} by {named}{others}.")


def _several(candidates: Candidates[C], fitting: Sequence[C]) -> str:
    """Word the refusal of several candidates: how many print so by rounding and by truncation, then each."""
    rounded = [entry for entry in fitting if "rounding" in entry.how]
    truncated = [entry for entry in fitting if "rounding" not in entry.how]
    parts = [
        f"{len(group)} {candidates.kind}{'' if len(group) == 1 else 's'} by {how} ({_texts(group)})"
        for group, how in ((rounded, "rounding"), (truncated, "truncation only"))
        if group
    ]
    return f"{candidates.question} fits {' and '.join(parts)}, so the counts are not known."


def _texts(entries: Sequence[C]) -> str:
    """List candidates, counting those beyond `_LISTED`."""
    texts = [entry.text for entry in entries[:_LISTED]]
    return "; ".join(texts if len(entries) <= _LISTED else [*texts, f"and {len(entries) - _LISTED} more"])


def _candidates(printed: str, n: int) -> Iterator[Candidate]:
    """Yield each count of `n` that prints as `printed`; only counts within one printed unit are looked at."""
    decimals = _decimals(printed)
    units = int(Fraction(printed) * 10**decimals)
    scale = 100 * 10**decimals
    first = max(0, (units - 1) * n // scale)
    last = min(n, (units + 1) * n // scale + 1)
    for events in range(first, last + 1):
        how = _how(Fraction(scale * events, n), units)
        if how is not None:
            yield Candidate(events, n, printed, how)


def _how(exact: Fraction, units: int) -> How | None:
    """By which convention `exact` prints as `units`, both in units of the last printed digit."""
    half_up = (exact + Fraction(1, 2)).__floor__()
    rounds = units in (half_up, round(exact))  # round() takes ties to even
    truncates = exact.__floor__() == units
    return _named(rounds, truncates)


def _named(rounds: bool, truncates: bool) -> How | None:
    """Name the conventions that hold."""
    if rounds:
        return "rounding or truncation" if truncates else "rounding"
    return "truncation" if truncates else None


def _shared(one: How, two: How) -> How | None:
    """Name the conventions that hold for both arms."""
    return _named("rounding" in one and "rounding" in two, "truncation" in one and "truncation" in two)


def _by(how: How) -> str:
    """Say by which convention a count prints."""
    return f"only by {how}" if how == "truncation" else f"by {how}"


def _digits(percent: Fraction, printed: str) -> str:
    """Write an exact percentage with one decimal more than was printed, cut off so that no digit is rounded up."""
    decimals = _decimals(printed) + 1
    whole, rest = divmod((percent * 10**decimals).__floor__(), 10**decimals)
    return f"{whole}.{rest:0{decimals}d}"


def _decimals(printed: str) -> int:
    """Count the decimals of a normalised printed percentage."""
    return len(printed.partition(".")[2])


def _printed(percent: Percent, decimals: int | None) -> str:
    """Normalise a printed percentage to digits with exactly the printed decimals."""
    text = str(percent).strip().rstrip("% \u00a0\u202f").replace("·", ".")
    if isinstance(percent, float) and decimals is None:
        raise EffectSizeError(f"Say with how many decimals {text} % was printed, or give it as text.")
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise EffectSizeError(f"{percent!r} is not a percentage.") from None
    if not value.is_finite() or not 0 <= value <= 100:
        raise EffectSizeError(f"{text} is not a percentage from 0 to 100.")
    return _with_decimals(value, decimals)


def _with_decimals(value: Decimal, decimals: int | None) -> str:
    """Write `value` with the stated decimals, or its own; refuse to drop digits."""
    own = f"{value:f}"
    if decimals is None:
        return own
    exact = f"{value:.{_whole(decimals, 'number of decimals', least=0, most=MOST_DECIMALS)}f}"
    if Decimal(exact) != value:
        raise EffectSizeError(f"{own} % has more decimals than the {decimals} stated.")
    return exact


def _whole(value: float, name: str, least: int, most: int) -> int:
    """Return `value` as an int; refuse what is not a whole number within the limits."""
    try:
        whole = int(value)
    except (TypeError, ValueError, OverflowError):
        whole = least - 1
    if whole != value or whole < least:
        raise EffectSizeError(f"The {name} {value} is not a whole number of at least {least}.")
    if whole > most:
        raise EffectSizeError(f"The {name} {value} is more than {most:,}, which no printed percentage resolves.")
    return whole
