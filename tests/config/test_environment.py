"""Settings from environment variables, from files and from ``.env``."""

import os

import django
import pytest
from django.core.exceptions import ImproperlyConfigured

from config import environment
from tests.test_settings import GOOD, start

SECRET = "s3cret"
PEPPER = "ab" * 32

# A valid value of each variable, the setting it ends in, and the expected setting.
VALID = {
    "SECRET_KEY": ("q7-Key", "SECRET_KEY", "q7-Key"),
    "API_KEY_PEPPERS": (PEPPER, "FINTA_KEYS_PEPPERS", [PEPPER]),
    "DEBUG": ("true", "DEBUG", True),
    "DATABASE_URL": ("sqlite:////tmp/x.sqlite3", "DATABASES", "/tmp/x.sqlite3"),  # noqa: S108
    "ALLOWED_HOSTS": ("a.example.com", "ALLOWED_HOSTS", ["a.example.com"]),
    "TRUSTED_PROXY_COUNT": ("1", "TRUSTED_PROXY_COUNT", 1),
    "CSRF_TRUSTED_ORIGINS": ("https://a.example.com", "CSRF_TRUSTED_ORIGINS", ["https://a.example.com"]),
    "SECURE_SSL_REDIRECT": ("true", "SECURE_SSL_REDIRECT", True),
    "API_RATE_LIMIT": ("1/minute", "API_RATE_LIMIT", "1/minute"),
    "SIGN_IN_LIMIT": ("1/minute", "SIGN_IN_LIMIT", "1/minute"),
    "SIGN_IN_SOURCE_LIMIT": ("1/minute", "SIGN_IN_SOURCE_LIMIT", "1/minute"),
    "PASSWORD_RESET_LIMIT": ("1/minute", "PASSWORD_RESET_LIMIT", "1/minute"),
    "PASSWORD_RESET_SOURCE_LIMIT": ("1/minute", "PASSWORD_RESET_SOURCE_LIMIT", "1/minute"),
    "STANDBY_TIMEOUT": ("5", "FINTA_KEYS_STANDBY_TIMEOUT", 5),
    "MAX_ACCOUNTS_PER_OWNER": ("20", "MAX_ACCOUNTS_PER_OWNER", 20),
    "RATE_LIMIT_STORAGE": ("redis://cache.example:6379", "RATE_LIMIT_STORAGE", "redis://cache.example:6379"),
    "LOG_LEVEL": ("debug", "LOG_LEVEL", "DEBUG"),
    "EMAIL_URL": ("smtp://mail.example.com", "EMAIL", "mail.example.com"),
    "DEFAULT_FROM_EMAIL": ("Finta <keys@example.com>", "DEFAULT_FROM_EMAIL", "Finta <keys@example.com>"),
    "ADMINS": ("ops@example.com", "ADMINS", ["ops@example.com"]),
}
REQUIRED = ("SECRET_KEY", "API_KEY_PEPPERS")
ANY_TEXT = ("SECRET_KEY",)


def setting(settings, name):
    if name == "DATABASES":
        return settings.DATABASES["default"]["NAME"]
    if name == "EMAIL":
        return mail(settings)["host"]
    if name == "ADMINS":
        return [admin if isinstance(admin, str) else admin[1] for admin in settings.ADMINS]
    return getattr(settings, name)


def mail(settings):
    if django.VERSION >= (6, 1):
        return settings.MAILERS["default"]["OPTIONS"]
    names = ("host", "port", "use_tls", "use_ssl")
    options = {name: getattr(settings, f"EMAIL_{name.upper()}", None) for name in names}
    return options | {"username": settings.EMAIL_HOST_USER, "password": settings.EMAIL_HOST_PASSWORD}


def rejection(load, **variables):
    """Return the sentence that rejects a value.

    It names the variable and has no secret.
    """
    with pytest.raises(ImproperlyConfigured) as caught:
        load(**GOOD | variables)
    message = str(caught.value)
    assert any(message.startswith(name) for name in variables), message
    assert "\n" not in message
    for value in variables.values():
        assert len(value) < 3 or value not in message or "/" in value  # paths may appear as examples
    assert SECRET not in message
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return message


@pytest.mark.parametrize("name", VALID)
@pytest.mark.parametrize("template", ["{}", "  {}\t", "\ufeff{}", "{}\r\n"])
def test_valid_value_is_accepted_as_meant(load, name, template):
    value, target, expected = VALID[name]
    assert setting(load(**GOOD | {name: template.format(value)}), target) == expected


@pytest.mark.parametrize("name", VALID)
@pytest.mark.parametrize("template", ["{}\n", "\ufeff {}\r\n"])
def test_value_can_come_from_a_file(load, tmp_path, name, template):
    value, target, expected = VALID[name]
    file = tmp_path / "secret"
    file.write_text(template.format(value))
    variables = {other: value for other, value in GOOD.items() if other != name}
    assert setting(load(**variables, **{f"{name}_FILE": str(file)}), target) == expected


