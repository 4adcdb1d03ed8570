"""NAS-Bench-Graph (Qin et al., NeurIPS 2022): 26,206 graph neural networks, each trained on several data sets.

    pip install --target FOLDER --no-deps nas-bench-graph && export NAS_BENCH_GRAPH=FOLDER

Not a dependency: only its own problems need it. An architecture is one of 9 graphs of four operations, and for each
one of 9 layers: five axes without an order. Of these 59,049 points, those that are the same network up to the
names of its nodes share an entry. Four `skip` are not a network, and have the value of the worst. A searcher sees the
validation accuracy of the table, without noise.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from searchplat.spec.space import Categorical, Space

DATA = ("cora", "citeseer", "pubmed", "cs", "physics", "photo", "computers", "arxiv")
"""The data sets with all layers; `proteins` has five of them."""
FOLDER = "NAS_BENCH_GRAPH"


@dataclass(frozen=True)
class Table:
    """Of one data set.

    Args:
        space: The same for all.
        valid, test: Accuracy by an architecture's identity.
    """

    space: Space
    valid: Mapping[int, float]
    test: Mapping[int, float]

    def of(self, values: Mapping[str, Any], test: bool = False) -> float:
        """Accuracy of a point, in [0, 1]."""
        table = self.test if test else self.valid
        return table.get(_identity(*values.values()), self.worst(test))

    def worst(self, test: bool = False) -> float:
        """The least accuracy."""
        return min((self.test if test else self.valid).values())

    def regret(self, values: Mapping[str, Any], test: bool = False) -> float:
        """0 for the best architecture, 1 for the mean of all."""
        accuracies = np.array(list((self.test if test else self.valid).values()))
        return float((accuracies.max() - self.of(values, test)) / (accuracies.max() - accuracies.mean()))


def installed() -> bool:
    """Whether the package is here."""
    if (folder := os.environ.get(FOLDER)) and (place := os.path.abspath(folder)) not in sys.path:
        sys.path.append(place)
    return importlib.util.find_spec("nas_bench_graph") is not None


@cache
def table(data: str) -> Table:
    """The table of a data set, of `DATA`; takes seconds.

    Raises:
        ImportError: If the package is not here.
    """
    if not installed():
        raise ImportError(f"nas_bench_graph: pip install --target FOLDER --no-deps nas-bench-graph, and set {FOLDER}")
    from nas_bench_graph import light_read
    from nas_bench_graph.architecture import gnn_list, link_list

    graphs = Categorical("graph", tuple("".join(map(str, link)) for link in link_list))
    space = Space((graphs, *(Categorical(f"layer{i}", tuple(gnn_list)) for i in range(1, 5))))
    entries = light_read(data)
    return Table(
        space,
        {identity: float(one["valid_perf"]) for identity, one in entries.items()},
        {identity: float(one["perf"]) for identity, one in entries.items()},
    )


@cache
def _identity(graph: str, *layers: str) -> int:
    """What architectures that are one network share."""
    from nas_bench_graph import Arch

    found: int = Arch([int(parent) for parent in graph], list(layers)).valid_hash()
    return found
