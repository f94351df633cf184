"""The socket on which systemd would listen to a service that it has started."""

import socket
from pathlib import Path


class NotifySocket:
    """A real datagram socket that remembers what arrived."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address[0] == "@" else address)
        self._socket.setblocking(False)
        self.received: list[str] = []

    @classmethod
    def in_folder(cls, folder: Path) -> "NotifySocket":
        return cls(str(folder / "notify"))

    def new(self) -> list[str]:
        """What has arrived since this was asked last."""
        arrived = []
        while True:
            try:
                arrived.append(self._socket.recv(4096).decode())
            except BlockingIOError:
                self.received += arrived
                return arrived

    def has_received(self, assignment: str) -> bool:
        self.new()
        return assignment in self.received

    def close(self) -> None:
        self._socket.close()
