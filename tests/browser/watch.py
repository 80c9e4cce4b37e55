"""What a browser complains of while a test runs."""

from __future__ import annotations

import re
from collections.abc import Iterable

from playwright.sync_api import BrowserContext, ConsoleMessage, Request, Response, WebError

WORTH_HEARING = ("error", "warning")
BROKEN_OFF = "net::ERR_ABORTED"  # by the browser itself, because the page was left meanwhile


class Watch:
    """Hears the console, errors of scripts, requests that failed and answers of 400 and more."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.announced: list[str] = []

    def listen(self, context: BrowserContext) -> None:
        context.on("console", self._hear_console)
        context.on("weberror", self._hear_error)
        context.on("requestfailed", self._hear_failure)
        context.on("response", self._hear_answer)

    def expect(self, *complaints: int | str) -> None:
        """Announce complaints: the status of an answer, or words of the complaint. Each has to come."""
        self.announced += [rf"\bstatus of {each}\b" if isinstance(each, int) else each for each in complaints]

    def check(self) -> None:
        """Raise ``AssertionError`` for what came unannounced, and for what was announced and did not come."""
        surprises = [heard for heard in self.heard if not _matching(self.announced, heard)]
        assert not surprises, f"The browser complains: {surprises}"
        missing = [pattern for pattern in self.announced if not any(re.search(pattern, heard) for heard in self.heard)]
        assert not missing, f"Announced, but it did not come: {missing}"

    def _hear_console(self, message: ConsoleMessage) -> None:
        if message.type in WORTH_HEARING:
            self.heard.append(f"console: {message.text}")

    def _hear_error(self, error: WebError) -> None:
        self.heard.append(f"script: {error.error}")

    def _hear_failure(self, request: Request) -> None:
        if request.failure != BROKEN_OFF:
            self.heard.append(f"request: {request.method} {request.url} {request.failure}")

    def _hear_answer(self, response: Response) -> None:
        if response.status >= 400:
            self.heard.append(f"answer: {response.request.method} {response.url} with a status of {response.status}")


def _matching(patterns: Iterable[str], heard: str) -> bool:
    return any(re.search(pattern, heard) for pattern in patterns)