@pytest.mark.parametrize("name", VALID)
@pytest.mark.parametrize("value", ["", "  ", "\ufeff"])
def test_empty_value_counts_as_unset(load, name, value):
    if name in REQUIRED:
        with pytest.raises(ImproperlyConfigured, match=f"^Not set: {name}"):
            load(**GOOD | {name: value})
    else:
        target = VALID[name][1]
        assert setting(load(**GOOD | {name: value}), target) == setting(load(**GOOD), target)


@pytest.mark.parametrize("name", [name for name in VALID if name not in ANY_TEXT])
@pytest.mark.parametrize("value", [f'"{SECRET}"', f"${SECRET}", f"#{SECRET}", f"{SECRET}ü", f"{SECRET} {SECRET}"])
def test_invalid_value_is_rejected(load, name, value):
    rejection(load, **{name: value})


@pytest.mark.parametrize("name", VALID)
@pytest.mark.parametrize("value", [f"a\n{SECRET}", f"\x07{SECRET}", f"\udcff{SECRET}"])
def test_control_characters_are_rejected(load, name, value):
    rejection(load, **{name: value})


@pytest.mark.parametrize("value", ["$q7-Key", "$HOME", "a#b", "a # b", '"quoted"', "ключ", "a=b", "{{x}}", "%(x)s"])
def test_secret_key_is_literal(load, value):
    assert value == load(**GOOD | {"SECRET_KEY": value}).SECRET_KEY


@pytest.mark.parametrize(
    "value", ["https://a.example.com", "a.example.com:8000", "a.example.com/", "a.example.com b.example.com", "a..b"]
)
def test_hosts_reject_urls_and_ports(load, value):
    assert "without https:// and port" in rejection(load, ALLOWED_HOSTS=value)


@pytest.mark.parametrize("value", ["300", "day", "5/minute;; x", "5 per fortnight", "-1/minute"])
def test_invalid_rate_is_rejected(load, value):
    assert "such as 200/minute" in rejection(load, API_RATE_LIMIT=value)


@pytest.mark.parametrize(
    "url",
    [
        "redis://cache",
        "rediss://user:p%23ss@cache.example:6379/1?protocol=3",
        "redis://[::1]:6379",
        "redis+unix:///run/redis.sock",
        "redis+sentinel://a:1,b:2/main",
        "memory://",
    ],
)
def test_storage_is_accepted(load, url):
    assert url == load(**GOOD | {"RATE_LIMIT_STORAGE": url}).RATE_LIMIT_STORAGE


@pytest.mark.parametrize(
    "url",
    ["redis://", "redis://:s3cret#x@h", "redis://:s3cret/x@h", "redis://:s3cret@x@h", "redis://h:port", "disk://x"],
)
def test_storage_is_rejected(load, url):
    """A # or / in a password would be the end of the host, in silence."""
    assert "memory:// or a URL" in rejection(load, RATE_LIMIT_STORAGE=url)


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "1e3", "12345678", "٣"])
def test_numbers_must_be_whole_and_positive(load, value):
    with pytest.raises(ImproperlyConfigured, match=r"^MAX_ACCOUNTS_PER_OWNER must be a whole number"):
        load(**GOOD | {"MAX_ACCOUNTS_PER_OWNER": value})


def test_lists_are_trimmed(load):
    settings = load(**GOOD | {"ALLOWED_HOSTS": " a.example.com, .b.example.com,[::1] ,, *"})
    assert settings.ALLOWED_HOSTS == ["a.example.com", ".b.example.com", "[::1]", "*"]
    settings = load(**GOOD | {"CSRF_TRUSTED_ORIGINS": "https://*.example.com , http://[::1]:8000"})
    assert settings.CSRF_TRUSTED_ORIGINS == ["https://*.example.com", "http://[::1]:8000"]


@pytest.mark.parametrize("value", ["a.example.com", "https://a.example.com/path", "ftp://a.example.com"])
def test_origins_need_a_scheme_and_no_path(load, value):
    assert "such as https://keys.example.com" in rejection(load, CSRF_TRUSTED_ORIGINS=value)


@pytest.mark.parametrize(
    ("scheme", "port", "tls", "ssl"),
    [
        ("smtp", 25, None, None),
        ("smtp+tls", 587, True, None),
        ("smtps", 465, None, True),
        ("smtp+ssl", 465, None, True),
    ],
)
def test_mail_schemes(load, scheme, port, tls, ssl):
    options = mail(load(**GOOD | {"EMAIL_URL": f"{scheme}://mail.example.com"}))
    assert (options["port"], options.get("use_tls"), options.get("use_ssl")) == (port, tls, ssl)


@pytest.mark.parametrize("password", ["p@ss", "p#ss", "p/?ss", "p:ss", "p%40ss", "p%ss", "$pass"])
def test_mail_password_may_have_any_character(load, password):
    options = mail(load(**GOOD | {"EMAIL_URL": f"smtp+tls://me@example.com:{password}@mail.example.com:2587/"}))
    assert options["password"] == password.replace("%40", "@")
    assert (options["username"], options["host"], options["port"]) == ("me@example.com", "mail.example.com", 2587)


