// The page: asks for changes, and shows them.

import { know } from "./blocks.js";
import { cutTallTexts, cutWhole, dayLine, emptyChannel, messageElement, swap } from "./channel.js";
import { byId, get, h, post, toast } from "./dom.js";
import { showViews } from "./modal.js";
import { showTraces, stopTraces } from "./traces.js";

const NEAR_END_PX = 140;
const AT_ONCE = 10;
/** An eval needs this many labelled traces of either class. */
const EACH_NEEDED = 3;
/** After a failure, the next try comes this much later. */
const RETRY_MS = 1500;

const state = {
  epoch: null,
  change: 0,
  channels: [],
  /** Channel id to a map from ts to message. */
  messages: new Map(),
  unread: new Map(),
  current: null,
  panel: null,
};

/** Whether the end of the messages stays in view when they grow. */
let sticks = true;
/** A message was brought into view, and stays there until the person moves on. */
let holds = false;

/** Whether the page goes along with the recorded annotators, until the person scrolls. */
let follows = false;
let followed = null;

const currentChannel = () => state.channels.find((channel) => channel.id === state.current);
const isQuiet = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

// Messages -----------------------------------------------------------------------------------------

const ofChannel = (id) => state.messages.get(id) ?? new Map();
const topOf = (id) =>
  [...ofChannel(id).values()].filter((m) => !m.thread_ts).sort((a, b) => (a.ts < b.ts ? -1 : 1));
const repliesOf = (id, ts) =>
  [...ofChannel(id).values()].filter((m) => m.thread_ts === ts).sort((a, b) => (a.ts < b.ts ? -1 : 1));

const handlers = { thread: openThread, trace: openTrace, message: openMessage };

function element(message, inThread = false) {
  const count = inThread ? 0 : repliesOf(message.channel, message.ts).length;
  return messageElement(message, count, inThread ? { ...handlers, thread: null } : handlers);
}

function isNearEnd() {
  const { scrollHeight, scrollTop, clientHeight } = byId("scroller");
  return scrollHeight - scrollTop - clientHeight < NEAR_END_PX;
}

function scrollToEnd() {
  holds = false;
  const scroller = byId("scroller");
  scroller.scrollTo({ top: scroller.scrollHeight, behavior: isQuiet() ? "instant" : "smooth" });
  byId("jump").hidden = true;
}

function renderChannel() {
  const log = byId("messages");
  const messages = topOf(state.current);
  log.replaceChildren();
  if (messages.length === 0) log.append(emptyChannel());
  messages.forEach((message, i) => append(message, messages[i - 1]));
  byId("scroller").scrollTop = byId("scroller").scrollHeight;
  sticks = true;
  byId("jump").hidden = true;
}

function append(message, previous) {
  byId("empty")?.remove();
  const line = dayLine(message.ts, previous?.ts);
  const fresh = element(message);
  byId("messages").append(...[line, fresh].filter(Boolean));
  cutTallTexts(fresh);
  return fresh;
}

/** Puts a new or changed message where it stands; says whether it is new in the channel. */
function place(message) {
  const known = ofChannel(message.channel).get(message.ts);
  if (!state.messages.has(message.channel)) state.messages.set(message.channel, new Map());
  state.messages.get(message.channel).set(message.ts, message);
  if (message.channel !== state.current) {
    if (!known && !message.thread_ts) {
      state.unread.set(message.channel, (state.unread.get(message.channel) ?? 0) + 1);
    }
    return !known;
  }
  const shownTs = message.thread_ts ?? message.ts;
  const old = byId("messages").querySelector(`[data-ts="${CSS.escape(shownTs)}"]`);
  const shown = ofChannel(message.channel).get(shownTs);
  if (old && shown) {
    const fresh = element(shown);
    swap(old, fresh);
    cutTallTexts(fresh);
  } else if (!message.thread_ts) {
    const all = topOf(state.current);
    append(message, all[all.indexOf(message) - 1]);
  }
  if (state.panel?.thread === shownTs) renderThread();
  return !known;
}

