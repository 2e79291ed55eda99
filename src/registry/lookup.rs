//! Look-ups on the hot path: system_id to provider, sender to whom it is allotted. No look-up
//! allocates.

use std::collections::{HashMap, HashSet};
use std::fmt;

use foldhash::fast::FixedState;

use super::fault::NAME_OCTETS_MAX;
use super::sender::is_nobodys;
use super::{
    Address, Code, Digits, NUMBER_DIGITS_MAX, Npi, Part, Plan, Provider, RegistryFault, Sender,
    Ton, sender,
};

/// The most providers of a registry.
pub const PROVIDERS_MAX: usize = 10_000;

/// The most codes of a registry, over all providers.
pub const CODES_MAX: usize = 1_000_000;

/// The longest system_id, in octets without its NUL (SMPP 3.4 5.2.1).
pub const SYSTEM_ID_OCTETS_MAX: usize = 15;

/// The most places: providers of the registry, and those that were in one before it and are gone.
pub const PLACES_MAX: usize = 1 << 14;

/// A provider's place, counted from 0: in the order of its registry, or, in one that follows another
/// ([`Registry::following`]), where the provider of that name stood before. Means nothing in others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProviderId(pub u32);

impl fmt::Display for ProviderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A code's place in its registry, counted from 0 over all providers. Means nothing in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CodeId(pub u32);

/// The longest allotted code that begins a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeMatch {
    /// Whose code it is.
    pub owner: ProviderId,
    /// The code.
    pub code: CodeId,
    /// How many digits follow the code: 0 to 17.
    pub extension_digits: u8,
}

/// To whom a sender is allotted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Allotment<'a> {
    /// To nobody.
    None,
    /// A code, or a number that extends it.
    Code(CodeMatch, &'a Code),
    /// An alphanumeric sender, registered to these.
    Alphanumeric(&'a [ProviderId]),
}

/// Everybody who is admitted.
#[derive(Debug)]
pub struct Registry {
    pub(super) digest: [u8; 32],
    providers: Vec<Provider>,
    /// By [`ProviderId`]: where in `providers` it stands; [`GONE`] of who is not admitted any more.
    places: Vec<u32>,
    /// Their names and places.
    gone: HashMap<String, ProviderId>,
    /// Where a code stands: its provider and its index in there.
    codes: Vec<(ProviderId, u32)>,
    system_ids: HashMap<Vec<u8>, ProviderId, FixedState>,
    numbers: HashMap<u128, CodeId, FixedState>,
    alphanumeric: HashMap<Vec<u8>, Vec<ProviderId>, FixedState>,
    /// Bit n: a code of n digits exists, in the national and in the international plan.
    lengths: [u32; 2],
}

/// What stands at the place of a provider that is gone.
const GONE: u32 = u32::MAX;

/// Since the start more providers came and went than there are places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "more than {PLACES_MAX} providers have come and gone since the start; restart to forget those that went"
)]
pub struct PlacesFull;

impl Registry {
    /// Builds the look-ups. Its digest is all zero: only a text has one, see [`super::parse`].
    ///
    /// # Errors
    ///
    /// The first fault found, in the order of the list.
    pub fn new(providers: Vec<Provider>) -> Result<Self, RegistryFault> {
        if providers.len() > PROVIDERS_MAX {
            return Err(RegistryFault::ProvidersMax);
        }
        let codes: usize = providers.iter().map(|provider| provider.codes.len()).sum();
        if codes > CODES_MAX {
            return Err(RegistryFault::CodesMax);
        }
        let mut registry = Self {
            digest: [0; 32],
            places: (0..providers.len() as u32).collect(),
            gone: HashMap::new(),
            providers: Vec::new(),
            codes: Vec::with_capacity(codes),
            system_ids: HashMap::default(),
            numbers: HashMap::with_capacity_and_hasher(codes, FixedState::default()),
            alphanumeric: HashMap::default(),
            lengths: [0; 2],
        };
        let mut names = HashSet::new();
        for (at, provider) in providers.iter().enumerate() {
            let name = provider.name.as_str();
            if name.trim().is_empty() || name.len() > NAME_OCTETS_MAX {
                return Err(RegistryFault::Name(Part::Name(at)));
            }
            if !names.insert(name) {
                return Err(RegistryFault::NameTwice {
                    part: Part::Name(at),
                    name: name.to_owned(),
                });
            }
            let id = ProviderId(at as u32);
            registry.add_system_ids(&providers, id, provider)?;
            registry.add_alphanumeric(id, provider)?;
            registry.add_codes(&providers, id, provider)?;
        }
        registry.providers = providers;
        Ok(registry)
    }

