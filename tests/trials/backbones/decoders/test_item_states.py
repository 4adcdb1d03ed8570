"""Items that were read once, against the same items read by the whole decoder."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from by_hand import Folder

from searchplat.errors import InputError
from trials.backbones.decoders.decoder_lm import DecoderLM, load_decoder
from trials.backbones.decoders.item_states import later_layers, read_ahead, read_items, stored_item_states
from trials.backbones.decoders.packed_run import run_decoder
from trials.backbones.decoders.whole_run import WholeDecoder
from trials.nn.ragged import Ragged

BACKBONES = ["random-llama", "random-opt", "random-gpt2"]
TEXTS = ["red old film", "war", "", "love film new", "blue"]


def decoder(name: str, tmp_path: Path, **settings: Any) -> DecoderLM:
    return load_decoder(name, Folder(tmp_path), num_layers=3, texts=TEXTS, **settings)


def texts(lm: DecoderLM) -> Ragged:
    return Ragged.of(lm.tokenize(TEXTS))


def whole(lm: DecoderLM, ids: np.ndarray) -> torch.Tensor:
    """Last states of one text read by all layers."""
    count = np.array([len(ids)])
    return run_decoder(lm, lm.parts.embed(torch.from_numpy(ids)), count, np.arange(len(ids)), count)


@pytest.mark.parametrize("name", BACKBONES)
@pytest.mark.parametrize("layers", [1, 2])
def test_an_item_alone_is_read_as_by_the_whole_decoder(tmp_path: Path, name: str, layers: int) -> None:
    lm, rows = decoder(name, tmp_path), texts(decoder(name, tmp_path))
    expected = [whole(lm, rows.row(i)) for i in range(len(rows)) if len(rows.row(i))]
    items = read_items(lm, rows, layers, "tokens")
    later = later_layers(lm, items, layers)
    assert later.num_layers == 3 - layers
    assert len(lm.parts.blocks) == 3 - layers  # the model holds no more than runs
    got = [whole(later, np.arange(a, b)) for a, b in zip(items.offsets, items.offsets[1:], strict=False) if a < b]
    for one, other in zip(got, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", BACKBONES)
def test_an_item_in_a_sequence_has_the_sequences_positions(tmp_path: Path, name: str) -> None:
    """Two equal items differ by where they stand; two orders of the same items give the last other states."""
    lm = decoder(name, tmp_path)
    items = read_items(lm, texts(lm), 1, "mean")
    later = later_layers(lm, items, 1)
    assert len(items.states_TD) == 4
    one, other = whole(later, np.array([0, 1, 2])), whole(later, np.array([1, 0, 2]))
    assert not torch.allclose(one[2], other[2], atol=1e-4)


@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_pooling_keeps_one_state_of_an_item(tmp_path: Path, pooling: Any) -> None:
    lm = decoder("random-gpt2", tmp_path)
    every, one = read_items(lm, texts(lm), 1, "tokens"), read_items(lm, texts(lm), 1, pooling)
    assert one.offsets.tolist() == [0, 1, 2, 2, 3, 4]  # the third has no token
    for i in (0, 1, 3, 4):
        states = every.states_TD[every.offsets[i] : every.offsets[i + 1]]
        expected = states[-1] if pooling == "last" else states.mean(0)
        torch.testing.assert_close(one.states_TD[one.offsets[i]], expected)


@pytest.mark.parametrize("name", BACKBONES)
def test_the_end_of_text_stands_in_front_and_is_dropped(tmp_path: Path, name: str) -> None:
    lm = decoder(name, tmp_path)
    plain = read_items(lm, texts(lm), 1, "tokens")
    lm.parts.model.config.eos_token_id = 1
    assert lm.end_of_sequence == 1
    behind = read_items(lm, texts(lm), 1, "tokens")
    assert behind.offsets.tolist() == plain.offsets.tolist()
    rows = texts(lm)
    fronted = Ragged.of([[1, *rows.row(i)] for i in range(len(rows))])
    lm.parts.model.config.eos_token_id = None
    by_hand = read_items(lm, fronted, 1, "tokens")
    kept = np.setdiff1d(np.arange(len(by_hand.states_TD)), by_hand.offsets[:-1])
    torch.testing.assert_close(behind.states_TD, by_hand.states_TD[kept])


def test_states_are_read_once_and_mapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Folder(tmp_path)
    lm = decoder("random-llama", tmp_path)
    first = stored_item_states(lm, texts(lm), 1, "tokens", folder)
    torch.testing.assert_close(first.states_TD, read_items(lm, texts(lm), 1, "tokens").states_TD, atol=0, rtol=0)
    monkeypatch.setattr("trials.backbones.decoders.item_states.read_items", None)  # nobody reads again
    again = stored_item_states(decoder("random-llama", tmp_path), texts(lm), 1, "tokens", folder)
    assert torch.equal(first.states_TD, again.states_TD)
    assert first.offsets.tolist() == again.offsets.tolist()
    path = next((tmp_path / "prepared" / "item-states").glob("*.safetensors"))
    assert str(path) in Path("/proc/self/maps").read_text()


def test_half_a_file_is_made_again(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    lm = decoder("random-llama", tmp_path)
    first = stored_item_states(lm, texts(lm), 1, "tokens", folder)
    path = next((tmp_path / "prepared" / "item-states").glob("*.safetensors"))
    whole_file = path.read_bytes()
    path.unlink()  # the first states are a view of it
    path.write_bytes(whole_file[: len(whole_file) // 2])
    assert torch.equal(stored_item_states(lm, texts(lm), 1, "tokens", folder).states_TD, first.states_TD)
    assert path.read_bytes() == whole_file


def test_other_texts_layers_or_pooling_are_other_states(tmp_path: Path) -> None:
    folder, lm = Folder(tmp_path), decoder("random-llama", tmp_path)
    rows = texts(lm)
    stored_item_states(lm, rows, 1, "tokens", folder)
    stored_item_states(lm, rows, 2, "tokens", folder)
    stored_item_states(lm, rows, 1, "mean", folder)
    stored_item_states(lm, Ragged.of([rows.row(0)]), 1, "tokens", folder)
    stored_item_states(decoder("random-llama", tmp_path, dtype="bfloat16"), rows, 1, "tokens", folder)
    assert len(list((tmp_path / "prepared" / "item-states").glob("*.safetensors"))) == 5


def test_refusals(tmp_path: Path) -> None:
    lm = decoder("random-llama", tmp_path)
    with pytest.raises(InputError, match="item_layers: must be less than the 3 layers of 'random-llama', got 3"):
        read_items(lm, texts(lm), 3, "tokens")
    closed = dataclasses.replace(lm, parts=WholeDecoder(lm.parts.model))
    with pytest.raises(InputError, match="runs as a whole, so its first layers cannot run alone; set it to 0"):
        read_items(closed, texts(lm), 1, "tokens")


def test_texts_become_rows_of_the_later_layers(tmp_path: Path) -> None:
    lm = decoder("random-llama", tmp_path)
    items = read_items(lm, texts(lm), 1, "tokens")
    later, rows = read_ahead(lm, texts(lm), 1, "tokens", Folder(tmp_path))
    assert later.num_layers == 2
    assert rows.offsets.tolist() == items.offsets.tolist()
    torch.testing.assert_close(later.parts.embed(torch.from_numpy(rows.row(3))), items.states_TD[rows.row(3)])
