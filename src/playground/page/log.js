// The messages of the channel in view, and where the person has scrolled to.

import { goAlong, isGoingAlong, stopGoingAlong, watchAnnotators } from "./annotators.js";
import { bringUp, byId, isQuiet } from "./dom.js";
import { cutTallTexts, dayLine, emptyChannel, messageElement, swap } from "./message.js";
import { messagesOf, parentOf, repliesOf, store, topOf } from "./store.js";

const NEAR_END_PX = 140;

/** Whether the end of the messages stays in view when they grow. */
let sticks = true;
/** The ts of a message that was brought into view, and stays there until the person moves on. */
let held = null;
let openThread = null;

const elementOf = (ts) => byId("messages").querySelector(`[data-ts="${CSS.escape(ts)}"]`);

function element(message) {
  const count = repliesOf(message.channel, message.ts).length;
  return messageElement(message, count, { thread: openThread });
}

function isNearEnd() {
  const { scrollHeight, scrollTop, clientHeight } = byId("scroller");
  return scrollHeight - scrollTop - clientHeight < NEAR_END_PX;
}

export function scrollToEnd() {
  held = null;
  const scroller = byId("scroller");
  scroller.scrollTo({ top: scroller.scrollHeight, behavior: isQuiet() ? "instant" : "smooth" });
  byId("jump").hidden = true;
}

/** Shows the whole channel, from its end. */
export function renderLog() {
  stopGoingAlong();
  const messages = topOf(store.current);
  byId("messages").replaceChildren();
  if (messages.length === 0) byId("messages").append(emptyChannel());
  messages.forEach((message, i) => append(message, messages[i - 1]));
  byId("scroller").scrollTop = byId("scroller").scrollHeight;
  sticks = true;
  held = null;
  byId("jump").hidden = true;
}

function append(message, previous) {
  byId("empty")?.remove();
  const fresh = element(message);
  byId("messages").append(...[dayLine(message.ts, previous?.ts), fresh].filter(Boolean));
  cutTallTexts(fresh);
}

/** Puts a new or changed message of this channel where it stands. */
export function place(message) {
  const ts = parentOf(message) ?? message.ts;
  const shown = messagesOf(message.channel).get(ts);
  const old = elementOf(ts);
  if (old && shown) {
    const fresh = element(shown);
    swap(old, fresh);
    cutTallTexts(fresh);
  } else if (shown && !parentOf(message)) {
    const all = topOf(store.current);
    append(message, all[all.indexOf(message) - 1]);
  }
}

/** Takes a message away, and gives the focus to its neighbour if it had it. */
export function unplace(ts) {
  const old = elementOf(ts);
  if (!old) return;
  const next = old.nextElementSibling ?? old.previousElementSibling;
  const hadFocus = old.contains(document.activeElement);
  old.remove();
  if (hadFocus) next?.querySelector("button")?.focus({ preventScroll: true });
}

/** Brings a message into view and marks it for a moment. */
export function reveal(ts) {
  const found = elementOf(ts);
  if (!found) return;
  sticks = false;
  held = ts;
  bringUp(found, "start");
  found.classList.add("revealed");
  setTimeout(() => found.classList.remove("revealed"), 2500);
}

/** Follows the end of the messages, or says that there is more below. */
export function grown(hadEndInView) {
  if (hadEndInView && !isGoingAlong()) scrollToEnd();
  else byId("jump").hidden = isGoingAlong();
}

export const hasEndInView = () => sticks;

export const followAnnotators = (channel) => goAlong(channel, () => held ?? scrollToEnd());

/** Listens to the person; `thread(ts)` opens a thread. */
export function watchLog(thread) {
  openThread = thread;
  const scroller = byId("scroller");
  watchAnnotators(() => {
    held = null;
    sticks = false;
  });
  byId("jump").addEventListener("click", scrollToEnd);
  scroller.addEventListener("scroll", () => {
    sticks = held === null && isNearEnd();
    if (sticks) byId("jump").hidden = true;
  });
  const moveOn = () => {
    stopGoingAlong();
    held = null;
  };
  for (const kind of ["wheel", "touchmove", "keydown", "pointerdown", "focusin"]) scroller.addEventListener(kind, moveOn, { passive: true });
  const showsMore = (event) => {
    if (event.target.closest(".more")) sticks = false;
  };
  byId("messages").addEventListener("click", showsMore, true);
  // Pictures take their room when they have come, and texts another one in a narrower window.
  const stay = () => {
    if (held !== null) elementOf(held)?.scrollIntoView({ block: "start" });
    else if (sticks && !isGoingAlong()) scroller.scrollTop = scroller.scrollHeight;
  };
  new ResizeObserver(stay).observe(byId("messages"));
}
