"""The types of the installed app, as strict as mypy can be."""

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
# mypy ends with 1 where it has anything to say, and here it has.
MYPY = "from mypy import api; import sys; sys.path.insert(0, '.'); print(*api.run(sys.argv[1:]), sep='')"
WRONG = {
    "from finta_keys.models import ApiKey": None,
    "from finta_keys.testing import make_key": None,
    "secret: int = make_key(1)[1]": "arg-type, assignment",
    "reveal_type(ApiKey.objects.issue)": "def (*, owner: django.contrib.auth.base_user.AbstractBaseUser",
    "ApiKey().rename()": "call-arg",
    "from finta_keys.models import Key": "attr-defined",
}


@pytest.fixture(scope="module")
def told(host):
    """What mypy says of the module of the project, and of one in which each line is wrong."""
    (host.folder / "mypy.ini").write_text(CONFIGURATION)
    (host.folder / "typed_host.py").write_text((Path(__file__).parent / "typed_host.py").read_text())
    (host.folder / "wrong_host.py").write_text("\n".join(WRONG))
    return host.run("-c", MYPY, "typed_host.py", "wrong_host.py")


def test_a_project_that_uses_the_public_names_is_clean(told):
    said = [line for line in told.splitlines() if ": " in line]
    assert [line for line in said if not line.removeprefix(" ").startswith("wrong_host.py:")] == []
    assert "(checked 2 source files)" in told


def test_mistakes_are_told(told):
    for number, (line, expected) in enumerate(WRONG.items(), start=1):
        said = " ".join(re.findall(rf"^wrong_host.py:{number}: .*$", told, re.MULTILINE))
        assert bool(said) == bool(expected), line
        assert all(part in said for part in (expected or "").split(", ")), said
