"""Optuna's own cases for samplers, on ours."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from optuna.samplers import BaseSampler
from optuna.testing import pytest_samplers as cases

from searchplat.searchers import PRSampler
from searchplat.searchers.options import PROptions


class TestPRSampler(
    cases.BasicSamplerTestCase,
    cases.RelativeSamplerTestCase,
    cases.MultiObjectiveSamplerTestCase,
    cases.SingleOnlySamplerTestCase,
):
    """A short design and short searches, so that ten trials reach the surrogate in all of its parts."""

    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        return lambda: PRSampler(options=PROptions(startup=3, restarts=2, samples=8, steps=3))

    test_dynamic_range_objective = pytest.mark.slow(cases.BasicSamplerTestCase.test_dynamic_range_objective)
    test_single_parameter_objective = pytest.mark.slow(cases.BasicSamplerTestCase.test_single_parameter_objective)

    @pytest.mark.skip(reason="for samplers of a single objective: it asks them to refuse several, which ours takes")
    def test_raise_error_for_samplers_during_multi_objectives(self, sampler: Callable[[], BaseSampler]) -> None: ...
