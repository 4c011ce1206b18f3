// The point cloud of a scene on a canvas: reads points.ply and cameras.json, needs WebGL and nothing from elsewhere.
// World axes are OpenCV's: x right, y down, z forward.
const root = element.querySelector(".cloud");
const canvas = root.querySelector("canvas");
const note = root.querySelector(".cloud-note");
const gl = canvas.getContext("webgl", { antialias: true, preserveDrawingBuffer: true });
const BACKGROUND = [0.075, 0.09, 0.115];
const HOME_STEP_BACK = 0.18;
const view = { yaw: 0, pitch: 0, distance: 1, target: [0, 0, 1], home: null };
const settings = { size: 1.4, cameras: true };
let scene = null;
let programs = null;
let flight = null;
let sway = null;
let waiting = false;

function say(state, words) {
  root.dataset.state = state;
  note.textContent = words;
}

// -- small linear algebra ---------------------------------------------------------------------------------------
const add = (a, b, s = 1) => [a[0] + b[0] * s, a[1] + b[1] * s, a[2] + b[2] * s];
const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const length = (a) => Math.sqrt(dot(a, a));

function orbitPose() {
  const { yaw, pitch, distance, target } = view;
  const right = [Math.cos(yaw), 0, -Math.sin(yaw)];
  const forward = [Math.sin(yaw) * Math.cos(pitch), -Math.sin(pitch), Math.cos(yaw) * Math.cos(pitch)];
  const down = [
    forward[1] * right[2] - forward[2] * right[1],
    forward[2] * right[0] - forward[0] * right[2],
    forward[0] * right[1] - forward[1] * right[0],
  ];
  return { right, down, forward, eye: add(target, forward, -distance) };
}

// Column-major camera-from-world for WebGL, whose camera looks along -z with y up.
function viewMatrix({ right, down, forward, eye }) {
  const m = new Float32Array(16);
  [[right, 1], [down, -1], [forward, -1]].forEach(([axis, sign], row) => {
    for (let column = 0; column < 3; column++) m[column * 4 + row] = sign * axis[column];
    m[12 + row] = -sign * dot(axis, eye);
  });
  m[15] = 1;
  return m;
}

function projection(fovY, aspect, near, far) {
  const f = 1 / Math.tan(fovY / 2);
  const m = new Float32Array(16);
  m[0] = f / aspect;
  m[5] = f;
  m[10] = (far + near) / (near - far);
  m[11] = -1;
  m[14] = (2 * far * near) / (near - far);
  return m;
}

// -- files --------------------------------------------------------------------------------------------------------
const SIZES = { char: 1, uchar: 1, int8: 1, uint8: 1, short: 2, ushort: 2, int: 4, uint: 4, int32: 4, uint32: 4,
  float: 4, float32: 4, double: 8, float64: 8 };

function readPly(buffer) {
  const start = new TextDecoder("latin1").decode(buffer.slice(0, 65536));
  const end = start.indexOf("end_header\n") + 11;
  const lines = start.slice(0, end).split("\n");
  if (end < 11 || !lines.includes("format binary_little_endian 1.0")) throw new Error("not a binary PLY file");
  const count = Number(lines.find((line) => line.startsWith("element vertex")).split(" ")[2]);
  const offsets = {};
  let stride = 0;
  for (const line of lines.filter((line) => line.startsWith("property"))) {
    const [, type, name] = line.split(" ");
    offsets[name] = [stride, type];
    stride += SIZES[type];
  }
  const data = new DataView(buffer, end);
  const points = new Float32Array(count * 3);
  const colors = new Uint8Array(count * 3);
  for (let i = 0; i < count; i++) {
    const at = i * stride;
    for (let k = 0; k < 3; k++) {
      const [offset, type] = offsets["xyz"[k]];
      points[i * 3 + k] = SIZES[type] === 8 ? data.getFloat64(at + offset, true) : data.getFloat32(at + offset, true);
      colors[i * 3 + k] = data.getUint8(at + offsets[["red", "green", "blue"][k]][0]);
    }
  }
  return { count, points, colors };
}

function readCameras(record) {
  return record.extrinsics.map((e, index) => {
    const axes = [0, 1, 2].map((row) => e[row].slice(0, 3));
    const eye = [0, 1, 2].map((k) => -axes.reduce((sum, axis, row) => sum + axis[k] * e[row][3], 0));
    const [fx, fy] = [record.intrinsics[index][0][0], record.intrinsics[index][1][1]];
    return { right: axes[0], down: axes[1], forward: axes[2], eye,
      halfX: record.width / (2 * fx), halfY: record.height / (2 * fy), pixel: 1 / fx };
  });
}

