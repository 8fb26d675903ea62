//! The forms in which a value turns up in what programs print: as it is, in JSON, in HCL, in URLs, in base64 and in hex.

use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};
use std::fmt::Write;

/// Every form of a value. Some are the same.
pub(super) fn of(value: &str) -> Vec<Vec<u8>> {
    let bytes = value.as_bytes();
    let mut all = vec![value.to_owned(), BASE64.encode(bytes), HEXLOWER.encode(bytes), HEXUPPER.encode(bytes)];
    let json = json(value);
    // HCL's own escapes, on top of those that it shares with JSON.
    all.push(json.replace("${", "$${").replace("%{", "%%{"));
    // JSON inside JSON, as policies and container definitions are.
    all.push(self::json(&json));
    for html in [true, false] {
        let escaped = if html { html_safe(&json) } else { json.clone() };
        all.push(escaped.replace('/', "\\/"));
        all.push(self::json(&escaped));
        all.push(escaped);
    }
    for upper in [true, false] {
        all.push(percent(bytes, upper, "%20"));
        all.push(percent(bytes, upper, "+"));
    }
    for offset in 0..3 {
        all.extend(base64_inside(bytes, offset));
    }
    all.into_iter().map(String::into_bytes).collect()
}

fn json(value: &str) -> String {
    let quoted = serde_json::Value::from(value).to_string();
    quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default().to_owned()
}

/// Go's JSON keeps text safe inside HTML, and so does `jsonencode`.
fn html_safe(json: &str) -> String {
    let escaped = json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026");
    escaped.replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029")
}

fn percent(bytes: &[u8], upper: bool, blank: &str) -> String {
    let mut out = String::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(*byte)),
            b' ' => out.push_str(blank),
            // Writing into a String cannot fail.
            _ if upper => drop(write!(out, "%{byte:02X}")),
            _ => drop(write!(out, "%{byte:02x}")),
        }
    }
    out
}

/// The characters of base64 that the value alone decides when it stands `offset` bytes into a longer text, as a password
/// does in `user:password`.
fn base64_inside(bytes: &[u8], offset: usize) -> [String; 2] {
    let padded: Vec<u8> = std::iter::repeat_n(0, offset).chain(bytes.iter().copied()).collect();
    let from = (offset * 8).div_ceil(6);
    let to = padded.len() * 8 / 6;
    [BASE64_NOPAD.encode(&padded), BASE64URL_NOPAD.encode(&padded)]
        .map(|text| text.get(from..to).unwrap_or_default().to_owned())
}
