"""A name server on loopback that knows one name, as Docker's does: each address of it stands for a replica."""
import socket
import struct
import threading


class Nameserver:
    """Answers A queries (RFC 1035) for any name from a list that can change."""

    def __init__(self):
        self.addresses = []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                asked, client = self.socket.recvfrom(4096)
            except OSError:
                return
            self.socket.sendto(self._answer(asked), client)

    def _answer(self, asked):
        end = asked.index(b"\0", 12) + 5
        kind = struct.unpack("!H", asked[end - 4:end - 2])[0]
        found = self.addresses if kind == 1 else []
        # A response, recursion available, no error; the question again; each record's name is a pointer to it.
        head = asked[:2] + struct.pack("!HHHHH", 0x8180, 1, len(found), 0, 0)
        records = b"".join(struct.pack("!HHHIH", 0xC00C, 1, 1, 1, 4) + socket.inet_aton(one) for one in found)
        return head + asked[12:end] + records

    def close(self):
        """Answers no more."""
        self.socket.close()
