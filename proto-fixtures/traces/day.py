#!/usr/bin/env python3
"""Writes a capture of made-up SMPP traffic: three ESMEs and an SMSC over a day. The same arguments, the same octets.

    proto-fixtures/traces/day.py --messages 400 --consents proto-fixtures/traces/day.csv proto-fixtures/traces/day.pcap.gz
    proto-fixtures/traces/day.py --octets 1073741824 /tmp/gibibyte.pcap     # for measuring

shop1 sends orders, codes and advertising, some of it in parts; bank sends movements of accounts; wild, which nobody
registered at first, sends from numbers of others. Handsets answer 退订. All names and numbers are made up.
"""
import argparse
import gzip
import random
import struct
import sys

DAY = 1777680000  # 2026-05-02T00:00:00Z, 08:00 in China
OK = 0
BIND_TRANSCEIVER, SUBMIT_SM, DELIVER_SM, ENQUIRE_LINK = 0x00000009, 0x00000004, 0x00000005, 0x00000015
RESPONSE = 0x80000000
SMSC = (bytes([192, 0, 2, 10]), 2775)

SERVICE = [
    "【示例商城】您的订单{n}已发货，由示例快递承运，预计明日送达。",
    "【示例商城】验证码{c}，5分钟内有效，请勿告诉他人。",
    "【示例商城】您的退款{m}元已原路退回，请留意到账情况。",
]
ADVERTISING = [
    "【示例商城】五一大促全场五折起，满{m}减100，限时抢购，速来选购！回T退订",
    "【示例商城】会员专享：领取{m}元优惠券，今晚八点开抢，先到先得。拒收请回复R",
    "【示例商城】新品上市，前{c}名下单立减，错过再等一年，点击进店抢购，回T退订",
]
LONG = (
    "【示例商城】尊敬的会员，五一假期将至，我们为您准备了丰厚的优惠：全场家电满{m}减200，母婴用品第二件半价，图书音像五折起，"
    "更有整点秒杀等您来抢。活动时间五月一日至五月五日，名额有限，先到先得，点击进店领取优惠券。回T退订"
)
BANK = [
    "【示例银行】您尾号{c}的账户于今日支出人民币{m}.00元，余额请登录手机银行查询。",
    "【示例银行】动态密码{c}，用于网上支付，任何人索取均为诈骗。",
]
WILD = ["特价机票酒店预订，全国联保，电话{c}", "【示例银行】您的积分即将过期，请点击链接兑换{m}元现金"]


class Stream:
    """One TCP connection of an ESME, and the packets that its PDUs become."""

    def __init__(self, out, address, port):
        self.out, self.esme = out, (bytes(address), port)
        self.next = {True: 1000, False: 5000}  # TCP sequence numbers, by whether the ESME sends
        self.sequence = 0

    def packet(self, from_esme, time, payload, flags=0x18):
        (source, sport), (dest, dport) = (self.esme, SMSC) if from_esme else (SMSC, self.esme)
        seq, ack = self.next[from_esme], self.next[not from_esme]
        tcp = struct.pack(">HHIIBBHHH", sport, dport, seq, ack, 0x50, flags, 65535, 0, 0)
        checksum = sum16(source + dest + struct.pack(">BBH", 0, 6, len(tcp) + len(payload)) + tcp + payload)
        tcp = tcp[:16] + struct.pack(">H", checksum) + tcp[18:]
        ip = struct.pack(">BBHHHBBH", 0x45, 0, 40 + len(payload), 0, 0x4000, 64, 6, 0) + source + dest
        ip = ip[:10] + struct.pack(">H", sum16(ip)) + ip[12:]
        ethernet = bytes.fromhex("020000000001020000000002") + b"\x08\x00"
        self.out.write(time, ethernet + ip + tcp + payload)
        self.next[from_esme] += len(payload) + (1 if flags & 0x03 else 0)

    def open(self, time):
        self.packet(True, time, b"", 0x02)
        self.packet(False, time + 0.0002, b"", 0x12)
        self.packet(True, time + 0.0003, b"", 0x10)

    def close(self, time):
        self.packet(True, time, b"", 0x11)
        self.packet(False, time + 0.0002, b"", 0x11)

    def ask(self, time, command, body, latency, answer=b"", status=OK):
        self.sequence += 1
        self.packet(True, time, pdu(command, OK, self.sequence, body))
        self.packet(False, time + latency, pdu(command | RESPONSE, status, self.sequence, answer))

    def deliver(self, time, sequence, body):
        self.packet(False, time, pdu(DELIVER_SM, OK, sequence, body))
        self.packet(True, time + 0.001, pdu(DELIVER_SM | RESPONSE, OK, sequence, b"\0"))


