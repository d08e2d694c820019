// A menu below a button, for the mouse and the keyboard.

import { h } from "./dom.js";

const GAP_PX = 4;

/** Where the focus goes back to: the button, or the one that has taken its place since. */
function standIn(trigger, ts) {
  if (trigger.isConnected || !ts || !trigger.dataset.action) return trigger;
  return document.querySelector(`[data-ts="${CSS.escape(ts)}"] [data-action="${CSS.escape(trigger.dataset.action)}"]`);
}

/** Keeps the menu in the window, below the button or above it. */
function place(menu, trigger) {
  const at = trigger.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = menu;
  const fitsBelow = at.bottom + GAP_PX + height <= innerHeight;
  const left = Math.min(at.left, innerWidth - width - GAP_PX);
  const top = fitsBelow ? at.bottom + GAP_PX : Math.max(at.top - GAP_PX - height, GAP_PX);
  menu.style.left = `${Math.max(left, GAP_PX)}px`;
  menu.style.top = `${top}px`;
}

/** Moves the focus as a menu does; gives whether the key was one of its own. */
function move(menu, event) {
  const items = [...menu.querySelectorAll("[role^=menuitem]")];
  const at = items.indexOf(document.activeElement);
  const letter = event.key.length === 1 && event.key !== " " ? event.key.toLowerCase() : null;
  const begins = (item) => item.textContent.trim().toLowerCase().startsWith(letter);
  const to = {
    ArrowDown: items[(at + 1) % items.length],
    ArrowUp: items.at(at <= 0 ? -1 : at - 1),
    Home: items[0],
    End: items.at(-1),
  }[event.key] ?? (letter && [...items.slice(at + 1), ...items].find(begins));
  to?.focus();
  return Boolean(to);
}

function itemElement(item, close) {
  if (item.heading) return h("p", { className: "menu-heading", role: "presentation" }, item.heading);
  const isChoice = item.checked !== undefined;
  const props = {
    type: "button",
    role: isChoice ? "menuitemradio" : "menuitem",
    "aria-checked": isChoice ? item.checked : undefined,
    "aria-label": item.label,
    className: item.danger ? "danger" : "",
    tabIndex: -1,
    onclick: () => {
      close();
      item.run();
    },
  };
  const mark = isChoice ? h("span", { className: "menu-mark", "aria-hidden": "true" }, item.checked ? "✓" : "") : null;
  const more = item.description ? h("small", { dir: "auto" }, item.description) : null;
  return h("button", props, mark, h("span", { dir: "auto" }, item.text, more));
}

/** Opens a menu below `trigger`. An item has `text` and `run`, perhaps `checked`, `description`, `label`, or is a `heading`. */
export function openMenu(trigger, label, items) {
  if (trigger.getAttribute("aria-expanded") === "true") return;
  const ts = trigger.closest("[data-ts]")?.dataset.ts;
  const menu = h("div", { className: "menu", role: "menu", "aria-label": label });
  menu.popover = "auto";
  const close = () => menu.hidePopover();
  menu.append(...items.map((item) => itemElement(item, close)));
  menu.addEventListener("keydown", (event) => {
    if (event.key === "Tab") close();
    if (event.key === "Tab" || move(menu, event)) event.preventDefault();
  });
  menu.addEventListener("beforetoggle", ({ newState }) => {
    if (newState !== "closed") return;
    const isInside = menu.contains(document.activeElement);
    trigger.setAttribute("aria-expanded", "false");
    trigger.popoverTargetElement = null;
    if (isInside) standIn(trigger, ts)?.focus({ preventScroll: true });
    setTimeout(() => menu.remove());
  });
  (trigger.closest("dialog") ?? document.body).append(menu);
  menu.showPopover();
  trigger.setAttribute("aria-expanded", "true");
  // A press on the button closes the menu; without this it would close and open anew. Not before this press is over.
  setTimeout(() => {
    if (trigger.getAttribute("aria-expanded") !== "true") return;
    trigger.popoverTargetElement = menu;
    trigger.popoverTargetAction = "hide";
  });
  place(menu, trigger);
  (menu.querySelector("[aria-checked=true]") ?? menu.querySelector("[role^=menuitem]"))?.focus();
}

/** What a button that opens a menu says of itself. */
export const menuButton = { "aria-haspopup": "menu", "aria-expanded": "false" };
