// Small helpers. Text always becomes text nodes: data is never parsed as HTML.

/** An element. `props` are properties, `on…` listeners, and `aria-…`, `data-…`, `role` attributes. */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name.includes("-") || name === "role") element.setAttribute(name, String(value));
    else element[name] = value;
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

export const byId = (id) => document.getElementById(id);

/** What the service said no to, or why it could not be asked. */
export class Failure extends Error {
  constructor(message, fields = null) {
    super(message);
    this.fields = fields;
  }
}

async function ask(path, options) {
  let response;
  try {
    response = await fetch(`api/${path}`, options);
  } catch {
    throw new Failure("iofold can't be reached.");
  }
  const body = await response.json().catch(() => null);
  if (!response.ok || body === null) {
    throw new Failure(body?.error ?? `iofold answered with status ${response.status}.`, body?.errors);
  }
  return body;
}

export const get = (path, signal) => ask(path, { signal });

export const post = (path, body) =>
  ask(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });

const dateOf = (ts) => new Date(Number(ts) * 1000);
export const clockOf = (ts) => clock.format(dateOf(ts));
export const isoOf = (ts) => dateOf(ts).toISOString();
export const dayOf = (ts) =>
  dateOf(ts).toDateString() === new Date().toDateString() ? "Today" : day.format(dateOf(ts));

/** A line that comes and goes. */
export function toast(text, action = null) {
  const close = () => line.remove();
  const run = () => {
    close();
    action.run();
  };
  const button = action && h("button", { type: "button", className: "link", onclick: run }, action.text);
  const line = h("div", { className: "toast" }, h("span", {}, text), button);
  byId("toasts").append(line);
  setTimeout(close, action ? 12000 : 6000);
}
