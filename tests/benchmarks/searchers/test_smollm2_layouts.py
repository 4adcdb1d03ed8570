"""The search's space and the table's trainings are of one kind."""

from __future__ import annotations

from pathlib import Path

import smollm2_layouts

from searchplat.spec import load


def test_the_space_has_the_tables_settings_and_data() -> None:
    spec = load(Path(smollm2_layouts.__file__).with_suffix(".yaml"))
    fixed = {name: value for name, value in spec.fixed.items() if name in smollm2_layouts.SETTINGS}
    assert fixed == smollm2_layouts.SETTINGS
    data = smollm2_layouts.DATA
    assert spec.data.name == data["name"]
    assert list(spec.data.options["attributes"]) == data["options"]["attributes"]
