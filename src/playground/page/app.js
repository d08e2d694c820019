// The page: asks for changes, and shows them.

import { renderAnnotators } from "./annotators.js";
import { get } from "./api.js";
import { composer } from "./composer.js";
import { byId, h, say, toast } from "./dom.js";
import { openHome, showHome } from "./home.js";
import { showInside } from "./links.js";
import { followAnnotators, grown, hasEndInView, place, renderLog, reveal, unplace, watchLog } from "./log.js";
import { showViews } from "./modal.js";
import { overview } from "./overview.js";
import { closePanel, openThread, openThreadTs, openTraces, watchPanel } from "./panel.js";
import { knowChannels, knowPeople, myself, showMyself } from "./people.js";
import { steps } from "./steps.js";
import { currentChannel, keep, messagesOf, parentOf, store } from "./store.js";
import { renderThread } from "./thread.js";

/** After a failure, the next try comes this much later. */
const RETRY_MS = 1500;
/** What the service says about an eval, and how the page tells of it. */
const NEWS = { iofold_report: "The report is in", iofold_not_yet: "There is no eval yet" };
/** What stands in the middle beside a channel. */
const PLACES = {
  home: { title: "iofold", topic: "Home: what iofold shows to you alone." },
  overview: { title: "Overview", topic: "Every channel, how far it is, and what comes next." },
};

/** Where iofold writes to the person alone. */
const DIRECT = { name: "iofold", topic: "Messages from iofold to you alone.", isDirect: true };

const known = { epoch: null, change: 0 };
/** `channel`, or one of [`PLACES`]. */
let spot = "channel";
let question = new AbortController();

const writer = composer("Message", () => ({ channel: store.current }), true);

// The frame ------------------------------------------------------------------------------------------

function channelItem(channel) {
  const unread = store.unread.get(channel.id) ?? 0;
  const isHere = spot === "channel" && channel.id === store.current;
  const props = { type: "button", "aria-current": isHere ? "page" : undefined, onclick: () => choose(channel.id) };
  const badge = unread > 0 ? h("span", { className: "badge", "aria-label": `${unread} new` }, unread) : null;
  const mark = h("span", { className: "hash", "aria-hidden": "true" }, channel.isDirect ? "✉" : "#");
  return h("li", {}, h("button", props, mark, h("span", {}, channel.name), badge));
}

function placeItem(name, mark, text) {
  const props = { type: "button", "aria-current": spot === name ? "page" : undefined, onclick: () => go(name) };
  return h("li", {}, h("button", props, h("span", { className: "hash", "aria-hidden": "true" }, mark), h("span", {}, text)));
}

/** Redraws a list in the sidebar, keeping the focus on the same item. */
function fill(list, items) {
  const at = [...list.querySelectorAll("button")].indexOf(document.activeElement);
  list.replaceChildren(...items);
  list.querySelectorAll("button")[at]?.focus();
}

function renderSidebar() {
  fill(byId("places"), [placeItem("overview", "▤", "Overview"), placeItem("home", "⌂", "Home")]);
  fill(byId("channels"), store.channels.map(channelItem));
}

function renderFrame() {
  const channel = currentChannel();
  if (!channel) return;
  renderSidebar();
  const { title, topic } = PLACES[spot] ?? { title: channel.isDirect ? channel.name : `# ${channel.name}`, topic: channel.topic };
  document.title = `${title.replace("# ", "#")} · iofold playground`;
  byId("title").textContent = title;
  byId("topic").textContent = topic;
  for (const name of ["home", "overview"]) byId(name).hidden = spot !== name;
  for (const id of ["scroller", "composer"]) byId(id).hidden = spot !== "channel";
  for (const id of ["steps", "annotators", "open-traces"]) byId(id).hidden = spot !== "channel" || channel.isDirect;
  if (spot === "overview") fill(byId("overview"), overview(store.channels.filter((one) => !one.isDirect), choose));
  writer.rename(`Message ${channel.isDirect ? "" : "#"}${channel.name}, or /iofold help`);
  if (channel.isDirect) return;
  fill(byId("steps"), steps(channel, { reveal, scores: () => openTraces() }));
  renderAnnotators(channel);
}

const hashOf = (channel) => (channel.isDirect ? "@messages" : channel.name);

/** Shows a place that is no channel. */
function go(name) {
  spot = name;
  history.replaceState(null, "", `#@${name}`);
  closePanel();
  byId("jump").hidden = true;
  renderFrame();
  if (name === "home") openHome();
}

function choose(id) {
  spot = "channel";
  store.current = id;
  store.unread.delete(id);
  history.replaceState(null, "", `#${hashOf(currentChannel())}`);
  closePanel();
  renderFrame();
  renderLog();
  writer.restore();
}

