// The map on which a camera path is drawn. The value is {keys: [[right, up, forward], ...], look}; Python makes the
// smooth path and answers with the cameras that will be used, so that what is shown is what is made.
const root = element.querySelector(".map");
const svg = root.querySelector("svg");
const body = root.querySelector("tbody");
const note = root.querySelector(".map-note");
const look = root.querySelector("select");
const MOST = 12;
const REACH = { right: 1.55, forward: [-0.95, 1.7] };
let keys = [];
let past = [];
let selected = -1;
let asked = 0;
let timer = null;

const round = (value) => Math.round(value * 100) / 100;
const svgElement = (name, attributes, parent) => {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  parent.append(made);
  return made;
};

function drawGrid() {
  const grid = root.querySelector(".map-grid");
  for (let x = -1.5; x <= 1.5; x += 0.5) svgElement("path", { d: `M${x} -1.7V0.95` }, grid);
  for (let z = -0.5; z <= 1.5; z += 0.5) svgElement("path", { d: `M-1.55 ${-z}H1.55` }, grid);
}

function wedge(x, z, dx, dz, size) {
  const norm = Math.hypot(dx, dz) || 1;
  const [fx, fz] = [(dx / norm) * size, (dz / norm) * size];
  const point = (side) => `${x + fx + side * fz * 0.5} ${-(z + fz - side * fx * 0.5)}`;
  return `M${x} ${-z}L${point(1)}L${point(-1)}Z`;
}

function drawKeys() {
  const group = root.querySelector(".map-keys");
  group.replaceChildren();
  svgElement("circle", { cx: 0, cy: 0, r: 0.075, class: "first" }, group);
  svgElement("text", { x: 0.12, y: 0.15 }, group).textContent = "photo";
  keys.forEach(([right, , forward], index) => {
    const circle = svgElement("circle", { cx: right, cy: -forward, r: 0.075, "data-key": index,
      class: index === selected ? "key selected" : "key" }, group);
    circle.style.cursor = "grab";
    svgElement("text", { x: right, y: -forward + 0.035, class: "number" }, group).textContent = index + 2;
  });
}

function drawTable() {
  const active = document.activeElement;
  const focus = body.contains(active) ? [active.dataset.key, active.dataset.axis, active.dataset.do] : null;
  body.replaceChildren();
  const row = (cells) => { const line = document.createElement("tr"); line.append(...cells); body.append(line); };
  const cell = (content, tag = "td") => { const made = document.createElement(tag); made.append(content); return made; };
  const name = (words) => { const made = cell(words, "th"); made.scope = "row"; return made; };
  row([name("1 (photo)"), cell("0"), cell("0"), cell("0"), cell("")]);
  keys.forEach((key, index) => {
    const inputs = [["right", 0], ["forward", 2], ["up", 1]].map(([axis, at]) => {
      const input = document.createElement("input");
      Object.assign(input, { type: "number", step: 0.05, min: -3, max: 3, value: round(key[at]) });
      Object.assign(input.dataset, { key: index, axis: at });
      input.setAttribute("aria-label", `Camera ${index + 2}, ${axis}`);
      return cell(input);
    });
    const remove = document.createElement("button");
    Object.assign(remove, { type: "button", textContent: "×" });
    Object.assign(remove.dataset, { do: "remove", key: index });
    remove.setAttribute("aria-label", `Remove camera ${index + 2}`);
    row([name(String(index + 2)), ...inputs, cell(remove)]);
  });
  if (focus) body.querySelector(`[data-key="${focus[0]}"]${focus[1] ? `[data-axis="${focus[1]}"]` : "button"}`)?.focus();
}

function drawPath(cameras) {
  const group = root.querySelector(".map-path");
  group.replaceChildren();
  if (!cameras.length) return;
  svgElement("path", { d: "M" + cameras.map(([x, z]) => `${x} ${-z}`).join("L"), class: "line" }, group);
  cameras.forEach(([x, z, dx, dz]) => svgElement("path", { d: wedge(x, z, dx, dz, 0.15), class: "camera" }, group));
}

