"""Splits by time and by ratio against slow Python, and what leave-one-out leaks in time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from searchplat.assets import AssetStore
from searchplat.contract import AssetSource, DataRequest, TestPermit
from searchplat.errors import DataError, InputError
from trials.data import open_final, open_search
from trials.data.own.source import OWN_FILE
from trials.data.preparing.negatives import sample_negatives

Rows = list[list[int]]
"""The times of each user's interactions; the item is `i<time>`."""


def _request(folder: Path, rows: Rows, split: Any) -> DataRequest:
    path = folder / "my.csv"
    lines = [f"u{user:03},i{time},{time}" for user, times in enumerate(rows) for time in times]
    path.write_text("\n".join(["user,item,time", *lines]) + "\n")
    options = {"file": str(path), "user": "user", "item": "item", "time": "time", "split": split}
    return DataRequest("file", options)


def _named(keys: Any, items: Any) -> list[int]:
    return [int(keys[item].removeprefix("i")) for item in items]


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    rows=st.lists(st.lists(st.integers(1, 30), min_size=3, max_size=8), min_size=2, max_size=6),
    split=st.sampled_from(["leave-one-out", {"time": 0.5}, {"ratio": 0.5}, {"time": "1970-01-01T00:00:15"}]),
)
def test_splits_against_slow_python(
    tmp_path_factory: pytest.TempPathFactory, permit: TestPermit, rows: Rows, split: Any
) -> None:
    folder = tmp_path_factory.mktemp("split")
    rows = [*rows, [1, 16, 17]]  # somebody who has all three parts wherever it is cut
    flat = sorted(time for times in rows for time in times)
    wanted = []
    for times in map(sorted, rows):
        if split == "leave-one-out":
            first = len(times) - 2
        elif "ratio" in split:
            first = min(max(1, len(times) // 2), len(times) - 2)
        else:
            moment = 15 if split["time"] != 0.5 else flat[min(len(flat) - 1, -(-len(flat) // 2))]
            first = sum(time < moment for time in times)
        if first:
            wanted.append((times[:first], times[first : first + 1], times[first + 1 : first + 2]))
    assets = AssetStore(folder / "cache")
    if not any(test for *_, test in wanted):
        with pytest.raises(DataError, match=r"leaves no user with|no interaction is before"):
            open_search(_request(folder, rows, split), assets)
        return
    final = open_final(_request(folder, rows, split), assets, permit)
    search = final.search
    assert [_named(search.keys, search.history(user)) for user in range(search.num_users)] == [w[0] for w in wanted]
    valid, test = search.valid_queries(), final.test_queries()
    assert [_named(search.keys, valid.history(b)) for b in range(len(valid))] == [w[0] for w in wanted if w[1]]
    assert _named(search.keys, search.valid_target_U[search.valid_rows]) == [w[1][0] for w in wanted if w[1]]
    assert [_named(search.keys, test.history(b)) for b in range(len(test))] == [w[0] + w[1] for w in wanted if w[2]]
    assert _named(search.keys, final.test_target_U[final.test_rows]) == [w[2][0] for w in wanted if w[2]]
    assert valid.users_B.tolist() == search.valid_rows.tolist()


def test_the_leak_is_said_with_its_figure(tmp_path: Path, assets: AssetSource) -> None:
    # a trains at 1, 2 and is tested at 4; b trains at 5, 6 and is tested at 8: for a half of all training is later.
    rows = [[1, 2, 3, 4], [5, 6, 7, 8]]
    request = _request(tmp_path, rows, None)
    (warning,) = [told for told in OWN_FILE.warnings(assets, request.options) if "keep to time" in told]
    assert "25.0% of the training interactions are later than a test interaction" in warning
    assert "50.0% of the users' tests have some" in warning
    in_time = _request(tmp_path, [[1, 2, 9, 10], [3, 4, 5]], {"time": "1970-01-01T00:00:06"})
    assert not [told for told in OWN_FILE.warnings(assets, in_time.options) if "keep to time" in told]
    figures = OWN_FILE.statistics(assets, in_time.options)
    assert (figures["users"], figures["users_validated"], figures["users_tested"]) == (2, 1, 1)


def test_who_only_trains_has_no_target_to_avoid(tmp_path: Path, assets: AssetSource) -> None:
    search = open_search(_request(tmp_path, [[1, 2, 9, 10], [3, 4, 5]], {"time": "1970-01-01T00:00:06"}), assets)
    assert search.valid_target_U.tolist()[1] == -1
    drawn = sample_negatives(search, search.num_items - 3, 0)
    for user in range(2):
        met = {*search.history(user).tolist(), int(search.valid_target_U[user])}
        assert not met & set(drawn[user].tolist())


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ({"time": 1.5}, r"split: time must be a share in \(0, 1\)"),
        ({"time": "soon"}, r"split: time must be a date"),
        ({"time": 0.5, "ratio": 0.5}, "one of the two"),
        ({}, "one of the two"),
        ("random", "must be leave-one-out"),
        ({"ratio": 1.0}, "less than 1"),
    ],
)
def test_wrong_splits_are_refused(tmp_path: Path, assets: AssetSource, split: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        open_search(_request(tmp_path, [[1, 2, 3]], split), assets)


def test_a_split_by_time_needs_times(assets: AssetSource, tmp_path: Path) -> None:
    request = _request(tmp_path, [[1, 2, 3]], {"time": 0.5})
    options = {key: value for key, value in request.options.items() if key != "time"}
    with pytest.raises(DataError, match="a split by time needs times"):
        open_search(DataRequest("file", options), assets)


@pytest.mark.parametrize("targets", [2, 3, 100])
def test_several_targets_are_halves_of_what_is_left_up_to_their_number(
    tmp_path: Path, permit: TestPermit, targets: int
) -> None:
    rows = [[1, 2, 3, 4, 50, 51, 52, 53, 54], [5, 6, 7, 50, 51], [8, 9, 10, 50], [11, 12, 13]]
    request = _request(tmp_path, rows, {"time": "1970-01-01T00:00:40", "targets": targets})
    assets = AssetStore(tmp_path / "cache")
    search, final = open_search(request, assets), open_final(request, assets, permit)
    wanted = {
        2: ([[50, 51], [50], [50]], [[52, 53], [51]]),
        3: ([[50, 51, 52], [50], [50]], [[53, 54], [51]]),
        100: ([[50, 51, 52], [50], [50]], [[53, 54], [51]]),
    }[targets]
    valid = [_named(search.keys, [item for item in row if item >= 0]) for row in search.valid_targets()]
    test = [_named(search.keys, [item for item in row if item >= 0]) for row in final.test_targets()]
    assert (valid, test) == wanted
    assert [_named(search.keys, search.valid_queries().history(b)) for b in range(3)] == [row[:-k] for row, k in
            zip(rows[:3], (5, 2, 1), strict=True)]  # fmt: skip
    queries = final.test_queries()
    first = len(wanted[0][0])
    assert _named(search.keys, queries.history(0)) == rows[0][: 4 + first]
    assert _named(search.keys, queries.history(1)) == rows[1][:4]
    negatives_UM = sample_negatives(final, 2, seed=1)
    for user, drawn in enumerate(negatives_UM):
        assert not {*_named(search.keys, drawn)} & {*rows[user][: 4 + 2 * targets]}


def test_an_item_twice_among_the_targets_counts_once(tmp_path: Path, permit: TestPermit) -> None:
    path = tmp_path / "my.csv"
    lines = ["u0,a,1", "u0,b,2", "u0,c,50", "u0,c,51", "u0,a,52", "u0,b,53", "u0,b,54", "u1,a,1", "u1,b,50", "u1,c,51"]
    path.write_text("\n".join(["user,item,time", *lines]) + "\n")
    options = {"file": str(path), "user": "user", "item": "item", "time": "time"}
    request = DataRequest("file", {**options, "split": {"time": "1970-01-01T00:00:40", "targets": 5}})
    assets = AssetStore(tmp_path / "cache")
    final = open_final(request, assets, permit)
    keys = final.search.keys
    found = [keys[item] if item >= 0 else None for item in final.search.valid_targets()[0]]
    assert found == ["c", None, "a", None, None]
    assert [keys[item] for item in final.test_queries().history(0)] == ["a", "b", "c", "c", "a"]


def test_one_target_is_the_data_of_before(tmp_path: Path) -> None:
    rows, assets = [[1, 2, 3, 50, 51, 52]] * 3, AssetStore(tmp_path / "cache")
    split = {"time": "1970-01-01T00:00:40"}
    plain, one = (open_search(_request(tmp_path, rows, {**split, **more}), assets) for more in ({}, {"targets": 1}))
    assert plain.fingerprint == one.fingerprint
    assert plain.valid_targets().ndim == 1
    assert len(list((tmp_path / "cache" / "prepared" / "file").glob("*.lock"))) == 1
