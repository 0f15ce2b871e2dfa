//! Keys that are rotated: each process reads its own copy of them at its own time, and nobody may notice.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use whipcord_tests::{
    cluster::{Cluster, KEY_FILES},
    eventually,
    fault::{Cost, Extent},
    load::{Crowd, Session},
    whipcord::binary,
};

use super::{
    redis::UNLIMITED,
    studio::{PICTURE, Studio},
};

/// Files are read again this often.
const REREAD: Duration = Duration::from_secs(10);
/// A loaded machine reads late.
const LATE: Duration = Duration::from_secs(10);

/// By which one pair of processes reads after the other.
const SKEW: Duration = Duration::from_secs(4);
/// Visits in a row with new keys only: two of each gateway.
const CERTAIN: usize = 4;

/// Whose copies are replaced, in this order.
#[derive(Clone, Copy, Debug)]
enum Process {
    Gateway(usize),
    Worker(usize),
}

const ORDER: [Process; 4] = [
    Process::Gateway(1),
    Process::Worker(0),
    Process::Gateway(0),
    Process::Worker(1),
];

impl Process {
    /// Whole before it has its name, as an orchestrator does it.
    fn bring(self, cluster: &Cluster) {
        let folder = match self {
            Self::Gateway(n) => cluster.keys("gateway", n),
            Self::Worker(n) => cluster.keys("worker", n),
        };
        for file in KEY_FILES {
            fs::copy(cluster.folder().join(file), folder.join("new")).unwrap();
            fs::rename(folder.join("new"), folder.join(file)).unwrap();
        }
    }

    fn has_read(self, cluster: &mut Cluster) -> bool {
        let log = match self {
            Self::Gateway(n) => cluster.gateway_log(n),
            Self::Worker(n) => cluster.worker_log(n),
        };
        let line = |line: &str| line.contains("read again") && line.contains("keys");
        log.lines().any(line)
    }
}

