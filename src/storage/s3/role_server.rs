//! A server that hands out the keys of a role, for tests.

use super::credentials::Environment;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

pub fn environment(pairs: &[(&'static str, String)]) -> Environment {
    let pairs = pairs.to_vec();
    Box::new(move |name| {
        pairs
            .iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value.clone())
    })
}

/// Answers each request with what `respond` makes of its head, on one connection each. Nothing is a 404.
pub fn serve(respond: impl Fn(&str) -> String + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = String::new();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            while !head.ends_with("\r\n\r\n") {
                if reader.read_line(&mut head).unwrap() == 0 {
                    break;
                }
            }
            let body = respond(&head);
            let status = if body.is_empty() {
                "404 None"
            } else {
                "200 OK"
            };
            let _ = write!(
                stream,
                "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
        }
    });
    address
}

pub fn document(key: &str, expires: &str) -> String {
    format!(
        r#"{{"AccessKeyId":"{key}","SecretAccessKey":"s","Token":"t","Expiration":"{expires}"}}"#
    )
}
