"""Slack's own client against the stand-in for Slack.

Prints the port on which it takes what Slack sends, then reads one line of JSON from standard input: where
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
from slack_sdk.webhook import WebhookClient

received, commands, events = queue.Queue(), queue.Queue(), queue.Queue()
queues = {"/slack/interactions": received, "/slack/commands": commands, "/slack/events": events}


class App(http.server.BaseHTTPRequestHandler):
    """An app's request URL: notes what Slack sends, and acknowledges."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        queues[self.path].put((dict(self.headers), body.decode()))
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


def event_of(place, kind):
    """The next event of this type; each that comes is Slack's by its signature."""
    verifier = SignatureVerifier(place["signing_secret"])
    while True:
        headers, body = events.get(timeout=60)
        assert verifier.is_valid_request(body, headers)
        envelope = json.loads(body)
        assert envelope["type"] == "event_callback" and envelope["event_id"].startswith("Ev")
        if envelope["event"]["type"] == kind:
            return envelope["event"]


def check_people(client, place, ts):
    """What people do beside clicking is told of, and what the app does about it is seen."""
    channel = place["channel"]
    page(place, f"channels/{channel}/react", {"ts": ts, "name": "+1"})
    added = event_of(place, "reaction_added")
    assert added["item"] == {"type": "message", "channel": channel, "ts": ts} and added["user"] == place["user"]
    reactions = client.reactions_get(channel=channel, timestamp=ts)["message"]["reactions"]
    assert reactions == [{"name": "+1", "users": [place["user"]], "count": 1}]
    said = page(place, f"channels/{channel}/say", {"text": "because", "thread_ts": ts})
    while (message := event_of(place, "message")).get("text") != "because":
        pass
    assert message["ts"] == said["ts"] and message["thread_ts"] == ts and message["channel_type"] == "channel"
    refused(lambda: client.chat_delete(channel=channel, ts=said["ts"]), "cant_delete_message")
    permalink = client.chat_getPermalink(channel=channel, message_ts=ts)["permalink"]
    assert permalink.endswith(f"/archives/{channel}/p{ts.replace('.', '')}")


def check_views(client, place):
    page(place, f"channels/{place['channel']}/command", {"text": "label"})
    headers, body = commands.get(timeout=60)
    assert SignatureVerifier(place["signing_secret"]).is_valid_request(body, headers)
    fields = {name: values[0] for name, values in urllib.parse.parse_qs(body).items()}
    assert fields["command"] == "/iofold" and fields["text"] == "label" and fields["user_id"] == place["user"]
    opened = client.views_open(trigger_id=fields["trigger_id"], view=place["view"])["view"]
    updated = client.views_update(view_id=opened["id"], hash=opened["hash"], view=place["view"])["view"]
    assert updated["id"] == opened["id"] and updated["hash"] != opened["hash"]
    late = lambda: client.views_update(view_id=opened["id"], hash=opened["hash"], view=place["view"])
    refused(late, "hash_conflict")
    exchanged = lambda: client.views_push(trigger_id=fields["trigger_id"], view=place["view"])
    refused(exchanged, "exchanged_trigger_id")
    page(place, "home/open", {})
    assert event_of(place, "app_home_opened")["user"] == place["user"]
    home = {"type": "home", "blocks": place["view"]["blocks"]}
    published = client.views_publish(user_id=place["user"], view=home)["view"]
    assert page(place, "home")["view"]["id"] == published["id"]
    assert WebhookClient(fields["response_url"]).send(text="late").status_code == 200


def check_places(client, place):
    channel = place["channel"]
    info = client.conversations_info(channel=channel)["channel"]
    assert info["is_member"] and not info["is_archived"]
    assert [known["id"] for known in client.users_conversations()["channels"]] == [channel]
    direct = client.chat_postMessage(channel=place["user"], text="psst")["channel"]
    assert direct.startswith("D")
    missing = refused(lambda: client.conversations_open(users=place["user"]), "missing_scope")
    assert missing["needed"] == "im:write" and "chat:write" in missing["provided"]
    assert client.auth_test().headers["x-oauth-scopes"] == missing["provided"]
    gone = client.chat_postMessage(channel=channel, text="in vain")["ts"]
    client.chat_delete(channel=channel, ts=gone)
    refused(lambda: client.chat_delete(channel=channel, ts=gone), "message_not_found")


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
    check_people(client, place, ts)
    check_views(client, place)
    check_places(client, place)
    check_rate_limit(client, place)


main()
