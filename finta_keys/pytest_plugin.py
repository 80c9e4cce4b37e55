"""A pytest plugin with the fixture ``watch_scope``. Load it by ``pytest_plugins =
["finta_keys.pytest_plugin"]``."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import pytest

_messages = pytest.StashKey[list[str]]()


@pytest.fixture
def watch_scope(request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """Fail the test if a request by a key reads or changes rows outside the key's scope."""
    from finta_keys import testing  # Django may be set up after this module is imported.

    with testing.watch_scope() as messages:
        request.node.stash[_messages] = messages
        yield messages


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Let the test itself fail, not its teardown."""
    messages = item.stash.get(_messages, [])
    try:
        result = yield
    except BaseException as error:
        _take(messages, error)
        raise
    if messages:
        from finta_keys.testing import ScopeLeak

        raise ScopeLeak(_take(messages))
    return result


def _take(messages: list[str], error: BaseException | None = None) -> str:
    """Remove the messages, so that the end of the block does not raise them again, and add them
    to an error."""
    text = "\n".join(dict.fromkeys(messages))
    messages.clear()
    if error is not None and text and text not in str(error):
        error.add_note(text)
    return text