class Pcap:
    """Packets in the order in which they are due: what is written early waits."""

    def __init__(self, file):
        self.file, self.waiting, self.octets = file, [], 24
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1))

    def write(self, time, octets):
        self.waiting.append((time, len(self.waiting), octets))
        self.octets += 16 + len(octets)

    def flush(self, until):
        self.waiting.sort()
        late = []
        for time, place, octets in self.waiting:
            if time >= until:
                late.append((time, place, octets))
                continue
            micros = round(time * 1_000_000)
            head = struct.pack("<IIII", micros // 1_000_000, micros % 1_000_000, len(octets), len(octets))
            self.file.write(head + octets)
        self.waiting = late


def sum16(octets):
    """The internet checksum."""
    if len(octets) % 2:
        octets += b"\0"
    total = sum(struct.unpack(f">{len(octets) // 2}H", octets))
    total = (total & 0xFFFF) + (total >> 16)
    return ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF


def pdu(command, status, sequence, body):
    return struct.pack(">IIII", 16 + len(body), command, status, sequence) + body


def bind(system_id):
    return system_id.encode() + b"\0secret\0\0\x34\0\0\0"


def message(source, destination, text, esm_class=0):
    body = b"\0\0\x01" + source.encode() + b"\0\x01\x01" + destination.encode() + b"\0"
    return body + bytes([esm_class, 0, 0, 0, 0, 0, 0, 8, 0, len(text)]) + text


def ucs2(text):
    return text.encode("utf-16-be")


def parts(text, reference):
    octets = ucs2(text)
    pieces = [octets[at : at + 134] for at in range(0, len(octets), 134)]
    return [bytes([5, 0, 3, reference % 256, len(pieces), at + 1]) + piece for at, piece in enumerate(pieces)]


def filled(chance, forms):
    numbers = {"n": chance.randrange(10**9, 10**10), "c": chance.randrange(1000, 10000), "m": chance.randrange(10, 999)}
    return chance.choice(forms).format(**numbers)


def play(out, messages, octets, seed):
    chance = random.Random(seed)
    people = [f"86138{chance.randrange(10**7, 10**8)}" for _ in range(max(60, (messages or 100_000) // 8))]
    shop, bank, wild = (
        Stream(out, address, port)
        for address, port in [((203, 0, 113, 7), 40001), ((198, 51, 100, 20), 40002), ((198, 51, 100, 99), 40003)]
    )
    for stream, system_id, at in [(shop, "shop1", 0), (bank, "bank", 1), (wild, "wild", 2)]:
        stream.open(DAY + at)
        stream.ask(DAY + at + 0.01, BIND_TRANSCEIVER, bind(system_id), 0.004, b"smsc\0")
    time, sent, reference = DAY + 10, 0, 0
    span = 12 * 3600 / (messages or octets // 330)
    while sent < messages if messages else out.octets < octets:
        hour = (time - DAY) / 3600
        # Busy in the late morning and in the evening.
        pace = 0.35 + abs((hour % 7) - 3.5) / 3.5
        time += chance.expovariate(1 / (span * pace))
        latency = chance.lognormvariate(-4.6, 0.7)
        busy = chance.random()
        person = chance.choice(people)
        ids = f"{chance.getrandbits(32):08x}".encode() + b"\0"
        if busy < 0.40:
            shop.ask(time, SUBMIT_SM, message("106900001234", person, ucs2(filled(chance, SERVICE))), latency, ids)
        elif busy < 0.62:
            shop.ask(time, SUBMIT_SM, message("106900005678", person, ucs2(filled(chance, ADVERTISING))), latency, ids)
        elif busy < 0.66:
            reference += 1
            for part in parts(filled(chance, [LONG]), reference):
                shop.ask(time, SUBMIT_SM, message("106900005678", person, part, 0x40), latency, ids)
                time += latency
        elif busy < 0.90:
            bank.ask(time, SUBMIT_SM, message("95588", person, ucs2(filled(chance, BANK))), latency, ids)
        elif busy < 0.95:
            source = chance.choice(["95588", "10690000777", "106900001234", "", "13800138000"])
            status = 0x58 if chance.random() < 0.3 else OK
            wild.ask(time, SUBMIT_SM, message(source, person, ucs2(filled(chance, WILD))), latency, ids, status)
        elif busy < 0.98:
            shop.deliver(time, 7_000_000 + sent, message(person, "106900005678", ucs2(chance.choice(["退订", "T", "好的"]))))
        else:
            bank.ask(time, ENQUIRE_LINK, b"", 0.001)
        sent += 1
        if sent % 1000 == 0:
            out.flush(time)
    for stream in (shop, bank, wild):
        stream.close(time + 1)
    out.flush(float("inf"))
    return people


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=0)
    parser.add_argument("--octets", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--consents", metavar="CSV", help="writes who of them has agreed to advertising: every other one")
    parser.add_argument("file")
    args = parser.parse_args()
    if bool(args.messages) == bool(args.octets):
        sys.exit("give --messages or --octets")
    with open(args.file, "wb") as raw:
        # Without a time and a name in it, equal contents are equal files.
        file = gzip.GzipFile("", "wb", 9, raw, 0) if args.file.endswith(".gz") else raw
        people = play(Pcap(file), args.messages, args.octets, args.seed)
        if file is not raw:
            file.close()
    if args.consents:
        with open(args.consents, "w") as consents:
            consents.write("number,time\n")
            consents.writelines(f"{number},2026-04-01T00:00:00Z\n" for number in people[::2])


if __name__ == "__main__":
    main()
