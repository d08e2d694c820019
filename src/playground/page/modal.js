// Modals that the service opens.

import { mrkdwn } from "./blocks.js";
import { byId, h, post, toast } from "./dom.js";

let shown = null;
let opener = null;

/** Where the focus goes when a modal closes. */
export function openedFrom(element) {
  opener = element;
}

/** Shows the newest of the open modals, or none. */
export function showViews(views) {
  const view = views.at(-1) ?? null;
  if (view?.hash === shown?.hash) return;
  shown = view;
  const dialog = byId("modal");
  if (view === null) {
    if (dialog.open) dialog.close();
    opener?.focus?.();
    return;
  }
  dialog.replaceChildren(form(view));
  if (!dialog.open) dialog.showModal();
  const first = dialog.querySelector("[data-focus]") ?? dialog.querySelector("input, textarea, button");
  first?.focus();
}

function form(view) {
  const fields = view.blocks.map((block) => (block.type === "input" ? field(block) : text(block)));
  const submit = async (event) => {
    event.preventDefault();
    await send(view, event.currentTarget);
  };
  return h(
    "form",
    { method: "dialog", noValidate: true, onsubmit: submit },
    h("h2", { id: "modal-title" }, view.title.text),
    fields,
    h(
      "div",
      { className: "modal-buttons" },
      h("button", { type: "button", className: "quiet", onclick: () => leave() }, view.close?.text ?? "Close"),
      view.submit && h("button", { type: "submit", className: "strong" }, view.submit.text),
    ),
  );
}

const text = (block) => h("p", {}, mrkdwn(block.text?.text ?? ""));

function field(block) {
  const element = block.element;
  const id = `field-${block.block_id}`;
  const props = {
    id,
    name: block.block_id,
    value: element.initial_value ?? "",
    placeholder: element.placeholder?.text ?? "",
    maxLength: element.max_length ?? 3000,
    autocomplete: "off",
    "data-action": element.action_id,
    "data-focus": element.focus_on_load ? "" : undefined,
    "aria-describedby": `${id}-problem`,
  };
  return h(
    "div",
    { className: "field" },
    h("label", { htmlFor: id }, block.label.text, block.optional ? h("small", {}, " (optional)") : null),
    h(element.multiline ? "textarea" : "input", props),
    block.hint && h("small", {}, block.hint.text),
    h("p", { id: `${id}-problem`, className: "problem", role: "alert" }),
  );
}

async function send(view, form) {
  const inputs = [...form.querySelectorAll("[data-action]")];
  const values = {};
  for (const input of inputs) values[input.name] = { [input.dataset.action]: input.value };
  for (const problem of form.querySelectorAll(".problem")) problem.textContent = "";
  const button = form.querySelector("[type=submit]");
  button.disabled = true;
  try {
    await post(`views/${view.id}/submit`, { values });
    showViews([]);
  } catch (failure) {
    button.disabled = false;
    if (!failure.fields) return toast(failure.message);
    for (const input of inputs.filter((input) => failure.fields[input.name])) {
      byId(`${input.id}-problem`).textContent = failure.fields[input.name];
      input.focus();
    }
  }
}

async function leave() {
  const view = shown;
  showViews([]);
  if (view) await post(`views/${view.id}/close`, {}).catch(() => {});
}

byId("modal").addEventListener("cancel", (event) => {
  event.preventDefault();
  leave();
});