// -- drawing ------------------------------------------------------------------------------------------------------
const POINT_SHADER = `
attribute vec3 position; attribute vec3 color;
uniform mat4 view; uniform mat4 clip; uniform vec3 origin; uniform float pixels; uniform float footprint;
varying vec3 tint;
void main() {
  vec4 local = view * vec4(position, 1.0);
  gl_Position = clip * local;
  gl_PointSize = clamp(distance(position, origin) * footprint * pixels / max(-local.z, 1e-6), 1.5, 48.0);
  tint = color;
}`;
const POINT_COLOR = `
precision mediump float; varying vec3 tint;
void main() {
  vec2 off = gl_PointCoord - 0.5;
  if (dot(off, off) > 0.25) discard;
  gl_FragColor = vec4(tint, 1.0);
}`;
const LINE_SHADER = `
attribute vec3 position; attribute vec3 color; uniform mat4 view; uniform mat4 clip; varying vec3 tint;
void main() { gl_Position = clip * view * vec4(position, 1.0); tint = color; }`;
const LINE_COLOR = `precision mediump float; varying vec3 tint; void main() { gl_FragColor = vec4(tint, 1.0); }`;

function program(vertex, fragment) {
  const made = gl.createProgram();
  for (const [type, source] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
    const shader = gl.createShader(type);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw new Error(gl.getShaderInfoLog(shader));
    gl.attachShader(made, shader);
  }
  ["position", "color"].forEach((name, index) => gl.bindAttribLocation(made, index, name));
  gl.linkProgram(made);
  return made;
}

function buffer(data) {
  const made = gl.createBuffer();
  gl.bindBuffer(gl.ARRAY_BUFFER, made);
  gl.bufferData(gl.ARRAY_BUFFER, data, gl.STATIC_DRAW);
  return made;
}

function use(made, positions, colors, type) {
  gl.useProgram(made);
  gl.bindBuffer(gl.ARRAY_BUFFER, positions);
  gl.enableVertexAttribArray(0);
  gl.vertexAttribPointer(0, 3, gl.FLOAT, false, 0, 0);
  gl.bindBuffer(gl.ARRAY_BUFFER, colors);
  gl.enableVertexAttribArray(1);
  gl.vertexAttribPointer(1, 3, type, type === gl.UNSIGNED_BYTE, 0, 0);
}

function timeColor(t) { // violet over teal to yellow, as in every picture of camera paths
  const stops = [[0.35, 0.25, 0.62], [0.13, 0.57, 0.55], [0.99, 0.91, 0.15]];
  const at = Math.min(t, 0.9999) * 2;
  const [a, b, f] = [stops[Math.floor(at)], stops[Math.floor(at) + 1], at % 1];
  return a.map((value, k) => value + (b[k] - value) * f);
}

function frusta(cameras, depth) {
  const positions = [];
  const colors = [];
  const line = (a, b, color) => { positions.push(...a, ...b); colors.push(...color, ...color); };
  cameras.forEach((camera, index) => {
    const color = timeColor(cameras.length > 1 ? index / (cameras.length - 1) : 0);
    const corner = (x, y) => add(add(add(camera.eye, camera.forward, depth), camera.right, x * camera.halfX * depth),
      camera.down, y * camera.halfY * depth);
    const corners = [corner(-1, -1), corner(1, -1), corner(1, 1), corner(-1, 1)];
    corners.forEach((point, k) => { line(camera.eye, point, color); line(point, corners[(k + 1) % 4], color); });
    if (index) line(cameras[index - 1].eye, camera.eye, color);
  });
  return { count: positions.length / 3, positions: new Float32Array(positions), colors: new Float32Array(colors) };
}

