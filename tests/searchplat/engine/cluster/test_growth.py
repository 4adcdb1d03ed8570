"""What a cluster is asked for. That it grows, shrinks, and is asked for nothing in the end: `tests/cluster`."""

from __future__ import annotations

import doctest
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from searchplat.engine.cluster import growth
from searchplat.engine.cluster.growth import Request, Shape, Wanted, Wish, room_for, shape_of, steps
from searchplat.spec.model import Resources

CPU: Shape = (("CPU", 1.0),)
GPU: Shape = (("CPU", 1.0), ("GPU", 1.0))

amounts = st.dictionaries(st.sampled_from([CPU, (("CPU", 2.0),), GPU]), st.integers(1, 40), max_size=3).map(Counter)
machines = st.lists(st.fixed_dictionaries({"CPU": st.integers(0, 8)}, optional={"GPU": st.integers(0, 2)}), max_size=4)


class Cluster:
    """Hosts of one CPU each, at most so many; as Ray's newer autoscaler, it does nothing for what it cannot fulfil."""

    def __init__(self, most: int, gpus: int = 0) -> None:
        self.most, self.gpus = {CPU: most, GPU: gpus}, 0
        self.hosts: list[Mapping[str, float]] = []
        self.asked: list[Wanted] = []

    def ask(self, wanted: Wanted) -> None:
        self.asked.append(wanted)
        if all(count <= self.most[shape] for shape, count in wanted.items()):
            have = Counter(tuple(host.items()) for host in self.hosts)
            self.hosts += [dict(shape) for shape in (wanted - have).elements()]

    def there(self) -> list[Mapping[str, float]]:
        return self.hosts


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(growth.time, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_the_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(growth).failed == 0


def wish(ready: int, resources: Resources, *, stopping: bool = False) -> Wish:
    return Wish(resources, lambda: ready, lambda: stopping)


def test_a_search_wants_room_for_what_could_be_at_work_within_its_own_bound() -> None:
    plain = Resources(cpu=1, gpu=0)
    assert wish(7, plain).now() == {CPU: 7}
    assert wish(7, replace(plain, concurrent=3)).now() == {CPU: 3}
    assert wish(2, replace(plain, concurrent=3)).now() == {CPU: 2}
    assert wish(7, Resources(cpu=1, gpu=1)).now() == {GPU: 7}
    assert wish(10**6, plain).now().total() == 1000
    assert not wish(0, plain).now()
    assert not wish(7, plain, stopping=True).now()
    assert not wish(7, Resources(cpu=0, gpu=0)).now(), "nothing that an autoscaler could count"


def test_until_a_share_is_known_one_host_is_wanted_and_then_as_many_as_there_are_trials() -> None:
    some = wish(7, Resources(cpu=1, gpu=0, cpu_auto=True))
    assert some.now() == {CPU: 1}
    some.takes = lambda: Resources(cpu=4, gpu=0)
    assert some.now() == {(("CPU", 4.0),): 7}


def test_a_gpu_of_auto_is_asked_for_first_and_then_in_turn_with_cores_alone(clock: Clock) -> None:
    some = wish(7, Resources(cpu=1, gpu=None))
    some.waiting = True
    seen = []
    for _ in range(4):
        seen.append(some.now())
        clock.now += growth._TRY_S
    assert seen == [{GPU: 1}, {CPU: 1}, {GPU: 1}, {CPU: 1}]
    assert "room for 1 trial wanted, each of 1 CPU and, if there can be one, a GPU" in some.words()


def test_who_waits_is_told_for_what() -> None:
    said = wish(7, Resources(cpu=2, gpu=0.5)).words()
    assert said.startswith("waiting for the cluster to grow: room for 7 trials wanted, each of 2 CPU and 0.5 GPU")


@given(amounts, machines)
def test_what_fits_is_wanted_and_fits(wanted: Wanted, hosts: list[Mapping[str, float]]) -> None:
    there = room_for(wanted, hosts)
    assert there <= wanted
    for name in ("CPU", "GPU"):
        taken = sum(count * dict(shape).get(name, 0.0) for shape, count in there.items())
        assert taken <= sum(host.get(name, 0) for host in hosts)
    for shape, _ in (wanted - there).items():  # no host is left with room for more
        assert room_for(there + Counter({shape: 1}), hosts).total() <= there.total()


@given(amounts, machines)
def test_steps_begin_with_everything_and_end_one_beyond_what_is_there(
    wanted: Wanted, hosts: list[Mapping[str, float]]
) -> None:
    there = room_for(wanted, hosts)
    found = steps(wanted, there)
    assert found[0] == wanted
    assert all(there <= step <= wanted for step in found)
    for shape in wanted - there:
        assert there + Counter({shape: 1}) in found


@pytest.mark.parametrize("most", [0, 1, 2, 9, 20, 64, 200])
def test_a_cluster_grows_to_its_bound_although_more_is_wanted(clock: Clock, most: int) -> None:
    cluster = Cluster(most)
    request = Request(cluster.ask, cluster.there)
    for _ in range(1200):
        request.keep(Counter({CPU: 64}))
        clock.now += 1.0
    assert len(cluster.hosts) == min(most, 64)
    if most >= 64:
        assert cluster.asked[0] == {CPU: 64}, "at once"


def test_what_no_host_could_have_does_not_keep_others_waiting(clock: Clock) -> None:
    cluster = Cluster(5)
    request = Request(cluster.ask, cluster.there)
    for _ in range(600):
        request.keep(Counter({GPU: 3, CPU: 4}))
        clock.now += 1.0
    assert len(cluster.hosts) == 4


def test_the_request_shrinks_with_what_is_wanted_and_is_taken_back_once(clock: Clock) -> None:
    cluster = Cluster(8)
    request = Request(cluster.ask, cluster.there)
    request.keep(Counter())
    assert not cluster.asked, "somebody else's request is left alone"
    for count in (8, 8, 5, 1, 0, 0):
        request.keep(Counter({CPU: count}) if count else Counter())
        clock.now += 1.0
    assert [asked.total() for asked in cluster.asked] == [8, 5, 1, 0]


def test_what_stands_is_asked_for_again_after_a_while(clock: Clock) -> None:
    cluster = Cluster(8)
    request = Request(cluster.ask, cluster.there)
    for _ in range(121):
        request.keep(Counter({CPU: 2}))
        clock.now += 1.0
    assert [asked.total() for asked in cluster.asked] == [2, 2, 2]


def test_a_trial_without_a_gpu_takes_cores_alone() -> None:
    assert shape_of(Resources(cpu=2, gpu=0)) == (("CPU", 2.0),)
    assert shape_of(Resources(cpu=1, gpu=0.25)) == (("CPU", 1.0), ("GPU", 0.25))


def test_room_is_wanted_for_all_workers_of_a_trial() -> None:
    several = wish(7, Resources(cpu=1, gpu=0, workers=3))
    assert several.now() == {CPU: 21}
    assert several.trials() == 7
    assert "room for 7 trials wanted, each of 3 workers of 1 CPU," in several.words()
    assert wish(10**6, Resources(cpu=1, gpu=0, workers=3)).now().total() == 999


HALF: Shape = (("CPU", 1.0), ("GPU", 0.5))
THIRD: Shape = (("CPU", 2.5), ("GPU", 1 / 3))


def test_whole_numbers_are_asked_for_as_such_and_parts_of_a_gpu_as_they_are() -> None:
    asked = growth.bundles(Counter({GPU: 1, HALF: 1}))
    assert asked == [{"CPU": 1, "GPU": 1}, {"CPU": 1, "GPU": 0.5}]
    assert [[type(amount) for amount in bundle.values()] for bundle in asked] == [[int, int], [int, float]]


def test_where_ray_takes_whole_numbers_alone_trials_that_share_a_gpu_ask_for_it_once() -> None:
    asked = growth.whole_bundles(Counter({HALF: 5, THIRD: 4, CPU: 1, (("GPU", 0.5),): 3}))
    assert all(type(amount) is int for bundle in asked for amount in bundle.values())
    assert sum(bundle.get("GPU", 0) for bundle in asked) == 3 + 2 + 2
    assert sum(bundle.get("CPU", 0) for bundle in asked) == 5 + 3 * 4 + 1
    assert all(bundle.get("CPU", 0) <= 3 and bundle.get("GPU", 0) <= 1 for bundle in asked), "no larger host"


@pytest.mark.parametrize("refuses", [False, True])
def test_every_supported_ray_is_asked_in_numbers_that_it_takes(monkeypatch: pytest.MonkeyPatch, refuses: bool) -> None:
    asked: list[list[dict[str, float]]] = []

    def request_resources(bundles: list[dict[str, float]]) -> None:
        """What Ray's own does before 2.56, and since."""
        for bundle in bundles:
            for amount in bundle.values():
                if refuses and not isinstance(amount, int):
                    raise TypeError("each bundle key should be str and value as int.")
        asked.append(bundles)

    monkeypatch.setattr("ray.autoscaler.sdk.request_resources", request_resources)
    growth._ask_autoscaler(Counter({HALF: 2}))
    growth._ask_autoscaler(Counter({GPU: 1}))
    parts = [{"CPU": 1, "GPU": 1}, {"CPU": 1}] if refuses else [{"CPU": 1, "GPU": 0.5}] * 2
    assert asked == [parts, [{"CPU": 1, "GPU": 1}]]
