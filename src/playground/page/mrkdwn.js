// Slack's mrkdwn as nodes (docs.slack.dev, "Formatting message text").

import { h } from "./dom.js";
import { pictureOf, withEmoji } from "./emoji.js";
import { allowed, link } from "./links.js";
import { channelName, nameOf } from "./people.js";
import { formatDate } from "./time.js";

const DELIMITERS = { "*": "strong", _: "em", "~": "s" };
/** Code, a control sequence, an emoji, a bare address: inside them, nothing else has a meaning. */
const ATOM = /`([^`\n]+)`|<([^<>\n]+)>|:([\w+'-]+?(?:::skin-tone-[2-6])?):|(https?:\/\/(?:(?!&[lg]t;)[^\s<>|`])+)/y;
const QUOTE = /^(?:&gt;|>) ?/;
const QUOTE_ALL = /^(?:&gt;|>){3} ?/;
const WORD = /[\p{L}\p{N}]/u;

const unescape = (text) => text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");
const mention = (text) => h("span", { className: "mention", dir: "auto" }, text);

function special(body, label) {
  const [kind, ...rest] = body.split("^");
  if (kind === "date") {
    const [seconds, format = "", url] = rest;
    const text = formatDate(seconds, unescape(format), unescape(label ?? ""));
    return url ? link(unescape(url), text) : h("span", { title: label && unescape(label) }, text);
  }
  if (kind === "subteam") return mention(label ? unescape(label) : `@${rest[0] ?? ""}`);
  if (["here", "channel", "everyone"].includes(kind)) return mention(`@${kind}`);
  return document.createTextNode(unescape(label ?? `<!${body}>`));
}

/** What stands between `<` and `>`. */
function control(body) {
  const bar = body.indexOf("|");
  const target = bar < 0 ? body : body.slice(0, bar);
  const label = bar < 0 ? null : body.slice(bar + 1);
  const rest = target.slice(1);
  if (target[0] === "@") return mention(`@${nameOf(rest) ?? unescape(label ?? rest)}`);
  if (target[0] === "#") return mention(`#${channelName(rest) ?? unescape(label ?? rest)}`);
  if (target[0] === "!") return special(rest, label);
  if (!allowed(unescape(target))) return document.createTextNode(unescape(`<${body}>`));
  return link(unescape(target), label ? withEmoji(unescape(label)) : unescape(target));
}

/** Code in which control sequences, and they alone, have a meaning. */
const code = (text) =>
  text.split(/<([^<>\n]+)>/).map((part, i) => (i % 2 === 1 ? control(part) : unescape(part)));

/** A bare address, without the punctuation of the sentence around it. */
function bare(text) {
  const address = text.replace(/[.,:;!?'")\]*_~]+$/, "");
  return [link(unescape(address), unescape(address)), text.slice(address.length)];
}

function atomAt(text, at) {
  ATOM.lastIndex = at;
  return ATOM.exec(text);
}

/** The nodes of an atom; null where it has no meaning here. */
function render([whole, inCode, inControl, name, address], verbatim) {
  if (inCode !== undefined) return h("code", {}, code(inCode));
  if (inControl !== undefined) return control(inControl);
  if (name !== undefined) return pictureOf(name);
  return address !== undefined && !verbatim ? bare(whole) : null;
}

const opens = (text, at) =>
  text[at] in DELIMITERS && !WORD.test(text[at - 1] ?? " ") && text[at - 1] !== text[at] && /[^\s]/.test(text[at + 1] ?? " ");

/** Where the style that opens at `at` ends on its line; -1 where it does not. */
function closing(text, at) {
  for (let i = at + 1; i < text.length && text[i] !== "\n"; ) {
    const atom = atomAt(text, i);
    if (atom) {
      i += atom[0].length;
      continue;
    }
    const isEnd = text[i] === text[at] && i > at + 1 && /\S/.test(text[i - 1]) && !WORD.test(text[i + 1] ?? " ");
    if (isEnd && text[i + 1] !== text[at]) return i;
    i += 1;
  }
  return -1;
}

/** One line or several, without quotes and blocks of code; `inside` are the delimiters around it. */
function inline(text, verbatim, inside = "") {
  const nodes = [];
  /** No style of this kind ends before here: looking again would cost the square of the length. */
  const hopeless = {};
  let plain = "";
  const push = (...fresh) => {
    nodes.push(unescape(plain), ...fresh);
    plain = "";
  };
  for (let at = 0; at < text.length; ) {
    const atom = atomAt(text, at);
    const shown = atom && render(atom, verbatim);
    const wants = !atom && opens(text, at) && !inside.includes(text[at]) && at >= (hopeless[text[at]] ?? 0);
    const end = wants ? closing(text, at) : -1;
    if (shown) push(shown);
    else if (end > 0) push(h(DELIMITERS[text[at]], {}, inline(text.slice(at + 1, end), verbatim, inside + text[at])));
    else plain += atom ? atom[0] : text[at];
    if (wants && end < 0) hopeless[text[at]] = text.indexOf("\n", at) < 0 ? text.length : text.indexOf("\n", at);
    at = end > 0 ? end + 1 : at + (atom ? atom[0].length : 1);
  }
  push();
  return nodes.flat().filter((node) => node !== "");
}

/** Lines, those of a quote together. */
function paragraphs(text, verbatim) {
  const groups = [];
  let all = false;
  for (const line of text.split("\n")) {
    const startsAll = !all && QUOTE_ALL.test(line);
    const isQuote = all || startsAll || QUOTE.test(line);
    const content = all ? line : line.replace(startsAll ? QUOTE_ALL : QUOTE, "");
    all ||= startsAll;
    if (groups.at(-1)?.isQuote === isQuote) groups.at(-1).lines.push(content);
    else groups.push({ isQuote, lines: [content] });
  }
  return groups.flatMap(({ isQuote, lines }) => {
    const nodes = inline(lines.join("\n"), verbatim);
    return isQuote ? h("blockquote", { dir: "auto" }, nodes) : nodes;
  });
}

/** mrkdwn as nodes. With `verbatim`, bare addresses stay text. */
export function mrkdwn(text, verbatim = false) {
  const parts = String(text ?? "").split(/\n?```\n?([^]+?)\n?```\n?/);
  return parts.flatMap((part, i) => {
    if (i % 2 === 1) return h("pre", { dir: "auto" }, code(part));
    return part === "" ? [] : paragraphs(part, verbatim);
  });
}

/** A text object of Block Kit as nodes. */
export function textObject(object) {
  if (object?.type === "mrkdwn") return mrkdwn(object.text, object.verbatim === true);
  return [plainText(object)];
}

/** A plain text object; names between colons are emoji only where it says so. */
export function plainText(object) {
  const text = String(object?.text ?? "");
  return object?.emoji === true ? withEmoji(text) : text;
}
