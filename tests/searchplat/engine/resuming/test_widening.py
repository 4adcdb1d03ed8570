"""A search in a wider space: what may change, what is refused and how, what the ledger has of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from searchplat.engine.planning import closing
from searchplat.engine.planning.budgets import record_total
from searchplat.engine.planning.plan import Plan, SuggestionDue
from searchplat.engine.resuming.opening import open_ledger, refuse_change
from searchplat.engine.resuming.widening import widen, widening
from searchplat.errors import InputError
from searchplat.export import frame
from searchplat.ledger import Ledger, lineage
from searchplat.ledger.folder import SearchFolder
from searchplat.ledger.widenings import widenings
from searchplat.searchers.contract import TrialState
from searchplat.spec import load_text
from searchplat.spec.model import SearchSpec
from searchplat.views.snapshot import take

SPACE = """\
method: rehearsal
data: {name: toy}
objective: {metric: valid/mrr, direction: maximize}
fixed: {epochs: 2}
search:
  x: {type: float, low: 0.0, high: 0.5}
  kind: {type: categorical, choices: [a]}
searcher: {name: tpe}
trials: 6
controls: [{name: default}]
"""
WIDER = SPACE.replace("high: 0.5", "high: 2.0").replace("choices: [a]", "choices: [a, b]").replace("6", "9")


def spec_of(text: str) -> SearchSpec:
    return load_text(text, Path("space.yaml"))


@pytest.fixture
def folder(tmp_path: Path) -> SearchFolder:
    """A finished search in `SPACE`."""
    spec = spec_of(SPACE)
    folder = SearchFolder(tmp_path / "runs", "space")
    folder.path.mkdir(parents=True)
    with open_ledger(folder, spec) as ledger:
        lineage.record(ledger, {"space": lineage.space_of(spec), "data": "d"})
        play(ledger, Plan.of(spec, ledger))
    return folder


def play(ledger: Ledger, plan: Plan) -> None:
    """Run whatever the plan still holds."""
    while not plan.done:
        turn = plan.next()
        if isinstance(turn, SuggestionDue):
            plan.suggest(turn.stage)
            continue
        number = plan.ledger.open_trials()[0].number
        ledger.start(number)
        ledger.report(number, 1, {"valid/mrr": ledger.trial(number).config["x"]})
        ledger.end(number, TrialState.FINISHED)


def widened(folder: SearchFolder, text: str) -> SearchSpec:
    spec = spec_of(text)
    change = widening(folder, spec)
    assert change is not None
    widen(folder, spec, change)
    return spec


def refusal(folder: SearchFolder, text: str) -> str:
    before = folder.ledger_path.read_bytes()
    with pytest.raises(InputError) as caught:
        widening(folder, spec_of(text))
    assert folder.ledger_path.read_bytes() == before
    return str(caught.value)


def test_it_goes_on_under_its_own_numbers_and_says_what_was_changed(folder: SearchFolder) -> None:
    with folder.read() as ledger:
        old = ledger.trials()
    spec = widened(folder, WIDER)
    with open_ledger(folder, spec) as ledger:
        (event,) = widenings(ledger)
        assert event.payload["changes"] == [
            "search.x.high: 0.5 -> 2.0", "search.kind.choices: ['a'] -> ['a', 'b']", "stages.search.trials: 6 -> 9",
        ]  # fmt: skip
        assert "@" in event.payload["by"]
        assert (event.payload["old"], event.payload["new"]) == tuple(
            lineage.space_of(spec_of(text)) for text in (SPACE, WIDER)
        )
        assert event.payload["said"].startswith(f"widened by {event.payload['by']} after 7 trials: search.x.high: ")
        plan = Plan.of(spec, ledger)
        play(ledger, plan)
        assert ledger.trials()[:7] == old
        assert len(ledger.trials()) == 10
        assert [row["space"] for row in lineage.recorded(ledger)] == [lineage.space_of(spec)]
        assert json.loads(ledger.meta("document:0") or "")["text"] == SPACE
        assert take("space", folder.path, ledger).widened == [event]
        assert list(frame(ledger, spec)["widened"]) == [0] * 7 + [1] * 3
    assert folder.space_path.read_text() == WIDER
    assert widening(folder, spec) is None, "once it is, there is nothing to do"


def test_it_resumes_by_the_new_space_alone(folder: SearchFolder) -> None:
    new = widened(folder, WIDER)
    refuse_change(folder, new)
    with pytest.raises(InputError, match=r"was widened on 20.* by .*goes on in the wider space alone") as caught:
        refuse_change(folder, spec_of(SPACE))
    assert "search.x.high: 2.0 -> 0.5" in str(caught.value)
    assert str(folder.space_path) in str(caught.value)
    with pytest.raises(InputError, match="was started with another space") as caught:
        refuse_change(folder, spec_of(WIDER.replace("2.0", "3.0")))
    assert "with --widen, or start a new search" in str(caught.value)


def test_a_new_parameter_has_its_default_in_old_trials(folder: SearchFolder) -> None:
    noise = "  noise: {type: float, low: 0, high: 1, default: 0.0}"
    spec = widened(folder, SPACE.replace("choices: [a]}", f"choices: [a]}}\n{noise}"))
    with Ledger.open(folder.ledger_path) as ledger:
        assert widenings(ledger)[0].payload["added"] == {"noise": 0.0}
        own = [trial for trial in ledger.trials() if trial.control is None]
        assert all(trial.values["noise"] == 0.0 == trial.config["noise"] for trial in own)
        assert all(set(trial.values) == {"x", "kind", "noise"} for trial in ledger.history("search").trials)
        assert not any(spec.space.refusals(trial.values) for trial in own)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("high: 0.5", "high: 0.1", ["its trial ", "(stage search) does not fit: x: must lie in [0.0, 0.1], got 0."]),
        ("type: float, low: 0.0, high: 0.5", "type: int, low: 0, high: 2", ["x: is an axis of another type"]),
        ("high: 0.5", "high: 0.9, step: 0.3", ["x: must be 0.0 plus a multiple of 0.3, got"]),
        ("choices: [a]", "choices: [b]", ["kind: must be one of b, got 'a'"]),
        ("epochs: 2", "epochs: 3", ["does not fit: it was trained with epochs=2, and would be with epochs=3"]),
        ("epochs: 2}", "epochs: 2, noise: 0.5}", ["trained with noise=0.0, and would be with noise=0.5"]),
        ("[a]}", "[a]}\n  noise: {type: float, low: 0, high: 1}", ["no value of noise", "no default", "noise=0.0"]),
        ("[a]}", "[a]}\n  noise: {type: float, low: 0, high: 1, default: 0.5}", ["trained with noise=0.0"]),
        ("valid/mrr", "valid/other", ["values of another objective do not compare", "objective"]),
        ("name: toy", "name: toy, rank_met: false", ["values of another data set do not compare"]),
        ("trials: 6", "trials: 6\nseed: 5", ["values of another seed do not compare"]),
        ("trials: 6", "trials: 6\nseeds: shared", ["stage search had another seeds"]),
        ("trials: 6", "trials: 6\ndata_fraction: 0.5", ["data_fraction: 1.0 -> 0.5"]),
        ("trials: 6", "trials: 6\nscheduler: {name: asha}", ["stage search had another scheduler"]),
        ("[{name: default}]", "[{name: default, values: {x: 0.1}}]", ["(control default)", "is another one now"]),
        ("controls: [{name: default}]", "", ["(control default)", "or gone"]),
        ("trials: 6", "trials: 6\nconstraints: [x > 0.3]", ["x > 0.3: does not hold"]),
    ],
)
def test_what_cannot_be_is_refused_with_the_first_trial_that_does_not_fit(
    folder: SearchFolder, old: str, new: str, words: list[str]
) -> None:
    text = SPACE.replace(old, new)
    said = refusal(folder, text)
    for word in [*words, "search 'space' cannot go on in this space", "--fork NEWNAME"]:
        assert word in said, said


def test_a_narrower_space_that_has_all_trials_is_one_too(folder: SearchFolder) -> None:
    with folder.read() as ledger:
        most = max(trial.values["x"] for trial in ledger.trials() if trial.control is None)
    assert most < 0.4999
    assert widening(folder, spec_of(SPACE.replace("high: 0.5", "high: 0.4999"))) is not None


def test_an_open_trial_goes_on_as_it_was(tmp_path: Path) -> None:
    spec = spec_of(SPACE)
    folder = SearchFolder(tmp_path / "runs", "space")
    folder.path.mkdir(parents=True)
    with open_ledger(folder, spec) as ledger:
        plan = Plan.of(spec, ledger)
        ledger.start(plan.next().number)  # type: ignore[union-attr]
        trial = plan.suggest(spec.stages[0])
    new = widened(folder, WIDER)
    with open_ledger(folder, new) as ledger:
        assert Plan.of(new, ledger).waiting() == trial


def test_a_stage_that_had_ended_begins_again_and_what_was_said_of_numbers_is_kept(folder: SearchFolder) -> None:
    with Ledger.open(folder.ledger_path) as ledger:
        record_total(ledger, 8)
        closing.close_for_points(ledger, "search")
    spec = widened(folder, WIDER.replace("trials: 9", "trials: 6"))
    with Ledger.open(folder.ledger_path) as ledger:
        plan = Plan.of(spec, ledger)
        assert plan.closed(spec.stages[0]) is None
        assert plan.budgets == {"search": 8}
    spec = widened(folder, WIDER)
    with Ledger.open(folder.ledger_path) as ledger:
        assert Plan.of(spec, ledger).budgets == {"search": 9}, "the new space says otherwise"
        assert len(widenings(ledger)) == 2


def test_a_killed_driver_leaves_the_old_space_or_the_new_one(
    folder: SearchFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = spec_of(WIDER)
    change = widening(folder, spec)
    assert change is not None

    def dying(self: Ledger, kind: str, payload: dict[str, Any]) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "note", dying)
        with pytest.raises(KeyboardInterrupt):
            widen(folder, spec, change)
    refuse_change(folder, spec_of(SPACE))
    widen(folder, spec, change)
    assert folder.space_path.read_text() == SPACE, "as if it had been killed right after"
    open_ledger(folder, spec).close()
    assert folder.space_path.read_text() == WIDER
