"""What trainings of some layouts, each with the same seeds, say of all: deviations, effects with errors, ranks.

The model: a value is a mean, plus what its seed adds to all layouts, plus main effects and pairs of bits, plus what its
layout adds besides, plus noise. Noise is what is left of layout and seed once both means are taken off, so effects'
errors need no assumption on what the model leaves out. Shape letters: `L` layouts, `S` seeds, `E` effects.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from design import BITS, effects, order

Array = np.ndarray[Any, Any]

ROLES = ("causal", "context", "recommend")
_SPARE = 2
"""Layouts beyond the number of effects from which they are fitted."""


@dataclass(frozen=True)
class Found:
    """What a table holds.

    Args:
        layouts, seeds: How many; a layout counts with all the seeds or not at all.
        seed_means: `[S]` what each seed's trainings have in common.
        between: Standard deviation between layouts, less the noise's share, at least 0.
        noise: Of a training among trainings that share its seed.
        noise_own: Of a training whose seed is its own: with what seeds add to all.
        correlation: Mean of Pearson's correlation over pairs of seeds; NaN with less than three layouts.
        names: Of the effects, without the mean.
        effect: `[E]` value with a bit parallel less value with it serial; of a pair, half the difference of the one
            bit's effect between the other's values.
        error: `[E]` standard errors.
        explained: Share of the variance between layouts that is in main effects, and in pairs, less the noise's.
        fitted: Of all 512 layouts; None before there are enough.
        ranks: By layout, from 1 for the largest mean among those that were trained.
    """

    layouts: int
    seeds: int
    seed_means: Array
    between: float
    noise: float
    noise_own: float
    correlation: float
    names: Sequence[str]
    effect: Array
    error: Array
    explained: tuple[float, float]
    fitted: Mapping[str, float] | None
    ranks: Mapping[str, int]


def find(values: Mapping[tuple[str, int], float]) -> Found | None:
    """Least squares on main effects, and on pairs too where there are layouts enough.

    Args:
        values: By layout, such as `010-000-111`, and seed.

    Returns:
        None with fewer than two seeds or two layouts that have them all.
    """
    seeds = sorted({seed for _, seed in values})
    names = [name for name in dict.fromkeys(name for name, _ in values) if all((name, s) in values for s in seeds)]
    if len(seeds) < 2 or len(names) < 2:
        return None
    values_LS = np.array([[values[name, seed] for seed in seeds] for name in names])
    num_layouts, num_seeds = values_LS.shape
    means_L = values_LS.mean(1)
    rest_LS = values_LS - values_LS.mean(0) - means_L[:, None] + means_L.mean()
    noise = float((rest_LS**2).sum() / ((num_layouts - 1) * (num_seeds - 1)))
    offsets = max(0.0, float(values_LS.mean(0).var(ddof=1)) - noise / num_layouts)
    between = max(0.0, float(means_L.var(ddof=1)) - noise / num_seeds)
    pairs = np.corrcoef(values_LS.T)[np.triu_indices(num_seeds, 1)] if num_layouts > 2 else np.array([np.nan])

    columns_LE = effects(np.array([[int(bit) for bit in name.replace("-", "")] for name in names]))
    count = next((n for n in (columns_LE.shape[1], BITS + 1) if num_layouts >= n + _SPARE), 1)
    columns_LE = columns_LE[:, :count]
    inverse_EE = np.linalg.pinv(columns_LE.T @ columns_LE)
    fitted_E = inverse_EE @ columns_LE.T @ means_L
    errors_E = np.sqrt(noise / num_seeds * np.diag(inverse_EE))
    explained = [float("nan"), float("nan")]
    for place, (first, stop) in enumerate(((1, BITS + 1), (BITS + 1, count))):
        if stop > first and stop <= count and between > 0:  # of effects in {-1, 1}, over all 512 layouts
            explained[place] = float((fitted_E[first:stop] ** 2 - errors_E[first:stop] ** 2).sum()) / between
    every_RB = order()
    all_names = ["-".join("".join(map(str, row[i : i + 3])) for i in (0, 3, 6)) for row in every_RB.tolist()]
    fitted_R = effects(every_RB)[:, :count] @ fitted_E
    by_mean = sorted(range(num_layouts), key=lambda row: -means_L[row])
    return Found(
        num_layouts,
        num_seeds,
        values_LS.mean(0),
        between**0.5,
        noise**0.5,
        (noise + offsets) ** 0.5,
        float(pairs.mean()),
        _names()[: count - 1],
        2 * fitted_E[1:],
        2 * errors_E[1:],
        (explained[0], explained[1]),
        dict(zip(all_names, map(float, fitted_R), strict=True)) if count > 1 else None,
        {names[row]: place for place, row in enumerate(by_mean, 1)},
    )


def summary(rows: Sequence[Mapping[str, str]]) -> str:
    """The table in words, metric by metric."""
    parts = []
    for metric in ("valid_mrr", "valid_ndcg_at_10", "valid_loss"):
        found = find({(row["layout"], int(row["seed"])): float(row[metric]) for row in rows})
        if found is None:
            return f"{len(rows)} trainings; too few layouts with all seeds for a summary"
        parts.append(f"{metric}, {found.layouts} layouts with {found.seeds} seeds each:\n{_words(found)}")
    seconds = np.median([float(row["seconds"]) for row in rows])
    return "\n\n".join([f"{len(rows)} trainings, median {seconds:.1f} s of one core", *parts])


def _words(found: Found) -> str:
    means = ", ".join(f"{mean:.4f}" for mean in found.seed_means)
    lines = [
        f"  between layouts {found.between:.4f} (standard deviation, less the noise's share)",
        f"  noise of a training {found.noise:.4f} with a shared seed, {found.noise_own:.4f} with a seed of its own",
        f"  seeds' means {means}; correlation of seeds {found.correlation:.2f}",
    ]
    if len(found.effect):
        kinds = [
            f"{kind} {share:.0%}"
            for kind, share in zip(("single bits", "pairs"), found.explained, strict=True)
            if share == share
        ]
        lines.append(f"  of the variance between layouts: {', '.join(kinds)}")
        t_E = found.effect / found.error
        for place in np.argsort(-np.abs(t_E))[:8]:
            sizes = f"{found.effect[place]:+.4f} ± {found.error[place]:.4f} (t = {t_E[place]:+.1f})"
            lines.append(f"  {found.names[place]}: {sizes}")
    for name, layout in (("all-serial", "000-000-000"), ("all-parallel", "111-111-111")):
        if layout in found.ranks:
            fitted = ""
            if found.fitted is not None:
                above = sum(value > found.fitted[layout] for value in found.fitted.values())
                fitted = f"; by the fit {above + 1} of {len(found.fitted)}"
            lines.append(f"  {name}: {found.ranks[layout]} of {found.layouts}, the largest first{fitted}")
    return "\n".join(lines)


def _names() -> list[str]:
    bits = [f"layer {bit // 3} {ROLES[bit % 3]}" for bit in range(BITS)]
    return [*bits, *(f"{a} x {b}" for a, b in itertools.combinations(bits, 2))]
