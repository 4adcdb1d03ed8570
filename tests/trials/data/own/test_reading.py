"""Files of somebody's own: one content in every format, and what is refused with line and column."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from searchplat.assets import AssetStore
from searchplat.contract import AssetSource, DataRequest
from searchplat.errors import AssetError, DataError, InputError
from trials.data import open_search, prepare
from trials.data.own.options import FileOptions
from trials.data.own.reading import examine, read_own

COLUMNS = {"user": "customer", "item": "sku", "time": "at", "rating": "stars"}
IDS = st.one_of(st.integers(0, 12).map(str), st.sampled_from(["a", "B", "ü", "x-1", "null", "NA", "1e3"]))
ROWS = st.lists(
    st.tuples(IDS, IDS, st.integers(10**9, 10**9 + 50), st.sampled_from([1.0, 2.5, 5.0])), min_size=1, max_size=25
)


def _options(path: Path, **more: Any) -> dict[str, Any]:
    return {"file": str(path), **COLUMNS, **more}


def _forms(folder: Path, frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The same interactions in every format."""
    frame.to_csv(folder / "a.csv", index=False)
    frame.to_csv(folder / "a.tsv", index=False, sep="\t")
    frame.to_csv(folder / "a.csv.gz", index=False, sep=";")
    frame.to_parquet(folder / "a.parquet", index=False)
    frame.to_json(folder / "a.jsonl", orient="records", lines=True)
    typed = ("user_id:token", "item_id:token", "timestamp:float", "rating:float")
    frame.set_axis(list(typed), axis=1).to_csv(folder / "a.inter", index=False, sep="\t")
    named = [_options(folder / name) for name in ("a.csv", "a.tsv", "a.csv.gz", "a.parquet", "a.jsonl")]
    return [*named, {"file": str(folder / "a.inter")}]


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(rows=ROWS)
def test_every_format_gives_the_same_data(tmp_path_factory: pytest.TempPathFactory, rows: list[Any]) -> None:
    folder = tmp_path_factory.mktemp("forms")
    # One user who stays whatever the rest is, and whose interactions tie in time.
    rows = [*rows, *(("kept", item, 10**9, 3.0) for item in ("i", "j", "k", "i"))]
    frame = pd.DataFrame(rows, columns=["customer", "sku", "at", "stars"])
    assets = AssetStore(folder / "cache")
    found = [open_search(DataRequest("file", options), assets) for options in _forms(folder, frame)]
    assert len({data.fingerprint for data in found}) == 1
    whole = read_own(frame, FileOptions(**COLUMNS))
    again = read_own(Path(folder / "a.csv"), FileOptions(**COLUMNS))
    for ours, theirs in zip(whole.__dict__.values(), again.__dict__.values(), strict=True):
        assert np.array_equal(ours, theirs) if isinstance(ours, np.ndarray) else ours == theirs


def _write(tmp_path: Path, text: str, name: str = "my.csv") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("line", "place"),
    [
        (",s1,5,3", r":3 column 1 \('customer'\): user id must not be empty"),
        ("u, s1,5,3", r":3 column 2 \('sku'\): item id must have no blanks around it, got ' s1'"),
        ("u,s1,soon,3", r":3 column 3 \('at'\): time must be written .* got 'soon'"),
        ("u,s1,,3", r":3 column 3 \('at'\): time must be written .* got ''"),
        ("u,s1,inf,3", r":3 column 3 \('at'\): time must be written .* got 'inf'"),
        ("u,s1,5,good", r":3 column 4 \('stars'\): rating must be a number .* got 'good'"),
        ("u,s1,5", r":3 must have 4 fields separated by ',', got 3"),
        ("u,s1,5,3,4", r":3 must have 4 fields separated by ',', got 5"),
        ("01,1,5,3\n1,1,5,3", r"column 1 \('customer'\): user ids differ from another in how they are written only"),
    ],
)
def test_wrong_lines_are_refused_with_line_and_column(tmp_path: Path, line: str, place: str) -> None:
    path = _write(tmp_path, f"customer,sku,at,stars\nu,s1,1,3\n{line}\nu,s2,3,3\n")
    with pytest.raises(DataError, match=place):
        read_own(path, FileOptions(**COLUMNS))


