//! Which upstream a bind goes to, as data: one event after the other, and whole histories with seeds in which
//! SMSCs go up, down and silent.

use consentry::upstream::{Change, FAILURES_MAX, Failure, Set, Times, Tried, Upstream};

const SECOND: u64 = 1_000_000;
const TIMES: Times = Times { response_us: 60 * SECOND, ejection_us: 10 * SECOND };

fn upstream(at: usize, weight: u32, rank: u32) -> Upstream {
    Upstream { address: format!("smsc-{at}:2775"), weight, rank }
}

fn set(ranks_and_weights: &[(u32, u32)]) -> Set {
    let upstreams = ranks_and_weights.iter().enumerate();
    Set::new(upstreams.map(|(at, (rank, weight))| upstream(at, *weight, *rank)), TIMES, 0)
}

fn choose(set: &mut Set, s: u64) -> Option<usize> {
    set.choose(&mut Tried::default(), true, s * SECOND)
}

/// What happens to the first of two.
#[derive(Debug, Clone, Copy)]
enum Happens {
    Fails(Failure, u64),
    Bound,
    Refused,
    /// A bind goes somewhere; where.
    Bind(Option<usize>),
    /// The same of one that will send nothing.
    Receiver(Option<usize>),
    Untried,
    Answers,
    /// A session ends that waited for an answer since that second.
    Owed(u64),
    Settles,
}

fn check(name: &str, story: &[(u64, Happens, &str)]) {
    use Happens::{Answers, Bind, Bound, Fails, Owed, Receiver, Refused, Settles, Untried};
    let mut set = set(&[(0, 1), (1, 1)]);
    for (s, happens, state) in story {
        let now = s * SECOND;
        match *happens {
            Fails(failure, who) => drop(set.failed(0, failure, who, now)),
            Bound => drop(set.bind_answered(0, true, now)),
            Refused => drop(set.bind_answered(0, false, now)),
            Bind(expected) => {
                assert_eq!(choose(&mut set, *s), expected, "{name}, {s} s: {happens:?}");
            }
            Receiver(expected) => {
                let chosen = set.choose(&mut Tried::default(), false, now);
                assert_eq!(chosen, expected, "{name}, {s} s: {happens:?}");
            }
            Untried => set.untried(0, now),
            Answers => drop(set.answered(0, now)),
            Owed(since) => drop(set.owed(0, since * SECOND, now)),
            Settles => drop(set.settle(now).count()),
        }
        let found = set.state(0, now).map(|(state, ..)| state.name());
        assert_eq!(found, Some(*state), "{name}, {s} s: after {happens:?}");
    }
}

