"""What Prompt-BERT adds to its backbone: `python tests/benchmarks/promptbert_tokens.py [--threads 1] [--layers 6]`.

Times one training step's forward + backward at the sizes of MiniLM (hidden 384), batch 16, prompts of up to 128 tokens,
1,682 items, 4 experts, top 2. The forms run in turn, so that a busy machine slows all alike; medians are compared:

* bare:      the backbone as transformers runs it, on the same prompts: embeddings in, the sum of all states back;
* backbone:  Prompt-BERT without its three modules: the table of words and titles, the logits of all titles at [MASK];
* full:      with mixture, contrast, short- and long-term branches and fusion, read at [MASK] only;
* step:      the same and AdamW's step, as training does it.

Tokens are those of the prompts, without padding.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F
from transformers import BertConfig, BertForMaskedLM

from trials.backbones.encoders.masked_lm import MaskedLM, _take_apart
from trials.backbones.words import WordTokenizer
from trials.data.preparing.dataset import SearchData
from trials.promptbert.config import PromptBERTConfig
from trials.promptbert.model import PromptBERTModel
from trials.promptbert.prompts import TEMPLATES, tokenise, vocabulary_texts
from trials.promptbert.windows import Windows

ITEMS, USERS, BATCH, MAX_TOKENS = 1682, 64, 16, 128
GENRES = ["Action", "Animation", "Children", "Comedy", "Crime", "Drama", "Horror", "Musical", "Romance", "War"]


def search_data() -> SearchData:
    """Random histories long enough to fill the prompts, with ratings and genres."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(10, 60, size=USERS)
    return SearchData(
        name="ml-random",
        train_items=rng.integers(ITEMS, size=int(lengths.sum())).astype(np.int32),
        train_offsets=np.concatenate([[0], np.cumsum(lengths)]),
        valid_target_U=np.zeros(USERS, dtype=np.int32),
        users_U=np.arange(USERS),
        num_items=ITEMS,
        sentences=[f"film {n}" for n in range(ITEMS)],
        titles=[f"film {n}" for n in range(ITEMS)],
        fingerprint="random",
        ratings=rng.integers(1, 6, size=int(lengths.sum())).astype(np.float32),
        attributes={"genres": [" ".join(rng.permutation(GENRES)[: rng.integers(1, 4)]) for _ in range(ITEMS)]},
    )


def backbone(data: SearchData, layers: int) -> MaskedLM:
    """Random weights in MiniLM's sizes; a token a word."""
    tokenizer = WordTokenizer(vocabulary_texts(data, TEMPLATES["movies"]))
    config = BertConfig(
        vocab_size=tokenizer.size + 3,
        hidden_size=384,
        num_hidden_layers=layers,
        num_attention_heads=12,
        intermediate_size=1536,
    )
    special = (tokenizer.size, tokenizer.size + 1, tokenizer.size + 2)
    return _take_apart("minilm-like", BertForMaskedLM(config), None, tokenizer, special, has_head=False)


def prompt_bert(lm: MaskedLM, data: SearchData, **settings: Any) -> PromptBERTModel:
    """A model in training."""
    config = PromptBERTConfig(max_tokens=MAX_TOKENS, batch_size=BATCH, **settings)
    tokens = tokenise(lm, data, TEMPLATES["movies"])
    windows = Windows(
        data,
        tokens,
        max_tokens=MAX_TOKENS,
        stride=config.stride,
        most=config.max_windows,
        batch_size=BATCH,
    )
    return PromptBERTModel(config, lm, tokens, windows, torch.zeros(data.num_items)).train()


def measure(steps: dict[str, Callable[[], None]], repeats: int) -> dict[str, float]:
    """Median seconds of each, run in turn."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for repeat in range(repeats + 1):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            if repeat >= 1:  # the first round warms up
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> None:
    """Print tokens, milliseconds, tokens per second and ratios."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--layers", type=int, default=6)
    options.add_argument("--repeats", type=int, default=7)
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    torch.manual_seed(0)
    data = search_data()
    lm = backbone(data, chosen.layers)
    full, plain = prompt_bert(lm, data), prompt_bert(lm, data, variant="backbone")
    batch = next(iter(full.batches(0, np.random.default_rng(0))))
    prompts = batch.prompts
    encoder = lm.copies()[0].train()
    embedding = full.embedding.detach().clone().requires_grad_()
    ids_BL = torch.from_numpy(prompts.ids_BL)
    mask_BL = (np.arange(ids_BL.shape[1]) < prompts.lengths_B[:, None]).astype(np.int64)
    optimizer = torch.optim.AdamW(full.parameters(), lr=1e-5)

    def bare() -> None:
        x_BLD = F.embedding(ids_BL, embedding)
        encoder(inputs_embeds=x_BLD, attention_mask=torch.from_numpy(mask_BL)).last_hidden_state.sum().backward()

    def step(model: PromptBERTModel) -> None:
        model.zero_grad(set_to_none=True)
        torch.stack(list(model.loss(batch).values())).sum().backward()  # type: ignore[no-untyped-call]

    def whole() -> None:
        step(full)
        optimizer.step()

    forms = {"bare": bare, "backbone": lambda: step(plain), "full": lambda: step(full), "step": whole}
    seconds = measure(forms, chosen.repeats)
    tokens = int(prompts.lengths_B.sum())
    print(f"{tokens} tokens in {len(batch)} prompts, {chosen.layers} layers, {chosen.threads} threads")
    for name, value in seconds.items():
        ratio = value / seconds["bare"]
        print(f"{name:>9}: {1e3 * value:7.1f} ms {tokens / value:8.0f} tokens/s   {ratio:.3f} of the bare backbone")


if __name__ == "__main__":
    main()
