"""The SMSC behind the nodes and the ESMEs before them: each message with its moments, for the checker.

Everything here runs in one event loop; times are of the machine's monotonic clock, which skews no node's.
"""

import asyncio
import itertools

import pdu
from ground import now

# Each request of these ESMEs has a number of its own, over all sessions.
sequence_numbers = itertools.count(1)
CONNECT_SECONDS = 5.0
REPLY_SECONDS = 3.0


class Smsc:
    """One SMSC that each node reaches at a port of that node's own: so it knows through which a message came."""

    def __init__(self, nodes):
        self.nodes, self.ports, self.sessions, self.got, self.waiting = nodes, {}, {}, [], {}
        self.ids, self.deliveries = itertools.count(1), itertools.count(1)

    async def start(self):
        for node in self.nodes:
            server = await asyncio.start_server(lambda r, w, node=node: self.serve(node, r, w), "127.0.0.1", 0)
            self.ports[node] = server.sockets[0].getsockname()[1]
        return self

    async def serve(self, node, reader, writer):
        system_id = None
        try:
            while read := await pdu.read(reader):
                command, _, sequence, body = read
                if command == pdu.SUBMIT_SM:
                    source, destination = pdu.addresses(body)
                    name = f"smsc-{next(self.ids):08x}"
                    self.got.append({"node": node, "who": system_id, "n": sequence, "source": source, "number": destination,
                                     "at": now(), "id": name})
                    answer = name.encode() + b"\0"
                elif command & pdu.RESPONSE:
                    heard = self.waiting.pop((node, system_id, sequence), None)
                    if heard and not heard.done():
                        heard.set_result(now())
                    continue
                elif command in (1, 2, pdu.BIND_TRANSCEIVER):
                    system_id, = pdu.texts(body, (0,))
                    if command != 2:
                        self.sessions[node, system_id] = writer
                    answer = f"SMSC-{node}".encode() + b"\0"
                else:
                    answer = b""
                writer.write(pdu.pdu(command | pdu.RESPONSE, sequence, answer))
                if command == pdu.UNBIND:
                    break
        except (OSError, ValueError):
            pass
        finally:
            if self.sessions.get((node, system_id)) is writer:
                del self.sessions[node, system_id]
            writer.close()

    async def reply(self, node, system_id, number, code, text):
        """A handset's answer, sent once. The moment of the deliver_sm_resp, or None when none came."""
        writer = self.sessions.get((node, system_id))
        if writer is None:
            await asyncio.sleep(0.1)
            return None
        sequence = next(self.deliveries)
        heard = asyncio.get_running_loop().create_future()
        self.waiting[node, system_id, sequence] = heard
        writer.write(pdu.message(pdu.DELIVER_SM, sequence, number, code, text))
        try:
            return await asyncio.wait_for(heard, REPLY_SECONDS)
        except asyncio.TimeoutError:
            return None
        finally:
            self.waiting.pop((node, system_id, sequence), None)


class Esme:
    """A transceiver of one system_id through one front, which binds again as soon as its session has ended. Where it does not
    know its node, the SMSC tells it, in its bind's answer."""

    def __init__(self, port, system_id, node, trips):
        self.port, self.system_id, self.node, self.trips = port, system_id, node, trips
        self.writer, self.open, self.failed_binds, self.binds, self.ends = None, {}, [], 0, False
        self.is_led = node is None
        self.ready = asyncio.Event()
        self.task = asyncio.ensure_future(self.live())

    async def live(self):
        while not self.ends:
            try:
                await self.session()
            except (OSError, asyncio.TimeoutError) as why:
                self.failed_binds.append((now(), repr(why)))
            await asyncio.sleep(0.1)

    async def session(self):
        reader, writer = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", self.port), CONNECT_SECONDS)
        try:
            writer.write(pdu.bind(next(sequence_numbers), self.system_id))
            read = await asyncio.wait_for(pdu.read(reader), CONNECT_SECONDS * 2)
            self.binds += 1
            if not read or read[0] != pdu.BIND_TRANSCEIVER | pdu.RESPONSE or read[1]:
                self.failed_binds.append((now(), read and read[1]))
                await asyncio.sleep(0.2)
                return
            self.writer = writer
            if self.is_led:
                self.node, = [text.removeprefix("SMSC-") for text in pdu.texts(read[3], (0,))]
            self.ready.set()
            while read := await pdu.read(reader):
                self.take(*read)
                if read[0] == pdu.UNBIND:
                    break
        finally:
            self.writer = None
            self.ready.clear()
            for done in self.open.values():
                if not done.done():
                    done.set_result(None)
            self.open = {}
            writer.close()

    def take(self, command, status, sequence, _):
        if command & pdu.RESPONSE:
            if done := self.open.pop(sequence, None):
                done.set_result(status)
        elif self.writer:
            body = b"\0" if command == pdu.DELIVER_SM else b""
            self.writer.write(pdu.pdu(command | pdu.RESPONSE, sequence, body))

    async def submit(self, kind, source, number, text):
        """Sends a message; its trip, with the status that it was answered with, or None when its session ended. None when there
        is no session."""
        if self.writer is None or self.writer.is_closing():
            return None
        sequence = next(sequence_numbers)
        trip = {"node": self.node, "who": self.system_id, "n": sequence, "kind": kind, "number": number, "sent": now(),
                "answered": None, "status": None}
        self.trips.append(trip)
        done = asyncio.get_running_loop().create_future()
        self.open[sequence] = done
        self.writer.write(pdu.message(pdu.SUBMIT_SM, sequence, source, number, text))
        trip["status"] = await done
        trip["answered"] = now() if trip["status"] is not None else None
        return trip

    async def surely(self, kind, source, number, text):
        """Sends a message again and again, as ESMEs do that lost their session or were told to come later, until the SMSC has
        taken it; how often it was sent. None when it was refused for good."""
        for tries in itertools.count(1):
            trip = await self.submit(kind, source, number, text)
            if trip and trip["status"] == pdu.ROK:
                return tries
            if trip and trip["status"] not in (None, pdu.RMSGQFUL, pdu.RTHROTTLED, pdu.RSYSERR):
                return None
            await asyncio.wait_for(self.ready.wait(), 60)
            await asyncio.sleep(0.02)

    async def close(self):
        self.ends = True
        if self.writer:
            self.writer.write(pdu.pdu(pdu.UNBIND, next(sequence_numbers)))
        try:
            await asyncio.wait_for(asyncio.shield(self.task), 5)
        except asyncio.TimeoutError:
            self.task.cancel()
