"""Somebody is told beside the loop, whatever becomes of who is told: a real server that hangs, dies, answers 500."""

from __future__ import annotations

import doctest
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from searchplat.engine.monitor import RunInfo, SearchOutcome
from searchplat.errors import InputError
from searchplat.ledger import Ledger
from searchplat.ledger.folder import SearchFolder
from searchplat.notify import notices, notifier, receivers
from searchplat.notify.notifier import Notifier
from searchplat.notify.receivers import Command, Receiver, Webhook
from searchplat.redaction import redact
from searchplat.searchers.contract import TrialState
from searchplat.spec import from_document, to_document
from searchplat.spec.document.bounds import Bound
from searchplat.spec.model import NOTICES, NotifySpec

Half = tuple[SearchFolder, Ledger]


class Server(ThreadingHTTPServer):
    """Keeps what it was sent, and answers as `manner` says."""

    daemon_threads = True
    manner = "well"

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.got: list[dict[str, Any]] = []
        self.asked = 0
        self.let_go = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/services/T000/B000/secretpart"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing is said of clients that went away."""


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked += 1
        match self.server.manner:
            case "well":
                self.server.got.append(json.loads(body))
                self.send_response(200)
            case "500" | "302" as code:
                self.send_response(int(code))
                self.send_header("Location", "/elsewhere")
            case "hangs":
                self.server.let_go.wait(30)
                return
            case "dies":
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            case "once":
                self.server.manner = "well"
                self.send_response(503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield made
        made.let_go.set()
        made.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name, value in (
        (receivers, "TIMEOUT_S", 0.5), (notifier, "_RETRY_S", 0.05), (notifier, "_LOOK_S", 0.05),
        (notifier, "PAUSE_S", 0.1), (notifier, "LAST_S", 2.0),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, value)


@contextmanager
def told(half: Half, *to: Receiver, state: str = "done", code: int = 0) -> Iterator[tuple[Ledger, list[str]]]:
    """A search is under way within the block, and ends with it; yields its ledger, and what was warned of."""
    folder, ledger = half
    warned: list[str] = []
    monitor = Notifier(to, warned.append)
    info = RunInfo("first", folder.path, ledger, from_document(ledger.document()), None, "", 1, 16, False)
    monitor.start(info)
    yield ledger, warned
    message = "trial 3 raised, which is a bug:\nboom <!channel>" if state == "failed" else state
    monitor.stop(SearchOutcome("first", state, code, ledger.path, message))  # type: ignore[arg-type]


def end_a_trial(ledger: Ledger, value: float) -> int:
    number = ledger.suggest(
        stage="weights", method="rehearsal", values={"x": 0.5, "kind": "a"}, config={}, data_fraction=1.0, seed=1
    ).number
    ledger.report(number, 1, {"valid/mrr": value})
    ledger.end(number, TrialState.FINISHED)
    return number


def until(holds: Callable[[], bool], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_the_examples_hold() -> None:
    from searchplat.spec.building import notify

    assert doctest.testmod(notices).failed == doctest.testmod(notify).failed == 0


def test_a_new_best_and_the_end_arrive_as_slack_takes_them(half_done: Half, server: Server) -> None:
    with told(half_done, Webhook("hook", NOTICES, server.url)) as (ledger, warned):
        end_a_trial(ledger, 0.1)
        best = end_a_trial(ledger, 0.9)
        until(lambda: len(server.got) == 1)
    first, last = server.got
    assert (first["event"], first["search"], first["value"], first["trial"]) == ("best", "first", 0.9, best)
    assert first["text"] == f"first: new best: valid/mrr 0.9000 (trial {best})"
    assert (last["event"], last["state"], last["planned"]) == ("end", "done", 17)
    assert last["text"] == f"first: done; best valid/mrr 0.9000 (trial {best})"
    assert warned == []


def test_what_breaks_a_bound_on_outcomes_is_no_new_best(half_done: Half, server: Server, tmp_path: Path) -> None:
    spec = replace(from_document(half_done[1].document()), outcomes=(Bound("valid/mrr", True, 0.5),))
    folder = SearchFolder(tmp_path / "bounded", "first")
    folder.path.mkdir(parents=True)
    with (
        Ledger.create(folder.ledger_path, to_document(spec), spec.objectives) as ledger,
        told((folder, ledger), Webhook("hook", NOTICES, server.url)),
    ):
        end_a_trial(ledger, 0.75)
        time.sleep(0.3)
        assert server.got == []
        best = end_a_trial(ledger, 0.25)
        until(lambda: len(server.got) == 1)
        end_a_trial(ledger, 0.9)
    assert [(one["event"], one["trial"]) for one in server.got] == [("best", best), ("end", best)]


def test_only_what_was_asked_for_is_told(half_done: Half, server: Server) -> None:
    with told(half_done, Webhook("hook", ("failure",), server.url)) as (ledger, _):
        end_a_trial(ledger, 0.9)
    assert server.asked == 0
    with told(half_done, Webhook("hook", ("failure",), server.url), state="failed", code=1):
        pass
    (only,) = server.got
    assert (only["event"], only["state"]) == ("failure", "failed")
    assert "&lt;!channel&gt;" in only["text"]
    assert "\n" not in only["text"]


def test_what_ended_for_want_of_ray_or_room_is_a_failure(half_done: Half, server: Server) -> None:
    with told(half_done, Webhook("hook", NOTICES, server.url), state="interrupted", code=75):
        pass
    assert server.got[-1]["event"] == "failure"
    with told(half_done, Webhook("hook", NOTICES, server.url), state="interrupted", code=130):
        pass
    assert (server.got[-1]["event"], server.got[-1]["state"]) == ("end", "interrupted")


@pytest.mark.parametrize(
    ("manner", "why"), [("500", "it answered 500"), ("302", "it answered 302"), ("dies", ""), ("hangs", "")]
)
def test_a_bad_receiver_is_warned_of_once_and_delays_nothing(
    half_done: Half, server: Server, manner: str, why: str
) -> None:
    server.manner = manner
    with told(half_done, Webhook("hook", NOTICES, server.url)) as (ledger, warned):
        for value in (0.9, 0.91, 0.92):
            began = time.monotonic()
            end_a_trial(ledger, value)
            assert time.monotonic() - began < 2.0
            time.sleep(0.15)
        until(lambda: len(warned) == 1)
        began = time.monotonic()
    assert time.monotonic() - began < 4.0
    assert len(warned) == 1
    assert warned[0].startswith("hook could not be told: " + why)
    assert "secretpart" not in warned[0]
    assert str(server.server_port) not in warned[0]
    assert server.asked >= 2  # one retry


def test_one_retry_is_enough_for_a_moment(half_done: Half, server: Server) -> None:
    server.manner = "once"
    with told(half_done, Webhook("hook", ("end",), server.url)) as (_, warned):
        pass
    assert [one["event"] for one in server.got] == ["end"]
    assert warned == []


def test_the_end_of_a_promotion_is_told_and_nobody_waits_for_who_is_away(server: Server) -> None:
    warned: list[str] = []
    done = notices.promotion_notice("first", "done", "done: Promoted: trial-3 <b>", "valid/mrr", 0.5)
    failed = notices.promotion_notice("first", "failed", "FAILED: no candidate could be trained")
    for notice in (done, failed):
        notifier.tell(
            [Webhook("here", NOTICES, server.url), Command("nowhere", NOTICES, ("/no/such",))], notice, warned.append
        )
    assert [(one["event"], one["state"], one["value"]) for one in server.got] == [
        ("end", "done", 0.5), ("failure", "failed", None),
    ]  # fmt: skip
    assert server.got[0]["message"] == "first: promotion done: Promoted: trial-3 <b>"
    assert server.got[0]["text"].endswith("trial-3 &lt;b&gt;")
    assert len(warned) == 2


def test_nobody_there(half_done: Half) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/x"
    with told(half_done, Webhook("hook", NOTICES, url)) as (_, warned):
        pass
    assert warned == ["hook could not be told: ConnectionRefusedError; it is not mentioned again"]


def test_a_command_gets_words_and_json(half_done: Half, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receivers, "TIMEOUT_S", 20.0)
    monkeypatch.setattr(notifier, "LAST_S", 20.0)
    code = "import sys; open('said', 'w').write(repr(sys.argv[1:]) + sys.stdin.read())"
    words = (sys.executable, "-c", code, "{event}", "{search}; touch x", "{message}")
    with told(half_done, Command("c", ("end",), words)) as (_, warned):
        pass
    said = (tmp_path / "said").read_text()
    assert said.startswith("['end', 'first; touch x', 'first: done; best valid/mrr 0.3500 (trial 11)']{")
    assert warned == []


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("no-such-command",), "no-such-command cannot be run (No such file or directory)"),
        ((sys.executable, "-c", "import time; time.sleep(60)"), "took more than 0.5 s"),
        ((sys.executable, "-c", "import sys; sys.exit('no display')"), "ended with 1: no display"),
    ],
)
def test_a_bad_command_is_warned_of(monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], why: str) -> None:
    if "0.5" not in why:
        monkeypatch.setattr(receivers, "TIMEOUT_S", 20.0)
    command = Command("the command", ("end",), words)
    began = time.monotonic()
    with pytest.raises(receivers.NotDeliveredError) as caught:
        command.send(notices.Notice({"event": "end"}))
    assert why in str(caught.value)
    assert time.monotonic() - began < 20


