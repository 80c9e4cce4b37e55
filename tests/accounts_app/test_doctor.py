"""``manage.py doctor`` finds problems of an installation, and prints no value of the environment."""

import datetime
import io
import smtplib
import ssl
import time
from importlib import metadata
from unittest.mock import Mock

import pytest
from django.contrib.staticfiles.finders import FileSystemFinder
from django.core import signing
from django.core.files.storage import FileSystemStorage
from django.core.management import CommandError, call_command
from django.db import NotSupportedError, OperationalError, connection
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone
from redis.exceptions import AuthenticationError, ReadOnlyError

from accounts_app import limiter
from accounts_app.doctor import data, probe, services, site
from finta_keys.models import ApiKey

PRIVATE = "private-value"
DAY = datetime.timedelta(days=1)


def doctor(*arguments):
    """Return the output of the command and its exit status."""
    out, status = io.StringIO(), 0
    try:
        call_command("doctor", *arguments, stdout=out)
    except SystemExit as end:
        status = end.code
    return out.getvalue(), status


@pytest.fixture(autouse=True)
def temporary_server(monkeypatch):
    """The temporary PostgreSQL of tests has fsync off. See tests/faults/test_doctor.py for both."""
    for name in ("fsync", "full_page_writes"):
        monkeypatch.delitem(data.CRASH_SETTINGS, name)


@pytest.fixture
def production(settings, tmp_path, monkeypatch):
    """Settings of a healthy site behind one proxy."""
    settings.DEBUG = False
    settings.SECRET_KEY = "k8&z#" * 12 + "ahm3x"
    settings.ALLOWED_HOSTS = ["keys.example.com"]
    settings.TRUSTED_PROXY_COUNT = 1
    settings.CSRF_TRUSTED_ORIGINS = []
    settings.SECURE_SSL_REDIRECT = False
    settings.SECURE_HSTS_SECONDS = 31536000
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = True
    settings.FINTA_KEYS_PEPPERS = [bytes(range(32)).hex()]
    settings.DEFAULT_FROM_EMAIL = "Finta <keys@example.com>"
    settings.RATE_LIMIT_STORAGE = "memory://"
    settings.BASE_DIR = tmp_path
    settings.STATIC_ROOT = tmp_path / "static"
    (tmp_path / "manage.py").touch()
    (tmp_path / ".env").touch(0o600)
    (tmp_path / "static").mkdir()
    (tmp_path / "static/staticfiles.json").touch()
    (tmp_path / "static/style.css").write_text("new")
    (tmp_path / "source").mkdir()
    (tmp_path / "source/style.css").write_text("new")
    finder = FileSystemFinder()
    finder.locations = [("", str(tmp_path / "source"))]
    finder.storages = {str(tmp_path / "source"): FileSystemStorage(str(tmp_path / "source"))}
    monkeypatch.setattr(site.finders, "get_finders", lambda: [finder])
    monkeypatch.delenv("WEB_CONCURRENCY", raising=False)
    server = Mock(host="mail.example.com", use_tls=True, use_ssl=False, password=PRIVATE)
    server.connection.mail.return_value = (250, b"ok")
    monkeypatch.setattr(services, "_mail_server", lambda: server)
    settings.mail_server = server
    return settings


@pytest.mark.django_db
def test_healthy_site_has_no_problem(production):
    assert doctor()[1] == 0, doctor()[0]


@pytest.mark.django_db
def test_healthy_development_site_has_no_problem(settings, tmp_path):
    settings.DEBUG = True
    settings.ALLOWED_HOSTS = []
    settings.TRUSTED_PROXY_COUNT = None
    settings.FINTA_KEYS_PEPPERS = [bytes(range(32)).hex()]
    assert doctor()[1] == 0, doctor()[0]


