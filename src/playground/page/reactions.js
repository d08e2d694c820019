// Reactions below a message.

import { post } from "./api.js";
import { h, toast } from "./dom.js";
import { emoji } from "./emoji.js";
import { openMenu } from "./menu.js";
import { myself, nameOf } from "./people.js";

const OFFERED = ["+1", "-1", "neutral_face", "eyes", "white_check_mark", "heart", "tada", "thinking_face"];

const isMine = (reaction) => reaction.users.includes(myself().id);

/** Puts a reaction on a message, or takes one's own away. */
export async function toggleReaction(message, name) {
  const there = (message.reactions ?? []).find((reaction) => reaction.name === name);
  const remove = Boolean(there && isMine(there));
  await post(`channels/${message.channel}/react`, { ts: message.ts, name, remove }).catch((failure) => toast(failure.message));
}

/** Offers some reactions in a menu. */
export function pickReaction(trigger, message) {
  const item = (name) => ({ text: `${emoji(name)} ${name.replaceAll("_", " ")}`, run: () => toggleReaction(message, name) });
  openMenu(trigger, "Reactions", OFFERED.map(item));
}

function reactionButton(message, reaction) {
  const who = reaction.users.map((user) => nameOf(user) ?? user).join(", ");
  const props = {
    type: "button",
    className: "reaction",
    "aria-pressed": isMine(reaction),
    "aria-label": `${emoji(reaction.name)} ${reaction.count}: ${who}`,
    title: who,
    "data-action": `reaction-${reaction.name}`,
    onclick: () => toggleReaction(message, reaction.name),
  };
  return h("button", props, emoji(reaction.name), h("span", {}, reaction.count));
}

/** The reactions with their counts; null where there are none. */
export function reactionRow(message) {
  if (!message.reactions?.length) return null;
  const buttons = message.reactions.map((reaction) => reactionButton(message, reaction));
  return h("div", { className: "reactions", role: "group", "aria-label": "Reactions" }, buttons);
}
