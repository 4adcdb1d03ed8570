"""Depths of backbones are known without fetching them, or the error says what to set."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from searchplat.errors import InputError
from trials.backbones.names import decoder_layers


def test_known_name() -> None:
    assert decoder_layers("smollm2-135m") == 30
    assert decoder_layers("facebook/opt-125m") == 12
    assert decoder_layers("facebook/opt-125m@main") == 12


@pytest.mark.parametrize("key", ["num_hidden_layers", "n_layer"])
def test_local_folder(key: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({key: 7}))
    assert decoder_layers(str(tmp_path)) == 7


def test_unknown_name_says_what_to_set() -> None:
    with pytest.raises(InputError, match=r"depth of backbone 'someone/else' is not known .* set num_layers"):
        decoder_layers("someone/else")


def test_a_home_folder_that_does_not_exist_is_an_unknown_depth() -> None:
    with pytest.raises(InputError, match="num_layers: the depth of backbone '~nosuchuser/x' is not known"):
        decoder_layers("~nosuchuser/x")
