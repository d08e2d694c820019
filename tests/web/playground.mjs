// The playground as a person meets it, in a real browser, from the first card to the first score.
//
//   node tests/web/playground.mjs PATH_OF_IOFOLD
//
// Starts the binary with a database of its own. CHROMIUM names the browser (default /usr/bin/chromium);
// with SCREENSHOTS, a folder, it leaves channel.png and report.png there.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve as absolute } from "node:path";

import { launch, openPage } from "./browser.mjs";

const [given] = process.argv.slice(2);
assert(given, "usage: node playground.mjs PATH_OF_IOFOLD");
const binary = absolute(given);
const shots = process.env.SCREENSHOTS && absolute(process.env.SCREENSHOTS);
/** Generous: a debug build on a busy machine makes its first report in minutes. */
const PATIENCE_MS = 300_000;

const folder = await mkdtemp(join(tmpdir(), "iofold-web-"));
const service = spawn(binary, ["serve"], {
  cwd: folder,
  env: {
    PATH: process.env.PATH,
    HOME: process.env.HOME,
    XDG_CACHE_HOME: process.env.XDG_CACHE_HOME ?? "",
    LLVM_PROFILE_FILE: process.env.LLVM_PROFILE_FILE ?? "",
    DATABASE_URL: `sqlite://${join(folder, "iofold.db")}`,
    IOFOLD_LISTEN: "127.0.0.1:0",
    IOFOLD_POLL_SECONDS: "1",
    IOFOLD_SETTLE_SECONDS: "0",
    RUST_LOG: "warn",
  },
  stdio: ["ignore", "pipe", "inherit"],
});
const ended = new Promise((resolve) => service.once("exit", resolve));

/** The address that the service prints. */
function address() {
  return new Promise((resolve, reject) => {
    let text = "";
    service.stdout.on("data", (chunk) => {
      text += chunk;
      const found = text.match(/http:\/\/\S+\/playground\//);
      if (found) resolve(found[0]);
    });
    ended.then((status) => reject(new Error(`the service ended with ${status}: ${text}`)));
  });
}

const browser = await launch();
const problems = [];

async function open(url) {
  const page = await openPage(browser, url, problems);
  page.setDefaultTimeout(PATIENCE_MS);
  return page;
}

async function picture(page, name, ready) {
  await ready();
  await page.screenshot({ path: join(shots, name) });
}

async function labelOneMyself(page) {
  const card = page.locator('[data-kind="iofold_trace"]').first();
  await card.waitFor();
  await card.getByRole("button", { name: "Bad answer" }).click();
  const modal = page.getByRole("dialog", { name: "What is wrong?" });
  await modal.waitFor();
  await page.keyboard.type("It is not in the retrieved sentence");
  await page.keyboard.press("Enter");
  await modal.waitFor({ state: "hidden" });
  await card.getByText("👎 1").waitFor();
}

async function letAnnotatorsLabel(page) {
  const report = page.locator('[data-kind="iofold_report"]');
  const annotate = page.getByRole("button", { name: "Let the recorded annotators" });
  for (let round = 0; round < 6 && (await report.count()) === 0; round += 1) {
    await annotate.click();
    await page.locator("#progress").waitFor();
    if (shots && round === 0) await picture(page, "channel.png", () => page.getByText(/[3-9] of 10/).waitFor());
    await page.waitForFunction(() => !document.getElementById("annotate").disabled);
    await report.first().waitFor({ timeout: round < 1 ? 1 : 20_000 }).catch(() => {});
  }
  await report.first().waitFor();
  return report.first();
}

async function deploy(page, report) {
  await report.locator("img").nth(1).waitFor();
  if (shots) {
    await page.setViewportSize({ width: 1280, height: 1130 });
    // The notice and the highlight go by themselves.
    await picture(page, "report.png", async () => {
      await page.waitForTimeout(8_000);
      await report.evaluate((message) => message.scrollIntoView({ block: "start" }));
    });
  }
  await report.getByText(/\d+ repl(y|ies)/).click();
  await page.getByRole("region", { name: "Thread" }).getByText("def evaluate(trace)").waitFor();
  await page.getByRole("button", { name: "Close the panel" }).click();
  await report.getByRole("button", { name: "Deploy" }).click();
  await page.locator("#steps").getByText("New traces are scored.").waitFor();
}

async function seeAScore(page) {
  await page.getByRole("button", { name: "See scores" }).click();
  // People's scores stand there from the first thumb on.
  const score = page.locator(".panel .score").filter({ hasNotText: "human" }).first();
  await score.waitFor();
  assert.match(await score.innerText(), /\S/);
  assert((await score.locator("p").count()) === 1, "a score says why");
}

async function fitsANarrowScreen(url) {
  const page = await open(url);
  await page.setViewportSize({ width: 390, height: 844 });
  await page.locator(".message").first().waitFor();
  const wide = await page.evaluate(() => document.documentElement.scrollWidth);
  assert(wide <= 390, `the page is ${wide} px wide`);
  await page.close();
}

try {
  const url = await address();
  const page = await open(url);
  await labelOneMyself(page);
  const report = await letAnnotatorsLabel(page);
  await deploy(page, report);
  await seeAScore(page);
  await fitsANarrowScreen(url);
  assert.deepEqual(problems, []);
  console.log("the playground works from the first card to the first score");
} finally {
  await browser.close();
  service.kill("SIGTERM");
  await ended;
  await rm(folder, { recursive: true });
}