@pytest.mark.thorough
@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("ALLOWED_HOSTS", [], "ALLOWED_HOSTS is not set"),
        ("ALLOWED_HOSTS", ["*"], "any host name"),
        ("DEBUG", True, "DEBUG is on"),
        ("TRUSTED_PROXY_COUNT", None, "TRUSTED_PROXY_COUNT is not set"),
        ("CSRF_TRUSTED_ORIGINS", ["http://keys.example.com"], "origin without TLS"),
        ("FINTA_KEYS_PEPPERS", ["5e" * 32], "A pepper is a pattern"),
        ("FINTA_KEYS_PEPPERS", [bytes(range(32)).hex()] * 2, "a pepper twice"),
        ("SECRET_KEY", "short", "Set SECRET_KEY to what this prints"),
        ("DEFAULT_FROM_EMAIL", "Finta <noreply@localhost>", "DEFAULT_FROM_EMAIL is not set"),
        ("STATIC_ROOT", "/missing", "not collected"),
        ("FINTA_KEYS_LAST_USED_INTERVAL", -1, "finta_keys.E001"),
    ],
)
def test_wrong_setting_is_a_problem(production, name, value, problem):
    setattr(production, name, value)
    printed, status = doctor()
    assert status == 1
    assert problem in printed
    assert "→" in printed


@pytest.mark.django_db
def test_redirect_without_trusted_proxy_is_a_problem(production):
    production.SECURE_SSL_REDIRECT, production.TRUSTED_PROXY_COUNT = True, 0
    assert "redirect forever" in doctor()[0]


@pytest.mark.django_db
def test_readable_env_file_is_a_problem(production):
    (production.BASE_DIR / ".env").chmod(0o644)
    assert "chmod 600 .env" in doctor()[0]


@pytest.mark.django_db
def test_outdated_static_files_are_a_problem(production):
    (production.STATIC_ROOT / "style.css").write_text("old")
    assert "those of another version" in doctor()[0]
    (production.STATIC_ROOT / "style.css").unlink()
    assert "those of another version" in doctor()[0]


@pytest.mark.django_db
def test_packages_that_differ_from_the_lock(production):
    lock = f"""limits=={metadata.version("limits")} \\
    --hash=sha256:0
django==1.0 ; python_full_version < '3' \\
redis==0.1 \\
no-such-package==1 \\
"""
    (production.BASE_DIR / "requirements.txt").write_text(lock)
    assert "differ from requirements.txt: redis, no-such-package." in doctor()[0]


@pytest.mark.django_db
def test_several_workers_with_limits_in_memory(production, monkeypatch):
    monkeypatch.setenv("WEB_CONCURRENCY", "4711")
    printed, _ = doctor()
    assert "count rate limits in their own memory" in printed
    assert "4711" not in printed


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("reason", "remedy"),
    [
        (ConnectionRefusedError(PRIVATE), "Start or restart Redis"),
        (AuthenticationError(PRIVATE), "user and password"),
        (ReadOnlyError(PRIVATE), "Name the primary"),
    ],
)
def test_redis_that_cannot_be_used(production, monkeypatch, reason, remedy):
    error = limiter.Unreachable(reason)
    error.__cause__ = reason
    production.RATE_LIMIT_STORAGE = f"redis://:{PRIVATE}@redis.example.com:6379"
    monkeypatch.setattr(services.limiter, "hit", Mock(side_effect=error))
    printed, status = doctor()
    assert (status, remedy in printed, PRIVATE in printed) == (1, True, False)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (ConnectionRefusedError(PRIVATE), "Start the mail server"),
        (services.socket.gaierror(PRIVATE), "its name is unknown"),
        (smtplib.SMTPAuthenticationError(535, PRIVATE), "user and password"),
        (ssl.SSLError(PRIVATE), "smtps for port 465"),
        (ssl.SSLCertVerificationError(PRIVATE), "certificate"),
    ],
)
def test_mail_server_that_cannot_be_used(production, error, remedy):
    production.mail_server.open.side_effect = error
    printed, status = doctor()
    assert (status, remedy in printed, PRIVATE in printed) == (1, True, False)


