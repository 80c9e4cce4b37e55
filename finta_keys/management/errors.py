"""Errors of the database and of the output, reported by commands in one sentence and with an exit status."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from django.core.management.base import CommandError, OutputWrapper
from django.db import Error as AnyDatabaseError

FAILED, CLOSED = 2, 141  # The last is what a shell says of SIGPIPE.


@contextmanager
def explain_database_errors(
    consequence: str, *, errors: tuple[type[AnyDatabaseError], ...] = (AnyDatabaseError,), returncode: int = FAILED
) -> Iterator[None]:
    """Tell in one sentence that it did not, and what that means: ``consequence``."""
    try:
        yield
    except errors as error:
        raise CommandError(
            f"The database did not answer ({type(error).__name__}), so {consequence}. "
            "See that it can be reached and that migrate has run, then repeat the command.",
            returncode=returncode,
        ) from error  # for --traceback


@contextmanager
def explain_output_errors(stdout: OutputWrapper) -> Iterator[None]:
    """Let what is printed inside arrive. Where it cannot, the status is one of its own: 1 says something of keys."""
    try:
        yield
        stdout.flush()
    except OSError as error:
        # Nothing is left in the buffer to fail once more when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stdout.fileno())
        if isinstance(error, BrokenPipeError):
            sys.exit(CLOSED)
        raise CommandError(f"The output could not be written: {error.strerror}.", returncode=FAILED) from None
