"""A real browser in front of the real site: `make browser`."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import BrowserContext, Page

from accounts_app.models import User
from tests.browser.api import Api
from tests.browser.pages import ApiSettings
from tests.browser.scenes import SCENES, Stage
from tests.browser.watch import Watch

# Playwright runs an event loop in the thread of the tests, in which Django would refuse to ask the database.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# No sandbox, because CI runs as root; the others keep the browser from talking to anybody but the site.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
TIMEOUT = 7_000  # ms
DESKTOP = {"width": 1280, "height": 800}

OpenContext = Callable[..., BrowserContext]


def pytest_itemcollected(item: pytest.Item) -> None:
    item.add_marker("browser")


def find_browser() -> str:
    """Return the path of a browser. Where there is none the tests are skipped; in CI they fail."""
    named = os.environ.get("CHROMIUM")
    found = named or next(filter(None, map(shutil.which, BROWSERS)), None)
    if found:
        return found
    reason = f"No browser: none of {', '.join(BROWSERS)} is on the PATH, and CHROMIUM names none."
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    return {**browser_type_launch_args, "executable_path": find_browser(), "args": ARGUMENTS}


@pytest.fixture(scope="session")
def base_url(live_server: Any) -> str:
    return live_server.url


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args: dict[str, Any]) -> dict[str, Any]:
    return {**browser_context_args, "viewport": DESKTOP}


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings: None, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep the database in a file: each thread of the server has a connection of its own, as on the site."""
    database = settings.DATABASES["default"]
    if database["ENGINE"] == "django.db.backends.sqlite3":
        database["TEST"]["NAME"] = str(tmp_path_factory.mktemp("database") / "db.sqlite3")


@pytest.fixture
def watch() -> Iterator[Watch]:
    """What the browser complains of. A complaint that the test did not announce fails it."""
    watch = Watch()
    yield watch
    watch.check()


@pytest.fixture
def expected(watch: Watch) -> Callable[..., None]:
    """Announce complaints: ``expected(409)`` for an answer, ``expected("ERR_FAILED")`` for words of a complaint."""
    return watch.expect


@pytest.fixture
def open_context(new_context: OpenContext, base_url: str, watch: Watch) -> OpenContext:
    """Open a window of its own, of the person who is the ``owner`` or of nobody; other options are Playwright's."""

    def open_one(owner: User | None = None, **options: Any) -> BrowserContext:
        context = new_context(**options)
        context.set_default_timeout(TIMEOUT)
        watch.listen(context)
        if options.get("java_script_enabled", True):
            context.grant_permissions(["clipboard-read", "clipboard-write"])
        if owner:
            context.add_cookies([{**session_cookie(owner), "url": base_url}])
        return context

    return open_one


def session_cookie(owner: User) -> dict[str, str]:
    """Return the cookie of a person who has just signed in."""
    client = Client()
    client.force_login(owner)
    name = settings.SESSION_COOKIE_NAME
    return {"name": name, "value": client.cookies[name].value}


@pytest.fixture
def context(open_context: OpenContext, alice: User) -> BrowserContext:
    """Alice's window."""
    return open_context(alice)


@pytest.fixture
def api_settings(page: Page) -> ApiSettings:
    """API settings as Alice sees them, with JavaScript."""
    return ApiSettings(page).open()


@pytest.fixture(params=[True, False], ids=["with JavaScript", "without JavaScript"])
def any_settings(request: pytest.FixtureRequest, open_context: OpenContext, alice: User) -> ApiSettings:
    """API settings as Alice sees them, with JavaScript and without."""
    page = open_context(alice, java_script_enabled=request.param).new_page()
    return ApiSettings(page, scripting=request.param).open()


@pytest.fixture
def stage(open_context: OpenContext, watch: Watch) -> Stage:
    return Stage(open_context, watch.expect)


@pytest.fixture
def scene(request: pytest.FixtureRequest, stage: Stage) -> Page:
    """A page as one of the scenes leaves it; to be parametrised with its name."""
    return SCENES[request.param](stage)


@pytest.fixture
def api(base_url: str) -> Api:
    return Api(base_url)
