// The playground's page in a real browser, with a service behind it that shows every block, every element
// and hostile text: nothing runs, all of it can be reached by keyboard, and it fits a phone.
//
//   node tests/web/blocks.mjs
//
// CHROMIUM names the browser (default /usr/bin/chromium); with SCREENSHOTS, a folder, pictures are left there.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

import { launch, openPage } from "./browser.mjs";
import { BLOCKS, FORM, HOSTILE, button, plain } from "./kitchen.mjs";
import { serve } from "./page_server.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const shots = process.env.SCREENSHOTS;
const START = 1_700_000_000;

const message = (second, more) => ({
  type: "message", channel: "C1", bot_id: "B1", user: "U0", ts: `${START + second}.000100`, text: HOSTILE, blocks: [], ...more,
});
const said = (second, user, text, more) => message(second, { bot_id: undefined, user, text, ...more });

const channel = (id, name, more) => ({
  id, name, topic: `About ${name}`, workspace: name, project: "p", cards: 9, labelled: 7, wanted: 20, up: 3, down: 4, waiting: 5, ...more,
});

const team = {
  channels: [channel("C1", "answers"), channel("C2", "json", { labelled: 22, report_ts: "1.0", deployed: true })],
  users: [{ id: "U1", name: "you", real_name: "You" }, { id: "U2", name: "grader3", real_name: "Grader 3" }],
  messages: [
    ...BLOCKS.map((block, i) => message(i, { blocks: [block], metadata: { event_type: block.block_id } })),
    said(60, "U2", HOSTILE, { metadata: { event_type: "said" }, reactions: [{ name: "+1", users: ["U2"], count: 1 }] }),
    said(61, "U1", "I agree", { thread_ts: `${START + 60}.000100` }),
    message(62, { ephemeral: true, only_for: "U1", text: "Thank you", metadata: { event_type: "whisper" } }),
    message(63, { subtype: "tombstone", thread_ts: `${START + 63}.000100` }),
    said(64, "U1", "orphan", { thread_ts: `${START + 63}.000100` }),
    message(65, { channel: "D1", text: "For you alone" }),
    message(66, { channel: "D2", text: "For somebody else" }),
  ],
  views: [],
  home: { id: "VH", hash: "1", type: "home", blocks: [{ type: "header", text: plain("Your Home") }, { type: "actions", block_id: "h", elements: [button("home_label", "Label")] }] },
};

const problems = [];
const { url, close } = await serve(team);
const browser = await launch();
const page = await openPage(browser, url, problems);

const block = (name) => page.locator(`#messages [data-kind="${name}"] .blocks`);
const focused = () => page.evaluate(() => document.activeElement?.dataset?.action ?? document.activeElement?.id);
const lastPost = (path) => team.posts.findLast(([where]) => where === path)?.[1];
/** Waits until the last thing that the page did at `path` has these fields, and gives it. */
async function asked(path, fields = {}) {
  const matches = () => Object.entries(fields).every(([name, value]) => JSON.stringify(lastPost(path)?.[name]) === JSON.stringify(value));
  for (let i = 0; i < 400 && !(lastPost(path) && matches()); i += 1) await page.waitForTimeout(25);
  assert(lastPost(path) && matches(), `${path} was asked ${JSON.stringify(lastPost(path))}, not ${JSON.stringify(fields)}`);
  return lastPost(path);
}
const picture = async (name) => shots && page.screenshot({ path: join(shots, name) });
const modal = (id, hash, more) => ({ id, hash, user: "U1", type: "modal", title: plain(`Modal ${id}`), submit: plain("Save"), blocks: FORM, ...more });

