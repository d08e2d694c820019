// How far a channel is: labels, the report, the deployed eval.

import { h } from "./dom.js";

/** An eval needs this many labelled traces of either class. */
const EACH_NEEDED = 3;

export const isLabelled = ({ report_ts, labelled, wanted, up, down }) =>
  Boolean(report_ts) || (labelled >= wanted && Math.min(up, down) >= EACH_NEEDED);

function labelText({ report_ts, labelled, wanted, up, down }) {
  const isShort = !report_ts && Math.min(up, down) < EACH_NEEDED;
  const count = labelled < wanted ? `${labelled} of ${wanted}` : `${labelled} labelled`;
  return `${count} · 👍 ${up} · 👎 ${down}${isShort ? ` · ${EACH_NEEDED} of each needed` : ""}`;
}

function reportText(channel) {
  if (channel.report_ts) return "It is in.";
  if (channel.not_yet_ts) return "More labels are needed.";
  if (channel.discarded) return "Discarded; more labels make another.";
  return isLabelled(channel) ? "An eval is being made …" : "Comes by itself.";
}

function deployText(channel) {
  if (channel.deployed) return "New traces are scored.";
  return channel.report_ts ? "Press Deploy under the report." : "Then every new trace is scored.";
}

/** The three steps in words. */
export const stepTexts = (channel) => ({ label: labelText(channel), report: reportText(channel), deploy: deployText(channel) });

function step(number, title, text, progress, action = null) {
  const button = action && h("button", { type: "button", className: "link", onclick: action.run }, action.text);
  return h(
    "li",
    { className: progress, "aria-current": progress === "now" ? "step" : undefined },
    h("span", { className: "step-mark", "aria-hidden": "true" }, progress === "done" ? "✓" : number),
    h("div", {}, h("strong", {}, title), h("span", {}, h("span", { className: "step-text" }, text, " "), button)),
  );
}

/** The steps of a channel; `on.reveal(ts)` shows a message, `on.scores()` the scores. */
export function steps(channel, on) {
  const text = stepTexts(channel);
  const hasReport = Boolean(channel.report_ts);
  const enough = isLabelled(channel);
  const answer = channel.report_ts ?? channel.not_yet_ts;
  const seeAnswer = answer && { text: hasReport ? "See it" : "See why", run: () => on.reveal(answer) };
  const seeScores = channel.deployed ? { text: "See scores", run: on.scores } : null;
  return [
    step("1", "Label", text.label, enough ? "done" : "now"),
    step("2", "Report", text.report, hasReport ? "done" : enough ? "now" : "later", seeAnswer),
    step("3", "Deploy", text.deploy, channel.deployed ? "done" : hasReport ? "now" : "later", seeScores),
  ];
}
