"""Whatever the text, reading it ends in a `SearchSpec` or a `SpecError`."""

from __future__ import annotations

import json
import random
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from searchplat.spec import SearchSpec, SpecError, digest, from_document, load_text, to_document

CORPUS = Path(__file__).resolve().parents[2] / "corpus" / "bad_spaces"
SEEDS = [path.read_bytes().decode("utf-8", "replace") for path in sorted(CORPUS.glob("*.yaml"))]
WORDS = [
    *("method:", "data:", "search:", "stages:", "fixed:", "scales:", "controls:", "probe", "name", "type", "float"),
    *("low", "high", "layout", "[", "]", "{", "}", ": ", ", ", "\n", "\n  ", "- ", "null", "true", "~", "1e-3", "0"),
    *("%", "==", " and ", "not ", "count(", ")", "points:", "constraints:"),
    *("-1", ".inf", "&a ", "*a", "<<: ", "!!str ", "'", '"', "#", "|", ">", "%YAML", "---\n", "\t", "\\", "\x00", "é"),
]
SOUND = """\
method: probe
data: {name: toy}
objective: {metric: valid/mrr, direction: maximize}
fixed: {epochs: 3}
search:
  layout: {type: layout, per_layer: [a, b, c], choices: [serial, parallel], at_most: {parallel: 4}}
  kind: {type: categorical, choices: [plain, gated], default: gated}
  gate: {type: categorical, choices: [soft, hard], when: {kind: gated}}
  rate: {type: float, low: 0.001, high: 1, log: true}
  width: {type: int, low: 4, high: 16, step: 4}
constraints: ["width % 4 == 0", "not (kind == 'gated' and rate > 0.5)", "count(layout, '1') <= 3"]
stages:
  - {name: layout, over: [layout], searcher: {name: pr}, trials: 30, data_fraction: 0.2}
  - name: rest
    over: [kind, gate, rate, width]
    searcher: {name: tpe}
    trials: 20
    from: {stage: layout, top: 2}
    points: [{kind: plain, rate: 0.5}, {width: 8}]
scheduler: {name: asha, grace: 2}
controls: [{name: serial, all: serial}, {name: random, random: true}]
scales: {quick: {stages: [{name: rest, trials: 2}], search: {rate: {high: 0.5}}}}
"""
FEW = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def check(text: str, overrides: tuple[str, ...] = ()) -> None:
    result: SearchSpec | SpecError
    try:
        result = load_text(text, "space.yaml", overrides=overrides)
    except SpecError as error:
        result = error
    if isinstance(result, SpecError):
        assert result.problems
        assert len(str(result).splitlines()) == len(result.problems)
        return
    assert isinstance(result, SearchSpec)
    again = from_document(json.loads(json.dumps(to_document(result))))
    assert again == result
    assert digest(again) == digest(result)


def test_the_sound_text_is_sound() -> None:
    assert load_text(SOUND).scale == "quick"


@FEW
@given(st.text(max_size=200))
def test_any_text(text: str) -> None:
    check(text)


@FEW
@given(st.lists(st.sampled_from(WORDS), max_size=60).map("".join))
def test_any_words_of_the_language(text: str) -> None:
    check(text)


@FEW
@given(st.randoms(use_true_random=False), st.sampled_from([SOUND, SOUND, *SEEDS]))
def test_damaged_spaces(rng: random.Random, text: str) -> None:
    lines = text.splitlines(keepends=True)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(lines)) if lines else 0
        match rng.randrange(4):
            case 0 if lines:
                del lines[at]
            case 1 if lines:
                lines.insert(at, rng.choice(lines))
            case 2 if lines:
                cut = rng.randint(0, len(lines[at]))
                lines[at] = lines[at][:cut] + rng.choice(WORDS) + lines[at][cut + rng.randint(0, 3) :]
            case _:
                lines.insert(at, f"{rng.choice(WORDS)}{rng.choice(WORDS)}\n")
    check("".join(lines))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
PATHS = [
    *("", "method", "data", "objective", "fixed", "search", "search.rate", "search.rate.low", "search.layout"),
    *("search.layout.choices", "search.gate.when", "stages", "stages.rest", "stages.rest.from", "stages.rest.searcher"),
    *("stages.rest.over", "scheduler", "controls", "controls.random", "resources", "promotion", "seed", "epochs"),
    *(
        "constraints",
        "stages.rest.points",
        "rate",
        "kind",
        "width",
        "metrics",
        "trials",
        "scales",
        "fixed.depth",
        "controls.serial.all",
        "default_scale",
    ),
]


@FEW
@given(st.lists(st.tuples(st.sampled_from(PATHS), JSON | st.sampled_from(WORDS)), min_size=1, max_size=3))
def test_any_override(items: list[tuple[str, object]]) -> None:
    check(SOUND, tuple(f"{key}={json.dumps(value)}" for key, value in items))


@FEW
@given(st.dictionaries(st.sampled_from([p for p in PATHS if p and "." not in p]), JSON, max_size=8))
def test_any_document(document: dict[str, object]) -> None:
    check(json.dumps({"method": "probe", "data": {"name": "toy"}, **document}))
