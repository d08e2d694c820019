"""What an eval may ask of iofold: `from iofold import judge`."""


class JudgeUnavailable(RuntimeError):
    """`judge` can't answer."""


def judge(question, text):
    """Asks an LLM `question` about `text`; True or False."""
    raise JudgeUnavailable("no LLM is configured, so judge() can't answer")
