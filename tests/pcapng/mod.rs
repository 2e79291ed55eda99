//! A small reader of pcapng files for tests: strict, and of nothing but what the proxy writes.

/// One packet of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    pub time_us: u64,
    pub octets: Vec<u8>,
    pub comment: String,
    pub dropped: u64,
}

/// A file: the comment of its section, its packets, and at its end how many frames were dropped.
#[derive(Debug, Default)]
pub struct File {
    pub comment: String,
    pub packets: Vec<Packet>,
    pub dropped: Option<u64>,
}

impl Packet {
    /// Sequence number, flags and octets of the TCP segment in an IPv4 packet.
    pub fn tcp(&self) -> (u32, u8, &[u8]) {
        assert_eq!(self.octets[0], 0x45, "IPv4 without options");
        let tcp = &self.octets[20..];
        let sequence = u32::from_be_bytes(tcp[4..8].try_into().unwrap());
        (sequence, tcp[13], &tcp[usize::from(tcp[12] >> 4) * 4..])
    }
}

fn word(octets: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(octets[at..at + 4].try_into().unwrap())
}

fn options(mut octets: &[u8]) -> Vec<(u16, Vec<u8>)> {
    let mut options = Vec::new();
    loop {
        let half = |at: usize| u16::from_le_bytes([octets[at], octets[at + 1]]);
        let (code, length) = (half(0), usize::from(half(2)));
        if code == 0 {
            assert_eq!((length, octets.len()), (0, 4));
            return options;
        }
        options.push((code, octets[4..4 + length].to_vec()));
        octets = &octets[4 + length.next_multiple_of(4)..];
    }
}

/// Reads a whole file; panics where it is not well formed.
pub fn read(mut octets: &[u8]) -> File {
    let mut file = File::default();
    let number = |value: &[u8]| u64::from_le_bytes(value.try_into().unwrap());
    let text = |value: &[u8]| String::from_utf8(value.to_vec()).unwrap();
    while !octets.is_empty() {
        let (kind, length) = (word(octets, 0), word(octets, 4) as usize);
        let (block, rest) = octets.split_at(length);
        assert_eq!(word(block, length - 4) as usize, length);
        let body = &block[8..length - 4];
        match kind {
            0x0a0d_0d0a => {
                let found = options(&body[16..]);
                file.comment = text(&found.iter().find(|(code, _)| *code == 1).unwrap().1);
            }
            1 => assert_eq!(u16::from_le_bytes([body[0], body[1]]), 101, "raw IP"),
            6 => {
                let captured = word(body, 12) as usize;
                let mut packet = Packet {
                    time_us: u64::from(word(body, 4)) << 32 | u64::from(word(body, 8)),
                    octets: body[20..20 + captured].to_vec(),
                    comment: String::new(),
                    dropped: 0,
                };
                for (code, value) in options(&body[20 + captured.next_multiple_of(4)..]) {
                    match code {
                        1 => packet.comment = text(&value),
                        4 => packet.dropped = number(&value),
                        other => assert_eq!(other, 2, "an option of a packet"),
                    }
                }
                file.packets.push(packet);
            }
            5 => {
                let found = options(&body[12..]);
                let dropped = found.iter().find(|(code, _)| *code == 5).unwrap();
                file.dropped = Some(number(&dropped.1));
            }
            other => panic!("block {other}"),
        }
        octets = rest;
    }
    file
}
