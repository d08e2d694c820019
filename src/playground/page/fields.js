// The input block of modals: a label, an element, a hint, and what is wrong.

import { freshId, h } from "./dom.js";
import { element } from "./elements.js";
import { plainText } from "./mrkdwn.js";

/** Elements that one label can't name: they are a group with a legend. */
const GROUPS = ["radio_buttons", "checkboxes"];
const CONTROLS = "input, textarea, select";

/** An input block. With `dispatch_action` its element also tells the app of each change. */
export function field(block, context) {
  const item = block.element ?? {};
  const id = freshId("field");
  const isGroup = GROUPS.includes(item.type);
  const silent = () => {};
  const act = block.dispatch_action ? context.act : silent;
  const inner = element(item, { act, blockId: block.block_id, labelledBy: `${id}-label` });
  const optional = block.optional ? h("small", {}, " (optional)") : null;
  const label = h(isGroup ? "span" : "label", { className: "field-label", id: `${id}-label`, dir: "auto" }, plainText(block.label), optional);
  if (isGroup) inner.setAttribute("aria-labelledby", `${id}-label`);
  else label.htmlFor = inner.id = id;
  inner.setAttribute("aria-describedby", `${id}-hint ${id}-problem`);
  return h(
    "div",
    { className: "field", "data-block": block.block_id, "data-input": item.action_id, "data-kind": item.type },
    label,
    inner,
    h("small", { id: `${id}-hint`, dir: "auto" }, block.hint ? plainText(block.hint) : ""),
    h("p", { id: `${id}-problem`, className: "problem", role: "alert", dir: "auto" }),
  );
}

function valueOf(field) {
  const checked = [...field.querySelectorAll("input:checked")].map((input) => input.value);
  if (field.dataset.kind === "checkboxes") return checked;
  if (field.dataset.kind === "radio_buttons") return checked[0] ?? "";
  return field.querySelector(CONTROLS)?.value ?? "";
}

const fieldsOf = (form) => [...form.querySelectorAll("[data-input]")];

/** What a form holds: `{block_id: {action_id: value}}`, texts, and lists of texts for checkboxes. */
export function valuesOf(form) {
  const values = {};
  for (const field of fieldsOf(form)) values[field.dataset.block] = { [field.dataset.input]: valueOf(field) };
  return values;
}

/** Fills a form as another one was: an app that updates a modal keeps what was typed. */
export function refill(form, values) {
  for (const field of fieldsOf(form)) {
    const value = values[field.dataset.block]?.[field.dataset.input];
    if (value === undefined) continue;
    const boxes = field.querySelectorAll("[type=checkbox], [type=radio]");
    for (const box of boxes) box.checked = [value].flat().includes(box.value);
    if (boxes.length === 0) field.querySelector(CONTROLS).value = value;
  }
}

/** Says what is wrong, by block, and brings the focus to the first such field. */
export function showProblems(form, problems) {
  const wrong = fieldsOf(form).filter((field) => {
    const problem = problems[field.dataset.block];
    field.querySelector(".problem").textContent = problem ?? "";
    for (const control of field.querySelectorAll(CONTROLS)) control.toggleAttribute("aria-invalid", Boolean(problem));
    return problem;
  });
  wrong[0]?.querySelector(CONTROLS)?.focus();
}
