# SPDX-License-Identifier: Apache-2.0
"""What the kernel alone costs: each client's socket is joined to one of the provider's, and what comes in goes out, unread.

`python benchmarks/gateway/floor.py UPSTREAM_PORT PORT`: no gateway written on sockets can cost less than this, whatever it is written in.
"""

from __future__ import annotations

import select
import socket
import sys

READ_BYTES = 256_000
"""As much as the event loops read at once."""


def main(upstream_port, port):
    listener = socket.create_server(("127.0.0.1", port), backlog=128)
    poll, others = select.epoll(), {}
    poll.register(listener, select.EPOLLIN)
    while True:
        for number, _ in poll.poll():
            if number == listener.fileno():
                client, _ = listener.accept()
                provider = socket.create_connection(("127.0.0.1", upstream_port))
                for one, other in ((client, provider), (provider, client)):
                    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    others[one.fileno()] = (one, other)
                    poll.register(one, select.EPOLLIN)
                continue
            one, other = others.get(number, (None, None))
            if one is None:
                continue
            data = one.recv(READ_BYTES)
            if data:
                other.sendall(data)
            else:
                for end in (one, other):
                    poll.unregister(end)
                    del others[end.fileno()]
                    end.close()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
