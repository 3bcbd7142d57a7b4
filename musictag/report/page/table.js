// ---------------------------------------------------------------- lists: only the rows in sight exist

const ROW = 38;
const AHEAD = 8;
const table = { tab: "all", sort: { all: null, changes: null, doubts: null, troubles: null }, rows: [], active: 0, first: -1, last: -1 };

const soft = (text) => element("span", { class: "soft", text });
const list = (numbers) => (numbers.length ? named(wordsOf(numbers)) : soft("–"));
const text = (n) => (texts[n] ? named(texts[n]) : soft("–"));

function changed(track, field) {
  const change = track.changes.find(([which]) => which === field);
  if (!change) return soft(" ");
  return element("span", {}, change[1].length ? named(wordsOf(change[1])) : soft("–"), element("span", { class: "arrow", text: " → " }), named(wordsOf(change[2]), { class: "new" }));
}

const meter = (p) => element("span", { class: "meter", style: `--p: ${p.toFixed(3)}` }, element("i"), element("span", { text: percent(p) }));
const changedFields = packed.fields.map((_, field) => field).filter((field) => TRACKS.some((track) => track.changes.some(([which]) => which === field)));
const TITLE = { name: "Title", of: (t) => t.title, wide: 3 };
const ARTIST = { name: "Artist", of: (t) => texts[t.artist], cell: (t) => text(t.artist), wide: 2, least: 1 };
const FILE = { name: "File", of: pathOf, cell: (t) => named(pathOf(t), { class: "path" }), wide: 3, least: 3 };
const confidence = (t) => t.doubt[3] * (1 - t.doubt[1]);

const TABS = {
  all: {
    name: "All tracks", rows: () => TRACKS,
    about: "",
    columns: [TITLE, ARTIST,
      { name: "Album", of: (t) => texts[t.album], cell: (t) => text(t.album), wide: 2, least: 3 },
      { name: "Genre tag", of: (t) => wordsOf(t.tagged[0]), cell: (t) => list(t.tagged[0]), wide: 1.6, least: 2 },
      ...FIELD_NAMES.map((name, field) => ({ name: field ? name : "Genre heard", of: (t) => wordsOf(t.chosen[field]), cell: (t) => list(t.chosen[field]), wide: field ? 1.7 : 1.6, least: field ? 2 + (field > 1) : 0 })),
      { name: "Length", of: (t) => t.seconds, cell: (t) => element("span", { text: clock(t.seconds) }), wide: 1, right: true, least: 2 }],
  },
  changes: {
    name: "Would change", rows: () => TRACKS.filter((track) => track.changes.length),
    about: "What “musictag scan --write” would write with your settings, as the files are remembered.",
    none: "Nothing: all files have what your settings ask for.",
    columns: [TITLE, ARTIST,
      ...changedFields.map((field) => ({ name: nameOfField(field), of: (t) => wordsOf(t.changes.find(([which]) => which === field)?.[2] ?? []), cell: (t) => changed(t, field), wide: 2.4, least: field ? 1 : 0 })),
      FILE],
  },
  doubts: {
    name: "Tag and ear disagree", rows: () => TRACKS.filter((track) => track.doubt),
    about: "Tracks whose genre in the file does not fit what is heard, the surest first. The shares say how many listeners would agree, as far as the model can tell.",
    none: "Your genres and what is heard agree wherever the model is sure.",
    columns: [TITLE, ARTIST,
      { name: "Your tag", of: (t) => wordsOf(t.doubt[0]), cell: (t) => list(t.doubt[0]), wide: 1.6 },
      { name: "Tag fits", of: (t) => t.doubt[1], cell: (t) => meter(t.doubt[1]), wide: 1.4, least: 2 },
      { name: "Our ear", of: (t) => VALUES[t.doubt[2]].word, cell: (t) => named(VALUES[t.doubt[2]].word, { class: "new" }), wide: 1.6 },
      { name: "Ear fits", of: (t) => t.doubt[3], cell: (t) => meter(t.doubt[3]), wide: 1.4, least: 2 },
      { name: "Confidence", of: confidence, cell: (t) => meter(confidence(t)), wide: 1.4, down: true, least: 1 },
      FILE],
    sorted: [6, -1],
  },
  troubles: {
    name: "Problems", rows: () => TROUBLES,
    about: "Files that are not among the tracks, or that cannot be tagged, and why.",
    none: "None.",
    columns: [
      { name: "File", of: (t) => t.name, cell: (t) => named(t.name || pathOf(t)), wide: 2 },
      { name: "Folder", of: folderOf, cell: (t) => named(folderOf(t), { class: "path" }), wide: 2.4, least: 2 },
      { name: "Why", of: (t) => t.message, cell: (t) => named(t.message), wide: 4 }],
  },
};
const tabNames = Object.keys(TABS);
for (const tab of Object.values(TABS)) tab.all = tab.rows();

