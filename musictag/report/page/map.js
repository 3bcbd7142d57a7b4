// ---------------------------------------------------------------- the key: genres and their colours

const key = { of: new Uint8Array(N), names: [], counts: [], by: "heard" };

function sortGenres() {
  const genreOf = firstGenre[key.by];
  const found = TRACKS.map(genreOf);
  const counts = new Map();
  for (const genre of found) if (genre) counts.set(genre, (counts.get(genre) || 0) + 1);
  const common = [...counts].sort((one, other) => other[1] - one[1]).map(([genre]) => genre);
  const own = common.slice(0, N_COLOURS);
  const place = new Map(own.map((genre, n) => [genre, n]));
  key.names = [];
  own.forEach((genre, n) => { key.names[n] = genre; });
  key.names[OTHERS] = "Other genres";
  key.names[NONE] = key.by === "file" ? "No genre" : "Not sure";
  key.counts = new Array(N_COLOURS + 2).fill(0);
  found.forEach((genre, id) => {
    key.of[id] = genre ? (place.get(genre) ?? OTHERS) : NONE;
    key.counts[key.of[id]]++;
  });
}

const genreColours = () => [
  ...Array.from({ length: N_COLOURS }, (_, n) => colour(`--genre-${n}`)), colour("--genre-other"), colour("--genre-none"),
];

function drawKey() {
  const entries = key.counts.map((n, entry) => [n, entry]).filter(([n]) => n);
  $("key").replaceChildren(...entries.map(([n, entry]) => element("li", {}, element("button", {
    type: "button", "aria-pressed": String(choice.genres.has(entry)),
    onclick: () => { toggle(choice.genres, entry); $("key").querySelector(`[data-entry="${entry}"]`).focus(); },
    "data-entry": entry,
  }, element("i", { style: `--dot: var(--genre-${entry === OTHERS ? "other" : entry === NONE ? "none" : entry})`, "aria-hidden": "true" }),
  named(key.names[entry]), element("span", { class: "n", text: number(n) })))));
}

// ---------------------------------------------------------------- the map

const canvas = $("map");
const paper = canvas.getContext("2d");
const axes = { x: { from: null, to: null }, y: { from: null, to: null } };
const places = { x: new Float32Array(N), y: new Float32Array(N) };  // 0 to 1, as a rule
const even = { x: null, y: null };                                  // where both words are as likely
const view = { scale: 1, x: 0, y: 0 };                              // screen = margin + (place * scale + offset) * size
const map = { width: 0, height: 0, margin: 34, lassoing: false, line: null, cursor: null, hover: null, due: false };

// A number from 0 to 1 that is always the same for a track: it spreads what the data's steps would put on a line.
const spread = (id) => ((Math.imul(id + 1, 2654435761) >>> 0) / 4294967296);

function placeOn(axis) {
  const { from, to } = axes[axis];
  const target = places[axis];
  if (to === null) { target.fill(0.5); even[axis] = null; return; }
  const salt = axis === "x" ? 0 : 977_777;
  for (let id = 0; id < N; id++) {
    target[id] = odds(id, to) - (from === null ? 0 : odds(id, from)) + (spread(id + salt) - 0.5) / 20;
  }
  const sorted = Float32Array.from(target).sort();
  let low = sorted[Math.floor(0.002 * (N - 1))] ?? 0, high = sorted[Math.ceil(0.998 * (N - 1))] ?? 1;
  if (high - low < 1) { const middle = (low + high) / 2; low = middle - 0.5; high = middle + 0.5; }
  for (let id = 0; id < N; id++) target[id] = edged((target[id] - low) / (high - low));
  const zero = -low / (high - low);
  even[axis] = zero > 0.02 && zero < 0.98 ? zero : null;
}

// What lies beyond the edges is drawn close to them.
const edged = (place) => (place < 0 ? -0.03 * Math.tanh(-place * 5) : place > 1 ? 1 + 0.03 * Math.tanh((place - 1) * 5) : place);

