// The side panel: a thread, or the traces with their scores.

import { byId, h } from "./dom.js";
import { currentChannel } from "./store.js";
import { leaveThread, openThreadTs, showThread } from "./thread.js";
import { showTraces, stopTraces } from "./traces.js";

let from = null;
let hasTraces = false;

function open(title) {
  if (byId("panel").hidden) from = document.activeElement;
  byId("panel").hidden = false;
  byId("panel-title").textContent = title;
  document.body.classList.add("with-panel");
  byId("open-traces").setAttribute("aria-expanded", String(hasTraces));
}

/** Closes the panel; the focus goes back to where it was. */
export function closePanel() {
  if (byId("panel").hidden) return;
  stopTraces();
  leaveThread();
  hasTraces = false;
  byId("panel").hidden = true;
  byId("open-traces").setAttribute("aria-expanded", "false");
  document.body.classList.remove("with-panel");
  from?.focus?.();
  from = null;
}

export function openThread(ts) {
  stopTraces();
  hasTraces = false;
  open("Thread");
  showThread(ts);
}

/** Shows the traces of the channel's project; `traceId` is one to show first. */
export function openTraces(traceId = null) {
  leaveThread();
  hasTraces = true;
  byId("panel-body").replaceChildren(h("p", { className: "note" }, "Loading …"));
  open(`Langfuse · ${currentChannel()?.name ?? ""}`);
  showTraces(currentChannel(), traceId);
  byId("close-panel").focus();
}

export function watchPanel() {
  byId("open-traces").addEventListener("click", () => (hasTraces ? closePanel() : openTraces()));
  byId("close-panel").addEventListener("click", closePanel);
  addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.defaultPrevented) return;
    if (!document.querySelector("dialog[open], .menu:popover-open")) closePanel();
  });
}

export { openThreadTs };
