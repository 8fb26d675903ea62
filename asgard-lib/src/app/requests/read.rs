//! Reading requests, and the approvals inbox.

#![allow(
    missing_debug_implementations,
    unnameable_types,
    reason = "about the builders that are derived within `list_command!`"
)]

use super::RequestView;
use crate::{
    app::{
        Asgard, Hints, Meta, Operation, Reads, Route, SimpleOperation, Tx,
        core::inbox::Inbox,
        core::list::list_command,
        core::operation::{Method::Get, Unremembered},
        core::scope::ReadMode,
    },
    domain::{
        access::{Action, Object},
        project::Project,
        request::{INBOX, Request, RequestStatus},
    },
    error::{Error, Result},
    kernel::{Page, ProjectId, RequestId, Role},
    ports::{
        kinds,
        records::{Stored, key},
        store::{Query, ReadBatch},
    },
};
use schemars::JsonSchema;
use serde::Deserialize;
use std::{sync::OnceLock, time::Duration};
use typed_builder::TypedBuilder;

/// The longest that a read waits for a change.
const MAX_WAIT: u64 = 50;
/// The same where each second of the process is paid for.
const MAX_FLEETING_WAIT: Duration = Duration::from_secs(20);
/// What is left of a caller's patience for the answer itself.
const TO_ANSWER: Duration = Duration::from_secs(2);

/// Reads a request.
#[derive(Debug, Deserialize, JsonSchema, TypedBuilder)]
#[serde(deny_unknown_fields)]
#[builder(field_defaults(setter(into)))]
#[non_exhaustive]
pub struct GetRequest {
    /// The request's id, `req_...`, from `request_resource` or `list_requests`.
    pub request_id: RequestId,
    /// The number of seconds, at most 50, to wait for the request to be over or to need a person; 0 answers at once. On a serverless
    /// deployment the answer comes after 20.
    #[serde(default)]
    #[builder(default)]
    #[schemars(range(max = 50))]
    pub wait_s: u64,
    /// The project that the request was found in. A request never moves, so that after a wait both are read together.
    #[serde(skip)]
    #[builder(default, setter(skip))]
    pub(crate) found_in: OnceLock<ProjectId>,
}

impl GetRequest {
    /// Reads a request, waiting for so many seconds at most.
    pub(crate) const fn waiting(request_id: RequestId, wait_s: u64) -> Self {
        Self { request_id, wait_s, found_in: OnceLock::new() }
    }
}

impl Operation for GetRequest {
    type Output = RequestView;
    const META: Meta = Meta {
        name: "requests.get",
        title: "Get a request",
        description: "A request with its plan, cost, verdict and status. With wait_s it answers when the request is over or waits for a person, \
                      at the latest after that many seconds.",
        action: Action::ReadProject,
        routes: &[Route { method: Get, path: "/requests/{request_id}", status: 200 }],
        tools: &["get_request"],
        hints: Hints::READ,
        creates: false,
    };

    type Permit = Stored<Request>;
    type Prepared = ();
    type Decided = Unremembered<RequestView>;

    async fn authorise(&self, reads: &mut Reads<'_>) -> Result<Stored<Request>> {
        if self.wait_s > MAX_WAIT {
            return Err(Error::invalid("wait_s", "Wait 0 to 50 seconds, and ask again."));
        }
        // A key's own project comes along, and that which is known from before a wait.
        if let Some(project) = self.found_in.get().or(reads.actor()?.bound_project()) {
            reads.ahead(ReadBatch { keys: vec![key::<Project>(project.as_str())], ..ReadBatch::default() });
        }
        let Some(request) = reads.read::<Request>(self.request_id.as_str()).await? else {
            return Err(reads.unknown("request"));
        };
        // Kept even for whoever may not read it: nothing is told of it.
        self.found_in.get_or_init(|| request.project.clone());
        reads.project_of("request", &request.project, Action::ReadProject, ReadMode::Plain).await?;
        Ok(request)
    }

