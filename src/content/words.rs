//! The words that are features, as a tree of characters, and the search for all of them in a text at once.
//!
//! The tree lies in one array: a node's children stand at its base and their characters' numbers. The
//! search goes down from all characters of a text at the same time, one level after the other: where one
//! ends is then nothing that the processor has to guess. Nodes are small, so that most of them stay near the
//! processor; what words say lies elsewhere.

use std::collections::BTreeMap;

use super::symbols::{Alphabet, Symbol};

/// What a word says for each class, in thousandths.
pub(super) type Row = [i16; 8];

/// What a word is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Saying {
    /// Its own feature; 0, which is a mark's, for none.
    pub(super) own: u16,
    /// The lists that it is a word of.
    pub(super) lists: Vec<u16>,
}

/// All words.
pub(super) struct Words {
    nodes: Vec<Node>,
    /// For each place, which of `lists` the word that ends there is in.
    listed: Vec<u16>,
    /// The lists that words are in; the first is empty.
    lists: Vec<Vec<u16>>,
}

/// Eight nodes lie in one line of the processor's cache.
#[derive(Clone, Copy, Debug)]
#[repr(align(8))]
struct Node {
    /// Where its children stand, with their numbers added; 0 for none. No two nodes with children have the same, so
    /// that a child's number tells whose it is. The highest bit says whether the word that ends here is in any list.
    base: u32,
    /// The number by which it is its parent's child; [`NOBODY`] for those where a search begins.
    number: u16,
    /// The word's own feature; 0 for none.
    own: u16,
}

impl Node {
    const LISTED: u32 = 1 << 31;

    #[inline]
    fn base(self) -> u32 {
        self.base & !Node::LISTED
    }

    #[inline]
    fn is_listed(self) -> bool {
        self.base & Node::LISTED != 0
    }

    #[inline]
    fn is_word(self) -> bool {
        u32::from(self.own) | self.base & Node::LISTED != 0
    }
}

/// No character's number.
const NOBODY: u16 = u16::MAX;

const NO_NODE: Node = Node { base: 0, number: NOBODY, own: 0 };

/// A word in a text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Match {
    node: Node,
    place: u32,
    /// Its first symbol.
    pub(super) start: usize,
    /// One past its last.
    pub(super) end: usize,
}

impl Match {
    /// Its own feature; 0 for none.
    pub(super) fn own(self) -> u16 {
        self.node.own
    }

    /// Whether it is in any list.
    pub(super) fn is_listed(self) -> bool {
        self.node.is_listed()
    }
}

/// What was found in a text, kept from text to text so that nothing is allocated.
#[derive(Debug, Default)]
pub(super) struct Matches {
    /// Room for the nodes that the search came to, level by level.
    reached: Vec<Reached>,
    /// How many there are with each level, from words of two symbols on.
    levels: Vec<usize>,
}

/// A node in its lower half, and in the upper one the symbol from which it was come to.
#[derive(Clone, Copy, Debug, Default)]
struct Reached(u64);

impl Reached {
    fn new(start: u32, node: u32) -> Reached {
        Reached(u64::from(start) << 32 | u64::from(node))
    }

    fn start(self) -> u32 {
        (self.0 >> 32) as u32
    }

    fn node(self) -> u32 {
        self.0 as u32
    }
}

/// Writes one down at the end of those that are in use, and says how many these are then: without `is_so`, as
/// many as before, and the next one takes its place. So there is nothing to guess.
#[inline]
fn put(room: &mut [Reached], count: usize, one: Reached, is_so: bool) -> usize {
    if let Some(slot) = room.get_mut(count) {
        *slot = one;
    }
    count + usize::from(is_so)
}

impl Words {
    /// The tree of these words.
    pub(super) fn new(words: &BTreeMap<String, Saying>, alphabet: &Alphabet) -> Words {
        let mut tree = Tree::default();
        for (word, saying) in words {
            let numbers = word.chars().map(|c| alphabet.number(c));
            // A character that found no number in so large an alphabet is in no text either.
            if numbers.clone().any(|number| number == 0) {
                continue;
            }
            let at = numbers.fold(0, |at, number| tree.child(at, u32::from(number)));
            tree.say(at, saying);
        }
        tree.lay(alphabet.len())
    }