function drop([channel, ts]) {
  ofChannel(channel).delete(ts);
  byId("messages").querySelector(`[data-ts="${CSS.escape(ts)}"]`)?.remove();
}

// The side panel -------------------------------------------------------------------------------------

function openPanel(title) {
  byId("panel").hidden = false;
  byId("panel-title").textContent = title;
  document.body.classList.add("with-panel");
  byId("open-traces").setAttribute("aria-expanded", String(Boolean(state.panel?.traces)));
}

function closePanel() {
  const from = state.panel?.from;
  stopTraces();
  state.panel = null;
  byId("panel").hidden = true;
  byId("open-traces").setAttribute("aria-expanded", "false");
  document.body.classList.remove("with-panel");
  from?.focus?.();
}

function openThread(ts) {
  stopTraces();
  state.panel = { thread: ts, from: document.activeElement };
  openPanel("Thread");
  renderThread();
  byId("close-panel").focus();
}

function renderThread() {
  const parent = ofChannel(state.current).get(state.panel.thread);
  const replies = repliesOf(state.current, state.panel.thread);
  const line = h("div", { className: "day", role: "separator" }, h("span", {}, `${replies.length} in this thread`));
  const shown = [parent, ...replies].filter(Boolean).map((message) => element(message, true));
  const [first, ...rest] = shown;
  byId("panel-body").replaceChildren(...[first, line, ...rest].filter(Boolean));
  rest.forEach(cutTallTexts);
  if (first) cutWhole(first);
}

function openTrace(traceId = null) {
  state.panel = { traces: true, from: document.activeElement };
  byId("panel-body").replaceChildren(h("p", { className: "note" }, "Loading …"));
  openPanel(`Langfuse · ${currentChannel()?.name ?? ""}`);
  showTraces(currentChannel(), traceId);
  byId("close-panel").focus();
}

// The frame ------------------------------------------------------------------------------------------

function renderChannels() {
  const items = state.channels.map((channel) => {
    const unread = state.unread.get(channel.id) ?? 0;
    const props = {
      type: "button",
      "aria-current": channel.id === state.current ? "page" : undefined,
      onclick: () => choose(channel.id),
    };
    const badge = unread > 0 ? h("span", { className: "badge", "aria-label": `${unread} new` }, unread) : null;
    return h("li", {}, h("button", props, h("span", { className: "hash" }, "#"), h("span", {}, channel.name), badge));
  });
  byId("channels").replaceChildren(...items);
}

function step(number, title, text, progress, action = null) {
  const button = action && h("button", { type: "button", className: "link", onclick: action.run }, action.text);
  const sentence = h("span", { className: "step-text" }, text, " ");
  return h(
    "li",
    { className: progress, "aria-current": progress === "now" ? "step" : undefined },
    h("span", { className: "step-mark", "aria-hidden": "true" }, progress === "done" ? "✓" : number),
    h("div", {}, h("strong", {}, title), h("span", {}, sentence, button ?? "")),
  );
}

/** What the service says about an eval, and how the page tells of it. */
const NEWS = { iofold_report: "The report is in", iofold_not_yet: "There is no eval yet" };

const isLabelled = ({ report_ts, labelled, wanted, up, down }) =>
  Boolean(report_ts) || (labelled >= wanted && Math.min(up, down) >= EACH_NEEDED);

function stepTexts(channel) {
  const { labelled, wanted, up, down } = channel;
  const isShort = !channel.report_ts && Math.min(up, down) < EACH_NEEDED;
  const needed = isShort ? ` · ${EACH_NEEDED} of each needed` : "";
  const count = labelled < wanted ? `${labelled} of ${wanted}` : `${labelled} labelled`;
  const label = `${count} · 👍 ${up} · 👎 ${down}${needed}`;
  const soon = isLabelled(channel) ? "An eval is being made …" : "Comes by itself.";
  const report = channel.report_ts ? "It is in." : channel.not_yet_ts ? "More labels are needed." : soon;
  const deploy = channel.deployed
    ? "New traces are scored."
    : channel.report_ts
      ? "Press Deploy under the report."
      : "Then every new trace is scored.";
  return { label, report, deploy };
}

