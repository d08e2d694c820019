// The app's Home: what the service publishes for each person.

import { post } from "./api.js";
import { renderBlocks } from "./blocks.js";
import { byId, h, toast } from "./dom.js";
import { openedFrom } from "./modal.js";

let hash = null;
let newest = null;

async function act(view, { block_id, action_id, value }, target) {
  openedFrom(target);
  const chosen = Array.isArray(value) ? { value: "", selected: value } : { value };
  target.setAttribute("aria-busy", "true");
  try {
    await post(`views/${view.id}/click`, { block_id, action_id, ...chosen });
  } catch (failure) {
    toast(`That click changed nothing: ${failure.message}`);
  } finally {
    target.removeAttribute("aria-busy");
  }
}

function render(view) {
  if (view && hash === `${view.id} ${view.hash}`) return;
  hash = view && `${view.id} ${view.hash}`;
  const body = byId("home");
  if (!view) {
    body.replaceChildren(h("p", { className: "note" }, "iofold has published nothing here yet."));
    return;
  }
  const focused = body.contains(document.activeElement) ? document.activeElement.dataset.action : null;
  body.replaceChildren(...renderBlocks(view.blocks ?? [], { act: (chosen, target) => act(view, chosen, target) }));
  if (focused) body.querySelector(`[data-action="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
}

/** Keeps what the service has published last, and shows it. */
export function showHome(view) {
  newest = view ?? null;
  if (!byId("home").hidden) render(newest);
}

/** Tells the service that the person has opened the Home, and shows it. */
export async function openHome() {
  hash = null;
  render(newest);
  await post("home/open").catch((failure) => toast(failure.message));
}
