"""What trials need of data and weights, and who sees to it that it is there before the first of them starts.

The driver prepares for its own machine here. On a cluster each other host does the same once; see `cluster.hosts`.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

from searchplat import protocol
from searchplat.assets import AssetStore
from searchplat.contract import AssetSource, DataRequest, Values
from searchplat.engine.monitor import Monitor
from searchplat.engine.planning.past import gather
from searchplat.engine.worker.order import Order
from searchplat.ledger.folder import SearchFolder
from searchplat.methods import imports, imports_allowed, load_dataset, load_method
from searchplat.spec.model import DataSpec, SearchSpec, StageSpec
from searchplat.spec.space import Categorical


@dataclass(frozen=True)
class Need:
    """What `Method.prepare` is called with, in plain values.

    Args:
        values: Over the method's defaults.
        fraction: Share of the users.
        allow_import: Whether the method may be named `module:attribute`; by default as in this process.
    """

    method: str
    values: Values
    data: str
    data_options: Values
    fraction: float
    seed: int
    allow_import: bool = field(default_factory=imports_allowed)

    @property
    def key(self) -> str:
        """Equal for equal needs."""
        return json.dumps([self.method, self.values, self.data, self.data_options, self.fraction, self.seed])

    def prepare(self, assets: AssetSource) -> None:
        """Fetch and prepare it on this machine.

        Raises:
            InputError: If it cannot be had.
        """
        with imports() if self.allow_import else nullcontext():
            method = load_method(self.method)
            options, values = protocol.renewed(self.data_options, self.values)
            request = DataRequest(self.data, options, self.fraction, self.seed)
            method.prepare(method.Config(**values), request, assets)

    def serves(self, order: Order) -> bool:
        """Whether a trial has what it needs where this was prepared."""
        if (self.method, self.fraction, self.data, self.seed) != (
            order.method, order.data_fraction, order.data, order.data_seed
        ):  # fmt: skip
            return False
        _, values = protocol.renewed({}, self.values)
        config = load_method(self.method).Config(**values).model_dump(mode="json")
        return all(order.config.get(name) == config[name] for name in values)


def need_of(order: Order, needs: Iterable[Need]) -> Need:
    """The first of a search's needs that serves a trial; what its own configuration needs where none does."""
    for need in needs:
        if need.serves(order):
            return need
    return Need(
        order.method, order.config, order.data, order.data_options, order.data_fraction, order.data_seed,
        order.allow_import,
    )  # fmt: skip


def needs_of(spec: SearchSpec) -> tuple[Need, ...]:
    """What the trials of a search need: fixed values and defaults, and every choice of fields in `prepared_by`."""
    wanted: dict[str, Need] = {}

    def want(method: str, values: Mapping[str, Any], fraction: float) -> None:
        need = Need(method, dict(values), spec.data.name, dict(spec.data.options), fraction, spec.seed)
        wanted.setdefault(json.dumps([method, values, fraction], sort_keys=True), need)

    for stage in spec.stages:
        for choices in _choices_to_prepare(spec, stage):
            want(spec.method, {**spec.fixed, **stage.fixed, **choices}, stage.data_fraction)
    for control in spec.controls:
        fixed = {} if control.method else {**spec.fixed, **spec.stages[-1].fixed}
        want(control.method or spec.method, {**fixed, **control.values}, control.data_fraction)
    return tuple(wanted.values())


def prepare(spec: SearchSpec, monitor: Monitor, assets: AssetSource | None = None) -> None:
    """Fetch and prepare what trials will need on this machine, once, before any of them starts."""
    said = set()
    for need in needs_of(spec):
        if (need.method, need.fraction) not in said:
            said.add((need.method, need.fraction))
            monitor.prepare(f"preparing data and weights for {need.method} on {need.fraction:.0%} of the users")
        need.prepare(assets or AssetStore())
    for warning in data_warnings(spec.data, assets or AssetStore()):
        monitor.event(warning)


def check_there(spec: SearchSpec, folder: SearchFolder) -> None:
    """See that what a search begins with is there, as far as that is known without reading data.

    Args:
        folder: Of the search; one that has begun has read what it learns from.

    Raises:
        InputError: If a file of somebody's own is not there, or a search to learn from cannot be learnt from.
    """
    if not folder.exists():
        gather(spec, folder.path.parent)
    if (check := getattr(load_dataset(spec.data.name), "check", None)) is not None:
        check(spec.data.options)


def data_warnings(data: DataSpec, assets: AssetSource) -> list[str]:
    """What the data set says that it let pass in its files, a sentence each.

    Raises:
        InputError: If it cannot be had.
    """
    told = getattr(load_dataset(data.name), "warnings", None)
    return [] if told is None else [f"data {data.name}: {warning}" for warning in told(assets, data.options)]


def _choices_to_prepare(spec: SearchSpec, stage: StageSpec) -> Iterator[dict[str, Any]]:
    """All combinations of the stage's choices for fields in the method's `prepared_by`."""
    names = getattr(load_method(spec.method), "prepared_by", ())
    axes = [
        [(axis.name, choice) for choice in axis.choices]
        for axis in spec.space.only(stage.over).domains
        if axis.name in names and isinstance(axis, Categorical) and not axis.when
    ]
    for choices in itertools.product(*axes):
        yield dict(choices)