    /// Finds every word of two symbols and more, also those within others.
    pub(super) fn find(&self, text: &[Symbol], matches: &mut Matches) {
        let Matches { reached, levels } = matches;
        levels.clear();
        reserve(reached, text.len());
        let (mut begin, mut end) = (0, begin(&self.nodes, text, reached));
        let mut rest = text.get(1..).unwrap_or_default();
        while end > begin {
            levels.push(end);
            rest = rest.get(1..).unwrap_or_default();
            reserve(reached, end + end - begin);
            let Some((done, room)) = reached.split_at_mut_checked(end) else { return };
            let done = done.get(begin..).unwrap_or_default();
            begin = end;
            end += descend(&self.nodes, rest, done, room);
        }
    }

    /// Tells every word that was found, the shortest first. Words that begin with a letter begin behind none
    /// and end before none: they are whole.
    #[inline]
    pub(super) fn each(&self, text: &[Symbol], matches: &Matches, mut found: impl FnMut(Match)) {
        let has_letters = Symbol::any_latin(text);
        for (start, symbol) in text.iter().enumerate() {
            let place = symbol.number();
            if let Some(&node) = self.nodes.get(place as usize)
                && node.is_word()
                && !(has_letters && is_cut(text, start, start + 1))
            {
                found(Match { node, place, start, end: start + 1 });
            }
        }
        let mut begin = 0;
        for (length, level) in (2..).zip(&matches.levels) {
            for one in matches.reached.get(begin..*level).unwrap_or_default() {
                let (start, end) = (one.start() as usize, one.start() as usize + length);
                let place = one.node();
                if let Some(&node) = self.nodes.get(place as usize)
                    && node.is_word()
                    && !(has_letters && is_cut(text, start, end))
                {
                    found(Match { node, place, start, end });
                }
            }
            begin = *level;
        }
    }

    /// The lists that a word is in.
    pub(super) fn lists(&self, word: Match) -> &[u16] {
        let lists = self.listed.get(word.place as usize).copied().unwrap_or_default();
        self.lists.get(usize::from(lists)).map_or(&[], Vec::as_slice)
    }
}

/// Goes from each symbol of a text to the next, as far as words begin so, and writes down where it comes to. Says
/// how many nodes that are.
fn begin(nodes: &[Node], text: &[Symbol], room: &mut [Reached]) -> usize {
    let (mut count, mut before) = (0, Symbol::default());
    for (start, [one, next]) in (0..).zip(text.array_windows()) {
        // What begins with a letter begins no word behind a letter.
        let is_begin = !one.are_latin(before);
        before = *one;
        let Some((place, is_child)) = child(nodes, one.number(), *next) else { continue };
        count = put(room, count, Reached::new(start, place), is_begin & is_child);
    }
    count
}

/// Goes one level down from where the search has come to, with a text that begins so much later.
fn descend(nodes: &[Node], text: &[Symbol], done: &[Reached], room: &mut [Reached]) -> usize {
    let mut count = 0;
    for one in done {
        let Some(next) = text.get(one.start() as usize) else { continue };
        let Some((place, is_child)) = child(nodes, one.node(), *next) else { continue };
        count = put(room, count, Reached::new(one.start(), place), is_child);
    }
    count
}

/// Where a node's child by a symbol would be, and whether it is there. The nodes of words of one symbol
/// stand at its number, and are nobody's children.
#[inline]
fn child(nodes: &[Node], parent: u32, symbol: Symbol) -> Option<(u32, bool)> {
    let place = nodes.get(parent as usize)?.base() + symbol.number();
    let node = nodes.get(place as usize)?;
    Some((place, u32::from(node.number) == symbol.number()))
}

/// Room for so many.
fn reserve(reached: &mut Vec<Reached>, count: usize) {
    if reached.len() < count {
        reached.resize(count, Reached::default());
    }
}

/// Whether what begins or ends with a letter is only a part of a longer word.
fn is_cut(text: &[Symbol], start: usize, end: usize) -> bool {
    let symbol = |at: Option<usize>| at.and_then(|at| text.get(at)).copied().unwrap_or_default();
    let first = symbol(Some(start));
    first.is_latin()
        && (first.are_latin(symbol(start.checked_sub(1)))
            || symbol(end.checked_sub(1)).are_latin(symbol(Some(end))))
}

