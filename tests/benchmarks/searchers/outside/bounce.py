"""Bounce (Papenmeier, Nardi and Poloczek, NeurIPS 2023): nested bins of bits and a trust region that shrinks."""

from __future__ import annotations

import queue
import random
import sys
import tempfile
import threading
import types
from typing import Any

from outside.protocol import Opening, Point

_SETTINGS = (  # of the authors' configs/default.gin
    "get_gp.lengthscale_prior_shape = 1.5",
    "get_gp.lengthscale_prior_rate = 0.1",
    "get_gp.outputscale_prior_shape = 1.5",
    "get_gp.outputscale_prior_rate = 0.5",
    "get_gp.noise_prior_shape = 1.1",
    "get_gp.noise_prior_rate = 0.05",
    "TrustRegion.length_init_discrete = 10",
)
_BINS, _NEW_BINS = 5, 2  # of the same file


class Bounce:
    """Bounce as its authors set it, but for as many first points as the other searchers have.

    It runs a whole search by itself and calls the function, so it is kept in a thread that waits for each value. Its
    bins are unknown to who calls it: its first points are its own, and no point can be told that it did not ask for.

    It draws from the global generators of Python, NumPy and torch, which are seeded here.

    Args:
        opening: The search. Half of its budget is for the way to all bits.

    Raises:
        ImportError: If the package or one that it needs is absent.
    """

    def __init__(self, opening: Opening) -> None:
        # Only a helper of the authors' own benchmarks needs it, but the module of all benchmarks imports that.
        if "xgboost" not in sys.modules:
            sys.modules["xgboost"] = stub = types.ModuleType("xgboost")
            stub.XGBRegressor = None  # type: ignore[attr-defined]
        import bounce.bounce
        import gin
        import numpy as np
        import torch
        from bounce.benchmarks import Benchmark
        from bounce.util.benchmark import Parameter, ParameterType

        torch.set_num_threads(1)
        random.seed(opening.seed)
        np.random.seed(opening.seed)
        torch.manual_seed(opening.seed)
        axes, self._seen = opening.axes, queue.Queue[float]()
        self._wanted: queue.Queue[Point | BaseException] = queue.Queue()
        self._folder = tempfile.TemporaryDirectory()  # it writes results, which nobody reads

        def value(row: Any) -> float:
            self._wanted.put([int(v > 0.5) if a.bit else float(v) for a, v in zip(axes, row.tolist(), strict=True)])
            return -self._seen.get()  # it minimises

        class Function(Benchmark):  # type: ignore[misc]
            def __call__(self, x: Any) -> Any:
                rows = x.reshape(-1, len(axes))
                return torch.tensor([value(row) for row in rows], dtype=torch.float64)

        kinds = [ParameterType.BINARY if axis.bit else ParameterType.CONTINUOUS for axis in axes]
        parameters = [
            Parameter(name=axis.name, type=kind, lower_bound=axis.low, upper_bound=axis.high)
            for axis, kind in zip(axes, kinds, strict=True)
        ]
        gin.clear_config()
        gin.parse_config(list(_SETTINGS))
        search = bounce.bounce.Bounce(
            benchmark=Function(parameters, noise_std=None),
            number_initial_points=opening.first,
            initial_target_dimensionality=_BINS,
            number_new_bins_on_split=_NEW_BINS,
            maximum_number_evaluations=opening.budget,
            maximum_number_evaluations_until_input_dim=max(opening.budget // 2, min(opening.first, opening.budget)),
            batch_size=1,
            results_dir=self._folder.name,
            device="cpu",
            dtype="float64",
        )

        def run() -> None:
            try:
                search.run()
            except BaseException as error:  # handed on to who asks
                self._wanted.put(error)

        # A daemon, as it waits for a value for ever where a search ends early.
        self._thread = threading.Thread(target=run, daemon=True)

    def ask(self, number: int) -> Point:
        """See `AskTell`."""
        if self._thread.ident is None:
            self._thread.start()
        wanted = self._wanted.get()
        if isinstance(wanted, BaseException):
            raise wanted
        return wanted

    def tell(self, number: int, point: Point, value: float) -> None:
        """See `AskTell`; the point is the one that was asked for."""
        self._seen.put(value)
