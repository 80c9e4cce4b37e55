import os
import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

from config import environment

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
