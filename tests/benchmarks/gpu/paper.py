"""DARec at the scale `paper` on Scientific: validation after each epoch, as far as the time goes.

The learning rate falls to zero over as many epochs as fit into the time, at most the paper's 40; which number that is
follows from the seconds of a few steps, and stands in the first row.
"""

from __future__ import annotations

import itertools
import time
from typing import Any

import numpy as np
import tokens
import torch
from settings import Rows, Settings

_STEPS = 12
"""Timed, after as many that warm up; an epoch is taken to be a third longer than its steps, with its validation."""


def main(settings: Settings, rows: Rows, ends: float) -> None:
    """Train one configuration: the scale's defaults, all layers serial."""
    from searchplat.contract import WarmCache
    from searchplat.engine.planning.configuration import full_config
    from searchplat.engine.worker.messages import Said
    from searchplat.engine.worker.trial_run import TrialRun
    from searchplat.methods import load_method

    spec, warm = settings.spec(*settings.changed), WarmCache()
    precision = "bfloat16" if settings.device == "cuda" else "float32"
    defaults = {d.name: d.default for d in spec.space.domains if getattr(d, "default", None) is not None}
    config = full_config(spec.method, {**spec.fixed, **defaults, "precision": precision})
    loop: Any = load_method(spec.method).start(settings.order(spec, config, 1, "timed").job(warm))
    expected = _step_seconds(loop.model.train(), settings.device) * loop.model.num_batches() * 4 / 3
    left = ends - time.monotonic() - 10
    epochs = max(1, min(config["epochs"], int(left / expected)))
    loop_layers = loop.model.lm.num_layers
    del loop
    rows.add(
        "epochs",
        f"{epochs}, of about {expected:.0f} s each; batch {config['batch_size']}, rate {config['learning_rate']:g}, "
        f"{loop_layers} layers",
        epochs=epochs, expected_s=expected, config=config,
    )  # fmt: skip
    work = TrialRun(settings.order(spec, {**config, "epochs": epochs}, 1, "paper"), warm)
    began = time.monotonic()
    for epoch in range(1, epochs + 1):
        message = work.step()
        if message.kind is not Said.REPORT:
            raise RuntimeError(f"epoch {epoch} ended as {message.kind}: {message.cause}")
        seen = message.metrics
        rows.add(
            f"epoch {epoch} of {epochs}, {time.monotonic() - began:.0f} s",
            f"MRR {seen['valid/mrr']:.4f}, NDCG@10 {seen['valid/ndcg@10']:.4f}, loss {seen['train/loss']:.3f}; "
            f"{seen['time/train_seconds']:.1f} s + {seen['time/evaluate_seconds']:.1f} s, "
            f"{seen['memory/peak_bytes'] / 2**20:,.0f} MiB",
            epoch=epoch, metrics=seen,
        )  # fmt: skip


def _step_seconds(model: Any, device: str) -> float:
    """Mean seconds of a step, forward and backward."""
    batches = list(itertools.islice(model.batches(0, np.random.default_rng(0)), 2 * _STEPS))
    for number, batch in enumerate(batches):
        if number == len(batches) // 2:
            _wait(device)
            began = time.perf_counter()
        tokens.step(model, batch)
    _wait(device)
    return (time.perf_counter() - began) / (len(batches) - len(batches) // 2)


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()
