"""Run the proxies of docs/operations.md in front of the site."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.docs.runner import PORT, Reader
from tests.live.servers import free_port, is_listening, program, wait_until

HOST = "keys.example.com"
FORGED = ("-H", "X-Forwarded-Proto: http", "-H", "X-Forwarded-Host: elsewhere.example.com")


class Proxy:
    """A proxy on free ports with a temporary certificate for the documented domain."""

    def __init__(self, reader: Reader, folder: Path) -> None:
        self.reader, self.folder = reader, folder
        self.tls, self.plain = free_port(), free_port()
        folder.mkdir()
        self.certificate, self.key = folder / f"{HOST}.crt", folder / f"{HOST}.key"
        kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
        names = ["-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}"]
        files = ["-out", str(self.certificate), "-keyout", str(self.key)]
        subprocess.run([program("openssl"), "req", *kind, *names, *files], check=True, capture_output=True)

    def config(self, name: str, *changes: tuple[str, str]) -> str:
        """Return the documented file with changes. Each change must match exactly once."""
        text = (self.reader.folder / name).read_text()
        for old, new in ((PORT, self.reader.port), *changes):
            assert text.count(old) == 1, f"{old!r} is in {name} {text.count(old)} times."
            text = text.replace(old, new)
        return text

    def status(self, path: str, *options: str, tls: bool = True) -> tuple[int, str]:
        """Return the status and the headers of a response."""
        scheme, port = ("https", self.tls) if tls else ("http", self.plain)
        connection = ["--resolve", f"{HOST}:{port}:127.0.0.1", "--cacert", str(self.certificate)]
        command = ["curl", "-s", "-o", os.devnull, "-D", "-", *connection, *options, f"{scheme}://{HOST}:{port}{path}"]
        headers = subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout
        return int(headers.split()[1]), headers.lower()

    @contextmanager
    def serving(self, *command: str) -> Iterator[None]:
        environment = {**os.environ, "HOME": str(self.folder), "XDG_DATA_HOME": "", "XDG_CONFIG_HOME": ""}
        with (self.folder / "log").open("wb") as log:
            process = subprocess.Popen(command, cwd=self.folder, env=environment, stdout=log, stderr=log)
        try:
            for port in (self.tls, self.plain):
                wait_until(lambda port=port: process.poll() is not None or is_listening(port), "the proxy to start")
            assert process.poll() is None, (self.folder / "log").read_text()
            yield
        finally:
            process.terminate()
            process.wait()


def call_through_caddy(reader: Reader) -> None:
    proxy = Proxy(reader, reader.folder.parent / "caddy")
    path = proxy.folder / "Caddyfile"
    global_options = f"{{\n\tadmin off\n\thttp_port {proxy.plain}\n\thttps_port {proxy.tls}\n\tservers {{"
    certificate = f"\n{HOST} {{\n\ttls {proxy.certificate.name} {proxy.key.name}"
    path.write_text(proxy.config("Caddyfile", ("{\n\tservers {", global_options), (f"\n{HOST} {{", certificate)))
    with proxy.serving(program("caddy"), "run", "--config", str(path)):
        assert_documented_behavior(proxy)


def call_through_nginx(reader: Reader) -> None:
    proxy = Proxy(reader, reader.folder.parent / "nginx")
    keys_conf = proxy.config(
        "keys.conf",
        ("listen 443", f"listen 127.0.0.1:{proxy.tls}"),
        ("listen 80;", f"listen 127.0.0.1:{proxy.plain};"),
        ("certificate /etc/ssl/", "certificate "),
        ("certificate_key /etc/ssl/", "certificate_key "),
    )
    (proxy.folder / "keys.conf").write_text(keys_conf)
    (proxy.folder / "nginx.conf").write_text(_nginx_conf())
    with proxy.serving(program("nginx"), "-p", str(proxy.folder), "-c", "nginx.conf", "-e", "stderr"):
        assert_documented_behavior(proxy)
        # Announce a large body without sending it: nginx may close the connection first.
        large_body = ("-H", "Content-Length: 3200000", "-d", "x")
        assert proxy.status("/v2/me", *large_body)[0] == 413


def assert_documented_behavior(proxy: Proxy) -> None:
    """Assert the proxy's behavior that the document promises."""
    key = ("-H", f"Authorization: Bearer {proxy.reader.clipboard}")
    status, headers = proxy.status("/v2/me", *key, *FORGED)
    assert status == 200
    assert "strict-transport-security" in headers  # The site sends it only if it knows about TLS.
    assert proxy.status("/v2/me", *key, tls=False)[0] == 403
    status, headers = proxy.status("/login", tls=False)
    assert status in (301, 302)
    assert f"\nlocation: https://{HOST}/login" in headers


def _nginx_conf() -> str:
    """Return the main configuration that includes the documented file."""
    folders = "".join(
        f"{kind}_temp_path {kind}; " for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )  # the system's folders belong to another user
    user = "user root; " if os.geteuid() == 0 else ""
    return f"{user}daemon off; pid pid; events {{}} http {{ access_log off; {folders} include keys.conf; }}"
