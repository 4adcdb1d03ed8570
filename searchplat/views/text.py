"""How values look on the screen: escaped, rounded, with their unit."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Iterable, Mapping
from typing import Any


def visible(value: Any) -> str:
    r"""Text of a value on one line in which nothing is hidden: control and format characters are spelled out.

    >>> visible("a\x1b[31mred\nline")
    'a\\x1b[31mred\\nline'
    """
    text = value if isinstance(value, str) else str(value)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode("ascii") for c in text)


def visible_lines(value: Any) -> str:
    """Like `visible`, but lines stay lines and tabs become spaces."""
    return "\n".join(visible(line) for line in str(value).expandtabs(4).split("\n"))


def value(item: Any) -> str:
    """A parameter's value as a space file writes it, numbers to 4 significant digits.

    >>> value(0.000123456), value(True), value(None), value("tail")
    ('0.0001235', 'true', 'null', 'tail')
    """
    if isinstance(item, float):
        return f"{item:.4g}"
    return exact(item)


def exact(item: Any) -> str:
    """A parameter's value as a space file writes it, every digit kept.

    >>> exact(0.1), exact(False), exact([1, "a"])
    ('0.1', 'false', '[1, "a"]')
    """
    if isinstance(item, str):
        return visible(item)
    if isinstance(item, float) and not math.isfinite(item):
        return repr(item)
    return visible(json.dumps(item, ensure_ascii=False, default=str))


def metric(number: float | None) -> str:
    """A metric with 4 decimals, or 4 significant digits where these say more; a large whole number as it is.

    >>> metric(0.05341), metric(None), metric(0.0000123), metric(12345.6), metric(12345.0)
    ('0.0534', '-', '1.23e-05', '1.235e+04', '12345')
    """
    if number is None:
        return "-"
    if number == 0 or 1e-3 <= abs(number) < 1000:
        return f"{number:.4f}"
    if 1000 <= abs(number) < 1e8 and number == int(number):  # a number of parameters, say
        return f"{number:.0f}"
    return f"{number:.4g}"


def change(new: float, old: float) -> str:
    """How far `new` is from `old`, relative to `old`; absolute where `old` is 0.

    >>> change(0.06, 0.05), change(0.05, 0.05), change(1.0, 0.0)
    ('+20.0 %', '+0.0 %', '+1.0000')
    """
    if old == 0 or not math.isfinite(new / old):
        return f"{new - old:+.4f}"
    return f"{(new - old) / abs(old):+.1%}".replace("%", " %")


def duration(seconds: float | None) -> str:
    """A span of time in the two largest units.

    >>> [duration(s) for s in (0.42, 9.6, 75, 3700, 180000)]
    ['0.4 s', '10 s', '1 min 15 s', '1 h 01 min', '2 d 2 h']
    """
    if seconds is None or not math.isfinite(seconds):
        return "-"
    if seconds < 9.5:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def size(number_of_bytes: float) -> str:
    """A number of bytes.

    >>> size(512), size(93_000_000)
    ('512 B', '93 MB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if number_of_bytes < 999.5:
            return f"{number_of_bytes:.0f} {unit}"
        number_of_bytes /= 1000
    return f"{number_of_bytes:.1f} TB"


def count(number: float) -> str:
    """A number of things, readable also when it is huge.

    >>> count(1234), count(2.0**36), count(float("inf"))
    ('1,234', '6.87e+10', 'unbounded')
    """
    if math.isinf(number):
        return "unbounded"
    return f"{number:,.0f}" if number < 1e7 else f"{number:.3g}"


def plural(number: int, noun: str) -> str:
    """
    >>> plural(1, "trial"), plural(3, "trial")
    ('1 trial', '3 trials')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def values_line(values: Mapping[str, Any], most: int = 60) -> str:
    """Parameter values on one line of at most `most` characters.

    >>> values_line({"x": 0.25, "layout": "01-11"})
    'x=0.25 layout=01-11'
    """
    line = " ".join(f"{visible(key)}={value(item)}" for key, item in values.items())
    return line if len(line) <= most else line[: most - 1] + "…"


def shell_words(words: Iterable[str]) -> str:
    """A command line that a person can copy into a shell."""
    return " ".join(shlex.quote(word) if visible(word) == word else "$" + _ansi_c(word) for word in words)


def _ansi_c(word: str) -> str:
    escaped = word.replace("\\", "\\\\").replace("'", "\\'")
    return "'" + visible(escaped) + "'"


def setting(key: str, item: Any) -> str:
    """`key=value` as `--set` reads it back: the same value of the same type."""
    return f"{key}={_yaml(item)}"


def _yaml(item: Any) -> str:
    from searchplat.errors import InputError
    from searchplat.spec.document.strict_yaml import read_value

    if isinstance(item, str) and visible(item) == item:
        try:
            if read_value(item, "value").plain() == item:
                return item
        except InputError:
            pass
    return json_word(item)


def json_word(item: Any) -> str:
    """A value as JSON that is YAML as well, in printable characters."""
    return visible(json.dumps(item, ensure_ascii=False))
