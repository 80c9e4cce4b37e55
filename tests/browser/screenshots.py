"""Screenshots of the pages, the same in every run: `make screenshots` writes them to ``screenshots/``.

pytest does not collect this file by default, because of its name.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from random import Random

import pytest
import time_machine

from finta_keys import secret
from tests.browser.scenes import SCENES

FOLDER = Path(__file__).parents[2] / "screenshots"
TODAY = datetime(2026, 3, 16, 9, 30, tzinfo=UTC)
SIZES = {
    "desktop": (1280, 800),
    "phone": (390, 844),
    "wide": (1440, 900),
    "laptop": (1280, 720),
    "tablet": (1024, 768),
    "narrow": (768, 1024),
    "small": (390, 664),
}
SCHEMES = ("light", "dark")
LONG = {"accounts-500"}  # only the visible part


@pytest.fixture(autouse=True)
def _reproducible(monkeypatch):
    """Stop the clock and generate the same (invalid) secrets in every run."""
    monkeypatch.setattr(secret.secrets, "choice", Random(1).choice)  # noqa: S311
    with time_machine.travel(TODAY, tick=False):
        yield


def open_with_font(open_context, *args, **options):
    """Open a context that waits for the font. Browsers do without it if it arrives late."""
    context = open_context(*args, **options)

    def require_font(route):
        response = route.fetch()
        route.fulfill(response=response, body=response.text().replace("font-display: optional", "font-display: block"))

    context.route("**/style.css", require_font)
    return context


@pytest.mark.parametrize("name", SCENES)
def test_take_pictures(name, stage):
    FOLDER.mkdir(exist_ok=True)
    stage.open_context = partial(open_with_font, stage.open_context)
    page = SCENES[name](stage)
    for size, (width, height) in SIZES.items():
        page.set_viewport_size({"width": width, "height": height})
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            full_page = name not in LONG and not page.get_by_role("dialog").count()
            file = f"{name}-{scheme}.png" if size == "desktop" else f"{name}-{size}-{scheme}.png"
            page.screenshot(path=FOLDER / file, full_page=full_page, animations="disabled")
