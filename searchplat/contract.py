"""What a method and the platform promise each other.

The platform (`searchplat.engine`) hands a method a `TrialJob` and gets back a `Training`, which it
drives one epoch at a time. The platform knows nothing else of a method; a method knows nothing of
Ray, MLflow or the ledger. Most methods never see this file: they subclass
`trials.training.RecommenderMethod`, which supplies `start` with the one training loop.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

from pydantic import BaseModel

from searchplat.firewall import TEST_FILE as TEST_FILE
from searchplat.firewall import TEST_REQUESTS as TEST_REQUESTS
from searchplat.firewall import TestPermit as TestPermit
from searchplat.firewall import refuse_if_sealed as refuse_if_sealed
from searchplat.protocol import renewed as renewed

T = TypeVar("T")

Values = dict[str, Any]
"""Parameter values of one trial: JSON values only (str, int, float, bool, None)."""


@dataclass(frozen=True)
class AssetName:
    """Marks a text field of a `Config` that `AssetSource.fetch` is asked for: `Annotated[str, AssetName()]`.

    Where such a field, or one of type `Path`, names a folder of this machine, it is made absolute when a space is
    read, because trials work in folders of their own. So are options of data sets.

    Args:
        known: Names that the method itself knows, whatever folders there are.
    """

    known: frozenset[str] = frozenset()


class AssetSource(Protocol):
    """Where data and weights come from; `searchplat.assets.AssetStore` is the real one."""

    def fetch(self, name: str) -> Path:
        """Return the local folder of an asset, fetching it first if need be.

        Args:
            name: A catalogue name (`smollm2-135m`), a hub name (`facebook/opt-125m`), or a local folder.

        Raises:
            AssetError: If it cannot be had; the text names every way to get it.
        """
        ...

    def cached(self, name: str) -> bool:
        """Whether `fetch` would find it on this machine, without asking the network."""
        ...

    def folder(self, *parts: str) -> Path:
        """Return (and make) a folder of the cache for prepared data, e.g. `folder("prepared", digest)`."""
        ...


def asset_source() -> AssetSource:
    """The real source, on this machine's cache: for commands that a method brings along."""
    from searchplat.assets import AssetStore

    return AssetStore()


class WarmCache:
    """What one trial process keeps between trials: backbones, tokenised data, text embeddings.

    Keys must name everything that the value depends on, e.g. `("decoder", "smollm2-135m", 4, "cpu")`.
    Values must not be changed by a trial: frozen weights only.
    """

    def __init__(self) -> None:
        self._values: dict[Hashable, Any] = {}

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return the value under `key`, making it on first use."""
        if key not in self._values:
            self._values[key] = make()
        value: T = self._values[key]
        return value

    def clear(self) -> None:
        """Forget everything, e.g. after running out of memory."""
        self._values.clear()


@dataclass(frozen=True)
class DataRequest:
    """Which data a trial trains on. Never a test split: only promotion can ask for that.

    Args:
        name: An entry of the entry-point group `searchplat.datasets`, e.g. `ml-100k`.
        options: The space file's other keys under `data:`, e.g. `{"min_length": 5}`.
        fraction: Share of the users, in (0, 1]; the same seed gives the same users, and a smaller
            fraction's users are a subset of a larger one's.
        seed: Draws the users.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    fraction: float = 1.0
    seed: int = 0


@dataclass(frozen=True)
class TrialJob:
    """Everything that one trial needs.

    Args:
        number: The trial's number in its search, from 0; None for a run outside a search.
        config: An instance of the method's `Config`.
        data: Which data to train on.
        seed: Seeds everything random of this trial.
        folder: Where this trial's checkpoints live; the same on every node.
        assets: Where weights and data come from.
        warm: What this process keeps between trials.
        device: A torch device name, `cpu` or `cuda`.
        threads: CPU threads that the trial may use.
    """

    number: int | None
    config: BaseModel
    data: DataRequest
    seed: int
    folder: Path
    assets: AssetSource
    warm: WarmCache
    device: str = "cpu"
    threads: int = 1


