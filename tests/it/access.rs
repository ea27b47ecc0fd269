//! Users, keys and tokens: who was let in stays in over a restart, and who was put out is out at once.

use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use pairbox::access::{
    Access, AccessChange, AccessError, Denied, IdentityKind, LoginError, LoginFailures, Role,
    SESSIONS_MAX, Token,
};
use pairbox::clock::ManualClock;
use pairbox::config::TokenLife;
use pairbox::domain::Timestamp;

const HOME: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const AWAY: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 66));
const IDLE: TokenLife = TokenLife::Idle(Duration::from_hours(1));
const PASSWORD: &str = "correct horse";

struct Desk {
    folder: tempfile::TempDir,
    clock: Arc<ManualClock>,
    access: Access,
}

impl Desk {
    fn new() -> Self {
        Self::with_life(IDLE)
    }

    fn with_life(life: TokenLife) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let start = Timestamp::from_micros(1_700_000_000_000_000);
        let clock = Arc::new(ManualClock::new(start));
        let access = Access::open(folder.path(), life, clock.clone()).unwrap();
        Self {
            folder,
            clock,
            access,
        }
    }

    fn restart(&mut self) {
        self.access = Access::open(self.folder.path(), IDLE, self.clock.clone()).unwrap();
    }

    fn anna(&self) -> Token {
        self.access
            .user_add("anna", Role::Operator, PASSWORD)
            .unwrap();
        self.access.login("anna", PASSWORD, HOME).unwrap()
    }

    fn check(&self, token: &Token) -> Result<(), Denied> {
        self.access.check(token.as_str()).map(|_| ())
    }

    fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap()
    }
}

#[test]
fn a_token_survives_a_restart_and_no_secret_is_stored() {
    let mut desk = Desk::new();
    let token = desk.anna();
    assert_eq!(token.as_str().len(), 32);
    assert!(
        token
            .as_str()
            .chars()
            .all(|c| matches!(c, '0'..='9' | 'A'..='F'))
    );
    desk.restart();
    let identity = desk.access.check(token.as_str()).unwrap();
    assert_eq!(identity.name, "anna");
    assert_eq!(identity.role, Role::Operator);
    assert_eq!(identity.kind, IdentityKind::User);
    for name in ["access.toml", "sessions.jsonl"] {
        let text = desk.file(name);
        assert!(
            !text.contains(PASSWORD) && !text.contains(token.as_str()),
            "{text}"
        );
        let mode = std::fs::metadata(desk.folder.path().join(name)).unwrap();
        assert_eq!(mode.permissions().mode() & 0o777, 0o600, "{name}");
    }
}

#[test]
fn removal_and_a_new_password_end_tokens_at_once_and_for_good() {
    let mut desk = Desk::new();
    let first = desk.anna();
    let change = desk.access.user_password("anna", "another horse").unwrap();
    assert_eq!(
        change,
        AccessChange::PasswordChanged {
            name: "anna".to_owned()
        }
    );
    assert_eq!(desk.check(&first), Err(Denied::Unknown));
    let second = desk.access.login("anna", "another horse", HOME).unwrap();
    let lines = desk.file("sessions.jsonl");
    desk.access.user_remove("anna").unwrap();
    assert_eq!(desk.check(&second), Err(Denied::Unknown));

    // As if the process had died between both files: the old lines are back, and the name is taken anew.
    desk.access
        .user_add("anna", Role::Viewer, PASSWORD)
        .unwrap();
    std::fs::write(desk.folder.path().join("sessions.jsonl"), lines).unwrap();
    desk.restart();
    assert_eq!(desk.check(&second), Err(Denied::Unknown));
}

#[test]
fn an_idle_token_ends_and_a_used_one_lives() {
    let desk = Desk::new();
    let token = desk.anna();
    for _ in 0..5 {
        desk.clock.advance(Duration::from_mins(59));
        assert_eq!(desk.check(&token), Ok(()));
    }
    desk.clock.advance(Duration::from_hours(1));
    assert_eq!(desk.check(&token), Err(Denied::Expired));
    assert_eq!(desk.check(&token), Err(Denied::Unknown));
}

#[test]
fn an_absolute_life_is_not_prolonged_by_use() {
    let desk = Desk::with_life(TokenLife::Absolute(Duration::from_hours(2)));
    let token = desk.anna();
    desk.clock.advance(Duration::from_mins(119));
    assert_eq!(desk.check(&token), Ok(()));
    desk.clock.advance(Duration::from_mins(1));
    assert_eq!(desk.check(&token), Err(Denied::Expired));
}

#[test]
fn the_last_use_survives_a_restart() {
    let mut desk = Desk::new();
    let token = desk.anna();
    desk.clock.advance(Duration::from_mins(50));
    desk.check(&token).unwrap();
    desk.access.flush().unwrap();
    desk.restart();
    desk.clock.advance(Duration::from_mins(50));
    assert_eq!(desk.check(&token), Ok(()));
}

#[test]
fn a_released_token_stays_released() {
    let mut desk = Desk::new();
    let token = desk.anna();
    desk.access.release(token.as_str()).unwrap();
    assert_eq!(desk.access.release(token.as_str()), Err(Denied::Unknown));
    desk.restart();
    assert_eq!(desk.check(&token), Err(Denied::Unknown));
}

