"""Who is let in, and who is not, whatever else a request says."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

TOKEN = "the-token-of-this-run"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
PATHS = [
    "/", "/parts", "/search/first", "/search/first/parts", "/search/first/trial/3", "/search/first/trial/3/parts",
    "/search/first/report", "/assets/live.js", "/assets/plotly.js", "/nothing",
]  # fmt: skip

pytestmark = pytest.mark.usefixtures("half_done")


@pytest.mark.parametrize("path", PATHS)
def test_nothing_is_shown_without_the_token(stranger: TestClient, path: str) -> None:
    wrong = [{"Authorization": f"Basic {TOKEN}"}, {"Authorization": "Bearer "}, {"Cookie": f"searchplat-5000={TOKEN}"}]
    for address, headers in [(path, {}), (f"{path}?token=", {}), (f"{path}?token=no", {}), *((path, h) for h in wrong)]:
        refused = stranger.get(address, headers=headers)
        assert refused.status_code == 401, (address, headers)
        assert "set-cookie" not in refused.headers
        assert "first" not in refused.text
        assert refused.headers["content-security-policy"].startswith("default-src 'none'")


def test_the_address_gives_a_cookie_by_which_one_may_look(stranger: TestClient) -> None:
    opened = stranger.get(f"/?token={TOKEN}")
    assert opened.status_code == 200
    (cookie,) = opened.headers.get_list("set-cookie")
    assert cookie.startswith("searchplat-5000=")
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert TOKEN not in cookie
    for path in PATHS[:-1]:
        assert stranger.get(path).status_code == 200, path
    assert stranger.get("/nothing").status_code == 404


def test_the_cookie_changes_nothing_and_the_token_does(browser: TestClient) -> None:
    asked = {"action": "pause"}
    for path in ("/search/first/ask", "/mlflow", "/nothing"):
        assert browser.post(path, json=asked).status_code == 401
        assert browser.post(f"{path}?token={TOKEN}", json=asked).status_code == 401, "only a header is no link"
    browser.cookies.clear()
    assert browser.get("/parts", headers=BEARER).status_code == 200
    assert browser.post("/search/first/ask", json=asked, headers=BEARER).status_code == 409, "nobody is at work"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:5000", "127.0.0.1.evil.example", "", "0.0.0.0", "a b"])
def test_another_name_of_this_machine_is_refused_also_with_the_token(browser: TestClient, host: str) -> None:
    for path in (f"/?token={TOKEN}", "/parts", "/assets/live.js"):
        refused = browser.get(path, headers={"Host": host, **BEARER})
        assert refused.status_code == 400
        assert "set-cookie" not in refused.headers
    asked = browser.post("/search/first/ask", json={"action": "stop"}, headers={"Host": host, **BEARER})
    assert asked.status_code == 400


def test_through_a_tunnel_on_another_port_it_answers(browser: TestClient) -> None:
    headers = {"Host": "localhost:8123", "Origin": "http://localhost:8123", **BEARER}
    assert browser.get("/parts", headers=headers).status_code == 200
    assert browser.post("/search/first/ask", json={"action": "pause"}, headers=headers).status_code == 409


@pytest.mark.parametrize("origin", ["http://evil.example", "http://127.0.0.1:5001", "https://127.0.0.1:5000", "null"])
def test_another_site_asks_for_nothing_and_hears_nothing(browser: TestClient, origin: str) -> None:
    headers = {"Origin": origin, **BEARER}
    assert browser.post("/search/first/ask", json={"action": "stop"}, headers=headers).status_code == 403
    asking = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
    }
    answers = [browser.options("/search/first/ask", headers=asking), browser.get("/parts", headers={"Origin": origin})]
    assert answers[0].status_code == 405
    for answer in answers:
        assert not [name for name in answer.headers if name.startswith("access-control")]


def test_a_browser_is_told_to_be_strict(browser: TestClient) -> None:
    for path in PATHS:
        headers = browser.get(path).headers
        policy = headers["content-security-policy"]
        assert "unsafe" not in policy
        assert "http" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-frame-options"] == "DENY"
    assert browser.get("/search/first/report").headers["content-security-policy"].startswith("sandbox allow-scripts;")
