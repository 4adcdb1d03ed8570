"use strict";
// Draws a figure, plain data for plotly.js, in the colours of the page's style sheet: of a report, and of the live page.
const drawFigure = (() => {
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

  return function draw(place, { data, layout }, width) {
    const style = getComputedStyle(document.documentElement);
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
  };
})();
