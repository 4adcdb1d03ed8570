"""ReDial: dialogues in which one person asks for films and another recommends some (Li et al., 2018).

A dialogue is a "user", its films in the order of their first mention are the user's items, and what was said before a
mention is the request that led to it. Afterwards each of the two said of each film whether it was suggested, whether
the seeker had seen it, and whether the seeker liked it: 0 no, 1 yes, 2 did not say.
"""

from __future__ import annotations

import html
import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from searchplat.errors import DataError
from trials.data.preparing.options import ReDialOptions
from trials.data.reading.ids import Ids, refuse_alike
from trials.data.reading.interactions import Interactions
from trials.data.reading.lines import a_text, csv_columns, json_objects, shown, storable, strict_json, text_lines
from trials.data.reading.movielens import TITLE_AND_YEAR

MENTION = re.compile(r"@(\d+)")

FORMS = ("initiatorQuestions", "respondentQuestions")
"""The seeker's own answers come first; where they are missing the recommender's stand in."""

INFO = {"genres": "genre", "director": "director", "star": "star", "plot": "plot"}
"""Our attributes by the names in `id2info.json`."""

Answers = dict[str, dict[str, int]]


@dataclass
class _Films:
    """Titles by number, the films met so far in order, and what was called like a film and is none."""

    titles: dict[str, str]
    rows: Ids = field(default_factory=lambda: Ids("film"))
    strangers: Counter[str] = field(default_factory=Counter)
    first: str = ""


def read_redial(dialogues: list[Path], films: Path, info: Path | None, options: ReDialOptions) -> Interactions:
    """Read ReDial.

    Args:
        dialogues: JSON-lines files of dialogues; a user each, in this order.
        films: `movies_with_mentions.csv`: number, title with year, number of mentions.
        info: `id2info.json`: genre, director, star and plot by number; no part of the publisher's own release.
        options: Whether mentions count that nobody is known to have liked, and how long requests are.

    Returns:
        Interactions without ratings and times. A film that is mentioned again counts once.

    Raises:
        DataError: If a file breaks the format, with its line.

    Source: CRAMER, appendix B.1. Its requests have 112.84 characters on average (Table 4); ours have 301 with all that
    was said before, and 122 with `last_messages` = 3, the number of interactions that it takes elsewhere.
    """
    listed, titles = _titles(films)
    known = _Films(titles)
    conversations: Counter[str] = Counter()
    users: list[int] = []
    items: list[int] = []
    requests: list[str] = []
    names_of_users: list[str] = []
    for path in dialogues:
        for number, dialogue in json_objects(path, "ReDial's dialogues"):
            names = _mentioned(path, number, dialogue)
            key = str(dialogue.get("conversationId", f"{path}:{number}"))
            conversations[key] += 1
            # A user each, so the further dialogues of one number are told apart by where they stand.
            names_of_users.append(key if conversations[key] == 1 else f"{key} ({path.name}:{number})")
            answers = _answers(path, number, dialogue)
            for key in {**names, **answers}:
                if key not in listed:
                    listed.refuse_like(path, number, key)
            for key, said in _mentions(path, number, dialogue, {**known.titles, **names}, known):
                if options.mentions == "all" or answers.get(key, {}).get("liked") == 1:
                    known.titles.setdefault(key, names.get(key, ""))
                    users.append(len(names_of_users) - 1)
                    items.append(known.rows.code(path, number, key))
                    heard = said if options.same_message else said[:-1]
                    requests.append("\n".join(heard[-(options.last_messages or len(said)) :]).strip())
    return Interactions(
        users_E=np.array(users, dtype=np.int64),
        items_E=np.array(items, dtype=np.int64),
        ratings_E=None,
        times_E=None,
        item_keys=known.rows.names,
        attributes=_attributes(known, listed, info),
        requests_E=np.array(requests, dtype=object),
        warnings=tuple(_warnings(known, listed, films, conversations)),
        user_keys=names_of_users,
    )


def _warnings(known: _Films, listed: Ids, films: Path, conversations: Counter[str]) -> Iterator[str]:
    if known.strangers:
        count, of = sum(known.strangers.values()), len(known.strangers)
        yield f"{count:,} mentions of {of:,} numbers that no file calls a film, {known.first} the first, are left out"
    if strangers := [key for key in known.rows.names if key not in listed]:
        first = f"{strangers[0]!r} ({known.rows.place(strangers[0])}) the first"
        yield f"{films.name}: has no line for {len(strangers):,} of {len(known.rows):,} films, {first}; they stay"
    if again := sum(conversations.values()) - len(conversations):
        yield f"{again:,} dialogues have the conversationId of another; each counts as a user of its own"


