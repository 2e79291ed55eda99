//! Merkle trees whose nodes have up to sixteen children: every size of a growing list has a root, and any
//! leaf a path to it.
//!
//! They are those of RFC 6962 section 2.1 with wider nodes, which are fewer: of 100 leaves 8 nodes are made and
//! not 99. All hashes are SHA-256, and what is hashed says what it is:
//!
//! | first octet | then | |
//! |---|---|---|
//! | 0x00 | octets | a leaf |
//! | 0x01 | 1 to 16 hashes | a node |
//! | 0x02 | number of leaves (u64, little-endian), hash of the highest node | the root |
//!
//! The leaves of a list are put under nodes by sixteens from the left, the last node having those that
//! are left; the nodes alike, until there is one. A list of one leaf has that leaf for its highest node;
//! a list of none has 32 zeros.
//!
//! Two lists with one root are one list, or show two inputs with one SHA-256. The root gives the number of
//! leaves, and with it the place of every node and how many children it has; from there on down, equal
//! hashes have equal inputs. A leaf cannot be taken for a node, nor one of them for a root: they differ in
//! their first octet.

use sha2::block_api::compress256;
use sha2::{Digest, Sha256};

/// A SHA-256 value of the tree.
pub type Hash = [u8; 32];

/// Children of a node at most.
const CHILDREN: usize = 1 << CHILDREN_BITS;
const CHILDREN_BITS: u32 = 4;
/// Hashes of the longest path: no list has more than 2^64 leaves.
pub const PATH_MAX: usize = (CHILDREN - 1) * (u64::BITS / CHILDREN_BITS) as usize;

/// Octets that SHA-256 takes at once.
const BLOCK: usize = 64;
/// Blocks of a leaf that is hashed where it lies: nearly every record is shorter.
const SHORT_BLOCKS: usize = 3;
/// What SHA-256 begins with (FIPS 180-4 section 5.3.3).
const BEGINNING: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// The hash of a leaf: of 0x00, then its octets.
///
/// It is made for every record while messages wait. A short one is padded here (FIPS 180-4 section 5.1.1)
/// and hashed at once, which saves a fifth of the time.
pub fn leaf(octets: &[u8]) -> Hash {
    let mut blocks = [[0; BLOCK]; SHORT_BLOCKS];
    let padded = blocks.as_flattened_mut();
    let length = octets.len() + 1;
    // The octet 0x80 and the length follow.
    let used = (length + 9).div_ceil(BLOCK);
    let (Some(to), Some(bits)) =
        (padded.get_mut(1..length), (used * BLOCK).checked_sub(8).filter(|_| used <= SHORT_BLOCKS))
    else {
        return Sha256::new().chain_update([0]).chain_update(octets).finalize().into();
    };
    to.copy_from_slice(octets);
    padded[length] = 0x80;
    padded[bits..bits + 8].copy_from_slice(&(length as u64 * 8).to_be_bytes());
    let mut state = BEGINNING;
    compress256(&mut state, blocks.get(..used).unwrap_or_default());
    let mut hash = [0; 32];
    for (four, word) in hash.chunks_exact_mut(4).zip(state) {
        four.copy_from_slice(&word.to_be_bytes());
    }
    hash
}

/// The hash of a node, its children given in pieces: of 0x01, then theirs.
fn node(children: &[&[Hash]]) -> Hash {
    let mut hash = Sha256::new().chain_update([1]);
    children.iter().for_each(|some| hash.update(some.as_flattened()));
    hash.finalize().into()
}

/// The root of a list of so many leaves: of 0x02, their number, the highest node.
fn root(size: u64, highest: &Hash) -> Hash {
    Sha256::new()
        .chain_update([2])
        .chain_update(size.to_le_bytes())
        .chain_update(highest)
        .finalize()
        .into()
}

/// A list as it grows: of each level the nodes that have no parent yet, fewer than sixteen.
#[derive(Debug, Clone, Default)]
pub struct Frontier {
    size: u64,
    levels: Vec<Vec<Hash>>,
}

impl Frontier {
    /// Leaves so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Begins anew and keeps the room.
    pub fn clear(&mut self) {
        self.size = 0;
        self.levels.iter_mut().for_each(Vec::clear);
    }

    /// Adds a leaf.
    pub fn push(&mut self, leaf: Hash) {
        self.push_telling(leaf, |_, _| ());
    }

