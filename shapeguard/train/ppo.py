"""The PPO task: a language model that learns from the rewards of what it writes, and stays near where it began."""

import math
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import GenerationConfig, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from shapeguard.config import UsageError
from shapeguard.losses import clipped_policy_loss, clipped_value_loss, estimate_kl
from shapeguard.models import ValueHeadPolicy, pad_rows
from shapeguard.train import tokens
from shapeguard.train.data.chat import plain_template
from shapeguard.train.data.load import PROMPTS, load
from shapeguard.train.data.records import Problem, Text
from shapeguard.train.experience import Answer, Experience, Prompt, Recipe
from shapeguard.train.judge import Judge, load_judge
from shapeguard.train.options import Options
from shapeguard.train.policy import is_whole, load_policy, room_of, save_policy
from shapeguard.train.rollouts import Actions, Rows, lay_out, score_actions
from shapeguard.train.task import Batch, Task

_TRIALS = 256
"""So many prompts are answered at an evaluation, at most."""
_PRINTS = 2**24
"""Whole numbers below this are exact in float32."""
_SHOWN = 3


class PPOTask(Task):
    """A policy, prompts to answer, and a judge of the answers.

    The policy is never put into training mode: dropout would have it learn from responses that another one has written.
    """

    name: ClassVar[str] = "ppo"
    items: ClassVar[str] = "prompts"
    best: ClassVar[str] = "reward"
    higher_is_better: ClassVar[bool] = True
    model: ValueHeadPolicy
    train: Experience
    held_out: Sequence[Prompt]

    def __init__(
        self,
        policy: ValueHeadPolicy,
        tokenizer: Any,
        judge: Judge,
        train: Sequence[Text],
        held_out: Sequence[Text],
        recipe: Recipe,
        *,
        longest: int | None = None,
    ) -> None:
        self.model, self.tokenizer, self.recipe = policy, tokenizer, recipe
        room = room_of(policy, longest) - recipe.response
        if room < 1:
            raise UsageError(
                f"a response of {recipe.response} tokens leaves no room for a prompt among {room + recipe.response}; "
                "give a lower --response, or a higher --longest if the model allows it"
            )
        prompts, lengthy = _encode(train, tokenizer, room)
        self.held_out, more = _encode(held_out[:_TRIALS], tokenizer, room)
        self.problems: list[Problem] = [*lengthy, *more]
        for what, some in (("train on", prompts), ("evaluate on", self.held_out)):
            if not some:
                raise UsageError(
                    f"there is no prompt to {what} of {room} tokens or fewer, which leave {recipe.response} to a "
                    "response; give a higher --longest, or a lower --response"
                )
        self.train = Experience(policy, tokenizer, judge, prompts, self.held_out, recipe)
        self.turns = recipe.passes * max(1, len(prompts) // recipe.rollouts)
        # What a model is usually asked to do with its probabilities would make the responses another policy's.
        self._generation, policy.model.generation_config = policy.model.generation_config, GenerationConfig()  # type: ignore[no-untyped-call]

    @property
    def size(self) -> int:
        """All prompts, of which a round takes some."""
        return len(self.train.prompts)

    def collate(self, items: Sequence[Any]) -> Batch:
        """Rollouts as rows, or prompts padded on the left, with their numbers."""
        if isinstance(items[0], dict):
            return {name: torch.stack([item[name] for item in items]) for name in items[0]}
        numbers = torch.tensor([item.number for item in items])
        return {**pad_rows([item.ids for item in items], side="left")._asdict(), "numbers": numbers}

    def length(self, item: Any) -> int:
        """Tokens of the response."""
        return int(item["mask"].sum())

    def count(self, batch: Batch) -> int:
        """Actions."""
        return int(batch["mask"].sum())

    def loss(self, model: nn.Module, batch: Batch, count: int) -> Float[Tensor, ""]:
        """The clipped objectives of policy and value."""
        self.model.eval()
        try:
            actions = self._score(model, batch)
        except ValueError:  # which says where the NaN was seen, and not where it is from
            if is_whole(self.model):
                raise
            return torch.tensor(torch.nan)
        mask, clip = batch["mask"], self.recipe.clip
        policy = clipped_policy_loss(
            actions.log_probs, batch["log_probs"], batch["advantages"], mask, clip=clip, num_items_in_batch=count
        )
        value = clipped_value_loss(
            actions.values, batch["values"], batch["returns"], mask, clip=clip, num_items_in_batch=count
        )
        return policy + self.recipe.value_weight * value

    def _score(self, model: nn.Module, batch: Batch) -> Actions:
        actions = batch["mask"].size(1)
        return score_actions(model, batch["input_ids"], batch["attention_mask"], actions, self.recipe.temperature)

    def observe(self, model: nn.Module, batch: Batch) -> Float[Tensor, "prompts 8"]:
        """Of each answer its reward, its divergence and a number that stands for its text; the reference's beside it."""
        del model  # a wrapped one can't write
        numbers = batch["numbers"].tolist()
        prompts = [self.held_out[number] for number in numbers]
        answers = self.train.answer(self.model, prompts, self.train.names_of(prompts))
        rows: Rows = lay_out([prompt.ids for prompt in prompts], [answer.ids for answer in answers])
        log_probs, _, reference = (torch.stack(column) for column in zip(*self.train.score(rows), strict=True))
        divergences = estimate_kl(log_probs, reference, rows.mask).sum(dim=1).tolist()
        observed = [
            [divergence, _fingerprint(answer.text), *_told(answer), *_told(self.train.before[number])]
            for divergence, answer, number in zip(divergences, answers, numbers, strict=True)
        ]
        return torch.tensor(observed, device=batch["numbers"].device)

    def summarise(self, observed: Float[Tensor, "prompts 8"]) -> dict[str, float]:
        """Beside the reward what it may have been bought with: divergence, length, endings, the same text every time.

        The gain is that over the reference's answers to the same prompts, in standard deviations of their rewards.
        """
        divergence, prints, reward, length, ended, before, before_length, before_ended = observed.double().unbind(1)
        gain = (reward - before) / self.train.scale[1]
        return {
            "reward": reward.mean().item(),
            "standard_error": _error(reward),
            "reference_baseline": before.mean().item(),
            "gain": gain.mean().item(),
            "gain_standard_error": _error(gain),
            "kl": divergence.mean().item(),
            "length": length.mean().item(),
            "length_before": before_length.mean().item(),
            "ended": ended.mean().item(),
            "ended_before": before_ended.mean().item(),
            "different": len(set(prints.tolist())) / len(prints),
        }

    def save(self, folder: Path) -> None:
        """The policy as a causal language model, its tokenizer, and the value head beside them."""
        language_model: Any = self.model.model
        neutral, language_model.generation_config = language_model.generation_config, self._generation
        save_policy(self.model, self.tokenizer, folder)
        language_model.generation_config = neutral

    def usage(self, folder: Path) -> str:
        """What it writes behind a prompt."""
        return _USAGE.format(folder=str(folder), prompt=self.held_out[0].text, response=self.recipe.response)

    def callbacks(self) -> list[TrainerCallback]:
        """New rollouts after as many passes as there are to be."""
        return [_Rounds(self.train)]

    def seconds_between(self, batch: int) -> float:
        """A step's share of the time that a round's rollouts take."""
        return self.train.seconds * batch / (self.recipe.rollouts * self.recipe.passes)

    def keep(self, folder: Path) -> None:
        """The rollouts, and what leaving the reference costs by now."""
        self.train.keep(folder)

    def recall(self, folder: Path) -> None:
        """The same."""
        try:
            self.train.recall(folder)
        except OSError as error:
            raise UsageError(f"{folder} holds no rollouts to go on with ({error})") from error

    def epilogue(self) -> str:
        """A few prompts with the responses of the reference and the policy."""
        shown = self.held_out[:_SHOWN]
        after = self.train.answer(self.model, shown, self.train.names_of(shown))
        lines = ["Held-out prompts, and the responses before and after, with their rewards:"]
        for prompt, *answers in zip(shown, self.train.before, after, strict=False):
            lines += ["", f"  prompt           {_one_line(prompt.text)}"]
            for when, answer in zip(("before", "after"), answers, strict=True):
                lines.append(f"  {when:6} {answer.reward:8.3f}  {_one_line(answer.text)}")
        return "\n".join(lines)


class _Rounds(TrainerCallback):
    """Begins the rounds: the Trainer's epoch is a pass, so no batch of a round is made before the round begins."""

    def __init__(self, experience: Experience) -> None:
        self.experience = experience

    def on_init_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> TrainerControl:
        del state
        self.experience.prepare(args)
        return control

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> TrainerControl:
        batch = args.train_batch_size * args.gradient_accumulation_steps * args.world_size
        passes, steps = divmod(state.global_step, len(self.experience) // batch)
        number, passes = divmod(passes, self.experience.recipe.passes)
        if steps == passes == 0:  # else a checkpoint has brought the round that goes on
            self.experience.renew(number)
        return control

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **_: Any,
    ) -> TrainerControl:
        del args, state
        if logs is not None and "loss" in logs:
            logs.update(self.experience.figures)
        return control


def make_task(options: Options) -> PPOTask:
    """Policy, judge and prompts as they are asked for."""
    recipe = _read_recipe(options)
    policy, tokenizer = load_policy(Path(str(options.policy)))
    judge = load_judge(Path(str(options.reward)))
    split = load(
        PROMPTS,
        options.data,
        seed=options.seed,
        held_out=options.held_out,
        limit=options.limit,
        template=tokens.template_of(tokenizer) or plain_template,
    )
    task = PPOTask(policy, tokenizer, judge, split.train, split.held_out, recipe, longest=options.longest)
    task.tell_of(split)
    return task


def _read_recipe(options: Options) -> Recipe:
    asked: Any = options  # in which each of these has a default
    if asked.rollouts < asked.batch:
        raise UsageError(
            f"--rollouts {asked.rollouts} are too few for a batch of {asked.batch}; give more, or a smaller --batch"
        )
    if asked.kl <= 0:
        raise UsageError(f"--kl is more than 0, and not {asked.kl:g}")
    return Recipe(
        seed=asked.seed, response=asked.response, rollouts=asked.rollouts, passes=asked.passes, target=asked.kl
    )


def _encode(texts: Sequence[Text], tokenizer: Any, most: int) -> tuple[list[Prompt], list[Problem]]:
    """The prompts as tokens, but for those that are too long."""
    begin = [tokenizer.bos_token_id] if tokenizer.bos_token_id is not None else []
    special = tokens.template_of(tokenizer) is not None
    kept: list[Prompt] = []
    problems: list[Problem] = []
    encoded = tokens.encode(tokenizer, [text.prompt for text in texts], special=special)
    for text, ids in zip(texts, encoded, strict=True):
        if len(ids or begin) > most:
            told = f"the prompt has {len(ids)} tokens, and {most} leave room for a response"
            problems.append(Problem(text.place, "over-long", told))
        elif not (ids or begin):
            problems.append(Problem(text.place, "empty", "there is no prompt"))
        else:
            kept.append(Prompt(ids or begin, text.prompt, len(kept)))
    return kept, problems


def _told(answer: Answer) -> list[float]:
    return [answer.reward, float(len(answer.ids)), float(answer.ended)]


def _fingerprint(text: str) -> float:
    return float(zlib.crc32(text.encode()) % _PRINTS)


def _error(values: Float[Tensor, "values"]) -> float:
    return values.std(correction=0).item() / math.sqrt(len(values))


def _one_line(text: str) -> str:
    return " ".join(text.split())


_USAGE = """\
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained({folder!r})
model = AutoModelForCausalLM.from_pretrained({folder!r})
inputs = tokenizer({prompt!r}, return_tensors="pt")
ids = model.generate(**inputs, max_new_tokens={response}, do_sample=True)
print(tokenizer.decode(ids[0], skip_special_tokens=True))
"""
