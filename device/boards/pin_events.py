"""One thread that waits for the edges of all pins and calls those who want to know.

Import it lazily: it needs gpiod.
"""

import contextlib
import os
import select
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import gpiod

OnEdge = Callable[[float, int], None]
"""Called with the kernel's time in s (CLOCK_MONOTONIC) and the level after the edge, 0 or 1."""


@dataclass
class _Watched:
    request: gpiod.LineRequest
    lock: threading.RLock
    on_edge: OnEdge
    gone: bool = field(default=False)


class EdgeWatcher:
    """Waits for edges in a daemon thread, which starts with the first pin and ends with ``close``.

    A request is read under its pin's lock, so the pin may be changed or given back at any time;
    ``on_edge`` is called without it, so it may do the same. An edge that was read just before
    ``remove`` may still be reported just after it.
    """

    def __init__(self) -> None:
        """Watch nothing yet."""
        self._lock = threading.Lock()
        self._watched: dict[int, _Watched] = {}
        self._epoll: select.epoll | None = None
        self._wake: int = -1
        self._thread: threading.Thread | None = None

    def add(self, request: gpiod.LineRequest, lock: threading.RLock, on_edge: OnEdge) -> None:
        """Report the edges of ``request``, whose ``lock`` is held."""
        with self._lock:
            self._start()
            assert self._epoll is not None
            self._watched[request.fd] = _Watched(request, lock, on_edge)
            self._epoll.register(request.fd, select.EPOLLIN)

    def remove(self, request: gpiod.LineRequest) -> None:
        """Report no more of ``request``, whose lock is held, and drop what is not yet read."""
        with self._lock:
            self._drop(request.fd)
        with contextlib.suppress(OSError):
            while _readable(request.fd):
                request.read_edge_events()

    def close(self) -> None:
        """Stop the thread. Edges that were read are reported first, unless it is the caller."""
        with self._lock:
            thread, self._thread = self._thread, None
            if thread is None:
                return
            self._watched.clear()
            os.eventfd_write(self._wake, 1)
        if thread is not threading.current_thread():
            thread.join()

    def _start(self) -> None:
        if self._thread is not None:
            return
        self._epoll = select.epoll()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._epoll.register(self._wake, select.EPOLLIN)
        self._thread = threading.Thread(
            target=self._run, args=(self._epoll, self._wake), name="pin edges", daemon=True
        )
        self._thread.start()

    def _drop(self, fd: int) -> None:
        watched = self._watched.pop(fd, None)
        if watched is not None:
            watched.gone = True
            assert self._epoll is not None
            with contextlib.suppress(OSError):  # the line may be gone with its chip
                self._epoll.unregister(fd)

    def _run(self, epoll: select.epoll, wake: int) -> None:
        try:
            while True:
                for fd, _ in epoll.poll():
                    if fd == wake:
                        return
                    with self._lock:
                        watched = self._watched.get(fd)
                    if watched is not None:
                        self._read(fd, watched)
        finally:
            epoll.close()
            os.close(wake)

    def _read(self, fd: int, watched: _Watched) -> None:
        with watched.lock:
            # Since epoll looked the line may have been removed, and its number become another's
            # that has nothing to read: reading would wait, with the pin locked.
            if watched.gone or not _readable(fd):
                return
            try:
                events = watched.request.read_edge_events()
            except OSError:
                # The chip is gone. What reads or sets the pin gets the error; here is no one to.
                with self._lock:
                    self._drop(fd)
                return
        for event in events:
            rising = event.event_type is gpiod.EdgeEvent.Type.RISING_EDGE
            try:
                watched.on_edge(event.timestamp_ns / 1e9, int(rising))
            except Exception:  # the caller's code: report it as a thread's, and go on watching
                threading.excepthook(threading.ExceptHookArgs((*sys.exc_info(), self._thread)))


def _readable(fd: int) -> bool:
    """Whether reading gives an edge or an error at once."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(0))