const inner = () => ({ width: Math.max(1, map.width - 2 * map.margin), height: Math.max(1, map.height - 2 * map.margin) });
const screenX = (place) => map.margin + (place * view.scale + view.x) * inner().width;
const screenY = (place) => map.height - map.margin - (place * view.scale + view.y) * inner().height;

function redraw() {
  if (map.due) return;
  map.due = true;
  requestAnimationFrame(() => { map.due = false; drawMap(); });
}

const sprites = new Map();
function sprite(fill, edge, radius, ratio) {
  const name = fill + edge + radius + ratio;
  if (!sprites.has(name)) {
    const size = Math.ceil((radius + 1.5) * 2 * ratio);
    const made = document.createElement("canvas");
    made.width = made.height = size;
    const pen = made.getContext("2d");
    pen.beginPath();
    pen.arc(size / 2, size / 2, radius * ratio, 0, 7);
    pen.fillStyle = fill;
    pen.fill();
    if (edge) { pen.strokeStyle = edge; pen.lineWidth = 0.9 * ratio; pen.stroke(); }
    sprites.set(name, made);
  }
  return sprites.get(name);
}

function radiusOf() {
  const base = N > 8000 ? 2.2 : N > 2500 ? 3 : N > 600 ? 4 : 5.2;
  return Math.min(7, base * Math.sqrt(Math.sqrt(view.scale)));
}

function drawMap() {
  const ratio = Math.min(2, devicePixelRatio || 1);
  const { width, height } = map;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  paper.setTransform(ratio, 0, 0, ratio, 0, 0);
  paper.clearRect(0, 0, width, height);
  drawEven();
  const colours = genreColours();
  const radius = Math.round(radiusOf() * 4) / 4;
  const edge = N > 8000 && view.scale < 3 ? "" : colour("--paper");
  const dim = sprite(colour("--dim"), "", Math.max(1.2, radius * 0.7), ratio);
  const dots = colours.map((fill) => sprite(fill, edge, radius, ratio));
  const { width: w, height: h } = inner();
  const put = (image, id) => {
    const x = map.margin + (places.x[id] * view.scale + view.x) * w, y = height - map.margin - (places.y[id] * view.scale + view.y) * h;
    if (x < -9 || y < -9 || x > width + 9 || y > height + 9) return;
    const size = image.width / ratio;
    paper.drawImage(image, x - size / 2, y - size / 2, size, size);
  };
  if (nVisible < N) for (let id = 0; id < N; id++) if (!visible[id]) put(dim, id);
  paper.globalAlpha = N > 8000 && view.scale < 3 ? 0.72 : 0.9;
  for (let id = 0; id < N; id++) if (visible[id] && key.of[id] === NONE) put(dots[NONE], id);
  for (let id = 0; id < N; id++) if (visible[id] && key.of[id] !== NONE) put(dots[key.of[id]], id);
  paper.globalAlpha = 1;
  drawWords();
  drawLasso();
  for (const [id, strong] of [[map.hover, false], [choice.current, true], [map.cursor, document.activeElement === canvas]]) ring(id, strong, radius);
}

function drawEven() {
  paper.strokeStyle = colour("--line");
  paper.lineWidth = 1;
  paper.setLineDash([3, 4]);
  paper.beginPath();
  if (even.x !== null) { const x = Math.round(screenX(even.x)) + 0.5; paper.moveTo(x, 0); paper.lineTo(x, map.height); }
  if (even.y !== null) { const y = Math.round(screenY(even.y)) + 0.5; paper.moveTo(0, y); paper.lineTo(map.width, y); }
  paper.stroke();
  paper.setLineDash([]);
}

const ends = (axis) => {
  const { from, to } = axes[axis];
  if (to === null) return ["", ""];
  return [from === null ? "less " + VALUES[to].word : VALUES[from].word, VALUES[to].word];
};

