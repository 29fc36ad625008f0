// The search page: completion, periodic table, facets' total, figure.
import { colour } from "./page.js";
import { config, layout, ready, subscripts, withUnit } from "./plot.js";

// ------------------------------------------------------------------------------------------------- the filter box

const box = document.getElementById("filter");
const list = document.getElementById("completions");
let shown = [];
let active = -1;
let asked = 0;
let timer = 0;

function fit() {
  box.style.height = "auto";
  box.style.height = `${Math.min(box.scrollHeight + 2, 240)}px`;
}

function close() {
  list.hidden = true;
  active = -1;
  box.setAttribute("aria-expanded", "false");
  box.removeAttribute("aria-activedescendant");
}

function mark(place) {
  const items = [...list.children];
  if (active >= 0 && items[active]) items[active].removeAttribute("aria-selected");
  active = items.length ? (place + items.length) % items.length : -1;
  if (active < 0) return;
  items[active].setAttribute("aria-selected", "true");
  items[active].scrollIntoView({ block: "nearest" });
  box.setAttribute("aria-activedescendant", items[active].id);
}

// A completion says where in the text it begins.
function take(suggestion) {
  const head = box.value.slice(0, Number(suggestion.start));
  const tail = box.value.slice(box.selectionStart).trimStart();
  box.value = `${head}${suggestion.text} ${tail}`;
  const place = head.length + suggestion.text.length + 1;
  box.setSelectionRange(place, place);
  close();
  fit();
}

async function complete() {
  const number = ++asked;
  const text = box.value.slice(0, box.selectionStart);
  if (!text.trim()) return close();
  let answer;
  try {
    answer = await (await fetch(`/search/complete?text=${encodeURIComponent(text)}`)).json();
  } catch (error) { return close(); }
  if (number !== asked || document.activeElement !== box) return;
  shown = answer.suggestions || [];
  list.replaceChildren(...shown.map((each, place) => {
    const item = document.createElement("li");
    item.id = `completion-${place}`;
    item.setAttribute("role", "option");
    const word = document.createElement("span");
    word.textContent = each.text;
    const told = document.createElement("span");
    told.className = "muted";
    told.textContent = each.detail || each.kind || "";
    item.append(word, told);
    item.addEventListener("mousedown", (event) => { event.preventDefault(); take(each); });
    return item;
  }));
  active = -1;
  box.removeAttribute("aria-activedescendant");
  list.hidden = shown.length === 0;
  box.setAttribute("aria-expanded", String(!list.hidden));
}

if (box) {
  box.setAttribute("role", "combobox");
  box.setAttribute("aria-autocomplete", "list");
  box.setAttribute("aria-expanded", "false");
  box.setAttribute("aria-controls", "completions");
  box.addEventListener("input", () => {
    fit();
    clearTimeout(timer);
    timer = setTimeout(complete, 150);
  });
  box.addEventListener("blur", close);
  box.addEventListener("keydown", (event) => {
    if (!list.hidden && event.key === "ArrowDown") { event.preventDefault(); mark(active + 1); return; }
    if (!list.hidden && event.key === "ArrowUp") { event.preventDefault(); mark(active - 1); return; }
    if (!list.hidden && event.key === "Escape") { event.preventDefault(); close(); return; }
    if (!list.hidden && active >= 0 && (event.key === "Enter" || event.key === "Tab")) {
      event.preventDefault();
      take(shown[active]);
      return;
    }
    // One line is the usual filter: Enter searches, Shift and Enter begin another line.
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      document.getElementById("search").requestSubmit();
    }
  });
  fit();
}

// Fields that are empty need not stand in the address.
for (const form of document.querySelectorAll("form[method=get]")) {
  form.addEventListener("submit", () => {
    const empty = [...form.elements].filter((each) => each.name && !each.value && !each.disabled);
    if (form.elements.mode && form.elements.mode.value === "all") empty.push(form.elements.mode);
    for (const each of empty) each.disabled = true;
    setTimeout(() => { for (const each of empty) each.disabled = false; }, 500);
  });
}

// ----------------------------------------------------------------------------------------------- the periodic table

const included = document.getElementById("has");
const excluded = document.getElementById("not");
const said = document.getElementById("periodic-said");
const keys = [...document.querySelectorAll(".periodic button")];
const STATES = { "": "free", in: "included", out: "excluded" };

function listed(input) {
  return input.value.split(/[\s,]+/).filter(Boolean);
}

function stateOf(symbol) {
  if (listed(included).includes(symbol)) return "in";
  return listed(excluded).includes(symbol) ? "out" : "";
}

function paint() {
  for (const key of keys) {
    const state = stateOf(key.dataset.symbol);
    key.dataset.state = state;
    key.setAttribute("aria-label", `${key.dataset.name}${state ? `, ${STATES[state]}` : ""}`);
  }
}