#[test]
fn what_speaks_for_and_against_an_upstream() {
    use Failure::{BindUnanswered, Closed, Connect, SystemError};
    use Happens::{Answers, Bind, Bound, Fails, Owed, Receiver, Refused, Settles, Untried};
    check(
        "connections that fail, and a trial that succeeds",
        &[
            (1, Fails(Connect, 1), "up"),
            (1, Fails(Connect, 1), "up"),
            (2, Fails(Connect, 1), "ejected"),
            (2, Bind(Some(1)), "ejected"),
            (11, Bind(Some(1)), "ejected"),
            (12, Bind(Some(0)), "trial"),
            (12, Bind(Some(1)), "trial"),
            (13, Bound, "up"),
            (13, Bind(Some(0)), "up"),
        ],
    );
    check(
        "a trial that fails costs twice the time",
        &[
            (0, Fails(Connect, 1), "up"),
            (0, Fails(Connect, 1), "up"),
            (0, Fails(Connect, 1), "ejected"),
            (10, Bind(Some(0)), "trial"),
            (10, Fails(Connect, 1), "ejected"),
            (29, Bind(Some(1)), "ejected"),
            (30, Bind(Some(0)), "trial"),
            (30, Fails(Connect, 1), "ejected"),
            (69, Bind(Some(1)), "ejected"),
            (70, Bind(Some(0)), "trial"),
        ],
    );
    check(
        "failures that are not in a row",
        &[
            (1, Fails(Connect, 1), "up"),
            (1, Fails(Connect, 1), "up"),
            (2, Bound, "up"),
            (3, Fails(Connect, 1), "up"),
            (3, Fails(BindUnanswered, 1), "up"),
            (4, Refused, "up"),
            (5, Fails(SystemError, 1), "up"),
            (6, Fails(SystemError, 2), "up"),
            (7, Fails(SystemError, 3), "ejected"),
        ],
    );
    check(
        "one system_id alone, or two in turn, eject nobody by what may be their own fault",
        &[
            (1, Fails(Closed, 1), "up"),
            (2, Fails(Closed, 1), "up"),
            (3, Fails(SystemError, 2), "up"),
            (4, Fails(Closed, 1), "up"),
            (5, Fails(SystemError, 2), "up"),
            (6, Fails(Closed, 3), "ejected"),
            (16, Bind(Some(0)), "trial"),
            (16, Fails(Closed, 3), "ejected"),
        ],
    );
    check(
        "a session that was not answered for the response time",
        &[
            (100, Answers, "up"),
            (170, Owed(110), "ejected"),
            (170, Bind(Some(1)), "ejected"),
            (171, Bound, "ejected"),
            (180, Receiver(Some(1)), "trial"),
            (180, Bind(Some(0)), "trial"),
            (181, Bound, "trial"),
            (181, Bind(Some(1)), "trial"),
            (190, Answers, "up"),
            (190, Bind(Some(0)), "up"),
        ],
    );
    check(
        "others are answered meanwhile",
        &[
            (100, Owed(39), "ejected"),
            (101, Answers, "up"),
            (161, Answers, "up"),
            (162, Owed(99), "up"),
        ],
    );
    check(
        "ESMEs that give up early, one after the other",
        &[
            (10, Owed(0), "up"),
            (21, Owed(11), "up"),
            (32, Owed(22), "up"),
            (43, Owed(33), "up"),
            (44, Owed(34), "up"),
            (54, Owed(44), "up"),
            (63, Owed(55), "up"),
            (70, Owed(64), "ejected"),
        ],
    );
    check(
        "the same, and one answer between them",
        &[
            (50, Owed(0), "up"),
            (60, Answers, "up"),
            (100, Owed(50), "up"),
            (119, Owed(101), "up"),
            (122, Owed(120), "ejected"),
        ],
    );
    check(
        "a trial by requests against which nothing is said",
        &[
            (60, Owed(0), "ejected"),
            (70, Bind(Some(0)), "trial"),
            (71, Bound, "trial"),
            (130, Settles, "trial"),
            (131, Settles, "up"),
        ],
    );
    check(
        "a trial that came to nothing, and one that was refused",
        &[
            (60, Owed(0), "ejected"),
            (70, Bind(Some(0)), "trial"),
            (71, Untried, "trial"),
            (71, Bind(Some(0)), "trial"),
            (72, Refused, "trial"),
            (72, Bind(Some(0)), "trial"),
            (73, Bound, "trial"),
            (73, Untried, "trial"),
            (133, Owed(73), "ejected"),
            (152, Bind(Some(1)), "ejected"),
            (153, Bind(Some(0)), "trial"),
        ],
    );
    check(
        "answers on old sessions do not open the door for new ones",
        &[
            (1, Fails(Connect, 1), "up"),
            (1, Fails(Connect, 1), "up"),
            (1, Fails(Connect, 1), "ejected"),
            (2, Answers, "ejected"),
            (3, Bound, "up"),
        ],
    );
    assert_eq!(FAILURES_MAX, 3, "these stories count to it");
}

#[test]
fn other_times_are_in_force_at_once() {
    let mut set = set(&[(0, 1), (0, 1)]);
    assert_eq!(set.owed(0, 0, 5 * SECOND), None);
    set.judge_by(Times { response_us: 6 * SECOND, ejection_us: 20 * SECOND });
    let ejected = Change::Ejected { until_us: 26 * SECOND, why: Failure::Silent };
    assert_eq!(set.owed(0, 5 * SECOND, 6 * SECOND), Some(ejected));
}

#[test]
fn the_time_of_an_ejection_grows_to_a_bound_and_is_forgotten() {
    let mut set = set(&[(0, 1)]);
    let mut now = 0;
    let mut lasted = Vec::new();
    for _ in 0..8 {
        while set.state(0, now).is_some_and(|(_, _, until)| until.is_none()) {
            set.failed(0, Failure::Connect, 1, now);
        }
        let until = set.state(0, now).and_then(|(_, _, until)| until).expect("it is ejected");
        lasted.push((until - now) / SECOND);
        now = until;
        assert_eq!(set.choose(&mut Tried::default(), true, now), Some(0));
    }
    assert_eq!(lasted, [10, 20, 40, 80, 160, 320, 320, 320]);
    set.bind_answered(0, true, now);
    now += TIMES.ejection_max_us();
    for _ in 0..FAILURES_MAX {
        set.failed(0, Failure::Connect, 1, now);
    }
    let until = set.state(0, now).and_then(|(_, _, until)| until);
    assert_eq!(until, Some(now + 10 * SECOND), "up for so long, it begins anew");
}

