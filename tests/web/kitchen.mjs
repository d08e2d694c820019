// Every block and element that the page knows, with text that would like to be more than text.

export const HOSTILE = [
  "<script>globalThis.ran = 1</script>",
  "<img src=x onerror=\"globalThis.ran = 2\">",
  "<javascript:globalThis.ran=3|press me>",
  "<data:text/html,hello|press me>",
  "[md](javascript:globalThis.ran=4)",
  "\"onmouseover=\"globalThis.ran=5",
  "</pre></code></div><iframe src=//evil.example></iframe>",
  "```` ` ``` *_~*_~ ````",
  "\u202Etxet desrever\u202C \u0000 \uFFFF",
].join(" ");

export const plain = (text, more = {}) => ({ type: "plain_text", text, ...more });
export const mrkdwn = (text, more = {}) => ({ type: "mrkdwn", text, ...more });
export const option = (value, text = value) => ({ text: plain(text), value });
export const button = (action_id, text, more = {}) => ({ type: "button", action_id, value: action_id, text: plain(text), ...more });
const text = (text, style) => ({ type: "text", text, ...(style ? { style } : {}) });
const section = (...elements) => ({ type: "rich_text_section", elements });
const list = (style, indent, ...items) => ({ type: "rich_text_list", style, indent, elements: items.map((item) => section(text(item))) });

export const FORMATTED = [
  "*bold* _italic_ ~strike~ `code` *_both_* :tada: :no_such_emoji: 10:30:45 snake_case_name 2*3*4",
  "> a quote\n> of *two* lines",
  "<https://example.com/a?b=1&amp;c=2|a link> <mailto:a@example.com|a mail> https://example.com/bare. &lt;not a tag&gt; &amp;amp;",
  "<!here> <@U1> <@U404> <#C1> <!subteam^S1|@team> <!date^1392734382^{date_num} at {ago}|then>",
  "```\n*not bold* <https://example.com/in-code|in code>\n```",
].join("\n");

const rich = {
  type: "rich_text", block_id: "rich", elements: [
    section(text("Rich ", { bold: true }), text("text ", { italic: true, strike: true }), text("code", { code: true }), text(HOSTILE),
      { type: "emoji", name: "tada" }, { type: "emoji", name: "odd", unicode: "1f9ea" }, { type: "emoji", name: "unknown_one" },
      { type: "link", url: "https://example.com/rich", text: "good link" }, { type: "link", url: "javascript:globalThis.ran=6", text: "bad link" },
      { type: "user", user_id: "U1" }, { type: "channel", channel_id: "C1" }, { type: "broadcast", range: "here" },
      { type: "date", timestamp: 1392734382, format: "{date_num}", fallback: "then" }, { type: "telepathy" }),
    list("ordered", 0, "one", "two"), list("bullet", 1, "two, first", "two, second"), list("bullet", 2, "deeper"),
    { ...list("ordered", 0, "three"), offset: 2 }, list("bullet", 0, "another list"),
    { type: "rich_text_quote", elements: [text("quoted")] },
    { type: "rich_text_preformatted", elements: [text("def evaluate(trace):\n    return True")] },
    section(text("مرحبا بالعالم، هذه إجابة.\nAnd English below it.")), section(text("你好，世界。東京タワーは高いです。한국어도 됩니다.")),
  ],
};

const MARKDOWN = [
  "# Heading", "Some **bold**, *italic*, ~~gone~~ and `code`, [a link](https://example.com/md), [no link](javascript:globalThis.ran=7).",
  "", "- one", "  - nested", "- [x] done", "", "1. first", "2. second", "", "> quoted **here**", "", "```js", "const a = 1 < 2;", "```", "",
  "| Left | Right |", "|:--|--:|", "| a | 1 |", "| b \\| c | 2 |", "", "---", "![picture](https://example.com/p.png)", "", HOSTILE,
].join("\n");

