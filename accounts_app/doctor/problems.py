"""What a check finds."""

from typing import NamedTuple


class Problem(NamedTuple):
    """A sentence that says what is wrong, and one that says what to do."""

    text: str
    remedy: str
    is_fatal: bool = False  # later checks would only fail
