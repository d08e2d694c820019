"""Slack's own OAuth helpers against the stand-in for Slack.

Reads one line of JSON from standard input: where the stand-in is, the app's id and secret, the teams,
and the address that iofold sends people to. Ends with status 0 if all holds.
"""

import http.client
import json
import sys
import time
import urllib.parse

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.oauth import AuthorizeUrlGenerator
from slack_sdk.oauth.installation_store import Installation
from slack_sdk.oauth.token_rotation import TokenRotator


def refused(call, error):
    try:
        call()
    except SlackApiError as refusal:
        assert refusal.response["error"] == error, refusal
        return
    raise AssertionError(f"{error} was expected")


def request(method, url, form=None):
    """One request without following; gives the status, the address to go on to and the page."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc)
    body = None if form is None else urllib.parse.urlencode(form)
    headers = {"content-type": "application/x-www-form-urlencoded"} if form else {}
    connection.request(method, f"{parts.path}?{parts.query}", body, headers)
    answer = connection.getresponse()
    return answer.status, answer.getheader("location"), answer.read().decode()


def query(url):
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query))


def generator(place):
    page = urllib.parse.urljoin(place["api"], "../oauth/v2/authorize")
    return AuthorizeUrlGenerator(
        client_id=place["client_id"],
        scopes=place["scopes"],
        redirect_uri=place["redirect_uri"],
        authorization_url=page,
    )


def consent(place, team, decision="allow"):
    state = f"state-of-{team}"
    page = generator(place).generate(state)
    status, _, shown = request("GET", page)
    assert status == 200 and "chat:write" in shown, shown
    status, back, _ = request("POST", page, {"team": team, "decision": decision})
    assert 300 <= status < 400 and back.startswith(place["redirect_uri"]), back
    answered = query(back)
    assert answered["state"] == state
    return answered


def check_address(place):
    """iofold asks for consent as Slack's own generator does."""
    theirs = generator(place).generate("the state")
    assert theirs.split("?")[0] == place["ours"].split("?")[0], (theirs, place["ours"])
    ours = query(place["ours"])
    assert {key: value for key, value in query(theirs).items() if value} == ours, (theirs, ours)


def exchange(client, place, code, **other):
    arguments = {
        "client_id": place["client_id"],
        "client_secret": place["client_secret"],
        "redirect_uri": place["redirect_uri"],
        "code": code,
    }
    return client.oauth_v2_access(**{**arguments, **other})


def check_refusals(client, place):
    assert consent(place, place["team"], "cancel")["error"] == "access_denied"
    code = consent(place, place["team"])["code"]
    refused(lambda: exchange(client, place, code, client_id="1.2"), "invalid_client_id")
    refused(lambda: exchange(client, place, code, client_secret="x"), "bad_client_secret")
    elsewhere = "https://elsewhere.example/"
    refused(lambda: exchange(client, place, code, redirect_uri=elsewhere), "bad_redirect_uri")
    refused(lambda: exchange(client, place, "1.2"), "invalid_code")
    assert exchange(client, place, code)["ok"]
    refused(lambda: exchange(client, place, code), "invalid_code")
    page = generator(place).generate("s")
    for name, wrong in [("client_id", "1.2"), ("redirect_uri", elsewhere), ("scope", "")]:
        changed = urllib.parse.urlencode({**query(page), name: wrong})
        status, back, _ = request("GET", f"{page.split('?')[0]}?{changed}")
        assert status == 400 and back is None, (name, status, back)


def check_install(client, place, team, is_org):
    answer = exchange(client, place, consent(place, team)["code"])
    assert answer["token_type"] == "bot" and answer["scope"] == ",".join(place["scopes"])
    assert answer["is_enterprise_install"] == is_org and answer["expires_in"] == 43_200
    tenant = answer["enterprise"] if is_org else answer["team"]
    assert tenant["id"] == team
    named = WebClient(base_url=place["api"], token=answer["access_token"]).auth_test()
    assert named["team_id"] == team and named["user_id"] == answer["bot_user_id"]
    return Installation(
        app_id=answer["app_id"],
        enterprise_id=(answer.get("enterprise") or {}).get("id"),
        team_id=(answer.get("team") or {}).get("id"),
        user_id=answer["authed_user"]["id"],
        bot_token=answer["access_token"],
        bot_id="B0",
        bot_user_id=answer["bot_user_id"],
        bot_refresh_token=answer["refresh_token"],
        bot_token_expires_at=int(time.time()) + answer["expires_in"],
        bot_scopes=answer["scope"],
        is_enterprise_install=is_org,
    )


def check_rotation(client, place, installation):
    rotator = TokenRotator(
        client_id=place["client_id"], client_secret=place["client_secret"], client=client
    )
    hours = 60
    assert rotator.perform_token_rotation(installation=installation, minutes_before_expiration=hours) is None
    renewed = rotator.perform_token_rotation(installation=installation, minutes_before_expiration=13 * hours)
    assert renewed.bot_token not in (None, installation.bot_token)
    assert renewed.bot_refresh_token not in (None, installation.bot_refresh_token)
    for token in (installation.bot_token, renewed.bot_token):
        assert WebClient(base_url=place["api"], token=token).auth_test()["ok"]
    used = {"grant_type": "refresh_token", "refresh_token": installation.bot_refresh_token}
    again = {"client_id": place["client_id"], "client_secret": place["client_secret"], **used}
    refused(lambda: client.oauth_v2_access(**again), "invalid_refresh_token")
    return renewed


def check_revocation(place, installation):
    client = WebClient(base_url=place["api"], token=installation.bot_token)
    assert client.auth_revoke(test=True)["revoked"] is False
    assert client.auth_test()["ok"]
    assert client.auth_revoke()["revoked"] is True
    refused(client.auth_test, "token_revoked")


def main():
    place = json.loads(sys.stdin.readline())
    client = WebClient(base_url=place["api"])
    check_address(place)
    check_refusals(client, place)
    first = check_install(client, place, place["team"], False)
    other = check_install(client, place, place["other_team"], False)
    check_install(client, place, place["org"], True)
    renewed = check_rotation(client, place, first)
    check_revocation(place, renewed)
    assert WebClient(base_url=place["api"], token=other.bot_token).auth_test()["ok"]


main()
