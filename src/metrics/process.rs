//! The standard process metrics, read from `/proc/self` when they are asked for.

use std::fmt::Write;
use std::fs;

/// Clock ticks a second in `/proc`: USER_HZ, fixed at 100 for every Linux architecture we build for.
const TICKS_A_SECOND: f64 = 100.0;

/// Adds the process metrics to a text in exposition format. What cannot be read is left out.
pub(super) fn append(text: &mut String) {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let system = fs::read_to_string("/proc/stat").unwrap_or_default();
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let open_fds = fs::read_dir("/proc/self/fd").ok().map(|folder| folder.count() as f64);
    for (name, kind, help, value) in [
        ("cpu_seconds_total", "counter", "User and system CPU time.", cpu_seconds(&stat)),
        ("open_fds", "gauge", "Open file descriptors.", open_fds),
        ("max_fds", "gauge", "File descriptors that may be open.", max_fds(&limits)),
        ("virtual_memory_bytes", "gauge", "Virtual memory.", kib(&status, "VmSize:")),
        ("resident_memory_bytes", "gauge", "Resident memory.", kib(&status, "VmRSS:")),
        (
            "start_time_seconds",
            "gauge",
            "When the process started, since the Unix epoch.",
            start_seconds(&stat, &system),
        ),
    ] {
        let Some(value) = value else { continue };
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "# HELP process_{name} {help}\n# TYPE process_{name} {kind}\nprocess_{name} {value}"
        );
    }
}

/// Field `number` of `/proc/self/stat` (proc_pid_stat(5)). The second field, the command, may hold
/// spaces and parentheses, so counting begins behind its last parenthesis.
fn stat_field(stat: &str, number: usize) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_ascii_whitespace().nth(number.checked_sub(3)?)?.parse().ok()
}

fn cpu_seconds(stat: &str) -> Option<f64> {
    Some((stat_field(stat, 14)? + stat_field(stat, 15)?) / TICKS_A_SECOND)
}

fn start_seconds(stat: &str, system: &str) -> Option<f64> {
    let booted: f64 = number_after(system, "btime ")?;
    Some(booted + stat_field(stat, 22)? / TICKS_A_SECOND)
}

fn kib(status: &str, name: &str) -> Option<f64> {
    number_after(status, name).map(|kib| kib * 1024.0)
}

fn max_fds(limits: &str) -> Option<f64> {
    number_after(limits, "Max open files")
}

fn number_after(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_files_are_read_field_by_field() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 4 0 600 9 9";
        assert_eq!(cpu_seconds(stat), Some(3.0));
        assert_eq!(start_seconds(stat, "cpu 1\nbtime 1000\n"), Some(1006.0));
        assert_eq!(kib("VmSize:\t  8 kB\nVmRSS:\t  4 kB\n", "VmRSS:"), Some(4096.0));
        assert_eq!(max_fds("Max open files            1024   4096   files\n"), Some(1024.0));
        for torn in ["", "7", "7 (a", "7 (a)", "7 (a) S 1"] {
            assert_eq!(cpu_seconds(torn), None, "{torn}");
        }
    }

    #[test]
    fn all_six_are_found_here() {
        let mut text = String::new();
        append(&mut text);
        assert_eq!(text.matches("# TYPE process_").count(), 6, "{text}");
    }
}