@runtime_checkable
class Training(Protocol):
    """A trial in training. The engine calls `restore` once, then `run_epoch` and `save` in turn."""

    @property
    def epoch(self) -> int:
        """Epochs completed so far."""
        ...

    @property
    def epochs(self) -> int:
        """Epochs in all; the trial is finished when `epoch == epochs`."""
        ...

    @property
    def metrics(self) -> dict[str, float]:
        """Metrics of the last completed epoch, empty before the first; a checkpoint keeps them."""
        ...

    def restore(self) -> int:
        """Load the newest valid checkpoint of the job's folder, if any; return its epochs completed, else 0."""
        ...

    def run_epoch(self) -> dict[str, float]:
        """Train one epoch, evaluate on validation, and return metrics, e.g. `{"valid/mrr": 0.1}`.

        Metrics may be NaN or infinite: the engine calls such a trial diverged.
        """
        ...

    def save(self) -> None:
        """Write a checkpoint of the present state, durably."""
        ...


@dataclass(frozen=True)
class FinalJob:
    """Everything that one final training needs.

    Args:
        trial: Which config to train, on which data and seed, where; its `config` has the epochs of promotion.
        objective: The metric that early stopping goes by, e.g. `valid/mrr`; never one of the test split.
        maximize: Whether more of it is better.
        patience: Epochs without a new best after which training ends, >= 1.
        rank: This process's number among those that train the model together, from 0.
        workers: How many there are; with more than one, the default group of `torch.distributed` connects them.
    """

    trial: TrialJob
    objective: str
    maximize: bool = True
    patience: int = 5
    rank: int = 0
    workers: int = 1


SAMPLED = "sampled/"
"""Before the names of metrics among sampled items, which compare with their like only."""

SAMPLED_RANKS = "sampled-ranks.npy"
"""The file of ranks among sampled items, beside that of the ranks among all."""


@dataclass(frozen=True)
class Tested:
    """The one test of a final training.

    Args:
        metrics: On the test split, by name without a prefix, e.g. `{"mrr": 0.1}`; `sampled/<name>` among sampled items.
        num_users: Users tested.
        ranks: An .npy file, int32 `[num_users]`: the rank, from 1, of every user's test item. Beside it lies
            `SAMPLED_RANKS`, alike, where the configuration asks for a ranking among sampled items as well.
    """

    metrics: Mapping[str, float]
    num_users: int
    ranks: Path


@runtime_checkable
class FinalTraining(Training, Protocol):
    """A training with early stopping, driven like a trial until it is `done`, then tested once.

    With several workers each of them is driven in step with the others; only rank 0 writes files.
    """

    @property
    def done(self) -> bool:
        """Whether all epochs are completed, or validation has not improved for too long."""
        ...

    @property
    def best_epoch(self) -> int:
        """The epoch, from 1, whose weights are kept; 0 before the first."""
        ...

    @property
    def best_metrics(self) -> dict[str, float]:
        """Metrics of the best epoch."""
        ...

    @property
    def num_parameters(self) -> int:
        """Trained parameters."""
        ...

    @property
    def fingerprint(self) -> str:
        """Of the data trained on; equal data has equal fingerprints."""
        ...

    def test(self, permit: TestPermit, metrics: Sequence[str]) -> Tested:
        """Measure the best epoch's weights on the test split, and leave them in the job's folder.

        Afterwards the folder holds `model.safetensors` (trained parameters and persistent buffers), `model.json`
        (method, config, data, seed, best epoch) and the ranks.
        """
        ...


@runtime_checkable
class FinalMethod(Protocol):
    """What a `Method` needs beyond it to be promoted."""

    def start_final(self, job: FinalJob) -> FinalTraining:
        """Build the model and return it ready to train in full."""
        ...


class Method(Protocol):
    """A method, found through the entry-point group `searchplat.methods`.

    An entry point names a class without constructor arguments. Importing its module must not load
    torch: `searchplat check` looks at `Config` only.
    """

    name: str
    summary: str
    paper: str

    @property
    def Config(self) -> type[BaseModel]:
        """The typed config: every field with its unit and range; unknown fields are refused."""
        ...

    def layout_layers(self, config: BaseModel) -> int | None:
        """Number of layers that a layout covers under this config; None if the method has no layout."""
        ...

    def prepare(self, config: BaseModel, data: DataRequest, assets: AssetSource) -> None:
        """Fetch and prepare all that trials of this config will need; called in the driver, before any trial.

        It is called with fixed values and defaults. A method that must prepare for every choice of a searched field
        as well, such as the names of pretrained weights, which trials cannot fetch, lists those fields in an attribute
        `prepared_by`.

        Prints nothing; fetching shows its own progress. Safe to call again and from several processes.
        """
        ...

    def start(self, job: TrialJob) -> Training:
        """Build the model and return it ready to train."""
        ...


