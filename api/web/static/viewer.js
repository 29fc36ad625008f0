// A crystal in three dimensions: atoms, polyhedra, voids as balls, ways between them as tubes.
import { colour } from "./page.js";

const AXES = ["#c0392b", "#1e8449", "#2f6fc4"];
// Distance of 3Dmol's camera from where things are turned about; half its angle of view is 20 degrees.
const CAMERA = 150;
const VOID = "#73b8eb";
const VOID_ASIDE = "#a9b4bd";

function point([x, y, z]) {
  return { x, y, z };
}

// One shape for all bodies of a colour: as many shapes as bodies would be slow.
function bodies(viewer, options, fill) {
  const shape = viewer.addShape(options);
  fill(shape);
  return shape;
}

function edges(lattice, repeats) {
  const along = lattice.map((row, axis) => row.map((part) => part * repeats[axis]));
  const corner = (bits) => [0, 1, 2].map((k) => along.reduce((sum, row, axis) => sum + ((bits >> axis) & 1) * row[k], 0));
  const found = [];
  for (let a = 0; a < 8; a += 1) {
    for (const bit of [1, 2, 4]) if (!(a & bit)) found.push([corner(a), corner(a | bit)]);
  }
  return found;
}

function rotate([qx, qy, qz, qw], [x, y, z]) {
  const tx = 2 * (qy * z - qz * y);
  const ty = 2 * (qz * x - qx * z);
  const tz = 2 * (qx * y - qy * x);
  return [x + qw * tx + qy * tz - qz * ty, y + qw * ty + qz * tx - qx * tz, z + qw * tz + qx * ty - qy * tx];
}

function normal(corners, face) {
  const [a, b, c] = face.map((number) => corners[number]);
  const u = b.map((part, k) => part - a[k]);
  const v = c.map((part, k) => part - a[k]);
  return [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]];
}

// Each face has its own corners, so that it is shaded flat, and looks outwards.
function mesh(solids) {
  const vertexArr = [];
  const normalArr = [];
  const faceArr = [];
  for (const { corners, faces } of solids) {
    const centre = [0, 1, 2].map((k) => corners.reduce((sum, each) => sum + each[k], 0) / corners.length);
    for (const given of faces) {
      let face = given;
      let n = normal(corners, face);
      const out = corners[face[0]].map((part, k) => part - centre[k]);
      if (n.reduce((sum, part, k) => sum + part * out[k], 0) < 0) {
        face = [given[0], given[2], given[1]];
        n = n.map((part) => -part);
      }
      const length = Math.hypot(...n) || 1;
      for (const number of face) {
        faceArr.push(vertexArr.length);
        vertexArr.push(point(corners[number]));
        normalArr.push(point(n.map((part) => part / length)));
      }
    }
  }
  return { vertexArr, normalArr, faceArr };
}

export class CrystalView {
  constructor(place) {
    this.place = place;
    this.shows = { polyhedra: true, atoms: true, channels: true, others: false, voids: true };
    this.viewer = window.$3Dmol.createViewer(place, {
      backgroundColor: colour("--surface"), antialias: true, disableFog: true, orthographic: true,
    });
    place.viewer = this.viewer;
    this.viewer.getCanvas().setAttribute("aria-hidden", "true");
    place.addEventListener("keydown", (event) => this.key(event));
    document.addEventListener("theme", () => this.draw(false));
    if ("ResizeObserver" in window) new ResizeObserver(() => this.viewer.resize()).observe(place);
  }

  key(event) {
    const turns = { ArrowLeft: [-10, "y"], ArrowRight: [10, "y"], ArrowUp: [-10, "x"], ArrowDown: [10, "x"] };
    if (turns[event.key]) this.viewer.rotate(...turns[event.key]);
    else if (event.key === "+" || event.key === "=") this.viewer.zoom(1.15);
    else if (event.key === "-") this.viewer.zoom(1 / 1.15);
    else return;
    event.preventDefault();
  }

  show(scene) {
    this.scene = scene;
    this.draw(true);
  }

