//! The form of `registry.toml`, and what is wrong in one, said with its line.

use std::net::IpAddr;
use std::num::NonZeroU32;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use toml::Spanned;
use toml::value::Datetime;

use super::numbering::{HOME, Written, written};
use super::{
    CertificateName, Code, Digits, Filing, Identity, Licence, Part, Plan, Provider, Purpose,
    Registry, RegistryFault, Template, VendorTlv, Watch, nearest,
};

/// The longest registry text, in octets: room for [`super::CODES_MAX`] codes.
pub const REGISTRY_OCTETS_MAX: usize = 256 << 20;

/// The longest service_type without its NUL, in octets (SMPP 3.4 5.2.11).
const SERVICE_TYPE_OCTETS_MAX: usize = 5;

/// `registry.toml`: who is admitted.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegistryFile {
    /// The content providers.
    #[serde(default)]
    provider: Vec<ProviderTable>,
}

/// A content provider.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ProviderTable {
    /// The legal entity; consent and opt-out bind it, not one number.
    #[schemars(with = "String")]
    name: Spanned<String>,
    /// The system_ids it binds with, 1 to 15 octets each.
    #[schemars(with = "Vec<String>")]
    system_ids: Vec<Spanned<String>>,
    /// Its telecom licence. Without one its binds are refused.
    licence: Option<LicenceTable>,
    /// How far its identity was verified. Only "verified" may send.
    #[serde(default)]
    #[schemars(extend("default" = "pending"))]
    identity: Identity,
    /// Networks it may connect from, as address or address/prefix; empty = anywhere.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    from: Vec<Spanned<String>>,
    /// Client certificates, one of which its binds must show, over TLS: `sha256:` and the digest of the
    /// certificate, or `dns:` and a name in it; empty = none is asked for.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    certificates: Vec<Spanned<String>>,
    /// Messages a second; without it there is no limit.
    rate: Option<NonZeroU32>,
    /// Whether its advertising is watched for numbers that it counts through. "off" is for who writes to
    /// neighbouring numbers rightly: an operator's own customers, a company's own staff.
    #[serde(default)]
    #[schemars(extend("default" = "on"))]
    sweep: Watch,
    /// Tags under which its messages name ids, for the record: 0x1400 to 0x3FFF.
    vendor_tlv: Option<VendorTlvTable>,
    /// The codes allotted to it.
    #[serde(default)]
    code: Vec<CodeTable>,
    /// The service_types it may use beside none and "CMT", 1 to 5 octets each.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    service_types: Vec<Spanned<String>>,
    /// Alphanumeric senders it may use, 1 to 11 octets each.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    alphanumeric: Vec<Spanned<String>>,
}

/// A telecom licence.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct LicenceTable {
    /// Its number as printed.
    number: String,
    /// Its last day, in Asia/Shanghai.
    #[schemars(with = "String", extend("format" = "date"))]
    valid_until: Spanned<Datetime>,
    /// Whether the authority suspended it.
    #[serde(default)]
    suspended: bool,
}

/// Tags of the vendors' range, 0x1400 to 0x3FFF, under which messages name ids. They are put on record and
/// are proof of nothing.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct VendorTlvTable {
    /// The legal entity's id.
    #[schemars(with = "Option<u16>")]
    entity: Option<Spanned<u16>>,
    /// The template's id.
    #[schemars(with = "Option<u16>")]
    template: Option<Spanned<u16>>,
    /// A reference to the recipient's consent.
    #[schemars(with = "Option<u16>")]
    consent: Option<Spanned<u16>>,
}

