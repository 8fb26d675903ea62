//! Listing projects and groups.

#![allow(
    missing_debug_implementations,
    unnameable_types,
    reason = "about the builders that are derived within `list_command!`"
)]

use super::ProjectView;
use crate::{
    app::{Asgard, Hints, Meta, Route, SimpleOperation, Tx, core::list::list_command, core::operation::Method::Get},
    domain::{
        access::{Action, Object},
        project::Project,
    },
    error::{Error, Result},
    kernel::{Actor, DisplayName, Page, Person, Role, Slug},
    ports::{
        kinds,
        records::{Listed, Records, Stored},
        store::{Position, Query},
    },
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use typed_builder::TypedBuilder;

list_command! {
    /// Lists the projects that the caller may see, newest first.
    #[derive(TypedBuilder)]
    pub struct ListProjects {}
}

impl SimpleOperation for ListProjects {
    type Output = Page<ProjectView>;
    const META: Meta = Meta {
        name: "projects.list",
        title: "List projects",
        description: "The projects that you own or manage, newest first; every project for admins; its own for a project key.",
        action: Action::ListProjects,
        routes: &[Route { method: Get, path: "/projects", status: 200 }],
        tools: &["list_projects"],
        hints: Hints::READ,
        creates: false,
    };

    async fn decide(&self, tx: &mut Tx<'_>) -> Result<Page<ProjectView>> {
        tx.allow(Action::ListProjects, &Object::Nothing)?;
        let app = tx.app();
        let list = |who: &str| format!("projects/{who}");
        match tx.actor()? {
            Actor::ProjectKey { project, .. } | Actor::Agent { project, .. } => {
                let own = tx.read::<Project>(project.as_str()).await?.ok_or_else(|| Error::not_found("project"))?;
                Ok(Page { items: vec![ProjectView::stored(app, &own)], next_cursor: None })
            }
            Actor::Human { role: Role::Admin, .. } | Actor::UserToken { role: Role::Admin, .. } => {
                let query = Query::new(&kinds::PROJECTS, "").newest_first();
                app.page(&list("all"), self.paging(), query, |project| Some(ProjectView::stored(app, &project))).await
            }
            Actor::Human { person, .. } | Actor::UserToken { person, .. } => {
                let own = |after, limit| own(app, person, after, limit);
                let view = |project| Some(ProjectView::stored(app, &project));
                app.page_by(&list(person.email().as_str()), self.paging(), own, view).await
            }
            Actor::System { .. } => Err(Error::bug("Asgard's own parts list no projects")),
        }
    }
}

/// Projects that somebody owns or manages: two indexes for each of their addresses, in the same order, merged. An index
/// finds by the address that is shown; whether the project is theirs is decided by account, so a page may end early.
async fn own(app: &Asgard, person: &Person, after: Option<Position>, limit: usize) -> Result<Listed<Project>> {
    let mut queries = Vec::new();
    for address in person.addresses() {
        for index in [&kinds::PROJECTS_BY_OWNER, &kinds::PROJECTS_BY_MANAGER] {
            queries.push(Query::new(index, address.email().as_str()).newest_first().after(after.clone()).take(limit));
        }
    }
    let (mut items, mut end) = (Vec::<Stored<Project>>::new(), None::<String>);
    for query in &queries {
        let found = app.store().list::<Project>(query).await?;
        // What lies beyond the nearest end of a page is not known to be next.
        end = end.max(found.next.map(|next| next.id));
        items.extend(found.items);
    }
    items.sort_by(|a, b| b.id.cmp(&a.id));
    items.dedup_by(|a, b| a.id == b.id);
    if let Some(end) = &end {
        items.retain(|project| project.id.as_str() >= end.as_str());
    }
    if items.len() > limit {
        items.truncate(limit);
        end = items.last().map(|project| project.id.to_string());
    }
    items.retain(|project| project.owner.is(person) || project.manager.is(person));
    Ok(Listed { items, next: end.map(|id| Position { sort: String::new(), id }) })
}

/// A group that projects belong to.
#[derive(Debug, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct GroupView {
    /// The group's key; pass it as `group` when you register a project.
    pub key: Slug,
    /// The group's name for people.
    pub display_name: DisplayName,
    /// The cost center that the group's cost is charged to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_center: Option<String>,
}

pub(super) fn groups(app: &Asgard) -> Vec<GroupView> {
    let view = |group: &crate::config::Group| GroupView {
        key: group.key.clone(),
        display_name: group.display_name.clone(),
        cost_center: group.cost_center.as_ref().map(ToString::to_string),
    };
    app.config().registration.groups.iter().map(view).collect()
}

/// Lists the groups.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ListGroups {}

impl SimpleOperation for ListGroups {
    type Output = Page<GroupView>;
    const META: Meta = Meta {
        name: "groups.list",
        title: "List groups",
        description: "The groups that projects register against, with their cost centers. An empty list means that any group is accepted.",
        action: Action::ReadServices,
        routes: &[Route { method: Get, path: "/groups", status: 200 }],
        tools: &["list_groups"],
        hints: Hints::READ,
        creates: false,
    };

    async fn decide(&self, tx: &mut Tx<'_>) -> Result<Page<GroupView>> {
        tx.allow(Action::ReadServices, &Object::Nothing)?;
        Ok(Page { items: groups(tx.app()), next_cursor: None })
    }
}
