// Block Kit to elements, for the blocks that iofold's messages use.

import { h } from "./dom.js";

const users = new Map();

/** People whom `<@U…>` may name. */
export function know(list) {
  for (const user of list) users.set(user.id, user);
}

const unescape = (text) => text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");

/** Runs `action` instead of following the link, unless another tab is asked for. */
const instead = (action) => (event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  action();
};

/** What a link of this playground leads to, where the page can show it itself. */
function inPage(target, on) {
  if (target.origin !== location.origin || !on) return undefined;
  const trace = target.pathname.match(/\/langfuse\/.*\/traces\/([^/]+)$/);
  if (trace) return instead(() => on.trace(decodeURIComponent(trace[1])));
  const message = target.pathname.match(/\/archives\/(\w+)\/p(\d+)(\d{6})$/);
  if (message) return instead(() => on.message(message[1], `${message[2]}.${message[3]}`));
  return undefined;
}

/** A link to http or https; anything else stays text. `on` has `trace` and `message`. */
function link(url, text, on) {
  const target = URL.canParse(url) ? new URL(url) : null;
  if (!["http:", "https:"].includes(target?.protocol)) return h("span", {}, text);
  const onclick = inPage(target, on);
  return h("a", { href: target.href, target: "_blank", rel: "noopener noreferrer", onclick }, text);
}

// One rule a kind of markup; the first that matches at the leftmost place wins.
const RULES = [
  [/```\n?([^]*?)```/, (m) => h("pre", {}, unescape(m[1]))],
  [/`([^`\n]+)`/, (m) => h("code", {}, unescape(m[1]))],
  [/<@([A-Z0-9]+)>/, (m) => h("span", { className: "mention" }, `@${users.get(m[1])?.real_name ?? m[1]}`)],
  [/<(https?:[^|>]+)\|([^>]*)>/, (m, on) => link(unescape(m[1]), unescape(m[2]), on)],
  [/<(https?:[^|>]+)>/, (m, on) => link(unescape(m[1]), unescape(m[1]), on)],
  [/(?<![\w*])\*([^*\n]+)\*(?![\w*])/, (m, on) => h("strong", {}, ...mrkdwn(m[1], on))],
  [/(?<![\w_])_([^_\n]+)_(?![\w_])/, (m, on) => h("em", {}, ...mrkdwn(m[1], on))],
  [/(?<![\w~])~([^~\n]+)~(?![\w~])/, (m, on) => h("s", {}, ...mrkdwn(m[1], on))],
];

function firstMatch(text) {
  let best = null;
  for (const [pattern, render] of RULES) {
    const match = pattern.exec(text);
    if (match && (best === null || match.index < best.match.index)) best = { match, render };
  }
  return best;
}

/** Slack's mrkdwn as nodes. */
export function mrkdwn(text, on) {
  const nodes = [];
  let rest = text;
  for (let found = firstMatch(rest); found; found = firstMatch(rest)) {
    const { match, render } = found;
    nodes.push(unescape(rest.slice(0, match.index)), render(match, on));
    rest = rest.slice(match.index + match[0].length);
  }
  nodes.push(unescape(rest));
  return nodes;
}

const textOf = (object, on) =>
  object?.type === "mrkdwn" ? mrkdwn(object.text, on) : [object?.text ?? ""];

const STYLES = { bold: "strong", italic: "em", strike: "s", code: "code" };

function span(element, on) {
  let node;
  if (element.type === "link") node = link(element.url, element.text ?? element.url, on);
  else if (element.type === "user") node = mrkdwn(`<@${element.user_id}>`)[1];
  else if (element.type === "emoji") node = document.createTextNode(`:${element.name}:`);
  else node = document.createTextNode(element.text ?? "");
  for (const [style, tag] of Object.entries(STYLES)) {
    if (element.style?.[style]) node = h(tag, {}, node);
  }
  return node;
}

function rich(element, on) {
  const inside = () => element.elements.map((child) => span(child, on));
  switch (element.type) {
    case "rich_text_preformatted":
      return h("pre", {}, inside());
    case "rich_text_quote":
      return h("blockquote", {}, inside());
    case "rich_text_list": {
      const items = element.elements.map((item) => h("li", {}, rich(item, on)));
      return h(element.style === "ordered" ? "ol" : "ul", {}, items);
    }
    default:
      return h("p", {}, inside());
  }
}

function button(element, context) {
  const classes = ["action", element.style].filter(Boolean).join(" ");
  return h(
    "button",
    {
      type: "button",
      className: classes,
      "aria-label": element.accessibility_label,
      "data-action": element.action_id,
      onclick: (event) => context.onClick(element, event.currentTarget),
    },
    element.text.text,
  );
}

function picture(block) {
  const source = block.slack_file ? `files/${encodeURIComponent(block.slack_file.id)}` : block.image_url;
  const caption = block.title && h("figcaption", {}, block.title.text);
  return h("figure", {}, caption, h("img", { src: source, alt: block.alt_text }));
}

const KINDS = {
  header: (block) => h("h3", {}, block.text.text),
  divider: () => h("hr"),
  image: picture,
  section(block, context) {
    const fields = (block.fields ?? []).map((field) => h("div", {}, textOf(field, context.on)));
    return h(
      "div",
      { className: "section" },
      block.text && h("p", {}, textOf(block.text, context.on)),
      fields.length > 0 ? h("div", { className: "fields" }, fields) : null,
      block.accessory?.type === "button" ? button(block.accessory, context) : null,
    );
  },
  context(block, context) {
    const part = (element) =>
      element.type === "image" ? picture(element) : h("span", {}, textOf(element, context.on));
    return h("div", { className: "context" }, block.elements.map(part));
  },
  actions: (block, context) =>
    h(
      "div",
      { className: "actions", role: "group", "aria-label": "Answer" },
      block.elements.filter((e) => e.type === "button").map((element) => button(element, context)),
    ),
  rich_text: (block, context) =>
    h("div", { className: "rich" }, block.elements.map((element) => rich(element, context.on))),
};

/** A message's blocks; a message without blocks is its text. `context` has `onClick` and `on`. */
export function renderBlocks(message, context) {
  if (!message.blocks?.length) return [h("p", {}, mrkdwn(message.text ?? "", context.on))];
  return message.blocks.map((block) => KINDS[block.type]?.(block, context) ?? h("p", {}, `[${block.type}]`));
}
