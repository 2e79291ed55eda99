//! Which numbers were sent to lately: as many as fit, by neighbourhood.

/// Numbers of one neighbourhood, which begins at a multiple of it.
pub(super) const CELL_NUMBERS: u64 = 256;

/// Neighbourhoods that share a place in the table; the one that was not touched for longest gives
/// way to a new one.
const WAYS: usize = 8;

/// Such places.
const BUCKETS: usize = 512;

/// Neighbourhoods that are remembered: 4,096, of 48 octets each.
const _: () = assert!(WAYS * BUCKETS == 4096 && size_of::<Cell>() == 48);

/// The numbers of one neighbourhood that were sent to.
#[derive(Clone, Copy, Default)]
struct Cell {
    /// The neighbourhood's number from 1; 0 is none.
    name: u64,
    /// A bit a number.
    seen: [u64; CELL_NUMBERS as usize / 64],
    /// The turn in which it was touched last. Turns begin anew after four billion, and then a
    /// neighbourhood may be forgotten too early or too late.
    touched: u32,
}

impl Cell {
    fn contains(&self, number: u64) -> bool {
        let at = number % CELL_NUMBERS;
        let word = self.seen.get(at as usize / 64).copied().unwrap_or(0);
        word & 1 << (at % 64) != 0
    }
}

/// Numbers, whose octets are given once: nothing is allocated a message.
pub(super) struct Cells {
    buckets: Vec<[Cell; WAYS]>,
    turn: u32,
}

impl Cells {
    pub(super) fn new() -> Cells {
        Cells { buckets: vec![[Cell::default(); WAYS]; BUCKETS], turn: 0 }
    }

    /// The same for the same number in every process, so that the same messages lead to the same
    /// verdicts.
    fn bucket(name: u64) -> usize {
        const BITS: u32 = BUCKETS.ilog2();
        (name.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (u64::BITS - BITS)) as usize
    }

    fn name(number: u64) -> u64 {
        number / CELL_NUMBERS + 1
    }

    /// Whether it is remembered that this number was sent to.
    pub(super) fn contains(&self, number: u64) -> bool {
        let name = Cells::name(number);
        let Some(bucket) = self.buckets.get(Cells::bucket(name)) else { return false };
        for cell in bucket {
            if cell.name == name {
                return cell.contains(number);
            }
        }
        false
    }

    /// Remembers a number; how many of its neighbourhood are remembered now, with itself.
    pub(super) fn put(&mut self, number: u64) -> u32 {
        let at = number % CELL_NUMBERS;
        let mut seen = [0; CELL_NUMBERS as usize / 64];
        if let Some(word) = seen.get_mut(at as usize / 64) {
            *word = 1 << (at % 64);
        }
        self.put_all(number, seen)
    }

    /// Remembers numbers of the neighbourhood that `number` is of, a bit for each; how many of it are
    /// remembered now.
    pub(super) fn put_all(&mut self, number: u64, seen: [u64; CELL_NUMBERS as usize / 64]) -> u32 {
        self.turn = self.turn.wrapping_add(1);
        let (name, turn) = (Cells::name(number), self.turn);
        let Some(bucket) = self.buckets.get_mut(Cells::bucket(name)) else { return 0 };
        let at = bucket.iter().position(|cell| cell.name == name).unwrap_or_else(|| {
            let age = |cell: &Cell| (cell.name == 0, turn.wrapping_sub(cell.touched));
            let oldest = bucket.iter().enumerate().max_by_key(|(_, cell)| age(cell));
            oldest.map_or(0, |(at, _)| at)
        });
        let Some(cell) = bucket.get_mut(at) else { return 0 };
        if cell.name != name {
            *cell = Cell { name, ..Cell::default() };
        }
        cell.touched = turn;
        cell.seen.iter_mut().zip(seen).for_each(|(known, new)| *known |= new);
        cell.seen.iter().map(|word| word.count_ones()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_counted_once_and_by_neighbourhood() {
        let mut cells = Cells::new();
        for (number, around) in [(256, 1), (256, 1), (511, 2), (512, 1), (255, 1), (0, 2), (300, 3)]
        {
            assert_eq!(cells.put(number), around, "{number}");
            assert!(cells.contains(number) && !cells.contains(number + 1000));
        }
        for number in [257, 510, 513, 254, 1] {
            assert!(!cells.contains(number), "{number}");
        }
    }

    #[test]
    fn the_neighbourhood_that_was_not_touched_for_longest_gives_way() {
        let mut cells = Cells::new();
        let same = |n: u64| Cells::bucket(Cells::name(n * CELL_NUMBERS)) == Cells::bucket(1);
        let numbers: Vec<u64> = (0..).filter(|n| same(*n)).take(WAYS + 1).collect();
        let number = |at: usize| numbers[at] * CELL_NUMBERS;
        (0..WAYS).for_each(|at| assert_eq!(cells.put(number(at)), 1));
        assert_eq!(cells.put(number(0) + 1), 2, "touched again");
        assert_eq!(cells.put(number(WAYS)), 1);
        let there: Vec<bool> = (0..=WAYS).map(|at| cells.contains(number(at))).collect();
        let but_the_second = [vec![true, false], vec![true; WAYS - 1]].concat();
        assert_eq!(there, but_the_second);
        assert_eq!(cells.put(number(1)), 1, "forgotten is forgotten");
    }
}