    fn add_system_ids(
        &mut self,
        all: &[Provider],
        id: ProviderId,
        provider: &Provider,
    ) -> Result<(), RegistryFault> {
        for (at, system_id) in provider.system_ids.iter().enumerate() {
            let part = Part::SystemId(id.0 as usize, at);
            let octets = system_id.as_bytes();
            if !(1..=SYSTEM_ID_OCTETS_MAX).contains(&octets.len()) || octets.contains(&0) {
                return Err(RegistryFault::SystemId { part, system_id: system_id.clone() });
            }
            if let Some(owner) = self.system_ids.insert(octets.to_vec(), id) {
                return Err(RegistryFault::SystemIdTwice {
                    part,
                    system_id: system_id.clone(),
                    owner: name_of(all, owner),
                });
            }
        }
        Ok(())
    }

    fn add_alphanumeric(
        &mut self,
        id: ProviderId,
        provider: &Provider,
    ) -> Result<(), RegistryFault> {
        for (at, value) in provider.alphanumeric.iter().enumerate() {
            let fault = RegistryFault::Alphanumeric(Part::Alphanumeric(id.0 as usize, at));
            let address = Address { ton: Ton::ALPHANUMERIC, npi: Npi::UNKNOWN, value };
            if sender(&address).is_err() {
                return Err(fault);
            }
            let owners = self.alphanumeric.entry(value.clone()).or_default();
            if owners.contains(&id) {
                return Err(fault);
            }
            owners.push(id);
        }
        Ok(())
    }

    fn add_codes(
        &mut self,
        all: &[Provider],
        id: ProviderId,
        provider: &Provider,
    ) -> Result<(), RegistryFault> {
        for (at, code) in provider.codes.iter().enumerate() {
            let (part, number) = (Part::Number(id.0 as usize, at), &code.number);
            check_number(code, part)?;
            if !(number.len()..=NUMBER_DIGITS_MAX).contains(&usize::from(code.digits_max)) {
                let part = Part::DigitsMax(id.0 as usize, at);
                return Err(RegistryFault::DigitsMax { part, digits: number.len() });
            }
            let code_id = CodeId(self.codes.len() as u32);
            let key = prefix_key(code.plan, pack(number), number.len(), number.len());
            if let Some(first) = self.numbers.insert(key, code_id) {
                let owner = self.codes.get(first.0 as usize).map_or(id, |(owner, _)| *owner);
                return Err(RegistryFault::NumberTwice { part, owner: name_of(all, owner) });
            }
            self.codes.push((id, at as u32));
            if let Some(lengths) = self.lengths.get_mut(code.plan as usize) {
                *lengths |= 1 << number.len();
            }
        }
        Ok(())
    }

    /// The same registry, come into force after `before`: a provider keeps the place that its name had
    /// there, even where it was gone in between; new ones have places behind. So what is remembered by
    /// [`ProviderId`] stays whose it was. Nothing is remembered by [`CodeId`], which only says where a code
    /// stands in the file.
    ///
    /// # Errors
    ///
    /// When that takes more than [`PLACES_MAX`].
    pub fn following(mut self, before: &Registry) -> Result<Registry, PlacesFull> {
        let mut known: HashMap<&str, ProviderId> =
            before.gone.iter().map(|(name, id)| (name.as_str(), *id)).collect();
        known.extend(before.ids().map(|(id, provider)| (provider.name.as_str(), id)));
        let mut places = vec![GONE; before.places.len()];
        // The new ids, by the place in this registry.
        let mut ids = Vec::with_capacity(self.providers.len());
        for (at, provider) in self.providers.iter().enumerate() {
            let id = known.remove(provider.name.as_str()).unwrap_or_else(|| {
                places.push(GONE);
                ProviderId(places.len() as u32 - 1)
            });
            if let Some(place) = places.get_mut(id.0 as usize) {
                *place = at as u32;
            }
            ids.push(id);
        }
        if places.len() > PLACES_MAX {
            return Err(PlacesFull);
        }
        let renumber = |id: &mut ProviderId| {
            if let Some(new) = ids.get(id.0 as usize) {
                *id = *new;
            }
        };
        self.codes.iter_mut().for_each(|(owner, _)| renumber(owner));
        self.system_ids.values_mut().for_each(renumber);
        self.alphanumeric.values_mut().flatten().for_each(renumber);
        self.gone = known.into_iter().map(|(name, id)| (name.to_owned(), id)).collect();
        self.places = places;
        Ok(self)
    }

