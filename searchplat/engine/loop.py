"""The search itself: start what waits while slots are free, wait for a message, write it down, judge it.

    plan.waiting(), a trial that was suggested -> ledger.start -> pool.take -> group.greet()
    if none waits: plan.next() -> a control, begun so too; or SuggestionDue -> suggestions.begin -> in a thread,
                                  plan.suggest -> searcher.suggest -> ledger.suggest, and one waits; or nothing for now
    ray.wait -> a greeting -> group.train(order)
             -> a message  -> judge.goes_on -> ledger.report, ledger.end by the rules -> the next epoch, or a free slot

A process first greets, so that it is known to have started, and is then sent its order. All but suggestions happens
here, one thing after the other. What becomes of the results begins in `promotion.promote`.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import ray
from ray.exceptions import RayError

from searchplat.engine.cluster.connect import gone
from searchplat.engine.cluster.host_loss import HostLosses
from searchplat.engine.cluster.pool import Pool, WorkerGroup
from searchplat.engine.cluster.reply import Reply
from searchplat.engine.judging.judge import Judge
from searchplat.engine.planning.plan import Plan, SuggestionDue, Turn
from searchplat.engine.planning.suggestions import Suggestions
from searchplat.engine.shutdown.shutdown import Shutdown
from searchplat.engine.shutdown.supervisor import RAY_ENDED
from searchplat.engine.steering.steering import Steering
from searchplat.engine.worker.messages import Message
from searchplat.errors import RayEndedError
from searchplat.ledger import TrialRecord
from searchplat.searchers.contract import TrialState

if TYPE_CHECKING:
    from searchplat.engine.worker.order import Order

_LOOK_S = 0.1
"""Seconds for which the loop waits at most before it looks for signals and new nodes."""
_SOON_S = 0.01
"""The same while a slot waits for the suggestion that is being computed."""
_GOOD_ORDER_S = 3.0
"""Seconds that idle processes get to remove what they have of trials from their machines."""
_STARTS_S = 300.0
"""Seconds after which a process that has not started gives its trial to an idle one: there may be no room for it."""


@dataclass
class _Running:
    """A trial on a worker."""

    trial: int
    order: Order
    group: WorkerGroup
    new: bool
    """Whether the worker's process was started for this trial, so that its death counts against the trial."""
    answered: bool = False
    """Whether the process has said that it is there."""
    since: float = field(default_factory=time.monotonic)


