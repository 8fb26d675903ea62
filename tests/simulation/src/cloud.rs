//! The model cloud: it really makes things, one by one, and knows nothing of Asgard or of Terraform's state.

use crate::dice::Dice;
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// A thing that exists, or existed.
#[derive(Clone, Debug)]
pub struct Thing {
    /// The resource that it was made for.
    pub resource: String,
    /// Terraform's address of it.
    pub address: String,
    /// The run that made it.
    pub run: String,
    /// Whether it was destroyed.
    pub gone: bool,
}

/// Every thing ever made, by id.
#[derive(Debug, Default)]
pub struct Cloud {
    things: Mutex<BTreeMap<u64, Thing>>,
}

impl Cloud {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Thing>> {
        self.things.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a thing, and returns its id. The same address twice makes two things, as clouds do.
    pub fn create(&self, resource: &str, address: &str, run: &str) -> u64 {
        let mut things = self.lock();
        let id = things.len() as u64 + 1;
        let thing = Thing { resource: resource.into(), address: address.into(), run: run.into(), gone: false };
        things.insert(id, thing);
        id
    }

    /// Destroys a thing. Destroying what is gone changes nothing.
    pub fn destroy(&self, id: u64) {
        if let Some(thing) = self.lock().get_mut(&id) {
            thing.gone = true;
        }
    }

    /// What exists, with its id.
    pub fn existing(&self) -> Vec<(u64, Thing)> {
        self.lock().iter().filter(|(_, thing)| !thing.gone).map(|(id, thing)| (*id, thing.clone())).collect()
    }

    /// How many things were ever made.
    pub fn made(&self) -> usize {
        self.lock().len()
    }

    /// Whether the next call fails: clouds do, now and then.
    pub fn fails(dice: &Dice) -> bool {
        dice.percent(3)
    }
}
