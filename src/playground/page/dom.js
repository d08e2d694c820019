// Small helpers. Text always becomes text nodes: data is never parsed as HTML.

/** An element. `props` are properties, `on…` listeners, and `aria-…`, `data-…`, `role`, `dir` attributes. */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || (value === false && !name.startsWith("aria-"))) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name.includes("-") || name === "role") element.setAttribute(name, String(value));
    else element[name] = value;
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export const byId = (id) => document.getElementById(id);

/** Whether the person asked for less movement. */
export const isQuiet = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

/** Brings an element into view, `block` says where. */
export const bringUp = (element, block) =>
  element.scrollIntoView({ behavior: isQuiet() ? "instant" : "smooth", block });

let counter = 0;
/** An id that no other element of the page has. */
export const freshId = (word) => `${word}-${(counter += 1)}`;

/** Tells those who listen instead of looking. */
export function say(text) {
  byId("said").textContent = text;
}

/** A line that comes and goes. It stands in the open modal if there is one: all else is out of reach then. */
export function toast(text, action = null) {
  const close = () => line.remove();
  const run = () => {
    close();
    action.run();
  };
  const button = action && h("button", { type: "button", className: "link", onclick: run }, action.text);
  const line = h("div", { className: "toast" }, h("span", { dir: "auto" }, text), button);
  const modal = document.querySelector("dialog[open] .modal-said");
  (modal ?? byId("toasts")).append(line);
  setTimeout(close, action ? 12000 : 6000);
}
