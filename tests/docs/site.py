"""Somebody who follows the documents of the site, in a clone of this repository.

Nothing is installed: the clone's ``.venv`` leads to the environment of the tests.
"""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from shlex import quote

from tests.docs.blocks import ROOT
from tests.docs.runner import PATIENCE, Reader

# Commands that nobody types here, and why.
LEFT_OUT = {
    "sudo apt-get install --yes git make python3-venv caddy": "It changes the machine.",
    "sudo cp Caddyfile /etc/caddy/Caddyfile && sudo systemctl reload caddy": "It changes the machine. The test serves "
    "the site through this Caddyfile, with a Caddy of its own.",
}
ADDRESS = "https://example.com/finta-keys.git"  # of the documents, for what is to be cloned
OPERATOR = "olga@example.com"
# What is asked by commands that ask, and what the reader types.
PASSWORD = "a long walk by the sea"
ANSWERS = {
    ".venv/bin/python manage.py createsuperuser": [
        ("E-mail: ", OPERATOR),
        ("Password: ", PASSWORD),
        (r"Password \(again\): ", PASSWORD),
    ]
}
SETTINGS = set(re.findall(r'env\w*\.\w+\("(\w+)"', (ROOT / "config/settings.py").read_text()))


class SiteReader(Reader):
    """Begins in an empty folder, whose name has a space in it, and goes on in the clone as soon as there is one."""

    reloads = False
    left_out = LEFT_OUT

    def __init__(
        self, parent: Path, origin: Path, links: Path, activities: dict[str, Callable[[Reader], None]] | None = None
    ) -> None:
        home = parent / "my sites"
        (home / "finta-keys").mkdir(parents=True)
        (home / ".gitconfig").write_text(f'[url "file://{origin}"]\n\tinsteadOf = {ADDRESS}\n')
        super().__init__(home / "finta-keys", links, _habits(home), activities)
        # The tests set the site's settings for themselves.
        self.environment = {name: value for name, value in self.environment.items() if name not in SETTINGS}
        # `make test` runs a part of the tests: all of them would take minutes, and CI has run them before these.
        self.environment |= {"HOME": str(home), "PORT": self.port, "ARGS": "tests/test_docs.py"}
        self.stack = ExitStack()  # of what is to be stopped at the end

    def run(self, command: str, typed: str = "", terminal: str = "") -> tuple[str, int]:
        if command in ANSWERS:
            return in_a_terminal(command, ANSWERS[command], self.folder, self.environment)
        return super().run(command, typed, terminal)

    def must(self, command: str) -> str:
        """Run a command that no document has, and return what it printed. Raises ``AssertionError`` where it fails."""
        printed, status = self.run(command)
        assert status == 0, f"$ {command}\n{printed}"
        return printed.strip()


def _habits(home: Path) -> list[str]:
    """Return what a terminal is opened with: its folder, the environment of the tests in ``.venv``, and a ``pip``."""
    environment = " ".join(quote(f"{sys.prefix}/{name}") for name in ("bin", "lib", "pyvenv.cfg"))
    return [
        f"[ -e manage.py ] || cd {quote(str(home))}",
        f'make() {{ mkdir -p .venv && ln -sfn {environment} .venv && touch .venv/installed && command make "$@"; }}',
        'pip() { python3 -m pip "$@" --no-index --no-deps --target ../packages; }',
    ]


def make_origin(folder: Path) -> None:
    """Make a repository of the tree as it is now, what is not committed included."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    for name in filter(None, names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):  # It has been deleted, and git has not been told.
            shutil.copy(ROOT / name, folder / name)
    git = ["git", "-c", "user.name=Somebody", "-c", "user.email=somebody@example.com"]
    for command in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "All"]):
        subprocess.run([*git, *command], cwd=folder, check=True)


def in_a_terminal(
    command: str, answers: list[tuple[str, str]], folder: Path, environment: dict[str, str]
) -> tuple[str, int]:
    """Run a command that asks, and answer as soon as it does. Return what it printed, and its exit status.

    Passwords are asked for only where there is a terminal.
    """
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        ["/bin/bash", "-c", command],
        cwd=folder,
        env=environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,  # It is not to ask at the terminal of who runs the tests.
    )
    os.close(theirs)
    said = ""
    try:
        for question, answer in answers:
            said += _read_until(ours, question)
            os.write(ours, f"{answer}\n".encode())
        said += _read_until(ours, None)
        return said, process.wait()
    finally:
        os.close(ours)
        process.kill()


def _read_until(terminal: int, question: str | None) -> str:
    """Return what is printed up to a question, or up to the end. Raises ``AssertionError`` where it is not in time."""
    said = ""
    while question is None or not re.search(question, said):
        if not select.select([terminal], [], [], PATIENCE)[0]:
            raise AssertionError(f"{question!r} was not asked, only:\n{said}")
        try:
            more = os.read(terminal, 1024).decode(errors="replace")
        except OSError:  # as it ends on Linux where the other side is closed
            more = ""
        if not more:
            assert question is None, f"{question!r} was not asked, only:\n{said}"
            break
        said += more
    return said
