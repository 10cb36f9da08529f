"""Work in several processes, of which any may die."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future

Done = TypeVar("Done")

Work = Callable[[Sequence[str]], Done]
"""Done by another process: a function at the top of a module, or a `partial` of one."""


def in_processes(
    work: Work[Done], chunks: Sequence[Sequence[str]], jobs: int, died: Callable[[str], Done], modules: Sequence[str]
) -> Iterator[Done]:
    """What comes of the chunks, in their order, with `modules` loaded once for all processes.

    An item that kills its process is found by halving its chunk; `died` says what comes of it.
    """
    # Loaded here, because little work needs no other process.
    from concurrent.futures import BrokenExecutor, ProcessPoolExecutor  # noqa: PLC0415
    from multiprocessing import get_all_start_methods, get_context  # noqa: PLC0415

    # A plain fork of a process that has threads, as one with torch in it does, may hang.
    context = get_context("forkserver" if "forkserver" in get_all_start_methods() else "spawn")
    context.set_forkserver_preload(list(modules))
    pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=_leave_interrupts_alone)
    futures: list[Future[Done]] = []
    try:
        with suppress(BrokenExecutor):
            futures += [pool.submit(work, chunk) for chunk in chunks]
        for chunk, future in zip(chunks, futures, strict=False):
            try:
                done = future.result()
            except BrokenExecutor:
                yield from _without_what_kills(work, chunk, died)
            else:
                yield done
    finally:
        pool.shutdown(cancel_futures=True)
    for chunk in chunks[len(futures) :]:
        yield from _without_what_kills(work, chunk, died)


def _without_what_kills(work: Work[Done], chunk: Sequence[str], died: Callable[[str], Done]) -> Iterator[Done]:
    """What comes of a chunk that was in work, or waiting, when a process died."""
    from concurrent.futures import BrokenExecutor, ProcessPoolExecutor  # noqa: PLC0415
    from multiprocessing import get_context  # noqa: PLC0415

    done: Done | None = None
    alone = ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_leave_interrupts_alone)
    with suppress(BrokenExecutor), alone as pool:
        done = pool.submit(work, chunk).result()
    if done is not None:
        yield done
    elif len(chunk) == 1:
        yield died(chunk[0])
    else:
        middle = len(chunk) // 2
        yield from _without_what_kills(work, chunk[:middle], died)
        yield from _without_what_kills(work, chunk[middle:], died)


def _leave_interrupts_alone() -> None:
    """Ctrl-C is for the process that was started by hand; it ends the others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
