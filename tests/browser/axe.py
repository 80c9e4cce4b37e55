"""Find violations of accessibility rules with axe: light and dark, phone and desktop."""

from axe_playwright_python.sync_playwright import Axe

# Tall windows, so that no dialog scrolls: axe cannot determine colors at the edge of a scrolled area.
PHONE, DESKTOP = {"width": 320, "height": 6000}, {"width": 1280, "height": 3000}
COLORS = {"runOnly": ["color-contrast"]}
# All rules once per size. The other color scheme changes only colors.
LOOKS = [
    ("light", PHONE, {}),
    ("dark", PHONE, COLORS),
    ("dark", DESKTOP, {}),
    ("light", DESKTOP, COLORS),
]
# Rules that axe cannot decide: the id, and why it is not a violation here.
EXPLAINED: dict[str, str] = {}
# axe cannot determine colors in a scrolled list, or of text behind a dialog. The page behind
# a dialog is inert, and has a scene of its own.
REVEAL = """async () => {
    await Promise.all(document.getAnimations().map(animation => animation.finished));
    for (const groups of document.querySelectorAll(".finta-groups")) groups.style.maxHeight = "none";
    if (!document.querySelector("dialog[open]")) return;
    for (const element of document.querySelectorAll("body > :not(:has(dialog))")) element.style.visibility = "hidden";
}"""

axe = Axe()


def assert_no_violations(page):
    """Raise ``AssertionError`` for violations, and for what axe cannot decide. Changes the page."""
    page.evaluate(REVEAL)
    for scheme, size, options in LOOKS:
        page.set_viewport_size(size)
        # Without transitions: on a busy machine, axe would compare colors of both schemes.
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        results = axe.run(page, options=options).response
        assert not summary(results["violations"]), (scheme, size)
        undecided = [rule for rule in summary(results["incomplete"]) if rule[0] not in EXPLAINED]
        assert not undecided, (scheme, size)


def summary(results):
    """Return the rule, the element and the messages of each of axe's results."""
    return [
        (result["id"], node["html"][:120], [check["message"] for check in node["any"] + node["all"] + node["none"]])
        for result in results
        for node in result["nodes"]
    ]
