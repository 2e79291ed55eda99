//! CPU time that a process has used, read from Linux's /proc.
//!
//! The scheduler's own account of each thread (`/proc/PID/task/*/schedstat`, nanoseconds) is summed.
//! A kernel without it gives `/proc/PID/stat`, which counts in hundredths of a second. Threads that
//! ended before the reading are in the second account only, so a span is good for processes whose
//! threads live through it.

use std::fs;
use std::time::Duration;

/// Unit of `/proc/PID/stat`, a second. Linux fixes it for user space on every architecture we run.
const TICKS: u32 = 100;

/// CPU time, user and system, that the threads of `pid` have used; `None` when there is no such
/// process or no /proc.
pub fn used(pid: u32) -> Option<Duration> {
    by_thread(pid).or_else(|| by_process(pid))
}

fn by_thread(pid: u32) -> Option<Duration> {
    let mut sum = None;
    for thread in fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten() {
        // A thread may end between the listing and the reading.
        let Ok(line) = fs::read_to_string(thread.path().join("schedstat")) else { continue };
        let nanoseconds: u64 = line.split_whitespace().next()?.parse().ok()?;
        *sum.get_or_insert(Duration::ZERO) += Duration::from_nanos(nanoseconds);
    }
    sum
}

fn by_process(pid: u32) -> Option<Duration> {
    let line = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name stands in parentheses and may hold spaces; utime and stime are fields 14 and 15.
    let (_, behind) = line.rsplit_once(')')?;
    let mut fields = behind.split_whitespace().skip(11);
    let ticks: u32 =
        fields.next()?.parse::<u32>().ok()?.checked_add(fields.next()?.parse().ok()?)?;
    Some(Duration::from_secs(1) * ticks / TICKS)
}

/// The name that the kernel has for `pid`; empty when there is none.
pub fn name(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_accounts_tell_of_work_done_and_agree() {
        let pid = std::process::id();
        let before = used(pid).unwrap_or_default();
        let mut sum = 0u64;
        while used(pid).unwrap_or_default() < before + Duration::from_millis(30) {
            sum = (0..100_000u64).fold(sum, |a, b| std::hint::black_box(a ^ b));
        }
        assert!(by_process(pid).is_some_and(|whole| whole >= Duration::from_millis(10)));
        assert_eq!(used(u32::MAX), None);
        assert!(!name(pid).is_empty());
    }
}
