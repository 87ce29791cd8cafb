//! Reading an object: a thread fetches ahead into two recycled buffers and takes a dropped connection up
//! again where it broke, by a ranged request that insists on the same version of the object.

use super::client::S3Client;
use super::request::{Pace, S3Request, header};
use crate::background::{self, Receiver, Sender};
use crate::cancel::{Cancel, Cause};
use crate::error::{Error, Kind, Result};
use crate::http;
use crate::storage::retry::Backoff;
use rusty_s3::Method;
use std::io::{self, Read};
use std::sync::mpsc;
use ureq::Body;
use ureq::http::Response;

const BUFFER: usize = 256 * 1024;
const BUFFERS: usize = 4;

/// Opens the object `key`, which people know as `shown`, at byte `offset`.
pub(super) fn open(
    client: &S3Client,
    key: String,
    shown: String,
    offset: u64,
    cancel: &Cancel,
) -> Result<Box<dyn Read + Send>> {
    let (sender, receiver) = background::mailbox()?;
    let (back, empty) = mpsc::channel();
    for _ in 0..BUFFERS {
        // the other end is in this function still
        let _ = back.send(Vec::new());
    }
    let stop = Cancel::new()?;
    let fetch = Fetch {
        client: client.clone(),
        key,
        shown,
        stop: stop.clone(),
        sender,
        empty,
        begin: offset,
        at: offset,
        total: None,
        etag: None,
    };
    background::spawn("s3 read", move || fetch.run())?;
    let mut reader = ObjectReader {
        receiver,
        back,
        stop,
        cancel: cancel.clone(),
        chunk: Vec::new(),
        used: 0,
        ended: false,
    };
    // the first message says whether there is such an object
    reader.next()?;
    Ok(Box::new(reader))
}

enum Message {
    /// There is such an object, or a full buffer of it.
    Bytes(Vec<u8>),
    /// All of it was sent.
    End,
}

struct ObjectReader {
    receiver: Receiver<Result<Message>>,
    back: mpsc::Sender<Vec<u8>>,
    stop: Cancel,
    cancel: Cancel,
    chunk: Vec<u8>,
    used: usize,
    ended: bool,
}

impl ObjectReader {
    fn next(&mut self) -> Result<()> {
        match self.receiver.receive(&self.cancel)?? {
            Message::Bytes(bytes) => {
                let spent = std::mem::replace(&mut self.chunk, bytes);
                self.used = 0;
                if spent.capacity() > 0 {
                    // a thread that has ended needs no more buffers
                    let _ = self.back.send(spent);
                }
            }
            Message::End => self.ended = true,
        }
        Ok(())
    }
}

impl Read for ObjectReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.used == self.chunk.len() {
            if self.ended || buffer.is_empty() {
                return Ok(0);
            }
            self.next()?;
        }
        let rest = &self.chunk[self.used..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.used += count;
        Ok(count)
    }
}

impl Drop for ObjectReader {
    fn drop(&mut self) {
        self.stop.cancel(Cause::Stalled("nobody reads on".into()));
    }
}

struct Fetch {
    client: S3Client,
    key: String,
    shown: String,
    stop: Cancel,
    sender: Sender<Result<Message>>,
    empty: mpsc::Receiver<Vec<u8>>,
    /// Where it was opened.
    begin: u64,
    at: u64,
    /// The size of the whole object, once an answer told it.
    total: Option<u64>,
    etag: Option<String>,
}

impl Fetch {
    fn run(mut self) {
        let last = self.fetch().map(|()| Message::End);
        self.sender.send(last);
    }

    fn fetch(&mut self) -> Result<()> {
        let mut patience = self.client.brief().start();
        let mut announced = false;
        loop {
            self.stop.check()?;
            let failure = match self.request() {
                Ok(None) => {
                    self.sender.send(Ok(Message::Bytes(Vec::new())));
                    return Ok(());
                }
                Ok(Some(response)) => {
                    if !announced {
                        self.sender.send(Ok(Message::Bytes(Vec::new())));
                        (announced, patience) = (true, self.client.patient().start());
                    }
                    match self.pump(response, &mut patience) {
                        Ok(()) => return Ok(()),
                        Err(error) => error,
                    }
                }
                Err(error) => error,
            };
            patience.pause(failure, &self.stop)?;
        }
    }

