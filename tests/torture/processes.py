"""Runs programs with a deadline, in process groups of their own, and ends all of them when the harness is stopped."""

import os
import signal
import subprocess
import threading
import time

OUTPUT_LIMIT = 16 << 20  # bytes; a program that writes more is ended
GRACE = 5  # seconds between SIGTERM, at which jitctl ends its session, and SIGKILL

_running, _lock, _stopped = set(), threading.Lock(), threading.Event()


class Stopped(Exception):
    """The harness is being stopped."""


class Outcome:
    """How a program ended: `status` as a shell has it, or None if it was ended for `reason`."""

    def __init__(self, status, reason, stdout, stderr):
        self.status, self.reason, self.stdout, self.stderr = status, reason, stdout, stderr

    def __eq__(self, other):
        return (self.status, self.stdout, self.stderr) == (other.status, other.stdout, other.stderr)

    def describe(self):
        return self.reason if self.status is None else f"exit status {self.status}"


def run(command, directory, seconds, environment):
    """Runs a command in a directory, where its output is kept in the files stdout and stderr."""
    paths = [os.path.join(directory, name) for name in ("stdout", "stderr")]
    with open(paths[0], "wb") as stdout, open(paths[1], "wb") as stderr:
        with _lock:
            if _stopped.is_set():
                raise Stopped()
            process = subprocess.Popen(command, cwd=directory, env=environment, stdin=subprocess.DEVNULL, stdout=stdout,
                                       stderr=stderr, start_new_session=True)
            _running.add(process)
        reason = _wait(process, seconds, paths)
        _end(process)
        with _lock:
            _running.discard(process)
    if _stopped.is_set():
        raise Stopped()
    status = None if reason else process.returncode if process.returncode >= 0 else 128 - process.returncode
    return Outcome(status, reason, *(_read(path) for path in paths))


def stop():
    """Ends what is running and lets nothing more begin."""
    with _lock:
        _stopped.set()
        for process in _running:
            _signal(process, signal.SIGTERM)


def _wait(process, seconds, paths):
    """Waits for the end; returns why the program has to be ended, or None."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            process.wait(timeout=max(0.0, min(1.0, deadline - time.monotonic())))
            return None
        except subprocess.TimeoutExpired:
            if _stopped.is_set():
                return "stopped"
        if time.monotonic() >= deadline:
            return f"does not end within {seconds:g} seconds"
        if any(os.path.getsize(path) > OUTPUT_LIMIT for path in paths):
            return "writes without end"


def _end(process):
    """Ends what is left of the process and of its group."""
    if process.poll() is None:
        _signal(process, signal.SIGTERM)
        try:
            process.wait(timeout=GRACE)
        except subprocess.TimeoutExpired:
            pass
    _signal(process, signal.SIGKILL)
    process.wait()


def _signal(process, number):
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        pass


def _read(path):
    with open(path, "rb") as file:
        return file.read(OUTPUT_LIMIT)
