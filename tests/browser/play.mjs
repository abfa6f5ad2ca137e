// Plays one URL in a headless Chromium by way of the player page, as a viewer would: play, switch rendition up and down,
// switch the language, turn subtitles on, seek forth and back, play to the end. Prints one line of JSON; fails with a reason.
//
//   node play.mjs '{"page":"http://.../player","url":"http://.../index.m3u8","engine":"hls","chromium":"/usr/bin/chromium",
//                   "profile":"/empty/folder","screenshot":"/file.png","duration":16,"heights":[180,360,720],"languages":2}'
//
// "texts": how many subtitles there are; "cues": [[language, forced, time, text], ...] to be seen.
// "frames": [[time, number], ...] that the picture has to show; without it, three are looked at. "late": by how many frames
// pictures may come late; "hole": how many seconds of sound may be missing between two segments.
// "licence", "token": what the page needs to get keys. "keys": true when keys have to be asked for; "eme": true when the browser
// itself has to decrypt. "refused": the title must not play, and an error has to say this (a regular expression).
// "brief": true leaves the switches out and plays four times as fast.

import { chromium } from "playwright-core";

const options = JSON.parse(process.argv[2]);
const STEP_MS = 30_000;
const FRAME_RATE = 25;
const FRAME_MS = 4_000;
const SEEK_ATTEMPTS = 3;
const CUE_MS = 8_000;
/** After a switch of language dash.js 5.2 adds the cues of segments that it has fetched only when it switches again, also those
 * of shaka-packager's wvtt. */
const CUE_ATTEMPTS = options.engine === "dashjs" ? 3 : 1;
/** How long a title that must not play gets to play all the same, after the error. */
const REFUSED_MS = 2_000;
const SPEED = options.brief && options.engine !== "dashjs" ? 4 : 2;
/** In frames. */
const LATE = options.late ?? 0;
/** In seconds. */
const HOLE = options.hole ?? 0;
/** What hls.js 1.7 says, without consequences, of the first segment of sound apart from transport streams, whoever made it; and
 * when the machine is too busy for the speed. */
const HARMLESS = /^(bufferAppendNoProgress|bufferStalledError)/;
/** And on a busy machine of pictures that come late at the start. */
const SKIPPED = /^bufferSeekOverHole: .* seeking from 0 to 0\./;

const flags = [
  "--no-sandbox",
  "--disable-gpu",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--mute-audio",
  "--autoplay-policy=no-user-gesture-required",
];

/** What went wrong outside the player: refused requests, script errors, breaches of the content security policy. */
const troubles = [];
const requested = new Set();

const context = await chromium.launchPersistentContext(options.profile, {
  executablePath: options.chromium,
  headless: true,
  args: flags,
  viewport: { width: 1360, height: 900 },
});

let failure = null;
let result = {};
const page = context.pages()[0] ?? (await context.newPage());
try {
  page.setDefaultTimeout(STEP_MS);
  page.on("response", (response) => {
    requested.add(new URL(response.url()).pathname);
    if (response.status() >= 400) troubles.push(`${response.status()} ${response.url()}`);
  });
  page.on("requestfailed", (request) => {
    // Players give up requests when they switch or seek.
    if (request.failure()?.errorText !== "net::ERR_ABORTED") troubles.push(`${request.failure()?.errorText} ${request.url()}`);
  });
  page.on("pageerror", (error) => troubles.push(`script: ${error.message}`));
  page.on("console", (message) => {
    if (message.type() === "error") troubles.push(`console: ${message.text()}`);
  });
  result = options.refused ? await refused() : await play();
} catch (error) {
  failure = error.message;
  const seen = await page
    .evaluate(() => ({
      time: edgepack.video.currentTime,
      buffered: Array.from(edgepack.video.buffered, (_, i) => [edgepack.video.buffered.start(i), edgepack.video.buffered.end(i)]),
      renditions: edgepack.renditions(),
      audios: edgepack.audios(),
      texts: edgepack.texts(),
      shown: edgepack.shown(),
      errors: edgepack.errors,
      events: edgepack.events.slice(-25),
    }))
    .catch((inner) => inner.message);
  failure += `\nplayer: ${JSON.stringify(seen)}\ntroubles: ${JSON.stringify(troubles)}`;
} finally {
  if (options.screenshot) await page.screenshot({ path: options.screenshot }).catch(() => {});
  await context.close();
}
if (failure !== null) {
  console.error(failure);
  process.exit(1);
}
console.log(JSON.stringify(result));

