//! Who goes first where a runner has few places: a run of the project that holds the fewest. One key can ask for any number of runs,
//! and they would otherwise take every place that comes free.

use crate::{
    app::Asgard,
    domain::run::{OPEN, Run, RunStatus},
    error::Result,
    kernel::{ProjectId, RunId, Timestamp},
    ports::{kinds::RUNS_OPEN, records::Records, store::Query},
};
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// How long a run that found no room is taken to be waiting, beyond the pause after which it asks again. One that does not ask any more
/// keeps nobody waiting.
const GRACE: Duration = Duration::from_secs(10);
/// How long what was counted is good enough.
const COUNTED_FOR: Duration = Duration::from_secs(1);
/// How many open runs are looked at.
const PAGE: usize = 200;
const MAX_PAGES: usize = 20;
/// How many waiting runs are known at most: those that ask the soonest.
const MAX_WAITING: usize = 10_000;

/// The runs that found no room here, and how many places each project holds.
#[derive(Default)]
pub(crate) struct FairPlaces {
    waiting: Mutex<BTreeMap<RunId, Waiting>>,
    counted: Mutex<Option<(Timestamp, BTreeMap<ProjectId, usize>)>>,
}

crate::kernel::opaque!(FairPlaces);

struct Waiting {
    project: ProjectId,
    until: Timestamp,
}

/// A map is whole whoever panicked beside it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a run of `project` waits until others have gone: one of a project that holds fewer places.
fn yields<'p>(
    project: &ProjectId,
    held: &BTreeMap<ProjectId, usize>,
    mut waiting: impl Iterator<Item = &'p ProjectId>,
) -> bool {
    let holds = |project: &ProjectId| held.get(project).copied().unwrap_or_default();
    let mine = holds(project);
    waiting.any(|other| other != project && holds(other) < mine)
}

impl FairPlaces {
    /// Whether the run waits although there may be room. Nothing is read while nobody waits.
    pub(super) async fn has_to_wait(&self, app: &Asgard, run: &RunId) -> Result<bool> {
        let now = app.world().now();
        let waiting: Vec<ProjectId> = {
            let mut waiting = lock(&self.waiting);
            // A moment far ahead is one of a clock that was wrong.
            waiting.retain(|_, entry| now < entry.until && entry.until.since(now) < Duration::from_secs(3600));
            waiting.iter().filter(|(id, _)| *id != run).map(|(_, entry)| entry.project.clone()).collect()
        };
        if waiting.is_empty() {
            return Ok(false);
        }
        let Some(run) = app.store().read::<Run>(run.as_str()).await? else { return Ok(false) };
        if waiting.iter().all(|project| *project == run.project) {
            return Ok(false);
        }
        let held = self.held(app, now).await?;
        Ok(yields(&run.project, &held, waiting.iter()))
    }

    /// Notes that there was no room for the run, which asks again after `pause`.
    pub(super) async fn waits(&self, app: &Asgard, run: &RunId, pause: Duration) -> Result<()> {
        let Some(found) = app.store().read::<Run>(run.as_str()).await? else { return Ok(()) };
        let until = app.world().now().plus(pause).plus(GRACE);
        let mut waiting = lock(&self.waiting);
        if waiting.len() < MAX_WAITING || waiting.contains_key(run) {
            waiting.insert(run.clone(), Waiting { project: found.project.clone(), until });
        }
        Ok(())
    }

    /// Notes that the run has its place, or needs none any more.
    pub(super) fn went(&self, run: &RunId) {
        lock(&self.waiting).remove(run);
        *lock(&self.counted) = None;
    }

    /// How many runs of each project are carried out, on any host.
    async fn held(&self, app: &Asgard, now: Timestamp) -> Result<BTreeMap<ProjectId, usize>> {
        if let Some((at, counted)) = lock(&self.counted).as_ref()
            && *at <= now
            && now.since(*at) < COUNTED_FOR
        {
            return Ok(counted.clone());
        }
        let mut held: BTreeMap<ProjectId, usize> = BTreeMap::new();
        let mut after = None;
        for _ in 0..MAX_PAGES {
            let page = app.store().list::<Run>(&Query::new(&RUNS_OPEN, OPEN).after(after).take(PAGE)).await?;
            for run in page.items.iter().filter(|run| run.status == RunStatus::Running) {
                *held.entry(run.project.clone()).or_default() += 1;
            }
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        *lock(&self.counted) = Some((now, held.clone()));
        Ok(held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_of_the_project_that_holds_fewer_places_goes_first() {
        let (busy, quiet, third) = (ProjectId::new(2026, 1), ProjectId::new(2026, 2), ProjectId::new(2026, 3));
        let held = BTreeMap::from([(busy.clone(), 3), (third.clone(), 1)]);
        assert!(yields(&busy, &held, [&busy, &quiet].into_iter()));
        assert!(yields(&third, &held, [&busy, &quiet].into_iter()));
        assert!(!yields(&quiet, &held, [&busy, &third].into_iter()));
        assert!(!yields(&busy, &held, [&busy].into_iter()), "its own runs keep nobody waiting");
        assert!(!yields(&quiet, &BTreeMap::new(), [&third].into_iter()), "of equals whoever asks goes");
    }
}
