//! Fuzz targets. One program holds them all, so that it is built and linked once; `FUZZ_TARGET` says which
//! one runs. Each asserts properties of what it reads and not only that nothing panics.

#![no_main]

use std::sync::LazyLock;

mod addresses;
mod balancers;
mod captures;
mod content;
mod input;
mod joining;
mod receipts;
mod sessions;
mod smpp;
mod text;

/// Every target by its name; `run` reads this table.
const TARGETS: [(&str, fn(&[u8])); 19] = [
    ("frame", smpp::frame),
    ("pdu", smpp::pdu),
    ("written", smpp::written),
    ("tlv", smpp::tlv),
    ("addresses", addresses::addresses),
    ("header", balancers::header),
    ("udh", text::udh),
    ("decode", text::decode),
    ("gsm7", text::gsm7),
    ("ucs2", text::ucs2),
    ("gbk", text::gbk),
    ("octets", text::octets),
    ("receipts", receipts::receipts),
    ("joining", joining::joining),
    ("order", joining::order),
    ("content", content::content),
    ("session", sessions::session),
    ("captures", captures::captures),
    ("streams", captures::streams),
];

static TARGET: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    let found = TARGETS.iter().find(|(target, _)| *target == name);
    found.map(|(_, target)| *target).unwrap_or_else(|| {
        let names = TARGETS.map(|(name, _)| name).join(" ");
        eprintln!("FUZZ_TARGET is {name:?}; it must be one of: {names}");
        std::process::exit(2)
    })
});

libfuzzer_sys::fuzz_target!(|octets: &[u8]| TARGET(octets));
