"""A trial's process on the cluster: a Tune trainable that Ray reuses from trial to trial."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.execution.placement_groups import resource_dict_to_pg_factory

from searchplat.contract import WarmCache
from searchplat.engine.work import Order, Work
from searchplat.firewall import seal
from searchplat.methods import allow_imports

ORDER = "order"
MESSAGE = "message"


class TrialActor(tune.Trainable):
    """Runs one `Work` after another. Its config is `{"order": <Order as JSON>}`, its results `{"message": ...}`.

    It never says `done`: the gate in the driver decides what ends, after the ledger has written it down.
    Tune's own checkpoints are not used; a restarted trial takes up its own newest valid one.
    """

    def __repr__(self) -> str:
        """What the Ray dashboard and Ray's logs call this process."""
        return self._name

    @staticmethod
    def name_of(order: Order) -> str:
        """A process's name, after its search and the first of its trials."""
        return f"{Path(order.folder).parents[1].name}, from trial {order.number} on"

    def setup(self, config: dict[str, Any]) -> None:
        """Begin in a new process, in which the test split is out of reach."""
        seal()
        order = Order.from_json(config[ORDER])
        # Ray asks once, at the start; the process goes on with other trials of the search.
        self._name = self.name_of(order)
        self._warm = WarmCache()
        self._work: Work | None = None
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Go on with another trial, keeping what is warm."""
        order = Order.from_json(new_config[ORDER])
        if order.allow_import:
            allow_imports()
        self.cleanup()
        self._work = Work(order, self._warm)
        return True

    def cleanup(self) -> None:
        """Leave nothing of a trial on this machine whose checkpoints are kept elsewhere."""
        if self._work is not None:
            self._work.close()

    def step(self) -> dict[str, Any]:
        """One epoch."""
        assert self._work is not None
        return {MESSAGE: self._work.step().to_json()}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing: `Work` has saved already."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Nothing: `Work` takes up the newest valid checkpoint by itself."""


def trainable(actor: type[TrialActor] = TrialActor) -> Any:
    """An actor with what each trial's order takes of Ray, under a name that reads well on Ray's dashboard.

    A process goes on with trials of the same request only; one of another request begins in a process of its own.
    """
    made = tune.with_resources(actor, _request)
    made.__name__ = made.__qualname__ = "Trial"
    return made


def _request(config: dict[str, Any]) -> Any:
    return resource_dict_to_pg_factory(Order.from_json(config[ORDER]).request)
