"""Starts a promotion, or takes it up where it was, and runs it to its end.

ledger -> candidates.choose -> preconditions -> record.PromotionStore.create
Ray Train's workers, in lanes, ask Drive.answer:
    Next     -> stop who can no longer win (race.beaten), plan the final runs after the race -> the next run
    Epoch    -> record
    MayTest  -> permit.open_test counts it -> promotion_runs.run opens the test split with the permit
    Measured -> record
record.Promotion.winner -> MLflow's registry -> outcome
"""

from __future__ import annotations

import os
import shutil
from dataclasses import asdict, dataclass, replace
from functools import partial

from pydantic import ValidationError

from searchplat import protocol
from searchplat.assets import AssetStore
from searchplat.contract import Values
from searchplat.engine.checkpoints.retention import Remover, of_promotion
from searchplat.engine.checkpoints.storage import Storage
from searchplat.engine.cluster.auth import is_own, load_ray
from searchplat.engine.cluster.room import check_room, check_workers, this_machine, workers_on
from searchplat.engine.places import HERE, Places
from searchplat.engine.prepare import Need, data_warnings
from searchplat.engine.resuming.opening import is_study
from searchplat.engine.shutdown.shutdown import Shutdown
from searchplat.engine.shutdown.supervisor import Supervisor
from searchplat.engine.sizing.choose import for_promotion
from searchplat.engine.steering.post import Post
from searchplat.engine.steering.requests import RequestFolder
from searchplat.engine.worker.messages import WRONG_INPUT
from searchplat.errors import InputError, SearchFailedError
from searchplat.ledger import Ledger, lineage
from searchplat.ledger.folder import SearchFolder
from searchplat.ledger.ranking import place_of
from searchplat.methods import load_method, look_in
from searchplat.promotion.candidates import AS_THE_SPACE, Asked, Candidate, Sizes, choose
from searchplat.promotion.drive import Drive, Say
from searchplat.promotion.preconditions import (
    check_changes,
    check_methods,
    check_metrics,
    check_objective,
    mixed,
)
from searchplat.promotion.record import (
    FAILED,
    FINAL,
    FINISHED,
    RACE,
    Promotion,
    PromotionRun,
    PromotionStore,
    folders_of,
)
from searchplat.signals import Interrupted
from searchplat.spec import from_document
from searchplat.spec.model import SearchSpec
from searchplat.tracking.registry.pack import Registered, register_winner
from searchplat.tracking.sending.promotion_runs import PromotionSink

_ELSEWHERE = "promote where there is as much as in the search: on a larger machine, or on a cluster with --address"


@dataclass(frozen=True)
class PromotionOutcome:
    """How a promotion ended.

    Args:
        state: `done`, `interrupted`.
        exit_code: 0, or 128 + the signal.
        unsent_runs: Runs that MLflow has not got; the same command sends them.
        registered: The winner as a registered model; None if it could not be registered.
    """

    promotion: Promotion
    state: str
    exit_code: int
    message: str
    unsent_runs: int = 0
    registered: Registered | None = None


def run_promotion(
    search: str,
    *,
    asked: Asked = AS_THE_SPACE,
    workers: int = 1,
    again: bool = False,
    allow_changed: bool = False,
    places: Places = HERE,
    say: Say = lambda line: None,
) -> PromotionOutcome:
    """Promote a search, or go on with its promotion.

    Args:
        search: The search's name.
        asked: What is promoted, and how far.
        workers: Processes that train each final run together.
        again: Begin another promotion although there was one.
        allow_changed: Go on although space, data, code or packages are not those of the search.
        places: Where it runs and what it writes to. What a training leaves comes to the search's folder, whatever the
            storage.
        say: Told one line for every step.

    Raises:
        InputError: If there is no such search, a method cannot be promoted, the search was promoted otherwise, its
            lineage has changed, or a training has no room on this machine. Nothing was started.
        SearchFailedError: If no candidate of the search could be trained.
        TryAgainError: If another process runs or promotes the search, the storage fails, or a disk is full.
    """
    folder = SearchFolder(places.root, search)
    folder.read().close()  # before the lock makes a folder of that name
    uri, address = places.mlflow, places.cluster()
    with folder.held(), Ledger.open(folder.ledger_path) as ledger:
        if is_study(ledger):
            raise InputError(
                f"{search!r} is a study: a loop of its own ran its trials, how is not known, and so it cannot be "
                "promoted; search the same space by `searchplat search`, then promote that"
            )
        spec = from_document(ledger.document())
        if asked.test is not None:
            spec = replace(spec, promotion=replace(spec.promotion, test=asked.test))
        place = place_of(spec.objectives, asked.by)
        if place is not None:
            spec = replace(spec, objectives=(spec.objectives[place],))
            check_objective(spec.objectives[0].metric, search, places.root)
        spec = replace(spec, resources=for_promotion(ledger, spec))
        alone = place is not None and len(ledger.objectives) > 1
        sizes = asked.sizes(spec.promotion, spec.objectives[0].metric if alone else None)
        store = PromotionStore(ledger, folder.path)
        number = _known(store, search, sizes, again)
        if number is None:
            candidates = choose(ledger, search, sizes.top, place, sizes.trials)
        else:  # those that it began with, though the search may have gone on
            candidates = [Candidate(**one) for one in store.more(number)["candidates"]]
        look_in(spec.source.parent, [candidate.method for candidate in candidates])
        check_methods(candidates)
        check_metrics(spec.promotion.test, candidates)
        now = lineage.now(spec, AssetStore())
        before = [*lineage.recorded(ledger), *([] if number is None else [store.load(number).lineage])]
        check_changes(search, before, now, allow_changed, say)
        if open_ := sum(not trial.state.final for trial in ledger.trials()):
            say(f"{search} has not ended: {open_} of its trials are open and cannot be chosen")
        if number is None:
            check_room(spec.resources, address, remedy=_ELSEWHERE)
        if is_own(address):
            check_workers(workers, spec.resources, workers_on(this_machine(), spec.resources))
        if number is None:
            number = _create(store, search, spec, candidates, sizes, now)
            _announce(store, search, number, say)
        else:
            say(f"going on with promotion {number} of {search}")
            store.update(number, lineage=mixed(store.load(number).lineage, now))
        kept = of_promotion(ledger, search, number, places.storage)
        promoting = _Promoting(spec, folder, ledger, store, number, candidates, sizes, say, kept)
        return promoting.to_its_end(address, uri, workers)