function draw() {
  waiting = false;
  const width = Math.round(canvas.clientWidth * devicePixelRatio);
  const height = Math.round(canvas.clientHeight * devicePixelRatio);
  if (!scene || !width || !height) return;
  if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
  gl.viewport(0, 0, width, height);
  gl.clearColor(...BACKGROUND, 1);
  gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
  gl.enable(gl.DEPTH_TEST);
  const pose = flight ? flight.pose : orbitPose();
  const half = flight ? Math.max(flight.pose.halfY, (flight.pose.halfX * height) / width)
    : Math.tan(0.5) * Math.max(1, height / width);
  const matrices = { view: viewMatrix(pose), clip: projection(2 * Math.atan(half), width / height, scene.near, scene.far) };
  const pixels = height / (2 * half);
  use(programs.points, scene.points, scene.colors, gl.UNSIGNED_BYTE);
  const uniform = (made, name) => gl.getUniformLocation(made, name);
  gl.uniformMatrix4fv(uniform(programs.points, "view"), false, matrices.view);
  gl.uniformMatrix4fv(uniform(programs.points, "clip"), false, matrices.clip);
  gl.uniform3fv(uniform(programs.points, "origin"), scene.cameras[0].eye);
  gl.uniform1f(uniform(programs.points, "pixels"), pixels);
  gl.uniform1f(uniform(programs.points, "footprint"), scene.cameras[0].pixel * settings.size);
  gl.drawArrays(gl.POINTS, 0, scene.count);
  if (settings.cameras && !flight) {
    use(programs.lines, scene.linePositions, scene.lineColors, gl.FLOAT);
    gl.uniformMatrix4fv(uniform(programs.lines, "view"), false, matrices.view);
    gl.uniformMatrix4fv(uniform(programs.lines, "clip"), false, matrices.clip);
    gl.drawArrays(gl.LINES, 0, scene.lineCount);
  }
  canvas.dataset.drawn = String(Number(canvas.dataset.drawn || 0) + 1);
}

function redraw() {
  if (!waiting) { waiting = true; requestAnimationFrame(draw); }
}

// -- moving -------------------------------------------------------------------------------------------------------
function home() {
  const first = scene.cameras[0];
  const depth = scene.depth;
  view.target = add(first.eye, first.forward, depth);
  view.yaw = Math.atan2(first.forward[0], first.forward[2]);
  view.pitch = Math.asin(-Math.max(-1, Math.min(1, first.forward[1]))) - 0.1;
  view.distance = depth * (1 + HOME_STEP_BACK);
}

function pressed(name, on) {
  root.querySelector(`[data-do="${name}"]`).setAttribute("aria-pressed", String(on));
}

function stop() {
  flight = sway = null;
  pressed("fly", false);
  pressed("turn", false);
}

function mixed(a, b, f) {
  const mix = (p, q) => p.map((value, k) => value + (q[k] - value) * f);
  const unit = (v) => v.map((value) => value / length(v));
  return { ...a, right: unit(mix(a.right, b.right)), down: unit(mix(a.down, b.down)),
    forward: unit(mix(a.forward, b.forward)), eye: mix(a.eye, b.eye) };
}

function fly() {
  const began = performance.now();
  const seconds = Math.max(2.5, scene.cameras.length / 12);
  const mine = { pose: scene.cameras[0] };
  flight = mine;
  pressed("fly", true);
  const step = (now) => {
    if (flight !== mine || !canvas.isConnected) return;
    const progress = Math.min((now - began) / 1000 / seconds, 1) * (scene.cameras.length - 1);
    const index = Math.min(Math.floor(progress), Math.max(scene.cameras.length - 2, 0));
    mine.pose = mixed(scene.cameras[index], scene.cameras[Math.min(index + 1, scene.cameras.length - 1)], progress - index);
    draw();
    if ((now - began) / 1000 < seconds + 0.6) requestAnimationFrame(step);
    else { stop(); redraw(); }
  };
  requestAnimationFrame(step);
}

