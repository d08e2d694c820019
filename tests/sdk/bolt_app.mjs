// An app made with Slack's own framework, behind the stand-in for Slack: answers each thing that a person does in a way
// that can be seen in the channel. Reads the variables that connect the service itself, prints `ready` once it listens,
// and ends with its standard input.

import bolt from "@slack/bolt";

const { App, HTTPReceiver, LogLevel } = bolt;
const { IOFOLD_LISTEN, SLACK_API_URL, SLACK_BOT_TOKEN, SLACK_CHANNEL: channel, SLACK_SIGNING_SECRET } = process.env;

const words = (text) => ({ type: "plain_text", text });
const option = (value) => ({ text: words(value), value });
const button = (action_id) => ({ type: "button", action_id, value: "t1", text: words(action_id) });

const card = [
    {
        type: "section",
        text: { type: "mrkdwn", text: "Is this answer good?" },
        accessory: { type: "overflow", action_id: "card_menu", options: ["up", "skip"].map(option) },
    },
    { type: "actions", block_id: "thumbs", elements: [button("thumb_up"), button("show_all")] },
];

const page = (text, more = {}) => ({
    type: "modal",
    callback_id: "swipe",
    title: words("Label"),
    submit: words("Save"),
    blocks: [
        { type: "section", text: { type: "mrkdwn", text } },
        { type: "actions", block_id: "row", elements: [button("next"), button("deeper")] },
        {
            type: "input",
            block_id: "why",
            label: words("Why?"),
            element: { type: "radio_buttons", action_id: "why", options: ["wrong", "rude"].map(option) },
        },
        {
            type: "input",
            block_id: "more",
            optional: true,
            label: words("More"),
            element: { type: "plain_text_input", action_id: "more", max_length: 20 },
        },
    ],
    ...more,
});

const home = (text) => ({
    type: "home",
    blocks: [
        { type: "section", text: { type: "mrkdwn", text } },
        { type: "actions", block_id: "row", elements: [button("home_again")] },
    ],
});

const receiver = new HTTPReceiver({
    signingSecret: SLACK_SIGNING_SECRET,
    endpoints: ["/slack/interactions", "/slack/commands", "/slack/events"],
    logLevel: LogLevel.ERROR,
});
const app = new App({
    receiver,
    token: SLACK_BOT_TOKEN,
    logLevel: LogLevel.ERROR,
    clientOptions: { slackApiUrl: SLACK_API_URL },
});

const say = (text, more = {}) => app.client.chat.postMessage({ channel, text, ...more });

app.command("/iofold", async ({ command, ack, respond, client }) => {
    const { text, trigger_id } = command;
    if (text === "label") {
        await ack();
        await client.views.open({ trigger_id, view: page("one") });
    } else if (text === "later") {
        await ack();
        await respond({ text: "later", response_type: "in_channel" });
    } else if (text === "plainly") {
        await ack("plain words");
    } else {
        await ack({ response_type: "ephemeral", text: `no ${text}` });
    }
});

app.action("thumb_up", async ({ action, body, ack, respond, client }) => {
    await ack();
    await respond({ text: `thanks for ${action.value}`, replace_original: false });
    await client.chat.update({ channel, ts: body.message.ts, text: "seen", blocks: body.message.blocks });
});

app.action("card_menu", async ({ action, body, ack, client }) => {
    await ack();
    const text = `chose ${action.selected_option.value}`;
    await client.chat.postEphemeral({ channel, user: body.user.id, text });
});

app.action("next", async ({ body, ack, client }) => {
    await ack();
    const { id: view_id, hash } = body.view;
    await client.views.update({ view_id, hash, view: page("two") });
});

app.action("deeper", async ({ body, ack, client }) => {
    await ack();
    await client.views.push({ trigger_id: body.trigger_id, view: page("below", { notify_on_close: true }) });
});

app.view("swipe", async ({ view, ack }) => {
    const { why, more } = view.state.values;
    if (more.more.value === "nothing") {
        await ack({ response_action: "errors", errors: { more: "say something" } });
    } else {
        await ack();
        await say(`reason ${why.why.selected_option.value} ${more.more.value}`);
    }
});

app.view({ callback_id: "swipe", type: "view_closed" }, async ({ ack }) => {
    await ack();
    await say("closed");
});

app.event("app_home_opened", async ({ event, client }) => {
    await client.views.publish({ user_id: event.user, view: home("first") });
});

app.action("home_again", async ({ body, ack, client }) => {
    await ack();
    await client.views.publish({ user_id: body.user.id, hash: body.view.hash, view: home("again") });
});

app.event("reaction_added", async ({ event, client }) => {
    const { item, reaction } = event;
    const { message } = await client.reactions.get({ channel: item.channel, timestamp: item.ts });
    await say(`${message.reactions[0].count} ${reaction}`, { thread_ts: item.ts });
});

app.message("comment", async ({ message }) => {
    await say(`heard ${message.text}`, { thread_ts: message.thread_ts });
});

app.event("app_mention", async ({ event }) => {
    await say(`named in ${event.channel}`);
});

app.event("message", async ({ event }) => {
    if (event.subtype === "message_deleted") await say(`gone ${event.previous_message.metadata.event_type}`);
});

const [, port] = IOFOLD_LISTEN.split(":");
await app.start({ port: Number(port), host: "127.0.0.1" });
const metadata = { event_type: "iofold_trace", event_payload: { trace_id: "t1" } };
await say("Is this answer good?", { blocks: card, metadata });
console.log("ready");
process.stdin.resume().on("end", () => process.exit(0));
