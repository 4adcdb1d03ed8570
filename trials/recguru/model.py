"""RecGURU as a recommender. Shape letters: `B` windows, `L` places, `D` width, `H` windows with two halves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional as F

from trials.backbones.recommenders.histories import at_last_places, pad_right
from trials.backbones.recommenders.next_item import NextItemModel
from trials.data.preparing.dataset import Queries, SearchData
from trials.recguru.config import RecGURUConfig
from trials.recguru.network import Discriminator, RecGURUNetwork
from trials.training.recommender import Losses


class RecGURUModel(NextItemModel):
    """Autoencoder, adversary and recommender.

    Source: Li et al., WSDM 2022, GURU and CDSRec. The discriminator learns from which domain a user's generalized
    representation (GUR) comes, the encoder that it cannot tell, and that a user whom both domains know has the same GUR
    in both; behind that the recommender learns, beside the reconstruction. The paper has two domains. Here there is
    one, whose two halves of time take their place: the first and the second half of each sequence are two behaviours of
    one user, and a GUR is to hold what stays. Every user with two items to read is known in both. Differs besides:
    cross-entropy over all items, as our SASRec, where the authors sample (a softmax with 30 negatives for the
    reconstruction, BPR with 5 for the recommender); discriminator and encoder learn in the same step, from opposite
    labels, where the authors' code lets a Wasserstein critic with a gradient penalty make five steps for one of the
    encoder's.

    Args:
        config: Sizes, losses, window lengths and batch size.
        data: Whose training sequences.
    """

    encoder: RecGURUNetwork

    def __init__(self, config: RecGURUConfig, data: SearchData) -> None:
        super().__init__(RecGURUNetwork(config, data.num_items), data, config)
        self.discriminator: Discriminator | None = None
        if config.lambda_adversary:
            self.discriminator = Discriminator(
                config.hidden_size, config.discriminator_factor, config.discriminator_dropout
            )
        self._config = config
        self._pretrains = config.pretrain_epochs > 0

    def batches(self, epoch: int, rng: np.random.Generator) -> Iterator[Queries]:
        """Windows in a new order, as SASRec."""
        self._pretrains = epoch < self._config.pretrain_epochs
        return super().batches(epoch, rng)

    def loss(self, batch: Queries) -> Losses:
        """What this epoch has of `next`, `reconstruction`, `discriminator`, `adversary` and `overlap`, all weighted."""
        items_BL, lengths_B = (tensor.to(self._device()) for tensor in pad_right(batch.items, batch.offsets))
        read_BL, lengths_B = items_BL[:, :-1], lengths_B - 1
        is_read_BL = torch.arange(read_BL.shape[1], device=lengths_B.device) < lengths_B[:, None]
        users_BLD = self.encoder.users(read_BL)
        losses: Losses = {}
        if not self._pretrains:
            states_BLD = self.encoder.continued(read_BL, users_BLD)
            logits_PN = self.encoder.item_scores(states_BLD[is_read_BL])
            losses["next"] = F.cross_entropy(logits_PN, items_BL[:, 1:][is_read_BL])
        if self._config.lambda_reconstruction:
            states_BLD = self.encoder.reconstructed(read_BL, at_last_places(users_BLD, lengths_B))
            logits_PN = self.encoder.item_scores(states_BLD[is_read_BL])
            said = F.cross_entropy(logits_PN, read_BL[is_read_BL])
            losses["reconstruction"] = self._config.lambda_reconstruction * said
        if self._generalizes:
            losses |= self._generalizing(read_BL, lengths_B, users_BLD)
        return losses

    def share(self, batch: Queries, rank: int, workers: int) -> tuple[Queries, dict[str, float]]:
        """As SASRec; `reconstruction` has as many items as there are targets, the rest a term for each two halves."""
        part, of_targets = super().share(batch, rank, workers)
        weights = dict(of_targets) if not self._pretrains else {}
        if self._config.lambda_reconstruction:
            weights["reconstruction"] = of_targets["next"]
        if self._generalizes and (all_halves := _halves(batch)):
            of_halves = _halves(part) / all_halves if of_targets["next"] else 0.0
            if self._config.lambda_overlap:
                weights["overlap"] = of_halves
            if self.discriminator is not None:
                weights |= {"adversary": of_halves, "discriminator": of_halves}
        return part, weights

    def rate_factors(self) -> Mapping[str, float]:
        """The discriminator's own rate."""
        names = (name for name, _ in self.named_parameters() if name.startswith("discriminator."))
        return dict.fromkeys(names, self._config.discriminator_rate)

    @property
    def _generalizes(self) -> bool:
        return self._pretrains or not self._config.pretrain_epochs

    def _generalizing(self, read_BL: Tensor, lengths_B: Tensor, users_BLD: Tensor) -> Losses:
        """`discriminator`, `adversary` and `overlap`; nothing of windows whose one item has no two halves."""
        has_halves_B = lengths_B >= 2
        if not bool(has_halves_B.any()):
            return {}
        read_HL, lengths_H, users_HLD = read_BL[has_halves_B], lengths_B[has_halves_B], users_BLD[has_halves_B]
        first_H = lengths_H // 2
        first_HD = at_last_places(users_HLD, first_H)
        second_HL, second_H = second_halves(read_HL, lengths_H, first_H)
        second_HD = at_last_places(self.encoder.users(second_HL), second_H)
        losses: Losses = {}
        if self._config.lambda_overlap:
            losses["overlap"] = self._config.lambda_overlap * F.mse_loss(first_HD, second_HD)
        if self.discriminator is not None:
            weights = {name: weight.detach() for name, weight in self.discriminator.named_parameters()}
            logits_2H = functional_call(self.discriminator, weights, torch.stack([first_HD, second_HD]))
            losses["adversary"] = self._config.lambda_adversary * _told(logits_2H.flip(0))
            losses["discriminator"] = _told(self.discriminator(torch.stack([first_HD, second_HD]).detach()))
        return losses


def _told(logits_2H: Tensor) -> Tensor:
    """Cross-entropy of the origins, of which the first row is 0 and the second 1."""
    is_second_2H = torch.zeros_like(logits_2H)
    is_second_2H[1] = 1
    return F.binary_cross_entropy_with_logits(logits_2H, is_second_2H)


def _halves(batch: Queries) -> int:
    """Windows with two items to read, and the target."""
    return int((np.diff(batch.offsets) >= 3).sum())


def second_halves(items_HL: Tensor, lengths_H: Tensor, first_H: Tensor) -> tuple[Tensor, Tensor]:
    """What follows the first items of each sequence, padded on the right, and its lengths.

    >>> second_halves(torch.tensor([[1, 2, 3], [4, 5, 0]]), torch.tensor([3, 2]), torch.tensor([1, 1]))
    (tensor([[2, 3],
            [5, 0]]), tensor([2, 1]))
    """
    left_H = lengths_H - first_H
    places_L = torch.arange(int(left_H.max()), device=items_HL.device)
    places_HL = (first_H[:, None] + places_L).clamp(max=items_HL.shape[1] - 1)
    return items_HL.gather(1, places_HL) * (places_L < left_H[:, None]), left_H