    /// Asks for what is left of the object; `None` where it was opened at its end or past it.
    fn request(&mut self) -> Result<Option<Response<Body>>> {
        let mut request = S3Request::new(
            Method::Get,
            &self.key,
            "s3:GetObject",
            format!("cannot read {}", self.shown),
        );
        request.pace = Pace::Stream;
        if self.at > 0 {
            request = request.header("range", format!("bytes={}-", self.at));
            if let Some(etag) = &self.etag {
                request = request.header("if-match", etag);
            }
        }
        let response = match self.client.open(&request)? {
            Ok(response) => response,
            Err(answer) if answer.status == 412 && self.at > 0 => {
                return Err(self.changed());
            }
            Err(answer) if answer.status == 416 && self.is_at_its_beginning() => return Ok(None),
            Err(answer) => return Err(self.client.explain(&request, &answer)),
        };
        let headers = response.headers();
        if self.is_at_its_beginning() {
            self.etag = header(headers, "etag").map(str::to_string);
        }
        if self.at == 0 {
            self.total = header(headers, "content-length").and_then(|text| text.parse().ok());
            return Ok(Some(response));
        }
        let wanted = format!("bytes {}-", self.at);
        let range = header(headers, "content-range").unwrap_or("");
        if response.status() != 206 || !range.starts_with(&wanted) {
            return Err(Error::failed(format!(
                "cannot take up reading {} at byte {}: {} does not serve ranges",
                self.shown,
                self.at,
                self.client.host()
            )));
        }
        let total = range.rsplit('/').next().and_then(|text| text.parse().ok());
        let other = total.is_some() && self.total.is_some() && total != self.total;
        if other && !self.is_at_its_beginning() {
            return Err(self.changed());
        }
        self.total = total.or(self.total);
        Ok(Some(response))
    }

    /// True as long as nothing was read.
    fn is_at_its_beginning(&self) -> bool {
        self.at == self.begin
    }

    fn changed(&self) -> Error {
        Error::failed(format!("{} was replaced while it was read", self.shown))
            .hint("no backupkit does that: find out what else writes there, and start again")
    }

    /// Hands on what a response brings, until the object is whole or the connection breaks.
    fn pump(&mut self, response: Response<Body>, patience: &mut Backoff) -> Result<()> {
        let mut body = response.into_body().into_reader();
        loop {
            self.stop.check()?;
            let Ok(mut buffer) = self.empty.recv() else {
                return Err(Error::failed("nobody reads on"));
            };
            buffer.resize(BUFFER, 0);
            let (filled, outcome) = fill(&mut body, &mut buffer);
            if filled > 0 {
                self.at += filled as u64;
                patience.progress();
                buffer.truncate(filled);
                self.sender.send(Ok(Message::Bytes(buffer)));
            } else {
                buffer.clear();
                self.give_back(buffer);
            }
            match outcome {
                Ok(false) => {}
                Ok(true) if self.total.is_none_or(|total| total == self.at) => return Ok(()),
                Ok(true) => {
                    return Err(Error::new(
                        Kind::Unavailable,
                        format!(
                            "cannot read {}: the answer ended at byte {} of {}",
                            self.shown,
                            self.at,
                            self.total.unwrap_or_default()
                        ),
                    ));
                }
                Err(error) => {
                    let fault = http::explain(ureq::Error::from(error), self.client.host());
                    return Err(
                        fault.doing(format!("cannot read {} past byte {}", self.shown, self.at))
                    );
                }
            }
        }
    }

    /// An empty buffer goes round by way of the reader, who alone holds the other end.
    fn give_back(&self, buffer: Vec<u8>) {
        self.sender.send(Ok(Message::Bytes(buffer)));
    }
}

/// Fills `buffer`; true at the end of the body. What was read before a fault counts.
fn fill(body: &mut impl Read, buffer: &mut [u8]) -> (usize, io::Result<bool>) {
    let mut filled = 0;
    while filled < buffer.len() {
        match body.read(&mut buffer[filled..]) {
            Ok(0) => return (filled, Ok(true)),
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (filled, Err(error)),
        }
    }
    (filled, Ok(false))
}