/// An allotted code.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CodeTable {
    /// Its digits as allotted; a foreign number begins with `+`.
    #[schemars(with = "String")]
    number: Spanned<String>,
    /// The most digits with its extension, 20 at most; without it the code takes no extension.
    #[schemars(with = "Option<u8>")]
    digits_max: Option<Spanned<u8>>,
    /// What it was approved for.
    #[serde(default)]
    #[schemars(extend("default" = "mixed"))]
    purpose: Purpose,
    /// Destination prefixes: `138` or `0571` at home, `+44` abroad; empty = everywhere.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    regions: Vec<Spanned<String>>,
    /// Registered signatures, without brackets.
    #[serde(default)]
    signatures: Vec<String>,
    /// Paths of registered templates, relative to the folder of this file.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    templates: Vec<Spanned<String>>,
    /// Paths of the templates that ask for consent, relative to the folder of this file.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    requests: Vec<Spanned<String>>,
    /// Whether it may send eight-bit data, also to ports and cards. Nobody can read it: by default
    /// it may not.
    #[serde(default)]
    binary: bool,
    /// What a consent must cover for this code: a list, a product; without it, the whole provider.
    #[serde(default)]
    scope: String,
    /// The filing of its public-interest messages; only for purpose "public".
    #[schemars(with = "Option<FilingTable>")]
    filing: Option<Spanned<FilingTable>>,
    /// Whether it is for emergencies: they go at once and are filed afterwards. Only for purpose "public".
    #[schemars(with = "Option<bool>", extend("default" = false))]
    emergency: Option<Spanned<bool>>,
}

/// A filing of public-interest messages with the authority.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct FilingTable {
    /// Its number as the authority gave it.
    number: String,
    /// Its last day, in Asia/Shanghai.
    #[schemars(with = "String", extend("format" = "date"))]
    valid_until: Spanned<Datetime>,
}

/// What is wrong in a registry text: file, line (counted from 1), field, and the way out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileFault {
    /// More than [`REGISTRY_OCTETS_MAX`].
    #[error("{file}:1: longer than {REGISTRY_OCTETS_MAX} octets; split the registry")]
    Length {
        /// The file's name.
        file: String,
    },
    /// A key or word that is not known, and the known one that is nearest.
    #[error("{file}:{line}: `{word}` is not known here; {way_out}")]
    Unknown {
        /// The file's name.
        file: String,
        /// Its line.
        line: usize,
        /// The key or word.
        word: String,
        /// What to write instead.
        way_out: String,
    },
    /// A value that cannot be, a key that is missing, or no TOML at all.
    #[error("{file}:{line}: {field}: {why}")]
    Value {
        /// The file's name.
        file: String,
        /// Its line.
        line: usize,
        /// The field's key.
        field: String,
        /// What is wrong and what to write.
        why: String,
    },
}

/// Reads a registry from its text. `file_name` is only for the errors.
///
/// # Errors
///
/// The first fault found: one sentence with file, line, field and the way out.
pub fn parse(text: &str, file_name: &str) -> Result<Registry, FileFault> {
    if text.len() > REGISTRY_OCTETS_MAX {
        return Err(FileFault::Length { file: file_name.to_owned() });
    }
    let source = Source { text, name: file_name };
    let file: RegistryFile = toml::from_str(text).map_err(|error| source.toml_fault(&error))?;
    let mut providers = Vec::with_capacity(file.provider.len());
    for table in &file.provider {
        providers.push(source.provider(table)?);
    }
    let mut registry =
        Registry::new(providers).map_err(|fault| source.registry_fault(&file, &fault))?;
    registry.digest = Sha256::digest(text.as_bytes()).into();
    Ok(registry)
}

fn template(path: &Spanned<String>) -> Template {
    Template { path: path.get_ref().clone(), at: path.span().start }
}

/// A fault in the value at that octet of the registry's text which only its reader could find, as a
/// file that is not there.
pub fn value_fault(text: &str, file_name: &str, at: usize, field: &str, why: &str) -> FileFault {
    Source { text, name: file_name }.value_fault(at, field, why)
}

/// The text under the eye, for line numbers.
struct Source<'a> {
    text: &'a str,
    name: &'a str,
}

