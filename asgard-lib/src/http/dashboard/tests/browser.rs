//! A browser without JavaScript: keeps the cookie, follows redirects, and sends a form with what its page filled in.

use crate::http::Peer;
use axum::{Router, body::Body};
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use std::net::IpAddr;
use tower::ServiceExt;

pub(crate) struct Browser {
    router: Router,
    /// Its name and the session.
    cookie: Option<(String, String)>,
    /// The path that the last cookie was for.
    pub cookie_path: Option<String>,
    /// What forms say they come from.
    pub origin: Option<&'static str>,
}

/// A loaded page.
pub(crate) struct Page {
    pub path: String,
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub html: String,
}

impl Page {
    pub(crate) fn has(&self, text: &str) -> bool {
        self.html.contains(text)
    }

    /// The fields of the form that goes to `action`, as the page filled them in.
    pub(crate) fn form(&self, action: &str) -> Option<Vec<(String, String)>> {
        let start = self
            .html
            .find(&format!(" action=\"{action}\""))
            .or_else(|| self.html.find(&format!(" formaction=\"{action}\"")))?;
        let start = self.html.get(..start)?.rfind("<form")?;
        let form = self.html.get(start..)?.split("</form>").next()?;
        let mut fields = Vec::new();
        for tag in form.split('<').skip(1) {
            let (head, body) = tag.split_once('>').unwrap_or((tag, ""));
            let name = attribute(head, "name");
            match (head.split([' ', '\n']).next()?, name) {
                ("input", Some(name)) => fields.push((name, attribute(head, "value").unwrap_or_default())),
                ("textarea", Some(name)) => fields.push((name, unescape(body.strip_prefix('\n').unwrap_or(body)))),
                ("select", Some(name)) => fields.push((name, String::new())),
                ("option", None)
                    if head.contains(" selected") || fields.last().is_some_and(|(_, value)| value.is_empty()) =>
                {
                    let value = attribute(head, "value").unwrap_or_default();
                    if let Some(last) = fields.last_mut() {
                        last.1 = value;
                    }
                }
                _ => {}
            }
        }
        Some(fields)
    }
}

fn attribute(head: &str, name: &str) -> Option<String> {
    let (_, rest) = head.split_once(&format!(" {name}=\""))?;
    rest.split('"').next().map(unescape)
}

fn unescape(text: &str) -> String {
    ["&#60;<", "&#62;>", "&#34;\"", "&#39;'", "&#38;&"]
        .iter()
        .fold(text.to_owned(), |text, pair| text.replace(&pair[..5], &pair[5..]))
}

impl Browser {
    pub(crate) fn new(router: Router) -> Self {
        Self { router, cookie: None, cookie_path: None, origin: Some("http://localhost:8080") }
    }

    /// The session that the cookie holds.
    pub(crate) fn session(&self) -> Option<&str> {
        self.cookie.as_ref().map(|(_, session)| &**session)
    }

    /// Opens a page, following redirects.
    pub(crate) async fn open(&mut self, path: &str) -> Page {
        let page = self.request(Method::GET, path, None).await;
        self.follow(page).await
    }

    /// Sends the form that goes to `action`, with some of its fields changed, and follows where it leads.
    pub(crate) async fn send(&mut self, page: &Page, action: &str, changes: &[(&str, &str)]) -> Page {
        let answer = self.submit(page, action, changes).await;
        self.follow(answer).await
    }

    /// The same without following.
    pub(crate) async fn submit(&mut self, page: &Page, action: &str, changes: &[(&str, &str)]) -> Page {
        let mut fields =
            page.form(action).unwrap_or_else(|| panic!("no form to {action} on {}: {}", page.path, page.html));
        for (name, value) in changes {
            let field = fields.iter_mut().find(|(field, _)| field == name);
            field.unwrap_or_else(|| panic!("no field {name} in the form to {action}")).1 = (*value).to_owned();
        }
        let encode = |text: &str| super::super::frame::encoded(text);
        let body = fields
            .iter()
            .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
            .collect::<Vec<_>>()
            .join("&");
        self.request(Method::POST, action, Some(body)).await
    }

    async fn follow(&mut self, mut page: Page) -> Page {
        for _ in 0..5 {
            let Some(location) = page.headers.get(header::LOCATION).and_then(|value| value.to_str().ok()) else {
                return page;
            };
            assert_eq!(page.status, 303, "{}", page.path);
            let location = location.split('#').next().unwrap_or_default().to_owned();
            page = self.request(Method::GET, &location, None).await;
        }
        panic!("redirected in a circle at {}", page.path)
    }

    pub(crate) async fn request(&mut self, method: Method, path: &str, form: Option<String>) -> Page {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "localhost:8080")
            .header(header::ACCEPT, "text/html,*/*;q=0.8");
        if let Some((name, session)) = &self.cookie {
            request = request.header(header::COOKIE, format!("{name}={session}"));
        }
        if form.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
            if let Some(origin) = self.origin {
                request = request.header(header::ORIGIN, origin);
            }
        }
        let mut request = request.body(form.map_or_else(Body::empty, Body::from)).unwrap();
        request.extensions_mut().insert(Peer { address: IpAddr::from([203, 0, 113, 7]), tls: false });
        let (parts, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let html = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        for cookie in parts.headers.get_all(header::SET_COOKIE) {
            let text = cookie.to_str().unwrap();
            assert!(text.contains("HttpOnly") && text.contains("SameSite=Lax"), "{text}");
            self.cookie_path = text.split("Path=").nth(1).and_then(|rest| rest.split(';').next()).map(str::to_owned);
            let (name, rest) = text.split_once('=').unwrap();
            let value = rest.split(';').next().unwrap_or_default();
            self.cookie = Some((name.to_owned(), value.to_owned())).filter(|_| !value.is_empty());
        }
        Page { path: path.to_owned(), status: parts.status, headers: parts.headers, html }
    }
}
