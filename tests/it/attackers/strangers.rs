//! Other accounts of the machine at the control socket: real processes, with every mode opened wide on purpose, so that the
//! account itself is what is judged.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::headend::{Headend, Served};
use crate::scene::Cas;

/// Accounts that own nothing here; the first has a name on most machines.
const NOBODY: Account = Account {
    uid: 65_534,
    gid: 65_534,
};
const OTHER: Account = Account {
    uid: 65_533,
    gid: 65_533,
};
const ROOT: Account = Account { uid: 0, gid: 0 };

#[derive(Clone, Copy)]
struct Account {
    uid: u32,
    gid: u32,
}

impl Account {
    /// As the ledger names it.
    fn by(self) -> String {
        match uzers::get_user_by_uid(self.uid) {
            Some(user) => format!("cli:{}", user.name().to_string_lossy()),
            None => format!("cli:uid {}", self.uid),
        }
    }
}

/// What a process of some account got.
#[derive(Debug)]
struct Got {
    code: i32,
    told: String,
}

/// A box on a machine with other accounts.
struct Machine {
    made: Headend,
    _cas: Cas,
}

impl Machine {
    /// None where this process cannot be somebody else.
    fn new(group: Option<&str>) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            println!("SKIPPED: only root can start processes of other accounts");
            return None;
        }
        let cas = Cas::start("", 1);
        let made = Headend::new(cas.address, 2);
        let config = made.path().join("pairbox.toml");
        let text = fs::read_to_string(&config).unwrap();
        let group = group.map(|name| format!("[control]\ngroup = \"{name}\"\n"));
        fs::write(&config, format!("{text}{}", group.unwrap_or_default())).unwrap();
        // Where this one was built, others may not look.
        fs::copy(env!("CARGO_BIN_EXE_pairbox"), made.path().join("pairbox")).unwrap();
        for path in [made.path().to_owned(), config, made.path().join("pairbox")] {
            fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
        }
        Some(Self { made, _cas: cas })
    }

    fn socket(&self) -> PathBuf {
        self.made.path().join("data/control.sock")
    }

    fn open_wide(&self) {
        for path in [self.made.path().join("data"), self.socket()] {
            fs::set_permissions(path, Permissions::from_mode(0o777)).unwrap();
        }
    }

    /// Runs the command line as an account that says it is root's.
    fn run(&self, account: Account, arguments: &[&str]) -> Got {
        self.run_with(account, arguments, "root")
    }

    fn run_with(&self, account: Account, arguments: &[&str], called_by: &str) -> Got {
        let mut command = Command::new(self.made.path().join("pairbox"));
        command.args(arguments).env("SUDO_USER", called_by);
        command.env("LOGNAME", "root").env("USER", "root");
        self.got(command, account)
    }

    /// A call by hand, with a forged name and forged private headers.
    fn call(&self, account: Account, verb: &str) -> Got {
        let mut command = Command::new("curl");
        command.args(["-sS", "-i", "--max-time", "20", "--unix-socket"]);
        command
            .arg(self.socket())
            .args(["-H", "X-Pairbox: 1 1 control uid 0 0"]);
        command.arg(format!("http://control/control/{verb}"));
        command.args(["-d", r#"{"by":"cli:root","ask":null}"#]);
        self.got(command, account)
    }

    fn got(&self, mut command: Command, account: Account) -> Got {
        // With another uid, the groups of this process are left behind too.
        command
            .current_dir(self.made.path())
            .uid(account.uid)
            .gid(account.gid);
        let output = command.output().unwrap();
        let told = [output.stdout, output.stderr].concat();
        Got {
            code: output.status.code().unwrap(),
            told: String::from_utf8(told).unwrap(),
        }
    }

    /// Who paused the provider, as the ledger says; it goes on then.
    fn paused_by(&self) -> String {
        let list = self.made.run(&["provider", "list", "--output", "json"]);
        let list: Value = serde_json::from_str(&list).unwrap();
        let by = list[0]["pause"]["by"]
            .as_str()
            .unwrap_or("nobody")
            .to_owned();
        if by != "nobody" {
            self.made.run(&["provider", "resume", "north"]);
        }
        by
    }
}

const PAUSE: [&str; 5] = ["provider", "pause", "north", "--reason", "a test"];

fn is_refused(machine: &Machine, stranger: Account) {
    let expected = format!(
        "expected root, the data directory's owner or a member of [control] group, found user id {}",
        stranger.uid
    );
    for command in [
        &["status"][..],
        &PAUSE,
        &["pair", "019000000000", "004600000000"],
        &["user", "list"],
        &["key", "create", "mine", "--role", "operator"],
        &["request", "list"],
    ] {
        let got = machine.run(stranger, command);
        assert!(
            got.code == 6 && got.told.contains(&expected),
            "{command:?}: {got:?}"
        );
        assert!(got.told.contains("hint: run with sudo"), "{got:?}");
    }
    for verb in ["status", "user.list", "process.begin", "no.such.verb"] {
        let got = machine.call(stranger, verb);
        let is_denied = got.told.starts_with("HTTP/1.1 403 ") && got.told.contains(&expected);
        assert!(is_denied, "{verb}: {got:?}");
    }
    // Nothing came of it.
    assert_eq!(machine.paused_by(), "nobody");
    assert!(!machine.made.run(&["key", "list"]).contains("mine"));
    let log = fs::read_to_string(machine.made.path().join("log")).unwrap();
    assert!(
        log.contains("the control socket refused a stranger"),
        "{log}"
    );
}

#[test]
fn a_stranger_is_refused_by_his_account_however_wide_the_modes_are() {
    let Some(machine) = Machine::new(None) else {
        return;
    };
    let _served = machine.made.serve();
    // As it is, he does not come as far as that.
    let got = machine.run(NOBODY, &["status"]);
    assert!(
        got.code == 4 && got.told.contains("Permission denied"),
        "{got:?}"
    );
    machine.open_wide();
    is_refused(&machine, NOBODY);
    is_refused(&machine, OTHER);
    // Root's group is not root.
    is_refused(&machine, Account { gid: 0, ..OTHER });
    assert_eq!(machine.run_with(ROOT, &PAUSE, "anna").code, 0);
    assert_eq!(machine.paused_by(), "cli:anna");
}

fn group_named(gid: u32) -> Option<String> {
    let group = uzers::get_group_by_gid(gid)?;
    Some(group.name().to_string_lossy().into_owned())
}

/// Whatever he says of himself.
fn works_under_his_own_name(machine: &Machine, member: Account) {
    let got = machine.run(member, &PAUSE);
    assert_eq!(got.code, 0, "{got:?}");
    assert_eq!(machine.paused_by(), member.by());
    let got = machine.call(member, "status");
    assert!(got.told.starts_with("HTTP/1.1 200 "), "{got:?}");
}

#[test]
fn a_member_of_the_group_works_under_his_own_name_and_nobody_else_does() {
    // A group that Debian and its kin always have.
    let gid = 60;
    let Some(group) = group_named(gid) else {
        println!("SKIPPED: this machine has no group {gid}");
        return;
    };
    let Some(machine) = Machine::new(Some(&group)) else {
        return;
    };
    let _served = machine.made.serve();
    for uid in [NOBODY.uid, OTHER.uid] {
        works_under_his_own_name(&machine, Account { uid, gid });
    }
    // He passes through the directory to the socket and sees nothing else of it.
    let mut list = Command::new("ls");
    list.arg("data");
    let member = Account { gid, ..NOBODY };
    assert!(machine.got(list, member).told.contains("Permission denied"));
    for secret in [
        "data/access.toml",
        "data/sessions.jsonl",
        "data/gate/http.sock",
    ] {
        let mut read = Command::new("cat");
        read.arg(secret);
        assert_ne!(machine.got(read, member).code, 0, "{secret}");
    }
    let got = machine.run(NOBODY, &["status"]);
    assert!(got.told.contains("Permission denied"), "{got:?}");
    machine.open_wide();
    is_refused(&machine, NOBODY);
}

/// An account and a group that lists it by name, but is not its own.
fn listed() -> Option<(Account, String)> {
    let groups = fs::read_to_string("/etc/group").ok()?;
    groups.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, gid, members] = fields[..] else {
            return None;
        };
        let user = uzers::get_user_by_name(members.split(',').next()?)?;
        let account = Account {
            uid: user.uid(),
            gid: user.primary_group_id(),
        };
        let is_other = account.uid != 0 && account.gid.to_string() != gid;
        is_other.then(|| (account, name.to_owned()))
    })
}

