from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from searchplat.spec import json_schema, load_text, shipped_spaces
from searchplat.spec.document.strict_yaml import read_file

SMALL: dict[str, Any] = {
    "method": "probe",
    "data": {"name": "toy"},
    "objective": {"metric": "valid/mrr", "direction": "maximize"},
    "search": {"rate": {"type": "float", "low": 0.1, "high": 1}},
    "searcher": {"name": "random"},
    "trials": 4,
}


def validator() -> jsonschema.Draft202012Validator:
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(json.loads(json.dumps(schema)))


@pytest.mark.parametrize(
    "extra",
    [
        {},
        {"scales": {"quick": {"trials": 2, "search": {"rate": {"high": 0.5}, "x": None}, "promotion": None}}},
        {"scales": {"q": {"searcher": {"startup": 3}, "controls": [{"name": "a", "trials": 3}]}}},
        {"resources": {"gpu": "auto"}, "scheduler": {"name": "asha", "grace": 2}, "seed": 3},
        {"fixed": {"a": None, "b": [1, 2]}, "controls": [{"name": "a", "values": {"x": 1}}]},
        {"search": {"x": {"type": "bool", "when": {"y": [1, 2], "z": "a"}}}},
    ],
)
def test_good_documents_pass(extra: dict[str, Any]) -> None:
    validator().validate({**SMALL, **extra})


@pytest.mark.parametrize(
    "extra",
    [
        {"trials": 0},
        {"methods": "x"},
        {"objective": {"metric": "test/mrr", "direction": "maximize"}},
        {"search": {"rate": {"type": "float", "low": 0.1}}},
        {"search": {"rate": {"type": "float", "low": 0.1, "high": 1, "choices": [1]}}},
        {"search": {"x": {"type": "layout", "per_layer": ["a"], "choices": ["a", "b", "c"]}}},
        {"scheduler": {"name": "median", "reduction": 3}},
        {"stages": [{"name": "a", "over": ["rate"], "searcher": {"name": "tpe"}, "trials": 1}]},
        {"scales": {"quick": {"trails": 2}}},
        {"scales": {"quick": {"controls": [{"trials": 2}]}}},
        {"data_fraction": 0},
        {"promotion": {"test": ["valid/mrr"]}},
    ],
)
def test_bad_documents_do_not(extra: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        validator().validate({**SMALL, **extra})


def test_the_schema_lets_pass_what_load_takes() -> None:
    document = {**SMALL, "scales": {"quick": {"trials": 2}}}
    assert load_text(yaml.safe_dump(document, sort_keys=False)).stages[0].trials == 2


@pytest.mark.parametrize("path", shipped_spaces().values(), ids=lambda path: path.stem)
def test_shipped_spaces_follow_the_schema(path: Path) -> None:
    validator().validate(read_file(path.read_text(encoding="utf-8"), str(path)).plain())
