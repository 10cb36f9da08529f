"""The PPO task under the engine: what is learned, what stays exact, and what can go wrong."""

import dataclasses
import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytest.importorskip("transformers")
sys.path.insert(0, str(Path(__file__).parent))

import tiny_ppo
from transformers import AutoModelForCausalLM, GenerationConfig, TrainerCallback

from shapeguard.config import UsageError
from shapeguard.models import encode_texts
from shapeguard.train.data.records import Text
from shapeguard.train.engine import make_trainer, steps_of, train
from shapeguard.train.judge import RewardJudge, load_judge
from shapeguard.train.options import make_options
from shapeguard.train.policy import VALUE_HEAD, ends_of, load_policy
from shapeguard.train.ppo import make_task
from shapeguard.train.run import run_train


def trained(task, output, **chosen):
    trainer = make_trainer(task, tiny_ppo.make_asked(task, output, **chosen))
    train(trainer)
    return trainer


def figures_of(trainer):
    return {name.removeprefix("eval_"): value for name, value in trainer.evaluate().items()}


def weights_of(task):
    return {name: value.clone() for name, value in task.model.state_dict().items()}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("settings", [(), ("bf16=true", "use_cpu=true")])
def test_ratios_begin_at_exactly_1_with_dropout_in_training(tmp_path, settings):
    task = tiny_ppo.make_task(dropout=0.5, temperature=0.7)
    trainer = make_trainer(task, tiny_ppo.make_asked(task, tmp_path, settings=settings))
    assert trainer.evaluate()["eval_kl"] == 0
    for batch in trainer.get_train_dataloader():
        task.model.train()
        task.loss(trainer.model, batch, task.count(batch))
        actions = task._score(trainer.model, batch)
        assert torch.equal(actions.log_probs[batch["mask"]], batch["log_probs"][batch["mask"]])
        assert torch.equal(actions.values[batch["mask"]], batch["values"][batch["mask"]])


def batch_of(task, rows=4):
    batch = task.collate(task.train[:rows])
    torch.manual_seed(0)
    for name, spread in (("log_probs", 0.3), ("values", 0.5), ("returns", 1.0), ("advantages", 1.0)):
        batch[name] = batch[name] + spread * torch.randn_like(batch[name])
    return batch


def reference_loss(task, batch):
    """Each action's two losses, one after another."""
    total = count = 0.0
    width = batch["mask"].size(1)
    with torch.no_grad():
        logits, values = task.model.eval()(batch["input_ids"], batch["attention_mask"])
    for row, step in batch["mask"].nonzero().tolist():
        state = logits.size(1) - width + step - 1
        token = batch["input_ids"][row, state + 1]
        ratio = math.exp(logits[row, state].log_softmax(dim=0)[token] - batch["log_probs"][row, step])
        advantage = float(batch["advantages"][row, step])
        total -= min(ratio * advantage, min(max(ratio, 0.8), 1.2) * advantage)
        value, old, target = (
            float(part) for part in (values[row, state], batch["values"][row, step], batch["returns"][row, step])
        )
        near = old + min(max(value - old, -0.2), 0.2)
        total += task.recipe.value_weight * 0.5 * max((value - target) ** 2, (near - target) ** 2)
        count += 1
    return total / count


def test_the_loss_is_the_clipped_one():
    task = tiny_ppo.make_task()
    batch = batch_of(task)
    loss = task.loss(task.model, batch, task.count(batch))
    assert loss.item() == pytest.approx(reference_loss(task, batch), abs=1e-5)


def test_parts_of_a_step_add_up():
    task = tiny_ppo.make_task()
    batch = batch_of(task)
    count = task.count(batch)
    parts = [{name: part[rows] for name, part in batch.items()} for rows in (slice(0, 1), slice(1, 4))]
    losses = [task.loss(task.model, part, count) for part in parts]
    assert sum(losses).item() == pytest.approx(task.loss(task.model, batch, count).item(), abs=1e-6)


