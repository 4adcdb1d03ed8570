"""KuaiSAR's csv files with the published columns."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from searchplat.contract import AssetSource, DataRequest
from searchplat.errors import DataError
from trials.data import open_search
from trials.data.preparing.options import KuaiSAROptions
from trials.data.reading.interactions import Interactions
from trials.data.reading.kuaisar import read_kuaisar

RECOMMENDED = """\
user_id,item_id,playing_time,duration_ms,time,timestamp,click,forward,like,follow,search,search_item_related
1,10,60792.0,45400.0,2023-05-22 15:53:20,1684742000000.0,1,0,0,0,0,0
1,11,792.0,45400.0,2023-05-22 15:53:20,1.684742e+12,0,0,0,0,0,0
2,10,60792.0,45400.0,2023-05-22 15:53:21,1684742001500,1,0,1,0,1,1
"""
SEARCHED = """\
user_id,search_session_id,search_session_time,search_session_timestamp,keyword,search_source,item_id,click_cnt,item_type
1,1,2023-05-22 21:58:52,1684763932919,"[20, 34, 3]",USER_INPUT,12,2,VIDEO
1,1,2023-05-22 21:58:52,1684763932919,"[20, 34, 3]",USER_INPUT,13,0,VIDEO
2,2,2023-05-22 21:58:53,1684763933000,[],USER_INPUT,10,1.0,VIDEO
"""
LEVELS = ("first", "second", "third", "fourth")
FEATURES = (
    "item_id,caption,author_id,item_type,upload_time,upload_type,"
    + ",".join(f"{level}_level_category_{what}" for level in LEVELS for what in ("id", "name", "name_en"))
    + """
10,"[1, 213, 24]",5,NORMAL,2023-04-22,LongImport,9,搞笑,Funny,136,搞笑段子,Funny joke,0,空,empty,0,空,empty
12,[],5,NORMAL,2023-04-22,LongImport,9,搞笑,Funny,9,搞笑,Funny,0,空,empty,0,空,empty
99,[7],5,NORMAL,2023-04-22,LongImport,9,搞笑,Funny,9,搞笑,Funny,0,空,empty,0,空,empty
"""
)


def _read(
    folder: Path, one: str = RECOMMENDED, two: str = SEARCHED, three: str = FEATURES, **options: Any
) -> Interactions:
    paths = [folder / name for name in ("rec_inter.csv", "src_inter.csv", "item_features.csv")]
    for path, content in zip(paths, (one, two, three), strict=True):
        path.write_text(content, encoding="utf-8")
    return read_kuaisar(*paths, options=KuaiSAROptions(**options))


def _rows(found: Interactions) -> list[tuple[int, str]]:
    pairs = zip(found.users_E.tolist(), found.items_E.tolist(), strict=True)
    return [(user, found.item_keys[item]) for user, item in pairs]


def test_what_was_clicked_in_both_logs(tmp_path: Path) -> None:
    found = _read(tmp_path, requests_from_previous=3)
    assert _rows(found) == [(0, "10"), (1, "10"), (0, "12"), (1, "10")]
    assert found.ratings_E is None
    assert found.times_E is not None
    assert found.times_E.tolist() == [1684742000.0, 1684742001.5, 1684763932.919, 1684763933.0]
    assert found.attributes == {"title": ["1 213 24", ""], "categories": ["Funny, Funny joke", "Funny"]}
    assert found.notes_E is not None
    assert found.notes_E.tolist() == ["", "", "20 34 3", ""]


def test_options_choose_the_interactions(tmp_path: Path) -> None:
    assert _rows(_read(tmp_path, searched=False)) == [(0, "10"), (1, "10")]
    assert _rows(_read(tmp_path, searched=False, clicked=False)) == [(0, "10"), (0, "11"), (1, "10")]
    assert _read(tmp_path).notes_E is None


@pytest.mark.parametrize(
    ("place", "old", "new", "message"),
    [
        (0, "timestamp,click", "timestamp,clicked", "rec_inter.csv:1 header must have click once"),
        (0, "1684742000000.0,1", "1684742000000.0,yes", "rec_inter.csv:2 click must be a finite number, got 'yes'"),
        (0, "1684742000000.0", "noon", "rec_inter.csv:2 a timestamp must be a finite number, got 'noon'"),
        (0, "\n2,10", "\n,10", "rec_inter.csv:4 user_id must be a name, got ''"),
        (0, ",0,1,1\n", ",0,1\n", "rec_inter.csv:4 must have 12 fields, got 11"),
        (1, '"[20, 34, 3]"', "[20; 3]", "src_inter.csv:2 keyword must be a list of whole numbers, got '[20; 3]'"),
        (1, "[]", "{}", "src_inter.csv:4 keyword must be a list of whole numbers, got '{}'"),
        (2, '"[1, 213, 24]"', "[1.5]", "item_features.csv:2 caption must be a list of whole numbers, got '[1.5]'"),
        (2, "\n12,[]", "\n10,[]", "item_features.csv:3 item '10' must stand in one line only"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, place: int, old: str, new: str, message: str) -> None:
    contents = [RECOMMENDED, SEARCHED, FEATURES]
    assert old in contents[place]
    contents[place] = contents[place].replace(old, new, 1)
    with pytest.raises(DataError) as caught:
        _read(tmp_path, *contents)
    assert message in str(caught.value)


@given(data=st.data())
@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])
def test_damage_gives_data_errors_only(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    contents = [RECOMMENDED, SEARCHED, FEATURES]
    which = data.draw(st.integers(0, 2))
    start = data.draw(st.integers(0, len(contents[which])))
    noise = data.draw(st.sampled_from(["", "\n", ",", '"', "[", "\0", "\r", "é", "[[", "1e999"]))
    contents[which] = contents[which][:start] + noise + contents[which][start + data.draw(st.integers(0, 6)) :]
    with contextlib.suppress(DataError):
        _read(tmp_path_factory.mktemp("damage"), *contents)


def test_requests_hold_what_was_watched_and_searched_before(assets: AssetSource, tmp_path: Path) -> None:
    more = "".join(f"1,10,0,0,x,16847640{place:02}000,1,0,0,0,0,0\n" for place in range(2))
    _read(tmp_path, RECOMMENDED + more)
    search = open_search(DataRequest("kuaisar", {"folder": str(tmp_path)}), assets)
    assert search.num_users == 1
    assert list(search.requests) == ["", "1 213 24. Funny, Funny joke"]
    assert list(search.valid_requests_U) == ["1 213 24. Funny, Funny joke\nFunny. 20 34 3"]
    assert search.times.tolist() == [1684742000, 1684763932]
    plain = open_search(DataRequest("kuaisar", {"folder": str(tmp_path), "requests_from_previous": 0}), assets)
    assert len(plain.requests) == 0
