"""Do shared weights' values save full trainings? PR on the table of SmolLM2's layouts, with and without them as a past.

    python tests/benchmarks/searchers/shared_weights_search.py --searches 30        prints the table

A search chooses among the layouts that `smollm2_layouts.csv` has with all seeds; an evaluation is the validation MRR of
one of these trainings, of one seed for a whole search (`seeds: shared` of a space). PR's models and acquisition are the
product's; as there are so few layouts the acquisition is computed for all of them. With a past, the values of
`shared_weights.csv` after some epochs are the prior mean of PR's models, with a weight that is learned
(`models.prior_mean`); the layout that they find best is tried first, then one at random. Without, the first four are
drawn at random.

Regret: 0 for the layout with the best mean over seeds, 1 for the mean of all layouts.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_name] = "1"  # before NumPy and torch read them

import numpy as np
import smollm2_layouts
import torch
from shared_weights import SEEDS, SHARED, complete
from smollm2_layouts import rows

from searchplat.searchers.options import PROptions
from searchplat.searchers.pr.acquisition import Averaged, NoisyEI
from searchplat.searchers.pr.models.prior_mean import PriorMean
from searchplat.searchers.pr.models.surrogate import Model
from searchplat.searchers.pr.proposal import family_of, models_of, one_thread, standardised
from searchplat.searchers.pr.searcher import Codec
from searchplat.searchers.pr.sources import prior_means
from searchplat.searchers.transfer import SourceTask, SourceTrial
from searchplat.spec.space import Layout, Space

LOOKS = (5, 10, 20, 30)
_DRAWN = 4
"""Layouts drawn at random where nothing is known."""


class Table:
    """The layouts that have all seeds.

    Letters: `L` layouts, `S` seeds.
    """

    def __init__(self) -> None:
        self.names = complete("smollm2")
        by_layout: dict[str, list[float]] = defaultdict(list)
        for row in sorted(rows(smollm2_layouts.TABLE), key=lambda row: int(row["seed"])):
            by_layout[row["layout"]].append(float(row["valid_mrr"]))
        seen_LS = np.array([by_layout[name] for name in self.names])
        self.seen_LS = seen_LS - seen_LS.mean(0)  # a seed's own level is nothing that layouts differ by
        self.truth_L = self.seen_LS.mean(1)
        space = Space((Layout("layout", 3, ("causal", "context", "recommend"), ("serial", "parallel")),))
        self.space, self.codec = space, Codec(space, {})
        self.features_LD = self.codec.encoding.features(self.codec.encode([{"layout": name} for name in self.names]))

    def regret(self, layout: int) -> float:
        """Of the layout at this place."""
        best, mean = self.truth_L.max(), self.truth_L.mean()
        return float((best - self.truth_L[layout]) / (best - mean))

    def past(self, values_L: np.ndarray[Any, Any]) -> list[PriorMean]:
        """Cheap values of all layouts as a prior mean."""
        trials = [SourceTrial(i, {"layout": name}, (float(values_L[i]),)) for i, name in enumerate(self.names)]
        up = torch.ones(1, dtype=torch.float64)
        return prior_means(self.codec, self.space, [SourceTask("cheap", "layout", tuple(trials))], up, PROptions())[0]

    def search(
        self, seed: int, trainings: int, cheap_L: np.ndarray[Any, Any] | None, past: list[PriorMean]
    ) -> np.ndarray[Any, Any]:
        """Regret `[trainings, 2]` after 1, 2, ... of the layout with the best value, and of that with the best mean of
        the models, among those tried.
        """
        rng = np.random.default_rng([seed, 1])
        own = int(rng.integers(self.seen_LS.shape[1]))
        first = list(rng.permutation(len(self.names)))
        first = first[:_DRAWN] if cheap_L is None else [int(cheap_L.argmax()), first[0]]
        tried: list[int] = []
        regrets = []
        for number in range(trainings):
            models = self._models(tried, own, past) if number >= len(first) else []
            tried.append(self._suggest(seed, tried, models) if models else int(first[number]))
            best = tried[int(self.seen_LS[tried, own].argmax())]
            believed = best
            if number + 1 in LOOKS:
                with one_thread(), torch.no_grad():
                    at_ND = self.features_LD[tried]
                    mean_N = sum(m.weight * m.mean(at_ND) for m in self._models(tried, own, past))
                    believed = tried[int(torch.as_tensor(mean_N).argmax())]
            regrets.append([self.regret(best), self.regret(believed)])
        return np.array(regrets)

    def _models(self, tried: list[int], own: int, past: list[PriorMean]) -> list[Model]:
        encoding, options = self.codec.encoding, PROptions()
        with one_thread(), torch.no_grad():
            target_N = standardised(torch.from_numpy(self.seen_LS[tried, own]))
            family = family_of(encoding, options)
            return models_of(encoding, self.features_LD[tried], target_N, family, sources=past)[0]

    def _suggest(self, seed: int, tried: list[int], models: list[Model]) -> int:
        known_ND = self.features_LD[tried]
        with one_thread(), torch.no_grad():
            parts = [NoisyEI(model, known_ND, known_ND[:0], seed * 1000 + len(tried)) for model in models]
            worth_L = Averaged(parts, [model.weight for model in models])(self.features_LD)
        worth_L[tried] = -torch.inf
        return int(worth_L.argmax())


def cheap_values(path: Path, names: Sequence[str], epochs: int) -> list[np.ndarray[Any, Any]]:
    """The layouts' values after so many epochs of shared training, one row a seed."""
    by_seed: dict[str, dict[str, float]] = defaultdict(dict)
    for row in rows(path):
        if row["on"] == "smollm2" and row["conditioning"] == "one" and int(row["epochs"]) == epochs:
            by_seed[row["seed"]][row["layout"]] = float(row["valid_mrr"])
    return [np.array([of[name] for name in names]) for of in by_seed.values() if set(names) <= set(of)]


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--searches", type=int, default=30, help="of each kind")
    parser.add_argument("--epochs", type=int, default=4, help="of the shared training")
    parser.add_argument("--shared", type=Path, default=SHARED)
    arguments = parser.parse_args()
    table = Table()
    cheap_SL = cheap_values(arguments.shared, table.names, arguments.epochs)
    kinds: dict[str, list[np.ndarray[Any, Any] | None]] = {"none": [None]}
    if cheap_SL:
        kinds[f"one of {len(cheap_SL)} seeds of shared weights"] = [*cheap_SL]
        kinds["their mean"] = [np.mean([one_L - one_L.mean() for one_L in cheap_SL], axis=0)]
    print(f"{len(table.names)} layouts with {SEEDS['smollm2']} seeds")
    print("\n".join([f"| past | chosen by | {' | '.join(map(str, LOOKS))} |", "|---" * (2 + len(LOOKS)) + "|"]))
    for kind, values in kinds.items():
        pasts = [[] if one_L is None else table.past(one_L) for one_L in values]
        found = np.array(
            [
                table.search(seed, max(LOOKS), values[seed % len(values)], pasts[seed % len(values)])
                for seed in range(arguments.searches)
            ]
        )
        errors = found.std(0, ddof=1) / len(found) ** 0.5
        for place, chosen in enumerate(("value", "model")):
            cells = [f"{found[:, n - 1, place].mean():.3f} ± {errors[n - 1, place]:.3f}" for n in LOOKS]
            print(f"| {kind} | {chosen} | {' | '.join(cells)} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
