"""Vizier's Gaussian process bandit (Song et al. 2024, arXiv 2408.11527), on categorical bits."""

from __future__ import annotations

from outside.protocol import Opening, Point, bits_and_numbers

_METRIC = "value"


class GPBandit:
    """`VizierGPBandit` with its defaults. With whole numbers 0 and 1 for bits it suggests one point again and again.

    Args:
        opening: The search.

    Raises:
        ImportError: If the package is absent.
    """

    def __init__(self, opening: Opening) -> None:
        import jax
        from vizier import algorithms, pyvizier

        # Its public name is in a module of all designers, which needs cvxpy, evojax and more.
        from vizier._src.algorithms.designers.gp_bandit import VizierGPBandit

        problem = pyvizier.ProblemStatement()
        problem.metric_information.append(
            pyvizier.MetricInformation(name=_METRIC, goal=pyvizier.ObjectiveMetricGoal.MAXIMIZE)
        )
        for axis in opening.axes:
            if axis.bit:
                problem.search_space.root.add_categorical_param(axis.name, ["0", "1"])
            else:
                problem.search_space.root.add_float_param(axis.name, axis.low, axis.high)
        self._opening, self._vizier, self._algorithms = opening, pyvizier, algorithms
        self._search = VizierGPBandit(problem, rng=jax.random.PRNGKey(opening.seed))

    def ask(self, number: int) -> Point:
        """See `AskTell`."""
        (suggestion,) = self._search.suggest(1)
        values = [suggestion.parameters.get_value(axis.name) for axis in self._opening.axes]
        return bits_and_numbers(self._opening.axes, values)

    def tell(self, number: int, point: Point, value: float) -> None:
        """See `AskTell`."""
        parameters = {
            axis.name: str(int(v)) if axis.bit else float(v) for axis, v in zip(self._opening.axes, point, strict=True)
        }
        trial = self._vizier.Trial(id=number + 1, parameters=parameters)
        trial.complete(self._vizier.Measurement(metrics={_METRIC: value}))
        self._search.update(self._algorithms.CompletedTrials([trial]), self._algorithms.ActiveTrials())
