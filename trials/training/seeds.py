"""One place that seeds every generator, and the rule by which an epoch's seeds follow from a trial's."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def seed_everything(seed: int) -> None:
    """Seed Python's, NumPy's and torch's global generators (torch's on every device)."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


@contextmanager
def own_generators(device: str = "cpu") -> Iterator[None]:
    """Leave the global generators (torch's also on `device`) as they were, whatever is drawn or seeded within.

    What a warm process skips must draw from no stream that a trial goes on with: warm and cold trials would differ.
    """
    python, numpy = random.getstate(), np.random.get_state()
    cuda = [torch.cuda.current_device()] if torch.device(device).type == "cuda" else []
    try:
        with torch.random.fork_rng(devices=cuda):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)


def epoch_rng(seed: int, epoch: int) -> np.random.Generator:
    """The generator from which epoch `epoch` (from 0) draws its batches.

    It depends on (seed, epoch) alone, so an epoch draws the same batches whether or not the trial was
    interrupted before it.
    """
    return np.random.default_rng(np.random.SeedSequence([seed, epoch]))


def epoch_seed(seed: int, epoch: int) -> int:
    """Seed of the global generators (dropout, sampling inside a model) for epoch `epoch`."""
    return int(np.random.SeedSequence([seed, epoch, 1]).generate_state(1, np.uint32)[0])
