//! Numbers made up by counting are found in every disguise, and customers are not taken for them.
//!
//! The figures in the documentation of `session::sweeps` come from here. Every run has the same
//! numbers: the seeds are fixed, and named when something is found wrong.

use consentry::policy::Sweep;
use consentry::registry::{Msisdn, ProviderId};
use consentry::session::sweeps::{
    BLOCK_NUMBERS, BLOCK_RECIPIENTS, LATEST_RECIPIENTS, NEWS_MAX, ROOMS_MAX, SEQUENCE_RECIPIENTS,
    STEP_MAX, Sweeps, Told,
};

const BASE: u64 = 8_613_800_130_000;

/// Numbers by chance, the same for the same seed (splitmix64).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn is(&mut self, share: f64) -> bool {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64 <= share
    }

    fn shuffle<T>(&mut self, list: &mut [T]) {
        for at in (1..list.len()).rev() {
            list.swap(at, self.below(at as u64 + 1) as usize);
        }
    }

    /// Any Chinese mobile number: 44 prefixes, as if all of them were in use.
    fn mobile(&mut self) -> u64 {
        const PREFIXES: [u64; 44] = [
            130, 131, 132, 133, 134, 135, 136, 137, 138, 139, 145, 147, 149, 150, 151, 152, 153,
            155, 156, 157, 158, 159, 165, 166, 170, 171, 172, 173, 175, 176, 177, 178, 180, 181,
            182, 183, 184, 185, 186, 187, 188, 189, 198, 199,
        ];
        let prefix = PREFIXES[self.below(PREFIXES.len() as u64) as usize];
        8_600_000_000_000 + prefix * 100_000_000 + self.below(100_000_000)
    }
}

fn see(sweeps: &Sweeps, number: u64) -> Sweep {
    sweeps.see(ProviderId(0), Msisdn::new(number).expect("a number"))
}

/// How many of these belong to a sweep, and which is the first.
fn hits(numbers: impl IntoIterator<Item = u64>) -> (usize, Option<usize>) {
    let sweeps = Sweeps::new(1);
    let mut found = numbers.into_iter().map(|number| see(&sweeps, number) != Sweep::None);
    let first = found.position(|is_hit| is_hit);
    (first.map_or(0, |_| 1) + found.filter(|is_hit| *is_hit).count(), first)
}

/// Lists side by side, one of each in turn.
fn interleaved(lists: &[Vec<u64>]) -> Vec<u64> {
    let longest = lists.iter().map(Vec::len).max().unwrap_or(0);
    (0..longest).flat_map(|at| lists.iter().filter_map(move |list| list.get(at))).copied().collect()
}

fn counted(base: u64, step: u64, count: u64) -> Vec<u64> {
    (0..count).map(|at| base + at * step).collect()
}

/// `list` with `cover` numbers by chance before each of its own.
fn covered(list: &[u64], cover: u64, chance: &mut Chance) -> Vec<u64> {
    let mut all = Vec::new();
    for &number in list {
        all.extend((0..cover).map(|_| chance.mobile()));
        all.push(number);
    }
    all
}

fn in_windows(mut list: Vec<u64>, window: usize, chance: &mut Chance) -> Vec<u64> {
    list.chunks_mut(window).for_each(|chunk| chance.shuffle(chunk));
    list
}

fn all_shuffled(mut list: Vec<u64>, chance: &mut Chance) -> Vec<u64> {
    chance.shuffle(&mut list);
    list
}

