//! What an operation of the host's own has to be, so that it stands beside the shipped ones on every surface.

use super::Entry;
use crate::error::{Code, Error, Result};
use serde_json::Value;

/// Routes below `/api` that are no operations.
const RESERVED: [&str; 1] = ["/openapi.json"];

/// Refuses an operation that no surface could show, or that takes what another one has.
pub(super) fn check(entry: &Entry, others: &[Entry]) -> Result<()> {
    let meta = &entry.meta;
    let wrong = |why: String| Err(Error::new(Code::Config, format!("The operation `{}`: {why}", meta.name)));
    if !is_name(meta.name) {
        return wrong("its name has to be an area and a verb in lower case, such as `acme.greet`.".into());
    }
    if others.iter().any(|other| other.meta.name == meta.name) {
        return wrong("there is another one of this name.".into());
    }
    let area = area(meta.name);
    if super::OPERATIONS.iter().any(|shipped| self::area(shipped.meta.name) == area) {
        return wrong(format!(
            "the area `{area}` is Asgard's, and may get operations of this name; use one of your own."
        ));
    }
    if meta.routes.is_empty() && meta.tools.is_empty() {
        return wrong("it has neither a route nor a tool, so nobody could call it.".into());
    }
    let input = entry.input_schema();
    if input.get("additionalProperties") != Some(&Value::Bool(false)) {
        return wrong("its command has to refuse unknown fields: add `#[serde(deny_unknown_fields)]`.".into());
    }
    for tool in meta.tools {
        if !is_word(tool) || tool.len() > 64 {
            return wrong(format!("the tool `{tool}` has to be 1 to 64 of a-z, 0-9 and _, from a letter on."));
        }
        if let Some(other) = others.iter().find(|other| other.meta.tools.contains(tool)) {
            return wrong(format!("the tool `{tool}` is that of `{}`.", other.meta.name));
        }
    }
    if let Some(twice) =
        meta.tools.iter().enumerate().find(|(at, tool)| meta.tools.iter().skip(at + 1).any(|t| t == *tool))
    {
        return wrong(format!("the tool `{}` stands there twice.", twice.1));
    }
    for (at, route) in meta.routes.iter().enumerate() {
        let shown = format!("{} {}", route.method.name(), route.path);
        if !is_path(route.path) {
            return wrong(format!("the route `{shown}` has to begin with / and consist of words and {{fields}}."));
        }
        if !(200..300).contains(&route.status) {
            return wrong(format!(
                "the route `{shown}` answers a success with {}; allowed is 200 to 299.",
                route.status
            ));
        }
        if let Some(field) = fields(route.path).find(|field| input.pointer(&format!("/properties/{field}")).is_none()) {
            return wrong(format!("the route `{shown}` fills `{field}`, and the command has no such field."));
        }
        if RESERVED.contains(&route.path) {
            return wrong(format!("the route `{shown}` is Asgard's."));
        }
        let earlier = meta.routes.iter().take(at).map(|route| (meta.name, route));
        let elsewhere = others.iter().flat_map(|other| other.meta.routes.iter().map(|route| (other.meta.name, route)));
        for (name, taken) in elsewhere.chain(earlier) {
            let same = taken.path == route.path;
            if (same && taken.method == route.method) || (!same && overlap(taken.path, route.path)) {
                let theirs = format!("{} {}", taken.method.name(), taken.path);
                return wrong(format!(
                    "the route `{shown}` matches addresses of `{theirs}`, which is that of `{name}`."
                ));
            }
        }
    }
    Ok(())
}

fn area(name: &str) -> &str {
    name.split('.').next().unwrap_or(name)
}

fn is_word(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

fn is_name(name: &str) -> bool {
    name.len() <= 64 && name.split_once('.').is_some_and(|(area, verb)| is_word(area) && is_word(verb))
}

fn fields(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(field)
}

fn field(part: &str) -> Option<&str> {
    part.strip_prefix('{')?.strip_suffix('}')
}

fn is_path(path: &str) -> bool {
    let literal = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b))
    };
    path.strip_prefix('/')
        .is_some_and(|rest| rest.split('/').all(|part| field(part).map_or_else(|| literal(part), is_word)))
}