class Loop:
    """Runs what the plan still holds.

    The number of slots may depend on the trial that was begun last, as stages may differ in what their trials take.

    Args:
        plan: Where trials come from.
        judge: Writes messages down and says which trials go on.
        pool: The processes.
        order_of: What to send to a trial's process.
        slots: Trials that may run at once now; asked anew each time, since nodes come and go.
        remove_checkpoints: Called with every trial that ends without a word: by the deaths of its workers, or by hand.
        steering: What is asked of the search while it runs.
        on_round: Called once a round.
        shutdown: When to end.
        max_deaths: Times that a trial is taken up again after its worker died.
    """

    def __init__(
        self,
        plan: Plan,
        judge: Judge,
        pool: Pool,
        *,
        order_of: Callable[[TrialRecord], Order],
        slots: Callable[[], int],
        remove_checkpoints: Callable[[TrialRecord], None],
        steering: Steering,
        on_round: Callable[[], None],
        shutdown: Shutdown,
        max_deaths: int,
    ) -> None:
        self._max_deaths = max_deaths
        self._plan, self._ledger, self._judge, self._pool, self._shutdown = plan, plan.ledger, judge, pool, shutdown
        self._order_of, self._slots, self._remove_checkpoints, self._on_round = (
            order_of,
            slots,
            remove_checkpoints,
            on_round,
        )
        self._steering = steering
        self._suggestions = Suggestions(plan, shutdown)
        self._running: dict[Reply, _Running] = {}
        self._ended_by_hand: dict[Reply, int] = {}  # trials that were ended by hand, whose processes may still write
        self._deaths: Counter[int] = Counter()
        self._room = 0  # slots that are free

    def run(self) -> None:
        """Until the plan is done or it is time to end; an error of the moment is kept by `shutdown`.

        Raises:
            Exception: What a suggestion failed for.
        """
        try:
            while not self._shutdown.due(len(self._running)):
                self._on_round()
                turn: Turn | None = None
                if self._shutdown.asked:
                    # What has not begun to train has nothing to report.
                    self._drop(lambda one: not one.answered)
                else:
                    with self._shutdown.guarding():
                        self._steering.apply(self._end_by_hand)
                        turn = self._pause() if self._steering.paused else self._start()
                if turn is Turn.DONE and not self._running:
                    return
                self._remove_again()
                losses = HostLosses()
                for reply in self._replies():
                    with self._shutdown.guarding():
                        self._hear(reply, losses)
        finally:
            if not gone():
                self._drop(lambda one: True)
                self._pool.end(0.0 if self._shutdown.asked else _GOOD_ORDER_S)
                self._remove_again(within_s=_GOOD_ORDER_S)
            # What is thought of once the end was asked for is not needed; a late one finds the ledger closed.
            self._suggestions.wait(1.0 if self._shutdown.asked else 60.0)

    # ------------------------------------------------------------------ starting

    def _start(self) -> Turn | None:
        """Hand out trials while there are slots, and have more suggested.

        Returns:
            What the plan says in place of another trial; None while it has more, or will have once they are suggested.

        Raises:
            Exception: What a suggestion failed for.
        """
        turn: Turn | None = None
        slots = self._slots()
        while not self._shutdown.asked and len(self._running) < slots:
            trial = self._plan.waiting()
            if trial is None and not self._suggestions.under_way:
                found = self._plan.next()
                if isinstance(found, SuggestionDue):
                    self._suggestions.begin(found.stage, slots)
                elif isinstance(found, Turn):
                    turn = found
                else:
                    trial = found
            if trial is None:
                break
            self._begin(trial)
            slots = self._slots()  # another stage's trials may take more or less
        if not slots:  # no machine is there; the last may have left with nothing more to do for it
            turn = Turn.DONE if self._plan.done else None
        self._room = max(0, slots - len(self._running))
        if not self._room:
            self._suggestions.begin_ahead(slots)
        self._hand_over(patience_s=_STARTS_S if turn is None else 0.0)
        self._pool.trim_idle(0 if turn is Turn.LAST else self._room)
        return turn

    def _begin(self, trial: TrialRecord) -> None:
        self._ledger.start(trial.number)
        self._place(trial.number, self._order_of(trial))

    def _place(self, number: int, order: Order) -> None:
        group, new = self._pool.take(order)
        self._running[group.greet()] = _Running(number, order, group, new)

    def _hand_over(self, patience_s: float) -> None:
        """Give idle processes to trials whose own does not start: what holds its room may be the idle one itself.

        Args:
            patience_s: Seconds that a process may take to start; 0 where no other trial will come for the idle ones.
        """
        late = time.monotonic() - patience_s
        for reply, one in list(self._running.items()):
            if one.answered or not one.new or one.since > late:
                continue
            if (idle := self._pool.idle(one.group.held)) is None:
                continue
            del self._running[reply]
            one.group.kill()
            self._running[idle.greet()] = replace(one, group=idle, new=False)

    # ------------------------------------------------------------------ steering

    def _pause(self) -> Turn | None:
        """Begin nothing, and leave what is not needed to others on the cluster."""
        self._room = 0
        if self._steering.at_once:
            for number in self._drop(lambda one: not one.answered):
                self._ledger.requeue(number)
        self._pool.trim_idle(0)
        return Turn.DONE if self._plan.done else None

    def _end_by_hand(self, number: int) -> None:
        """End the process of a trial that has ended, should it have one."""
        ended = [reply for reply, one in self._running.items() if one.trial == number]
        self._drop(lambda one: one.trial == number)
        self._ended_by_hand |= dict.fromkeys(ended, number)
        self._remove_checkpoints(self._ledger.trial(number))

    def _remove_again(self, within_s: float = 0.0) -> None:
        """Remove once more what processes wrote until they were ended."""
        if not self._ended_by_hand:
            return
        refs = [ref for reply in self._ended_by_hand for ref in reply.refs]
        ready, _ = ray.wait(refs, num_returns=len(refs), timeout=within_s)
        for reply in [reply for reply in self._ended_by_hand if {*reply.refs} <= {*ready}]:
            self._remove_checkpoints(self._ledger.trial(self._ended_by_hand.pop(reply)))

    # ------------------------------------------------------------------ hearing

    def _replies(self) -> list[Reply]:
        """What has been answered, once there is something or a moment has passed."""
        within_s = _SOON_S if self._room and self._suggestions.under_way else _LOOK_S
        if not self._running:
            (self._suggestions.wait if self._suggestions.under_way else time.sleep)(within_s)
            return []
        open_ = [ref for reply in self._running for ref in reply.open]
        ready, _ = ray.wait(open_, timeout=within_s)
        if ready:  # all that came by now, not the first alone
            ready, _ = ray.wait(open_, num_returns=len(open_), timeout=0)
        heard = {*ready}
        return [reply for reply in self._running if reply.hear(heard)]

    def _hear(self, reply: Reply, losses: HostLosses) -> None:
        one = self._running.pop(reply)
        try:
            said = reply.said()
        except RayError as error:
            self._lost(one, error, losses)
            return
        if said is None:
            self._greeted(one)
        else:
            self._told(one, Message.from_json(said))

    def _greeted(self, one: _Running) -> None:
        """The process is there."""
        if self._shutdown.asked:
            self._free(one)
        elif self._steering.at_once:
            self._set_aside(one)
        else:
            one.answered = True
            self._running[one.group.train(one.order)] = one

    def _told(self, one: _Running, message: Message) -> None:
        """An epoch, or an end."""
        goes_on = False
        # Once an error has ended the search nothing is written: the epoch is in the trial's checkpoint, to be reported
        # again. A trial that goes on stays running in the ledger, and waits once the search has ended.
        if self._shutdown.error is None:
            with self._shutdown.guarding():
                goes_on = self._judge.goes_on(one.trial, message)
        if not goes_on or self._shutdown.asked:
            one.group.close()  # a program of its own would go on
            self._free(one)
        elif self._steering.at_once:
            self._set_aside(one)
        else:
            self._running[one.group.train(None)] = one

    def _set_aside(self, one: _Running) -> None:
        """Its trial waits; what it has trained is in its checkpoint."""
        one.group.close()
        self._ledger.requeue(one.trial)
        self._free(one)

    def _free(self, one: _Running) -> None:
        """A slot and a worker are free."""
        self._suggestions.pace.ended(time.monotonic() - one.since)
        self._pool.give_back(one.group)

    def _drop(self, which: Callable[[_Running], bool]) -> list[int]:
        """End processes under trials, whose numbers are returned; the ledger has these as before."""
        dropped = [(reply, one) for reply, one in self._running.items() if which(one)]
        for reply, one in dropped:
            del self._running[reply]
            one.group.kill()
        return [one.trial for _, one in dropped]

    # ------------------------------------------------------------------ losses

    def _lost(self, one: _Running, error: RayError, losses: HostLosses) -> None:
        """A worker died: its trial is taken up again, or fails after too many deaths."""
        if self._shutdown.asked:  # a signal that ends the driver may well have ended its workers too, and Ray
            return
        if gone():
            raise RayEndedError(RAY_ENDED) from error
        one.group.kill()
        if not (one.answered or one.new):  # an idle process, which died before it began this trial
            self._place(one.trial, one.order)
            return
        lost_host = losses.host_died(str(error))
        if not lost_host:  # else it is no fault of the trial's
            self._deaths[one.trial] += 1
        if self._deaths[one.trial] > self._max_deaths:
            self._ledger.end(one.trial, TrialState.FAILED, "its workers died more often than is retried")
            self._remove_checkpoints(self._ledger.trial(one.trial))
        else:
            self._ledger.retry(one.trial, "its host died" if lost_host else "worker died")
            if len(self._running) < self._slots() and not self._steering.at_once:
                self._place(one.trial, one.order)
            else:  # there is less room than before, or nothing is to run
                self._ledger.requeue(one.trial)