    /// How many places there are: every [`ProviderId`] is below.
    pub fn places(&self) -> usize {
        self.places.len()
    }

    /// All providers with their ids, in the order of the ids.
    pub fn ids(&self) -> impl Iterator<Item = (ProviderId, &Provider)> {
        (0..self.places.len() as u32)
            .map(ProviderId)
            .filter_map(|id| Some((id, self.provider_by_id(id)?)))
    }

    /// SHA-256 over the text it was parsed from; all zero when there was none.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// All providers, in the order of the file; [`Registry::ids`] says their ids.
    pub fn providers(&self) -> &[Provider] {
        &self.providers
    }

    /// Whose system_id it is. Octets compare exactly, as SMSCs do.
    pub fn provider_of(&self, system_id: &[u8]) -> Option<ProviderId> {
        self.system_ids.get(system_id).copied()
    }

    /// The provider of an id; `None` of one that is gone, or of another registry's.
    pub fn provider_by_id(&self, id: ProviderId) -> Option<&Provider> {
        self.providers.get(*self.places.get(id.0 as usize)? as usize)
    }

    /// The provider of an id that this registry gave.
    ///
    /// # Panics
    ///
    /// When the id is another registry's and nobody has it in this one: a fault of the program,
    /// which no input can bring about.
    pub fn provider(&self, id: ProviderId) -> &Provider {
        self.provider_by_id(id).expect("the id is this registry's")
    }

    /// The code of an id that this registry gave; `None` for another registry's.
    pub fn code_by_id(&self, id: CodeId) -> Option<&Code> {
        let (owner, at) = self.codes.get(id.0 as usize)?;
        self.provider_by_id(*owner)?.codes.get(*at as usize)
    }

    /// The longest code of that plan that `digits` begin with. Its digits_max is the caller's to
    /// check: a number too long is still its owner's.
    pub fn code(&self, plan: Plan, digits: &Digits) -> Option<CodeMatch> {
        let (packed, len) = (pack(digits), digits.len());
        let mut lengths = self.lengths.get(plan as usize)? & ((2 << len) - 1);
        while lengths != 0 {
            let longest = lengths.ilog2() as usize;
            if let Some(&code) = self.numbers.get(&prefix_key(plan, packed, len, longest)) {
                let (owner, _) = *self.codes.get(code.0 as usize)?;
                return Some(CodeMatch { owner, code, extension_digits: (len - longest) as u8 });
            }
            lengths &= !(1 << longest);
        }
        None
    }

    /// Who registered an alphanumeric sender; octets compare exactly. Empty when nobody did.
    pub fn alphanumeric(&self, value: &[u8]) -> &[ProviderId] {
        self.alphanumeric.get(value).map(Vec::as_slice).unwrap_or_default()
    }

