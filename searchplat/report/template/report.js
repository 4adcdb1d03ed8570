"use strict";
// Draws the figures that the page carries as JSON.
(() => {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const places = document.querySelectorAll("[data-figure]");
  const root = document.documentElement;

  const all = (width) => places.forEach((place) => drawFigure(place, figures[Number(place.dataset.figure)], width));
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
