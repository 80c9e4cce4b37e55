"""What becomes of a command whose output goes nowhere."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from django.core.management.base import CommandError, OutputWrapper

FAILED, CLOSED = 2, 141  # The last is what a shell says of SIGPIPE.


@contextmanager
def handed_over(stdout: OutputWrapper) -> Iterator[None]:
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
