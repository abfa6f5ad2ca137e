/** The page: one engine at a time, and what can be seen of it. Browser tests drive it through `window.edgepack`. */

const engines = {
  hls: () => import("./engines/hls.js"),
  shaka: () => import("./engines/shaka.js"),
  dashjs: () => import("./engines/dashjs.js"),
};
const LOG_LINES = 400;
const REFRESH_MS = 250;

const element = (id) => document.getElementById(id);
const video = element("video");
const started = performance.now();

/** What browser tests see and use. */
const page = {
  video,
  engine: null,
  player: null,
  events: [],
  errors: [],
  renditions: () => current?.renditions() ?? [],
  audios: () => current?.audios() ?? [],
  texts: () => current?.texts() ?? [],
  /** The subtitles that are shown now, as text. */
  shown,
  chooseRendition: (id) => choose(() => current?.chooseRendition(id)),
  chooseAudio: (id) => choose(() => current?.chooseAudio(id)),
  chooseText: (id) => choose(() => current?.chooseText(id)),
  load,
};
window.edgepack = page;

let current = null;
let drawn = "";

/** Which engine plays `url` when nobody chose one. */
function engineFor(url) {
  let path = url;
  try {
    path = new URL(url, location.href).pathname;
  } catch {
    // Not a URL: the engine will say so.
  }
  return path.endsWith(".mpd") ? "shaka" : "hls";
}

/** `keys`: the Clear Key licence server (`licence`) and the token for whoever asks for keys (`token`), where needed. */
async function load(url, engine, keys = {}) {
  const name = Object.hasOwn(engines, engine ?? "") ? engine : engineFor(url);
  await current?.close();
  current = null;
  page.engine = name;
  page.player = null;
  page.events.length = 0;
  page.errors.length = 0;
  element("problem").hidden = true;
  element("log").replaceChildren();
  log(`loading ${url}`);
  try {
    const module = await engines[name]();
    current = await module.open(video, url, hooks, keys);
    page.player = current.player;
    element("now-engine").textContent = current.name;
  } catch (error) {
    hooks.error({ fatal: true, what: error.message });
  }
}

const hooks = {
  /** A rendition in words. */
  name: rendition,
  /** The lists of renditions, audio tracks and subtitles may be others now. */
  changed: () => refresh(),
  event(type, detail) {
    page.events.push({ type, detail, at: video.currentTime });
    log(`${type}: ${detail}`);
    refresh();
  },
  error({ fatal, what, url }) {
    page.errors.push({ fatal, what, url });
    const text = `${fatal ? "Playback stopped" : "Trouble, trying again"}: ${what}${url ? ` (${url})` : ""}`;
    log(text, true);
    if (fatal) {
      element("problem").textContent = text;
      element("problem").hidden = false;
    }
  },
};

for (const type of ["loadedmetadata", "canplay", "playing", "pause", "seeking", "seeked", "waiting", "stalled", "ended"]) {
  video.addEventListener(type, () => {
    page.events.push({ type, at: video.currentTime });
    log(`${type} at ${video.currentTime.toFixed(2)} s`);
  });
}
video.addEventListener("error", () => {
  // Taking a source away ends in an error without a message; that is no trouble.
  if (video.error?.message) hooks.error({ fatal: true, what: `the browser cannot play this: ${video.error.message}` });
});

function log(text, bad = false) {
  const line = document.createElement("li");
  const time = document.createElement("time");
  time.textContent = ((performance.now() - started) / 1000).toFixed(2).padStart(7, " ");
  line.append(time, text);
  line.classList.toggle("bad", bad);
  const list = element("log");
  const atEnd = list.scrollTop + list.clientHeight >= list.scrollHeight - 4;
  list.append(line);
  while (list.childElementCount > LOG_LINES) list.firstElementChild.remove();
  if (atEnd) list.scrollTop = list.scrollHeight;
}

function rate(bits) {
  if (!Number.isFinite(bits) || bits <= 0) return "unknown";
  return bits >= 1e6 ? `${(bits / 1e6).toFixed(2)} Mbit/s` : `${Math.round(bits / 1e3)} kbit/s`;
}

function rendition({ width, height, bitrate }) {
  return `${width ? `${width}×${height}` : "audio only"}, ${rate(bitrate)}`;
}

function bufferAhead() {
  const { buffered, currentTime } = video;
  for (let i = 0; i < buffered.length; i += 1) {
    if (buffered.start(i) <= currentTime + 0.1 && currentTime < buffered.end(i)) return buffered.end(i) - currentTime;
  }
  return 0;
}