impl Source<'_> {
    /// The line of an octet, counted from 1.
    fn line(&self, at: usize) -> usize {
        let before = self.text.as_bytes().get(..at).unwrap_or(self.text.as_bytes());
        1 + before.iter().filter(|octet| **octet == b'\n').count()
    }

    fn value_fault(&self, at: usize, field: &str, why: impl Into<String>) -> FileFault {
        FileFault::Value {
            file: self.name.to_owned(),
            line: self.line(at),
            field: one_line(field),
            why: one_line(&why.into()),
        }
    }

    fn provider(&self, table: &ProviderTable) -> Result<Provider, FileFault> {
        let strings = |list: &[Spanned<String>]| list.iter().map(|s| s.get_ref().clone()).collect();
        let alphanumeric = table.alphanumeric.iter().map(|s| s.get_ref().as_bytes().to_vec());
        Ok(Provider {
            name: table.name.get_ref().clone(),
            system_ids: strings(&table.system_ids),
            licence: table.licence.as_ref().map(|licence| self.licence(licence)).transpose()?,
            identity: table.identity,
            from: table.from.iter().map(|net| self.net(net)).collect::<Result<_, _>>()?,
            certificates: table
                .certificates
                .iter()
                .map(|one| self.certificate(one))
                .collect::<Result<_, _>>()?,
            rate: table.rate,
            service_types: table
                .service_types
                .iter()
                .map(|one| self.service_type(one))
                .collect::<Result<_, _>>()?,
            sweep: table.sweep,
            vendor_tlv: self.vendor_tlv(table)?,
            codes: table.code.iter().map(|code| self.code(code)).collect::<Result<_, _>>()?,
            alphanumeric: alphanumeric.collect(),
        })
    }

    fn licence(&self, table: &LicenceTable) -> Result<Licence, FileFault> {
        let valid_until_us = self.last_day(&table.valid_until)?;
        Ok(Licence { number: table.number.clone(), valid_until_us, suspended: table.suspended })
    }

    /// Only who sends in the public interest files it.
    fn filing(&self, table: &CodeTable) -> Result<Option<Filing>, FileFault> {
        let why = "is only for a code of purpose = \"public\"; change that, or leave it out";
        let is_public = table.purpose == Purpose::Public;
        if let Some(emergency) = table.emergency.as_ref().filter(|_| !is_public) {
            return Err(self.value_fault(emergency.span().start, "emergency", why));
        }
        let Some(filing) = &table.filing else { return Ok(None) };
        if !is_public {
            return Err(self.value_fault(filing.span().start, "filing", why));
        }
        let FilingTable { number, valid_until } = filing.get_ref();
        Ok(Some(Filing { number: number.clone(), valid_until_us: self.last_day(valid_until)? }))
    }

    /// The first moment after a day.
    fn last_day(&self, day: &Spanned<Datetime>) -> Result<u64, FileFault> {
        let (day, at) = (day.get_ref(), day.span().start);
        let fault = || self.value_fault(at, "valid_until", "write its last day, as 2027-12-31");
        let date = match day {
            Datetime { date: Some(date), time: None, offset: None } => date,
            _ => return Err(fault()),
        };
        end_of_day_us(date.year, date.month, date.day).ok_or_else(fault)
    }

    /// Each tag of the vendors' range, and none for two things.
    fn vendor_tlv(&self, table: &ProviderTable) -> Result<VendorTlv, FileFault> {
        let Some(table) = &table.vendor_tlv else { return Ok(VendorTlv::default()) };
        let named =
            [("entity", &table.entity), ("template", &table.template), ("consent", &table.consent)];
        let mut tags = [None; 3];
        for (at, (field, tag)) in named.into_iter().enumerate() {
            let Some(tag) = tag else { continue };
            let fault = |why| Err(self.value_fault(tag.span().start, field, why));
            if !(0x1400..=0x3fff).contains(tag.get_ref()) {
                return fault("write a tag of the vendors' range, 0x1400 to 0x3FFF");
            }
            if tags.contains(&Some(*tag.get_ref())) {
                return fault("the tag is another id's already; write each once");
            }
            if let Some(slot) = tags.get_mut(at) {
                *slot = Some(*tag.get_ref());
            }
        }
        let [entity, template, consent] = tags;
        Ok(VendorTlv { entity, template, consent })
    }

    fn net(&self, text: &Spanned<String>) -> Result<IpNet, FileFault> {
        let net = text.get_ref().parse::<IpNet>().ok();
        net.or_else(|| text.get_ref().parse::<IpAddr>().ok().map(IpNet::from)).ok_or_else(|| {
            self.value_fault(text.span().start, "from", "write a network, as \"203.0.113.0/24\"")
        })
    }

    fn certificate(&self, text: &Spanned<String>) -> Result<CertificateName, FileFault> {
        CertificateName::parse(text.get_ref()).ok_or_else(|| {
            let why = "write \"sha256:\" and 64 hexadecimal digits, or \"dns:esme.example\"";
            self.value_fault(text.span().start, "certificates", why)
        })
    }

    fn service_type(&self, text: &Spanned<String>) -> Result<String, FileFault> {
        let fits = (1..=SERVICE_TYPE_OCTETS_MAX).contains(&text.get_ref().len());
        if fits && text.get_ref().bytes().all(|octet| octet.is_ascii_graphic()) {
            return Ok(text.get_ref().clone());
        }
        let why = "write 1 to 5 letters, digits or signs, as they stand in the PDU";
        Err(self.value_fault(text.span().start, "service_types", why))
    }

    fn code(&self, table: &CodeTable) -> Result<Code, FileFault> {
        let (text, at) = (table.number.get_ref(), table.number.span().start);
        let (plan, digits) = match text.strip_prefix('+') {
            Some(rest) => (Plan::International, rest),
            None => (Plan::National, text.as_str()),
        };
        let number = Digits::new(digits.as_bytes()).ok_or_else(|| {
            self.value_fault(at, "number", "write 3 to 20 digits, or + and a foreign number")
        })?;
        let digits_max = table.digits_max.as_ref().map_or(number.len() as u8, |max| *max.get_ref());
        let regions = table.regions.iter().map(|region| {
            region_digits(region.get_ref().as_bytes()).ok_or_else(|| {
                let why = "write a prefix such as \"138\" or \"0571\" at home, \"+44\" abroad";
                self.value_fault(region.span().start, "regions", why)
            })
        });
        Ok(Code {
            plan,
            number,
            digits_max,
            purpose: table.purpose,
            regions: regions.collect::<Result<_, _>>()?,
            signatures: table.signatures.clone(),
            templates: table.templates.iter().map(template).collect(),
            binary: table.binary,
            requests: table.requests.iter().map(template).collect(),
            scope: table.scope.clone(),
            filing: self.filing(table)?,
            emergency: table.emergency.as_ref().is_some_and(|emergency| *emergency.get_ref()),
        })
    }

    /// Puts the line to a fault found among the providers.
    fn registry_fault(&self, file: &RegistryFile, fault: &RegistryFault) -> FileFault {
        let code = |p: usize, c: usize| file.provider.get(p).and_then(|p| p.code.get(c));
        let (field, span) = match fault.part() {
            Part::List => ("provider", None),
            Part::Name(p) => ("name", file.provider.get(p).map(|p| p.name.span())),
            Part::SystemId(p, s) => (
                "system_ids",
                file.provider.get(p).and_then(|p| p.system_ids.get(s)).map(Spanned::span),
            ),
            Part::Alphanumeric(p, a) => (
                "alphanumeric",
                file.provider.get(p).and_then(|p| p.alphanumeric.get(a)).map(Spanned::span),
            ),
            Part::Number(p, c) => ("number", code(p, c).map(|code| code.number.span())),
            Part::DigitsMax(p, c) => (
                "digits_max",
                code(p, c).and_then(|code| code.digits_max.as_ref()).map(Spanned::span),
            ),
        };
        self.value_fault(span.map_or(0, |span| span.start), field, fault.to_string())
    }

    /// Says in our words what the TOML reader found.
    fn toml_fault(&self, error: &toml::de::Error) -> FileFault {
        let at = error.span().map_or(0, |span| span.start);
        let message = error.message().trim().replace('\n', ", ");
        let mut quoted = message.split('`').skip(1).step_by(2);
        if message.starts_with("unknown field") || message.starts_with("unknown variant") {
            let word = quoted.next().unwrap_or_default().to_owned();
            let known: Vec<&str> = quoted.collect();
            let way_out = match nearest(&word, &known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known are: {}", known.join(", ")),
            };
            return FileFault::Unknown {
                file: self.name.to_owned(),
                line: self.line(at),
                word: one_line(&word),
                way_out,
            };
        }
        if message.starts_with("missing field") {
            let field = quoted.next().unwrap_or_default().to_owned();
            return self.value_fault(at, &field, "is missing; add it to this table");
        }
        self.value_fault(at, self.field_before(at), format!("{message}; correct it"))
    }

    /// The key of the value that begins at an octet: what stands before the last `=` on its line,
    /// or the table whose header it is.
    fn field_before(&self, at: usize) -> &str {
        let (before, after) = self.text.split_at_checked(at).unwrap_or_default();
        let line = before.rsplit('\n').next().unwrap_or_default();
        if let Some((key, _)) = line.rsplit_once('=') {
            let key = key.trim_end();
            let other = |c: char| !c.is_alphanumeric() && c != '_';
            return key.rsplit(other).next().unwrap_or_default();
        }
        let after = after.split('\n').next().unwrap_or_default();
        match after.trim_start_matches('[').split_once(']') {
            Some((table, _)) if line.chars().all(|c| c == '[') => table,
            _ => "toml",
        }
    }
}

