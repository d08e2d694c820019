"""What Slack sends to an app, in the shapes of its documentation, signed by Slack's own client.

Arguments: the service's address and the signing secret. Prints for each request its name, the status
and the body of the answer, as JSON.
"""

import json
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

from slack_sdk.signature import SignatureVerifier

base, secret = sys.argv[1:]
FORM, JSON = "application/x-www-form-urlencoded", "application/json"
USER = {"id": "UA8RXUSPL", "username": "jtorrance", "team_id": "T9TK3CUKW"}
TEAM = {"id": "T9TK3CUKW", "domain": "example"}
VIEW = {
    "id": "VNHU13V36", "team_id": "T9TK3CUKW", "type": "modal", "callback_id": "modal-with-inputs",
    "title": {"type": "plain_text", "text": "Modal", "emoji": True}, "previous_view_id": None,
    "submit": {"type": "plain_text", "text": "Submit"}, "close": {"type": "plain_text", "text": "Cancel"},
    "blocks": [{
        "type": "input", "block_id": "multiline", "label": {"type": "plain_text", "text": "Label"},
        "element": {"type": "plain_text_input", "action_id": "mlvalue", "multiline": True},
    }],
    "private_metadata": "shhh-its-secret", "hash": "156663117.cd33ad1f", "clear_on_close": False,
    "notify_on_close": True, "root_view_id": "VNHU13V36", "app_id": "A21SDS90", "external_id": "",
    "app_installed_team_id": "T9TK3CUKW", "bot_id": "B00",
    "state": {"values": {"multiline": {"mlvalue": {"type": "plain_text_input", "value": "Some data"}}}},
}


def interaction(kind, **fields):
    payload = {
        "type": kind, "user": USER, "team": TEAM, "api_app_id": "AABA1ABCD", "token": "9s8d9as89d8as9d8as989",
        "trigger_id": "12321423423.333649436676.d8c1bb837935619ccad0f624c448ffb3", "enterprise": None,
        "is_enterprise_install": False,
    }
    body = urllib.parse.urlencode({"payload": json.dumps({**payload, **fields})})
    return "/slack/interactions", FORM, body


def block_actions(**action):
    message = {
        "bot_id": "BAH5CA16Z", "type": "message", "text": "This content can't be displayed.",
        "user": "UAJ2RU415", "ts": "1548261231.000200", "blocks": [],
    }
    channel = {"id": "CBR2V3XEX", "name": "review-updates"}
    container = {
        "type": "message_attachment", "message_ts": "1548261231.000200", "attachment_id": 1,
        "channel_id": "CBR2V3XEX", "is_ephemeral": False, "is_app_unfurl": False,
    }
    done = {"action_id": "WaXA", "block_id": "=qXel", "action_ts": "1548426417.840180", **action}
    response_url = "https://hooks.slack.com/actions/AABA1ABCD/1232321423432/D09sSasdasdAS9091209"
    return interaction(
        "block_actions", container=container, channel=channel, message=message,
        response_url=response_url, actions=[done], state={"values": {}},
    )


def event(event, **envelope):
    wrapped = {
        "token": "XXYYZZ", "team_id": "T123ABC456", "api_app_id": "A123ABC456", "event": event,
        "type": "event_callback", "event_id": "Ev123ABC456", "event_time": 1234567890,
        "event_context": "EC123ABC456", "is_ext_shared_channel": False,
        "authorizations": [{
            "enterprise_id": "E123ABC456", "team_id": "T123ABC456", "user_id": "U123ABC456", "is_bot": True,
            "is_enterprise_install": False,
        }],
    }
    return "/slack/events", JSON, json.dumps({**wrapped, **envelope})


def command(**fields):
    given = {
        "token": "gIkuvaNzQIHg97ATvDxqgjtO", "team_id": "T0001", "team_domain": "example",
        "enterprise_id": "E0001", "enterprise_name": "Globular Construct Inc", "channel_id": "C2147483705",
        "channel_name": "test", "user_id": "U2147483697", "user_name": "Steve", "command": "/iofold",
        "text": "94070", "response_url": "https://hooks.slack.com/commands/1234/5678",
        "trigger_id": "13345224609.738474920.8088930838d88f008e0", "api_app_id": "A123456",
    }
    return "/slack/commands", FORM, urllib.parse.urlencode({**given, **fields})


ITEM = {"type": "message", "channel": "C123ABC456", "ts": "1464196127.000002"}
OPTION = {"text": {"type": "plain_text", "text": "Wrong", "emoji": True}, "value": "wrong"}
MESSAGE = {"type": "message", "channel": "C123ABC456", "ts": "1355517523.000005", "event_ts": "1355517523.000005"}

