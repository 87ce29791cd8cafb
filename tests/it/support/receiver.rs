//! A receiver of webhooks that answers as a test wants it to, and keeps what it was sent.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver as Channel, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// Far longer than any request takes.
const LIMIT: Duration = Duration::from_secs(120);

/// What becomes of a request.
#[derive(Debug, Clone)]
pub enum Answer {
    /// This status, with further header lines.
    Status(u16, String),
    /// None, and the connection stays.
    Hang,
    /// None, and the connection is reset.
    Reset,
}

impl Answer {
    pub fn status(code: u16) -> Answer {
        Answer::Status(code, String::new())
    }
}

/// What was sent.
#[derive(Debug)]
pub struct Request {
    /// `POST`
    pub method: String,
    /// The path, and the query.
    pub path: String,
    headers: Vec<(String, String)>,
    pub body: String,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).expect("the body is JSON")
    }
}

/// It answers in this order, and goes on with the last answer.
pub struct Receiver {
    pub url: String,
    requests: Channel<Request>,
}

impl Receiver {
    pub fn start(answers: &[Answer]) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let address = listener.local_addr().expect("it has an address");
        let answers = Arc::new(Mutex::new(VecDeque::from(answers.to_vec())));
        let (sender, requests) = channel();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (answers, sender) = (Arc::clone(&answers), sender.clone());
                thread::spawn(move || serve(stream, &answers, &sender));
            }
        });
        Receiver {
            url: format!("http://{address}"),
            requests,
        }
    }

    /// One to which everything is fine.
    pub fn good() -> Receiver {
        Receiver::start(&[Answer::status(200)])
    }

    /// The next request.
    #[track_caller]
    pub fn request(&self) -> Request {
        self.requests.recv_timeout(LIMIT).expect("a request comes")
    }

    /// Those that have come and were not asked for.
    pub fn rest(&self) -> Vec<Request> {
        self.requests.try_iter().collect()
    }
}

/// One connection carries one request.
fn serve(mut stream: TcpStream, answers: &Mutex<VecDeque<Answer>>, sender: &Sender<Request>) {
    let Some(request) = read(&stream) else { return };
    let answer = {
        let mut answers = answers.lock().expect("nobody panics with it");
        match answers.len() {
            1 => answers[0].clone(),
            _ => answers.pop_front().expect("there is an answer"),
        }
    };
    let _ = sender.send(request);
    match answer {
        Answer::Status(code, headers) => {
            let head = format!("HTTP/1.1 {code} So\r\nconnection: close\r\ncontent-length: 0\r\n");
            let _ = stream.write_all(format!("{head}{headers}\r\n").as_bytes());
        }
        Answer::Hang => drop(stream.read(&mut [0])),
        Answer::Reset => {
            rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO))
                .expect("it is a socket");
        }
    }
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = || {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        Some(line.trim_end().to_string())
    };
    let first = line()?;
    let mut words = first.split(' ');
    let (method, path) = (words.next()?.to_string(), words.next()?.to_string());
    let mut headers = Vec::new();
    loop {
        let line = line()?;
        let Some((name, value)) = line.split_once(": ") else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.to_string()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let mut body = vec![0; length.map_or(0, |(_, value)| value.parse().expect("a number"))];
    reader.read_exact(&mut body).ok()?;
    Some(Request {
        method,
        path,
        headers,
        body: String::from_utf8(body).ok()?,
    })
}
