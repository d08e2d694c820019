"""Uses the stand-in for LLM providers through the providers' own SDKs.

Arguments: Anthropic's base URL and key, OpenAI's base URL and key.
"""

import sys

import anthropic
import openai

SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}},
    "required": ["name"],
    "additionalProperties": False,
}


def raises(kind, call, *arguments, **named):
    try:
        call(*arguments, **named)
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} was not raised for {arguments} {named}")


def check_anthropic(base_url, key):
    client = anthropic.Anthropic(base_url=base_url, api_key=key, max_retries=0)

    def ask(prompt, model="claude-sonnet-5-5", **more):
        return client.messages.create(
            model=model,
            max_tokens=100,
            system=[{"type": "text", "text": "Name it.", "cache_control": {"type": "ephemeral"}}],
            messages=[{"role": "user", "content": prompt}],
            **more,
        )

    message = ask("json", output_config={"format": {"type": "json_schema", "schema": SCHEMA}})
    assert [block.text for block in message.content if block.type == "text"] == ['{"name":"it"}']
    assert message.stop_reason == "end_turn" and message.usage.output_tokens > 0
    assert message.usage.cache_creation_input_tokens > 0
    assert ask("json").usage.cache_read_input_tokens > 0
    refused = ask("refuse")
    assert refused.stop_reason == "refusal" and refused.stop_details.type == "refusal"
    assert ask("long").stop_reason == "max_tokens"
    for status, kind in [
        ("400", anthropic.BadRequestError),
        ("401", anthropic.AuthenticationError),
        ("403", anthropic.PermissionDeniedError),
        ("404", anthropic.NotFoundError),
        ("429", anthropic.RateLimitError),
        ("500", anthropic.InternalServerError),
        ("529", anthropic.InternalServerError),
    ]:
        error = raises(kind, ask, status)
        assert error.status_code == int(status) and error.type, (status, error)
    assert raises(anthropic.RateLimitError, ask, "wait").response.headers["retry-after"] == "7"
    assert "credit balance" in str(raises(anthropic.BadRequestError, ask, "credit"))
    raises(Exception, ask, "breaks")
    # The SDK names the newest version, which has no temperature; the one before it has, for older models.
    warm = {"extra_body": {"temperature": 0}}
    older = {"extra_headers": {"anthropic-version": "2023-06-01"}}
    for model, more in [("claude-sonnet-4-5", {}), ("claude-sonnet-5-5", older)]:
        error = raises(anthropic.BadRequestError, ask, "json", model=model, **warm, **more)
        assert "temperature" in str(error)
    ask("json", model="claude-sonnet-4-5", **warm, **older)
    raises(anthropic.NotFoundError, ask, "json", model="mistral")
    wrong = anthropic.Anthropic(base_url=base_url, api_key="wrong", max_retries=0)
    raises(
        anthropic.AuthenticationError,
        wrong.messages.create,
        model="claude-sonnet-5-5",
        max_tokens=1,
        messages=[{"role": "user", "content": "json"}],
    )


def check_openai(base_url, key):
    client = openai.OpenAI(base_url=base_url, api_key=key, max_retries=0)

    def ask(prompt, model="gpt-6.1-sol", **more):
        return client.chat.completions.create(
            model=model,
            messages=[{"role": "system", "content": "Name it."}, {"role": "user", "content": prompt}],
            **more,
        )

    schema = {"name": "answer", "strict": True, "schema": SCHEMA}
    completion = ask(
        "json",
        max_completion_tokens=100,
        response_format={"type": "json_schema", "json_schema": schema},
    )
    choice = completion.choices[0]
    assert choice.message.content == '{"name":"it"}' and choice.finish_reason == "stop"
    assert completion.usage.prompt_tokens_details.cached_tokens == 0
    assert ask("refuse").choices[0].message.refusal
    assert ask("long").choices[0].finish_reason == "length"
    for status, kind in [
        ("400", openai.BadRequestError),
        ("401", openai.AuthenticationError),
        ("403", openai.PermissionDeniedError),
        ("404", openai.NotFoundError),
        ("429", openai.RateLimitError),
        ("500", openai.InternalServerError),
        ("503", openai.InternalServerError),
    ]:
        error = raises(kind, ask, status)
        assert error.status_code == int(status) and error.type, (status, error)
    assert raises(openai.RateLimitError, ask, "wait").response.headers["retry-after"] == "7"
    assert raises(openai.RateLimitError, ask, "credit").code == "insufficient_quota"
    raises(Exception, ask, "breaks")
    error = raises(openai.BadRequestError, ask, "json", temperature=0)
    assert (error.param, error.code) == ("temperature", "unsupported_value")
    assert raises(openai.BadRequestError, ask, "json", max_tokens=1).param == "max_tokens"
    ask("json", model="gpt-4o", temperature=0, max_tokens=1)
    assert raises(openai.NotFoundError, ask, "json", model="mistral").code == "model_not_found"
    wrong = openai.OpenAI(base_url=base_url, api_key="wrong", max_retries=0)
    error = raises(
        openai.AuthenticationError,
        wrong.chat.completions.create,
        model="gpt-6.1-sol",
        messages=[{"role": "user", "content": "json"}],
    )
    assert error.code == "invalid_api_key"


check_anthropic(sys.argv[1], sys.argv[2])
check_openai(sys.argv[3], sys.argv[4])
