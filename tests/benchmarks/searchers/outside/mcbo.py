"""MCBO's mixtures of a model, an acquisition optimiser and a trust region (Dreczkowski et al., NeurIPS 2023).

With the transformed overlap kernel, interleaved search and its trust region that is Casmopolitan (Wan et al., ICML
2021), as MCBO has it.
"""

from __future__ import annotations

import random
from typing import Any

from outside.protocol import Opening, Point, bits_and_numbers, seed_at


class MCBO:
    """A mixture of MCBO on nominal bits and numbers, with expected improvement.

    It draws from the global generators of Python, NumPy and torch, which are seeded at each question.

    Args:
        opening: The search.
        acquisition: Optimiser of the acquisition: `is` (interleaved search), `ga` (genetic algorithm), ...
        trust_region: `basic` or None.
        model: A Gaussian process; `gp_to` has the transformed overlap kernel.

    Raises:
        ImportError: If the package or one that it needs is absent.
    """

    def __init__(
        self, opening: Opening, acquisition: str, trust_region: str | None = None, model: str = "gp_to"
    ) -> None:
        import gpytorch
        import linear_operator

        # Their names before linear_operator became a package of its own.
        for old, new in (("lazify", "to_linear_operator"), ("delazify", "to_dense")):
            if not hasattr(gpytorch, old):
                setattr(gpytorch, old, getattr(linear_operator, new))
        import numpy as np
        import pandas as pd
        import torch
        from mcbo.optimizers.bo_builder import BoBuilder
        from mcbo.search_space import SearchSpace

        torch.set_num_threads(1)
        self._numpy, self._pandas, self._torch = np, pd, torch
        self._opening, self._names = opening, [axis.name for axis in opening.axes]
        self._seed_all(-1)
        space = SearchSpace(
            [
                {"name": axis.name, "type": "nominal", "categories": [0, 1]}
                if axis.bit
                else {"name": axis.name, "type": "num", "lb": axis.low, "ub": axis.high}
                for axis in opening.axes
            ]
        )
        builder = BoBuilder(model, acquisition, "ei", trust_region)
        self._search = builder.build_bo(
            search_space=space, n_init=opening.first, dtype=torch.float64, device=torch.device("cpu")
        )
        self._search.set_x_init(self._frame([])[:0])  # the first points are told

    def ask(self, number: int) -> Point:
        """See `AskTell`."""
        self._seed_all(number)
        row = self._search.suggest(1).iloc[0]
        return bits_and_numbers(self._opening.axes, [row[name] for name in self._names])

    def tell(self, number: int, point: Point, value: float) -> None:
        """See `AskTell`."""
        self._search.observe(self._frame([point]), self._numpy.array([[-value]]))  # it minimises

    def _frame(self, points: list[Point]) -> Any:
        rows = [
            {axis.name: int(v) if axis.bit else float(v) for axis, v in zip(self._opening.axes, point, strict=True)}
            for point in points
        ]
        return self._pandas.DataFrame(rows, columns=self._names)

    def _seed_all(self, number: int) -> None:
        seed = seed_at(self._opening.seed, number)
        random.seed(seed)
        self._numpy.random.seed(seed)
        self._torch.manual_seed(seed)
