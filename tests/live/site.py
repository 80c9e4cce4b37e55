"""Run the site under gunicorn and use it over HTTP, like users and scripts do."""

from __future__ import annotations

import http.client
import json
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.live.servers import free_port, is_listening, wait_until

ROOT = Path(__file__).resolve().parent.parent.parent
PASSWORD = secrets.token_urlsafe(16)
SECRET = re.compile(r'id="secret">(finta_\w+)<')


def environment(database_url: str, **variables: str) -> dict[str, str]:
    """Return the environment of a site as in production."""
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.live.settings",
        "SECRET_KEY": "only-for-tests-" + "x" * 50,
        "API_KEY_PEPPERS": "5a" * 32,
        "DEBUG": "false",
        "ALLOWED_HOSTS": "127.0.0.1",
        "CSRF_TRUSTED_ORIGINS": "",
        "DATABASE_URL": database_url,
        "API_RATE_LIMIT": "1000000/minute",
        "RATE_LIMIT_STORAGE": "memory://",
        "EMAIL_URL": "memorymail://",
        **variables,
    }


def manage(env: dict[str, str], *arguments: str, root: Path = ROOT, timeout: float | None = None) -> str:
    """Run a command of ``manage.py`` and return its output. Raise ``CalledProcessError`` if it fails.

    ``root`` is the folder of the code.
    """
    command = [sys.executable, "manage.py", *arguments]
    process = subprocess.run(command, cwd=root, env=env, check=True, stdout=subprocess.PIPE, text=True, timeout=timeout)
    return process.stdout.strip()


@dataclass(frozen=True)
class Owner:
    email: str
    accounts: list[str]


CREATE_OWNER = """
from accounts_app.models import Account, User
user = User.objects.create_user({email!r}, {password!r})
fields = {{"owner": user, "type": "depository", "currency": "USD", "current_balance": 1}}
rows = Account.objects.bulk_create(Account(name=f"Account {{n}}", **fields) for n in range({count}))
print(" ".join(str(row.pk) for row in rows))
"""


def create_owner(env: dict[str, str], email: str = "owner@example.com", accounts: int = 3) -> Owner:
    """Create a user with ``PASSWORD`` and accounts."""
    code = CREATE_OWNER.format(email=email, password=PASSWORD, count=accounts)
    return Owner(email, manage(env, "shell", "--no-imports", "--command", code).split())


@dataclass
class Response:
    status: int
    headers: http.client.HTTPMessage
    text: str

    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def secret(self) -> str:
        """The secret on the page."""
        match = SECRET.search(self.text)
        assert match, f"{self.status} without a secret"
        return match[1]


class Connection:
    """A persistent connection to the site. It reconnects if the server has closed it."""

    def __init__(self, port: int, timeout: float = 30) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)

    def request(
        self, method: str, path: str, body: str | None = None, headers: dict[str, str] | None = None
    ) -> Response:
        """Send a request and return the response. Raise ``OSError`` or ``HTTPException`` without one."""
        try:
            self._connection.request(method, path, body, headers or {})
            response = self._connection.getresponse()
            return Response(response.status, response.headers, response.read().decode())
        except (OSError, http.client.HTTPException):
            self._connection.close()
            raise

    def call(self, secret: str, path: str = "/v2/me", method: str = "GET", data: Any = None) -> Response:
        """Call the API with a secret."""
        headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
        return self.request(method, path, None if data is None else json.dumps(data), headers)

    def close(self) -> None:
        self._connection.close()


class Person(Connection):
    """A user with a browser without JavaScript."""

    def __init__(self, port: int, email: str, timeout: float = 30) -> None:
        super().__init__(port, timeout)
        self._cookies: dict[str, str] = {}
        self.email = email

    def sign_in(self) -> Person:
        response = self.send("/login", {"username": self.email, "password": PASSWORD})
        assert response.status == 302, f"Sign-in failed with {response.status}."
        return self

    def page(self, path: str) -> Response:
        return self._with_cookies(self.request("GET", path, headers=self._headers()))

    def send(self, path: str, fields: dict[str, Any]) -> Response:
        """Fill in and submit the form of a page."""
        return self.post(path, self.form(path) | fields)

    def form(self, path: str) -> dict[str, Any]:
        """Return the hidden fields of a page's form."""
        text = self.page(path).text
        fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', text))
        fields.update((name, value) for value, name in re.findall(r'value="([^"]*)" name="(\w+)" type="hidden"', text))
        return {name: unescape(value) for name, value in fields.items()}

    def post(self, path: str, fields: dict[str, Any]) -> Response:
        headers = {**self._headers(), "Content-Type": "application/x-www-form-urlencoded"}
        return self._with_cookies(self.request("POST", path, urlencode(fields, doseq=True), headers))

    def create(self, name: str, accounts: list[str] | None = None) -> Response:
        return self.send("/settings/api/keys/new", {"name": name, **scope(accounts)})

    def key_paths(self) -> list[str]:
        """Return the path of each key's pages, in the order of the list."""
        return re.findall(r'href="(/settings/api/keys/[0-9a-f-]{36})/rename', self.page("/settings/api").text)

    def _headers(self) -> dict[str, str]:
        return {"Cookie": "; ".join(f"{name}={value}" for name, value in self._cookies.items())}

    def _with_cookies(self, response: Response) -> Response:
        for line in response.headers.get_all("Set-Cookie") or ():
            name, _, value = line.partition(";")[0].partition("=")
            self._cookies[name] = value
        return response


def scope(accounts: list[str] | None) -> dict[str, Any]:
    """Return the form fields for a scope; None means all accounts."""
    return {"share_all_accounts": "on"} if accounts is None else {"accounts": accounts}


@dataclass
class Site:
    """The site under gunicorn. ``port`` stays the same after a restart."""

    env: dict[str, str]
    workers: int = 2
    threads: int = 2
    root: Path = ROOT  # the folder of the code
    log: Path | None = None  # instead of standard error
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None
    _connections: list[Connection] = field(default_factory=list)

    def start(self) -> None:
        command = [
            *(sys.executable, "-m", "gunicorn", "config.wsgi", "--bind", f"127.0.0.1:{self.port}"),
            *("--worker-class", "gthread", "--workers", str(self.workers), "--threads", str(self.threads)),
            *("--keep-alive", "30", "--log-level", "warning", "--no-control-socket", "--graceful-timeout", "5"),
        ]
        with self.log.open("ab") if self.log else nullcontext() as log:
            self._process = subprocess.Popen(command, cwd=self.root, env=self.env, stderr=log, start_new_session=True)
        wait_until(lambda: is_listening(self.port), "the site to start")

    def stop(self) -> None:
        if self._process:
            self._process.terminate()
            self._process.wait()
            self._process = None

    def worker_pids(self) -> list[int]:
        """Return the process ids of the workers."""
        assert self._process
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text()
        return [int(pid) for pid in children.split()]

    def connect(self, timeout: float = 30) -> Connection:
        return self._tracked(Connection(self.port, timeout))

    def sign_in(self, owner: Owner) -> Person:
        person = Person(self.port, owner.email)
        self._tracked(person)
        return person.sign_in()

    def _tracked(self, connection: Connection) -> Connection:
        self._connections.append(connection)
        return connection

    def close(self) -> None:
        """Stop the site and close all connections."""
        self.stop()
        for connection in self._connections:
            connection.close()


@contextmanager
def serving(env: dict[str, str], **options: Any) -> Iterator[Site]:
    """Migrate the database and run the site."""
    manage(env, "migrate", "--verbosity", "0")
    site = Site(env, **options)
    site.start()
    try:
        yield site
    finally:
        site.close()
