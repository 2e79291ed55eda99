//! The columns of tables, as docs/records.md lists them.

use std::path::Path;

use consentry::archive::{Column, Holds};

#[test]
fn the_columns_stand_in_the_document_as_they_are() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("docs/records.md")).expect("docs/records.md");
    let (_, table) =
        text.split_once("| column | holds | what it says |\n|---|---|---|\n").expect("the table");
    let lines: Vec<&str> = table.lines().take_while(|line| line.starts_with('|')).collect();
    let expected: Vec<String> = Column::ALL
        .iter()
        .map(|column| {
            let holds = match column.holds() {
                Holds::Number => "number",
                Holds::Time => "time",
                Holds::Text => "text",
            };
            format!("| `{}` | {holds} | {} |", column.name(), column.says())
        })
        .collect();
    assert_eq!(lines, expected);
}
