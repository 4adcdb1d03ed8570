"""What Laser adds to its backbone: `python tests/benchmarks/laser_tokens.py [--threads 1] [--layers 4] [--repeats 7]`.

Times one training step's forward + backward (M-Former, prefix, frozen layers, L_IIC over all items, L_LB) at the sizes
of SmolLM2-135M (hidden 576), batch 4, histories of 5 to 12 items of 6 to 14 tokens, 5,000 items, K = 8, top 3, L = 32.
Three forms run in turn, so that a busy machine slows all alike; medians are compared:

* bare:   the backbone as transformers runs it, on as many tokens: padded embeddings in, the sum of all outputs back;
* narrow: Laser with an M-Former of width 64 and 4 blocks (the scale `quick`);
* paper:  Laser with the paper's M-Former, width 768 and 12 blocks, whose cost does not grow with the backbone.

Tokens are those that the backbone reads: prefix, instruction, suffix.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from transformers import AutoModel, LlamaConfig

from trials.backbones.decoders.decoder_lm import DecoderLM
from trials.backbones.decoders.parts import LlamaParts
from trials.backbones.recommenders.frozen import blank_recommender
from trials.data.preparing.dataset import SearchData
from trials.laser.batches import Batcher
from trials.laser.build import recommender_settings
from trials.laser.collaborative import Collaborator
from trials.laser.config import LaserConfig
from trials.laser.instructions import Instructions
from trials.laser.model import LaserModel
from trials.nn.blocks import Blocks

ITEMS, USERS, VOCABULARY = 5000, 64, 1000
FORMERS = {
    "narrow": {"former_width": 64, "former_heads": 4, "former_layers": 4},
    "paper": {"former_width": 768, "former_heads": 12, "former_layers": 12},
}


def backbone(layers: int) -> DecoderLM:
    """Random weights in SmolLM2's sizes; a token a word, and which one does not matter."""
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=layers,
        num_attention_heads=9,
        num_key_value_heads=3,
        max_position_embeddings=8192,
        bos_token_id=None,
        eos_token_id=None,
    )
    model = AutoModel.from_config(config).eval().requires_grad_(False)
    return DecoderLM(
        name="smollm2-like",
        parts=LlamaParts(model),
        tokenize=lambda texts: [[0] * len(text.split()) for text in texts],
        hidden_size=576,
        vocab_size=VOCABULARY,
        max_positions=8192,
        device=torch.device("cpu"),
    )


def search_data() -> SearchData:
    """Random histories; only their lengths matter."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(6, 14, size=USERS)
    titles = [" ".join(["word"] * int(count)) for count in rng.integers(6, 15, size=ITEMS)]
    return SearchData(
        name="random",
        train_items=rng.integers(ITEMS, size=int(lengths.sum())).astype(np.int32),
        train_offsets=np.concatenate([[0], np.cumsum(lengths)]),
        valid_target_U=np.zeros(USERS, dtype=np.int32),
        users_U=np.arange(USERS),
        num_items=ITEMS,
        sentences=titles,
        titles=titles,
        fingerprint="random",
    )


def laser(lm: DecoderLM, data: SearchData, former: str) -> LaserModel:
    """A model whose item embeddings are random: encoding them is an epoch's work and not a step's."""
    config = LaserConfig(targets="last", **FORMERS[former])  # type: ignore[arg-type]
    torch.manual_seed(0)
    instructions = Instructions(
        lm.tokenize, list(data.titles), "paper", max_items=50, max_tokens=512, max_item_tokens=48
    )
    recommender = blank_recommender("bert4rec", recommender_settings(config), ITEMS)
    batcher = Batcher(config, data, instructions)
    model = LaserModel(config, lm, instructions, batcher, ITEMS, Collaborator(recommender))
    model.memory.use(torch.randn(ITEMS, lm.hidden_size))
    return model.train()


def main() -> None:
    """Print tokens a second of each form, and its share of the bare backbone's."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--layers", type=int, default=4)
    options.add_argument("--repeats", type=int, default=7)
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    lm, data = backbone(chosen.layers), search_data()
    models = {former: laser(lm, data, former) for former in FORMERS}
    batch = next(models["narrow"].batcher.epoch(np.random.default_rng(0)))
    packed = models["narrow"].instructions.pack(batch.histories, prefix=32, suffix=1)
    blocks = Blocks.of(packed.lengths_B)
    embedded = blocks.spread(lm.parts.embed(packed.ids_S)).detach().requires_grad_()
    mask = None if blocks.valid_MT is None else blocks.valid_MT.long()

    def bare() -> None:
        out = lm.parts.model(inputs_embeds=embedded, attention_mask=mask, use_cache=False)
        out.last_hidden_state.sum().backward()
        embedded.grad = None

    def step(model: LaserModel) -> None:
        torch.stack(list(model.loss(batch).values())).sum().backward()  # type: ignore[no-untyped-call]
        model.zero_grad(set_to_none=True)

    steps: dict[str, Callable[[], Any]] = {
        "bare": bare,
        **{former: lambda model=model: step(model) for former, model in models.items()},  # type: ignore[misc]
    }
    times: dict[str, list[float]] = {name: [] for name in steps}
    for repeat in range(chosen.repeats + 2):
        for name, run in steps.items():
            start = time.perf_counter()
            run()
            if repeat >= 2:  # the first two rounds warm up
                times[name].append(time.perf_counter() - start)
    tokens = int(packed.lengths_B.sum())
    print(f"{tokens} tokens in {len(batch.histories)} sequences, {chosen.layers} layers, {chosen.threads} threads")
    speeds = {name: tokens / statistics.median(seconds) for name, seconds in times.items()}
    for name, speed in speeds.items():
        print(f"{name:>7}: {speed:8.0f} tokens/s   {speed / speeds['bare']:.2f} of the bare backbone")


if __name__ == "__main__":
    main()
