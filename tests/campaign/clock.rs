//! The wall clock jumps both ways, by seconds or by years, while requests are accepted and sent: order is kept, nothing is
//! sent again because of it, nothing goes before its date by the clock that counts, and tokens neither die early nor live
//! on.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use pairbox::access::{Access, Role};
use pairbox::clock::{Clock, ManualClock};
use pairbox::config::TokenLife;
use pairbox::domain::{Chance, Timestamp};

use crate::rounds::Rounds;
use crate::stage::cas::Answer;
use crate::stage::model::Stands;
use crate::stage::seconds;
use crate::staged::Staged;
use crate::table::Row;

const YEARS: Duration = Duration::from_hours(24 * 365 * 20);

#[test]
fn a_clock_that_jumps_by_years_reorders_and_repeats_nothing() {
    let rounds = Rounds::timed(
        "clock jumps",
        Duration::from_secs(2),
        Duration::from_mins(2),
    );
    let mut row = Row::default();
    for seed in rounds {
        let mut staged = Staged::set(seed, |_| {});
        staged.history.jump_max = YEARS;
        let is_calm = seed % 2 == 0;
        if is_calm {
            // Then a second attempt has no reason but the clock.
            staged.history.stage.cas.moods = None;
            staged.history.stage.cas.usual = Answer::OkAfter(Duration::from_millis(700));
        }
        for _ in 0..20 + staged.chance.below(60) {
            act(&mut staged, is_calm);
        }
        if is_calm {
            check_each_was_sent_once(&mut staged);
        }
        let (verdict, recoveries) = staged.judge();
        row.add(&verdict, recoveries);
    }
    row.tell("clock jumps of up to 20 years, both ways");
}

/// In calm the clock alone does anything but what was asked.
fn act(staged: &mut Staged, is_calm: bool) {
    let jumps = staged.chance.below(2) == 0;
    let span = Duration::from_millis(staged.chance.below(8_000));
    staged.history.told(|history| {
        if jumps {
            history.jump();
        }
        if is_calm {
            history.ask();
            history.stage.advance(span);
        } else {
            history.act();
        }
        history.breathe();
    });
}

fn check_each_was_sent_once(staged: &mut Staged) {
    staged.history.told(|history| {
        history.stage.settle();
        history.stage.advance(seconds(30));
        for (number, known) in &history.stage.model.requests {
            let is_out = usize::from(known.stands == Stands::Sending);
            assert_eq!(
                known.attempts.len(),
                known.acknowledged + is_out,
                "request {number} was sent again, the CAS answered in time: {known:?}"
            );
        }
    });
}

const HOME: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const IDLE: Duration = Duration::from_hours(1);

#[test]
fn a_token_lives_as_long_as_its_idle_time_whatever_the_clock_does() {
    let rounds = Rounds::timed(
        "clock jumps over tokens",
        Duration::from_millis(500),
        Duration::from_secs(20),
    );
    for seed in rounds {
        let mut chance = Chance::new(seed);
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(crate::stage::START));
        let life = TokenLife::Idle(IDLE);
        let access = Access::open(folder.path(), life, clock.clone()).unwrap();
        let (key, _) = access.key_create("crm", Role::Crm).unwrap();
        let mut token = access.login_key(key.as_str(), HOME).unwrap();
        for _ in 0..100 {
            let span = jump(&clock, &mut chance);
            let is_alive = access.check(token.as_str()).is_ok();
            assert_eq!(is_alive, span < IDLE, "after a jump of {span:?}");
            if !is_alive {
                token = access.login_key(key.as_str(), HOME).unwrap();
                access.check(token.as_str()).unwrap();
            }
        }
    }
}

/// Forward or back; answers how far.
fn jump(clock: &ManualClock, chance: &mut Chance) -> Duration {
    let span = match chance.below(3) {
        0 => Duration::from_micros(chance.below(2_000_000)),
        1 => seconds(chance.below(2 * IDLE.as_secs())),
        _ => seconds(chance.below(YEARS.as_secs())),
    };
    let now: Timestamp = clock.now();
    let to = if chance.below(2) == 0 {
        now.plus(span)
    } else {
        now.minus(span)
    };
    clock.set_wall(to);
    span
}
