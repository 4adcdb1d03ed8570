"""Commands as trials: real processes, which report, fail, are stopped and killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from searchplat.errors import InputError, TrialFailedError
from searchplat.methods import imports
from searchplat.programs.command import GIVEN, Command
from searchplat.programs.training import ProgramTraining

Start = Callable[..., ProgramTraining]

REPORTS = """
import json, sys
first, last = int(sys.argv[1]), int(sys.argv[2])
for epoch in range(first, last + 1):
    print(json.dumps({"epoch": epoch, "train_loss": 1 / epoch}))
    print("not a report")
    print(json.dumps({"epoch": epoch, "ndcg": epoch / 10, "test_ndcg": 0.99}))
"""


@pytest.fixture(autouse=True)
def leave() -> Iterator[None]:
    with imports():
        yield


@pytest.fixture
def script(tmp_path: Path) -> Path:
    return tmp_path / "train.py"


def values(tmp_path: Path, *command: Any, **more: Any) -> dict[str, Any]:
    return {"command": ["python", "train.py", *command], "project": tmp_path, "awaits": ["valid/ndcg"], **more}


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until_gone(pids: list[int], within_s: float = 30.0) -> bool:
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        if not any(map(alive, pids)):
            return True
        time.sleep(0.05)
    return False


def test_a_report_is_an_epoch_and_no_figure_of_a_test_is_seen(tmp_path: Path, script: Path, start: Start) -> None:
    script.write_text(REPORTS)
    training = start(Command(), **values(tmp_path, "{first}", "{epochs}", epochs=3, first=1))
    assert training.restore() == 0
    found = [training.run_epoch() for _ in range(3)]
    assert [one["valid/ndcg"] for one in found] == [0.1, 0.2, 0.3]
    assert found[1]["train/loss"] == 0.5, "what came before belongs to the same epoch"
    assert not any("test" in name for one in found for name in one)
    assert training.tested == {}
    assert training.epoch == training.epochs == 3


def test_how_many_epochs_there_are_may_be_the_programs_own_to_say(tmp_path: Path, script: Path, start: Start) -> None:
    script.write_text(REPORTS)
    training = start(Command(), **values(tmp_path, 1, 2))
    for epoch in (1, 2):
        training.run_epoch()
        assert (training.epoch, training.epochs) == (epoch, epoch + 1)
    assert training.run_epoch()["valid/ndcg"] == 0.2, "the last report again: there is no other"
    assert training.epoch == training.epochs == 2
    training.save()
    again = start(Command(), **values(tmp_path, 1, 2))
    assert again.restore() == again.epochs == 2, "what has ended is not begun again"


def test_a_program_that_goes_on_after_its_last_epoch_is_ended(tmp_path: Path, script: Path, start: Start) -> None:
    script.write_text(REPORTS + "import time; time.sleep(600)")
    training = start(Command(), **values(tmp_path, 1, 9, epochs=2))
    training.run_epoch()
    assert training.run_epoch()["valid/ndcg"] == 0.2
    assert training.epoch == training.epochs == 2


def test_it_is_told_what_a_trial_is_given(
    tmp_path: Path, script: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    script.write_text(
        "import json, os, sys\n"
        "with open('seen.json', 'w') as file:\n    json.dump([sys.argv[1:], dict(os.environ)], file)\n"
        "print('{\"ndcg\": 1}')"
    )
    work = tmp_path / "trial" / "work"
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a secret")
    monkeypatch.setenv("RAY_JOB_ID", "1")
    words = [f"{name}={{{name}}}" for name in GIVEN]
    given = {**values(tmp_path), "command": ["python", "{project}/train.py", *words], "cwd": "folder"}
    start(Command(), **given).run_epoch()
    arguments, environment = json.loads((work / "seen.json").read_text())
    assert dict(word.split("=") for word in arguments) == {
        "seed": "11", "folder": str(work), "attempt": "0", "epoch": "0", "final": "0", "trial": "4", "threads": "1",
        "device": "cpu", "data_fraction": "1.0", "project": str(tmp_path),
    }  # fmt: skip
    assert environment["CUDA_VISIBLE_DEVICES"] == ""
    assert environment["OMP_NUM_THREADS"] == "1"
    assert not {"AWS_SECRET_ACCESS_KEY", "RAY_JOB_ID"} & set(environment)


def test_a_file_of_metrics_is_read_as_it_grows(tmp_path: Path, script: Path, start: Start) -> None:
    script.write_text(
        "import json, sys, time\n"
        "with open(sys.argv[1] + '/m.jsonl', 'a') as file:\n"
        "    for epoch in (1, 2):\n"
        "        file.write('{\"ndcg\": '); file.flush(); time.sleep(0.3); file.write(f'{epoch}}}\\n'); file.flush()\n"
        "    file.write('{\"ndcg\": 3}')\n"
    )
    training = start(Command(), **values(tmp_path, "{folder}", metrics="m.jsonl", epochs=3))
    assert [training.run_epoch()["valid/ndcg"] for _ in range(3)] == [1.0, 2.0, 3.0]


def test_a_failure_says_its_last_lines(tmp_path: Path, script: Path, start: Start) -> None:
    script.write_text("import sys\nprint('{\"ndcg\": 1}')\nraise ValueError('a planted bug')")
    training = start(Command(), **values(tmp_path))
    training.run_epoch()
    with pytest.raises(TrialFailedError, match=r"(?s)exit code 1:.*ValueError: a planted bug"):
        training.run_epoch()


def test_memory_that_has_run_out_is_said_to_have(tmp_path: Path, script: Path, start: Start) -> None:
    script.write_text("raise RuntimeError('CUDA out of memory. Tried to allocate 2 GiB')")
    with pytest.raises(MemoryError, match="Tried to allocate"):
        start(Command(), **values(tmp_path)).run_epoch()


@pytest.mark.parametrize(("body", "heard"), [("", "nothing"), ("print('{\"mrr\": 1}')", "valid/mrr")])
def test_a_program_that_does_not_report_the_objective_fails(
    tmp_path: Path, script: Path, start: Start, body: str, heard: str
) -> None:
    script.write_text(body)
    with pytest.raises(TrialFailedError, match=f"without reporting valid/ndcg; reported was: {heard}"):
        start(Command(), **values(tmp_path)).run_epoch()


@pytest.mark.parametrize("labels", [True, False])
@pytest.mark.parametrize("resumes", [True, False])
def test_started_again_it_goes_on_where_it_was(
    tmp_path: Path, script: Path, start: Start, labels: bool, resumes: bool
) -> None:
    script.write_text(
        "import json, os, sys, time\n"
        "attempt, epoch = map(int, sys.argv[1:3])\n"
        f"first = epoch if {resumes} else 0\n"
        "for one in range(first + 1, 5):\n"
        f"    print(json.dumps({{'ndcg': one, 'attempt': attempt, {labels} and 'epoch' or 'n': one}}))\n"
        "    if attempt == 0 and one == 2: time.sleep(600)\n"
    )
    given = values(tmp_path, "{attempt}", "{epoch}", epochs=4, resumes=resumes and not labels)
    first = start(Command(), **given)
    for _ in range(2):
        first.run_epoch()
        first.save()
    first.close()
    second = start(Command(), **given)
    assert second.restore() == 2
    assert second.metrics["valid/ndcg"] == 2
    found = [second.run_epoch() for _ in range(2)]
    assert [(one["valid/ndcg"], one["valid/attempt"]) for one in found] == [(3, 1), (4, 1)]
    assert second.epoch == second.epochs == 4


def test_what_an_earlier_start_wrote_and_nobody_read_counts(tmp_path: Path, script: Path, start: Start) -> None:
    work = tmp_path / "trial" / "work"
    work.mkdir(parents=True)
    (work / "m.jsonl").write_text('{"epoch": 1, "ndcg": 1}\n{"epoch": 2, "ndcg": 2}\n{"epoch": 3, "nd')
    script.write_text("import sys; open(sys.argv[1] + '/m.jsonl', 'a').write('{\"epoch\": 3, \"ndcg\": 3}\\n')")
    training = start(Command(), **values(tmp_path, "{folder}", metrics="m.jsonl", epochs=3))
    assert [training.run_epoch()["valid/ndcg"] for _ in range(3)] == [1, 2, 3]


FAMILY = """
import json, os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
apart = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
with open("pids.json", "w") as file:
    json.dump([os.getpid(), child.pid, apart.pid], file)