@pytest.mark.django_db
def test_rejected_sender_is_a_problem(production):
    mail = production.mail_server.connection.mail
    mail.return_value = (553, PRIVATE.encode())
    production.DEFAULT_FROM_EMAIL = "Finta <other@example.com>"
    printed, _ = doctor()
    assert "rejects the sender" in printed
    assert PRIVATE not in printed
    mail.assert_called_once_with("other@example.com")


@pytest.mark.django_db
def test_mail_without_server_or_tls_is_a_problem(production, monkeypatch):
    production.mail_server.use_tls = False
    assert "without TLS" in doctor()[0]
    monkeypatch.setattr(services, "_mail_server", object)
    assert "names no mail server" in doctor()[0]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (OperationalError(f"connection to {PRIVATE} failed: Connection refused"), "Start or restart the database"),
        (OperationalError(f'password authentication failed for user "{PRIVATE}"'), "user and password"),
        (OperationalError(f'database "{PRIVATE}" does not exist'), "Create the database"),
        (OperationalError("unable to open database file"), "Create the folder"),
        (OperationalError("attempt to write a readonly database"), "write to the SQLite file"),
        (NotSupportedError(PRIVATE), "Upgrade the database server"),
    ],
)
def test_database_that_cannot_be_used(production, monkeypatch, error, remedy):
    monkeypatch.setattr(connection, "cursor", Mock(side_effect=error))
    printed, status = doctor()
    assert (status, remedy in printed, PRIVATE in printed) == (1, True, False)
    assert "sessions     not checked" in printed


@pytest.mark.django_db
def test_pending_and_unknown_migrations(production):
    recorder = MigrationRecorder(connection)
    recorder.record_unapplied("finta_keys", "0004_permission_and_expiry")
    assert "have not run: 1, such as finta_keys.0004_permission_and_expiry" in doctor()[0]
    recorder.record_applied("finta_keys", "0004_permission_and_expiry")
    recorder.record_applied("finta_keys", "9999_later")
    assert "migrated by newer code" in doctor()[0]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE finta_keys_keyevent RENAME TO other",
        "ALTER TABLE finta_keys_keyevent RENAME COLUMN key_hint TO other",
    ],
)
def test_faked_migration_is_a_problem(production, change):
    with connection.cursor() as cursor:
        cursor.execute(change)
    assert "columns of them are missing: finta_keys_keyevent." in doctor()[0]


@pytest.mark.django_db
def test_lost_commits_after_a_crash(production):
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL synchronous_commit = off")
        assert "synchronous_commit is off" in doctor()[0]


@pytest.mark.django_db
def test_keys_without_their_pepper(production, alice):
    ApiKey.objects.create_key(owner=alice, name="Script")
    production.FINTA_KEYS_PEPPERS = [bytes(range(32, 64)).hex()]
    printed, _ = doctor()
    assert "1 keys do not work" in printed
    assert production.FINTA_KEYS_PEPPERS[0] not in printed


@pytest.mark.django_db
def test_wrong_clocks_are_problems(production, alice, monkeypatch):
    key, _ = ApiKey.objects.create_key(owner=alice, name="Script")
    ApiKey.objects.filter(pk=key.pk).update(last_used_at=timezone.now() + DAY)
    assert "used in the future" in doctor()[0]
    with monkeypatch.context() as patched:
        patched.setattr(data.timezone, "now", lambda: datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC))
        assert "behind the time of its own files" in doctor()[0]
    if connection.vendor == "postgresql":
        monkeypatch.setattr(data.time, "time", lambda: time.monotonic())
        assert "clock of the database" in doctor()[0]


@pytest.mark.django_db
def test_failing_check_does_not_end_the_report(production, monkeypatch):
    monkeypatch.setattr(data, "count_keys", Mock(side_effect=RuntimeError(PRIVATE)))
    printed, status = doctor()
    assert (status, PRIVATE in printed) == (1, False)
    assert "peppers      The check failed with RuntimeError." in printed
    assert "sessions     ok" in printed


