"""TRL's formats of records, one row at a time: a row is what a line of JSON or a dataset holds."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from shapeguard.config import UsageError
from shapeguard.train.data.chat import (
    Message,
    Template,
    count_shared,
    plain_template,
    read_messages,
    split_shared,
    write_prompt,
    write_turns,
)
from shapeguard.train.data.records import Loaded, Pair, Problem, Record, Text, count_problems

Kind = Literal["pairs", "texts", "prompts"]
Row = Mapping[str, Any]

_HAVE: dict[Kind, str] = {
    "pairs": "a pair has `chosen` and `rejected`",
    "texts": "a text has `text`, `messages`, or `prompt` and `completion`",
    "prompts": "a prompt has `prompt`",
}
_COMMANDS: dict[Kind, str] = {
    "pairs": "`shapeguard train reward`",
    "texts": "`shapeguard train lm` or `lstm`",
    "prompts": "`shapeguard train ppo`",
}


class BadRowError(Exception):
    """A row makes no record."""

    def __init__(self, kind: str, sentence: str) -> None:
        self.kind, self.sentence = kind, sentence


def read_pairs(rows: Iterable[tuple[str, Any]], source: str, template: Template = plain_template) -> Loaded[Pair]:
    """The preference pairs in rows with their places; a row that is a Problem already stays one."""
    return _read(rows, source, "pairs", lambda row, place: _pair(row, place, template))


def read_texts(rows: Iterable[tuple[str, Any]], source: str, template: Template = plain_template) -> Loaded[Text]:
    """The texts in rows, or prompts with their completions."""
    return _read(rows, source, "texts", lambda row, place: _text(row, place, template))


def read_prompts(rows: Iterable[tuple[str, Any]], source: str, template: Template = plain_template) -> Loaded[Text]:
    """The prompts in rows, whatever follows them there."""
    return _read(rows, source, "prompts", lambda row, place: _prompt(row, place, template))


def _read(
    rows: Iterable[tuple[str, Any]], source: str, wanted: Kind, make: Callable[[Row, str], Record]
) -> Loaded[Record]:
    records: list[Record] = []
    problems: list[Problem] = []
    found: Counter[Kind | None] = Counter()
    keys: dict[str, None] = {}
    for place, row in rows:
        if isinstance(row, Problem):
            problems.append(row)
            continue
        if not isinstance(row, Mapping):
            problems.append(Problem(place, "wrong type", f"is {_name(row)}, and not an object with keys"))
            continue
        try:
            records.append(make(row, place))
        except BadRowError as bad:
            problems.append(Problem(place, bad.kind, bad.sentence))
            found[_kind_of(row)] += 1
            keys |= dict.fromkeys(key for key, value in row.items() if value is not None)
    if not records:
        raise UsageError(_nothing(source, wanted, problems, found, list(keys)))
    return Loaded(tuple(records), tuple(problems))


def _nothing(source: str, wanted: Kind, problems: list[Problem], found: Counter[Kind | None], keys: list[str]) -> str:
    """Why there is no record at all."""
    if not problems:
        return f"{source} holds no records"
    other = found.most_common(1)[0][0] if found else wanted
    if other == wanted or problems[0].kind != "missing key":
        return f"no record of {source} can be used ({count_problems(problems)}); {problems[0]}"
    if other is None:
        shown = ", ".join(f"`{key}`" for key in keys[:8]) or "no keys"
        return f"{source} holds no {wanted}: {_HAVE[wanted]}; found {shown}"
    return f"{source} holds {other}, which {_COMMANDS[other]} takes, and no {wanted}: {_HAVE[wanted]}"


def _kind_of(row: Row) -> Kind | None:
    """What the keys of a row are those of."""
    keys = {key for key, value in row.items() if value is not None}
    if keys >= {"chosen", "rejected"}:
        return "pairs"
    if keys & {"text", "messages", "conversations"} or keys >= {"prompt", "completion"}:
        return "texts"
    return "prompts" if "prompt" in keys else None


def _pair(row: Row, place: str, template: Template) -> Pair:
    _need(row, "chosen", "rejected")
    margin = row.get("margin")
    if margin is None:
        margin = 0.0
    if isinstance(margin, bool) or not isinstance(margin, int | float) or not math.isfinite(margin):
        raise BadRowError("wrong type", f"its `margin` is {_name(margin)}, and not a number")
    chosen, rejected = _text_or_messages(row, "chosen"), _text_or_messages(row, "rejected")
    if chosen == rejected:
        raise BadRowError("identical pair", "chosen and rejected are the same")
    if isinstance(chosen, str) and isinstance(rejected, str):
        prompt, chosen, rejected = _texts_of_pair(row, chosen, rejected)
    elif isinstance(chosen, list) and isinstance(rejected, list):
        messages, chosen, rejected = _messages_of_pair(row, chosen, rejected)
        prompt, chosen, rejected = write_turns(messages, (chosen, rejected), template)
    else:
        raise BadRowError("wrong type", "one of chosen and rejected is text, the other a list of messages")
    if chosen == rejected:
        raise BadRowError("identical pair", "chosen and rejected are the same")
    return Pair(prompt, _full(chosen, "chosen"), _full(rejected, "rejected"), float(margin), place)


def _texts_of_pair(row: Row, chosen: str, rejected: str) -> tuple[str, str, str]:
    if row.get("prompt") is not None:
        prompt = _text_or_messages(row, "prompt")
        if not isinstance(prompt, str):
            raise BadRowError("wrong type", "its `prompt` is a list of messages, and chosen and rejected are text")
        return prompt, chosen, rejected
    shared = _shared_beginning(chosen, rejected)
    return shared, chosen[len(shared) :], rejected[len(shared) :]


def _shared_beginning(chosen: str, rejected: str) -> str:
    """What both begin with, up to the end of a word, so that something is left of each and no word is torn.

    The space before the next word belongs to what follows.
    """
    if not chosen.strip() or not rejected.strip():
        return ""
    end = count_shared(chosen, rejected)
    while end and not (chosen[end:].strip() and rejected[end:].strip() and _between(chosen, end)):
        end -= 1
    return chosen[:end]


def _between(text: str, end: int) -> bool:
    """Whether `text[end]` begins something behind a word."""
    return not text[end - 1].isspace() and (
        text[end].isspace() or not (text[end - 1].isalnum() and text[end].isalnum())
    )


def _messages_of_pair(
    row: Row, chosen: list[Message], rejected: list[Message]
) -> tuple[list[Message], list[Message], list[Message]]:
    """The prompt and what follows. A prompt as text beside conversations is only their beginning, told once more."""
    prompt = None if row.get("prompt") is None else _text_or_messages(row, "prompt")
    if not isinstance(prompt, list):
        return split_shared(chosen, rejected)
    size = len(prompt)
    if min(len(chosen), len(rejected)) > size and chosen[:size] == prompt == rejected[:size]:
        return prompt, chosen[size:], rejected[size:]
    return prompt, chosen, rejected


def _text(row: Row, place: str, template: Template) -> Text:
    if row.get("text") is not None:
        text = _text_or_messages(row, "text")
        if not isinstance(text, str):
            raise BadRowError("wrong type", "its `text` is a list of messages; the key for those is `messages`")
        return Text("", _full(text, "text"), place)
    for key in ("messages", "conversations"):
        if row.get(key) is not None:
            messages = _text_or_messages(row, key)
            if isinstance(messages, str):
                raise BadRowError("wrong type", f"its `{key}` is a text, and not a list of messages")
            return Text("", _full(template(messages, False), key), place)  # noqa: FBT003 - positional in every Template
    if row.get("prompt") is None and row.get("completion") is None:
        raise BadRowError("missing key", "has no `text`, no `messages`, and no `prompt` with a `completion`")
    _need(row, "prompt", "completion")
    if row.get("label") is False:
        raise BadRowError("rejected completion", "its completion is one that `label` calls wrong")
    prompt, completion = _text_or_messages(row, "prompt"), _text_or_messages(row, "completion")
    if isinstance(prompt, str) and isinstance(completion, str):
        return Text(prompt, _full(completion, "completion"), place)
    if isinstance(prompt, str) or isinstance(completion, str):
        raise BadRowError("wrong type", "one of prompt and completion is text, the other a list of messages")
    begin, end = write_turns(prompt, (completion,), template)
    return Text(begin, _full(end, "completion"), place)


def _prompt(row: Row, place: str, template: Template) -> Text:
    _need(row, "prompt")
    prompt = _text_or_messages(row, "prompt")
    return Text(_full(prompt if isinstance(prompt, str) else write_prompt(prompt, template), "prompt"), "", place)


def _need(row: Row, *keys: str) -> None:
    missing = [f"`{key}`" for key in keys if row.get(key) is None]
    if missing:
        raise BadRowError("missing key", f"has no {' and no '.join(missing)}")


def _text_or_messages(row: Row, key: str) -> str | list[Message]:
    value = row[key]
    if isinstance(value, str):
        return _encodable(value, key)
    messages = read_messages(value)
    if messages is None:
        raise BadRowError("wrong type", f"its `{key}` is {_name(value)}, and not text or a list of messages")
    for message in messages:
        _encodable(message["role"] + message["content"], key)
    return messages


def _encodable(text: str, key: str) -> str:
    """JSON can escape halves of characters, which no tokenizer takes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BadRowError("broken text", f"its `{key}` holds half a character (a lone surrogate)") from None
    return text


def _full(text: str, key: str) -> str:
    if not text.strip():
        raise BadRowError("empty text", f"its `{key}` is empty")
    return text


def _name(value: Any) -> str:
    """A value of JSON, named."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    names = {
        str: "a text",
        bool: "true or false",
        int: "a number",
        float: "a number",
        list: "a list",
        dict: "an object",
    }
    if isinstance(value, list):
        return "a list of something else than messages" if value else "an empty list"
    return "null" if value is None else names.get(type(value), f"a {type(value).__name__}")
