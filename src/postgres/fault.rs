//! What went wrong, said without a password or a value: what a server says of a row may hold its values, and what
//! the library says of a URL may hold a part of it.

use std::error::Error;
use std::io;

use rustls::CertificateError;

/// Why a database did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// What is configured is wrong, or a file of it cannot be used: trying again changes nothing.
    #[error("{0}")]
    Setting(String),
    /// No server that is what is asked for, no answer, or no connection any more. It is tried again.
    #[error("{0}")]
    Down(String),
    /// The server refuses what was asked.
    #[error("the server {}", said(code, of.as_deref()))]
    Refused {
        /// SQLSTATE, five letters and digits.
        code: String,
        /// The constraint, or else the column, that it is for.
        of: Option<String>,
    },
}

impl Fault {
    /// SQLSTATE, where the server refused.
    pub fn code(&self) -> Option<&str> {
        match self {
            Fault::Refused { code, .. } => Some(code),
            Fault::Setting(_) | Fault::Down(_) => None,
        }
    }

    /// Whether the same may be taken when it is asked once more, without anything having been changed: another
    /// transaction was in the way (SQLSTATE class 40).
    pub fn is_conflict(&self) -> bool {
        self.code().is_some_and(|code| code.starts_with("40"))
    }
}

impl From<tokio_postgres::Error> for Fault {
    fn from(error: tokio_postgres::Error) -> Fault {
        match error.as_db_error() {
            Some(said) => {
                let of = said.constraint().map(|name| format!("constraint {name}"));
                let of = of.or_else(|| said.column().map(|name| format!("column {name}")));
                Fault::Refused { code: said.code().code().to_owned(), of }
            }
            None => Fault::Down(lost(&error)),
        }
    }
}

/// What a SQLSTATE says, where it says who has to do what.
fn said(code: &str, of: Option<&str>) -> String {
    let words = match code {
        "25006" => "is read-only: a standby",
        "3D000" => "has no database of that name",
        "42501" => "gives the user no right to do this",
        "53100" => "has no room on its disk",
        "53300" => "takes no more connections",
        "57014" => "ended what took too long",
        _ if code.starts_with("28") => "refuses the user, its password or its certificate",
        _ if code.starts_with("57P") => "is starting or stopping",
        _ => "refuses",
    };
    match of {
        Some(of) => format!("{words}: SQLSTATE {code}, {of}"),
        None => format!("{words}: SQLSTATE {code}"),
    }
}

/// What the connection says of itself. Of what was read or written nothing is repeated.
fn lost(error: &tokio_postgres::Error) -> String {
    let Some(source) = error.source() else { return error.to_string() };
    if let Some(error) = source.downcast_ref::<io::Error>() {
        return match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(tls) => encryption(tls),
            None => error.to_string(),
        };
    }
    let error = error.to_string();
    // Set words of the library: that there is no TLS, that a password is wanted.
    let is_set =
        ["error performing TLS handshake", "authentication error", "invalid configuration"];
    if is_set.contains(&error.as_str()) { source.to_string() } else { error }
}

/// What TLS says, with the way out where it is known.
fn encryption(error: &rustls::Error) -> String {
    let rustls::Error::InvalidCertificate(fault) = error else { return format!("TLS: {error}") };
    match fault {
        CertificateError::UnknownIssuer => {
            "its certificate is signed by no authority in sslrootcert".to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "its certificate is for another name than the host in the url".to_owned()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate has expired".to_owned()
        }
        other => format!("its certificate is not good: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_its_code_and_who_has_to_do_what() {
        let refused = |code: &str, of: Option<&str>| Fault::Refused {
            code: code.to_owned(),
            of: of.map(str::to_owned),
        };
        for (code, of, expected) in [
            ("28P01", None, "refuses the user, its password or its certificate: SQLSTATE 28P01"),
            ("25006", None, "is read-only: a standby: SQLSTATE 25006"),
            ("57P03", None, "is starting or stopping: SQLSTATE 57P03"),
            ("23514", Some("constraint no_seven"), "refuses: SQLSTATE 23514, constraint no_seven"),
        ] {
            assert_eq!(refused(code, of).to_string(), format!("the server {expected}"));
        }
        assert!(refused("40001", None).is_conflict());
        assert!(!refused("23505", None).is_conflict());
        assert_eq!(Fault::Down("x".to_owned()).code(), None);
    }
}
