"""``config.wsgi``: requests before Django handles them, and the start line."""

import json
from io import BytesIO

import pytest

from config.wsgi import application
from tests.test_settings import GOOD, start


@pytest.mark.django_db
@pytest.mark.parametrize("charset", ["hex", "zlib", "undefined", "utf-16", "nonsense", '"', "x; x*=foo''%ff"])
def test_any_charset_gets_json(charset):
    responses = []
    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/v2/me",
        "QUERY_STRING": "status=all",
        "CONTENT_TYPE": f"application/json; charset={charset}",
        "SERVER_NAME": "testserver",
        "SERVER_PORT": "80",
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(),
    }
    body = b"".join(application(environ, lambda status, headers: responses.append((status, dict(headers)))))
    status, headers = responses[0]
    assert status.startswith("401")
    assert headers["Content-Type"] == "application/json"
    assert b"Missing or invalid" in body


ENVIRONMENT = {
    **GOOD,
    "DATABASE_URL": "postgres://finta:s3cret@db.example:5432/finta_production",
    "RATE_LIMIT_STORAGE": "redis://finta:s3cret@cache.example:6379/0?password=s3cret",
    "DJANGO_SETTINGS_MODULE": "config.settings",
}


@pytest.mark.slow
def test_start_line_has_no_password(tmp_path):
    (tmp_path / "staticfiles").mkdir()
    result = start(tmp_path, ["-c", "import config.wsgi"], **ENVIRONMENT)
    line = json.loads(result.stderr)
    assert line["logger"] == "finta.start"
    for message in (
        "Finta keys 0.",
        "Django ",
        "Python 3.",
        "database postgresql finta_production;",
        "rate limits in redis://cache.example:6379;",
        "DEBUG off",
        "peppers: 1",
    ):
        assert message in line["message"]
    for hidden in ("s3cret", "finta:", *GOOD.values()):
        assert hidden not in result.stderr


@pytest.mark.slow
def test_command_logs_no_start_line(tmp_path):
    result = start(tmp_path, ["manage.py", "diffsettings", "--default", "config.settings"], **GOOD)
    assert result.returncode == 0, result.stderr
    assert "finta.start" not in result.stderr
