// The playground as a person meets it, in a real browser, from the first card to the first score.
//
//   node tests/web/playground.mjs PATH_OF_IOFOLD
//
// Starts the binary with a database of its own. CHROMIUM names the browser (default /usr/bin/chromium);
// with SCREENSHOTS, a folder, it leaves channel.png, modal.png, report.png, dark.png and phone.png there.

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
  await page.mouse.move(1, 1);
  await page.screenshot({ path: join(shots, name) });
}

async function labelOneMyself(page) {
  const card = page.locator('[data-kind="iofold_trace"]').first();
  await card.waitFor();
  await card.getByRole("button", { name: "Bad answer" }).click();
  const modal = page.getByRole("dialog", { name: "What is wrong?" });
  await modal.waitFor();
  if (shots) await picture(page, "modal.png", () => page.waitForTimeout(500));
  await page.keyboard.type("It is not in the retrieved sentence");
  await page.keyboard.press("Enter");
  await modal.waitFor({ state: "hidden" });
  await card.getByText("👎 1").waitFor();
}

const writer = (page) => page.getByRole("textbox", { name: /^Message #/ });
const switchTo = async (page, name) => {
  await page.getByRole("button", { name: "switch person" }).press("Enter");
  await page.getByRole("menuitemradio", { name, exact: true }).press("Enter");
  await page.getByRole("button", { name: `${name} (switch person` }).waitFor();
};

/** A message, a reaction by two people, a reply, and all of it deleted again. */
async function talkInTheChannel(page) {
  const text = "Has anybody looked at these?";
  const mine = page.locator("#messages .message").filter({ hasText: text });
  await writer(page).fill(text);
  await writer(page).press("Enter");
  await mine.getByRole("toolbar").getByRole("button", { name: "React with thumbs up" }).press("Enter");
  await mine.getByRole("button", { name: "👍 1: You", pressed: true }).waitFor();
  await mine.getByRole("toolbar").getByRole("button", { name: "Reply in thread" }).press("Enter");
  await page.keyboard.type("I have");
  await page.keyboard.press("Enter");
  await page.getByRole("region", { name: "Thread" }).getByText("I have").waitFor();
  await page.keyboard.press("Escape");
  await mine.getByRole("button", { name: "1 reply" }).waitFor();
  await switchTo(page, "Grader 2");
  await mine.getByRole("button", { name: "👍 1: You", pressed: false }).press("Enter");
  await mine.getByRole("button", { name: "👍 2: You, Grader 2", pressed: true }).waitFor();
  await switchTo(page, "You");
  await mine.locator(".tag").getByText("You").waitFor();
  await mine.getByRole("toolbar").getByRole("button", { name: "More actions" }).press("Enter");
  await page.getByRole("menuitem", { name: "Delete message" }).press("Enter");
  await page.getByRole("dialog", { name: "Delete this message?" }).getByRole("button", { name: "Delete" }).press("Enter");
  await mine.waitFor({ state: "detached" });
  await page.getByText("This message was deleted.").waitFor();
}

/** A command is answered to the one who gave it. */
async function giveACommand(page) {
  await writer(page).fill("/iofold help");
  await writer(page).press("Enter");
  const answer = page.locator(".message.ephemeral").filter({ hasText: "/iofold help" });
  await answer.getByText("Only visible to you").waitFor();
  await switchTo(page, "Grader 2");
  await answer.waitFor({ state: "detached" });
  await switchTo(page, "You");
  await answer.getByRole("button", { name: "Dismiss" }).press("Enter");
  await answer.waitFor({ state: "detached" });
}

/** The Home and the overview are reached, and left again. */
async function lookAround(page) {
  const places = page.getByRole("navigation", { name: "Places" });
  await places.getByRole("button", { name: "Home" }).press("Enter");
  await page.locator("#home > *").first().waitFor();
  await places.getByRole("button", { name: "Overview" }).press("Enter");
  await page.getByRole("article", { name: "#grounded-replies" }).getByText("Labelled").waitFor();
  await places.getByRole("button", { name: "grounded-replies" }).press("Enter");
  await page.locator("#messages .message").first().waitFor();
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
    await page.setViewportSize({ width: 1280, height: 1190 });
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
  if (!shots) return;
  await page.emulateMedia({ colorScheme: "dark" });
  await page.setViewportSize({ width: 1280, height: 860 });
  await picture(page, "dark.png", () => page.waitForTimeout(500));
  await page.emulateMedia({ colorScheme: "light" });
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
  await page.locator(".message").first().waitFor();
  for (const width of [420, 390, 320]) {
    await page.setViewportSize({ width, height: 844 });
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    assert(wide <= width, `the page is ${wide} px wide on ${width}`);
  }
  if (shots) {
    await page.setViewportSize({ width: 390, height: 844 });
    await picture(page, "phone.png", () => page.waitForTimeout(500));
  }
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
  await page.getByRole("button", { name: "Close the panel" }).press("Enter");
  await talkInTheChannel(page);
  await giveACommand(page);
  await lookAround(page);
  assert.deepEqual(problems, []);
  console.log("the playground works from the first card to the first score");
} finally {
  await browser.close();
  service.kill("SIGTERM");
  await ended;
  await rm(folder, { recursive: true });
}
