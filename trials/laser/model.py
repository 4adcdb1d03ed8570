"""The Laser recommender: users and items through one frozen language model, compared by cosine (section 4).

Shape letters: `B` users, `S` tokens of all sequences, `R` tokens that are read out, `N` items, `D` width of the
language model, `L` prefix tokens, `X` suffix tokens, `K` experts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from trials.backbones.decoders.decoder_lm import DecoderLM
from trials.backbones.decoders.packed_run import run_decoder, run_planned
from trials.data.preparing.dataset import IntArray, Queries
from trials.laser.batches import Batch, Batcher, share
from trials.laser.collaborative import Collaborator, Reading
from trials.laser.comparison import Comparison
from trials.laser.config import LaserConfig
from trials.laser.instructions import Instructions, Packed
from trials.laser.losses import item_item_contrastive, load_balance
from trials.laser.mformer import MFormer, Routing
from trials.laser.windows import pack_windows
from trials.training.item_memory import ItemMemory
from trials.training.recommender import Losses, Recommender
from trials.training.rows.grouping import chunks

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
        item_bias_N: Start of a trained addition to each item's score; None for none.
        vector_weights_N: How much each item's own vector counts; None for no such vectors.
    """

    def __init__(
        self,
        config: LaserConfig,
        lm: DecoderLM,
        instructions: Instructions,
        batcher: Batcher,
        num_items: int,
        collaborator: Collaborator | None,
        item_bias_N: Tensor | None = None,
        vector_weights_N: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.config, self.lm, self.instructions, self.batcher = config, lm, instructions, batcher
        self.num_items = num_items
        self.collaborator = collaborator
        mean_D, std_D = lm.vocabulary()
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
                recency=config.former_recency,
            )
        elif config.prefix_tokens:
            self.prefix_LD = nn.Parameter(mean_D + std_D * torch.randn(config.prefix_tokens, lm.hidden_size))
        if config.suffix_tokens and config.variant != "eos":
            self.suffix_XD = nn.Parameter(mean_D + std_D * torch.randn(config.suffix_tokens, lm.hidden_size))
        self.comparison = Comparison(
            lm.hidden_size,
            num_items,
            whiten=config.whiten_states,
            project=config.project_states,
            vector_weights_N=vector_weights_N,
            dropout=config.state_dropout,
            bias_N=item_bias_N,
        )
        weights = sum(weight.numel() for weight in self._weights())
        has_both = config.variant not in ("no-phase-1", "no-phase-2")
        self.memory = ItemMemory(num_items, lm.hidden_size, weights if has_both else 0)
        self._phase = 1 if config.phase1_epochs else 2
        self._encoded_items = 0
        self._encode_seconds = 0.0
        self._load_K: Tensor | None = None

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
        if self.config.passes == "windows":
            h_BD, routing = self.embed_windows(batch.histories, batch.reads_W)
        else:
            h_BD, routing = self.embed(batch.histories)
        targets_B = torch.from_numpy(batch.targets_B).to(h_BD.device)
        logits_BN = self._logits(h_BD, self.config.temperature)
        losses = {"iic": item_item_contrastive(logits_BN, targets_B, self.config.label_smoothing)}
        if routing is not None and self.config.balance_weight:
            balance = load_balance(routing.weights_BK, routing.dispatched_BK)
            losses["balance"] = self.config.balance_weight * balance
        return losses

    def share(self, batch: Batch, rank: int, workers: int) -> tuple[Batch, dict[str, float]]:
        """One worker's users; both losses are means over users."""
        part, weight = share(batch, rank, workers)
        return part, {"iic": weight, **({"balance": weight} if self.config.balance_weight else {})}

    def scores(self, queries: Queries) -> Tensor:
        """`cos(h_u, h_i)` with every item (eq. 2), `[B, N]` in [-1, 1]; with a bias, `cos / τ + b`.

        Raises:
            ValueError: If a history is empty: neither template nor recommender has a form for it.
        """
        histories = [self.instructions.kept(queries.history(b)) for b in range(len(queries))]
        if any(len(items) == 0 for items in histories):
            raise ValueError("Laser reads what a user has interacted with, but a history is empty")
        tokens_B = np.array([self.instructions.length(items) for items in histories], dtype=np.int64)
        h_BD = torch.empty(len(queries), self.lm.hidden_size, device=self.memory.items_ND.device)
        for rows in chunks(tokens_B + self.config.prefix_tokens + self.config.suffix_tokens, CHUNK_TOKENS):
            h_CD, routing = self.embed([histories[row] for row in rows])
            h_BD[torch.from_numpy(rows).to(h_BD.device)] = h_CD
            if routing is not None and not self.training:
                load_K = routing.dispatched_BK.sum(0)
                self._load_K = load_K if self._load_K is None else self._load_K + load_K
        return self._logits(h_BD, 1.0 if self.comparison.bias_N is None else self.config.temperature)

    def start_evaluation(self) -> None:
        """Encode the items if that has never been done; count the router's load of this round only."""
        self._load_K = None
        if not bool(self.memory.encoded):
            self._refresh_items()

    def add_counts(self, add: Callable[[Tensor], None]) -> None:
        """Put together the loads of several workers' routers; see `Recommender.add_counts`."""
        if self._load_K is not None:
            add(self._load_K)

    def after_validation(self, epoch: int, ranks_U: IntArray, metrics: Mapping[str, float]) -> None:
        """Remember the epoch if it is the best of phase 1."""
        if epoch < self.config.phase1_epochs:
            self.memory.consider(metrics[self.config.phase_metric], self._weights())

    def diagnostics(self) -> dict[str, float]:
        """Of the epoch: its phase, items encoded and how long that took, the router's load.

        `router/expert<j>` is f_j of eq. 9, the mean over the users of the last evaluation.
        """
        found = {
            "laser/phase": float(self._phase),
            "laser/items_encoded": float(self._encoded_items),
            "time/encode_items_seconds": self._encode_seconds,
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
        reading = self._reading(histories) if self.former is not None else None
        prefix_BLD, routing = self._prefix(len(histories), reading)
        with torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bfloat16"):
            states_SD = parts.embed(packed.ids_S).float()
            if prefix_BLD is not None:
                states_SD = states_SD.index_copy(0, packed.prefix_S, prefix_BLD.flatten(0, 1).float())
            if (suffix_XD := self._suffix()) is not None:
                states_SD = states_SD.index_copy(0, packed.suffix_S, suffix_XD.repeat(len(histories), 1))
            h_RD = run_decoder(self.lm, states_SD, packed.lengths_B, packed.read_R, packed.reads_B).float()
        return _means(h_RD, packed), routing

    def embed_windows(self, windows: Sequence[IntArray], reads_W: IntArray) -> tuple[Tensor, Routing | None]:
        """`h_u` of the longest beginnings of windows, `[B, D]`, window by window, the shortest first.

        Args:
            windows: Items of each, oldest first.
            reads_W: How many beginnings of each.

        Source: ours; see `windows.py`.
        """
        config, parts, device = self.config, self.lm.parts, self.memory.items_ND.device
        packed = pack_windows(
            self.instructions,
            windows,
            reads_W,
            prefix=config.prefix_tokens,
            suffix=config.suffix_tokens,
            inner=self.lm.num_layers > 1,
            device=device,
        )
        count = int(reads_W.sum())
        reading = None if self.collaborator is None else self.collaborator.beginnings(windows, reads_W)
        prefix_BLD, routing = self._prefix(count, reading)
        suffix_XD = self._suffix()
        assert suffix_XD is not None
        with torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bfloat16"):
            states_SD = parts.embed(packed.ids_S).float()
            if prefix_BLD is not None:
                states_SD = states_SD.index_copy(0, packed.prefix_S, prefix_BLD.flatten(0, 1).float())
            states_SD = states_SD.index_copy(0, packed.suffix_S, suffix_XD.repeat(count, 1))
            h_RD = run_planned(parts, states_SD, packed.positions_S, packed.inner, packed.last, packed.suffix_S)
        return h_RD.float().view(count, -1, h_RD.shape[1]).mean(1), routing

    @torch.no_grad()
    def condition(self, histories: Sequence[IntArray]) -> None:
        """Encode the items, and fit the comparison's constants to them and to these users; before training."""
        was_training = self.training
        self.eval()
        users_RD = torch.cat([self.embed(histories[i : i + 64])[0] for i in range(0, len(histories), 64)])
        self.train(was_training)
        self.comparison.fit(users_RD, self.encode_items(), self.config.whiten_ridge)

    @torch.no_grad()
    def encode_items(self) -> Tensor:
        """`h_i` of every item, `[N, D]`, in evaluation mode, in batches of texts of similar length."""
        started = time.perf_counter()
        was_training = self.training
        self.eval()
        try:
            h_ND = torch.empty(self.num_items, self.lm.hidden_size, device=self.memory.items_ND.device)
            virtual = self.config.prefix_tokens + self.config.suffix_tokens
            for rows in chunks(self.instructions.item_lengths() + virtual, CHUNK_TOKENS):
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

    def _logits(self, h_BD: Tensor, temperature: float) -> Tensor:
        """`[B, N]` from users' outputs and the items in use, whose side is a constant in phase 2."""
        items_ND = self.memory.items_ND
        if self.config.centre_states:
            centre_D = items_ND.mean(0)
            h_BD, items_ND = h_BD - centre_D, items_ND - centre_D
        with torch.set_grad_enabled(torch.is_grad_enabled() and self._phase == 1):
            items_ND = self.comparison.items(items_ND)
        return self.comparison.logits(self.comparison.users(h_BD), items_ND, temperature)

    def _reading(self, histories: Sequence[IntArray]) -> Reading:
        """What the M-Former reads of whole histories."""
        assert self.collaborator is not None
        states_BPC, seen_BP = self.collaborator(histories)
        return Reading(states_BPC, None, seen_BP)

    def _prefix(self, count: int, reading: Reading | None) -> tuple[Tensor | None, Routing | None]:
        """Prefix vectors `[B, L, D]` of `count` histories, if the variant has any."""
        if self.former is not None:
            assert reading is not None
            return self.former(reading.states_WPC, reading.seen_BP, reading.row_B)  # type: ignore[no-any-return]
        if self.prefix_LD is not None:
            return self.prefix_LD.expand(count, -1, -1), None
        return None, None

    def _suffix(self) -> Tensor | None:
        """Suffix vectors `[X, D]`, if the variant has any."""
        if self.config.variant == "eos":
            end = torch.from_numpy(self.instructions.end).to(self.memory.items_ND.device)
            return self.lm.parts.embed(end).float()
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
