// Links, to where a person may go and nowhere else.

import { h } from "./dom.js";

const ALLOWED = ["http:", "https:", "mailto:"];

let shows = null;

/** How the page shows a trace, and a message, itself: `{trace(id), message(channel, ts)}`. */
export function showInside(handlers) {
  shows = handlers;
}

/** Runs `action` instead of following the link, unless another tab is asked for. */
const instead = (action) => (event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  action();
};

/** What a link of this playground leads to, where the page can show it itself. */
function inPage(target) {
  if (target.origin !== location.origin || !shows) return undefined;
  const trace = target.pathname.match(/\/langfuse\/.*\/traces\/([^/]+)$/);
  if (trace) return instead(() => shows.trace(decodeURIComponent(trace[1])));
  const message = target.pathname.match(/\/archives\/(\w+)\/p(\d+)(\d{6})$/);
  if (message) return instead(() => shows.message(message[1], `${message[2]}.${message[3]}`));
  return undefined;
}

/** The address where it is one that may be followed, else null. */
export function allowed(url) {
  const target = URL.canParse(url) ? new URL(url) : null;
  return ALLOWED.includes(target?.protocol) ? target : null;
}

/** A link around `content`; where the address may not be followed, the content alone. */
export function link(url, ...content) {
  const target = allowed(url);
  if (!target) return h("span", {}, content);
  const props = { href: target.href, title: target.href, target: "_blank", rel: "noopener noreferrer" };
  return h("a", { ...props, onclick: inPage(target) }, content);
}
