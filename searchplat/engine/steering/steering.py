"""How requests steer a running search: what the loop asks at every turn, and what it lets be done to it.

A pause holds for this run alone: the command that goes on with a search means to. Numbers of trials hold for good; how
many run at once holds as long as the space says what it said then. What is asked for holds before it is answered, as
whoever hears the answer may look at once.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

from searchplat.engine.planning import budgets, closing
from searchplat.engine.planning.plan import Plan
from searchplat.engine.steering import changes, state
from searchplat.engine.steering.post import Post
from searchplat.engine.steering.requests import Request, words
from searchplat.errors import InputError
from searchplat.ledger import Ledger
from searchplat.searchers.contract import TrialState
from searchplat.spec.model import Resources, SearchSpec

_CONCURRENT = "concurrent"


def concurrent_of(spec: SearchSpec, ledger: Ledger) -> int | None:
    """Trials at once: what was set for this space, else what it says."""
    said = json.loads(ledger.meta(_CONCURRENT) or "null")
    asked: int | None = spec.resources.concurrent
    if said is not None and said["space"] == asked:
        asked = said["value"]
    return asked


class Steering:
    """What has been asked of this run.

    Args:
        plan: Its numbers of trials are changed.
        post: Where requests come from.
    """

    def __init__(self, plan: Plan, post: Post) -> None:
        self._plan, self._ledger, self._post = plan, plan.ledger, post
        self._concurrent = concurrent_of(plan.spec, plan.ledger)
        self.paused = False
        """Whether nothing new begins."""
        self.at_once = False
        """Whether running trials are to wait as well, once the epochs under way have been reported."""

    def resources(self, of: Resources) -> Resources:
        """What trials take, with how many of them may run at once now."""
        return replace(of, concurrent=self._concurrent)

    def ready(self) -> int:
        """Trials that could be at work now, were there room. Any thread may ask."""
        if self.paused:
            return sum(trial.state is TrialState.RUNNING for trial in self._ledger.open_trials())
        ready = self._plan.ready()
        return ready if self._concurrent is None else min(ready, self._concurrent)

    def apply(self, end_trial: Callable[[int], None]) -> None:
        """Carry out what has come since the last call.

        Args:
            end_trial: Ends the process of a trial that the ledger has as ended, if it has one.
        """
        for request in self._post.take():
            match request.action:
                case "pause":
                    self._pause(request)
                case "resume":
                    self._resume(request)
                case "stop-trial":
                    self._stop(request, end_trial)
                case "set":
                    self._set(request)

    def _pause(self, request: Request) -> None:
        if self.paused and (self.at_once or not request.now):
            self._post.settle(request, state.UNCHANGED, "it is paused already")
            return
        how = "running trials go on once it is resumed" if request.now else "running trials go on to their ends"
        self.paused, self.at_once = True, request.now
        self._post.settle(request, state.PAUSED, f"paused by {request.by}; {how}", now=request.now)

    def _resume(self, request: Request) -> None:
        if not self.paused:
            self._post.settle(request, state.UNCHANGED, "it is not paused")
            return
        self.paused = self.at_once = False
        self._post.settle(request, state.RESUMED, f"resumed by {request.by}")

    def _stop(self, request: Request, end_trial: Callable[[int], None]) -> None:
        assert request.trial is not None
        try:
            trial = self._ledger.trial(request.trial)
        except InputError:
            count = self._ledger.next_number
            said = f"trial {request.trial} does not exist; there are {count}, from 0"
            self._post.settle(request, state.REFUSED, said)
            return
        if trial.state.final:
            again = trial.cause == state.BY_HAND
            said = f"trial {trial.number} has ended already: {trial.cause if again else trial.state}"
            self._post.settle(request, state.UNCHANGED if again else state.REFUSED, said)
            return

        def end() -> None:
            self._ledger.end(trial.number, TrialState.STOPPED, state.BY_HAND)

        had = f"after epoch {trial.epoch}" if trial.epoch else "before its first report"
        self._post.settle(
            request, state.STOPPED_TRIAL, f"trial {trial.number} stopped {had} by {request.by}", end, of=trial.number
        )
        end_trial(trial.number)

    def _set(self, request: Request) -> None:
        spec, plan, asked = self._plan.spec, self._plan, request.changes
        try:
            after = changes.planned(asked, plan)
        except InputError as error:
            self._post.settle(request, state.REFUSED, str(error))
            return
        stages = {name: number for key, number in asked.items() if (name := changes.stage_of(key)) and number}
        concurrent = asked.get(changes.CONCURRENT, self._concurrent)
        if after == plan.budgets and concurrent == self._concurrent:
            self._post.settle(request, state.UNCHANGED, f"{words(request)}: so it is already")
            return

        def record() -> None:
            if (total := asked.get(changes.TRIALS)) is not None:
                budgets.record_total(self._ledger, total)
            if stages:
                budgets.record_stages(spec, self._ledger, stages)
            closing.go_on(self._ledger, after, before)
            if changes.CONCURRENT in asked:
                kept = {"value": concurrent, "space": spec.resources.concurrent}
                self._ledger.set_meta(_CONCURRENT, json.dumps(kept))

        parts = [f"stage {name}: trials={after[name]}" for name in after if after[name] != plan.budgets[name]]
        if concurrent != self._concurrent:
            parts.append("as many trials at once as fit" if concurrent is None else f"concurrent={concurrent}")
        before, plan.budgets, self._concurrent = plan.budgets, after, concurrent
        self._post.settle(request, state.SET, f"{'; '.join(parts)}, as {request.by} asks", record)
