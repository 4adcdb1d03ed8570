"""What a method and the platform promise each other.

The platform (`searchplat.engine`) hands a method a `TrialJob` and gets back a `Training`, which it
drives one epoch at a time. The platform knows nothing else of a method; a method knows nothing of
Ray, MLflow or the ledger. Most methods never see this file: they subclass
`trials.training.RecommenderMethod`, which supplies `start` with the one training loop.
"""

from searchplat.contract.assets import AssetName, AssetSource, BesideSpace, WarmCache, asset_source
from searchplat.contract.data import FILE, DataRequest, DataSource, FileProblem, FileReport, Published, PublishedSize
from searchplat.contract.final import (
    SAMPLED,
    SAMPLED_RANKS,
    FinalJob,
    FinalMethod,
    FinalTraining,
    Tested,
    group_ranks_file,
)
from searchplat.contract.program import Named, ProgramMethod
from searchplat.contract.serving import Listing, ListingMethod, Recommended, Served, ServingMethod
from searchplat.contract.training import ClosingTraining, Method, Training, TrialJob, Values
from searchplat.firewall import TEST_FILE, TEST_REQUESTS, TestPermit, refuse_if_sealed
from searchplat.protocol import renewed

__all__ = [
    "FILE",
    "SAMPLED",
    "SAMPLED_RANKS",
    "TEST_FILE",
    "TEST_REQUESTS",
    "AssetName",
    "AssetSource",
    "BesideSpace",
    "ClosingTraining",
    "DataRequest",
    "DataSource",
    "FileProblem",
    "FileReport",
    "FinalJob",
    "FinalMethod",
    "FinalTraining",
    "Listing",
    "ListingMethod",
    "Method",
    "Named",
    "ProgramMethod",
    "Published",
    "PublishedSize",
    "Recommended",
    "Served",
    "ServingMethod",
    "TestPermit",
    "Tested",
    "Training",
    "TrialJob",
    "Values",
    "WarmCache",
    "asset_source",
    "group_ranks_file",
    "refuse_if_sealed",
    "renewed",
]
