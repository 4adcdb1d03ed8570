"""The share of a machine that each stage's trials take: as the space says, or measured once and kept in the ledger.

Only what is `auto` is measured. Controls, which may be other methods, and what cannot be measured take what
`arithmetic.unmeasured` says. A choice is kept under everything that it depends on, so a later stage whose trials cost
the same, and the search when it is taken up again, measure nothing.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from searchplat.contract import ProgramMethod
from searchplat.engine.planning.epochs import most_epochs
from searchplat.engine.planning.plan import Plan
from searchplat.engine.planning.seeds import derive_seed
from searchplat.engine.shutdown.shutdown import Shutdown
from searchplat.engine.sizing.arithmetic import Allocation, Choice, Machine, best, candidates, pays, reason, sized
from searchplat.engine.sizing.cost_classes import CostClass, cost_classes
from searchplat.engine.worker.order import Order
from searchplat.ledger import Ledger, TrialRecord
from searchplat.methods import load_method
from searchplat.spec.model import CONTROLS, Resources, SearchSpec, StageSpec

_META = "packing"


def recorded(ledger: Ledger) -> dict[str, Choice]:
    """The measured choices of a search, by stage; empty where nothing was measured."""
    kept = _kept(ledger)
    return {stage: Choice.from_json(kept["choices"][key]) for stage, key in kept["stages"].items()}


def said(ledger: Ledger) -> str | None:
    """All measured choices in a line, for people; None where nothing was measured."""
    found: dict[str, list[str]] = {}
    for stage, choice in recorded(ledger).items():
        found.setdefault(f"{choice.share.words()} ({choice.reason})", []).append(stage)
    return "; ".join(f"{', '.join(stages)}: {what}" for what, stages in found.items()) or None


def for_promotion(ledger: Ledger, spec: SearchSpec) -> Resources:
    """What a process of a promotion takes: under `cpu: auto` the cores measured for the last stage's trials.

    How many train a model together is the promotion's to say.
    """
    choice = recorded(ledger).get(spec.stages[-1].name)
    one = replace(spec.resources, workers=1)
    return choice.share.of(one, gpu=False) if one.cpu_auto and choice else one


class Allocations:
    """Which share a trial gets. Ray must be connected.

    Args:
        scratch: A folder for what probe trainings write; it is removed.
        begin: Told that something slow begins.
        tell: Told what came of it.
    """

    def __init__(
        self,
        spec: SearchSpec,
        ledger: Ledger,
        plan: Plan,
        scratch: Path,
        shutdown: Shutdown,
        begin: Callable[[str], None],
        tell: Callable[[str], None],
    ) -> None:
        from searchplat.engine.cluster.connect import gpu_share

        self._spec, self._ledger, self._plan, self._shutdown = spec, ledger, plan, shutdown
        self._scratch, self._begin, self._tell = scratch, begin, tell
        resources = spec.resources
        self._usual = Allocation(1, resources.cpu, gpu_share(resources))
        self._of = {stage: choice.share for stage, choice in recorded(ledger).items()}
        self._now = self._usual

    def hand_out(self, trial: TrialRecord) -> Allocation:
        """The share of a trial that begins now."""
        self._now = self._share(trial.stage)
        return self._now

    def resources(self) -> Resources:
        """The space's resources with what a trial takes that begins at present."""
        return self._now.of(self._spec.resources)

    @property
    def gpus(self) -> Mapping[str, float]:
        """GPUs that a trial takes, all its workers together, by stage, that of controls under their stage's name."""
        names = (CONTROLS, *(stage.name for stage in self._spec.stages))
        return {name: self._share(name).gpu * self._spec.resources.workers for name in names}

    def _share(self, stage: str) -> Allocation:
        return self._of.get(stage, self._usual)

    def measure(self) -> None:
        """Choose a share for every stage that still has trials to come, measuring what is not known yet."""
        from searchplat.engine.sizing.probe import machine

        resources = self._spec.resources
        on_gpu = resources.gpu is None and self._usual.gpu > 0
        where = machine(on_gpu or bool(resources.gpu)) if on_gpu or resources.cpu_auto else None
        # What a program takes, in a process of its own, is not seen from here; and workers have a GPU each.
        if where is None or resources.workers > 1 or isinstance(load_method(self._spec.method), ProgramMethod):
            self._of = {}  # also where an earlier run had asked for measuring
            return
        keys: dict[str, list[StageSpec]] = {}
        for stage in self._spec.stages:
            if self._trials_left(stage):
                keys.setdefault(self._key(stage, where[0]), []).append(stage)
        for key, stages in keys.items():
            choice = self._kept(key, where[0]) or self._measured(stages, where)
            self._assign(stages, key, choice)
        self._now = self._share(next((stages[0].name for stages in keys.values()), CONTROLS))

    def _assign(self, stages: list[StageSpec], key: str, choice: Choice | None) -> None:
        """Remember what stages take; without a choice what they would without measuring."""
        kept = _kept(self._ledger)
        for stage in stages:
            if choice is None:
                kept["stages"].pop(stage.name, None)
            else:
                kept["choices"][key] = choice.to_json()
                kept["stages"][stage.name] = key
            self._of[stage.name] = self._usual if choice is None else choice.share
        self._ledger.set_meta(_META, json.dumps(kept, sort_keys=True))

    def _kept(self, key: str, machine: Machine) -> Choice | None:
        """The choice of an earlier run or stage, if as much memory is there now as it needs."""
        document = _kept(self._ledger)["choices"].get(key)
        if document is None:
            return None
        choice = Choice.from_json(document)
        return choice if sized(choice.share, choice.peaks, machine) is not None else None

    def _measured(self, stages: list[StageSpec], where: tuple[Machine, str]) -> Choice | None:
        """Measure and say the choice, as an event too; None if nothing could be measured, which is said as well."""
        from searchplat.engine.sizing.probe import measure

        names = ", ".join(stage.name for stage in stages)
        shares = candidates(where[0], self._spec.resources)
        if len(shares) == 1:
            why = "no smaller share comes into question"
            return self._told(stages, Choice(shares[0], why, machine=where[0].name))
        classes = cost_classes(self._spec, stages[0])
        epochs_left = sum(self._trials_left(stage) * most_epochs(self._spec, stage) for stage in stages)
        budget = self._spec.resources.probe_s
        if budget == 0:
            self._skip(stages, "probe_s is 0")
            return None
        if budget is None and not pays(len(classes), shares, epochs_left):
            self._skip(stages, "the stage is too short for it; probe_s allows it all the same")
            return None
        self._begin(f"measuring how many trials of stage {names} run best at once")
        folder = self._scratch / "probes"
        try:
            found = measure(
                [(one.name, self._order(stages[0], one)) for one in classes],
                shares,
                where,
                epochs=most_epochs(self._spec, stages[0]),
                epochs_left=epochs_left,
                budget_s=budget,
                folder=folder,
                stopping=lambda: self._shutdown.asked,
            )
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        if len(found.rates) + len(found.refused) < 2:  # one rate alone compares with nothing
            if not self._shutdown.asked:
                self._skip(stages, found.cause or "nothing could be compared")
            return None
        chosen = best(found.rates)
        share = found.shares[found.rates.index(chosen)]
        why = reason("GPU" if share.gpu else "node", found.rates, found.refused, chosen)
        peaks, rates = tuple(found.peaks), tuple(found.rates)
        return self._told(stages, Choice(share, why, peaks, rates, round(found.seconds, 3), where[0].name))

    def _told(self, stages: list[StageSpec], choice: Choice) -> Choice:
        names = [stage.name for stage in stages]
        self._ledger.note("packed", {"stages": names, **choice.to_json()})
        self._tell(f"stage {', '.join(names)}: a trial takes {choice.share.words()}; {choice.reason}")
        return choice

    def _skip(self, stages: list[StageSpec], why: str) -> None:
        names = [stage.name for stage in stages]
        self._ledger.note("packed", {"stages": names, "skipped": why})
        self._tell(f"stage {', '.join(names)}: a trial takes {self._usual.words()}, unmeasured: {why}")

    def _trials_left(self, stage: StageSpec) -> int:
        done = sum(trial.stage == stage.name and trial.state.final for trial in self._ledger.trials())
        return max(0, self._plan.planned(stage) - done)

    def _order(self, stage: StageSpec, one: CostClass) -> Order:
        spec = self._spec
        return Order(
            number=None,
            method=spec.method,
            config=one.config,
            data=spec.data.name,
            data_options=dict(spec.data.options),
            data_fraction=stage.data_fraction,
            data_seed=spec.seed,
            seed=derive_seed(spec.seed, "probe"),
            folder="",  # every training gets its own
            timeout_s=spec.resources.timeout_s,
        )

    def _key(self, stage: StageSpec, machine: Machine) -> str:
        """By what a choice is found again: all that what trials cost depends on."""
        spec, resources = self._spec, self._spec.resources
        parts = [
            spec.method, spec.data.name, dict(spec.data.options), stage.data_fraction,
            [one.config for one in cost_classes(spec, stage)],
            [resources.cpu, resources.cpu_auto, resources.gpu, resources.concurrent], machine.name,
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _kept(ledger: Ledger) -> dict[str, Any]:
    text = ledger.meta(_META)
    kept: dict[str, Any] = {"choices": {}, "stages": {}} if text is None else json.loads(text)
    return kept
