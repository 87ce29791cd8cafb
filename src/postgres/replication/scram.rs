//! SCRAM-SHA-256 and SCRAM-SHA-256-PLUS, the client's side (RFC 5802, RFC 7677).

use crate::error::{Error, Result};
use base64ct::{Base64, Encoding};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// What a server may ask for at most: seconds of work. PostgreSQL's own default is 4096.
const MOST_ITERATIONS: u32 = 10_000_000;

/// What the exchange is bound to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Binding {
    /// Not over TLS, or the server knows no binding.
    None,
    /// The server did not offer what we could do.
    NotOffered,
    /// The digest of the server's certificate.
    EndPoint(Vec<u8>),
}

impl Binding {
    /// The name of the mechanism that does so.
    pub fn mechanism(&self) -> &'static str {
        match self {
            Binding::EndPoint(_) => "SCRAM-SHA-256-PLUS",
            Binding::None | Binding::NotOffered => "SCRAM-SHA-256",
        }
    }

    fn header(&self) -> &'static str {
        match self {
            Binding::None => "n,,",
            Binding::NotOffered => "y,,",
            Binding::EndPoint(_) => "p=tls-server-end-point,,",
        }
    }
}

/// An exchange that has begun.
pub(super) struct Scram {
    password: Vec<u8>,
    binding: Binding,
    nonce: String,
    server_signature: Vec<u8>,
}

impl Scram {
    /// `nonce` is printable and new for each exchange. `password` is as it was typed.
    pub fn new(password: &str, binding: Binding, nonce: String) -> Scram {
        Scram {
            password: password.as_bytes().to_vec(),
            binding,
            nonce,
            server_signature: Vec::new(),
        }
    }

    /// True where it is bound to the connection.
    pub fn is_bound(&self) -> bool {
        matches!(self.binding, Binding::EndPoint(_))
    }

    /// The first message.
    pub fn first(&self) -> String {
        format!("{}{}", self.binding.header(), self.first_bare())
    }

    fn first_bare(&self) -> String {
        // the server takes the name from the start-up message
        format!("n=,r={}", self.nonce)
    }

    /// The answer to the server's first message, which proves that we know the password.
    pub fn answer(&mut self, server_first: &str) -> Result<String> {
        let (mut nonce, mut salt, mut iterations) = (None, None, None);
        for attribute in server_first.split(',') {
            match attribute.split_once('=') {
                Some(("r", value)) => nonce = Some(value),
                Some(("s", value)) => salt = Base64::decode_vec(value).ok(),
                Some(("i", value)) => iterations = value.parse::<u32>().ok(),
                _ => {}
            }
        }
        let (Some(nonce), Some(salt), Some(iterations)) = (nonce, salt, iterations) else {
            return Err(broken());
        };
        let longer = nonce.strip_prefix(&self.nonce);
        if longer.is_none_or(str::is_empty) || !(1..=MOST_ITERATIONS).contains(&iterations) {
            return Err(broken());
        }
        let mut bound = self.binding.header().as_bytes().to_vec();
        if let Binding::EndPoint(digest) = &self.binding {
            bound.extend(digest);
        }
        let without_proof = format!("c={},r={nonce}", Base64::encode_string(&bound));
        let all = format!("{},{server_first},{without_proof}", self.first_bare());

        let salted = salted_password(&self.password, &salt, iterations)?;
        let client_key = hmac(&salted, b"Client Key")?;
        let stored_key = Sha256::digest(&client_key);
        let signature = hmac(&stored_key, all.as_bytes())?;
        let proof: Vec<u8> = client_key
            .iter()
            .zip(&signature)
            .map(|(key, signed)| key ^ signed)
            .collect();
        let server_key = hmac(&salted, b"Server Key")?;
        self.server_signature = hmac(&server_key, all.as_bytes())?;
        Ok(format!(
            "{without_proof},p={}",
            Base64::encode_string(&proof)
        ))
    }

    /// The server's last message proves that it knows the password, too.
    pub fn verify(&self, server_final: &str) -> Result<()> {
        let signature = server_final.strip_prefix("v=");
        let signature = signature.and_then(|text| Base64::decode_vec(text).ok());
        match signature {
            Some(signature)
                if !self.server_signature.is_empty() && signature == self.server_signature =>
            {
                Ok(())
            }
            _ => Err(Error::failed(
                "the server does not prove that it knows the password: it is another one than it says",
            )),
        }
    }
}

fn broken() -> Error {
    Error::failed("the server answers what is no SCRAM authentication")
}

fn hmac(key: &[u8], text: &[u8]) -> Result<Vec<u8>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).map_err(|_| broken())?;
    mac.update(text);
    Ok(mac.finalize().into_bytes().to_vec())
}

/// PBKDF2 with HMAC-SHA-256, one block of it.
fn salted_password(password: &[u8], salt: &[u8], iterations: u32) -> Result<Vec<u8>> {
    let keyed = Hmac::<Sha256>::new_from_slice(password).map_err(|_| broken())?;
    let mut first = keyed.clone();
    first.update(salt);
    first.update(&1u32.to_be_bytes());
    let mut last = first.finalize().into_bytes();
    let mut all = last;
    for _ in 1..iterations {
        let mut next = keyed.clone();
        next.update(&last);
        last = next.finalize().into_bytes();
        for (sum, byte) in all.iter_mut().zip(&last) {
            *sum ^= byte;
        }
    }
    Ok(all.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The exchange of RFC 7677, but for the user name, which PostgreSQL ignores.
    #[test]
    fn the_exchange_of_the_rfc_is_reproduced() {
        let mut scram = Scram::new("pencil", Binding::None, "rOprNGfwEbeRWgbNEkqO".into());
        assert_eq!(scram.first(), "n,,n=,r=rOprNGfwEbeRWgbNEkqO");
        let server_first = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let answer = scram.answer(server_first).unwrap();
        assert!(
            answer.starts_with("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=")
        );
        let salt = Base64::decode_vec("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let salted = salted_password(b"pencil", &salt, 4096).unwrap();
        let expected = "xKSVEDI6tPlSysH6mUQZOeeOp01r6B3fcJbodRPcYV0=";
        assert_eq!(Base64::encode_string(&salted), expected);
        assert!(scram.verify("v=AAAA").is_err());
        let own = format!("v={}", Base64::encode_string(&scram.server_signature));
        scram.verify(&own).unwrap();
    }

    #[test]
    fn a_server_that_cheats_is_refused() {
        for first in [
            "r=other,s=AAAA,i=4096",
            "r=mine,s=AAAA,i=4096",
            "r=mineX,s=AAAA,i=0",
            "r=mineX,s=AAAA,i=4294967295",
            "r=mineX,i=1",
            "",
        ] {
            let mut scram = Scram::new("pw", Binding::NotOffered, "mine".into());
            assert!(scram.answer(first).is_err(), "{first}");
        }
        let scram = Scram::new("pw", Binding::None, "mine".into());
        assert!(scram.verify("v=").is_err());
    }
}
