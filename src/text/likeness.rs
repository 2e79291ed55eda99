//! How much octets look like text, for the few places where two readings must be told apart.
//!
//! This never chooses a reading. It only says that the one which the specification asks for is so
//! unlike text, and another so like it, that the message is not to be trusted.

use std::sync::LazyLock;

/// How many of the characters counted are common ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Share {
    /// Characters that common texts are made of.
    pub common: usize,
    /// All characters.
    pub all: usize,
}

impl Share {
    /// Counts one character.
    pub fn count(&mut self, is_common: bool) {
        self.common += usize::from(is_common);
        self.all += 1;
    }

    /// Whether at least `percent` of them are common; false for no character at all.
    pub fn is_at_least(self, percent: usize) -> bool {
        self.all > 0 && self.common.saturating_mul(100) >= self.all.saturating_mul(percent)
    }
}

/// Letters, digits and spaces: half of all septets, and nearly all of a real text.
pub fn is_common_septet(septet: u8) -> bool {
    septet.is_ascii_alphanumeric() || matches!(septet, b' ' | b'\n' | b'\r')
}

/// Whether a UTF-16 code unit stands for a character that texts are made of: a script in use, a hanzi
/// of GB 2312 level 1 (the 3,755 commonest of 20,992), half of a pair.
pub fn is_common_unit(unit: u16) -> bool {
    match unit {
        0x0a | 0x0d | 0x20..=0x7e | 0xa0..=0x024f => true,
        0x0370..=0x0fff | 0x1800..=0x18af | 0x1e00..=0x1fff => true,
        0x2010..=0x205f | 0x20a0..=0x20bf | 0x2460..=0x249b => true,
        0x3000..=0x30ff | 0xac00..=0xd7a3 | 0xff00..=0xffef => true,
        0xd83c..=0xd83e | 0xdc00..=0xdfff => true,
        0x4e00..=0x9fff => {
            let at = usize::from(unit - 0x4e00);
            LEVEL_1.get(at / 64).is_some_and(|word| word >> (at % 64) & 1 == 1)
        }
        _ => false,
    }
}

/// One bit a code unit: whether [`is_common_unit`].
pub struct CommonUnits([u64; 0x1_0000 / 64]);

impl CommonUnits {
    /// 1 for a common one, else 0.
    pub fn one(&self, unit: u16) -> usize {
        let word = self.0[usize::from(unit / 64)];
        (word >> (unit % 64) & 1) as usize
    }
}

/// The common units: to be asked for once a text.
pub fn common_units() -> &'static CommonUnits {
    static UNITS: LazyLock<CommonUnits> = LazyLock::new(|| {
        let mut bits = [0; 0x1_0000 / 64];
        for unit in (0..=u16::MAX).filter(|&unit| is_common_unit(unit)) {
            bits[usize::from(unit / 64)] |= 1 << (unit % 64);
        }
        CommonUnits(bits)
    });
    &UNITS
}

/// One bit a hanzi from U+4E00 on: whether it stands in rows 16 to 55 of GB 2312.
static LEVEL_1: LazyLock<[u64; 0x5200 / 64]> = LazyLock::new(|| {
    let mut bits = [0; 0x5200 / 64];
    for row in 0xb0..=0xd7 {
        for column in 0xa1..=0xfe {
            let octets = [row, column];
            let (text, _) = encoding_rs::GBK.decode_without_bom_handling(&octets);
            for character in text.chars() {
                let at = (character as usize).wrapping_sub(0x4e00);
                if let Some(word) = bits.get_mut(at / 64) {
                    *word |= 1 << (at % 64);
                }
            }
        }
    }
    bits
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn level_1_is_whole_and_nothing_else_is_in_it() {
        let hanzi = (0x4e00..=0x9fff).filter(|&unit| is_common_unit(unit)).count();
        assert_eq!(hanzi, 3755);
        let cases =
            [('你', true), ('好', true), ('啊', true), ('座', true), ('龘', false), ('漀', false)];
        for (character, expected) in cases {
            assert_eq!(is_common_unit(character as u32 as u16), expected, "{character}");
        }
    }

    #[test]
    fn a_share_of_nothing_is_no_share() {
        assert!(!Share::default().is_at_least(0));
        assert!(Share { common: 9, all: 10 }.is_at_least(90));
        assert!(!Share { common: 8, all: 9 }.is_at_least(90));
    }
}