#[test]
fn counted_numbers_are_found_in_every_disguise() {
    for seed in 0..2 {
        let chance = &mut Chance(seed);
        let base = BASE + chance.below(1_000_000);
        // What is sent, and after how many messages the first is found at the latest.
        let cases: Vec<(&str, Vec<u64>, usize)> = vec![
            ("one by one", counted(base, 1, 100), 31),
            ("backwards", counted(base, 1, 100).into_iter().rev().collect(), 31),
            ("in steps of 7", counted(base, 7, 100), 31),
            ("the same last four digits", counted(base, 10_000, 100), 31),
            ("in the widest step", counted(base, STEP_MAX, 100), 31),
            (
                "four sequences in turn",
                interleaved(&[0, 1, 2, 3].map(|n| counted(base + n * 77_777, 3, 100))),
                31 * 4,
            ),
            (
                "twenty sequences in turn",
                interleaved(
                    &(0..20).map(|n| counted(base + n * 77_777, 11, 100)).collect::<Vec<_>>(),
                ),
                31 * 20,
            ),
            ("shuffled by 64", in_windows(counted(base, 1, 512), 64, chance), 200),
            ("in steps of 13, shuffled by 32", in_windows(counted(base, 13, 512), 32, chance), 127),
            ("among 30 others each", covered(&counted(base, 9, 100), 20, chance), 21 * 32),
            ("each twice", counted(base, 5, 100).into_iter().flat_map(|n| [n, n]).collect(), 63),
            (
                "with a number left out now and then",
                counted(base, 1, 4_000).into_iter().filter(|_| chance.is(0.9)).collect(),
                1_000,
            ),
            (
                "three of four numbers of a block",
                counted(base, 1, 10_000).into_iter().filter(|_| chance.is(0.75)).collect(),
                600,
            ),
            (
                "a block of 10,000, all shuffled",
                all_shuffled(counted(base, 1, 10_000), chance),
                5_500,
            ),
            (
                "twenty blocks, all shuffled",
                all_shuffled(counted(base, 1, 200_000), chance),
                100_000,
            ),
            (
                "a block shuffled, among 20 others each",
                covered(&all_shuffled(counted(base, 1, 10_000), chance), 20, chance),
                21 * 5_500,
            ),
        ];
        for (name, numbers, by) in cases {
            let (_, first) = hits(numbers);
            assert!(first.is_some_and(|first| first <= by), "seed {seed}, {name}: {first:?}");
        }
    }
}

#[test]
fn what_follows_a_sweep_is_part_of_it_and_others_are_not() {
    let sweeps = Sweeps::new(2);
    let numbers = counted(BASE, 3, 500);
    let found: Vec<Sweep> = numbers.iter().map(|number| see(&sweeps, *number)).collect();
    let early = SEQUENCE_RECIPIENTS as usize - 1;
    assert!(found[..early].iter().all(|one| *one == Sweep::None));
    assert!(found[early..].iter().all(|one| *one == Sweep::Sequence));
    assert_eq!(see(&sweeps, numbers[0]), Sweep::None, "nothing of the latest is near");
    assert_eq!(see(&sweeps, numbers[499]), Sweep::Sequence, "sent again it is still one");
    assert_eq!(see(&sweeps, BASE + 900_000), Sweep::None, "a customer of the same provider");
    let other = sweeps.see(ProviderId(1), Msisdn::new(BASE + 1_500).expect("a number"));
    assert_eq!(other, Sweep::None, "another provider");
}

#[test]
fn a_block_counts_at_its_edge_and_a_number_once() {
    let sweeps = Sweeps::new(1);
    let chance = &mut Chance(1);
    let start = BASE / BLOCK_NUMBERS * BLOCK_NUMBERS;
    let mut block: Vec<u64> = (start..start + BLOCK_NUMBERS).collect();
    chance.shuffle(&mut block);
    // What is sent in between keeps all of it from being the latest.
    let mut put = |number| {
        (0..LATEST_RECIPIENTS).for_each(|_| {
            see(&sweeps, chance.mobile());
        });
        see(&sweeps, number)
    };
    let (last, before) = block[..BLOCK_RECIPIENTS as usize].split_last().expect("numbers");
    for number in before.iter().chain(&before[..16]) {
        assert_eq!(put(*number), Sweep::None);
    }
    assert_eq!(put(*last), Sweep::Block);
}

#[test]
fn providers_that_share_a_room_are_not_taken_for_one() {
    let sweeps = Sweeps::new(10_000);
    let see = |provider: u64, number: u64| {
        let provider = ProviderId((provider * ROOMS_MAX as u64) as u32);
        sweeps.see(provider, Msisdn::new(number).expect("a number"))
    };
    // Each sends to every ninth number, and all of them together to each.
    for (at, number) in (0..).zip(counted(BASE, 1, 9 * 18)) {
        assert_eq!(see(at % 9, number), Sweep::None, "of them {at}");
    }
    // One that counts is found among them, whatever the others sent.
    for (at, number) in (0..).zip(counted(BASE + 9 * 18, 1, 40)) {
        assert_eq!(see(9, number) != Sweep::None, at >= 31, "by itself {at}");
    }
}

