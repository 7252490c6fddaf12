//! What a screen reader is given: the browser's accessibility tree, in reading order.
//!
//! The browser leaves out what is hidden and what has no meaning, computes the names, and tells the
//! roles and states that it hands to the system's screen reader.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::devtools::Page;

/// Roles that somebody operates.
const CONTROLS: [&str; 11] = [
    "button",
    "link",
    "textbox",
    "searchbox",
    "spinbutton",
    "combobox",
    "listbox",
    "checkbox",
    "radio",
    "tab",
    "DisclosureTriangle",
];

/// The page as it is read, from the top.
pub(super) struct Tree(Vec<Node>);

/// Something that is read.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) role: String,
    pub(super) name: String,
    /// The element it stands for, by the browser's number.
    pub(super) element: u64,
    depth: usize,
    properties: Value,
}

impl Page {
    /// What a screen reader would find now.
    pub(super) async fn read(&mut self) -> Tree {
        let told = self.call("Accessibility.getFullAXTree", json!({})).await;
        let told = told["nodes"].as_array().unwrap();
        let by_id: HashMap<&str, &Value> = told
            .iter()
            .map(|node| (node["nodeId"].as_str().unwrap(), node))
            .collect();
        let root = told.iter().find(|node| node["parentId"].is_null()).unwrap();
        let (mut nodes, mut pending) = (Vec::new(), vec![(root, 0)]);
        while let Some((node, depth)) = pending.pop() {
            if node["ignored"] == false {
                nodes.push(Node::of(node, depth));
            }
            let children = node["childIds"].as_array().into_iter().flatten().rev();
            let known = children.filter_map(|id| by_id.get(id.as_str().unwrap()));
            pending.extend(known.map(|child| (*child, depth + 1)));
        }
        Tree(nodes)
    }
}

impl Tree {
    /// The nodes of a role, in reading order.
    pub(super) fn all<'a>(&'a self, role: &'a str) -> impl Iterator<Item = &'a Node> {
        self.0.iter().filter(move |node| node.role == role)
    }

    /// The names of the nodes of a role, in reading order.
    pub(super) fn names<'a>(&'a self, role: &'a str) -> Vec<&'a str> {
        self.all(role).map(|node| node.name.as_str()).collect()
    }

    /// The document.
    pub(super) fn root(&self) -> &Node {
        &self.0[0]
    }

    /// What somebody operates or can move the focus to.
    pub(super) fn controls(&self) -> impl Iterator<Item = &Node> {
        let inside = &self.0[1..];
        inside.iter().filter(|node| {
            CONTROLS.contains(&node.role.as_str()) || node.property("focusable") == &json!(true)
        })
    }

    /// What has the focus.
    pub(super) fn focused(&self) -> Option<&Node> {
        let inside = &self.0[1..];
        inside
            .iter()
            .find(|node| node.property("focused") == &json!(true))
    }

    /// What a node holds, in reading order.
    pub(super) fn inside<'a>(&'a self, node: &'a Node) -> impl Iterator<Item = &'a Node> {
        let from = self.0.iter().position(|other| std::ptr::eq(other, node));
        let after = &self.0[from.unwrap() + 1..];
        after.iter().take_while(|inner| inner.depth > node.depth)
    }

    /// What is spoken when it changes.
    pub(super) fn live(&self) -> impl Iterator<Item = &Node> {
        self.0
            .iter()
            .filter(|node| !matches!(node.property("live").as_str(), None | Some("off")))
    }
}

impl Node {
    fn of(node: &Value, depth: usize) -> Self {
        let text = |of: &Value| of["value"].as_str().unwrap_or_default().trim().to_owned();
        let told = node["properties"].as_array().into_iter().flatten();
        let properties = told.map(|property| {
            let name = property["name"].as_str().unwrap().to_owned();
            (name, property["value"]["value"].clone())
        });
        Self {
            role: text(&node["role"]),
            name: text(&node["name"]),
            element: node["backendDOMNodeId"].as_u64().unwrap_or_default(),
            depth,
            properties: Value::Object(properties.collect()),
        }
    }

    /// A state or property, null if it has none of that name.
    pub(super) fn property(&self, name: &str) -> &Value {
        &self.properties[name]
    }
}
