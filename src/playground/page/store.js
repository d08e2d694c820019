// What the page knows: the channels, and their messages by ts.

export const store = {
  /** The channels' summaries, in the order of the list. */
  channels: [],
  /** The id of the channel in view. */
  current: null,
  messages: new Map(),
  /** Channel id to the number of messages not seen yet. */
  unread: new Map(),
};

/** Ephemeral messages that the person has put away. */
const dismissed = new Set();

const inOrder = (a, b) => (a.ts < b.ts ? -1 : 1);
const isReply = (message) => Boolean(message.thread_ts) && message.thread_ts !== message.ts;

export const currentChannel = () => store.channels.find((channel) => channel.id === store.current);

/** The messages of a channel, by ts. */
export function messagesOf(channel) {
  if (!store.messages.has(channel)) store.messages.set(channel, new Map());
  return store.messages.get(channel);
}

const shownOf = (channel) => [...messagesOf(channel).values()].filter((message) => !dismissed.has(message.ts));

/** What stands in the channel itself, oldest first. */
export const topOf = (channel) => shownOf(channel).filter((message) => !isReply(message)).sort(inOrder);

/** What stands in a thread below its first message, oldest first. */
export const repliesOf = (channel, ts) =>
  shownOf(channel).filter((message) => isReply(message) && message.thread_ts === ts).sort(inOrder);

/** The message below which this one stands in a thread; null in the channel itself. */
export const parentOf = (message) => (isReply(message) ? message.thread_ts : null);

/** Keeps a message; says whether it is new. */
export function keep(message) {
  const all = messagesOf(message.channel);
  const isNew = !all.has(message.ts);
  all.set(message.ts, message);
  return isNew;
}

/** Puts an ephemeral message away, for this page alone. */
export const dismiss = (message) => dismissed.add(message.ts);