#[test]
fn a_member_whom_the_machine_lists_is_let_in() {
    let Some((member, group)) = listed() else {
        println!("SKIPPED: no group of this machine lists an account");
        return;
    };
    let Some(machine) = Machine::new(Some(&group)) else {
        return;
    };
    let _served = machine.made.serve();
    // These processes have his own group only; the modes would keep them out.
    machine.open_wide();
    works_under_his_own_name(&machine, member);
    is_refused(&machine, OTHER);
}

fn give_to(account: Account, folder: &Path) {
    chown(folder, Some(account.uid), Some(account.gid)).unwrap();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            give_to(account, &path);
        } else {
            chown(path, Some(account.uid), Some(account.gid)).unwrap();
        }
    }
}

#[test]
fn the_owner_of_the_data_and_root_are_trusted_to_say_for_whom_they_act() {
    let Some(machine) = Machine::new(None) else {
        return;
    };
    give_to(NOBODY, machine.made.path());
    let mut serve = Command::new(machine.made.path().join("pairbox"));
    serve.arg("serve").current_dir(machine.made.path());
    serve.uid(NOBODY.uid).gid(NOBODY.gid);
    let _served: Served = machine.made.serve_by(serve);
    for account in [NOBODY, ROOT] {
        assert_eq!(machine.run_with(account, &PAUSE, "anna").code, 0);
        assert_eq!(machine.paused_by(), "cli:anna");
    }
    machine.open_wide();
    is_refused(&machine, OTHER);
}