/// A file's own words may hold line breaks and terminal controls; an error holds none.
fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

/// A region as a prefix of E.164 digits. National ones begin with 1 (mobile) or 0 (area code).
fn region_digits(text: &[u8]) -> Option<Digits> {
    let (digits, country_said) = match written(text)? {
        Written::Prefixed(digits) => (digits, true),
        Written::Bare(digits) => (digits, digits.starts_with(HOME)),
    };
    match digits {
        _ if country_said => {
            // A 0 in front of, or behind, the country code would match nobody.
            let area = digits.strip_prefix(HOME).unwrap_or(digits);
            Digits::new(digits).filter(|_| area.first() != Some(&b'0'))
        }
        [b'0', area @ ..] => Digits::new(&[HOME, area].concat()),
        [b'1', ..] => Digits::new(&[HOME, digits].concat()),
        _ => None,
    }
}

/// The first microsecond after a day in Asia/Shanghai, which is UTC+8 all year since 1991.
fn end_of_day_us(year: u16, month: u8, day: u8) -> Option<u64> {
    const DAY_SECONDS: u64 = 86_400;
    const SHANGHAI_SECONDS: u64 = 8 * 3_600;
    let (year, month, day) = (u64::from(year), u64::from(month), u64::from(day));
    if year < 1991 {
        return None;
    }
    // Days from 1970-01-01 in the Gregorian calendar, with the year begun in March so that the
    // leap day is its last.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1;
    const EPOCH_DAYS: u64 = 719_468;
    let seconds = (days.checked_sub(EPOCH_DAYS)? + 1) * DAY_SECONDS - SHANGHAI_SECONDS;
    Some(seconds * 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = r#"
[[provider]]
name       = "示例商城有限公司"
system_ids = ["shop1", "shop2"]
licence    = { number = "B2-20260001", valid_until = 2027-12-31 }
identity   = "verified"
from       = ["203.0.113.0/24", "2001:db8::1"]
rate       = 500
service_types = ["OTP", "SYNTH"]
alphanumeric = ["SHOP"]

[[provider.code]]
number     = "106900001234"
digits_max = 16
purpose    = "commercial"
regions    = ["138", "0571", "+44", "86139"]
signatures = ["示例商城"]
templates  = ["templates/orders.txt"]

[[provider.code]]
number = "+447700900123"
"#;

    #[test]
    fn the_example_reads() {
        let registry = parse(EXAMPLE, "registry.toml").unwrap();
        let provider = registry.provider(registry.provider_of(b"shop2").unwrap());
        assert_eq!(provider.identity, Identity::Verified);
        assert_eq!(provider.rate, NonZeroU32::new(500));
        assert_eq!(provider.service_types, ["OTP", "SYNTH"]);
        assert_eq!(provider.certificates, []);
        let with = EXAMPLE.replacen("500", "500\ncertificates = [\"dns:ESME.example\"]", 1);
        let certified = parse(&with, "registry.toml").unwrap();
        let name = CertificateName::Dns("esme.example".into());
        assert_eq!(certified.providers()[0].certificates, [name]);
        assert!(!provider.codes[0].binary, "nobody sends data unless it is written");
        let licence = provider.licence.as_ref().unwrap();
        // 2027-12-31T16:00:00Z is midnight in Shanghai.
        assert_eq!(licence.valid_until_us, 1_830_268_800_000_000);
        assert!(licence.is_in_force(licence.valid_until_us - 1));
        assert!(!licence.is_in_force(licence.valid_until_us));
        for (peer, may) in [
            ("203.0.113.255", true),
            ("203.0.114.0", false),
            ("::ffff:203.0.113.7", true),
            ("2001:db8::1", true),
            ("2001:db8::2", false),
        ] {
            assert_eq!(provider.may_connect_from(peer.parse().unwrap()), may, "{peer}");
        }
        let regions: Vec<_> = provider.codes[0].regions.iter().map(Digits::unmasked).collect();
        assert_eq!(regions, ["86138", "86571", "44", "86139"]);
        assert_eq!(provider.codes[1].plan, Plan::International);
        assert_eq!(provider.codes[1].digits_max, 12);
        assert_eq!(*registry.digest(), <[u8; 32]>::from(Sha256::digest(EXAMPLE.as_bytes())));
        assert!(parse("", "r").unwrap().providers().is_empty());
    }

    #[test]
    fn faults_name_file_line_field_and_way_out() {
        for (from, to, expected) in [
            ("name   ", "nmae   ", "r.toml:3: `nmae` is not known here; did you mean `name`?"),
            ("rate   ", "colour ", "r.toml:8: `colour` is not known here; known are: name, "),
            (
                "[[provider]]",
                "[[providers]]\n[[provider]]",
                "r.toml:2: `providers` is not known here; did you",
            ),
            ("digits_max", "digit_max", "r.toml:14: `digit_max` is not known here; did you mean"),
            ("\"verified\"", "\"verifed\"", "r.toml:6: `verifed` is not known here; did you mean"),
            ("{ number =", "{ numbr =", "r.toml:5: `numbr` is not known here; did you mean `num"),
            ("name  ", "#", "r.toml:2: name: is missing; add it"),
            ("500", "0", "r.toml:8: rate: invalid value: integer `0`, expected a nonzero u32"),
            ("500", "\"fast\"", "r.toml:8: rate: invalid type"),
            ("16", "300", "r.toml:14: digits_max: invalid value"),
            ("16", "11", "r.toml:14: digits_max: digits_max counts the whole number"),
            ("2027-12-31", "2027-12-31T10:00:00", "r.toml:5: valid_until: write its last day"),
            ("2027-12-31", "2027-02-30", "r.toml:5: "),
            ("2027-12-31", "\"2027-12-31\"", "r.toml:5: valid_until: "),
            ("203.0.113.0/24", "203.0.113.0/33", "r.toml:7: from: write a network"),
            ("\"138\"", "\"44\"", "r.toml:16: regions: write a prefix such as"),
            ("\"shop2\"", "\"shop1\"", "r.toml:4: system_ids: system_id `shop1` is already `示"),
            ("\"106900001234\"", "\"1069 0000\"", "r.toml:13: number: write 3 to 20 digits"),
            ("\"106900001234\"", "\"1064123\"", "r.toml:13: number: the number is in a range"),
            ("\"+447700900123\"", "\"106900001234\"", "r.toml:21: number: the code is already `"),
            ("\"OTP\"", "\"SIXOCT\"", "r.toml:9: service_types: write 1 to 5 letters, digits or"),
            ("\"OTP\"", "\"A B\"", "r.toml:9: service_types: write 1 to 5 letters, digits or"),
            ("\"OTP\"", "\"\"", "r.toml:9: service_types: write 1 to 5 letters, digits or"),
            ("\"SHOP\"", "\"10690\"", "r.toml:10: alphanumeric: an alphanumeric sender has"),
            (
                "\"shop1\", ",
                "\"shop1\", \n\"sixteen_octets__\",",
                "r.toml:5: system_ids: a system_",
            ),
            ("rate       =", "rate", "r.toml:8: "),
            (
                "\"shop2\"",
                "\"a\\u0000\\n\"",
                "r.toml:4: system_ids: a system_id has 1 to 15 octets w",
            ),
            (
                "500",
                "500\ncertificates = [\"esme.example\"]",
                "r.toml:9: certificates: write \"sha256:\" and 64 hexadecimal digits, or",
            ),
            ("[[provider]]", "[[providers]]", "r.toml:12: provider.code: invalid type: map, ex"),
            (
                "500",
                "500\nvendor_tlv = { entity = 0x13FF }",
                "r.toml:9: entity: write a tag of the vendors' range",
            ),
            (
                "500",
                "500\nvendor_tlv = { entity = 0x1400, template = 0x4000 }",
                "r.toml:9: template: write a tag of the vendors' range",
            ),
            (
                "500",
                "500\nvendor_tlv = { entity = 0x1400, consent = 0x1400 }",
                "r.toml:9: consent: the tag is another id's already",
            ),
            (
                "500",
                "500\nvendor_tlv = { entty = 0x1400 }",
                "r.toml:9: `entty` is not known here; did you mean",
            ),
            (
                "signatures = [",
                "filing = { number = \"1\", valid_until = 2026-12-31 }\nsignatures = [",
                "r.toml:17: filing: is only for a code of purpose = \"public\"",
            ),
            (
                "signatures = [",
                "emergency = true\nsignatures = [",
                "r.toml:17: emergency: is only for a code of purpose",
            ),
            (
                "\"commercial\"",
                "\"public\"\nfiling = { number = \"1\", valid_until = 2026-02-30 }",
                "r.toml:16: ",
            ),
        ] {
            let text = EXAMPLE.replacen(from, to, 1);
            assert_ne!(text, EXAMPLE, "{from}");
            let fault = parse(&text, "r.toml").unwrap_err().to_string();
            assert!(fault.starts_with(expected), "{from} -> {to}: {fault}");
            assert!(!fault.contains('\n'), "{fault}");
        }
    }

    #[test]
    fn regions_are_prefixes_of_canonical_numbers() {
        for (text, expected) in [
            ("138", Some("86138")),
            ("0571", Some("86571")),
            ("86", Some("86")),
            ("+86", Some("86")),
            ("0086571", Some("86571")),
            ("+44", Some("44")),
            ("44", None),
            ("+860571", None),
            ("860571", None),
            ("+044", None),
            ("", None),
            ("+", None),
            ("13 8", None),
            ("1234567890123456789", None),
        ] {
            let got = region_digits(text.as_bytes());
            assert_eq!(got.as_ref().map(Digits::unmasked), expected, "{text}");
        }
    }

    #[test]
    fn licences_end_with_their_day_in_shanghai() {
        for (date, expected) in [
            ((2026, 12, 31), Some(1_798_732_800)),
            ((2028, 2, 28), Some(1_835_366_400)),
            ((2028, 2, 29), Some(1_835_452_800)),
            ((2000, 2, 29), Some(951_840_000)),
            ((1990, 12, 31), None),
        ] {
            let got = end_of_day_us(date.0, date.1, date.2);
            assert_eq!(got, expected.map(|seconds: u64| seconds * 1_000_000), "{date:?}");
        }
    }

    #[test]
    fn the_form_has_a_schema() {
        let schema = serde_json::to_value(schemars::schema_for!(RegistryFile)).unwrap();
        assert_eq!(schema["additionalProperties"], false);
        assert_eq!(schema["$defs"]["LicenceTable"]["properties"]["valid_until"]["format"], "date");
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics_and_every_fault_names_the_file(
            at in 0_usize..600, cut in 0_usize..12, put in "[\\[\\]=\"{}#,\n0-9a-z+ 中-]{0,6}"
        ) {
            let mut text: Vec<char> = EXAMPLE.chars().collect();
            let at = at.min(text.len());
            let end = (at + cut).min(text.len());
            text.splice(at..end, put.chars());
            if let Err(fault) = parse(&text.into_iter().collect::<String>(), "r.toml") {
                let fault = fault.to_string();
                proptest::prop_assert!(fault.starts_with("r.toml:") && !fault.contains('\n'));
            }
        }
    }
}
