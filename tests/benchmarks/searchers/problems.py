"""Problems with a known best value, for comparing searchers. All are maximised.

Each problem is a space, a noise-free function of its points, the deviation of the noise that a searcher sees on
top, and the values of the best known point and of random points, so that regret can be stated on one scale: 0 is the
best known, 1 is the mean of random points. Where a problem is drawn at random, every seed has an instance of its own.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import nas_graph as nas_graphs
import numpy as np

from searchplat.spec.space import Float, Layout, Space

Bits = np.ndarray[Any, Any]
TABLE = Path(__file__).with_name("darec_layouts.csv")


@dataclass(frozen=True)
class Problem:
    """A function to maximise.

    Args:
        name: How tables name it.
        space: Where it is defined.
        value: Its noise-free value at a point's values.
        noise: Standard deviation of the noise added to what a searcher sees.
        best: The largest known noise-free value.
        mean: Mean noise-free value of uniformly random points.
        draw: Replaces value plus normal noise as what a searcher sees.
        test: What a user would get in the end, on data that no searcher sees, where it is another value.
    """

    name: str
    space: Space
    value: Callable[[Mapping[str, Any]], float]
    noise: float
    best: float
    mean: float
    draw: Callable[[Mapping[str, Any], np.random.Generator], float] | None = None
    test: Callable[[Mapping[str, Any]], float] | None = None

    def observe(self, values: Mapping[str, Any], rng: np.random.Generator) -> float:
        """What a searcher sees."""
        if self.draw is not None:
            return self.draw(values, rng)
        return self.value(values) + self.noise * float(rng.normal())

    def regret(self, value: float) -> float:
        """Distance to the best in units of the distance between the best and a random point's mean."""
        return (self.best - value) / (self.best - self.mean)


def _bits(space: Space, values: Mapping[str, Any]) -> Bits:
    layout = space["layout"]
    assert isinstance(layout, Layout)
    return layout.decode(values["layout"]).astype(float)


def _layout(layers: int, roles: int = 3) -> Layout:
    return Layout("layout", layers, tuple(f"r{i}" for i in range(roles)), ("serial", "parallel"))


def _climb(values_of: Callable[[Bits], Bits], d: int, rng: np.random.Generator, starts: int, kicks: int = 30) -> float:
    """Best value met by steepest ascent over flips from many starts side by side, each kicked again and again."""
    flips = np.eye(d)
    z = rng.integers(0, 2, (starts, d)).astype(float)
    kept, best_M = z.copy(), values_of(z)
    for _ in range(30):
        current_M = values_of(z)
        while True:
            near = np.abs(z[:, None] - flips)
            values_MD = values_of(near.reshape(-1, d)).reshape(starts, d)
            chosen_M = values_MD.argmax(1)
            better_M = values_MD[np.arange(starts), chosen_M] > current_M + 1e-12
            if not better_M.any():
                break
            z[better_M] = near[better_M, chosen_M[better_M]]
            current_M = np.where(better_M, values_MD.max(1), current_M)
        improved_M = current_M > best_M
        kept[improved_M], best_M = z[improved_M], np.maximum(best_M, current_M)
        z = np.abs(kept - (rng.random((starts, d)) < 4 / d))
    return float(best_M.max())


def _finish(
    name: str,
    layers: int,
    values_of: Callable[[Bits], Bits],
    noise: float,
    seed: int,
    best: float | None = None,
    starts: int = 64,
) -> Problem:
    """A problem over a layout alone, from a function of rows of bits; noise in units of random values' deviation."""
    space = Space((_layout(layers),))
    d = 3 * layers
    rng = np.random.default_rng([seed, 1])
    random_values = values_of(rng.integers(0, 2, (4000, d)).astype(float))
    return Problem(
        name,
        space,
        lambda values: float(values_of(_bits(space, values)[None])[0]),
        noise * float(random_values.std()),
        _climb(values_of, d, rng, starts) if best is None else best,
        float(random_values.mean()),
    )


def layers(d: int = 36, noise: float = 0.3, seed: int = 0) -> Problem:
    """A layout whose layers interact: main effects that fade with depth, pairs within a layer and with the next one."""
    rng = np.random.default_rng([seed, 10, d])
    n = d // 3
    depth = np.exp(-np.arange(n) / n)
    main = rng.normal(size=(n, 3)) * depth[:, None] * 0.7
    within = np.triu(np.ones((3, 3)), 1) * rng.normal(size=(n, 3, 3)) * depth[:, None, None] * 0.5
    between = rng.normal(size=(n - 1, 3, 3)) * depth[1:, None, None] * 0.5

    def values_of(z: Bits) -> Bits:
        s = (2 * z - 1).reshape(-1, n, 3)
        pairs = ((s[:, :, None] @ within)[:, :, 0] * s).sum((1, 2))
        chain = ((s[:, :-1, None] @ between)[:, :, 0] * s[:, 1:]).sum((1, 2))
        total: Bits = (main * s).sum((1, 2)) + pairs + chain
        return total

    name = f"layers-{d}" + ("" if noise else "-exact")
    return _finish(name, n, values_of, noise, seed, _chain_best(main, within, between))


