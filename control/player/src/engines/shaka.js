import { CLEAR_KEY, bearer } from "../keys.js";

/** Shaka Player is published as a classic script that sets a global. */
let loading;
function library() {
  loading ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = new URL("../lib/shaka-player.js", import.meta.url).href;
    script.onload = () => resolve(window.shaka);
    script.onerror = () => reject(new Error("Shaka Player could not be loaded"));
    document.head.append(script);
  });
  return loading;
}

/** The name of a number in one of Shaka's enumerations. */
function nameOf(values, value) {
  return Object.keys(values).find((key) => values[key] === value) ?? String(value);
}

/** HLS and DASH by Shaka Player. */
export async function open(video, url, hooks, { licence, token }) {
  const shaka = await library();
  shaka.polyfill.installAll();
  if (!shaka.Player.isBrowserSupported()) throw new Error("this browser has no Media Source Extensions");
  const player = new shaka.Player();
  let chosen = null;

  const report = (error, fatal) => {
    // Of a licence that was not given the reason is within.
    const request = error.code === shaka.util.Error.Code.LICENSE_REQUEST_FAILED ? error.data[0] : error;
    const where = request.category === shaka.util.Error.Category.NETWORK ? request.data : [];
    const status = typeof where?.[1] === "number" ? `the server answered ${where[1]}` : "";
    // The browser has errors of its own.
    const name = error.code === undefined ? String(error.message ?? error) : nameOf(shaka.util.Error.Code, error.code);
    const what = [name, status].filter(Boolean).join(": ");
    hooks.error({ fatal, what, url: typeof where?.[0] === "string" ? where[0] : undefined });
  };
  player.addEventListener("error", (event) => report(event.detail, event.detail.severity === shaka.util.Error.Severity.CRITICAL));
  player.addEventListener("trackschanged", () => hooks.changed());
  const switched = () => {
    const active = renditions().find((one) => one.active);
    if (active) hooks.event("rendition", hooks.name(active));
  };
  player.addEventListener("adaptation", switched);
  player.addEventListener("variantchanged", switched);
  player.addEventListener("audiotrackchanged", () => {
    const active = player.getAudioTracks().find((track) => track.active);
    if (active) hooks.event("audio", active.label || active.language);
  });

  player.addEventListener("textchanged", () => {
    const active = player.getTextTracks().find((track) => track.active);
    hooks.event("subtitles", active ? active.label || active.language : "off");
  });

  const renditions = () =>
    player.getVideoTracks().map((track, id) => ({
      id,
      width: track.width,
      height: track.height,
      bitrate: track.bandwidth,
      codec: track.codecs,
      active: track.active,
    }));

  if (licence) player.configure({ drm: { servers: { [CLEAR_KEY]: licence } } });
  const { RequestType } = shaka.net.NetworkingEngine;
  player.getNetworkingEngine().registerRequestFilter((type, request) => {
    if (type === RequestType.LICENSE || type === RequestType.KEY) Object.assign(request.headers, bearer(token));
  });

  await player.attach(video);
  player
    .load(url)
    .then(() => hooks.event("manifest", `${player.getVideoTracks().length} renditions`))
    .catch((error) => {
      if (error.code !== shaka.util.Error.Code.LOAD_INTERRUPTED) report(error, true);
    });

  return {
    name: `Shaka Player ${shaka.Player.version.replace(/^v/, "")}`,
    player,
    renditions,
    chosen: () => chosen,
    chooseRendition(id) {
      chosen = id;
      player.configure({ abr: { enabled: id === null } });
      if (id !== null) player.selectVideoTrack(player.getVideoTracks()[id], true, 1);
    },
    audios: () => player.getAudioTracks().map((track, id) => ({ id, label: track.label, language: track.language, active: track.active })),
    chooseAudio(id) {
      player.selectAudioTrack(player.getAudioTracks()[id]);
    },
    texts: () =>
      player.getTextTracks().map((track, id) => ({
        id,
        label: track.label,
        language: track.language,
        forced: track.forced,
        active: track.active,
      })),
    chooseText(id) {
      player.selectTextTrack(id === null ? null : player.getTextTracks()[id]);
    },
    bandwidth: () => player.getStats().estimatedBandwidth,
    close: () => player.destroy(),
  };
}
