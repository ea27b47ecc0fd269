//! The queues of cards and STBs, and what a pending unpair or re-pair leaves.
//!
//! Whenever a request of a card is accepted or ends, or its pairing changes, the card's few pending requests are walked
//! from what the card holds (in doubt or not) and their places in the queues of the STBs they leave are moved (same place, other STB).

use crate::domain::{Edit, ItemNumber, Place, Request};

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
    let mut at = state
        .pairing(card)
        .and_then(|pairing| pairing.held().next());
    for place in state.queue(card) {
        let Some(request) = state.request(place.number) else {
            continue;
        };
        if request.card != card {
            continue;
        }
        if !request.is_bound() {
            let leaves = at.filter(|stb| request.changes_pairing() && Some(*stb) != request.stb);
            if leaves != request.leaves {
                let mut moved = (*request).clone();
                moved.leaves = leaves;
                exit_left(state, &request);
                if let Some(stb) = leaves {
                    enter(state, stb, place);
                }
                state.put_request(moved);
            }
        }
        at = request.stb_after(at);
    }
}

/// Moves a request whose plan is being bound to another STB to leave.
pub fn bind(state: &mut impl Edit, request: &Request, leaves: Option<ItemNumber>) {
    if request.leaves == leaves {
        return;
    }
    exit_left(state, request);
    if let Some(stb) = leaves.filter(|stb| Some(*stb) != request.stb) {
        enter(state, stb, request.place());
    }
}

fn exit_left(state: &mut impl Edit, request: &Request) {
    if let Some(stb) = request.leaves.filter(|stb| Some(*stb) != request.stb) {
        exit(state, stb, request.place());
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
