//! In place of `traced` in a program without the feature `otlp`: nothing, so that it costs nothing.

use super::Clock;
use super::pump::Pair;
use crate::session::Moment;

/// Where spans go: nowhere.
#[derive(Debug)]
pub struct SpansTo;

/// A pair's spans: none.
#[derive(Debug, Default)]
pub(super) struct Traced;

impl Traced {
    #[inline]
    pub fn begin(_: &SpansTo, _: Moment) -> Traced {
        Traced
    }

    #[inline]
    pub fn judging(&mut self, _: &Clock) {}

    #[inline]
    pub fn judged(&mut self, _: &Clock) {}

    #[inline]
    pub fn recorded(&mut self, _: &Clock) {}

    #[inline]
    pub fn written(&mut self, _: &Clock) {}
}

impl Pair {
    #[inline]
    pub(super) fn trace_batch(&mut self) {}

    #[inline]
    pub(super) fn trace_to_esme(&mut self, _: usize) {}

    #[inline]
    pub(super) fn trace_end(&mut self, _: &'static str) {}
}
