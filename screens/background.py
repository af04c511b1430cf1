"""Waiting for something that may hang, without holding up the screen or the end of the console."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


async def in_background(work: Callable[[], T]) -> T:
    """What `work` returns or raises, from a thread that ends with the process.

    The pools of asyncio and Textual wait for their threads when the console is left: a plug that
    does not answer would keep it open.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(result: T | Exception) -> None:
        if done.done():  # cancelled: nobody waits any more
            return
        if isinstance(result, Exception):
            done.set_exception(result)
        else:
            done.set_result(result)

    def run() -> None:
        result: T | Exception
        try:
            result = work()
        except Exception as error:
            result = error
        with suppress(RuntimeError):  # the console was left meanwhile
            loop.call_soon_threadsafe(settle, result)

    threading.Thread(target=run, name="background", daemon=True).start()
    return await done