def test_lines_are_counted_through_quotes_and_empty_lines(tmp_path: Path) -> None:
    text = 'customer,sku,at,stars,name\nu,s1,1,3,"two\nlines, ""quoted"""\n\nu,s2,2,3,b,c\nu,s2,x,3,b\n'
    found = examine(_write(tmp_path, text), FileOptions(**COLUMNS, title="name"))
    assert [(problem.lines, problem.column) for problem in found.problems] == [((5,), None), ((6,), (3, "at"))]
    assert found.interactions is not None
    assert found.interactions.attributes["title"] == ['two\nlines, "quoted"']


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"customer,sku\nu,caf\xe9\n", r":2 must be utf-8 text, got byte 0xe9"),
        (b"customer,sku\nu,a\x00b\n", r":2 a NUL character"),
        ("customer,sku\nu,a\n".encode("utf-16"), r":1 must be utf-8 text, got the byte order mark of UTF-16"),
        (b"", r":1 must be a header line"),
        (b"nothing here\n", r"header must have fields separated by one of"),
        (b"sku,sku,customer\n", r":1 every column must have a name of its own, got sku twice"),
        (b'customer,sku\nu,"a\n' + b"v,b\n" * 60_000, r"quote that never ends|each quote ends"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "my.csv"
    path.write_bytes(data)
    with pytest.raises(DataError, match=message):
        read_own(path, FileOptions(user="customer", item="sku"))


def test_a_column_that_is_not_there_names_the_nearest(tmp_path: Path) -> None:
    path = _write(tmp_path, "Customer_ID;sku\n1;2\n")
    with pytest.raises(DataError, match=r"no column 'customer_id' for the user; did you mean 'Customer_ID'\?"):
        read_own(path, FileOptions(user="customer_id", item="sku"))
    with pytest.raises(DataError, match=r"which column is the user must be said, as `user: NAME`"):
        read_own(path, FileOptions(item="sku"))


@pytest.mark.parametrize(
    ("texts", "format_"),
    [
        (["1704067200", "1704067201"], None),
        (["1704067200000", "1704067201000"], None),
        (["2024-01-01", "2024-01-01T00:00:01Z"], None),
        (["2024-01-01 02:00:00+02:00", "2024-01-01 00:00:01"], None),
        (["01/01/2024 00:00:00", "01/01/2024 00:00:01"], "%d/%m/%Y %H:%M:%S"),
    ],
)
def test_times_of_many_kinds(tmp_path: Path, texts: list[str], format_: str | None) -> None:
    path = _write(tmp_path, "u;i;t\n" + "".join(f"a;b;{text}\n" for text in texts))
    found = read_own(path, FileOptions(user="u", item="i", time="t", time_format=format_))
    assert found.times_E is not None
    assert found.times_E.tolist() == [1704067200.0, 1704067201.0]


def test_without_times_the_lines_are_the_order_and_it_is_said(tmp_path: Path, assets: AssetSource) -> None:
    path = _write(tmp_path, "u,i,timestamp\na,z,3\na,y,2\na,x,1\n")
    options = {"file": str(path), "user": "u", "item": "i"}
    data = open_search(DataRequest("file", options), assets)
    assert [data.keys[n] for n in (*data.train_items, *data.valid_target_U)] == ["z", "y"]
    (note,) = examine(path, FileOptions(user="u", item="i")).notes
    assert "the order of the lines is the order in time; it has a column 'timestamp'" in note


def test_items_have_titles_first_and_attributes(tmp_path: Path, assets: AssetSource) -> None:
    path = _write(tmp_path, "u,i\n" + "".join(f"a,{item}\n" for item in ("10", "9", "8", "7")))
    items = _write(tmp_path, "sku,colour,label\n9,red,Nine\n10,,Ten\n11,blue,Eleven\n", "items.csv")
    options = {"file": str(path), "user": "u", "item": "i", "items": str(items), "title": "label"}
    with pytest.raises(DataError, match=r"items.csv: there is no column 'i' for the item; .*; items_id says"):
        prepare(DataRequest("file", options), assets)
    data = open_search(DataRequest("file", {**options, "items_id": "sku"}), assets)
    assert list(data.keys) == ["9", "10", "7", "8"]
    assert list(data.titles) == ["Nine", "Ten", "7", "8"]
    assert list(data.sentences) == ["title Nine colour red", "title Ten", "item 7", "item 8"]
    items.write_text("i,label\n9,Nine\n9,Neun\n")
    with pytest.raises(DataError, match=r"items\.csv:3 column 1 \('i'\): item '9' must stand in one line only"):
        prepare(DataRequest("file", options), assets)


def test_another_content_is_another_data_set_and_another_place_is_not(tmp_path: Path, assets: AssetSource) -> None:
    text = "u,i\na,1\na,2\na,3\n"
    options = {"user": "u", "item": "i"}
    (tmp_path / "other").mkdir()
    paths = [_write(tmp_path, text), _write(tmp_path / "other", text)]
    folders = {prepare(DataRequest("file", {"file": str(path), **options}), assets) for path in paths}
    assert len(folders) == 1
    paths[0].write_text(text + "a,4\n")
    assert prepare(DataRequest("file", {"file": str(paths[0]), **options}), assets) not in folders


def test_files_that_are_not_there_and_options_of_other_names(tmp_path: Path, assets: AssetSource) -> None:
    _write(tmp_path, "u,i\n", "ratings.csv")
    with pytest.raises(AssetError, match=r"rating\.csv is not on this machine\. Did you mean ratings\.csv\?"):
        prepare(DataRequest("file", {"file": str(tmp_path / "rating.csv")}), assets)
    with pytest.raises(InputError, match="k_core is called core"):
        prepare(DataRequest("file", {"file": "x", "k_core": 5}), assets)


def test_damaged_packed_and_parquet_files(tmp_path: Path) -> None:
    packed = tmp_path / "my.csv.gz"
    packed.write_bytes(gzip.compress(b"u,i\n" + b"a,1\n" * 500)[:-20])
    with pytest.raises(DataError, match="must be a whole gzip file"):
        read_own(packed, FileOptions(user="u", item="i"))
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        read_own(_write(tmp_path, "no", "my.parquet"), FileOptions(user="u", item="i"))


def test_ids_that_became_fractions_are_refused_in_a_frame() -> None:
    frame = pd.DataFrame({"u": [1.0, 2.0, None], "i": [1, 2, 3]})
    with pytest.raises(DataError, match=r"user ids must be texts or whole numbers, got the type double"):
        read_own(frame, FileOptions(user="u", item="i"))