const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });
const ranks = new Map();

// The place of every row in the order of a column, so that a column is compared once.
function ranksOf(tab, column) {
  const name = tab.name + column.name;
  if (!ranks.has(name)) {
    const values = tab.all.map(column.of);
    const order = values.map((_, n) => n);
    if (typeof values[0] === "number") order.sort((one, other) => values[one] - values[other] || one - other);
    else {
      const distinct = [...new Set(values)].sort(collator.compare);
      const place = new Map(distinct.map((value, n) => [value, value === "" ? Infinity : n]));  // empty ones last
      order.sort((one, other) => place.get(values[one]) - place.get(values[other]) || one - other || 0);
    }
    const rank = new Map();
    order.forEach((which, n) => rank.set(tab.all[which].id, values[which] === "" ? Infinity : n));
    ranks.set(name, rank);
  }
  return ranks.get(name);
}

function sortedRows(name) {
  const tab = TABS[name];
  let rows = tab.all;
  if (name === "troubles") {
    const needles = plain(choice.text).split(/\s+/).filter(Boolean);
    if (needles.length) rows = rows.filter((row) => { const hay = plain(pathOf(row) + "\n" + row.message); return needles.every((needle) => hay.includes(needle)); });
  } else if (nVisible < N) rows = rows.filter((row) => visible[row.id]);
  const sort = table.sort[name] ?? tab.sorted ?? null;
  if (sort) {
    const rank = ranksOf(tab, tab.columns[sort[0]]);
    rows = [...rows].sort((one, other) => {
      const a = rank.get(one.id), b = rank.get(other.id);
      if (a === b) return one.id - other.id;
      if (a === Infinity || b === Infinity) return a === Infinity ? 1 : -1;
      return (a - b) * sort[1];
    });
  }
  return rows;
}

const inOrder = () => sortedRows("all");

function drawTabs() {
  const focused = document.activeElement?.getAttribute("role") === "tab";
  document.querySelector(".tabs").replaceChildren(...tabNames.map((name) => {
    const n = name === "troubles" ? TABS[name].all.length : TABS[name].all.filter((row) => visible[row.id]).length;
    return element("button", { type: "button", role: "tab", id: `tab-${name}`, "aria-selected": String(name === table.tab), "aria-controls": "panel",
      tabindex: name === table.tab ? "0" : "-1", onclick: () => openTab(name) },
    element("span", { text: TABS[name].name }), element("span", { class: "n", text: number(n) }));
  }));
  if (focused) $(`tab-${table.tab}`).focus();
}

function openTab(name) {
  table.tab = name;
  table.active = 0;
  $("scroller").scrollTop = 0;
  drawTable();
  say(`${TABS[name].name}: ${counted(table.rows.length, "row")}`);
}

function drawTable() {
  const tab = TABS[table.tab];
  drawTabs();
  $("panel").setAttribute("aria-labelledby", `tab-${table.tab}`);
  table.rows = sortedRows(table.tab);
  table.active = Math.min(table.active, Math.max(0, table.rows.length - 1));
  const empty = tab.all.length ? "Nothing fits what you have narrowed the list down to." : tab.none ?? "";
  $("about").textContent = table.rows.length ? tab.about : empty;
  $("scroller").hidden = !table.rows.length;
  const sort = table.sort[table.tab] ?? tab.sorted ?? [null, 1];
  const whole = tab.columns.reduce((sum, column) => sum + column.wide, 0);
  const headings = tab.columns.map((column, n) => element("th", { scope: "col", class: classOf(column), style: `width: ${(100 * column.wide / whole).toFixed(2)}%`,
    "aria-sort": sort[0] === n ? (sort[1] > 0 ? "ascending" : "descending") : "none" },
  element("button", { type: "button", "data-column": n, onclick: () => sortBy(n) }, element("span", { text: column.name }), element("i", { "aria-hidden": "true" }))));
  const held = document.activeElement?.dataset?.column;
  const box = $("table");
  box.tHead.replaceChildren(element("tr", { "aria-rowindex": "1" }, ...headings));
  box.setAttribute("aria-rowcount", String(table.rows.length + 1));
  box.setAttribute("aria-label", tab.name);
  if (held !== undefined) box.tHead.querySelector(`[data-column="${held}"]`)?.focus();
  $("scroller").style.height = `min(${ROW * (table.rows.length + 1) + 2}px, 72vh)`;
  table.first = table.last = -1;
  drawRows();
}

const classOf = (column) => [column.right ? "right" : "", column.least ? `least-${column.least}` : ""].filter(Boolean).join(" ") || null;

