//! Kind `file`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::running::Proxy;
use crate::{caught_up, config, metric, records, same, smsc, stop, traffic, within};

pub const NDJSON: &str = "[[mirror]]\nname = \"collector\"\nkind = \"file\"\npath = \"out\"\n\
                      file_size = \"64KiB\"\nwait = \"20ms\"\nbatch = 100\nnode = \"here\"\n";

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder.join("out")) else { return Vec::new() };
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut files: Vec<_> =
        paths.filter(|path| path.to_str().is_some_and(|path| path.ends_with(extension))).collect();
    files.sort();
    files
}

/// All lines, of finished files and of the one that grows.
pub fn lines(folder: &Path) -> Vec<Value> {
    let mut all = files(folder, ".ndjson");
    all.extend(files(folder, ".ndjson.part"));
    let texts = all.iter().map(|path| std::fs::read_to_string(path).expect("text"));
    let text: String = texts.collect();
    text.lines().map(|line| serde_json::from_str(line).expect("one object a line")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_record_is_a_line_once_also_after_a_kill_in_the_middle() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let smsc = smsc();
    for round in 0..6 {
        let mut proxy = Proxy::start(folder.path(), smsc.address(), &config(NDJSON), "");
        traffic(&proxy, 300).await;
        std::thread::sleep(Duration::from_millis(700 * (round % 3)));
        proxy.signal("-KILL");
        proxy.wait();
    }
    let proxy = Proxy::start(folder.path(), smsc.address(), &config(NDJSON), "");
    caught_up(&proxy, "collector");
    let through = *records(folder.path()).last_key_value().expect("records").0;
    assert_eq!(metric(&proxy, "consentry_mirror_failures_total{mirror=\"collector\"}"), Some(0.0));
    stop(proxy);
    let rows = lines(folder.path());
    same(&rows, &records(folder.path()), through);
    assert!(files(folder.path(), ".ndjson").len() > 5, "files are finished at their size");
    assert!(files(folder.path(), ".ndjson.part").len() <= 1);

    let message = rows.iter().find(|row| row["kind"] == "verdict").expect("a message");
    assert_eq!((&message["node"], &message["provider"]), (&"here".into(), &"测试有限公司".into()));
    assert_eq!(message["destination"], "861********02", "masked: {message}");
    let words: std::collections::BTreeSet<_> =
        rows.iter().map(|row| row["journal"].as_str().expect("a word")).collect();
    assert_eq!(words.len(), 1, "kept over restarts");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_cannot_be_written_holds_up_no_message_and_is_caught_up() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let smsc = smsc();
    // A file stands where the folder should be.
    std::fs::write(folder.path().join("out"), b"").expect("written");
    let proxy = Proxy::start(folder.path(), smsc.address(), &config(NDJSON), "");
    traffic(&proxy, 500).await;
    let lag = "consentry_mirror_lag_records{mirror=\"collector\"}";
    within("the lag shows", Duration::from_secs(10), || metric(&proxy, lag) > Some(500.0));
    assert_eq!(proxy.logged("the mirror takes nothing").len(), 1, "said once");
    std::fs::remove_file(folder.path().join("out")).expect("removed");
    caught_up(&proxy, "collector");
    assert_eq!(proxy.logged("the mirror takes records again").len(), 1);
    let through = *records(folder.path()).last_key_value().expect("records").0;
    same(&lines(folder.path()), &records(folder.path()), through);
}

fn object(row: &parquet::record::Row) -> Value {
    use parquet::record::Field;
    let mut object = serde_json::Map::new();
    for (name, field) in row.get_column_iter() {
        match field {
            Field::Long(number) => object.insert(name.clone(), (*number).into()),
            Field::Str(text) => object.insert(name.clone(), text.clone().into()),
            _ => None,
        };
    }
    Value::Object(object)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parquet_files_hold_every_record_once() {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    let folder = tempfile::tempdir().expect("a temporary folder");
    let smsc = smsc();
    let mirror = "[[mirror]]\nname = \"lake\"\nkind = \"file\"\nformat = \"parquet\"\npath = \"out\"\n\
                  file_size = \"16KiB\"\nfile_age = \"1s\"\nwait = \"20ms\"\nbatch = 100\n";
    for _ in 0..2 {
        let mut proxy = Proxy::start(folder.path(), smsc.address(), &config(mirror), "");
        traffic(&proxy, 300).await;
        proxy.signal("-KILL");
        proxy.wait();
    }
    let proxy = Proxy::start(folder.path(), smsc.address(), &config(mirror), "");
    caught_up(&proxy, "lake");
    let through = *records(folder.path()).last_key_value().expect("records").0;
    drop(proxy);
    let mut rows: Vec<Value> = Vec::new();
    for file in files(folder.path(), ".parquet") {
        let reader = SerializedFileReader::new(std::fs::File::open(file).expect("opens"));
        let reader = reader.expect("Parquet");
        let all = reader.get_row_iter(None).expect("rows");
        rows.extend(all.map(|row| object(&row.expect("a row"))));
    }
    same(&rows, &records(folder.path()), through);
}

#[test]
fn a_mirror_that_has_more_than_the_journal_begins_anew_under_another_word() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let smsc = smsc();
    let proxy = Proxy::start(folder.path(), smsc.address(), &config(NDJSON), "");
    caught_up(&proxy, "collector");
    drop(proxy);
    let place = folder.path().join("audit/mirrors/collector.json");
    let text = std::fs::read_to_string(&place).expect("the place");
    let mut object: Value = serde_json::from_str(&text).expect("an object");
    let word = object["journal"].clone();
    object["record"] = 1_000_000.into();
    std::fs::write(&place, object.to_string()).expect("written");
    let proxy = Proxy::start(folder.path(), smsc.address(), &config(NDJSON), "");
    within("it says so", Duration::from_secs(10), || {
        proxy.logged("the mirror has more than the journal").len() == 1
    });
    caught_up(&proxy, "collector");
    let text = std::fs::read_to_string(&place).expect("the place");
    let object: Value = serde_json::from_str(&text).expect("an object");
    assert!(object["record"].as_u64() < Some(1_000) && object["journal"] != word, "{object}");
}
