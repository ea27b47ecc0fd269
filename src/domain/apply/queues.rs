//! The queues of cards and STBs, and what a pending unpair or re-pair leaves.
//!
//! Whenever a request of a card is accepted or ends, or its pairing changes, the card's few pending requests are walked
//! from what the card holds (in doubt or not) and their places in the queues of the STBs they leave are moved (same place, other STB).

use crate::domain::{Edit, ItemNumber, Place, Request, Stbs};

/// Puts a request into all its queues.
pub fn stand(state: &mut impl Edit, request: &Request) {
    for item in request.queues() {
        enter(state, item, request.place());
    }
}

/// Takes a request out of all its queues.
pub fn leave(state: &mut impl Edit, request: &Request) {
    for item in request.queues() {
        exit(state, item, request.place());
    }
}

/// Derives anew what each unbound request of the card leaves.
pub fn rederive(state: &mut impl Edit, card: ItemNumber) {
    let queue = state.queue(card);
    if queue.is_empty() {
        return;
    }
    let pairing = state.pairing(card);
    let mut held = pairing.map(|pairing| pairing.held()).unwrap_or_default();
    for place in queue {
        let Some(request) = state.request(place.number) else {
            continue;
        };
        if request.card != card {
            continue;
        }
        if !request.is_bound() {
            let leaves = request.move_of().leaves(&held, request.stb);
            if leaves != request.leaves {
                let mut moved = (*request).clone();
                moved.leaves = leaves;
                stand_by_the_left(state, &request, &moved.leaves);
                state.put_request(moved);
            }
        }
        held = request.stbs_after(&held);
    }
}

/// Moves a request to the queues of the STBs that its plan leaves.
pub fn bind(state: &mut impl Edit, request: &Request, leaves: &Stbs) {
    if request.leaves != *leaves {
        stand_by_the_left(state, request, leaves);
    }
}

fn stand_by_the_left(state: &mut impl Edit, request: &Request, leaves: &Stbs) {
    let others = |stb: &ItemNumber| Some(*stb) != request.stb;
    for stb in request.leaves.iter().filter(others) {
        if !leaves.contains(stb) {
            exit(state, stb, request.place());
        }
    }
    for stb in leaves.iter().filter(others) {
        if !request.leaves.contains(stb) {
            enter(state, stb, request.place());
        }
    }
}

fn enter(state: &mut impl Edit, item: ItemNumber, place: Place) {
    let mut queue = state.queue(item);
    if let Err(at) = queue.binary_search(&place) {
        queue.insert(at, place);
        state.put_queue(item, queue);
    }
}

fn exit(state: &mut impl Edit, item: ItemNumber, place: Place) {
    let mut queue = state.queue(item);
    if let Ok(at) = queue.binary_search(&place) {
        queue.remove(at);
        state.put_queue(item, queue);
    }
}
