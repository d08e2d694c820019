// Interactive elements of Block Kit (docs.slack.dev, "Block elements"). Using one calls `context.act`.

import { confirmed } from "./confirm.js";
import { freshId, h } from "./dom.js";
import { allowed } from "./links.js";
import { menuButton, openMenu } from "./menu.js";
import { plainText, textObject } from "./mrkdwn.js";

const ICONS = { trash: "🗑️" };

/** Asks first where the element says so, then tells the app: `value` is a text, or texts for checkboxes. */
async function act(element, value, target, context) {
  if (element.confirm && !(await confirmed(element.confirm))) return false;
  context.act({ block_id: context.blockId, action_id: element.action_id, value }, target);
  return true;
}

const go = (url) => allowed(url) && open(allowed(url).href, "_blank", "noopener,noreferrer");

function button(element, context) {
  const press = async ({ currentTarget }) => {
    const isSure = await act(element, element.value ?? "", currentTarget, context);
    if (isSure && element.url) go(element.url);
  };
  return h(
    "button",
    {
      type: "button",
      className: ["action", element.style].filter(Boolean).join(" "),
      "aria-label": element.accessibility_label,
      "data-action": element.action_id,
      title: element.url,
      onclick: press,
    },
    h("span", { dir: "auto" }, plainText(element.text)),
  );
}

function overflow(element, context) {
  const items = (target) =>
    element.options.map((option) => ({
      text: plainText(option.text),
      description: option.description && plainText(option.description),
      run: async () => {
        if ((await act(element, option.value, target, context)) && option.url) go(option.url);
      },
    }));
  const props = {
    type: "button",
    className: "action overflow",
    "aria-label": element.accessibility_label ?? "More choices",
    "data-action": element.action_id,
    ...menuButton,
    onclick: ({ currentTarget }) => openMenu(currentTarget, "More choices", items(currentTarget)),
  };
  return h("button", props, h("span", { "aria-hidden": "true" }, "⋯"));
}

function staticSelect(element, context) {
  const initial = element.initial_option?.value;
  const option = (item) => h("option", { value: item.value, selected: item.value === initial }, plainText(item.text));
  const group = (item) => h("optgroup", { label: plainText(item.label) }, item.options.map(option));
  const placeholder = element.placeholder ? plainText(element.placeholder) : "Choose one";
  return h(
    "select",
    {
      className: "select",
      "aria-label": element.accessibility_label ?? (context.labelledBy ? undefined : placeholder),
      "data-action": element.action_id,
      onchange: ({ currentTarget }) => currentTarget.value && act(element, currentTarget.value, currentTarget, context),
    },
    h("option", { value: "", selected: initial === undefined }, placeholder),
    element.option_groups ? element.option_groups.map(group) : (element.options ?? []).map(option),
  );
}

/** Radio buttons or checkboxes. */
function choices(element, context, type) {
  const name = freshId("choice");
  const given = type === "radio" ? [element.initial_option] : (element.initial_options ?? []);
  const initial = new Set(given.filter(Boolean).map((option) => option.value));
  const changed = ({ currentTarget }) => {
    const values = [...currentTarget.querySelectorAll("input:checked")].map((input) => input.value);
    act(element, type === "radio" ? values[0] : values, currentTarget, context);
  };
  const choice = (option) =>
    h(
      "label",
      { className: "choice" },
      h("input", { type, name, value: option.value, checked: initial.has(option.value) }),
      h("span", { dir: "auto" }, textObject(option.text), option.description ? h("small", {}, textObject(option.description)) : null),
    );
  const label = element.accessibility_label ?? (type === "radio" ? "Choose one" : "Choose any");
  const group = {
    className: "choices",
    role: type === "radio" ? "radiogroup" : "group",
    "aria-label": context.labelledBy ? undefined : label,
    "data-action": element.action_id,
    onchange: changed,
  };
  return h("div", group, element.options.map(choice));
}

const INPUT_TYPES = { plain_text_input: "text", url_text_input: "url", email_text_input: "email", number_input: "number" };

function textInput(element, context) {
  const props = {
    value: element.initial_value ?? "",
    placeholder: element.placeholder ? plainText(element.placeholder) : "",
    maxLength: element.max_length ?? 3000,
    autocomplete: "off",
    dir: "auto",
    "data-action": element.action_id,
    "data-focus": element.focus_on_load ? "" : undefined,
    "aria-label": context.labelledBy ? undefined : (element.accessibility_label ?? "Your text"),
  };
  if (element.multiline) return h("textarea", { ...props, rows: 4 });
  return h("input", { ...props, type: INPUT_TYPES[element.type] });
}

/** Two thumbs for an answer, or a small button with a picture. */
function feedbackButtons(element, context) {
  const one = (item) => button({ ...item, action_id: element.action_id, style: undefined }, context);
  return [element.positive_button, element.negative_button].map(one);
}

function iconButton(element, context) {
  const label = plainText(element.text);
  const text = { type: "plain_text", text: ICONS[element.icon] ?? label };
  return button({ ...element, text, accessibility_label: element.accessibility_label ?? label }, context);
}

const KINDS = {
  __proto__: null,
  button,
  overflow,
  static_select: staticSelect,
  radio_buttons: (element, context) => choices(element, context, "radio"),
  checkboxes: (element, context) => choices(element, context, "checkbox"),
  plain_text_input: textInput,
  url_text_input: textInput,
  email_text_input: textInput,
  number_input: textInput,
  feedback_buttons: feedbackButtons,
  icon_button: iconButton,
};

/** An element; one that the page does not know says so. `context` has `act`, `blockId`, `labelledBy`. */
export function element(item, context) {
  return KINDS[item?.type]?.(item, context) ?? h("span", { className: "unknown" }, `[${item?.type}: not shown here]`);
}