/// Whether some address fits both.
fn overlap(one: &str, other: &str) -> bool {
    let (mut one, mut other) = (one.split('/'), other.split('/'));
    loop {
        match (one.next(), other.next()) {
            (None, None) => return true,
            (Some(a), Some(b)) if a == b || field(a).is_some() || field(b).is_some() => {}
            (Some(_) | None, _) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::{Hints, Meta, Operations, Route, SimpleOperation, Tx, core::operation::Method};
    use crate::domain::access::Action;
    use schemars::JsonSchema;
    use serde::Deserialize;

    /// Greets.
    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Greet {
        /// Whom.
        #[allow(dead_code, reason = "only its schema is looked at")]
        name: String,
    }

    impl SimpleOperation for Greet {
        type Output = String;
        const META: Meta = Meta {
            name: "acme.greet",
            title: "Greet",
            description: "Greets.",
            action: Action::ReadServices,
            routes: &[Route { method: Method::Get, path: "/acme/greetings/{name}", status: 200 }],
            tools: &["acme_greet"],
            hints: Hints::READ,
            creates: false,
        };
        async fn decide(&self, _: &mut Tx<'_>) -> Result<String> {
            Ok(String::new())
        }
    }

    fn with(change: impl FnOnce(&mut Meta)) -> Result<std::sync::Arc<Operations>> {
        let mut entry = Entry::of::<Greet>();
        change(&mut entry.meta);
        Operations::with_own(vec![entry])
    }

    fn refused(change: impl FnOnce(&mut Meta)) -> String {
        let error = with(change).err().unwrap();
        assert_eq!(error.code(), Code::Config);
        error.message().to_owned()
    }

    #[test]
    fn an_own_operation_stands_beside_the_shipped_ones() {
        let table = with(|_| ()).unwrap();
        assert_eq!(table.iter().count(), super::super::OPERATIONS.iter().count() + 1);
        assert_eq!(table.named("acme.greet").unwrap().meta.title, "Greet");
        assert_eq!(table.tool("acme_greet").unwrap().meta.name, "acme.greet");
        assert!(table.tool("request_resource").is_some());
        assert!(super::super::named("acme.greet").is_none(), "another Asgard does not have it");
    }

    #[test]
    fn a_clash_is_named() {
        let twice = Operations::with_own(vec![Entry::of::<Greet>(), Entry::of::<Greet>()]).err().unwrap();
        assert!(twice.message().contains("another one of this name"), "{twice}");
        const fn get(path: &'static str) -> Route {
            Route { method: Method::Get, path, status: 200 }
        }
        for (said, part) in [
            (refused(|meta| meta.name = "projects.greet"), "the area `projects` is Asgard's"),
            (refused(|meta| meta.name = "Greet"), "an area and a verb"),
            (refused(|meta| meta.tools = &["get_secret"]), "is that of `secrets.reveal`"),
            (refused(|meta| meta.tools = &["acme", "acme"]), "stands there twice"),
            (refused(|meta| meta.tools = &["Acme"]), "a-z"),
            (refused(|meta| (meta.routes, meta.tools) = (&[], &[])), "neither a route nor a tool"),
            (refused(|meta| meta.routes = &[const { get("/services/{name}") }]), "`GET /services/{service}`"),
            (refused(|meta| meta.routes = &[const { get("/projects/{name}") }]), "matches addresses of"),
            (refused(|meta| meta.routes = &[const { get("/acme/{who}") }]), "has no such field"),
            (refused(|meta| meta.routes = &[const { get("acme") }]), "begin with /"),
            (refused(|meta| meta.routes = &[const { get("/acme//{name}") }]), "words and {fields}"),
            (refused(|meta| meta.routes = &[const { get("/openapi.json") }]), "is Asgard's"),
            (refused(|meta| meta.routes = &[const { get("/acme/x") }, const { get("/acme/{name}") }]), "GET /acme/x"),
        ] {
            assert!(said.contains(part), "{said} / {part}");
        }
    }
}