function renderSteps(channel) {
  const text = stepTexts(channel);
  const hasReport = Boolean(channel.report_ts);
  const enough = isLabelled(channel);
  const answer = channel.report_ts ?? channel.not_yet_ts;
  const seeAnswer = answer && { text: hasReport ? "See it" : "See why", run: () => reveal(answer) };
  const seeScores = { text: "See scores", run: () => openTrace() };
  byId("steps").replaceChildren(
    step("1", "Label", text.label, enough ? "done" : "now"),
    step("2", "Report", text.report, hasReport ? "done" : enough ? "now" : "later", seeAnswer),
    step("3", "Deploy", text.deploy, channel.deployed ? "done" : hasReport ? "now" : "later", channel.deployed ? seeScores : null),
  );
}

function reveal(ts) {
  const found = byId("messages").querySelector(`[data-ts="${CSS.escape(ts)}"]`);
  if (!found) return;
  sticks = false;
  holds = true;
  found.scrollIntoView({ behavior: isQuiet() ? "instant" : "smooth", block: "start" });
  found.classList.add("revealed");
  setTimeout(() => found.classList.remove("revealed"), 2500);
}

function renderComposer(channel) {
  const { annotators } = channel;
  const isRunning = ["labelling", "waiting"].includes(annotators?.state);
  const progress = byId("progress");
  byId("annotate").disabled = isRunning;
  progress.hidden = !isRunning;
  if (isRunning) {
    progress.max = annotators.of;
    progress.value = annotators.done;
  }
  const words = {
    labelling: () => `The recorded annotators are labelling: ${annotators.done} of ${annotators.of} …`,
    waiting: () => `Waiting for the next card … ${annotators.done} of ${annotators.of} labelled`,
    stopped: () => `The annotators stopped after ${annotators.done}: ${annotators.problem}.`,
  };
  byId("hint").textContent = words[annotators?.state]?.() ?? "Press 👍, 👎 or 😐 under a message, or:";
}

/** Brings the card that the annotators are at into view. */
function goAlong(channel) {
  const { state: doing, card } = channel.annotators ?? {};
  if (!follows) return;
  if (doing === "labelling" && card && card !== followed) {
    followed = card;
    const found = byId("messages").querySelector(`[data-ts="${CSS.escape(card)}"]`);
    found?.scrollIntoView({ behavior: isQuiet() ? "instant" : "smooth", block: "end" });
  }
  if (doing === "finished" || doing === "stopped") {
    follows = false;
    if (!holds) scrollToEnd();
  }
}

function renderFrame() {
  const channel = currentChannel();
  renderChannels();
  if (!channel) return;
  document.title = `#${channel.name} · iofold playground`;
  byId("title").textContent = `# ${channel.name}`;
  byId("topic").textContent = channel.topic;
  renderSteps(channel);
  renderComposer(channel);
}

/** Shows a message where it stands, or its thread where it is a reply. */
function openMessage(channel, ts) {
  const message = ofChannel(channel).get(ts);
  if (!message) return toast("That message is not there any more.");
  if (state.current !== channel) choose(channel);
  reveal(message.thread_ts ?? ts);
  if (message.thread_ts) openThread(message.thread_ts);
}

function choose(id) {
  follows = false;
  holds = false;
  state.current = id;
  state.unread.delete(id);
  history.replaceState(null, "", `#${currentChannel().name}`);
  closePanel();
  renderFrame();
  renderChannel();
}

// Changes --------------------------------------------------------------------------------------------

