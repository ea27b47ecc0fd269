//! Rows by numbers that were given out one after the other: a vector, so that a look is one step and a row costs eight bytes.
//!
//! A number far behind the others, as only a damaged row has it, is kept beside the vector.

use hashbrown::HashMap;

/// Numbers that may be missing before the next one.
const GAP_MAX: usize = 1 << 20;

/// Rows by number.
#[derive(Debug)]
pub struct Dense<T> {
    rows: Vec<Option<T>>,
    far: HashMap<u64, T>,
}

impl<T> Default for Dense<T> {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            far: HashMap::new(),
        }
    }
}

impl<T> Dense<T> {
    pub fn get(&self, number: u64) -> Option<&T> {
        let at = usize::try_from(number).ok();
        let row = at.and_then(|at| self.rows.get(at)?.as_ref());
        match row {
            None if !self.far.is_empty() => self.far.get(&number),
            row => row,
        }
    }

    /// Puts a row in; answers the one that was there.
    pub fn insert(&mut self, number: u64, row: T) -> Option<T> {
        let before = self.far.remove(&number);
        let Some(slot) = self.slot(number) else {
            self.far.insert(number, row);
            return before;
        };
        slot.replace(row).or(before)
    }

    /// Makes room for so many numbers.
    pub fn reserve(&mut self, count: usize) {
        let more = count.saturating_sub(self.rows.len());
        // The first number is 1.
        self.rows.reserve(more + 1);
    }

    fn slot(&mut self, number: u64) -> Option<&mut Option<T>> {
        let at = usize::try_from(number).ok()?;
        if at >= self.rows.len() {
            if at - self.rows.len() > GAP_MAX {
                return None;
            }
            self.rows.resize_with(at + 1, || None);
        }
        self.rows.get_mut(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_found_wherever_their_numbers_lie() {
        let mut rows = Dense::default();
        let far = 3 * GAP_MAX as u64;
        for number in [1, 7, far, u64::MAX, 2] {
            assert_eq!(rows.insert(number, number), None);
        }
        assert!(rows.rows.len() < 100);
        assert_eq!(rows.insert(7, 70), Some(7));
        assert_eq!(rows.insert(far, 30), Some(far));
        // What lay apart is found when the others have come up to it, too.
        for number in (100..far).step_by(GAP_MAX / 2).chain([far + 1]) {
            rows.insert(number, number);
        }
        assert!(rows.rows.len() as u64 > far);
        assert_eq!(rows.get(far), Some(&30));
        assert_eq!(rows.insert(far, 31), Some(30));
        assert_eq!(rows.get(far), Some(&31));
        assert_eq!(rows.get(u64::MAX), Some(&u64::MAX));
        assert_eq!([rows.get(0), rows.get(3), rows.get(far + 7)], [None; 3]);
        assert_eq!((rows.get(1), rows.get(7)), (Some(&1), Some(&70)));
    }
}
