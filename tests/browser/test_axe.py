"""axe finds nothing to object to, on any page or open dialog, light or dark, on a phone or a desktop."""

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.browser.scenes import SCENES

# As wide as a phone and a desktop; so high that no dialog is scrolled: at the edge of what is, axe cannot tell colours.
PHONE, DESKTOP = {"width": 320, "height": 2400}, {"width": 1280, "height": 1600}
COLOURS = {"runOnly": ["color-contrast"]}
# All rules once on each size; what the other scheme changes is colours alone.
LOOKS = [
    ("light", PHONE, {}),
    ("dark", PHONE, COLOURS),
    ("dark", DESKTOP, {}),
    ("light", DESKTOP, COLOURS),
]
# What axe cannot tell by itself: the id of its rule, and why it is no fault here.
EXPLAINED: dict[str, str] = {}
# axe cannot tell the colours of what is cut off by a list that scrolls, nor what is behind a dialog from what is in it.
# What is behind is inert, and a scene of its own.
LAY_OPEN = """async () => {
    await Promise.all(document.getAnimations().map(each => each.finished)); // What comes into view is not there yet.
    for (const each of document.querySelectorAll(".finta-groups")) each.style.maxHeight = "none";
    if (!document.querySelector("dialog[open]")) return;
    for (const each of document.querySelectorAll("body > :not(:has(dialog))")) each.style.visibility = "hidden";
}"""
MORE_OF_THE_SAME = {"list-200"}  # rows, which take axe half a minute

axe = Axe()


@pytest.mark.parametrize("scene", [name for name in SCENES if name not in MORE_OF_THE_SAME], indirect=True)
def test_axe_objects_to_nothing(scene):
    scene.evaluate(LAY_OPEN)
    for scheme, size, options in LOOKS:
        scene.set_viewport_size(size)
        scene.emulate_media(color_scheme=scheme)
        answer = axe.run(scene, options=options).response
        assert not told(answer["violations"]), (scheme, size)
        assert not [each for each in told(answer["incomplete"]) if each[0] not in EXPLAINED], (scheme, size)


def told(results):
    """What axe says in its results, in few words."""
    return [
        (result["id"], node["html"][:120], [check["message"] for check in node["any"] + node["all"] + node["none"]])
        for result in results
        for node in result["nodes"]
    ]
