"""Pretended machines on this one: each with a network, processes, a name, /tmp and home of its own.

    10.232.0.1 .. 10.232.0.N, on a bridge in a namespace of its own; servers of this machine are
    reached at 10.232.0.254.

Linux, and root alone. Nothing of it outlives the block that made it.
"""

import contextlib
import os
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.faults.harness import ROOT, WAIT_S, wait_until
from tests.faults.network import ip, listen

NET, SERVERS = "10.232.0", "10.232.0.254"
# Paths that machines see besides the system's own: code and Python, to read.
SEEN = (ROOT, Path(sys.prefix), Path(sys.base_prefix))
SIZES = {"/tmp": "2g", "/dev/shm": "1g", str(Path.home()): "1g"}
# Hides what a machine must not see of this one. What it may see is held open meanwhile.
BEGIN = """
set -e
hostname {name}
mount --make-rprivate /
{hold}
{hide}
{show}
while :; do sleep 3600 & wait $!; done
"""


@dataclass
class Host:
    """A machine that runs until it is killed."""

    lab: str
    number: int
    process: "subprocess.Popen[bytes]"
    begun: "list[subprocess.Popen[bytes]]" = field(default_factory=list)

    @property
    def name(self) -> str:
        """Of its network, and as it calls itself."""
        return f"{self.lab}-{self.number}"

    @property
    def address(self) -> str:
        """In the network."""
        return f"{NET}.{self.number}"

    @property
    def pid(self) -> int:
        """Of its first process, as this machine sees it."""
        (first,) = psutil.Process(self.process.pid).children()
        return first.pid

    @property
    def inside(self) -> list[str]:
        """What comes before a command that is to run there."""
        return ["nsenter", f"--target={self.pid}", "--net", "--mount", "--pid", "--uts", "--"]

    def run(
        self, command: list[str], environment: Mapping[str, str]
    ) -> "subprocess.CompletedProcess[str]":
        """A command there, to its end."""
        return subprocess.run(
            [*self.inside, *command],
            env=dict(environment),
            capture_output=True,
            text=True,
            check=False,
            timeout=WAIT_S,
        )

    def start(self, command: list[str], environment: Mapping[str, str], log: Path) -> None:
        """A command there, in the background."""
        with log.open("w") as output:
            started = subprocess.Popen(
                [*self.inside, *command],
                env=dict(environment),
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.begun.append(started)

    def family(self) -> list[psutil.Process]:
        """All processes there."""
        space = Path(f"/proc/{self.pid}/ns/pid").stat()  # what it is, whoever has started them
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(OSError):  # it has ended
                if os.path.samestat(Path(f"/proc/{process.pid}/ns/pid").stat(), space):
                    found.append(process)
        return found

    def kill(self) -> None:
        """A power cut."""
        self.process.kill()
        for each in (self.process, *self.begun):
            each.wait()


@dataclass
class Lab:
    """A network with machines."""

    name: str
    shared: Path  # a folder of this machine that all see at its own path, to steer the test
    hosts: list[Host] = field(default_factory=list)

    def add(self) -> Host:
        """One machine more."""
        number = len(self.hosts) + 1
        name = f"{self.name}-{number}"
        self._connect(name, f"{NET}.{number}")
        command = ["ip", "netns", "exec", name, "unshare", "--mount", "--pid", "--fork"]
        command += ["--kill-child", "--uts", "--mount-proc", "bash", "-c", self._begin(name)]
        process = subprocess.Popen(command, start_new_session=True)
        host = Host(self.name, number, process)
        self.hosts.append(host)
        ready = ["test", "-e", "/tmp/ready"]
        wait_until(lambda: process.poll() is not None or self._runs(host, ready), name)
        assert process.poll() is None, f"{name} did not begin"
        return host

    def cut(self, host: Host) -> None:
        """Let nothing from or to a machine through, without a word."""
        ip("-n", self.name, "link", "set", f"h{host.number}", "nomaster")

    @contextlib.contextmanager
    def door(self, port: int) -> Iterator[int]:
        """A port of the servers' address, for a server on this machine."""
        opened = Door(listen(self.name, SERVERS), port)
        try:
            yield opened.port
        finally:
            opened.close()

    def begin(self) -> None:
        """Make the network; CalledProcessError where the kernel does not allow it."""
        ip("netns", "add", self.name)
        ip("-n", self.name, "link", "set", "lo", "up")
        ip("-n", self.name, "link", "add", "bridge", "type", "bridge")
        ip("-n", self.name, "address", "add", f"{SERVERS}/24", "dev", "bridge")
        ip("-n", self.name, "link", "set", "bridge", "up")

    def end(self) -> None:
        """Remove what of it is there."""
        for host in self.hosts:
            host.kill()
        for name in (*(host.name for host in self.hosts), self.name):
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)

    def _connect(self, name: str, address: str) -> None:
        link = f"h{address.rpartition('.')[2]}"
        ip("netns", "add", name)
        peer = ("peer", "name", "eth0", "netns", name)
        ip("-n", self.name, "link", "add", link, "type", "veth", *peer)
        ip("-n", self.name, "link", "set", link, "master", "bridge", "up")
        ip("-n", name, "address", "add", f"{address}/24", "dev", "eth0")
        ip("-n", name, "link", "set", "eth0", "up")
        ip("-n", name, "link", "set", "lo", "up")
        ip("-n", name, "route", "add", "default", "via", SERVERS)  # else Ray takes 127.0.0.1

    def _begin(self, name: str) -> str:
        seen = list(dict.fromkeys([*SEEN, self.shared]))
        return BEGIN.format(
            name=name,
            hold="\n".join(f"exec {10 + k}<'{path}'" for k, path in enumerate(seen)),
            hide="\n".join(
                f"mount -t tmpfs -o size={size},mode=1777 own '{path}'"
                for path, size in SIZES.items()
            ),
            show="\n".join(
                f"mkdir -p '{path}'; mount --no-canonicalize --bind /proc/self/fd/{10 + k} '{path}'"
                for k, path in enumerate(seen)
            )
            + "\ntouch /tmp/ready",
        )

    @staticmethod
    def _runs(host: Host, command: list[str]) -> bool:
        if not psutil.Process(host.process.pid).children():
            return False
        return host.run(command, os.environ).returncode == 0


@contextlib.contextmanager
def lab(name: str, shared: Path) -> Iterator[Lab]:
    """A network without machines while the block runs."""
    made = Lab(name, shared)
    try:
        made.begin()
        yield made
    finally:
        made.end()


class Door:
    """Hands every connection on to a server on this machine, until it is closed."""

    def __init__(self, listener: socket.socket, port: int) -> None:
        self.listener, self.target = listener, port
        self.port = int(listener.getsockname()[1])
        self.open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Also to those who have come in."""
        for each in (self.listener, *self.open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with self.listener, contextlib.suppress(OSError):
            while True:
                near, _ = self.listener.accept()
                far = socket.create_connection(("127.0.0.1", self.target))
                self.open += [near, far]
                threading.Thread(target=carry, args=(near, far), daemon=True).start()


def carry(near: socket.socket, far: socket.socket) -> None:
    """What either end of a connection says, to the other one."""
    with near, far, contextlib.suppress(OSError):
        while True:
            for source in select.select([near, far], [], [])[0]:
                if not (content := source.recv(1 << 16)):
                    return
                (far if source is near else near).sendall(content)
