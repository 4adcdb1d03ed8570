"""Problems with a known best value, for comparing searchers. All are maximised and, where noisy, cheap to evaluate.

Each problem is a space, a noise-free function of its values, the standard deviation of the noise that a searcher
sees on top, and the noise-free value of the best known point and of random search's expectation, so that regret can be
stated on one scale: 0 is the best known, 1 is the mean of random points.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from searchplat.spec.model import Float, Layout, Space

Bits = np.ndarray[Any, Any]


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
    """

    name: str
    space: Space
    value: Callable[[Mapping[str, Any]], float]
    noise: float
    best: float
    mean: float

    def observe(self, values: Mapping[str, Any], rng: np.random.Generator) -> float:
        """What a searcher sees: the value plus noise."""
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


def _climb(value_of: Callable[[Bits], float], d: int, rng: np.random.Generator, restarts: int) -> float:
    """Best value over restarts of steepest ascent by flips and, where stuck, by pairs of flips."""
    best = -np.inf
    for _ in range(restarts):
        z = rng.integers(0, 2, d).astype(float)
        current = value_of(z)
        improved = True
        while improved:
            improved = False
            for i in rng.permutation(d):
                z[i] = 1 - z[i]
                new = value_of(z)
                if new > current + 1e-12:
                    current, improved = new, True
                else:
                    z[i] = 1 - z[i]
        best = max(best, current)
    return best


def _finish(
    name: str, space: Space, value_of: Callable[[Bits], float], noise_share: float, seed: int, best: float | None = None
) -> Problem:
    """A problem over a layout alone; noise in units of the standard deviation of random points' values."""
    layout = space["layout"]
    assert isinstance(layout, Layout)
    rng = np.random.default_rng([seed, 1])
    random_values = np.array([value_of(rng.integers(0, 2, layout.bits).astype(float)) for _ in range(2000)])
    if best is None:
        best = _climb(value_of, layout.bits, rng, 60)
    return Problem(
        name,
        space,
        lambda values: value_of(_bits(space, values)),
        noise_share * float(random_values.std()),
        float(best),
        float(random_values.mean()),
    )


def layers(d: int = 36, noise: float = 0.3, seed: int = 0) -> Problem:
    """A layout whose layers interact: main effects that fade with depth, pairs within a layer and with the next one."""
    rng = np.random.default_rng([seed, 10, d])
    n = d // 3
    depth = np.exp(-np.arange(n) / n)
    main = rng.normal(size=(n, 3)) * depth[:, None] * 0.7
    within = rng.normal(size=(n, 3, 3)) * depth[:, None, None] * 0.5
    between = rng.normal(size=(n - 1, 3, 3)) * depth[1:, None, None] * 0.5

    def value_of(z: Bits) -> float:
        s = (2 * z - 1).reshape(n, 3)
        upper = np.triu(np.ones((3, 3)), 1)
        return float(
            (main * s).sum()
            + np.einsum("la,lb,lab,ab->", s, s, within, upper)
            + np.einsum("la,lb,lab->", s[:-1], s[1:], between)
        )

    name = f"layers-{d}" + ("" if noise else "-exact")
    return _finish(name, Space((_layout(n),)), value_of, noise, seed, _chain_best(main, within, between))


def _chain_best(main: Bits, within: Bits, between: Bits) -> float:
    """The best value of `layers`, exactly, by dynamic programming over the 8 states of each layer."""
    states = np.array([[(k >> b & 1) * 2 - 1 for b in range(3)] for k in range(8)], dtype=float)
    upper = np.triu(np.ones((3, 3)), 1)
    own = states @ main.T + np.einsum("ka,kb,lab,ab->kl", states, states, within, upper)
    best: Bits = own[:, 0]
    for layer in range(1, len(main)):
        best = (best[:, None] + states @ between[layer - 1] @ states.T).max(0) + own[:, layer]
    return float(best.max())


def labs(d: int = 36, noise: float = 0.0) -> Problem:
    """Low-autocorrelation binary sequences: the merit factor d^2 / (2 sum_k C_k^2), rugged and of order four."""

    def value_of(z: Bits) -> float:
        s = 2 * z - 1
        energy = sum(float(s[: d - k] @ s[k:]) ** 2 for k in range(1, d))
        return d * d / (2 * energy)

    known = {30: 7.63, 36: 7.20, 48: 8.23, 60: 8.11}  # optimal merit factors (Packebusch and Mertens 2016, table 1)
    name = f"labs-{d}" + ("-noisy" if noise else "")
    return _finish(name, Space((_layout(d // 3),)), value_of, noise, 0, known.get(d))


def contamination(d: int = 36, noise: float = 0.0, seed: int = 0) -> Problem:
    """Contamination control in a food chain of d stages, 100 scenarios (Hu et al. 2010; Oh et al. 2019)."""
    rng = np.random.default_rng([seed, 20, d])
    scenarios = 100
    start = rng.beta(1, 30, scenarios)
    spread = rng.beta(1, 17.0 / 3.0, (d, scenarios))
    restore = rng.beta(1, 3.0 / 7.0, (d, scenarios))

    def value_of(z: Bits) -> float:
        x = start
        excess = 0.0
        for i in range(d):
            x = spread[i] * (1 - z[i]) * (1 - x) + (1 - restore[i] * z[i]) * x
            excess += float((x > 0.1).mean() - 0.05)
        return -(float(z.sum()) + excess + 0.01 * float(z.sum()))

    name = f"contamination-{d}" + ("-noisy" if noise else "")
    return _finish(name, Space((_layout(d // 3),)), value_of, noise, seed)


def nk(d: int = 36, k: int = 3, noise: float = 0.3, seed: int = 0) -> Problem:
    """An NK landscape: each bit's contribution depends on it and k random others."""
    rng = np.random.default_rng([seed, 30, d, k])
    others = np.array([[i, *rng.choice(np.delete(np.arange(d), i), k, replace=False)] for i in range(d)])
    table = rng.random((d, 2 ** (k + 1)))
    powers = 2 ** np.arange(k + 1)

    def value_of(z: Bits) -> float:
        return float(table[np.arange(d), (z[others] @ powers).astype(int)].mean())

    return _finish(f"nk-{d}-{k}", Space((_layout(d // 3),)), value_of, noise, seed)


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
    return Problem("ackley-13", space, value, noise * float(random_values.std()), 0.0, float(random_values.mean()))


PROBLEMS: dict[str, Callable[[], Problem]] = {
    "layers-36": layers,
    "layers-36-exact": lambda: layers(noise=0.0),
    "layers-96": lambda: layers(96),
    "labs-36": labs,
    "labs-36-noisy": lambda: labs(noise=0.3),
    "contamination-36": contamination,
    "contamination-36-noisy": lambda: contamination(noise=0.3),
    "nk-36-3": nk,
    "ackley-13": ackley,
}
"""Every problem of the benchmark by name, made on use."""