async function open() {
  const { url, engine, licence, token } = options;
  const query = new URLSearchParams({ url, engine, ...(licence && { licence }), ...(token && { token }) });
  await page.goto(`${options.page}?${query}`);
}

/** A viewer tries to play what must not play: there is the error that there should be, and never a picture. Players may skip
 * what they cannot play, so the time says nothing. */
async function refused() {
  await open();
  await page.waitForFunction(() => window.edgepack?.player, null, { timeout: STEP_MS });
  const wanted = new RegExp(options.refused);
  let deadline = Date.now() + STEP_MS;
  let error;
  do {
    await page.waitForTimeout(100);
    const seen = await page.evaluate(() => {
      const { video, errors } = edgepack;
      video.play().catch(() => {});
      return { errors: errors.slice(), frames: video.getVideoPlaybackQuality().totalVideoFrames };
    });
    check(seen.frames === 0, `${seen.frames} pictures were seen`);
    if (!error) {
      error = seen.errors.find(({ what }) => wanted.test(what));
      if (error) deadline = Date.now() + REFUSED_MS;
    }
  } while (Date.now() < deadline);
  check(error, `waited in vain for an error like ${wanted}`);
  const asked = [...requested].some((path) => path.startsWith("/keys/"));
  check(asked === Boolean(options.keys), `keys were ${asked ? "" : "not "}asked for`);
  return { refused: error.what };
}

