//! A TCP proxy that knows just enough HTTP to do one wrong thing to one request, as its script says.
//!
//! Every connection carries one request. It answers `Expect: 100-continue` itself.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// What happens to a request.
#[derive(Debug, Clone)]
pub enum Fault {
    /// The server never hears of it; this status and body come back.
    Answer(u16, String),
    /// Nothing is read and nothing comes back, while the proxy lives.
    Stall,
    /// Nothing of it reaches the server before [`Proxy::let_go`]; then all does.
    Hold,
    /// The connection breaks after this many bytes of the request's body.
    Reset(usize),
    /// The connection breaks after this many bytes of the answer's body.
    Truncate(usize),
    /// The server does it, and the connection breaks before its answer.
    LoseAnswer,
    /// The server never hears of it, and the connection breaks after the whole request.
    LoseRequest,
    /// One bit of this byte of the request's body is flipped.
    Corrupt(usize),
}

/// An S3 error document.
pub fn refusal(status: u16, code: &str) -> Fault {
    Fault::Answer(
        status,
        format!(
            "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>scripted</Message></Error>"
        ),
    )
}

struct Rule {
    method: &'static str,
    target: String,
    times: usize,
    fault: Fault,
}

#[derive(Default)]
struct State {
    rules: Vec<Rule>,
    seen: Vec<String>,
    held: Vec<TcpStream>,
    /// How often what was held back has been let go.
    let_go: usize,
    /// Every how manyeth request is answered with a 503, if any.
    every: Option<usize>,
    /// Requests lose their `If-None-Match` on the way.
    unconditional: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// A proxy in front of one server.
pub struct Proxy {
    pub address: String,
    shared: Arc<Shared>,
}

impl Proxy {
    pub fn before(server: &str) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let shared = Arc::new(Shared::default());
        let (server, ours) = (server.to_string(), Arc::clone(&shared));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (server, shared) = (server.clone(), Arc::clone(&ours));
                std::thread::spawn(move || serve(stream.unwrap(), &server, &shared));
            }
        });
        Proxy { address, shared }
    }

    /// The next request with this method whose path and query contain `target` meets `fault`.
    pub fn once(&self, method: &'static str, target: &str, fault: Fault) {
        self.times(1, method, target, fault);
    }

    /// So do the next `times`.
    pub fn times(&self, times: usize, method: &'static str, target: &str, fault: Fault) {
        self.shared.state.lock().unwrap().rules.push(Rule {
            method,
            target: target.to_string(),
            times,
            fault,
        });
    }

    /// Every `count`th request is answered with 503 SlowDown.
    pub fn refuse_every(&self, count: usize) {
        self.shared.state.lock().unwrap().every = Some(count);
    }

    /// Makes the server one that ignores conditional writes, as some do.
    pub fn ignore_conditions(&self) {
        self.shared.state.lock().unwrap().unconditional = true;
    }

    /// The requests so far as `METHOD path?query range: … if-match: …`, without what the signature adds.
    pub fn seen(&self) -> Vec<String> {
        self.shared.state.lock().unwrap().seen.clone()
    }

    /// How many requests with this method had `target` in their path and query.
    pub fn count(&self, method: &str, target: &str) -> usize {
        let seen = self.seen();
        let matching = seen.iter().filter(|line| matches(line, method, target));
        matching.count()
    }

    /// Lets go of all requests that are held back.
    pub fn let_go(&self) {
        self.shared.state.lock().unwrap().let_go += 1;
        self.shared.changed.notify_all();
    }

    /// Waits until such a request has come.
    pub fn wait_for(&self, method: &str, target: &str) {
        let mut state = self.shared.state.lock().unwrap();
        while !state.seen.iter().any(|line| matches(line, method, target)) {
            state = self.shared.changed.wait(state).unwrap();
        }
    }

    /// Waits until the client has closed every stalled connection. Fails where it holds on to one.
    pub fn stalled_are_closed(&self) {
        for stream in &self.shared.state.lock().unwrap().held {
            stream
                .set_read_timeout(Some(Duration::from_secs(20)))
                .unwrap();
            // what was sent before comes first; a reset ends it as well as an end does
            if let Err(error) = std::io::copy(&mut &*stream, &mut std::io::sink()) {
                assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock, "still open");
            }
        }
    }

    /// True once every fault of the script has happened.
    pub fn is_through(&self) -> bool {
        let state = self.shared.state.lock().unwrap();
        state.rules.iter().all(|rule| rule.times == 0)
    }
}

fn matches(line: &str, method: &str, target: &str) -> bool {
    line.split_once(' ')
        .is_some_and(|(of, path)| of == method && path.contains(target))
}

