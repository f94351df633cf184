from workers.shutdown import Shutdown


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_it_drains_first_and_ends_when_the_time_is_up():
    clock = Clock()
    shutdown = Shutdown(30.0, clock)
    assert not shutdown.is_draining
    assert not shutdown.wait(0.0)
    shutdown.drain()
    assert shutdown.is_draining
    assert shutdown.wait(0.0)
    clock.now_s = 29.9
    shutdown.drain()  # asking again does not put it off
    assert not shutdown.is_ending
    clock.now_s = 30.0
    assert shutdown.is_ending


def test_ending_needs_no_time():
    shutdown = Shutdown(1_000.0)
    shutdown.drain()
    shutdown.end()
    assert shutdown.is_draining
    assert shutdown.is_ending
