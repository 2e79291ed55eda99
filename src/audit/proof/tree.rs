//! Merkle trees as RFC 6962 section 2.1 has them: every size of a growing list has a root, and any
//! leaf a path to it.

use sha2::{Digest, Sha256};

/// A SHA-256 value of the tree.
pub type Hash = [u8; 32];

/// Hashes of the longest path: no list has more than 2^64 leaves.
pub const PATH_MAX: usize = 64;

/// The hash of a leaf: of 0x00, then its octets.
pub fn leaf(octets: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(octets).finalize().into()
}

/// The hash over two subtrees: of 0x01, the left hash, the right hash.
pub fn node(left: &Hash, right: &Hash) -> Hash {
    let mut octets = [1; 65];
    octets[1..33].copy_from_slice(left);
    octets[33..].copy_from_slice(right);
    Sha256::digest(octets).into()
}

/// The roots of the perfect subtrees that make up a list, from the left: as many as its size has
/// bits that are one.
#[derive(Debug, Clone, Default)]
pub struct Frontier {
    size: u64,
    roots: Vec<Hash>,
}

impl Frontier {
    /// Leaves so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf; `made` is told of every perfect subtree that it completes, by its level.
    pub fn push(&mut self, leaf: Hash, mut made: impl FnMut(u32, &Hash)) {
        let mut hash = leaf;
        made(0, &hash);
        for level in 1..=self.size.trailing_ones() {
            let Some(left) = self.roots.pop() else { break };
            hash = node(&left, &hash);
            made(level, &hash);
        }
        self.roots.push(hash);
        self.size += 1;
    }

    /// Puts a perfect subtree of 2^level leaves behind subtrees that are all larger.
    pub fn append_perfect(&mut self, level: u32, root: Hash) {
        self.roots.push(root);
        self.size += 1 << level;
    }

    /// The root over all leaves so far; of no leaf, the hash of nothing.
    pub fn root(&self) -> Hash {
        let mut from_right = self.roots.iter().rev();
        match from_right.next() {
            Some(last) => from_right.fold(*last, |right, left| node(left, &right)),
            None => Sha256::digest([]).into(),
        }
    }
}

/// The path of leaf `index` in the tree of `size` leaves, from below. `perfect` gives the root of the
/// perfect subtree of a level that is the n-th of that level; its failure is this one's.
pub fn path<E>(
    index: u64,
    size: u64,
    mut perfect: impl FnMut(u32, u64) -> Result<Hash, E>,
) -> Result<Vec<Hash>, E> {
    let (mut at, mut last) = (index, size.saturating_sub(1));
    let mut path = Vec::new();
    let mut level = 0;
    while last > 0 {
        if at & 1 == 1 {
            path.push(perfect(level, at - 1)?);
        } else if at < last {
            path.push(subtree(level, at + 1, size, &mut perfect)?);
        }
        at >>= 1;
        last >>= 1;
        level += 1;
    }
    Ok(path)
}

/// The root of the n-th subtree of a level, which the end of the list may cut short.
fn subtree<E>(
    level: u32,
    n: u64,
    size: u64,
    perfect: &mut impl FnMut(u32, u64) -> Result<Hash, E>,
) -> Result<Hash, E> {
    if n < size >> level {
        return perfect(level, n);
    }
    let mut pieces = Frontier::default();
    let mut begin = n << level;
    for level in (0..level).rev().filter(|level| size >> level & 1 == 1) {
        pieces.append_perfect(level, perfect(level, begin >> level)?);
        begin += 1 << level;
    }
    Ok(pieces.root())
}

/// Whether a path leads from this leaf to this root (RFC 9162 section 2.1.3.2).
pub fn leads(leaf: &Hash, index: u64, size: u64, path: &[Hash], root: &Hash) -> bool {
    if index >= size {
        return false;
    }
    let (mut at, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for sibling in path {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            hash = node(sibling, &hash);
            let up = at.trailing_zeros().min(63);
            at >>= up;
            last >>= up;
        } else {
            hash = node(&hash, sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && hash == *root
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        crate::audit::proof::unhex(hex).expect("hexadecimal")
    }

    fn grown(leaves: &[Hash]) -> Frontier {
        let mut frontier = Frontier::default();
        leaves.iter().for_each(|leaf| frontier.push(*leaf, |_, _| ()));
        frontier
    }

    /// The root by the very words of RFC 6962 section 2.1.
    fn by_definition(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => Sha256::digest([]).into(),
            [one] => *one,
            more => {
                let k = more.len().next_power_of_two() / 2;
                node(&by_definition(&more[..k]), &by_definition(&more[k..]))
            }
        }
    }

    fn path_of(leaves: &[Hash], index: usize) -> Vec<Hash> {
        path(index as u64, leaves.len() as u64, |level, n| {
            let begin = (n << level) as usize;
            Ok::<_, ()>(by_definition(&leaves[begin..begin + (1 << level)]))
        })
        .expect("no failure")
    }

    /// The inputs and roots that the Certificate Transparency project publishes for RFC 6962.
    #[test]
    fn the_roots_are_those_published_for_rfc_6962() {
        let inputs = [
            "",
            "00",
            "10",
            "2021",
            "3031",
            "40414243",
            "5051525354555657",
            "606162636465666768696a6b6c6d6e6f",
        ];
        let roots = [
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        let leaves: Vec<Hash> = inputs.iter().map(|input| leaf(&bytes(input))).collect();
        for (size, root) in roots.iter().enumerate() {
            assert_eq!(grown(&leaves[..size]).root()[..], bytes(root), "size {size}");
        }
        let paths: [(usize, usize, &[&str]); 4] = [
            (
                0,
                8,
                &[
                    "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                    "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                    "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
                ],
            ),
            (
                5,
                8,
                &[
                    "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
                    "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
                ],
            ),
            (2, 3, &["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
            (
                1,
                5,
                &[
                    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
                    "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                    "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
                ],
            ),
        ];
        for (index, size, published) in paths {
            let path = path_of(&leaves[..size], index);
            assert_eq!(path.concat(), bytes(&published.concat()), "{index} of {size}");
        }
    }

    #[test]
    fn every_leaf_of_every_size_has_a_path_and_no_other_place() {
        let leaves: Vec<Hash> = (0..37u8).map(|n| leaf(&[n])).collect();
        for size in 1..=leaves.len() {
            let list = &leaves[..size];
            let root = by_definition(list);
            assert_eq!(grown(list).root(), root);
            for index in 0..size {
                let path = path_of(list, index);
                let leads_at = |index: usize, size: usize, path: &[Hash]| {
                    leads(&list[index % list.len()], index as u64, size as u64, path, &root)
                };
                assert!(leads_at(index, size, &path), "{index} of {size}");
                assert!(!leads(&leaf(b"another"), index as u64, size as u64, &path, &root));
                assert!(!leads_at(index + size, size, &path), "beyond the end");
                for other in (0..size).filter(|other| *other != index) {
                    let (at, size) = (other as u64, size as u64);
                    assert!(!leads(&list[index], at, size, &path, &root), "{index} as {other}");
                }
                if !path.is_empty() {
                    assert!(!leads_at(index, size, &path[1..]));
                }
                assert!(!leads_at(index, size, &[path, vec![root]].concat()));
            }
        }
        assert!(!leads(&leaves[0], 0, 0, &[], &leaves[0]));
    }
}
