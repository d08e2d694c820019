// The recorded annotators: they label cards when asked, and the page can go along with them.

import { post } from "./api.js";
import { bringUp, byId, toast } from "./dom.js";
import { store } from "./store.js";

const AT_ONCE = 10;

/** Whether the page goes along, until the person scrolls. */
let follows = false;
let followed = null;

export const isGoingAlong = () => follows;

export function stopGoingAlong() {
  follows = false;
}

const WORDS = {
  labelling: ({ done, of }) => `The recorded annotators are labelling: ${done} of ${of} …`,
  waiting: ({ done, of }) => `Waiting for the next card … ${done} of ${of} labelled`,
  stopped: ({ done, problem }) => `The annotators stopped after ${done}: ${problem}.`,
};

/** How far they are. */
export function renderAnnotators({ annotators }) {
  const isRunning = ["labelling", "waiting"].includes(annotators?.state);
  const progress = byId("progress");
  byId("annotate").disabled = isRunning;
  progress.hidden = !isRunning;
  if (isRunning) {
    progress.max = annotators.of;
    progress.value = annotators.done;
  }
  byId("hint").textContent = WORDS[annotators?.state]?.(annotators) ?? "Press 👍, 👎 or 😐 under a message, or:";
}

/** Brings the card that they are at into view; `ended` runs when they are done. */
export function goAlong({ annotators }, ended) {
  const { state: doing, card } = annotators ?? {};
  if (!follows) return;
  if (doing === "labelling" && card && card !== followed) {
    followed = card;
    const found = byId("messages").querySelector(`[data-ts="${CSS.escape(card)}"]`);
    if (found) bringUp(found, "end");
  }
  if (doing === "finished" || doing === "stopped") {
    follows = false;
    ended();
  }
}

/** `started` runs when they have begun. */
export function watchAnnotators(started) {
  byId("annotate").addEventListener("click", async () => {
    try {
      await post(`channels/${store.current}/annotators`, { count: AT_ONCE });
      follows = true;
      followed = null;
      started();
    } catch (failure) {
      toast(failure.message);
    }
  });
}