    /// Waits for something to tell. What is told is read afterwards, by a caller who is known and may read it by then.
    async fn prepare(&self, reads: &mut Reads<'_>, request: &Stored<Request>, _: Option<()>) -> Result<()> {
        let wait = Duration::from_secs(self.wait_s);
        let wait = if reads.app().is_fleeting() { wait.min(MAX_FLEETING_WAIT) } else { wait };
        let until = reads.now().plus(wait);
        let until = reads.call().answer_by.map_or(until, |by| until.min(by.minus(TO_ANSWER)));
        let mut request = request.clone();
        while !request.status.is_over() && request.status != RequestStatus::Pending && reads.app().world().now() < until
        {
            match reads.wait_for_change(&request, until).await? {
                Some(changed) => request = changed,
                None => break,
            }
        }
        Ok(())
    }

    async fn decide(&self, _: &mut Tx<'_>, request: Stored<Request>, (): &()) -> Result<Unremembered<RequestView>> {
        Ok(Unremembered(RequestView::stored(&request)))
    }

    async fn finish(&self, _: &Asgard, Unremembered(request): Unremembered<RequestView>) -> Result<RequestView> {
        Ok(request)
    }
}

list_command! {
    /// Lists requests.
    #[derive(TypedBuilder)]
    pub struct ListRequests {
        /// The project's id, `proj-YYYY-NNNN`; a project key may leave it out, and so may an admin who wants the requests
        /// of all projects.
        #[serde(default)]
        #[builder(default)]
        pub project_id: Option<ProjectId>,
    }
}

impl SimpleOperation for ListRequests {
    type Output = Page<RequestView>;
    const META: Meta = Meta {
        name: "requests.list",
        title: "List requests",
        description: "A project's requests, newest first; an admin may leave the project out and gets all.",
        action: Action::ReadProject,
        routes: &[Route { method: Get, path: "/requests", status: 200 }],
        tools: &["list_requests"],
        hints: Hints::READ,
        creates: false,
    };

    async fn decide(&self, tx: &mut Tx<'_>) -> Result<Page<RequestView>> {
        let app = tx.app();
        let (query, list) = if self.project_id.is_none() && tx.actor()?.role() == Some(Role::Admin) {
            tx.every_project(Action::ReadProject)?;
            (Query::new(&kinds::REQUESTS, ""), "requests/all".to_owned())
        } else {
            let (project, _) = tx.project(self.project_id.as_ref(), Action::ReadProject, ReadMode::Plain).await?;
            (Query::new(&kinds::REQUESTS_BY_PROJECT, project.id.as_str()), format!("requests/{}", project.id))
        };
        app.page(&list, self.paging(), query.newest_first(), |request| Some(RequestView::stored(&request))).await
    }
}

list_command! {
    /// Lists what waits for a person.
    #[derive(TypedBuilder)]
    pub struct ListPending {
        /// The id of the only project whose requests are wanted; a project key gets its own without it.
        #[serde(default)]
        #[builder(default)]
        pub project_id: Option<ProjectId>,
    }
}

impl SimpleOperation for ListPending {
    type Output = Page<RequestView>;
    const META: Meta = Meta {
        name: "requests.pending",
        title: "List pending approvals",
        description: "Requests that wait for a person, oldest first: all for admins, those of projects they own or manage for members, its own for a project key.",
        action: Action::ListInbox,
        routes: &[Route { method: Get, path: "/approvals", status: 200 }],
        tools: &["list_pending_approvals"],
        hints: Hints::READ,
        creates: false,
    };

    async fn decide(&self, tx: &mut Tx<'_>) -> Result<Page<RequestView>> {
        tx.allow(Action::ListInbox, &Object::Nothing)?;
        let app = tx.app();
        let actor = tx.actor()?;
        let only = match (&self.project_id, actor.bound_project()) {
            (Some(_), _) | (None, Some(_)) => {
                let (project, _) = tx.project(self.project_id.as_ref(), Action::ReadProject, ReadMode::Plain).await?;
                Some(project.id.clone())
            }
            (None, None) => None,
        };
        let list = format!("pending/{}/{}", actor.reference().id, only.as_ref().map_or("all", ProjectId::as_str));
        let walk = Inbox {
            index: &kinds::REQUESTS_PENDING,
            partition: INBOX,
            project: |request: &Request| &request.project,
            only: only.as_ref(),
        };
        let found = |after, limit| walk.concerning(app, actor, after, limit);
        app.page_by(&list, self.paging(), found, |request| Some(RequestView::stored(&request))).await
    }
}
