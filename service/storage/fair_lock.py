"""A lock that is given in the order in which it was asked for."""

import threading
from collections import deque


class FairLock:
    """First come, first served: `threading.Lock` lets luck decide, and someone waits for long."""

    def __init__(self) -> None:
        self._state = threading.Lock()
        self._is_taken = False
        self._waiting: deque[threading.Lock] = deque()

    def acquire(self, timeout_s: float) -> bool:
        """Waits for its turn, at most `timeout_s`; whether it came."""
        with self._state:
            if not self._is_taken:
                self._is_taken = True
                return True
            turn = threading.Lock()
            turn.acquire()
            self._waiting.append(turn)
        if turn.acquire(timeout=timeout_s):
            return True
        with self._state:
            if turn in self._waiting:
                self._waiting.remove(turn)
                return False
            return True  # its turn came between the timeout and this look

    def release(self) -> None:
        """Gives it to the one that has waited longest."""
        with self._state:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._is_taken = False
