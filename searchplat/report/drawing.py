"""What pages are drawn with, the report and the live page: templates in which everything is escaped, plotly.js, and
the names of scripts and styles in a content policy.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from searchplat.views import text

_OWN = "searchplat.report"
_ESCAPES = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}

LIBRARY_STYLE = "/* plotly.js adds its rules here */"
"""Of the element `plotly.js-style-global`, to which plotly.js adds its rules, as it may make no element itself."""


def environment(*packages: str) -> Environment:
    """Templates of the report, and before them those of `packages`, each in a folder `template`."""
    made = Environment(
        loader=ChoiceLoader([PackageLoader(package, "template") for package in (*packages, _OWN)]),
        auto_reload=False, autoescape=True, undefined=StrictUndefined, finalize=_shown,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    made.filters |= {"number": text.metric, "duration": text.duration, "lines": text_lines}
    return made


def asset(name: str, package: str = _OWN) -> str:
    """A style or script of a package's templates, with the ends of lines that a browser hashes."""
    return _lines((files(package) / "template" / name).read_text("utf-8"))


@cache
def library() -> str:
    """plotly.js, which the Python package carries: figures need no network."""
    return _lines((files("plotly") / "package_data" / "plotly.min.js").read_text("utf-8"))


@cache
def taken() -> list[str]:
    """Ids of elements that must be on a page with plotly.js.

    A part of it for maps, which no page has, brings styles of its own unless an element has their name.
    """
    return sorted(set(re.findall(r'getElementById\("([0-9a-f]{64})"\)', library())))


def source(content: str) -> str:
    """The content policy's name of an inline script or style."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


def script_json(content: Any) -> str:
    r"""JSON that may stand in a script element: nothing in it ends the element or begins a comment.

    >>> script_json(["</script>", float("nan")])
    '["\\u003c/script\\u003e",null]'
    """
    text_ = json.dumps(plain(content), separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text_.translate(_ESCAPES)


def plain(item: Any) -> Any:
    """A figure as JSON has it: numbers to 7 digits, null for those that are not finite."""
    match item:
        case float():
            return float(f"{item:.7g}") if math.isfinite(item) else None
        case Mapping():
            return {str(key): plain(inner) for key, inner in item.items()}
        case list() | tuple():
            return [plain(inner) for inner in item]
    return item


def text_lines(content: str, most: int = 6000) -> Markup:
    """Several lines for a `pre`, escaped; the middle of very long ones is left out."""
    shown = text.visible_lines(content)
    if len(shown) > most:
        shown = f"{shown[: most // 2]}\n[{len(shown) - most:,} characters left out]\n{shown[-most // 2 :]}"
    return Markup.escape(shown)


def _shown(item: Any) -> Any:
    return item if isinstance(item, Markup) or not isinstance(item, str) else text.visible(item)


def _lines(content: str) -> str:
    return content.replace("\r\n", "\n").replace("\r", "\n")