    /// To whom a sender is allotted, whatever kind it is.
    pub fn allotment(&self, sender: &Sender<'_>) -> Allotment<'_> {
        let (plan, digits) = match sender {
            Sender::Code(digits) => (Plan::National, digits),
            Sender::International(digits) => (Plan::International, digits),
            Sender::Alphanumeric(value) => {
                return match self.alphanumeric(value) {
                    [] => Allotment::None,
                    owners => Allotment::Alphanumeric(owners),
                };
            }
        };
        self.code(plan, digits)
            .and_then(|found| Some(Allotment::Code(found, self.code_by_id(found.code)?)))
            .unwrap_or(Allotment::None)
    }
}

fn name_of(providers: &[Provider], id: ProviderId) -> String {
    providers.get(id.0 as usize).map(|provider| provider.name.clone()).unwrap_or_default()
}

/// A code must be what `sender` would bring it to, or no sender would ever match it.
fn check_number(code: &Code, part: Part) -> Result<(), RegistryFault> {
    let ton = match code.plan {
        Plan::National => Ton::UNKNOWN,
        Plan::International => Ton::INTERNATIONAL,
    };
    let address = Address { ton, npi: Npi::ISDN, value: code.number.as_bytes() };
    let taken = match (code.plan, sender(&address)) {
        (Plan::National, Ok(Sender::Code(digits))) => digits == code.number,
        // Without its `+` a North American number may look Chinese; the plan says it is not.
        (Plan::International, Ok(Sender::International(_)) | Err(_)) => {
            super::numbering::is_foreign(code.number.as_bytes())
        }
        _ => false,
    };
    match taken {
        true => Ok(()),
        false if code.plan == Plan::National && is_nobodys(code.number.as_bytes()) => {
            Err(RegistryFault::NumberReserved(part))
        }
        false => Err(RegistryFault::Number(part)),
    }
}

/// The digits, four bits each, the last one lowest: 80 bits at most.
fn pack(digits: &Digits) -> u128 {
    digits.as_bytes().iter().fold(0, |sum, digit| sum << 4 | u128::from(digit - b'0'))
}

/// The key of the first `prefix` of `len` packed digits. Length and plan go above the 80 bits of
/// the digits, so that 0-led numbers and plans stay apart.
fn prefix_key(plan: Plan, packed: u128, len: usize, prefix: usize) -> u128 {
    packed >> (4 * (len - prefix)) | (prefix as u128) << 80 | (plan as u128) << 88
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::{Identity, Purpose};

    fn digits(text: &str) -> Digits {
        Digits::new(text.as_bytes()).unwrap()
    }

    fn code(text: &str, digits_max: u8) -> Code {
        let (plan, text) = match text.strip_prefix('+') {
            Some(rest) => (Plan::International, rest),
            None => (Plan::National, text),
        };
        Code {
            plan,
            number: digits(text),
            digits_max,
            purpose: Purpose::Mixed,
            regions: vec![],
            signatures: vec![],
            templates: vec![],
            binary: false,
            requests: vec![],
            scope: String::new(),
            filing: None,
            emergency: false,
        }
    }

    fn provider(name: &str, system_ids: &[&str], codes: &[(&str, u8)]) -> Provider {
        Provider {
            name: name.to_owned(),
            system_ids: system_ids.iter().map(|id| (*id).to_owned()).collect(),
            licence: None,
            identity: Identity::Verified,
            from: vec![],
            rate: None,
            certificates: vec![],
            service_types: vec![],
            sweep: crate::registry::Watch::On,
            vendor_tlv: crate::registry::VendorTlv::default(),
            codes: codes.iter().map(|(text, max)| code(text, *max)).collect(),
            alphanumeric: vec![],
        }
    }

    #[test]
    fn the_longest_code_wins() {
        let registry = Registry::new(vec![
            provider("a", &["a"], &[("106900001234", 16), ("10690000", 20), ("+447700900123", 12)]),
            provider("b", &["b"], &[("1069000012345", 20), ("95588", 20), ("447700900123", 20)]),
        ])
        .unwrap();
        for (plan, number, expected) in [
            (Plan::National, "106900001234567", Some((1, 2))),
            (Plan::National, "106900001234667", Some((0, 3))),
            (Plan::National, "106900001234", Some((0, 0))),
            (Plan::National, "10690000999", Some((0, 3))),
            (Plan::National, "10690000", Some((0, 0))),
            (Plan::National, "1069000", None),
            (Plan::National, "95588", Some((1, 0))),
            (Plan::National, "9558", None),
            (Plan::International, "95588", None),
            (Plan::International, "447700900123", Some((0, 0))),
            (Plan::National, "447700900123", Some((1, 0))),
            (Plan::National, "10690000123456789012", Some((1, 7))),
        ] {
            let found = registry.code(plan, &digits(number));
            let got = found.map(|found| (found.owner.0, found.extension_digits));
            assert_eq!(got, expected, "{number}");
        }
        assert_eq!(registry.provider_of(b"b"), Some(ProviderId(1)));
        assert_eq!(registry.provider_of(b"B"), None);
        let found = registry.code(Plan::National, &digits("955880")).unwrap();
        assert_eq!(registry.code_by_id(found.code).unwrap().number, digits("95588"));
        assert_eq!(registry.code_by_id(CodeId(99)), None);
    }

    #[test]
    fn faults_are_found() {
        let ok = provider("a", &["a"], &[("95588", 20)]);
        let long = "x".repeat(16);
        for (second, expected) in [
            (provider("b", &["b"], &[("955881", 6)]), ""),
            (provider("", &[], &[]), "Name("),
            (provider(&"n".repeat(256), &[], &[]), ""),
            (provider(&"n".repeat(257), &[], &[]), "Name("),
            (provider("a", &[], &[]), "NameTwice"),
            (provider("b", &["a"], &[]), "SystemIdTwice"),
            (provider("b", &[""], &[]), "SystemId {"),
            (provider("b", &[&long[1..]], &[]), ""),
            (provider("b", &[&long], &[]), "SystemId {"),
            (provider("b", &[], &[("95588", 20)]), "NumberTwice"),
            (provider("b", &[], &[("95589", 20), ("95589", 6)]), "NumberTwice"),
            (provider("b", &[], &[("95589", 4)]), "DigitsMax"),
            (provider("b", &[], &[("95589", 5)]), ""),
            (provider("b", &[], &[("95589", 20)]), ""),
            (provider("b", &[], &[("95589", 21)]), "DigitsMax"),
            (provider("b", &[], &[("1064123", 20)]), "NumberReserved"),
            (provider("b", &[], &[("13800138000", 20)]), "NumberReserved"),
            (provider("b", &[], &[("8695589", 20)]), "Number("),
            (provider("b", &[], &[("09558", 20)]), "Number("),
            (provider("b", &[], &[("95", 20)]), "Number("),
            (provider("b", &[], &[("+8695589", 20)]), "Number("),
            (provider("b", &[], &[("+13125551234", 20)]), ""),
        ] {
            let name = second.codes.first().map(|code| code.number.unmasked().to_owned());
            let got = Registry::new(vec![ok.clone(), second]).map(|_| ());
            let text = got.map_or_else(|fault| format!("{fault:?}"), |()| String::new());
            assert!(
                text.starts_with(expected) && text.is_empty() == expected.is_empty(),
                "{name:?}: {text}, not {expected}"
            );
        }
    }

    #[test]
    fn limits_hold_at_the_edge_and_one_past_it() {
        let many = |n: usize| (0..n).map(|i| provider(&i.to_string(), &[], &[])).collect();
        assert!(Registry::new(many(PROVIDERS_MAX)).is_ok());
        assert_eq!(Registry::new(many(PROVIDERS_MAX + 1)).err(), Some(RegistryFault::ProvidersMax));
        let mut whole = provider("a", &[], &[]);
        whole.codes = (0..CODES_MAX).map(|i| code(&format!("1069{i:06}"), 20)).collect();
        let one_more = provider("b", &[], &[("95588", 20)]);
        assert!(Registry::new(vec![whole.clone()]).is_ok());
        let fault = Registry::new(vec![whole, one_more]).err();
        assert_eq!(fault, Some(RegistryFault::CodesMax));
    }

    #[test]
    fn alphanumeric_senders_may_be_shared_between_providers() {
        let mut one = provider("a", &[], &[]);
        one.alphanumeric = vec![b"SHOP".to_vec()];
        let two = Provider { name: "b".to_owned(), ..one.clone() };
        let registry = Registry::new(vec![one.clone(), two]).unwrap();
        assert_eq!(registry.alphanumeric(b"SHOP"), [ProviderId(0), ProviderId(1)]);
        assert_eq!(registry.allotment(&Sender::Alphanumeric(b"shop")), Allotment::None);
        for value in [&b"SHOP"[..], b"", b"10690000", b"ABCDEFGHIJKL"] {
            let mut bad = one.clone();
            bad.alphanumeric.push(value.to_vec());
            assert!(Registry::new(vec![bad]).is_err());
        }
    }

    proptest::proptest! {
        #[test]
        fn the_map_finds_what_a_search_would(
            numbers in proptest::collection::hash_set("9[0-2]{2,6}", 1..40), number in "9[0-2]{2,9}"
        ) {
            let codes: Vec<_> = numbers.iter().map(|text| (text.as_str(), 20)).collect();
            let registry = Registry::new(vec![provider("a", &[], &codes)]).unwrap();
            let longest = numbers.iter().filter(|code| number.starts_with(*code)).map(|c| c.len()).max();
            let found = registry.code(Plan::National, &digits(&number));
            proptest::prop_assert_eq!(
                found.map(|found| number.len() - usize::from(found.extension_digits)), longest
            );
        }
    }

    #[test]
    fn who_follows_keeps_the_place_of_his_name() {
        let registry = |names: &[&str]| {
            let providers = names.iter().map(|name| {
                let mut one = provider(name, &[name], &[]);
                one.alphanumeric = vec![name.as_bytes().to_vec()];
                one
            });
            Registry::new(providers.collect()).unwrap()
        };
        let steps: [(&[&str], &[u32], usize); 6] = [
            (&["a", "b", "c"], &[0, 1, 2], 3),
            (&["c", "b", "a"], &[2, 1, 0], 3),
            (&["b", "new"], &[1, 3], 4),
            (&[], &[], 4),
            (&["new", "c", "newer", "a"], &[3, 2, 4, 0], 5),
            (&["a", "b", "c", "new", "newer"], &[0, 1, 2, 3, 4], 5),
        ];
        let mut before = registry(&[]);
        for (names, ids, places) in steps {
            let now = registry(names).following(&before).unwrap();
            for (name, id) in names.iter().zip(ids) {
                let id = ProviderId(*id);
                assert_eq!(now.provider_of(name.as_bytes()), Some(id), "{names:?} {name}");
                assert_eq!(now.provider(id).name, *name, "{names:?}");
                assert_eq!(now.alphanumeric(name.as_bytes()), [id], "{names:?} {name}");
            }
            assert_eq!(now.ids().count(), names.len(), "{names:?}");
            assert_eq!(now.places(), places, "{names:?}");
            before = now;
        }
        assert_eq!(
            registry(&["a"]).following(&before).unwrap().provider_by_id(ProviderId(1)),
            None
        );
    }

    #[test]
    fn places_end() {
        let registry = |from: usize, until: usize| {
            let named = |at: usize| provider(&at.to_string(), &[&at.to_string()], &[]);
            Registry::new((from..until).map(named).collect()).unwrap()
        };
        let first = registry(0, PROVIDERS_MAX);
        let second = registry(PROVIDERS_MAX, PLACES_MAX).following(&first).unwrap();
        assert_eq!(second.places(), PLACES_MAX);
        assert!(registry(0, 5_000).following(&second).is_ok(), "all of them have been there");
        assert_eq!(registry(PLACES_MAX, PLACES_MAX + 1).following(&second).err(), Some(PlacesFull));
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig {
            failure_persistence: None, cases: 64, ..Default::default()
        })]