    /// The same; `made` is told of the leaf and every node that it completes, by level from 0.
    fn push_telling(&mut self, leaf: Hash, mut made: impl FnMut(usize, &Hash)) {
        self.size += 1;
        let mut hash = leaf;
        for level in 0.. {
            made(level, &hash);
            if self.levels.len() <= level {
                self.levels.push(Vec::with_capacity(CHILDREN));
            }
            let Some(open) = self.levels.get_mut(level) else { return };
            open.push(hash);
            if open.len() < CHILDREN {
                return;
            }
            hash = node(&[open]);
            open.clear();
        }
    }

    /// The root over all leaves so far.
    pub fn root(&self) -> Hash {
        let Some(highest) = self.levels.iter().rposition(|open| !open.is_empty()) else {
            return root(0, &[0; 32]);
        };
        // The last node of each level, which the end of the list cuts short.
        let mut cut: Option<Hash> = None;
        for (level, open) in self.levels.iter().enumerate().take(highest + 1) {
            cut = match (open.as_slice(), &cut) {
                ([], None) => None,
                ([one], None) if level == highest => Some(*one),
                (open, cut) => Some(node(&[open, cut.as_slice()])),
            };
        }
        root(self.size, &cut.unwrap_or_default())
    }
}

/// A list with all its nodes: what gives the root of any earlier size, and the path of any leaf.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    frontier: Frontier,
    /// The nodes that have all their children, by level, from the left; the leaves are level 0.
    levels: Vec<Vec<Hash>>,
}

impl Tree {
    /// Leaves so far.
    pub fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// Adds a leaf.
    pub fn push(&mut self, leaf: Hash) {
        let levels = &mut self.levels;
        self.frontier.push_telling(leaf, |level, hash| {
            if levels.len() <= level {
                levels.push(Vec::new());
            }
            if let Some(nodes) = levels.get_mut(level) {
                nodes.push(*hash);
            }
        });
    }

    /// The root over all leaves so far.
    pub fn root(&self) -> Hash {
        self.frontier.root()
    }

    /// The root when there were `size` leaves; none if there never were so many, or of none.
    pub fn root_at(&self, size: u64) -> Option<Hash> {
        let highest = (0..).find(|level| nodes(size, *level) <= 1)?;
        Some(root(size, &self.node(highest, 0, size)?))
    }

    /// The path of leaf `index` when there were `size` leaves: the other children of each node above it,
    /// from below, and from the left. None where there was no such leaf.
    pub fn path(&self, index: u64, size: u64) -> Option<Vec<Hash>> {
        if index >= size {
            return None;
        }
        let (mut path, mut at) = (Vec::new(), index);
        for level in 0.. {
            let count = nodes(size, level);
            if count <= 1 {
                break;
            }
            let begin = at >> CHILDREN_BITS << CHILDREN_BITS;
            for other in (begin..count.min(begin + CHILDREN as u64)).filter(|other| *other != at) {
                path.push(self.node(level, other, size)?);
            }
            at >>= CHILDREN_BITS;
        }
        Some(path)
    }

    /// The n-th node of a level when there were `size` leaves; it may be the last, and cut short.
    fn node(&self, level: u32, n: u64, size: u64) -> Option<Hash> {
        if n < whole(size, level) {
            return self.levels.get(level as usize)?.get(usize::try_from(n).ok()?).copied();
        }
        let below = level.checked_sub(1)?;
        let end = whole(size, below);
        let range = usize::try_from(n << CHILDREN_BITS).ok()?..usize::try_from(end).ok()?;
        let children = self.levels.get(below as usize)?.get(range)?;
        let cut = match nodes(size, below) > end {
            true => Some(self.node(below, end, size)?),
            false => None,
        };
        Some(node(&[children, cut.as_slice()]))
    }
}

/// Nodes of a level that have all the leaves that they can have below them, in a list of `size`.
fn whole(size: u64, level: u32) -> u64 {
    size.checked_shr(level * CHILDREN_BITS).unwrap_or(0)
}

/// All nodes of a level.
fn nodes(size: u64, level: u32) -> u64 {
    size.checked_sub(1).map_or(0, |last| whole(last, level) + 1)
}

/// Whether a path leads from this leaf to this root.
pub fn leads(leaf: &Hash, index: u64, size: u64, path: &[Hash], to: &Hash) -> bool {
    root_by(leaf, index, size, path).is_some_and(|root| root == *to)
}

