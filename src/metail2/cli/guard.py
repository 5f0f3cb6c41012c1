"""How a command ends: its exit status, errors and warnings in one line each, no traceback unless asked for."""

from __future__ import annotations

import errno
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from metail2.errors import MetailError, MetailWarning, UnknownChoice

FINDINGS, WRONG_USE = 1, 2
INTERRUPTED, BROKEN_PIPE = 130, 141
"""What shells report for a process ended by SIGINT or SIGPIPE: 128 and the number of the signal."""


class WrongUse(MetailError):
    """A command that cannot be carried out as it was typed."""


class GuardedGroup(TyperGroup):
    """The commands together, whose help that cannot be printed ends as a command's output does."""

    def make_context(self, *args: Any, **options: Any) -> Any:
        """Read the options; help is printed here."""
        with _guarded_help():
            return super().make_context(*args, **options)


class Guarded(TyperCommand):
    """A command whose errors reach the user as one sentence on standard error."""

    def make_context(self, *args: Any, **options: Any) -> Any:
        """Read the options; help is printed here."""
        with _guarded_help():
            return super().make_context(*args, **options)

    def invoke(self, ctx: Any) -> Any:
        """Run the command, guarded."""
        with guarded(debug=ctx.find_root().params["debug"]):
            return super().invoke(ctx)


@contextmanager
def guarded(debug: bool) -> Iterator[None]:
    """Turn whatever a command raises into an exit status and at most one line; show its warnings, each once."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", MetailWarning)
        warnings.showwarning = _shown_once(debug)
        try:
            yield
            sys.stdout.flush()
        except typer.Exit:
            raise  # a command that ends with a status of its own has printed what it found
        except (Exception, KeyboardInterrupt) as error:
            raise SystemExit(_ended_by(error, debug)) from None


@contextmanager
def _guarded_help() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SystemExit(_ended_by(error, debug=False)) from None


def refuse_closed_output() -> None:
    """End at once where standard output is closed: whatever would be computed could not be told."""
    if sys.stdout is None:
        typer.echo(f"error: standard output: {os.strerror(errno.EBADF)}.", err=True)
        raise SystemExit(WRONG_USE)


def exit_status(error: BaseException) -> int:
    """Return 2 where the command asks for what does not exist or the file system refuses, else 1.

    A MetailError raised from an OSError is the file system's refusal.
    """
    wrong_use = (WrongUse, UnknownChoice, OSError)
    return WRONG_USE if isinstance(error, wrong_use) or isinstance(error.__cause__, OSError) else FINDINGS


def _ended_by(error: BaseException, debug: bool) -> int:
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    if isinstance(error, OSError) and error.filename is None:
        _abandon_output()
    if isinstance(error, BrokenPipeError):
        return BROKEN_PIPE
    if debug:
        traceback.print_exception(error)
    typer.echo(f"error: {_sentence(error)}", err=True)
    return exit_status(error)


def _abandon_output() -> None:
    """Let what could not be printed go nowhere, or Python would try, and complain, again on leaving."""
    with suppress(OSError):  # standard output may be no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _sentence(error: BaseException) -> str:
    if isinstance(error, MetailError):
        return _one_line(str(error))
    if isinstance(error, OSError):
        return _one_line(f"{error.filename or 'standard output'}: {error.strerror or error}.")
    return _one_line(
        f"metail2 failed unexpectedly ({type(error).__name__}: {error}); "
        "run again with --debug (metail2 --debug …) and report what it prints."
    )


def _one_line(text: str) -> str:
    return printable(" ".join(text.split()))


def printable(text: str) -> str:
    """Replace control characters, with which a cell of a file could command the terminal; line ends stay."""
    return "".join(one if one == "\n" or one.isprintable() or one.isspace() else "\ufffd" for one in text)


def _shown_once(debug: bool) -> Callable[..., None]:
    """Make a ``warnings.showwarning``: metail2's own in one line each, other packages' only for debugging."""
    seen: set[str] = set()

    def show(message: Warning | str, category: type[Warning], *_place: object, **_more: object) -> None:
        text = _one_line(str(message))
        if text not in seen and (debug or issubclass(category, MetailWarning)):
            typer.echo(f"warning: {text}", err=True)
        seen.add(text)

    return show
