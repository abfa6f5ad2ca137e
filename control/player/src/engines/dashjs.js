import { MediaPlayer } from "../lib/dash.mjs";
import { CLEAR_KEY, bearer } from "../keys.js";

/** DASH by dash.js. */
export async function open(video, url, hooks, { licence, token }) {
  const player = MediaPlayer().create();
  let chosen = null;
  player.updateSettings({
    debug: { logLevel: 0 },
    streaming: { buffer: { fastSwitchEnabled: true } },
  });

  const { events } = MediaPlayer;
  player.on(events.STREAM_INITIALIZED, () => {
    hooks.event("manifest", `${player.getRepresentationsByType("video").length} renditions`);
    hooks.changed();
  });
  player.on(events.QUALITY_CHANGE_RENDERED, (event) => {
    if (event.mediaType !== "video") return;
    const active = renditions().find((one) => one.active);
    if (active) hooks.event("rendition", hooks.name(active));
  });
  player.on(events.TRACK_CHANGE_RENDERED, (event) => {
    if (event.mediaType === "audio") hooks.event("audio", label(event.newMediaInfo));
  });
  player.on(events.TEXT_TRACKS_ADDED, () => hooks.changed());
  player.on(events.ERROR, ({ error }) => {
    const request = error?.data?.request ?? error?.data;
    const status = error?.data?.response?.status ? `the server answered ${error.data.response.status}` : "";
    hooks.error({ fatal: true, what: [error?.message ?? String(error), status].filter(Boolean).join(": "), url: request?.url });
  });
  player.on(events.PLAYBACK_ERROR, ({ error }) => hooks.error({ fatal: true, what: error?.message ?? "playback failed" }));

  const label = (track) => track?.labels?.[0]?.text || track?.lang || "";
  const same = (one, other) => one?.id === other?.id && one?.index === other?.index;
  const renditions = () => {
    const current = player.getCurrentRepresentationForType("video");
    return player.getRepresentationsByType("video").map((one) => ({
      id: one.id,
      width: one.width,
      height: one.height,
      bitrate: one.bandwidth,
      codec: one.codecs,
      active: one.id === current?.id,
    }));
  };

  player.initialize(video, url, false);
  // An authorization header would have dash.js send cookies too, which needs more than CORS for everybody.
  const clearKey = { ...(licence && { serverURL: licence }), httpRequestHeaders: bearer(token), withCredentials: false };
  if (licence || token) player.setProtectionData({ [CLEAR_KEY]: clearKey });

  return {
    name: `dash.js ${player.getVersion()}`,
    player,
    renditions: () => (player.isReady() ? renditions() : []),
    chosen: () => chosen,
    chooseRendition(id) {
      chosen = id;
      player.updateSettings({ streaming: { abr: { autoSwitchBitrate: { video: id === null } } } });
      if (id !== null) player.setRepresentationForTypeById("video", id, true);
    },
    audios() {
      if (!player.isReady()) return [];
      const current = player.getCurrentTrackFor("audio");
      return player.getTracksFor("audio").map((track, id) => ({ id, label: label(track), language: track.lang, active: same(track, current) }));
    },
    chooseAudio(id) {
      player.setCurrentTrack(player.getTracksFor("audio")[id]);
    },
    texts() {
      if (!player.isReady()) return [];
      const current = player.isTextEnabled() ? player.getCurrentTextTrackIndex() : -1;
      return player.getTracksFor("text").map((track, id) => ({
        id,
        label: label(track),
        language: track.lang,
        forced: track.roles?.some((role) => role.value === "forced-subtitle" || role.value === "forced_subtitle") ?? false,
        active: id === current,
      }));
    },
    chooseText(id) {
      player.enableText(id !== null);
      player.setTextTrack(id ?? -1);
    },
    bandwidth: () => player.getAverageThroughput("video") * 1000,
    close: () => player.destroy(),
  };
}
