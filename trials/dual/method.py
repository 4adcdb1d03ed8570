"""What DARec and MixRec are to the platform. Loads no torch."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from searchplat.contract import AssetSource, DataRequest, TrialJob
from trials.dual.config import DualConfig
from trials.training.method import RecommenderMethod, answering

if TYPE_CHECKING:
    from trials.data.preparing.dataset import SearchData
    from trials.dual.model import DualModel
    from trials.training.recommender import Recommender

NOT_LOOKED_FOR = {"lambda_cl": 0.0, "cf_epochs": 0}
"""What `build` need not look for when a model only answers. Past validation on purpose: 0 epochs train nothing."""


class DualMethod(RecommenderMethod):
    """A method around `DualModel`: give it a name, a `Config` with `VARIANTS`, and its model's class."""

    reads_texts = True

    @abstractmethod
    def model(self) -> type[DualModel]:
        """The model's class, imported on demand: it loads torch."""

    def layout_layers(self, config: Any) -> int | None:
        """Number of DALayers: `floor(layers / replace_every)`.

        Raises:
            InputError: If `num_layers` is null and the backbone's depth is not known before it is fetched.
        """
        assert isinstance(config, DualConfig)
        return config.adapted_layers

    def prepare(self, config: Any, data: DataRequest, assets: AssetSource) -> None:
        """Fetch data, backbone and text encoder; find the hard items of this selection of users."""
        from trials.dual.build import prepare

        super().prepare(config, data, assets)
        prepare(config, data, assets)

    def build(self, config: Any, data: SearchData, job: TrialJob) -> Recommender:
        """Make the model around the process's frozen backbone.

        Raises:
            InputError: If layout, layers or lengths do not fit the backbone.
        """
        from trials.dual.build import build

        return build(config, data, job, self.model())

    def rebuild(self, config: Any, data: SearchData, job: TrialJob) -> Recommender:
        """Likewise, without hard items, conditioning, or training of a frozen CF model: the weights hold all that.

        With `item_layers` the items are read first, where this machine's cache has not got them: packages hold no
        states.
        """
        from trials.dual.build import build

        config = answering(config, job).model_copy(update=NOT_LOOKED_FOR)
        return build(config, data, job, self.model(), blank=True)
