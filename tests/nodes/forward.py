"""A forwarder of TCP that can be paused, slowed and cut: the network between two servers."""

import asyncio
import contextlib

OCTETS = 65536


class Forwarder:
    """From a port of loopback to another. `state`: open, paused (nothing goes on, nothing is closed), cut (everything is
    closed, and whoever comes too). `delay`: seconds that each read is held back, in each direction."""

    def __init__(self, to):
        self.to, self.state, self.delay, self.port = to, "open", 0.0, None
        self.changed, self.ends = asyncio.Event(), set()

    async def start(self):
        server = await asyncio.start_server(self.lead, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        return self

    def set(self, state, delay=0.0):
        self.state, self.delay = state, delay
        self.changed.set()
        self.changed = asyncio.Event()
        if state == "cut":
            for end in list(self.ends):
                end.transport.abort()

    async def opened(self):
        while self.state == "paused":
            await self.changed.wait()

    async def lead(self, reader, writer):
        self.ends.add(writer)
        try:
            await self.opened()
            if self.state == "cut":
                writer.transport.abort()
                return
            there, back = await asyncio.open_connection("127.0.0.1", self.to)
            self.ends.add(back)
            try:
                await asyncio.gather(self.carry(reader, back), self.carry(there, writer))
            finally:
                self.ends.discard(back)
                back.close()
        except OSError:
            pass
        finally:
            self.ends.discard(writer)
            with contextlib.suppress(OSError):
                writer.close()

    async def carry(self, reader, writer):
        try:
            while octets := await reader.read(OCTETS):
                if self.delay:
                    await asyncio.sleep(self.delay)
                await self.opened()
                writer.write(octets)
                await writer.drain()
        finally:
            # One end that closes closes both: PostgreSQL half-closes nothing.
            with contextlib.suppress(OSError, RuntimeError):
                writer.close()
