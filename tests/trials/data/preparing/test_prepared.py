"""Prepared data: made once, keyed by content, and with the test split out of a search's reach."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from searchplat.contract import AssetSource, DataRequest, TestPermit
from searchplat.errors import AssetError, DataError, InputError
from trials.data import open_final, open_search, prepare
from trials.data.catalog import TOY
from trials.data.preparing.options import ToyOptions
from trials.data.reading.toy import generate

TOY_REQUEST = DataRequest("toy")


def _sequences(name: str = "toy") -> dict[int, list[int]]:
    found = generate(TOY.options())  # type: ignore[arg-type]
    sequences: dict[int, list[int]] = {}
    for user, item in zip(found.users_E.tolist(), found.items_E.tolist(), strict=True):
        sequences.setdefault(user, []).append(item)
    return sequences


@pytest.mark.parametrize("fraction", [1.0, 0.3])
def test_search_and_final_data_against_slow_python(assets: AssetSource, permit: TestPermit, fraction: float) -> None:
    request = DataRequest("toy", fraction=fraction, seed=5)
    search, final = open_search(request, assets), open_final(request, assets, permit)
    sequences = _sequences()
    assert search.num_items == 40
    assert search.num_users == round(60 * fraction)
    for row, user in enumerate(search.users_U.tolist()):
        assert search.history(row).tolist() == sequences[user][:-2]
        assert search.valid_target_U[row] == sequences[user][-2]
        assert final.test_target_U[row] == sequences[user][-1]
        assert final.test_queries().history(row).tolist() == sequences[user][:-1]
    assert final.search.fingerprint == search.fingerprint
    assert search.titles[0] == "Silent Planet"
    assert search.sentences[0] == "title Silent Planet year 1980 genres space"


@pytest.mark.parametrize("fraction", [1.0, 0.3])
def test_what_is_known_of_interactions_stays_with_them(
    assets: AssetSource, permit: TestPermit, fraction: float
) -> None:
    request = DataRequest("toy", {"requests": True}, fraction=fraction, seed=5)
    search, final = open_search(request, assets), open_final(request, assets, permit)
    found = generate(ToyOptions(requests=True))
    assert found.ratings_E is not None
    assert found.times_E is not None
    assert found.requests_E is not None
    for row, user in enumerate(search.users_U.tolist()):
        own = np.flatnonzero(found.users_E == user)
        within = slice(*search.train_offsets[row : row + 2])
        ratings, times, requests = (
            column[own].tolist() for column in (found.ratings_E, found.times_E, found.requests_E)
        )
        assert search.ratings[within].tolist() == ratings[:-2]
        assert search.times[within].tolist() == times[:-2]
        assert search.requests[within] == requests[:-2]
        assert search.valid_rating_U[row] == ratings[-2]
        assert search.valid_requests_U[row] == requests[-2]
        assert final.test_requests_U[row] == requests[-1]
        valid, test = search.valid_queries().rows(row, row + 1), final.test_queries().rows(row, row + 1)
        assert valid.requests is not None
        assert test.requests is not None
        assert valid.ratings is not None
        assert test.ratings is not None
        assert (list(valid.requests), list(test.requests)) == (requests[-2:-1], requests[-1:])
        assert (valid.ratings.tolist(), test.ratings.tolist()) == (ratings[:-2], ratings[:-1])
    assert (search.ratings.dtype, search.times.dtype) == (np.float32, np.int64)
    assert {name: list(column) for name, column in search.attributes.items()} == found.attributes


def test_what_a_data_set_lacks_is_empty(assets: AssetSource, permit: TestPermit, tmp_path: Path) -> None:
    (tmp_path / "Scientific.inter.json").write_text('{"0": [0, 1, 2, 3]}')
    (tmp_path / "Scientific.item.json").write_text('{"0": {"title": "a", "brand": "b", "categories": "c"}}')
    final = open_final(DataRequest("scientific", {"folder": str(tmp_path)}), assets, permit)
    search = final.search
    columns = search.ratings, search.valid_rating_U, search.times, search.requests, search.valid_requests_U
    assert [len(column) for column in columns] == [0] * 5
    assert len(final.test_requests_U) == 0
    for queries in (search.valid_queries(), final.test_queries(), search.valid_queries().rows(0, 1)):
        assert queries.requests is None
        assert queries.ratings is None


def test_a_search_is_made_without_what_belongs_to_the_test_interaction(assets: AssetSource, permit: TestPermit) -> None:
    request = DataRequest("toy", {"requests": True})
    folder = prepare(request, assets)
    before = open_search(request, assets)
    for path in folder.glob("test*"):
        path.unlink()
    assert {path.name.partition(".")[0] for path in folder.iterdir()} == {
        *("train_items", "train_offsets", "train_ratings", "train_times", "train_requests"),
        *("valid", "valid_ratings", "valid_requests"),
        *("sentences", "titles", "keys", "users", "attribute-0", "attribute-1", "attribute-2", "meta"),
    }
    assert open_search(request, assets).fingerprint == before.fingerprint
    columns = [*before.requests, *before.valid_requests_U]
    assert len(columns) == len(before.train_items) + before.num_users
    with pytest.raises(DataError, match=r"test_requests cannot be read .*delete the folder"):
        open_final(request, assets, permit)


@pytest.mark.parametrize(("rating", "stamp"), [("1e30", "1"), ("4", "1e30")])
def test_numbers_out_of_all_bounds_are_refused(assets: AssetSource, tmp_path: Path, rating: str, stamp: str) -> None:
    rows = ["userId,movieId,rating,timestamp", *(f"1,{item},{rating},{stamp}" for item in range(5))]
    (tmp_path / "ratings.csv").write_text("\n".join(rows))
    (tmp_path / "movies.csv").write_text("movieId,title,genres\n0,F (1999),A\n")
    with pytest.raises(DataError, match=r"ratings\.csv:2 field (3|4) must lie in \[0, 1e\+\d+\], got 1e\+30"):
        prepare(DataRequest("ml-latest-small", {"folder": str(tmp_path)}), assets)


def test_a_search_is_made_without_the_file_of_test_items(assets: AssetSource, permit: TestPermit) -> None:
    folder = prepare(TOY_REQUEST, assets)
    before = open_search(TOY_REQUEST, assets)
    (folder / "test.npy").write_bytes(b"poison")
    poisoned = open_search(TOY_REQUEST, assets)
    (folder / "test.npy").unlink()
    without = open_search(TOY_REQUEST, assets)
    assert before.fingerprint == poisoned.fingerprint == without.fingerprint
    assert without.train_items.tolist() == before.train_items.tolist()
    total = len(without.train_items) + 2 * without.num_users
    assert total == sum(len(row) for row in _sequences().values())
    with pytest.raises(DataError, match=r"test\.npy cannot be read .*delete the folder"):
        open_final(TOY_REQUEST, assets, permit)


def test_the_fingerprint_does_not_depend_on_test_items(assets: AssetSource, tmp_path: Path) -> None:
    """Two data sets that differ in the last items only look the same to a search."""
    prints = []
    for last in ("7", "8"):
        folder = tmp_path / last
        folder.mkdir()
        rows = [f"{user},{item},4.0,{time}" for user in range(4) for time, item in enumerate([*range(1, 9), last])]
        (folder / "ratings.csv").write_text("userId,movieId,rating,timestamp\n" + "\n".join(rows))
        (folder / "movies.csv").write_text(
            "movieId,title,genres\n" + "".join(f"{i},F{i} (1999),A\n" for i in range(1, 9))
        )
        prints.append(open_search(DataRequest("ml-latest-small", {"folder": str(folder)}), assets).fingerprint)
    assert prints[0] == prints[1]


def test_equal_data_has_equal_fingerprints(assets: AssetSource) -> None:
    def fingerprint(**changes: Any) -> str:
        return open_search(DataRequest("toy", **changes), assets).fingerprint

    assert fingerprint(seed=0) == fingerprint(seed=1)  # all users, whatever the seed
    assert fingerprint(options={"core": 1}) == fingerprint()
    different = [
        fingerprint(),
        fingerprint(fraction=0.5),
        fingerprint(fraction=0.5, seed=1),
        fingerprint(options={"seed": 1}),
        fingerprint(options={"attributes": ["title"]}),
        fingerprint(options={"requests": True}),
    ]
    assert len(set(different)) == len(different)


def test_the_second_call_reads_nothing(assets: AssetSource, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = prepare(TOY_REQUEST, assets)
    monkeypatch.setattr("trials.data.reading.toy.generate", None)
    assert prepare(TOY_REQUEST, assets) == folder
    assert not [name for name in os.listdir(folder.parent) if name.startswith(".")]


def test_what_is_ranked_is_the_data_sets_or_the_requests_and_makes_no_other_data(assets: AssetSource) -> None:
    own, asked = (open_search(DataRequest("toy", options), assets) for options in ({}, {"rank_met": False}))
    assert (own.rank_met, asked.rank_met) == (True, False)
    assert own.fingerprint == asked.fingerprint
    assert prepare(TOY_REQUEST, assets) == prepare(DataRequest("toy", {"rank_met": False}), assets)


def test_arrays_are_mapped_not_copied(assets: AssetSource) -> None:
    search = open_search(TOY_REQUEST, assets)
    assert isinstance(search.train_items, np.memmap)
    assert not search.train_items.flags.writeable


def test_changed_source_files_make_another_folder(assets: AssetSource, tmp_path: Path) -> None:
    rows = ["userId,movieId,rating,timestamp", *(f"1,{item},4,{item}" for item in range(5))]
    (tmp_path / "ratings.csv").write_text("\n".join(rows))
    (tmp_path / "movies.csv").write_text("movieId,title,genres\n" + "".join(f"{i},F (1999),A\n" for i in range(5)))
    request = DataRequest("ml-latest-small", {"folder": str(tmp_path)})
    first = prepare(request, assets)
    (tmp_path / "ratings.csv").write_text("\n".join([*rows, "1,0,4,9"]))
    assert prepare(request, assets) != first


def test_a_folder_without_its_last_file_is_made_anew(assets: AssetSource) -> None:
    folder = prepare(TOY_REQUEST, assets)
    (folder / "meta.json").unlink()
    (folder / "train_items.npy").unlink()
    assert len(open_search(TOY_REQUEST, assets).train_items)


def test_processes_that_prepare_at_once_agree(tmp_path: Path) -> None:
    code = """
        import sys
        from pathlib import Path
        from searchplat.assets import AssetStore
        from searchplat.contract import DataRequest
        from trials.data import open_search
        request = DataRequest("toy", {"users": 3000, "items": 200})
        print(open_search(request, AssetStore(Path(sys.argv[1]))).fingerprint)
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "cache")]
    askers = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    answers = [asker.communicate(timeout=60) for asker in askers]
    assert len({out for out, _ in answers}) == 1
    assert len(answers[0][0].strip()) == 64, answers


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("toy", {"cores": 5}, r"data toy: cores is not an option \(known: folder, drop_untitled"),
        ("toy", {"min_length": 2}, "min_length: Input should be greater than or equal to 3, got 2"),
        ("toy", {"attributes": ["plot"]}, "attributes must be among title, year, genres, got plot"),
        ("toys", {}, r"data 'toys' must be one of .*ml-100k.*toy"),
    ],
)
def test_wrong_requests(assets: AssetSource, name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        prepare(DataRequest(name, options), assets)


def test_data_that_is_not_there_says_how_to_get_it(
    assets: AssetSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SEARCHPLAT_DATA_DIR", raising=False)
    with pytest.raises(AssetError, match=r"SEARCHPLAT_DATA_DIR.*ml-1m/ratings\.dat.*grouplens\.org"):
        prepare(DataRequest("ml-1m"), assets)
    with pytest.raises(AssetError, match=r"must hold ratings\.dat, movies\.dat"):
        prepare(DataRequest("ml-1m", {"folder": str(tmp_path)}), assets)


def test_ml_100k_is_prepared_in_seconds(real_assets: AssetSource) -> None:
    started = time.monotonic()
    search = open_search(DataRequest("ml-100k"), real_assets)
    assert time.monotonic() - started < 3
    assert (search.num_users, search.num_items) == (943, 1682)
    assert len(search.train_items) == 100_000 - 2 * 943
    assert search.sentences[0] == "title Toy Story year 1995 genres Animation Children's Comedy"
