//! How hard this worker works, from one look to the next: what placement goes by.

use std::{
    num::NonZeroUsize,
    thread::available_parallelism,
    time::{Duration, Instant},
};

use rustix::time::{ClockId, clock_gettime};

use crate::control::Control;

/// The counters at the last look.
#[derive(Debug)]
pub(crate) struct Load {
    at: Instant,
    received: u64,
    cpu: Duration,
    cores: NonZeroUsize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Measured {
    pub(crate) packets_per_second: u64,
    /// Of all that the process may use.
    pub(crate) cpu_percent: u32,
}

impl Load {
    pub(crate) fn new() -> Self {
        Self {
            at: Instant::now(),
            received: 0,
            cpu: cpu_time(),
            // Within a container, what its quota allows.
            cores: available_parallelism().unwrap_or(NonZeroUsize::MIN),
        }
    }

    pub(crate) fn measure(&mut self, control: &Control) -> Measured {
        let now = Self {
            at: Instant::now(),
            received: control.shard.received(),
            cpu: cpu_time(),
            cores: self.cores,
        };
        let measured = self.until(&now);
        *self = now;
        measured
    }

    fn until(&self, now: &Self) -> Measured {
        let seconds = now.at.duration_since(self.at).as_secs_f64().max(0.001);
        let cpu = now.cpu.saturating_sub(self.cpu).as_secs_f64();
        Measured {
            packets_per_second: (now.received.saturating_sub(self.received) as f64 / seconds) as u64,
            cpu_percent: (100.0 * cpu / seconds / self.cores.get() as f64).min(100.0) as u32,
        }
    }
}

/// Of all threads of this process.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let seconds = Duration::from_secs(u64::try_from(time.tv_sec).unwrap_or_default());
    seconds + Duration::from_nanos(u64::try_from(time.tv_nsec).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_measured_from_one_look_to_the_next() {
        let cores = NonZeroUsize::new(4).unwrap();
        let start = Load {
            at: Instant::now(),
            received: 100,
            cpu: Duration::from_secs(10),
            cores,
        };
        let later = |seconds, received, cpu| Load {
            at: start.at + Duration::from_secs(seconds),
            received,
            cpu: Duration::from_millis(cpu),
            cores,
        };
        let table = [
            (later(1, 100, 10_000), (0, 0)),
            (later(2, 2_100, 14_000), (1000, 50)),
            (later(1, 100, 99_000), (0, 100)),
        ];
        for (now, expected) in table {
            let measured = start.until(&now);
            assert_eq!((measured.packets_per_second, measured.cpu_percent), expected);
        }
    }
}
