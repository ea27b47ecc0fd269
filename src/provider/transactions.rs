//! The numbers on the wire of one provider, drawn from blocks that the ledger has reserved.
//!
//! Shared by dispatch (commands) and the lanes (keepalives). It reserves nothing itself: dispatch asks `needs_block`, records
//! the reservation, then calls `grant`; so a crash can lose numbers but never hand one out twice.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::script::contract::TransactionRange;

/// Numbers in one reservation.
pub const BLOCK_NUMBERS: u64 = 1_000;

/// The transaction numbers of one provider.
pub struct Transactions {
    range: TransactionRange,
    stock: Mutex<Stock>,
}

struct Stock {
    /// Granted and not drawn, as first and last.
    blocks: VecDeque<(u64, u64)>,
    /// The last number ever granted.
    granted_to: Option<u64>,
    unanswered: HashSet<u64>,
}

impl Transactions {
    /// `reserved_to`: the last number that the ledger has reserved, from which a restart goes on.
    pub fn new(range: TransactionRange, reserved_to: Option<u64>) -> Self {
        assert!(range.min <= range.max, "a transaction range has a number");
        let granted_to = reserved_to.filter(|last| (range.min..=range.max).contains(last));
        Self {
            range,
            stock: Mutex::new(Stock {
                blocks: VecDeque::new(),
                granted_to,
                unanswered: HashSet::new(),
            }),
        }
    }

    pub fn range(&self) -> TransactionRange {
        self.range
    }

    /// The next number that is not unanswered; none until more is granted.
    pub fn take(&self) -> Option<u64> {
        let mut stock = self.lock();
        while let Some((first, last)) = stock.blocks.pop_front() {
            if first < last {
                stock.blocks.push_front((first + 1, last));
            }
            if !stock.unanswered.contains(&first) {
                return Some(first);
            }
        }
        None
    }

    /// The block to reserve next, once no more than half of one is left. The same until it is granted.
    pub fn needs_block(&self) -> Option<(u64, u64)> {
        let stock = self.lock();
        if stock.remaining() > self.block_numbers() / 2 {
            return None;
        }
        let first = match stock.granted_to {
            Some(last) if last < self.range.max => last + 1,
            Some(_) | None => self.range.min,
        };
        let last = first.saturating_add(self.block_numbers() - 1);
        Some((first, last.min(self.range.max)))
    }

    /// Puts a block in stock; the caller has recorded it.
    pub fn grant(&self, first: u64, last: u64) {
        assert!(
            self.range.min <= first && first <= last && last <= self.range.max,
            "a granted block lies in the mapping's range"
        );
        let mut stock = self.lock();
        stock.blocks.push_back((first, last));
        stock.granted_to = Some(last);
    }

    /// Numbers that can still be drawn, unanswered ones included.
    pub fn remaining(&self) -> u64 {
        self.lock().remaining()
    }

    /// A number that was drawn and did not go out is drawn again first.
    pub fn give_back(&self, number: u64) {
        self.lock().blocks.push_front((number, number));
    }

    /// The number stays out of use, over a wrap too, until it is answered.
    pub fn mark_unanswered(&self, number: u64) {
        self.lock().unanswered.insert(number);
    }

    pub fn mark_answered(&self, number: u64) {
        self.lock().unanswered.remove(&number);
    }

    pub fn unanswered_count(&self) -> usize {
        self.lock().unanswered.len()
    }

    /// A quarter of a small range, so that a block never meets itself.
    fn block_numbers(&self) -> u64 {
        let quarter = (self.range.max - self.range.min) / 4;
        BLOCK_NUMBERS.min(quarter.max(1))
    }

    fn lock(&self) -> MutexGuard<'_, Stock> {
        self.stock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stock {
    fn remaining(&self) -> u64 {
        self.blocks
            .iter()
            .map(|(first, last)| last - first + 1)
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMSGW: TransactionRange = TransactionRange {
        min: 1,
        max: 999_999_999,
    };

    fn grant_next(transactions: &Transactions) -> (u64, u64) {
        let (first, last) = transactions.needs_block().unwrap();
        transactions.grant(first, last);
        (first, last)
    }

    #[test]
    fn nothing_is_drawn_before_a_block_is_granted() {
        let transactions = Transactions::new(SMSGW, None);
        assert_eq!(transactions.take(), None);
        assert_eq!(transactions.needs_block(), Some((1, 1_000)));
        assert_eq!(transactions.needs_block(), Some((1, 1_000)));
        transactions.grant(1, 1_000);
        assert_eq!(transactions.take(), Some(1));
        assert_eq!(transactions.remaining(), 999);
    }

    #[test]
    fn the_next_block_is_due_when_half_of_one_is_used() {
        let transactions = Transactions::new(SMSGW, Some(5_000));
        assert_eq!(grant_next(&transactions), (5_001, 6_000));
        for _ in 0..499 {
            transactions.take();
        }
        assert_eq!(transactions.needs_block(), None);
        transactions.take();
        assert_eq!(grant_next(&transactions), (6_001, 7_000));
        assert_eq!(transactions.needs_block(), None);
        assert_eq!(transactions.take(), Some(5_501));
    }

    #[test]
    fn the_number_after_the_greatest_is_the_least() {
        let transactions = Transactions::new(SMSGW, Some(999_999_500));
        assert_eq!(grant_next(&transactions), (999_999_501, 999_999_999));
        assert_eq!(grant_next(&transactions), (1, 1_000));
        let drawn: Vec<u64> = (0..500).filter_map(|_| transactions.take()).collect();
        assert_eq!(drawn[498..], [999_999_999, 1]);
    }

    #[test]
    fn an_unanswered_number_is_skipped_at_the_wrap() {
        let range = TransactionRange { min: 1, max: 8 };
        let transactions = Transactions::new(range, None);
        transactions.mark_unanswered(2);
        let mut drawn = Vec::new();
        while drawn.len() < 9 {
            if transactions.needs_block().is_some() {
                grant_next(&transactions);
            }
            drawn.extend(transactions.take());
            transactions.mark_unanswered(3);
        }
        assert_eq!(drawn, [1, 4, 5, 6, 7, 8, 1, 4, 5]);
        transactions.mark_answered(2);
        assert_eq!(transactions.unanswered_count(), 1);
    }
}
