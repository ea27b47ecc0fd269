//! The disk of the data directory runs full while requests are accepted and while they are settled, and has space again.
//!
//! With a reserve the box refuses politely and still records what the CAS says; where the disk is really full, it ends
//! with a reason, does not start until there is space, and has lost nothing. Needs root, to mount a small disk.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::bed::{Bed, SETTLES_WITHIN, await_pending, check_cas};
use crate::headend::Layout;
use crate::rounds::Rounds;
use crate::scene::{Cas, card_serial, wait_until};
use crate::table::Row;

const MIB: u64 = 1 << 20;
/// Room for the segments, the one made ready, the copy of an unclean start, and two states.
const DISK_BYTES: u64 = 192 * MIB;
/// The writer looks at the free space once a second.
const LOOKED_WITHIN: Duration = Duration::from_millis(1_200);
/// A box without space ends at its next write that needs some, if any does.
const NEEDS_SPACE_WITHIN: Duration = Duration::from_secs(5);
/// A box with space again accepts again.
const ACCEPTS_WITHIN: Duration = Duration::from_secs(20);

/// A disk of its own in memory, unmounted when it is dropped.
struct SmallDisk {
    folder: PathBuf,
}

impl SmallDisk {
    /// None where this user may not mount.
    fn mount(folder: &Path) -> Option<Self> {
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={DISK_BYTES}"), "tmpfs"])
            .arg(folder)
            .output();
        let is_mounted = mounted.is_ok_and(|output| output.status.success());
        is_mounted.then(|| Self {
            folder: folder.to_owned(),
        })
    }

    fn free_bytes(&self) -> u64 {
        let disk = rustix::fs::statvfs(&self.folder).unwrap();
        disk.f_bavail * disk.f_frsize
    }

    /// Takes space until only so much is left, whatever others take meanwhile.
    fn fill(&self, left_bytes: u64) {
        let taken = fs::File::options()
            .create(true)
            .append(true)
            .open(self.folder.join("filler"))
            .unwrap();
        for chunk_bytes in [16 * MIB, MIB, MIB / 16, 4096] {
            while self.free_bytes() >= left_bytes + chunk_bytes {
                let length = taken.metadata().unwrap().len();
                let nothing = rustix::fs::FallocateFlags::empty();
                if rustix::fs::fallocate(&taken, nothing, length, chunk_bytes).is_err() {
                    break;
                }
            }
        }
    }

    fn empty(&self) {
        fs::remove_file(self.folder.join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.folder).output();
    }
}

/// A bed on a disk of its own; the disk is dropped first, so that its folder can go.
struct Scene {
    disk: SmallDisk,
    bed: Bed,
    cas: Cas,
}

impl Scene {
    fn new(seed: u64, reserve: &'static str) -> Option<Self> {
        let cas = Cas::start("", seed);
        let mut disk = None;
        let layout = |layout: &mut Layout| layout.reserve = reserve;
        let probe = tempfile::tempdir().unwrap();
        if SmallDisk::mount(probe.path()).is_none() {
            println!("skipped: only root can mount a small disk");
            return None;
        }
        let bed = Bed::lay_out(&cas, seed, layout, |data| disk = SmallDisk::mount(data));
        let disk = disk.unwrap();
        Some(Self { disk, bed, cas })
    }

    /// Items with long notes, until the segment has room for a little load only, and no other segment is ready.
    fn fill_segment(&self) {
        let mut rows = String::from("serial_number,alternative_code,product,notes\n");
        let notes = "x".repeat(4_000);
        // Each is a line of a little over 4,300 bytes in a segment of 16 MiB, of which the last is kept for one command.
        for card in 10_000..13_300 {
            let serial = card_serial(card);
            writeln!(rows, "{serial},A{serial},SC-0,{notes}").unwrap();
        }
        self.bed.made.write("notes.csv", &rows);
        self.bed.made.run(&["item", "import", "notes.csv"]);
        let _ = fs::remove_file(self.bed.made.data().join("ledger/next.prepared"));
    }
}

#[test]
fn a_disk_below_the_reserve_refuses_politely_and_settles_what_is_out() {
    let mut row = Row::default();
    for seed in Rounds::counted("disk full, reserve", 1, 12) {
        let Some(Scene { disk, mut bed, cas }) = Scene::new(seed, "8MiB") else {
            return;
        };
        let served = bed.made.serve();
        let prepared = bed.made.data().join("ledger/next.prepared");
        wait_until(
            || prepared.exists(),
            || "no segment is made ready".to_owned(),
        );
        bed.call_while(served.address, 40, |_| disk.fill(6 * MIB));
        std::thread::sleep(LOOKED_WITHIN);
        let refused = bed.callers.refused();
        bed.call_while(served.address, 20, |_| {});
        assert!(bed.callers.refused() >= refused + 20, "nothing is accepted");
        // Above half of the reserve attempts begin, and what they end in is recorded.
        await_pending(&bed.made, "", SETTLES_WITHIN);
        disk.empty();
        let emptied = Instant::now();
        let accepted = bed.callers.acknowledged().len();
        while bed.callers.acknowledged().len() == accepted {
            assert!(emptied.elapsed() < ACCEPTS_WITHIN, "there is space again");
            bed.call_while(served.address, 1, |_| {});
        }
        let recovery = emptied.elapsed();
        // Below half of it nothing begins; what is out already is still settled.
        bed.call_while(served.address, 40, |_| disk.fill(2 * MIB));
        std::thread::sleep(LOOKED_WITHIN);
        disk.empty();
        await_pending(&bed.made, "", SETTLES_WITHIN);
        served.stop();
        let judged = bed.judge(None);
        check_cas(&judged, &cas, 1);
        row.add(&judged.verdict, Some(recovery));
        drop(disk);
    }
    row.tell("disk full, refused by the reserve");
}

#[test]
fn a_full_disk_costs_no_acknowledged_request_and_an_end_has_its_reason() {
    let mut row = Row::default();
    for seed in Rounds::counted("disk full", 2, 24) {
        let Some(Scene { disk, mut bed, cas }) = Scene::new(seed, "1MiB").inspect(|scene| {
            // Every second round the next segment is what there is no space for, in the others the state.
            if seed % 2 == 0 {
                scene.fill_segment();
                scene.disk.fill(4 * MIB);
            }
        }) else {
            return;
        };
        let mut served = bed.made.serve();
        let status = bed.call_while(served.address, u32::MAX, |stop| {
            std::thread::sleep(Duration::from_millis(100));
            if seed % 2 == 1 {
                disk.fill(0);
            }
            let status = served.await_end(NEEDS_SPACE_WITHIN);
            stop.store(true, Ordering::Relaxed);
            status
        });
        let ended = status.map(|status| bed.made.ended(status));
        if let Some(ended) = &ended {
            assert_eq!(ended.code, Some(74), "{ended:?}");
        } else {
            // It refused what was new and needed no space for what was left: then it is killed.
            let refused = bed.callers.refused();
            assert!(refused > 0, "it goes on as if there were space");
            served.kill();
        }
        disk.fill(0);
        let refused = bed.made.try_serve(bed.made.command(&["serve"]));
        let refused = refused.err().expect("a start needs space");
        assert!(refused.reason.contains("space"), "{refused:?}");
        disk.empty();
        let recovery = bed.come_back();
        row.add(&bed.judge(ended.as_ref()).verdict, Some(recovery));
        bed.settle(&cas);
        drop(disk);
    }
    row.tell("disk full, ENOSPC");
}