class _Promoting:
    """One process's run of a promotion, from an open ledger to its outcome."""

    def __init__(
        self,
        spec: SearchSpec,
        folder: SearchFolder,
        ledger: Ledger,
        store: PromotionStore,
        number: int,
        candidates: list[Candidate],
        sizes: Sizes,
        say: Say,
        storage: Storage | None,
    ) -> None:
        self._storage, self._remover = storage, Remover()
        self._spec, self._folder, self._ledger, self._store = spec, folder, ledger, store
        self._number, self._candidates, self._sizes, self._say = number, candidates, sizes, say
        self._shutdown = Shutdown()
        self._supervisor = Supervisor(self._shutdown, lambda: say("stopping; the same command goes on from here"))

    def to_its_end(self, address: str | None, uri: str, workers: int) -> PromotionOutcome:
        """Run whatever is left of it, and send it to MLflow."""
        sink = PromotionSink(self._ledger, self._spec, self._folder.name, uri)
        load = partial(self._store.load, self._number)

        def finished(run: PromotionRun) -> None:
            _clean(run)
            if (storage := self._storage_of(run)) is not None and run.state != FAILED:
                self._remover.remove(storage)
            sink.send(load)

        drive = Drive(
            self._store,
            self._number,
            self._spec,
            self._folder.path,
            self._candidates,
            self._sizes,
            partial(final_config, epochs=self._sizes.epochs),
            self._say,
            finished,
            self._storage_of,
        )
        drive.begin()
        if drive.waiting:
            self._prepare()
        post = Post(RequestFolder(self._folder.requests), self._ledger, "promotion", self._shutdown, self._say)
        with self._supervisor.hearing(), post:
            try:
                if drive.waiting:
                    self._supervisor.run(partial(self._train, drive, address, workers))
                unsent = self._supervisor.run(partial(sink.send, load, last=True), ray=False)
                if self._shutdown.signal is not None:
                    raise Interrupted(self._shutdown.signal)
                promotion = self._store.load(self._number)
                if promotion.winner() is None:
                    raise self._without_winner(promotion)
                registered = self._supervisor.run(partial(register_winner, self._ledger, promotion, uri), ray=False)
            except Interrupted as left:
                how = "interrupted" if self._shutdown.by is None else f"stopped by {self._shutdown.by}"
                message = f"{how}; the same command goes on from here"
                return PromotionOutcome(load(), "interrupted", left.exit_code, message, sink.backlog(load))
        return PromotionOutcome(promotion, "done", 0, "done", unsent, registered)

    def _without_winner(self, promotion: Promotion) -> SearchFailedError | InputError:
        causes = {run.cause.strip().splitlines()[-1] for run in promotion.runs if run.cause}
        if causes and all(cause.startswith(WRONG_INPUT) for cause in causes):
            return InputError("; ".join(sorted(cause.removeprefix(WRONG_INPUT) for cause in causes)))
        return SearchFailedError(
            f"no candidate of search {self._folder.name!r} could be trained: {'; '.join(sorted(causes))}"
        )

    def _train(self, drive: Drive, address: str | None, workers: int) -> None:
        self._say("starting Ray" if address is None else f"connecting to Ray at {address}")
        # Ray prints to stdout what befalls its processes; who follows a promotion is told of it in our own words.
        os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")
        load_ray(address)
        from searchplat.engine.checkpoints.storage_check import check_from_worker
        from searchplat.engine.cluster.connect import check_counted, connected
        from searchplat.engine.cluster.growth import Wish
        from searchplat.engine.cluster.hosts import hosts_of
        from searchplat.engine.promotion_runs.lanes import lanes, run_lanes

        scratch, resources = self._folder.scratch, self._spec.resources
        shared = self._folder if self._storage is None else None
        hosts = hosts_of(address, self._spec, shared, self._needs())
        # Lanes are laid out once, on what is there: of a cluster without hosts one is waited for.
        wish = Wish(resources, lambda: min(1, drive.waiting), lambda: self._shutdown.asked)
        with (
            hosts.code() as code,
            connected(address, hosts.environment, code, self._shutdown),
            hosts.watched(resources, self._say, self._say, lambda: drive.waiting, wish),
        ):
            if self._shutdown.asked:
                return
            check_counted(resources, address, _ELSEWHERE)
            if self._storage is not None:
                check_from_worker(self._storage)
            lanes(resources, 1, workers, scratch)  # refuses before the race what will not fit after it
            # One worker does both in turn; several train only the final runs together.
            rounds = [((RACE, FINAL), 1)] if workers == 1 else [((RACE,), 1), ((FINAL,), workers)]
            try:
                for phases, together in rounds:
                    drive.phases = phases
                    shutil.rmtree(scratch, ignore_errors=True)
                    if drive.waiting and not self._shutdown.asked:
                        plan = lanes(resources, drive.waiting, together, scratch, hosts)
                        run_lanes(plan, drive.answer, lambda: self._shutdown.asked)
            finally:
                shutil.rmtree(scratch, ignore_errors=True)
                if left := self._remover.finish():
                    self._say(left)

    def _storage_of(self, run: PromotionRun) -> Storage | None:
        if self._storage is None:
            return None
        return self._storage.child(*folders_of(self._number, run.phase, run.candidate, run.seed))

    def _prepare(self) -> None:
        """Fetch and prepare what workers will need, once, before any of them starts."""
        for need in self._needs():
            need.prepare(AssetStore())
        for warning in data_warnings(self._spec.data, AssetStore()):
            self._say(warning)

    def _needs(self) -> tuple[Need, ...]:
        """What workers will need."""
        data, seed = self._spec.data, self._spec.seed
        return tuple(
            Need(candidate.method, config, data.name, dict(data.options), fraction, seed)
            for candidate in self._candidates
            for config, fraction in (
                (candidate.config, candidate.data_fraction),
                (final_config(candidate, self._sizes.epochs), self._sizes.data_fraction),
            )
        )


