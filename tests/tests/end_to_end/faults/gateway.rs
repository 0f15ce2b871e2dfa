//! Gateways: nothing is with one that another would miss.

use whipcord_tests::cluster::Cluster;

use super::{delete, post};

#[test]
fn any_gateway_routes_to_any_session() {
    let cluster = Cluster::start(2, 2);
    for n in 0..6 {
        let (status, path) = post(&cluster, n % 2, &format!("cam/{n}"));
        assert_eq!(status, 201);
        // Read your writes: by the other one, at once.
        assert_eq!(delete(&cluster, (n + 1) % 2, &path), 200, "cam/{n}");
    }
    assert_eq!(cluster.sessions(0).len(), 0);
}