/// Customers: each number of `blocks` blocks of 10,000 with that share, by rising number.
fn customers(blocks: u64, share: f64, chance: &mut Chance) -> Vec<u64> {
    (BASE..BASE + blocks * 10_000).filter(|_| chance.is(share)).collect()
}

/// Messages of each kind. Lists whose numbers are near each other take long in a debug build: of them
/// the suite sends a fifth, and all of it where the program was optimised, or is told to by
/// `SWEEPS=all`.
fn of_a_list() -> usize {
    let all = !cfg!(debug_assertions) || std::env::var("SWEEPS").is_ok_and(|what| what == "all");
    if all { MILLION } else { MILLION / 5 }
}

const MILLION: usize = 1_000_000;

#[test]
fn uniform_numbers_are_no_sweep() {
    let chance = &mut Chance(11);
    assert_eq!(hits((0..MILLION).map(|_| chance.mobile())), (0, None), "seed 11");
}

#[test]
fn popular_prefixes_are_no_sweep() {
    // The block of rank r is drawn in proportion to 1/r, from customers that are a quarter of its
    // numbers at most: a popular block has more customers, not customers with more numbers.
    let chance = &mut Chance(12);
    let blocks = 20_000_u64;
    let mut upto = Vec::new();
    let mut sum = 0.0;
    for rank in 1..=blocks {
        sum += 1.0 / rank as f64;
        upto.push(sum);
    }
    let numbers = (0..MILLION).map(|_| {
        let at = chance.below(1 << 40) as f64 / (1_u64 << 40) as f64 * sum;
        let rank = upto.partition_point(|upto| *upto < at) as u64;
        // One of 2,500 customers of the block: which numbers are theirs is chance, and stays so.
        let customer = chance.below(2_500);
        let within = Chance(rank * 2_500 + customer).below(10_000);
        8_613_000_000_000 + rank * 7_919 % blocks * 10_000 + within
    });
    assert_eq!(hits(numbers), (0, None), "seed 12");
}

#[test]
fn a_sorted_list_of_a_quarter_of_a_city_is_no_sweep_nor_is_it_when_it_is_sent_again() {
    let chance = &mut Chance(13);
    let list = customers(of_a_list() as u64 / 5_000 + 1, 0.25, chance);
    assert!(list.len() * 2 >= of_a_list() * 99 / 100);
    let twice = list.iter().chain(&list).copied();
    assert_eq!(hits(twice), (0, None), "seed 13");
}

#[test]
fn lists_in_the_order_of_names_are_no_sweep() {
    let chance = &mut Chance(14);
    let list = customers(of_a_list() as u64 / 2_500 + 1, 0.25, chance);
    assert_eq!(hits(all_shuffled(list, chance)), (0, None), "seed 14");
}

#[test]
fn where_the_share_of_a_city_is_greater_the_limit_is_known() {
    // Share of a city's numbers, and hits in a hundred thousand messages at least and at most.
    for (share, least, most) in [(0.3, 0, 0), (0.45, 5, 5_000), (0.6, 10_000, 25_000)] {
        let chance = &mut Chance(15);
        let blocks = (10.0 / share) as u64;
        let (found, _) = hits(customers(blocks, share, chance));
        println!("share {share}: {found} hits in a hundred thousand");
        assert!((least..=most).contains(&found), "seed 15, share {share}: {found}");
    }
}

/// How many turns pass until one node knows what another did: told at the end of one, heard in the next.
const LAG: usize = 2;

/// Recipients spread over nodes, which tell each other every `turn` messages: how many pass until the first is
/// found, and how many of all are found.
fn spread(
    numbers: &[u64],
    turn: usize,
    node_of: &mut impl FnMut(usize) -> usize,
) -> (usize, usize) {
    let nodes: Vec<Sweeps> = (0..3).map(|_| Sweeps::new(1).shared()).collect();
    let mut waiting = std::collections::VecDeque::from([Vec::new()]);
    let (mut first, mut found) = (numbers.len(), 0);
    for (at, chunk) in numbers.chunks(turn).enumerate() {
        for (within, &number) in chunk.iter().enumerate() {
            let place = at * turn + within;
            if see(&nodes[node_of(place)], number) != Sweep::None {
                found += 1;
                first = first.min(place);
            }
        }
        let news = nodes.iter().map(|node| node.news(at as u64, 4096).0).collect();
        waiting.push_back(news);
        let heard: Vec<Vec<Told>> = match waiting.len() > LAG {
            true => waiting.pop_front().unwrap_or_default(),
            false => Vec::new(),
        };
        for (node, sweeps) in nodes.iter().enumerate() {
            let told = heard.iter().enumerate().filter(|(teller, _)| *teller != node);
            sweeps.hear(&told.flat_map(|(_, told)| told).cloned().collect::<Vec<_>>());
        }
    }
    (first, found)
}

