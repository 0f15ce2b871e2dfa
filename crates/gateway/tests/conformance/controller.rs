//! What a controller asks: workers listed, told their addresses, asked whether they live, drained.

use tonic::Code;
use whipcord_directory::Health;
use whipcord_proto::{
    controller::{
        self as proto, DrainWorkerRequest, ListWorkersRequest, MediaAddress, ProbeWorkerRequest, SetAddressesRequest,
        WorkerAddresses, controller_service_client::ControllerServiceClient,
    },
    directory::{Addresses, Heartbeat, Hello, MediaAddress as Told, report_request::Report},
};

use crate::{
    bed::{Bed, eventually, log},
    report::{Reporting, hello},
    worker::Behaviour,
};

type Client = ControllerServiceClient<tonic::transport::Channel>;

fn client(bed: &Bed) -> Client {
    ControllerServiceClient::new(bed.controllers.clone())
}

fn told(worker: &str, ips: &[&str]) -> SetAddressesRequest {
    let addresses = ips.iter().map(|ip| MediaAddress {
        ip: (*ip).to_owned(),
        port: 31_000,
    });
    SetAddressesRequest {
        workers: vec![WorkerAddresses {
            worker_id: worker.to_owned(),
            addresses: addresses.collect(),
        }],
    }
}

fn with_feature() -> Hello {
    Hello {
        features: vec!["addresses".to_owned()],
        ..hello()
    }
}

fn beat(unaddressed: bool) -> Report {
    Report::Heartbeat(Heartbeat {
        unaddressed,
        ..Heartbeat::default()
    })
}

#[tokio::test]
async fn a_worker_is_told_its_addresses_when_it_comes_and_when_they_change() {
    let bed = Bed::without_worker(&[]).await;
    client(&bed)
        .set_addresses(told("worker-1", &["192.0.2.1"]))
        .await
        .unwrap();
    let mut reporting = Reporting::start(&bed).await;
    reporting.say(Report::Hello(with_feature())).await.unwrap();
    let address = |ip: &str| Addresses {
        addresses: vec![Told {
            ip: ip.to_owned(),
            port: 31_000,
        }],
    };
    assert_eq!(reporting.addresses().await, address("192.0.2.1"));
    // Said again, and of another worker: that is nothing new.
    client(&bed)
        .set_addresses(told("worker-1", &["192.0.2.1"]))
        .await
        .unwrap();
    reporting.say(beat(false)).await.unwrap();
    reporting.say(beat(false)).await.unwrap();
    client(&bed)
        .set_addresses(told("worker-1", &["192.0.2.2"]))
        .await
        .unwrap();
    reporting.say(beat(false)).await.unwrap();
    assert_eq!(reporting.addresses().await, address("192.0.2.2"));
    client(&bed).set_addresses(told("worker-1", &[])).await.unwrap();
    reporting.say(beat(false)).await.unwrap();
    assert_eq!(
        reporting.addresses().await,
        Addresses::default(),
        "there is none any more"
    );
    client(&bed)
        .set_addresses(told("another", &["192.0.2.3"]))
        .await
        .unwrap();
    reporting.say(beat(true)).await.unwrap();
    reporting.say(beat(true)).await.unwrap();
}

#[tokio::test]
async fn a_worker_that_did_not_ask_is_told_nothing() {
    let bed = Bed::without_worker(&[]).await;
    client(&bed)
        .set_addresses(told("worker-1", &["192.0.2.1"]))
        .await
        .unwrap();
    let mut reporting = Reporting::start(&bed).await;
    reporting.say(Report::Hello(hello())).await.unwrap();
    // Whatever came beside an acknowledgement would be there before the next.
    reporting.say(beat(false)).await.unwrap();
}

#[tokio::test]
async fn what_is_no_address_of_a_host_is_refused() {
    let bed = Bed::without_worker(&[]).await;
    for (worker, ip) in [
        ("worker-1", "lb.example.com"),
        ("worker-1", "0.0.0.0"),
        ("Worker", "192.0.2.1"),
    ] {
        let refused = client(&bed).set_addresses(told(worker, &[ip])).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{worker} {ip}");
    }
}