requests = {
    "button": block_actions(type="button", value="click_me_123", text={"type": "plain_text", "text": "View"}),
    "overflow": block_actions(type="overflow", selected_option=OPTION),
    "select": block_actions(type="static_select", selected_option=OPTION, placeholder=OPTION["text"]),
    "checkboxes": block_actions(type="checkboxes", selected_options=[OPTION]),
    "no value": block_actions(type="button"),
    "click in a modal": interaction(
        "block_actions", view=VIEW, container={"type": "view", "view_id": VIEW["id"]},
        actions=[{"type": "button", "action_id": "a", "block_id": "b", "value": "v", "action_ts": "1548426417.840180"}],
    ),
    "modal submitted": interaction("view_submission", view=VIEW, response_urls=[]),
    "modal closed": interaction("view_closed", view=VIEW, is_cleared=False),
    "global shortcut": interaction("shortcut", callback_id="shortcut_create_task", action_ts="1581106241.371594"),
    "message shortcut": interaction(
        "message_action", callback_id="chirp_message", channel={"id": "D1", "name": "directmessage"},
        message={"type": "message", "user": "U061F7AUR", "ts": "1516229207.000133", "text": "World's smallest"},
        message_ts="1516229207.000133", response_url="https://hooks.slack.com/app/T0/0/0",
    ),
    "no team": interaction("block_actions", team=None, actions=[]),
    "what comes later": interaction("workflow_step_edit"),
    "address tried": ("/slack/events", JSON, json.dumps({
        "token": "Jhj5dZrVaK7ZwHHjRyZWjbDl", "type": "url_verification",
        "challenge": "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P",
    })),
    "reaction": event({
        "type": "reaction_added", "user": "U123ABC456", "item": ITEM, "reaction": "thumbsup",
        "item_user": "U222222222", "event_ts": "1465244570.336841",
    }),
    "reaction to a file": event({
        "type": "reaction_added", "user": "U1", "item": {"type": "file", "file": "F1"}, "reaction": "+1",
        "event_ts": "1465244570.336841",
    }),
    "message": event({**MESSAGE, "user": "U123ABC456", "text": "Hello world", "channel_type": "channel"}),
    "message changed": event({
        **MESSAGE, "subtype": "message_changed", "hidden": True,
        "message": {**MESSAGE, "user": "U1", "text": "new", "edited": {"user": "U1", "ts": "1355517536.000001"}},
    }),
    "message deleted": event({**MESSAGE, "subtype": "message_deleted", "hidden": True, "deleted_ts": "1358878749.000002"}),
    "a bot's message": event({**MESSAGE, "subtype": "bot_message", "text": "beep", "bot_id": "BB12033"}),
    "home": event({
        "type": "app_home_opened", "user": "U123ABC456", "channel": "D123ABC456", "event_ts": "1515449522.000016",
        "tab": "home", "view": {**VIEW, "type": "home"},
    }),
    "mention": event({**MESSAGE, "type": "app_mention", "user": "U061F7AUR", "text": "<@U0LAN0Z89> is it everything?"}),
    "channel archived": event({"type": "channel_archive", "channel": "C024BE91L", "user": "U024BE7LH", "is_moved": 0}),
    "bot removed": event({"type": "group_left", "channel": "G02ELGNBH", "actor_id": "U1", "event_ts": "1361482916.000003"}),
    "token revoked": event({"type": "tokens_revoked", "tokens": {"oauth": ["U0"], "bot": ["U1"]}}),
    "uninstalled": event({"type": "app_uninstalled"}),
    "what happens later": event({"type": "function_executed", "function": {"id": "Fn1"}}),
    "too many events": ("/slack/events", JSON, json.dumps({
        "token": "t", "type": "app_rate_limited", "team_id": "T123456", "minute_rate_limited": 1518467820, "api_app_id": "A1",
    })),
    "command": command(),
    "command without text": command(text=""),
    "command with anything": command(text="\u202eдетки 👍 <!channel> ' ; drop table labels; --"),
    "certificate": ("/slack/commands", FORM, urllib.parse.urlencode({"ssl_check": "1", "token": "t"})),
}


def send(path, kind, body):
    at = str(int(time.time()))
    signature = SignatureVerifier(secret).generate_signature(timestamp=at, body=body)
    headers = {"content-type": kind, "x-slack-request-timestamp": at, "x-slack-signature": signature}
    request = urllib.request.Request(base + path, data=body.encode(), headers=headers)
    try:
        with urllib.request.urlopen(request) as answer:
            return {"status": answer.status, "body": answer.read().decode()}
    except urllib.error.HTTPError as refused:
        return {"status": refused.code, "body": refused.read().decode()}


print(json.dumps({name: send(*request) for name, request in requests.items()}))