print('{"ndcg": 1}')
time.sleep(600)
"""


def test_stopping_ends_the_whole_family(tmp_path: Path, script: Path, start: Start) -> None:
    script.write_text(FAMILY)
    training = start(Command(), **values(tmp_path))
    training.run_epoch()
    pids = json.loads((tmp_path / "pids.json").read_text())
    assert all(map(alive, pids))
    training.close()
    assert until_gone(pids, 5.0)


def test_what_a_program_leaves_behind_ends_with_it(tmp_path: Path, script: Path, start: Start) -> None:
    script.write_text(FAMILY.rpartition("time.sleep")[0])
    training = start(Command(), **values(tmp_path, epochs=1))
    training.run_epoch()
    assert until_gone(json.loads((tmp_path / "pids.json").read_text()), 5.0)


def test_one_that_ignores_being_asked_is_not_asked_again(tmp_path: Path, script: Path, start: Start) -> None:
    script.write_text("import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + FAMILY)
    training = start(Command(), **values(tmp_path))
    training.run_epoch()
    training.close()
    assert until_gone(json.loads((tmp_path / "pids.json").read_text()), 5.0)


WORKER = """
import sys, time
from pathlib import Path
from searchplat.contract import DataRequest, TrialJob, WarmCache
from searchplat.methods import imports
from searchplat.programs.command import Command
folder = Path(sys.argv[1])
config = Command.Config(command=["python", "train.py"], project=folder, awaits=["valid/ndcg"])
with imports():
    Command().start(TrialJob(0, config, DataRequest("none"), 0, folder / "trial", None, WarmCache())).run_epoch()
    print("reported", flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("victim", ["worker", "guard"])
def test_a_kill_of_whoever_started_it_ends_it(tmp_path: Path, script: Path, victim: str) -> None:
    script.write_text(FAMILY)
    worker = subprocess.Popen([sys.executable, "-c", WORKER, tmp_path], stdout=subprocess.PIPE, text=True)
    try:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "reported\n"
        pids = json.loads((tmp_path / "pids.json").read_text())
        guard = int(Path(f"/proc/{pids[0]}/stat").read_text().rpartition(")")[2].split()[1])
        os.kill(worker.pid if victim == "worker" else guard, signal.SIGKILL)
        assert until_gone(pids if victim == "worker" else pids[:1])
    finally:
        worker.kill()
        worker.communicate()
        for pid in pids:
            if alive(pid):
                os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"command": ["no-such-program"]}, "there is no program 'no-such-program'"),
        ({"command": ["python", "gone.py"]}, "there is no script .*gone.py"),
        ({"cwd": "folder"}, "write {project}/train.py"),
        ({"project": Path("/no/such/folder")}, "there is no folder /no/such/folder"),
    ],
)
def test_what_is_not_there_is_said_before_anything_starts(
    tmp_path: Path, script: Path, wrong: dict[str, Any], said: str
) -> None:
    script.write_text("")
    config = Command.Config(**{**values(tmp_path), **wrong})
    with pytest.raises(InputError, match=said):
        Command().prepare(config, None, None)


def test_the_code_of_a_script_is_that_of_its_folder(tmp_path: Path, script: Path) -> None:
    script.write_text("import helper")
    (tmp_path / "helper.py").write_text("")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "other.py").write_text("")
    (tmp_path / "venv").mkdir()
    (tmp_path / "venv" / "pyvenv.cfg").touch()
    (tmp_path / "venv" / "library.py").touch()
    found = Command().sources(values(tmp_path, "{lr}"))
    assert {path.name for path in found.values()} == {"train.py", "helper.py"}