#[test]
fn the_last_one_is_tried_whatever_speaks_against_it_and_a_drained_one_never() {
    let mut set = set(&[(0, 1), (0, 1), (1, 1)]);
    for at in 0..3 {
        for _ in 0..FAILURES_MAX {
            set.failed(at, Failure::Connect, 1, at as u64 * SECOND);
        }
    }
    let mut tried = Tried::default();
    let order: Vec<_> = std::iter::from_fn(|| set.choose(&mut tried, true, 5 * SECOND)).collect();
    assert_eq!(order, [0, 1, 2], "the one whose time is over first is first, and none twice");
    assert!(set.drain(0, true) && !set.drain(0, true));
    set.drain(1, true);
    set.drain(2, true);
    assert!(set.is_closed());
    assert_eq!(choose(&mut set, 6), None);
    set.drain(1, false);
    assert_eq!(choose(&mut set, 6), Some(1));
}

#[test]
fn standbys_are_asked_in_order_and_only_while_no_active_is_up() {
    let mut set = set(&[(0, 2), (0, 1), (1, 1), (2, 1)]);
    let states = |set: &Set| -> Vec<&str> {
        (0..4).filter_map(|at| Some(set.state(at, 2 * SECOND)?.0.name())).collect()
    };
    assert_eq!(states(&set), ["up", "up", "standby", "standby"]);
    let chosen: Vec<_> = (0..6).filter_map(|_| choose(&mut set, 1)).collect();
    assert_eq!(chosen, [0, 1, 0, 0, 1, 0]);
    set.drain(0, true);
    assert_eq!(states(&set), ["draining", "up", "standby", "standby"]);
    for _ in 0..FAILURES_MAX {
        set.failed(1, Failure::Connect, 1, SECOND);
    }
    assert_eq!(states(&set), ["draining", "ejected", "up", "standby"]);
    assert_eq!((choose(&mut set, 2), choose(&mut set, 2)), (Some(2), Some(2)));
    set.drain(2, true);
    assert_eq!(choose(&mut set, 2), Some(3));
    set.drain(0, false);
    assert_eq!(choose(&mut set, 2), Some(0), "an active is back");
}

/// What an SMSC does in a simulation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Smsc {
    Well,
    TakesNoConnection,
    ClosesAtOnce,
    AnswersNoBind,
    CannotBind,
    /// It takes binds and answers enquire_link, and no message.
    AnswersNoMessage,
}

/// The same numbers for the same seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// ESMEs, SMSCs and time.
struct World {
    seed: u64,
    set: Set,
    smscs: Vec<Smsc>,
    chance: Chance,
    now: u64,
    /// Sessions whose messages nobody answers: the upstream, and since when.
    waiting: Vec<(usize, u64)>,
    /// Binds by SMSCs that answer no message.
    swallowed: usize,
}

impl World {
    fn new(seed: u64) -> World {
        let mut chance = Chance(seed);
        let count = 2 + chance.below(4) as usize;
        let members: Vec<(u32, u32)> = (0..count)
            .map(|at| {
                (if at == 0 { 0 } else { chance.below(2) as u32 }, 1 + chance.below(5) as u32)
            })
            .collect();
        let (set, smscs) = (set(&members), vec![Smsc::Well; count]);
        World { seed, set, smscs, chance, now: 0, waiting: Vec::new(), swallowed: 0 }
    }

    /// One bind as a pair leads it; the SMSC that took it.
    fn bind(&mut self) -> Option<usize> {
        let who = self.chance.below(6);
        let was_well: Vec<bool> = self.smscs.iter().map(|one| *one == Smsc::Well).collect();
        let mut tried = Tried::default();
        while let Some(at) = self.set.choose(&mut tried, true, self.now) {
            let failure = match self.smscs[at] {
                Smsc::Well => {
                    self.set.bind_answered(at, true, self.now);
                    self.now += SECOND / 100;
                    self.set.answered(at, self.now);
                    return Some(at);
                }
                Smsc::AnswersNoMessage => {
                    self.set.bind_answered(at, true, self.now);
                    self.waiting.push((at, self.now));
                    self.swallowed += 1;
                    return Some(at);
                }
                Smsc::TakesNoConnection => Failure::Connect,
                Smsc::ClosesAtOnce => Failure::Closed,
                Smsc::AnswersNoBind => Failure::BindUnanswered,
                Smsc::CannotBind => Failure::SystemError,
            };
            if matches!(failure, Failure::Connect | Failure::BindUnanswered) {
                self.now += self.chance.below(5 * SECOND);
            }
            self.set.failed(at, failure, who, self.now);
        }
        let seed = self.seed;
        assert!(!was_well.contains(&true), "seed {seed}: a bind was lost while one was well");
        None
    }