def test_what_stands_at_padding_changes_neither_loss_nor_gradients():
    # Letters that end a response make responses of several lengths.
    task = tiny_ppo.make_task()
    task.train.ends = frozenset(range(3, 6))
    batch = batch_of(task)
    padding, masked = batch["attention_mask"] == 0, ~batch["mask"]
    assert padding[:, :1].any()
    assert masked.any()
    spoiled = dict(batch)
    spoiled["input_ids"] = torch.where(padding, torch.randint_like(batch["input_ids"], 11), batch["input_ids"])
    for name in ("log_probs", "values", "returns", "advantages"):
        spoiled[name] = batch[name].masked_fill(masked, torch.nan)
    parameters = list(task.model.parameters())
    losses = [task.loss(task.model, each, task.count(each)) for each in (batch, spoiled)]
    gradients = [torch.autograd.grad(loss, parameters) for loss in losses]
    assert torch.equal(*losses)
    assert all(torch.equal(one, other) for one, other in zip(*gradients, strict=True))


@pytest.mark.parametrize("step", [3, 5, 8])  # amid the first pass, amid the second of a round, and behind a round
def test_a_run_that_is_resumed_ends_as_if_it_had_never_stopped(tmp_path, step):
    settings = (f"save_steps={step}", "save_total_limit=9")
    whole = tiny_ppo.make_task(dropout=0.1)
    trainer = trained(whole, tmp_path / "whole", steps=12, settings=settings)
    shutil.copytree(
        tmp_path / "whole/checkpoints" / f"checkpoint-{step}", tmp_path / f"part/checkpoints/checkpoint-{step}"
    )
    part = tiny_ppo.make_task(dropout=0.1)
    resumed = trained(part, tmp_path / "part", steps=12, settings=settings, resume=True)
    assert same(weights_of(whole), weights_of(part))
    assert whole.train.coefficient == part.train.coefficient != whole.recipe.coefficient
    assert whole.train.figures == part.train.figures
    assert figures_of(trainer)["reward"] == figures_of(resumed)["reward"]


def test_a_checkpoint_without_rollouts_is_told(tmp_path):
    task = tiny_ppo.make_task()
    trained(task, tmp_path, steps=4)
    (tmp_path / "checkpoints/checkpoint-4/rollouts.safetensors").unlink()
    again = tiny_ppo.make_task()
    with pytest.raises(UsageError, match="checkpoint-4 holds no rollouts"):
        trained(again, tmp_path, steps=4, resume=True)


def test_the_same_seed_gives_the_same_policy(tmp_path):
    first, second, other = (tiny_ppo.make_task(seed=seed) for seed in (0, 0, 1))
    for number, task in enumerate((first, second, other)):
        trained(task, tmp_path / str(number), steps=4)
    assert same(weights_of(first), weights_of(second))
    assert not same(weights_of(first), weights_of(other))


class Heard(TrainerCallback):
    """The divergence that is told at each step, which is that of the round's rollouts."""

    def __init__(self):
        self.divergences = []

    def on_log(self, args, state, control, logs=None, **_):
        self.divergences += [logs["rollout_kl"]] if "loss" in logs else []


def test_a_round_is_gone_over_as_often_as_asked(tmp_path):
    task, heard = tiny_ppo.make_task(passes=3), Heard()
    train(make_trainer(task, tiny_ppo.make_asked(task, tmp_path, steps=18), [heard]))
    rounds = [heard.divergences[begin : begin + 6] for begin in (0, 6, 12)]  # of three passes of two steps
    assert [len(set(told)) for told in rounds] == [1, 1, 1]
    assert rounds[0][0] == 0 < rounds[1][0] < rounds[2][0]


