//! Proxies of the environment: which requests go through them, and that their passwords stay hidden.

use crate::support::cloud::Cloud;
use crate::support::entry::Entry;
use crate::support::postgres::postgres;
use crate::support::receiver::{Answer, Receiver};
use crate::support::sandbox::Sandbox;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver as Channel, channel};
use std::thread;

/// A proxy that makes every tunnel it is asked for, and keeps the heads of the requests.
struct Tunnels {
    address: String,
    asked: Channel<String>,
}

impl Tunnels {
    fn start() -> Tunnels {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let address = listener.local_addr().expect("it has one").to_string();
        let (sender, asked) = channel();
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let sender = sender.clone();
                thread::spawn(move || tunnel(client, &|head| sender.send(head).is_ok()));
            }
        });
        Tunnels { address, asked }
    }

    /// The targets that it was asked for since the last time.
    fn targets(&self) -> Vec<String> {
        let second = |head: String| head.split(' ').nth(1).unwrap_or_default().to_string();
        self.asked.try_iter().map(second).collect()
    }
}

fn tunnel(client: TcpStream, told: &dyn Fn(String) -> bool) -> Option<()> {
    let mut reader = BufReader::new(client.try_clone().ok()?);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        (reader.read_line(&mut head).ok()? > 0).then_some(())?;
    }
    let target = head.split(' ').nth(1)?.to_string();
    told(head);
    let server = TcpStream::connect(target).ok()?;
    (&client).write_all(b"HTTP/1.1 200 OK\r\n\r\n").ok()?;
    let (mut to, mut back) = (server.try_clone().ok()?, client);
    thread::spawn(move || {
        let _ = io::copy(&mut reader, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
    io::copy(&mut &server, &mut back).ok()?;
    let _ = back.shutdown(Shutdown::Write);
    Some(())
}

#[test]
fn a_bucket_is_asked_through_the_proxy_of_its_scheme_alone() {
    let database = postgres(18).create_database("proxied");
    let cloud = Cloud::new(Entry::of(&database));
    let bucket = cloud.proxy.address.clone();
    let tunnels = Tunnels::start();
    let proxy = format!("http://us%40er:canary@{}", tunnels.address);
    let list = |variables: &[(&str, &str)]| {
        let mut command = cloud.sandbox.command(&["list"]);
        command.envs(variables.iter().copied());
        crate::support::program::run(command, "").exits(0);
        tunnels.targets()
    };
    for name in ["http_proxy", "all_proxy", "ALL_PROXY"] {
        let targets = list(&[(name, &proxy)]);
        assert!(targets.contains(&bucket), "{name}: {targets:?}");
        assert!(list(&[(name, &proxy), ("NO_PROXY", "a, 127.0.0.0/8")]).is_empty());
    }
    for name in ["https_proxy", "HTTPS_PROXY", "HTTP_PROXY"] {
        assert!(list(&[(name, &proxy)]).is_empty(), "{name}");
    }
    // what is stored through one is stored
    let mut command = cloud.sandbox.command(&["backup"]);
    command.env("http_proxy", &proxy);
    crate::support::program::run(command, "").exits(0);
    assert!(tunnels.targets().contains(&bucket));
    assert_eq!(cloud.archives().len() + cloud.objects().len(), 3);
}

#[test]
fn a_proxy_that_refuses_is_named_and_its_password_is_not() {
    let receiver = Receiver::good();
    let refusing = Receiver::start(&[Answer::status(407)]);
    let sandbox = Sandbox::new(18);
    let notify = |of: &str| {
        format!(
            "notifications:\n  - type: webhook\n    on: both\n    config: {{ url: '{}{of}' }}\n",
            receiver.url
        )
    };
    let database = postgres(18).create_database("told");
    sandbox.configure_with(&notify("/secret-path"), &[Entry::of(&database)]);
    let test = |proxy: &str| {
        let mut command = sandbox.command(&["test", "--send"]);
        command.env("http_proxy", proxy);
        crate::support::program::run(command, "")
    };
    let proxy = refusing.url.replace("http://", "http://user:canary@");
    let output = test(&proxy).exits(1);
    let told = output.text();
    assert!(told.contains("the proxy of http_proxy"), "{told}");
    let asked = refusing.request();
    assert_eq!(asked.method, "CONNECT");
    // user:canary
    assert_eq!(
        asked.header("proxy-authorization"),
        Some("Basic dXNlcjpjYW5hcnk=")
    );
    assert!(receiver.rest().is_empty());
    let no_proxy = test("canary://user:canary@h").exits(1);
    let told = no_proxy.text();
    assert!(told.contains("http_proxy is no address"), "{told}");
    for output in [output, no_proxy] {
        let text = format!("{}{}", output.text(), output.stderr);
        assert!(!text.contains("canary"), "{text}");
    }
    test("").exits(0);
    assert_eq!(receiver.request().path, "/secret-path");
}
