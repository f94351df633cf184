from service.schemas.leases import HeartbeatReply
from tests.workers.grants import make_grant
from workers.held_lease import HeldLease


class Clock:
    now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


def reply(command="continue", ttl_s=60.0):
    return HeartbeatReply(expires_at=make_grant().expires_at, ttl_s=ttl_s, command=command)


def test_it_ends_the_margin_before_the_server_would_take_it_away():
    clock = Clock()
    lease = HeldLease(make_grant(ttl_s=60.0), stop_margin_s=5.0, clock_s=clock)
    clock.now_s = 1_054.9
    assert not lease.has_ended
    clock.now_s = 1_055.0
    assert lease.has_ended


def test_a_renewal_counts_from_when_it_was_sent():
    clock = Clock()
    lease = HeldLease(make_grant(ttl_s=60.0), stop_margin_s=5.0, clock_s=clock)
    clock.now_s = 1_050.0  # the answer came only now
    lease.renewed(1_020.0, reply())
    clock.now_s = 1_074.9
    assert not lease.has_ended
    clock.now_s = 1_075.0
    assert lease.has_ended


def test_answers_that_overtake_each_other_never_shorten_it():
    clock = Clock()
    lease = HeldLease(make_grant(ttl_s=60.0), stop_margin_s=5.0, clock_s=clock)
    lease.renewed(1_030.0, reply())
    lease.renewed(1_010.0, reply())
    clock.now_s = 1_084.9
    assert not lease.has_ended


def test_a_lease_shorter_than_the_margin_still_lasts_a_while():
    clock = Clock()
    lease = HeldLease(make_grant(ttl_s=3.0), stop_margin_s=5.0, clock_s=clock)
    clock.now_s = 1_001.9
    assert not lease.has_ended


def test_commands_and_loss():
    lease = HeldLease(make_grant(), 5.0)
    assert lease.command == "continue"
    assert not lease.is_lost
    lease.renewed(0.0, reply("stop"))
    assert lease.command == "stop"
    lease.renewed(0.0, reply("cancel"))
    lease.renewed(0.0, reply("continue"))
    assert lease.command == "cancel"
    lease.lose()
    assert lease.is_lost