/// The tree while it grows. The first node is the root.
struct Tree {
    children: Vec<BTreeMap<u32, usize>>,
    /// The own feature of each node's word, and its lists' place.
    says: Vec<(u16, u16)>,
    lists: Vec<Vec<u16>>,
}

impl Default for Tree {
    fn default() -> Tree {
        let (children, says) = (vec![BTreeMap::new()], vec![<(u16, u16)>::default()]);
        Tree { children, says, lists: vec![Vec::new()] }
    }
}

impl Tree {
    /// The child of a node by that character's number, made where there is none.
    fn child(&mut self, parent: usize, number: u32) -> usize {
        let new = self.children.len();
        let Some(children) = self.children.get_mut(parent) else { return 0 };
        let child = *children.entry(number).or_insert(new);
        if child == new {
            self.children.push(BTreeMap::new());
            self.says.push(<(u16, u16)>::default());
        }
        child
    }

    fn say(&mut self, at: usize, saying: &Saying) {
        let known = self.lists.iter().position(|lists| *lists == saying.lists);
        let lists = known.unwrap_or_else(|| {
            self.lists.push(saying.lists.clone());
            self.lists.len() - 1
        });
        if let Some(says) = self.says.get_mut(at) {
            *says = (saying.own, lists as u16);
        }
    }

    /// The tree in one array, in which the children of the root stand at their numbers.
    fn lay(self, characters: usize) -> Words {
        let mut laid = Laid::new(characters + 1);
        laid.put(0, NOBODY, (0, 0));
        let mut level: Vec<(usize, u32)> = Vec::new();
        for (number, child) in self.children.first().into_iter().flatten() {
            // Nobody goes there from a node: they are where a search begins.
            laid.put(*number as usize, NOBODY, self.said(*child));
            level.push((*child, *number));
        }
        while !level.is_empty() {
            let count =
                |(node, _): &(usize, u32)| self.children.get(*node).map_or(0, BTreeMap::len);
            level.sort_by_key(|one| std::cmp::Reverse(count(one)));
            let mut next = Vec::new();
            for (node, place) in level {
                let Some(children) = self.children.get(node).filter(|all| !all.is_empty()) else {
                    break;
                };
                let numbers: Vec<usize> = children.keys().map(|number| *number as usize).collect();
                let base = laid.base(&numbers);
                laid.give(place, base);
                for (number, child) in children {
                    let at = base + *number as usize;
                    laid.put(at, *number as u16, self.said(*child));
                    next.push((*child, at as u32));
                }
            }
            level = next;
        }
        Words { nodes: laid.nodes, listed: laid.listed, lists: self.lists }
    }

    fn said(&self, at: usize) -> (u16, u16) {
        self.says.get(at).copied().unwrap_or_default()
    }
}

/// The array while it is filled.
struct Laid {
    nodes: Vec<Node>,
    /// See [`Words::listed`].
    listed: Vec<u16>,
    /// Places that are free.
    free: Free,
    /// Bases that are free.
    bases: Free,
    /// No place before it is free.
    first_free: usize,
}

impl Laid {
    /// With the places for the root and its children; the children of others stand behind these.
    fn new(places: usize) -> Laid {
        let (nodes, listed) = (vec![NO_NODE; places], vec![0; places]);
        Laid { nodes, listed, free: Free::default(), bases: Free::default(), first_free: places }
    }

    /// The least base that nobody has from which children with these numbers, ascending, find free places: 64 bases are looked at at once.
    fn base(&mut self, numbers: &[usize]) -> usize {
        while self.free.from(self.first_free) & 1 == 0 {
            self.first_free += 1;
        }
        let least = numbers.first().copied().unwrap_or_default();
        let mut base = self.first_free.saturating_sub(least).max(1);
        loop {
            let fits = numbers.iter().fold(self.bases.from(base), |fits, number| match fits {
                0 => 0,
                fits => fits & self.free.from(base + number),
            });
            if fits != 0 {
                return base + fits.trailing_zeros() as usize;
            }
            base += 64;
        }
    }

