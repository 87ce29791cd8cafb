//! Mail servers: aiosmtpd, which tells what it was sent, and exim. With certificates of an authority of their own.

use super::part;
use super::wait;
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

/// Far longer than any mail takes.
const LIMIT: Duration = Duration::from_secs(120);
/// Who may log in.
pub const USER: &str = "keeper";

/// A certificate for `localhost`, and the authority that it is by.
pub struct Certificate {
    directory: TempDir,
}

impl Certificate {
    pub fn new() -> Certificate {
        let directory = tempfile::tempdir().expect("make a temporary directory");
        let script = r#"
            key="-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
            openssl req -x509 $key -keyout ca.key -out ca.pem -days 2 -subj '/CN=authority of a test'
            openssl req $key -keyout key.pem -out request.pem -subj /CN=localhost -addext subjectAltName=DNS:localhost
            openssl x509 -req -in request.pem -CA ca.pem -CAkey ca.key -days 2 -copy_extensions copy -out cert.pem
        "#;
        let output = Command::new("sh")
            .args(["-ec", script])
            .current_dir(directory.path())
            .output()
            .expect("sh runs");
        assert!(output.status.success(), "{output:?}");
        Certificate { directory }
    }

    /// The certificate of the authority, for `ca_file`.
    pub fn authority(&self) -> String {
        self.path("ca.pem")
    }

    /// The certificate and its key, for a server.
    pub fn pair(&self) -> [String; 2] {
        [self.path("cert.pem"), self.path("key.pem")]
    }

    fn path(&self, name: &str) -> String {
        let path = self.directory.path().join(name);
        path.to_str().expect("a path in UTF-8").to_string()
    }
}

/// aiosmtpd, gone when dropped.
pub struct Smtpd {
    child: Child,
    told: Receiver<Value>,
    pub port: u16,
}

impl Smtpd {
    /// One as `asked`; see smtpd.py.
    pub fn start(certificate: Option<&Certificate>, mut asked: Value) -> Smtpd {
        if let Some(certificate) = certificate {
            let [certificate, key] = certificate.pair();
            asked["certificate"] = certificate.into();
            asked["key"] = key.into();
        }
        let script = include_str!("smtpd.py");
        Smtpd::python(script, &[asked.to_string()])
    }

    /// Another server in Python, which prints its port and then what it has to tell.
    pub fn python(script: &str, arguments: &[String]) -> Smtpd {
        let mut child = Command::new(part("python").join("bin/python3"))
            .args(["-c", script])
            .args(arguments)
            .env("PYTHONPATH", part("aiosmtpd"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python runs");
        let mut lines = BufReader::new(child.stdout.take().expect("stdout is a pipe")).lines();
        let port = lines.next().and_then(Result::ok);
        let port = port.and_then(|line| line.parse().ok());
        let (sender, told) = channel();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let _ = sender.send(serde_json::from_str(&line).expect("a line of JSON"));
            }
        });
        Smtpd {
            child,
            told,
            port: port.expect("the server says its port"),
        }
    }

    /// A plain one that asks nobody who he is.
    pub fn plain() -> Smtpd {
        Smtpd::start(None, json!({}))
    }

    /// The next mail.
    #[track_caller]
    pub fn mail(&self) -> Value {
        loop {
            let told = self.told.recv_timeout(LIMIT).expect("a mail comes");
            if told["kind"] == "mail" {
                return told;
            }
        }
    }

    /// Everything that was told until now, once the server has ended.
    pub fn end(mut self) -> Vec<Value> {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
        self.told.iter().collect()
    }
}

impl Drop for Smtpd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// exim with TLS on one port and STARTTLS on another, both for those who log in by LOGIN. It keeps what it takes.
pub struct Exim {
    child: Child,
    directory: TempDir,
    pub tls: u16,
    pub starttls: u16,
}

impl Exim {
    /// Its user has to have a name of its own and is not root: a namespace of users has one.
    pub fn start(certificate: &Certificate, password: &str) -> Exim {
        let directory = tempfile::tempdir().expect("make a temporary directory");
        let root = directory.path().display();
        let [tls, starttls] = [free_port(), free_port()];
        let [cert, key] = certificate.pair();
        let configuration = format!(
            r#"spool_directory = {root}/spool
log_file_path = {root}/%s.log
pid_file_path = {root}/pid
keep_environment =
primary_hostname = mail.example.com
local_interfaces = 127.0.0.1
daemon_smtp_ports = {tls} : {starttls}
tls_on_connect_ports = {tls}
tls_certificate = {cert}
tls_privatekey = {key}
tls_advertise_hosts = *
host_lookup =
rfc1413_query_timeout = 0s
queue_only = true
acl_smtp_mail = mail
acl_smtp_rcpt = rcpt
begin acl
mail:
  deny message = log in first
       !authenticated = *
  accept
rcpt:
  deny message = there is nobody of that name
       local_parts = nobody
  accept
begin authenticators
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = Username:: : Password::
  server_condition = ${{if and{{{{eq{{$auth1}}{{{USER}}}}}{{eq{{$auth2}}{{{password}}}}}}}}}
  server_set_id = $auth1
  server_advertise_condition = ${{if def:tls_in_cipher}}
"#
        );
        let write = |name: &str, text: String| {
            fs::write(directory.path().join(name), text).expect("write a file");
        };
        let add = |file: &str, line: &str| {
            fs::read_to_string(file).expect("it is for all to read") + line
        };
        write("exim.conf", configuration);
        write(
            "passwd",
            add("/etc/passwd", "Debian-exim:x:1000:1000::/:/bin/false\n"),
        );
        write("group", add("/etc/group", "Debian-exim:x:1000:\n"));
        fs::create_dir(directory.path().join("spool")).expect("make a directory");
        let exim = part("exim").join("bin/exim");
        let script = format!(
            "mount --bind passwd /etc/passwd; mount --bind group /etc/group
             exec unshare --user --map-user=1000 --map-group=1000 setpriv --pdeathsig KILL \
                {} -C {root}/exim.conf -bdf 2>errors",
            exim.display()
        );
        let child = Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "sh", "-ec", &script])
            .current_dir(directory.path())
            .spawn()
            .expect("unshare runs");
        let exim = Exim {
            child,
            directory,
            tls,
            starttls,
        };
        wait::until("exim listens", || {
            TcpStream::connect(("127.0.0.1", starttls)).ok()
        });
        exim
    }

    /// What it has taken: the parts of its queue one after another, and its log.
    pub fn taken(&self) -> (String, String) {
        let mut files: Vec<PathBuf> = fs::read_dir(self.directory.path().join("spool/input"))
            .into_iter()
            .flatten()
            .map(|entry| entry.expect("read a directory").path())
            .collect();
        files.sort();
        let texts = files
            .iter()
            .map(|path| fs::read_to_string(path).expect("read it"));
        let log = fs::read_to_string(self.directory.path().join("main.log"));
        (texts.collect(), log.expect("read its log"))
    }
}

impl Drop for Exim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    listener.local_addr().expect("it has an address").port()
}