export const ELEMENTS = {
  overflow: { type: "overflow", action_id: "card_menu", options: [option("up", "👍 Good"), option("down", "👎 Bad"), option("skip", "Skip")] },
  select: { type: "static_select", action_id: "pick", placeholder: plain("Pick one"), options: [option("a", "Apple"), option("b", "Pear")] },
  radio: { type: "radio_buttons", action_id: "radio", options: [option("one"), option("two")], initial_option: option("two") },
  boxes: { type: "checkboxes", action_id: "boxes", options: [option("x"), { ...option("y"), description: mrkdwn("with *more*") }], initial_options: [option("x")] },
};

export const BLOCKS = [
  { type: "header", block_id: "header", text: plain(":tada: Header", { emoji: true }) },
  { type: "section", block_id: "formatted", text: mrkdwn(FORMATTED) },
  { type: "section", block_id: "verbatim", text: mrkdwn("https://example.com/verbatim", { verbatim: true }) },
  { type: "section", block_id: "plain", text: plain("*not bold* :tada: <https://example.com/no|no>") },
  { type: "section", block_id: "hostile", text: mrkdwn(HOSTILE), fields: [mrkdwn("*Field*\none"), plain(HOSTILE)], accessory: ELEMENTS.overflow },
  { type: "context", block_id: "context", elements: [{ type: "image", slack_file: { id: "F1" }, alt_text: "small" }, mrkdwn("_context_"), plain(HOSTILE)] },
  { type: "divider", block_id: "divider" },
  { type: "image", block_id: "file", slack_file: { id: "F1" }, alt_text: "The confusion table", title: plain("Picture") },
  { type: "image", block_id: "url", image_url: "https://example.com/p.png", alt_text: "Elsewhere" },
  { type: "actions", block_id: "buttons", elements: [
    button("go", "Go", { style: "primary", accessibility_label: "Go on" }),
    button("stop", "Stop", { style: "danger", confirm: { title: plain("Sure?"), text: mrkdwn("It *ends*."), confirm: plain("End it"), deny: plain("Keep it"), style: "danger" } }),
    button("away", HOSTILE, { url: "javascript:globalThis.ran=8" }), ELEMENTS.select] },
  { type: "actions", block_id: "choices", elements: [ELEMENTS.radio, ELEMENTS.boxes] },
  rich,
  { type: "table", block_id: "table", column_settings: [{ is_wrapped: true }, { align: "right" }], rows: [
    [{ type: "raw_text", text: "Name" }, { type: "raw_text", text: "Count" }],
    [{ type: "raw_text", text: HOSTILE }, { type: "raw_text", text: "12" }],
    [{ type: "rich_text", elements: [section(text("rich", { bold: true }))] }, { type: "raw_text", text: "7" }]] },
  { type: "markdown", block_id: "markdown", text: MARKDOWN },
  { type: "context_actions", block_id: "feedback", elements: [
    { type: "feedback_buttons", action_id: "feedback", positive_button: { text: plain("Good"), value: "yes" }, negative_button: { text: plain("Bad"), value: "no" } },
    { type: "icon_button", action_id: "bin", icon: "trash", text: plain("Throw away"), value: "bin" }] },
  { type: "video", block_id: "video", title: plain("A film"), title_url: "https://example.com/film", video_url: "https://example.com/v", alt_text: "film", thumbnail_url: "https://example.com/t.png" },
  { type: "carousel", block_id: "unknown" },
  { type: "constructor", block_id: "unknown2" },
];

const input = (block_id, element, more = {}) => ({ type: "input", block_id, label: plain(`Label of ${block_id}`), element: { action_id: `${block_id}_a`, ...element }, ...more });

export const FORM = [
  { type: "section", block_id: "intro", text: mrkdwn(`What was *wrong*? ${HOSTILE}`) },
  input("reason", { type: "plain_text_input", placeholder: plain("In one line"), max_length: 500 }, { hint: plain("One line is enough.") }),
  input("long", { type: "plain_text_input", multiline: true }, { optional: true }),
  input("radio", { type: "radio_buttons", options: [option("one"), option("two")] }),
  input("boxes", { type: "checkboxes", options: [option("x"), option("y")] }, { optional: true }),
  input("pick", { type: "static_select", options: [option("a"), option("b")] }),
  { type: "actions", block_id: "quick", elements: [button("quick_one", "Too long"), button("quick_two", "Wrong language")] },
];
