// ---------------------------------------------------------------- one track

const player = element("audio", { controls: true, preload: "none", "aria-label": "Player" });
const BARS = [5, 6, 6, 4];

const WHY = {
  opposite: (other) => `opposite of ${other}`,
  family: (other) => `said by ${other}`,
  member: (other) => `${other} is written for it`,
  dropped: () => "dropped by your settings",
  unlisted: (other) => (other ? `not on your list: ${other}` : "not on your list"),
  over: () => "one too many",
};

function show(id, { play = false, focus = false } = {}) {
  const track = TRACKS[id];
  choice.current = id;
  const place = $("track");
  const about = element("div", { class: "about" },
    element("p", { class: "by" }, texts[track.artist] ? named(texts[track.artist]) : element("span", { class: "soft", text: "Artist unknown" }),
      texts[track.album] ? element("span", { class: "soft", text: " · " }) : null, texts[track.album] ? named(texts[track.album]) : null),
    element("p", { class: "where" }, named(pathOf(track))));
  const note = element("p", { class: "help", role: "status", hidden: true });
  place.replaceChildren(
    element("h2", { id: "track-title", tabindex: "-1" }, named(track.title)),
    about, player, note,
    element("div", { class: "does" },
      element("button", { type: "button", text: "Copy path", onclick: () => copy(track) }),
      element("button", { type: "button", text: choice.selected?.has(id) ? "Unselect" : "Select", onclick: (event) => {
        toggleSelected(id);
        event.target.textContent = choice.selected?.has(id) ? "Unselect" : "Select";
      } })),
    ...FIELD_NAMES.map((name, field) => bars(track, field, name)),
    fieldsOf(track));
  listenTo(track, note, play);
  map.cursor = id;
  bringIntoView(id);
  redraw();
  markCurrent();
  if (focus) $("track-title").focus();
  if (innerWidth < 900) place.scrollIntoView({ behavior: calm.matches ? "auto" : "smooth", block: "start" });
  say(`${shown(track.title)}: ${describe(id)}`);
}

function listenTo(track, note, play) {
  const address = addressOf(track);
  const wrong = () => {
    note.textContent = location.protocol === "file:"
      ? "This browser cannot play the file: it has moved, or it is of a kind that browsers do not play."
      : "Browsers play files from the disk only in a page that is opened from the disk.";
    note.hidden = false;
  };
  player.onerror = wrong;
  if (player.src !== address) player.src = address;
  if (play) player.play().catch((error) => { if (error.name === "NotSupportedError") wrong(); });
}

async function copy(track) {
  try {
    await navigator.clipboard.writeText(pathOf(track));
    say("Path copied");
  } catch {
    getSelection().selectAllChildren($("track").querySelector(".where"));
    say("The path is marked; press Ctrl and C");
  }
}

function bars(track, field, name) {
  const words = new Set(track.chosen[field].map((n) => texts[n]));
  const why = new Map(track.why.map(([value, reason, other]) => [value, WHY[reason](other < 0 ? "" : VALUES[other].word)]));
  const found = [];
  for (let v = 0; v < N_VALUES; v++) {
    const value = VALUES[v];
    if (value.field === field) found.push({ v, value, p: probability(track.id, v), taken: words.has(value.word) && !why.has(v) && value.threshold !== null });
  }
  if (!found.length) return null;
  const order = (one) => (one.taken ? 2 : why.has(one.v) ? 1 : 0);
  found.sort((one, other) => order(other) - order(one) || other.p - one.p);
  const rows = found.slice(0, Math.max(BARS[field], words.size)).sort((one, other) => other.p - one.p);
  return element("div", { class: "bars" }, element("h3", { text: name }), element("ul", {}, ...rows.map(({ v, value, p, taken }) => {
    const reason = why.get(v) ?? (value.threshold === null ? "never written" : null);
    const state = taken ? "chosen" : reason ?? (p < value.threshold ? `${percent(value.threshold)} needed` : "not chosen");
    return element("li", { class: taken ? "taken" : null, title: state },
      named(value.word),
      element("span", { class: "track", style: `--p: ${p.toFixed(3)}; --t: ${value.threshold ?? -1}`, "aria-hidden": "true" }, element("i"), value.threshold === null ? null : element("b")),
      element("span", { class: "p", text: percent(p) }),
      element("span", { class: reason && !taken ? "why" : "hidden", text: state }));
  })));
}

function fieldsOf(track) {
  const news = new Map(track.changes.map(([field, , values]) => [field, values]));
  const olds = new Map(track.changes.map(([field, values]) => [field, values]));
  const rows = packed.fields.flatMap((_, field) => {
    const name = nameOfField(field), old = track.tagged[field] ?? olds.get(field) ?? [], next = news.get(field);
    if (!old.length && !next) return [];
    return [element("dt", { text: name }), element("dd", {}, old.length ? named(wordsOf(old)) : element("span", { class: "soft", text: "empty" }),
      next ? element("span", { class: "arrow", "aria-label": "would become", role: "img", text: " → " }) : null, next ? named(wordsOf(next), { class: "new" }) : null)];
  });
  return element("div", { class: "fields" }, element("h3", { text: "In the file" }),
    rows.length ? element("dl", {}, ...rows) : element("p", { class: "soft", text: "None of the four fields" }));
}
