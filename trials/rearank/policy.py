"""The language model as a policy: it writes a list of letters, after reasoning where it is let, under one constraint.

Shape letters: `B` prompts, `G` answers to each, `R` = B times G, `K` candidates, `T` decisions of a reasoning at most,
`D` width, `V` words, `P` states that are read.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from trials.backbones.decoders.candidate_prompts import Prompted
from trials.backbones.decoders.continuation import Continuation
from trials.backbones.decoders.decoder_lm import DecoderLM
from trials.backbones.decoders.low_rank import LowRankAdapters
from trials.backbones.decoders.packed_run import run_decoder
from trials.data.preparing.dataset import IntArray
from trials.nn.ragged import Ragged
from trials.nn.verbaliser import Verbaliser
from trials.rearank.answers import Answers, chosen, list_log_probs, padded
from trials.rearank.config import RearankConfig
from trials.rearank.prompts import Script


class Policy(nn.Module):
    """A frozen decoder with low-rank updates that writes lists.

    Source: Zhang et al., EMNLP 2025: the model reasons, then writes all identifiers, best first. Differs: a letter is
    drawn among those of candidates not yet written (a Plackett-Luce distribution where `listing` is `first`, and its
    sequential form where the model reads what it wrote), as a small language model hardly ever writes a valid list;
    the reasoning is free, but ends after `reasoning_tokens`, and the tags around the list are written for the model.

    Args:
        config: Settings.
        lm: Frozen, shared with other trials.
        script: What answers are made of.
        words_KD: The head's rows of the letters.
        head_VD: The whole head, by which reasoning is written; None without.
    """

    started_K: Tensor

    def __init__(
        self, config: RearankConfig, lm: DecoderLM, script: Script, words_KD: Tensor, head_VD: Tensor | None
    ) -> None:
        super().__init__()
        self.adapters = LowRankAdapters(lm, config.rank, config.alpha, dropout=0.0) if config.rank else None
        self.verbaliser = Verbaliser(words_KD, config.verbaliser)
        self.register_buffer("started_K", torch.zeros(len(words_KD)), persistent=False)
        self._lm = self._reference = lm
        if self.adapters is not None:
            self._lm = dataclasses.replace(lm, parts=self.adapters.attach(lm.parts))
        self._config, self._script = config, script
        self._head: tuple[Tensor, ...] = () if head_VD is None else (head_VD,)  # none of this module's own tensors
        self._at_once = config.listing == "first" and not config.reasoning_tokens

    def start(self, states_RD: Tensor, answers_E: IntArray) -> None:
        """Fit a verbaliser of ours, and remember how it began; see `Verbaliser.start`."""
        self.verbaliser.start(states_RD, self._config.whiten_ridge, answers_E)
        self.started_K.copy_(self.verbaliser.bias_K.detach())

    # ------------------------------------------------------------------ writing

    @torch.no_grad()
    def write(self, prompted: Prompted, count: int, group: int = 1, rng: np.random.Generator | None = None) -> Answers:
        """Answer each prompt.

        Args:
            prompted: The prompts.
            count: K, as many candidates as any prompt has.
            group: G.
            rng: Draws every decision; None takes the likeliest.
        """
        counts_R = np.repeat(prompted.counts_B, group)
        most = self._config.reasoning_tokens
        uniforms = None if rng is None else self._tensor(rng.random((len(counts_R), most + count)))
        if self._at_once:
            logits_RK = self._logits(self.states(prompted), prompted.counts_B, count).repeat_interleave(group, 0)
            orders_RK = self._listed(logits_RK, None, counts_R, uniforms)
            nothing = np.zeros(len(counts_R), dtype=np.int64)
            return Answers(nothing[:, None][:, :0], nothing, nothing > 0, orders_RK, counts_R)
        with self._autocast():
            lengths_B = prompted.tokens.lengths()
            reading = Continuation(self._lm, len(lengths_B), int(lengths_B.max()) + most + self._script.longest)
            state_RD = reading.read(self._tensor(padded(prompted.tokens)), self._tensor(lengths_B))
            state_RD = state_RD.repeat_interleave(group, 0)
            reading.repeat(group)
            thoughts_RT, lengths_R, ended_R, state_RD = self._thought(reading, state_RD, uniforms)
            logits_RK = self._logits(state_RD.float(), counts_R, count)
            letters = None if uniforms is None else uniforms[:, most:]
            orders_RK = self._listed(
                logits_RK, reading if self._config.listing == "written" else None, counts_R, letters
            )
        return Answers(thoughts_RT, lengths_R, ended_R, orders_RK, counts_R)

    def _thought(
        self, reading: Continuation, state_RD: Tensor, uniforms: Tensor | None
    ) -> tuple[IntArray, IntArray, NDArray[np.bool_], Tensor]:
        """Reason until all are done, and close it: thoughts, lengths, who ended it, and the states behind the close."""
        most, closing = self._config.reasoning_tokens, self._script.closing
        running_R = torch.ones(len(state_RD), dtype=torch.bool, device=state_RD.device)
        lengths_R = torch.zeros_like(running_R, dtype=torch.long)
        thoughts_RT = lengths_R.new_zeros(len(state_RD), most)
        for place in range(most):
            chosen_R = chosen(self._words(state_RD), None if uniforms is None else uniforms[:, place])
            thoughts_RT[:, place] = chosen_R
            lengths_R += running_R
            running_R = running_R & (chosen_R != closing[0])
            if not running_R.any():
                break
            state_RD = reading.read(chosen_R[:, None], running_R.long())
        if most:
            state_RD = reading.read(self._tensor(closing).expand(len(state_RD), -1))
        return thoughts_RT.cpu().numpy(), lengths_R.cpu().numpy(), (~running_R).cpu().numpy() & (most > 0), state_RD

    def _listed(
        self, logits_RK: Tensor, reading: Continuation | None, counts_R: IntArray, uniforms: Tensor | None
    ) -> IntArray:
        """Write all letters, the first by these logits; each is read before the next where reading goes on."""
        places_K = torch.arange(logits_RK.shape[1], device=logits_RK.device)
        missing_RK = places_K >= self._tensor(counts_R)[:, None]
        written_RK = torch.zeros_like(missing_RK)
        letters_K, between = self._tensor(self._script.letters_K), self._tensor(self._script.between)
        order = []
        for step in range(len(places_K)):
            # Those there are not come in their order once the others are written, whatever is drawn.
            open_RK = torch.where(missing_RK, -1e9 * (1.0 + places_K), logits_RK).masked_fill(written_RK, -torch.inf)
            chosen_R = chosen(open_RK, None if uniforms is None else uniforms[:, step])
            written_RK[torch.arange(len(chosen_R)), chosen_R] = True
            order.append(chosen_R)
            if reading is not None and step + 1 < len(places_K):
                ids = torch.cat([letters_K[chosen_R][:, None], between.expand(len(chosen_R), -1)], dim=1)
                logits_RK = self._logits(reading.read(ids).float(), counts_R, len(places_K))
        return torch.stack(order, dim=1).cpu().numpy()

    # ------------------------------------------------------------------ how likely it was

    def log_probs(self, prompted: Prompted, answers: Answers, *, reference: bool = False) -> Tensor:
        """Log-probabilities of all decisions, `[R, T + K]`; 0 where there are none.

        Args:
            prompted: The `B` prompts, of which each has as many answers.
            answers: To them.
            reference: Of the model as it began.
        """
        count, most = answers.orders_RK.shape[1], answers.thoughts_RT.shape[1]
        lm = self._reference if reference else self._lm
        began = reference and self.verbaliser.kind != "words"
        decided_RM = self._tensor(answers.decided())
        if self._at_once:
            if began:
                logits_BK = self.started_K[:count].expand(len(prompted.counts_B), -1)
            else:
                logits_BK = self._logits(self.states(prompted, lm), prompted.counts_B, count)
            logits_RSK = logits_BK.repeat_interleave(len(answers) // len(logits_BK), 0)[:, None]
            return list_log_probs(logits_RSK, answers.orders_RK, decided_RM)
        tokens, read, letter_P, steps_R = self._written(prompted, answers)
        states_PD = self._run(lm, tokens, np.concatenate(read), np.array([len(row) for row in read]))
        of_letters = self._tensor(letter_P)
        states_LD = states_PD[of_letters]
        logits_LK = self.started_K[:count].expand(len(states_LD), -1)
        if not began:
            logits_LK = self._logits(states_LD, steps_R, count)
        there_RS = self._tensor(np.arange(steps_R.max()) < steps_R[:, None])
        logits_RSK = logits_LK.new_zeros(*there_RS.shape, count)
        logits_RSK[there_RS] = logits_LK
        letters_RK = list_log_probs(logits_RSK, answers.orders_RK, decided_RM[:, most:])
        if not most:
            return letters_RK
        words_PV = self._words(states_PD[~of_letters]).log_softmax(-1)
        thoughts_RT = words_PV.new_zeros(len(answers), most)
        ids_P = self._tensor(answers.thoughts_RT)[decided_RM[:, :most]]
        thoughts_RT[decided_RM[:, :most]] = words_PV.gather(1, ids_P[:, None])[:, 0]
        return torch.cat([thoughts_RT, letters_RK], dim=1)

    def _written(
        self, prompted: Prompted, answers: Answers
    ) -> tuple[Ragged, list[IntArray], NDArray[np.bool_], IntArray]:
        """Prompts with their answers, where in all of them each decision was made, which were letters, and how many."""
        script, rows, read, letter, start = self._script, [], [], [], 0
        group = len(answers) // len(prompted.counts_B)
        steps_R = answers.counts_R if self._config.listing == "written" else np.ones_like(answers.counts_R)
        for r, steps in enumerate(steps_R.tolist()):
            prompt, made = prompted.tokens.row(r // group), int(answers.lengths_R[r])
            thought = answers.thoughts_RT[r, : made - int(answers.ended_R[r])]  # what ends it begins the close
            before = np.concatenate([prompt, thought, np.array(script.closing, dtype=np.int64)])
            letters = script.letters_K[answers.orders_RK[r, : steps - 1]]
            tail = [np.concatenate([[token], script.between]) for token in letters]
            rows.append(np.concatenate([before, *tail]).astype(np.int64))
            listed = len(before) - 1 + (1 + len(script.between)) * np.arange(steps)
            read.append(start + np.concatenate([len(prompt) - 1 + np.arange(made), listed]))
            letter.append(np.arange(made + steps) >= made)
            start += len(rows[-1])
        return Ragged.of(rows), read, np.concatenate(letter), steps_R

    # ------------------------------------------------------------------ parts

    def states(self, prompted: Prompted, lm: DecoderLM | None = None) -> Tensor:
        """States `[P, D]` that the verbaliser reads: of each prompt's last token, or of its titles'."""
        tokens = prompted.tokens
        if self._config.verbaliser == "titles":
            return self._run(lm or self._lm, tokens, prompted.ends_R, prompted.counts_B)
        return self._run(lm or self._lm, tokens, tokens.offsets[1:] - 1, np.ones_like(prompted.counts_B))

    def _run(self, lm: DecoderLM, tokens: Ragged, read_P: IntArray, reads: IntArray) -> Tensor:
        with self._autocast():
            embedded_SD = lm.parts.embed(self._tensor(tokens.values)).float()
            return run_decoder(lm, embedded_SD, tokens.lengths(), read_P, reads).float()

    def _logits(self, states_PD: Tensor, counts: IntArray, count: int) -> Tensor:
        # In full precision wherever it is asked: a list is drawn from what its probability is told by.
        with torch.autocast(self._lm.device.type, enabled=False):
            logits_BK: Tensor = self.verbaliser(states_PD.float(), counts, count)
        return logits_BK

    def _words(self, states_PD: Tensor) -> Tensor:
        """Logits `[P, V]` of all words."""
        head_VD = self._head[0]
        return F.linear(states_PD.to(head_VD.dtype), head_VD).float()

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self._lm.device.type, torch.bfloat16, enabled=self._config.precision == "bfloat16")

    def _tensor(self, values: Any) -> Tensor:
        return torch.as_tensor(values, device=self._lm.device)
