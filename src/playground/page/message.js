// A message: who, when, its blocks, its reactions, and what can be done with it.

import { post } from "./api.js";
import { messageBlocks } from "./blocks.js";
import { confirmed } from "./confirm.js";
import { h, toast } from "./dom.js";
import { emoji } from "./emoji.js";
import { openedFrom } from "./modal.js";
import { menuButton, openMenu } from "./menu.js";
import { avatar, myself, nameOf } from "./people.js";
import { pickReaction, reactionRow, toggleReaction } from "./reactions.js";
import { dismiss } from "./store.js";
import { clockOf, dayOf, isoOf } from "./time.js";

/** A text taller than this is cut, with a button that shows the rest. */
const CUT_AT_PX = 340;
const expanded = new Set();

async function click(message, { block_id, action_id, value }, target) {
  openedFrom(target);
  target.setAttribute("aria-busy", "true");
  const chosen = Array.isArray(value) ? { value: "", selected: value } : { value };
  try {
    await post(`channels/${message.channel}/click`, { ts: message.ts, block_id, action_id, ...chosen });
    target.classList.add("sent");
    setTimeout(() => target.classList.remove("sent"), 1500);
  } catch (failure) {
    toast(`That click changed nothing: ${failure.message}`);
  } finally {
    target.removeAttribute("aria-busy");
  }
}

const byApp = (message) => Boolean(message.bot_id);
const authorOf = (message) => (byApp(message) ? "iofold" : (nameOf(message.user) ?? message.user ?? "Somebody"));

function face(message) {
  if (byApp(message)) return h("img", { className: "avatar", src: "page/icon.svg", alt: "", width: 36, height: 36 });
  return avatar(message.user ?? "");
}

async function remove(message) {
  const text = { type: "plain_text", text: "Everybody sees it vanish, and iofold hears of it." };
  const question = { title: { text: "Delete this message?" }, text, confirm: { text: "Delete" }, style: "danger" };
  if (!(await confirmed(question))) return;
  await post(`channels/${message.channel}/delete`, { ts: message.ts }).catch((failure) => toast(failure.message));
}

async function copyLink(message) {
  const path = `archives/${message.channel}/p${message.ts.replace(".", "")}`;
  await navigator.clipboard.writeText(new URL(path, location.href).href);
  toast("The link is copied.");
}

function moreItems(message, on) {
  return [
    on.thread && { text: "Reply in thread", run: () => on.thread(message.ts) },
    { text: "Copy link", run: () => copyLink(message) },
    { text: "Delete message …", danger: true, run: () => remove(message) },
  ].filter(Boolean);
}

/** Left and right go from button to button; Tab leaves the bar. */
function along(event) {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  const buttons = [...event.currentTarget.querySelectorAll("button")];
  const next = buttons.at((buttons.indexOf(document.activeElement) + step) % buttons.length);
  buttons.forEach((button) => (button.tabIndex = button === next ? 0 : -1));
  next.focus();
}

function toolbar(message, on) {
  const tool = (action, label, text, onclick, props = {}) =>
    h("button", { type: "button", "aria-label": label, title: label, "data-action": action, onclick, ...props }, text);
  const react = (name, label) => tool(`react-${name}`, label, emoji(name), () => toggleReaction(message, name));
  const more = ({ currentTarget }) => openMenu(currentTarget, "More actions", moreItems(message, on));
  const tools = [
    react("+1", "React with thumbs up"),
    react("-1", "React with thumbs down"),
    tool("react-other", "Add another reaction", "🙂", ({ currentTarget }) => pickReaction(currentTarget, message), menuButton),
    on.thread && tool("thread", "Reply in thread", "💬", () => on.thread(message.ts)),
    tool("more", "More actions", "⋮", more, menuButton),
  ].filter(Boolean);
  for (const button of tools) button.tabIndex = button.dataset.action === "more" ? 0 : -1;
  return h("div", { className: "toolbar", role: "toolbar", "aria-label": "Message", onkeydown: along }, tools);
}