function swaying() {
  const mine = { began: performance.now(), yaw: view.yaw };
  sway = mine;
  pressed("turn", true);
  const step = (now) => {
    if (sway !== mine || !canvas.isConnected) return;
    view.yaw = mine.yaw + 0.35 * Math.sin((now - mine.began) / 1600);
    draw();
    requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
}

function turn(dx, dy) {
  view.yaw += dx;
  view.pitch = Math.max(-1.5, Math.min(1.5, view.pitch + dy));
}

function zoom(factor) {
  view.distance = Math.max(scene.depth * 0.02, Math.min(scene.depth * 20, view.distance * factor));
}

function pan(dx, dy) {
  const pose = orbitPose();
  const unit = (2 * Math.tan(0.5) * view.distance) / canvas.clientHeight;
  view.target = add(add(view.target, pose.right, -dx * unit), pose.down, -dy * unit);
}

const fingers = new Map();
canvas.addEventListener("contextmenu", (event) => event.preventDefault());
canvas.addEventListener("pointerdown", (event) => {
  if (!scene) return;
  stop();
  canvas.setPointerCapture(event.pointerId);
  fingers.set(event.pointerId, [event.clientX, event.clientY]);
});
canvas.addEventListener("pointermove", (event) => {
  const before = fingers.get(event.pointerId);
  if (!before) return;
  const [dx, dy] = [event.clientX - before[0], event.clientY - before[1]];
  if (fingers.size > 1) {
    const other = [...fingers].find(([id]) => id !== event.pointerId)[1];
    const span = (point) => Math.hypot(point[0] - other[0], point[1] - other[1]) || 1;
    zoom(span(before) / span([event.clientX, event.clientY]));
    pan(dx / 2, dy / 2);
  } else if (event.buttons & 2 || event.shiftKey) pan(dx, dy);
  else turn(-dx * 0.006, dy * 0.006);
  fingers.set(event.pointerId, [event.clientX, event.clientY]);
  redraw();
});
for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, (event) => fingers.delete(event.pointerId));
canvas.addEventListener("wheel", (event) => {
  if (!scene || document.activeElement !== canvas) return; // the page scrolls until the picture has been clicked
  event.preventDefault();
  zoom(Math.exp(event.deltaY * 0.001));
  redraw();
}, { passive: false });
const KEYS = {
  ArrowLeft: () => turn(-0.1, 0), ArrowRight: () => turn(0.1, 0), ArrowUp: () => turn(0, 0.1),
  ArrowDown: () => turn(0, -0.1), "+": () => zoom(0.88), "=": () => zoom(0.88), "-": () => zoom(1.14), Home: home,
};
canvas.addEventListener("keydown", (event) => {
  if (!scene || !KEYS[event.key] || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  stop();
  KEYS[event.key]();
  redraw();
});
const ACTIONS = {
  reset: () => { stop(); home(); },
  fly: () => { const on = flight; stop(); if (!on) fly(); },
  turn: () => { const on = sway; stop(); if (!on) swaying(); },
};
root.addEventListener("click", (event) => {
  const name = event.target.closest("[data-do]")?.dataset.do;
  if (!name || !scene) return;
  ACTIONS[name]();
  redraw();
});
root.addEventListener("input", (event) => {
  const name = event.target.dataset.set;
  if (!name) return;
  settings[name] = event.target.type === "checkbox" ? event.target.checked : Number(event.target.value);
  redraw();
});
new ResizeObserver(redraw).observe(canvas);

// -- loading ------------------------------------------------------------------------------------------------------
async function fetched(url) {
  const answer = await fetch(url, { credentials: "same-origin" });
  if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
  return answer;
}

async function load() {
  const wanted = props.value;
  stop();
  scene = null;
  if (!wanted) return say("empty", "");
  if (!gl) return say("failed", "This browser draws no 3D (WebGL is off). The downloads hold the point cloud.");
  say("loading", "Loading the points…");
  try {
    programs ??= { points: program(POINT_SHADER, POINT_COLOR), lines: program(LINE_SHADER, LINE_COLOR) };
    const [ply, cameras] = await Promise.all([
      fetched(wanted.points).then((answer) => answer.arrayBuffer()).then(readPly),
      fetched(wanted.cameras).then((answer) => answer.json()).then(readCameras),
    ]);
    if (props.value !== wanted && JSON.stringify(props.value) !== JSON.stringify(wanted)) return;
    const along = [];
    for (let i = 0; i < ply.count; i += Math.max(1, Math.floor(ply.count / 4000)))
      along.push(dot(cameras[0].forward, add([...ply.points.subarray(i * 3, i * 3 + 3)], cameras[0].eye, -1)));
    const depths = along.filter((depth) => depth > 0).sort((a, b) => a - b);
    const depth = depths[Math.floor(depths.length / 2)] || 1;
    const lines = frusta(cameras, depth * 0.08);
    scene = { count: ply.count, points: buffer(ply.points), colors: buffer(ply.colors), cameras, depth,
      linePositions: buffer(lines.positions), lineColors: buffer(lines.colors), lineCount: lines.count,
      near: depth * 0.01, far: depth * 200 };
    home();
    say("ready", ply.count ? `${ply.count.toLocaleString("en")} points` : "There are no points that can be trusted.");
    redraw();
  } catch (error) {
    say("failed", `The points could not be shown (${error.message}). The downloads hold them.`);
  }
}
watch("value", load);
load();
