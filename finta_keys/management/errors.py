"""Errors of the database and of the output, reported by commands in one sentence and with an
exit status."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from django.core.management.base import CommandError, OutputWrapper
from django.db import Error as AnyDatabaseError

from finta_keys import standby

FAILED, CLOSED = 2, 141  # 141 is a shell's status for SIGPIPE.
UNCONFIRMED = 3


@contextmanager
def explain_database_errors(
    consequence: str, *, errors: tuple[type[AnyDatabaseError], ...] = (AnyDatabaseError,), returncode: int = FAILED
) -> Iterator[None]:
    """Raise ``CommandError`` for a database error: what failed, its ``consequence``, and what to
    do."""
    try:
        yield
    except errors as error:
        raise CommandError(
            f"The database did not respond ({type(error).__name__}), so {consequence}. "
            "Check that it can be reached and that migrate has run, then repeat the command.",
            returncode=returncode,
        ) from error  # for --traceback


def require_confirmation() -> None:
    """Raise ``CommandError`` if no standby has confirmed the last change."""
    if standby.take_unconfirmed():
        raise CommandError(standby.sentence(), returncode=UNCONFIRMED)


@contextmanager
def explain_output_errors(stdout: OutputWrapper) -> Iterator[None]:
    """Flush ``stdout`` after the block. Exit with ``CLOSED`` if its reader has gone.

    Raise ``CommandError`` with ``FAILED`` for other errors, and before the block if standard output
    is closed. Status 1 would be a statement about keys.
    """
    if getattr(stdout, "_out", None) is None:  # as Python sets sys.stdout then
        raise CommandError("Standard output is closed. Run the command with an output.", returncode=FAILED)
    try:
        yield
        stdout.flush()
    except OSError as error:
        # Discard the rest of the buffer, or Python fails again when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stdout.fileno())
        if isinstance(error, BrokenPipeError):
            sys.exit(CLOSED)
        raise CommandError(f"The output could not be written: {error.strerror}.", returncode=FAILED) from None
