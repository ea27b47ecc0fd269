//! Whose turn it is on a line from the gate: answers go out in the order of the requests, many in one write.
//!
//! tiny_http makes the answer of a connection's second request block until the first is answered, so an answer is put down
//! here, and whoever finds the next ones ready carries them out together. The gate takes whatever comes, so a write never
//! waits for a client.

use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::io::Write;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::gate::GateRequestId as RequestId;

/// Gives the writer of one request; called when its turn has come.
pub type OpensWriter = Box<dyn FnOnce() -> Box<dyn Write + Send> + Send>;

/// Told the line on which answers were lost: whoever waits on it waits for nothing.
pub type IsLost = Box<dyn Fn(u64) + Send + Sync>;

/// Writes of one thread in a row.
const CARRIED_MAX: usize = 16;

/// The answers that are owed, by line.
pub struct Turns {
    lines: Mutex<Lines>,
    is_lost: IsLost,
}

#[derive(Default)]
struct Lines {
    lines: HashMap<u64, Line>,
    /// Lines with an answer that may leave.
    ready: VecDeque<u64>,
}

#[derive(Default)]
struct Line {
    slots: VecDeque<Slot>,
    is_being_written: bool,
}

struct Slot {
    id: RequestId,
    opens: OpensWriter,
    bytes: Option<Vec<u8>>,
}

thread_local! {
    /// Batches that are open on this thread.
    static BATCHES: Cell<usize> = const { Cell::new(0) };
}

/// While it lives, answers that its thread puts down gather; they leave together when it falls. It stays on its thread.
pub struct Batch {
    turns: Arc<Turns>,
    _stays: PhantomData<*const ()>,
}

impl Turns {
    pub fn new(is_lost: IsLost) -> Self {
        Self {
            lines: Mutex::default(),
            is_lost,
        }
    }

    /// Takes a place; to be called in the order in which a line's requests came.
    pub fn take(&self, line: u64, id: RequestId, opens: OpensWriter) {
        let mut lines = self.lock();
        let slots = &mut lines.lines.entry(line).or_default().slots;
        slots.push_back(Slot {
            id,
            opens,
            bytes: None,
        });
    }

    /// Puts the answer of a request down. Its line's earlier ones leave before it.
    pub fn deliver(&self, line: u64, id: RequestId, bytes: Vec<u8>) {
        let mut lines = self.lock();
        let Some(owing) = lines.lines.get_mut(&line) else {
            return;
        };
        // Numbers rise along a line.
        let Ok(at) = owing.slots.binary_search_by_key(&id, |slot| slot.id) else {
            return;
        };
        if let Some(slot) = owing.slots.get_mut(at) {
            slot.bytes = Some(bytes);
        }
        let may_leave = owing.slots.front().is_some_and(|slot| slot.bytes.is_some());
        if owing.is_being_written || !may_leave {
            return;
        }
        lines.ready.push_back(line);
        drop(lines);
        if BATCHES.get() == 0 {
            self.carry();
        }
    }

    /// Whether nothing stands before it on its line.
    pub fn is_next(&self, line: u64, id: RequestId) -> bool {
        let lines = self.lock();
        let first = lines.lines.get(&line).and_then(|line| line.slots.front());
        first.is_some_and(|slot| slot.id == id)
    }

    /// Gathers what this thread delivers until the batch falls.
    pub fn batch(self: &Arc<Self>) -> Batch {
        BATCHES.set(BATCHES.get() + 1);
        Batch {
            turns: self.clone(),
            _stays: PhantomData,
        }
    }

    /// Carries out what is ready, so much of it: others may put down as fast as one thread carries, and that thread has more to
    /// do. What is left is carried with the next answer, or by the pump, which comes by often.
    pub fn carry(&self) {
        for _ in 0..CARRIED_MAX {
            let mut lines = self.lock();
            let Some((line, slots)) = lines.next() else {
                return;
            };
            drop(lines);
            if let Err(error) = write(slots) {
                tracing::warn!(%error, "answers did not reach the gate");
                (self.is_lost)(line);
            }
            self.lock().is_written(line);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        BATCHES.set(BATCHES.get() - 1);
        if BATCHES.get() == 0 {
            self.turns.carry();
        }
    }
}

impl Lines {
    /// The answers of one line that may leave now, in order.
    fn next(&mut self) -> Option<(u64, Vec<Slot>)> {
        while let Some(number) = self.ready.pop_front() {
            let Some(line) = self.lines.get_mut(&number) else {
                continue;
            };
            if line.is_being_written {
                continue;
            }
            let count = line.slots.iter().take_while(|slot| slot.bytes.is_some());
            let count = count.count();
            if count > 0 {
                line.is_being_written = true;
                return Some((number, line.slots.drain(..count).collect()));
            }
        }
        None
    }

