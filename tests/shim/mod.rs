//! The failing disk of `shim.c`, built with the C compiler that Rust links with.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The library; built once a process.
pub fn library() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let own = folder.join(format!("shim.{}.so", std::process::id()));
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
            .arg(&own)
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/shim/shim.c"))
            .arg("-ldl")
            .status()
            .expect("cc, which Rust needs too");
        assert!(built.success(), "tests/shim/shim.c is built");
        // Other tests may build it at the same moment: the name appears with the whole file.
        let library = folder.join("shim.so");
        std::fs::rename(&own, &library).expect("renamed");
        library
    })
}
