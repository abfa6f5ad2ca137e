// What all scripts do that watch live channels in a headless Chromium.

import { chromium } from "playwright-core";

/** What players say of a machine that is too busy, without consequences, and of segments that playlists say are lost. */
const HARMLESS = /^(bufferAppendNoProgress|bufferStalledError|bufferNudgeOnStall|bufferSeekOverHole|fragGap: GAP tag found)/;

const flags = [
  "--no-sandbox",
  "--disable-gpu",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-background-timer-throttling",
  "--disable-backgrounding-occluded-windows",
  "--disable-renderer-backgrounding",
  "--disable-component-update",
  "--disable-sync",
  "--mute-audio",
  "--autoplay-policy=no-user-gesture-required",
];

/** A browser with an empty profile. */
export function launch(options) {
  return chromium.launchPersistentContext(options.profile, {
    executablePath: options.chromium,
    headless: true,
    args: flags,
    viewport: { width: 800, height: 600 },
  });
}

/** Opens the player page with a URL; what goes wrong with requests and scripts is handed to `trouble`. */
export async function open(page, { page: base, url, engine, licence, within }, trouble) {
  page.setDefaultTimeout(within);
  page.on("response", (response) => {
    if (response.status() >= 400) trouble(`${response.status()} ${response.url()}`);
  });
  page.on("requestfailed", (request) => {
    // Players give up requests when they switch.
    if (request.failure()?.errorText !== "net::ERR_ABORTED") trouble(`${request.failure()?.errorText} ${request.url()}`);
  });
  page.on("pageerror", (error) => trouble(`script: ${error.message}`));
  const answer = await page.goto(`${base}?${new URLSearchParams({ url, engine, ...(licence && { licence }) })}`);
  if (!answer?.ok()) throw new Error(`the player page answers ${answer?.status()}`);
  await page.waitForFunction(() => window.edgepack?.player, null, { timeout: within });
}

/** The errors that matter to who watches. */
export function wrong(errors) {
  return errors.filter(({ fatal, what }) => fatal || !HARMLESS.test(what));
}
