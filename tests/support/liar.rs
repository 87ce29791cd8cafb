//! An S3 server that lies: it stands before a real one and changes, as its lie says, what is kept and what is answered.
//!
//! Every connection carries one request, which is taken whole before the lie hears of it. It answers
//! `Expect: 100-continue` itself.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// One request.
pub struct Asked {
    pub method: String,
    /// The path and the query, as they were sent.
    pub target: String,
    /// The whole key; empty for the bucket.
    pub key: String,
    head: String,
    pub body: Vec<u8>,
}

impl Asked {
    pub fn is(&self, method: &str, part: &str) -> bool {
        self.method == method && self.target.contains(part)
    }

    /// A request header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.split("\r\n").skip(1);
        let mut pairs = lines.filter_map(|line| line.split_once(':'));
        pairs
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
    }

    /// The same request with another body.
    pub fn with_body(&self, body: Vec<u8>) -> Asked {
        Asked {
            method: self.method.clone(),
            target: self.target.clone(),
            key: self.key.clone(),
            head: self.head.clone(),
            body,
        }
    }

    /// The same request without a header, which its signature must not cover.
    pub fn without_header(&self, name: &str) -> Asked {
        let kept = self.head.split("\r\n").filter(|line| {
            let of = line.split(':').next().unwrap_or_default();
            !of.eq_ignore_ascii_case(name)
        });
        let head = kept.collect::<Vec<&str>>().join("\r\n");
        Asked {
            head,
            ..self.with_body(self.body.clone())
        }
    }

    /// True for the one request that makes an object visible: a PUT of all of it, or the completion of its parts.
    pub fn makes_visible(&self) -> bool {
        match self.method.as_str() {
            "PUT" => !self.target.contains("partNumber="),
            "POST" => self.target.contains("uploadId="),
            _ => false,
        }
    }

    pub fn lists(&self) -> bool {
        self.is("GET", "list-type=2")
    }
}

/// What comes back.
#[derive(Debug, Clone)]
pub struct Answered {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The connection breaks after this many bytes of the body.
    pub breaks_after: Option<usize>,
    /// The body is sent again and again, until nobody listens any more.
    pub is_endless: bool,
}

impl Answered {
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Answered {
        Answered {
            status,
            headers: Vec::new(),
            body: body.into(),
            breaks_after: None,
            is_endless: false,
        }
    }

    /// An S3 error document.
    pub fn refusal(status: u16, code: &str) -> Answered {
        let text = format!("<Error><Code>{code}</Code><Message>scripted</Message></Error>");
        Answered::new(status, text)
    }

    /// Nothing but the end of the connection.
    pub fn lost() -> Answered {
        Answered::new(0, "")
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub fn without(mut self, name: &str) -> Answered {
        self.headers
            .retain(|(key, _)| !key.eq_ignore_ascii_case(name));
        self
    }

    pub fn with(self, name: &str, value: impl ToString) -> Answered {
        let mut answered = self.without(name);
        answered.headers.push((name.to_string(), value.to_string()));
        answered
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The same with another body, whose length is told.
    pub fn saying(self, body: impl Into<Vec<u8>>) -> Answered {
        let body = body.into();
        let mut answered = self.with("content-length", body.len());
        answered.body = body;
        answered
    }
}

/// The real server, as a lie may use it.
pub struct Truth<'a> {
    address: &'a str,
    bucket: &'a Path,
    notes: &'a Mutex<BTreeMap<String, String>>,
}

impl Truth<'_> {
    /// What the real server answers, having done it.
    pub fn answer(&self, asked: &Asked) -> Answered {
        forward(self.address, asked).unwrap_or_else(Answered::lost)
    }

    /// The file that holds an object.
    pub fn file(&self, key: &str) -> PathBuf {
        self.bucket.join(key)
    }

    /// Changes the bytes that the server keeps of an object, if it does.
    pub fn change(&self, key: &str, change: impl Fn(&mut Vec<u8>)) {
        if let Ok(mut bytes) = std::fs::read(self.file(key)) {
            change(&mut bytes);
            std::fs::write(self.file(key), bytes).unwrap();
        }
    }

    /// Writes something down for later requests, and returns what stood there before.
    pub fn note(&self, name: &str, value: impl Into<String>) -> Option<String> {
        let mut notes = self.notes.lock().unwrap();
        notes.insert(name.to_string(), value.into())
    }

    /// What was written down.
    pub fn noted(&self, name: &str) -> Option<String> {
        self.notes.lock().unwrap().get(name).cloned()
    }
}

