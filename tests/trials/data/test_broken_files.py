"""Files that somebody saved, joined, cut or edited: the same data, a refusal with file and line, or a warning.

Never another exception, and never silently other data.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from data_files import ANYWHERE, FORMATS, IDS, NUMBERS, Format, rewrite_id
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from searchplat.errors import DataError
from trials.data.reading.interactions import Interactions

Content = dict[str, Any]

SAME = ("a mark", "line ends of Windows", "line ends of Unix", "no line end at the end")
"""What changes nothing in any format."""


def content(found: Interactions) -> Content:
    """All that a data set says, whatever numbers users and items have."""
    rows: dict[int, list[Any]] = {}
    for place, (user, item) in enumerate(zip(found.users_E.tolist(), found.items_E.tolist(), strict=True)):
        more = [None if column is None else column[place] for column in
                (found.ratings_E, found.times_E, found.requests_E, found.notes_E)]  # fmt: skip
        rows.setdefault(user, []).append((found.item_keys[item], *more))
    attributes = {
        key: {name: column[item] for name, column in found.attributes.items()}
        for item, key in enumerate(found.item_keys)
    }
    return {"users": sorted(map(repr, rows.values())), "items": attributes}


def outcome(form: Format, files: tuple[bytes, ...], folder: Path, whole: Content) -> str:
    """`same`, `refused`, `warned`, or a failure of the test."""
    try:
        found = form.load(files, folder)
    except DataError as error:
        said = str(error)
        assert any(name in said for name in form.names), said
        # A file that is one JSON document, or missing a header, need not have lines to speak of.
        assert re.search(r":\d+ ", said) or ".json" in said, said
        assert "\n" not in said
        return "refused"
    if content(found) == whole:
        return "same"
    assert found.warnings, "other data, and not a word of it"
    assert all(re.search(r"\d", warning) or "line end" in warning for warning in found.warnings)
    return "warned"


@pytest.fixture(scope="module", params=FORMATS)
def form(request: pytest.FixtureRequest) -> Format:
    return FORMATS[request.param]


@pytest.fixture(scope="module")
def whole(form: Format, tmp_path_factory: pytest.TempPathFactory) -> Content:
    found = form.load(form.files, tmp_path_factory.mktemp("whole"))
    assert [warning for warning in found.warnings if "films.csv" not in warning] == []
    return content(found)


def replaced(files: tuple[bytes, ...], place: int, data: bytes) -> tuple[bytes, ...]:
    return (*files[:place], data, *files[place + 1 :])


def test_what_happens_to_whole_files(form: Format, whole: Content, tmp_path: Path) -> None:
    for place in range(len(form.files)):
        for name, change in ANYWHERE.items():
            if name == "a mark in the middle" and form.files[place].count(b"\n") < 2:
                continue  # the one line is the first
            result = outcome(form, replaced(form.files, place, change(form.files[place])), tmp_path, whole)
            if name in SAME:
                assert result == "same", (name, form.names[place])
            elif name.startswith(("UTF", "NUL", "a mark in", "two marks", "a page")):
                assert result == "refused", (name, form.names[place])


def test_ids_that_are_written_otherwise_in_one_place(form: Format, whole: Content, tmp_path: Path) -> None:
    """In any of the files, at its first or its last place."""
    tried = 0
    for place in range(len(form.files)):
        for name, change in IDS.items():
            for last in (False, True):
                data = rewrite_id(form.files[place], form.item, change, last)
                if data is not None:
                    tried += 1
                    result = outcome(form, replaced(form.files, place, data), tmp_path, whole)
                    assert result != "same", (name, data)
    assert tried >= 2 * len(IDS)


def test_numbers_that_are_none(form: Format, whole: Content, tmp_path: Path) -> None:
    for number in form.numbers:
        for wrong in NUMBERS:
            start, separator, end = form.files[0].rpartition(number)
            assert separator
            files = replaced(form.files, 0, start + wrong + end)
            if number == b"3.5" and wrong in (b"-1", b"-0.5"):
                continue  # RecBole's ratings may be below 0
            assert outcome(form, files, tmp_path, whole) == "refused", (number, wrong)


@given(data=st.data())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_several_of_these_at_once(form: Format, whole: Content, tmp_path: Path, data: st.DataObject) -> None:
    files = form.files
    if data.draw(st.booleans()):  # once: an id that is written otherwise everywhere is another id
        place = data.draw(st.integers(0, len(files) - 1))
        change = IDS[data.draw(st.sampled_from(list(IDS)))]
        new = rewrite_id(files[place], form.item, change, data.draw(st.booleans()))
        files = replaced(files, place, files[place] if new is None else new)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(files) - 1))
        change = ANYWHERE[data.draw(st.sampled_from(list(ANYWHERE)))]
        try:
            files = replaced(files, place, change(files[place]))
        except (UnicodeError, IndexError):  # is no text any more, or has no line
            continue
    outcome(form, files, tmp_path, whole)
