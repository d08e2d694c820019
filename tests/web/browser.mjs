// The browser that the tests of the page use.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";

import { chromium } from "playwright-core";

const path = process.env.CHROMIUM ?? "/usr/bin/chromium";

/** Starts the browser; it asks nobody but the page's own service for anything. */
export function launch() {
  assert(
    existsSync(path),
    `${path} is missing: install Chromium (Debian, Ubuntu: apt-get install chromium), or set CHROMIUM to a browser's path`,
  );
  const args = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ];
  return chromium.launch({ executablePath: path, args });
}

/** A page at `url`; what goes wrong on it, and what it asks of others, is added to `problems`. */
export async function openPage(browser, url, problems) {
  const page = await browser.newPage({ viewport: { width: 1280, height: 860 }, reducedMotion: "reduce" });
  page.on("pageerror", (error) => problems.push(error.message));
  page.on("console", (line) => line.type() === "error" && problems.push(line.text()));
  page.on("request", (request) => {
    if (new URL(request.url()).host !== new URL(url).host) problems.push(`asked ${request.url()}`);
  });
  await page.goto(url);
  return page;
}
