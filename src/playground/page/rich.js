// The rich_text block (docs.slack.dev, "Rich text block"): its text is never parsed.

import { h } from "./dom.js";
import { emoji } from "./emoji.js";
import { link } from "./links.js";
import { channelName, nameOf } from "./people.js";
import { formatDate } from "./time.js";

const STYLES = { code: "code", bold: "strong", italic: "em", strike: "s", underline: "u", highlight: "mark", client_highlight: "mark" };
/** Slack draws no deeper list. */
const DEEPEST = 8;

const mention = (text) => h("span", { className: "mention", dir: "auto" }, text);

/** An emoji is its name's, or the characters that its `unicode` field spells. */
function emojiOf(span) {
  const points = String(span.unicode ?? "").split("-").map((hex) => Number.parseInt(hex, 16));
  const isSpelt = points.every((point) => point > 0 && point <= 0x10ffff);
  return isSpelt ? String.fromCodePoint(...points) : emoji(String(span.name));
}

function date(span) {
  const text = formatDate(span.timestamp, span.format ?? "{date}", span.fallback);
  return span.url ? link(span.url, text) : h("time", { title: span.fallback }, text);
}

const SPANS = {
  __proto__: null,
  text: (span) => document.createTextNode(span.text ?? ""),
  link: (span) => link(span.url, span.text || span.url),
  emoji: (span) => document.createTextNode(emojiOf(span)),
  user: (span) => mention(`@${nameOf(span.user_id) ?? span.user_id}`),
  channel: (span) => mention(`#${channelName(span.channel_id) ?? span.channel_id}`),
  usergroup: (span) => mention(`@${span.usergroup_id}`),
  broadcast: (span) => mention(`@${span.range}`),
  color: (span) => h("code", {}, span.value),
  date,
};

function styled(span) {
  let node = SPANS[span.type]?.(span) ?? h("span", { className: "unknown" }, `[${span.type}]`);
  for (const [style, tag] of Object.entries(STYLES)) {
    if (span.style?.[style]) node = h(tag, {}, node);
  }
  return node;
}

const spans = (element) => (element.elements ?? []).map(styled);
const depthOf = (list) => Math.min(Math.max(Number(list.indent) || 0, 0), DEEPEST);

/** Puts a list's items below what stands in `open`, the lists that are still open, outermost first. */
function addList(list, open) {
  const depth = depthOf(list);
  while (open.length > 0 && open.at(-1).depth > depth) open.pop();
  const last = open.at(-1);
  const isOrdered = list.style === "ordered";
  const start = (Number(list.offset) || 0) + 1;
  const goesOn = last?.depth === depth && last.isOrdered === isOrdered && (!isOrdered || start === last.next);
  if (last?.depth === depth && !goesOn) open.pop();
  const target = goesOn ? last : { depth, isOrdered, next: start, element: listElement(list, depth, start) };
  target.element.append(...(list.elements ?? []).map((item) => h("li", { dir: "auto" }, spans(item))));
  target.next += list.elements?.length ?? 0;
  if (goesOn) return null;
  const parent = open.at(-1)?.element.lastElementChild;
  open.push(target);
  parent?.append(target.element);
  return parent ? null : target.element;
}

function listElement(list, depth, start) {
  const tag = list.style === "ordered" ? "ol" : "ul";
  const className = `level-${depth % 3}${list.border ? " bordered" : ""}`;
  return h(tag, { className, start: tag === "ol" && start > 1 ? start : undefined });
}

const PARTS = {
  __proto__: null,
  rich_text_section: (part) => h("div", { className: "rich-section", dir: "auto" }, spans(part)),
  rich_text_preformatted: (part) => h("pre", { dir: "auto" }, spans(part)),
  rich_text_quote: (part) => h("blockquote", { dir: "auto" }, spans(part)),
};

/** The parts of a rich_text block. */
export function richText(block) {
  const nodes = [];
  let open = [];
  for (const part of block.elements ?? []) {
    if (part.type === "rich_text_list") {
      nodes.push(addList(part, open));
      continue;
    }
    open = [];
    nodes.push(PARTS[part.type]?.(part) ?? h("p", { className: "unknown" }, `[${part.type}]`));
  }
  return nodes;
}