  spin(on) {
    this.viewer.spin(on ? "y" : false, 0.5);
  }

  // Turn the crystal as it is best seen, and make it as large as the place allows.
  reset() {
    const { viewer, scene } = this;
    const q = scene.view;
    const points = this.points().map((each) => rotate(q, each));
    const low = [0, 1, 2].map((k) => points.reduce((least, each) => Math.min(least, each[k]), Infinity));
    const high = [0, 1, 2].map((k) => points.reduce((most, each) => Math.max(most, each[k]), -Infinity));
    const middle = rotate([-q[0], -q[1], -q[2], q[3]], low.map((part, k) => (part + high[k]) / 2));
    const aspect = this.place.clientWidth / Math.max(1, this.place.clientHeight);
    const half = 0.5 * Math.max(high[0] - low[0] + 1.6, aspect * (high[1] - low[1] + 1.6));
    viewer.setView([...middle.map((part) => -part), CAMERA - half / Math.tan((20 * Math.PI) / 180), ...q]);
    viewer.render();
  }

  points() {
    const { scene } = this;
    const found = edges(scene.lattice, scene.repeats).flat();
    for (const kind of scene.atoms) found.push(...kind.places);
    for (const tube of scene.tubes.filter((each) => each[9])) found.push(tube.slice(0, 3), tube.slice(3, 6));
    return found;
  }

  draw(anew) {
    if (!this.scene) return;
    const { viewer, scene, shows } = this;
    viewer.removeAllShapes();
    viewer.removeAllLabels();
    viewer.setBackgroundColor(colour("--surface"));
    this.cell();
    if (shows.atoms) this.atoms();
    if (shows.polyhedra) this.polyhedra();
    if (shows.voids) this.voids();
    if (shows.channels) this.channels(1);
    if (shows.others) this.channels(0);
    if (anew) this.reset();
    viewer.render();
    this.place.dataset.drawn = "1";
  }

  cell() {
    const { viewer, scene } = this;
    const ink = colour("--muted");
    const lines = (pairs, radius, paint) => bodies(viewer, { color: paint }, (shape) => {
      for (const [start, end] of pairs) shape.addCylinder({ start: point(start), end: point(end), radius, fromCap: 1, toCap: 1 });
    });
    lines(edges(scene.lattice, scene.repeats), 0.018, ink);
    if (scene.repeats.some((count) => count > 1)) lines(edges(scene.lattice, [1, 1, 1]), 0.03, ink);
    scene.lattice.forEach((row, axis) => {
      const length = Math.hypot(...row);
      const tip = row.map((part) => part * (1 + 0.55 / length));
      viewer.addLabel("abc"[axis], {
        position: point(tip), fontSize: 18, bold: true, fontColor: AXES[axis], showBackground: false, alignment: "center", inFront: true,
      });
    });
  }

  atoms() {
    const { viewer, scene } = this;
    for (const kind of [...scene.atoms, ...(scene.sites ? [scene.sites] : [])]) {
      bodies(viewer, { color: kind.colour }, (shape) => {
        for (const place of kind.places) shape.addSphere({ center: point(place), radius: kind.radius });
      });
    }
  }

  polyhedra() {
    const { viewer, scene } = this;
    for (const kind of scene.polyhedra) {
      viewer.addCustom({ ...mesh(kind.solids), color: kind.colour, opacity: 0.55 });
      bodies(viewer, { color: kind.colour }, (shape) => {
        for (const { corners, edges: pairs } of kind.solids) {
          for (const [a, b] of pairs) shape.addCylinder({ start: point(corners[a]), end: point(corners[b]), radius: 0.02 });
        }
      });
    }
  }

  voids() {
    const { viewer, scene } = this;
    for (const [reached, paint, opacity] of [[1, VOID, 0.62], [0, VOID_ASIDE, 0.35]]) {
      const chosen = scene.voids.filter((each) => each[5] === reached);
      if (!chosen.length) continue;
      bodies(viewer, { color: paint, opacity }, (shape) => {
        for (const [x, y, z, radius] of chosen) shape.addSphere({ center: { x, y, z }, radius });
      });
    }
  }