def test_an_evaluation_before_training_finds_no_difference(tmp_path):
    task = tiny_ppo.make_task()
    figures = figures_of(make_trainer(task, tiny_ppo.make_asked(task, tmp_path)))
    assert figures["kl"] == figures["gain"] == 0
    assert figures["reward"] == figures["reference_baseline"]
    answers = task.train.before
    rewards = torch.tensor([answer.reward for answer in answers])
    assert figures["reward"] == pytest.approx(rewards.mean().item())
    assert figures["standard_error"] == pytest.approx(rewards.std(correction=0).item() / len(answers) ** 0.5)
    assert figures["length"] == pytest.approx(sum(len(answer.ids) for answer in answers) / len(answers))
    assert figures["ended"] == pytest.approx(sum(answer.ended for answer in answers) / len(answers))
    assert figures["different"] == pytest.approx(len({answer.text for answer in answers}) / len(answers))


def test_the_reward_rises_at_a_bounded_divergence(tmp_path):
    task = tiny_ppo.make_task(rollouts=32, target=2.0, horizon=64, prompts=64, held_out=64)
    figures = figures_of(trained(task, tmp_path, batch=16, steps=80, learning_rate=1e-2, evaluations=1))
    assert figures["gain"] > 1
    assert figures["gain"] > 5 * figures["gain_standard_error"]
    assert 0 < figures["kl"] < 2 * task.recipe.target


@pytest.mark.parametrize(
    ("recipe", "chosen"),
    [
        ({"rollouts": 1, "held_out": 2}, {"batch": 1}),
        ({"rollouts": 1, "response": 1, "held_out": 2}, {"batch": 1}),
        ({"response": 1}, {}),
        ({"prompts": 1}, {}),
    ],
)
def test_the_smallest_runs_are_finite(tmp_path, recipe, chosen):
    task = tiny_ppo.make_task(**recipe)
    figures = figures_of(trained(task, tmp_path, steps=4, **chosen))
    assert all(map(math.isfinite, figures.values()))
    assert all(weight.isfinite().all() for weight in task.model.parameters())


def test_responses_that_end_at_once_are_learned_from(tmp_path):
    task = tiny_ppo.make_task()
    task.train.ends = frozenset(range(11))
    figures = figures_of(trained(task, tmp_path, steps=4))
    assert figures["length"] == figures["ended"] == 1
    assert task.train[0]["mask"].tolist() == [True]


def test_a_reward_that_is_always_the_same_teaches_nothing_wrong(tmp_path):
    task = tiny_ppo.make_task(lambda prompts, responses: torch.full((len(responses),), 7.0))
    figures = figures_of(trained(task, tmp_path, steps=4))
    assert figures["reward"] == 7
    assert figures["gain"] == 0
    assert all(map(math.isfinite, figures.values()))


def test_a_reward_of_nan_is_told(tmp_path):
    task = tiny_ppo.make_task(lambda prompts, responses: torch.full((len(responses),), math.nan))
    with pytest.raises(UsageError, match="a reward isn't finite"):
        trained(task, tmp_path, steps=4)
    tokenizer = tiny_ppo.make_tokenizer()
    model = tiny_ppo.make_reward(tokenizer)
    torch.nn.init.constant_(model.score.weight, math.nan)
    with pytest.raises(UsageError, match="the reward model can't judge"):
        RewardJudge(model, tokenizer)(["ab"], ["c"])


def test_weights_of_nan_are_told(tmp_path):
    task = tiny_ppo.make_task()
    trainer = make_trainer(task, tiny_ppo.make_asked(task, tmp_path, steps=4))
    batch = batch_of(task)
    torch.nn.init.constant_(task.model.value.weight, math.nan)
    with pytest.raises(UsageError, match="the loss is nan at step 1; try a lower --learning-rate"):
        trainer.compute_loss(task.model, batch, num_items_in_batch=task.count(batch))
    with pytest.raises(UsageError, match="the policy's weights aren't finite"):
        trainer.evaluate()