@pytest.mark.django_db
def test_missing_table_is_a_problem(production, monkeypatch):
    monkeypatch.setattr(data, "import_string", Mock(side_effect=OperationalError(f"no such table: {PRIVATE}")))
    printed, status = doctor()
    assert (status, PRIVATE in printed) == (1, False)
    assert "sessions     A table is missing or cannot be used (OperationalError)." in printed


HEALTHY = {
    "https /login": {"status": "200", "strict-transport-security": "max-age=1"},
    "https /v2/health": {"status": "200", "x-doctor": "ok"},
    "https /logout": {"status": "302"},
    "http /login": {"status": "301"},
    "http /v2/health": {"status": "403"},
}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("place", "response", "problem"),
    [
        ("https /login", HEALTHY["https /login"], ""),
        ("https /login", None, "does not respond over HTTPS"),
        ("https /login", {"status": "400"}, "rejects the host name"),
        ("https /login", {"status": "502"}, "responds with 502"),
        ("https /login", {"status": "200"}, "does not know that the request came over TLS"),
        ("https /logout", {"status": "403"}, "rejects its own forms"),
        ("https /logout", None, ""),
        ("https /v2/health", {"status": "503"}, "does not respond with 200"),
        ("https /v2/health", {"status": "200"}, "another SECRET_KEY"),
        ("https /v2/health", {"status": "200", "x-doctor": "wrong-count"}, "not the number of proxies"),
        ("https /v2/health", {"status": "200", "x-doctor": "no-authorization"}, "every key gets 401"),
        ("http /login", HEALTHY["https /login"], "passes X-Forwarded-Proto of clients on"),
        ("http /v2/health", {"status": "301"}, "secret in clear"),
    ],
)
def test_proxies_seen_from_outside(production, monkeypatch, place, response, problem):
    responses = {**HEALTHY, place: response}
    monkeypatch.setattr(site, "_head", lambda scheme, host, path, *headers: responses[f"{scheme} {path}"])
    printed, status = doctor("--url", "https://keys.example.com")
    assert status == bool(problem)
    assert problem in printed


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("forwarded", "count", "report"),
    [
        ("192.0.2.1, 198.51.100.7", 1, "ok"),
        ("198.51.100.7", 1, "ok"),
        ("192.0.2.1", None, "ok"),
        ("192.0.2.1, 198.51.100.7", None, "wrong-count"),
        ("192.0.2.1, 198.51.100.7", 2, "wrong-count"),
        ("192.0.2.1", 1, "wrong-count"),
        ("", 1, "wrong-count"),
    ],
)
def test_site_reports_number_of_proxies(production, client, forwarded, count, report):
    production.TRUSTED_PROXY_COUNT = count
    headers = {**probe.headers(), "X-Forwarded-For": forwarded}
    assert client.get("/v2/health", headers=headers)["X-Doctor"] == report
    del headers["Authorization"]
    assert "no-authorization" in client.get("/v2/health", headers=headers)["X-Doctor"]


@pytest.mark.django_db
def test_site_reports_to_holders_of_secret_key(client, settings, monkeypatch):
    assert "X-Doctor" not in client.get("/v2/health")
    headers = probe.headers()
    with monkeypatch.context() as patched:
        patched.setattr(signing.time, "time", lambda: time.time_ns() / 1e9 + 600)
        assert "X-Doctor" not in client.get("/v2/health", headers=headers)
    assert "X-Doctor" in client.get("/v2/health", headers=headers)
    settings.SECRET_KEY = "other" * 12
    assert "X-Doctor" not in client.get("/v2/health", headers=headers)


@pytest.mark.parametrize("url", ["keys.example.com", "http://keys.example.com"])
def test_url_must_be_https(url):
    with pytest.raises(CommandError, match="must start with https://"):
        doctor("--url", url)
