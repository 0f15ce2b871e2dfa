//! How busy the threads are that serve requests: what tokio counts of itself anyway, looked at whenever somebody asks for it.

use std::time::Duration;

use opentelemetry::global;
use tokio::runtime::Handle;

/// Inside a runtime.
pub(super) fn observe() {
    let meter = global::meter("whipcord.runtime");
    let metrics = Handle::current().metrics();
    let alive = metrics.clone();
    meter
        .u64_observable_gauge("whipcord.runtime.tasks")
        .with_unit("{task}")
        .with_description("Tasks that have not ended")
        .with_callback(move |gauge| gauge.observe(alive.num_alive_tasks() as u64, &[]))
        .build();
    let queue = metrics.clone();
    meter
        .u64_observable_gauge("whipcord.runtime.queue")
        .with_unit("{task}")
        .with_description("Tasks that could go on and wait for a thread, but for those in a thread's own queue")
        .with_callback(move |gauge| gauge.observe(queue.global_queue_depth() as u64, &[]))
        .build();
    meter
        .f64_observable_counter("whipcord.runtime.busy")
        .with_unit("s")
        .with_description("Time for which threads of tasks did not wait, all together")
        .with_callback(move |counter| {
            let workers = 0..metrics.num_workers();
            let busy: Duration = workers.map(|worker| metrics.worker_total_busy_duration(worker)).sum();
            counter.observe(busy.as_secs_f64(), &[]);
        })
        .build();
}