@dataclass(frozen=True)
class Recommended:
    """One item of a list of recommendations: what the data set's files call it, its title, the model's score."""

    item: str
    title: str
    score: float


class Served(Protocol):
    """A trained model that answers histories; nothing in it trains."""

    def top(
        self,
        histories: Sequence[Sequence[str | int]],
        k: int = 10,
        *,
        exclude_history: bool = True,
        requests: Sequence[str] | None = None,
    ) -> list[list[Recommended]]:
        """The k best items for each history, best first; of equal scores the earlier item first.

        Args:
            histories: Items, oldest first, each by its name in the data set's files or by its title.
            exclude_history: Recommend nothing that is in the history.
            requests: What each user asks for, in words, for methods that read it.

        Raises:
            InputError: If an item is not known or a title not unique, or the method cannot answer an empty history
                or a request.
        """
        ...


@runtime_checkable
class ServingMethod(Protocol):
    """What a `Method` needs beyond it to be registered as a model and asked for recommendations."""

    def pack(self, folder: Path, target: Path, assets: AssetSource) -> None:
        """Copy what a model needs to answer from a final training's folder into `target`, a new folder.

        Holds weights as safetensors and JSON, and no user's history. Pretrained weights stay assets, by name.

        Raises:
            InputError: If the folder holds no such training, or the data is not that of the training.
        """
        ...

    def load(self, folder: Path, assets: AssetSource) -> Served:
        """Make the model that `pack` wrote, or the one of a final training's folder, ready to answer.

        Raises:
            InputError: As `pack`, and if the weights do not fit the model.
        """
        ...


@dataclass(frozen=True)
class Published:
    """What a paper prints for a method on a data set; a method lists such figures as `published`.

    Figures stand beside ours only where the data is the same: name and number of users agree.

    Args:
        method: As the paper calls it.
        data: Our name of the data set.
        users: Of the paper's data, after its filters; None where it gives no number, and nothing stands beside ours.
        items: Of the paper's data, after its filters.
        metrics: By our names, in [0, 1], e.g. `{"ndcg@10": 0.1162}`, or `sampled/ndcg@10` if among sampled items.
        source: Where they are printed.
    """

    method: str
    data: str
    users: int | None
    items: int
    metrics: Mapping[str, float]
    source: str


@dataclass(frozen=True)
class PublishedSize:
    """How large a paper says that a data set is; a data source lists such sizes as `published`.

    Args:
        source: Where it is printed, e.g. `DARec, Table 1`.
        users, items, interactions: As printed, None where nothing is; papers round.
        options: The options under which the data set is meant to have this size.
        note: What to know before comparing, e.g. that only training interactions are counted.
        request_characters: Length of the average request.
    """

    source: str
    users: int | None = None
    items: int | None = None
    interactions: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    request_characters: float | None = None


class DataSource(Protocol):
    """A data set, found through the entry-point group `searchplat.datasets` (an object, not a class).

    It may also have `published`, a sequence of `PublishedSize`; `defaults`, the options that it sets by itself;
    `options`, a pydantic model of its options, whose fields of type `Path` are made absolute when a space is read;
    `rank_met`, whether users' rankings hold what they have met already unless its option `rank_met` says otherwise; and
    `warnings(assets, options)`, which reads the data as `statistics` does: what was let pass in it, a sentence each.
    """

    name: str
    summary: str
    where: str
    """How a person gets it: publisher's address, terms."""

    def available(self, assets: AssetSource) -> bool:
        """Whether it is on this machine already (no network asked)."""
        ...

    def statistics(self, assets: AssetSource, options: Mapping[str, Any]) -> dict[str, Any]:
        """Users, items, interactions, average length and so on after filtering; fetches if need be."""
        ...

    def fingerprint(self, assets: AssetSource, options: Mapping[str, Any]) -> str:
        """Equal for equal data, different otherwise; covers all users and all splits."""
        ...
