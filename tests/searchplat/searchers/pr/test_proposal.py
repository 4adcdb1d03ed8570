from __future__ import annotations

import logging
from typing import Any

import pytest
import torch
from torch import Tensor

from searchplat.searchers.options import PROptions
from searchplat.searchers.pr import proposal
from searchplat.searchers.pr.encoding import Axis, CountRange, Encoding, Kind
from searchplat.searchers.pr.models import subset as subsets
from searchplat.searchers.pr.models import surrogate
from searchplat.searchers.pr.models.surrogate import FitError
from searchplat.searchers.pr.proposal import (
    Known,
    distinct,
    propose,
    propose_many,
    standardised,
    startup_of,
    success,
)
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


def test_each_point_is_a_place_to_start_from_once_however_often_it_was_repeated() -> None:
    codes = torch.tensor([[0.0, 1.0], [1.0, 1.0], [0.0, 1.0], [0.0, 0.0], [1.0, 1.0]], dtype=torch.float64)
    assert distinct(codes).tolist() == [0, 1, 3]
    assert distinct(codes[:0]).tolist() == []


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


@pytest.mark.parametrize(("scored", "objectives"), [(3, 1), (40, 1), (40, 2)])
def test_a_batch_begins_as_one_suggestion_and_its_points_are_new_and_different(scored: int, objectives: int) -> None:
    history = known(scored, objectives)
    batch = propose_many(ENCODING, history, 0, 30, 12, QUICK)

    hashes = ENCODING.hashes(torch.cat([history.tried, torch.stack([one.code_A for one in batch])]))
    assert len(batch) == 12
    assert len(set(hashes.tolist())) == len(set(hashes[:scored].tolist())) + 12
    assert torch.equal(batch[0].code_A, proposed(history).code_A)
    assert {one.info["route"] for one in batch[1:]} == {"design" if scored == 3 else "batch"}


def test_points_of_a_batch_are_good_ones() -> None:
    """Far better than chance: bit 0 is set in all the good points, bits 1 and 2 agree in them."""
    batch = torch.stack([one.code_A for one in propose_many(ENCODING, known(60), 0, 30, 17, QUICK)[1:]])

    assert float(batch[:, 0].mean()) > 0.8
    assert float((batch[:, 1] == batch[:, 2]).double().mean()) > 0.7


