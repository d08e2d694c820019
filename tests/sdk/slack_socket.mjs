// Slack's own Socket Mode client for JavaScript on the stand-in for Slack, as slack_socket.py is for Python.

import { SocketModeClient } from "@slack/socket-mode";

const [slackApiUrl, appToken] = process.argv.slice(2);
const client = new SocketModeClient({ appToken, clientOptions: { slackApiUrl } });
let submissions = 0;

function answer(type, body) {
    if (type === "slash_commands") return { text: "heard" };
    if (body.type === "view_submission" && ++submissions === 1) {
        return { response_action: "errors", errors: { reason: "No." } };
    }
    return undefined;
}

client.on("slack_event", async ({ ack, type, body, retry_num }) => {
    await ack(answer(type, body));
    console.log(JSON.stringify({ type, body, retry: retry_num }));
});
await client.start();
process.stdin.on("end", async () => {
    await client.disconnect();
    process.exit(0);
});
process.stdin.resume();
