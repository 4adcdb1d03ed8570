from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from searches import one_stage, rehearsal_spec

from searchplat.engine.planning.closing import ENDED, GAIN, Estimate
from searchplat.ledger import Ledger
from searchplat.report.facts import gather
from searchplat.report.gain import gain_figures
from searchplat.spec import to_document


def test_estimates_are_drawn_with_their_bound_and_why_the_stage_ended(tmp_path: Path) -> None:
    spec = one_stage(rehearsal_spec(), 40)
    gains = [0.02, 0.004, 0.0005, 0.0]
    with Ledger.create(tmp_path / "ledger.sqlite", to_document(spec), spec.objectives) as ledger:
        assert gain_figures(gather("first", tmp_path, ledger)) == []
        for number, gain in enumerate(gains):
            estimate = Estimate("search", 20 + number, 21 + number, 40, gain, 0.001, 10)
            ledger.note(GAIN, asdict(estimate))
            ledger.set_meta("gain:search", str(asdict(estimate)).replace("'", '"'))
        ledger.note(ENDED, {**asdict(estimate), "said": estimate.words})
        ledger.set_meta("exhausted:search", "its gain")
        (figure,) = gain_figures(gather("first", tmp_path, ledger))
    drawn, bound = figure.data
    assert drawn["x"] == [20, 21, 22, 23]
    assert drawn["y"] == [0.02, 0.004, 0.0005, 1e-6], "a logarithm knows no zero"
    assert set(bound["y"]) == {0.001}
    assert figure.notes[0] == (
        "Stage search ended after 24 of 40 trials: expected gain over the next 10 trials 0 < 0.001."
    )