def test_the_url_is_looked_up_and_quoted_nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    url = "https://hooks.example.org/services/T123/B456/abcdefgh"
    monkeypatch.setenv("MY_HOOK", url)
    (hook,) = receivers.receivers([NotifySpec(url_env="MY_HOOK")], commands=False)
    assert isinstance(hook, Webhook)
    assert (hook.url, url in repr(hook)) == (url, False)
    assert "abcdefgh" not in redact(f"cannot reach {url} at /services/T123/B456/abcdefgh")
    (tmp_path / "hook").write_text(url + "\n")
    (other,) = receivers.receivers([NotifySpec(url_file="hook")], commands=False)
    assert isinstance(other, Webhook)
    assert other.url == url


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (NotifySpec(url_env="NOT_SET_ANYWHERE"), "NOT_SET_ANYWHERE is not set"),
        (NotifySpec(url_env="WRONG_HOOK"), "WRONG_HOOK must hold one URL"),
        (NotifySpec(url_file="nowhere"), "cannot be read"),
        (NotifySpec(command=("true",), of_space=True), "--allow-command"),
    ],
)
def test_who_cannot_be_told_is_said_before_anything_starts(
    asked: NotifySpec, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WRONG_HOOK", "ftp://host/secretpart")
    with pytest.raises(InputError) as caught:
        receivers.receivers([asked], commands=False)
    assert message in str(caught.value)
    assert "secretpart" not in str(caught.value)


@pytest.mark.by_hand
@pytest.mark.slow  # starts Ray three times
@pytest.mark.timeout(900)
def test_a_search_tells_and_keeps_the_url_to_itself(
    space: Path, server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MY_HOOK", server.url)
    space.write_text(space.read_text() + "notify: {url_env: MY_HOOK, on: [end, best]}\n")

    def search(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "searchplat", "search", "space.yaml", "--name", "small", *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=280)

    first = search("--trials", "3", "--set", "epochs=1")
    assert first.returncode == 0, first.stderr
    assert server.got[-1]["event"] == "end"
    said = first.stdout + first.stderr
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"MY_HOOK" in kept  # the space says so
    for secret in ("secretpart", server.url):
        assert secret not in said
        assert secret.encode() not in kept

    # Who is told is no part of what a search is.
    server.manner = "hangs"
    again = search("--trials", "4", "--set", "epochs=1", "--set", "notify.on=end")
    assert again.returncode == 0, again.stderr
    assert "the webhook of MY_HOOK could not be told" in again.stdout
    without = search("--trials", "5", "--set", "epochs=1", "--set", "notify=null", "--notify", "{command: ['false']}")
    assert without.returncode == 0, without.stderr
    assert "false ended with 1" in without.stdout
