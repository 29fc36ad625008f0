// A material's page: the view in three dimensions, and the figures of its topology.
import { colour } from "./page.js";
import { config, layout, ready } from "./plot.js";
import { setUpViewer } from "./viewer.js";

const viewer = document.getElementById("viewer");
if (viewer) setUpViewer(viewer);

const place = document.getElementById("diagrams");
const DEGREES = ["H0", "H1", "H2"];
const SYMBOLS = ["circle", "diamond", "square"];
const DASHES = ["solid", "dash", "dot"];
const kept = new Map();

function paints() {
  return ["--h0", "--h1", "--h2"].map(colour);
}

function diagram(Plotly, group) {
  const paint = paints();
  const largest = Math.max(0.5, ...group.bars.flat().map((each) => each[1])) * 1.05;
  const traces = [{
    type: "scatter", mode: "lines", x: [0, largest], y: [0, largest], hoverinfo: "skip", showlegend: false,
    line: { color: colour("--control"), width: 1, dash: "dot" },
  }];
  group.bars.forEach((bars, degree) => traces.push({
    type: "scatter", mode: "markers", name: DEGREES[degree],
    x: bars.map((each) => each[0]), y: bars.map((each) => each[1]), customdata: bars.map((each) => each[2]),
    marker: {
      color: paint[degree], symbol: SYMBOLS[degree], opacity: 0.75,
      size: bars.map((each) => Math.min(16, 6 + 2 * Math.log2(each[2]))),
    },
    hovertemplate: `${DEGREES[degree]}: %{x:.3f} to %{y:.3f} Å, %{customdata} in the cell<extra></extra>`,
  }));
  Plotly.react("diagram", traces, layout("appears at (Å)", "vanishes at (Å)"), config);
}

function betti(Plotly, group) {
  const paint = paints();
  const traces = group.curves.map((curve, degree) => ({
    type: "scatter", mode: "lines", name: DEGREES[degree], x: group.radii, y: curve,
    line: { color: paint[degree], width: 2, dash: DASHES[degree] },
    hovertemplate: `${DEGREES[degree]}: %{y:.2f} an atom at %{x:.2f} Å<extra></extra>`,
  }));
  Plotly.react("betti", traces, layout("radius of the balls (Å)", "number per atom"), config);
}

async function figures(ion) {
  if (!kept.has(ion)) {
    kept.set(ion, fetch(`${place.dataset.url}?ion=${encodeURIComponent(ion)}`).then((answer) => answer.json()));
  }
  return kept.get(ion);
}

async function drawTopology() {
  const note = place.querySelector(".note");
  const ion = document.getElementById("topology-ion").value;
  const groups = document.getElementById("topology-group");
  let found;
  try { found = await figures(ion); } catch (error) { kept.delete(ion); note.textContent = "The server did not answer."; return; }
  if (found.error) { note.textContent = `${found.error.what} ${found.error.mend}`; return; }
  const group = found[groups.value];
  if (!group) { note.textContent = `There are no diagrams of ${groups.value} here.`; return; }
  note.textContent = "";
  const Plotly = await ready();
  diagram(Plotly, group);
  betti(Plotly, group);
  place.dataset.drawn = "1";
}

if (place) {
  const seen = new IntersectionObserver((entries) => {
    if (!entries.some((each) => each.isIntersecting)) return;
    seen.disconnect();
    drawTopology();
  }, { rootMargin: "300px" });
  seen.observe(place);
  for (const id of ["topology-ion", "topology-group"]) document.getElementById(id).addEventListener("change", drawTopology);
  document.addEventListener("theme", () => { if (place.dataset.drawn) drawTopology(); });
}
