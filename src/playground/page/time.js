// Times as the person's own clock shows them.

const DAY_MS = 86_400_000;
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });

const dateOf = (ts) => new Date(Number(ts) * 1000);
export const clockOf = (ts) => clock.format(dateOf(ts));
export const isoOf = (ts) => dateOf(ts).toISOString();
export const dayOf = (ts) =>
  dateOf(ts).toDateString() === new Date().toDateString() ? "Today" : day.format(dateOf(ts));

const shown = (options) => (date) => new Intl.DateTimeFormat(undefined, options).format(date);
const two = (number) => String(number).padStart(2, "0");
const full = { day: "numeric", month: "long", year: "numeric" };
const long = { weekday: "long", ...full };
const short = { day: "numeric", month: "short", year: "numeric" };

/** "today" and its neighbours, or as `otherwise` says. */
const pretty = (otherwise) => (date) => {
  const days = Math.round((new Date(date).setHours(12, 0, 0, 0) - new Date().setHours(12, 0, 0, 0)) / DAY_MS);
  const words = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });
  return Math.abs(days) <= 1 ? words.format(days, "day") : shown(otherwise)(date);
};

function ago(date) {
  const words = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });
  const seconds = (date.getTime() - Date.now()) / 1000;
  const units = [["day", 86_400], ["hour", 3_600], ["minute", 60], ["second", 1]];
  const [unit, length] = units.find(([, length]) => Math.abs(seconds) >= length) ?? units.at(-1);
  return words.format(Math.round(seconds / length), unit);
}

/** Slack's date tokens (docs.slack.dev, "Formatting message text" and "Rich text block"). */
const TOKENS = {
  date_num: (date) => `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`,
  date_slash: shown({ day: "2-digit", month: "2-digit", year: "numeric" }),
  date: shown(full),
  date_short: shown(short),
  date_long: shown(long),
  date_long_full: shown(full),
  date_pretty: pretty(full),
  date_short_pretty: pretty(short),
  date_long_pretty: pretty(long),
  day_divider_pretty: pretty(long),
  time: shown({ hour: "2-digit", minute: "2-digit" }),
  time_secs: shown({ hour: "2-digit", minute: "2-digit", second: "2-digit" }),
  ago,
};

/** A moment in seconds as a format with tokens in braces shows it; `fallback` where it is none. */
export function formatDate(seconds, format, fallback) {
  const date = new Date(Number(seconds) * 1000);
  if (seconds === "" || Number.isNaN(date.getTime())) return fallback ?? String(format);
  return String(format).replace(/\{(\w+)\}/g, (token, name) => (Object.hasOwn(TOKENS, name) ? TOKENS[name](date) : token));
}
