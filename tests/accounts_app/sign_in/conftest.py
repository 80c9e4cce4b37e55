import re

import pytest
from django.contrib.auth.hashers import MD5PasswordHasher

from tests.accounts_app.sign_in.helpers import (
    SETTINGS,
)


@pytest.fixture
def hash_calls(monkeypatch):
    """A list with one entry per hashed password."""
    calls, encode = [], MD5PasswordHasher.encode

    def counted(self, password, *args, **kwargs):
        calls.append(password)
        return encode(self, password, *args, **kwargs)

    monkeypatch.setattr(MD5PasswordHasher, "encode", counted)
    return calls


@pytest.fixture
def default_limit(settings):
    settings.SIGN_IN_LIMIT = re.search(r'"SIGN_IN_LIMIT", default="(.+)"', SETTINGS.read_text()).group(1)
