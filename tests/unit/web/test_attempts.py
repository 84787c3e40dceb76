from cti.web.auth.attempts import Attempts, Delays, LoginLimits


def test_the_window_slides():
    tries = Attempts(2, 10.0)
    assert tries.wait("x", 0.0) == 0
    tries.add("x", 0.0)
    tries.add("x", 4.0)
    assert tries.wait("x", 5.0) == 5
    assert tries.wait("y", 5.0) == 0
    assert tries.wait("x", 9.9) == 1
    assert tries.wait("x", 10.0) == 0
    tries.add("x", 10.0)
    assert tries.wait("x", 10.0) == 4


def test_forgiving_and_taking_back():
    tries = Attempts(2, 10.0)
    tries.add("x", 0.0)
    tries.add("x", 0.0)
    tries.take_back("x")
    tries.take_back("nobody")
    assert tries.wait("x", 0.0) == 0
    tries.add("x", 0.0)
    assert tries.wait("x", 0.0) == 10
    tries.forgive("x")
    assert tries.wait("x", 0.0) == 0


def test_memory_is_bounded():
    tries = Attempts(1, 10.0, keys=3)
    for key in "abcd":
        tries.add(key, 0.0)
    assert tries.wait("a", 0.0) == 0
    assert [tries.wait(key, 0.0) for key in "bcd"] == [10, 10, 10]


def test_each_further_wrong_try_waits_twice_as_long_up_to_a_limit():
    delays = Delays(free=3, first=10, longest=60, quiet=1000)
    now, waits = 0.0, []
    for _ in range(8):
        delays.add("x", now)
        waits.append(delays.wait("x", now))
        now += waits[-1]
        assert delays.wait("x", now) == 0
    assert waits == [0, 0, 10, 20, 40, 60, 60, 60]
    assert delays.wait("y", now) == 0


def test_asking_while_one_waits_makes_it_no_longer_and_quiet_forgives():
    delays = Delays(free=1, first=10, longest=60, quiet=100)
    delays.add("x", 0)
    assert [delays.wait("x", second) for second in (0, 4, 9.5, 10)] == [10, 6, 1, 0]
    delays.add("x", 10)
    assert delays.wait("x", 10) == 20
    assert delays.wait("x", 110) == 0
    delays.add("x", 110)
    assert delays.wait("x", 110) == 10
    delays.take_back("x")
    assert delays.wait("x", 110) == 0


def test_delays_forget_the_key_tried_longest_ago():
    delays = Delays(free=1, first=10, longest=60, quiet=100, keys=2)
    for name in ("a", "b", "a", "c"):
        delays.add(name, 0)
    assert [delays.wait(name, 0) > 0 for name in "abc"] == [True, False, True]


def test_a_known_device_is_not_slowed_down_by_strangers():
    limits = LoginLimits()
    now = 0.0
    for number in range(1000):
        if not limits.wait("1001", f"192.0.2.{number}", None, now):
            limits.begin("1001", f"192.0.2.{number}", None, now)
        now += 1
    assert limits.wait("1001", "198.51.100.1", None, now) > 0
    assert limits.wait("1001", "198.51.100.1", "mine", now) == 0
    for _ in range(5):
        limits.begin("1001", "198.51.100.1", "mine", now)
    assert limits.wait("1001", "198.51.100.1", "mine", now) == 60
