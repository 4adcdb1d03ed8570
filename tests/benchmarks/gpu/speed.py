"""Training tokens a second of DARec beside its bare frozen backbone on as many tokens, at several batch sizes.

As `tests/benchmarks/tokens.py`, which says what a token is and what the bare form runs: both go forward and backward,
the bare one to its inputs alone, since its weights are frozen.
"""

from __future__ import annotations

import itertools
import time
from typing import Any

import numpy as np
import tokens
import torch
from settings import Rows, Settings

BATCHES = (6, 32, 128)
"""Sequences a step; the first is the paper's for Scientific."""


def main(settings: Settings, rows: Rows, ends: float) -> None:
    """Measure batch size by batch size."""
    from searchplat.contract import WarmCache
    from searchplat.methods import load_method

    spec, warm = settings.spec(), WarmCache()
    method = load_method(spec.method)
    cuda = settings.device == "cuda"
    for size in BATCHES if not settings.rehearse else BATCHES[:2]:
        if time.monotonic() > ends - 10:
            return
        config = {**spec.fixed, "batch_size": size, "precision": "bfloat16" if cuda else "float32"}
        loop: Any = method.start(settings.order(spec, config, 1, f"speed-{size}").job(warm))
        model = loop.model.train()
        (batch,) = itertools.islice(model.batches(0, np.random.default_rng(0)), 1)
        if cuda:
            torch.cuda.reset_peak_memory_stats()
        count, forms = tokens.with_decoder(model, batch)
        seconds = tokens.measure(forms, 3 if settings.rehearse else 15)
        peak = torch.cuda.max_memory_allocated() if cuda else 0
        bare, own = (count / seconds[name] for name in ("bare", "method"))
        rows.add(
            f"batch of {size}, {count} tokens",
            f"DARec {own:,.0f} tokens/s, bare {bare:,.0f}; {own / bare:.3f} of it; {peak / 2**20:,.0f} MiB",
            batch=size, tokens=count, darec=own, bare=bare, ratio=own / bare, peak_bytes=peak,
        )  # fmt: skip
