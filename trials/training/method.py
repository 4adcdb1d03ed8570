"""What most methods subclass: everything between a `TrialJob` and a training `Loop` but the model itself.

Entry points import this module, so it loads no torch; `trials.training.loop` is imported when a trial starts.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Hashable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from searchplat.contract import AssetSource, DataRequest, FinalJob, TrialJob
from searchplat.errors import InputError
from trials.training.settings.config import LoopConfig

if TYPE_CHECKING:
    from trials.data.preparing.dataset import FinalData, IntArray, SearchData
    from trials.training.final import FinalLoop
    from trials.training.listing import AllUsers
    from trials.training.loop import Loop
    from trials.training.recommender import Recommender
    from trials.training.serving import ServedModel


class RecommenderMethod(ABC):
    """A method that trains in the one loop: give it a name, a `Config` and `build`.

    Methods are made without arguments and hold no state; all that a trial needs travels in its job.
    """

    name: ClassVar[str]
    """The entry point's name, e.g. `sasrec`."""
    summary: ClassVar[str]
    """One sentence for `searchplat methods`."""
    paper: ClassVar[str]
    """Authors, title, venue, year; empty for a method without one."""
    prepared_by: ClassVar[tuple[str, ...]] = ()
    """Fields with choices of which each needs a `prepare` of its own; see `searchplat.contract.Method.prepare`."""
    takes_workers: ClassVar[bool] = True
    """Whether several processes may train one model; false for a method whose model has no `share`."""
    reads_texts: ClassVar[bool] = False
    """Whether it reads what the data says of items, and so cannot do with items that have ids alone."""
    Config: ClassVar[type[LoopConfig]] = LoopConfig
    """Typed config; every field documented with its unit and range."""

    @abstractmethod
    def build(self, config: Any, data: SearchData, job: TrialJob) -> Recommender:
        """Make the model, on the CPU or on `job.device`; the caller has seeded every generator.

        Args:
            config: An instance of this class's `Config`.
            data: Training sequences and validation targets.
            job: For `assets`, `warm` (frozen parts are kept there between trials), `device` and `seed`.
        """

    def rebuild(self, config: Any, data: SearchData, job: TrialJob) -> Recommender:
        """Make the model again, for its trained weights to be loaded into it and to answer histories only.

        A method whose `build` learns or looks for anything in the training sequences overrides this and leaves it
        out; parameters and persistent buffers must have the same names and shapes.

        Args:
            data: The items, and as many users as in training, but made-up sequences: a served model carries nobody's
                history.
        """
        return self.build(config, data, job)

    def pack(self, folder: Path, target: Path, assets: AssetSource) -> None:
        """Write a package of a final training's model; see `searchplat.contract.ServingMethod`."""
        from trials.training.serving import pack

        pack(folder, target, assets)

    def load(self, folder: Path, assets: AssetSource) -> ServedModel:
        """Make a trained model ready to answer; see `searchplat.contract.ServingMethod`."""
        from trials.training.serving import load

        return load(self, folder, assets)

    def listing(self, folder: Path, assets: AssetSource) -> AllUsers:
        """Make a trained model ready to answer for all users; see `searchplat.contract.ListingMethod`."""
        from trials.training.listing import open_listing

        return open_listing(self, folder, assets)

    def reported(self, config: Any) -> list[str]:
        """The validation metrics of an epoch; see `searchplat.contract.Method`."""
        return [f"valid/{name}" for name in config.measured()]

    def layout_layers(self, config: Any) -> int | None:
        """Number of layers that a layout covers under `config`; None where a method has no layout."""
        return None

    def prepare(self, config: Any, data: DataRequest, assets: AssetSource) -> None:
        """Fetch and prepare the data, and draw sampled negatives; a method that needs weights as well extends this.

        Raises:
            InputError: If the data cannot be had or read, says nothing of items though the method reads texts, or some
                user has met all but fewer items than are sampled.
        """
        from trials.data import open_search, prepare

        prepare(data, assets)
        if self.reads_texts and not open_search(data, assets).has_texts:
            raise InputError(
                f"data {data.name}: method {self.name} reads texts of items, and this data has none; name the column "
                "of their titles (title: ...) or a file of items (items: ...), or take sasrec, by ids alone."
            )
        if config.sampled_negatives:
            sampled(config, open_search(data, assets), assets)

    def start(self, job: TrialJob) -> Loop:
        """Seed, open the data, build the model, and return it in a loop that is ready to train.

        Raises:
            InputError: If there are several workers and the model cannot share a batch among them.
            TypeError: If `job.config` is not an instance of this method's `Config`.
        """
        from trials.training.loop import Loop

        model, data = self._ready(job)
        config = job.config
        assert isinstance(config, LoopConfig)
        negatives_UM = sampled(config, data, job.assets)
        return Loop(
            model, data, config, seed=job.seed, folder=job.folder, negatives_UM=negatives_UM,
            rank=job.rank, workers=job.workers,
        )  # fmt: skip

    def start_final(self, job: FinalJob) -> FinalLoop:
        """The same for final training: early stopping, several workers, one test.

        Raises:
            InputError: If there are several workers and the model cannot share a batch among them.
            TypeError: As `start`.
        """
        from trials.training.final import FinalLoop

        model, data = self._ready(job.trial)
        return FinalLoop(model, data, job, self.name)

    def _ready(self, job: TrialJob) -> tuple[Recommender, SearchData]:
        """The model on its device, and its data."""
        import torch

        from trials.data import open_search
        from trials.training.seeds import seed_everything

        if not isinstance(job.config, self.Config):
            raise TypeError(
                f"{self.name}: job.config must be {self.Config.__name__}, got {type(job.config).__name__}; "
                f"make it with {type(self).__name__}.Config(...)"
            )
        torch.set_num_threads(job.threads)
        data = job.warm.get(data_key(job.data), lambda: open_search(job.data, job.assets))
        seed_everything(job.seed)  # after opening, so that a warm start draws the same weights as a cold one
        model = self.build(job.config, data, job)
        return model.to(job.device), data


def sampled(config: LoopConfig, data: SearchData | FinalData, assets: AssetSource) -> IntArray | None:
    """`[U, M]` the sampled negatives that a config asks for, drawn once and kept; None if it asks for none.

    Raises:
        InputError: If some user has met all but fewer items.
    """
    if not config.sampled_negatives:
        return None
    from trials.data.preparing.negatives import stored_negatives

    return stored_negatives(data, assets, config.sampled_negatives, config.sampled_seed, config.sampled_by)


def answering(config: Any, job: TrialJob) -> Any:
    """A config to answer with: on a CPU in float32, where what was trained in bfloat16 is many times slower."""
    return config.model_copy(update={"precision": "float32"}) if job.device == "cpu" else config


def data_key(request: DataRequest) -> Hashable:
    """Key under which a warm process keeps the data of `request`."""
    options = json.dumps(dict(request.options), sort_keys=True)
    return ("search-data", request.name, options, request.fraction, request.seed)
