//! Kill, unkill, decommission. Each names every status, so that a new one has to be thought about here.

use super::{Project, ProjectStatus};
use crate::{
    error::{Code, Error, Result},
    kernel::{ActorRef, Timestamp, is_plain},
};

const MAX_REASON: usize = 500;

fn wrong(project: &Project, verb: &str) -> Error {
    Error::new(
        Code::WrongState,
        format!("{} is {} and cannot be {verb}.", project.id, project.status.lifecycle().name()),
    )
}

/// Stops a project at once. An admin may take over somebody else's kill, so that only an admin can lift it.
pub fn kill(project: &Project, by: ActorRef, by_admin: bool, reason: &str, now: Timestamp) -> Result<Project> {
    let reason = reason.trim();
    if reason.is_empty() || reason.chars().count() > MAX_REASON || !reason.chars().all(is_plain) {
        let allowed =
            "Say why in 1 to 500 characters on one line, none of them invisible or turning the direction of text.";
        return Err(Error::invalid("reason", allowed));
    }
    match &project.status {
        ProjectStatus::Active => {}
        ProjectStatus::Killed { by_admin: already, .. } if by_admin && !already => {}
        ProjectStatus::Killed { .. } | ProjectStatus::Decommissioned { .. } => return Err(wrong(project, "killed")),
    }
    let status = ProjectStatus::Killed { by, by_admin, at: now, reason: reason.to_owned() };
    Ok(Project { status, updated_at: now, ..project.clone() })
}

/// Lifts a kill.
pub fn unkill(project: &Project, by_admin: bool, now: Timestamp) -> Result<Project> {
    match &project.status {
        ProjectStatus::Killed { by_admin: true, .. } if !by_admin => {
            Err(Error::new(Code::Denied, "An admin killed this project; only an admin can lift that."))
        }
        ProjectStatus::Killed { .. } => {
            Ok(Project { status: ProjectStatus::Active, updated_at: now, ..project.clone() })
        }
        ProjectStatus::Active | ProjectStatus::Decommissioned { .. } => Err(wrong(project, "unkilled")),
    }
}

/// Ends a project for good. That it has no resources left is a count in the same commit.
pub fn decommission(project: &Project, by: ActorRef, now: Timestamp) -> Result<Project> {
    match &project.status {
        ProjectStatus::Active | ProjectStatus::Killed { by_admin: false, .. } => {
            Ok(Project { status: ProjectStatus::Decommissioned { by, at: now }, updated_at: now, ..project.clone() })
        }
        ProjectStatus::Killed { by_admin: true, .. } => Err(Error::new(
            Code::WrongState,
            "An admin killed this project; it can be decommissioned once an admin has lifted that.",
        )),
        ProjectStatus::Decommissioned { .. } => Err(wrong(project, "decommissioned")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::project;
    use super::*;
    use crate::kernel::ActorKind;

    fn by() -> ActorRef {
        ActorRef { kind: ActorKind::Human, id: "usr_x".into(), person: None, user: None }
    }

    #[test]
    fn the_whole_table_of_lives() {
        let now = Timestamp::from_millis(5);
        let active = project();
        let killed = kill(&active, by(), false, "leak", now).unwrap();
        let admin_killed = kill(&active, by(), true, "audit", now).unwrap();
        let gone = decommission(&active, by(), now).unwrap();

        assert!(kill(&killed, by(), false, "again", now).is_err());
        assert!(kill(&killed, by(), true, "mine now", now).is_ok(), "an admin takes a kill over");
        assert!(kill(&admin_killed, by(), true, "again", now).is_err());
        assert!(kill(&gone, by(), true, "late", now).is_err());
        assert_eq!(kill(&active, by(), true, " ", now).unwrap_err().field(), Some("reason"));

        assert!(unkill(&active, true, now).is_err());
        assert_eq!(unkill(&killed, false, now).unwrap().status, ProjectStatus::Active);
        assert_eq!(unkill(&admin_killed, false, now).unwrap_err().code(), Code::Denied);
        assert_eq!(unkill(&admin_killed, true, now).unwrap().status, ProjectStatus::Active);
        assert!(unkill(&gone, true, now).is_err());

        assert!(decommission(&killed, by(), now).is_ok());
        assert!(decommission(&admin_killed, by(), now).is_err());
        assert!(decommission(&gone, by(), now).is_err());

        for (stopped, word) in [(&killed, "killed"), (&admin_killed, "admin"), (&gone, "decommissioned")] {
            let error = stopped.require_active().unwrap_err();
            assert_eq!(error.code(), Code::ProjectInactive);
            assert!(error.message().contains(word), "{}", error.message());
        }
    }
}