function sortBy(n) {
  const tab = TABS[table.tab];
  const [column, way] = table.sort[table.tab] ?? tab.sorted ?? [null, 1];
  const first = typeof tab.columns[n].of(tab.all[0]) === "number" && tab.columns[n].down ? -1 : 1;
  table.sort[table.tab] = column === n ? [n, -way] : [n, first];
  $("scroller").scrollTop = 0;
  table.active = 0;
  drawTable();
  say(`Sorted by ${tab.columns[n].name}, ${table.sort[table.tab][1] > 0 ? "ascending" : "descending"}`);
}

function drawRows() {
  const scroller = $("scroller");
  if (scroller.hidden) return;
  const n = table.rows.length;
  const first = Math.max(0, Math.floor(scroller.scrollTop / ROW) - AHEAD);
  const last = Math.min(n, Math.ceil((scroller.scrollTop + scroller.clientHeight) / ROW) + AHEAD);
  if (first === table.first && last === table.last) return;
  table.first = first;
  table.last = last;
  const tab = TABS[table.tab];
  const body = $("table").tBodies[0];
  const had = body.contains(document.activeElement);
  const space = (rows) => (rows ? [element("tr", { class: "space", "aria-hidden": "true" }, element("td", { style: `height: ${rows * ROW}px` }))] : []);
  body.replaceChildren(...space(first), ...table.rows.slice(first, last).map((row, n) => rowOf(tab, row, first + n)), ...space(n - last));
  if (had) body.querySelector(`[data-row="${table.active}"]`)?.focus({ preventScroll: true });
}

function rowOf(tab, row, n) {
  const isTrack = tab !== TABS.troubles;
  const cells = tab.columns.map((column, which) => {
    if (which || !isTrack) {
      const cell = element(which ? "td" : "th", { class: classOf(column), scope: which ? null : "row" }, column.cell(row));
      cell.title = cell.textContent;
      if (!which) { cell.tabIndex = n === table.active ? 0 : -1; cell.dataset.row = n; }
      return cell;
    }
    return element("th", { scope: "row" }, element("button", { type: "button", class: "open", "data-row": n, tabindex: n === table.active ? "0" : "-1", title: shown(row.title), onclick: () => { table.active = n; show(row.id, { play: true }); } },
      element("i", { style: `--dot: var(--genre-${nameOfColour(row.id)})`, "aria-hidden": "true" }), named(row.title)));
  });
  return element("tr", { "aria-rowindex": String(n + 2), class: isTrack && row.id === choice.current ? "current" : null, "data-id": isTrack ? row.id : null }, ...cells);
}

const nameOfColour = (id) => (key.of[id] === OTHERS ? "other" : key.of[id] === NONE ? "none" : key.of[id]);

function markCurrent() {
  for (const row of $("table").tBodies[0].querySelectorAll("tr[data-id]")) row.classList.toggle("current", Number(row.dataset.id) === choice.current);
}

function goTo(n) {
  const scroller = $("scroller");
  table.active = Math.max(0, Math.min(table.rows.length - 1, n));
  const top = table.active * ROW, sight = scroller.clientHeight - ROW;
  if (top < scroller.scrollTop) scroller.scrollTop = top;
  else if (top + ROW > scroller.scrollTop + sight) scroller.scrollTop = top + ROW - sight;
  table.first = -1;
  drawRows();
  const row = $("table").tBodies[0].querySelector(`[data-row="${table.active}"]`);
  row?.focus({ preventScroll: true });
}

function setUpTable() {
  const scroller = $("scroller");
  let due = false;
  scroller.addEventListener("scroll", () => {
    if (due) return;
    due = true;
    requestAnimationFrame(() => { due = false; drawRows(); });
  }, { passive: true });
  new ResizeObserver(() => { table.first = -1; drawRows(); }).observe(scroller);
  $("table").tBodies[0].addEventListener("keydown", (event) => {
    const page = Math.max(1, Math.floor(scroller.clientHeight / ROW) - 2);
    const to = { ArrowDown: table.active + 1, ArrowUp: table.active - 1, PageDown: table.active + page, PageUp: table.active - page, Home: 0, End: table.rows.length - 1 }[event.key];
    if (to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    goTo(to);
  });
  $("table").tBodies[0].addEventListener("focusin", (event) => {
    if (event.target.dataset.row !== undefined) table.active = Number(event.target.dataset.row);
  });
  document.querySelector(".tabs").addEventListener("keydown", (event) => {
    const now = tabNames.indexOf(table.tab);
    const to = { ArrowRight: now + 1, ArrowLeft: now - 1, Home: 0, End: tabNames.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    openTab(tabNames[(to + tabNames.length) % tabNames.length]);
    $(`tab-${table.tab}`).focus();
  });
}
