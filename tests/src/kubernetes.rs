//! A Kubernetes API server that runs already, asked as its administrator: objects made, their status set by hand, and what is there.
//!
//! By `kubectl proxy`, which speaks plain HTTP here: a change takes milliseconds, and not the start of a program.

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};

use crate::{eventually, http, output, root};

/// Where all objects with a namespace are.
pub const NAMESPACE: &str = "whipcord";

/// A start, and what its own controllers do: a loaded machine gets this long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Killed when dropped; the API server is not.
#[derive(Debug)]
pub struct Kubernetes {
    proxy: Child,
    url: String,
}

impl Kubernetes {
    /// The one that KUBECONFIG names, with an empty namespace and what `docs/controller.md` lets a controller do.
    ///
    /// # Panics
    /// When there is none.
    pub fn connect() -> Self {
        let mut proxy = Command::new("kubectl")
            .args(["proxy", "--port=0", "--address=127.0.0.1"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("kubectl is installed");
        let mut line = String::new();
        let stdout = proxy.stdout.take().expect("stdout is piped");
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("it says where it listens");
        let (_, address) = line.trim().rsplit_once(' ').expect("it ends with its address");
        let kubernetes = Self {
            proxy,
            url: format!("http://{address}"),
        };
        kubernetes.clear();
        kubernetes.create("/api/v1/namespaces", json!({"metadata": {"name": NAMESPACE}}));
        let account = format!("/api/v1/namespaces/{NAMESPACE}/serviceaccounts/default");
        eventually("the namespace has its account", PATIENCE, || kubernetes.get(&account));
        kubernetes.allow();
        kubernetes
    }

    /// Of what an earlier test left, nothing stays.
    fn clear(&self) {
        let namespace = format!("/api/v1/namespaces/{NAMESPACE}");
        for node in self.names("/api/v1/nodes") {
            self.ask("DELETE", &format!("/api/v1/nodes/{node}"), "", "");
        }
        for pod in self.names(&format!("{namespace}/pods")) {
            self.delete_pod(&pod);
        }
        self.ask("DELETE", &namespace, "", "");
        eventually("the namespace of an earlier test is gone", PATIENCE, || {
            self.get(&namespace).is_none().then_some(())
        });
    }

    fn allow(&self) {
        let document = fs::read_to_string(root().join("docs/controller.md")).expect("it can be read");
        let (_, rest) = document.split_once("```yaml\n").expect("it has a block of YAML");
        let (yaml, _) = rest.split_once("```").expect("which ends");
        let file = tempfile::NamedTempFile::new().expect("a temporary file can be made");
        fs::write(file.path(), yaml).expect("it can be written");
        output(Command::new("kubectl").arg("apply").arg("--filename").arg(file.path()));
    }

    /// A configuration with nothing but a token of the controller's account, as a TokenRequest gives it.
    pub fn controllers_configuration(&self, folder: &Path) -> PathBuf {
        let account = format!("/api/v1/namespaces/{NAMESPACE}/serviceaccounts/whipcord-controller/token");
        let request = self.create(&account, json!({"spec": {"expirationSeconds": 3600}}));
        let token = request["status"]["token"].as_str().expect("a token");
        let raw = output(Command::new("kubectl").args(["config", "view", "--raw", "--minify", "--output=json"])).0;
        let mut configuration: Value = serde_json::from_slice(&raw).expect("it is JSON");
        configuration["users"][0]["user"] = json!({"token": token});
        configuration["contexts"][0]["context"]["namespace"] = json!(NAMESPACE);
        let file = folder.join("controller.kubeconfig");
        fs::write(&file, configuration.to_string()).expect("it can be written");
        file
    }

    /// A Ready node with these addresses, `(type, address)`.
    pub fn create_node(&self, name: &str, addresses: &[(&str, &str)]) {
        self.create("/api/v1/nodes", json!({"metadata": {"name": name}}));
        self.set_node_addresses(name, addresses);
    }

    pub fn set_node_addresses(&self, name: &str, addresses: &[(&str, &str)]) {
        let addresses = addresses
            .iter()
            .map(|(kind, address)| json!({"type": kind, "address": address}));
        let status = json!({"status": {
            "addresses": addresses.collect::<Vec<_>>(),
            "conditions": [{"type": "Ready", "status": "True"}],
        }});
        self.patch(&format!("/api/v1/nodes/{name}/status"), status);
    }

    /// As `kubectl cordon` does, or `kubectl uncordon`.
    pub fn cordon(&self, node: &str, is_cordoned: bool) {
        let spec = json!({"spec": {"unschedulable": is_cordoned.then_some(true)}});
        self.patch(&format!("/api/v1/nodes/{node}"), spec);
    }

    /// A Running and Ready pod of a worker, bound to a node, with a hostPort for media.
    pub fn create_pod(&self, name: &str, node: &str, host_port: u16) {
        let labels = json!({
            "app.kubernetes.io/name": "whipcord",
            "app.kubernetes.io/component": "worker",
            "pod": name,
        });
        let port = json!({"name": "media", "containerPort": host_port, "hostPort": host_port, "protocol": "UDP"});
        let pods = format!("/api/v1/namespaces/{NAMESPACE}/pods");
        let pod = json!({
            "metadata": {"name": name, "labels": labels},
            "spec": {"nodeName": node, "containers": [{"name": "worker", "image": "whipcord", "ports": [port]}]},
        });
        self.create(&pods, pod);
        self.set_pod(name, "Running", 0);
    }

    /// Its phase, and how often its container was started again.
    pub fn set_pod(&self, name: &str, phase: &str, restarts: u32) {
        let container = json!({
            "name": "worker", "image": "whipcord", "imageID": "whipcord", "ready": phase == "Running",
            "restartCount": restarts, "state": {"running": {}},
        });
        let status = json!({"status": {
            "phase": phase,
            "conditions": [{"type": "Ready", "status": if phase == "Running" { "True" } else { "False" }}],
            "containerStatuses": [container],
        }});
        self.patch(&format!("/api/v1/namespaces/{NAMESPACE}/pods/{name}/status"), status);
    }

    /// At once: no kubelet is there to end its containers.
    pub fn delete_pod(&self, name: &str) {
        let path = format!("/api/v1/namespaces/{NAMESPACE}/pods/{name}?gracePeriodSeconds=0");
        self.ask("DELETE", &path, "", "");
    }

    /// A load balancer for the pod of this name, with this ingress: `{"ip": ...}` or `{"hostname": ...}`.
    pub fn create_balancer(&self, pod: &str, port: u16, ingress: Value) {
        let services = format!("/api/v1/namespaces/{NAMESPACE}/services");
        let service = json!({
            "metadata": {"name": pod, "labels": {"app.kubernetes.io/name": "whipcord", "app.kubernetes.io/component": "worker"}},
            "spec": {"type": "LoadBalancer", "selector": {"pod": pod}, "ports": [{"port": port, "protocol": "UDP"}]},
        });
        self.create(&services, service);
        let status = json!({"status": {"loadBalancer": {"ingress": [ingress]}}});
        self.patch(&format!("{services}/{pod}/status"), status);
    }

    /// Notes of all Events with a reason, of an object of this name.
    pub fn events(&self, reason: &str, of: &str) -> Vec<String> {
        let path = format!("/apis/events.k8s.io/v1/namespaces/{NAMESPACE}/events");
        let listed = self.get(&path).expect("Events can be listed");
        let events = listed["items"].as_array().expect("a list of them").iter();
        let found = events.filter(|event| event["reason"] == reason && event["regarding"]["name"] == of);
        found
            .map(|event| event["note"].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    fn names(&self, path: &str) -> Vec<String> {
        let listed = self.get(path).unwrap_or_default();
        let items = listed["items"].as_array().cloned().unwrap_or_default();
        let names = items.iter().filter_map(|item| item["metadata"]["name"].as_str());
        names.map(str::to_owned).collect()
    }

    fn get(&self, path: &str) -> Option<Value> {
        let (status, body) = self.ask("GET", path, "", "");
        (status == 200).then_some(body)
    }

    #[track_caller]
    fn create(&self, path: &str, object: Value) -> Value {
        let (status, body) = self.ask("POST", path, "application/json", &object.to_string());
        assert!(status == 200 || status == 201, "POST {path}: {status} {body}");
        body
    }

    #[track_caller]
    fn patch(&self, path: &str, patch: Value) {
        let (status, body) = self.ask("PATCH", path, "application/merge-patch+json", &patch.to_string());
        assert_eq!(status, 200, "PATCH {path}: {body}");
    }

    fn ask(&self, method: &str, path: &str, kind: &str, body: &str) -> (u16, Value) {
        let url = format!("{}{path}", self.url);
        let answer = http::request(method, &url, &[("Content-Type", kind)], body);
        let is_chunked = answer.header("Transfer-Encoding") == Some("chunked");
        let text = if is_chunked {
            unchunked(&answer.body)
        } else {
            answer.body
        };
        (answer.status, serde_json::from_str(&text).unwrap_or_default())
    }
}

impl Drop for Kubernetes {
    fn drop(&mut self) {
        let _ = self.proxy.kill();
        let _ = self.proxy.wait();
    }
}

/// RFC 9112 §7.1.
fn unchunked(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).expect("a chunk has a size");
        if size == 0 {
            break;
        }
        whole.push_str(&rest[..size]);
        body = &rest[size + 2..];
    }
    whole
}

/// What `kubectl` says with a configuration of somebody, whether it may or not.
pub fn kubectl(configuration: &Path, arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new("kubectl");
    let output = command.arg("--kubeconfig").arg(configuration).args(arguments).output();
    let output = output.expect("kubectl is installed");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(text(&output.stderr))
    }
}

/// SIGSTOP or SIGCONT to the laboratory's API server.
///
/// # Panics
/// When the laboratory does not say which process that is.
pub fn signal_api_server(signal: &str) {
    let variable = |name: &str| {
        PathBuf::from(env::var_os(name).unwrap_or_else(|| panic!("{name} is not set: tests/k8s/controller sets it")))
    };
    let process = fs::read_to_string(variable("K8S_STATE").join("daemon/kube-apiserver")).expect("its number is there");
    output(Command::new(variable("K8S_LAB").join("on.sh")).args(["cp", "kill", signal, process.trim()]));
}
