//! The people that the tests are about.

use crate::{Client, Site};
use serde_json::{Value, json};

/// Everybody's password.
pub const PASSWORD: &str = "correct-horse-battery-staple";

/// Somebody with an account.
pub struct Person {
    /// What they are called.
    pub username: String,
    /// What projects know them by.
    pub email: String,
    /// Signed in.
    pub session: Client,
    /// With a token of theirs.
    pub pat: Client,
}

/// Everybody: an admin, an owner and a manager, somebody else, and finance.
pub struct Cast {
    /// The first admin.
    pub admin: Person,
    /// Owns projects.
    pub owner: Person,
    /// Manages them.
    pub manager: Person,
    /// A member who has nothing to do with them.
    pub stranger: Person,
    /// Reads cost and audit.
    pub finance: Person,
}

impl Cast {
    pub(crate) fn new(site: &Site, base: &str) -> Self {
        let admin = Person::sign_in(&site.client(base), "admin", "admin@localhost");
        let person = |name: &str, role: &str| {
            let email = format!("{name}@corp.example");
            let account = json!({"username": name, "email": email, "role": role, "password": PASSWORD});
            admin.session.post("/api/users", &account).ok();
            Person::sign_in(&site.client(base), name, &email)
        };
        Self {
            owner: person("owner", "member"),
            manager: person("manager", "member"),
            stranger: person("stranger", "member"),
            finance: person("finance", "finance"),
            admin,
        }
    }

    /// A project of the owner's, approved for by the manager.
    pub fn project(&self, name: &str) -> String {
        let wanted = json!({
            "name": name, "owner_email": self.owner.email, "manager_email": self.manager.email, "group": "platform",
            "budget_usd": 100,
        });
        let project = self.owner.session.post("/api/projects", &wanted).ok();
        project["project_id"].as_str().expect("a project id").to_owned()
    }

    /// A key of a project, minted by the owner.
    pub fn key(&self, project: &str) -> Client {
        self.owner.mint(project).0
    }

    /// The same people at another server of the site.
    pub fn at(&self, base: &str) -> Self {
        Self {
            admin: self.admin.at(base),
            owner: self.owner.at(base),
            manager: self.manager.at(base),
            stranger: self.stranger.at(base),
            finance: self.finance.at(base),
        }
    }
}

impl Person {
    /// Signs in with the common password and makes a token.
    pub fn sign_in(anonymous: &Client, username: &str, email: &str) -> Self {
        let login = anonymous.post("/api/auth/login", &json!({"username": username, "password": PASSWORD})).ok();
        let session = anonymous.with(login["token"].as_str().expect("a session token"));
        let token = session.post("/api/auth/tokens", &json!({"name": "tests"})).ok();
        let pat = session.with(token["token"].as_str().expect("a user token"));
        Self { username: username.into(), email: email.into(), session, pat }
    }

    /// A key of a project, and what is known of it.
    pub fn mint(&self, project: &str) -> (Client, Value) {
        let minted = self.session.post(&format!("/api/projects/{project}/keys"), &json!({"name": "agent"})).ok();
        (self.session.with(minted["key"].as_str().expect("a key")), minted)
    }

    fn at(&self, base: &str) -> Self {
        let (username, email) = (self.username.clone(), self.email.clone());
        Self { username, email, session: self.session.at(base), pat: self.pat.at(base) }
    }
}