/// Rotates the cluster's own files, with the new keys minting from `from` on: ten minutes are too long for a test.
fn rotate(folder: &Path, from: Duration) {
    let rotated = Command::new(binary()).args(["keygen", "--rotate"]).arg(folder).status();
    assert!(rotated.unwrap().success());
    for file in KEY_FILES {
        let text = fs::read_to_string(folder.join(file)).unwrap();
        let lines = text.trim_end().rsplit_once(' ').unwrap();
        let ahead = lines.1.parse::<u64>().unwrap().saturating_sub(now().as_secs());
        assert!((590..=600).contains(&ahead), "keygen says {ahead} s ahead");
        fs::write(folder.join(file), format!("{} {}\n", lines.0, from.as_secs())).unwrap();
    }
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

/// So many sessions beside each other are on both workers: of two that differ by one at most, the less loaded one gets the next.
const BESIDE: usize = 3;

/// Sessions by one gateway, used and ended by the other: each step works. The ids of the keys of their URLs and of their ICE credentials.
#[track_caller]
fn visit(cluster: &Cluster, gateway: usize, turn: usize) -> Vec<(u8, u8)> {
    let (origin, other) = (cluster.origin(gateway), cluster.origin(1 - gateway));
    let connect = |n| Session::connect(&origin, &format!("visit/{turn}/{n}"), cluster.token()).unwrap();
    let mut sessions: Vec<Session> = (0..BESIDE).map(connect).collect();
    for session in &mut sessions {
        let keys = session.key_ids();
        assert_eq!(session.trickle(&other), 204, "{keys:?}");
        session.check();
        eventually("its check is answered", LATE, || {
            (session.checks() == (1, 0)).then_some(())
        });
        assert_eq!(session.delete(&other).unwrap(), 200, "{keys:?}");
    }
    sessions.iter().map(Session::key_ids).collect()
}

/// Two gateways and two workers, a pair of which reads its files some seconds after the other.
fn skewed() -> Cluster {
    let mut cluster = Cluster::new();
    cluster.start_redis();
    let started = Instant::now();
    cluster.start_gateway(0, &UNLIMITED);
    cluster.start_worker(0, &[]);
    eventually("the others' beat is another", SKEW + LATE, || {
        (started.elapsed() >= SKEW).then_some(())
    });
    cluster.start_gateway(1, &UNLIMITED);
    cluster.start_worker(1, &[]);
    (0..2).for_each(|n| cluster.wait_until_known(n));
    cluster
}

/// Brings the new files to one process after another, while sessions come and go, until all that is new is made with the new keys.
/// The ids of the keys that the sessions had, the URL's and the credentials', and when the first new one was seen.
#[track_caller]
fn replace(cluster: &mut Cluster, extent: Extent, limit: Duration) -> (BTreeSet<(u8, u8)>, Option<Duration>) {
    let begun = Instant::now();
    let mut pending = ORDER.iter().peekable();
    let mut brought: Vec<Process> = Vec::new();
    let (mut turn, mut seen, mut first, mut new) = (0, BTreeSet::new(), None, 0);
    while pending.peek().is_some() || new < CERTAIN {
        // Short: all at once, and read at different times. Full: each when the one before was read.
        while pending.peek().is_some()
            && (extent == Extent::Short || brought.iter().all(|process| process.has_read(cluster)))
        {
            let process = *pending.next().unwrap();
            process.bring(cluster);
            brought.push(process);
        }
        let ids = visit(cluster, turn % 2, turn);
        turn += 1;
        if ids.iter().any(|ids| *ids != (0, 0)) {
            first.get_or_insert_with(|| begun.elapsed());
        }
        new = if ids.iter().all(|ids| *ids == (1, 1)) {
            new + 1
        } else {
            0
        };
        seen.extend(ids);
        let took = begun.elapsed();
        assert!(took < limit, "after {took:?} and {turn} sessions only {seen:?}");
    }
    assert!(brought.iter().all(|process| process.has_read(cluster)));
    (seen, first)
}

#[test]
fn keys_are_rotated_in_skewed_order() {
    let extent = Extent::of_this_run();
    let mut cluster = skewed();
    let studio = Studio::live(&cluster, 0, "studio");
    let crowd = Crowd::connected(&cluster.origins(), "cam", extent.choose(4, 20), cluster.token());
    assert!(crowd.map(|session| session.key_ids()).iter().all(|ids| *ids == (0, 0)));

    let begun = Instant::now();
    let reading = extent.choose(REREAD, REREAD * ORDER.len() as u32) + SKEW;
    rotate(cluster.folder(), now() + reading);
    let (seen, noticed) = replace(&mut cluster, extent, reading + REREAD + 2 * LATE);
    let recovered = begun.elapsed();
    // Old and new gateways made sessions on old and new workers.
    let all = BTreeSet::from([(0, 0), (0, 1), (1, 0), (1, 1)]);
    // In the short form the time between two readings is short, and on a loaded machine no session falls into it.
    let seen_at_least = extent.choose(BTreeSet::from([(0, 0), (1, 1)]), all);
    assert!(seen.is_superset(&seen_at_least), "{seen:?}");

    // Those from before the rotation are reached by both gateways, and lost no check.
    let origins = cluster.origins();
    let patched = crowd.map(|session| [0, 1].map(|gateway| session.trickle(&origins[gateway])));
    assert!(patched.iter().all(|statuses| *statuses == [204, 204]), "{patched:?}");
    eventually("every check was answered", LATE, || {
        let checks = crowd.map(Session::checks);
        let good = checks.iter().all(|(sent, unanswered)| *sent > 10 && *unanswered == 0);
        good.then_some(())
    });
    for (n, session) in crowd.take().iter().enumerate() {
        assert_eq!(session.delete(&origins[n % 2]).unwrap(), 200);
    }
    let (media_gap, _) = studio.finish(&cluster);
    assert!(media_gap < PICTURE, "{media_gap:?}");
    let cost = Cost {
        noticed,
        recovered: Some(recovered),
        sessions_lost: Some(0),
        media_gap: Some(media_gap),
    };
    cost.note("Keys rotated with skewed reload order");
}
