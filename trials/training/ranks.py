"""Several processes that train one model in step: what they add up, and what each of them takes for itself.

Each takes a part of every global batch (`Recommender.share`), whose weighted losses add up to the loss of the batch, so
the sum of the parts' gradients is the gradient of the batch. It is added up here, after all of it is there, and not by
DistributedDataParallel beside `backward`: a worker that runs out of memory then keeps nobody waiting, and all of them
divide the batch further together. The platform has connected the processes (`torch.distributed`'s default group).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor

from searchplat.errors import PartnerLostError, out_of_memory

_BUCKET = 2**24
"""Numbers that are added up at once: enough that a call costs nothing, few enough that the copy fits beside a model."""


class Ranks:
    """This process's place among those that train a model together; alone, it waits for nobody.

    Every method with workers in its text is called by all of them, in the same order.

    Args:
        rank: From 0.
        workers: How many there are, >= 1.
        device: Where the model is.

    Methods that exchange something raise `PartnerLostError` if another worker has gone.
    """

    def __init__(self, rank: int, workers: int, device: torch.device) -> None:
        self.rank, self.workers = rank, workers
        # What has nothing on its GPU, as a model that only counts, may be in a group that passes on nothing else.
        self._device = torch.device("cuda") if dist.is_initialized() and dist.get_backend() == "nccl" else device

    @property
    def alone(self) -> bool:
        """Whether there is no other."""
        return self.workers == 1

    def run(self, count: int) -> tuple[int, int]:
        """First and stop of this worker's run of `count` things."""
        return count * self.rank // self.workers, count * (self.rank + 1) // self.workers

    def meet(self) -> None:
        """Wait for the other workers: what they did before is done afterwards."""
        if not self.alone:
            self.add(torch.zeros(1))

    def add(self, tensor: Tensor) -> None:
        """Put the sum of all workers' tensors into each of them."""
        if self.alone:
            return
        moved = tensor.to(self._device)
        with _together():
            dist.all_reduce(moved)
        if moved is not tensor:
            tensor.copy_(moved)

    def take_from_first(self, tensors: Iterable[Tensor]) -> None:
        """Put rank 0's numbers into all workers' tensors."""
        if self.alone:
            return
        with torch.no_grad(), _together():
            for tensor in tensors:
                # Not in place: a view of a parameter, or one that shares memory, need not be contiguous.
                numbers = tensor.detach().to(self._device).contiguous()
                dist.broadcast(numbers, src=0)
                tensor.copy_(numbers)

    def agree(self, number: int, what: str) -> int:
        """The number, which must be the same in all workers.

        Raises:
            PartnerLostError: In all of them, if it is not.
        """
        if self.alone:
            return number
        first = torch.tensor([number], dtype=torch.int64, device=self._device)
        self.take_from_first([first])
        others = torch.tensor([int(first.item() != number)], dtype=torch.int64, device=self._device)
        self.add(others)
        if others.item():
            raise PartnerLostError(f"the workers of a trial disagree on {what}: {number} in worker {self.rank}")
        return number

    def add_values(self, named: Mapping[str, float]) -> dict[str, float]:
        """The sums of all workers' numbers by name; all have the same names."""
        if self.alone:
            return dict(named)
        values = torch.tensor([named[name] for name in sorted(named)], dtype=torch.float64, device=self._device)
        self.add(values)
        sums = dict(zip(sorted(named), values.tolist(), strict=True))
        return {name: sums[name] for name in named}

    def add_gradients(self, parameters: Sequence[Tensor], done: bool) -> bool:
        """Put the sum of all workers' gradients into each parameter; one that has none anywhere goes on having none.

        Args:
            done: Whether this worker has its gradients.

        Returns:
            Whether all have theirs; else nothing was added.
        """
        if self.alone:
            return done
        having = [float(p.grad is not None) for p in parameters]
        flags = torch.tensor([float(not done), *having], dtype=torch.float64, device=self._device)
        self.add(flags)
        failed, *anywhere = flags.tolist()
        if failed:
            return False
        learning = [p for p, count in zip(parameters, anywhere, strict=True) if count]
        for bucket in _buckets(learning):
            flat = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).reshape(-1) for p in bucket])
            self.add(flat)
            begin = 0
            for p in bucket:
                numbers = flat[begin : begin + p.numel()]
                begin += p.numel()
                if p.grad is None:
                    p.grad = numbers.view_as(p).clone()
                else:
                    p.grad.copy_(numbers.view_as(p))
        return True


def _buckets(parameters: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Neighbours of one type, up to so many numbers together."""
    bucket: list[Tensor] = []
    size = 0
    for parameter in parameters:
        if bucket and (parameter.dtype != bucket[0].dtype or size + parameter.numel() > _BUCKET):
            yield bucket
            bucket, size = [], 0
        bucket.append(parameter)
        size += parameter.numel()
    if bucket:
        yield bucket


@contextmanager
def _together() -> Iterator[None]:
    """Within it, an error means that another worker has gone, or the network between them."""
    try:
        yield
    except RuntimeError as error:  # torch's own kinds of it with NCCL, a plain one with gloo
        if out_of_memory(error):
            raise
        raise PartnerLostError(f"another worker of the trial was lost: {error}") from error
