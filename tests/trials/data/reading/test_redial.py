"""ReDial on dialogues in exactly the published format, and on damaged ones."""

from __future__ import annotations

import contextlib
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from searchplat.contract import AssetSource, DataRequest, TestPermit
from searchplat.errors import DataError
from trials.data import open_final, open_search
from trials.data.catalog import REDIAL
from trials.data.preparing.options import ReDialOptions
from trials.data.reading.interactions import Interactions
from trials.data.reading.redial import read_redial

FILMS = "movieId,movieName,nbMentions\r\n" + "\r\n".join(
    ("111,Heat  (1995),3", '222,"Good, the Bad (1966)",9', "333,Okja,1", "444,Up (2009),2")
)
INFO = {
    "111": {
        "name": "Heat (1995)",
        "genre": ["crime", "drama"],
        "plot": "Thieves.",
        "director": ["Michael Mann"],
        "writer": [],
        "star": ["Al Pacino", "Robert De Niro"],
        "imdb_id": "tt0113277",
    }
}


def _form(liked: int) -> dict[str, int]:
    return {"suggested": 1, "seen": 2, "liked": liked}


def _dialogue(texts: list[str], initiator: Any, respondent: Any, mentions: Any = None) -> dict[str, Any]:
    return {
        "movieMentions": mentions if mentions is not None else {"111": "Heat (1995)"},
        "respondentQuestions": respondent,
        "messages": [
            {"timeOffset": place, "text": text, "senderWorkerId": place % 2, "messageId": 100 + place}
            for place, text in enumerate(texts)
        ],
        "conversationId": "7",
        "respondentWorkerId": 0,
        "initiatorWorkerId": 1,
        "initiatorQuestions": initiator,
    }


FIRST = _dialogue(
    [
        "@222 I like, &quot;more&quot; please",
        "Have you seen @333 or @111?",
        "@222 again, and write me @home",
        "Then @444",
    ],
    {"222": _form(1), "333": _form(0), "111": _form(1), "444": _form(2)},
    {"444": _form(1)},
)
SECOND = _dialogue(["Hi", "@111! and @999"], [], {"111": _form(1)}, {"111": None})


def _write(folder: Path, dialogues: list[Any], films: str = FILMS, info: Any = INFO) -> tuple[list[Path], Path, Path]:
    paths = [folder / f"{place}.jsonl" for place in range(2)]
    paths[0].write_text("".join(json.dumps(dialogue) + "\n" for dialogue in dialogues[:1]))
    paths[1].write_text("".join(json.dumps(dialogue) + "\n" for dialogue in dialogues[1:]))
    (folder / "films.csv").write_text(films, newline="")
    (folder / "info.json").write_text(info if isinstance(info, str) else json.dumps(info))
    return paths, folder / "films.csv", folder / "info.json"


def _read(folder: Path, dialogues: list[Any], mentions: str = "liked", **files: Any) -> Interactions:
    options = ReDialOptions.model_validate({"mentions": mentions})
    return read_redial(*_write(folder, dialogues, **files), options)


def _rows(found: Interactions) -> list[tuple[int, str]]:
    pairs = zip(found.users_E.tolist(), found.items_E.tolist(), strict=True)
    return [(user, found.item_keys[item]) for user, item in pairs]


def test_a_dialogue_is_a_user_and_liked_films_are_its_items(tmp_path: Path) -> None:
    found = _read(tmp_path, [FIRST, SECOND])
    assert _rows(found) == [(0, "222"), (0, "111"), (1, "111")]
    assert found.ratings_E is None
    assert found.times_E is None
    assert found.attributes == {
        "title": ["Good, the Bad", "Heat"],
        "year": ["1966", "1995"],
        "genres": ["", "crime drama"],
        "director": ["", "Michael Mann"],
        "star": ["", "Al Pacino, Robert De Niro"],
        "plot": ["", "Thieves."],
    }


