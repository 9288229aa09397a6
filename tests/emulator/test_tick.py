# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads that sleep and yet end: nothing is lost, nothing hangs, nothing of it is left for who comes after.

Each in a process of its own: pytest-timeout has SIGALRM of this one.
"""

import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.gear

_HERE = Path(__file__).resolve().parents[2]


def run(code: str, *argv: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *argv],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=_HERE,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_read_without_a_frame_ends_and_the_descriptor_never_blocks_again():
    seen = run("""
        import os, signal, socket
        from harness.emulator.tick import Tick
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        before = signal.getsignal(signal.SIGALRM)
        with Tick() as tick:
            for _ in range(5):
                tick.begin(ours.fileno())
                assert not tick.due
                try:
                    os.read(ours.fileno(), 100)
                except BlockingIOError:
                    print("nothing came", tick.due, os.get_blocking(ours.fileno()))
                tick.end()
            tick.begin(ours.fileno())
        assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
        assert signal.getsignal(signal.SIGALRM) == before
        assert not os.get_blocking(ours.fileno())
    """)
    assert seen.splitlines() == ["nothing came True False"] * 5


def test_no_frame_is_lost_at_a_tick():
    """Thousands of frames at all moments around the ticks."""
    run("""
        import os, socket, threading, time
        from harness.emulator import tick as module
        module.INTERVAL = 0.0002
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)

        def send():
            for number in range(4000):
                theirs.send(b"%d" % number)
                time.sleep(number % 7 * 0.00005)

        sending = threading.Thread(target=send)
        sending.start()
        got, ticks = [], 0
        with module.Tick() as tick:
            while len(got) < 4000:
                tick.begin(ours.fileno())
                try:
                    while not tick.due and len(got) < 4000:
                        got.append(int(os.read(ours.fileno(), 100)))
                except BlockingIOError:
                    pass
                tick.end()
                ticks += 1
        sending.join()
        assert got == list(range(4000))
        assert ticks > 10, ticks
    """)


BOARD = """
    import os, signal, socket, subprocess, sys, time
    from pathlib import Path
    from harness.emulator import pi as module
    from harness.emulator.effects import Halt, Link, Stream
    from harness.emulator.loop import Loop
    from harness.emulator.settings import load
    from harness.emulator.tick import Tick
    from tests.emulator.test_settings import entry, write

    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)

    class Wire:
        name, fd = "wire", ours.fileno()
        def __init__(self, *_told): pass
        def take(self): return os.read(self.fd, 2048)
        def put(self, frame): return os.write(self.fd, frame)
        def open(self): pass
        def close(self): pass
        def running(self): return True

    class Until:
        def __init__(self, last): self.last, self.done, self.deadline, self.seen = last, False, time.monotonic() + 60, []
        def on_frame(self, frame):
            self.seen.append(frame)
            self.done = frame == self.last
            return b"+" + frame
        def on_timer(self, now): return None

    module.Tap = Wire
    folder = Path(sys.argv[1])
    with Tick() as tick:
        loop = Loop(tick)
        loop.at(loop.clock() + 50, lambda: sys.exit("not stopped within 50 s"))
"""


@pytest.fixture
def playing(tmp_path: Path) -> Callable[[str], str]:
    """Runs a script with what a board at run time needs, on a wire whose other end is `theirs`."""

    def start(code: str) -> str:
        return run(textwrap.dedent(BOARD) + textwrap.indent(textwrap.dedent(code), "    "), str(tmp_path))

    return start


def test_between_two_transfers_no_timer_runs_and_children_get_none(playing: Callable[[str], str]):
    """A program that is started with a running timer and without a handler would be killed by it."""
    seen = playing("""
        def program(m):
            yield Link(up=True, deadline=m.clock() + 5)
            receiver = Until(b"3")
            for number in (b"1", b"2", b"3"):
                theirs.send(number)
            yield Stream(receiver)
            print(receiver.seen, [theirs.recv(10) for _ in range(3)])
            assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
            assert not os.get_blocking(ours.fileno())
            child = subprocess.run([sys.executable, "-c", "import signal, time; time.sleep(0.1); "
                "print(signal.getitimer(signal.ITIMER_REAL), signal.getsignal(signal.SIGALRM) == signal.SIG_DFL)"])
            assert child.returncode == 0
            sys.stdout.flush()
            loop.stop()
            yield Halt("done")

        pi = module.VirtualPi(loop, load(write(folder, entry(folder, machine="none")))[0], program)
        pi.power_on(None)
        loop.run()
        print(pi.phase, pi.error)
        pi.close()
    """)
    assert "[b'1', b'2', b'3'] [b'+1', b'+2', b'+3']" in seen
    assert "(0.0, 0.0) True" in seen
    assert seen.splitlines()[-1].strip() == "halted"


def test_other_descriptors_and_timers_are_noticed_while_a_transfer_waits_for_its_server(playing: Callable[[str], str]):
    """The server says one thing, then nothing more: the board sleeps for it, and its power goes all the same."""
    seen = playing("""
        def program(m):
            yield Link(up=True, deadline=m.clock() + 5)
            yield Stream(Until(b"never"))

        pi = module.VirtualPi(loop, load(write(folder, entry(folder, machine="none")))[0], program)
        pi.power_on(None)
        switch, hand = socket.socketpair()
        loop.watch(switch.fileno(), lambda _events: (switch.recv(10), pi.power_off(), print(pi.phase), loop.stop()))

        def say(number):
            theirs.send(b"%d" % number)
            if number < 3:
                loop.at(loop.clock() + 0.002, lambda: say(number + 1))
            else:
                hand.send(b"off")

        loop.at(loop.clock() + 0.05, lambda: say(1))
        loop.run()
        print([theirs.recv(10) for _ in range(3)])
        assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
        pi.close()
    """)
    assert seen.splitlines()[-2:] == ["stopped", "[b'+1', b'+2', b'+3']"], seen
