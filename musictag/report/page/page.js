// ---------------------------------------------------------------- the page as a whole

function setUpTheme() {
  const root = document.documentElement, select = $("theme");
  const apply = (theme) => { root.dataset.theme = theme; sprites.clear(); redraw(); };
  let theme = "auto";
  try { theme = localStorage.getItem("musictag theme") ?? "auto"; } catch { /* a page from the disk may have no storage */ }
  if (!["auto", "light", "dark"].includes(theme)) theme = "auto";
  select.value = theme;
  apply(theme);
  select.addEventListener("change", () => {
    apply(select.value);
    try { localStorage.setItem("musictag theme", select.value); } catch { /* as above */ }
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { sprites.clear(); redraw(); });
}

function describePage() {
  const seconds = TRACKS.reduce((sum, track) => sum + track.seconds, 0);
  const roots = packed.roots;
  const name = roots.length === 1 ? roots[0].split(separator).filter(Boolean).pop() ?? roots[0] : roots.length ? counted(roots.length, "folder") : "Your music";
  $("title").replaceChildren(named(name));
  document.title = `${shown(name)} – musictag`;
  const length = seconds < 5400 ? counted(Math.round(seconds / 60), "minute") : counted(Math.round(seconds / 3600), "hour");
  const day = new Date(packed.made * 1000).toLocaleDateString("en-GB", { day: "numeric", month: "long", year: "numeric" });
  $("facts").replaceChildren(element("span", { text: `${counted(N, "track")}, ${length} of music` }), element("span", { class: "soft", text: ` · as heard by ${packed.model} · ${day}` }));
  const gone = packed.gone ? ` ${counted(packed.gone, "remembered file")} ${packed.gone === 1 ? "is" : "are"} gone.` : "";
  $("made").textContent = `Made by musictag ${packed.version}. This page is one file, loads nothing and sends nothing.${gone}`;
}

function start() {
  describePage();
  setUpTheme();
  sortGenres();
  setUpAxes();
  setUpMap();
  setUpTable();
  whenChosen(drawChips);
  whenChosen(drawKey);
  whenChosen(drawCounts);
  whenChosen(() => { table.active = 0; $("scroller").scrollTop = 0; drawTable(); });
  whenChosen(redraw);
  let typed;
  $("find").addEventListener("input", () => {
    clearTimeout(typed);
    typed = setTimeout(() => { choice.text = $("find").value; chosen(); say(counted(nVisible, "track")); }, N > 5000 ? 140 : 40);
  });
  $("clear").addEventListener("click", () => { clearChoice(); $("find").focus(); });
  $("save").addEventListener("click", savePlaylist);
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
    event.preventDefault();
    $("find").focus();
  });
  chosen();
  document.documentElement.dataset.ready = "";
}

try {
  start();
} catch (error) {
  failed(`This page could not be drawn (${error}). It needs a browser of 2023 or later.`);
  throw error;
}
