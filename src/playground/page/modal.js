// Modals that the service opens, one over another.

import { post } from "./api.js";
import { renderBlocks } from "./blocks.js";
import { byId, h, say, toast } from "./dom.js";
import { refill, showProblems, valuesOf } from "./fields.js";
import { plainText } from "./mrkdwn.js";

let views = [];
let shown = null;
/** Closed here; an answer that was on its way may still hold them. */
const closed = new Set();
let opener = null;

/** Where the focus goes when the last modal closes. */
export function openedFrom(element) {
  opener = element;
}

function giveFocusBack() {
  const ts = opener?.closest?.("[data-ts]")?.dataset.ts;
  const action = opener?.dataset?.action;
  if (opener?.isConnected) opener.focus();
  else if (ts && action) document.querySelector(`[data-ts="${CSS.escape(ts)}"] [data-action="${CSS.escape(action)}"]`)?.focus();
}

/** Where the focus was, so that an updated modal can be gone on with. */
function focusIn(dialog) {
  const focused = dialog.contains(document.activeElement) ? document.activeElement : null;
  return { action: focused?.dataset.action, block: focused?.closest("[data-block]")?.dataset.block };
}

function bringFocus(dialog, { action, block }) {
  const same = action && dialog.querySelector(`[data-action="${CSS.escape(action)}"]`);
  const inBlock = block && dialog.querySelector(`[data-block="${CSS.escape(block)}"] :is(input, textarea, select)`);
  const asked = dialog.querySelector("[data-focus]");
  const first = dialog.querySelector(".modal-body :is(input, textarea, select, button), footer button");
  (same || inBlock || asked || first)?.focus();
}

/** Shows the newest of the open modals, or none. */
export function showViews(open) {
  views = open.filter((view) => !closed.has(view.id));
  const view = views.at(-1) ?? null;
  if (view?.id === shown?.id && view?.hash === shown?.hash) return;
  const dialog = byId("modal");
  const isUpdate = view !== null && view.id === shown?.id;
  const before = isUpdate ? { values: valuesOf(dialog), focus: focusIn(dialog) } : null;
  shown = view;
  if (view === null) {
    if (dialog.open) dialog.close();
    giveFocusBack();
    return;
  }
  dialog.replaceChildren(form(view));
  if (before) refill(dialog, before.values);
  if (!dialog.open) dialog.showModal();
  bringFocus(dialog, before?.focus ?? {});
  if (isUpdate) say(dialog.querySelector(".modal-body").innerText.slice(0, 300));
}

function form(view) {
  const submit = async (event) => {
    event.preventDefault();
    if (view.submit) await send(view, event.currentTarget);
  };
  const isPushed = views.length > 1;
  const back = isPushed && h("button", { type: "button", className: "quiet icon", "aria-label": "Back", onclick: leave }, "←");
  const close = { type: "button", className: "quiet icon", "aria-label": isPushed ? "Close all" : "Close", onclick: leaveAll };
  const context = { act: (chosen, target) => act(view, chosen, target) };
  return h(
    "form",
    { method: "dialog", className: "modal-form", noValidate: true, onsubmit: submit },
    h("header", {}, back, h("h2", { id: "modal-title", dir: "auto" }, plainText(view.title)), h("button", close, "✕")),
    h("div", { className: "modal-body blocks" }, renderBlocks(view.blocks, context)),
    h(
      "footer",
      {},
      h("div", { className: "modal-said", role: "status" }),
      h("button", { type: "button", className: "quiet", onclick: leave }, view.close ? plainText(view.close) : isPushed ? "Back" : "Close"),
      view.submit && h("button", { type: "submit", className: "strong", dir: "auto" }, plainText(view.submit)),
    ),
  );
}

/** Runs `work` while the modal says that something is on its way. */
async function whileBusy(element, work) {
  element.setAttribute("aria-busy", "true");
  try {
    await work();
  } finally {
    element.removeAttribute("aria-busy");
  }
}

async function act(view, { block_id, action_id, value }, target) {
  const chosen = Array.isArray(value) ? { value: "", selected: value } : { value };
  const values = valuesOf(byId("modal"));
  const work = () => post(`views/${view.id}/click`, { block_id, action_id, ...chosen, values });
  await whileBusy(target, work).catch((failure) => toast(`That changed nothing: ${failure.message}`));
}

async function send(view, form) {
  showProblems(form, {});
  const button = form.querySelector("[type=submit]");
  button.disabled = true;
  try {
    await whileBusy(form, () => post(`views/${view.id}/submit`, { values: valuesOf(form) }));
  } catch (failure) {
    if (failure.fields) showProblems(form, failure.fields);
    else toast(failure.message);
  } finally {
    button.disabled = false;
  }
}

async function leave() {
  const { id } = shown;
  closed.add(id);
  showViews(views);
  await post(`views/${id}/close`).catch(() => {});
}

/** Closes the modal at the bottom, and so those over it. */
async function leaveAll() {
  const [{ id }] = views;
  views.forEach((view) => closed.add(view.id));
  showViews(views);
  await post(`views/${id}/close`).catch(() => {});
}

byId("modal").addEventListener("cancel", (event) => {
  if (event.target !== byId("modal")) return;
  event.preventDefault();
  leave();
});
