// The markdown block: standard Markdown, as far as Slack shows it (docs.slack.dev, "Markdown block").

import { h } from "./dom.js";
import { withEmoji } from "./emoji.js";
import { link } from "./links.js";
import { tableElement } from "./table.js";

/** Deeper nesting than this stays text. */
const DEEPEST = 10;

const INLINE = [
  [/\\([!-/:-@[-`{-~])/, (m) => m[1]],
  [/(`+)(.+?)\1(?!`)/, (m) => h("code", {}, m[2].trim() || m[2])],
  [/!\[([^\]\n]*)\]\(\s*<?([^\s()<>]+)>?(?:\s+"[^"\n]*")?\s*\)/, (m) => link(m[2], m[1] || m[2])],
  [/\[([^\]\n]+)\]\(\s*<?([^\s()<>]+)>?(?:\s+"[^"\n]*")?\s*\)/, (m, inner) => link(m[2], ...inner(m[1]))],
  [/<(https?:[^\s<>]+)>/, (m) => link(m[1], m[1])],
  [/(?<![\w/])https?:\/\/[^\s<>()\]"'`*]*[\w/=&#-]/, (m) => link(m[0], m[0])],
  [/\*\*(?=\S)(.+?)(?<=\S)\*\*/, (m, inner) => h("strong", {}, inner(m[1]))],
  [/(?<!\w)__(?=\S)(.+?)(?<=\S)__(?!\w)/, (m, inner) => h("strong", {}, inner(m[1]))],
  [/\*(?=\S)([^*]+?)(?<=\S)\*/, (m, inner) => h("em", {}, inner(m[1]))],
  [/(?<!\w)_(?=\S)([^_]+?)(?<=\S)_(?!\w)/, (m, inner) => h("em", {}, inner(m[1]))],
  [/~~(?=\S)(.+?)(?<=\S)~~/, (m, inner) => h("s", {}, inner(m[1]))],
];

function inline(text, depth = 0) {
  if (depth > DEEPEST) return [text];
  const nodes = [];
  const inner = (part) => inline(part, depth + 1);
  let rest = text;
  for (;;) {
    const found = INLINE.map(([pattern, show]) => ({ match: pattern.exec(rest), show })).filter(({ match }) => match);
    if (found.length === 0) break;
    const { match, show } = found.reduce((best, next) => (next.match.index < best.match.index ? next : best));
    nodes.push(withEmoji(rest.slice(0, match.index)), show(match, inner));
    rest = rest.slice(match.index + match[0].length);
  }
  return [...nodes, withEmoji(rest)];
}

const FENCE = /^ {0,3}(`{3,}|~{3,})/;
const HEADING = /^ {0,3}(#{1,6})\s+(.*?)\s*#*$/;
const RULE = /^ {0,3}([-*_])(\s*\1){2,}\s*$/;
const QUOTE = /^ {0,3}> ?/;
const ITEM = /^( *)([-*+]|\d{1,9}[.)])\s+(.*)$/;
const TABLE_RULE = /^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/;
const TASK = /^\[([ xX])\]\s+/;

/** Takes lines off the front while `belongs` says so. */
function take(lines, belongs) {
  const end = lines.findIndex((line, i) => !belongs(line, i));
  return lines.splice(0, end < 0 ? lines.length : end);
}

function fence(lines) {
  const mark = lines.shift().match(FENCE)[1];
  const inside = take(lines, (line) => !line.trimStart().startsWith(mark));
  lines.shift();
  return h("pre", { dir: "auto" }, inside.join("\n"));
}

function heading(lines) {
  const [, marks, text] = lines.shift().match(HEADING);
  return h(marks.length < 3 ? "h2" : "h3", { dir: "auto" }, inline(text));
}

function quote(lines, depth) {
  const inside = take(lines, (line) => QUOTE.test(line)).map((line) => line.replace(QUOTE, ""));
  return h("blockquote", { dir: "auto" }, blocks(inside, depth + 1));
}

function item(lines, depth) {
  const [whole, , marker, text] = lines.shift().match(ITEM);
  const width = whole.length - text.length;
  const isInside = (line) => line.trim() === "" || line.search(/\S/) >= Math.min(width, 2);
  const inside = take(lines, (line, i) => isInside(line) && !(line.trim() === "" && !lines[i + 1]?.startsWith(" ")));
  const task = text.match(TASK);
  const content = [text.replace(TASK, ""), ...inside.map((line) => line.slice(Math.min(width, line.search(/\S|$/))))];
  const box = task && h("span", { role: "img", "aria-label": task[1] === " " ? "to do" : "done" }, task[1] === " " ? "☐ " : "☑ ");
  return { marker, element: h("li", { dir: "auto" }, box, blocks(content, depth + 1)) };
}

function list(lines, depth) {
  const isOrdered = /\d/.test(lines[0].match(ITEM)[2]);
  const items = [];
  while (lines.length > 0 && ITEM.test(lines[0]) && /\d/.test(lines[0].match(ITEM)[2]) === isOrdered) items.push(item(lines, depth));
  const start = Number.parseInt(items[0].marker, 10);
  return h(isOrdered ? "ol" : "ul", { start: isOrdered && start !== 1 ? start : undefined }, items.map(({ element }) => element));
}

const cellsOf = (line) => line.trim().replace(/^\||\|$/g, "").split(/(?<!\\)\|/).map((cell) => cell.trim());

function table(lines) {
  const head = cellsOf(lines.shift());
  const settings = cellsOf(lines.shift()).map((rule) => ({ align: !rule.endsWith(":") ? "left" : rule.startsWith(":") ? "center" : "right" }));
  const rows = take(lines, (line) => line.includes("|")).map((line) => cellsOf(line).slice(0, head.length));
  return tableElement(head.map((cell) => inline(cell)), rows.map((row) => row.map((cell) => inline(cell))), settings);
}

const starts = (lines, i = 0) =>
  FENCE.test(lines[i]) || HEADING.test(lines[i]) || RULE.test(lines[i]) || QUOTE.test(lines[i]) || ITEM.test(lines[i]);

function block(lines, depth) {
  const [line, next = ""] = lines;
  if (FENCE.test(line)) return fence(lines);
  if (HEADING.test(line)) return heading(lines);
  if (RULE.test(line)) return lines.shift() && h("hr");
  if (QUOTE.test(line) && depth < DEEPEST) return quote(lines, depth);
  if (ITEM.test(line) && depth < DEEPEST) return list(lines, depth);
  if (line.includes("|") && TABLE_RULE.test(next)) return table(lines);
  const text = [lines.shift(), ...take(lines, (later, i) => later.trim() !== "" && !starts(lines, i))];
  return h("p", { dir: "auto" }, inline(text.join("\n")));
}

function blocks(lines, depth) {
  const nodes = [];
  while (lines.length > 0) {
    if (lines[0].trim() === "") lines.shift();
    else nodes.push(block(lines, depth));
  }
  return nodes;
}

/** Markdown as elements. */
export const markdown = (text) => blocks(String(text ?? "").replaceAll("\r\n", "\n").split("\n"), 0);
