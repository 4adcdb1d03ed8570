from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from by_hand import Folder

from trials.backbones.decoders.continuation import Continuation
from trials.backbones.decoders.decoder_lm import load_decoder
from trials.backbones.decoders.packed_run import run_decoder
from trials.nn.ragged import Ragged

WORDS = [f"word{n}" for n in range(30)]


@pytest.mark.parametrize("name", ["random-llama", "random-opt", "random-gpt2"])
def test_reading_on_gives_the_states_of_reading_all_at_once(name: str) -> None:
    lm = load_decoder(name, Folder(), num_layers=3, texts=WORDS)
    rng = np.random.default_rng(0)
    first, then = [rng.integers(30, size=n) for n in (4, 1, 3)], rng.integers(30, size=(6, 2))
    reading = Continuation(lm, 3, 12)
    rows = np.zeros((3, 4), dtype=np.int64)
    for b, row in enumerate(first):
        rows[b, : len(row)] = row
    begun_BD = reading.read(torch.from_numpy(rows), torch.tensor([4, 1, 3]))
    reading.repeat(2)
    # Who has nothing new at a step goes on at the next as if it had not been.
    reading.read(torch.from_numpy(then[:, :1]), torch.tensor([1, 0, 1, 1, 0, 1]))
    ended_BD = reading.read(torch.from_numpy(then[:, 1:]))

    def whole(sequences: list[Any]) -> torch.Tensor:
        tokens = Ragged.of(sequences)
        states = lm.parts.embed(torch.from_numpy(tokens.values))
        ends = tokens.offsets[1:] - 1
        return run_decoder(lm, states, tokens.lengths(), ends, np.ones_like(ends))

    torch.testing.assert_close(begun_BD, whole(first), rtol=1e-4, atol=1e-5)
    skipped = [1, 4]
    read = [np.append(first[b // 2], then[b, 1:] if b in skipped else then[b]) for b in range(6)]
    torch.testing.assert_close(ended_BD, whole(read), rtol=1e-4, atol=1e-5)
