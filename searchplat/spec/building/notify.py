"""`notify:` of a space file, and `--notify` of the command line: who is told how a search stands."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from searchplat import paths
from searchplat.errors import InputError
from searchplat.paths import is_address
from searchplat.spec.document.nodes import Node, Place
from searchplat.spec.document.shapes import BROKEN, whole
from searchplat.spec.document.strict_yaml import read_value
from searchplat.spec.errors import Problems
from searchplat.spec.grammar import NOTIFY
from searchplat.spec.model import NOTICES, NotifySpec

WAYS = ("url_env", "url_file", "command")
PLACEHOLDERS = ("event", "search", "state", "metric", "value", "trial", "ended", "planned", "message")
"""What a command's words may have in braces."""

_OPTION = "--notify"


def build_notify(root: Node, read: Mapping[str, Any], problems: Problems) -> tuple[NotifySpec, ...]:
    """What the key says; what is wrong is noted."""
    found = read.get("notify")
    if not found:
        return ()
    node = root.fields["notify"]
    if (folder := paths.from_environment(paths.WITHIN)) is not None:
        rule = f"a space that is kept within {folder} tells nobody"
        problems.add(node.key_place, "notify", rule, remedy="remove it, and give --notify instead")
        return ()
    places = node.items or [node]
    made = [
        _build(place, fields, "notify", problems, of_space=True) for place, fields in zip(places, found, strict=True)
    ]
    return tuple(one for one in made if one is not None)


def notify_option(text: str) -> NotifySpec:
    """What `--notify` means: the name of an environment variable or a file that holds a URL; or a mapping as in a file.

    Raises:
        InputError: If it is none of these. A URL is not quoted.

    >>> notify_option("SLACK_WEBHOOK_URL").url_env, notify_option("~/.webhook").url_file
    ('SLACK_WEBHOOK_URL', '~/.webhook')
    >>> notify_option('{command: [notify-send, "{message}"], on: end}').on
    ('end',)
    """
    if text.lstrip().startswith("{"):
        problems = Problems()
        node = read_value(text, _OPTION)
        fields = NOTIFY.read(node, "", problems)
        made = _build(node, fields, "", problems, of_space=False)
        problems.raise_if_any()
        assert made is not None
        return made
    if is_address(text.strip()):
        raise InputError(
            f"{_OPTION}: a URL on the command line is seen by everybody on this machine; put it into an environment "
            f"variable and give its name, {_OPTION} SLACK_WEBHOOK_URL, or into a file and give its path"
        )
    if not text.strip():
        raise InputError(f"{_OPTION}: must name an environment variable or a file, got nothing")
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", text):
        return NotifySpec(url_env=text)
    return NotifySpec(url_file=text)


def _build(node: Node, fields: Any, key: str, problems: Problems, *, of_space: bool) -> NotifySpec | None:
    if fields is BROKEN or not whole(fields):
        return None
    given = [way for way in WAYS if way in fields]
    where: Node | Place = node
    if len(given) != 1:
        got = ", ".join(given) or "none"
        problems.add(where, key, f"must have one of {', '.join(WAYS)}", got=got, remedy="leave one")
        return None
    command = fields.get("command")
    for word in command or ():
        for name in re.findall(r"{([^{}]*)}", word):
            if name not in PLACEHOLDERS:
                rule = f"a placeholder is one of {', '.join(PLACEHOLDERS)}"
                problems.add(where, f"{key}.command".lstrip("."), rule, value=name, remedy="correct it")
    return NotifySpec(
        url_env=fields.get("url_env"),
        url_file=fields.get("url_file"),
        command=None if command is None else tuple(command),
        on=tuple(dict.fromkeys(fields.get("on", NOTICES))),
        of_space=of_space,
    )