function drawWords() {
  paper.font = "600 12px " + colour("--font");
  paper.fillStyle = colour("--soft");
  paper.textBaseline = "middle";
  const [left, right] = ends("x"), [low, high] = ends("y");
  const label = (text, x, y, align) => {
    if (!text) return;
    const wide = paper.measureText(text).width + 12;
    const start = align === "left" ? x - 6 : align === "right" ? x - wide + 6 : x - wide / 2;
    paper.fillStyle = colour("--veil");
    paper.beginPath();
    paper.roundRect(start, y - 10, wide, 20, 10);
    paper.fill();
    paper.fillStyle = colour("--soft");
    paper.textAlign = align;
    paper.fillText(text, x, y);
  };
  const middle = map.width / 2;
  label("← " + shown(left), 14, map.height - 16, "left");
  label(shown(right) + " →", map.width - 14, map.height - 16, "right");
  if (map.width < 500) label("↑ " + shown(high), 14, 18, "left");  // beside the buttons
  else label("↑ " + shown(high), middle, 16, "center");
  label("↓ " + shown(low), middle, map.height - 16, "center");
}

function drawLasso() {
  if (!map.line || map.line.length < 2) return;
  paper.beginPath();
  map.line.forEach(([x, y], n) => (n ? paper.lineTo(x, y) : paper.moveTo(x, y)));
  paper.closePath();
  paper.fillStyle = colour("--lasso");
  paper.fill();
  paper.strokeStyle = colour("--accent");
  paper.lineWidth = 1.5;
  paper.stroke();
}

function ring(id, strong, radius) {
  if (id === null) return;
  const x = screenX(places.x[id]), y = screenY(places.y[id]);
  const fill = genreColours()[key.of[id]];
  paper.beginPath();
  paper.arc(x, y, radius + 2.5, 0, 7);
  paper.fillStyle = fill;
  paper.fill();
  paper.strokeStyle = colour("--paper");
  paper.lineWidth = 2;
  paper.stroke();
  paper.beginPath();
  paper.arc(x, y, radius + 4.5, 0, 7);
  paper.strokeStyle = colour(strong ? "--ink" : "--soft");
  paper.lineWidth = strong ? 2 : 1.25;
  paper.stroke();
}

// ---------------------------------------------------------------- moving about in it

function nearest(x, y, within) {
  let best = null, least = within * within;
  for (let id = 0; id < N; id++) {
    if (!reachable[id]) continue;
    const dx = screenX(places.x[id]) - x, dy = screenY(places.y[id]) - y;
    const far = dx * dx + dy * dy;
    if (far < least) { least = far; best = id; }
  }
  return best;
}

function zoom(factor, x = map.width / 2, y = map.height / 2) {
  const { width, height } = inner();
  const scale = Math.min(60, Math.max(1, view.scale * factor));
  const real = scale / view.scale;
  const px = (x - map.margin) / width, py = (map.height - map.margin - y) / height;
  view.x = px - (px - view.x) * real;
  view.y = py - (py - view.y) * real;
  view.scale = scale;
  keepInside();
  redraw();
}

function keepInside() {
  const least = 1 - view.scale;
  view.x = Math.min(0, Math.max(least, view.x));
  view.y = Math.min(0, Math.max(least, view.y));
}

function showWhole() { view.scale = 1; view.x = view.y = 0; redraw(); }

function bringIntoView(id) {
  const x = screenX(places.x[id]), y = screenY(places.y[id]), { width, height } = inner();
  if (x > 20 && y > 20 && x < map.width - 20 && y < map.height - 20) return;
  view.x += (map.width / 2 - x) / width;
  view.y -= (map.height / 2 - y) / height;
  keepInside();
}

function lassoEnds() {
  const line = map.line;
  map.line = null;
  redraw();
  if (!line || line.length < 3) return;
  const inside = new Set();
  for (let id = 0; id < N; id++) {
    if (reachable[id] && isInside(line, screenX(places.x[id]), screenY(places.y[id]))) inside.add(id);
  }
  if (!inside.size) { say("No track in there"); return; }
  choice.selected = inside;
  chosen();
  say(`${counted(inside.size, "track")} selected`);
}

function isInside(line, x, y) {
  let inside = false;
  for (let i = 0, j = line.length - 1; i < line.length; j = i++) {
    const [xi, yi] = line[i], [xj, yj] = line[j];
    if (yi > y !== yj > y && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) inside = !inside;
  }
  return inside;
}

