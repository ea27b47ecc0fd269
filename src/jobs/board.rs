//! What the jobs' threads and those who hand jobs in share: inputs on their way, jobs that a thread has, dry runs.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::JOBS_AT_ONCE;
use super::error::JobsError;
use super::rehearsal::RehearsalReport;
use crate::domain::JobNumber;
use crate::domain::event::JobFields;

/// Inputs that may be on their way, and dry runs that may wait or be unread, together.
const FOLDERS_MAX: usize = 16;
/// How long nothing may come of one before it makes room for another.
const IDLE_MAX: Duration = Duration::from_mins(5);
/// How long nobody may ask for a dry run before it is given up; whoever waits for it asks ten times a second.
const LEFT_AFTER: Duration = Duration::from_secs(30);

#[derive(Default)]
pub struct Board {
    inner: Mutex<Inner>,
    bell: Condvar,
}

#[derive(Default)]
struct Inner {
    /// Folders that no job has yet, with the instant of the last word about them.
    folders: HashMap<String, Duration>,
    /// Those of them that were handed in: nothing comes for them any more, and nobody hands them in again.
    handed_in: HashSet<String>,
    /// Jobs that a thread has, and what they wait for.
    taken: HashMap<JobNumber, Option<&'static str>>,
    /// Whether any thread works on jobs here.
    has_threads: bool,
    waiting: VecDeque<(String, String, JobFields)>,
    rehearsals: HashMap<String, RehearsalReport>,
}

impl Inner {
    /// Whether a job is being made of the folder, or its dry run waits or runs.
    fn is_busy(&self, folder: &str) -> bool {
        match self.rehearsals.get(folder) {
            Some(report) => !report.is_over,
            None => self.handed_in.contains(folder),
        }
    }

    fn forget(&mut self, folder: &str) {
        self.folders.remove(folder);
        self.handed_in.remove(folder);
        self.rehearsals.remove(folder);
    }
}

impl Board {
    /// Forgets what is idle; refuses if there is no room even so. `lost` hears each folder that goes.
    pub fn make_room(&self, now: Duration, lost: impl Fn(&str)) -> Result<(), JobsError> {
        let mut inner = self.lock();
        let idle: Vec<String> = inner
            .folders
            .iter()
            .filter(|(folder, at)| now.saturating_sub(**at) > IDLE_MAX && !inner.is_busy(folder))
            .map(|(folder, _)| folder.clone())
            .collect();
        for folder in idle {
            inner.forget(&folder);
            lost(&folder);
        }
        if inner.folders.len() >= FOLDERS_MAX {
            let limit = FOLDERS_MAX;
            return Err(JobsError::TooManyUploads { limit });
        }
        Ok(())
    }

    pub fn begin(&self, folder: String, now: Duration) {
        self.lock().folders.insert(folder, now);
    }

    /// Something came for a folder that is on its way.
    pub fn came(&self, folder: &str, now: Duration) -> Result<(), JobsError> {
        let mut inner = self.lock();
        let is_handed_in = inner.handed_in.contains(folder);
        match inner.folders.get_mut(folder) {
            Some(at) if !is_handed_in => {
                *at = now;
                Ok(())
            }
            _ => Err(JobsError::NoUpload {
                folder: folder.to_owned(),
            }),
        }
    }

    /// The folder came whole: one job or one dry run is made of it.
    pub fn hand_in(&self, folder: &str, now: Duration) -> Result<(), JobsError> {
        let mut inner = self.lock();
        if !inner.folders.contains_key(folder) || !inner.handed_in.insert(folder.to_owned()) {
            return Err(JobsError::NoUpload {
                folder: folder.to_owned(),
            });
        }
        inner.folders.insert(folder.to_owned(), now);
        Ok(())
    }

    pub fn rehearse(&self, folder: &str, by: &str, fields: JobFields) {
        let mut inner = self.lock();
        let report = RehearsalReport::waiting(&fields);
        inner.rehearsals.insert(folder.to_owned(), report);
        inner
            .waiting
            .push_back((folder.to_owned(), by.to_owned(), fields));
        drop(inner);
        self.ring();
    }

    pub fn take_rehearsal(&self) -> Option<(String, String, JobFields)> {
        self.lock().waiting.pop_front()
    }

    pub fn tell(&self, folder: &str, report: RehearsalReport) {
        self.lock().rehearsals.insert(folder.to_owned(), report);
    }

    /// Whether nobody waits for a dry run any more.
    pub fn is_left(&self, folder: &str, now: Duration) -> bool {
        let asked_at = self.lock().folders.get(folder).copied();
        asked_at.is_none_or(|at| now.saturating_sub(at) > LEFT_AFTER)
    }

    pub fn rehearsal(&self, folder: &str, now: Duration) -> Result<RehearsalReport, JobsError> {
        let mut inner = self.lock();
        let Some(report) = inner.rehearsals.get(folder).cloned() else {
            return Err(JobsError::NoRehearsal {
                folder: folder.to_owned(),
            });
        };
        inner.folders.insert(folder.to_owned(), now);
        Ok(report)
    }

    /// The folder is a job's now, or nobody's.
    pub fn forget(&self, folder: &str) {
        self.lock().forget(folder);
    }

    /// Takes a job for one thread; `false` if another has it.
    pub fn take(&self, number: JobNumber) -> bool {
        match self.lock().taken.entry(number) {
            Entry::Occupied(_) => false,
            Entry::Vacant(free) => {
                free.insert(None);
                true
            }
        }
    }

    /// A thread works on jobs from now on.
    pub fn has_threads(&self) {
        self.lock().has_threads = true;
    }

    /// Says what a taken job waits for; none: it goes on.
    pub fn waits(&self, number: JobNumber, what: Option<&'static str>) {
        if let Some(said) = self.lock().taken.get_mut(&number) {
            *said = what;
        }
    }

    /// Why a job that runs does not go on at the moment.
    pub fn why_not(&self, number: JobNumber) -> Option<&'static str> {
        let inner = self.lock();
        match inner.taken.get(&number) {
            Some(what) => *what,
            None if !inner.has_threads => Some("no server runs that works on it"),
            None if inner.taken.len() >= JOBS_AT_ONCE => Some("waits for the end of another job"),
            None => None,
        }
    }

    pub fn give_back(&self, number: JobNumber) {
        self.lock().taken.remove(&number);
    }

    /// Waits until something happens, or for so long.
    pub fn wait(&self, at_most: Duration) {
        let waited = self.bell.wait_timeout(self.lock(), at_most);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// Has all threads look.
    pub fn ring(&self) {
        self.bell.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
