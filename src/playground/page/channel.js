// A channel's messages, and a thread of it.

import { renderBlocks } from "./blocks.js";
import { clockOf, dayOf, h, isoOf, post, toast } from "./dom.js";
import { openedFrom } from "./modal.js";

/** A text taller than this is cut, with a button that shows the rest. */
const CUT_AT_PX = 340;
const expanded = new Set();

async function click(message, element, target) {
  openedFrom(target);
  target.setAttribute("aria-busy", "true");
  try {
    const body = { ts: message.ts, action_id: element.action_id, value: element.value ?? "" };
    await post(`channels/${message.channel}/click`, body);
    target.classList.add("sent");
    setTimeout(() => target.classList.remove("sent"), 1500);
  } catch (failure) {
    toast(`That click changed nothing: ${failure.message}`);
  } finally {
    target.removeAttribute("aria-busy");
  }
}

/** A message with what stands in it; `on.thread` opens its thread, null where it stands in one. */
export function messageElement(message, replyCount, on) {
  const context = {
    onClick: (element, target) => click(message, element, target),
    on,
  };
  const plural = replyCount === 1 ? "1 reply" : `${replyCount} replies`;
  const thread =
    on.thread && replyCount > 0
      ? h("button", { type: "button", className: "replies", onclick: () => on.thread(message.ts) }, plural)
      : null;
  const kind = message.metadata?.event_type ?? "";
  return h(
    "article",
    {
      className: `message${message.ephemeral ? " ephemeral" : ""}`,
      "data-ts": message.ts,
      "data-kind": kind,
      "aria-label": `iofold, ${clockOf(message.ts)}`,
    },
    h("img", { className: "avatar", src: "page/icon.svg", alt: "", width: 36, height: 36 }),
    h(
      "div",
      { className: "message-body" },
      h(
        "header",
        {},
        h("strong", {}, "iofold"),
        h("span", { className: "tag" }, "App"),
        h("time", { dateTime: isoOf(message.ts) }, clockOf(message.ts)),
        message.ephemeral ? h("em", {}, "Only you can see this") : null,
      ),
      h("div", { className: "blocks" }, renderBlocks(message, context)),
      thread,
    ),
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
  for (const text of element.querySelectorAll(".rich, .section")) {
    cutTall(text, `${element.dataset.ts}/${[...text.parentNode.children].indexOf(text)}`);
  }
}

/** Cuts a tall message as a whole, so that what comes after it can be seen. */
export function cutWhole(element) {
  cutTall(element.querySelector(".blocks"), `${element.dataset.ts}/thread`);
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
