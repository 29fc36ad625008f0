// Figures by plotly, in the page's colours.
import { colour } from "./page.js";

export function ready() {
  return new Promise((resolve) => {
    if (window.Plotly) resolve(window.Plotly);
    else window.addEventListener("DOMContentLoaded", () => resolve(window.Plotly));
  });
}

export function axis(title) {
  return {
    title: { text: title, standoff: 10 },
    gridcolor: colour("--line"),
    linecolor: colour("--control"),
    zerolinecolor: colour("--line"),
    tickcolor: colour("--control"),
    ticks: "outside",
    automargin: true,
  };
}

export function layout(x, y, more = {}) {
  return {
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: "system-ui, sans-serif", size: 13, color: colour("--ink") },
    margin: { l: 60, r: 16, t: 12, b: 52 },
    xaxis: axis(x),
    yaxis: axis(y),
    hovermode: "closest",
    hoverlabel: { bgcolor: colour("--surface"), bordercolor: colour("--control"), font: { color: colour("--ink") } },
    legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0 },
    ...more,
  };
}

export const config = { displaylogo: false, responsive: true, modeBarButtonsToRemove: ["select2d", "lasso2d"] };

export function withUnit(name, unit) {
  return unit ? `${name} (${unit})` : name;
}

const SUB = "₀₁₂₃₄₅₆₇₈₉";
export function subscripts(formula) {
  return String(formula).replace(/(?<=[A-Za-z)\]])[\d.]+/g, (found) => found.replace(/\d/g, (digit) => SUB[digit]));
}
