// The overview: every channel with its cards, its labels and its eval.

import { h } from "./dom.js";
import { stepTexts } from "./steps.js";

function fact(name, value) {
  return h("div", {}, h("dt", {}, name), h("dd", {}, value));
}

function labelProgress({ labelled, wanted, name }) {
  return h("progress", { max: wanted, value: Math.min(labelled, wanted), "aria-label": `#${name}: ${labelled} of ${wanted} traces labelled` });
}

function evalText(channel) {
  const text = stepTexts(channel);
  return channel.deployed ? `Deployed: ${text.deploy}` : channel.report_ts ? "A report waits for a decision." : text.report;
}

function card(channel, open) {
  const arriving = channel.waiting > 0 ? `${channel.waiting} still to come` : "all have come";
  return h(
    "article",
    { className: "overview-card", "aria-label": `#${channel.name}` },
    h("h2", {}, h("button", { type: "button", className: "link", onclick: () => open(channel.id) }, `# ${channel.name}`)),
    h("p", { className: "soft", dir: "auto" }, channel.topic),
    labelProgress(channel),
    h(
      "dl",
      {},
      fact("Workspace", channel.workspace),
      fact("Cards", `${channel.cards}, ${arriving}`),
      fact("Labelled", `${channel.labelled} · 👍 ${channel.up} · 👎 ${channel.down}`),
      fact("Eval", evalText(channel)),
    ),
  );
}

/** The cards of all channels; `open` shows one. */
export const overview = (channels, open) => channels.map((channel) => card(channel, open));
