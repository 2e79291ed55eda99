//! pcapng: blocks of interfaces and their packets, in sections of their own octet order.
//!
//! ```text
//! block: type, length: 4 octets each; body; length again: 4
//! 0a0d0d0a section header: byte-order magic 1a2b3c4d; what came before describes nothing any more
//! 00000001 interface description: link type: 2, reserved: 2, snap length: 4; options
//! 00000006 enhanced packet: interface, time (upper, lower half), captured, on the wire: 4 each; octets
//! 00000003 simple packet: on the wire: 4; octets, of the first interface, without a time
//! 00000002 packet (obsolete): interface: 2, drops: 2, time: 4 + 4, captured, on the wire: 4 each; octets
//! any other: skipped, however long it says it is
//! ```

use super::input::Input;
use super::{PACKET_OCTETS_MAX, Packet};
use crate::replay::fault::FaultKind;
use crate::replay::octets::Endian;

/// Type of the block that every pcapng file begins with; it reads the same in either octet order.
pub(super) const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;

/// Most interfaces that a section may describe: an obsolete packet block cannot name more.
pub const INTERFACES_MAX: usize = 65_536;

/// Most octets of an interface description that are looked at. Its options are tens of octets.
const DESCRIPTION_OCTETS_MAX: usize = 64 * 1024;

/// Type and length, and the length at the end.
const BLOCK_OCTETS: usize = 12;

/// An interface of the section.
#[derive(Debug, Clone, Copy)]
struct Interface {
    link_type: u32,
    snap_octets: u32,
    clock: Clock,
    offset_seconds: i64,
}

/// What one tick of an interface's time is (option if_tsresol).
#[derive(Debug, Clone, Copy)]
enum Clock {
    /// 10 to the power of minus this, seconds.
    Decimal(u8),
    /// 2 to the power of minus this, seconds.
    Binary(u8),
}

impl Clock {
    #[inline]
    fn micros(self, ticks: u64) -> u64 {
        match self {
            Clock::Decimal(6) => ticks,
            Clock::Decimal(digits @ 0..6) => ticks.saturating_mul(10u64.pow(6 - u32::from(digits))),
            Clock::Decimal(digits) => {
                10u64.checked_pow(u32::from(digits) - 6).map_or(0, |divisor| ticks / divisor)
            }
            Clock::Binary(bits) => {
                let micros = (u128::from(ticks) * 1_000_000) >> bits;
                u64::try_from(micros).unwrap_or(u64::MAX)
            }
        }
    }
}

/// The section that is being read.
pub(super) struct Pcapng {
    endian: Endian,
    interfaces: Vec<Interface>,
    /// The block whose packet was answered last: its length, and octets of it that are not read.
    open: Option<(u32, u64)>,
    /// Time of the last packet that had one: a simple packet's.
    time_us: u64,
}

impl Pcapng {
    pub(super) fn new() -> Pcapng {
        Pcapng { endian: Endian::Big, interfaces: Vec::new(), open: None, time_us: 0 }
    }

    #[inline]
    pub(super) fn next_packet(&mut self, input: &mut Input) -> Result<Option<Packet>, FaultKind> {
        loop {
            if let Some((length, unread)) = self.open.take() {
                self.close(input, length, unread)?;
            }
            input.mark();
            let head = input.peek(8)?;
            if head.is_empty() {
                return Ok(None);
            }
            if head.len() < 8 {
                return Err(FaultKind::CutShort("a block's header"));
            }
            match self.endian.u32(head, 0) {
                SECTION_HEADER => self.section(input)?,
                INTERFACE_DESCRIPTION => self.interface(input)?,
                ENHANCED_PACKET => return self.enhanced(input).map(Some),
                SIMPLE_PACKET => return self.simple(input).map(Some),
                PACKET => return self.obsolete(input).map(Some),
                _ => {
                    let (length, _) = self.begin(input, "block", 0)?;
                    self.open = Some((length, u64::from(length) - 8));
                }
            }
        }
    }

