//! Senders and recipients: one key for all spellings.

use consentry::registry::{Address, Npi, Ton, recipient, sender};

use crate::input::Input;

/// The canonical form of an address is an address of the same person, and its own canonical form.
pub fn addresses(octets: &[u8]) {
    let mut input = Input(octets);
    let (ton, npi) = (input.octet() % 8, input.octet() % 19);
    let value = &input.0[..input.0.len().min(64)];
    let address = Address { ton: Ton(ton), npi: Npi(npi), value };
    assert_eq!(sender(&address), sender(&address));
    let found = recipient(&address);
    assert_eq!(found, recipient(&address));
    let Ok(found) = found else { return };
    let digits = found.msisdn.digits();
    let plus = [b"+", digits.as_bytes()].concat();
    let international = Address { ton: Ton(1), npi: Npi(1), value: &plus };
    assert_eq!(recipient(&international).map(|one| one.msisdn), Ok(found.msisdn));
    // Without its sign a North American number may look like a Chinese mobile one: refused, and nobody else's.
    let bare = Address { ton: Ton(1), npi: Npi(1), value: digits.as_bytes() };
    assert!(
        recipient(&bare).is_ok_and(|one| one.msisdn == found.msisdn) || recipient(&bare).is_err()
    );
}
