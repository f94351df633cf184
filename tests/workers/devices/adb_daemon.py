"""A small daemon that speaks the documented wire protocol of Android's debug bridge.

It stands in for a phone: the real `adb` client and server of Debian talk to it. What a phone
would run in its shell runs in this machine's; see packages/modules/adb/protocol.txt and SYNC.TXT
in the Android sources.
"""

import os
import socket
import struct
import subprocess
import threading
from pathlib import Path

_VERSION, _MAX_DATA = 0x01000001, 256 * 1024
_STDOUT, _STDERR, _EXIT = 1, 2, 3
_CHUNK = 32 * 1024


class AdbDaemon:
    """Listens on a port of the loopback interface until it is closed.

    path: a folder of programs that its shell finds first.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._links: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()
        for link in self._links:
            link.close()

    def _accept(self) -> None:
        while True:
            try:
                link, _ = self._listener.accept()
            except OSError:
                return
            self._links.append(link)
            threading.Thread(target=_Link(link, self._path).serve, daemon=True).start()


class _Link:
    """One connected adb server; each stream it opens has a thread of its own."""

    def __init__(self, link: socket.socket, path: Path) -> None:
        self._link, self._path = link, path
        self._file = link.makefile("rb")
        self._sending = threading.Lock()
        self._streams: dict[int, _Stream] = {}

    def serve(self) -> None:
        try:
            while header := self._file.read(24):
                command, first, second, length, _, _ = struct.unpack("<4sIIIII", header)
                self._take(command, first, second, self._file.read(length))
        except (OSError, ValueError, struct.error):
            return

    def send(self, command: bytes, first: int, second: int, data: bytes = b"") -> None:
        (number,) = struct.unpack("<I", command)
        header = struct.pack(
            "<4sIIIII", command, first, second, len(data), sum(data), number ^ 0xFFFFFFFF
        )
        with self._sending:
            self._link.sendall(header + data)

    def _take(self, command: bytes, first: int, second: int, data: bytes) -> None:
        if command == b"CNXN":
            banner = b"device::ro.product.name=stand_in;ro.product.model=Stand-in;features=shell_v2"
            self.send(b"CNXN", _VERSION, _MAX_DATA, banner)
        elif command == b"OPEN":
            service = data.rstrip(b"\0").decode()
            stream = _Stream(self, len(self._streams) + 1, first)
            self._streams[stream.own] = stream
            self.send(b"OKAY", stream.own, first)
            work = stream.sync if service == "sync:" else stream.shell
            arguments = (service, self._path)
            threading.Thread(target=work, args=arguments, daemon=True).start()
        elif command == b"WRTE":
            self.send(b"OKAY", second, first)
            self._streams[second].put(data)
        elif command == b"OKAY" and second in self._streams:
            self._streams[second].may_write.release()
        elif command == b"CLSE" and second in self._streams:
            self._streams[second].put(b"")


class _Stream:
    def __init__(self, link: _Link, own: int, peer: int) -> None:
        self._link, self.own, self._peer = link, own, peer
        self.may_write = threading.Semaphore(1)
        self._received = bytearray()
        self._arrived = threading.Condition()
        self._ended = False

    def put(self, data: bytes) -> None:
        with self._arrived:
            self._received += data
            self._ended = self._ended or not data
            self._arrived.notify()

    def shell(self, service: str, path: Path) -> None:
        command = service.partition(":")[2]
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=os.environ | {"PATH": f"{path}:{os.environ['PATH']}"},
            check=False,
        )
        for kind, data in ((_STDOUT, done.stdout), (_STDERR, done.stderr)):
            for start in range(0, len(data), _CHUNK):
                piece = data[start : start + _CHUNK]
                self._write(struct.pack("<BI", kind, len(piece)) + piece)
        self._write(struct.pack("<BIB", _EXIT, 1, done.returncode & 0xFF))
        self._close()

    def sync(self, service: str, path: Path) -> None:
        while request := self._read(8):
            word, length = request[:4], struct.unpack("<I", request[4:])[0]
            if word == b"QUIT":
                break
            name = self._read(length).decode()
            if word == b"STAT":
                self._stat(Path(name))
            elif word == b"SEND":
                self._receive(Path(name.rpartition(",")[0]))
            elif word == b"RECV":
                self._send(Path(name))
        self._close()

    def _stat(self, path: Path) -> None:
        try:
            found = path.stat()
            told = (found.st_mode, found.st_size, int(found.st_mtime))
        except OSError:
            told = (0, 0, 0)
        self._write(b"STAT" + struct.pack("<III", *told))

    def _receive(self, path: Path) -> None:
        content = bytearray()
        while True:
            word, length = struct.unpack("<4sI", self._read(8))
            if word == b"DONE":
                break
            content += self._read(length)
        try:
            path.write_bytes(content)
        except OSError as error:
            self._fail(str(error))
        else:
            self._write(b"OKAY" + struct.pack("<I", 0))

    def _send(self, path: Path) -> None:
        try:
            content = path.read_bytes()
        except OSError as error:
            self._fail(str(error))
            return
        for start in range(0, len(content), _CHUNK):
            piece = content[start : start + _CHUNK]
            self._write(b"DATA" + struct.pack("<I", len(piece)) + piece)
        self._write(b"DONE" + struct.pack("<I", 0))

    def _fail(self, reason: str) -> None:
        self._write(b"FAIL" + struct.pack("<I", len(reason)) + reason.encode())

    def _read(self, count: int) -> bytes:
        with self._arrived:
            self._arrived.wait_for(lambda: len(self._received) >= count or self._ended)
            data = bytes(self._received[:count])
            del self._received[:count]
        return data if len(data) == count else b""

    def _write(self, data: bytes) -> None:
        self.may_write.acquire()  # one message is under way at a time
        self._link.send(b"WRTE", self.own, self._peer, data)

    def _close(self) -> None:
        self._link.send(b"CLSE", self.own, self._peer)
