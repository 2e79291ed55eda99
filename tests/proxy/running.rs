//! The binary as a process of its own: started on a configuration, listened to, signalled, ended.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command as Process, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

const REGISTRY: &str = r#"
[[provider]]
name       = "测试有限公司"
system_ids = ["test"]
licence    = { number = "B2-1", valid_until = 2099-12-31 }
identity   = "verified"
[[provider.code]]
number     = "106900001234"
digits_max = 16
"#;

/// Asks the admin port, as in `ask(admin, "GET /readyz", "", "")`; `headers` are whole lines. Status and body.
pub fn ask(admin: SocketAddr, what: &str, headers: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(admin).expect("the admin address listens");
    let length = body.len();
    let request = format!(
        "{what} HTTP/1.1\r\nHost: {admin}\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n{body}"
    );
    stream.write_all(request.as_bytes()).expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let status = answer.get(9..12).and_then(|code| code.parse().ok()).expect("a status");
    let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
    (status, body.to_owned())
}

/// A running proxy; killed by its own id when dropped.
pub struct Proxy {
    child: Child,
    /// Where it listens, in the order of the configuration.
    pub listening: Vec<SocketAddr>,
    /// Where it serves metrics, when the configuration has an [admin].
    pub admin: Option<SocketAddr>,
    /// What it said until it served.
    pub said: Vec<String>,
    /// What it has said since.
    log: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// Starts the binary in `folder` before `smsc`; `more` goes behind the configuration, and
    /// `shell` before the program (limits of the process).
    pub fn start(folder: &Path, smsc: SocketAddr, more: &str, shell: &str) -> Proxy {
        let config = format!(
            "[[listen]]\naddress = \"127.0.0.1:0\"\nsmsc = [\"{smsc}\"]\n\
             [registry]\nfile = \"registry.toml\"\n{more}"
        );
        Proxy::start_with(folder, &config, shell)
    }

    /// The same with a configuration of one's own.
    pub fn start_with(folder: &Path, config: &str, shell: &str) -> Proxy {
        Proxy::start_registered(folder, config, "", shell)
    }

    /// The same with more providers in the registry.
    pub fn start_with_registry(folder: &Path, config: &str, providers: &str) -> Proxy {
        Proxy::start_registered(folder, config, providers, "")
    }

    fn start_registered(folder: &Path, config: &str, providers: &str, shell: &str) -> Proxy {
        let binary = env!("CARGO_BIN_EXE_consentry");
        let file = folder.join("consentry.toml");
        let script = format!("{shell} exec {binary} run -c '{}'", file.display());
        let mut process = Process::new("sh");
        process.args(["-c", &script]);
        Proxy::start_process(folder, config, providers, process)
    }

    /// The same by a command of one's own, which starts the binary on the consentry.toml in `folder`.
    pub fn start_by(folder: &Path, config: &str, process: Process) -> Proxy {
        Proxy::start_process(folder, config, "", process)
    }

    fn start_process(folder: &Path, config: &str, providers: &str, mut process: Process) -> Proxy {
        let registry = format!("{REGISTRY}{providers}");
        std::fs::write(folder.join("registry.toml"), registry).expect("a folder to write in");
        std::fs::write(folder.join("consentry.toml"), config).expect("a folder to write in");
        let mut child = process.stderr(Stdio::piped()).spawn().expect("the binary starts");
        let log = child.stderr.take().expect("its log is piped");
        let mut lines = BufReader::new(log).lines();
        let expected = config.matches("[[listen]]").count() + config.matches("[[outbind]]").count();
        let (mut listening, mut admin, mut said) = (Vec::new(), None, Vec::new());
        while listening.len() < expected || admin.is_some() != config.contains("[admin]") {
            let line = lines.next().expect("it says where it listens").expect("readable text");
            if let Some((_, address)) = line.split_once("listening address=") {
                listening.push(address.parse().expect("an address"));
            } else if let Some((_, address)) = line.split_once("admin address=") {
                admin = Some(address.parse().expect("an address"));
            }
            said.push(line);
        }
        // The log has to be read on, or the proxy would wait for its reader.
        let log = Arc::new(Mutex::new(Vec::new()));
        let heard = log.clone();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                heard.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
        Proxy { child, listening, admin, said, log }
    }

    /// Where the first listener is.
    pub fn address(&self) -> SocketAddr {
        self.listening[0]
    }

    /// Lines of the log that hold `text`.
    pub fn logged(&self, text: &str) -> Vec<String> {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        self.said.iter().chain(log.iter()).filter(|line| line.contains(text)).cloned().collect()
    }

    /// The id of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        Process::new("kill").args([signal, &id]).status().expect("kill is there");
    }

    /// Waits for the end, at most 20 s; the exit status.
    pub fn wait(&mut self) -> Option<i32> {
        let until = Instant::now() + Duration::from_secs(20);
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait().expect("it is our child") {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("the proxy did not end within 20 s");
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
