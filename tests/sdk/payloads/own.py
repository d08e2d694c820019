"""What Langfuse's SDK makes of plain functions and of media."""

import base64

from conversation import ANSWER, PNG, QUESTION, chat, reading, said
from langfuse.media import LangfuseMedia
from standin import langfuse, traced

from langfuse import observe


def decorated():
    @observe()
    def answer(question, *, top_k=3):
        return {"answer": ANSWER, "sources": ["orders.csv"]}

    answer(QUESTION)
    return ["langfuse"], traced(), chat(system=False, earlier=False)


def media():
    picture = LangfuseMedia(content_bytes=base64.b64decode(PNG), content_type="image/png")
    content = [{"type": "text", "text": QUESTION}, {"type": "image_url", "image_url": {"url": picture}}, picture]
    inline = f"Look: data:image/png;base64,{PNG}"
    with langfuse.start_as_current_observation(name="answer", as_type="generation") as step:
        step.update(input=[{"role": "user", "content": content}, {"role": "user", "content": inline}], output=ANSWER)
    question = f"{QUESTION}\n[image]\n[image/png]"
    messages = [said("user", question), said("user", "Look: [image/png]"), said("assistant", ANSWER)]
    return ["langfuse"], traced(), reading(messages, "Look: [image/png]")


SHAPES = {"langfuse_decorated_function": decorated, "langfuse_media": media}
