"""What an eval may ask of iofold: `from iofold import judge`.

The host answers, but not while the eval waits: a question whose answer is not known ends the run, and the host
runs the eval again with that answer among `answers`.
"""

import hashlib

QUESTION_CHARS = 2_000
TEXT_CHARS = 100_000

loaded = False
answers = {}
asked = None


class Suspended(BaseException):
    """Ends the run until the host has the answer."""


def judge(question, text):
    """Asks an LLM `question` about `text`; True or False."""
    global asked
    if not loaded:
        raise RuntimeError("judge() can be called by evaluate() only, not while the eval is loaded")
    if not (type(question) is str and type(text) is str):
        raise TypeError("judge(question, text) takes two strings")
    if len(question) > QUESTION_CHARS or len(text) > TEXT_CHARS:
        raise ValueError(
            f"judge() takes a question of {QUESTION_CHARS:,} and a text of {TEXT_CHARS:,} characters at most"
        )
    question, text = plain(question), plain(text)
    key = hashlib.sha256(f"{question}\0{text}".encode()).hexdigest()
    if key not in answers:
        asked = asked or (question, text)
        raise Suspended("judge() was asked, and the host has no answer yet")
    return answers[key] is True


def plain(text):
    """`text` as the host will see it: without NUL and lone surrogates."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").replace("\0", "\ufffd")
