"""What an error says of the moment: no space, or something else."""

from __future__ import annotations

import errno
import pickle
from pathlib import Path

import pytest

from searchplat.errors import DataError, InputError, barred, disk_full


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_found_behind_the_errors_that_it_led_to(code: int) -> None:
    full = OSError(code, "no room")
    assert disk_full(full)
    try:
        try:
            raise full
        except OSError as cause:
            raise RuntimeError("could not save") from cause
    except RuntimeError as error:
        assert disk_full(error)  # noqa: PT017


def test_a_chain_of_causes_that_leads_back_to_itself_has_an_end() -> None:
    try:
        try:
            raise RuntimeError("Failed to start the dashboard")
        except RuntimeError as error:
            raise error from error  # as Ray does
    except RuntimeError as error:
        assert not disk_full(error)  # noqa: PT017


def test_other_errors_are_not_of_a_full_disk() -> None:
    assert not disk_full(OSError(errno.EACCES, "not yours"))
    assert not disk_full(ValueError("no room"))


def test_an_input_error_keeps_its_fields_on_its_way_between_processes() -> None:
    error = pickle.loads(pickle.dumps(DataError("x: too much; lower it", fields=("x", "y"))))
    assert (str(error), error.fields, error.exit_code) == ("x: too much; lower it", ("x", "y"), 2)
    assert InputError("a sentence").fields == ()


def test_a_path_that_may_not_be_used_is_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    with pytest.raises(IsADirectoryError) as met:
        (tmp_path / "runs").write_text("x")
    assert str(barred(met.value)).startswith(f"{tmp_path / 'runs'}: Is a directory; see that it")
    assert barred(OSError(errno.EROFS, "read-only")) is None  # of no path
    assert barred(FileNotFoundError(errno.ENOENT, "gone", "x")) is None  # somebody's file, or a bug's
    assert barred(ValueError("x")) is None
