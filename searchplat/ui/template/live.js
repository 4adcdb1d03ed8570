"use strict";
// Keeps the page as the server has it: asks every two seconds, puts changed parts in their places, and asks a search's
// driver for what a button says. Text of trials is escaped by the server; what is made here is text alone.
(() => {
  const EVERY_MS = 2000;
  const KEY = "searchplat-token";
  const main = document.querySelector("main");
  const place = main.dataset.place;
  const $ = (id) => document.getElementById(id);
  const plots = () => document.querySelectorAll("[data-figure]");

  // The address has the token once; the page keeps it for its buttons, out of the address bar.
  const view = new URLSearchParams(location.search);
  let token = null;
  try {
    if (view.has("token")) localStorage.setItem(KEY, view.get("token"));
    token = localStorage.getItem(KEY);
  } catch { // a browser that keeps nothing
    token = view.get("token");
  }
  view.delete("token");
  showView();

  let version = "", figures = [], timer = 0, busy = false, again = false;
  const shown = {};

  function showView() {
    history.replaceState(null, "", location.pathname + (String(view) && `?${view}`));
  }

  // ---------------------------------------------------------------- what the server has

  async function look() {
    clearTimeout(timer);
    again = busy;
    if (busy) return;
    busy = true;
    try {
      const query = new URLSearchParams(view);
      query.set("seen", version);
      const asked = String(view);
      const answer = await fetch(`${place}parts?${query}`).catch(() => null);
      if (!answer) return link("off", "no answer from searchplat ui");
      if (answer.status === 401) return link("off", "ended: open the address that searchplat ui prints now");
      if (answer.status !== 204) {
        const found = await read(answer);
        if (!answer.ok) return link("off", found.error);
        if (asked === String(view)) put(found);
      }
      link("on", "live");
    } finally {
      busy = false;
      times();
      clearTimeout(timer);
      if (!document.hidden) timer = setTimeout(look, again ? 0 : EVERY_MS); // else nobody looks
    }
  }

  function read(answer) {
    return answer.json().catch(() => ({ error: "searchplat ui failed; the terminal in which it runs says why" }));
  }

  function link(state, words) {
    $("link").className = state;
    if ($("link-words").textContent !== words) $("link-words").textContent = words;
  }

  function put(found) {
    version = found.version;
    for (const [name, html] of Object.entries(found.parts)) {
      const part = $(`part-${name}`);
      if (shown[name] === html) continue;
      const chosen = getSelection();
      if (!chosen.isCollapsed && part.contains(chosen.anchorNode)) { // somebody copies from it: at the next look
        version = "";
        continue;
      }
      replace(part, html);
      shown[name] = html;
    }
    figures = found.figures;
    draw(false);
  }

  // A part as it was for whoever uses it: focus, what was typed, what was unfolded, how far it was scrolled.
  function replace(part, html) {
    const focus = part.contains(document.activeElement) ? document.activeElement.id : "";
    const typed = [...part.querySelectorAll("input, select")].map((one) => [one.id, one.value]);
    const open = [...part.querySelectorAll("details[open]")].map((one) => one.id);
    const far = [...part.querySelectorAll("[tabindex]")].map((one) => [one.id, one.scrollLeft, one.scrollTop]);
    part.querySelectorAll("[data-figure]").forEach((one) => Plotly.purge(one));
    part.innerHTML = html;
    for (const [id, value] of typed) if ($(id)) $(id).value = value;
    for (const id of open) if ($(id)) $(id).open = true;
    for (const [id, left, top] of far) if ($(id)) Object.assign($(id), { scrollLeft: left, scrollTop: top });
    if (focus && $(focus)) $(focus).focus({ preventScroll: true });
  }

  function draw(again) {
    plots().forEach((one) => {
      const figure = figures[Number(one.dataset.figure)];
      const content = JSON.stringify(figure);
      if (!again && one.drawn === content) return;
      one.drawn = content;
      drawFigure(one, figure);
    });
  }

  function times() {
    for (const one of document.querySelectorAll("[data-at]:empty")) {
      const at = new Date(1000 * Number(one.dataset.at));
      const today = at.toDateString() === new Date().toDateString();
      one.dateTime = at.toISOString();
      one.textContent = today ? at.toLocaleTimeString() : at.toLocaleString();
    }
    for (const one of document.querySelectorAll("[data-ago]")) {
      const words = ago(Date.now() / 1000 - Number(one.dataset.ago));
      if (one.textContent !== words) one.textContent = words;
    }
  }

  function ago(seconds) {
    const [size, unit] = [[86400, "d"], [3600, "h"], [60, "min"]].find(([one]) => seconds >= one) || [1, "s"];
    return seconds < 5 ? "just now" : `${Math.floor(seconds / size)} ${unit} ago`;
  }

  // ---------------------------------------------------------------- what somebody wants

  async function post(path, body, button) {
    if (!token) return say("Open the address that searchplat ui printed: only that has the token, which buttons need.", true);
    button.setAttribute("aria-busy", "true");
    if (button.dataset.wait) say(button.dataset.wait);
    try {
      const answer = await fetch(path, {
        method: "POST",
        headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
        body: JSON.stringify(body),
      });
      if (answer.status === 401) return say("The server has been started anew: open the address that it printed.", true);
      const found = await read(answer);
      say(answer.ok ? found.said : found.error, !answer.ok);
      return answer.ok;
    } catch {
      say("No answer from searchplat ui; it may have ended.", true);
    } finally {
      button.removeAttribute("aria-busy");
      look();
    }
  }

  let hush = 0;
  function say(words, wrong = false) {
    const said = $("said");
    clearTimeout(hush);
    said.className = wrong ? "wrong" : "";
    said.textContent = words;
    said.hidden = false;
    hush = setTimeout(() => { said.hidden = true; }, wrong ? 20000 : 8000);
  }

  function confirmed(button) {
    if (!button.dataset.confirm) return Promise.resolve(true);
    const dialog = $("confirm");
    $("confirm-words").textContent = button.dataset.confirm;
    $("confirm-yes").textContent = button.dataset.yes;
    dialog.returnValue = "";
    dialog.showModal();
    return new Promise((resolve) => {
      dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
    });
  }
  $("confirm-yes").addEventListener("click", () => $("confirm").close("yes"));
  $("confirm-no").addEventListener("click", () => $("confirm").close(""));
  $("said").addEventListener("click", () => { $("said").hidden = true; });

  main.addEventListener("click", async (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.dataset.view) {
      for (const [key, value] of Object.entries(JSON.parse(button.dataset.view))) {
        if (value && value !== "0") view.set(key, value);
        else view.delete(key);
      }
      version = "";
      showView();
      look();
    } else if (button.dataset.post) {
      post(button.dataset.post, {}, button);
    } else if (button.dataset.ask && !button.hasAttribute("aria-busy")) {
      const wanted = JSON.parse(button.dataset.ask); // before the part is put anew
      if (await confirmed(button)) post(`/search/${place.split("/")[2]}/ask`, wanted, button);
    }
  });

  main.addEventListener("submit", async (event) => {
    event.preventDefault();
    const [stage, trials, concurrent] = ["set-stage", "set-trials", "set-concurrent"].map($);
    const changes = [];
    if (trials.value.trim()) changes.push(`${stage.value}=${trials.value.trim()}`);
    if (concurrent.value.trim()) changes.push(`concurrent=${concurrent.value.trim()}`);
    if (!changes.length) return say("Type how many trials, or how many at once.", true);
    if (await post(`${place}ask`, { action: "set", changes }, $("set-apply"))) {
      $("set-trials").value = $("set-concurrent").value = "";
    }
  });

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => draw(true));
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) clearTimeout(timer);
    else look();
  });
  look();
})();
