// Block Kit to elements (docs.slack.dev, "Block Kit reference").

import { h } from "./dom.js";
import { element } from "./elements.js";
import { field } from "./fields.js";
import { link } from "./links.js";
import { markdown } from "./markdown.js";
import { mrkdwn, plainText, textObject } from "./mrkdwn.js";
import { richText } from "./rich.js";
import { tableBlock } from "./table.js";

/** An uploaded picture is shown; one from elsewhere is a link, because the page asks nobody for anything. */
function picture(block) {
  const caption = block.title && h("figcaption", { dir: "auto" }, plainText(block.title));
  if (!block.slack_file?.id) {
    const text = block.alt_text || block.image_url || "Picture";
    return h("figure", {}, caption, h("span", { className: "picture-link", dir: "auto" }, "🖼️ ", link(block.image_url, text)));
  }
  const source = `files/${encodeURIComponent(block.slack_file.id)}`;
  const image = h("img", { src: source, alt: block.alt_text ?? "" });
  return h("figure", {}, caption, h("a", { href: source, target: "_blank", rel: "noopener" }, image));
}

function section(block, context) {
  const fields = (block.fields ?? []).map((part) => h("div", { dir: "auto" }, textObject(part)));
  const accessory = block.accessory?.type === "image" ? picture(block.accessory) : block.accessory && element(block.accessory, context);
  return h(
    "div",
    { className: accessory ? "section with-accessory" : "section" },
    h(
      "div",
      { className: "section-text" },
      block.text && h("div", { className: "text", dir: "auto" }, textObject(block.text)),
      fields.length > 0 ? h("div", { className: "fields" }, fields) : null,
    ),
    accessory ? h("div", { className: "accessory" }, accessory) : null,
  );
}

function contextBlock(block) {
  const part = (item) => (item.type === "image" ? picture(item) : h("span", { dir: "auto" }, textObject(item)));
  return h("div", { className: "context" }, (block.elements ?? []).map(part));
}

function actions(block, context) {
  const elements = (block.elements ?? []).map((item) => element(item, context));
  return h("div", { className: `actions ${block.type}`, role: "group", "aria-label": "Answer" }, elements);
}

function video(block) {
  const title = h("strong", { dir: "auto" }, "🎬 ", link(block.title_url ?? block.video_url, plainText(block.title) || block.alt_text));
  const description = block.description && h("div", { className: "text", dir: "auto" }, plainText(block.description));
  return h("div", { className: "section" }, title, description);
}

const KINDS = {
  __proto__: null,
  header: (block) => h("h2", { dir: "auto" }, plainText(block.text)),
  divider: () => h("hr"),
  image: picture,
  section,
  context: contextBlock,
  actions,
  context_actions: actions,
  input: field,
  rich_text: (block) => h("div", { className: "rich" }, richText(block)),
  table: tableBlock,
  markdown: (block) => h("div", { className: "markdown" }, markdown(block.text)),
  video,
};

function render(block, context) {
  const kind = KINDS[block?.type];
  if (kind) return kind(block, { ...context, blockId: block.block_id });
  return h("p", { className: "unknown" }, `[A block of the kind “${block?.type}”: this page can't show it.]`);
}

/** Blocks as elements. `context.act` takes what a person does: `{block_id, action_id, value}` and the element. */
export const renderBlocks = (blocks, context) => blocks.map((block) => render(block, context));

/** A message's blocks; a message without blocks is its text. */
export function messageBlocks(message, context) {
  if (message.blocks?.length) return renderBlocks(message.blocks, context);
  return [h("div", { className: "text", dir: "auto" }, mrkdwn(message.text))];
}
