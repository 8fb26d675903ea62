//! Which project a call is about, and whether the caller may.

use super::reads::Reads;
use crate::{
    domain::{
        access::{Action, Object, Subject, foreign},
        project::Project,
    },
    error::{Error, Result},
    kernel::ProjectId,
    ports::records::Stored,
};

/// How a project is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadMode {
    /// To look.
    Plain,
    /// To decide: the commit is refused if the project changes meanwhile.
    Checked,
}

impl Reads<'_> {
    /// The id of the project that the call is about: the given one, or the key's own.
    pub fn project_id(&self, given: Option<&ProjectId>) -> Result<ProjectId> {
        match (given, self.actor()?.bound_project()) {
            (Some(given), _) => Ok(given.clone()),
            (None, Some(own)) => Ok(own.clone()),
            (None, None) => Err(Error::invalid(
                "project_id",
                "Say which project, as `proj-YYYY-NNNN`; only a project key may leave it out.",
            )),
        }
    }

    /// The project that the call is about, once the caller may do `action` to it.
    pub async fn project(
        &mut self,
        given: Option<&ProjectId>,
        action: Action,
        reading: ReadMode,
    ) -> Result<(Stored<Project>, Subject)> {
        let id = self.project_id(given)?;
        if let Some(own) = self.actor()?.bound_project()
            && *own != id
        {
            // Answered before anything is read: a key learns nothing about other projects, not even that they exist.
            return Err(foreign(own));
        }
        let project = match reading {
            ReadMode::Plain => self.read::<Project>(id.as_str()).await?.ok_or_else(|| Error::not_found("project"))?,
            ReadMode::Checked => self.need::<Project>(id.as_str()).await?,
        };
        let subject = Subject::from(&project.value);
        self.allow(action, &Object::Project(&subject))?;
        Ok((project, subject))
    }

    /// Fails unless the caller may do `action` to every project, those that they have nothing to do with among them.
    pub fn every_project(&mut self, action: Action) -> Result<()> {
        self.allow(action, &Object::EveryProject)
    }

    /// The project of something that was named by its own id. Whatever the caller may not see looks like a `noun` that
    /// does not exist.
    pub async fn project_of(
        &mut self,
        noun: &str,
        project: &ProjectId,
        action: Action,
        reading: ReadMode,
    ) -> Result<(Stored<Project>, Subject)> {
        if self.actor()?.bound_project().is_some_and(|own| own != project) {
            return Err(Error::not_found(noun));
        }
        self.project(Some(project), action, reading).await.map_err(|error| match error.kind() {
            crate::Kind::NotFound => Error::not_found(noun),
            _ => error,
        })
    }

    /// What somebody is told who names a `noun` that does not exist: who works with no projects at all is told that instead.
    pub fn unknown(&mut self, noun: &str) -> Error {
        match self.allow(Action::ListProjects, &Object::Nothing) {
            Ok(()) => Error::not_found(noun),
            Err(error) => error,
        }
    }
}
