"""A method as a `ray.tune.Trainable`: what `engine.worker.trial_run` is in a search of ours, driven by Tune instead."""

from __future__ import annotations

import math
import os
import shutil
import socket
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import ray
from ray.tune import PlacementGroupFactory, Trainable

from searchplat.assets import AssetStore
from searchplat.contract import ClosingTraining, DataRequest, Training, TrialJob, WarmCache
from searchplat.engine.planning.configuration import full_config
from searchplat.engine.planning.seeds import trial_seed
from searchplat.engine.prepare import needs_of
from searchplat.engine.worker.environment import quiet_environment
from searchplat.errors import InputError, SearchFailedError
from searchplat.firewall import seal, sealed
from searchplat.methods import allow_imports, imports_allowed, load_method
from searchplat.spec import SearchSpec
from searchplat.spec.own_loop import check_seed
from searchplat.tune.parameters import spec_of, values_of

_TRAINING, _EPOCH = "training", "epoch.txt"
"""What a checkpoint of Tune's holds: the folder in which the training saved itself, and the epochs that it had then."""


def trainable(
    space: Path | str | SearchSpec, scale: str | None = None, *, seed: int | None = None
) -> type[MethodTrainable]:
    """A class for `tune.Tuner` that trains a space's method.

    A trial trains as one of the space's last stage would: on its data and share of the users, with its fixed values,
    for as many epochs; `param_space` and `values_of` say what its config may hold. What the space needs of data and
    weights is fetched and prepared here and now, as before a search; on other hosts, where searchplat must be
    installed, when a process starts.

    A trial takes the space's `cpu` and `gpu`, and where Ray has GPUs a whole one if that is `auto`;
    `tune.with_resources` takes others. The space's searchers, schedulers, controls, repeats and time limits do not
    apply: those are for Tune.

    Args:
        space: A space file, the bare name of a shipped one (`darec`), or what `searchplat.spec.load` returned.
        scale: As of `searchplat search`; None with a `SearchSpec`, which has its own.
        seed: Of all trainings, 0 to 2**32 - 1, so that trials differ by their values alone and schedulers may hand
            checkpoints from one to another; by default that of `searchplat run`.

    Raises:
        InputError: If there is no such space, something in it or the seed breaks a rule, its trials are to have several
            workers, or data or weights cannot be had.
    """
    if seed is not None:
        check_seed(seed)
    spec = spec_of(space, scale)
    if spec.resources.workers > 1:
        raise InputError(
            f"resources.workers: a trial of Tune's is one process here, got {spec.resources.workers}; remove workers"
        )
    # Tune searches everything at once.
    together = replace(spec.stages[-1], over=spec.space.names, start_from=None)
    spec = replace(spec, stages=(together,), controls=())
    recipe = _Recipe(
        spec,
        trial_seed(spec, together, 0) if seed is None else seed,
        imports_allowed(),
        socket.gethostname(),
        quiet_environment(),
    )
    recipe.prepare()
    return type(spec.name, (MethodTrainable,), {"recipe": recipe, "__doc__": f"Method {spec.method} for Ray Tune."})


@dataclass(frozen=True)
class _Recipe:
    """What all trials of a class have in common.

    Args:
        spec: The space, as one stage over all axes.
        seed: Of every training.
        allow_import: Whether the method may be named `module:attribute`.
        host: Where it was made, and all is prepared.
        environment: Variables of a process there.
    """

    spec: SearchSpec
    seed: int
    allow_import: bool
    host: str
    environment: Mapping[str, str]

    def prepare(self) -> None:
        """Fetch and prepare data and weights on this machine."""
        for need in needs_of(self.spec):
            need.prepare(AssetStore())

    def enter(self) -> None:
        """Make a process of Ray fit for trials, with the test split out of its reach for good."""
        if self.allow_import:
            allow_imports()
        if socket.gethostname() == self.host:
            os.environ.update(self.environment)  # folders are absolute there: Tune changes the working folder
        else:
            self.prepare()
            os.environ["HF_HUB_OFFLINE"] = "1"
        seal()


