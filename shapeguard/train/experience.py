"""What a policy is trained on: its own responses, made anew each round, and how they compare with the reference's."""

import copy
import json
import statistics
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Any, NamedTuple, overload

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import TrainingArguments

from shapeguard.config import UsageError
from shapeguard.losses import estimate_kl
from shapeguard.models import ValueHeadPolicy
from shapeguard.train.drawing import draw_responses, random_numbers
from shapeguard.train.judge import Judge, RewardJudge
from shapeguard.train.kl_control import adapt_coefficient
from shapeguard.train.policy import ends_of, refuse_broken
from shapeguard.train.rollouts import Actions, Rollouts, Rows, lay_out, learn_from, score_actions, share

Row = dict[str, Tensor]
_AT_ONCE = 64
_NO_SPREAD = 1e-6
_FILE = "rollouts.safetensors"


class Prompt(NamedTuple):
    """A prompt as the policy and the judge see it."""

    ids: list[int]
    text: str
    number: int = 0
    """Its place among what is held out."""


class Answer(NamedTuple):
    """A response, and what the judge says of it."""

    ids: list[int]
    """With the token that ends it, if there is one."""
    text: str
    ended: bool
    """Whether it was ended, and not cut off."""
    reward: float


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How much is written, and how it is learned from."""

    seed: int = 0
    response: int
    """Tokens of a response, at most."""
    rollouts: int
    """Responses of a round."""
    passes: int
    """How often each of them is learned from."""
    target: float
    """The divergence from the reference, in nats per response, that the coefficient is adapted to."""
    coefficient: float = 0.2
    horizon: int = 128
    """After how many responses the coefficient is fully corrected."""
    temperature: float = 1.0
    gamma: float = 1.0
    lam: float = 0.95
    clip: float = 0.2
    value_weight: float = 0.1


class Experience(Sequence[Row]):
    """The rollouts of a round, made when they are first asked for, the same in all processes."""

    def __init__(
        self,
        policy: ValueHeadPolicy,
        tokenizer: Any,
        judge: Judge,
        prompts: Sequence[Prompt],
        trials: Sequence[Prompt],
        recipe: Recipe,
    ) -> None:
        self.policy, self.tokenizer, self.judge = policy, tokenizer, judge
        self.reference: ValueHeadPolicy = copy.deepcopy(policy).eval().requires_grad_(False)  # noqa: FBT003
        self.prompts, self.trials, self.recipe = prompts, trials, recipe
        self.ends = ends_of(policy, tokenizer)
        self.coefficient = recipe.coefficient
        self.figures: dict[str, float] = {}
        """What is told of this round."""
        self.seconds = 0.0
        """How long this round took to write."""
        self.at_once = _AT_ONCE
        self._half: torch.dtype | None = None
        self._rollouts: Rollouts | None = None

    def __len__(self) -> int:
        return self.recipe.rollouts

    @overload
    def __getitem__(self, place: int) -> Row: ...
    @overload
    def __getitem__(self, place: slice) -> list[Row]: ...
    def __getitem__(self, place: int | slice) -> Row | list[Row]:
        if self._rollouts is None:
            self.renew(0)
        assert self._rollouts is not None
        if isinstance(place, slice):
            return [self[number] for number in range(len(self))[place]]
        return {name: part[place] for name, part in self._rollouts._asdict().items()}

    def prepare(self, arguments: TrainingArguments) -> None:
        """Go where the policy goes, compute as it computes, and in batches as it does: then ratios begin at exactly 1."""
        self.reference.to(arguments.device)
        if isinstance(self.judge, RewardJudge):
            self.judge.model.to(arguments.device)
        self._half = torch.bfloat16 if arguments.bf16 else torch.float16 if arguments.fp16 else None
        self.at_once = arguments.per_device_train_batch_size

    def renew(self, number: int) -> None:
        """Write the responses of a round and learn what there is to be learned from them, at an adapted coefficient."""
        recipe, (mean, spread) = self.recipe, self.scale
        started = time.perf_counter()
        prompts = [self.prompts[place] for place in _pick(number, recipe.rollouts, len(self.prompts), recipe.seed)]
        names = [f"{recipe.seed} round {number} response {place}" for place in range(len(prompts))]
        answers = self.answer_all(self.policy, prompts, names)
        rows = lay_out([prompt.ids for prompt in prompts], [answer.ids for answer in answers])
        scored = share(len(prompts), lambda mine: self.score(_select(rows, mine)))
        log_probs, values, reference = (torch.stack(column) for column in zip(*scored, strict=True))
        rewards = torch.tensor([answer.reward for answer in answers])
        divergence = estimate_kl(log_probs, reference, rows.mask).sum(dim=1).mean().item()
        if number > 0:  # before, the policy is the reference
            horizon = recipe.rollouts / recipe.horizon
            self.coefficient = adapt_coefficient(self.coefficient, divergence, recipe.target, horizon)
        self._rollouts = learn_from(
            rows,
            Actions(log_probs, values),
            reference,
            (rewards - mean) / spread,
            coefficient=self.coefficient,
            gamma=recipe.gamma,
            lam=recipe.lam,
        )
        self.figures = {
            "rollout_reward": rewards.mean().item(),
            "rollout_kl": divergence,
            "rollout_length": rows.mask.sum(dim=1).float().mean().item(),
            "kl_coefficient": self.coefficient,
        }
        self.seconds = time.perf_counter() - started

    @cached_property
    def before(self) -> list[Answer]:
        """How the reference answers what is held out."""
        return self.answer_all(self.reference, self.trials, self.names_of(self.trials))

    @property
    def scale(self) -> tuple[float, float]:
        """The mean of the reference's rewards and their standard deviation, in which the policy's are measured."""
        rewards = [answer.reward for answer in self.before]
        spread = statistics.pstdev(rewards)
        return statistics.fmean(rewards), spread if spread > _NO_SPREAD else 1.0

    def names_of(self, trials: Sequence[Prompt]) -> list[str]:
        """The names by which what is held out is answered, each time with the same random numbers."""
        return [f"{self.recipe.seed} held out {trial.number}" for trial in trials]

    def answer_all(self, policy: ValueHeadPolicy, prompts: Sequence[Prompt], names: Sequence[str]) -> list[Answer]:
        """The same, shared by the processes."""
        return share(
            len(prompts),
            lambda mine: self.answer(policy, [prompts[place] for place in mine], [names[place] for place in mine]),
        )

    def answer(self, policy: ValueHeadPolicy, prompts: Sequence[Prompt], names: Sequence[str]) -> list[Answer]:
        """What the policy writes, by the random numbers that each name stands for."""
        refuse_broken(policy.eval())
        numbers = [random_numbers(name, self.recipe.response) for name in names]
        responses: list[list[int]] = []
        with self._precision():
            for begin in range(0, len(prompts), _AT_ONCE):
                some = slice(begin, begin + _AT_ONCE)
                responses += draw_responses(
                    policy,
                    [prompt.ids for prompt in prompts[some]],
                    numbers[some],
                    ends=self.ends,
                    temperature=self.recipe.temperature,
                )
        ended = [response[-1] in self.ends for response in responses]
        texts = [self.tokenizer.decode(response, skip_special_tokens=True) for response in responses]
        rewards = self.judge([prompt.text for prompt in prompts], texts)
        if not bool(rewards.isfinite().all()):
            raise UsageError("a reward isn't finite; look for NaN in the reward model")
        return [Answer(*told) for told in zip(responses, texts, ended, rewards.tolist(), strict=True)]

    @torch.no_grad()
    def score(self, rows: Rows) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Of each row what the policy says of its actions, and the reference's log-probabilities."""
        device, actions = next(self.policy.parameters()).device, rows.mask.size(1)
        self.policy.eval()
        scored: list[tuple[Tensor, Tensor, Tensor]] = []
        for begin in range(0, len(rows.mask), self.at_once):
            some = slice(begin, begin + self.at_once)
            inputs = rows.input_ids[some].to(device), rows.attention_mask[some].to(device), actions
            with self._precision():
                policy = score_actions(self.policy, *inputs, self.recipe.temperature)
                reference = score_actions(self.reference, *inputs, self.recipe.temperature)
            parts = policy.log_probs, policy.values, reference.log_probs
            scored += zip(*(part.float().cpu().unbind() for part in parts), strict=True)
        return scored

    def keep(self, folder: Path) -> None:
        """Write this round into a checkpoint."""
        assert self._rollouts is not None
        numbers = {"coefficient": self.coefficient, "figures": self.figures}
        rollouts = {name: part.contiguous() for name, part in self._rollouts._asdict().items()}
        save_file(rollouts, folder / _FILE, {"numbers": json.dumps(numbers)})

    def recall(self, folder: Path) -> None:
        """Go on in the round that a checkpoint holds."""
        with safe_open(folder / _FILE, "pt") as file:
            numbers = json.loads(file.metadata()["numbers"])
        self.coefficient, self.figures = numbers["coefficient"], numbers["figures"]
        self._rollouts = Rollouts(**load_file(folder / _FILE))

    def _precision(self) -> AbstractContextManager[Any]:
        device = next(self.policy.parameters()).device.type
        return torch.autocast(device, self._half, enabled=self._half is not None)


def _pick(number: int, count: int, prompts: int, seed: int) -> list[int]:
    """The prompts of a round: all of them in a random order, then again in another one, across the rounds."""
    orders: dict[int, list[int]] = {}
    for turn in {place // prompts for place in range(number * count, (number + 1) * count)}:
        orders[turn] = list(range(prompts))
        Random(f"{seed} turn {turn}").shuffle(orders[turn])  # noqa: S311 - nothing secret
    return [orders[place // prompts][place % prompts] for place in range(number * count, (number + 1) * count)]


def _select(rows: Rows, places: Sequence[int]) -> Rows:
    return Rows(*(part[list(places)] for part in rows))
