from __future__ import annotations

import logging
from typing import Any

import pytest
import torch
from torch import Tensor

from searchplat.searchers.options import PROptions
from searchplat.searchers.pr import proposal
from searchplat.searchers.pr.encoding import Axis, Encoding, Kind
from searchplat.searchers.pr.proposal import Known, propose, standardised, startup_of
from searchplat.searchers.pr.surrogate import FitError
from searchplat.searchers.pr.trust_region import TrustRegion

ENCODING = Encoding([Axis(f"b{i}", Kind.BIT, 2, i // 3) for i in range(18)])
QUICK = PROptions(restarts=3, samples=8, steps=8)


def empty() -> Tensor:
    return torch.zeros((0, 18), dtype=torch.float64)


def known(count: int = 20, objectives: int = 1, pending: Tensor | None = None, failed: Tensor | None = None) -> Known:
    codes = ENCODING.random(count, torch.Generator().manual_seed(0))
    features = ENCODING.features(codes)
    values = torch.stack([features[:, j] + features[:, j + 1] * features[:, j + 2] for j in range(objectives)], 1)
    return Known(codes, values, empty() if pending is None else pending, empty() if failed is None else failed)


def proposed(history: Known, number: int = 30, **options: Any) -> proposal.Proposal:
    found = propose(ENCODING, history, 0, number, QUICK.model_copy(update=options))
    assert found is not None
    return found


@pytest.mark.parametrize(("axes", "expected"), [(3, 4), (18, 4), (24, 6), (36, 9), (96, 10)])
def test_the_startup_grows_with_the_space_up_to_ten(axes: int, expected: int) -> None:
    encoding = Encoding([Axis(f"b{i}", Kind.BIT) for i in range(axes)])

    assert startup_of(encoding, PROptions()) == expected
    assert startup_of(encoding, PROptions(startup=2)) == 2


def test_the_startup_is_a_design_and_then_comes_the_model() -> None:
    assert proposed(known(3)).info["route"] == "design"
    info = proposed(known(4), trust_region="never").info
    assert info["route"] == "pr"
    assert set(info) == {"route", "acquisition", "log_value", "noise", "kernels", "optimise_seconds", "seconds"}


@pytest.mark.parametrize("options", [{"acquisition": "ucb"}, {"acquisition": "thompson"}, {"surrogate": "general"}])
def test_options_change_the_way_and_not_the_contract(options: dict[str, Any]) -> None:
    first, second = (proposed(known(), **options) for _ in range(2))

    assert torch.equal(first.code_A, second.code_A)
    assert first.info["acquisition"] == options.get("acquisition", "ei")


def test_good_bits_are_found() -> None:
    code = proposed(known(40)).code_A

    assert code[0] == 1
    assert code[1] == code[2]


def test_several_objectives_take_the_hypervolume() -> None:
    info = proposed(known(objectives=2)).info

    assert info["acquisition"] == "hypervolume"
    assert len(info["noise"]) == 2


def test_a_failed_fit_falls_back_and_says_so(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def refuse(*_: object) -> None:
        raise FitError("no kernel family had a finite marginal likelihood")

    monkeypatch.setattr(proposal, "fit", refuse)
    with caplog.at_level(logging.WARNING):
        info = proposed(known()).info

    assert info["route"] == "prior"
    assert "priors' medians" in caplog.text


def test_pending_points_are_left_alone() -> None:
    alone = proposed(known()).code_A

    again = proposed(known(pending=alone[None])).code_A

    assert not torch.equal(alone, again)


def test_failures_are_avoided() -> None:
    """All points with the otherwise best bit failed: it is not proposed again."""
    failed = ENCODING.random(20, torch.Generator().manual_seed(5))
    failed[:, 0] = 1
    codes = ENCODING.random(20, torch.Generator().manual_seed(6))
    codes[:, 0] = 0
    values = ENCODING.features(codes)[:, 3:4]

    chosen = [proposed(Known(codes, values, empty(), failed), number).code_A[0] for number in range(30, 35)]

    assert sum(chosen) == 0


def test_constant_and_collapsed_objectives_are_no_obstacle() -> None:
    assert float(standardised(torch.full((5,), 3.0)).abs().max()) == 0
    values = torch.tensor([1.0, 1.1, 0.9, 1.05, 1.2, -1e9])
    assert float(standardised(values)[:5].std()) > 0.1
    assert bool((standardised(values).argsort() == values.argsort()).all())


def test_threads_are_as_before() -> None:
    before = torch.get_num_threads()
    proposed(known())

    assert torch.get_num_threads() == before


def test_the_trust_region_is_kept_shrinks_and_restarts() -> None:
    codes = ENCODING.random(60, torch.Generator().manual_seed(0))
    radii = []
    for count in (1, 6, 10, 30, 60):  # after the first, nothing improves
        values = -torch.arange(count, dtype=torch.float64)
        region = TrustRegion.from_values(ENCODING, codes[:count], values, values[:, None])
        radii.append(region.radius)
        inside = region(ENCODING.random(50, torch.Generator().manual_seed(1)), None)
        assert int((inside != codes[0]).sum(1).max()) <= region.radius
    assert radii[:3] == [7, 3, 1]
    rising = torch.arange(12, dtype=torch.float64)
    assert TrustRegion.from_values(ENCODING, codes[:12], rising, rising[:, None]).radius == 18


def test_every_second_trial_stays_near_the_best() -> None:
    history = known(12)
    bounded = {number: "radius" in proposed(history, number).info for number in (12, 13, 14)}

    assert bounded == {12: True, 13: False, 14: True}
    assert "radius" in proposed(history, 13, trust_region="always").info
    assert "radius" not in proposed(history, 12, trust_region="never").info


def test_the_trust_region_bounds_proposals() -> None:
    history = known(30)
    found = proposed(history, trust_region="always")
    distance = (history.scored_NA != found.code_A).sum(1).min()

    assert found.info["radius"] >= 1
    assert int(distance) <= found.info["radius"]
