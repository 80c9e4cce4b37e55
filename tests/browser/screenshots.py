"""Pictures of the pages, the same on every run: `make screenshots` writes them into ``screenshots/``.

Not collected by itself, because its name does not begin with ``test_``.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest
import time_machine

from finta_keys import secret
from tests.browser.scenes import SCENES

FOLDER = Path(__file__).parents[2] / "screenshots"
TODAY = datetime(2026, 3, 16, 9, 30, tzinfo=UTC)
SIZES = {"desktop": {"width": 1280, "height": 800}, "phone": {"width": 390, "height": 844}}
SCHEMES = ("light", "dark")
LONG = {"list-200"}  # Their pictures show what fits into the window.


@pytest.fixture(autouse=True)
def _always_the_same(monkeypatch):
    """Stop the clock, and draw the secrets, which are good for nothing, from chance that repeats itself."""
    monkeypatch.setattr(secret.secrets, "choice", Random(1).choice)  # noqa: S311
    with time_machine.travel(TODAY, tick=False):
        yield


@pytest.mark.parametrize("name", SCENES)
def test_take_pictures(name, stage):
    FOLDER.mkdir(exist_ok=True)
    page = SCENES[name](stage)
    for size, viewport in SIZES.items():
        page.set_viewport_size(viewport)
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            whole = name not in LONG and not page.get_by_role("dialog").count()
            file = f"{name}-{scheme}.png" if size == "desktop" else f"{name}-{size}-{scheme}.png"
            page.screenshot(path=FOLDER / file, full_page=whole, animations="disabled")
