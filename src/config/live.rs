//! A setting that a reload replaces whole: who reads it keeps the one that was in force when it looked.
//!
//! Nobody waits for anybody: a reader clones an `Arc`, and a writer puts another one in its place.

use std::sync::{Arc, PoisonError, RwLock};

/// One setting, or several that belong together.
#[derive(Debug, Default)]
pub struct Live<T>(RwLock<Arc<T>>);

impl<T> Live<T> {
    pub fn new(value: T) -> Self {
        Self(RwLock::new(Arc::new(value)))
    }

    /// The one that is in force now.
    pub fn get(&self) -> Arc<T> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Another one, from the next look on.
    pub fn set(&self, value: T) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(value);
    }
}
