"""DARec: a frozen decoder-only language model, adapted layer by layer for sequential recommendation.

Read in this order: `config.py` (every setting), `inputs.py` (item sentences to packed tokens), `layer.py` (the
DALayer), `model.py` (losses and scores), `hard_items.py` (Appendix A). Importing this package loads no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from searchplat.contract import AssetSource, DataRequest, Published, TrialJob
from trials.darec.config import DARecConfig
from trials.darec.published import PUBLISHED
from trials.training.config import LoopConfig
from trials.training.method import RecommenderMethod

if TYPE_CHECKING:
    from trials.data.dataset import SearchData
    from trials.training.recommender import Recommender

__all__ = ["DARec", "DARecConfig"]


ANSWERING = {"lambda_cl": 0.0, "centre_states": False, "cf_epochs": 0}
"""What `build` need not look for when a model only answers. Past validation on purpose: 0 epochs train nothing."""


class DARec(RecommenderMethod):
    """Dynamic adaption of a language model: two attention masks, adapters chosen layer by layer, a CF model."""

    name: ClassVar[str] = "darec"
    summary: ClassVar[str] = "frozen language model with layer-wise adapters, two attention masks and a CF model"
    paper: ClassVar[str] = (
        "CanYi Liu, Wei Li, Youchen (Victor) Zhang, Hui Li, Rongrong Ji: Beyond Inter-Item Relations: Dynamic Adaption "
        "for Enhancing LLM-Based Sequential Recommendation, 2024"
    )
    Config: ClassVar[type[LoopConfig]] = DARecConfig
    published: ClassVar[tuple[Published, ...]] = PUBLISHED

    def layout_layers(self, config: Any) -> int | None:
        """Number of DALayers: `floor(layers / replace_every)`.

        Raises:
            InputError: If `num_layers` is null and the backbone's depth is not known before it is fetched.
        """
        assert isinstance(config, DARecConfig)
        return config.adapted_layers

    def prepare(self, config: Any, data: DataRequest, assets: AssetSource) -> None:
        """Fetch data, backbone and text encoder; find the hard items of this selection of users."""
        from trials.darec.build import prepare

        super().prepare(config, data, assets)
        prepare(config, data, assets)

    def build(self, config: Any, data: SearchData, job: TrialJob) -> Recommender:
        """Make the model around the process's frozen backbone.

        Raises:
            InputError: If layout, layers or lengths do not fit the backbone.
        """
        from trials.darec.build import build

        return build(config, data, job)

    def rebuild(self, config: Any, data: SearchData, job: TrialJob) -> Recommender:
        """Likewise, without hard items, centring, or training of a frozen CF model: the weights hold what they gave.

        On a CPU in float32, also what was trained in bfloat16, which a CPU computes many times more slowly.
        """
        assert isinstance(config, DARecConfig)
        precision = "float32" if job.device == "cpu" else config.precision
        return self.build(config.model_copy(update={**ANSWERING, "precision": precision}), data, job)