function hover(id, x, y) {
  if (map.hover !== id) { map.hover = id; redraw(); }
  const tip = $("tip");
  tip.hidden = id === null;
  canvas.style.cursor = map.lassoing ? "crosshair" : id === null ? "grab" : "pointer";
  if (id === null) return;
  const track = TRACKS[id];
  tip.replaceChildren(named(track.title, { class: "strong" }), named(texts[track.artist] || shortFolder(track)), element("span", { text: describe(id) }));
  const left = x + tip.offsetWidth + 24 > map.width ? x - tip.offsetWidth - 14 : x + 14;
  tip.style.transform = `translate(${Math.max(4, left)}px, ${Math.min(map.height - tip.offsetHeight - 4, Math.max(4, y - 12))}px)`;
}

const shortFolder = (thing) => folderOf(thing).split(separator).slice(-2).join(" / ");

function describe(id) {
  const track = TRACKS[id];
  const parts = [wordsOf(track.chosen[GENRE]) || "no genre it is sure of"];
  for (const axis of ["x", "y"]) for (const end of ["from", "to"]) {
    const value = axes[axis][end];
    if (value !== null) parts.push(`${VALUES[value].word} ${percent(probability(id, value))}`);
  }
  return parts.join(" · ");
}

function moveCursor(dx, dy) {
  const from = map.cursor ?? choice.current ?? nearest(map.width / 2, map.height / 2, Infinity);
  if (from === null) return;
  let best = null, least = Infinity;
  if (map.cursor === null) best = from;
  else {
    const x0 = screenX(places.x[from]), y0 = screenY(places.y[from]);
    for (let id = 0; id < N; id++) {
      if (!reachable[id] || id === from) continue;
      const x = screenX(places.x[id]) - x0, y = screenY(places.y[id]) - y0;
      const ahead = x * dx + y * dy, aside = Math.abs(x * dy) + Math.abs(y * dx);
      if (ahead <= 0.5) continue;
      const far = ahead + 2.5 * aside;
      if (far < least) { least = far; best = id; }
    }
  }
  if (best === null) { say("No track further that way"); return; }
  map.cursor = best;
  bringIntoView(best);
  const track = TRACKS[best];
  hover(best, screenX(places.x[best]), screenY(places.y[best]));
  say(`${shown(track.title)}${texts[track.artist] ? ", " + shown(texts[track.artist]) : ""}: ${describe(best)}`);
}