        /// Whatever comes, goes, moves: a name has one id for ever, no two share one, and every look-up
        /// says it.
        #[test]
        fn ids_are_stable(
            steps in proptest::collection::vec(proptest::collection::vec(0_usize..12, 0..12), 1..12)
        ) {
            let mut before = Registry::new(vec![]).unwrap();
            let mut known: HashMap<String, ProviderId> = HashMap::new();
            for mut step in steps {
                let mut seen = HashSet::new();
                step.retain(|one| seen.insert(*one));
                // A code goes with the place in the step: it moves from one provider to another.
                let providers = step.iter().enumerate().map(|(at, one)| {
                    let code = format!("1069000{at:05}");
                    provider(&format!("p{one}"), &[&format!("s{one}")], &[(&code, 20)])
                });
                let now = Registry::new(providers.collect()).unwrap().following(&before).unwrap();
                let mut ids = HashSet::new();
                for (at, one) in step.iter().enumerate() {
                    let name = format!("p{one}");
                    let id = now.provider_of(format!("s{one}").as_bytes()).unwrap();
                    proptest::prop_assert_eq!(*known.entry(name.clone()).or_insert(id), id);
                    proptest::prop_assert!(ids.insert(id));
                    proptest::prop_assert_eq!(&now.provider(id).name, &name);
                    let code = now.code(Plan::National, &digits(&format!("1069000{at:05}"))).unwrap();
                    proptest::prop_assert_eq!(code.owner, id);
                    proptest::prop_assert!(now.code_by_id(code.code).is_some());
                }
                for id in known.values().filter(|id| !ids.contains(id)) {
                    proptest::prop_assert!(now.provider_by_id(*id).is_none());
                }
                proptest::prop_assert_eq!(now.places(), known.len());
                before = now;
            }
        }
    }
}
