//! Lists across projects of what somebody has to look at: each caller sees what belongs to projects that they may read.

use crate::{
    app::Asgard,
    domain::{
        access::{Action, Object, Subject, decide},
        project::Project,
    },
    error::Result,
    kernel::{Actor, ProjectId},
    ports::{
        kinds::Index,
        records::{Entity, Listed, PAGE_BYTES, Records, Stored},
        store::{Position, Query},
    },
};
use std::collections::BTreeMap;

/// How many entries one page of somebody's inbox looks through at most.
const MAX_LOOKED_THROUGH: usize = 1000;

/// Where the entries are, ordered by id, and which of them are wanted.
pub(crate) struct Inbox<'a, T> {
    /// The index, which orders by id alone.
    pub index: &'static Index,
    /// Its partition.
    pub partition: &'static str,
    /// The project that an entry belongs to.
    pub project: fn(&T) -> &ProjectId,
    /// The only project that is wanted.
    pub only: Option<&'a ProjectId>,
}

impl<T: Entity> Inbox<'_, T> {
    /// Walks the entries and keeps what concerns the actor, through a bounded number of entries a page.
    pub(crate) async fn concerning(
        &self,
        app: &Asgard,
        actor: &Actor,
        mut after: Option<Position>,
        limit: usize,
    ) -> Result<Listed<T>> {
        let mut kept: Vec<Stored<T>> = Vec::new();
        let (mut looked, mut bytes) = (0, 0);
        let mut projects: BTreeMap<String, bool> = BTreeMap::new();
        loop {
            let query = Query::new(self.index, self.partition).after(after.clone()).take(100);
            let page = app.store().list::<T>(&query).await?;
            self.learn(app, actor, &page.items, &mut projects).await?;
            let end = page.next.is_none();
            for entry in page.items {
                looked += 1;
                after = Some(Position { sort: String::new(), id: entry.record_id() });
                let project = (self.project)(&entry.value);
                let concerns = self.only.is_none_or(|only| only == project)
                    && projects.get(project.as_str()).copied().unwrap_or(false);
                if concerns {
                    bytes += entry.size();
                    kept.push(entry);
                }
                if kept.len() == limit || bytes >= PAGE_BYTES || looked >= MAX_LOOKED_THROUGH {
                    return Ok(Listed { items: kept, next: after });
                }
            }
            if end {
                return Ok(Listed { items: kept, next: None });
            }
            after = page.next;
        }
    }

    async fn learn(
        &self,
        app: &Asgard,
        actor: &Actor,
        entries: &[Stored<T>],
        known: &mut BTreeMap<String, bool>,
    ) -> Result<()> {
        let projects = entries.iter().map(|entry| (self.project)(&entry.value).to_string());
        let mut ids: Vec<String> = projects.filter(|id| !known.contains_key(id)).collect();
        ids.sort();
        ids.dedup();
        for (id, project) in ids.iter().zip(app.store().read_many::<Project>(&ids).await?) {
            let may = project.is_some_and(|project| {
                decide(Action::ReadProject, actor, &Object::Project(&Subject::from(&project.value))).is_ok()
            });
            known.insert(id.clone(), may);
        }
        Ok(())
    }
}