#[test]
fn numbers_counted_through_over_three_nodes_are_found_as_on_one() {
    let turn = 50;
    for seed in 0..2 {
        let chance = &mut Chance(seed);
        let base = BASE + chance.below(1_000_000);
        let cases: Vec<(&str, Vec<u64>)> = vec![
            ("one by one", counted(base, 1, 1_500)),
            ("backwards", counted(base, 1, 1_500).into_iter().rev().collect()),
            ("in steps of 7", counted(base, 7, 1_500)),
            ("in the widest step", counted(base, STEP_MAX, 1_500)),
            ("shuffled by 64", in_windows(counted(base, 1, 1_536), 64, chance)),
            ("a block of 4,000, all shuffled", all_shuffled(counted(base, 1, 4_000), chance)),
            ("among others", covered(&counted(base, 9, 600), 5, chance)),
        ];
        for (name, numbers) in cases {
            let (alone, on_one) = (hits(numbers.iter().copied()), numbers.len());
            let (first_alone, hits_alone) = (alone.1.expect("one node finds it"), alone.0);
            let mut any = Chance(seed);
            let mut ways: [(&str, Box<dyn FnMut(usize) -> usize>); 3] = [
                ("in turn", Box::new(|at| at % 3)),
                ("by runs of 40", Box::new(|at| at / 40 % 3)),
                ("by chance", Box::new(move |_| any.below(3) as usize)),
            ];
            for (way, node_of) in &mut ways {
                let (first, found) = spread(&numbers, turn, node_of);
                // What the others sent within the lag is not known: neither to find the first nor later ones.
                let lag = (LAG + 1) * turn;
                let by = 3 * first_alone + 2 * lag;
                let at = format!("seed {seed}: {name}, {way}");
                assert!(first <= by, "{at}: found at {first}, alone at {first_alone}");
                let least = hits_alone.saturating_sub(by + on_one / 20);
                assert!(found >= least, "{at}: {found} found, alone {hits_alone}");
            }
        }
    }
}

#[test]
fn customers_of_three_nodes_are_no_sweep() {
    let chance = &mut Chance(7);
    let numbers: Vec<u64> = (0..60_000).map(|_| chance.mobile()).collect();
    let mut any = Chance(8);
    assert_eq!(spread(&numbers, 500, &mut |_| any.below(3) as usize).1, 0);
}

#[test]
fn what_is_told_is_bounded_and_told_once() {
    let sweeps = Sweeps::new(2).shared();
    let other = Sweeps::new(2).shared();
    let (first, second) = (ProviderId(0), ProviderId(1));
    let number = |n: u64| Msisdn::new(BASE + n).expect("a number");
    for n in 0..600 {
        sweeps.see(first, number(n));
        sweeps.see(first, number(n));
    }
    sweeps.see(second, number(5));
    let mut told = Vec::new();
    let mut turns = 0;
    while let (news, 0) = sweeps.news(turns, 2)
        && !news.is_empty()
    {
        assert!(news.iter().map(|told| told.cells.len()).sum::<usize>() <= 2);
        other.hear(&news);
        told.extend(news);
        turns += 1;
    }
    let of = |provider| {
        let cells = told.iter().filter(|told| told.provider == provider).flat_map(|t| &t.cells);
        cells.flat_map(|cell| cell.seen).map(u64::count_ones).sum::<u32>()
    };
    assert_eq!((of(first), of(second)), (600, 1));
    assert_eq!(other.see(first, number(300)), Sweep::Block, "heard is as seen");
    assert_eq!(other.see(second, number(300)), Sweep::None, "of who sent there alone");
    // Beyond the room nothing is told, and said so.
    for n in 0..NEWS_MAX as u64 + 3 {
        sweeps.see(first, number(1_000 + n * 1_000));
    }
    assert_eq!(sweeps.news(0, 1).1, 3);
    assert!(Sweeps::new(1).news(0, 9).0.is_empty(), "alone nothing is told");
}
