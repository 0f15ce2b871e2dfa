//! The alert rules, their runbook and the dashboards, as they are written. `end_to_end` holds them against processes.

#![allow(clippy::unwrap_used, reason = "all of this is tests")]

use std::{collections::BTreeSet, fs};

use whipcord_tests::{
    dashboards::Dashboard,
    output,
    prometheus::{is_missing, promtool},
    root,
    rules::{self, Alert},
};

#[test]
fn every_alert_fires_where_it_should_and_nowhere_else() {
    if is_missing("promtool", "the cases of the alert rules") {
        return;
    }
    let cases = root().join("tests/rules/whipcord.yaml");
    output(promtool(&["check", "rules"]).arg(rules::file()));
    let (said, _) = output(promtool(&["test", "rules"]).arg(&cases));
    assert!(String::from_utf8_lossy(&said).contains("SUCCESS"));
    let (text, cases) = (rules::text(), fs::read_to_string(cases).unwrap());
    for Alert { name, .. } in Alert::all(&text) {
        let asked = [format!("alertname=\"{name}\""), format!("alertname: {name}\n")];
        assert!(asked.iter().any(|asked| cases.contains(asked)), "{name} has no case");
    }
}

const RUNBOOK: &str = "https://github.com/whipcord/whipcord/blob/main/docs/runbook.md#";

#[test]
fn every_alert_says_what_it_is_and_has_a_section_of_the_runbook() {
    let text = rules::text();
    let alerts = Alert::all(&text);
    assert!(alerts.len() > 10, "they are read");
    for alert in &alerts {
        let name = alert.name;
        for key in ["summary", "description"] {
            assert!(alert.value(key).is_some_and(|text| text.len() > 20), "{name}: {key}");
        }
        let severity = alert.value("severity");
        assert!(matches!(severity, Some("critical" | "warning")), "{name}: {severity:?}");
        let anchor = format!("{RUNBOOK}{}", name.to_lowercase());
        assert_eq!(alert.value("runbook_url"), Some(anchor.as_str()), "{name}");
    }
    let runbook = fs::read_to_string(root().join("docs/runbook.md")).unwrap();
    let mut sections = runbook.split("\n## ");
    sections.next();
    let mut described = BTreeSet::new();
    for section in sections {
        let (name, body) = section.split_once('\n').unwrap();
        let paragraphs: Vec<&str> = body
            .split("\n\n")
            .map(str::trim)
            .filter(|text| !text.is_empty())
            .collect();
        let begins = ["**It means** ", "**Users see** ", "**Look** ", "**Do** "];
        assert_eq!(paragraphs.len(), begins.len(), "{name}");
        for (paragraph, begin) in paragraphs.iter().zip(begins) {
            assert!(paragraph.starts_with(begin), "{name}: {paragraph}");
        }
        assert!(described.insert(name), "{name} twice");
    }
    let named: BTreeSet<&str> = alerts.iter().map(|alert| alert.name).collect();
    assert_eq!(named, described, "alerts, and sections of the runbook");
}

#[test]
fn durations_of_rules_are_divided_and_nothing_else() {
    let text = "expr: increase(x[5m]) > 5 unless y offset 10m\nfor: 2m\nsummary: \"in 5 minutes\"\n";
    let expected = "expr: increase(x[15000ms]) > 5 unless y offset 30000ms\nfor: 6000ms\nsummary: \"in 5 minutes\"\n";
    assert_eq!(rules::hastened(text, 20), expected);
    let (all, hastened) = (rules::text(), rules::hastened(&rules::text(), 20));
    assert_eq!(Alert::all(&all).len(), Alert::all(&hastened).len());
    let left = ["[5m]", "[10m]", "[15m]", "offset 5m", "for: 1m", "for: 2m"];
    assert!(left.iter().all(|left| !hastened.contains(left)), "{hastened}");
}

/// Grafana's own: a dashboard needs nothing installed.
const PANELS: [&str; 2] = ["timeseries", "stat"];
/// Of Grafana 10.0.
const SCHEMA_MIN: u32 = 38;
const COLUMNS: u32 = 24;

#[test]
fn dashboards_are_whole() {
    let dashboards = Dashboard::all();
    let mut uids = BTreeSet::new();
    for (file, dashboard) in &dashboards {
        let file = file.file_name().unwrap().to_str().unwrap();
        assert_eq!(format!("{}.json", dashboard.uid), format!("whipcord-{file}"));
        assert!(uids.insert(&dashboard.uid));
        assert!(
            dashboard.title.starts_with("Whipcord / ") && !dashboard.description.is_empty(),
            "{file}"
        );
        assert!(
            dashboard.tags.iter().any(|tag| tag == "whipcord"),
            "{file}: links between them go by it"
        );
        assert!(dashboard.schema_version >= SCHEMA_MIN, "{file}");
        let source = &dashboard.templating.list[0];
        assert_eq!(
            (source.name.as_str(), source.kind.as_str()),
            ("datasource", "datasource"),
            "{file}"
        );
        assert!(!dashboard.panels.is_empty(), "{file}");
        let mut ids = BTreeSet::new();
        for panel in &dashboard.panels {
            let what = format!("{file}: {}", panel.title);
            assert!(ids.insert(panel.id), "{what}: {} twice", panel.id);
            assert!(PANELS.contains(&panel.kind.as_str()), "{what}: {}", panel.kind);
            assert!(panel.description.len() > 20, "{what}: {:?}", panel.description);
            assert_eq!(panel.datasource.uid, "${datasource}", "{what}");
            assert!(!panel.fields.defaults.unit.is_empty(), "{what}");
            assert!(
                panel.place.w > 0 && panel.place.h > 0 && panel.place.x + panel.place.w <= COLUMNS,
                "{what}"
            );
            assert!(!panel.targets.is_empty(), "{what}");
            let mut queries = BTreeSet::new();
            for target in &panel.targets {
                assert!(queries.insert(&target.id), "{what}: {} twice", target.id);
                assert!(!target.query.is_empty() && !target.legend.is_empty(), "{what}");
                assert_names_known_variables(dashboard, &target.query, &what);
            }
            let others = dashboard.panels.iter().filter(|other| other.id != panel.id);
            let over = others.into_iter().find(|other| other.place.overlaps(&panel.place));
            assert!(over.is_none(), "{what} lies over {:?}", over.map(|other| &other.title));
        }
    }
}

/// Its own, and those of Grafana.
fn assert_names_known_variables(dashboard: &Dashboard, query: &str, what: &str) {
    for after in query.split('$').skip(1) {
        let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let name = &after[..end.unwrap_or(after.len())];
        let own = dashboard.templating.list.iter().any(|variable| variable.name == name);
        assert!(own || ["__rate_interval", "__range"].contains(&name), "{what}: ${name}");
    }
}