def _chain_best(main: Bits, within: Bits, between: Bits) -> float:
    """The best value of `layers`, exactly, by dynamic programming over the 8 states of each layer."""
    states = np.array([[(k >> b & 1) * 2 - 1 for b in range(3)] for k in range(8)], dtype=float)
    own = states @ main.T + np.einsum("ka,kb,lab->kl", states, states, within)
    best: Bits = own[:, 0]
    for layer in range(1, len(main)):
        best = (best[:, None] + states @ between[layer - 1] @ states.T).max(0) + own[:, layer]
    return float(best.max())


def pairs(d: int = 18, noise: float = 0.3, seed: int = 0) -> Problem:
    """Pairs of bits alone, any with any: no bit says anything by itself."""
    rng = np.random.default_rng([seed, 50, d])
    weights = np.triu(rng.normal(size=(d, d)), 1)

    def values_of(z: Bits) -> Bits:
        s = 2 * z - 1
        total: Bits = ((s @ weights) * s).sum(1)
        return total

    return _finish(f"pairs-{d}", d // 3, values_of, noise, seed)


def labs(d: int = 36, noise: float = 0.0) -> Problem:
    """Low-autocorrelation binary sequences: the merit factor d^2 / (2 sum_k C_k^2), rugged and of order four."""

    def values_of(z: Bits) -> Bits:
        s = 2 * z - 1
        energy = sum((s[:, : d - k] * s[:, k:]).sum(1) ** 2 for k in range(1, d))
        merit: Bits = d * d / (2 * energy)
        return merit

    known = {30: 7.627, 36: 7.2, 48: 8.229, 60: 8.108}  # optimal merit factors (Packebusch and Mertens 2016, table 1)
    return _finish(f"labs-{d}" + ("-noisy" if noise else ""), d // 3, values_of, noise, 0, known.get(d))


def contamination(d: int = 36, noise: float = 0.0, seed: int = 0) -> Problem:
    """Contamination control in a food chain of d stages, 100 scenarios (Hu et al. 2010; Oh et al. 2019)."""
    rng = np.random.default_rng([seed, 20, d])
    scenarios = 100
    start = rng.beta(1, 30, scenarios)
    spread = rng.beta(1, 17.0 / 3.0, (d, scenarios))
    restore = rng.beta(1, 3.0 / 7.0, (d, scenarios))

    def values_of(z: Bits) -> Bits:
        x = np.broadcast_to(start, (len(z), scenarios))
        excess = np.zeros(len(z))
        for i in range(d):
            on = z[:, i, None]
            x = spread[i] * (1 - on) * (1 - x) + (1 - restore[i] * on) * x
            excess = excess + (x > 0.1).mean(1) - 0.05
        total: Bits = -(1.01 * z.sum(1) + excess)
        return total

    name = f"contamination-{d}" + ("-noisy" if noise else "")
    return _finish(name, d // 3, values_of, noise, seed, starts=4)  # slow to evaluate, and easy: all starts agree


def nk(d: int = 36, k: int = 3, noise: float = 0.3, seed: int = 0) -> Problem:
    """An NK landscape: each bit's contribution depends on it and k random others."""
    rng = np.random.default_rng([seed, 30, d, k])
    others = np.array([[i, *rng.choice(np.delete(np.arange(d), i), k, replace=False)] for i in range(d)])
    table = rng.random((d, 2 ** (k + 1)))
    powers = 2 ** np.arange(k + 1)

    def values_of(z: Bits) -> Bits:
        total: Bits = table[np.arange(d), (z[:, others] @ powers).astype(int)].mean(1)
        return total

    return _finish(f"nk-{d}-{k}", d // 3, values_of, noise, seed)


def ackley(noise: float = 0.0) -> Problem:
    """Mixed Ackley: 10 bits and 3 floats in [-1, 1] (as in Daulton et al. 2022, appendix), best 0 at the origin."""
    space = Space(
        (
            Layout("layout", 5, ("r0", "r1"), ("serial", "parallel")),
            *(Float(f"x{i}", -1.0, 1.0) for i in range(3)),
        )
    )

    def value(values: Mapping[str, Any]) -> float:
        # An offset moves the best floats away from the middle of their axes, where designs like to start.
        x = np.array([*_bits(space, values), *(float(values[f"x{i}"]) - 0.23 for i in range(3))])
        return float(20 * np.exp(-0.2 * np.sqrt((x * x).mean())) + np.exp(np.cos(2 * np.pi * x).mean()) - 20 - np.e)

    rng = np.random.default_rng(40)
    random_values = np.array([value(space.sample(rng)) for _ in range(2000)])
    deviation, mean = float(random_values.std()), float(random_values.mean())
    return Problem("ackley-13" + ("-noisy" if noise else ""), space, value, noise * deviation, 0.0, mean)


def darec_table(path: Path = TABLE) -> Problem:
    """Trainings of DARec on a small backbone of random weights: every layout of three DALayers with two seeds or more.

    `darec_layouts.py` writes the table. The value of a layout is the mean over its seeds; a searcher sees one of them,
    so the noise is that of training, with what all layouts of a seed share.

    Raises:
        FileNotFoundError: If the table is not complete yet.
    """
    seen = _trained(path)
    if not _complete(seen):
        raise FileNotFoundError(f"{path}: has not two trainings of each of the 512 layouts yet; run darec_layouts.py")
    means = {layout: float(np.mean(values)) for layout, values in seen.items()}
    deviations = [np.var(values, ddof=1) for values in seen.values() if len(values) > 1]
    noise = float(np.sqrt(np.mean(deviations))) if deviations else 0.0
    roles = ("causal", "context", "recommend")
    space = Space((Layout("layout", 3, roles, ("serial", "parallel")),))
    return Problem(
        "darec-table",
        space,
        lambda values: means[values["layout"]],
        noise,
        max(means.values()),
        float(np.mean(list(means.values()))),
        lambda values, rng: float(rng.choice(seen[values["layout"]])),
    )


def _trained(path: Path) -> dict[str, list[float]]:
    """Validation MRR of every training in the table, by layout."""
    seen: dict[str, list[float]] = {}
    if path.exists():
        with path.open() as file:
            for row in csv.DictReader(line for line in file if not line.startswith("#")):
                seen.setdefault(row["layout"], []).append(float(row["valid_mrr"]))
    return seen


def _complete(seen: Mapping[str, Sequence[float]]) -> bool:
    return len(seen) == 512 and min(map(len, seen.values())) >= 2


def nas_graph(data: str) -> Problem:
    """The architectures of NAS-Bench-Graph on one of its data sets; see `nas_graph`.

    Raises:
        ImportError: If the package is not here.
    """
    table = nas_graphs.table(data)
    accuracies = list(table.valid.values())
    return Problem(f"nas-graph-{data}", table.space, table.of, 0.0, max(accuracies), float(np.mean(accuracies)))


def _trained_table(name: str) -> Problem:
    import hpo_tables  # which imports this module

    return hpo_tables.trained(name)


def _pest_control() -> Problem:
    import pest_control  # which imports this module

    return pest_control.pest_control()


def _measured(name: str, seed: int) -> Problem:
    import measured  # which imports this module

    return measured.maxsat(seed) if name == "maxsat-60" else measured.feature_selection(name)


PROBLEMS: dict[str, Callable[[int], Problem]] = {
    "layers-36": lambda seed: layers(seed=seed),
    "layers-36-exact": lambda seed: layers(noise=0.0, seed=seed),
    "layers-60": lambda seed: layers(60, seed=seed),
    "layers-96": lambda seed: layers(96, seed=seed),
    "pairs-18": lambda seed: pairs(seed=seed),
    "nk-36-3": lambda seed: nk(seed=seed),
    "labs-30": lambda _: labs(30),
    "labs-30-noisy": lambda _: labs(30, noise=0.3),
    "contamination-36": lambda seed: contamination(seed=seed),
    "contamination-36-noisy": lambda seed: contamination(noise=0.3, seed=seed),
    "ackley-13": lambda _: ackley(),
    "ackley-13-noisy": lambda _: ackley(noise=0.3),
    "darec-table": lambda _: darec_table(),
    **{f"nas-graph-{data}": partial(lambda data, _: nas_graph(data), data) for data in nas_graphs.DATA},
    "breast-cancer-30": lambda seed: _measured("breast-cancer-30", seed),
    "digits-64": lambda seed: _measured("digits-64", seed),
    "maxsat-60": lambda seed: _measured("maxsat-60", seed),
    "pest-control": lambda _: _pest_control(),
    "nas-bench-201": lambda _: _trained_table("nas-bench-201"),
    "fcnet-protein": lambda _: _trained_table("fcnet-protein"),
}
"""Every problem of the benchmark by name, from a seed that draws its instance where it has several."""


def available() -> Sequence[str]:
    """Names of the problems that can be made here: all but those whose data are not here, or not complete.

    NAS-Bench-Graph's are only there by name: they are of other searches' trials.
    """
    import hpo_tables  # which import this module
    import measured

    here = {"darec-table": _complete(_trained(TABLE)), "maxsat-60": measured.maxsat_path() is not None}
    here |= dict.fromkeys(hpo_tables.TABLES, hpo_tables.installed())
    return [name for name in PROBLEMS if not name.startswith("nas-graph-") and here.get(name, True)]
