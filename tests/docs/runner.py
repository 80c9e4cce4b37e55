"""Doing what a document says, block by block, in a folder of its own."""

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

PATIENCE = 120  # seconds for one command: an installation may take long
PORT = "8000"  # of the documents. Another program may have it, so each run takes one that is free.
# What the tests of this repository set, and the reader has not.
NOT_THE_READERS = ("COV", "DATABASE_URL", "DJANGO_", "FINTA_", "PYTEST", "PYTHON", "VIRTUAL_ENV")

# What is given to `manage.py shell` for a block of ``pycon``.
DOCTEST = """
import doctest
with open(".block") as block:
    examples = doctest.DocTestParser().get_doctest(block.read().replace("…", "..."), globals(), "block", None, None)
outcome = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE).run(examples)
raise SystemExit(bool(outcome.failed))
"""


class Terminal:
    """A shell that stays open: what one command sets, the next one has."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.said = b""
        self.shell = subprocess.Popen(
            ["/bin/bash", "--norc", "--noprofile"],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # so that all it has started can be ended with it
        )
        self.run(f'python3() {{ "{sys.executable}" "$@"; }}')  # the Python that is to be tested

    def run(self, command: str, typed: str = "") -> tuple[str, int]:
        """Run a command to its end; ``typed`` is what it reads. Return what it printed, and its exit status."""
        mark = f"<{os.urandom(8).hex()}>"
        self.start(f"{command}\n{typed}printf '\\n%s %d\\n' '{mark}' $?")
        end = self.wait_for(rf"\n{mark} (\d+)\n")
        return self.said[: end.start()].decode(), int(end[1])

    def start(self, command: str) -> None:
        """Begin with a command, and leave it at work."""
        assert self.shell.stdin
        self.said = b""
        self.shell.stdin.write(f"{command}\n".encode())
        self.shell.stdin.flush()

    def wait_for(self, pattern: str) -> re.Match[bytes]:
        """Read until this is printed. Raises ``AssertionError`` where it is not in time."""
        assert self.shell.stdout
        until = time.monotonic() + PATIENCE
        while not (found := re.search(pattern.encode(), self.said, re.DOTALL)):
            ready, _, _ = select.select([self.shell.stdout], [], [], max(0, until - time.monotonic()))
            more = os.read(self.shell.stdout.fileno(), 65_536) if ready else b""
            if not more:
                raise AssertionError(f"{pattern!r} was not printed, only:\n{self.said.decode()}")
            self.said += more
        return found

    def close(self) -> None:
        """End the shell and all that it has started."""
        os.killpg(self.shell.pid, signal.SIGKILL)
        self.shell.communicate()


class Reader:
    """Somebody who follows a document to the letter. Commands in ``left_out`` are passed over.

    ``begin`` are the commands with which each terminal is opened. ``activities`` are what is done elsewhere than in a
    terminal, each by the word of the comment that stands for it.
    """

    reloads = True  # as runserver does by itself where a file changes, but not at a moment of its own
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
            name: value for name, value in os.environ.items() if not name.startswith(NOT_THE_READERS)
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
        """Do what the blocks say. Raises ``AssertionError`` at the first that is not true."""
        try:
            for block in blocks:
                self._do(block)
        finally:
            for terminal in self.terminals.values():
                terminal.close()
            self.terminals.clear()

    def run(self, command: str, typed: str = "", terminal: str = "") -> tuple[str, int]:
        """Run a command in one of the terminals. Return what it printed, and its exit status."""
        if terminal not in self.terminals:
            self.terminals[terminal] = Terminal(self.folder, self.environment)
            for each in self.begin:
                self.terminals[terminal].run(each)
        return self.terminals[terminal].run(command, typed)

    def stop(self) -> None:
        """Stop what is at work in other terminals."""
        for name in self.servers:
            self.terminals.pop(name).close()
        self.servers.clear()

    def _do(self, block: Block) -> None:
        if block.language == "test":
            self.activities[block.text](self)
        elif block.path:
            self._write(block, self.folder / block.path)
        elif block.language == "pycon":
            self._try_out(block)
        elif "terminal" in block.options:
            self.servers[block.options["terminal"]] = block
            self._serve(block.options["terminal"])
        elif block.language == "console":
            self._type(block)

    def _write(self, block: Block, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a" if "append" in block.options else "w") as file:
            file.write(block.text)
        if self.reloads:
            self.restart()

    def restart(self) -> None:
        """Start what is at work in other terminals anew."""
        for name in self.servers:
            self._serve(name)

    def _type(self, block: Block) -> None:
        steps = [step for step in commands(self._here(block)) if step[0] not in self.left_out]
        for number, (command, expected) in enumerate(steps, start=1):
            printed, status = self.run(command, f"{self.clipboard}\n" if "paste" in block.options else "")
            wanted = int(block.options.get("status", 0)) if number == len(steps) else 0
            report = f"{block.place}: $ {command}\n{printed}\n"
            assert status == wanted, f"{report}It ended with {status}, not with {wanted}."
            assert not expected or is_like(printed, expected), f"{report}It was to print:\n{expected}"

    def _serve(self, name: str) -> None:
        if name in self.terminals:
            self.terminals.pop(name).close()
        *first, (last, expected) = commands(self._here(self.servers[name]))
        for command, _ in [*first, ("true", "")]:
            printed, status = self.run(command, terminal=name)
            assert status == 0, f"{self.servers[name].place}: $ {command}\n{printed}"
        self.terminals[name].start(last)
        self.terminals[name].wait_for(as_pattern(expected))

    def _try_out(self, block: Block) -> None:
        (self.folder / ".block").write_text(self._here(block))
        (self.folder / ".doctest").write_text(DOCTEST)
        printed, status = self.run("python manage.py shell < .doctest")
        assert status == 0, f"{block.place}\n{printed}"

    def _here(self, block: Block) -> str:
        return block.text.replace(PORT, self.port)


def commands(text: str) -> list[tuple[str, str]]:
    """Return the commands of a block of ``console``, each with what it is to print."""
    steps: list[list[str]] = []
    goes_on = False
    for line in text.splitlines():
        if line.startswith("$ "):
            steps.append([line[2:], ""])
        elif goes_on:
            steps[-1][0] += f"\n{line}"
        else:
            steps[-1][1] += f"{line}\n"
        goes_on = line.endswith("\\") and not steps[-1][1]
    return [(command, expected) for command, expected in steps]


def is_like(printed: str, expected: str) -> bool:
    """Tell whether this is what was to be printed, blanks at the ends of lines left out."""
    text = "\n".join(line.rstrip() for line in printed.strip().splitlines())
    return bool(re.fullmatch(as_pattern(expected), text, re.DOTALL))


def as_pattern(expected: str) -> str:
    """Return the regular expression of what is to be printed, with ``…`` for anything."""
    return ".*".join(re.escape(part) for part in expected.strip().split("…"))