def test_what_is_saved_is_a_language_model_and_goes_on_as_a_policy(tmp_path):
    task = tiny_ppo.make_task()
    own = GenerationConfig(top_k=7, do_sample=True)
    task._generation = own
    torch.nn.init.normal_(task.model.value.weight)
    task.save(tmp_path)
    model = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert model.generation_config.top_k == 7
    assert task.model.model.generation_config.top_k is None
    policy, tokenizer = load_policy(tmp_path)
    assert same(policy.state_dict(), task.model.state_dict())
    assert tokenizer.get_vocab() == task.tokenizer.get_vocab()
    assert ends_of(policy, tokenizer) == {tokenizer.eos_token_id}
    ids = torch.tensor([[3, 4, 5]])
    assert torch.equal(model(ids).logits, task.model.eval()(ids, torch.ones_like(ids)).logits)


def test_a_fresh_policy_takes_every_state_for_worth_nothing(tmp_path):
    task = tiny_ppo.make_task()
    task.save(tmp_path)
    (tmp_path / VALUE_HEAD).unlink()
    policy, _ = load_policy(tmp_path)
    assert not policy(*encode_texts(["abc"], task.tokenizer)).values.any()


def test_a_judge_reads_text_by_its_own_tokens(tmp_path):
    other = tiny_ppo.make_tokenizer("hgfedcba xyz")
    model = tiny_ppo.make_reward(other, positions=10)
    model.save_pretrained(tmp_path)
    other.save_pretrained(tmp_path)
    judge = load_judge(tmp_path)
    prompts, responses = ["abc", "h", "abcdefgh"], ["de", "", "abcdefgh"]
    read = ("abcde", "h", "habcdefgh")  # of the last one, as much as there are positions for
    ids = [[*other.convert_tokens_to_ids(list(text)), other.eos_token_id] for text in read]
    expected = [model.eval()(torch.tensor([row]), torch.ones(1, len(row), dtype=torch.long)).item() for row in ids]
    assert judge(prompts, responses).tolist() == pytest.approx(expected, abs=1e-6)
    assert judge([], []).tolist() == []


def test_a_reward_model_with_other_tokens_can_teach(tmp_path):
    other = tiny_ppo.make_tokenizer("hgfedcba xyz")
    task = tiny_ppo.make_task(RewardJudge(tiny_ppo.make_reward(other), other))
    before = weights_of(task)
    trainer = trained(task, tmp_path, steps=4)
    assert math.isfinite(figures_of(trainer)["reward"])
    assert not same(before, weights_of(task))


def test_prompts_that_cannot_be_answered_are_named():
    tokenizer = tiny_ppo.make_tokenizer()
    tokenizer.bos_token = None
    policy, good = tiny_ppo.make_policy(tokenizer), Text("ab", "", "f:1")
    texts = [good, Text("a" * 27, "", "f:2"), Text("", "", "f:3"), Text("a" * 26, "", "f:4")]
    task = tiny_ppo.PPOTask(
        policy,
        tokenizer,
        tiny_ppo.count_a,
        texts,
        [good],
        tiny_ppo.Recipe(response=6, rollouts=2, passes=1, target=1.0),
    )
    assert [prompt.text for prompt in task.train.prompts] == ["ab", "a" * 26]
    assert [str(problem) for problem in task.problems] == [
        "f:2: the prompt has 27 tokens, and 26 leave room for a response",
        "f:3: there is no prompt",
    ]


def test_steps_follow_from_prompts_rollouts_and_passes(tmp_path):
    task = tiny_ppo.make_task()  # 40 prompts, 5 rounds of 8, each gone over twice in batches of 4
    assert steps_of(task, tiny_ppo.make_asked(task, tmp_path, epochs=1.0)) == 20
    assert steps_of(task, tiny_ppo.make_asked(task, tmp_path, epochs=0.5)) == 10


def test_the_epilogue_shows_both_responses(tmp_path):
    task = tiny_ppo.make_task()
    trained(task, tmp_path, steps=4)
    lines = task.epilogue().splitlines()
    assert len(lines) == 1 + 3 * 4
    assert lines[2].split()[1] == task.held_out[0].text
    assert lines[3].split()[:2] == ["before", f"{task.train.before[0].reward:.3f}"]


