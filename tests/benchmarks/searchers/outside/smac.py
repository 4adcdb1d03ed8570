"""SMAC3 (Lindauer et al., JMLR 2022): expected improvement under a random forest, by local search."""

from __future__ import annotations

import tempfile
from pathlib import Path

from outside.protocol import Opening, Point, bits_and_numbers


class RandomForest:
    """SMAC's facade for hyperparameters, with a fit a point: by default it takes eight points from one.

    Args:
        opening: The search.

    Raises:
        ImportError: If the package is absent.
    """

    def __init__(self, opening: Opening) -> None:
        import smac
        from ConfigSpace import Categorical, Configuration, ConfigurationSpace, Float
        from smac.runhistory import TrialInfo, TrialValue

        self._opening, self._configuration = opening, Configuration
        self._info, self._value = TrialInfo, TrialValue
        self._space = ConfigurationSpace(seed=opening.seed)
        for axis in opening.axes:
            self._space.add(
                Categorical(axis.name, [0, 1]) if axis.bit else Float(axis.name, bounds=(axis.low, axis.high))
            )
        self._folder = tempfile.TemporaryDirectory()  # it writes results, which nobody reads
        facade = smac.HyperparameterOptimizationFacade
        scenario = smac.Scenario(
            self._space,
            deterministic=True,
            n_trials=opening.budget,
            seed=opening.seed,
            output_directory=Path(self._folder.name),
        )
        self._search = facade(
            scenario,
            lambda config, seed=0: 0.0,  # asked for, never called
            initial_design=facade.get_initial_design(scenario, n_configs=0, additional_configs=[]),
            config_selector=facade.get_config_selector(scenario, retrain_after=1),
            logging_level=False,
        )
        self._asked: dict[int, object] = {}

    def ask(self, number: int) -> Point:
        """See `AskTell`."""
        info = self._search.ask()
        self._asked = {number: info}
        return bits_and_numbers(self._opening.axes, [info.config[axis.name] for axis in self._opening.axes])

    def tell(self, number: int, point: Point, value: float) -> None:
        """See `AskTell`."""
        info = self._asked.get(number)
        if info is None:
            values = {axis.name: v for axis, v in zip(self._opening.axes, point, strict=True)}
            info = self._info(self._configuration(self._space, values=values), seed=0)
        self._search.tell(info, self._value(cost=-value), save=False)  # it minimises
