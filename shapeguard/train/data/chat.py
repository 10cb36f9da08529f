"""Conversations as text: messages are checked here, and put into a template."""

from collections.abc import Callable, Sequence
from itertools import takewhile
from typing import Any, TypedDict


class Message(TypedDict):
    """One turn."""

    role: str
    content: str


Template = Callable[[Sequence[Message], bool], str]
"""Messages -> text; with True, text that ends where the assistant is to go on."""

_ANSWERED = ("user", "tool")


def plain_template(messages: Sequence[Message], opened: bool) -> str:  # noqa: FBT001 - positional in every Template
    """Every message as a line or more: `user: What is it?`."""
    text = "\n".join(f"{message['role']}: {message['content']}" for message in messages)
    return f"{text}\nassistant:" if opened else text


def read_messages(value: Any) -> list[Message] | None:
    """A list of messages in either spelling, `role` and `content` or `from` and `value`; None where it is no such list."""
    if not isinstance(value, list) or not value:
        return None
    messages: list[Message] = []
    for item in value:
        if not isinstance(item, dict):
            return None
        role = item.get("role", item.get("from"))
        content = _text_of(item.get("content", item.get("value")))
        if not isinstance(role, str) or content is None:
            return None
        messages.append({"role": role, "content": content})
    return messages


def _text_of(content: Any) -> str | None:
    """A content is text, or a list of parts that are all text."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return None
    parts = [part.get("text") for part in content if isinstance(part, dict)]
    texts = [part for part in parts if isinstance(part, str)]
    return "".join(texts) if len(texts) == len(content) else None


def split_shared(chosen: list[Message], rejected: list[Message]) -> tuple[list[Message], list[Message], list[Message]]:
    """The messages that both begin with, and what is left of each, which is a message at least."""
    shared = min(count_shared(chosen, rejected), len(chosen) - 1, len(rejected) - 1)
    return chosen[:shared], chosen[shared:], rejected[shared:]


def count_shared(one: Sequence[object], other: Sequence[object]) -> int:
    """How many items both begin with."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def write_prompt(prompt: Sequence[Message], template: Template) -> str:
    """A prompt as text: the assistant's turn is opened behind a user's message or a tool's."""
    return template(prompt, prompt[-1]["role"] in _ANSWERED) if prompt else ""


def write_turns(prompt: Sequence[Message], ends: Sequence[Sequence[Message]], template: Template) -> tuple[str, ...]:
    """The text of the prompt, and of each way in which it goes on.

    A template may write a prompt otherwise when something follows, so what they all begin with is the prompt.
    """
    begin = write_prompt(prompt, template)
    wholes = [template([*prompt, *end], False) for end in ends]  # noqa: FBT003 - positional in every Template
    for whole in wholes:
        begin = begin[: count_shared(begin, whole)]
    return begin, *(whole[len(begin) :] for whole in wholes)
