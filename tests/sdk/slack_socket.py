"""Slack's own Socket Mode client for Python on the stand-in for Slack.

Takes the Web API's address and the app's token. Prints each request as a line of JSON and acknowledges it: commands
with a text, the first submission of a modal with an error.
"""

import json
import sys
import threading

from slack_sdk import WebClient
from slack_sdk.socket_mode import SocketModeClient
from slack_sdk.socket_mode.response import SocketModeResponse

base_url, app_token = sys.argv[1:]
submissions = 0


def answer(request):
    global submissions
    if request.type == "slash_commands":
        return {"text": "heard"}
    if request.payload.get("type") == "view_submission":
        submissions += 1
        if submissions == 1:
            return {"response_action": "errors", "errors": {"reason": "No."}}
    return None


def take(client, request):
    response = SocketModeResponse(envelope_id=request.envelope_id, payload=answer(request))
    client.send_socket_mode_response(response)
    said = {"type": request.type, "body": request.payload, "retry": request.retry_attempt}
    print(json.dumps(said), flush=True)


client = SocketModeClient(app_token=app_token, web_client=WebClient(base_url=base_url))
client.socket_mode_request_listeners.append(take)
client.connect()
sys.stdin.read()
client.close()
