// ---------------------------------------------------------------- what is chosen: words, text, lasso

const choice = {
  text: "",
  words: [new Set(), new Set(), new Set(), new Set()],
  genres: new Set(),  // keys of the legend
  selected: null,     // ids, or null
  current: null,      // the track that is shown
};
const listeners = [];
const whenChosen = (listener) => listeners.push(listener);

let reachable = new Uint8Array(N).fill(1);  // fits all but the selection
let visible = reachable;
let nVisible = N;
let haystacks = null;

function haystackOf(track) {
  haystacks ??= new Array(N);
  return (haystacks[track.id] ??= plain(
    [track.title, texts[track.artist], texts[track.album], wordsOf(track.tagged[GENRE]),
      ...track.chosen.map(wordsOf), pathOf(track)].join("\n")));
}

function chosen() {
  const needles = plain(choice.text).split(/\s+/).filter(Boolean);
  const wanted = choice.words.map((words) => [...words]);
  reachable = new Uint8Array(N);
  visible = choice.selected ? new Uint8Array(N) : reachable;
  nVisible = 0;
  for (const track of TRACKS) {
    if (choice.genres.size && !choice.genres.has(key.of[track.id])) continue;
    if (!wanted.every((words, field) => !words.length || words.some((word) => track.chosen[field].includes(word)))) continue;
    if (needles.length && !needles.every((needle) => haystackOf(track).includes(needle))) continue;
    reachable[track.id] = 1;
    if (choice.selected && !choice.selected.has(track.id)) continue;
    visible[track.id] = 1;
    nVisible++;
  }
  for (const listener of listeners) listener();
}

const isNarrowed = () => choice.text !== "" || choice.selected !== null || choice.genres.size > 0 || choice.words.some((words) => words.size);

function toggle(set, thing) {
  if (!set.delete(thing)) set.add(thing);
  chosen();
  say(counted(nVisible, "track"));
}

function clearChoice() {
  choice.text = $("find").value = "";
  choice.words.forEach((words) => words.clear());
  choice.genres.clear();
  choice.selected = null;
  chosen();
  say("Showing all " + counted(N, "track"));
}

function drawChips() {
  const chips = [];
  const chip = (label, what, undo) => element("li", {}, element("button", {
    type: "button", class: "chip", "aria-label": `Remove ${label}`, onclick: () => { undo(); chosen(); $("find").focus(); },
  }, named(what), element("span", { "aria-hidden": "true", text: "×" })));
  if (choice.selected) chips.push(chip("the selection", counted(choice.selected.size, "selected track"), () => { choice.selected = null; }));
  for (const entry of choice.genres) chips.push(chip(key.names[entry], key.names[entry], () => choice.genres.delete(entry)));
  choice.words.forEach((words) => words.forEach((word) => chips.push(chip(texts[word], texts[word], () => words.delete(word)))));
  $("chips").replaceChildren(...chips);
  $("count").textContent = nVisible === N ? counted(N, "track") : `${number(nVisible)} of ${counted(N, "track")}`;
  $("clear").hidden = !isNarrowed();
  $("save").disabled = !nVisible;
  $("save").textContent = isNarrowed() ? `Save ${counted(nVisible, "track")} as a playlist` : "Save all as a playlist";
}

// ---------------------------------------------------------------- playlists

function savePlaylist() {
  const parts = ["#EXTM3U\n"];
  let n = 0, left = 0;
  for (const track of inOrder()) {
    const path = pathOf(track);
    if (/[\r\n]/.test(path)) { left++; continue; }  // a line of a playlist cannot hold it
    const artist = texts[track.artist];
    const label = shown((artist ? artist + " - " : "") + track.title);
    parts.push(`#EXTINF:${track.seconds},${label}\n`, new Uint8Array(bytesOfName(path)), "\n");
    n++;
  }
  const address = URL.createObjectURL(new Blob(parts, { type: "audio/x-mpegurl" }));
  const link = element("a", { href: address, download: "musictag.m3u8" });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
  say(`Saved a playlist of ${counted(n, "track")}` + (left ? `; ${left} left out, whose names have line breaks` : ""));
}
