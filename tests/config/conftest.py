from __future__ import annotations

import io
import logging
import os
import runpy
from pathlib import Path
from types import SimpleNamespace

import django
import pytest
from django.utils.log import RequireDebugFalse

from config import environment
from config.error_reports import RedactingAdminEmailHandler
from config.log_formatters import JsonFormatter, LineFormatter
from tests.config.log_helpers import Log

SETTINGS = Path(environment.__file__).with_name("settings.py")


@pytest.fixture
def load(monkeypatch):
    """Return a function that evaluates the settings with these variables and nothing else."""

    def load(**variables):
        for name in list(os.environ):
            monkeypatch.delenv(name)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return SimpleNamespace(**runpy.run_path(str(SETTINGS)))

    return load


@pytest.fixture
def log(settings):
    """Everything that is logged, in both formats and by mail, with the production loggers."""
    operator = "operator@example.com"
    settings.ADMINS = [("Operator", operator)] if django.VERSION < (6, 0) else [operator]
    machine, person = (logging.StreamHandler(io.StringIO()) for _ in range(2))
    machine.setFormatter(JsonFormatter())
    person.setFormatter(LineFormatter())
    by_mail = RedactingAdminEmailHandler(include_html=True)
    by_mail.setLevel(logging.ERROR)
    by_mail.addFilter(RequireDebugFalse())
    by_mail.setFormatter(LineFormatter())
    root, handlers = logging.getLogger(), (machine, person, by_mail)
    level = root.level
    root.setLevel(logging.DEBUG)
    for handler in handlers:
        root.addHandler(handler)
    yield Log(machine.stream, person.stream)
    root.setLevel(level)
    for handler in handlers:
        root.removeHandler(handler)
