import threading
import time

from service.storage.fair_lock import FairLock


def test_it_is_given_in_the_order_of_asking() -> None:
    lock = FairLock()
    assert lock.acquire(1)
    got: list[int] = []

    def take(number: int) -> None:
        assert lock.acquire(10)
        got.append(number)
        lock.release()

    threads = []
    for number in range(20):
        threads.append(threading.Thread(target=take, args=(number,)))
        threads[-1].start()
        while len(lock._waiting) <= number:
            time.sleep(0.001)
    lock.release()
    for thread in threads:
        thread.join(10)
    assert got == list(range(20))


def test_whoever_gives_up_waiting_is_passed_over() -> None:
    lock = FairLock()
    assert lock.acquire(1)
    assert not lock.acquire(0.01)
    lock.release()
    assert lock.acquire(0.01)
    lock.release()


def test_no_turn_is_lost_or_given_twice_among_many() -> None:
    lock = FairLock()
    inside = 0
    taken = 0

    def work() -> None:
        nonlocal inside, taken
        for _ in range(200):
            if lock.acquire(0.0005):
                inside += 1
                assert inside == 1
                taken += 1
                inside -= 1
                lock.release()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert taken > 0
    assert lock.acquire(0)
