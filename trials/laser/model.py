"""The Laser recommender: users and items through one frozen language model, compared by cosine (section 4).

Shape letters: `B` users, `S` tokens of all sequences, `R` tokens that are read out, `N` items, `D` width of the
language model, `L` prefix tokens, `X` suffix tokens, `K` experts.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from trials.backbones.decoder_lm import DecoderLM
from trials.backbones.decoder_run import run_decoder
from trials.data.dataset import IntArray, Queries
from trials.laser.batches import Batch, Batcher, share
from trials.laser.collaborative import Collaborator
from trials.laser.config import LaserConfig
from trials.laser.groups import ColdItems
from trials.laser.instructions import Instructions, Packed
from trials.laser.losses import cosines, item_item_contrastive, load_balance
from trials.laser.memory import ItemMemory
from trials.laser.mformer import MFormer, Routing
from trials.training.recommender import Losses, Recommender

CHUNK_TOKENS = 4096
"""Tokens that encoding without a gradient puts through the model at once: larger chunks fall out of a CPU's cache."""


class LaserModel(Recommender):
    """Laser and the ablations of Table 3 around a frozen language model.

    Trained are the M-Former (or a plain prefix) and the suffix. Items are constants of the loss: their embeddings are
    made anew at the start of every epoch of phase 1, and are those of its best epoch in phase 2, which starts from that
    epoch's weights as well ("the phase ends when optimal performance is achieved on the validation set"). Adam's
    moments go on from phase 1's last step.

    Evaluation compares with the item embeddings in use, so that an epoch of phase 1 encodes every item once, and what
    phase 2 fixes is what validation found best.

    Args:
        config: The method's settings.
        lm: The frozen language model, shared with other trials.
        instructions: Texts as tokens, likewise.
        batcher: Makes training batches.
        num_items: N.
        collaborator: Source of collaborative embeddings; None in variants without an M-Former.
        cold: Which validation targets are cold items.
    """

    def __init__(
        self,
        config: LaserConfig,
        lm: DecoderLM,
        instructions: Instructions,
        batcher: Batcher,
        num_items: int,
        collaborator: Collaborator | None,
        cold: ColdItems,
    ) -> None:
        super().__init__()
        self.config, self.lm, self.instructions, self.batcher = config, lm, instructions, batcher
        self.num_items = num_items
        self.cold = cold
        self.collaborator = collaborator
        mean_D, std_D = _vocabulary(lm)
        self.former: MFormer | None = None
        self.prefix_LD: nn.Parameter | None = None
        self.suffix_XD: nn.Parameter | None = None
        if collaborator is not None:
            experts, top = config.experts
            self.former = MFormer(
                collaborator.width,
                lm.hidden_size,
                num_experts=experts,
                top_experts=top,
                num_queries=config.prefix_length,
                width=config.former_width,
                num_heads=config.former_heads,
                num_layers=config.former_layers,
                cross_every=config.cross_every,
                dropout=config.former_dropout,
                output_std=float(std_D.mean()),
                output_mean_D=mean_D,
            )
        elif config.prefix_tokens:
            self.prefix_LD = nn.Parameter(mean_D + std_D * torch.randn(config.prefix_tokens, lm.hidden_size))
        if config.suffix_tokens and config.variant != "eos":
            self.suffix_XD = nn.Parameter(mean_D + std_D * torch.randn(config.suffix_tokens, lm.hidden_size))
        weights = sum(weight.numel() for weight in self._weights())
        has_both = config.variant not in ("no-phase-1", "no-phase-2")
        self.memory = ItemMemory(num_items, lm.hidden_size, weights if has_both else 0)
        self._phase = 1 if config.phase1_epochs else 2
        self._encoded_items = 0
        self._encode_seconds = 0.0
        self._load_K: Tensor | None = None
        self._report: dict[str, float] = {}

    def batches(self, epoch: int, rng: np.random.Generator) -> Iterator[Batch]:
        """One pass over the users, after what the phase does with the items; see the class.

        Args:
            epoch: From 0; the first `phase1_epochs` belong to phase 1.
            rng: Draws users and targets.
        """
        self._start_epoch(epoch)
        yield from self.batcher.epoch(rng)

    def num_batches(self) -> int:
        """Steps an epoch."""
        return len(self.batcher)

    def loss(self, batch: Batch) -> Losses:
        """`L = L_IIC + λ L_LB` (eq. 10): `iic`, and `balance` with its weight where there is anything to balance."""
        h_BD, routing = self.embed(batch.histories)
        targets_B = torch.from_numpy(batch.targets_B).to(h_BD.device)
        users_BD, items_ND = self._compared(h_BD)
        losses = {"iic": item_item_contrastive(users_BD, items_ND, targets_B, self.config.temperature)}
        if routing is not None and self.config.balance_weight:
            balance = load_balance(routing.weights_BK, routing.dispatched_BK)
            losses["balance"] = self.config.balance_weight * balance
        return losses

    def share(self, batch: Batch, rank: int, workers: int) -> tuple[Batch, dict[str, float]]:
        """One worker's users; both losses are means over users."""
        part, weight = share(batch, rank, workers)
        return part, {"iic": weight, **({"balance": weight} if self.config.balance_weight else {})}

    def scores(self, queries: Queries) -> Tensor:
        """`cos(h_u, h_i)` with every item (eq. 2), `[B, N]` in [-1, 1].

        Raises:
            ValueError: If a history is empty: neither template nor recommender has a form for it.
        """
        histories = [self.instructions.kept(queries.history(b)) for b in range(len(queries))]
        if any(len(items) == 0 for items in histories):
            raise ValueError("Laser reads what a user has interacted with, but a history is empty")
        tokens_B = np.array([self.instructions.length(items) for items in histories], dtype=np.int64)
        h_BD = torch.empty(len(queries), self.lm.hidden_size, device=self.memory.items_ND.device)
        for rows in _chunks(tokens_B + self.config.prefix_tokens + self.config.suffix_tokens, CHUNK_TOKENS):
            h_CD, routing = self.embed([histories[row] for row in rows])
            h_BD[torch.from_numpy(rows).to(h_BD.device)] = h_CD
            if routing is not None and not self.training:
                load_K = routing.dispatched_BK.sum(0)
                self._load_K = load_K if self._load_K is None else self._load_K + load_K
        return cosines(*self._compared(h_BD))

    def start_evaluation(self) -> None:
        """Encode the items if that has never been done; count the router's load of this round only."""
        self._load_K = None
        if not bool(self.memory.encoded):
            self._refresh_items()

    def after_validation(self, epoch: int, ranks_U: IntArray, metrics: Mapping[str, float]) -> None:
        """Remember the epoch if it is the best of phase 1; report cold items apart."""
        if epoch < self.config.phase1_epochs:
            self.memory.consider(metrics[self.config.phase_metric], self._weights())
        self._report = self.cold.report(ranks_U, self.config.metrics)

    def diagnostics(self) -> dict[str, float]:
        """Of the epoch: its phase, items encoded and how long that took, the router's load, cold items.

        `router/expert<j>` is f_j of eq. 9, the mean over the users of the last evaluation.
        """
        found = {
            "laser/phase": float(self._phase),
            "laser/items_encoded": float(self._encoded_items),
            "time/encode_items_seconds": self._encode_seconds,
            **self._report,
        }
        if self._load_K is not None:
            shares = (self._load_K / self._load_K.sum()).tolist()
            found |= {f"router/expert{j}": share for j, share in enumerate(shares)}
        return found

    def embed(self, histories: Sequence[IntArray], *, single: bool = False) -> tuple[Tensor, Routing | None]:
        """`h_u` or `h_i`, `[B, D]`: the output at the suffix, averaged if there are several tokens.

        Args:
            histories: Items of each sequence, as `Instructions.kept` gives them; a single item for `h_i`.
            single: Whether these are items; only the template `two-instructions` makes a difference.

        Source: Laser, section 4.1 and eq. 1.
        """
        config, parts, device = self.config, self.lm.parts, self.memory.items_ND.device
        packed = self.instructions.pack(
            histories, prefix=config.prefix_tokens, suffix=config.suffix_tokens, single=single, device=device
        )
        prefix_BLD, routing = self._prefix(histories)
        with torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bfloat16"):
            states_SD = parts.embed(packed.ids_S).float()
            if prefix_BLD is not None:
                states_SD = states_SD.index_copy(0, packed.prefix_S, prefix_BLD.flatten(0, 1).float())
            if (suffix_XD := self._suffix()) is not None:
                states_SD = states_SD.index_copy(0, packed.suffix_S, suffix_XD.repeat(len(histories), 1))
            h_RD = run_decoder(self.lm, states_SD, packed.lengths_B, packed.read_R, packed.reads_B).float()
        return _means(h_RD, packed), routing

    @torch.no_grad()
    def encode_items(self) -> Tensor:
        """`h_i` of every item, `[N, D]`, in evaluation mode, in batches of texts of similar length."""
        started = time.perf_counter()
        was_training = self.training
        self.eval()
        try:
            h_ND = torch.empty(self.num_items, self.lm.hidden_size, device=self.memory.items_ND.device)
            virtual = self.config.prefix_tokens + self.config.suffix_tokens
            for rows in _chunks(self.instructions.item_lengths() + virtual, CHUNK_TOKENS):
                h_ND[torch.from_numpy(rows).to(h_ND.device)] = self.embed(list(rows[:, None]), single=True)[0]
        finally:
            self.train(was_training)
        self._encoded_items += self.num_items
        self._encode_seconds += time.perf_counter() - started
        return h_ND

    def _start_epoch(self, epoch: int) -> None:
        self._encoded_items, self._encode_seconds = 0, 0.0
        first = self.config.phase1_epochs
        self._phase = 1 if epoch < first else 2
        if self._phase == 1 or not bool(self.memory.encoded):
            self._refresh_items()
        elif epoch == first and first:
            self.memory.return_to_best(self._weights())

    def _refresh_items(self) -> None:
        self.memory.use(self.encode_items())

    def _compared(self, h_BD: Tensor) -> tuple[Tensor, Tensor]:
        """What the cosine is taken of: users and items, less the mean of the items in use where that is asked for."""
        items_ND = self.memory.items_ND
        if not self.config.centre_states:
            return h_BD, items_ND
        centre_D = items_ND.mean(0)
        return h_BD - centre_D, items_ND - centre_D

    def _prefix(self, histories: Sequence[IntArray]) -> tuple[Tensor | None, Routing | None]:
        """Prefix vectors `[B, L, D]`, if the variant has any."""
        if self.former is not None:
            assert self.collaborator is not None
            return self.former(*self.collaborator(histories))  # type: ignore[no-any-return]
        if self.prefix_LD is not None:
            return self.prefix_LD.expand(len(histories), -1, -1), None
        return None, None

    def _suffix(self) -> Tensor | None:
        """Suffix vectors `[X, D]`, if the variant has any."""
        if self.config.variant == "eos":
            end = self.lm.end_of_sequence or 0  # random models for tests have none, and 0 is their unknown word
            return self.lm.parts.embed(torch.tensor([end], device=self.memory.items_ND.device)).float()
        return self.suffix_XD

    def _weights(self) -> list[nn.Parameter]:
        """Everything that is trained, in a fixed order."""
        return [parameter for parameter in self.parameters() if parameter.requires_grad]


