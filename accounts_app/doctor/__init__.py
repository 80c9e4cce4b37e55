"""Checks of a running installation, for ``manage.py doctor``.

No message contains a value of the environment, not even a host name, and no text of an exception.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from django.db import Error

from accounts_app.doctor import data, services, site
from accounts_app.doctor.problems import Problem

# In the order of the report. A fatal problem of the database leaves the others of the data out.
CHECKS: list[tuple[str, Callable[[], Iterator[Problem]]]] = [
    ("settings", site.check_settings),
    ("proxies", site.check_proxies),
    ("files", site.check_files),
    ("rate limits", services.check_rate_limits),
    ("mail", services.check_mail),
    ("database", data.check_database),
]
DATA_CHECKS: list[tuple[str, Callable[[], Iterator[Problem]]]] = [
    ("migrations", data.check_migrations),
    ("clock", data.check_clock),
    ("peppers", data.check_peppers),
    ("sessions", data.check_sessions),
]


def examine(url: str = "") -> Iterator[tuple[str, list[Problem] | None]]:
    """Yield the name of each check with its problems, or None if it could not run."""
    problems: list[Problem] = []
    for name, check in CHECKS:
        problems = run(check)
        yield name, problems
    is_usable = not any(problem.is_fatal for problem in problems)  # of the last check, the database
    for name, check in DATA_CHECKS:
        problems = run(check) if is_usable else []
        yield name, problems if is_usable else None
        is_usable = is_usable and not any(problem.is_fatal for problem in problems)
    if url:
        yield "address", run(lambda: site.check_address(url))


def run(check: Callable[[], Iterator[Problem]]) -> list[Problem]:
    """Return the problems that a check finds. If it fails, that is a problem too."""
    try:
        return list(check())
    except Error as error:
        name = type(error).__name__
        return [
            Problem(f"A table is missing or cannot be used ({name}).", "Run manage.py migrate, or restore a backup.")
        ]
    except Exception as error:  # the report must continue, and the text could contain a password
        return [Problem(f"The check failed with {type(error).__name__}.", "Read the log of the site for the reason.")]
