//! Which worker takes a session.

use whipcord_directory::{Health, Worker};
use whipcord_identity::Incarnation;

/// Where sessions go as long as there is room in several places.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Preference {
    /// Evenly: each worker has its share.
    #[default]
    Spread,
    /// To the fullest, so that the emptiest can be taken away.
    Pack,
}

/// A worker as busy as this gets sessions only where all are: what it has should go on without a gap.
const CPU_BUSY: u8 = 80;
/// In percent: more than what comes and goes with a few sessions.
const CPU_APART: u8 = 25;

/// Of the workers that are alive, have room, and were not tried before, one that is not busy, if there is one.
///
/// Spread: of two drawn at random the less loaded, which is nearly as even as the least loaded of all, and two gateways that choose
/// at the same moment do not choose the same one (Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing"). Where most
/// may be chosen, two are looked at, however many there are.
pub(crate) fn choose<'w>(
    workers: &'w [Worker],
    tried: &[Incarnation],
    preference: Preference,
    random: [u32; 2],
) -> Option<&'w Worker> {
    let may = |worker: &Worker| {
        worker.health == Health::Alive && has_room(worker) && !tried.contains(&worker.hello.incarnation)
    };
    let idle = |worker: &Worker| may(worker) && worker.load.cpu < CPU_BUSY;
    match preference {
        Preference::Spread => of_two(workers, idle, random).or_else(|| of_two(workers, may, random)),
        Preference::Pack => {
            let fullest = |fit: &dyn Fn(&Worker) -> bool| {
                workers
                    .iter()
                    .filter(|worker| fit(worker))
                    .max_by_key(|worker| share(worker))
            };
            fullest(&idle).or_else(|| fullest(&may))
        }
    }
}

fn of_two(workers: &[Worker], fit: impl Fn(&Worker) -> bool, random: [u32; 2]) -> Option<&Worker> {
    let first = draw(workers, &fit, random[0])?;
    let other = |worker: &Worker| worker.hello.incarnation != first.hello.incarnation && fit(worker);
    match draw(workers, other, random[1]) {
        Some(second) if is_less_loaded(second, first) => Some(second),
        _ => Some(first),
    }
}

/// The next that fits, from a random one on. One that follows many that do not fit is drawn more often: their order means nothing and
/// changes, and of two drawn its load decides.
fn draw(workers: &[Worker], fit: impl Fn(&Worker) -> bool, random: u32) -> Option<&Worker> {
    let start = (random as usize).checked_rem(workers.len())?;
    let (before, after) = workers.split_at(start);
    after.iter().chain(before).find(|worker| fit(worker))
}

fn has_room(worker: &Worker) -> bool {
    known(worker) < u64::from(worker.hello.sessions_max)
}

/// What the directory knows, reservations among it, or what the worker says, whichever is more.
fn known(worker: &Worker) -> u64 {
    (worker.sessions as u64).max(worker.load.sessions.into())
}

/// By their work where that is far apart, else by their sessions: those are counted at once, work once a second, and it has noise.
fn is_less_loaded(one: &Worker, other: &Worker) -> bool {
    if one.load.cpu.abs_diff(other.load.cpu) > CPU_APART {
        one.load.cpu < other.load.cpu
    } else {
        share(one) < share(other)
    }
}

/// Sessions in millionths of what it may have.
fn share(worker: &Worker) -> u64 {
    known(worker) * 1_000_000 / u64::from(worker.hello.sessions_max).max(1)
}

#[cfg(test)]
mod tests {
    use whipcord_directory::{Hello, Load};
    use whipcord_identity::WorkerNumber;

    use super::*;

    fn worker(n: u32, sessions: usize, sessions_max: u32) -> Worker {
        let hello = Hello {
            worker: format!("worker-{n}").parse().unwrap(),
            incarnation: Incarnation(n.into()),
            number: WorkerNumber::new(n),
            address: "pipe:0".parse().unwrap(),
            sessions_max,
        };
        Worker {
            hello,
            health: Health::Alive,
            sessions,
            load: Load::default(),
        }
    }

    fn chosen(workers: Vec<Worker>, tried: &[u64], random: [u32; 2]) -> Option<u64> {
        let tried: Vec<_> = tried.iter().copied().map(Incarnation).collect();
        choose(&workers, &tried, Preference::Spread, random).map(|worker| worker.hello.incarnation.0)
    }

    #[test]
    fn only_who_lives_has_room_and_was_not_tried_is_chosen() {
        assert_eq!(chosen(vec![], &[], [0, 0]), None);
        assert_eq!(chosen(vec![worker(1, 0, 1)], &[], [7, 9]), Some(1));
        assert_eq!(chosen(vec![worker(1, 0, 1)], &[1], [0, 0]), None);
        assert_eq!(chosen(vec![worker(1, 1, 1)], &[], [0, 0]), None);
        assert_eq!(chosen(vec![worker(1, 0, 0)], &[], [0, 0]), None);
        let suspect = Worker {
            health: Health::Suspect,
            ..worker(1, 0, 1)
        };
        assert_eq!(chosen(vec![suspect, worker(2, 8, 9)], &[], [0, 0]), Some(2));
    }

    #[test]
    fn of_two_the_less_loaded_by_share_is_chosen() {
        for random in [[0, 0], [1, 0], [u32::MAX, u32::MAX]] {
            assert_eq!(chosen(vec![worker(1, 10, 100), worker(2, 9, 10)], &[], random), Some(1));
            assert_eq!(chosen(vec![worker(1, 6, 10), worker(2, 50, 100)], &[], random), Some(2));
        }
    }

    fn working(n: u32, sessions: usize, cpu: u8, packets_per_second: u64) -> Worker {
        let load = Load {
            sessions: sessions as u32,
            packets_per_second,
            cpu,
        };
        Worker {
            load,
            ..worker(n, sessions, 100)
        }
    }

    #[test]
    fn who_works_more_counts_as_fuller_and_who_is_busy_is_left_alone() {
        for random in [[0, 0], [1, 0]] {
            assert_eq!(
                chosen(vec![working(1, 5, 60, 1), working(2, 50, 10, 1)], &[], random),
                Some(2)
            );
            assert_eq!(
                chosen(vec![working(1, 1, 80, 1), working(2, 99, 79, 1)], &[], random),
                Some(2)
            );
        }
        assert_eq!(chosen(vec![working(1, 1, 95, 1)], &[], [0, 0]), Some(1), "all are busy");
        let told = Worker {
            sessions: 0,
            ..working(1, 100, 0, 1)
        };
        assert_eq!(chosen(vec![told], &[], [0, 0]), None, "the worker says that it is full");
    }

    #[test]
    fn packing_fills_the_fullest() {
        let workers = vec![
            worker(1, 3, 10),
            worker(2, 9, 10),
            worker(3, 10, 10),
            working(4, 99, 90, 1),
        ];
        let chosen = choose(&workers, &[], Preference::Pack, [0, 0]).unwrap();
        assert_eq!(chosen.hello.incarnation, Incarnation(2));
    }
}