def _means(h_RD: Tensor, packed: Packed) -> Tensor:
    """Mean of each sequence's read-out states, `[B, D]`."""
    reads_B = packed.reads_B
    if reads_B.max(initial=0) == reads_B.min(initial=1) == 1:
        return h_RD
    owner_R = torch.from_numpy(np.repeat(np.arange(len(reads_B)), reads_B)).to(h_RD.device)
    sums_BD = h_RD.new_zeros(len(reads_B), h_RD.shape[1]).index_add(0, owner_R, h_RD)
    return sums_BD / torch.from_numpy(reads_B).to(h_RD).unsqueeze(1)


def _vocabulary(lm: DecoderLM) -> tuple[Tensor, Tensor]:
    """Mean and spread of the vocabulary's channels, `[D]` each: where virtual tokens start, as words do."""
    step = max(1, lm.vocab_size // 1024)
    with torch.no_grad():
        sample_VD = lm.parts.embed(torch.arange(0, lm.vocab_size, step, device=lm.device)).float().cpu()
    return sample_VD.mean(0), sample_VD.std(0)


def _chunks(lengths: IntArray, budget: int) -> Iterator[IntArray]:
    """Rows sorted by length, cut where a chunk's tokens would exceed the budget."""
    order = np.argsort(lengths, kind="stable")
    start = total = 0
    for stop, row in enumerate(order):
        if total + lengths[row] > budget and stop > start:
            yield order[start:stop]
            start, total = stop, 0
        total += int(lengths[row])
    if len(order) > start:
        yield order[start:]
