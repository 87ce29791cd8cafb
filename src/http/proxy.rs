//! Which proxy a URL is asked through: the rules of curl, by which machines are set up.
//!
//! `https_proxy` and `HTTPS_PROXY` are for `https://` alone, `http_proxy` for `http://` alone, `all_proxy` and `ALL_PROXY` for
//! what neither of them says. `HTTP_PROXY` in capitals is ignored: a web server sets it to a header of a stranger's request.
//! `no_proxy` and `NO_PROXY` name hosts that are asked directly. Small letters win, and an empty variable is none.

use crate::error::{Error, Result};
use std::net::IpAddr;
use ureq::Proxy;
use url::{Host, Url};

/// Reads a variable of the environment.
pub type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The variables for a scheme, in the order in which they are asked.
fn names(scheme: &str) -> &'static [&'static str] {
    match scheme {
        "https" => &["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"],
        _ => &["http_proxy", "all_proxy", "ALL_PROXY"],
    }
}

/// The server of a URL, which is all of it that is ever told.
pub(super) fn server(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_string(),
    }
}

/// The proxy for `url` and the variable that names it. The variable's value, which may hold a password, is in no error.
pub(super) fn of(url: &Url, variables: Variables) -> Result<Option<(Proxy, &'static str)>> {
    let set = |name: &&&'static str| {
        let value = variables(name).map(|value| value.trim().to_string());
        Some((**name, value.filter(|value| !value.is_empty())?))
    };
    let Some((name, value)) = names(url.scheme()).iter().find_map(|name| set(&name)) else {
        return Ok(None);
    };
    let direct = ["no_proxy", "NO_PROXY"];
    let direct = direct.iter().find_map(|name| set(&name));
    if direct.is_some_and(|(_, list)| is_direct(&list, url)) {
        return Ok(None);
    }
    match address(&value) {
        Some(proxy) => Ok(Some((proxy, name))),
        None => Err(Error::usage(format!(
            "{} is to be asked through a proxy, but {name} is no address of one",
            server(url)
        ))
        .hint("write it as http://HOST:PORT or socks5h://HOST:PORT, with USER:PASSWORD@ before HOST where it wants a login, or unset it")),
    }
}

/// The proxy at an address, of http where no scheme is said. ureq alone takes one without a host or with a bad port.
fn address(value: &str) -> Option<Proxy> {
    let whole = match value.contains("://") {
        true => value.to_string(),
        false => format!("http://{value}"),
    };
    let url = Url::parse(&whole).ok()?;
    url.host_str().filter(|host| !host.is_empty())?;
    Proxy::new(&whole).ok()
}

/// True where an item of `list`, separated by commas or spaces, means the host of `url`.
fn is_direct(list: &str, url: &Url) -> bool {
    let (Some(host), port) = (url.host(), url.port_or_known_default()) else {
        return false;
    };
    let items = list.split(|char: char| char == ',' || char.is_whitespace());
    let mut items = items.filter(|item| !item.is_empty());
    items.any(|item| is_meant(item, &host, port))
}

/// True where `item` means that host: `*`, a name with all below it (a dot or `*.` before it changes nothing), an address, or a
/// range of addresses such as `10.0.0.0/8`. A port behind it, `host:9000`, narrows it down to that one.
fn is_meant(item: &str, host: &Host<&str>, port: Option<u16>) -> bool {
    if item == "*" {
        return true;
    }
    let (item, only) = without_port(item);
    if only.is_some() && only != port {
        return false;
    }
    match host {
        Host::Domain(name) => {
            let item = item.strip_prefix('*').unwrap_or(item);
            let item = item.trim_matches('.').to_ascii_lowercase();
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            let above = name.strip_suffix(&item);
            !item.is_empty() && above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
        }
        Host::Ipv4(address) => is_in_range((*address).into(), item),
        Host::Ipv6(address) => is_in_range((*address).into(), item),
    }
}

/// `host:port` and `[v6]:port` taken apart; an IPv6 address has no port without brackets.
fn without_port(item: &str) -> (&str, Option<u16>) {
    let (host, port) = match item.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => (host, rest.strip_prefix(':')),
        None if item.matches(':').count() == 1 => {
            let (host, port) = item.split_once(':').unwrap_or((item, ""));
            (host, Some(port))
        }
        None => (item, None),
    };
    match port.map(str::parse) {
        Some(Ok(port)) => (host, Some(port)),
        _ => (host, None),
    }
}