    /// Sessions whose response time is over end.
    fn end_sessions(&mut self) {
        let now = self.now;
        let over = |(_, since): &(usize, u64)| now - since >= TIMES.response_us;
        for (at, since) in self.waiting.extract_if(.., |one| over(one)) {
            self.set.owed(at, since, now);
        }
        self.set.settle(now).count();
    }

    fn states(&self) -> Vec<&'static str> {
        let all = 0..self.smscs.len();
        all.filter_map(|at| Some(self.set.state(at, self.now)?.0.name())).collect()
    }
}

#[test]
fn no_bind_is_lost_while_one_is_well_and_all_come_back() {
    use Smsc::{
        AnswersNoBind, AnswersNoMessage, CannotBind, ClosesAtOnce, TakesNoConnection, Well,
    };
    const MODES: [Smsc; 6] =
        [Well, TakesNoConnection, ClosesAtOnce, AnswersNoBind, CannotBind, AnswersNoMessage];
    for seed in 0..400 {
        let mut world = World::new(seed);
        for _ in 0..600 {
            world.now += world.chance.below(4 * SECOND);
            world.end_sessions();
            if world.chance.below(40) == 0 {
                let at = world.chance.below(world.smscs.len() as u64) as usize;
                world.smscs[at] = MODES[world.chance.below(6) as usize];
            }
            let rank = |at: usize| world.set.upstreams().nth(at).map_or(0, |one| one.rank);
            let actives_up = (0..world.smscs.len()).any(|at| rank(at) == 0 && world.set.is_up(at));
            let all_well = world.smscs.iter().all(|one| *one == Well);
            let taken = world.bind();
            let rank = |at: usize| world.set.upstreams().nth(at).map_or(0, |one| one.rank);
            if actives_up && all_well {
                assert_eq!(
                    taken.map(rank),
                    Some(0),
                    "seed {seed}: a standby while an active is up"
                );
            }
        }
        // Everything is well again: within the longest ejection all get binds, and then by weight.
        world.smscs.fill(Well);
        world.waiting.clear();
        let until = world.now + TIMES.ejection_max_us() + TIMES.response_us;
        while world.now < until {
            world.now += SECOND;
            world.end_sessions();
            world.bind();
        }
        let states = world.states();
        assert!(
            states.iter().all(|state| ["up", "standby"].contains(state)),
            "seed {seed}: {states:?}"
        );
        let active: Vec<u32> =
            world.set.upstreams().map(|one| if one.rank == 0 { one.weight } else { 0 }).collect();
        let sum: u32 = active.iter().sum();
        let mut counts = vec![0_u32; active.len()];
        for _ in 0..sum * 10 {
            counts[world.bind().expect("all are well")] += 1;
        }
        for (at, (count, weight)) in counts.iter().zip(&active).enumerate() {
            let (count, weight) = (*count, weight * 10);
            assert!(count.abs_diff(weight) <= 1, "seed {seed}: {at} got {count} and not {weight}");
        }
    }
}

#[test]
fn one_that_answers_no_message_gets_only_trials_once_it_is_known() {
    for seed in 0..100 {
        let mut world = World { set: set(&[(0, 1), (0, 1)]), ..World::new(seed) };
        world.smscs = vec![Smsc::AnswersNoMessage, Smsc::Well];
        let mut known_at = None;
        for _ in 0..20_000 {
            world.now += world.chance.below(SECOND);
            world.end_sessions();
            world.bind();
            if known_at.is_none() && !world.set.is_up(0) {
                known_at = Some((world.now, world.swallowed));
            }
        }
        let (since, before) = known_at.expect("it is found out");
        assert!(since <= TIMES.response_us + 5 * SECOND, "seed {seed}: after {since} µs");
        // Each ejection of 10, 20, ... 320 s is followed by one trial of a response time.
        let most = 6 + (world.now - since) / TIMES.ejection_max_us();
        let trials = world.swallowed - before;
        assert!(trials as u64 <= most, "seed {seed}: {trials} trials, at most {most}");
    }
}
