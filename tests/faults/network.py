"""A network of its own for a driver, which can be cut without a word. Linux, and root alone.

    driver's machine  10.231.1.2 -- router -- 10.231.2.2  server's machine

Each is a network namespace. Where it is cut, the router drops what it gets in both directions and
tells nobody, as a broken switch does: connections stay open, and nothing arrives.
"""

import ctypes
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

DRIVER, SERVER = "10.231.1.2", "10.231.2.2"
NEW_NETWORK = 0x40000000  # CLONE_NEWNET of setns(2)


@dataclass(frozen=True)
class Network:
    """Three namespaces, whose names begin with `name`."""

    name: str

    @property
    def command(self) -> list[str]:
        """What comes before a command that is to run on the driver's machine."""
        return ["ip", "netns", "exec", f"{self.name}-driver"]

    def begin(self) -> None:
        """Make it; CalledProcessError where the kernel does not allow it."""
        for end in ("driver", "router", "server"):
            ip("netns", "add", f"{self.name}-{end}")
            self._on(end, "link", "set", "lo", "up")
        for end, address in (("driver", DRIVER), ("server", SERVER)):
            gate = f"{address[:-1]}1"
            peer = ("peer", "name", "eth0", "netns", f"{self.name}-{end}")
            self._on("router", "link", "add", end, "type", "veth", *peer)
            self._on("router", "address", "add", f"{gate}/24", "dev", end)
            self._on("router", "link", "set", end, "up")
            self._on(end, "address", "add", f"{address}/24", "dev", "eth0")
            self._on(end, "link", "set", "eth0", "up")
            self._on(end, "route", "add", "default", "via", gate)
        forward = ["sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]
        ip("netns", "exec", f"{self.name}-router", *forward)

    def end(self) -> None:
        """Remove what of it is there."""
        for end in ("driver", "router", "server"):
            subprocess.run(["ip", "netns", "delete", f"{self.name}-{end}"], check=False)

    def cut(self) -> None:
        """Let nothing through any more."""
        for address in (DRIVER, SERVER):
            self._on("router", "route", "add", "blackhole", f"{address}/32")

    def mend(self) -> None:
        """Let everything through again."""
        for address in (DRIVER, SERVER):
            self._on("router", "route", "delete", "blackhole", f"{address}/32")

    def listen(self) -> socket.socket:
        """A socket on the server's machine, for a server that runs on this one."""
        return listen(f"{self.name}-server", SERVER)

    def _on(self, end: str, *words: str) -> None:
        ip("-n", f"{self.name}-{end}", *words)


def why_not() -> str | None:
    """Why no such network can be made here; None: it can."""
    if os.geteuid() != 0:
        return "only root may make network namespaces"
    if shutil.which("ip") is None:
        return "there is no `ip` (iproute2)"
    return None


@contextmanager
def network(name: str) -> Iterator[Network]:
    """A network while the block runs."""
    made = Network(name)
    try:
        made.begin()
        yield made
    finally:
        made.end()


def ip(*words: str) -> None:
    """Run `ip`."""
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


def listen(namespace: str, address: str) -> socket.socket:
    """A socket at an address in a network namespace, for a server in this one."""
    here = os.open("/proc/self/ns/net", os.O_RDONLY)
    there = os.open(f"/var/run/netns/{namespace}", os.O_RDONLY)
    try:
        enter(there)
        try:
            return socket.create_server((address, 0))
        finally:
            enter(here)
    finally:
        os.close(here)
        os.close(there)


def enter(namespace: int) -> None:
    """Let this thread use the network that a descriptor stands for."""
    if ctypes.CDLL(None, use_errno=True).setns(namespace, NEW_NETWORK):
        raise OSError(ctypes.get_errno(), "setns")
