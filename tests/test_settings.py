"""Settings from the environment."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
GOOD = {"SECRET_KEY": "x" * 60, "API_KEY_PEPPERS": "ab" * 32}


def start(tmp_path, code, **environment):
    """Run ``code`` with the site's settings in a copy of the project without ``.env``."""
    for source in (ROOT / "manage.py", *(ROOT / "config").glob("*.py")):
        copy = tmp_path / source.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(source.read_text())
    for package in ("accounts_app", "finta_keys", "templates"):
        (tmp_path / package).symlink_to(ROOT / package)
    return subprocess.run(  # noqa: S603  # our own command
        [sys.executable, "-W", "error", *code],
        cwd=tmp_path,
        env={"PYTHONDONTWRITEBYTECODE": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("missing", ["SECRET_KEY", "API_KEY_PEPPERS"])
def test_missing_secret_stops_start(tmp_path, missing):
    environment = {name: value for name, value in GOOD.items() if name != missing}
    result = start(tmp_path, ["manage.py", "check"], **environment)
    assert result.returncode != 0
    assert missing in result.stderr
    assert "make install" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.slow
@pytest.mark.rule("T1")
@pytest.mark.rule("X2")
def test_defaults_are_safe(tmp_path):
    printed = (
        "import django; django.setup(); from django.conf import settings as s;"
        "print(s.DEBUG, s.SESSION_COOKIE_SECURE, s.CSRF_COOKIE_SECURE, s.PASSWORD_HASHERS[0].rpartition('.')[2],"
        " s.DATABASES['default']['ATOMIC_REQUESTS'], s.DATABASES['default']['NAME'].name)"
    )
    result = start(tmp_path, ["-c", printed], DJANGO_SETTINGS_MODULE="config.settings", **GOOD)
    assert result.stdout.split() == ["False", "True", "True", "Argon2PasswordHasher", "False", "db.sqlite3"], (
        result.stderr
    )


SECRET = "s3cret"


@pytest.mark.thorough
@pytest.mark.rule("X3")
@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("API_KEY_PEPPERS", "zz" * 32, "must be peppers of 64 hex digits each, separated by commas. Make one"),
        ("API_KEY_PEPPERS", SECRET, "must be peppers of 64 hex digits each, separated by commas. Make one"),
        ("DATABASE_URL", SECRET, "must be a URL such as postgres://user:password@host/name"),
        ("DATABASE_URL", f"postgress://u:{SECRET}@h/n", "must be a URL such as postgres://"),
        ("DATABASE_URL", f"postgres://u@h:{SECRET}/n", "must be a URL such as postgres://"),
        ("EMAIL_URL", SECRET, "must be a URL such as smtp+tls://user:password@host:587"),
        ("EMAIL_URL", f"smpt://u:{SECRET}@h", "must be a URL such as smtp+tls://"),
        ("EMAIL_URL", f"smtp://h:{SECRET}", "must be a URL such as smtp+tls://"),
        ("DEBUG", "flase", "must be true or false."),
        ("SECURE_SSL_REDIRECT", "ture", "must be true or false."),
    ],
)
def test_invalid_value_stops_start_without_printing_it(tmp_path, name, value, message):
    result = start(tmp_path, ["manage.py", "check"], **GOOD | {name: value})
    assert result.returncode != 0
    assert result.stderr.startswith(f"{name} {message}")
    assert result.stderr.count("\n") == 1
    assert SECRET not in result.stderr
    assert "zz" not in result.stderr


@pytest.mark.slow
def test_boolean_words(tmp_path):
    for on, off in [("true", "false"), ("True", "False"), ("1", "0"), ("yes", "no"), ("on", "off"), ("y", "")]:
        printed = "from config import settings as s; print(s.DEBUG, s.SECURE_SSL_REDIRECT)"
        result = start(tmp_path / on, ["-c", printed], DEBUG=on, SECURE_SSL_REDIRECT=off, **GOOD)
        assert result.stdout.split() == ["True", "False"], result.stderr


def test_peppers_are_trimmed(tmp_path):
    printed = "from config import settings as s; print(s.FINTA_KEYS_PEPPERS)"
    peppers = f"{'ab' * 32}, {'CD' * 32} ,"
    result = start(tmp_path, ["-c", printed], **GOOD | {"API_KEY_PEPPERS": peppers})
    assert result.stdout.strip() == repr(["ab" * 32, "CD" * 32]), result.stderr


def test_manage_py_without_django(tmp_path):
    source = ROOT / "manage.py"
    command = [sys.executable, "-S", str(source), "check"]  # without installed packages
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)  # noqa: S603
    assert result.returncode == 1
    assert result.stderr == "This Python has no Django. Run `make install`, then `.venv/bin/python manage.py …`.\n"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["API_RATE_LIMIT", "SIGN_IN_LIMIT", "SIGN_IN_SOURCE_LIMIT", "PASSWORD_RESET_LIMIT"])
def test_invalid_rate_stops_start(tmp_path, name):
    result = start(tmp_path, ["manage.py", "check"], **{name: "a lot"}, **GOOD)
    assert result.returncode != 0
    assert name in result.stderr
    assert "such as 200/minute" in result.stderr


@pytest.mark.parametrize(("debug", "year", "secure"), [("false", 31_536_000, True), ("true", 0, False)])
def test_cookie_settings_depend_on_debug(tmp_path, debug, year, secure):
    printed = (
        "from django.conf import settings as s; print([s.SECURE_HSTS_SECONDS, s.SESSION_COOKIE_SECURE,"
        " s.CSRF_COOKIE_SECURE, s.SESSION_COOKIE_HTTPONLY, s.CSRF_COOKIE_HTTPONLY, s.SESSION_COOKIE_SAMESITE,"
        " s.CSRF_COOKIE_SAMESITE, s.SIGN_IN_LIMIT])"
    )
    result = start(tmp_path, ["-c", printed], DEBUG=debug, DJANGO_SETTINGS_MODULE="config.settings", **GOOD)
    expected = [year, secure, secure, True, True, "Lax", "Lax", "5/minute; 7/5 minutes; 9/15 minutes"]
    assert result.stdout.strip() == repr(expected), result.stderr


@pytest.mark.slow
def test_closed_pipe_prints_no_traceback(tmp_path):
    (tmp_path / "reader.py").write_text(
        "import subprocess, sys\n"
        "command = [sys.executable, 'manage.py', 'help']\n"
        "with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:\n"
        "    process.stdout.close()\n"
        "    print(process.stderr.read().decode(), process.wait())\n"
    )
    result = start(tmp_path, ["reader.py"], **GOOD)
    assert result.stdout.split() == ["1"], result
