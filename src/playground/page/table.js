// Slack's table block: rows of raw text or rich text; the first row heads the columns.

import { h } from "./dom.js";
import { richText } from "./rich.js";

const ALIGNS = ["left", "center", "right"];

function content(cell) {
  if (cell?.type === "rich_text") return richText(cell);
  if (cell?.type === "raw_text") return cell.text ?? "";
  if (cell?.type === "raw_number") return cell.text ?? String(cell.value ?? "");
  return `[${cell?.type}]`;
}

/** A table in a frame of its own, which scrolls by itself and takes the focus for that. */
export function tableElement(head, rows, settings = []) {
  const cells = (tag, row) =>
    row.map((cell, i) => {
      const align = ALIGNS.includes(settings?.[i]?.align) ? settings[i].align : "left";
      const className = `align-${align}${settings?.[i]?.is_wrapped === false ? " unwrapped" : ""}`;
      return h(tag, { className, dir: "auto", scope: tag === "th" ? "col" : undefined }, cell);
    });
  const body = rows.map((row) => h("tr", {}, cells("td", row)));
  const table = h("table", {}, h("thead", {}, h("tr", {}, cells("th", head))), h("tbody", {}, body));
  return h("div", { className: "table", role: "group", "aria-label": "Table", tabIndex: 0 }, table);
}

/** The block. */
export function tableBlock(block) {
  const [head = [], ...rows] = (block.rows ?? []).map((row) => row.map(content));
  return tableElement(head, rows, block.column_settings ?? []);
}
