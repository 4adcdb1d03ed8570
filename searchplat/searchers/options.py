"""The options of each searcher, as the space file's `searcher:` block may give them.

A searcher's defaults are those of its library unless a field says otherwise. Loads neither optuna nor torch:
`searchplat check` validates options without building a searcher.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from searchplat.spec.grammar import NAME


class Options(BaseModel):
    """Base of all options: frozen, and an unknown name is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)


class Source(Options):
    """Another search, as `past` names it."""

    search: str = Field(pattern=f"^{NAME}$", description="its name")
    stage: str | None = Field(
        default=None, pattern=f"^{NAME}$", description="one of its stages; by default that which is most like this one"
    )


class WithPast(Options):
    """Base of the options of searchers that learn from trials of other searches."""

    past: tuple[Source, ...] = Field(
        default=(), description="other searches to learn from, [darec-quick, {search: other, stage: layout}]"
    )

    @field_validator("past", mode="before")
    @classmethod
    def _read(cls, given: Any) -> tuple[Source, ...]:
        """A name alone stands for its search."""
        found = []
        for one in given if isinstance(given, list | tuple) else [given]:
            try:
                found.append(Source.model_validate({"search": one} if isinstance(one, str) else one))
            except ValidationError as error:
                raise ValueError(
                    "must be a list of names of searches, or of mappings {search: NAME, stage: NAME}"
                ) from error
        if len(set(found)) < len(found):
            raise ValueError("must name every search, or stage of a search, once")
        return tuple(found)


class RandomOptions(Options):
    """Random search has no options."""


class GridOptions(Options):
    """Options of the full grid."""

    points: int = Field(default=5, ge=1, description="values of an axis without step or on a log scale, ends included")
    shuffle: bool = Field(default=True, description="visit the grid in an order drawn from the seed")


class TPEOptions(Options):
    """Options of Optuna's `TPESampler`."""

    startup: int = Field(default=10, ge=0, description="random trials before the model is used")
    candidates: int = Field(default=24, ge=1, description="points drawn from the good trials' density a suggestion")
    multivariate: bool | None = Field(
        default=None, description="model axes jointly; by default for one objective, not for several"
    )
    group: bool = Field(default=False, description="with multivariate: one joint model per set of conditional axes")
    constant_liar: bool = Field(default=True, description="treat open trials as bad, so that others go elsewhere")


class GPOptions(Options):
    """Options of Optuna's `GPSampler`."""

    startup: int = Field(default=10, ge=1, description="random trials before the model is used")
    deterministic: bool = Field(default=False, description="assume that the objective has no noise")


class CMAESOptions(Options):
    """Options of Optuna's `CmaEsSampler`. It does not model categorical axes of three or more choices."""

    startup: int = Field(default=1, ge=0, description="random trials before the strategy starts")
    population: int | None = Field(default=None, ge=3, description="points a generation; default 4 + floor(3 ln d)")
    margin: bool | None = Field(
        default=None, description="keep whole-number axes moving (CMA-ES with margin); by default where there are any"
    )


class NSGA2Options(Options):
    """Options of Optuna's `NSGAIISampler`."""

    population: int = Field(default=50, ge=2, description="trials a generation")
    crossover: float = Field(default=0.9, ge=0, le=1, description="probability that a child has two parents")
    mutation: float | None = Field(default=None, ge=0, le=1, description="probability an axis; default 1 / axes")
    swap: float = Field(default=0.5, ge=0, le=1, description="probability that an axis comes from the second parent")


class PROptions(WithPast):
    """Options of probabilistic reparameterization, our own searcher (`searchers/pr`)."""

    startup: int | None = Field(
        default=None, ge=1, description="space-filling trials before the model is used; default max(4, min(10, d / 4))"
    )
    acquisition: Literal["ei", "ucb", "thompson"] = Field(
        default="ei", description="what a point is worth: noisy expected improvement, upper bound, or a posterior draw"
    )
    surrogate: Literal["auto", "general", "pairs", "layers", "full"] = Field(
        default="auto", description="parts of the Gaussian process's kernel; auto has all that the space allows"
    )
    beta: float = Field(default=2.0, gt=0, description="ucb: standard deviations above the mean")
    restarts: int = Field(default=8, ge=1, description="distributions optimised side by side")
    samples: int = Field(default=32, ge=4, description="Monte-Carlo samples a distribution and step; an even number")
    steps: int = Field(default=40, ge=0, description="Adam steps")
    trust_region: Literal["alternate", "always", "never"] = Field(
        default="alternate",
        description="stay within a Hamming radius of the best that adapts: every second trial, always, or never",
    )
    prior_beta: float = Field(
        default=3.0,
        ge=0,
        description="with priors of axes: the acquisition is multiplied by prior^(prior_beta / trials)",
    )
    cost_aware: bool = Field(
        default=False, description="count gains per second of training, as learned from finished trials"
    )