def final_config(candidate: Candidate, epochs: int | None) -> Values:
    """The candidate's configuration with promotion's number of epochs, where the method can take it."""
    if epochs is None:
        return candidate.config
    config = {**candidate.config, "epochs": epochs}
    try:
        load_method(candidate.method).Config(**protocol.renewed({}, config)[1])
    except ValidationError:  # a method that counts and does not train, say
        return candidate.config
    return config


def _known(store: PromotionStore, search: str, sizes: Sizes, again: bool) -> int | None:
    """The promotion to go on with, None to begin one.

    Raises:
        InputError: If the search was promoted otherwise.
    """
    numbers = store.numbers()
    if not numbers or again:
        return None
    newest = numbers[-1]
    old = store.more(newest)["sizes"]
    if differing := [
        f"{key} {old.get(key)}, now {value}" for key, value in asdict(sizes).items() if old.get(key) != value
    ]:
        opened = store.load(newest).test_openings
        raise InputError(
            f"search {search!r} was promoted before with {'; '.join(differing)}, and its test split was opened "
            f"{opened} times; repeat the earlier command to go on with it, or promote --again, which will say so"
        )
    return newest


def _create(
    store: PromotionStore,
    search: str,
    spec: SearchSpec,
    candidates: list[Candidate],
    sizes: Sizes,
    now: dict[str, str],
) -> int:
    objective = spec.objectives[0]
    return store.create(
        Promotion(
            search=search,
            number=0,
            data=spec.data.name,
            data_options=dict(spec.data.options),
            data_fingerprint=now["data"],
            num_users=0,
            metrics=spec.promotion.test,
            search_scores={candidate.name: candidate.search_score for candidate in candidates},
            lineage=now,
            test_openings=0,
            runs=(),
            objective=objective.short,
            maximize=objective.maximize,
            further=tuple((one.short, one.maximize) for one in spec.objectives[1:]),
            data_fraction=sizes.data_fraction,
            data_seed=spec.seed,
        ),
        {"sizes": asdict(sizes), "candidates": [asdict(candidate) for candidate in candidates]},
    )


def _announce(store: PromotionStore, search: str, number: int, say: Say) -> None:
    if number == 1:
        say(f"promotion 1 of {search}: its test split was not opened before")
        return
    opened = store.load(number).test_openings
    say(
        f"promotion {number} of {search}: its test split was opened {opened} times before; "
        "what is chosen after having seen test figures is no longer tested by them"
    )


def _clean(run: PromotionRun) -> None:
    """Checkpoints are of no use once a run has ended; weights, ranks and what describes them stay."""
    if run.phase == RACE:
        shutil.rmtree(run.folder, ignore_errors=True)
    elif run.phase == FINAL and run.state == FINISHED:
        for path in [*run.folder.glob("epoch-*"), run.folder / "best"]:
            shutil.rmtree(path, ignore_errors=True)
