//! Making an event fit to become a request. The library that turns one into the other gives up the whole process on what is
//! no address, and puts the stage of an API into the path; both are seen to here, on the event itself.

use asgard_lib::{Code, Error, Result};
use lambda_http::{
    aws_lambda_events::query_map::QueryMap,
    http::{HeaderMap, HeaderName, header},
    request::LambdaRequest,
};
use url::Url;

const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// The longest path with its query.
const MAX: usize = 16 * 1024;
/// The stage that is no part of an address.
const NO_STAGE: &str = "$default";

/// Makes the event one that can be turned into a request. A refused event is emptied, so that turning it is safe.
///
/// # Errors
///
/// What is wrong with the event, for the client.
pub fn clean(event: &mut LambdaRequest) -> Result<()> {
    match event {
        LambdaRequest::ApiGatewayV1(event) => {
            // The path of a REST API comes without its stage. Left in place, the stage would be put before it.
            event.request_context.stage = None;
            one_of_each(&event.multi_value_headers, &mut event.headers);
            let checked = path(&mut event.path)
                .and_then(|()| host(&mut event.headers, &mut event.multi_value_headers))
                .and_then(|()| domain(&mut event.request_context.domain_name))
                .and_then(|()| body(event.body.as_deref(), event.is_base64_encoded));
            checked.inspect_err(|_| {
                (event.path, event.body, event.is_base64_encoded) = (None, None, false);
                (event.headers, event.multi_value_headers) = (HeaderMap::new(), HeaderMap::new());
                event.request_context.domain_name = None;
                (event.query_string_parameters, event.multi_value_query_string_parameters) = none();
            })?;
            fill(&mut event.path);
            Ok(())
        }
        LambdaRequest::ApiGatewayV2(event) => {
            // The path of an HTTP API begins with its stage, unless that is the default one.
            if let Some(stage) = event.request_context.stage.take().filter(|stage| stage != NO_STAGE) {
                without_stage(&mut event.raw_path, &stage);
            }
            let checked = path(&mut event.raw_path)
                .and_then(|()| query(&mut event.raw_query_string))
                .and_then(|()| host(&mut event.headers, &mut HeaderMap::new()))
                .and_then(|()| domain(&mut event.request_context.domain_name))
                .and_then(|()| body(event.body.as_deref(), event.is_base64_encoded));
            checked.inspect_err(|_| {
                (event.raw_path, event.raw_query_string) = (None, None);
                (event.body, event.is_base64_encoded) = (None, false);
                event.headers = HeaderMap::new();
                event.request_context.domain_name = None;
            })?;
            fill(&mut event.raw_path);
            Ok(())
        }
        LambdaRequest::Alb(event) => {
            one_of_each(&event.multi_value_headers, &mut event.headers);
            let proto =
                event.headers.get(FORWARDED_PROTO).or_else(|| event.multi_value_headers.get(FORWARDED_PROTO)).cloned();
            let checked = path(&mut event.path)
                .and_then(|()| host(&mut event.headers, &mut event.multi_value_headers))
                .and_then(|()| body(event.body.as_deref(), event.is_base64_encoded));
            // It is the load balancer's own word.
            if let Some(proto) = proto.filter(|proto| proto == "http" || proto == "https") {
                event.headers.insert(FORWARDED_PROTO, proto);
            }
            checked.inspect_err(|_| {
                (event.path, event.body, event.is_base64_encoded) = (None, None, false);
                (event.headers, event.multi_value_headers) = (HeaderMap::new(), HeaderMap::new());
                (event.query_string_parameters, event.multi_value_query_string_parameters) = none();
            })?;
            fill(&mut event.path);
            Ok(())
        }
        _ => Ok(()),
    }
}

fn none() -> (QueryMap, QueryMap) {
    Default::default()
}

fn fill(path: &mut Option<String>) {
    path.get_or_insert_with(|| "/".to_owned());
}

/// Headers come once as lists and once as single values. The lists are complete.
fn one_of_each(lists: &HeaderMap, single: &mut HeaderMap) {
    for name in lists.keys() {
        single.remove(name);
    }
}

fn without_stage(path: &mut Option<String>, stage: &str) {
    let rest = path.as_deref().and_then(|path| path.strip_prefix('/')?.strip_prefix(stage));
    if let Some(rest) = rest.filter(|rest| rest.is_empty() || rest.starts_with('/')) {
        *path = Some(rest.to_owned());
    }
}

fn path(path: &mut Option<String>) -> Result<()> {
    let path = path.get_or_insert_default();
    if path.len() > MAX {
        return Err(Error::new(Code::InvalidInput, format!("The address is longer than {MAX} bytes.")).at("path"));
    }
    if !path.starts_with('/') {
        path.insert(0, '/');
    }
    Ok(())
}

/// Escapes what no address may hold: a client may have sent it as it is.
fn query(query: &mut Option<String>) -> Result<()> {
    let Some(text) = query else { return Ok(()) };
    if text.len() > MAX {
        return Err(Error::new(Code::InvalidInput, format!("The query is longer than {MAX} bytes.")).at("query"));
    }
    let plain = |b: u8| b.is_ascii_graphic() && !b"\"#<>".contains(&b);
    if !text.bytes().all(plain) {
        *text = text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect();
    }
    Ok(())
}

/// Whether the library will make an address of it.
fn is_host(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b);
    text.bytes().all(plain) && Url::parse(&format!("https://{text}/")).is_ok()
}

fn host(headers: &mut HeaderMap, lists: &mut HeaderMap) -> Result<()> {
    for headers in [headers, lists] {
        headers.remove(FORWARDED_PROTO);
        let host = headers.get(header::HOST).map(|host| host.to_str().unwrap_or_default());
        if host.is_some_and(|host| !is_host(host)) {
            return Err(Error::new(Code::InvalidInput, "The Host header is not the name of a host.").at("host"));
        }
    }
    Ok(())
}

fn domain(name: &mut Option<String>) -> Result<()> {
    // The header goes first; this only stands in for one that is missing.
    if name.as_deref().is_some_and(|name| !is_host(name)) {
        *name = None;
    }
    Ok(())
}

fn body(body: Option<&str>, encoded: bool) -> Result<()> {
    let broken = encoded && body.is_some_and(|body| data_encoding::BASE64.decode(body.as_bytes()).is_err());
    if broken {
        return Err(Error::new(Code::InvalidInput, "The event's body is said to be base64, and is not.").at("body"));
    }
    Ok(())
}
