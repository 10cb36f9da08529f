"""Tokenizers learned from texts: the same each time, back to the same text, and no text makes a special token."""

import json
import os
import subprocess
import sys

import pytest
from tokenizers import Tokenizer, models
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from shapeguard.config import UsageError
from shapeguard.train.tokens import encode, learn_tokenizer, load_tokenizer, template_of

TEXTS = [
    "The quick brown fox jumps over the lazy dog.\n",
    "def read(self):\n    return self.text\n",
    "  Spaces  at the ends, and tabs\tinside.  ",
    "naïve café — ünïcode, 日本語, 🙂\r\n",
    "don't can't won't",
] * 3
KINDS = [("pieces", 300), ("words", 60), ("characters", 90)]


@pytest.mark.parametrize(("kind", "size"), KINDS)
def test_special_tokens_of_their_own(kind, size):
    tokenizer = learn_tokenizer(TEXTS, kind, size)
    assert len(tokenizer) <= size
    assert tokenizer.convert_ids_to_tokens([0, 1]) == ["<pad>", "<eos>"]
    assert (tokenizer.pad_token_id, tokenizer.eos_token_id) == (0, 1)
    assert tokenizer.padding_side == "right"
    assert (tokenizer.unk_token_id is None) == (kind == "pieces")
    rows = encode(tokenizer, TEXTS)
    assert not {0, 1} & {token for row in rows for token in row}
    assert encode(tokenizer, TEXTS, ends=True) == [[*row, 1] for row in rows]


@pytest.mark.parametrize(("kind", "size"), [KINDS[0], KINDS[2]])
def test_ids_are_decoded_into_the_text(kind, size):
    tokenizer = learn_tokenizer(TEXTS, kind, size)
    assert [tokenizer.decode(row) for row in encode(tokenizer, TEXTS)] == TEXTS
    assert tokenizer.decode(encode(tokenizer, TEXTS[:1], ends=True)[0], skip_special_tokens=True) == TEXTS[0]


def test_pieces_know_every_text():
    tokenizer = learn_tokenizer(TEXTS, "pieces", 260)
    strange = "\x00 \u2603 \U0001f600 ﷽ \ufeff"
    assert tokenizer.decode(encode(tokenizer, [strange])[0]) == strange


def test_words_with_punctuation_apart():
    tokenizer = learn_tokenizer(["The dog, the Dog; don't x_1 = 3.\n", "the dog"], "words", 50)
    (row,) = encode(tokenizer, ["The dog, the cat don't x_1.\n"])
    assert tokenizer.convert_ids_to_tokens(row) == [
        *["The", "dog", ",", "the", "<unk>", "don", "'", "t", "x_1", ".", "\n"],
    ]
    few = learn_tokenizer(["b b a a c"], "words", 5)
    assert few.convert_ids_to_tokens(range(5)) == ["<pad>", "<eos>", "<unk>", "a", "b"]


@pytest.mark.parametrize(("kind", "size"), KINDS)
def test_no_text_makes_a_special_token(kind, size):
    texts = ["<eos> <pad><unk> a<eos>b <eos><eos>"] * 50
    tokenizer = learn_tokenizer(texts, kind, size)
    special = {tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.unk_token_id}
    (row,) = encode(tokenizer, texts[:1])
    assert not special & set(row)
    if kind != "words":
        assert tokenizer.decode(row) == texts[0]
    # What the tokenizer's own template has written is meant.
    assert encode(tokenizer, ["a<eos>"], special=True)[0][-1] == tokenizer.eos_token_id
    # And encoding so doesn't change what the tokenizer does elsewhere.
    assert tokenizer("a<eos>").input_ids[-1] == tokenizer.eos_token_id


@pytest.mark.parametrize(("kind", "size"), KINDS)
def test_saved_and_loaded(kind, size, tmp_path):
    tokenizer = learn_tokenizer(TEXTS, kind, size)
    tokenizer.save_pretrained(tmp_path)
    for loaded in (AutoTokenizer.from_pretrained(tmp_path), load_tokenizer(str(tmp_path))):
        assert encode(loaded, TEXTS, ends=True) == encode(tokenizer, TEXTS, ends=True)
        assert loaded.get_vocab() == tokenizer.get_vocab()
        assert loaded.padding_side == "right"
        assert [loaded.decode(row) for row in encode(loaded, TEXTS)] == [
            tokenizer.decode(row) for row in encode(tokenizer, TEXTS)
        ]


PROGRAM = """
import json, random
from shapeguard.train.tokens import encode, learn_tokenizer
chance = random.Random(0)
texts = [" ".join("".join(chance.choices("abcdefghij", k=chance.randint(1, 6))) for _ in range(40)) for _ in range(400)]
for kind, size in (("pieces", 600), ("words", 900), ("characters", 9)):
    tokenizer = learn_tokenizer(texts, kind, size)
    print(json.dumps([sorted(tokenizer.get_vocab().items()), encode(tokenizer, texts[:50])]))
"""


