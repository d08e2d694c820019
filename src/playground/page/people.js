// The team's people and channels by id, and who sits at the page.

import { become, me } from "./api.js";
import { byId, h } from "./dom.js";
import { openMenu } from "./menu.js";
import { themeItems } from "./theme.js";

const people = new Map();
const channels = new Map();
const COLOURS = 8;

/** People whom mentions may name. */
export function knowPeople(list) {
  for (const person of list) people.set(person.id, person);
}

/** Channels that mentions may name. */
export function knowChannels(list) {
  for (const channel of list) channels.set(channel.id, channel);
}

export const nameOf = (id) => people.get(id)?.real_name ?? null;
export const channelName = (id) => channels.get(id)?.name ?? null;

/** The person at the page. */
export const myself = () =>
  [...people.values()].find((person) => person.id === me() || person.name === me()) ?? { id: me(), real_name: me() };

const initials = (name) =>
  name
    .split(/\s+/)
    .map((word) => word.match(/^\d+$/)?.[0] ?? [...word][0] ?? "")
    .join("")
    .slice(0, 3)
    .toUpperCase();

/** A person's picture: the initials on a colour that stays theirs. */
export function avatar(id, size = "") {
  const sum = [...id].reduce((sum, letter) => sum + letter.codePointAt(0), 0);
  const className = `avatar face colour-${sum % COLOURS} ${size}`.trim();
  return h("span", { className, "aria-hidden": "true" }, initials(nameOf(id) ?? id));
}

/** Shows who sits at the page, with a menu to be somebody else; `changed` runs after that. */
export function showMyself(changed) {
  const { id, real_name: name } = myself();
  const button = byId("person");
  const what = h("span", { className: "unseen" }, "(switch person, light and dark)");
  button.replaceChildren(avatar(id, "small"), h("span", { className: "person-name", dir: "auto" }, name), what);
  const choose = (person) => () => {
    become(person.id);
    changed();
  };
  const inOrder = (a, b) => a.real_name.localeCompare(b.real_name, undefined, { numeric: true });
  const others = [...people.values()].filter((person) => person.name !== "you").sort(inOrder);
  const item = (person) => ({ text: person.real_name, checked: person.id === myself().id, run: choose(person) });
  const you = [...people.values()].filter((person) => person.name === "you");
  const items = () => [
    { heading: "Colours" },
    ...themeItems(),
    { heading: "Be somebody" },
    ...[...you, ...others].map(item),
  ];
  button.onclick = () => openMenu(button, "Person and colours", items());
}
