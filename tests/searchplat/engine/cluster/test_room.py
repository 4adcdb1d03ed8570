"""Whether a trial has room on a machine, said before Ray starts."""

from __future__ import annotations

import pytest

from searchplat.engine.cluster.room import check_room, lack, this_machine, workers_on
from searchplat.errors import InputError
from searchplat.spec.model import Resources

LAPTOP = {"CPU": 2.0, "GPU": 0.0}


@pytest.mark.parametrize(
    ("resources", "key"),
    [
        (Resources(cpu=1, gpu=None), None),
        (Resources(cpu=2, gpu=0), None),
        (Resources(cpu=0.5, gpu=0, workers=4), None),
        (Resources(cpu=2.5, gpu=0), "resources.cpu"),
        (Resources(cpu=1, gpu=0.5), "resources.gpu"),
        (Resources(cpu=1, gpu=0, workers=3), "resources.workers"),
    ],
)
def test_what_a_trial_lacks_on_a_laptop(resources: Resources, key: str | None) -> None:
    found = lack(resources, LAPTOP)
    assert (found and found.key) == key
    if found is not None:
        fewer = {"resources.cpu": "cpu", "resources.gpu": "gpu", "resources.workers": "workers"}[found.key]
        assert f"--set {found.key}={found.most:g}" in found.remedy
        assert lack(Resources(**{"cpu": 1, "gpu": 0, fewer: found.most}), LAPTOP) is None


def test_shares_of_a_gpu_count_what_fits_beside_each_other() -> None:
    assert workers_on({"CPU": 8.0, "GPU": 1.0}, Resources(cpu=1, gpu=0.25)) == 4
    assert workers_on({}, Resources(cpu=1, gpu=0)) == 0


def test_a_ray_of_our_own_is_refused_and_a_cluster_that_may_grow_is_not() -> None:
    large = Resources(cpu=this_machine()["CPU"] + 1)
    with pytest.raises(InputError, match=r"resources\.cpu: a trial takes .* so it would wait for ever; take less"):
        check_room(large, None)
    check_room(large, "10.0.0.1:6379")
