from __future__ import annotations

from pathlib import Path

import pytest

from searchplat.errors import InputError
from searchplat.tables.plan import read_table

SMOKE = """\
scale: smoke
minutes: 6
seeds: 2
metrics: [mrr, ndcg@10]
systems:
  - sasrec
  - {space: gru4rec, name: recurrent, set: {epochs: 2}}
"""


def write(folder: Path, text: str = SMOKE, name: str = "first.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_every_system_has_a_search_of_its_own_on_the_same_budget(tmp_path: Path) -> None:
    table = read_table(write(tmp_path))
    assert [(entry.name, entry.search) for entry in table.entries] == [
        ("sasrec", "first-sasrec"),
        ("recurrent", "first-recurrent"),
    ]
    for entry in table.entries:
        assert [stage.hours for stage in entry.spec.stages] == [0.1]
        promotion = entry.spec.promotion
        assert (promotion.top, promotion.race, promotion.seeds, promotion.test) == (1, 0, 2, ("mrr", "ndcg@10"))
    assert table.entries[1].spec.fixed["epochs"] == 2
    assert table.metric == "mrr"


def test_popularity_comes_once_and_no_other_control(tmp_path: Path) -> None:
    table = read_table(write(tmp_path))
    assert [[one.method for one in entry.spec.controls] for entry in table.entries] == [["popularity"], []]
    table = read_table(write(tmp_path, SMOKE + "controls: []\n"))
    assert [entry.spec.controls for entry in table.entries] == [(), ()]


def test_stages_share_the_budget_as_their_trials_say(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, SMOKE.replace("- sasrec", "- darec").replace("seeds: 2", "trials: 20")))
    stages = table.entries[0].spec.stages
    assert [stage.hours for stage in stages] == [0.05, 0.05]
    assert [stage.trials for stage in stages] == [10, 10]


def test_each_stage_tries_its_defaults_first(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, SMOKE.replace("- sasrec", "- darec")))
    assert [stage.points for entry in table.entries for stage in entry.spec.stages] == [({},), ({},), ({},)]
    own = SMOKE.replace("epochs: 2", "points: [{dropout: 0.3}]")
    assert read_table(write(tmp_path, own)).entries[1].spec.stages[0].points == ({"dropout": 0.3},)


def test_a_space_beside_the_table_goes_before_a_shipped_one(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(
        "method: sasrec\ndata: {name: toy}\nobjective: {metric: valid/mrr, direction: maximize}\n"
        "search: {dropout: {type: float, low: 0.1, high: 0.5}}\n"
        "searcher: {name: random}\ntrials: 2\n"
    )
    table = read_table(write(tmp_path, "minutes: 1\nsystems: [mine.yaml]\n"))
    assert table.entries[0].name == "mine"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("systems: [sasrec]\n", "minutes: field required"),
        (SMOKE.replace("minutes: 6", "minutes: 0"), "first.yaml:2:10 minutes: input should be greater than 0"),
        (SMOKE.replace("seeds", "seed"), "first.yaml:3:7 seed: extra inputs are not permitted"),
        (SMOKE.replace("name: recurrent", "name: sasrec"), "two systems must not have one name, got sasrec twice"),
        (SMOKE.replace("- sasrec", "- nosuch"), "nosuch: there is no such file, and no shipped space of this name"),
        (SMOKE.replace("epochs: 2", "epochs: none"), "epochs"),
        (SMOKE.replace("- sasrec", "- {space: sasrec, scale: quick}"), "all must be searched on one data set"),
        ("minutes: 1\nsystems: []\n", "systems: tuple should have at least 1 item"),
    ],
)
def test_a_wrong_file_is_refused_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError) as refused:
        read_table(write(tmp_path, text))
    assert said in str(refused.value)


def test_a_file_that_is_not_there_and_a_name_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_table(tmp_path / "none.yaml")
    with pytest.raises(InputError, match="rename the file"):
        read_table(write(tmp_path, name="First Table.yaml"))


def test_the_shipped_tables_are_right() -> None:
    for path in (Path(__file__).parents[3] / "spaces" / "tables").glob("*.yaml"):
        assert len(read_table(path).entries) >= 12