def test_all_mentions_count_once_each(tmp_path: Path) -> None:
    found = _read(tmp_path, [FIRST, SECOND], "all")
    assert _rows(found) == [(0, "222"), (0, "333"), (0, "111"), (0, "444"), (1, "111")]


def test_a_request_is_what_was_said_before_with_films_by_name(tmp_path: Path) -> None:
    found = _read(tmp_path, [FIRST, SECOND], "all")
    assert found.requests_E is not None
    first = 'Good, the Bad (1966) I like, "more" please'
    assert found.requests_E.tolist() == [
        "",
        f"{first}\nHave you seen",
        f"{first}\nHave you seen Okja or",
        f"{first}\nHave you seen Okja or Heat (1995)?\nGood, the Bad (1966) again, and write me @home\nThen",
        "Hi",
    ]


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (1, ["", "Have you seen", "Have you seen Okja or", "Then", ""]),
        (2, ["", *['Good, the Bad (1966) I like, "more" please\nHave you seen'] * 2, "", "Hi"]),
    ],
)
def test_a_request_may_be_the_last_messages_alone(tmp_path: Path, count: int, expected: list[str]) -> None:
    found = read_redial(*_write(tmp_path, [FIRST, SECOND]), ReDialOptions(mentions="all", last_messages=count))
    assert found.requests_E is not None
    for request, text in zip(found.requests_E.tolist(), expected, strict=True):
        assert request.startswith(text)
        assert request.count("\n") <= count - 1


def test_a_request_may_end_before_the_message_that_names_the_film(tmp_path: Path) -> None:
    options = ReDialOptions(mentions="all", last_messages=1, same_message=False)
    found = read_redial(*_write(tmp_path, [FIRST, SECOND]), options)
    assert found.requests_E is not None
    first = 'Good, the Bad (1966) I like, "more" please'
    assert found.requests_E.tolist() == ["", first, first, "Good, the Bad (1966) again, and write me @home", "Hi"]


@pytest.mark.parametrize("same_message", [True, False])
def test_no_request_names_its_own_film_by_number(tmp_path: Path, same_message: bool) -> None:
    options = ReDialOptions(mentions="all", same_message=same_message)
    found = read_redial(*_write(tmp_path, [FIRST, SECOND]), options)
    assert found.requests_E is not None
    for request, item in zip(found.requests_E.tolist(), found.items_E.tolist(), strict=True):
        assert found.attributes["title"][item] not in request


def test_the_seekers_own_word_comes_before_the_recommenders(tmp_path: Path) -> None:
    texts = ["@111 @222 @333"]
    dialogue = _dialogue(texts, {"111": _form(2), "222": _form(0)}, {"111": _form(1), "222": _form(1), "333": _form(1)})
    assert _rows(_read(tmp_path, [dialogue])) == [(0, "333")]