function setUpMap() {
  const pointers = new Map();
  let moved = 0, pinch = null;
  const at = (event) => { const box = canvas.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    canvas.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, at(event));
    moved = 0;
    if (pointers.size === 2) { pinch = pinchOf(pointers); map.line = null; }
    else if (map.lassoing || event.shiftKey) map.line = [at(event)];
  });
  canvas.addEventListener("pointermove", (event) => {
    const [x, y] = at(event), before = pointers.get(event.pointerId);
    if (!before) { hover(nearest(x, y, 14), x, y); return; }
    pointers.set(event.pointerId, [x, y]);
    moved += Math.abs(x - before[0]) + Math.abs(y - before[1]);
    if (pinch && pointers.size === 2) {
      const now = pinchOf(pointers);
      zoom(now.far / pinch.far, now.x, now.y);
      pinch = now;
    } else if (map.line) { map.line.push([x, y]); redraw(); }
    else if (moved > 3) {
      const { width, height } = inner();
      view.x += (x - before[0]) / width;
      view.y -= (y - before[1]) / height;
      keepInside();
      hover(null);
      canvas.style.cursor = "grabbing";
      redraw();
    }
  });
  const up = (event) => {
    if (!pointers.delete(event.pointerId)) return;
    if (pinch) { if (!pointers.size) pinch = null; return; }
    if (map.line && moved > 12) { lassoEnds(); return; }
    map.line = null;
    const [x, y] = at(event);
    const id = event.type === "pointerup" && moved <= 6 ? nearest(x, y, event.pointerType === "touch" ? 26 : 14) : null;
    if (id !== null) {
      map.cursor = id;
      if (event.shiftKey || map.lassoing) toggleSelected(id);
      else show(id, { play: true });
    }
    redraw();
  };
  canvas.addEventListener("pointerup", up);
  canvas.addEventListener("pointercancel", up);
  canvas.addEventListener("pointerleave", () => hover(null));
  canvas.addEventListener("dblclick", (event) => zoom(2, ...at(event)));
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    const pixels = event.deltaY * [1, 16, 400][event.deltaMode];
    zoom(Math.exp(-Math.max(-240, Math.min(240, pixels)) / 320), ...at(event));
  }, { passive: false });
  canvas.addEventListener("focus", redraw);
  canvas.addEventListener("blur", () => { hover(null); redraw(); });
  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const act = {
      ArrowLeft: () => moveCursor(-1, 0), ArrowRight: () => moveCursor(1, 0),
      ArrowUp: () => moveCursor(0, -1), ArrowDown: () => moveCursor(0, 1),
      Enter: () => map.cursor !== null && show(map.cursor, { play: true }),
      " ": () => map.cursor !== null && toggleSelected(map.cursor),
      "+": () => zoom(1.5), "=": () => zoom(1.5), "-": () => zoom(1 / 1.5), 0: showWhole,
      Escape: () => { map.line = null; map.cursor = null; hover(null); redraw(); },
    }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
  $("lasso").addEventListener("click", () => setLassoing(!map.lassoing));
  $("closer").addEventListener("click", () => zoom(1.6));
  $("farther").addEventListener("click", () => zoom(1 / 1.6));
  $("whole").addEventListener("click", showWhole);
  new ResizeObserver(([entry]) => {
    map.width = entry.contentRect.width;
    map.height = entry.contentRect.height;
    map.margin = map.width < 500 ? 26 : 38;
    redraw();
  }).observe($("stage"));
}

function pinchOf(pointers) {
  const [[x1, y1], [x2, y2]] = [...pointers.values()];
  return { far: Math.max(8, Math.hypot(x1 - x2, y1 - y2)), x: (x1 + x2) / 2, y: (y1 + y2) / 2 };
}

function setLassoing(on) {
  map.lassoing = on;
  $("lasso").setAttribute("aria-pressed", String(on));
  canvas.style.cursor = on ? "crosshair" : "grab";
}

function toggleSelected(id) {
  const selected = choice.selected ?? new Set();
  if (!selected.delete(id)) selected.add(id);
  choice.selected = selected.size ? selected : null;
  chosen();
  say(`${shown(TRACKS[id].title)} ${selected.has(id) ? "selected" : "no longer selected"}; ${counted(selected.size, "track")} selected`);
}

function setUpAxes() {
  const options = (empty) => {
    const made = FIELD_NAMES.map((name, field) => {
      const some = VALUES.map((value, n) => [value, n]).filter(([value]) => value.field === field);
      some.sort(([one], [other]) => one.word.localeCompare(other.word));
      return some.length ? element("optgroup", { label: name }, ...some.map(([value, n]) => element("option", { value: n, text: shown(value.word) }))) : null;
    });
    return [...(empty ? [element("option", { value: "", text: "less of it" })] : []), ...made.filter(Boolean)];
  };
  [["x", packed.axes[0]], ["y", packed.axes[1]]].forEach(([axis, [from, to] = [null, null]]) => {
    axes[axis] = { from, to };
    for (const end of ["from", "to"]) {
      const select = $(`${axis}-${end}`);
      select.replaceChildren(...options(end === "from"));
      select.value = axes[axis][end] ?? "";
      select.disabled = !N_VALUES;
      select.addEventListener("change", () => {
        axes[axis][end] = select.value === "" ? null : Number(select.value);
        placeOn(axis);
        showWhole();
        say(`Map from ${ends("x").join(" to ")} across, and from ${ends("y").join(" to ")} up`);
      });
    }
    placeOn(axis);
  });
  $("colour").addEventListener("change", () => {
    key.by = $("colour").value;
    choice.genres.clear();
    sortGenres();
    chosen();
  });
}
