"""Warnings for renamed functions and methods. The old names work for one more release."""

import warnings


class RenamedWarning(DeprecationWarning):
    """A name in ``finta_keys`` has changed. The message gives the new name."""


def warn_renamed(old: str, new: str) -> None:
    """Warn the caller of the deprecated function that calls this one."""
    warnings.warn(f"{old} is deprecated. Use {new}.", RenamedWarning, stacklevel=3)
