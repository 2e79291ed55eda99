//! What the cover counts.

use std::collections::{BTreeMap, BTreeSet};

use super::super::columns::Column;
use super::super::row::{Row, Value};

/// Counts over the rows of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Summary {
    pub rows: u64,
    /// Earliest and latest time of a row.
    pub times: Option<(u64, u64)>,
    pub kinds: BTreeMap<String, u64>,
    /// Of messages: by verdict, by what became of them, by class.
    pub verdicts: BTreeMap<String, u64>,
    pub became: BTreeMap<String, u64>,
    pub classes: BTreeMap<String, u64>,
    /// By article and rule, of all rows.
    pub articles: BTreeMap<(String, String), u64>,
    pub providers: BTreeSet<String>,
    /// Messages with a receipt.
    pub receipts: u64,
    /// Messages with what they say.
    pub texts: u64,
}

impl Summary {
    pub fn count(&mut self, row: &Row<'_>) {
        self.rows += 1;
        if let Value::Time(time) = row.value(Column::Time) {
            let (first, last) = self.times.unwrap_or((*time, *time));
            self.times = Some((first.min(*time), last.max(*time)));
        }
        let text = |column| match row.value(column) {
            Value::Text(text) => text.to_string(),
            Value::None | Value::Number(_) | Value::Time(_) => String::new(),
        };
        let add = |counts: &mut BTreeMap<String, u64>, key: String| {
            if !key.is_empty() {
                *counts.entry(key).or_default() += 1;
            }
        };
        let kind = text(Column::Kind);
        if kind == "verdict" {
            add(&mut self.verdicts, text(Column::Verdict));
            add(&mut self.became, text(Column::Became));
            add(&mut self.classes, text(Column::Class));
        }
        add(&mut self.kinds, kind.clone());
        let (article, rule, provider) =
            (text(Column::Article), text(Column::Rule), text(Column::Provider));
        if !rule.is_empty() {
            *self.articles.entry((article, rule)).or_default() += 1;
        }
        if !provider.is_empty() {
            self.providers.insert(provider);
        }
        let has_text = kind == "verdict" && *row.value(Column::TextHex) != Value::None;
        self.texts += u64::from(has_text);
        self.receipts += u64::from(*row.value(Column::ReceiptRecord) != Value::None);
    }
}