function header(message) {
  return h(
    "header",
    {},
    h("strong", { dir: "auto" }, authorOf(message)),
    byApp(message) ? h("span", { className: "tag" }, "App") : null,
    message.user === myself().id ? h("span", { className: "tag" }, "You") : null,
    h("time", { dateTime: isoOf(message.ts) }, clockOf(message.ts)),
  );
}

function repliesButton(message, count, on) {
  if (!on.thread || count === 0) return null;
  const text = count === 1 ? "1 reply" : `${count} replies`;
  return h("button", { type: "button", className: "replies", "data-action": "replies", onclick: () => on.thread(message.ts) }, text);
}

function onlyForYou(message) {
  const put = ({ currentTarget }) => {
    dismiss(message);
    currentTarget.closest(".message").remove();
  };
  const button = h("button", { type: "button", className: "link", onclick: put }, "Dismiss");
  return h("p", { className: "only-you" }, h("span", { "aria-hidden": "true" }, "👁 "), "Only visible to you · ", button);
}

function tombstone(message, replyCount, on) {
  return h(
    "article",
    { className: "message tombstone", "data-ts": message.ts, "aria-label": "A deleted message" },
    h("span", { className: "avatar face", "aria-hidden": "true" }, "🗑️"),
    h("div", { className: "message-body" }, h("p", {}, "This message was deleted."), repliesButton(message, replyCount, on)),
  );
}

/** A message with what stands in it; `on.thread` opens its thread, null where it stands in one. */
export function messageElement(message, replyCount, on) {
  if (message.subtype === "tombstone") return tombstone(message, replyCount, on);
  const context = { act: (chosen, target) => click(message, chosen, target) };
  return h(
    "article",
    {
      className: `message${message.ephemeral ? " ephemeral" : ""}`,
      "data-ts": message.ts,
      "data-kind": message.metadata?.event_type ?? "",
      "aria-label": `${authorOf(message)}, ${clockOf(message.ts)}`,
    },
    face(message),
    h(
      "div",
      { className: "message-body" },
      message.ephemeral ? onlyForYou(message) : null,
      header(message),
      h("div", { className: "blocks" }, messageBlocks(message, context)),
      reactionRow(message),
      repliesButton(message, replyCount, on),
    ),
    message.ephemeral ? null : toolbar(message, on),
  );
}

/** Cuts `text` where it is tall; once it was shown whole, it stays so. */
function cutTall(text, key) {
  if (text.scrollHeight <= CUT_AT_PX || expanded.has(key)) return;
  text.classList.add("cut");
  const show = () => {
    expanded.add(key);
    text.classList.remove("cut");
    more.remove();
  };
  const more = h("button", { type: "button", className: "link more", onclick: show }, "Show more");
  text.after(more);
}

/** Cuts tall texts of a message that now stands in the page. */
export function cutTallTexts(element) {
  for (const text of element.querySelectorAll(".rich, .section, .markdown")) {
    cutTall(text, `${element.dataset.ts}/${[...text.parentNode.children].indexOf(text)}`);
  }
}

/** Cuts a tall message as a whole, so that what comes after it can be seen. */
export function cutWhole(element) {
  const blocks = element.querySelector(".blocks");
  if (blocks) cutTall(blocks, `${element.dataset.ts}/thread`);
}

/** Replaces `old` by `fresh`, keeping the focus on the same button. */
export function swap(old, fresh) {
  const focused = old.contains(document.activeElement) ? document.activeElement.dataset.action : null;
  old.replaceWith(fresh);
  if (focused) fresh.querySelector(`[data-action="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
}

/** The line between two days, where `ts` begins one. */
export function dayLine(ts, previousTs) {
  if (previousTs && dayOf(ts) === dayOf(previousTs)) return null;
  return h("div", { className: "day", role: "separator" }, h("span", {}, dayOf(ts)));
}

/** What an empty channel shows. */
export function emptyChannel() {
  return h(
    "div",
    { className: "empty", id: "empty" },
    h("img", { src: "page/icon.svg", alt: "", width: 56, height: 56 }),
    h("h2", {}, "The first traces are on their way"),
    h("p", {}, "A trace is asked about once nothing new has come for it for a moment."),
  );
}