def test_films_may_have_no_further_information(tmp_path: Path) -> None:
    dialogues, films, _ = _write(tmp_path, [FIRST])
    assert list(read_redial(dialogues, films, None, ReDialOptions()).attributes) == ["title", "year"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"messages": None}, "0.jsonl:1 messages must be a list, got NoneType"),
        ({"messages": [{"text": 3}]}, "0.jsonl:1 every message must have a text"),
        ({"messages": ["hi"]}, "0.jsonl:1 every message must have a text"),
        ({"messages": [{"text": "\ud800"}]}, "0.jsonl:1 a message must be valid Unicode"),
        ({"movieMentions": [1]}, "0.jsonl:1 movieMentions must be an object, got list"),
        ({"movieMentions": {"111": ["Heat"]}}, "0.jsonl:1 a film's title must be a name"),
        ({"initiatorQuestions": "none"}, "0.jsonl:1 initiatorQuestions must be an object, got str"),
        ({"respondentQuestions": {"111": {"liked": 3}}}, "must say liked as 0, 1 or 2, got {'liked': 3}"),
        ({"respondentQuestions": {"111": 1}}, "0.jsonl:1 respondentQuestions of film '111' must say liked"),
        ({"respondentQuestions": {"111": {"liked": []}}}, "must say liked as 0, 1 or 2"),
    ],
)
def test_a_broken_dialogue_names_its_line(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError) as caught:
        _read(tmp_path, [FIRST | change, SECOND])
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"films": "id,name\n"}, "films.csv:1 header must have movieId, movieName once"),
        ({"films": FILMS + "\n1,2\n"}, "films.csv:6 must have 3 fields, got 2"),
        ({"info": "{\n{"}, "info.json:2 must be JSON"),
        ({"info": "[]"}, "info.json must be JSON of the shape"),
        ({"info": "[" * 100_000}, "info.json must be JSON of the shape"),
        ({"info": {"111": {"genre": [1]}}}, "info.json: film '111' genre must be text or a list of texts"),
        ({"info": {"111": {"plot": "\ud800"}}}, "info.json: film '111' plot must be valid Unicode"),
    ],
)
def test_a_broken_file_of_films_is_named(tmp_path: Path, files: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError) as caught:
        _read(tmp_path, [FIRST, SECOND], **files)
    assert message in str(caught.value)


@given(
    content=st.recursive(
        st.none() | st.integers(0, 3) | st.sampled_from(["@111", "111", "text", "liked", "messages"]),
        lambda inner: (
            st.lists(inner, max_size=2)
            | st.dictionaries(st.sampled_from(["text", "liked", "111", "messages", "movieMentions"]), inner, max_size=3)
        ),
        max_leaves=8,
    )
)
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
def test_any_dialogue_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: Any) -> None:
    folder = tmp_path_factory.mktemp("redial")
    for field in ("messages", "movieMentions", "initiatorQuestions"):
        with contextlib.suppress(DataError):
            _read(folder, [FIRST | {field: content}, content])


def test_the_real_dialogues(assets: AssetSource, permit: TestPermit) -> None:
    if not REDIAL.available(assets):
        pytest.skip("SEARCHPLAT_DATA_DIR holds no redial/train_partial.jsonl and its neighbours")
    folder = Path(os.environ["SEARCHPLAT_DATA_DIR"]) / "redial"
    dialogues = sum(len((folder / name).read_bytes().splitlines()) for name in REDIAL.file_names[:3])
    everything = REDIAL.statistics(assets, {"mentions": "all"})
    assert everything["users"] <= dialogues == 3612
    assert everything["items"] == 3851
    final = open_final(DataRequest("redial"), assets, permit)
    search = open_search(DataRequest("redial"), assets)
    assert len(search.requests) == len(search.train_items)
    assert len(search.valid_requests_U) == len(final.test_requests_U) == search.num_users == 3157
    both = zip(search.valid_requests_U, final.test_requests_U, strict=True)
    assert all(len(after) > len(before) for before, after in both)  # the dialogue went on between the two mentions


def test_hardly_any_real_request_has_the_title_of_its_own_film(assets: AssetSource) -> None:
    """The reader ends a request before its film; what is left are films of the same name or series, and titles that
    someone wrote without the number: in 65 of 3,157 validation requests.
    """
    if not REDIAL.available(assets):
        pytest.skip("SEARCHPLAT_DATA_DIR holds no redial/train_partial.jsonl and its neighbours")

    def plain(text: str) -> str:
        return f" {' '.join(re.findall('[a-z0-9]+', text.casefold()))} "

    data = open_search(DataRequest("redial", {"last_messages": 3, "same_message": False}), assets)
    titles = [plain(data.titles[item]) for item in data.valid_target_U.tolist()]
    named = [
        len(title) >= 5 and title in plain(request)
        for title, request in zip(titles, data.valid_requests_U, strict=True)
    ]
    assert sum(named) / len(named) < 0.025