@pytest.fixture
def folders(tmp_path):
    """A policy and a reward model as runs leave them, and prompts in a file."""
    task, reward = tiny_ppo.make_task(), tiny_ppo.make_reward(tiny_ppo.make_tokenizer())
    for name in ("policy", "reward"):
        (tmp_path / name).mkdir()
    task.save(tmp_path / "policy")
    reward.save_pretrained(tmp_path / "reward")
    task.tokenizer.save_pretrained(tmp_path / "reward")
    lines = [json.dumps({"prompt": text.prompt}) for text in tiny_ppo.make_prompts(60)]
    (tmp_path / "prompts.jsonl").write_text("\n".join(lines) + "\n")
    chosen = {"policy": str(tmp_path / "policy"), "reward": str(tmp_path / "reward"), "longest": 16, "response": 6}
    return {"data": str(tmp_path / "prompts.jsonl"), "output": tmp_path / "run", "rollouts": 8, "batch": 4, **chosen}


def test_a_task_is_made_from_folders_and_a_file_of_prompts(folders):
    task = make_task(make_options("ppo", **folders))
    assert len(task.train) == 8
    assert task.size + len(task.held_out) + len(task.problems) == 60
    assert task.recipe.response == 6
    compile(task.usage(Path("runs/ppo")), "usage", "exec")


def test_a_run_is_rehearsed_made_and_gone_on_with_as_a_policy(folders, tmp_path, capsys):
    options = make_options("ppo", **folders, evaluations=2, steps=8)
    assert run_train(dataclasses.replace(options, dry_run=True)) == 0
    assert not options.output.exists()
    assert "mask bool[4, 6]" in capsys.readouterr().out
    assert run_train(options) == 0
    told = capsys.readouterr().out
    assert "Held-out prompts, and the responses before and after" in told
    lines = [json.loads(line) for line in (options.output / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "evaluation" in line] == [4, 8]
    assert all("kl_coefficient" in line for line in lines if "loss" in line)
    again = dataclasses.replace(options, policy=str(options.output), output=tmp_path / "again")
    assert run_train(again) == 0


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"policy": "nowhere"}, "no policy in nowhere: train one with `shapeguard train lm`, or name one by --policy"),
        (
            {"reward": "nowhere"},
            "no reward model in nowhere: train one with `shapeguard train reward`, or name one by --reward",
        ),
        ({"rollouts": 3}, "--rollouts 3 are too few for a batch of 4; give more, or a smaller --batch"),
        ({"kl": 0.0}, "--kl is more than 0, and not 0"),
        ({"response": 16}, "a response of 16 tokens leaves no room for a prompt among 16"),
    ],
)
def test_what_cannot_be_begun_is_told(folders, changes, told):
    with pytest.raises(UsageError) as raised:
        make_task(make_options("ppo", **{**folders, **changes}))
    assert told in str(raised.value)


def test_a_folder_of_something_else_is_told(folders, tmp_path):
    with pytest.raises(UsageError, match=r"--reward: .* holds no RewardModel"):
        make_task(make_options("ppo", **{**folders, "reward": folders["policy"]}))
    (tmp_path / "policy" / VALUE_HEAD).write_bytes(b"no")
    with pytest.raises(UsageError, match="isn't the value head of the model beside it"):
        make_task(make_options("ppo", **folders))


@pytest.mark.slow
def test_two_processes_learn_what_one_learns(tmp_path):
    script = Path(__file__).parent / "ppo_in_processes.py"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    curves = []
    for processes in ("1", "2"):
        launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", processes]
        output = tmp_path / processes
        subprocess.run([sys.executable, *launch, str(script), str(output)], check=True, env=environment, timeout=300)
        curves.append(json.loads((output / "losses.json").read_text()))
    assert curves[0] == pytest.approx(curves[1], abs=1e-4)
    assert len(set(curves[0])) == len(curves[0]) == 12
