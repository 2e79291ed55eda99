//! How a trace went over time, in a fixed number of spans that widen as it grows: the data of charts.

use super::summary::Counts;
use super::verdict::Verdict;

/// Spans that a course is drawn in at most.
pub const SPANS_MAX: usize = 240;

const SECOND_US: u64 = 1_000_000;

/// How long a span may be, seconds: what people tell time in. Each divides the next; beyond the last
/// it doubles.
const WIDTHS_S: [u64; 13] =
    [1, 5, 10, 30, 60, 300, 600, 1_800, 3_600, 7_200, 14_400, 28_800, 86_400];

/// What happened within one span.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span {
    /// Verdicts.
    pub verdicts: Counts,
    /// The most requests that one stream had open, as the capture shows it.
    pub open_requests_max: u64,
}

/// Spans from the earliest moment on.
#[derive(Debug, Clone)]
pub struct Course {
    begin_us: u64,
    span_us: u64,
    spans: Vec<Span>,
}

impl Default for Course {
    fn default() -> Course {
        Course { begin_us: 0, span_us: SECOND_US, spans: Vec::new() }
    }
}

impl Course {
    /// A verdict at that time.
    pub fn add(&mut self, time_us: u64, verdict: Verdict) {
        self.span(time_us).verdicts.add(verdict);
    }

    /// So many requests were open at that time.
    pub fn note_open(&mut self, time_us: u64, open_requests: u64) {
        let span = self.span(time_us);
        span.open_requests_max = span.open_requests_max.max(open_requests);
    }

    /// The span of that time. What comes from before the beginning, in captures whose clock went back,
    /// counts with the first.
    fn span(&mut self, time_us: u64) -> &mut Span {
        if self.spans.is_empty() {
            self.begin_us = time_us - time_us % SECOND_US;
        }
        let place = |course: &Course| time_us.saturating_sub(course.begin_us) / course.span_us;
        while place(self) >= SPANS_MAX as u64 {
            self.widen();
        }
        let at = place(self) as usize;
        if self.spans.len() <= at {
            self.spans.resize(at + 1, Span::default());
        }
        &mut self.spans[at]
    }

    /// Several spans become one, which begins where people would let it begin.
    fn widen(&mut self) {
        let wider = WIDTHS_S.iter().map(|width| width * SECOND_US);
        let span_us = wider.clone().find(|width| *width > self.span_us);
        let span_us = span_us.unwrap_or(self.span_us.saturating_mul(2));
        let begin_us = self.begin_us - self.begin_us % span_us;
        let ahead = usize::try_from((self.begin_us - begin_us) / self.span_us).unwrap_or(0);
        let factor = usize::try_from(span_us / self.span_us).unwrap_or(1);
        let mut spans = vec![Span::default(); (ahead + self.spans.len()).div_ceil(factor)];
        for (at, span) in self.spans.iter().enumerate() {
            if let Some(sum) = spans.get_mut((ahead + at) / factor) {
                sum.verdicts.join(span.verdicts);
                sum.open_requests_max = sum.open_requests_max.max(span.open_requests_max);
            }
        }
        (self.begin_us, self.span_us, self.spans) = (begin_us, span_us, spans);
    }

    /// Where the first span begins: microseconds since the Unix epoch.
    pub fn begin_us(&self) -> u64 {
        self.begin_us
    }

    /// How long each span is, microseconds.
    pub fn span_us(&self) -> u64 {
        self.span_us
    }

    /// The spans, from the first: at most [`SPANS_MAX`].
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_widen_and_lose_nothing() {
        for seconds in [1, SPANS_MAX as u64, SPANS_MAX as u64 + 1, 100_000, 40_000_000] {
            let mut course = Course::default();
            let step = (seconds / 1000).max(1);
            let mut added = 0;
            for second in (0..seconds).step_by(step as usize) {
                course.add(1_790_000_000_000_000 + second * 1_000_000, Verdict::Pass);
                course.note_open(1_790_000_000_000_000, second);
                added += 1;
            }
            course.add(5, Verdict::Refuse);
            let (mut passed, mut refused) = (0, 0);
            for span in course.spans() {
                passed += span.verdicts.of(Verdict::Pass);
                refused += span.verdicts.of(Verdict::Refuse);
            }
            assert_eq!((passed, refused), (added, 1));
            assert!(course.spans().len() <= SPANS_MAX);
            assert!(course.span_us() * course.spans().len() as u64 >= (seconds - step) * 1_000_000);
            assert_eq!(course.spans()[0].verdicts.of(Verdict::Refuse), 1);
            assert_eq!(course.begin_us() % course.span_us(), 0);
        }
    }
}