async function play() {
  await open();
  await page.waitForFunction(() => window.edgepack?.video.readyState >= 1, null, { timeout: STEP_MS });
  const duration = await page.evaluate(() => edgepack.video.duration);
  check(Math.abs(duration - options.duration) < 0.1, `duration is ${duration}, not ${options.duration}`);

  const wanted = [...options.heights].sort((a, b) => a - b);
  await until("all renditions", ({ wanted }) => edgepack.renditions().length === wanted.length, { wanted });
  const renditions = await page.evaluate(() => edgepack.renditions());
  const heights = renditions.map((one) => one.height).sort((a, b) => a - b);
  check(String(heights) === String(wanted), `renditions are ${heights}, not ${wanted}`);
  await until("all languages", ({ languages }) => edgepack.audios().length === languages, options);
  if (options.texts !== undefined) {
    await until("all subtitles", ({ texts }) => edgepack.texts().length === texts, options);
  }

  // Subtitles are shown when and as they should be. They are chosen before anything is played: Shaka Player 5.2 holds back the
  // cues of HLS until a segment of pictures comes after the choice, and of a short title all may be there already.
  const read = [];
  for (const [language, forced, time, text] of options.cues ?? []) {
    const id = await page.evaluate(
      ([language, forced]) => edgepack.texts().findIndex((one) => one.language === language && Boolean(one.forced) === forced),
      [language, forced],
    );
    check(id >= 0, `no ${forced ? "forced " : ""}subtitles in ${language}`);
    let shown = [];
    for (let attempt = 0; attempt < CUE_ATTEMPTS && String(shown) !== text; attempt += 1) {
      if (attempt > 0) await page.evaluate(() => edgepack.chooseText(null));
      await page.evaluate((id) => edgepack.chooseText(id), id);
      await until("the choice of subtitles", ({ id }) => edgepack.texts()[id].active, { id });
      await seek(time);
      const deadline = Date.now() + CUE_MS;
      do shown = await page.evaluate(() => edgepack.shown());
      while (String(shown) !== text && Date.now() < deadline);
    }
    check(String(shown) === text, `at ${time} s the subtitles in ${language} say ${JSON.stringify(shown)}, not ${text}`);
    read.push(text);
  }
  if (read.length) {
    await page.evaluate(() => edgepack.chooseText(null));
    await seek(0);
  }

  // A stretch at the normal speed.
  await start();
  await until("two seconds of playback", () => edgepack.video.currentTime > 2, {});

  // Up, down, and up again, each seen in the picture.
  const top = renditions.reduce((a, b) => (a.height > b.height ? a : b));
  const bottom = renditions.reduce((a, b) => (a.height < b.height ? a : b));
  const switched = [];
  for (const one of top === bottom || options.brief ? [] : [top, bottom, top]) {
    await seek(1.02);
    await page.evaluate((id) => edgepack.chooseRendition(id), one.id);
    await start();
    await until(`a picture of ${one.height} lines`, ({ height }) => edgepack.video.videoHeight === height, one);
    await playsOn();
    switched.push(one.height);
  }
  await page.evaluate(() => edgepack.chooseRendition(null));

  // Every language is fetched and plays.
  const spoken = [];
  await seek(2.02);
  for (let i = options.brief ? -1 : options.languages - 1; i >= 0; i -= 1) {
    await page.evaluate((id) => edgepack.chooseAudio(edgepack.audios()[id].id), i);
    await until(`audio track ${i}`, ({ i }) => edgepack.audios()[i].active, { i });
    await start();
    await playsOn();
    spoken.push(await page.evaluate((id) => edgepack.audios()[id].language, i));
  }

  // Seeks land on the frame that the picture itself names.
  await page.evaluate(() => {
    // They cover the bar.
    edgepack.video.controls = false;
  });
  const landed = [];
  const some = [duration * 0.75, duration * 0.25, duration * 0.5].map((time) => Math.floor(time) + 0.02);
  for (const [time, number] of options.frames ?? some.map((time) => [time, Math.floor(time * FRAME_RATE)])) {
    await page.evaluate(() => edgepack.video.pause());
    let frame = NaN;
    const right = () => frame <= number && frame >= number - LATE;
    // On a busy machine the picture of the seek before sometimes stays, with any player, until the next seek; and where dash.js
    // changes rendition on a seek, one between the sync sample and the right picture does. A picture that the media put in the
    // wrong place is there at every seek.
    for (let attempt = 0; attempt < SEEK_ATTEMPTS && !right(); attempt += 1) {
      await seek(time + attempt / 1000);
      // The picture may come a moment after the event that says so.
      const deadline = Date.now() + FRAME_MS;
      do frame = await frameNumber();
      while (!right() && Date.now() < deadline);
    }
    check(right(), `at ${time} s the picture says frame ${frame}, not ${number}`);
    landed.push(frame);
  }

  // From the start to the end, a little faster.
  await seek(0);
  await page.evaluate((speed) => {
    edgepack.video.playbackRate = speed;
  }, SPEED);
  await start();
  await until("the end", atEnd, options);
  const end = await page.evaluate(() => {
    const { video, errors } = edgepack;
    const quality = video.getVideoPlaybackQuality();
    return {
      time: video.currentTime,
      buffered: Array.from(video.buffered, (_, i) => [video.buffered.start(i), video.buffered.end(i)]),
      errors: errors.slice(),
      frames: quality.totalVideoFrames,
      corrupted: quality.corruptedVideoFrames ?? 0,
      eme: video.mediaKeys !== null,
    };
  });
  check(Math.abs(end.time - duration) < 0.1, `ended at ${end.time}`);
  // video.buffered is what sound and picture have in common.
  const whole = end.buffered.every(([start], i) => start - (i ? end.buffered[i - 1][1] : 0) <= (i ? HOLE : 0.1));
  check(whole && end.buffered.at(-1)[1] > duration - 0.1, `buffered ${JSON.stringify(end.buffered)} of ${duration}`);
  const errors = end.errors.filter(({ fatal, what }) => fatal || !(HARMLESS.test(what) || (LATE && SKIPPED.test(what))));
  check(errors.length === 0, `errors: ${JSON.stringify(errors)}`);
  check(end.corrupted === 0, `${end.corrupted} corrupted frames`);
  const asked = [...requested].some((path) => path.startsWith("/keys/"));
  check(asked === Boolean(options.keys), `keys were ${asked ? "" : "not "}asked for`);
  check(end.eme === Boolean(options.eme), `the browser was ${end.eme ? "" : "not "}given keys`);
  check(troubles.length === 0, troubles.join("\n"));
  return { engine: options.engine, duration, switched, spoken, read, landed, frames: end.frames, requests: requested.size };
}