#[test]
fn a_key_logs_in_until_it_is_revoked() {
    let mut desk = Desk::new();
    let (secret, change) = desk.access.key_create("crm-live", Role::Crm).unwrap();
    let recorded = serde_json::to_string(&change).unwrap();
    assert_eq!(
        recorded,
        r#"{"change":"key_created","name":"crm-live","role":"crm"}"#
    );
    assert!(!desk.file("access.toml").contains(secret.as_str()));
    desk.restart();
    let token = desk.access.login_key(secret.as_str(), HOME).unwrap();
    assert_eq!(
        desk.access.check(token.as_str()).unwrap().kind,
        IdentityKind::Key
    );
    desk.access.key_revoke("crm-live").unwrap();
    assert_eq!(desk.check(&token), Err(Denied::Unknown));
    let again = desk.access.login_key(secret.as_str(), HOME);
    assert!(matches!(again, Err(LoginError::Refused)));
}

#[test]
fn guessing_waits_at_its_own_address_only_and_is_recorded() {
    let desk = Desk::new();
    desk.anna();
    for _ in 0..5 {
        let guess = desk.access.login("anna", "wrong", AWAY);
        assert!(matches!(guess, Err(LoginError::Refused)));
    }
    let sixth = desk.access.login("anna", PASSWORD, AWAY);
    assert!(matches!(sixth, Err(LoginError::Throttled { .. })));
    assert!(desk.access.login("anna", PASSWORD, HOME).is_ok());
    desk.clock.advance(Duration::from_mins(1));
    let failures = desk.access.drain_failures(false);
    assert!(
        matches!(&failures[..], [LoginFailures::Counted { user, count: 6, .. }] if user == "anna"),
        "{failures:?}"
    );
    assert!(desk.access.login("anna", PASSWORD, AWAY).is_ok());
}

/// The ledger cannot be altered, and people type passwords into the wrong field.
#[test]
fn an_unknown_user_name_is_not_recorded() {
    let desk = Desk::new();
    assert!(desk.access.login("my secret", "", HOME).is_err());
    let recorded = serde_json::to_string(&desk.access.drain_failures(true)).unwrap();
    assert!(recorded.contains("(unknown user)"), "{recorded}");
    assert!(!recorded.contains("my secret"), "{recorded}");
}

#[test]
fn a_clock_set_far_back_ends_tokens() {
    let desk = Desk::new();
    let token = desk.anna();
    desk.clock.set_wall(Timestamp::from_micros(0));
    assert_eq!(desk.check(&token), Err(Denied::Expired));
}

#[test]
fn a_right_key_is_never_throttled() {
    let desk = Desk::new();
    let (secret, _) = desk.access.key_create("crm", Role::Crm).unwrap();
    for _ in 0..50 {
        assert!(desk.access.login_key("guess", HOME).is_err());
    }
    let throttled = desk.access.login_key("guess", HOME);
    assert!(matches!(throttled, Err(LoginError::Throttled { .. })));
    assert!(desk.access.login_key(secret.as_str(), HOME).is_ok());
}

#[test]
fn tokens_are_bounded_and_the_idlest_goes_first() {
    let mut desk = Desk::new();
    let (secret, _) = desk.access.key_create("crm", Role::Crm).unwrap();
    let login = |desk: &Desk| desk.access.login_key(secret.as_str(), HOME).unwrap();
    let first = login(&desk);
    desk.clock.advance(Duration::from_secs(1));
    let second = login(&desk);
    for _ in 2..SESSIONS_MAX {
        login(&desk);
    }
    assert_eq!(desk.access.session_count(), SESSIONS_MAX);
    desk.clock.advance(Duration::from_secs(1));
    desk.check(&second).unwrap();
    login(&desk);
    assert_eq!(desk.access.session_count(), SESSIONS_MAX);
    assert_eq!(desk.check(&first), Err(Denied::Unknown));
    assert_eq!(desk.check(&second), Ok(()));
    desk.access.flush().unwrap();
    desk.restart();
    assert_eq!(desk.access.session_count(), SESSIONS_MAX);
    assert_eq!(desk.check(&first), Err(Denied::Unknown));
}

#[test]
fn a_torn_last_line_costs_nobody_else_a_login() {
    let mut desk = Desk::new();
    let token = desk.anna();
    let path = desk.folder.path().join("sessions.jsonl");
    let torn = desk.file("sessions.jsonl") + "{\"token\":\"00";
    std::fs::write(path, torn).unwrap();
    desk.restart();
    assert_eq!(desk.check(&token), Ok(()));
}

#[test]
fn mistakes_of_the_operator_are_named() {
    let desk = Desk::new();
    desk.anna();
    let error = |result: Result<AccessChange, AccessError>| result.unwrap_err().to_string();
    let add = |name, password| desk.access.user_add(name, Role::Crm, password);
    assert_eq!(
        error(add("anna", PASSWORD)),
        "there is a user `anna` already"
    );
    assert_eq!(error(add("../x", PASSWORD)), "`../x` is not a name");
    assert_eq!(
        error(add("bert", "short")),
        "a password needs at least 8 characters, found 5"
    );
    assert_eq!(
        error(desk.access.user_remove("carl")),
        "there is no user `carl`"
    );
    assert_eq!(error(desk.access.key_revoke("k")), "there is no key `k`");
    assert_eq!(desk.access.user_list().len(), 1);
}
