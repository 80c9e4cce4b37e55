"""Fixtures for the tests in a real browser: `make browser`."""

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
from tests.browser.scenes import Stage
from tests.browser.watch import Watch

# Playwright runs an event loop in the tests' thread. Django refuses queries there without this.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
FIREFOX = ("firefox-esr", "firefox")
# The suggestions of the address bar are pages of their own: two thirds of the cost of a context.
# Only the last argument of this name counts, so it repeats those of Playwright that matter here.
DISABLED_FEATURES = [
    "WebUIOmniboxPopup",
    "WebUIOmniboxAimPopup",
    "AvoidUnnecessaryBeforeUnloadCheckSync",
    "DestroyProfileOnBrowserClose",
    "DialMediaRouteProvider",
    "GlobalMediaControls",
    "HttpsUpgrades",
    "LensOverlay",
    "MediaRouter",
    "PaintHolding",
    "ThirdPartyStoragePartitioning",
    "BlockOriginHeaderModificationOnRedirect",
    "AvoidCorsURLLoaderRestartOnRedirect",
    "Translate",
    "OptimizationHints",
    "NetworkTimeServiceQuerying",
    "AimEnabled",
]
# No sandbox, because CI runs as root. The others stop the browser's own network requests.
ARGUMENTS = [
    f"--disable-features={','.join(DISABLED_FEATURES)}",
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


def find_browser(variable: str, names: tuple[str, ...]) -> str:
    """Return the path of a browser. Without one, the tests are skipped; in CI they fail."""
    path = os.environ.get(variable) or next(filter(None, map(shutil.which, names)), None)
    if path:
        return path
    reason = f"No browser: none of {', '.join(names)} is on the PATH, and {variable} names none."
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    return {**browser_type_launch_args, "executable_path": find_browser("CHROMIUM", CHROMIUM), "args": ARGUMENTS}


@pytest.fixture(scope="session")
def base_url(live_server: Any) -> str:
    return live_server.url


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args: dict[str, Any]) -> dict[str, Any]:
    return {**browser_context_args, "viewport": DESKTOP}


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings: None, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep SQLite in a file, so that every thread of the server has its own connection."""
    database = settings.DATABASES["default"]
    if database["ENGINE"] == "django.db.backends.sqlite3":
        database["TEST"]["NAME"] = str(tmp_path_factory.mktemp("database") / "db.sqlite3")
        database["OPTIONS"]["init_command"] += "PRAGMA synchronous=OFF;"  # do not wait for the disk


@pytest.fixture
def watch() -> Iterator[Watch]:
    """Fail the test on errors in the browser that it does not expect."""
    watch = Watch()
    yield watch
    watch.check()


@pytest.fixture
def expected(watch: Watch) -> Callable[..., None]:
    """Expect errors: ``expected(409)`` for a response, ``expected("ERR_FAILED")`` for a text."""
    return watch.expect


@pytest.fixture
def open_context(new_context: OpenContext, base_url: str, watch: Watch) -> OpenContext:
    """Return a function that opens a browser context, signed in as ``owner`` if given."""

    def open_signed_in(owner: User | None = None, **options: Any) -> BrowserContext:
        context = new_context(**options)
        context.set_default_timeout(TIMEOUT)
        watch.listen(context)
        if options.get("java_script_enabled", True):
            context.grant_permissions(["clipboard-read", "clipboard-write"])
        if owner:
            context.add_cookies([{**session_cookie(owner), "url": base_url}])
        return context

    return open_signed_in


def session_cookie(owner: User) -> dict[str, str]:
    """Return the session cookie of a user who has just signed in."""
    client = Client()
    client.force_login(owner)
    name = settings.SESSION_COOKIE_NAME
    return {"name": name, "value": client.cookies[name].value}


@pytest.fixture
def context(open_context: OpenContext, alice: User) -> BrowserContext:
    """A browser context signed in as Alice."""
    return open_context(alice)


@pytest.fixture
def api_settings(page: Page) -> ApiSettings:
    """API settings of Alice, with JavaScript."""
    return ApiSettings(page).open()


@pytest.fixture(params=[True, False], ids=["with JavaScript", "without JavaScript"])
def any_settings(request: pytest.FixtureRequest, open_context: OpenContext, alice: User) -> ApiSettings:
    """API settings of Alice, with and without JavaScript."""
    page = open_context(alice, java_script_enabled=request.param).new_page()
    return ApiSettings(page, scripting=request.param).open()


@pytest.fixture
def stage(open_context: OpenContext, watch: Watch) -> Stage:
    return Stage(open_context, watch.expect)


@pytest.fixture
def api(base_url: str) -> Api:
    return Api(base_url)
