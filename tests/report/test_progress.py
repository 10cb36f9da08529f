"""The bar on the terminal."""

import io
import os

import pytest

from shapeguard.report.progress import Progress


class Terminal(io.StringIO):
    def __init__(self, columns=80):
        super().__init__()
        self.columns = columns

    def isatty(self):
        return True

    def fileno(self):
        return self.columns


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture(autouse=True)
def terminal_sizes(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(os, "get_terminal_size", lambda columns: os.terminal_size((columns, 24)))


def run(stream, steps, total=2000):
    """The bar after each of some (seconds, done)."""
    clock = Clock()
    with Progress(stream, clock) as progress:
        for seconds, done in steps:
            clock.now = 100.0 + seconds
            progress(done, total)
    return stream.getvalue()


def test_short_run_draws_nothing():
    assert run(Terminal(), [(0.1, 50), (0.9, 2000)]) == ""


def test_long_run_draws_and_erases():
    written = run(Terminal(), [(0.5, 250), (1.0, 500), (1.05, 520), (2.0, 1000)])
    assert written.split("\r\033[K") == [
        "",
        f"[{'=' * 7}{' ' * 23}] 500/2,000 files, 500/s",
        f"[{'=' * 15}{' ' * 15}] 1,000/2,000 files, 500/s",
        "",
    ]


def test_rate_is_the_present_one():
    *_, last, _ = run(Terminal(), [(each, each * 100) for each in range(1, 11)] + [(13, 1900)]).split("\r\033[K")
    assert last.endswith("1,900/2,000 files, 300/s")


def test_bar_fits_the_terminal():
    assert run(Terminal(30), [(2, 1000)]).split("\r\033[K")[1] == "[= ] 1,000/2,000 files, 500/s"
    assert run(Terminal(12), [(2, 1000)]).split("\r\033[K")[1] == "1,000/2,000"


def test_nothing_is_written_where_nobody_looks(monkeypatch):
    assert run(io.StringIO(), [(5, 1000)]) == ""
    monkeypatch.setenv("TERM", "dumb")
    assert run(Terminal(), [(5, 1000)]) == ""


def interrupted(progress, clock):
    clock.now += 5
    progress(1, 2)
    raise KeyboardInterrupt


def test_interrupt_erases_the_bar():
    terminal, clock = Terminal(), Clock()
    with pytest.raises(KeyboardInterrupt), Progress(terminal, clock) as progress:
        interrupted(progress, clock)
    assert terminal.getvalue().endswith("\r\033[K")