def _mentions(
    path: Path, number: int, dialogue: dict[str, Any], titles: dict[str, str], films: _Films
) -> Iterator[tuple[str, list[str]]]:
    """Each film at its first mention, and the messages so far, the last up to the mention, films by their titles."""
    messages = dialogue.get("messages")
    if not isinstance(messages, list):
        raise DataError(f"{path}:{number} messages must be a list, got {type(messages).__name__}.")
    seen: set[str] = set()
    said: list[str] = []
    for message in messages:
        text = message.get("text") if isinstance(message, dict) else None
        if not isinstance(text, str):
            raise DataError(f"{path}:{number} every message must have a text, got {shown(message)}.")
        text = html.unescape(storable(path, number, "a message", text))
        for match in MENTION.finditer(text):
            if match[1] not in titles:
                films.strangers[match[1]] += 1
                films.first = films.first or f"@{match[1]} ({path}:{number})"
            elif match[1] not in seen:
                seen.add(match[1])
                yield match[1], [*said, _named(text[: match.start()], titles)]
        said.append(_named(text, titles).strip())


def _named(text: str, titles: dict[str, str]) -> str:
    return MENTION.sub(lambda match: titles.get(match[1]) or match[0], text)


def _mentioned(path: Path, number: int, dialogue: dict[str, Any]) -> dict[str, str]:
    """`movieMentions`; where there is none the files hold an empty list, or a film's title is null."""
    found = dialogue.get("movieMentions") or {}
    if not isinstance(found, dict):
        raise DataError(f"{path}:{number} movieMentions must be an object, got {type(found).__name__}.")
    return {key: _spaced(a_text(path, number, "a film's title", title or key)) for key, title in found.items()}


def _answers(path: Path, number: int, dialogue: dict[str, Any]) -> Answers:
    """What is known of each film, the seeker's word before the recommender's; an empty form is a list in the files."""
    answers: Answers = {}
    for form in FORMS:
        found = dialogue.get(form) or {}
        if not isinstance(found, dict):
            raise DataError(f"{path}:{number} {form} must be an object, got {type(found).__name__}.")
        for key, answer in found.items():
            if not isinstance(answer, dict) or answer.get("liked") not in (0, 1, 2):
                raise DataError(
                    f"{path}:{number} {form} of film {key!r} must say liked as 0, 1 or 2, got {shown(answer)}."
                )
            answers.setdefault(key, answer)
    return answers


def _titles(path: Path) -> tuple[Ids, dict[str, str]]:
    listed, titles = Ids("film"), {}
    for number, (key, title) in csv_columns(path, "ReDial's movies_with_mentions.csv", ("movieId", "movieName")):
        if key in listed:
            raise DataError(f"{path}:{number} film {key!r} must stand in one line only, as {listed.place(key)}.")
        listed.code(path, number, key)
        titles[key] = _spaced(title)
    refuse_alike(listed)
    return listed, titles


def _spaced(title: str) -> str:
    return " ".join(html.unescape(title).split())


def _attributes(films: _Films, listed: Ids, info: Path | None) -> dict[str, list[str]]:
    keys = films.rows.names
    matches = [TITLE_AND_YEAR.fullmatch(films.titles[key]) for key in keys]
    attributes = {
        "title": [match["title"] if match else films.titles[key] for key, match in zip(keys, matches, strict=True)],
        "year": [match["year"] if match else "" for match in matches],
    }
    if info is not None:
        content = _info(info)
        for key in content:
            if key not in listed:
                listed.refuse_like(info, 0, key)
        for name, theirs in INFO.items():
            attributes[name] = [_flat(info, key, theirs, content.get(key, {}).get(theirs)) for key in keys]
    return attributes


def _info(path: Path) -> dict[str, dict[str, Any]]:
    whole = "\n".join(line for _, line in text_lines(path, "a JSON file of films"))
    try:
        content = strict_json(whole)
    except json.JSONDecodeError as error:
        raise DataError(f"{path}:{error.lineno} must be JSON of the shape {{film: {{...}}}}: {error.msg}.") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} must be JSON of the shape {{film: {{...}}}}: {error}.") from error
    if not isinstance(content, dict) or not all(isinstance(value, dict) for value in content.values()):
        raise DataError(f"{path} must be JSON of the shape {{film: {{...}}}}.")
    return content


def _flat(path: Path, key: str, name: str, value: Any) -> str:
    """A text, or a list of texts, as text."""
    parts = value if isinstance(value, list) else [value or ""]
    if not all(isinstance(part, str) for part in parts):
        raise DataError(f"{path}: film {key!r} {name} must be text or a list of texts, got {shown(value)}.")
    joined = " ".join(parts) if name == "genre" else ", ".join(parts)
    try:
        joined.encode()
    except UnicodeEncodeError as error:
        raise DataError(f"{path}: film {key!r} {name} must be valid Unicode, got {shown(joined)}.") from error
    return joined
