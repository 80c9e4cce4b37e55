"""Errors in the browser while a test runs."""

from __future__ import annotations

import re
from collections.abc import Iterable

from playwright.sync_api import BrowserContext, ConsoleMessage, Request, Response, WebError

RECORDED_TYPES = ("error", "warning")
ABORTED = ("net::ERR_ABORTED", "NS_BINDING_ABORTED")  # by the browser, when it leaves the page


class Watch:
    """Records console errors, script errors, failed requests and responses with a status of 400 or more."""

    def __init__(self) -> None:
        self.errors: list[str] = []
        self.expected: list[str] = []

    def listen(self, context: BrowserContext) -> None:
        context.on("console", self._record_console)
        context.on("weberror", self._record_error)
        context.on("requestfailed", self._record_failure)
        context.on("response", self._record_response)

    def expect(self, *errors: int | str) -> None:
        """Expect errors: the status of a response, or a part of the text. Each must occur."""
        self.expected += [rf"\bstatus of {error}\b" if isinstance(error, int) else error for error in errors]

    def check(self) -> None:
        """Raise ``AssertionError`` for unexpected errors and for expected ones that did not occur."""
        unexpected = [error for error in self.errors if not _matches_any(self.expected, error)]
        assert not unexpected, f"Errors in the browser: {unexpected}"
        missing = [pattern for pattern in self.expected if not any(re.search(pattern, error) for error in self.errors)]
        assert not missing, f"Expected errors that did not occur: {missing}"

    def _record_console(self, message: ConsoleMessage) -> None:
        if message.type in RECORDED_TYPES:
            self.errors.append(f"console: {message.text}")

    def _record_error(self, error: WebError) -> None:
        self.errors.append(f"script: {error.error}")

    def _record_failure(self, request: Request) -> None:
        if request.failure not in ABORTED:
            self.errors.append(f"request: {request.method} {request.url} {request.failure}")

    def _record_response(self, response: Response) -> None:
        if response.status >= 400:
            self.errors.append(f"response: {response.request.method} {response.url} with a status of {response.status}")


def _matches_any(patterns: Iterable[str], error: str) -> bool:
    return any(re.search(pattern, error) for pattern in patterns)
