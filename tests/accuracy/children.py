"""Runs the pieces of a report in child processes, each again if a child dies: an hour's work is not lost with one piece."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any, TypeVar

K = TypeVar("K")
T = TypeVar("T")

MOST_DEATHS = 20


def each(function: Callable[..., T], pieces: Mapping[K, tuple[Any, ...]], workers: int) -> Iterator[tuple[K, T]]:
    """``(key, function(*arguments))`` of every piece, in the order in which they are done.

    Raises what the function raises, and ``BrokenProcessPool`` where children die again and again.
    """
    left = dict(pieces)
    for death in range(MOST_DEATHS):
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            waiting = {pool.submit(function, *arguments): key for key, arguments in left.items()}
            try:
                for done in as_completed(waiting):
                    result = done.result()
                    del left[waiting[done]]
                    yield waiting[done], result
            except BrokenProcessPool:
                if death + 1 == MOST_DEATHS:
                    raise
        if not left:
            return