/// True where `item` is that address, or a range that holds it.
fn is_in_range(address: IpAddr, item: &str) -> bool {
    let (network, length) = match item.split_once('/') {
        Some((network, length)) => (network, length.parse().ok()),
        None => (item, Some(u32::MAX)),
    };
    let (Ok(network), Some(length)) = (network.parse::<IpAddr>(), length) else {
        return false;
    };
    let (ours, theirs, width) = match (address.to_canonical(), network.to_canonical()) {
        (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
            (u128::from(ours.to_bits()), u128::from(theirs.to_bits()), 32)
        }
        (IpAddr::V6(ours), IpAddr::V6(theirs)) => (ours.to_bits(), theirs.to_bits(), 128),
        _ => return false,
    };
    let free = width - length.min(width);
    let fixed = |bits: u128| bits.checked_shr(free).unwrap_or(0);
    fixed(ours) == fixed(theirs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(url: &str, variables: &[(&str, &str)]) -> Option<&'static str> {
        let value = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| value.to_string())
        };
        let proxy = of(&Url::parse(url).unwrap(), &value).unwrap();
        proxy.map(|(_, name)| name)
    }

    #[test]
    fn a_variable_is_for_its_scheme_and_small_letters_win() {
        let p = "http://p:3128";
        for (url, variables, expected) in [
            ("https://h", &[("HTTPS_PROXY", p)][..], Some("HTTPS_PROXY")),
            ("http://h", &[("HTTPS_PROXY", p), ("https_proxy", p)], None),
            ("http://h", &[("HTTP_PROXY", p)], None),
            ("http://h", &[("http_proxy", p)], Some("http_proxy")),
            ("https://h", &[("http_proxy", p)], None),
            ("http://h", &[("ALL_PROXY", p)], Some("ALL_PROXY")),
            ("https://h", &[("all_proxy", p)], Some("all_proxy")),
            (
                "https://h",
                &[("ALL_PROXY", p), ("HTTPS_PROXY", p)],
                Some("HTTPS_PROXY"),
            ),
            (
                "https://h",
                &[("https_proxy", p), ("HTTPS_PROXY", p)],
                Some("https_proxy"),
            ),
            ("https://h", &[("https_proxy", "")], None),
            (
                "https://h",
                &[("https_proxy", "u:p@p:3128")],
                Some("https_proxy"),
            ),
            (
                "https://h",
                &[("ALL_PROXY", "socks5h://p")],
                Some("ALL_PROXY"),
            ),
        ] {
            assert_eq!(variable(url, variables), expected, "{url} {variables:?}");
        }
    }

    #[test]
    fn what_is_asked_directly_is_named_in_every_usual_way() {
        for (url, list, direct) in [
            ("http://h.example:9000", "*", true),
            ("http://h.example:9000", "a, h.example", true),
            ("http://h.example:9000", "a h.example", true),
            ("http://h.example:9000", "a ,\t.example ", true),
            ("http://h.example:9000", "*.example", true),
            ("http://example:9000", ".example", true),
            ("http://H.Example:9000", "h.eXample.", true),
            ("http://notexample", "example", false),
            ("http://h.example", "example.h, h, .", false),
            ("http://h.example:9000", "h.example:9000", true),
            ("http://h.example:9000", "h.example:80", false),
            ("http://h.example", "h.example:80", true),
            ("https://h.example", "h.example:443", true),
            ("http://10.1.2.3:9000", "10.1.2.3", true),
            ("http://10.1.2.3:9000", "10.1.2.3:9000", true),
            ("http://10.1.2.3:9000", "10.0.0.0/8", true),
            ("http://10.1.2.3:9000", "10.1.2.0/24 ", true),
            ("http://10.1.3.3:9000", "10.1.2.0/24", false),
            ("http://11.1.2.3:9000", "10.0.0.0/8", false),
            ("http://10.1.2.3", "0.0.0.0/0", true),
            ("http://10.1.2.3", "1.2.3, 10.1.2, 10.1.2.3/x", false),
            ("http://[fd00::1]:9000", "fd00::1", true),
            ("http://[fd00::1]:9000", "[fd00::1]", true),
            ("http://[fd00::1]:9000", "[fd00::1]:9000", true),
            ("http://[fd00::1]:9000", "[fd00::1]:9001", false),
            ("http://[fd00::1]:9000", "fd00::/8", true),
            ("http://[fe00::1]:9000", "fd00::/8", false),
            ("http://[fd00::1]:9000", "10.0.0.0/8", false),
            ("http://[fd00::1]:9000", "::/0", true),
        ] {
            for name in ["no_proxy", "NO_PROXY"] {
                let variables = [("ALL_PROXY", "http://p"), (name, list)];
                let found = variable(url, &variables).is_none();
                assert_eq!(found, direct, "{url} with {name}={list}");
            }
        }
    }

    #[test]
    fn a_proxy_that_is_none_is_an_error_without_its_text() {
        for bad in [
            "http://u:canary@",
            "canary://u:canary@h",
            "ftp://canary",
            "http://u:canary@h:x",
        ] {
            let error = of(&Url::parse("https://h").unwrap(), &|name| {
                (name == "https_proxy").then(|| bad.to_string())
            });
            let told = error.unwrap_err().report();
            assert!(told.contains("https_proxy"), "{told}");
            assert!(!told.contains("canary"), "{told}");
        }
    }
}