function press(key) {
  const symbol = key.dataset.symbol;
  const next = { "": "in", in: "out", out: "" }[stateOf(symbol)];
  for (const [input, name] of [[included, "in"], [excluded, "out"]]) {
    const others = listed(input).filter((each) => each !== symbol);
    input.value = (next === name ? [...others, symbol] : others).join(", ");
  }
  paint();
  said.textContent = `${key.dataset.name} ${STATES[next]}`;
}

function place(key) {
  const of = (letter) => Number([...key.classList].find((each) => each.startsWith(letter)).slice(1));
  return [of("r"), of("c")];
}

function neighbour(key, down, right) {
  const [row, column] = place(key);
  let best = null;
  let least = Infinity;
  for (const other of keys) {
    const [r, c] = place(other);
    const ahead = down ? (r - row) * down : (c - column) * right;
    if (ahead <= 0 || (right && r !== row)) continue;
    const distance = ahead + 3 * Math.abs(down ? c - column : 0);
    if (distance < least) { least = distance; best = other; }
  }
  return best;
}

const MOVES = { ArrowDown: [1, 0], ArrowUp: [-1, 0], ArrowRight: [0, 1], ArrowLeft: [0, -1] };
for (const key of keys) {
  key.addEventListener("click", () => press(key));
  key.addEventListener("keydown", (event) => {
    const move = MOVES[event.key];
    if (!move) return;
    event.preventDefault();
    const next = neighbour(key, ...move);
    if (!next) return;
    key.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  });
}
if (included) {
  included.addEventListener("input", paint);
  excluded.addEventListener("input", paint);
  paint();
}

// ------------------------------------------------------------------------------------------------- the total, menus

document.addEventListener("loaded", (event) => {
  const counted = event.target.querySelector("[data-total]");
  const total = document.getElementById("total");
  if (counted && total) total.textContent = counted.dataset.total;
});

const menus = [...document.querySelectorAll("details.menu")];
for (const menu of menus) {
  menu.addEventListener("toggle", () => {
    if (menu.open) for (const other of menus) if (other !== menu) other.open = false;
  });
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !menu.open) return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });
}

// ------------------------------------------------------------------------------------------------------ the figure

const figure = document.getElementById("scatter");

function draw(Plotly, canvas, found) {
  const trace = {
    type: "scatter",
    mode: "markers",
    x: found.points.map((each) => each[2]),
    y: found.points.map((each) => each[3]),
    text: found.points.map((each) => `${subscripts(each[1])} · ${each[0]}`),
    hovertemplate: `%{text}<br>${found.x.name} %{x:.4g} ${found.x.unit || ""}<br>${found.y.name} %{y:.4g} ${found.y.unit || ""}<extra></extra>`,
    marker: { size: 7, color: colour("--accent"), opacity: 0.6, line: { width: 0.5, color: colour("--surface") } },
  };
  Plotly.react(canvas, [trace],
    layout(withUnit(found.x.name, found.x.unit), withUnit(found.y.name, found.y.unit)), config);
}

function tabulate(found) {
  const table = document.createElement("table");
  const head = table.createTHead().insertRow();
  for (const name of ["id", "formula", withUnit(found.x.name, found.x.unit), withUnit(found.y.name, found.y.unit)]) {
    const cell = document.createElement("th");
    cell.scope = "col";
    cell.textContent = name;
    head.append(cell);
  }
  const body = table.createTBody();
  for (const [id, formula, x, y] of found.points) {
    const row = body.insertRow();
    const link = document.createElement("a");
    link.href = `/materials/${encodeURIComponent(id)}`;
    link.textContent = id;
    row.insertCell().append(link);
    for (const value of [subscripts(formula), Number(x).toPrecision(4), Number(y).toPrecision(4)]) {
      row.insertCell().textContent = value;
    }
    row.cells[2].className = row.cells[3].className = "number";
  }
  return table;
}

async function setUpFigure() {
  const canvas = figure.querySelector(".canvas");
  const note = figure.querySelector(".note");
  let found;
  try {
    found = await (await fetch(figure.dataset.url)).json();
  } catch (error) { note.textContent = "The server did not answer."; return; }
  if (found.error) { note.textContent = `${found.error.what} ${found.error.mend}`; return; }
  const Plotly = await ready();
  if (!found.points.length) { note.textContent = "No material here has both."; return; }
  note.textContent = found.more ? `The first ${found.points.length.toLocaleString("en")} are drawn; narrow the search to see others.`
    : `${found.points.length.toLocaleString("en")} points.`;
  draw(Plotly, canvas, found);
  canvas.on("plotly_click", (event) => {
    const point = found.points[event.points[0].pointIndex];
    window.location.href = `/materials/${encodeURIComponent(point[0])}`;
  });
  document.addEventListener("theme", () => draw(Plotly, canvas, found));
  const data = figure.querySelector("details.data");
  data.addEventListener("toggle", () => {
    const place = data.querySelector(".scroll");
    if (data.open && !place.firstChild) place.append(tabulate(found));
  });
  figure.dataset.drawn = "1";
}

if (figure) setUpFigure();
