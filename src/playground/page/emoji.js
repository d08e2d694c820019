// Slack's names for emoji, those that a channel about traces uses.

const NAMES = new Map(
  Object.entries({
    "+1": "👍", thumbsup: "👍", "-1": "👎", thumbsdown: "👎", neutral_face: "😐", ok_hand: "👌", clap: "👏", pray: "🙏",
    raised_hands: "🙌", raising_hand: "🙋", wave: "👋", point_right: "👉", muscle: "💪", eyes: "👀", heart: "❤️",
    smile: "😄", slightly_smiling_face: "🙂", joy: "😂", thinking_face: "🤔", cry: "😢", confused: "😕", tada: "🎉",
    fire: "🔥", "100": "💯", rocket: "🚀", sparkles: "✨", star: "⭐", bulb: "💡", robot_face: "🤖", seedling: "🌱",
    white_check_mark: "✅", heavy_check_mark: "✔️", x: "❌", warning: "⚠️", no_entry: "⛔", no_entry_sign: "🚫",
    question: "❓", exclamation: "❗", information_source: "ℹ️", bell: "🔔", no_bell: "🔕", rotating_light: "🚨",
    hourglass: "⌛", hourglass_flowing_sand: "⏳", stopwatch: "⏱️", clock1: "🕐", calendar: "📅", zzz: "💤",
    mag: "🔍", wrench: "🔧", hammer_and_wrench: "🛠️", gear: "⚙️", link: "🔗", lock: "🔒", key: "🔑", bug: "🐛", lab_coat: "🥼",
    test_tube: "🧪", bar_chart: "📊", chart_with_upwards_trend: "📈", chart_with_downwards_trend: "📉", memo: "📝",
    page_facing_up: "📄", books: "📚", thread: "🧵", speech_balloon: "💬", wastebasket: "🗑️", moneybag: "💰",
    package: "📦", inbox_tray: "📥", outbox_tray: "📤", arrow_up: "⬆️", arrow_down: "⬇️", arrow_right: "➡️",
    arrow_left: "⬅️", repeat: "🔁", double_vertical_bar: "⏸️", arrow_forward: "▶️", black_square_for_stop: "⏹️",
    red_circle: "🔴", large_green_circle: "🟢", large_yellow_circle: "🟡", large_blue_circle: "🔵", white_circle: "⚪",
    balloon: "🎈", coffee: "☕", house: "🏠", scales: "⚖️", dart: "🎯", trophy: "🏆", cat: "🐱", dog: "🐶",
  }),
);

/** The picture of this name, its skin tone left out; null where the page knows none. */
export const pictureOf = (name) => NAMES.get(name.split("::")[0]) ?? null;

/** As [`pictureOf`], or the name between colons as Slack shows what it doesn't know. */
export const emoji = (name) => pictureOf(name) ?? `:${name}:`;

/** Plain text in which names between colons are emoji. */
export const withEmoji = (text) => text.replace(/:([\w+'-]+?(?:::skin-tone-[2-6])?):/g, (whole, name) => pictureOf(name) ?? whole);