function preview() {
  clearTimeout(timer);
  timer = setTimeout(async () => {
    const mine = ++asked;
    if (!keys.length) { drawPath([]); root.querySelector(".map-side").replaceChildren(); note.textContent = "Click on the map where the camera should go."; return; }
    const frames = Number(document.querySelector('#frames input[type="number"]')?.value ?? root.dataset.frames);
    let answer;
    try {
      answer = JSON.parse(await server.path_preview({ keys, look: look.value, frames }));
    } catch {
      answer = { cameras: [], drawing: "", problem: "The studio does not answer. Is it still running?" };
    }
    if (mine !== asked) return;
    drawPath(answer.cameras);
    root.querySelector(".map-side").innerHTML = answer.drawing;
    note.textContent = answer.problem || `${answer.cameras.length} cameras. A model shortens a path that goes farther than it has learned.`;
    root.dataset.cameras = answer.cameras.length;
  }, 60);
}

function show() {
  drawKeys();
  drawTable();
  preview();
}

function changed(before) {
  if (before) past.push(before);
  past = past.slice(-50);
  props.value = { keys: keys.map((key) => [...key]), look: look.value };
  show();
}

const copy = () => keys.map((key) => [...key]);
const within = (value, low, high) => round(Math.max(low, Math.min(high, value)));
function place(event) {
  const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
  return [within(point.x, -REACH.right, REACH.right), within(-point.y, ...REACH.forward)];
}

function add(right, forward) {
  if (keys.length >= MOST) { note.textContent = `A path has at most ${MOST} key cameras.`; return false; }
  keys.push([right, keys.length ? keys[keys.length - 1][1] : 0, forward]);
  selected = keys.length - 1;
  return true;
}

let dragged = null;
svg.addEventListener("pointerdown", (event) => {
  event.preventDefault();
  const before = copy();
  const hit = event.target.dataset.key;
  if (hit !== undefined) selected = Number(hit);
  else if (!add(...place(event))) return;
  dragged = before;
  svg.setPointerCapture(event.pointerId);
  drawKeys();
});
svg.addEventListener("pointermove", (event) => {
  if (!dragged) return;
  const [right, forward] = place(event);
  keys[selected] = [right, keys[selected][1], forward];
  drawKeys();
  preview();
});
for (const name of ["pointerup", "pointercancel"]) svg.addEventListener(name, () => {
  if (!dragged) return;
  const before = dragged;
  dragged = null;
  changed(before);
});

const ACTIONS = {
  undo: () => { if (past.length) { keys = past.pop(); selected = -1; changed(null); } },
  clear: () => { if (keys.length) { const before = copy(); keys = []; selected = -1; changed(before); } },
  add: () => {
    const before = copy();
    const [right, , forward] = keys.length ? keys[keys.length - 1] : [0, 0, 0];
    if (add(within(right + 0.2, -REACH.right, REACH.right), within(forward + 0.05, ...REACH.forward))) {
      changed(before);
      body.querySelector(`[data-key="${selected}"][data-axis="0"]`).focus();
    }
  },
  remove: (button) => {
    const before = copy();
    keys.splice(Number(button.dataset.key), 1);
    selected = -1;
    changed(before);
    (body.querySelector("button:last-of-type") ?? root.querySelector('[data-do="add"]')).focus();
  },
};
root.addEventListener("click", (event) => {
  const button = event.target.closest("[data-do]");
  if (button) ACTIONS[button.dataset.do](button);
});
body.addEventListener("change", (event) => {
  const { key, axis } = event.target.dataset;
  const value = Number(event.target.value);
  if (key === undefined) return;
  const before = copy();
  keys[key][axis] = Number.isFinite(value) ? within(value, -3, 3) : 0;
  selected = Number(key);
  changed(before);
});
look.addEventListener("change", () => changed(copy()));
document.addEventListener("change", (event) => { // one camera per frame
  if (root.isConnected && event.target.closest?.("#frames")) preview();
});

function take() {
  const value = props.value ?? {};
  if (JSON.stringify([value.keys ?? [], value.look ?? "subject"]) === JSON.stringify([keys, look.value])) return;
  keys = (value.keys ?? []).map((key) => [...key]);
  look.value = value.look ?? "subject";
  selected = -1;
  show();
}
watch("value", take);
drawGrid();
take();
show();
