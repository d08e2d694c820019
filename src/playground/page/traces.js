// The panel "Langfuse": the newest traces of the channel's project with their scores.

import { get } from "./api.js";
import { byId, h } from "./dom.js";

const EVERY_MS = 3000;
let timer = null;

/** Fills the panel and keeps it up to date until [`stopTraces`]; `wanted` is a trace to show first. */
export function showTraces(channel, wanted = null) {
  stopTraces();
  const load = async () => {
    try {
      const { traces, total, waiting } = await get(`channels/${channel.id}/traces`);
      render(channel, { traces, total, waiting }, wanted);
      wanted = null;
    } catch (failure) {
      byId("panel-body").replaceChildren(h("p", { className: "note" }, failure.message));
    }
    timer = setTimeout(load, EVERY_MS);
  };
  load();
}

export function stopTraces() {
  clearTimeout(timer);
  timer = null;
}

function render(channel, { traces, total, waiting }, wanted) {
  const body = byId("panel-body");
  const scored = traces.filter((trace) => trace.scores.length > 0).length;
  const open = new Set([...body.querySelectorAll("details[open]")].map((d) => d.dataset.trace));
  if (wanted) open.add(wanted);
  const note = h(
    "p",
    { className: "note" },
    `${total} traces so far, ${waiting} recorded ones still to come. `,
    scored > 0 ? `${scored} of these have a score.` : "People's scores stand here from the first thumb on; an eval's, once it is deployed.",
  );
  body.replaceChildren(note, ...traces.map((trace) => row(channel, trace, open.has(trace.id))));
  if (wanted) body.querySelector(`[data-trace="${CSS.escape(wanted)}"]`)?.scrollIntoView({ block: "start" });
}

const isPass = (value) => ["true", "1", "pass", "up"].includes(String(value).toLowerCase());
const isFail = (value) => ["false", "0", "fail", "down"].includes(String(value).toLowerCase());

function score(entry) {
  const kind = isPass(entry.value) ? "pass" : isFail(entry.value) ? "fail" : "other";
  return h(
    "div",
    { className: `score ${kind}` },
    h("span", { className: "score-name" }, entry.name),
    h("span", { className: "score-value", dir: "auto" }, kind === "pass" ? "✓ " : kind === "fail" ? "✗ " : "", String(entry.value)),
    entry.comment ? h("p", { dir: "auto" }, entry.comment) : null,
  );
}

function row(channel, trace, isOpen) {
  const page = `langfuse/project/${encodeURIComponent(channel.project)}/traces/${encodeURIComponent(trace.id)}`;
  const time = new Date(trace.timestamp);
  return h(
    "article",
    { className: "trace" },
    h(
      "details",
      { "data-trace": trace.id, open: isOpen },
      h(
        "summary",
        {},
        h("span", { className: "trace-name" }, trace.name || "trace"),
        h("time", { dateTime: trace.timestamp }, Number.isNaN(time.getTime()) ? "" : time.toLocaleTimeString()),
        h("span", { className: "trace-input", dir: "auto" }, trace.input || "(no input)"),
      ),
      h("h4", {}, "Input"),
      h("p", { dir: "auto" }, trace.input || "(none)"),
      h("h4", {}, "Output"),
      h("p", { dir: "auto" }, trace.output || "(none)"),
      h("a", { href: page, target: "_blank", rel: "noopener" }, "The whole trace"),
    ),
    trace.scores.map(score),
  );
}
