"""A space as PR's arithmetic sees it: a row of codes a point, and a row of features for the surrogate.

Shapes: `M` points, `A` axes, `D` feature columns. A code is 0 or 1 on a bit, the level's index on an ordinal or
categorical axis, a position in [0, 1] on a real one. Features of 0 say nothing: bits are -1 and +1, ordinals and reals
lie on the half circle through them (sine and cosine), a categorical axis has a centred column a level; inactive axes
are 0 throughout, and so are those that an observed point lacks (code NaN).
Next: `surrogate` (what is believed of points) and `reparameterization` (how points are drawn).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor

_MOST_DESIGN = 4096  # points that are looked at for a design that keeps a rule
_ROUNDS = 30  # likewise for random ones, in so many draws of as many as are wanted


class Kind(StrEnum):
    """What an axis is."""

    BIT = "bit"
    ORDINAL = "ordinal"
    CATEGORICAL = "categorical"
    REAL = "real"


@dataclass(frozen=True)
class Axis:
    """One axis.

    Args:
        name: For people.
        kind: What it is.
        levels: Number of levels of a discrete axis; of a real one, of the grid that its values are rounded to, else 0.
        layer: Of a layout's bit, its layer; None elsewhere.
        when: Pairs of (axis index, its level indices): this axis is active only if all hold.
    """

    name: str
    kind: Kind
    levels: int = 2
    layer: int | None = None
    when: tuple[tuple[int, tuple[int, ...]], ...] = ()


@dataclass(frozen=True)
class CountRange:
    """Constraint: among the bits `axes`, at least `low` and at most `high` are 1."""

    axes: tuple[int, ...]
    low: int
    high: int


class Encoding:
    """The axes of a space with their constraints.

    Args:
        axes: In an order where conditions look backwards.
        counts: Constraints on disjoint groups of unconditional or equally conditional bits.
        rule: Further constraints: says of canonical points `[M, A]` which keep them `[M]`; None for none. Nothing mends
            a point that breaks them, so points are drawn again, and are worth nothing where they are compared.
    """

    def __init__(
        self, axes: Sequence[Axis], counts: Sequence[CountRange] = (), rule: Callable[[Tensor], Tensor] | None = None
    ) -> None:
        self.axes = tuple(axes)
        self.counts = tuple(counts)
        self.rule = rule
        kinds = [axis.kind for axis in self.axes]
        self.bits = _where(kinds, Kind.BIT)
        self.ordinals = _where(kinds, Kind.ORDINAL)
        self.categoricals = _where(kinds, Kind.CATEGORICAL)
        self.reals = _where(kinds, Kind.REAL)
        self.discrete = torch.tensor([k is not Kind.REAL for k in kinds], dtype=torch.bool)
        self.levels = torch.tensor([axis.levels for axis in self.axes], dtype=torch.float64)
        self._conditional = [i for i, axis in enumerate(self.axes) if axis.when]
        # The axis that each feature column belongs to.
        columns = [a for a, axis in enumerate(self.axes) for _ in range(_width(axis))]
        self.axis_of_column = torch.tensor(columns, dtype=torch.long)
        # Exact integer hashing: codes times odd 64-bit numbers, summed modulo 2^64.
        generator = torch.Generator().manual_seed(0)
        self._hash = torch.randint(-(2**62), 2**62, (len(self.axes),), generator=generator) * 2 + 1

    @property
    def width(self) -> int:
        """Number of axes, A."""
        return len(self.axes)

    def features(self, codes_MA: Tensor) -> Tensor:
        """Feature rows `[M, D]`; differentiable in the real axes."""
        active_MA = self.active(codes_MA)
        if bool(codes_MA.isnan().any()):
            known_MA = (~codes_MA.isnan()).to(codes_MA.dtype)
            active_MA = known_MA if active_MA is None else active_MA * known_MA
            codes_MA = codes_MA.nan_to_num()
        if not len(self.categoricals) and not len(self.reals) and not len(self.ordinals):
            features = 2 * codes_MA - 1  # the fast path of a pure layout
            return features if active_MA is None else features * active_MA
        top_A = (self.levels - 1).clamp(min=1)
        top_A = torch.where(self.discrete, top_A, torch.ones_like(top_A))
        columns = []
        for a, axis in enumerate(self.axes):
            if axis.kind is Kind.CATEGORICAL:
                # sqrt(2), less the mean: two levels are as far apart as a flipped bit's.
                one_hot = codes_MA[:, a, None] == torch.arange(axis.levels)
                column = 2**0.5 * (one_hot.to(codes_MA.dtype) - 1.0 / axis.levels)
            elif axis.kind is Kind.BIT:
                column = 2 * codes_MA[:, a, None] - 1
            else:
                # A half circle: every point has the same length, so a linear kernel is as unsure of the middle as of
                # the ends, and what lies between may be better than both.
                angle_M1 = (torch.pi / 2) * ((2 * codes_MA[:, a, None] / top_A[a]) - 1)
                column = torch.cat([angle_M1.sin(), angle_M1.cos()], 1)
            columns.append(column if active_MA is None else column * active_MA[:, a, None])
        return torch.cat(columns, dim=1)

    def active(self, codes_MA: Tensor) -> Tensor | None:
        """Which axes are active, 0 or 1 `[M, A]`; None if all always are."""
        if not self._conditional:
            return None
        active_MA = torch.ones_like(codes_MA)
        for a in self._conditional:
            for parent, allowed in self.axes[a].when:
                holds = torch.isin(codes_MA[:, parent].detach(), torch.tensor(allowed, dtype=codes_MA.dtype))
                active_MA[:, a] *= holds * active_MA[:, parent]
        return active_MA

    def canonical(self, codes_MA: Tensor, priority_MA: Tensor | None = None) -> Tensor:
        """The allowed points that `codes_MA` stand for: constraints kept, inactive axes 0.

        Bits too many are flipped in the order of `priority_MA` (largest first), of their index without it. The map
        does not depend on how the codes were drawn, so a mean over draws stays differentiable by scores.
        """
        for count in self.counts:
            index = torch.tensor(count.axes)
            bits = codes_MA[:, index]
            ones = bits.sum(1)
            if bool(((ones <= count.high) & (ones >= count.low)).all()):
                continue
            order = priority_MA[:, index] if priority_MA is not None else -torch.arange(len(index)).expand_as(bits)
            codes_MA = codes_MA.clone()
            codes_MA[:, index] = _limited(bits, order.to(bits.dtype), count.low, count.high)
        active_MA = self.active(codes_MA)
        return codes_MA if active_MA is None else codes_MA * active_MA

    def hashes(self, codes_MA: Tensor) -> Tensor:
        """Integers `[M]`, equal for equal points and, but for one in 2^63 or so, for no others."""
        codes_MA = codes_MA.detach().nan_to_num(nan=-1.0)
        whole = torch.where(self.discrete, codes_MA, (codes_MA * 2**40).round())
        return (whole.to(torch.int64) * self._hash).sum(1)

    def neighbours(self, code_A: Tensor, swaps: bool) -> Tensor:
        """All points one discrete move away `[M, A]`: another level, with `swaps` also a 1 and a 0 exchanged."""
        flipped = code_A.repeat(len(self.bits), 1)
        flipped[torch.arange(len(self.bits)), self.bits] = 1 - code_A[self.bits]
        rows = list(flipped)
        for a, axis in enumerate(self.axes):
            if axis.kind in (Kind.REAL, Kind.BIT):
                continue
            for level in range(axis.levels):
                if level != int(code_A[a]):
                    row = code_A.clone()
                    row[a] = level
                    rows.append(row)
        for count in self.counts if swaps else ():
            ones = [a for a in count.axes if code_A[a] == 1]
            for one in ones:
                for zero in (a for a in count.axes if code_A[a] == 0):
                    row = code_A.clone()
                    row[one], row[zero] = 0, 1
                    rows.append(row)
        if not rows:
            return code_A.new_zeros((0, self.width))
        moved = torch.stack(rows)
        for count in self.counts:
            ones_M = moved[:, torch.tensor(count.axes)].sum(1)
            moved = moved[(ones_M >= count.low) & (ones_M <= count.high)]
        return self.canonical(moved)

    def keeps(self, codes_MA: Tensor) -> Tensor:
        """Whether each canonical point keeps the rule `[M]`."""
        return torch.ones(len(codes_MA), dtype=torch.bool) if self.rule is None else self.rule(codes_MA.detach())

    def design(self, count: int, seed: int) -> Tensor:
        """A space-filling set of points `[count, A]`: scrambled Sobol points cut into levels.

        With a rule those of the first points that keep it, which may be fewer.
        """
        codes_MA = self.from_uniform(sobol(self.width, count, seed))
        if self.rule is None:
            return codes_MA
        drawn, kept_M = count, self.keeps(codes_MA)
        while int(kept_M.sum()) < count and drawn < _MOST_DESIGN:
            drawn *= 2
            codes_MA = self.from_uniform(sobol(self.width, drawn, seed))
            kept_M = self.keeps(codes_MA)
        return codes_MA[kept_M][:count]

    def random(self, count: int, generator: torch.Generator) -> Tensor:
        """Random points `[count, A]`, uniform but for the constraints' repair.

        With a rule they keep it, or most do where it is hard to keep.
        """
        found: list[Tensor] = []
        for _ in range(1 if self.rule is None else _ROUNDS):
            uniform_MA = torch.rand((count, self.width), generator=generator, dtype=torch.float64)
            codes_MA = self.from_uniform(uniform_MA)
            found.append(codes_MA[self.keeps(codes_MA)])
            if sum(map(len, found)) >= count:
                break
        return torch.cat([*found, codes_MA])[:count]

    def from_uniform(self, uniform_MA: Tensor) -> Tensor:
        """Points from numbers in [0, 1): equal shares for the levels of an axis."""
        levels_A = torch.where(self.discrete, self.levels, torch.ones_like(self.levels))
        cut_MA = (uniform_MA * levels_A).floor().minimum(levels_A - 1)
        # The fraction that the cut leaves over is again uniform: it ranks the bits that a constraint must flip.
        rest_MA = uniform_MA * levels_A - cut_MA
        return self.canonical(torch.where(self.discrete, cut_MA, uniform_MA), rest_MA)

    def completed(self, codes_MA: Tensor, generator: torch.Generator) -> Tensor:
        """The points with random codes where they lack one (NaN)."""
        lacking_MA = codes_MA.isnan()
        if not bool(lacking_MA.any()):
            return codes_MA
        return self.canonical(torch.where(lacking_MA, self.random(len(codes_MA), generator), codes_MA))


def sobol(width: int, count: int, seed: int) -> Tensor:
    """The first scrambled Sobol points `[count, width]` in [0, 1)."""
    engine = torch.quasirandom.SobolEngine(width, scramble=True, seed=seed % 2**31)  # type: ignore[no-untyped-call]
    return engine.draw(count, dtype=torch.float64)


def _where(kinds: list[Kind], kind: Kind) -> Tensor:
    return torch.tensor([i for i, k in enumerate(kinds) if k is kind], dtype=torch.long)


def _width(axis: Axis) -> int:
    return {Kind.CATEGORICAL: axis.levels, Kind.BIT: 1}.get(axis.kind, 2)


def _limited(bits_MN: Tensor, order_MN: Tensor, low: int, high: int) -> Tensor:
    """Flip surplus ones, or missing ones, by descending order, so that each row's sum lies in [low, high]."""
    ones = bits_MN.sum(1, keepdim=True)
    # Rank among the row's ones (zeros get the ranks behind them), largest order first.
    rank_of_ones = (order_MN + 1e9 * bits_MN).argsort(1, descending=True).argsort(1)
    rank_of_zeros = (order_MN + 1e9 * (1 - bits_MN)).argsort(1, descending=True).argsort(1)
    bits_MN = torch.where((bits_MN == 1) & (rank_of_ones < ones - high), 0.0, bits_MN)
    return torch.where((bits_MN == 0) & (rank_of_zeros < low - ones), 1.0, bits_MN)
