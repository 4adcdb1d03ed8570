"""A report as a browser takes it apart: elements, scripts, the figures that it carries."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

LOADS = frozenset({"src", "href", "srcset", "action", "formaction", "data", "poster", "background", "xlink:href"})
"""Attributes by which a page fetches or leads elsewhere."""


class Page(HTMLParser):
    """The file, read once.

    Args:
        path: The report.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.styles: list[str] = []
        self.words: list[str] = []
        self._inside: tuple[str, dict[str, str | None]] | None = None
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.elements.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self._inside = tag, dict(attrs)

    def handle_endtag(self, tag: str) -> None:
        """Leave a script or style."""
        if self._inside is not None and tag == self._inside[0]:
            self._inside = None

    def handle_data(self, data: str) -> None:
        """Note what stands in an element."""
        if self._inside is None:
            self.words.append(data)
        elif self._inside[0] == "style":
            self.styles.append(data)
        elif self.scripts and self.scripts[-1][0] is self._inside[1]:  # long scripts come in parts
            self.scripts[-1] = self.scripts[-1][0], self.scripts[-1][1] + data
        else:
            self.scripts.append((self._inside[1], data))

    @property
    def text(self) -> str:
        """What a person reads."""
        return " ".join(" ".join(self.words).split())

    @property
    def figures(self) -> list[dict[str, Any]]:
        """The figures, in order; none where the page carries none."""
        found = [content for attributes, content in self.scripts if attributes.get("id") == "figures"]
        return json.loads(found[0]) if found else []

    @property
    def captions(self) -> list[str]:
        """Names of the figures, in order."""
        return [str(a["aria-label"]) for _, a in self.elements if "data-figure" in a]

    @property
    def policy(self) -> str:
        """The content policy."""
        return next(str(a["content"]) for _, a in self.elements if a.get("http-equiv") == "Content-Security-Policy")

    @property
    def code(self) -> list[str]:
        """Scripts that run."""
        return [content for attributes, content in self.scripts if "type" not in attributes]

    def without_code(self) -> str:
        """The source without scripts that run."""
        rest = self.source
        for code in self.code:
            rest = rest.replace(code, "")
        return rest


def hashed(content: str) -> str:
    """How a content policy names an inline script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


def check(page: Page) -> None:
    """What holds for every report: nothing leaves the file, nothing runs but its own code, figures are whole."""
    for tag, attributes in page.elements:
        assert not LOADS & set(attributes), (tag, attributes)
        assert not [name for name in attributes if name.startswith("on") or name == "style"], (tag, attributes)
        assert tag not in ("link", "img", "iframe", "object", "embed", "base", "form", "a", "image"), tag
    assert page.policy.startswith("default-src 'none'; ")
    assert "unsafe" not in page.policy
    assert all(hashed(code) in page.policy for code in [*page.code, *page.styles])
    assert len(page.code) == (2 if page.figures else 0)
    assert "@import" not in "".join(page.styles)
    assert "url(" not in "".join(page.styles)
    assert [a["data-figure"] for _, a in page.elements if "data-figure" in a] == [*map(str, range(len(page.figures)))]
    assert html.unescape(page.policy).count("sha256-") == 4