  channels(onWay) {
    const { viewer, scene } = this;
    const kinds = new Map();
    for (const tube of scene.tubes.filter((each) => each[9] === onWay)) {
      const paint = tube[8];
      if (!kinds.has(paint)) kinds.set(paint, []);
      kinds.get(paint).push(tube);
    }
    for (const [paint, tubes] of kinds) {
      bodies(viewer, { color: paint }, (shape) => {
        for (const [ax, ay, az, bx, by, bz, radius] of tubes) {
          shape.addCylinder({ start: { x: ax, y: ay, z: az }, end: { x: bx, y: by, z: bz }, radius, fromCap: 2, toCap: 2 });
        }
      });
    }
  }
}

// What the colours mean, in words beside the picture.
export function legend(list, scene) {
  const items = [];
  const dot = (paint, words) => {
    const item = document.createElement("li");
    const mark = document.createElement("span");
    mark.className = "dot";
    mark.style.background = paint;
    item.append(mark, words);
    items.push(item);
  };
  if (scene.sites) dot(scene.sites.colour, `${scene.ion} sites`);
  for (const kind of scene.atoms) dot(kind.colour, kind.symbol);
  if (scene.voids.some((each) => each[5] === 1)) dot(VOID, "voids on the ion's ways");
  if (scene.voids.some((each) => each[5] === 0)) dot(VOID_ASIDE, "voids aside");
  if (scene.widths) {
    const item = document.createElement("li");
    const ramp = document.createElement("span");
    ramp.className = "ramp";
    item.append(`ways ${scene.widths[0].toFixed(2)} Å `, ramp, ` ${scene.widths[1].toFixed(2)} Å`);
    items.push(item);
  }
  list.replaceChildren(...items);
}

export function ready() {
  return new Promise((resolve) => {
    if (window.$3Dmol) resolve();
    else window.addEventListener("DOMContentLoaded", () => resolve());
  });
}

function drawable() {
  const canvas = document.createElement("canvas");
  return Boolean(canvas.getContext("webgl2") || canvas.getContext("webgl"));
}

// Set a place up with its controls; the scene comes from an address or stands in the page.
export async function setUpViewer(place, given) {
  const said = place.querySelector(".said");
  const say = (text) => { if (said) { said.textContent = text; said.hidden = !text; } };
  await ready();
  if (!window.$3Dmol || !drawable()) {
    say("This browser draws nothing in three dimensions (WebGL is off). The sites stand in the table below.");
    return null;
  }
  const view = new CrystalView(place);
  const list = document.getElementById("legend");
  const fetchScene = async (ion) => {
    say("Loading…");
    try {
      const answer = await fetch(`${place.dataset.url}?ion=${encodeURIComponent(ion)}`);
      const scene = await answer.json();
      if (scene.error) { say(`${scene.error.what} ${scene.error.mend}`); return; }
      say("");
      view.show(scene);
      if (list) legend(list, scene);
    } catch (error) { say("The view could not be loaded."); }
  };
  if (given) {
    say("");
    view.show(given);
    if (list) legend(list, given);
  } else await fetchScene(place.dataset.ion || "");
  const ion = document.getElementById("ion");
  if (ion && place.dataset.url) ion.addEventListener("change", () => fetchScene(ion.value));
  for (const box of document.querySelectorAll("[data-shows]")) {
    view.shows[box.dataset.shows] = box.checked;
    box.addEventListener("change", () => { view.shows[box.dataset.shows] = box.checked; view.draw(false); });
  }
  const spin = document.getElementById("spin");
  if (spin) {
    spin.checked = false;
    // It only turns by itself when asked to, whatever the system says of motion.
    spin.addEventListener("change", () => view.spin(spin.checked));
  }
  const reset = document.getElementById("reset");
  if (reset) reset.addEventListener("click", () => view.reset());
  return view;
}
