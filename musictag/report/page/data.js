// ---------------------------------------------------------------- the data, unpacked

const $ = (id) => document.getElementById(id);

function failed(message) {
  $("broken").textContent = message;
  $("broken").hidden = false;
  $("main").hidden = true;
}

const packed = JSON.parse($("data").textContent);
$("data").remove();

const FIELD_NAMES = ["Genre", "Mood", "Instruments", "Vocals"];
const nameOfField = (field) => FIELD_NAMES[field] ?? packed.fields[field][0] + packed.fields[field].slice(1).toLowerCase();
const GENRE = 0;
const VALUES = packed.values.map(([name, word, field, threshold]) => ({ name, word, field, threshold }));
const N_VALUES = VALUES.length;
const HEARD = bytesOf(packed.heard);
packed.heard = "";
const texts = packed.texts;

function bytesOf(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const characters = atob(text);
  const bytes = new Uint8Array(characters.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = characters.charCodeAt(i);
  return bytes;
}

const TRACKS = packed.tracks.map((row, id) => {
  const [folder, name, title, artist, album, seconds, chosen, tagged, changes, why, doubt] = row;
  return { id, folder, name, title: title || name, titled: !!title, artist, album, seconds, chosen, tagged, changes, why, doubt };
});
const TROUBLES = packed.troubles.map(([folder, name, code, message], id) => ({ id, folder, name, code, message }));
const N = TRACKS.length;
packed.tracks = packed.troubles = [];

// the logarithm of the odds of a value in a track
const odds = (track, value) => (HEARD[track * N_VALUES + value] - 128) / 20;
const probability = (track, value) => 1 / (1 + Math.exp(-odds(track, value)));

// ---------------------------------------------------------------- text

const wordsOf = (numbers) => numbers.map((number) => texts[number]).join(", ");
const folderOf = (thing) => packed.folders[thing.folder];
const separator = packed.folders.some((folder) => /^[A-Za-z]:\\|^\\\\/.test(folder)) ? "\\" : "/";
const pathOf = (thing) => (folderOf(thing) && !folderOf(thing).endsWith(separator) ? folderOf(thing) + separator : folderOf(thing)) + thing.name;

// Control characters, marks that turn the direction of text, and bytes that are no UTF-8 are shown as escapes.
const UNSHOWN = /[\u0000-\u001f\u007f-\u009f\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;
const hex = (code, length) => code.toString(16).padStart(length, "0");

function shown(text) {
  return text.replace(UNSHOWN, (character) => {
    const code = character.charCodeAt(0);
    if (code >= 0xdc80 && code <= 0xdcff) return "\\x" + hex(code - 0xdc00, 2);
    return code < 0x100 ? "\\x" + hex(code, 2) : "\\u" + hex(code, 4);
  });
}

// A name as the bytes that it has on the disk.
function bytesOfName(text) {
  const bytes = [];
  const encoder = new TextEncoder();
  let from = 0;
  for (let i = 0; i <= text.length; i++) {
    const code = i < text.length ? text.charCodeAt(i) : 0xdc80;
    const before = i ? text.charCodeAt(i - 1) : 0;
    const lone = code >= 0xdc80 && code <= 0xdcff && !(before >= 0xd800 && before <= 0xdbff);
    if (!lone && i < text.length) continue;
    for (const byte of encoder.encode(text.slice(from, i))) bytes.push(byte);
    if (i < text.length) bytes.push(code - 0xdc00);
    from = i + 1;
  }
  return bytes;
}

function addressOf(track) {
  const path = pathOf(track);
  const slashed = separator === "\\" ? path.replace(/\\/g, "/") : path;
  const named = bytesOfName(slashed).map((byte) => {
    const character = String.fromCharCode(byte);
    return /[A-Za-z0-9\-._~/:]/.test(character) ? character : "%" + hex(byte, 2).toUpperCase();
  });
  if (slashed.startsWith("//")) return "file:" + named.join("");
  return "file://" + (slashed.startsWith("/") ? "" : "/") + named.join("");
}

const number = (n) => n.toLocaleString("en");
const counted = (n, word) => number(n) + " " + word + (n === 1 ? "" : "s");
const percent = (p) => (p > 0.995 ? "99+" : p < 0.005 ? "<1" : Math.round(p * 100)) + "\u202f%";

function clock(seconds) {
  const minutes = Math.floor(seconds / 60), rest = String(seconds % 60).padStart(2, "0");
  if (minutes < 60) return minutes + ":" + rest;
  return Math.floor(minutes / 60) + ":" + String(minutes % 60).padStart(2, "0") + ":" + rest;
}

function plain(text) {
  return text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
}

// ---------------------------------------------------------------- elements

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key === "text") made.textContent = value;
    else if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

const named = (text, attributes = {}) => element("bdi", { ...attributes, text: shown(text) });

let saying;
function say(message) {
  clearTimeout(saying);
  saying = setTimeout(() => { $("live").textContent = message; }, 120);
}

const calm = matchMedia("(prefers-reduced-motion: reduce)");
const style = getComputedStyle(document.documentElement);
const colour = (name) => style.getPropertyValue(name).trim();

// ---------------------------------------------------------------- genres

const firstGenre = {
  heard: (track) => (track.chosen[GENRE].length ? texts[track.chosen[GENRE][0]] : ""),
  file: (track) => (track.tagged[GENRE].length ? texts[track.tagged[GENRE][0]] : ""),
  likeliest: (track) => {
    let best = "", most = -Infinity;
    for (let v = 0; v < N_VALUES; v++) {
      const value = VALUES[v];
      if (value.field !== GENRE || value.threshold === null) continue;
      const p = Math.min(value.threshold, 0.99999);
      const above = odds(track.id, v) - Math.log(p / (1 - p) + 1e-9);
      if (above > most) { most = above; best = value.word; }
    }
    return best;
  },
};
const N_COLOURS = 10;
const OTHERS = N_COLOURS, NONE = N_COLOURS + 1;
