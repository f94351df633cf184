// Draws the charts of the page, in the reader's theme, and ties table rows to their marks.
"use strict";

(() => {
  // The colours that charts are made in, and what each becomes on the dark page.
  const DARK = {
    "#1F2328": "#E6E8EB", // ink
    "#1A1A1A": "#E6E8EB", // outline
    "#FFFFFF": "#14171C", // paper
    "#E3E6EA": "#2E343D", // grid
    "#0072B2": "#56B4E9", // front
    "rgba(0, 114, 178, 0.10)": "rgba(86, 180, 233, 0.14)", // region
    "#767676": "#9AA3AD", // dominated
    "#D55E00": "#F0823A", // infeasible
    "#008060": "#35C49A", // predicted
  };
  const LIGHT = {};
  const OPTIONS = {
    responsive: true,
    displaylogo: false,
    modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
  };
  const darkWanted = window.matchMedia("(prefers-color-scheme: dark)");
  const charts = JSON.parse(document.getElementById("charts").textContent);
  const drawn = [];

  function recolour(value, colours) {
    if (typeof value === "string") return colours[value] ?? value;
    if (Array.isArray(value)) return value.map((item) => recolour(item, colours));
    if (value === null || typeof value !== "object") return value;
    const items = Object.entries(value).map(([key, item]) => [key, recolour(item, colours)]);
    return Object.fromEntries(items);
  }

  async function draw(colours) {
    for (const { place, name, figure } of drawn) {
      const { data, layout } = recolour(figure, colours);
      const image = { format: "svg", filename: name };
      await Plotly.react(place, data, layout, { ...OPTIONS, toImageButtonOptions: image });
    }
  }

  const currentTheme = () => (darkWanted.matches ? DARK : LIGHT);

  function marksOf(trial) {
    return drawn.flatMap(({ place, figure }) =>
      figure.data.flatMap((trace, curveNumber) => {
        const pointNumber = (trace.customdata || []).indexOf(trial);
        return pointNumber < 0 ? [] : [{ place, curveNumber, pointNumber }];
      }),
    );
  }

  function point(row, isHere) {
    row.classList.toggle("here", isHere);
    for (const { place, curveNumber, pointNumber } of marksOf(Number(row.dataset.trial))) {
      if (isHere) Plotly.Fx.hover(place, [{ curveNumber, pointNumber }]);
      else Plotly.Fx.unhover(place);
    }
  }

  function tieRows() {
    for (const row of document.querySelectorAll("tr[data-trial]")) {
      for (const event of ["mouseenter", "focusin"]) row.addEventListener(event, () => point(row, true));
      for (const event of ["mouseleave", "focusout"]) row.addEventListener(event, () => point(row, false));
    }
    for (const { place } of drawn) {
      place.on("plotly_click", ({ points }) => {
        document.querySelector(`tr[data-trial="${Number(points[0].customdata)}"] a`)?.focus();
      });
    }
  }

  async function start() {
    for (const { id, name, figure } of charts) {
      const place = document.getElementById(id);
      place.replaceChildren();
      drawn.push({ place, name, figure });
    }
    await draw(currentTheme());
    tieRows();
    darkWanted.addEventListener("change", () => draw(currentTheme()));
    window.addEventListener("beforeprint", () => draw(LIGHT));
    window.addEventListener("afterprint", () => draw(currentTheme()));
    document.documentElement.dataset.charts = "drawn";
  }

  if (window.Plotly) start();
  else document.documentElement.dataset.charts = "missing";
})();
