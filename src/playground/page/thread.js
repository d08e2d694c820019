// A thread in the side panel: the message, its replies, and a place to reply.

import { composer } from "./composer.js";
import { byId, h } from "./dom.js";
import { cutTallTexts, cutWhole, messageElement } from "./message.js";
import { messagesOf, repliesOf, store } from "./store.js";

let open = null;
const writer = composer("Reply …", () => ({ channel: open?.channel, threadTs: open?.ts }), false);

/** The ts of the message whose thread is open, or null. */
export const openThreadTs = () => open?.ts ?? null;

/** Shows the thread below a message of the channel in view. */
export function showThread(ts) {
  open = { channel: store.current, ts };
  byId("panel-foot").replaceChildren(writer.form);
  renderThread();
  writer.restore();
  writer.focus();
}

export function leaveThread() {
  open = null;
  byId("panel-foot").replaceChildren();
}

/** Shows what stands in the thread now. */
export function renderThread() {
  const parent = messagesOf(open.channel).get(open.ts);
  const replies = repliesOf(open.channel, open.ts);
  const text = replies.length === 0 ? "No replies yet" : replies.length === 1 ? "1 reply" : `${replies.length} replies`;
  const line = h("div", { className: "day", role: "separator" }, h("span", {}, text));
  const shown = [parent, ...replies].filter(Boolean).map((message) => messageElement(message, 0, { thread: null }));
  const first = parent ? shown.shift() : null;
  const focused = document.activeElement?.closest("#panel-body [data-ts]")?.dataset.ts;
  const action = document.activeElement?.dataset?.action;
  byId("panel-body").replaceChildren(...[first, line, ...shown].filter(Boolean));
  shown.forEach(cutTallTexts);
  if (first) cutWhole(first);
  if (focused && action) {
    const at = `#panel-body [data-ts="${CSS.escape(focused)}"] [data-action="${CSS.escape(action)}"]`;
    document.querySelector(at)?.focus({ preventScroll: true });
  }
}
