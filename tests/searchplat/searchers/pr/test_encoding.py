from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from searchplat.searchers.pr.encoding import Axis, CountRange, Encoding, Kind

MIXED = Encoding(
    [
        Axis("bit", Kind.BIT),
        Axis("kind", Kind.CATEGORICAL, 3),
        Axis("size", Kind.ORDINAL, 4),
        Axis("rate", Kind.REAL, 0, when=((1, (0, 2)),)),
        Axis("depth", Kind.ORDINAL, 3, when=((0, (1,)),)),
    ]
)


def bits(count: int, low: int = 0, high: int | None = None) -> Encoding:
    high = count if high is None else high
    return Encoding(
        [Axis(f"b{i}", Kind.BIT, 2, i // 3) for i in range(count)], [CountRange(tuple(range(count)), low, high)]
    )


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_features_are_centred_and_inactive_axes_say_nothing() -> None:
    codes = torch.tensor([[1.0, 2.0, 3.0, 0.75, 0.0], [0.0, 1.0, 0.0, 0.0, 0.0]], dtype=torch.float64)

    features = MIXED.features(codes)

    third, half = 2**0.5 / 3, 0.5**0.5
    expected = torch.tensor(
        [
            [1, -third, -third, 2 * third, 1, 0, half, half, -1, 0],
            [-1, -third, 2 * third, -third, -1, 0, 0, 0, 0, 0],
        ],
        dtype=torch.float64,
    )
    torch.testing.assert_close(features, expected)
    assert MIXED.axis_of_column.tolist() == [0, 1, 1, 1, 2, 2, 3, 3, 4, 4]


def test_all_points_of_a_numeric_axis_are_equally_uncertain_beforehand() -> None:
    """A feature that grows towards the ends would make every linear kernel look there first."""
    encoding = Encoding([Axis("size", Kind.ORDINAL, 5), Axis("rate", Kind.REAL, 0)])
    features = encoding.features(torch.tensor([[k, k / 4] for k in range(5)], dtype=torch.float64))

    torch.testing.assert_close((features**2).sum(1), torch.full((5,), 2.0, dtype=torch.float64))
    ends = (features[0] - features[-1]).reshape(2, 2)
    torch.testing.assert_close((ends**2).sum(1), torch.full((2,), 4.0, dtype=torch.float64))  # as a flipped bit


def test_two_levels_of_a_categorical_axis_are_as_far_apart_as_a_flipped_bit() -> None:
    features = MIXED.features(torch.tensor([[1.0, k, 0, 0, 0] for k in (0, 2)], dtype=torch.float64))[:, 1:4]

    assert abs(float(((features[0] - features[1]) ** 2).sum()) - 4) < 1e-12


def test_an_axis_that_a_point_lacks_has_no_features() -> None:
    known = MIXED.features(torch.tensor([[1.0, 2, 3, 0.75, 0.0]], dtype=torch.float64))
    lacking = MIXED.features(torch.tensor([[torch.nan, torch.nan, 3, torch.nan, 0.0]], dtype=torch.float64))

    assert lacking.tolist()[0][:4] == [0, 0, 0, 0]
    assert lacking[0, 4] == known[0, 4]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 6), st.integers(6, 12), st.booleans())
def test_constraints_are_kept_with_the_fewest_flips(seed: int, low: int, high: int, ranked: bool) -> None:
    encoding = bits(12, low, high)
    codes = (torch.rand((20, 12), generator=generator(seed)) < 0.5).double()
    priority = torch.rand((20, 12), generator=generator(seed + 1)).double() if ranked else None

    kept = encoding.canonical(codes, priority)

    ones = codes.sum(1)
    torch.testing.assert_close(kept.sum(1), ones.clamp(low, high))
    torch.testing.assert_close((kept - codes).abs().sum(1), (ones - ones.clamp(low, high)).abs())


def test_designs_and_random_points_are_allowed_and_repeatable() -> None:
    encoding = bits(12, 2, 5)
    for points in (encoding.design(40, 7), encoding.random(40, generator())):
        assert bool(((points.sum(1) >= 2) & (points.sum(1) <= 5)).all())
    assert torch.equal(encoding.design(40, 7), encoding.design(40, 7))
    assert torch.equal(encoding.design(8, 7), encoding.design(40, 7)[:8])
    assert not torch.equal(encoding.design(8, 7), encoding.design(8, 8))


def test_a_design_is_balanced_on_every_bit() -> None:
    encoding = Encoding([Axis(f"b{i}", Kind.BIT) for i in range(36)])

    assert encoding.design(8, 3).sum(0).tolist() == [4.0] * 36


def test_neighbours_are_all_single_moves() -> None:
    code = torch.tensor([1.0, 2.0, 3.0, 0.5, 1.0], dtype=torch.float64)

    moved = {tuple(row.tolist()) for row in MIXED.neighbours(code, swaps=True)}

    assert moved == {
        (0, 2, 3, 0.5, 0),  # the bit, and depth which hangs on it
        (1, 0, 3, 0.5, 1),
        (1, 1, 3, 0, 1),  # kind 1 has no rate
        *((1, 2, size, 0.5, 1) for size in (0, 1, 2)),
        (1, 2, 3, 0.5, 0),
        (1, 2, 3, 0.5, 2),
    }


def test_swaps_move_along_a_tight_constraint() -> None:
    encoding = bits(6, 0, 2)
    code = torch.tensor([1.0, 1, 0, 0, 0, 0], dtype=torch.float64)

    assert len(encoding.neighbours(code, swaps=False)) == 2
    assert len(encoding.neighbours(code, swaps=True)) == 2 + 2 * 4


def test_hashes_tell_points_apart_and_only_points() -> None:
    codes = MIXED.random(500, generator())

    distinct = len({tuple(row) for row in codes.tolist()})
    assert len(set(MIXED.hashes(codes).tolist())) == distinct
    assert torch.equal(MIXED.hashes(codes), MIXED.hashes(codes.clone()))
