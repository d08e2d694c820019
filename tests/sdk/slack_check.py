"""Slack's own client against the stand-in for Slack.

Prints the port on which it takes interactions, then reads one line of JSON from standard input: where
the stand-in is, its secrets, and message parts to check. Ends with status 0 if all holds.
"""

import http.server
import json
import queue
import sys
import threading
import time
import urllib.parse
import urllib.request

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.models.blocks import Block
from slack_sdk.models.views import View
from slack_sdk.signature import SignatureVerifier

received = queue.Queue()


class App(http.server.BaseHTTPRequestHandler):
    """An app's request URL: notes what Slack sends, and acknowledges."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        received.put((dict(self.headers), body.decode()))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


def start_app():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), App)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def page(place, path, body=None):
    """Asks the page's API, as a click in the browser would."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(place["page_api"] + path, data=data, headers=headers)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def refused(call, error):
    try:
        call()
    except SlackApiError as refusal:
        assert refusal.response["error"] == error, refusal
        return refusal.response
    raise AssertionError(f"{error} was expected")


def check_messages(client, place):
    channel = place["channel"]
    metadata = {"event_type": "iofold_trace", "event_payload": {"trace_id": "t1"}}
    posted = client.chat_postMessage(
        channel="#" + place["channel_name"], text="a", blocks=place["blocks"], metadata=metadata
    )
    assert posted["ok"] and posted["channel"] == channel
    ts = posted["ts"]
    client.chat_update(channel=channel, ts=ts, text="b", blocks=place["blocks"], metadata=metadata)
    client.chat_postMessage(channel=channel, text="a reply", thread_ts=ts)
    for i in range(5):
        client.chat_postMessage(channel=channel, text=f"line {i}")
    found = []
    for answer in client.conversations_history(channel=channel, limit=2, include_all_metadata=True):
        assert len(answer["messages"]) <= 2
        found += answer["messages"]
    assert [message["text"] for message in found] == [*(f"line {i}" for i in (4, 3, 2, 1, 0)), "b"]
    assert found[-1]["metadata"] == metadata and found[-1]["reply_count"] == 1
    assert len(client.conversations_history(channel=channel, oldest=ts)["messages"]) == 5
    thread = client.conversations_replies(channel=channel, ts=ts)["messages"]
    assert [message["text"] for message in thread] == ["b", "a reply"]
    return ts


def show_when_processed(client, **message):
    """Slack processes an upload after it has answered; a message that shows it is refused until then."""
    for _ in range(60):
        try:
            return client.chat_postMessage(**message)
        except SlackApiError as refusal:
            assert refusal.response["error"] == "invalid_blocks", refusal
            assert "invalid slack file" in refusal.response["errors"][0], refusal
            time.sleep(0.5)
    raise AssertionError("the upload was never processed")


def check_the_rest(client, place):
    channel = place["channel"]
    identity = client.auth_test()
    assert identity["user_id"].startswith("U") and identity["team_id"].startswith("T")
    assert client.conversations_info(channel=channel)["channel"]["name"] == place["channel_name"]
    assert client.users_info(user=place["user"])["user"]["id"] == place["user"]
    assert client.users_info(user=identity["user_id"])["user"]["is_bot"]
    assert client.chat_postEphemeral(channel=channel, user=place["user"], text="psst")["message_ts"]
    uploaded = client.files_upload_v2(
        filename="table.png", content=b"\x89PNG\r\n\x1a\n", title="A table", channel=channel
    )
    file_id = uploaded["file"]["id"]
    image = {"type": "image", "alt_text": "A table", "slack_file": {"id": file_id}}
    show_when_processed(client, channel=channel, text="see", blocks=[image])


def check_refusals(client, place):
    channel = place["channel"]
    long = [{"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3001}}]
    answer = refused(lambda: client.chat_postMessage(channel=channel, text="a", blocks=long), "invalid_blocks")
    assert "3000" in answer["response_metadata"]["messages"][0], answer.data
    refused(lambda: client.chat_postMessage(channel="C0", text="a"), "channel_not_found")
    refused(lambda: client.chat_update(channel=channel, ts="1.0", text="a"), "message_not_found")
    refused(lambda: client.views_open(trigger_id="1.2.3", view=place["view"]), "invalid_trigger_id")
    stranger = WebClient(base_url=place["api"], token="xoxb-stranger")
    refused(stranger.auth_test, "invalid_auth")
    refused(WebClient(base_url=place["api"]).auth_test, "not_authed")


def check_click(client, place, ts):
    button = next(b for block in place["blocks"] for b in block.get("elements", []) if b["type"] == "button")
    click = {"ts": ts, "action_id": button["action_id"], "value": button["value"]}
    assert page(place, f"channels/{place['channel']}/click", click)["ok"]
    headers, body = received.get(timeout=5)
    verifier = SignatureVerifier(place["signing_secret"])
    assert verifier.is_valid_request(body, headers)
    assert not verifier.is_valid_request(body + " ", headers)
    payload = json.loads(urllib.parse.parse_qs(body)["payload"][0])
    assert payload["type"] == "block_actions" and payload["actions"][0]["value"] == button["value"]
    opened = client.views_open(trigger_id=payload["trigger_id"], view=place["view"])
    view_id = opened["view"]["id"]
    field = place["view"]["blocks"][0]
    values = {field["block_id"]: {field["element"]["action_id"]: "because"}}
    assert page(place, f"views/{view_id}/submit", {"values": values})["ok"]
    headers, body = received.get(timeout=5)
    assert verifier.is_valid_request(body, headers)
    submitted = json.loads(urllib.parse.parse_qs(body)["payload"][0])
    state = submitted["view"]["state"]["values"][field["block_id"]][field["element"]["action_id"]]
    assert submitted["type"] == "view_submission" and state["value"] == "because"


def check_rate_limit(client, place):
    for _ in range(200):
        try:
            client.chat_postMessage(channel=place["channel"], text="quick")
        except SlackApiError as limited:
            assert limited.response.status_code == 429 and limited.response["error"] == "ratelimited"
            time.sleep(int(limited.response.headers["Retry-After"]))
            assert client.chat_postMessage(channel=place["channel"], text="waited")["ok"]
            return
    raise AssertionError("200 messages at once were not too many")


def check_shapes(place):
    """Slack's own models find nothing too long or missing in our blocks."""
    for block in Block.parse_all(place["blocks"]):
        block.validate_json()
    View(**place["view"]).validate_json()


def main():
    print(start_app(), flush=True)
    place = json.loads(sys.stdin.readline())
    client = WebClient(base_url=place["api"], token=place["token"])
    check_shapes(place)
    ts = check_messages(client, place)
    check_the_rest(client, place)
    check_refusals(client, place)
    check_click(client, place, ts)
    check_rate_limit(client, place)


main()