def test_a_batch_keeps_to_what_the_caller_accepts_and_to_counts() -> None:
    bits = tuple(range(18))
    bounded = Encoding([Axis(f"b{i}", Kind.BIT, 2, i // 3) for i in range(18)], [CountRange(bits, 0, 4)])
    codes = bounded.canonical(bounded.random(30, torch.Generator().manual_seed(0)))
    history = Known(codes, codes[:, :1] + codes[:, 5:6], empty(), empty())

    batch = propose_many(bounded, history, 0, 30, 12, QUICK, accept=lambda code_A: bool(code_A[7] == 0))

    assert len(batch) > 6
    assert all(float(one.code_A[7]) == 0 and float(one.code_A.sum()) <= 4 for one in batch)


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


def test_of_two_equally_good_halves_the_cheap_one_is_searched() -> None:
    """Seconds depend on the first bit alone, which the objective does not."""
    history = known(40)
    values = history.scored_NA[:, 3:4] + history.scored_NA[:, 4:5] * history.scored_NA[:, 5:6]
    slow_first = 10.0 * torch.where(history.scored_NA[:, 0] == 1, 4.0, 1.0)
    aware, unaware = (
        [
            proposed(
                Known(history.scored_NA, values.double(), empty(), empty(), slow_first.double()),
                number,
                cost_aware=cost_aware,
            ).code_A
            for number in range(40, 46)
        ]
        for cost_aware in (True, False)
    )

    assert sum(float(code[0]) for code in aware) == 0
    assert sum(float(code[0]) for code in unaware) > 0
    assert all(code[3] == 1 for code in aware)


@pytest.mark.parametrize("seconds", [[30.0] * 20, [float("nan")] * 17 + [1.0, 2.0, 3.0], None])
def test_seconds_that_say_nothing_change_nothing(seconds: list[float] | None) -> None:
    plain = known()
    told = Known(
        plain.scored_NA, plain.values_NJ, plain.pending_QA, plain.failed_FA,
        None if seconds is None else torch.tensor(seconds, dtype=torch.float64),
    )  # fmt: skip

    assert torch.equal(proposed(told, cost_aware=True).code_A, proposed(plain).code_A)


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


@pytest.fixture
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A subset of the points that begins early, and nothing remembered of fits."""
    surrogate._fits.clear()
    for name, value in (("MOST_FITTED", 20), ("REFITTED", 5), ("MOST_KNOWN", 30)):
        monkeypatch.setattr(subsets, name, value)


@pytest.mark.usefixtures("_small")
def test_up_to_so_many_points_suggestions_are_those_of_the_exact_model(monkeypatch: pytest.MonkeyPatch) -> None:
    at_most, more = proposed(known(20)), proposed(known(40))
    monkeypatch.undo()
    assert torch.equal(proposed(known(20)).code_A, at_most.code_A)
    assert proposed(known(20)).info["log_value"] == at_most.info["log_value"]
    assert proposed(known(40)).info["log_value"] != more.info["log_value"]


def rich(count: int, objectives: int) -> Known:
    """Repeats of points, failed and pending ones, a bound and values that arrive out of order."""
    codes = ENCODING.random(count, torch.Generator().manual_seed(0))
    codes[3::7] = codes[0]
    features = ENCODING.features(codes)
    values = torch.stack([features[:, j] + features[:, j + 1] * features[:, j + 2] for j in range(objectives)], 1)
    at = torch.arange(count)
    at[::6] += 4
    others = ENCODING.random(7, torch.Generator().manual_seed(1))
    return Known(
        codes, values, others[:2], others[2:], torch.arange(1.0, count + 1).double(), at, torch.arange(5) * 5,
        (features[:, 7] + features[:, 8] - 1)[:, None],
    )  # fmt: skip


@pytest.mark.usefixtures("_small")
@pytest.mark.parametrize("objectives", [1, 2])
def test_a_resumed_search_goes_on_as_one_that_never_stopped(objectives: int) -> None:
    going_on = [proposed(rich(count, objectives), cost_aware=True) for count in (41, 43)]
    remembered = len(surrogate._fits)
    surrogate._fits.clear()
    resumed = proposed(rich(43, objectives), cost_aware=True)

    assert len(surrogate._fits) == remembered, "all fits of the first suggestion served for the second"
    assert torch.equal(resumed.code_A, going_on[1].code_A)
    assert resumed.info["log_value"] == going_on[1].info["log_value"]


@pytest.mark.usefixtures("_small")
def test_a_collapse_does_not_make_the_model_be_fitted_anew() -> None:
    history = known(42)
    values = history.values_NJ + torch.linspace(0, 1, 42).double()[:, None]
    values[30] = -50.0  # clipped, and looked at
    proposed(Known(history.scored_NA[:41], values[:41], empty(), empty()))
    fits = list(surrogate._fits)
    values[41] = -100.0
    proposed(Known(history.scored_NA, values, empty(), empty()))

    assert list(surrogate._fits) == fits


@pytest.mark.usefixtures("_small")
def test_failures_of_long_ago_are_not_forgotten() -> None:
    """The first points, six with the first bit, failed; the search has kept away from it for 150 trials."""
    codes = ENCODING.random(156, torch.Generator().manual_seed(5))
    codes[:6, 0], codes[6:, 0] = 1, 0
    done, failed = codes[6:], codes[:6]
    history = Known(done, done[:, 3:4], empty(), failed, known_at_N=torch.arange(6, 156), failed_at_F=torch.arange(6))
    (factor,) = success(ENCODING, history, ENCODING.features(done))
    asked = ENCODING.random(20, torch.Generator().manual_seed(6))
    asked[:, 0] = 1
    bad = factor(ENCODING.features(asked)).exp()
    asked[:, 0] = 0
    good = factor(ENCODING.features(asked)).exp()

    assert float(bad.max()) < 0.5 < float(good.min())