class MethodTrainable(Trainable):  # type: ignore[misc]  # Ray publishes no types
    """One training after another of a method; `trainable` makes the class for a space.

    Reports the method's metrics after every epoch. What a training raises, such as that memory has run out, ends its
    trial as an error, with which Tune ends the process too; so does a metric that is not finite.
    """

    recipe: ClassVar[_Recipe]
    _warm: WarmCache
    _folder: tempfile.TemporaryDirectory[str]
    _training: Training | None

    @classmethod
    def default_resource_request(cls, config: dict[str, Any]) -> PlacementGroupFactory:
        """The space's `resources`."""
        resources = cls.recipe.spec.resources
        gpu = resources.gpu
        if gpu is None:
            gpu = 1.0 if ray.is_initialized() and ray.cluster_resources().get("GPU") else 0.0
        return PlacementGroupFactory([{"CPU": resources.cpu, **({"GPU": gpu} if gpu else {})}])

    def setup(self, config: dict[str, Any]) -> None:
        """Begin in a process of its own, or in the caller's."""
        if ray.is_initialized() and ray.get_runtime_context().get_actor_id() is not None:
            self.recipe.enter()
        self._warm = WarmCache()
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin another trial, keeping frozen weights and data."""
        self._end()
        self._begin(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Train one epoch.

        Returns:
            The metrics of the epoch, and whether it was the last.

        Raises:
            InputError: If the config or the data is wrong, or they do not fit together.
            SearchFailedError: If a metric is not finite.
        """
        training = self._started()
        with sealed():
            # A trial that ended just as it was saved is taken up again to say so.
            metrics = training.run_epoch() if training.epoch < training.epochs else training.metrics
        if bad := [name for name, value in metrics.items() if not math.isfinite(value)]:
            raise SearchFailedError(f"the training diverged in epoch {training.epoch}: {', '.join(bad)} not finite")
        return {**metrics, "done": training.epoch >= training.epochs}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Write the training's own checkpoint for Tune to keep."""
        training = self._started()
        with sealed():
            training.save()
        target = Path(checkpoint_dir) / _TRAINING
        shutil.rmtree(target, ignore_errors=True)  # who calls `save` may name a folder that has one
        shutil.copytree(self._folder.name, target)
        (Path(checkpoint_dir) / _EPOCH).write_text(str(training.epoch))

    def load_checkpoint(self, checkpoint_dir: str) -> None:
        """Go on where a checkpoint was written, with this trial's own values.

        Raises:
            SearchFailedError: If the checkpoint is damaged.
            InputError: If it is of a model of another shape, of other data or another seed.
        """
        self._end()
        self._folder = _own_folder()
        shutil.copytree(Path(checkpoint_dir) / _TRAINING, self._folder.name, dirs_exist_ok=True)
        wanted, found = int((Path(checkpoint_dir) / _EPOCH).read_text()), self._started().epoch
        if found != wanted:
            raise SearchFailedError(f"a checkpoint of epoch {wanted} is damaged: what can be read is of epoch {found}")

    def cleanup(self) -> None:
        """Leave no files behind."""
        self._end()

    def _begin(self, config: Mapping[str, Any]) -> None:
        # What is wrong with it is said by the first step: an error there is the trial's, with its own text.
        self._config = dict(config)
        self._training = None
        self._folder = _own_folder()

    def _end(self) -> None:
        if isinstance(self._training, ClosingTraining):
            self._training.close()
        self._training = None
        self._folder.cleanup()

    def _started(self) -> Training:
        """The training, built and with the checkpoint in its folder taken up, if there is one."""
        if self._training is None:
            spec, stage = self.recipe.spec, self.recipe.spec.stages[0]
            values = {**spec.fixed, **stage.fixed, **values_of(spec, self._config)}
            method = load_method(spec.method)
            taken = self.trial_resources.required_resources if self.trial_resources is not None else {}
            job = TrialJob(
                number=None,
                config=method.Config(**full_config(spec.method, values)),
                data=DataRequest(spec.data.name, spec.data.options, stage.data_fraction, spec.seed),
                seed=self.recipe.seed,
                folder=Path(self._folder.name),
                assets=AssetStore(),
                warm=self._warm,
                device="cuda" if taken.get("GPU") else "cpu",
                threads=max(1, int(taken.get("CPU", spec.resources.cpu))),
            )
            with sealed():
                training = method.start(job)
                training.restore()
            self._training = training
        return self._training


def _own_folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="searchplat-")
