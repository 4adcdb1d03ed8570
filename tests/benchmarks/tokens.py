"""Training against the bare backbone in tokens a second: `python tests/benchmarks/tokens.py [--methods darec laser]`.

A method's training step (forward and backward of its losses, without the optimiser) runs on real batches; beside it the
bare backbone as transformers runs it, forward and backward, on as many tokens without any padding. With CUDA both are
in BF16, on a CPU in FP32. Tokens are those that the method embeds for its backbone. CRAMER's backbone reads items: its
bare form is the same SASRec unmasked, with gradients of its weights, in FP32. The forms run in turn; medians count.

Defaults are ML-100K and SmolLM2-135M; `--tiny` takes generated data and random tiny weights, to see whether it runs.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from searchplat.assets import AssetStore
from searchplat.contract import DataRequest, TrialJob, WarmCache
from searchplat.methods import load_method

CUDA = torch.cuda.is_available()
REAL: dict[str, dict[str, Any]] = {
    "darec": {"backbone": "smollm2-135m"},
    "laser": {"backbone": "smollm2-135m", "max_items": 20},
    "cramer": {"encoder": "minilm-l6-v2", "tuned": "none"},
}
TINY: dict[str, dict[str, Any]] = {
    "darec": {"backbone": "random-llama", "text_encoder": "random-bert", "bottleneck": 4, "cf_width": 8},
    "laser": {"backbone": "random-llama", "former_width": 16, "former_heads": 2, "former_layers": 2, "id_width": 16,
              "id_epochs": 1, "id_copies": 1, "batch_size": 8, "max_items": 6},
    "cramer": {"encoder": "random-bert", "tuned": "none", "backbone_epochs": 1, "hidden_size": 16, "inner_size": 32,
               "sampled_negatives": 10},
}  # fmt: skip


def model_of(method: str, layers: int | None, tiny: bool, threads: int, folder: Path) -> Any:
    """A model in training, as a trial builds it."""
    found = load_method(method)
    values = {**(TINY if tiny else REAL)[method]}
    if "num_layers" in found.Config.model_fields and layers is not None and method != "cramer":
        values["num_layers"] = layers
    if "precision" in found.Config.model_fields:
        values["precision"] = "bfloat16" if CUDA else "float32"
    options = {"requests": True} if tiny and method == "cramer" else {}
    data = DataRequest("toy" if tiny else "ml-100k", options)
    config, assets = found.Config(**values), AssetStore()
    found.prepare(config, data, assets)
    job = TrialJob(None, config, data, 0, folder / method, assets, WarmCache(), "cuda" if CUDA else "cpu", threads)
    training: Any = found.start(job)
    return training.model.train()


@contextmanager
def counted(parts: Any) -> Iterator[list[int]]:
    """Within it, the numbers of tokens that are embedded, call by call."""
    seen: list[int] = []
    embed = parts.embed

    def counting(ids_S: torch.Tensor) -> torch.Tensor:
        seen.append(ids_S.numel())
        return embed(ids_S)  # type: ignore[no-any-return]

    parts.embed = counting
    try:
        yield seen
    finally:
        del parts.embed


def step(model: Any, batch: Any) -> None:
    """Forward and backward of a method's losses."""
    torch.stack([value.float() for value in model.loss(batch).values()]).sum().backward()  # type: ignore[no-untyped-call]
    model.zero_grad(set_to_none=True)


def with_decoder(model: Any, batch: Any) -> tuple[int, dict[str, Callable[[], None]]]:
    """Tokens of a batch, and both forms of a method around a language model."""
    parts, device = model.lm.parts, model.lm.device
    with counted(parts) as seen:
        step(model, batch)
    tokens = sum(seen)
    width = min(max(1, tokens // model.config.batch_size), model.lm.max_positions)
    states_BTD = torch.randn(max(1, tokens // width), width, model.lm.hidden_size, device=device, requires_grad=True)
    tokens = states_BTD.shape[0] * states_BTD.shape[1]

    def bare() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=CUDA):
            out = parts.model(inputs_embeds=states_BTD, use_cache=False).last_hidden_state
        out.float().sum().backward()
        states_BTD.grad = None

    return tokens, {"bare": bare, "method": lambda: step(model, batch)}


def with_items(model: Any, batch: Any) -> tuple[int, dict[str, Callable[[], None]]]:
    """The same of CRAMER."""

    # Frozen weights are buffers here.
    weights = [tensor for tensor in model.backbone.buffers() if tensor.is_floating_point()]

    def bare() -> None:
        for weight in weights:
            weight.requires_grad_(True)
        model.bare_scores(batch.queries).sum().backward()
        for weight in weights:
            weight.grad = None
            weight.requires_grad_(False)

    return int(batch.queries.offsets[-1]), {"bare": bare, "method": lambda: step(model, batch)}


def measure(forms: dict[str, Callable[[], None]], repeats: int) -> dict[str, float]:
    """Median seconds of each, run in turn."""
    times: dict[str, list[float]] = {name: [] for name in forms}
    for repeat in range(repeats + 2):
        for name, form in forms.items():
            if CUDA:
                torch.cuda.synchronize()
            start = time.perf_counter()
            form()
            if CUDA:
                torch.cuda.synchronize()
            if repeat >= 2:  # the first two rounds warm up
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> None:
    """Print tokens a second of each method and its share of the bare backbone's."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--methods", nargs="+", default=["darec", "laser", "cramer"])
    options.add_argument("--layers", type=int, default=None if CUDA else 4, help="of the language model")
    options.add_argument("--repeats", type=int, default=7)
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--tiny", action="store_true")
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    where = torch.cuda.get_device_name() if CUDA else f"CPU, {chosen.threads} threads"
    with tempfile.TemporaryDirectory() as folder:
        for method in chosen.methods:
            model = model_of(method, chosen.layers, chosen.tiny, chosen.threads, Path(folder))
            (batch,) = itertools.islice(model.batches(0, np.random.default_rng(0)), 1)
            tokens, forms = with_items(model, batch) if method == "cramer" else with_decoder(model, batch)
            seconds = measure(forms, chosen.repeats)
            bare, own = tokens / seconds["bare"], tokens / seconds["method"]
            kind = "BF16" if CUDA and method != "cramer" else "FP32"
            said = f"bare {bare:,.0f}/s, method {own:,.0f}/s, {own / bare:.3f} of the bare"
            print(f"{method:>7} on {where}, {kind}, {tokens} tokens: {said}")


if __name__ == "__main__":
    main()
