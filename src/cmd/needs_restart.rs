//! What of the configuration stays as it was at the start, and is named when it is written otherwise.

use crate::config::{Admin, Audit, Config, Consent, Place};

/// The keys that differ and are not in force before a restart, as `[section] key`.
pub(super) fn keys(was: &Config, is: &Config) -> Vec<String> {
    let mut keys = Vec::new();
    let mut add = |differs: bool, key: &str| {
        if differs {
            keys.push(key.to_owned());
        }
    };
    listeners(was, is, &mut add);
    add(was.limits.threads != is.limits.threads, "[limits] threads");
    add(was.limits.originals != is.limits.originals, "[limits] originals");
    add(was.limits.bind_failures != is.limits.bind_failures, "[limits] bind_failures");
    add(was.cluster != is.cluster, "[cluster]");
    consent(&was.consent, &is.consent, &mut add);
    audit(&was.audit, &is.audit, &mut add);
    add(was.mirrors != is.mirrors, "[[mirror]]");
    add(was.streams != is.streams, "[[stream]]");
    add(was.capture != is.capture, "[capture]");
    add(was.traces != is.traces, "[traces]");
    add(was.metrics != is.metrics, "[metrics] providers");
    admin(was.admin.as_ref(), is.admin.as_ref(), &mut add);
    add(was.log != is.log, "[log]");
    keys
}

type Add<'a> = &'a mut dyn FnMut(bool, &str);

/// Each by its address: what is new, gone or otherwise.
fn listeners(was: &Config, is: &Config, add: Add<'_>) {
    for one in &is.listen {
        add(!was.listen.contains(one), &format!("[[listen]] {}", one.address));
    }
    for one in &was.listen {
        let is_gone = is.listen.iter().all(|other| other.address != one.address);
        add(is_gone, &format!("[[listen]] {}", one.address));
    }
    for one in &is.outbind {
        add(!was.outbind.contains(one), &format!("[[outbind]] {}", one.address));
    }
    for one in &was.outbind {
        let is_gone = is.outbind.iter().all(|other| other.address != one.address);
        add(is_gone, &format!("[[outbind]] {}", one.address));
    }
}

fn consent(was: &Consent, is: &Consent, add: Add<'_>) {
    let key = match is.place {
        Place::Folder(_) => "[consent] path",
        Place::Shared(_) => "[consent] url",
    };
    add(was.place != is.place, key);
    add(was.cache_octets != is.cache_octets, "[consent] cache");
    add(was.silent_after != is.silent_after, "[consent] silent_after");
}

fn audit(was: &Audit, is: &Audit, add: Add<'_>) {
    for (differs, key) in [
        (was.path != is.path, "path"),
        (was.durability != is.durability, "durability"),
        (was.keys != is.keys, "keys"),
        (was.auditors != is.auditors, "auditors"),
        (was.content != is.content, "content"),
        (was.checkpoint != is.checkpoint, "checkpoint"),
        (was.parquet != is.parquet, "parquet"),
        (was.keep_months != is.keep_months, "keep_months"),
        (was.zone != is.zone, "zone"),
        (was.segment_octets != is.segment_octets, "segment"),
        (was.disk_budget_octets != is.disk_budget_octets, "disk_budget"),
    ] {
        add(differs, &format!("[audit] {key}"));
    }
}

fn admin(was: Option<&Admin>, is: Option<&Admin>, add: Add<'_>) {
    let address = |admin: Option<&Admin>| admin.map(|admin| admin.address);
    let token = |admin: Option<&Admin>| admin.and_then(|admin| admin.token_file.clone());
    add(address(was) != address(is), "[admin] address");
    add(token(was) != token(is), "[admin] token_file");
}
