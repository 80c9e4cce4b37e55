"""Follow the documents of the site in a clone of this repository.

Nothing is installed: the clone's ``.venv`` links to the test environment.
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
from tests.docs.runner import TIMEOUT, Reader

# Commands that are not run, and why.
LEFT_OUT = {
    "sudo apt-get install --yes git make python3-venv caddy": "It changes the machine.",
    "make lint": "CI runs it before these tests.",
    "sudo cp Caddyfile /etc/caddy/Caddyfile && sudo systemctl reload caddy": "It changes the machine. The test "
    "serves the site through this Caddyfile with another Caddy.",
}
ADDRESS = "https://example.com/finta-keys.git"  # of the repository in the documents
OPERATOR = "olga@example.com"
# Prompts of interactive commands, and the input.
PASSWORD = "a long walk by the sea"
INPUTS = {
    ".venv/bin/python manage.py createsuperuser": [
        ("E-mail: ", OPERATOR),
        ("Password: ", PASSWORD),
        (r"Password \(again\): ", PASSWORD),
    ]
}
SETTINGS = set(re.findall(r'env\w*\.\w+\("(\w+)"', (ROOT / "config/settings.py").read_text()))


class SiteReader(Reader):
    """Starts in an empty folder whose name has a space, and continues in the clone once it exists."""

    reloads = False
    left_out = LEFT_OUT

    def __init__(
        self, parent: Path, origin: Path, links: Path, activities: dict[str, Callable[[Reader], None]] | None = None
    ) -> None:
        home = parent / "my sites"
        (home / "finta-keys").mkdir(parents=True)
        (home / ".gitconfig").write_text(git_config(origin))
        super().__init__(home / "finta-keys", links, _begin(home), activities)
        # The tests set the site's settings in the environment; a reader does not.
        self.environment = {name: value for name, value in self.environment.items() if name not in SETTINGS}
        # `make test` runs one file: all tests take a minute, and CI has run them before these.
        self.environment |= {"HOME": str(home), "PORT": self.port, "ARGS": "tests/test_docs.py"}
        self.stack = ExitStack()  # of servers to stop at the end

    def run(self, command: str, typed: str = "", terminal: str = "") -> tuple[str, int]:
        if command in INPUTS:
            return run_interactively(command, INPUTS[command], self.folder, self.environment)
        return super().run(command, typed, terminal)

    def must(self, command: str) -> str:
        """Run a command that is in no document and return its output. Raise ``AssertionError`` if it fails."""
        printed, status = self.run(command)
        assert status == 0, f"$ {command}\n{printed}"
        return printed.strip()


def git_config(origin: Path) -> str:
    """Return a configuration for git that maps the documented address to this repository."""
    return f'[url "file://{origin}"]\n\tinsteadOf = {ADDRESS}\n'


def _begin(home: Path) -> list[str]:
    """Return the first commands of a terminal: they set the folder, ``make`` with the test environment, and ``pip``."""
    environment = " ".join(quote(f"{sys.prefix}/{name}") for name in ("bin", "lib", "pyvenv.cfg"))
    return [
        f"[ -e manage.py ] || cd {quote(str(home))}",
        f"make() {{ mkdir -p .venv && ln -sfn {environment} .venv && touch .venv/site .venv/installed; "
        'command make "$@"; }',
        'pip() { python3 -m pip "$@" --no-index --no-deps --target ../packages; }',
    ]


def make_origin(folder: Path) -> None:
    """Create a repository from the working tree, including uncommitted changes."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    for name in filter(None, names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):  # deleted but still tracked
            shutil.copy(ROOT / name, folder / name)
    git = ["git", "-c", "user.name=Reader", "-c", "user.email=reader@example.com"]
    for command in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "All"]):
        subprocess.run([*git, *command], cwd=folder, check=True)


def run_interactively(
    command: str, inputs: list[tuple[str, str]], folder: Path, environment: dict[str, str]
) -> tuple[str, int]:
    """Run a command in a pseudo-terminal, type the input at each prompt, and return its output and exit status."""
    terminal, command_terminal = pty.openpty()
    process = subprocess.Popen(
        ["/bin/bash", "-c", command],
        cwd=folder,
        env=environment,
        stdin=command_terminal,
        stdout=command_terminal,
        stderr=command_terminal,
        start_new_session=True,  # so that it does not prompt at the terminal that runs the tests
    )
    os.close(command_terminal)
    output = ""
    try:
        for prompt, text in inputs:
            output += _read_until(terminal, prompt)
            os.write(terminal, f"{text}\n".encode())
        output += _read_until(terminal, None)
        return output, process.wait()
    finally:
        os.close(terminal)
        process.kill()


def _read_until(terminal: int, prompt: str | None) -> str:
    """Return the output up to a prompt or the end. Raise ``AssertionError`` after a timeout."""
    output = ""
    while prompt is None or not re.search(prompt, output):
        if not select.select([terminal], [], [], TIMEOUT)[0]:
            raise AssertionError(f"No prompt {prompt!r}, only:\n{output}")
        try:
            chunk = os.read(terminal, 1024).decode(errors="replace")
        except OSError:  # Linux reports a closed terminal as an error.
            chunk = ""
        if not chunk:
            assert prompt is None, f"No prompt {prompt!r}, only:\n{output}"
            break
        output += chunk
    return output
