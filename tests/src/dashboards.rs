//! The chart's Grafana dashboards, as far as tests look at them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use crate::root;

/// One file.
#[derive(Debug, Deserialize)]
pub struct Dashboard {
    pub uid: String,
    pub title: String,
    pub description: String,
    pub tags: Vec<String>,
    #[serde(rename = "schemaVersion")]
    pub schema_version: u32,
    pub templating: Templating,
    pub panels: Vec<Panel>,
}

#[derive(Debug, Deserialize)]
pub struct Templating {
    pub list: Vec<Variable>,
}

#[derive(Debug, Deserialize)]
pub struct Variable {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: String,
}

#[derive(Debug, Deserialize)]
pub struct Panel {
    pub id: u32,
    #[serde(rename = "type")]
    pub kind: String,
    pub title: String,
    #[serde(default)]
    pub description: String,
    pub datasource: Source,
    #[serde(rename = "gridPos")]
    pub place: Place,
    #[serde(rename = "fieldConfig")]
    pub fields: Fields,
    pub targets: Vec<Target>,
}

#[derive(Debug, Deserialize)]
pub struct Source {
    pub uid: String,
}

/// In a grid of 24 columns.
#[derive(Debug, Deserialize)]
pub struct Place {
    pub x: u32,
    pub y: u32,
    pub w: u32,
    pub h: u32,
}

#[derive(Debug, Deserialize)]
pub struct Fields {
    pub defaults: Defaults,
}

#[derive(Debug, Deserialize)]
pub struct Defaults {
    pub unit: String,
}

#[derive(Debug, Deserialize)]
pub struct Target {
    #[serde(rename = "refId")]
    pub id: String,
    #[serde(rename = "expr")]
    pub query: String,
    #[serde(rename = "legendFormat")]
    pub legend: String,
}

impl Dashboard {
    /// All of them, by the names of their files.
    ///
    /// # Panics
    /// When one is not as these types say.
    pub fn all() -> Vec<(PathBuf, Self)> {
        let folder = root().join("helm/whipcord/files/dashboards");
        let entries = fs::read_dir(&folder).expect("the chart has dashboards");
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("they can be listed").path()).collect();
        files.sort();
        files
            .into_iter()
            .map(|file| (file.clone(), Self::read(&file)))
            .collect()
    }

    fn read(file: &Path) -> Self {
        let text = fs::read_to_string(file).expect("a dashboard can be read");
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
    }
}

impl Place {
    pub fn overlaps(&self, other: &Self) -> bool {
        self.x < other.x + other.w
            && other.x < self.x + self.w
            && self.y < other.y + other.h
            && other.y < self.y + self.h
    }
}
