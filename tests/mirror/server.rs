//! A PostgreSQL server of the test's own: the newest one below /usr/lib/postgresql, in a temporary folder,
//! as a user without rights, on a free port of loopback, ended by its id.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio_postgres::NoTls;

/// PostgreSQL does not run as root: then everything of it belongs to "nobody".
const NOBODY: u32 = 65_534;

pub struct Server {
    folder: tempfile::TempDir,
    bin: PathBuf,
    port: u16,
    postmaster: Option<Child>,
}

/// Where the programs are; none where PostgreSQL is not installed.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let bins = versions.flatten().map(|version| version.path().join("bin"));
    bins.filter(|bin| bin.join("postgres").exists()).max()
}

fn is_root() -> bool {
    std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").expect("/proc")) == 0
}

impl Server {
    /// Makes a cluster and starts it. None, and a line that says so, where there is no PostgreSQL;
    /// `tests/run` installs it and sets CONSENTRY_TEST_ALL, which makes that a failure.
    pub fn start() -> Option<Server> {
        let Some(bin) = programs() else {
            assert!(std::env::var_os("CONSENTRY_TEST_ALL").is_none(), "no PostgreSQL is installed");
            eprintln!(
                "not shown: no PostgreSQL below /usr/lib/postgresql; apt-get install postgresql"
            );
            return None;
        };
        let folder = tempfile::tempdir().expect("a temporary folder");
        if is_root() {
            std::os::unix::fs::chown(folder.path(), Some(NOBODY), Some(NOBODY)).expect("chown");
        }
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = free.local_addr().expect("an address").port();
        drop(free);
        let mut server = Server { folder, bin, port, postmaster: None };
        let made = server
            .command("initdb")
            .args(["-A", "trust", "-U", "consentry", "-E", "UTF8", "--locale=C", "-N", "-D"])
            .arg(server.data())
            .stdout(Stdio::null())
            .status()
            .expect("initdb starts");
        assert!(made.success(), "initdb");
        server.up();
        Some(server)
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        command.current_dir(self.folder.path());
        if is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }

    /// Starts the server on the cluster and waits until it answers.
    pub fn up(&mut self) {
        let log = std::fs::File::create(self.folder.path().join("log")).expect("a log");
        let postmaster = self
            .command("postgres")
            .args(["-c", "listen_addresses=127.0.0.1", "-c", "max_connections=20"])
            .args(["-c", "shared_buffers=16MB", "-c", "unix_socket_directories="])
            .args(["-p", &self.port.to_string(), "-D"])
            .arg(self.data())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("postgres starts");
        self.postmaster = Some(postmaster);
        let until = Instant::now() + Duration::from_secs(30);
        while self.try_query("SELECT 1").is_err() {
            let log = || std::fs::read_to_string(self.folder.path().join("log"));
            assert!(Instant::now() < until, "PostgreSQL does not answer: {:?}", log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Ends the server at once, as a crash of its machine would.
    pub fn down(&mut self) {
        let Some(mut postmaster) = self.postmaster.take() else { return };
        // SIGQUIT: the postmaster ends its processes and itself, without a checkpoint.
        let id = postmaster.id().to_string();
        Command::new("kill").args(["-QUIT", &id]).status().expect("kill is there");
        let until = Instant::now() + Duration::from_secs(20);
        while postmaster.try_wait().expect("our child").is_none() {
            if Instant::now() > until {
                let _ = postmaster.kill();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// Runs statements; the rows of the last, as texts.
    pub fn query(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        self.try_query(sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    fn try_query(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>, tokio_postgres::Error> {
        let url = format!("postgres://consentry@{}/postgres", self.address());
        // A thread of its own: the caller may be inside a runtime.
        std::thread::scope(|scope| {
            let asked = scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.expect("a runtime").block_on(async {
                    let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
                    tokio::spawn(async move { drop(connection.await) });
                    let messages = client.simple_query(sql).await?;
                    let rows = messages.iter().filter_map(|message| match message {
                        tokio_postgres::SimpleQueryMessage::Row(row) => {
                            let cell = |at| row.get(at).map(str::to_owned);
                            Some((0..row.len()).map(cell).collect())
                        }
                        _ => None,
                    });
                    Ok(rows.collect())
                })
            });
            asked.join().expect("it does not panic")
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.down();
    }
}
