//! Choices and pieces taken off the front of the fuzzer's octets.

/// What is left of the octets.
pub struct Input<'a>(pub &'a [u8]);

impl<'a> Input<'a> {
    /// One octet; 0 when none is left.
    pub fn octet(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// At most `count` octets.
    pub fn octets(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// As many octets as the next one says.
    pub fn piece(&mut self) -> &'a [u8] {
        let count = usize::from(self.octet());
        self.octets(count)
    }

    /// One of several.
    pub fn choose<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::from(self.octet()) % of.len()]
    }
}

/// Whether `inner` lies within `outer`, as memory. Empty slices lie anywhere.
pub fn is_within(inner: &[u8], outer: &[u8]) -> bool {
    inner.is_empty()
        || (outer.as_ptr_range().start <= inner.as_ptr_range().start
            && inner.as_ptr_range().end <= outer.as_ptr_range().end)
}
