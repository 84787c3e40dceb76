from cti.web.auth.attempts import Attempts


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
