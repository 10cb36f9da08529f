"""What `shapeguard demo` does: three stories, and what they come to."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from shapeguard.demo.checking import Checked
from shapeguard.demo.folder import BROKEN, CURVES, FIXED, new_folder
from shapeguard.demo.screen import GREEN, RED, Screen
from shapeguard.demo.stories import STORIES, Story
from shapeguard.demo.trial import Trial, run_script

_AS_GOOD_AS_NOTHING = 0.05
"""By which the accuracy of what has learnt nothing may exceed the baseline."""


def run_demo(output: str | None = None) -> int:
    """Tell the stories, and write the scripts and the curves to a new folder; 0 if all went as told, else 1."""
    with new_folder(output) as folder:
        return _Demo(folder).run()


@dataclass(frozen=True, slots=True)
class _Told:
    story: Story
    before: Trial
    after: Trial

    @property
    def baseline(self) -> float:
        return self.story.baseline or self.after.baseline or 0.0


class _Demo:
    """One telling."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.screen = folder, Screen(sys.stdout)
        self.has_told_of_unsafe = False
        self.has_torch = importlib.util.find_spec("torch") is not None
        self.surprises: list[str] = []
        """What didn't go as told."""

    def run(self) -> int:
        """All three, then the numbers side by side."""
        for half in (BROKEN, FIXED):
            (self.folder / half).mkdir()
        self.screen.title("Three training scripts, each broken in one place.")
        self.screen.say(f"They are in {self.folder}, where every command below can be repeated.")
        told = [self.tell(number, story) for number, story in enumerate(STORIES, 1)]
        if self.has_torch:
            self.sum_up([each for each in told if each is not None])
        else:
            self.screen.title(
                "The other half needs PyTorch: the scripts run, the guard, and the fixed scripts trained."
            )
            self.screen.say("To see it: pip install 'shapeguard[train]', and shapeguard demo again.")
        for surprise in self.surprises:
            self.screen.say(f"Not as it was to be: {surprise}.", RED)
        return 1 if self.surprises else 0

    def tell(self, number: int, story: Story) -> _Told | None:
        """One story; the runs before and after, where scripts can be run."""
        self.screen.title(f"{number}. {story.title}")
        self.screen.say(story.accident)
        broken, fixed = (f"{half}/{story.name}.py" for half in (BROKEN, FIXED))
        (self.folder / broken).write_bytes(story.script)
        before = self.fail(story, broken) if self.has_torch else None
        (self.folder / fixed).write_bytes(self.mend(story, broken))
        if before is None:
            return None
        self.ask_guard(story)
        told = _Told(story, before, self.train(fixed))
        self.judge(told)
        return told

    def fail(self, story: Story, script: str) -> Trial:
        """Run the broken script, and say how it fails."""
        trial = self.train(script)
        if trial.error is not None:
            self.screen.say(trial.error, RED)
            self.screen.say(f"That was step {len(trial.losses) + 1}{f' of {trial.steps}' if trial.steps else ''}.")
        elif trial.accuracy is not None:
            self.screen.say(f"{trial.accuracy:.1%} of the {story.measured}: no error, and nothing learnt.", RED)
        return trial

    def train(self, script: str) -> Trial:
        """Run a script under a bar."""
        self.screen.command(f"python {script}")
        with self.screen.bar() as step:
            return run_script(self.folder, script, step)

    def mend(self, story: Story, script: str) -> bytes:
        """Say what is found in a script, show the fixes, and give the script with them."""
        screen, checked = self.screen, Checked(script, story.script)
        screen.command(f"shapeguard check {script}")
        screen.say(checked.report(colour=screen.colour))
        unsafe = " --unsafe-fixes" if checked.is_unsafe else ""
        screen.command(f"shapeguard check --diff{unsafe} {script}")
        screen.say(checked.diff(colour=screen.colour))
        if checked.is_unsafe and not self.has_told_of_unsafe:
            screen.say("\nUnsafe, as it changes what the script computes: such fixes are made only when asked for.")
            self.has_told_of_unsafe = True
        found = {each.code for each in checked.findings}
        if found != story.codes:
            found_codes, told_codes = (", ".join(sorted(codes)) or "no findings" for codes in (found, story.codes))
            self.surprises.append(f"{script} has {found_codes}, and not {told_codes}")
        if checked.fixed.remaining or not checked.fixed.made:
            self.surprises.append(f"the fixes leave findings in {script}")
        return checked.fixed.after

    def ask_guard(self, story: Story) -> None:
        """Say what the guard says where the script goes wrong."""
        from shapeguard.demo.guarded import ANNOTATED, guard_says  # noqa: PLC0415 - it loads torch

        self.screen.say(f"\nAt run time, under @guard, with `{ANNOTATED[story.name]}`:")
        said = guard_says(story.name)
        if said is None:
            self.surprises.append(f"the guard lets {story.name} pass")
        else:
            self.screen.say(f"ShapeError: {said}")

    def judge(self, told: _Told) -> None:
        """Say what the fixed script has learnt, and note what isn't as it was to be."""
        story, before, after = told.story, told.before, told.after
        if after.error is not None or after.accuracy is None:
            self.surprises.append(f"fixed/{story.name}.py fails: {after.error or 'it says no accuracy'}")
            return
        self.screen.say(
            f"{after.accuracy:.1%} of the {story.measured}; {story.without}: {told.baseline:.1%}.",
            GREEN,
        )
        if after.accuracy < story.reached:
            self.surprises.append(f"fixed/{story.name}.py reaches {after.accuracy:.1%}, and not {story.reached:.0%}")
        if story.error is None:
            fails = before.accuracy is not None and before.accuracy < told.baseline + _AS_GOOD_AS_NOTHING
        else:
            fails = (before.error or "").startswith(f"{story.error}:")
        if not fails:
            self.surprises.append(f"broken/{story.name}.py doesn't fail in its way")

    def sum_up(self, told: Sequence[_Told]) -> None:
        """The numbers before and after, and the picture."""
        rows = [("", "broken", "fixed", "without a model", "what is counted")]
        for each in told:
            story, before, after = each.story, each.before, each.after
            without = f"{each.baseline:.1%} ({story.without})"
            rows.append((story.name, _result(before), _result(after), without, story.measured))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        self.screen.title("Before and after, on what was held out")
        for row in rows:
            self.screen.say("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)))
        if importlib.util.find_spec("matplotlib") is None:
            self.screen.say("\nThe curves need matplotlib: pip install 'shapeguard[train]'")
            return
        from shapeguard.demo.curves import draw_curves  # noqa: PLC0415 - it loads matplotlib

        picture = self.folder / CURVES
        draw_curves(picture, [(each.story, each.before, each.after) for each in told])
        self.screen.say(f"\nThe curves: {picture}")


def _result(trial: Trial) -> str:
    if trial.error is not None:
        return f"{trial.error.partition(':')[0]} in step {len(trial.losses) + 1}"
    return "nothing" if trial.accuracy is None else f"{trial.accuracy:.1%}"
