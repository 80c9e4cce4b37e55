"""Warnings for names that were renamed. The old names work for one more release."""

import warnings


class RenamedWarning(DeprecationWarning):
    """A name of ``finta_keys`` has changed; the message says what to use instead."""


def warn_renamed(old: str, new: str) -> None:
    """Warn the caller of the function that calls this one."""
    warnings.warn(f"{old} is deprecated. Use {new}.", RenamedWarning, stacklevel=3)
