"""Folders that a space names, kept in one where that is wanted."""

from __future__ import annotations

from pathlib import Path

import pytest

from searchplat.spec import SpecError, load_text

SPACE = """\
method: darec
data: {name: ml-100k}
objective: {metric: valid/mrr, direction: maximize}
fixed: {epochs: 1}
search: {learning_rate: {type: float, low: 0.1, high: 0.2}}
searcher: {name: random}
trials: 1
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("{name: ml-100k}", "{name: ml-100k, folder: ELSEWHERE}"),
        ("{name: ml-100k}", "{file: ELSEWHERE/my.csv, user: u, item: i, time: t}"),
        ("epochs: 1", "epochs: 1, backbone: ELSEWHERE"),
        ("epochs: 1", "epochs: 1, backbone: ELSEWHERE/nothing-here"),
        ("search:", "controls: [{name: other, values: {backbone: ELSEWHERE}}]\nsearch:"),
        ("search: {", "search: {backbone: {type: categorical, choices: [smollm2-135m, ELSEWHERE]}, "),
    ],
)
def test_what_a_space_names_is_kept_within_a_folder(
    old: str, new: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    project.mkdir()
    elsewhere.mkdir()
    monkeypatch.setenv("SEARCHPLAT_WITHIN", str(project))
    assert old in SPACE
    load_text(SPACE, project / "space.yaml")
    text = SPACE.replace(old, new).replace("ELSEWHERE", str(elsewhere))
    with pytest.raises(SpecError, match=f"must be in the folder {project}"):
        load_text(text, project / "space.yaml")


def test_a_space_that_is_kept_within_a_folder_tells_nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text = SPACE + "notify: {url_env: HOME}\n"
    assert load_text(text, "space.yaml").notify
    monkeypatch.setenv("SEARCHPLAT_WITHIN", str(tmp_path))
    with pytest.raises(SpecError, match=r"space\.yaml:8:1 notify: a space that is kept within .* tells nobody"):
        load_text(text, "space.yaml")
