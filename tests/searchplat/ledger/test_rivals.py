from __future__ import annotations

from searchplat.ledger.rivals import not_beaten


def test_many_controls_are_counted_and_not_all_named() -> None:
    rivals = [(name, value) for value, name in enumerate("abcde", start=1)]
    assert not_beaten(0.5, rivals) == "below the controls e (5.0000), d (4.0000), c (3.0000) and 2 more"
    assert not_beaten(6.0, rivals) == ""
    assert not_beaten(4.0, rivals) == "below the control e (5.0000)"
    assert not_beaten(0.5, rivals, maximize=False) == ""
    assert not_beaten(0.5, []) == ""