    fn is_written(&mut self, number: u64) {
        let Some(line) = self.lines.get_mut(&number) else {
            return;
        };
        line.is_being_written = false;
        match line.slots.front() {
            None => {
                self.lines.remove(&number);
            }
            Some(slot) if slot.bytes.is_some() => self.ready.push_back(number),
            Some(_) => {}
        }
    }
}

/// All through the first writer; then each writer falls in order, which lets tiny_http go on.
fn write(slots: Vec<Slot>) -> std::io::Result<()> {
    let mut slots = slots.into_iter();
    let Some(first) = slots.next() else {
        return Ok(());
    };
    let mut bytes = first.bytes.unwrap_or_default();
    let mut others = Vec::with_capacity(slots.len());
    for slot in slots {
        bytes.extend(slot.bytes.unwrap_or_default());
        others.push(slot.opens);
    }
    let mut writer = (first.opens)();
    let written = writer.write_all(&bytes).and_then(|()| writer.flush());
    drop(writer);
    for opens in others {
        drop(opens());
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writers that say who wrote what, and in which order they fell.
    #[derive(Clone, Default)]
    struct Told(Arc<Mutex<Vec<String>>>);

    struct Pen {
        told: Told,
        name: u64,
    }

    impl Write for Pen {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            if bytes.starts_with(b"!") {
                return Err(std::io::Error::other("no way through"));
            }
            self.told.say(format!(
                "{} writes {}",
                self.name,
                String::from_utf8_lossy(bytes)
            ));
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Drop for Pen {
        fn drop(&mut self) {
            self.told.say(format!("{} falls", self.name));
        }
    }

    impl Told {
        fn say(&self, what: String) {
            self.0.lock().unwrap().push(what);
        }

        fn take(&self) -> Vec<String> {
            std::mem::take(&mut self.0.lock().unwrap())
        }

        fn opens(&self, name: u64) -> OpensWriter {
            let told = self.clone();
            Box::new(move || Box::new(Pen { told, name }))
        }
    }

    fn turns_of(told: &Told, places: &[(u64, u64)]) -> Arc<Turns> {
        let lost = told.clone();
        let is_lost = move |line| lost.say(format!("{line} is lost"));
        let turns = Arc::new(Turns::new(Box::new(is_lost)));
        for (line, id) in places {
            turns.take(*line, RequestId(*id), told.opens(*id));
        }
        turns
    }

    #[test]
    fn answers_leave_in_the_order_of_the_requests_and_together() {
        let told = Told::default();
        let turns = turns_of(&told, &[(1, 1), (1, 2), (1, 3), (2, 4)]);
        turns.deliver(1, RequestId(2), b"b".to_vec());
        assert_eq!(told.take(), [""; 0]);
        turns.deliver(2, RequestId(4), b"d".to_vec());
        assert_eq!(told.take(), ["4 writes d", "4 falls"]);
        turns.deliver(1, RequestId(1), b"a".to_vec());
        assert_eq!(told.take(), ["1 writes ab", "1 falls", "2 falls"]);
        turns.deliver(1, RequestId(3), b"c".to_vec());
        assert_eq!(told.take(), ["3 writes c", "3 falls"]);
        assert!(turns.lock().lines.is_empty());
    }

    #[test]
    fn a_batch_leaves_in_one_write_when_it_falls() {
        let told = Told::default();
        let turns = turns_of(&told, &[(1, 1), (1, 2)]);
        let batch = turns.batch();
        turns.deliver(1, RequestId(1), b"a".to_vec());
        turns.deliver(1, RequestId(2), b"b".to_vec());
        assert_eq!(told.take(), [""; 0]);
        drop(batch);
        assert_eq!(told.take(), ["1 writes ab", "1 falls", "2 falls"]);
    }

    #[test]
    fn what_is_delivered_during_a_write_leaves_after_it() {
        let told = Told::default();
        let turns = turns_of(&told, &[(1, 1)]);
        let (again, inner) = (turns.clone(), told.clone());
        turns.take(
            1,
            RequestId(2),
            Box::new(move || {
                again.deliver(1, RequestId(3), b"c".to_vec());
                (inner.opens(2))()
            }),
        );
        turns.take(1, RequestId(3), told.opens(3));
        turns.deliver(1, RequestId(2), b"b".to_vec());
        turns.deliver(1, RequestId(1), b"a".to_vec());
        assert_eq!(
            told.take(),
            ["1 writes ab", "1 falls", "2 falls", "3 writes c", "3 falls"]
        );
    }

    /// Each write puts the next answer down, as a flood of quick calls does.
    #[test]
    fn nobody_carries_for_others_without_end() {
        const FLOOD: u64 = 100;
        let told = Told::default();
        let turns = turns_of(&told, &[]);
        for id in 0..FLOOD {
            let (again, inner) = (turns.clone(), told.clone());
            turns.take(
                1,
                RequestId(id),
                Box::new(move || {
                    again.deliver(1, RequestId(id + 1), b"x".to_vec());
                    (inner.opens(id))()
                }),
            );
        }
        turns.deliver(1, RequestId(0), b"x".to_vec());
        assert_eq!(told.take().len(), 2 * CARRIED_MAX);
        // The next answer takes on what was left, though its own turn is far.
        turns.deliver(1, RequestId(FLOOD - 1), b"x".to_vec());
        assert_eq!(told.take().len(), 2 * CARRIED_MAX);
        for _ in 0..FLOOD {
            turns.carry();
        }
        let left = told.take();
        let fallen = left.iter().filter(|said| said.ends_with("falls")).count();
        assert_eq!(fallen, FLOOD as usize - 2 * CARRIED_MAX);
        assert!(turns.lock().lines.is_empty());
    }

    #[test]
    fn a_line_whose_answers_did_not_leave_is_told_of_and_goes_on() {
        let told = Told::default();
        let turns = turns_of(&told, &[(7, 1), (7, 2), (7, 3)]);
        turns.deliver(7, RequestId(2), b"b".to_vec());
        turns.deliver(7, RequestId(1), b"!".to_vec());
        assert_eq!(told.take(), ["1 falls", "2 falls", "7 is lost"]);
        turns.deliver(7, RequestId(3), b"c".to_vec());
        assert_eq!(told.take(), ["3 writes c", "3 falls"]);
    }

    #[test]
    fn nothing_is_delivered_twice_or_for_nobody() {
        let told = Told::default();
        let turns = turns_of(&told, &[(1, 1)]);
        turns.deliver(1, RequestId(1), b"a".to_vec());
        turns.deliver(1, RequestId(1), b"a".to_vec());
        turns.deliver(2, RequestId(1), b"a".to_vec());
        assert_eq!(told.take(), ["1 writes a", "1 falls"]);
    }
}