#[tokio::test]
async fn a_worker_without_an_address_is_listed_so_and_given_nothing() {
    let bed = Bed::without_worker(&[]).await;
    let mut reporting = Reporting::start(&bed).await;
    reporting.say(Report::Hello(with_feature())).await.unwrap();
    reporting.say(beat(true)).await.unwrap();
    assert_eq!(bed.directory.workers().workers[0].health, Health::Unaddressed);
    let listed = client(&bed)
        .list_workers(ListWorkersRequest {})
        .await
        .unwrap()
        .into_inner();
    let expected = proto::Worker {
        worker_id: "worker-1".to_owned(),
        incarnation: 9,
        health: proto::Health::Unaddressed.into(),
        sessions: 0,
        sessions_max: 10,
    };
    assert_eq!((listed.workers, listed.stale), (vec![expected], false));
    // A POST waits for a worker; it is placed when this one has its address.
    let tell = async {
        reporting.say(beat(true)).await.unwrap();
        assert!(bed.worker.state().created.is_empty());
        reporting.say(beat(false)).await.unwrap();
    };
    let (posted, ()) = tokio::join!(bed.post("/whip/cam"), tell);
    assert_eq!(posted.status, 201);
    let listed = client(&bed)
        .list_workers(ListWorkersRequest {})
        .await
        .unwrap()
        .into_inner();
    let worker = &listed.workers[0];
    assert_eq!((worker.health(), worker.sessions), (proto::Health::Alive, 1));
}

/// Its report stream is there still, as when its host went without a word.
#[tokio::test]
async fn a_worker_that_a_controller_takes_for_dead_is_asked_and_buried_if_it_is() {
    let bed = Bed::without_worker(&[]).await;
    let mut living = Reporting::start(&bed).await;
    living.say(Report::Hello(hello())).await.unwrap();
    let mut dead = Reporting::start(&bed).await;
    let gone = Hello {
        incarnation: 44,
        worker_number: 44,
        ..hello()
    };
    dead.say(Report::Hello(gone)).await.unwrap();
    bed.worker.state().behaviour.insert(44, Behaviour::Dead);
    let probe = |worker: &str| ProbeWorkerRequest {
        worker_id: worker.to_owned(),
    };
    let probed = client(&bed).probe_worker(probe("worker-1")).await.unwrap().into_inner();
    assert_eq!((probed.dead, probed.living), (vec![44], 1));
    let left: Vec<u64> = bed
        .directory
        .workers()
        .workers
        .iter()
        .map(|worker| worker.hello.incarnation.0)
        .collect();
    assert_eq!(left, [9]);
    eventually(|| {
        log().contains("a worker is dead: a controller had it asked worker=worker-1 incarnation=000000000000002c")
    })
    .await;
    let probed = client(&bed).probe_worker(probe("worker-1")).await.unwrap().into_inner();
    assert_eq!((probed.dead, probed.living), (vec![], 1));
    bed.worker.state().behaviour.insert(9, Behaviour::Away);
    let probed = client(&bed).probe_worker(probe("worker-1")).await.unwrap().into_inner();
    assert_eq!((probed.dead, probed.living), (vec![], 1), "silence is no death");
}

#[tokio::test]
async fn a_worker_is_drained_and_who_does_not_hear_of_it_is_said() {
    let bed = Bed::start().await;
    let drain = |worker: &str| DrainWorkerRequest {
        worker_id: worker.to_owned(),
        deadline_seconds: 7,
    };
    client(&bed).drain_worker(drain("worker-0")).await.unwrap();
    assert_eq!(bed.worker.state().drained, [7]);
    let absent = client(&bed).drain_worker(drain("worker-9")).await.unwrap_err();
    assert_eq!(absent.code(), Code::NotFound);
    bed.worker.state().behaviour.insert(0, Behaviour::Away);
    let away = client(&bed).drain_worker(drain("worker-0")).await.unwrap_err();
    assert_eq!(away.code(), Code::Unavailable);
}
