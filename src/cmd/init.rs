//! `consentry init`: files to start from.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;

use super::{Answer, Failure};

const TEMPLATES: [(&str, &str); 2] = [
    ("consentry.toml", include_str!("../../deploy/examples/consentry.toml")),
    ("registry.toml", include_str!("../../deploy/examples/registry.toml")),
];

/// Writes a commented consentry.toml and registry.toml to start from.
#[derive(clap::Args)]
pub struct Args {
    /// The folder; made when it is not there. Files in it are never overwritten.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

/// Writes both files or, when either is there already, none.
pub fn run(args: Args) -> Result<Answer, Failure> {
    for (name, _) in TEMPLATES {
        let path = args.dir.join(name);
        if path.symlink_metadata().is_ok() {
            return Err(Failure(format!(
                "{} is there already and is not overwritten; name another folder",
                path.display()
            )));
        }
    }
    let failed = |path: &PathBuf, error: std::io::Error| {
        Failure(format!("{} cannot be written: {error}", path.display()))
    };
    fs::create_dir_all(&args.dir).map_err(|error| failed(&args.dir, error))?;
    for (name, text) in TEMPLATES {
        let path = args.dir.join(name);
        File::create_new(&path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(|error| failed(&path, error))?;
        println!("{}", path.display());
    }
    Ok(Answer::Yes)
}