async function until(what, condition, argument) {
  await page.waitForFunction(condition, argument, { timeout: STEP_MS, polling: 50 }).catch(() => {
    throw new Error(`waited for ${what} in vain`);
  });
  const fatal = await page.evaluate(() => edgepack.errors.filter((error) => error.fatal));
  check(fatal.length === 0, `waiting for ${what}: ${JSON.stringify(fatal)}`);
}

/** Whether it has ended. When the browser takes longer than dash.js 5.2 gives it, dash.js seeks to the end and stops there. */
function atEnd({ engine }) {
  const { video, events } = edgepack;
  if (engine === "dashjs" && video.paused && video.currentTime >= video.duration) return true;
  return video.ended && events.some((event) => event.type === "ended");
}

/** Players may take the source away and put it back when they switch; that ends a wish to play. */
async function start() {
  await page.evaluate(() => edgepack.video.play().catch((error) => error.name !== "AbortError" && Promise.reject(error)));
}

/** Playback goes on for half a second. Players empty their buffers when they switch, and Shaka Player 5.2 loses a seek that
 * comes in the middle of that, with any content; viewers do not seek that fast. */
async function playsOn() {
  await until("playback after a switch", () => !edgepack.video.seeking && edgepack.video.readyState >= 3, {});
  const time = await page.evaluate(() => edgepack.video.currentTime);
  await until("playback to go on", ({ time }) => !edgepack.video.seeking && edgepack.video.currentTime > time + 0.5, { time });
}

async function seek(time) {
  await page.evaluate((time) => {
    edgepack.video.currentTime = time;
  }, time);
  await until(`a seek to ${time}`, () => !edgepack.video.seeking && edgepack.video.readyState >= 2, {});
}

/** The number that the bar along the bottom edge of the picture shows. Chromium draws nothing on a canvas once a video has media
 * keys; then it is read from what is on the screen. */
async function frameNumber() {
  const screen = options.eme && (await page.locator("#video").screenshot()).toString("base64");
  return page.evaluate(async (screen) => {
    const { video } = edgepack;
    const image = new Image();
    if (screen) {
      image.src = `data:image/png;base64,${screen}`;
      await image.decode();
    }
    const canvas = document.createElement("canvas");
    canvas.width = screen ? image.width : video.videoWidth;
    canvas.height = screen ? image.height : video.videoHeight;
    const context = canvas.getContext("2d");
    context.drawImage(screen ? image : video, 0, 0);
    let number = 0;
    for (let bit = 0; bit < 12; bit += 1) {
      const x = Math.floor(((bit + 0.5) * canvas.width) / 12);
      const y = Math.floor(canvas.height - canvas.height / 24);
      if (context.getImageData(x, y, 1, 1).data[1] > 128) number |= 1 << bit;
    }
    return number;
  }, screen);
}

function check(condition, otherwise) {
  if (!condition) throw new Error(otherwise);
}
