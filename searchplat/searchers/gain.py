"""What the next trials of a stage can be expected to gain, whatever searches it: by a model of ours of its trials.

The model is that of `pr`, fitted to the stage's trials: exact Gaussian processes whose noise is learned, so a lucky
value is no better than what its neighbours say of it. The best is the tried point with the highest posterior mean. The
next trials are those that the searcher would run, as far as it can be asked for many at a time, else those that gain
most by joint draws of the posterior. Their results are then imagined, noise, failures and all, and the gain is by how
much the highest posterior mean rises on average: what a batch is worth to somebody who takes the best afterwards (the
knowledge gradient of Frazier et al. 2009). A searcher that hears of each trial before the next gains more than a batch,
and a model may be too sure; so the gain is never less than what the last trials have gained, by the same posterior.
Next: `engine.closing`, which ends a stage by it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from searchplat.contract import Values
from searchplat.searchers import make_searcher
from searchplat.searchers.contract import History, PastTrial, Searcher, TrialState
from searchplat.searchers.options import PROptions
from searchplat.searchers.points import seed_of
from searchplat.searchers.pr.acquisition import safe_root
from searchplat.searchers.pr.batch import pool
from searchplat.searchers.pr.encoding import Encoding
from searchplat.searchers.pr.models.surrogate import FitError, Model
from searchplat.searchers.pr.optimizer import Values as Worth
from searchplat.searchers.pr.proposal import (
    Known,
    clipped,
    distinct,
    family_of,
    models_of,
    one_thread,
    standardised,
    success,
)
from searchplat.searchers.pr.searcher import Codec
from searchplat.spec.model import SearcherSpec
from searchplat.spec.space import Space

_log = logging.getLogger(__name__)

_MOST = 300  # trials that are looked at: the best half and the newest half
_CHOICE_DRAWS = 128  # joint posterior draws by which points are chosen
_DRAWS = 512  # imagined results of a batch
_ROUNDS = 3  # each looks around the points that the one before chose
_STARTS = 4  # points around which a round looks
_BATCHES = 8  # random batches of a searcher that does not look at values
_BASELINE = 12  # tried points, best by posterior mean, that a choice must beat

_BLIND = ("random", "grid")  # their points do not depend on values, so they are random to whoever looks at these
_ASKED = ("tpe",)  # they take no time to ask, and keep no count of what they were asked


def expected_gain(
    space: Space,
    maximize: bool,
    history: History,
    trials: int,
    seed: int,
    given: Mapping[str, Any],
    searcher: SearcherSpec | None = None,
) -> float | None:
    """By how much the next trials raise the objective of the best, on average.

    Open trials count as if they ended as the model expects. Trials that were stopped early enter with their best value,
    as they do for the searchers; those that failed lower the worth of points like theirs.

    Args:
        space: The stage's axes.
        maximize: Whether more of the only objective is better.
        history: The stage's trials, at least one of them with a value.
        trials: How many are to come, >= 1.
        seed: Equal seeds and histories give equal gains, in any process.
        given: Values of parameters outside the space that conditions and constraints may look at.
        searcher: Who chooses them; somebody who chooses as well as the model can by default.

    Returns:
        The gain, >= 0, in the objective's units. 0 if every point was tried, or all trials have one value. None if no
        model could be fitted.
    """
    codec = Codec(space, given)
    if not codec.encoding.width:
        return 0.0
    known, values_N = known_of(codec, history, 1.0 if maximize else -1.0)
    scale = float(clipped(values_N).std(correction=0))
    if scale == 0.0:
        return 0.0
    with one_thread(), torch.no_grad():
        generator = torch.Generator().manual_seed(seed_of(seed, "gain"))
        try:
            belief = _Belief(codec.encoding, known, standardised(values_N), generator)
        except FitError as error:
            _log.warning("the expected gain is not known: %s", error)
            return None
        name = "" if searcher is None else searcher.name
        if name in _BLIND:
            batches = [belief.anywhere(trials) for _ in range(_BATCHES)]
        elif searcher is not None and name in _ASKED:
            asked = make_searcher(searcher, space, (maximize,), seed, given)
            batches = [codec.encode(list(_next_points(asked, history, trials)))]
        else:
            batches = [belief.promising(trials)]
        expected = sum(map(belief.gain, batches)) / len(batches)
        # Where no point is left there is nothing to gain, whatever the last trials did.
        return scale * max(expected, belief.recent(trials)) if any(map(len, batches)) else 0.0


def _next_points(searcher: Searcher, history: History, trials: int) -> Iterator[Values]:
    """The points that a searcher would try next, should none of them end before the last was begun."""
    past = list(history.trials)
    first = past[-1].number + 1
    for number in range(first, first + trials):
        seq = history.seq + number - first
        suggestion = searcher.suggest(History(tuple(past), seq), number)
        if suggestion is None:
            return
        yield suggestion.values
        past.append(PastTrial(number, suggestion.values, TrialState.RUNNING, suggested_at=seq + 1, based_on=seq))


def known_of(codec: Codec, history: History, sign: float) -> tuple[Known, Tensor]:
    """What is known of one objective in codes, known at trials' numbers, and the values, larger is better `[N]`."""
    valued = [t for t in history.trials if t.state.scored and t.objectives is not None]
    if len(valued) > _MOST:
        newest = valued[-_MOST // 2 :]
        best = sorted(valued[: -_MOST // 2], key=lambda t: sign * (t.objectives or (0.0,))[0], reverse=True)
        valued = sorted([*newest, *best[: _MOST // 2]], key=lambda t: t.number)
    values_N = torch.tensor([sign * (t.objectives or (0.0,))[0] for t in valued], dtype=torch.float64)
    failed = [t for t in history.trials if t.state.final and not t.state.scored][-_MOST:]
    told = {t.number for t in (*valued, *failed)}
    return (
        Known(
            codec.encode([t.values for t in valued]),
            values_N[:, None],
            codec.encode([t.values for t in history.trials if not t.state.final]),
            codec.encode([t.values for t in failed]),
            known_at_N=torch.tensor([t.number for t in valued], dtype=torch.int64),
            failed_at_F=torch.tensor([t.number for t in failed], dtype=torch.int64),
            used_UA=codec.encode([t.values for t in history.trials if t.state.final and t.number not in told]),
        ),
        values_N,
    )


class _Belief:
    """The posterior of a stage's objective, and what batches of points are worth under it.

    Shapes: `P` tried points, `Q` points of a batch, `M` of a pool, `S` draws.
    """

    def __init__(self, encoding: Encoding, known: Known, target_N: Tensor, generator: torch.Generator) -> None:
        self._encoding, self._generator = encoding, generator
        features_ND = encoding.features(known.scored_NA)
        fitted, _ = models_of(encoding, features_ND, target_N, family_of(encoding, PROptions()))
        pending_QD = encoding.features(known.pending_QA)
        self._models = [model.believing(pending_QD) for model in fitted]
        self._factors = success(encoding, known, features_ND)
        self._scored_ND = features_ND
        self._tried_PA = torch.cat([known.scored_NA, known.pending_QA])
        self._tried_PA = self._tried_PA[distinct(self._tried_PA)]
        self._tried_PD = encoding.features(self._tried_PA)
        self._open = Worth(encoding, _nothing, known.tried)

    def recent(self, trials: int) -> float:
        """By how much the last trials with a value raised the highest posterior mean."""
        mean_N = self._mean(self._scored_ND)
        return float(mean_N.max() - mean_N[:-trials].max()) if len(mean_N) > trials else 0.0

    def _mean(self, features_MD: Tensor) -> Tensor:
        zero_M = torch.zeros(len(features_MD), dtype=torch.float64)
        return sum((model.weight * model.mean(features_MD) for model in self._models), zero_M)

    def anywhere(self, count: int) -> Tensor:
        """Up to `count` random untried points in codes."""
        codes_MA = self._encoding.random(4 * count, self._generator)
        codes_MA = codes_MA[distinct(codes_MA)]
        return codes_MA[~self._open.tried(codes_MA)][:count]

    def promising(self, count: int) -> Tensor:
        """Up to `count` untried points in codes that together promise most."""
        mean_P = self._mean(self._tried_PD)
        best = mean_P.topk(min(_BASELINE, len(mean_P))).indices
        baseline_BA, chosen_QA = self._tried_PA[best], self._tried_PA[:0]
        starts = baseline_BA[:_STARTS]
        for _ in range(_ROUNDS):
            found_MA = torch.cat([chosen_QA, pool(self._encoding, self._open, starts, self._generator)])
            found_MA = found_MA[distinct(found_MA)]
            if not len(found_MA):
                break
            chosen_QA = found_MA[self._greedy(baseline_BA, found_MA, count)]
            starts = chosen_QA[:_STARTS]
        return chosen_QA

    def _greedy(self, baseline_BA: Tensor, pool_MA: Tensor, count: int) -> list[int]:
        """Places of the points that raise the mean of the highest value most, one after the other."""
        features_MD = self._encoding.features(torch.cat([baseline_BA, pool_MA]))
        draws = []
        for model in self._models:
            mean_M, covariance_MM = model.joint(features_MD)
            root_MM = safe_root(covariance_MM, 1e-6 * covariance_MM.diagonal().mean().clamp(min=1e-6))
            number = max(1, round(_CHOICE_DRAWS * model.weight))
            draws.append(mean_M + self._normal(number, len(mean_M)) @ root_MM.T)
        path_SM = torch.cat(draws)
        highest_S = path_SM[:, : len(baseline_BA)].amax(1)
        path_SM = path_SM[:, len(baseline_BA) :]
        path_SM = path_SM.masked_fill(self._failing(pool_MA, len(path_SM)), -torch.inf)
        chosen: list[int] = []
        for _ in range(min(count, len(pool_MA))):
            rise_M = (path_SM - highest_S[:, None]).clamp(min=0).mean(0)
            rise_M[chosen] = -1.0
            best = int(rise_M.argmax())
            chosen.append(best)
            highest_S = torch.maximum(highest_S, path_SM[:, best])
        return chosen

    def gain(self, batch_QA: Tensor) -> float:
        """By how much the highest posterior mean of tried points rises with a batch's results, on average."""
        if not len(batch_QA):
            return 0.0
        features_MD = torch.cat([self._tried_PD, self._encoding.features(batch_QA)])
        failing_SQ = self._failing(batch_QA, _DRAWS)
        return sum(model.weight * self._gain(model, features_MD, failing_SQ) for model in self._models)

    def _gain(self, model: Model, features_MD: Tensor, failing_SQ: Tensor) -> float:
        number = failing_SQ.shape[1]
        mean_M, covariance_MM = model.joint(features_MD)
        with_batch_MQ = covariance_MM[:, -number:]
        # What failed tells nothing: its noise is endless.
        noise_SQ = max(model.noise, 1e-6) + 1e9 * failing_SQ.to(torch.float64)
        root_SQQ, _ = torch.linalg.cholesky_ex(with_batch_MQ[-number:] + torch.diag_embed(noise_SQ))
        normal_SQ = self._normal(*failing_SQ.shape)
        # With K = R R^T the innovation is R z, and the means move by C K^-1 R z = C R^-T z.
        weight_SQ = torch.linalg.solve_triangular(root_SQQ.mT, normal_SQ[..., None], upper=True)[..., 0]
        mean_SM = mean_M + weight_SQ @ with_batch_MQ.T
        before = int(mean_M[:-number].argmax())
        there_SM = torch.nn.functional.pad(failing_SQ, (len(mean_M) - number, 0))
        highest_S = mean_SM.masked_fill(there_SM, -torch.inf).amax(1)
        # Against what becomes of the present best: its own mean stays on average, and nearly all of the noise cancels.
        return float((highest_S - mean_SM[:, before]).mean())

    def _failing(self, codes_MA: Tensor, draws: int) -> Tensor:
        """Of each draw, which points' trials end without a value `[S, M]`."""
        features_MD = self._encoding.features(codes_MA)
        log_M = sum((factor(features_MD) for factor in self._factors), torch.zeros(len(codes_MA), dtype=torch.float64))
        uniform_SM = torch.rand((draws, len(codes_MA)), generator=self._generator, dtype=torch.float64)
        return uniform_SM > log_M.exp()

    def _normal(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self._generator, dtype=torch.float64)


def _nothing(features_MD: Tensor) -> Tensor:
    return torch.zeros(len(features_MD), dtype=torch.float64)
