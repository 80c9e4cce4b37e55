"""A problem of the installation."""

from typing import NamedTuple


class Problem(NamedTuple):
    """The problem and its remedy, each in a sentence."""

    text: str
    remedy: str
    is_fatal: bool = False  # later checks would only fail