@pytest.mark.parametrize(
    "url", ["smtp://", "smpt://h", "smtp://h:x", "smtp://u:s3cret@h/path", "smtp://u:s3cret@h?x=1"]
)
def test_mail_url_is_rejected(load, url):
    assert "smtp+tls://user:password@host:587" in rejection(load, EMAIL_URL=url)


@pytest.mark.parametrize("password", ["p@ss", "p#ss", "p:ss", "p/ss", "p%40ss"])
def test_database_password_may_have_most_characters(load, password):
    database = load(**GOOD | {"DATABASE_URL": f"postgres://u:{password}@h:5433/n?conn_max_age=9"}).DATABASES["default"]
    assert database["PASSWORD"] == password.replace("%40", "@")
    assert [database[name] for name in ("USER", "HOST", "PORT", "NAME")] == ["u", "h", 5433, "n"]
    assert database["CONN_MAX_AGE"] == 9


@pytest.mark.parametrize(("value", "option"), [("true", True), ("1", True), ("false", False)])
def test_server_side_binding_is_a_switch(load, value, option):
    url = f"postgres://u:p@h/n?server_side_binding={value}&prepare_threshold=5"
    options = load(**GOOD | {"DATABASE_URL": url}).DATABASES["default"]["OPTIONS"]
    assert options["server_side_binding"] is option
    assert options["prepare_threshold"] == 5


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://relative",
        "postgres://u:s3cret?x@h/n",
        "postgres://u:s3cret@h/n#x",
        "mongo://u:s3cret@h/n",
        "postgres://u:s3cret@h/n?server_side_binding=x",
    ],
)
def test_database_url_is_rejected(load, url):
    rejection(load, DATABASE_URL=url)


def test_variable_and_file_are_not_both_allowed(load, tmp_path):
    assert "are both set" in rejection(load, SECRET_KEY=SECRET, SECRET_KEY_FILE=str(tmp_path / "x"))


def test_unreadable_file_is_rejected(load, tmp_path):
    path = tmp_path / "utf-16"
    path.write_text(SECRET, encoding="utf-16")
    for file in (tmp_path / "missing", tmp_path, path):
        assert rejection(load, EMAIL_URL_FILE=str(file)).startswith("EMAIL_URL_FILE names a file that")


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("KEY=abc", "abc"),
        ("KEY = abc ", "abc"),
        ("export KEY=abc", "abc"),
        ("KEY='a # b'", "a # b"),
        (r'KEY="a\"b\\c$d"', r'a"b\c$d'),
        ("KEY=a#b", "a#b"),
        ("KEY=$abc", "$abc"),
        ("KEY=abc=", "abc="),
        ("KEY=", ""),
        ("KEY=old\nKEY=abc", "abc"),
        ("# note\n\nKEY=abc\r", "abc"),
        ("\ufeffKEY=abc", "abc"),
    ],
)
def test_dotenv_line(tmp_path, monkeypatch, line, value):
    monkeypatch.delenv("KEY", raising=False)
    path = tmp_path / ".env"
    path.write_text(line, newline="")
    environment.load_dotenv(path)
    assert os.environ["KEY"] == value


def test_environment_wins_over_dotenv(tmp_path, monkeypatch):
    monkeypatch.setenv("KEY", "set")
    (tmp_path / ".env").write_text("KEY=file")
    environment.load_dotenv(tmp_path / ".env")
    assert os.environ["KEY"] == "set"


@pytest.mark.parametrize(
    "line", [f"KEY: {SECRET}", f"KEY {SECRET}", SECRET, f"KEY='{SECRET}", f'KEY="{SECRET}" # x', f"KEY={SECRET} # x"]
)
def test_dotenv_line_is_rejected(tmp_path, line):
    path = tmp_path / ".env"
    path.write_text(f"# note\n{line}\n")
    with pytest.raises(ImproperlyConfigured, match=r"^Line 2 of \.env") as caught:
        environment.load_dotenv(path)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "latin-1"])
def test_dotenv_must_be_utf8(tmp_path, encoding):
    path = tmp_path / ".env"
    path.write_text(f"SECRET_KEY={SECRET}ü", encoding=encoding)
    with pytest.raises(ImproperlyConfigured, match=r"\.env is not UTF-8|is not NAME=value"):
        environment.load_dotenv(path)


@pytest.mark.parametrize("line", [f"SECRET_KEY: {SECRET}", f"\ufeffSECRET_KEY: {SECRET}"])
def test_start_prints_no_value_of_dotenv(tmp_path, line):
    (tmp_path / ".env").write_text(f"API_KEY_PEPPERS = {PEPPER}\n{line}\n")
    result = start(tmp_path, ["manage.py", "check"])
    assert result.returncode == 1
    assert result.stderr == "Line 2 of .env is not NAME=value.\n"
