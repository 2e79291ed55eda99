//! The PROXY protocol header: what a balancer says, or somebody who claims to be one.

use consentry::proxy::header::{
    Carried, HEADER_OCTETS_MAX, LINE_OCTETS_MAX, Step, Version, read, write,
};

/// It asks for what is the header's and nothing behind it, ends by itself, and what it read is written and
/// read again as the same.
pub fn header(octets: &[u8]) {
    let mut have = 0;
    for _ in 0..=LINE_OCTETS_MAX {
        let Some(begun) = octets.get(..have) else { return };
        match read(begun) {
            Ok(Step::More(count)) => {
                assert!(count > 0 && have + count <= HEADER_OCTETS_MAX);
                have += count;
            }
            Ok(Step::Done(carried, length)) => {
                assert_eq!(length, have, "no octet behind the header was asked for");
                // With more behind it, it is the same header.
                assert_eq!(read(octets), Ok(Step::Done(carried, length)));
                let Carried::Ends(ends) = carried else { return };
                for version in [Version::V1, Version::V2] {
                    let written = write(version, ends);
                    let Ok(Step::Done(Carried::Ends(again), length)) = read(&written) else {
                        panic!("what is written is no header")
                    };
                    assert_eq!(length, written.len());
                    assert_eq!(again.source.ip().to_canonical(), ends.source.ip().to_canonical());
                    assert_eq!(again.source.port(), ends.source.port());
                    assert_eq!(again.destination.port(), ends.destination.port());
                }
                return;
            }
            Err(_) => return,
        }
    }
    panic!("it asks without end");
}
