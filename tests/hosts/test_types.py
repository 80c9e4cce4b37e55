"""The types of the installed app in mypy's strict mode."""

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.host

CONFIGURATION = """
[mypy]
strict = true
plugins = mypy_django_plugin.main, mypy_drf_plugin.main
[mypy.plugins.django-stubs]
django_settings_module = host.settings
"""
# Not `python -m mypy`: its exit status is 1, because this test expects errors.
MYPY = "from mypy import api; import sys; sys.path.insert(0, '.'); print(*api.run(sys.argv[1:]), sep='')"
WRONG = {
    "from finta_keys.models import ApiKey": None,
    "from finta_keys.testing import make_key": None,
    "secret: int = make_key(1)[1]": "arg-type, assignment",
    "reveal_type(ApiKey.objects.create_key)": "def (*, owner: django.contrib.auth.base_user.AbstractBaseUser",
    "ApiKey().rename()": "call-arg",
    "from finta_keys.models import Key": "attr-defined",
}


@pytest.fixture(scope="module")
def output(host):
    """The output of mypy for a valid module and for one with an error per line."""
    (host.folder / "mypy.ini").write_text(CONFIGURATION)
    (host.folder / "typed_host.py").write_text((Path(__file__).parent / "typed_host.py").read_text())
    (host.folder / "wrong_host.py").write_text("\n".join(WRONG))
    return host.run("-c", MYPY, "typed_host.py", "wrong_host.py")


def test_public_names_are_typed(output):
    messages = [line for line in output.splitlines() if ": " in line]
    assert [line for line in messages if not line.removeprefix(" ").startswith("wrong_host.py:")] == []
    assert "(checked 2 source files)" in output


def test_mistakes_are_reported(output):
    for number, (line, expected) in enumerate(WRONG.items(), start=1):
        messages = " ".join(re.findall(rf"^wrong_host.py:{number}: .*$", output, re.MULTILINE))
        assert bool(messages) == bool(expected), line
        assert all(part in messages for part in (expected or "").split(", ")), messages