function choose(change) {
  change();
  refresh();
}

function shown() {
  const tracks = Array.from(video.textTracks).filter((track) => track.mode === "showing" && track.kind !== "metadata");
  return tracks.flatMap((track) => Array.from(track.activeCues ?? [], (cue) => cue.getCueAsHTML().textContent));
}

function button(text, detail, { pressed, active, click }) {
  const item = document.createElement("li");
  const one = document.createElement("button");
  const name = document.createElement("span");
  const small = document.createElement("small");
  one.type = "button";
  name.textContent = text;
  small.textContent = detail;
  one.append(name, small);
  one.setAttribute("aria-pressed", String(pressed));
  one.classList.toggle("active", active);
  one.addEventListener("click", click);
  item.append(one);
  return item;
}

function refresh() {
  const renditions = page.renditions();
  const audios = page.audios();
  const texts = page.texts();
  const chosen = current?.chosen() ?? null;
  const active = renditions.find((one) => one.active);
  element("now-rendition").textContent = active ? rendition(active) : "none";

  // The lists are drawn only when they change, so that a button stays under the pointer.
  const state = JSON.stringify([renditions, audios, texts, chosen]);
  if (state === drawn) return;
  drawn = state;
  const automatic = button("Automatic", "", { pressed: chosen === null, active: false, click: () => page.chooseRendition(null) });
  const manual = renditions.map((one) =>
    button(one.height ? `${one.width}×${one.height}` : "audio", rate(one.bitrate), {
      pressed: chosen === one.id,
      active: one.active,
      click: () => page.chooseRendition(one.id),
    }),
  );
  element("renditions").replaceChildren(...(renditions.length ? [automatic, ...manual] : []));
  element("audios").replaceChildren(
    ...audios.map((one) =>
      button(one.label || one.language || `track ${one.id}`, one.language ?? "", {
        pressed: one.active,
        active: one.active,
        click: () => page.chooseAudio(one.id),
      }),
    ),
  );
  const off = button("Off", "", { pressed: texts.every((one) => !one.active), active: false, click: () => page.chooseText(null) });
  const subtitles = texts.map((one) =>
    button(one.label || one.language || `track ${one.id}`, `${one.language ?? ""}${one.forced ? ", forced" : ""}`, {
      pressed: one.active,
      active: one.active,
      click: () => page.chooseText(one.id),
    }),
  );
  element("texts").replaceChildren(...(texts.length ? [off, ...subtitles] : []));
}

function tick() {
  refresh();
  const quality = video.getVideoPlaybackQuality();
  const length = Number.isFinite(video.duration) ? ` of ${video.duration.toFixed(1)} s` : " s";
  element("now-position").textContent = `${video.currentTime.toFixed(1)}${length}`;
  element("now-buffer").textContent = `${bufferAhead().toFixed(1)} s`;
  element("now-dropped").textContent = `${quality.droppedVideoFrames} of ${quality.totalVideoFrames}`;
  element("now-bandwidth").textContent = rate(current?.bandwidth());

  const canvas = element("buffer");
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  if (video.duration > 0) {
    const x = (seconds) => (seconds / video.duration) * canvas.width;
    context.fillStyle = getComputedStyle(canvas).color;
    context.globalAlpha = 0.45;
    for (let i = 0; i < video.buffered.length; i += 1) {
      const from = x(video.buffered.start(i));
      context.fillRect(from, 0, x(video.buffered.end(i)) - from, canvas.height);
    }
    context.globalAlpha = 1;
    context.fillRect(x(video.currentTime) - 2, 0, 4, canvas.height);
  }
}

element("source").addEventListener("submit", (event) => {
  event.preventDefault();
  const url = element("url").value.trim();
  const engine = element("engine").value;
  // A token is for the title that it came with.
  const own = url === query.get("url") ? keys : {};
  const parameters = new URLSearchParams({ url, ...(engine && { engine }), ...own });
  history.replaceState(null, "", `${location.pathname}?${parameters}`);
  load(url, engine, own);
});

const query = new URLSearchParams(location.search);
const keys = Object.fromEntries(["licence", "token"].filter((name) => query.get(name)).map((name) => [name, query.get(name)]));
element("engine").value = Object.hasOwn(engines, query.get("engine") ?? "") ? query.get("engine") : "";
if (query.get("url")) {
  element("url").value = query.get("url");
  load(query.get("url"), query.get("engine"), keys);
}
setInterval(tick, REFRESH_MS);
