// Plays one URL in a headless Chromium by way of the player page, as somebody does who watches a live channel: play, and watch for
// so many seconds. Prints one line of JSON; fails with a reason.
//
//   node live.mjs '{"page":"http://.../player","url":"http://.../index.m3u8","engine":"hls","chromium":"/usr/bin/chromium",
//                   "profile":"/empty/folder","screenshot":"/file.png","watch":6,"within":60}'
//
// "watch": how many seconds of media have to be seen, within "within" seconds of the clock. "whole": the title is closed and takes
// so many seconds: it is played to its end, twice as fast. "licence": the Clear Key licence server that the page is told of.
// "eme": whether the browser itself has to decrypt; when it is left out, it must not have to.

import { launch, open, wrong } from "./browser.mjs";

const options = JSON.parse(process.argv[2]);
const WITHIN_MS = 1000 * (options.within ?? 60);
const POLL_MS = 100;
const troubles = [];
const context = await launch(options);

let failure = null;
let result = {};
const page = context.pages()[0] ?? (await context.newPage());
const began = Date.now();
try {
  await open(page, { ...options, within: WITHIN_MS }, (trouble) => troubles.push(trouble));
  result = options.whole ? await toTheEnd() : await watch();
} catch (error) {
  failure = `${error.message}\nplayer: ${JSON.stringify(await state().catch((inner) => inner.message))}\ntroubles: ${JSON.stringify(troubles)}`;
} finally {
  if (options.screenshot) await page.screenshot({ path: options.screenshot }).catch(() => {});
  await context.close();
}
if (failure !== null) {
  console.error(failure);
  process.exit(1);
}
console.log(JSON.stringify(result));

async function watch() {
  // What is seen is time that passes in small steps: players jump to the live edge, and over what is lost.
  await page.evaluate(() => {
    window.seen = { media: 0, last: null };
    setInterval(() => {
      const { video } = edgepack;
      const step = seen.last === null || video.seeking ? 0 : video.currentTime - seen.last;
      if (step > 0 && step < 1) seen.media += step;
      seen.last = video.seeking ? null : video.currentTime;
    }, 50);
  });
  for (;;) {
    await page.waitForTimeout(POLL_MS);
    const now = await state();
    const errors = wrong(now.errors);
    check(errors.length === 0, `errors: ${JSON.stringify(errors)}`);
    if (now.seen.media >= options.watch) {
      // Some of the pictures may be late on a busy machine, but not most.
      check(now.frames >= options.watch * 5, `${now.frames} pictures in ${now.seen.media} s`);
      check(now.eme === Boolean(options.eme), `the browser was ${now.eme ? "" : "not "}given keys`);
      check(troubles.length === 0, troubles.join("\n"));
      return { engine: options.engine, seen: now.seen.media, frames: now.frames, took: (Date.now() - began) / 1000, troubles: troubles.length };
    }
    check(Date.now() - began < WITHIN_MS, `${now.seen.media} s were seen of ${options.watch}`);
    if (now.paused) await start();
  }
}

async function toTheEnd() {
  await page.waitForFunction(() => edgepack.video.readyState >= 1 && edgepack.video.duration > 0, null, { timeout: WITHIN_MS });
  const duration = await page.evaluate(() => edgepack.video.duration);
  const first = await page.evaluate(() => (edgepack.video.seekable.length ? edgepack.video.seekable.start(0) : 0));
  check(Math.abs(duration - first - options.whole) < 0.3, `it goes from ${first} to ${duration}, and takes ${options.whole}`);
  await page.evaluate(() => {
    edgepack.video.playbackRate = 2;
  });
  await start();
  for (;;) {
    await page.waitForTimeout(POLL_MS);
    const now = await state();
    const errors = wrong(now.errors);
    check(errors.length === 0, `errors: ${JSON.stringify(errors)}`);
    // When the browser takes longer than dash.js 5.2 gives it, dash.js seeks to the end and stops there.
    if (now.ended || (options.engine === "dashjs" && now.paused && now.time >= duration)) {
      check(Math.abs(now.time - duration) < 0.3, `ended at ${now.time} of ${duration}`);
      check(now.frames >= options.whole * 5, `${now.frames} pictures`);
      check(troubles.length === 0, troubles.join("\n"));
      return { engine: options.engine, duration, frames: now.frames };
    }
    check(Date.now() - began < WITHIN_MS, "it does not end");
    if (now.paused) await start();
  }
}

function state() {
  return page.evaluate(() => {
    const { video, errors, events } = edgepack;
    return {
      time: video.currentTime,
      paused: video.paused,
      ended: video.ended,
      buffered: Array.from(video.buffered, (_, i) => [video.buffered.start(i), video.buffered.end(i)]),
      eme: video.mediaKeys !== null,
      frames: video.getVideoPlaybackQuality().totalVideoFrames - video.getVideoPlaybackQuality().droppedVideoFrames,
      seen: window.seen ?? { media: 0 },
      errors: errors.slice(),
      events: events.slice(-20),
    };
  });
}

/** Players may take the source away and put it back; that ends a wish to play. */
async function start() {
  await page.evaluate(() => edgepack.video.play().catch((error) => error.name !== "AbortError" && Promise.reject(error)));
}

function check(condition, otherwise) {
  if (!condition) throw new Error(otherwise);
}