    /// The length of the block and its first `fixed` octets behind type and length.
    fn begin<'a>(
        &self,
        input: &'a mut Input,
        block: &'static str,
        fixed: usize,
    ) -> Result<(u32, &'a [u8]), FaultKind> {
        let octets = self.endian.u32(input.peek(8)?, 4);
        if (octets as usize) < BLOCK_OCTETS + fixed {
            return Err(FaultKind::BlockTooShort { block, octets });
        }
        let head = input.peek(8 + fixed)?;
        if head.len() < 8 + fixed {
            return Err(FaultKind::CutShort("a block"));
        }
        input.consume(8 + fixed);
        Ok((octets, input.consumed(fixed, fixed)))
    }

    /// Skips what is left of a block and compares its two lengths. Lengths are multiples of four;
    /// writers that forget to count the padding are met, and believed.
    fn close(&self, input: &mut Input, length: u32, unread: u64) -> Result<(), FaultKind> {
        if !input.skip(unread.saturating_sub(4))? {
            return Err(FaultKind::CutShort("a block"));
        }
        let padding = (4 - length as usize % 4) % 4;
        let tail = input.peek(padding + 4)?;
        if tail.len() < padding + 4 {
            return Err(FaultKind::CutShort("a block"));
        }
        let last = self.endian.u32(tail, padding);
        if last != length {
            return Err(FaultKind::BlockLengths { first: length, last });
        }
        input.consume(padding + 4);
        Ok(())
    }

    fn section(&mut self, input: &mut Input) -> Result<(), FaultKind> {
        let head = input.peek(12)?;
        if head.len() < 12 {
            return Err(FaultKind::CutShort("a section header"));
        }
        self.endian = match Endian::Big.u32(head, 8) {
            BYTE_ORDER_MAGIC => Endian::Big,
            magic if magic.swap_bytes() == BYTE_ORDER_MAGIC => Endian::Little,
            magic => return Err(FaultKind::ByteOrder(magic)),
        };
        self.interfaces.clear();
        let (length, _) = self.begin(input, "section header", 16)?;
        self.open = Some((length, u64::from(length) - 24));
        Ok(())
    }

    fn interface(&mut self, input: &mut Input) -> Result<(), FaultKind> {
        if self.interfaces.len() == INTERFACES_MAX {
            return Err(FaultKind::Interfaces(INTERFACES_MAX));
        }
        let endian = self.endian;
        let (length, fixed) = self.begin(input, "interface description", 8)?;
        let mut interface = Interface {
            link_type: endian.u16(fixed, 0).into(),
            snap_octets: endian.u32(fixed, 4),
            clock: Clock::Decimal(6),
            offset_seconds: 0,
        };
        let left = length as usize - BLOCK_OCTETS - 8;
        let options = input.peek(left.min(DESCRIPTION_OCTETS_MAX))?;
        interface.describe(endian, options);
        self.interfaces.push(interface);
        self.open = Some((length, left as u64 + 4));
        Ok(())
    }

    #[inline]
    fn enhanced(&mut self, input: &mut Input) -> Result<Packet, FaultKind> {
        let endian = self.endian;
        let (length, fixed) = self.begin(input, "enhanced packet block", 20)?;
        let word = |at| endian.u32(fixed, at);
        let (interface, upper, lower) = (word(0), word(4), word(8));
        let (captured, wire) = (word(12), word(16));
        let interface = self.named(interface)?;
        let time_us = interface.micros(upper, lower);
        self.packet(input, length, 20, interface.link_type, Some(time_us), captured, wire)
    }

    fn obsolete(&mut self, input: &mut Input) -> Result<Packet, FaultKind> {
        let endian = self.endian;
        let (length, fixed) = self.begin(input, "packet block", 20)?;
        let word = |at| endian.u32(fixed, at);
        let (upper, lower, captured, wire) = (word(4), word(8), word(12), word(16));
        let interface = self.named(endian.u16(fixed, 0).into())?;
        let time_us = interface.micros(upper, lower);
        self.packet(input, length, 20, interface.link_type, Some(time_us), captured, wire)
    }

    fn simple(&mut self, input: &mut Input) -> Result<Packet, FaultKind> {
        let endian = self.endian;
        let (length, fixed) = self.begin(input, "simple packet block", 4)?;
        let wire = endian.u32(fixed, 0);
        let interface = self.named(0)?;
        let snap = if interface.snap_octets == 0 { u32::MAX } else { interface.snap_octets };
        let captured = wire.min(snap).min(length - BLOCK_OCTETS as u32 - 4);
        self.packet(input, length, 4, interface.link_type, None, captured, wire)
    }

    fn named(&self, interface: u32) -> Result<Interface, FaultKind> {
        let found = self.interfaces.get(interface as usize);
        found.copied().ok_or(FaultKind::Interface(interface))
    }

    /// Looks at the packet's octets and leaves the rest of the block for later.
    #[inline]
    #[allow(clippy::too_many_arguments)]
    fn packet(
        &mut self,
        input: &mut Input,
        length: u32,
        fixed: u32,
        link_type: u32,
        time_us: Option<u64>,
        captured_octets: u32,
        wire_octets: u32,
    ) -> Result<Packet, FaultKind> {
        if captured_octets as usize > PACKET_OCTETS_MAX {
            return Err(FaultKind::PacketTooLong(captured_octets));
        }
        let unread = u64::from(length) - 8 - u64::from(fixed);
        if u64::from(captured_octets) + 4 > unread {
            return Err(FaultKind::BlockTooShort { block: "packet block", octets: length });
        }
        if input.peek(captured_octets as usize)?.len() < captured_octets as usize {
            return Err(FaultKind::CutShort("a packet"));
        }
        input.consume(captured_octets as usize);
        self.open = Some((length, unread - u64::from(captured_octets)));
        self.time_us = time_us.unwrap_or(self.time_us);
        Ok(Packet { time_us: self.time_us, link_type, wire_octets, captured_octets })
    }
}

impl Interface {
    /// Reads the options that change what a time means.
    fn describe(&mut self, endian: Endian, mut options: &[u8]) {
        const IF_TSRESOL: u16 = 9;
        const IF_TSOFFSET: u16 = 14;
        while let Some((head, rest)) = options.split_at_checked(4) {
            let (code, length) = (endian.u16(head, 0), usize::from(endian.u16(head, 2)));
            let Some(value) = rest.get(..length) else { return };
            match (code, value) {
                (0, _) => return,
                (IF_TSRESOL, &[resolution]) => {
                    let exponent = resolution & 0x7f;
                    let binary = resolution & 0x80 != 0;
                    self.clock =
                        if binary { Clock::Binary(exponent) } else { Clock::Decimal(exponent) };
                }
                (IF_TSOFFSET, &[_, _, _, _, _, _, _, _]) => {
                    let (first, second) = (endian.u32(value, 0), endian.u32(value, 4));
                    let (high, low) =
                        if endian == Endian::Big { (first, second) } else { (second, first) };
                    self.offset_seconds = (u64::from(high) << 32 | u64::from(low)) as i64;
                }
                _ => {}
            }
            options = rest.get(length.next_multiple_of(4)..).unwrap_or(&[]);
        }
    }

    /// A packet's time, microseconds since the Unix epoch.
    #[inline]
    fn micros(&self, upper: u32, lower: u32) -> u64 {
        let micros = self.clock.micros(u64::from(upper) << 32 | u64::from(lower));
        let offset = self.offset_seconds.saturating_mul(1_000_000);
        micros.saturating_add_signed(offset)
    }
}
