"""Files of JSON as people have them, good and broken, and what is said of the broken ones."""

import gzip
import json

import pytest

from shapeguard.config import UsageError
from shapeguard.train.data.load import PAIRS, PROMPTS, TEXTS, load
from shapeguard.train.data.records import Pair, Text, count_problems, refuse_overlong

SKY = [{"role": "user", "content": "What color is the sky?"}]
BLUE = [{"role": "assistant", "content": "It is blue."}]
GREEN = [{"role": "assistant", "content": "It is green."}]
ASKED = "user: What color is the sky?\nassistant:"


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Rows, or lines as they are, in a file of the current folder."""
    monkeypatch.chdir(tmp_path)

    def write(rows, name="data.jsonl"):
        lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        return name

    return write


def everything(split):
    return sorted(split.train + split.held_out, key=lambda record: (len(record.place), record.place))


def first(sources, write, row, others):
    """The record that the first of several rows becomes."""
    return everything(load(sources, write([row, *others])))[0]


SOME_PAIRS = [{"prompt": f"{n}?", "chosen": f"yes {n}", "rejected": f"no {n}"} for n in range(4)]
SOME_TEXTS = [{"text": f"text {n}"} for n in range(4)]
SOME_PROMPTS = [{"prompt": f"Say {n}"} for n in range(4)]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"prompt": "The sky is", "chosen": " blue.", "rejected": " green."}, ("The sky is", " blue.", " green.")),
        ({"chosen": "The sky is blue.", "rejected": "The sky is green."}, ("The sky is", " blue.", " green.")),
        ({"prompt": SKY, "chosen": BLUE, "rejected": GREEN}, (ASKED, " It is blue.", " It is green.")),
        ({"chosen": SKY + BLUE, "rejected": SKY + GREEN}, (ASKED, " It is blue.", " It is green.")),
        # Datasets that tell the prompt twice: as text beside conversations, and as messages in all three.
        (
            {"prompt": "What color is the sky?", "chosen": SKY + BLUE, "rejected": SKY + GREEN},
            (ASKED, " It is blue.", " It is green."),
        ),
        (
            {"prompt": SKY, "chosen": SKY + BLUE, "rejected": SKY + GREEN},
            (ASKED, " It is blue.", " It is green."),
        ),
        # A prompt that a dataset has as a column, empty in this row.
        (
            {"prompt": None, "chosen": "The sky is blue.", "rejected": "The sky is red."},
            ("The sky is", " blue.", " red."),
        ),
    ],
)
def test_pairs_in_all_formats_of_trl(write, row, expected):
    pair = first(PAIRS, write, row, SOME_PAIRS)
    assert (pair.prompt, pair.chosen, pair.rejected) == expected
    assert pair.place == "data.jsonl:1"


@pytest.mark.parametrize(
    ("chosen", "rejected", "prompt"),
    [
        ("The sky is black", "The sky is blue", "The sky is"),  # no word is torn where both go on with "bl"
        ("A b c", "A b", "A"),  # something is left of both
        ("yes", "no", ""),
        ("\n\nHuman: hi\n\nAssistant: Hello.", "\n\nHuman: hi\n\nAssistant: What?", "\n\nHuman: hi\n\nAssistant:"),
    ],
)
def test_the_beginning_that_both_share_is_the_prompt(write, chosen, rejected, prompt):
    pair = first(PAIRS, write, {"chosen": chosen, "rejected": rejected}, SOME_PAIRS)
    assert pair.prompt == prompt
    assert (pair.prompt + pair.chosen, pair.prompt + pair.rejected) == (chosen, rejected)


def test_margins_are_kept(write):
    data = write([{**SOME_PAIRS[0], "margin": 2}, *SOME_PAIRS[1:]])
    assert [pair.margin for pair in everything(load(PAIRS, data))] == [2.0, 0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"text": "The sky is blue."}, ("", "The sky is blue.")),
        ({"text": "The sky is blue.", "label": 0}, ("", "The sky is blue.")),
        ({"messages": SKY + BLUE}, ("", f"{ASKED} It is blue.")),
        (
            {"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Ho"}]},
            ("", "human: Hi\ngpt: Ho"),
        ),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]}, ("", "user: Hi")),
        ({"prompt": "The sky is", "completion": " blue."}, ("The sky is", " blue.")),
        ({"prompt": SKY, "completion": BLUE}, (ASKED, " It is blue.")),
    ],
)
def test_texts_in_all_formats_of_trl(write, row, expected):
    text = first(TEXTS, write, row, SOME_TEXTS)
    assert (text.prompt, text.text) == expected


@pytest.mark.parametrize(("row", "expected"), [({"prompt": "The sky is"}, "The sky is"), ({"prompt": SKY}, ASKED)])
def test_prompts_alone(write, row, expected):
    prompt = first(PROMPTS, write, {**row, "answer": 42}, SOME_PROMPTS)
    assert (prompt.prompt, prompt.text) == (expected, "")


def test_a_template_writes_conversations(write):
    def template(messages, opened):
        said = "".join(f"<{message['role']}>{message['content']}</>" for message in messages)
        return said + "<assistant>" * opened

    data = write([{"prompt": SKY, "chosen": BLUE, "rejected": GREEN}, *SOME_PAIRS])
    pair = everything(load(PAIRS, data, template=template))[0]
    assert pair.prompt == "<user>What color is the sky?</><assistant>"
    assert pair.chosen == "It is blue.</>"


BAD_PAIRS = [
    ({"chosen": "a"}, "missing key", "has no `rejected`"),
    ({"prompt": "p"}, "missing key", "has no `chosen` and no `rejected`"),
    ({"chosen": "a", "rejected": ""}, "empty text", "its `rejected` is empty"),
    ({"chosen": "  \n", "rejected": "b"}, "empty text", "its `chosen` is empty"),
    ({"chosen": "a", "rejected": "a"}, "identical pair", "chosen and rejected are the same"),
    ({"chosen": BLUE, "rejected": BLUE}, "identical pair", "chosen and rejected are the same"),
    ({"chosen": 3, "rejected": "a"}, "wrong type", "its `chosen` is a number, and not text or a list of messages"),
    (
        {"chosen": [], "rejected": "a"},
        "wrong type",
        "its `chosen` is an empty list, and not text or a list of messages",
    ),
    (
        {"chosen": ["a"], "rejected": ["b"]},
        "wrong type",
        "its `chosen` is a list of something else than messages, and not text or a list of messages",
    ),
    (
        {"chosen": "a", "rejected": BLUE},
        "wrong type",
        "one of chosen and rejected is text, the other a list of messages",
    ),
    (
        {"prompt": SKY, "chosen": "a", "rejected": "b"},
        "wrong type",
        "its `prompt` is a list of messages, and chosen and rejected are text",
    ),
    ({"chosen": "a", "rejected": "b", "margin": "1"}, "wrong type", "its `margin` is a text, and not a number"),
    ({"chosen": "a", "rejected": "b", "margin": True}, "wrong type", "its `margin` is true or false, and not a number"),
    ('{"chosen": "a", "rejected": "b", "margin": NaN}', "wrong type", "its `margin` is nan, and not a number"),
    ('{"chosen": "\\ud800", "rejected": "b"}', "broken text", "its `chosen` holds half a character (a lone surrogate)"),
    ('["chosen", "rejected"]', "wrong type", "is a list of something else than messages, and not an object with keys"),
    ('{"chosen": "a", "rejec', "broken JSON", "is no JSON (column 17: Unterminated string starting at)"),
    ("[" * 100_000, "broken JSON", "is JSON that can't be read: a number too long, or too deeply nested"),
]


@pytest.mark.parametrize(("row", "kind", "sentence"), BAD_PAIRS)
def test_a_bad_record_is_named_by_its_line(write, row, kind, sentence):
    split = load(PAIRS, write([*SOME_PAIRS[:2], row, "", *SOME_PAIRS[2:]]))
    assert [str(problem) for problem in split.problems] == [f"data.jsonl:3: {sentence}"]
    assert split.problems[0].kind == kind
    assert [record.place for record in everything(split)] == [f"data.jsonl:{line}" for line in (1, 2, 5, 6)]


def test_bad_records_are_counted(write):
    split = load(PAIRS, write([*SOME_PAIRS, *(row for row, _, _ in BAD_PAIRS)]))
    assert count_problems(split.problems) == (
        "9 wrong type, 2 broken JSON, 2 empty text, 2 identical pair, 2 missing key, 1 broken text"
    )


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        ({"prompt": "a", "completion": "b", "label": False}, "rejected completion"),
        ({"prompt": "a"}, "missing key"),
        ({"text": SKY}, "wrong type"),
        ({"messages": "a"}, "wrong type"),
        ({"messages": [{"role": "user", "content": None}]}, "wrong type"),
        ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "wrong type"),
        ({"text": " "}, "empty text"),
    ],
)
def test_a_bad_text_is_named(write, row, kind):
    split = load(TEXTS, write([*SOME_TEXTS, row]))
    assert [(problem.place, problem.kind) for problem in split.problems] == [("data.jsonl:5", kind)]


def test_a_line_in_another_encoding_is_named(write, tmp_path):
    name = write(SOME_TEXTS)
    with (tmp_path / name).open("ab") as file:
        file.write('{"text": "é"}\n'.encode("latin-1"))
    assert [str(problem) for problem in load(TEXTS, name).problems] == ["data.jsonl:5: isn't text in UTF-8"]


def test_a_byte_order_mark_and_windows_line_ends_are_no_matter(tmp_path):
    path = tmp_path / "data.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + b"".join(json.dumps(row).encode() + b"\r\n" for row in SOME_TEXTS))
    assert [text.text for text in everything(load(TEXTS, str(path)))] == [row["text"] for row in SOME_TEXTS]


def test_a_compressed_file(write, tmp_path):
    raw = (tmp_path / write(SOME_TEXTS)).read_bytes()
    (tmp_path / "data.jsonl.gz").write_bytes(gzip.compress(raw))
    assert everything(load(TEXTS, "data.jsonl.gz"))[0].place == "data.jsonl.gz:1"
    (tmp_path / "torn.jsonl.gz").write_bytes(gzip.compress(raw)[:30])
    with pytest.raises(UsageError, match=r"^torn\.jsonl\.gz is broken: it can't be decompressed"):
        load(TEXTS, "torn.jsonl.gz")


def test_a_file_with_one_list_and_lines_under_the_wrong_suffix(write):
    listed = load(TEXTS, write([json.dumps([*SOME_TEXTS, {"text": ""}], indent=2)], "data.json"))
    assert [text.place for text in everything(listed)][:2] == ["data.json[0]", "data.json[1]"]
    assert [str(problem) for problem in listed.problems] == ["data.json[4]: its `text` is empty"]
    assert len(everything(load(TEXTS, write(SOME_TEXTS, "lines.json")))) == len(SOME_TEXTS)
    assert len(everything(load(TEXTS, write([json.dumps(SOME_TEXTS)], "list.jsonl")))) == len(SOME_TEXTS)


def test_a_folder_of_files(write):
    write(SOME_TEXTS[:2], "data/b.jsonl")
    write(SOME_TEXTS[2:], "data/a.jsonl")
    write(["not for us"], "data/README.md")
    assert {text.place for text in everything(load(TEXTS, "data"))} == {
        f"data/{name}.jsonl:{line}" for name in "ab" for line in (1, 2)
    }


def test_a_folder_with_both_sides_is_not_mixed(write):
    write(SOME_TEXTS, "data/train.jsonl")
    write(SOME_TEXTS, "data/test.jsonl")
    with pytest.raises(UsageError, match=r"pass --data data/train\.jsonl --held-out data/test\.jsonl$"):
        load(TEXTS, "data")


WRONG = [
    (PAIRS, SOME_TEXTS, "data.jsonl holds texts, which `shapeguard train lm` or `lstm` takes, and no pairs: "),
    (TEXTS, SOME_PAIRS, "data.jsonl holds pairs, which `shapeguard train reward` takes, and no texts: "),
    (TEXTS, SOME_PROMPTS, "data.jsonl holds prompts, which `shapeguard train ppo` takes, and no texts: "),
    (PROMPTS, SOME_TEXTS, "data.jsonl holds texts, which `shapeguard train lm` or `lstm` takes, and no prompts: "),
    (
        PAIRS,
        [{"instruction": "a", "output": "b"}],
        "data.jsonl holds no pairs: a pair has `chosen` and `rejected`; found `instruction`, `output`",
    ),
    (
        PAIRS,
        ["{", "{"],
        "no record of data.jsonl can be used (2 broken JSON); data.jsonl:1: is no JSON (column 2: ",
    ),
    (PAIRS, [{"chosen": "a", "rejected": "a"}], "no record of data.jsonl can be used (1 identical pair); "),
    (PAIRS, [], "data.jsonl is empty"),
    (TEXTS, ["[]"], "data.jsonl holds no records"),
    (PAIRS, SOME_PAIRS[:1], "data.jsonl holds too few records: "),
    (TEXTS, SOME_TEXTS[:1] * 9, "all 9 records of data.jsonl are the same, "),
]


@pytest.mark.parametrize(("sources", "rows", "sentence"), WRONG)
def test_one_sentence_for_data_that_cannot_be_used(write, sources, rows, sentence):
    with pytest.raises(UsageError) as refused:
        load(sources, write(rows))
    assert str(refused.value).startswith(sentence)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ("none.jsonl", "there is no file or folder none.jsonl"),
        ("./none", "there is no file or folder ./none"),
        ("", "the data has no name"),
        ("movie_reviews", "there is no data called movie_reviews; did you mean `movie-reviews`?"),
        ("table.csv", "table.csv is no file of records: such files end with one of .jsonl, .jsonl.gz, .json, .json.gz"),
        ("object.json", "object.json is one JSON object, and not a list of records"),
        ("bytes.jsonl", "bytes.jsonl isn't text in UTF-8; a file of records holds JSON"),
        ("wide.jsonl", "wide.jsonl isn't text in UTF-8; a file of records holds JSON"),
        ("folder", "the folder folder holds no file that ends with one of .jsonl, .jsonl.gz, .json, .json.gz"),
    ],
)
def test_one_sentence_for_a_name_that_leads_nowhere(write, tmp_path, data, sentence):
    write(["a,b"], "table.csv")
    write([json.dumps({"data": SOME_TEXTS}, indent=1)], "object.json")
    (tmp_path / "bytes.jsonl").write_bytes(bytes(range(256)))
    (tmp_path / "wide.jsonl").write_text('{"text": "a"}', encoding="utf-16")
    (tmp_path / "folder").mkdir()
    with pytest.raises(UsageError) as refused:
        load(TEXTS, data)
    assert str(refused.value).startswith(sentence)


def test_what_is_over_long_is_named_and_nothing_is_cut():
    records = (Pair("", "a", "b", place="p:1"), Text("", "c", place="p:2"))
    kept, problems = refuse_overlong(records, [3, 4], 3)
    assert kept == records[:1]
    assert [str(problem) for problem in problems] == ["p:2: is 4 tokens long, and at most 3 are taken"]
    assert problems[0].kind == "over-long"
