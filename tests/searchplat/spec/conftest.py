"""A small method, `probe`, with every kind of field, so that these tests need none of the real ones."""

from __future__ import annotations

from importlib.metadata import EntryPoint, EntryPoints, entry_points
from typing import Any, Literal, Self

import pytest
from pydantic import BaseModel, ConfigDict, Field, model_validator

import searchplat.methods


class ProbeConfig(BaseModel):
    """Fields as methods have them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int = Field(5, ge=1, description="passes over the data, >= 1")
    rate: float = Field(0.1, gt=0, le=1, description="step size, in (0, 1]")
    weight: float = Field(0.0, ge=0, description="weight of the second loss, >= 0")
    depth: int | None = Field(None, ge=1, le=64, description="layers to keep; null keeps all")
    width: int = Field(8, ge=1, description="hidden width")
    heads: int = Field(2, ge=1, description="attention heads; divide the width")
    kind: Literal["plain", "gated"] = "plain"
    gate: Literal["soft", "hard"] = "soft"
    tied: bool = False
    layout: str = "000"
    metrics: tuple[str, ...] = ("mrr",)

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"heads must divide width, got heads={self.heads}, width={self.width}; change one")
        return self


class Probe:
    """Looks like a method as far as `searchplat.spec` looks at one."""

    name = "probe"
    summary = "for tests"
    paper = ""
    Config = ProbeConfig

    def layout_layers(self, config: Any) -> int | None:
        return config.depth or 3


class Plain(Probe):
    """A method without a layout, and with a field that must be given."""

    name = "plain"

    class Config(BaseModel):
        model_config = ConfigDict(extra="forbid")

        size: int = Field(description="size of all things")
        scale: float = 1.0

    def layout_layers(self, config: Any) -> int | None:
        return None


class _Entry(EntryPoint):
    def load(self) -> Any:
        return {"Probe": Probe, "Plain": Plain}[self.attr]


@pytest.fixture(autouse=True)
def probe(monkeypatch: pytest.MonkeyPatch) -> type[Probe]:
    """Install `probe` and `plain` beside what is really installed."""

    def both(*, group: str) -> EntryPoints:
        own = [_Entry("probe", "tests:Probe", group), _Entry("plain", "tests:Plain", group)]
        return EntryPoints([*entry_points(group=group), *(own if group == searchplat.methods.METHODS else [])])

    monkeypatch.setattr(searchplat.methods, "entry_points", both)
    return Probe
