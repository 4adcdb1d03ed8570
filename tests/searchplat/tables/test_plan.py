from __future__ import annotations

from pathlib import Path

import pytest

from searchplat.errors import InputError
from searchplat.spec import diff, load, to_document
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


def test_what_a_table_sets_holds_for_all_systems_unless_they_set_it_otherwise(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, SMOKE + "set: {epochs: 5, data.attributes: [title]}\n"))
    assert [entry.spec.fixed["epochs"] for entry in table.entries] == [5, 2]
    assert [entry.spec.data.options["attributes"] for entry in table.entries] == [["title"], ["title"]]
    assert table.entries[0].spec.controls[0].values == {}
    table = read_table(write(tmp_path, SMOKE + "set: {sampled_negatives: 20}\n"))
    assert table.entries[0].spec.controls[0].values == {"sampled_negatives": 20}
    with pytest.raises(InputError, match=r"promotion\.seeds is what the table says for all systems"):
        read_table(write(tmp_path, SMOKE + "set: {promotion.seeds: 9}\n"))


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


def test_the_command_that_is_printed_for_a_systems_search_goes_on_with_it(tmp_path: Path) -> None:
    for entry in read_table(write(tmp_path, SMOKE.replace("- sasrec", "- darec") + "trials: 9\n")).entries:
        spec = entry.spec
        again = load(spec.source, scale=spec.scale, overrides=spec.overrides, name=spec.name)
        assert diff(to_document(spec), to_document(again)) == []
        assert again.stages == spec.stages
        assert again.controls == spec.controls


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
        ("systems: [sasrec]\n", "minutes: is missing; minutes is: of training by a search's trials together."),
        (SMOKE.replace("minutes: 6", "minutes: 0"), "first.yaml:2:10 minutes: must be >= 0.01, got 0; minutes is: of "),
        (SMOKE.replace("minutes: 6", 'minutes: "6"'), "minutes: must be a number, got '6'; minutes is: of training"),
        (SMOKE.replace("minutes: 6", "minutes: true"), "minutes: must be a number, got true"),
        (SMOKE.replace("seeds: 2", "trials: true"), "trials: must be a whole number, got true"),
        (SMOKE.replace("seeds", "seed"), "first.yaml:3:1 seed: is not a key of a table; did you mean seeds?"),
        (SMOKE.replace("set:", "sets:"), "systems.1.sets: is not a key of a system; did you mean set?"),
        (
            SMOKE.replace("[mrr, ndcg@10]", "mrr"),
            "metrics: must be a list, got 'mrr'; metrics is: a list of columns",
        ),
        (SMOKE.replace("- sasrec", "- 3"), "systems.0: must be a mapping, or the name of a space, got 3."),
        (SMOKE.replace("name: recurrent", "name: a/b"), "systems.1.name: must match ^[a-z0-9]"),
        (SMOKE.replace("name: recurrent", "name: sasrec"), "two systems must not have one name, got sasrec twice"),
        (
            SMOKE.replace("- sasrec", "- nosuch"),
            "system nosuch: nosuch: there is no such file, and no shipped space of",
        ),
        (SMOKE.replace("- sasrec", "- {space: " + "a" * 900 + ", name: x}"), "system x: 'aaa"),
        (SMOKE.replace("epochs: 2", "epochs: none"), "system recurrent: --set epochs"),
        (SMOKE.replace("- sasrec", "- {space: sasrec, scale: quick}"), "all must be searched on one data set"),
        (SMOKE.replace("epochs: 2", "data.users: 50"), "all must be searched on one data set"),
        (SMOKE.replace("epochs: 2", "promotion.seeds: 7"), "set: promotion.seeds is what the table says for all"),
        (SMOKE.replace("epochs: 2", "trials: 7").replace("seeds", "trials"), "set: trials is what the table says"),
        (SMOKE.replace("ndcg@10]", "foo]"), "system sasrec: --set promotion.test"),
        (SMOKE + "controls: [nope]\n", "controls: no system's space has nope as a control with its defaults"),
        ("minutes: 1\nsystems: []\n", "systems: must not be empty, got []; systems is: a list of spaces"),
        ("# nothing\n\n", "the file is empty; a table begins with minutes and systems"),
        (SMOKE.replace("name: recurrent", "name: " + "r" * 60), "its search would be named 'first-rrr"),
    ],
)
def test_a_wrong_file_is_refused_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError) as refused:
        read_table(write(tmp_path, text))
    assert said in str(refused.value)
    assert "valid tuple" not in str(refused.value)


def test_a_file_that_is_not_there_and_a_name_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_table(tmp_path / "none.yaml")
    with pytest.raises(InputError, match="rename the file"):
        read_table(write(tmp_path, name="First Table.yaml"))


def test_the_shipped_tables_are_right() -> None:
    for path in (Path(__file__).parents[3] / "spaces" / "tables").glob("*.yaml"):
        assert len(read_table(path).entries) >= 12
