// Viewers that watch live channels for a long time, each on a page of its own in one headless Chromium, until a line comes on the
// standard input. Then it prints one line of JSON: for each viewer what it saw.
//
//   node soak.mjs '{"page":"http://.../player","chromium":"/usr/bin/chromium","profile":"/empty/folder","screenshots":"/folder/soak-",
//                   "viewers":[{"name":"hls-ts","engine":"hls","url":"http://.../index.m3u8"}]}'
//
// Of every viewer: "seen", seconds of media that passed in small steps; "stalls", when and for how many seconds nothing moved;
// "numbers", the numbers that are burnt into the pictures (see numbered.rs) with the time; "errors" of the player; "troubles" of
// requests; "frames". All times are milliseconds since 1970.

import { once } from "node:events";
import { launch, open, wrong } from "./browser.mjs";

const options = JSON.parse(process.argv[2]);
const WITHIN_MS = 60_000;

const context = await launch(options);
const viewers = [];
let failure = null;
try {
  for (const [number, viewer] of options.viewers.entries()) {
    const page = number === 0 ? context.pages()[0] : await context.newPage();
    const troubles = [];
    const url = new URL(viewer.url);
    // Browsers open six connections to a host, for all pages together; viewers elsewhere have their own.
    url.hostname = `viewer${number}.localhost`;
    await open(page, { ...viewer, url: url.href, page: options.page, within: WITHIN_MS }, (text) => troubles.push({ at: Date.now(), text }));
    await page.evaluate(observe);
    viewers.push({ ...viewer, page, troubles });
  }
  console.log("watching");
  // Its end is one too: who started this is gone.
  await Promise.race([once(process.stdin, "data"), once(process.stdin, "end")]);
  const report = [];
  // All at the same time.
  const seen = await Promise.all(viewers.map(({ page }) => page.evaluate(() => ({ ...observed(), events: edgepack.events.slice() }))));
  for (const [number, { name, engine, url, page, troubles }] of viewers.entries()) {
    const saw = seen[number];
    await page.screenshot({ path: `${options.screenshots}${name}.png` }).catch(() => {});
    report.push({ name, engine, url, ...saw, errors: wrong(saw.errors), harmless: saw.errors.length - wrong(saw.errors).length, troubles });
  }
  console.log(JSON.stringify(report));
} catch (error) {
  failure = error.stack;
} finally {
  await context.close();
}
if (failure !== null) console.error(failure);
process.exit(failure === null ? 0 : 1);

/** Runs in the page: looks at the video all the time, and plays on when somebody has paused it. */
function observe() {
  const TICK_MS = 100;
  const NUMBER_TICKS = 5;
  const BITS = 20;
  const STRIP = 24 / 180;
  const FIELD = 8;
  const { video, errors } = edgepack;
  const canvas = new OffscreenCanvas(BITS * FIELD, FIELD);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const saw = { began: Date.now(), first: null, seen: 0, stalls: [], jumps: [], numbers: [], errors: [] };
  let last = null;
  let moved = null;
  let idle = 0;
  let ticks = 0;

  /** The number in the picture; null when it cannot be read. */
  function number() {
    if (video.readyState < 2 || video.videoWidth === 0) return null;
    context.drawImage(video, 0, 0, video.videoWidth, video.videoHeight * STRIP, 0, 0, canvas.width, canvas.height);
    const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
    let bits = 0;
    for (let bit = 0; bit < BITS; bit += 1) {
      const light = data[4 * (canvas.width * (FIELD / 2) + bit * FIELD + FIELD / 2)];
      if (light > 80 && light < 175) return null;
      if (light >= 175) bits += 2 ** bit;
    }
    return bits;
  }

  function stall(open) {
    // One or two ticks are nothing that anybody sees.
    if (moved !== null && idle > 2) saw.stalls.push({ at: moved, seconds: (Date.now() - moved) / 1000, open });
  }

  setInterval(() => {
    const now = Date.now();
    const time = video.currentTime;
    if (video.paused && !video.ended && video.readyState >= 2) video.play().catch(() => {});
    while (saw.errors.length < errors.length) saw.errors.push({ at: now, ...errors[saw.errors.length] });
    if (last !== null && time > last && !video.seeking) {
      stall(false);
      if (time - last < 1) saw.seen += time - last;
      else saw.jumps.push({ at: now, from: last, to: time });
      saw.first ??= now;
      moved = now;
      idle = 0;
    } else {
      if (last !== null && time < last) saw.jumps.push({ at: now, from: last, to: time });
      idle += 1;
    }
    last = time;
    ticks += 1;
    if (ticks % NUMBER_TICKS === 0) {
      const bits = number();
      if (bits !== null) saw.numbers.push([now, bits]);
    }
  }, TICK_MS);

  window.observed = () => {
    stall(true);
    const { totalVideoFrames, droppedVideoFrames } = video.getVideoPlaybackQuality();
    const buffered = Array.from(video.buffered, (_, i) => [video.buffered.start(i), video.buffered.end(i)]);
    return { ...saw, now: Date.now(), time: video.currentTime, buffered, frames: totalVideoFrames - droppedVideoFrames };
  };
}
