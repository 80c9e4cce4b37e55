"""Follow a document, block by block, in its own folder."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Container, Iterable
from pathlib import Path

from tests.docs.blocks import Block
from tests.live.servers import free_port

TIMEOUT = 300  # seconds for one command, which may install packages on a busy machine
PORT = "8000"  # in the documents. Each run uses a free port instead.
# Environment variables that these tests set and a reader does not have.
TEST_VARIABLES = ("COV", "DATABASE_URL", "DJANGO_", "FINTA_", "PYTEST", "PYTHON", "VIRTUAL_ENV")

# Input of `manage.py shell` that runs a block of ``pycon``.
DOCTEST = """
import doctest
with open(".block") as block:
    examples = doctest.DocTestParser().get_doctest(block.read().replace("…", "..."), globals(), "block", None, None)
outcome = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE).run(examples)
raise SystemExit(bool(outcome.failed))
"""


class Terminal:
    """A shell that stays open, so that commands share variables."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.output = b""
        self.shell = subprocess.Popen(
            ["/bin/bash", "--norc", "--noprofile"],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # so that close() ends its children too
        )
        self.run(f'python3() {{ "{sys.executable}" "$@"; }}')  # the Python under test

    def run(self, command: str, typed: str = "") -> tuple[str, int]:
        """Run a command and return its output and exit status. ``typed`` is its standard input."""
        mark = f"<{os.urandom(8).hex()}>"
        self.start(f"{command}\n{typed}printf '\\n%s %d\\n' '{mark}' $?")
        end = self.wait_for(rf"\n{mark} (\d+)\n")
        return self.output[: end.start()].decode(), int(end[1])

    def start(self, command: str) -> None:
        """Start a command without waiting for it."""
        assert self.shell.stdin
        self.output = b""
        self.shell.stdin.write(f"{command}\n".encode())
        self.shell.stdin.flush()

    def wait_for(self, pattern: str) -> re.Match[bytes]:
        """Read until the pattern is printed. Raise ``AssertionError`` after a timeout."""
        assert self.shell.stdout
        until = time.monotonic() + TIMEOUT
        while not (match := re.search(pattern.encode(), self.output, re.DOTALL)):
            ready, _, _ = select.select([self.shell.stdout], [], [], max(0, until - time.monotonic()))
            chunk = os.read(self.shell.stdout.fileno(), 65_536) if ready else b""
            if not chunk:
                raise AssertionError(f"{pattern!r} was not printed, only:\n{self.output.decode()}")
            self.output += chunk
        return match

    def close(self) -> None:
        """End the shell and its children."""
        os.killpg(self.shell.pid, signal.SIGKILL)
        self.shell.communicate()


class Reader:
    """Follows a document step by step, except for the commands in ``left_out``.

    Every terminal starts with the commands ``begin``. ``activities`` maps the words of comments to steps outside a
    terminal.
    """

    reloads = True  # restart servers after a file changes, instead of waiting for runserver to notice
    left_out: Container[str] = ()

    def __init__(
        self,
        folder: Path,
        links: Path,
        begin: Iterable[str] = (),
        activities: dict[str, Callable[[Reader], None]] | None = None,
    ) -> None:
        self.folder, self.port = folder, str(free_port())
        self.begin, self.activities = tuple(begin), activities or {}
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith(TEST_VARIABLES)
        } | {
            "HOME": str(folder),
            "PYTHONUNBUFFERED": "1",
            "PIP_FIND_LINKS": f"{os.environ.get('PIP_FIND_LINKS', '')} {links}".strip(),
        }
        self.clipboard = ""
        self.terminals: dict[str, Terminal] = {}
        self.servers: dict[str, Block] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def follow(self, blocks: Iterable[Block]) -> None:
        """Run the blocks. Raise ``AssertionError`` at the first that fails."""
        try:
            for block in blocks:
                self._run_block(block)
        finally:
            for terminal in self.terminals.values():
                terminal.close()
            self.terminals.clear()

    def run(self, command: str, typed: str = "", terminal: str = "") -> tuple[str, int]:
        """Run a command in a terminal and return its output and exit status."""
        if terminal not in self.terminals:
            self.terminals[terminal] = Terminal(self.folder, self.environment)
            for first in self.begin:
                self.terminals[terminal].run(first)
        return self.terminals[terminal].run(command, typed)

    def stop(self) -> None:
        """Stop the servers in other terminals."""
        for name in self.servers:
            self.terminals.pop(name).close()
        self.servers.clear()

    def _run_block(self, block: Block) -> None:
        if block.language == "test":
            self.activities[block.text](self)
        elif block.path:
            self._write(block, self.folder / block.path)
        elif block.language == "pycon":
            self._run_doctest(block)
        elif "terminal" in block.options:
            self.servers[block.options["terminal"]] = block
            self._serve(block.options["terminal"])
        elif block.language == "console":
            self._run_commands(block)

    def _write(self, block: Block, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a" if "append" in block.options else "w") as file:
            file.write(block.text)
        if self.reloads:
            self.restart()

    def restart(self) -> None:
        """Restart the servers in other terminals."""
        for name in self.servers:
            self._serve(name)

    def _run_commands(self, block: Block) -> None:
        steps = [step for step in commands(self._with_port(block)) if step[0] not in self.left_out]
        for number, (command, expected) in enumerate(steps, start=1):
            printed, status = self.run(command, f"{self.clipboard}\n" if "paste" in block.options else "")
            expected_status = int(block.options.get("status", 0)) if number == len(steps) else 0
            report = f"{block.place}: $ {command}\n{printed}\n"
            assert status == expected_status, f"{report}Exit status {status} instead of {expected_status}."
            assert not expected or matches(printed, expected), f"{report}Expected output:\n{expected}"

    def _serve(self, name: str) -> None:
        if name in self.terminals:
            self.terminals.pop(name).close()
        *first, (last, expected) = commands(self._with_port(self.servers[name]))
        for command, _ in [*first, ("true", "")]:
            printed, status = self.run(command, terminal=name)
            assert status == 0, f"{self.servers[name].place}: $ {command}\n{printed}"
        self.terminals[name].start(last)
        self.terminals[name].wait_for(as_pattern(expected))

    def _run_doctest(self, block: Block) -> None:
        (self.folder / ".block").write_text(self._with_port(block))
        (self.folder / ".doctest").write_text(DOCTEST)
        printed, status = self.run("python manage.py shell < .doctest")
        assert status == 0, f"{block.place}\n{printed}"

    def _with_port(self, block: Block) -> str:
        return block.text.replace(PORT, self.port)


def commands(text: str) -> list[tuple[str, str]]:
    """Return the commands of a ``console`` block, each with its expected output."""
    steps: list[list[str]] = []
    continues = False
    for line in text.splitlines():
        if line.startswith("$ "):
            steps.append([line[2:], ""])
        elif continues:
            steps[-1][0] += f"\n{line}"
        else:
            steps[-1][1] += f"{line}\n"
        continues = line.endswith("\\") and not steps[-1][1]
    return [(command, expected) for command, expected in steps]


def matches(printed: str, expected: str) -> bool:
    """Return True if the output matches, ignoring spaces at the ends of lines."""
    text = "\n".join(line.rstrip() for line in printed.strip().splitlines())
    return bool(re.fullmatch(as_pattern(expected), text, re.DOTALL))


def as_pattern(expected: str) -> str:
    """Return a regular expression for expected output with ``…`` for any text."""
    return ".*".join(re.escape(part) for part in expected.strip().split("…"))
