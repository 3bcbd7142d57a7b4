// ---------------------------------------------------------------- how often what is heard

const SHOWN_AT_FIRST = 10;
const unfolded = new Set();

function drawCounts() {
  const counts = FIELD_NAMES.map(() => new Map());
  const none = [0, 0, 0, 0];
  for (const track of TRACKS) {
    if (!visible[track.id]) continue;
    track.chosen.forEach((words, field) => {
      if (!words.length) none[field]++;
      for (const word of words) counts[field].set(word, (counts[field].get(word) || 0) + 1);
    });
  }
  const held = document.activeElement?.dataset?.count;
  $("counts").replaceChildren(...FIELD_NAMES.map((name, field) => countsOf(name, field, counts[field], none[field])));
  if (held) $("counts").querySelector(`[data-count="${held}"]`)?.focus();
}

function barColour(genre) {
  const entry = key.names.indexOf(genre);
  return entry >= 0 && entry < N_COLOURS ? `; --bar: var(--genre-${entry})` : "; --bar: var(--genre-other)";
}

function countsOf(name, field, counts, none) {
  for (const word of choice.words[field]) if (!counts.has(word)) counts.set(word, 0);
  const sorted = [...counts].sort((one, other) => other[1] - one[1] || texts[one[0]].localeCompare(texts[other[0]]));
  const most = Math.max(1, ...counts.values());
  const some = unfolded.has(field) ? sorted : sorted.slice(0, SHOWN_AT_FIRST);
  const rows = some.map(([word, n]) => element("li", {}, element("button", {
    type: "button", "aria-pressed": String(choice.words[field].has(word)), "data-count": `${field}-${word}`,
    onclick: () => toggle(choice.words[field], word),
  }, named(texts[word]), element("span", { class: "track", style: `--p: ${(n / most).toFixed(4)}` + (field === GENRE ? barColour(texts[word]) : ""), "aria-hidden": "true" }, element("i")), element("span", { class: "n", text: number(n) }))));
  const more = sorted.length - SHOWN_AT_FIRST;
  return element("section", { "aria-label": name },
    element("h3", { text: name }),
    sorted.length ? element("ul", {}, ...rows) : element("p", { class: "soft", text: "Nothing" }),
    more > 0 ? element("button", { type: "button", class: "more", "data-count": `more-${field}`, "aria-expanded": String(unfolded.has(field)),
      text: unfolded.has(field) ? "Fewer" : `${more} more`, onclick: () => { if (!unfolded.delete(field)) unfolded.add(field); drawCounts(); } }) : null,
    element("p", { class: "soft none", text: none ? `${counted(none, "track")} without` : "" }));
}
