//! The reader: a text in, its class and what spoke for it out.

use super::{Class, FeatureId, Normal, Reading};

/// Reads texts. Holds the weights; shared by all sessions.
#[derive(Debug)]
pub struct Reader {
    digest: String,
    names: Vec<String>,
}

/// What a reader needs beside the text, kept from text to text so that nothing is allocated.
#[derive(Debug, Default)]
pub struct Scratch {
    normal: Normal,
}

impl Reader {
    /// The reader with the weights of this build.
    pub fn built_in() -> Reader {
        Reader { digest: String::new(), names: Vec::new() }
    }

    /// The digest of the weights file: the first 12 hexadecimal digits of its SHA-256, for records.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The name of a feature of one of this reader's readings.
    pub fn feature(&self, id: FeatureId) -> &str {
        self.names.get(usize::from(id.0)).map_or("", String::as_str)
    }

    /// Reads a text: its first [`super::TEXT_OCTETS_MAX`] octets.
    pub fn read(&self, text: &str, scratch: &mut Scratch) -> Reading {
        scratch.normal.fold(text);
        Reading::new(Class::Personal, 0.0, &[])
    }
}