fn serve(client: TcpStream, server: &str, shared: &Shared) {
    let mut reader = BufReader::new(client.try_clone().unwrap());
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if reader.read_until(b'\n', &mut head).unwrap_or(0) == 0 {
            return;
        }
    }
    let head = String::from_utf8(head).unwrap();
    let length = header(&head, "content-length").map_or(0, |text| text.parse().unwrap());
    let waits = header(&head, "expect").is_some();
    let fault = note(&head, shared);
    if waits && !matches!(fault, Some(Fault::Answer(..) | Fault::Stall)) {
        let _ = (&client).write_all(b"HTTP/1.1 100 Continue\r\n\r\n");
    }
    match fault {
        Some(Fault::Answer(status, body)) => {
            let _ = write!(
                &client,
                "HTTP/1.1 {status} Scripted\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            let _ = client.shutdown(Shutdown::Write);
            // read on, so that closing does not reset the answer away
            let _ = std::io::copy(&mut reader, &mut std::io::sink());
        }
        Some(Fault::Stall) => shared.state.lock().unwrap().held.push(client),
        Some(Fault::LoseRequest) => {
            let _ = std::io::copy(&mut reader.take(length as u64), &mut std::io::sink());
            let _ = client.shutdown(Shutdown::Both);
        }
        fault => {
            if matches!(fault, Some(Fault::Hold)) {
                let state = shared.state.lock().unwrap();
                let before = state.let_go;
                drop(
                    shared
                        .changed
                        .wait_while(state, |state| state.let_go == before),
                );
            }
            let head = forwarded(&head, shared.state.lock().unwrap().unconditional);
            forward(&client, reader, server, &head, length, fault);
        }
    }
}

/// Notes the request and finds the fault that it meets.
fn note(head: &str, shared: &Shared) -> Option<Fault> {
    let mut words = head.split(' ');
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let query: Vec<&str> = query
        .split('&')
        .filter(|part| !part.starts_with("X-Amz-"))
        .collect();
    let mut line = format!("{method} {path}?{}", query.join("&"));
    for name in ["range", "if-match"] {
        if let Some(value) = header(head, name) {
            line.push_str(&format!(" {name}: {value}"));
        }
    }
    let mut state = shared.state.lock().unwrap();
    state.seen.push(line.clone());
    shared.changed.notify_all();
    let number = state.seen.len();
    let scripted = state
        .rules
        .iter_mut()
        .find(|rule| rule.times > 0 && matches(&line, rule.method, &rule.target))
        .map(|rule| {
            rule.times -= 1;
            rule.fault.clone()
        });
    let regular = state
        .every
        .is_some_and(|every| number.is_multiple_of(every))
        .then(|| refusal(503, "SlowDown"));
    scripted.or(regular)
}

/// The head as the server gets it: for one request, with nothing to wait for.
fn forwarded(head: &str, unconditional: bool) -> String {
    let kept: Vec<&str> = head
        .trim_end()
        .split("\r\n")
        .filter(|line| {
            let name = line.split(':').next().unwrap().to_ascii_lowercase();
            name != "expect" && name != "connection" && !(unconditional && name == "if-none-match")
        })
        .collect();
    format!("{}\r\nconnection: close\r\n\r\n", kept.join("\r\n"))
}

fn forward(
    client: &TcpStream,
    body: BufReader<TcpStream>,
    server: &str,
    head: &str,
    length: usize,
    fault: Option<Fault>,
) {
    let Ok(upstream) = TcpStream::connect(server) else {
        return;
    };
    if (&upstream).write_all(head.as_bytes()).is_err() {
        return;
    }
    let sending = {
        let (upstream, fault) = (upstream.try_clone().unwrap(), fault.clone());
        std::thread::spawn(move || send_body(body, &upstream, length, fault.as_ref()))
    };
    if let Some(Fault::Reset(_)) = fault {
        let _ = sending.join();
        let _ = upstream.shutdown(Shutdown::Both);
        let _ = client.shutdown(Shutdown::Both);
        return;
    }
    let mut answer = BufReader::new(upstream.try_clone().unwrap());
    match fault {
        Some(Fault::LoseAnswer) => {
            let _ = std::io::copy(&mut answer, &mut std::io::sink());
        }
        Some(Fault::Truncate(limit)) => {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") && answer.read_until(b'\n', &mut head).unwrap() > 0 {
            }
            let _ = (&*client).write_all(&head);
            let _ = std::io::copy(&mut answer.take(limit as u64), &mut &*client);
        }
        _ => {
            let _ = std::io::copy(&mut answer, &mut &*client);
        }
    }
    let _ = upstream.shutdown(Shutdown::Both);
    let _ = client.shutdown(Shutdown::Both);
    let _ = sending.join();
}

fn send_body(
    mut body: BufReader<TcpStream>,
    mut upstream: &TcpStream,
    length: usize,
    fault: Option<&Fault>,
) {
    let mut at = 0;
    let mut buffer = vec![0u8; 64 * 1024];
    let end = match fault {
        Some(Fault::Reset(after)) => length.min(*after),
        _ => length,
    };
    while at < end {
        let wanted = buffer.len().min(end - at);
        let Ok(count @ 1..) = body.read(&mut buffer[..wanted]) else {
            return;
        };
        if let Some(Fault::Corrupt(byte)) = fault
            && (at..at + count).contains(byte)
        {
            buffer[byte - at] ^= 1;
        }
        if upstream.write_all(&buffer[..count]).is_err() {
            return;
        }
        at += count;
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.split("\r\n").find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}