    fn put(&mut self, at: usize, number: u16, (own, lists): (u16, u16)) {
        if self.nodes.len() <= at {
            self.nodes.resize(at + 1, NO_NODE);
            self.listed.resize(at + 1, 0);
        }
        let base = if lists == 0 { 0 } else { Node::LISTED };
        if let (Some(node), Some(listed)) = (self.nodes.get_mut(at), self.listed.get_mut(at)) {
            (*node, *listed) = (Node { base, number, own }, lists);
        }
        self.free.take(at);
    }

    fn give(&mut self, at: u32, base: usize) {
        if let Some(node) = self.nodes.get_mut(at as usize) {
            node.base |= base as u32;
        }
        self.bases.take(base);
    }
}

/// A bit for each number, set where it is free; behind the end all are.
#[derive(Default)]
struct Free(Vec<u64>);

impl Free {
    /// Which of the 64 numbers from this one on are free, the lowest bit for the first.
    fn from(&self, at: usize) -> u64 {
        let word = |at: usize| self.0.get(at).copied().unwrap_or(!0);
        match at % 64 {
            0 => word(at / 64),
            shift => word(at / 64) >> shift | word(at / 64 + 1) << (64 - shift),
        }
    }

    fn take(&mut self, at: usize) {
        if self.0.len() <= at / 64 {
            self.0.resize(at / 64 + 1, !0);
        }
        if let Some(word) = self.0.get_mut(at / 64) {
            *word &= !(1 << (at % 64));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Normal;
    use super::super::normal::Numbers;
    use super::super::reader::is_whole;
    use super::super::symbols::Symbols;
    use super::*;

    /// Every word at every place, by looking.
    fn looked_for(words: &[String], text: &str) -> Vec<(usize, usize, u16)> {
        let mut all = Vec::new();
        for (own, word) in (1..).zip(words) {
            for (start, _) in text.char_indices() {
                let is_here = text.get(start..).is_some_and(|rest| rest.starts_with(word.as_str()));
                let is_latin = word.starts_with(|c: char| c.is_ascii_alphabetic());
                let end = start + word.len();
                if is_here && (!is_latin || is_whole(text.as_bytes(), start, end)) {
                    all.push((start, end, own));
                }
            }
        }
        all.sort_unstable();
        all
    }

    fn text(most: usize) -> impl Strategy<Value = String> {
        let one = prop::sample::select("甲乙丙丁abc0% ,".chars().collect::<Vec<char>>());
        prop::collection::vec(one, 1..most).prop_map(String::from_iter)
    }

    proptest! {
        // To number an alphabet takes longest.
        #![proptest_config(ProptestConfig::with_cases(50))]

        #[test]
        fn every_word_is_found(words in prop::collection::btree_set(text(5), 1..40), raw in text(60)) {
            let words: Vec<String> = words.into_iter().collect();
            // Every third is in a list as well, every fourth in a list alone.
            let saying = |at: u16| Saying {
                own: if at.is_multiple_of(4) { 0 } else { at },
                lists: if at.is_multiple_of(3) || at.is_multiple_of(4) { vec![at] } else { Vec::new() },
            };
            let said: BTreeMap<String, Saying> = words.iter().cloned().zip((1..).map(saying)).collect();
            let alphabet = Alphabet::of(words.iter().map(String::as_str));
            let tree = Words::new(&said, &alphabet);
            let (mut normal, mut symbols, mut matches) = <(Normal, Symbols, Matches)>::default();
            normal.fill(&raw, Numbers::Closed);
            symbols.take(&alphabet, &normal, &raw);
            tree.find(symbols.all(), &mut matches);
            let octets: Vec<usize> = normal.text().char_indices().map(|(at, _)| at).collect();
            let octet = |at: usize| octets.get(at).copied().unwrap_or(normal.text().len());
            let mut found = Vec::new();
            tree.each(symbols.all(), &matches, |one| {
                let listed = tree.lists(one).first().copied();
                assert_eq!(one.is_listed(), listed.is_some());
                let number = if one.own() == 0 { listed.unwrap_or_default() } else { one.own() };
                assert!(listed.is_none_or(|listed| listed == number));
                found.push((octet(one.start), octet(one.end), number));
            });
            found.sort_unstable();
            prop_assert_eq!(found, looked_for(&words, normal.text()));
        }
    }
}