/// What becomes of a request.
pub type Lie = fn(&Asked, &Truth<'_>) -> Answered;

/// A server that is honest until it is told a lie to tell.
pub struct Liar {
    pub address: String,
    lie: Arc<Mutex<Option<Lie>>>,
}

impl Liar {
    /// Before the server at `server`, whose objects are the files of the directory `bucket`.
    pub fn before(server: &str, bucket: &Path) -> Liar {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let told = Arc::new(Mutex::new(None::<Lie>));
        let notes = Arc::new(Mutex::new(BTreeMap::new()));
        let (server, bucket, ours) = (server.to_string(), bucket.to_path_buf(), Arc::clone(&told));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (server, bucket) = (server.clone(), bucket.clone());
                let (told, notes) = (Arc::clone(&ours), Arc::clone(&notes));
                std::thread::spawn(move || {
                    let Some((stream, asked)) = stream.ok().and_then(receive) else {
                        return;
                    };
                    let lie = *told.lock().unwrap();
                    let truth = Truth {
                        address: &server,
                        bucket: &bucket,
                        notes: &notes,
                    };
                    let answered = match lie {
                        Some(lie) => lie(&asked, &truth),
                        None => truth.answer(&asked),
                    };
                    send(stream, &asked, answered);
                });
            }
        });
        Liar { address, lie: told }
    }

    /// From now on, it lies like this.
    pub fn lies(&self, lie: Lie) {
        *self.lie.lock().unwrap() = Some(lie);
    }

    /// From now on, it is honest.
    pub fn repents(&self) {
        *self.lie.lock().unwrap() = None;
    }
}

fn receive(stream: TcpStream) -> Option<(TcpStream, Asked)> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let head = read_head(&mut reader)?;
    let mut words = head.split(' ');
    let (method, target) = (words.next()?.to_string(), words.next()?.to_string());
    let path = target.split('?').next()?.trim_start_matches('/');
    let key = path.split_once('/').map_or("", |(_, key)| key);
    let mut asked = Asked {
        key: unescape(key),
        method,
        target,
        head,
        body: Vec::new(),
    };
    if asked.header("expect").is_some() {
        (&stream).write_all(b"HTTP/1.1 100 Continue\r\n\r\n").ok()?;
    }
    let length = asked.header("content-length").unwrap_or("0").parse().ok()?;
    reader.take(length).read_to_end(&mut asked.body).ok()?;
    (asked.body.len() as u64 == length).then_some((stream, asked))
}

fn read_head(reader: &mut impl BufRead) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if reader.read_until(b'\n', &mut head).ok()? == 0 {
            return None;
        }
    }
    String::from_utf8(head).ok()
}

fn unescape(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let code = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let code = code.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (first, code) {
            (b'%', Some(code)) => {
                bytes.push(code);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_default()
}

/// The real server's answer, with its body whole.
fn forward(address: &str, asked: &Asked) -> Option<Answered> {
    let mut upstream = TcpStream::connect(address).ok()?;
    let kept = asked.head.trim_end().split("\r\n").filter(|line| {
        let name = line.split(':').next().unwrap_or_default();
        !name.eq_ignore_ascii_case("expect") && !name.eq_ignore_ascii_case("connection")
    });
    let kept: Vec<&str> = kept.collect();
    let head = format!("{}\r\nconnection: close\r\n\r\n", kept.join("\r\n"));
    upstream.write_all(head.as_bytes()).ok()?;
    upstream.write_all(&asked.body).ok()?;
    let mut reader = BufReader::new(upstream);
    let head = read_head(&mut reader)?;
    let mut lines = head.trim_end().split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers = lines.filter_map(|line| line.split_once(':'));
    let headers = headers.map(|(name, value)| (name.to_string(), value.trim().to_string()));
    let mut answered = Answered::new(status, "");
    answered.headers = headers.collect();
    let mut body = Vec::new();
    reader.read_to_end(&mut body).ok()?;
    answered = answered.without("connection");
    if answered.header("transfer-encoding").is_some() {
        answered = answered.without("transfer-encoding");
        body = unchunk(&body)?;
    }
    if asked.method != "HEAD" {
        answered = answered.saying(body);
    }
    Some(answered)
}

fn unchunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = rest.iter().position(|byte| *byte == b'\n')?;
        let size = std::str::from_utf8(&rest[..line]).ok()?.trim();
        let size = usize::from_str_radix(size, 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        rest = &rest[line + 1..];
        body.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size + 2..)?;
    }
}

/// Sends the answer. Nobody may be listening any more, which is no concern of a liar.
fn send(mut stream: TcpStream, asked: &Asked, answered: Answered) {
    if answered.status == 0 {
        return;
    }
    let mut head = format!(
        "HTTP/1.1 {} Scripted\r\nconnection: close\r\n",
        answered.status
    );
    for (name, value) in &answered.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if answered.header("content-length").is_none() && !answered.is_endless {
        head.push_str(&format!("content-length: {}\r\n", answered.body.len()));
    }
    head.push_str("\r\n");
    if stream.write_all(head.as_bytes()).is_err() || asked.method == "HEAD" {
        return;
    }
    let end = answered.breaks_after.unwrap_or(answered.body.len());
    let body = &answered.body[..end.min(answered.body.len())];
    while stream.write_all(body).is_ok() && answered.is_endless {}
}