/** Shows a message where it stands, or its thread where it is a reply. */
function openMessage(channel, ts) {
  const message = messagesOf(channel).get(ts);
  if (!message) return toast("That message is not there any more.");
  if (store.current !== channel || spot !== "channel") choose(channel);
  const parent = parentOf(message);
  reveal(parent ?? ts);
  if (parent) openThread(parent);
}

// Changes --------------------------------------------------------------------------------------------

/** The channel or place, and perhaps the message, that the address names. */
function wanted() {
  const hash = location.hash.slice(1);
  try {
    return decodeURIComponent(hash).split("/");
  } catch {
    return hash.split("/");
  }
}

function start(changes) {
  store.messages.clear();
  store.unread.clear();
  changes.messages.forEach(keep);
  const [name, ts] = wanted();
  const named = store.channels.find((channel) => hashOf(channel) === name);
  store.current = (named ?? currentChannel() ?? store.channels[0])?.id;
  closePanel();
  renderFrame();
  renderLog();
  if (Object.hasOwn(PLACES, name.slice(1)) && name.startsWith("@")) go(name.slice(1));
  if (named && ts) openMessage(named.id, ts);
}

function announce(message) {
  const news = NEWS[message.metadata?.event_type];
  if (!news || parentOf(message)) return;
  const channel = store.channels.find((c) => c.id === message.channel);
  const isHere = spot === "channel" && message.channel === store.current;
  if (!channel) return;
  if (!isHere) return toast(`${news}: #${channel.name}.`, { text: "See it", run: () => openMessage(message.channel, message.ts) });
  toast(`${news}.`);
  reveal(message.ts);
}

/** Keeps a new or changed message, and shows it if its channel is in view; says whether it is new. */
function take(message) {
  const isNew = keep(message);
  if (message.channel === store.current) {
    place(message);
    if (openThreadTs() === (parentOf(message) ?? message.ts)) renderThread();
  }
  const isInView = spot === "channel" && message.channel === store.current;
  if (isNew && !isInView && !parentOf(message)) {
    store.unread.set(message.channel, (store.unread.get(message.channel) ?? 0) + 1);
  }
  return isNew;
}

function drop([channel, ts]) {
  const message = messagesOf(channel).get(ts);
  // A message that was deleted and has replies comes back as a tombstone.
  if (!message || message.subtype === "tombstone") return;
  messagesOf(channel).delete(ts);
  if (channel !== store.current) return;
  const parent = parentOf(message);
  if (parent && messagesOf(channel).has(parent)) place(messagesOf(channel).get(parent));
  unplace(ts);
  if (openThreadTs() === ts) closePanel();
  else if (parent && openThreadTs() === parent) renderThread();
}

function sayNew(fresh) {
  if (fresh.length === 0) return;
  const what = fresh.length === 1 ? "A new message" : `${fresh.length} new messages`;
  say(`${what}: ${fresh.at(-1).text.slice(0, 120)}`);
}

function follow(changes) {
  const hadEndInView = hasEndInView();
  const isNew = changes.messages.filter(take);
  changes.deleted.forEach(drop);
  renderFrame();
  const here = isNew.filter((message) => message.channel === store.current && !parentOf(message));
  if (here.length > 0 && spot === "channel") grown(hadEndInView);
  sayNew(here);
  if (currentChannel()?.annotators) followAnnotators(currentChannel());
  isNew.forEach(announce);
}

function trouble(text) {
  byId("trouble").hidden = text === null;
  byId("trouble").textContent = text ?? "";
}

/** The channels, and the person's own one once iofold has written there. */
function withDirect(changes) {
  const id = `D${myself().id.slice(1)}`;
  const isThere = messagesOf(id).size > 0 || changes.messages.some((message) => message.channel === id);
  return isThere ? [...changes.channels, { ...DIRECT, id }] : changes.channels;
}

async function next() {
  const since = known.epoch ? { epoch: known.epoch, after: known.change } : {};
  const changes = await get("changes", since, question.signal);
  trouble(null);
  const isAnew = changes.epoch !== known.epoch;
  store.channels = withDirect(changes);
  knowChannels(changes.channels);
  Object.assign(known, { epoch: changes.epoch, change: changes.change });
  if (isAnew) start(changes);
  else follow(changes);
  showViews(changes.views);
  showHome(changes.home);
}

/** Starts anew as somebody else. */
function restart() {
  known.epoch = null;
  question.abort();
  question = new AbortController();
}

async function keepUp() {
  for (;;) {
    try {
      if (known.epoch === null) {
        knowPeople((await get("users")).users);
        showMyself(restart);
      }
      await next();
    } catch (failure) {
      if (failure.name === "AbortError") continue;
      trouble(`${failure.message} This page tries again by itself.`);
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

byId("writer").replaceWith(writer.form);
showInside({ trace: openTraces, message: openMessage });
watchPanel();
watchLog(openThread);
keepUp();
