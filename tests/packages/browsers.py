"""The chromium that is installed, if one is, and what axe-core finds on a page in it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

CHROMIUM = next((path for name in ("chromium", "google-chrome", "chrome") if (path := shutil.which(name))), None)

WAYS: dict[str, dict[str, Any]] = {
    "wide": {"viewport": {"width": 1280, "height": 900}},
    "phone": {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True},
    "dark": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"},
}
"""How pages are looked at: options of a playwright context."""


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser, for the time of the block."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # A user's namespaces may be closed to the sandbox, in containers above all; the pages are our own.
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


def violations(page: Any) -> list[str]:
    """What axe-core finds against WCAG 2 A and AA, contrast among it."""
    from axe_playwright_python.sync_playwright import Axe

    options = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}
    found = Axe().run(page, options=options).response
    looked_at = {rule["id"] for kind in ("passes", "violations", "incomplete") for rule in found[kind]}
    assert {"color-contrast", "document-title", "html-has-lang"} <= looked_at
    return [
        f"{rule['id']}: {rule['help']}: {node['html'][:200]} {node['failureSummary']}"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]
