import Hls from "../lib/hls.mjs";
import { CLEAR_KEY, bearer } from "../keys.js";

/** Key ids as Clear Key wants them (Encrypted Media Extensions Initialization Data Format "keyids"). */
function keyIds(id) {
  const base64 = btoa(String.fromCharCode(...id));
  const kid = base64.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
  return new TextEncoder().encode(JSON.stringify({ kids: [kid] })).buffer;
}

/** Clear Key: the key id is in the playlist, the licence server is not. */
function clearKey({ licence, token }) {
  if (!licence) return {};
  return {
    emeEnabled: true,
    drmSystems: {
      [CLEAR_KEY]: {
        licenseUrl: licence,
        generateRequest: (_type, _data, { decryptdata }) => ({ initDataType: "keyids", initData: keyIds(decryptdata.keyId) }),
      },
    },
    licenseXhrSetup(xhr, server) {
      xhr.open("POST", server, true);
      for (const [name, value] of Object.entries(bearer(token))) xhr.setRequestHeader(name, value);
    },
  };
}

/** What fetches everything but licences; requests for keys get the token. */
function loader(token) {
  return class extends Hls.DefaultConfig.loader {
    load(context, config, callbacks) {
      if (context.type === "key") context.headers = { ...context.headers, ...bearer(token) };
      super.load(context, config, callbacks);
    }
  };
}

/** HLS by hls.js. */
export async function open(video, url, hooks, keys) {
  if (!Hls.isSupported()) throw new Error("this browser has no Media Source Extensions");
  const workerPath = new URL("../lib/hls.worker.js", import.meta.url).href;
  const hls = new Hls({ workerPath, loader: loader(keys.token), ...clearKey(keys) });
  let chosen = null;

  hls.on(Hls.Events.MANIFEST_PARSED, (_, data) => hooks.event("manifest", `${data.levels.length} renditions`));
  hls.on(Hls.Events.LEVEL_SWITCHED, (_, data) => hooks.event("rendition", hooks.name(rendition(hls.levels[data.level], data.level))));
  hls.on(Hls.Events.AUDIO_TRACK_SWITCHED, (_, data) => hooks.event("audio", hls.audioTracks[data.id]?.name ?? data.id));
  hls.on(Hls.Events.AUDIO_TRACKS_UPDATED, () => hooks.changed());
  hls.on(Hls.Events.SUBTITLE_TRACKS_UPDATED, () => hooks.changed());
  hls.on(Hls.Events.SUBTITLE_TRACK_SWITCH, (_, data) => hooks.event("subtitles", hls.subtitleTracks[data.id]?.name ?? "off"));
  hls.on(Hls.Events.ERROR, (_, data) => {
    // Requests that hls.js itself gave up, to switch or to seek.
    if (data.details === Hls.ErrorDetails.INTERNAL_ABORTED) return;
    const status = data.response?.code ? `the server answered ${data.response.code}` : "";
    const what = [data.details, status, data.error?.message].filter(Boolean).join(": ");
    hooks.error({ fatal: data.fatal, what, url: data.frag?.url ?? data.url ?? data.context?.url });
  });

  const rendition = (level, id) => ({
    id,
    width: level.width,
    height: level.height,
    bitrate: level.bitrate,
    codec: level.videoCodec ?? level.audioCodec,
    active: id === hls.currentLevel,
  });

  hls.attachMedia(video);
  hls.loadSource(url);

  return {
    name: `hls.js ${Hls.version}`,
    player: hls,
    renditions: () => hls.levels.map(rendition),
    chosen: () => chosen,
    chooseRendition(id) {
      chosen = id;
      hls.nextLevel = id ?? -1;
    },
    audios: () => hls.audioTracks.map((track, id) => ({ id, label: track.name, language: track.lang, active: id === hls.audioTrack })),
    chooseAudio(id) {
      hls.audioTrack = id;
    },
    texts: () =>
      hls.subtitleTracks.map((track, id) => ({
        id,
        label: track.name,
        language: track.lang,
        forced: track.forced,
        active: id === hls.subtitleTrack && hls.subtitleDisplay,
      })),
    chooseText(id) {
      hls.subtitleDisplay = id !== null;
      hls.subtitleTrack = id ?? -1;
    },
    bandwidth: () => hls.bandwidthEstimate,
    close: () => hls.destroy(),
  };
}