/** What the library of accessibility rules finds wrong. */
async function accessible(what) {
  await page.evaluate(AXE);
  const found = await page.evaluate(async () => {
    const { violations } = await globalThis.axe.run(document, { resultTypes: ["violations"] });
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html.slice(0, 160)).join(" | ")}`);
  });
  assert.deepEqual(found, [], what);
}

async function fits(width, what) {
  await page.setViewportSize({ width, height: 740 });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth);
  assert(wide <= width, `${what} is ${wide} px wide on ${width}`);
}

async function mrkdwnIsReadAsSlackReadsIt() {
  const text = block("formatted");
  assert.equal(await text.locator("strong").first().innerText(), "bold");
  assert.equal(await text.locator("em").first().innerText(), "italic");
  assert.equal(await text.locator("s").innerText(), "strike");
  assert.equal(await text.locator("code").innerText(), "code");
  assert.equal(await text.locator("strong em").innerText(), "both");
  assert.match(await text.innerText(), /🎉 :no_such_emoji: 10:30:45 snake_case_name 2\*3\*4/);
  assert.equal(await text.locator("blockquote").innerText(), "a quote\nof two lines");
  const links = await text.locator("a").evaluateAll((all) => all.map((a) => [a.textContent, a.href]));
  assert.deepEqual(links, [
    ["a link", "https://example.com/a?b=1&c=2"], ["a mail", "mailto:a@example.com"],
    ["https://example.com/bare", "https://example.com/bare"], ["in code", "https://example.com/in-code"],
  ]);
  assert.match(await text.innerText(), /<not a tag> &amp;\n/);
  assert.match(await text.innerText(), /@here @You @U404 #answers @team 2014-02-1\d at /);
  assert.match(await text.locator("pre").innerText(), /^\*not bold\* in code$/);
  assert.equal(await block("verbatim").locator("a").count(), 0);
  assert.equal(await block("plain").innerText(), "*not bold* :tada: <https://example.com/no|no>");
  assert.equal(await block("header").innerText(), "🎉 Header");
}

/** Nothing a text holds takes long to read, or more of the stack than there is. */
async function longTextsAreRead() {
  const left = await page.evaluate(async () => {
    const { mrkdwn } = await import("/playground/page/mrkdwn.js");
    const { markdown } = await import("/playground/page/markdown.js");
    const lengthOf = (nodes) => {
      const element = document.createElement("div");
      element.append(...nodes);
      return element.textContent.length;
    };
    const units = ["*a ", "*_~", "~x~", "`", "```", "<", "<a|", "> > ", "[a](", "- ", "|", "**", ":a", "https://"];
    return units.map((unit) => [unit, lengthOf(mrkdwn(unit.repeat(9_000))), lengthOf(markdown(unit.repeat(3_000)))]);
  });
  for (const [unit, inMrkdwn, inMarkdown] of left) assert(inMrkdwn + inMarkdown > 0, unit);
}

async function richTextListsAreNested() {
  await block("rich").locator("xpath=..").getByRole("button", { name: "Show more" }).click();
  const outer = block("rich").locator(".rich > ol");
  assert.deepEqual(await outer.locator("> li").allInnerTexts(), ["one", "two\ntwo, first\ntwo, second\ndeeper", "three"]);
  assert.equal(await outer.locator("> li > ul > li > ul > li").innerText(), "deeper");
  assert.match(await block("rich").innerText(), /🎉🧪:unknown_one:good linkbad link@You#answers@here2014-02-1\d\[telepathy\]/);
  const directions = await block("rich").locator(".rich-section").evaluateAll((all) => all.map((one) => getComputedStyle(one).direction));
  assert.deepEqual(directions.slice(-2), ["rtl", "ltr"]);
  assert.match(await block("table").locator("td").nth(1).innerText(), /^12$/);
  assert.deepEqual(await block("markdown").locator("td").allInnerTexts(), ["a", "1", "b | c", "2"]);
  assert.match(await block("unknown").innerText(), /carousel/);
  assert.match(await block("unknown2").innerText(), /constructor/);
}

async function nothingHostileHasAMeaning() {
  const found = await page.evaluate(() => ({
    ran: globalThis.ran ?? null,
    links: [...document.querySelectorAll("main a")].map((a) => new URL(a.href).protocol),
    odd: document.querySelectorAll("main iframe, main script, main [onerror], main [onmouseover]").length,
    pictures: [...document.querySelectorAll("main img")].map((image) => new URL(image.src).origin === location.origin),
  }));
  assert.equal(found.ran, null);
  assert(found.links.every((protocol) => ["http:", "https:", "mailto:"].includes(protocol)), found.links.join());
  assert.equal(found.odd, 0);
  assert(found.pictures.every(Boolean), "no picture comes from elsewhere");
  assert.match(await block("rich").innerText(), /<script>globalThis\.ran = 1<\/script>/);
  assert.match(await block("hostile").innerText(), /<javascript:globalThis\.ran=3\|press me>/);
  await block("buttons").getByRole("button").nth(2).click();
  await asked("channels/C1/click", { action_id: "away" });
  assert.equal(await page.evaluate(() => globalThis.ran ?? null), null);
  assert.equal(page.context().pages().length, 1, "no other page is opened");
}

async function elementsTellTheService() {
  await block("buttons").getByRole("button", { name: "Go on" }).click();
  await asked("channels/C1/click", { action_id: "go", value: "go", block_id: "buttons", user: "you" });
  await block("buttons").getByLabel("Pick one").selectOption("b");
  await asked("channels/C1/click", { action_id: "pick", value: "b" });
  await block("choices").getByRole("radio", { name: "one" }).check();
  await block("choices").getByRole("checkbox", { name: "y" }).check();
  await asked("channels/C1/click", { selected: ["x", "y"] });
  await block("feedback").getByRole("button", { name: "Good" }).click();
  await asked("channels/C1/click", { value: "yes" });
}

async function aConfirmationComesFirst() {
  const before = team.posts.length;
  await block("buttons").getByRole("button", { name: "Stop" }).click();
  await page.getByRole("dialog", { name: "Sure?" }).getByRole("button", { name: "Keep it" }).click();
  assert.equal(team.posts.length, before);
  await block("buttons").getByRole("button", { name: "Stop" }).press("Enter");
  await page.getByRole("dialog", { name: "Sure?" }).getByRole("button", { name: "End it" }).click();
  await asked("channels/C1/click", { action_id: "stop" });
}

async function theOverflowMenuWorksByKeyboard() {
  const trigger = block("hostile").getByRole("button", { name: "More choices" });
  await trigger.focus();
  await page.keyboard.press("Enter");
  const menu = page.getByRole("menu", { name: "More choices" });
  await menu.waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "👍 Good");
  await page.keyboard.press("Escape");
  await menu.waitFor({ state: "detached" });
  assert.equal(await focused(), "card_menu");
  await page.keyboard.press("Enter");
  await menu.waitFor();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await asked("channels/C1/click", { action_id: "card_menu", value: "skip" });
  assert.equal(await focused(), "card_menu");
  await trigger.click();
  await menu.waitFor();
  await trigger.click();
  await menu.waitFor({ state: "detached" });
}

async function aModalKeepsTheFocusAndWhatWasTyped() {
  const go = block("buttons").getByRole("button", { name: "Go on" });
  await go.focus();
  await page.keyboard.press("Enter");
  team.change({ views: [modal("V1", "1")] });
  const dialog = page.getByRole("dialog", { name: "Modal V1" });
  await dialog.waitFor();
  await picture("modal.png");
  await accessible("a modal");
  await page.keyboard.type("Because");
  for (let i = 0; i < 25; i += 1) {
    await page.keyboard.press("Tab");
    assert(await page.evaluate(() => document.activeElement === document.body || Boolean(document.activeElement.closest("dialog"))), "the focus stays");
  }
  await dialog.getByRole("radio", { name: "one" }).check();
  await dialog.getByRole("button", { name: "Too long" }).click();
  const click = await asked("views/V1/click", { block_id: "quick", action_id: "quick_one", value: "quick_one" });
  assert.equal(click.values.reason.reason_a, "Because");
  team.change({ views: [modal("V1", "2", { title: plain("Updated") })] });
  await page.getByRole("dialog", { name: "Updated" }).waitFor();
  assert.equal(await focused(), "quick_one", "the focus is where it was");
  assert.equal(await page.getByLabel("Label of reason").inputValue(), "Because");
  assert(await page.getByRole("radio", { name: "one" }).last().isChecked());
}

async function errorsStandAtTheirFields() {
  team.answer = (path) => (path.endsWith("/submit") ? [422, { error: "no", errors: { reason: "Say more." } }] : null);
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("button", { name: "Save" }).click();
  await dialog.getByText("Say more.").waitFor();
  assert.deepEqual((await asked("views/V1/submit")).values, {
    reason: { reason_a: "Because" }, long: { long_a: "" }, radio: { radio_a: "one" }, boxes: { boxes_a: [] }, pick: { pick_a: "" },
  });
  assert.equal(await dialog.getByLabel("Label of reason").getAttribute("aria-invalid"), "");
  team.answer = null;
}

async function modalsStandOnEachOther() {
  team.change({ views: [modal("V1", "2"), modal("V2", "1", { title: plain("Second"), submit: null, blocks: [FORM[0]] })] });
  await page.getByRole("dialog", { name: "Second" }).waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog", { name: "Modal V1" }).waitFor();
  assert.deepEqual(await asked("views/V2/close"), { user: "you" });
  team.change({ views: [modal("V1", "2")] });
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "hidden" });
  await asked("views/V1/close");
  team.change({ views: [] });
  await page.waitForFunction(() => document.activeElement.dataset.action === "go");
  assert.equal(await focused(), "go", "the focus is where the modal was opened from");
}

async function reactionsShowWhoAndToggle() {
  const article = page.locator('#messages [data-kind="said"]');
  const thumb = article.getByRole("group", { name: "Reactions" }).getByRole("button", { name: "👍 1: Grader 3" });
  assert.equal(await thumb.getAttribute("aria-pressed"), "false");
  await thumb.click();
  assert.deepEqual(await asked("channels/C1/react"), { ts: `${START + 60}.000100`, name: "+1", remove: false, user: "you" });
  const said = team.messages.find(({ metadata }) => metadata?.event_type === "said");
  said.reactions = [{ name: "+1", users: ["U2", "U1"], count: 2 }];
  team.change();
  await article.getByRole("button", { name: "👍 2: Grader 3, You", pressed: true }).click();
  await asked("channels/C1/react", { name: "+1", remove: true });
}

async function aMessagesOwnMenuIsReachable() {
  const article = page.locator('#messages [data-kind="said"]');
  await article.getByRole("toolbar").getByRole("button").first().focus();
  for (let i = 0; i < 4; i += 1) await page.keyboard.press("ArrowRight");
  assert.equal(await focused(), "more");
  await page.keyboard.press("Enter");
  await page.keyboard.press("End");
  await page.keyboard.press("Enter");
  await page.getByRole("dialog", { name: "Delete this message?" }).getByRole("button", { name: "Delete" }).press("Enter");
  assert.deepEqual(await asked("channels/C1/delete"), { ts: `${START + 60}.000100`, user: "you" });
}

async function aThreadTakesReplies() {
  await page.locator('#messages [data-kind="said"]').getByRole("button", { name: "1 reply" }).click();
  const panel = page.locator(".panel");
  await panel.getByText("I agree").waitFor();
  await page.keyboard.type("So do I");
  await page.keyboard.press("Enter");
  assert.deepEqual(await asked("channels/C1/say"), { text: "So do I", thread_ts: `${START + 60}.000100`, user: "you" });
  await picture("thread.png");
  await page.keyboard.press("Escape");
  await panel.waitFor({ state: "hidden" });
  assert.equal(await focused(), "replies");
  const gone = page.getByRole("article", { name: "A deleted message" });
  assert.match(await gone.innerText(), /This message was deleted\.\s+1 reply/);
}

async function commandsAndMessagesAreWritten() {
  const writer = page.getByRole("textbox", { name: "Message #answers" });
  await writer.fill("Hello\nworld");
  await writer.press("Enter");
  await asked("channels/C1/say", { text: "Hello\nworld", user: "you" });
  await writer.fill("/iofold status now");
  await writer.press("Enter");
  assert.deepEqual(await asked("channels/C1/command"), { text: "status now", user: "you" });
  await writer.fill("/");
  await page.getByRole("button", { name: "/iofold label" }).click();
  assert.equal(await writer.inputValue(), "/iofold label");
  await writer.fill("/other");
  await writer.press("Enter");
  await page.getByText("/other is no command here").waitFor();
  await writer.fill("");
}

async function everybodySeesTheirOwn() {
  await page.getByText("Only visible to you").waitFor();
  await page.getByRole("button", { name: "iofold 1 new" }).or(page.getByRole("navigation").getByRole("button", { name: "iofold" })).click();
  await page.getByText("For you alone").waitFor();
  assert.equal(await page.getByText("For somebody else").count(), 0);
  await page.getByRole("button", { name: "answers" }).first().click();
  await page.getByRole("button", { name: "You (switch person" }).press("Enter");
  await page.getByRole("menuitemradio", { name: "Grader 3" }).click();
  await page.getByRole("button", { name: "Grader 3 (switch person" }).waitFor();
  await page.getByText("Only visible to you").waitFor({ state: "detached" });
  await block("buttons").getByRole("button", { name: "Go on" }).click();
  await asked("channels/C1/click", { action_id: "go", user: "U2" });
  await page.getByRole("button", { name: "Grader 3 (switch person" }).click();
  await page.getByRole("menuitemradio", { name: "You" }).click();
  await page.getByText("Only visible to you").waitFor();
}

async function homeAndOverviewAreThere() {
  await page.getByRole("button", { name: "Home" }).click();
  await page.locator("#home").getByRole("button", { name: "Label" }).click();
  assert.deepEqual(await asked("views/VH/click"), { block_id: "h", action_id: "home_label", value: "home_label", user: "U1" });
  await asked("home/open");
  team.change({ home: { ...team.home, hash: "2", blocks: [{ type: "header", text: plain("Renewed") }] } });
  await page.locator("#home").getByText("Renewed").waitFor();
  await accessible("the Home");
  await page.getByRole("button", { name: "Overview" }).click();
  assert.match(await page.getByRole("article", { name: "#json" }).innerText(), /New traces are scored/);
  await picture("overview.png");
  await accessible("the overview");
  await page.getByRole("button", { name: "# answers" }).last().click();
  await page.locator(".message").first().waitFor();
}

async function itIsDarkWhereAsked() {
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await ground();
  await page.emulateMedia({ colorScheme: "dark" });
  assert.notEqual(await ground(), light, "the system's choice");
  await accessible("the channel in the dark");
  await page.emulateMedia({ colorScheme: "light" });
  await page.getByRole("button", { name: "switch person" }).click();
  await page.getByRole("menuitemradio", { name: "Dark" }).click();
  assert.notEqual(await ground(), light, "the person's choice");
  await page.reload();
  await page.locator(".message").first().waitFor();
  assert.notEqual(await ground(), light, "it is kept");
  await page.getByRole("button", { name: "switch person" }).click();
  await page.getByRole("menuitemradio", { name: "As the system" }).click();
}

async function itFitsAPhone() {
  for (const width of [420, 390, 320]) await fits(width, "the channel");
  await accessible("the channel on a phone");
  await page.locator('#messages [data-kind="said"]').getByRole("button", { name: "1 reply" }).click();
  await fits(320, "a thread");
  await page.getByRole("button", { name: "Close the panel" }).click();
  team.change({ views: [modal("V9", "1")] });
  await page.getByRole("dialog").waitFor();
  await fits(320, "a modal");
  await page.getByRole("button", { name: "Close" }).first().click();
  for (const place of ["Home", "Overview"]) {
    await page.getByRole("button", { name: place }).click();
    await fits(320, place);
  }
}

try {
  await page.locator(".message").first().waitFor();
  await mrkdwnIsReadAsSlackReadsIt();
  await longTextsAreRead();
  await richTextListsAreNested();
  await nothingHostileHasAMeaning();
  await elementsTellTheService();
  await aConfirmationComesFirst();
  await theOverflowMenuWorksByKeyboard();
  await accessible("the channel");
  await aModalKeepsTheFocusAndWhatWasTyped();
  await errorsStandAtTheirFields();
  await modalsStandOnEachOther();
  await reactionsShowWhoAndToggle();
  await aMessagesOwnMenuIsReachable();
  await aThreadTakesReplies();
  await commandsAndMessagesAreWritten();
  await everybodySeesTheirOwn();
  await homeAndOverviewAreThere();
  await itIsDarkWhereAsked();
  await itFitsAPhone();
  assert.deepEqual(problems.filter((problem) => !problem.includes("status of 422")), []);
  console.log("the page shows every block, and hostile text as text");
} finally {
  await browser.close();
  close();
}
