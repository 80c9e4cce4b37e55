"""The proxies of docs/operations.md, before the site that its reader has started."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.docs.runner import PORT, Reader
from tests.live.servers import answers, free_port, program, wait_until

HOST = "keys.example.com"
FORGED = ("-H", "X-Forwarded-Proto: http", "-H", "X-Forwarded-Host: elsewhere.example.com")


class Proxy:
    """Ports and a certificate for one of them: nobody has the domain, and 80 and 443 may be taken."""

    def __init__(self, reader: Reader, folder: Path) -> None:
        self.reader, self.folder = reader, folder
        self.tls, self.plain = free_port(), free_port()
        folder.mkdir()
        self.certificate, self.key = folder / f"{HOST}.crt", folder / f"{HOST}.key"
        kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
        names = ["-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}"]
        files = ["-out", str(self.certificate), "-keyout", str(self.key)]
        subprocess.run([program("openssl"), "req", *kind, *names, *files], check=True, capture_output=True)

    def written(self, name: str, *changes: tuple[str, str]) -> str:
        """Return the reader's file with what is different here. Each change has its one place in the file."""
        text = (self.reader.folder / name).read_text()
        for old, new in ((PORT, self.reader.port), *changes):
            assert text.count(old) == 1, f"{old!r} is in {name} {text.count(old)} times."
            text = text.replace(old, new)
        return text

    def status(self, path: str, *options: str, tls: bool = True) -> tuple[int, str]:
        """Return the status of an answer, and its headers."""
        scheme, port = ("https", self.tls) if tls else ("http", self.plain)
        known = ["--resolve", f"{HOST}:{port}:127.0.0.1", "--cacert", str(self.certificate)]
        asked = ["curl", "-s", "-o", os.devnull, "-D", "-", *known, *options, f"{scheme}://{HOST}:{port}{path}"]
        headers = subprocess.run(asked, check=True, capture_output=True, text=True, timeout=30).stdout
        return int(headers.split()[1]), headers.lower()

    @contextmanager
    def serving(self, *command: str) -> Iterator[None]:
        environment = {**os.environ, "HOME": str(self.folder), "XDG_DATA_HOME": "", "XDG_CONFIG_HOME": ""}
        with (self.folder / "log").open("wb") as log:
            process = subprocess.Popen(command, cwd=self.folder, env=environment, stdout=log, stderr=log)
        try:
            for port in (self.tls, self.plain):
                wait_until(lambda port=port: process.poll() is not None or answers(port), "a proxy that answers")
            assert process.poll() is None, (self.folder / "log").read_text()
            yield
        finally:
            process.terminate()
            process.wait()


def through_caddy(reader: Reader) -> None:
    proxy = Proxy(reader, reader.folder.parent / "caddy")
    path = proxy.folder / "Caddyfile"
    ours = f"{{\n\tadmin off\n\thttp_port {proxy.plain}\n\thttps_port {proxy.tls}\n\tservers {{"
    certificate = f"\n{HOST} {{\n\ttls {proxy.certificate.name} {proxy.key.name}"
    path.write_text(proxy.written("Caddyfile", ("{\n\tservers {", ours), (f"\n{HOST} {{", certificate)))
    with proxy.serving(program("caddy"), "run", "--config", str(path)):
        check(proxy)


def through_nginx(reader: Reader) -> None:
    proxy = Proxy(reader, reader.folder.parent / "nginx")
    theirs = proxy.written(
        "keys.conf",
        ("listen 443", f"listen 127.0.0.1:{proxy.tls}"),
        ("listen 80;", f"listen 127.0.0.1:{proxy.plain};"),
        ("certificate /etc/ssl/", "certificate "),
        ("certificate_key /etc/ssl/", "certificate_key "),
    )
    (proxy.folder / "keys.conf").write_text(theirs)
    (proxy.folder / "nginx.conf").write_text(_around_it())
    with proxy.serving(program("nginx"), "-p", str(proxy.folder), "-c", "nginx.conf", "-e", "stderr"):
        check(proxy)
        announced = ("-H", "Content-Length: 3200000", "-d", "x")  # The rest could meet a connection that is closed.
        assert proxy.status("/v2/me", *announced)[0] == 413


def check(proxy: Proxy) -> None:
    """Assert what the document says of a proxy."""
    good = ("-H", f"Authorization: Bearer {proxy.reader.clipboard}")
    status, headers = proxy.status("/v2/me", *good, *FORGED)
    assert status == 200
    assert "strict-transport-security" in headers  # the site's, where it is told of TLS
    assert proxy.status("/v2/me", *good, tls=False)[0] == 403
    status, headers = proxy.status("/login", tls=False)
    assert status in (301, 302)
    assert f"\nlocation: https://{HOST}/login" in headers


def _around_it() -> str:
    """Return what nginx has around the files in its ``conf.d``."""
    folders = "".join(
        f"{kind}_temp_path {kind}; " for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )  # those of the system belong to another user
    user = "user root; " if os.geteuid() == 0 else ""
    return f"{user}daemon off; pid pid; events {{}} http {{ access_log off; {folders} include keys.conf; }}"
