// Where a person writes: messages, replies, and commands that begin with a slash.

import { post } from "./api.js";
import { h, toast } from "./dom.js";
import { openedFrom } from "./modal.js";

const COMMAND = "/iofold";
const COMMANDS = ["label", "status", "generate", "report", "evals", "pause", "budget", "help"];

/** What was typed and not sent, by where it would go. */
const drafts = new Map();

async function send(channel, text, threadTs) {
  const command = text.match(/^(\/\S*)\s*([^]*)$/);
  if (command && command[1] !== COMMAND) throw new Error(`${command[1]} is no command here: ${COMMAND} help lists those that are.`);
  if (command && threadTs) throw new Error("Commands don't work in threads, in Slack neither.");
  if (command) return post(`channels/${channel}/command`, { text: command[2] });
  return post(`channels/${channel}/say`, { text, ...(threadTs ? { thread_ts: threadTs } : {}) });
}

/** Buttons that fill a command in, while one is being typed. */
function suggestions(input, grow) {
  const fill = (command) => () => {
    input.value = `${COMMAND} ${command}`;
    grow();
    input.focus();
  };
  const button = (command) => h("button", { type: "button", className: "chip", onclick: fill(command) }, `${COMMAND} ${command}`);
  return h("div", { className: "chips", role: "group", "aria-label": "Commands", hidden: true }, COMMANDS.map(button));
}

/** A place to write; `where` gives `{channel, threadTs}` when something is sent. */
export function composer(label, where, takesCommands) {
  const key = () => `${where().channel}/${where().threadTs ?? ""}`;
  const grow = () => {
    drafts.set(key(), input.value);
    button.disabled = input.value.trim() === "";
    chips.hidden = !takesCommands || !input.value.startsWith("/") || input.value.includes("\n");
    input.style.height = "auto";
    input.style.height = `${Math.min(input.scrollHeight, 180)}px`;
  };
  const submit = async (event) => {
    event?.preventDefault();
    const text = input.value.trim();
    if (text === "" || form.ariaBusy === "true") return;
    form.ariaBusy = "true";
    openedFrom(input);
    try {
      await send(where().channel, text, where().threadTs);
      input.value = "";
      grow();
    } catch (failure) {
      toast(failure.message);
    } finally {
      form.ariaBusy = "false";
    }
  };
  const keydown = (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    submit();
  };
  const input = h("textarea", { rows: 1, dir: "auto", "aria-label": label, placeholder: label, maxLength: 4000, oninput: grow, onkeydown: keydown });
  const button = h("button", { type: "submit", className: "strong send", disabled: true, "aria-label": "Send" }, "➤");
  const chips = suggestions(input, grow);
  const form = h("form", { className: "writer", onsubmit: submit }, chips, h("div", { className: "writer-row" }, input, button));
  const restore = () => {
    input.value = drafts.get(key()) ?? "";
    grow();
  };
  const rename = (text) => {
    input.placeholder = text;
    input.setAttribute("aria-label", text);
  };
  return { form, restore, rename, focus: () => input.focus() };
}
