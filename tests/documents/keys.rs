//! docs/configuration.md and docs/registry.md: every key of the two files, from their JSON schemas. How far
//! a duration or a size may go is asked of the program itself, by a value that is too large for any.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;

use super::generated;
use super::template::{self, Table};

/// More than any duration, or size, may be.
const TOO_LONG: &str = "\"99999999h\"";
const TOO_LARGE: &str = "\"16000000GiB\"";

/// Table, key, and what must be written for the key to mean anything.
const NEEDED: [(&str, &str, &str); 6] = [
    ("consent", "password", "url = \"postgres://db\""),
    ("consent", "outbox", "url = \"postgres://db\""),
    ("consent", "staleness", "url = \"postgres://db\""),
    ("consent", "deadline", "url = \"postgres://db\""),
    ("provider.code", "filing", "purpose = \"public\""),
    ("provider.code", "emergency", "purpose = \"public\""),
];

/// A schema with the definitions that it refers to, and the template with examples of its keys.
struct Written<'a> {
    root: &'a Value,
    tables: Vec<Table>,
    /// What is wrong with a file, if anything.
    parse: &'a dyn Fn(&str) -> Result<(), String>,
    /// What the file needs besides the table in question.
    rest: &'a dyn Fn(&str) -> String,
}

/// A key of a table, as a row of the document.
struct Row {
    key: String,
    value: String,
    default: String,
    meaning: String,
}

