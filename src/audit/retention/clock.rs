//! Whether the time of day can be believed: nothing is purged by a clock that jumped.

/// How far the time of day may leave the steady clock, microseconds: more is no correction but a jump.
const JUMP_US: u64 = 60_000_000;
/// The longest silence that is believed, microseconds: more looks like a clock that was set ahead.
pub const SILENCE_US: u64 = 31 * 24 * 3_600_000_000;

/// Compares the time of day with the steady clock since the first look; once it jumped, it did.
#[derive(Debug, Default)]
pub struct Watch {
    first: Option<(u64, u64)>,
    jumped: Option<String>,
}

impl Watch {
    /// Why the time of day is not believed, if it is not. Both in microseconds.
    pub fn look(&mut self, wall_us: u64, steady_us: u64) -> Option<&str> {
        let (wall_first, steady_first) = *self.first.get_or_insert((wall_us, steady_us));
        let expected = wall_first.saturating_add(steady_us.saturating_sub(steady_first));
        let off = wall_us.abs_diff(expected);
        if off > JUMP_US && self.jumped.is_none() {
            let way = if wall_us > expected { "forward" } else { "back" };
            self.jumped = Some(format!(
                "the clock jumped {} s {way} since the proxy was started; set it right and start the proxy again",
                off / 1_000_000
            ));
        }
        self.jumped.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_is_remembered_and_a_correction_is_none() {
        const START: u64 = 1_790_000_000_000_000;
        let hour = 3_600_000_000;
        // Seconds that the time of day is off at each hour, and whether it is believed then.
        let rows: [(&[i64], &[bool]); 5] = [
            (&[0, 0, 0], &[true, true, true]),
            (&[0, 1, 60, -60], &[true, true, true, true]),
            (&[0, 61, 0], &[true, false, false]),
            (&[0, -61, 0], &[true, false, false]),
            (&[0, 40_000_000, 40_000_000], &[true, false, false]),
        ];
        for (offsets, believed) in rows {
            let mut watch = Watch::default();
            for (at, (offset, believed)) in (0u64..).zip(offsets.iter().zip(believed)) {
                let wall = (START + at * hour).saturating_add_signed(offset * 1_000_000);
                assert_eq!(watch.look(wall, at * hour).is_none(), *believed, "{offsets:?} at {at}");
            }
        }
    }
}