def test_the_same_texts_give_the_same_tokenizer_in_every_process(capsys):
    """Many words and pairs are as frequent as others there, so that something has to choose between them."""
    there = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "7", "TOKENIZERS_PARALLELISM": "false"},
    ).stdout
    for _ in range(3):
        exec(PROGRAM, {})  # noqa: S102
        assert capsys.readouterr().out == there
    assert [len(json.loads(line)[0]) for line in there.splitlines()] == [600, 900, 9]


FORKING = """
import os
from shapeguard.train.tokens import encode, learn_tokenizer
tokenizer = learn_tokenizer(["a b c"] * 5000, "pieces", 300)
encode(tokenizer, ["a b c"] * 5000)
child = os.fork()
if not child:
    tokenizer(["a b c"] * 5000)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
encode(tokenizer, ["a b c"] * 5000)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_process_forked_later_is_not_warned_of_threads():
    env = {name: value for name, value in os.environ.items() if name != "TOKENIZERS_PARALLELISM"}
    done = subprocess.run([sys.executable, "-c", FORKING], capture_output=True, text=True, env=env, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_long_texts_are_neither_cut_nor_warned_of(capfd):
    tokenizer = learn_tokenizer(TEXTS, "characters", 90)
    tokenizer.model_max_length = 10
    assert len(encode(tokenizer, ["the " * 100])[0]) == 400
    assert capfd.readouterr() == ("", "")


def test_nothing_to_encode():
    tokenizer = learn_tokenizer(TEXTS, "pieces", 300)
    assert encode(tokenizer, []) == []
    assert encode(tokenizer, ["", "a"], ends=True)[0] == [tokenizer.eos_token_id]


@pytest.mark.parametrize(
    ("texts", "kind", "size", "sentence"),
    [
        ([], "pieces", 300, "there are no texts to learn a tokenizer from"),
        (["", " "], "words", 300, "there are no texts to learn a tokenizer from"),
        (["a"], "pieces", 100, "a tokenizer of pieces has at least 258 tokens, and not 100"),
        (["a"], "words", 3, "a tokenizer of words has at least 4 tokens, and not 3"),
    ],
)
def test_what_no_tokenizer_can_be_learned_from(texts, kind, size, sentence):
    with pytest.raises(UsageError, match=f"^{sentence}$"):
        learn_tokenizer(texts, kind, size)


def bare(folder, **special):
    """A tokenizer of eight letters, saved, with these special tokens and no other."""
    vocabulary = {token: number for number, token in enumerate([*"abcdefgh", *special.values()])}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel(vocabulary, "a")), **special)
    tokenizer.save_pretrained(folder)
    return str(folder)


def test_a_tokenizer_without_padding_pads_with_the_end(tmp_path):
    tokenizer = load_tokenizer(bare(tmp_path, eos_token="</s>"))  # noqa: S106
    assert tokenizer.pad_token_id == tokenizer.eos_token_id == 8


def test_one_sentence_where_there_is_no_tokenizer(tmp_path):
    with pytest.raises(UsageError, match="has neither a padding token nor one that ends a text"):
        load_tokenizer(bare(tmp_path / "bare"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="empty holds no tokenizer that can be loaded: "):
        load_tokenizer(str(tmp_path / "empty"))
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text('{"model_type": "gpt2"}')
    with pytest.raises(UsageError, match="model knows no text: its vocabulary isn't there"):
        load_tokenizer(str(tmp_path / "model"))
    with pytest.raises(UsageError, match="the tokenizer has no token that ends a text"):
        encode(PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel({"a": 0}, "a"))), ["a"], ends=True)


def test_one_sentence_and_no_waiting_without_a_network(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "https://nowhere.invalid")
    sentence = (
        "^no folder owner/name is here, and no tokenizer of that name can be loaded: there is no network to look for "
        "it, and it isn't on this machine$"
    )
    with pytest.raises(UsageError, match=sentence):
        load_tokenizer("owner/name")


def test_the_tokenizers_own_template():
    tokenizer = learn_tokenizer(TEXTS, "pieces", 300)
    assert template_of(tokenizer) is None
    tokenizer.chat_template = "{% for m in messages %}[{{ m.role }}]{{ m.content }}<eos>{% endfor %}{% if add_generation_prompt %}[it]{% endif %}"
    template = template_of(tokenizer)
    assert template is not None
    said = template([{"role": "user", "content": "Hi"}], True)
    assert said == "[user]Hi<eos>[it]"
    assert encode(tokenizer, [said], special=True)[0].count(tokenizer.eos_token_id) == 1