impl Written<'_> {
    /// The schema itself, or the one it names, a null that it could be instead left out.
    fn resolved<'s>(&'s self, schema: &'s Value) -> &'s Value {
        let mut schema = schema;
        if let Some(choices) = schema["anyOf"].as_array()
            && let [one] =
                choices.iter().filter(|one| one["type"] != "null").collect::<Vec<_>>()[..]
        {
            schema = one;
        }
        match schema["$ref"].as_str() {
            Some(name) => &self.root["$defs"][name.rsplit('/').next().unwrap_or_default()],
            None => schema,
        }
    }

    /// The words that a value may be, with what each means.
    fn words<'s>(&'s self, schema: &'s Value) -> Vec<(&'s str, &'s str)> {
        let schema = self.resolved(schema);
        let named = schema["oneOf"].as_array().into_iter().flatten().filter_map(|one| {
            Some((one["const"].as_str()?, one["description"].as_str().unwrap_or_default()))
        });
        let plain = schema["enum"].as_array().into_iter().flatten();
        named.chain(plain.filter_map(|word| Some((word.as_str()?, "")))).collect()
    }

    /// What may be written.
    fn value(&self, table: &str, key: &str, schema: &Value) -> String {
        let words = self.words(schema);
        if !words.is_empty() {
            let words: Vec<String> =
                words.iter().map(|(word, _)| format!("`\"{word}\"`")).collect();
            return words.join(", ");
        }
        let schema = self.resolved(schema);
        let kind = match &schema["type"] {
            Value::Array(kinds) => {
                kinds.iter().find(|kind| *kind != "null").unwrap_or(&Value::Null)
            }
            kind => kind,
        };
        // What the type of the program's own field holds says nothing about the key.
        let held = ["uint8", "uint16"].iter().any(|format| schema["format"] == *format);
        let range = |least: &str, most: &str, unit: &str| match (
            schema[least].as_u64(),
            schema[most].as_u64(),
        ) {
            _ if held => String::new(),
            (Some(least), Some(most)) => format!(", {least} to {most}{unit}"),
            (None, Some(most)) => format!(", at most {most}{unit}"),
            (Some(least), None) if least > 0 => format!(", at least {least}{unit}"),
            _ => String::new(),
        };
        let asked = |kind: &str, value: &str| match self.bounds(table, key, value) {
            Some(bounds) => format!("{kind}, {bounds}"),
            None => kind.to_owned(),
        };
        let pattern = schema["pattern"].as_str().unwrap_or_default();
        match kind.as_str().unwrap_or_default() {
            "string" if pattern.contains("ms|s") => asked("duration", TOO_LONG),
            "string" if pattern.contains("GiB") => asked("size", TOO_LARGE),
            "string" if schema["format"] == "date" => "date".to_owned(),
            "string" => format!("text{}", range("minLength", "maxLength", " letters")),
            "integer" => format!("number{}", range("minimum", "maximum", "")),
            "boolean" => "`true`, `false`".to_owned(),
            "object" => "table".to_owned(),
            "array" => {
                let items = self.value(table, key, &schema["items"]);
                format!("list of {items}{}", range("minItems", "maxItems", " of them"))
            }
            _ => {
                let choices = ["anyOf", "oneOf"].iter().filter_map(|of| schema[*of].as_array());
                let choices = choices.flatten().filter(|one| one["type"] != "null");
                let said: Vec<String> = choices.map(|one| self.value(table, key, one)).collect();
                said.join(" or ")
            }
        }
    }

    /// How far it may go, in the program's own words.
    fn bounds(&self, table: &str, key: &str, too_much: &str) -> Option<String> {
        let said = self.with(table, key, too_much).filter_map(Result::err);
        said.filter_map(|why| Some(why.split_once("it may be ")?.1.to_owned())).next()
    }

    /// What the program says of files that have this value: beside what must be there, and beside all that
    /// stands in each table of that name in the template.
    fn with(&self, name: &str, key: &str, value: &str) -> impl Iterator<Item = Result<(), String>> {
        let schema = self.resolved(&self.root["properties"][name]);
        let is_list = name.contains('.') || schema["type"] == "array";
        let first = key.split('.').next().unwrap_or_default();
        let must = |key: &str| {
            let items = self.resolved(&schema["items"]);
            let required = [schema, items].into_iter().filter_map(|one| one["required"].as_array());
            required.flatten().any(|one| one == key) || (name, key) == ("provider.code", "number")
        };
        let mut texts = Vec::new();
        for table in self.tables.iter().filter(|table| table.name == name) {
            for whole in [false, true] {
                let head = if is_list { format!("[[{name}]]") } else { format!("[{name}]") };
                let mut text = format!("{}\n{head}\n", (self.rest)(name));
                for (there, value) in &table.keys {
                    if there != first && (whole || must(there)) {
                        let _ = writeln!(text, "{there} = {value}");
                    }
                }
                for (_, _, needed) in NEEDED.iter().filter(|(of, by, _)| (*of, *by) == (name, key))
                {
                    let _ = writeln!(text, "{needed}");
                }
                let _ = writeln!(text, "{key} = {value}");
                texts.push(text);
            }
        }
        texts.into_iter().map(|text| (self.parse)(&text))
    }

    /// The keys of a table, those of tables within it by their path, those that must be there first.
    fn rows(&self, name: &str, prefix: &str, schema: &Value) -> Vec<Row> {
        let schema = self.resolved(schema);
        let required: Vec<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let mut rows = Vec::new();
        let properties = schema["properties"].as_object().into_iter().flatten();
        let mut properties: Vec<_> = properties
            .map(|(key, own)| (!required.contains(&key.as_str()), format!("{prefix}{key}"), own))
            .collect();
        properties.sort_by_key(|(may, key, _)| (*may, self.place(name, key)));
        for (may, key, own) in properties {
            rows.extend(self.key_rows(name, &key, own, !may));
        }
        rows
    }

    /// Where a key stands in the template; behind all others when it does not.
    fn place(&self, name: &str, key: &str) -> usize {
        let own = self.tables.iter().filter(|table| table.name == name);
        let first = key.split('.').next().unwrap_or_default();
        let mut keys = own.flat_map(|table| &table.keys);
        keys.position(|(there, _)| there == first).unwrap_or(usize::MAX)
    }

    fn key_rows(&self, name: &str, key: &str, schema: &Value, must: bool) -> Vec<Row> {
        let resolved = self.resolved(schema);
        if resolved["additionalProperties"].is_object() {
            return self.rows(name, &format!("{key}.RULE."), &resolved["additionalProperties"]);
        }
        if self.table_of_list(schema).is_some() {
            return Vec::new();
        }
        let within = self.rows(name, &format!("{key}."), schema);
        if !within.is_empty() && resolved["type"] == "object" {
            return within;
        }
        let said = |schema: &Value| schema["description"].as_str().map(one_line);
        let mut meaning = said(schema).or_else(|| said(resolved)).unwrap_or_default();
        for (word, says) in self.words(schema).into_iter().filter(|(_, says)| !says.is_empty()) {
            let _ = write!(meaning, " `{word}`: {}", one_line(says));
        }
        let default = match (&schema["default"], must, key.rsplit_once('.')) {
            (Value::Null, true, None) => "**must be written**".to_owned(),
            (Value::Null, true, Some((table, _))) => format!("must be written where `{table}` is"),
            (Value::Null, false, _) => "none".to_owned(),
            (default, _, _) => format!("`{default}`"),
        };
        let example = template::example(&self.tables, name, key);
        if let Some(example) = example.as_ref().filter(|_| !key.contains('.')) {
            let said: Vec<_> = self.with(name, key, example).collect();
            assert!(said.iter().any(Result::is_ok), "{name} {key} = {example}: {said:?}");
        }
        let says_little = matches!(default.as_str(), "none" | "`[]`" | "`\"\"`") || must;
        let default = match example.filter(|_| says_little) {
            Some(empty) if empty == "[]" => "`[]`".to_owned(),
            Some(example) => format!("{default}; such as `{example}`"),
            None => default,
        };
        let mut rows = vec![Row {
            key: key.to_owned(),
            value: self.value(name, key, schema),
            default,
            meaning,
        }];
        // A list that takes tables beside words.
        for one in resolved["items"]["anyOf"].as_array().into_iter().flatten() {
            rows.extend(self.rows(name, &format!("{key}."), one));
        }
        rows
    }

    /// The table that is written again and again as `[[...]]`, if this is a list of such.
    fn table_of_list<'s>(&'s self, schema: &'s Value) -> Option<&'s Value> {
        let schema = self.resolved(schema);
        let items = self.resolved(schema.get("items")?);
        items["properties"].is_object().then_some(items)
    }

    /// Every table with its keys.
    fn tell(&self, out: &mut String, prefix: &str, schema: &Value) {
        let properties = schema["properties"].as_object().into_iter().flatten();
        let mut properties: Vec<_> =
            properties.map(|(key, own)| (format!("{prefix}{key}"), own)).collect();
        properties.sort_by_key(|(name, _)| {
            self.tables.iter().position(|table| table.name == *name).unwrap_or(usize::MAX)
        });
        for (name, own) in properties {
            let (head, table) = match self.table_of_list(own) {
                Some(table) => (format!("[[{name}]]"), table),
                None if prefix.is_empty() => (format!("[{name}]"), self.resolved(own)),
                None => continue,
            };
            let about = own["description"].as_str().or(table["description"].as_str());
            let _ = write!(out, "\n## `{head}`\n\n{}\n\n", one_line(about.unwrap_or_default()));
            out.push_str("| key | value | default | what it means |\n|---|---|---|---|\n");
            for row in self.rows(&name, "", table) {
                let cells =
                    [&row.value, &row.default, &row.meaning].map(|cell| cell.replace('|', "\\|"));
                let [value, default, meaning] = cells;
                let _ = writeln!(out, "| `{}` | {value} | {default} | {meaning} |", row.key);
            }
            if self.table_of_list(own).is_some() {
                self.tell(out, &format!("{name}."), table);
            }
        }
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn read(path: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(file).expect("it is there")
}

const CONFIGURATION: &str = "# consentry.toml, key by key\n\n\
Written by `BLESS=1 cargo test --test documents` from the JSON schema, which `consentry check --schema` prints for \
editors; do not edit it. `consentry init DIR` writes a commented file to start from, `consentry check -c FILE` says what \
is in force and what is rarely wanted.\n\n\
Relative paths are relative to the folder of the file. Durations carry a unit: `\"250ms\"`, `\"30s\"`, `\"10m\"`, `\"2h\"`. \
So do sizes: `\"70000B\"`, `\"64KiB\"`, `\"512MiB\"`, `\"1GiB\"`. A key that is not known is refused with its line and the \
nearest one that is. A dot in a key of these tables is a table within: `checkpoint.every` is written \
`checkpoint = { every = \"10s\" }`. `[[name]]` may stand several times.\n";

#[test]
fn every_key_of_the_configuration_is_told() {
    let listen = "[[listen]]\naddress = \"0.0.0.0:2775\"\nsmsc = [\"192.0.2.10:2775\"]\n";
    let rules = consentry::policy::Rule::ALL.map(consentry::policy::Rule::name);
    let written = Written {
        root: &consentry::config::schema(),
        tables: template::tables(&read("deploy/examples/consentry.toml")),
        parse: &|text| {
            let parsed = consentry::config::parse(text, "consentry.toml", Path::new(""), &rules);
            parsed.map(drop).map_err(|fault| fault.to_string())
        },
        rest: &|name| if name == "listen" { String::new() } else { listen.to_owned() },
    };
    let mut text = CONFIGURATION.to_owned();
    written.tell(&mut text, "", written.root);
    generated::must_be("docs/configuration.md", &text);
}

const PROVIDER: &str = "[[provider]]\nname = \"示例商城有限公司\"\nsystem_ids = [\"shop1\"]\n";

const REGISTRY: &str = "# registry.toml, key by key\n\n\
Written by `BLESS=1 cargo test --test documents` from the schema of the file; do not edit it. `consentry init DIR` writes a \
commented one to start from, `consentry replay --suggest-registry` one from what was seen on the wire, and \
`consentry check -c FILE` says what is wrong, with its line.\n\n\
A code (码号) belongs to the provider above it. `[[provider]]` and `[[provider.code]]` may stand several times.\n";

#[test]
fn every_key_of_the_registry_is_told() {
    let root = schemars::schema_for!(consentry::registry::RegistryFile).to_value();
    let written = Written {
        root: &root,
        tables: template::tables(&read("deploy/examples/registry.toml")),
        parse: &|text| {
            let parsed = consentry::registry::parse(text, "registry.toml");
            parsed.map(drop).map_err(|fault| fault.to_string())
        },
        rest: &|name| if name == "provider" { String::new() } else { PROVIDER.to_owned() },
    };
    let mut text = REGISTRY.to_owned();
    written.tell(&mut text, "", written.root);
    generated::must_be("docs/registry.md", &text);
}
