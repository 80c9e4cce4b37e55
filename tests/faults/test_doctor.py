"""``manage.py doctor`` finds settings of real servers that lose data or reject forms."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.live import servers, site
from tests.live.servers import free_port, is_listening, program, wait_until

pytestmark = pytest.mark.live

NGINX = """
daemon off; pid pid; events {{}}
http {{
    access_log off;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate crt;
        ssl_certificate_key key;
        location / {{
            proxy_pass http://127.0.0.1:{site_port};
            proxy_set_header Host {host};
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
        }}
    }}
}}
"""


def doctor(env, *arguments):
    """Return the report. It also has problems of the environment of tests, such as no mail server."""
    command = [sys.executable, "manage.py", "doctor", *arguments]
    return subprocess.run(command, cwd=site.ROOT, env=env, capture_output=True, text=True, check=False).stdout


@pytest.mark.parametrize(
    ("options", "is_problem"),
    [
        (("--maxmemory", "50mb", "--maxmemory-policy", "volatile-ttl"), True),
        (("--maxmemory", "50mb", "--maxmemory-policy", "noeviction"), False),
        (("--maxmemory", "0", "--maxmemory-policy", "allkeys-lru"), False),
    ],
)
def test_redis_that_removes_keys_is_a_problem(options, is_problem):
    with servers.redis(*options) as redis:
        report = doctor(site.environment("sqlite://:memory:", RATE_LIMIT_STORAGE=redis.url))
    assert ("Redis removes keys when its memory is full" in report) is is_problem
    assert ("rate limits  ok" in report) is not is_problem


@pytest.mark.parametrize("name", ["fsync", "full_page_writes", None])
def test_postgresql_that_loses_changes_is_a_problem(name):
    settings = {"fsync": "on", **({name: "off"} if name else {})}
    with servers.postgresql(**settings) as server:
        report = doctor(site.environment(server.url()))
    assert report.count("is off: ") == (name is not None)
    assert f"database     {name} is off: " in report or not name


@pytest.fixture
def certificate(tmp_path):
    files = ("-out", str(tmp_path / "crt"), "-keyout", str(tmp_path / "key"))
    kind = ("-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")
    names = ("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1")
    subprocess.run([program("openssl"), "req", *kind, *names, *files], check=True, capture_output=True)
    return tmp_path / "crt"


@pytest.mark.parametrize(
    ("host", "trusted", "is_problem"),
    [("$http_host", "", False), ("$host", "", True), ("$host", "https://127.0.0.1:{port}", False)],
)
def test_proxy_that_leaves_out_the_port_is_a_problem(tmp_path, certificate, host, trusted, is_problem):
    """The documented proxy has $host, which is right for port 443."""
    port = free_port()
    env = site.environment(
        f"sqlite:///{tmp_path / 'db.sqlite3'}",
        TRUSTED_PROXY_COUNT="1",
        CSRF_TRUSTED_ORIGINS=trusted.format(port=port),
        SSL_CERT_FILE=str(certificate),
    )
    with site.serving(env, workers=1) as served:
        (tmp_path / "nginx.conf").write_text(NGINX.format(port=port, site_port=served.port, host=host))
        command = [program("nginx"), "-p", str(tmp_path), "-c", "nginx.conf", "-e", "stderr"]
        proxy = subprocess.Popen(command, cwd=tmp_path)
        try:
            wait_until(lambda: is_listening(port), "nginx to start")
            report = doctor(env, "--url", f"https://127.0.0.1:{port}")
        finally:
            proxy.terminate()
            proxy.wait()
    assert ("address      The site rejects its own forms with 403" in report) is is_problem
    assert ("address      ok" in report) is not is_problem