/// The root that a path leads to from this leaf; none where it is no path of a leaf in this place.
pub(in crate::audit) fn root_by(leaf: &Hash, index: u64, size: u64, path: &[Hash]) -> Option<Hash> {
    if index >= size {
        return None;
    }
    let (mut at, mut last) = (index, size - 1);
    let (mut hash, mut rest) = (*leaf, path);
    while last > 0 {
        let begin = at >> CHILDREN_BITS << CHILDREN_BITS;
        let others = (last - begin).min(CHILDREN as u64 - 1) as usize;
        let (here, above) = rest.split_at_checked(others)?;
        let (left, right) = here.split_at_checked((at - begin) as usize)?;
        hash = node(&[left, &[hash], right]);
        (at, last, rest) = (at >> CHILDREN_BITS, last >> CHILDREN_BITS, above);
    }
    rest.is_empty().then(|| root(size, &hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sha256(octets: &[u8]) -> Hash {
        Sha256::digest(octets).into()
    }

    /// The root by the words of the head of this file.
    fn by_definition(leaves: &[Hash]) -> Hash {
        let mut nodes = leaves.to_vec();
        while nodes.len() > 1 {
            let over = |some: &[Hash]| sha256(&[&[1][..], &some.concat()].concat());
            nodes = nodes.chunks(16).map(over).collect();
        }
        let highest = nodes.first().copied().unwrap_or([0; 32]);
        let size = (leaves.len() as u64).to_le_bytes();
        sha256(&[&[2][..], &size, &highest].concat())
    }

    fn leaves(count: u32) -> Vec<Hash> {
        (0..count).map(|n| leaf(&n.to_be_bytes())).collect()
    }

    #[test]
    fn a_leaf_is_sha_256_of_a_zero_octet_and_what_it_says() {
        for length in 0..400 {
            let octets: Vec<u8> = (0..length).map(|at| (at * 7 + 1) as u8).collect();
            assert_eq!(leaf(&octets), sha256(&[&[0][..], &octets].concat()), "{length} octets");
        }
    }

    #[test]
    fn every_size_has_the_root_of_the_definition_also_later() {
        let leaves = leaves(4_110);
        let (mut frontier, mut tree) = (Frontier::default(), Tree::default());
        assert_eq!((frontier.root(), tree.root_at(0)), (by_definition(&[]), None));
        let told = |size: usize| size < 40 || size % 256 < 2 || size.is_multiple_of(1_021);
        for (size, leaf) in (1..).zip(&leaves) {
            frontier.push(*leaf);
            tree.push(*leaf);
            if told(size) {
                assert_eq!(frontier.root(), by_definition(&leaves[..size]), "{size}");
                assert_eq!(tree.root(), frontier.root());
            }
        }
        for size in (1..=leaves.len()).filter(|size| told(*size)) {
            let root = by_definition(&leaves[..size]);
            assert_eq!(tree.root_at(size as u64), Some(root), "{size}");
        }
        assert_eq!(tree.root_at(4_111), None);
        frontier.clear();
        frontier.push(leaves[0]);
        assert_eq!((frontier.size(), frontier.root()), (1, by_definition(&leaves[..1])));
    }

    #[test]
    fn every_leaf_of_every_size_has_a_path_and_no_other_place() {
        let leaves = leaves(300);
        let mut tree = Tree::default();
        leaves.iter().for_each(|leaf| tree.push(*leaf));
        for size in [1, 2, 16, 17, 33, 256, 257, 273_u64] {
            let root = tree.root_at(size).expect("it had so many");
            for index in (0..size).filter(|index| index % 16 < 2 || *index + 2 > size) {
                let own = &leaves[index as usize];
                let path = tree.path(index, size).expect("it is there");
                assert!(leads(own, index, size, &path, &root), "{index} of {size}");
                assert!(!leads(&leaf(b"another"), index, size, &path, &root));
                for other in [index ^ 1, index ^ 16, index ^ 256, index + 16, size - 1 - index] {
                    if other == index {
                        continue;
                    }
                    assert!(!leads(own, other, size, &path, &root), "{index} as {other} of {size}");
                }
                for other in [size - 1, size + 1, size * 16] {
                    assert!(!leads(own, index, other, &path, &root), "{index} of {other}");
                }
                for at in (0..path.len()).step_by(7) {
                    let mut changed = path.clone();
                    changed[at][at % 32] ^= 1;
                    assert!(!leads(own, index, size, &changed, &root));
                    changed.remove(at);
                    assert!(!leads(own, index, size, &changed, &root));
                }
                assert!(!leads(own, index, size, &[path, vec![root]].concat(), &root));
            }
            assert_eq!(tree.path(size, size), None);
        }
        assert!(!leads(&leaves[0], 0, 0, &[], &root(0, &leaves[0])));
        assert_eq!(tree.path(0, 301), None, "it never had so many");
    }

    #[test]
    fn the_longest_path_is_no_longer_than_what_is_read() {
        let (mut last, mut hashes) = (u64::MAX, 0);
        while last > 0 {
            hashes += last.min(15);
            last >>= 4;
        }
        assert_eq!(hashes, PATH_MAX as u64);
    }
}
