//! The files that `consentry init` writes, read line by line, commented lines too: an example of every key.

/// One table of a template.
pub struct Table {
    /// `limits`, `provider.code`.
    pub name: String,
    /// Keys with their values as they stand there, in order; each key once.
    pub keys: Vec<(String, String)>,
}

/// The tables of a template, in order; several may have one name.
pub fn tables(text: &str) -> Vec<Table> {
    let mut tables: Vec<Table> = Vec::new();
    for line in text.lines() {
        let line = line.strip_prefix('#').unwrap_or(line).trim();
        let name = line.trim_start_matches('[').trim_end_matches(']');
        let is_name = |text: &str| {
            let mut letters = text.chars();
            text.starts_with(|c: char| c.is_ascii_lowercase())
                && letters.all(|c| c.is_ascii_lowercase() || c == '_' || c == '.')
        };
        if line.starts_with('[') && line.ends_with(']') && is_name(name) {
            tables.push(Table { name: name.to_owned(), keys: Vec::new() });
        } else if let Some((key, value)) = line.split_once(" = ")
            && let Some(table) = tables.last_mut()
        {
            let key = key.trim();
            let known = table.keys.iter().any(|(there, _)| there == key);
            if is_name(key.trim_matches('"')) && !known {
                table.keys.push((key.to_owned(), value.trim().to_owned()));
            }
        }
    }
    tables
}

/// The example of a key, which may lie within an inline table: `checkpoint.every`. Where RULE stands in it,
/// any key of the template will do.
pub fn example(tables: &[Table], name: &str, key: &str) -> Option<String> {
    if let Some((table, key)) = key.split_once(".RULE.") {
        let table = format!("{name}.{table}");
        let any = tables.iter().find(|one| one.name == table)?.keys.first()?;
        return example(tables, &table, &format!("{}/{key}", any.0));
    }
    let own = tables.iter().filter(|table| table.name == name);
    // A rule's name has a dot of its own.
    let mut path = key.split(if key.contains('/') { '/' } else { '.' });
    let first = path.next()?;
    own.flat_map(|table| &table.keys).filter(|(there, _)| there == first).find_map(|(_, value)| {
        let table: toml::Table = toml::from_str(&format!("v = {value}")).ok()?;
        let mut found = table.get("v")?;
        for key in path.clone() {
            found = found.as_array().and_then(|list| list.first()).unwrap_or(found).get(key)?;
        }
        match (found, key == first) {
            // As it is written there, with its form of numbers and dates.
            (_, true) => Some(value.split(" #").next()?.trim().to_owned()),
            (toml::Value::String(text), false) => Some(format!("{text:?}")),
            (toml::Value::Datetime(day), false) => Some(day.to_string()),
            (other, false) => serde_json::to_string(other).ok(),
        }
    })
}
