"use strict";
// Draws the figures that the page carries as JSON, in the colours of its style sheet.
(() => {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const places = document.querySelectorAll("[data-figure]");
  const root = document.documentElement;

  // Colours are names such as "$c1", so that one figure serves light, dark and paper.
  function coloured(item, style) {
    if (Array.isArray(item) || item === null || typeof item !== "object") return item;
    const made = {};
    for (const [key, value] of Object.entries(item)) {
      made[key] = key === "color" && typeof value === "string" && value.startsWith("$")
        ? style.getPropertyValue("--" + value.slice(1)).trim()
        : coloured(value, style);
    }
    return made;
  }

  function draw(place, width) {
    const { data, layout } = figures[Number(place.dataset.figure)];
    const style = getComputedStyle(root);
    const colour = (name) => style.getPropertyValue("--" + name).trim();
    const whole = {
      ...coloured(layout, style),
      shapes: (layout.shapes || []).map((one) => coloured(one, style)),
      autosize: width === undefined,
      width,
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: style.fontFamily, size: 12, color: colour("ink") },
      margin: { l: 20, r: 12, t: 12, b: 20 },
      legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { color: colour("ink"), size: 11 } },
      hoverlabel: { bgcolor: colour("raised"), bordercolor: colour("rule"), font: { color: colour("ink") }, align: "left" },
      hovermode: "closest",
      dragmode: false, // a finger on a figure scrolls the page
    };
    for (const key of Object.keys(whole)) {
      if (/^[xy]axis/.test(key)) {
        whole[key] = {
          gridcolor: colour("grid"), zerolinecolor: colour("grid"), linecolor: colour("rule"),
          fixedrange: true, ...whole[key],
        };
      }
    }
    Plotly.react(place, data.map((one) => coloured(one, style)), whole, { displayModeBar: false, responsive: true });
  }

  const all = (width) => places.forEach((place) => draw(place, width));
  all();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => all());
  addEventListener("beforeprint", () => {
    root.classList.add("on-paper");
    all(680); // the width of a sheet; what is on the screen may be wider
  });
  addEventListener("afterprint", () => {
    root.classList.remove("on-paper");
    all();
  });
})();