function start(changes) {
  state.messages.clear();
  state.unread.clear();
  for (const message of changes.messages) {
    if (!state.messages.has(message.channel)) state.messages.set(message.channel, new Map());
    state.messages.get(message.channel).set(message.ts, message);
  }
  const [name, ts] = location.hash.slice(1).split("/");
  const named = state.channels.find((channel) => channel.name === name);
  state.current = named?.id ?? state.current ?? state.channels[0]?.id;
  renderFrame();
  renderChannel();
  if (named && ts) openMessage(named.id, ts);
}

function announce(message) {
  const news = NEWS[message.metadata?.event_type];
  if (!news || message.thread_ts) return;
  const channel = state.channels.find((c) => c.id === message.channel);
  const show = () => {
    if (state.current !== message.channel) choose(message.channel);
    reveal(message.ts);
  };
  if (message.channel !== state.current) {
    toast(`${news}: #${channel.name}.`, { text: "See it", run: show });
    return;
  }
  toast(`${news}.`);
  reveal(message.ts);
}

/** Tells those who listen instead of looking. */
function say(fresh) {
  if (fresh.length === 0) return;
  const what = fresh.length === 1 ? "A new message" : `${fresh.length} new messages`;
  byId("said").textContent = `${what}: ${fresh.at(-1).text.slice(0, 120)}`;
}

function follow(changes) {
  const wasNearEnd = sticks;
  const isNew = changes.messages.filter(place);
  changes.deleted.forEach(drop);
  renderFrame();
  const here = isNew.filter((m) => m.channel === state.current && !m.thread_ts);
  if (here.length > 0 && wasNearEnd && !follows) scrollToEnd();
  else if (here.length > 0) byId("jump").hidden = follows;
  say(here);
  if (currentChannel()) goAlong(currentChannel());
  isNew.forEach(announce);
}

function trouble(text) {
  byId("trouble").hidden = text === null;
  byId("trouble").textContent = text ?? "";
}

async function next() {
  const known = state.epoch ? `epoch=${state.epoch}&after=${state.change}` : "";
  const changes = await get(`changes?${known}`);
  trouble(null);
  const isAnew = changes.epoch !== state.epoch;
  state.channels = changes.channels;
  state.epoch = changes.epoch;
  state.change = changes.change;
  if (isAnew) start(changes);
  else follow(changes);
  showViews(changes.views);
}

async function keepUp() {
  for (;;) {
    try {
      if (state.epoch === null) know((await get("users")).users);
      await next();
    } catch (failure) {
      trouble(`${failure.message} This page tries again by itself.`);
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

byId("annotate").addEventListener("click", async () => {
  try {
    await post(`channels/${state.current}/annotators`, { count: AT_ONCE });
    follows = true;
    holds = false;
    followed = null;
    sticks = false;
  } catch (failure) {
    toast(failure.message);
  }
});
byId("open-traces").addEventListener("click", () => (state.panel?.traces ? closePanel() : openTrace()));
byId("close-panel").addEventListener("click", closePanel);
byId("jump").addEventListener("click", scrollToEnd);
byId("scroller").addEventListener("scroll", () => {
  sticks = !holds && isNearEnd();
  if (sticks) byId("jump").hidden = true;
});
for (const kind of ["wheel", "touchmove", "keydown", "pointerdown"]) {
  byId("scroller").addEventListener(
    kind,
    () => {
      follows = false;
      holds = false;
    },
    { passive: true },
  );
}
// Pictures take their room when they have come, and texts another one in a narrower window.
new ResizeObserver(() => {
  if (sticks && !follows) byId("scroller").scrollTop = byId("scroller").scrollHeight;
}).observe(byId("messages"));
byId("messages").addEventListener(
  "click",
  (event) => {
    if (event.target.closest(".more")) sticks = false;
  },
  true,
);
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && state.panel && !document.querySelector("dialog[open]")) closePanel();
});

keepUp();
