//! Which worker takes a session.

use whipcord_directory::{Health, Worker};
use whipcord_identity::Incarnation;

/// Of two workers drawn at random, the less loaded: nearly as even as the least loaded of all, and two gateways that choose at
/// the same moment do not choose the same one (Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing").
///
/// Only workers that are alive, have room, and were not tried before.
pub(crate) fn choose(mut workers: Vec<Worker>, tried: &[Incarnation], random: [u32; 2]) -> Option<Worker> {
    workers.retain(|worker| {
        worker.health == Health::Alive && has_room(worker) && !tried.contains(&worker.hello.incarnation)
    });
    let first = draw(&mut workers, random[0])?;
    match draw(&mut workers, random[1]) {
        Some(second) if is_less_loaded(&second, &first) => Some(second),
        _ => Some(first),
    }
}

fn draw(workers: &mut Vec<Worker>, random: u32) -> Option<Worker> {
    let index = (random as usize).checked_rem(workers.len())?;
    Some(workers.swap_remove(index))
}

fn has_room(worker: &Worker) -> bool {
    worker.sessions < worker.hello.sessions_max as usize
}

/// By the share of its capacity: a/A < b/B as a·B < b·A.
fn is_less_loaded(one: &Worker, other: &Worker) -> bool {
    let product = |sessions: usize, capacity: u32| sessions as u128 * u128::from(capacity);
    product(one.sessions, other.hello.sessions_max) < product(other.sessions, one.hello.sessions_max)
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
            address: "pipe".parse().unwrap(),
            sessions_max,
            features: Vec::new(),
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
        choose(workers, &tried, random).map(|worker| worker.hello.incarnation.0)
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
}
