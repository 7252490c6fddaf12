//! A page in a headless Chromium, driven through its debugging protocol.

use std::process::Stdio;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// A key that moves about the page.
#[derive(Clone, Copy)]
pub(super) enum Key {
    Tab,
    Enter,
}

/// An open page; the browser ends with it.
pub(super) struct Page {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    session: Option<String>,
    calls: u64,
    /// What the browser has told without being asked.
    events: Vec<Value>,
    _browser: Child,
    _profile: tempfile::TempDir,
}

impl Page {
    /// Starts a browser and opens the page in it.
    pub(super) async fn open(url: &str) -> Self {
        let profile = tempfile::tempdir().unwrap();
        let mut browser = Command::new("chromium")
            .args(["--headless=new", "--no-sandbox", "--disable-gpu"])
            .args(["--disable-dev-shm-usage", "--disable-background-networking"])
            .arg("--remote-debugging-port=0")
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("chromium is installed by scripts/install-servers");
        let mut lines = BufReader::new(browser.stderr.take().unwrap()).lines();
        let address = loop {
            let line = lines.next_line().await.unwrap().expect("chromium starts");
            if let Some(address) = line.strip_prefix("DevTools listening on ") {
                break address.to_owned();
            }
        };
        // A browser whose messages nobody reads would stop.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let (socket, _) = connect_async(address).await.unwrap();
        let mut page = Self {
            socket,
            session: None,
            calls: 0,
            events: Vec::new(),
            _browser: browser,
            _profile: profile,
        };
        let blank = json!({ "url": "about:blank" });
        let target = page.call("Target.createTarget", blank).await["targetId"].take();
        let attach = json!({ "targetId": target, "flatten": true });
        let session = page.call("Target.attachToTarget", attach).await["sessionId"].take();
        page.session = session.as_str().map(str::to_owned);
        for domain in ["Runtime", "Log", "Network", "Page"] {
            page.call(&format!("{domain}.enable"), json!({})).await;
        }
        page.call("Page.navigate", json!({ "url": url })).await;
        page
    }

    /// What an expression comes to.
    pub(super) async fn tell(&mut self, expression: &str) -> Value {
        let what = json!({ "expression": expression, "returnByValue": true });
        self.call("Runtime.evaluate", what).await["result"]["value"].take()
    }

    /// Waits until an expression is true.
    pub(super) async fn until(&mut self, expression: &str) {
        for _ in 0..1200 {
            if self.tell(expression).await == true {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let shown = self.tell("document.body.innerText").await;
        panic!("never: {expression}\n{shown}\n{:?}", self.complaints());
    }

    /// Makes the page as wide as a phone.
    pub(super) async fn narrow(&mut self) {
        let phone = json!({ "width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": true });
        self.call("Emulation.setDeviceMetricsOverride", phone).await;
    }

    /// Tells the page that its reader prefers this colour scheme.
    pub(super) async fn prefer(&mut self, scheme: &str) {
        let feature = json!({ "name": "prefers-color-scheme", "value": scheme });
        let media = json!({ "features": [feature] });
        self.call("Emulation.setEmulatedMedia", media).await;
    }

    /// Presses and releases a key.
    pub(super) async fn press(&mut self, key: Key) {
        let (name, code, text) = match key {
            Key::Tab => ("Tab", 9, ""),
            Key::Enter => ("Enter", 13, "\r"),
        };
        for kind in ["keyDown", "keyUp"] {
            let event = json!({
                "type": kind, "key": name, "code": name, "text": text,
                "windowsVirtualKeyCode": code,
            });
            self.call("Input.dispatchKeyEvent", event).await;
        }
    }

    /// All that the page has asked for, itself included.
    pub(super) fn loaded(&self) -> Vec<String> {
        let requests = self.named("Network.requestWillBeSent");
        requests
            .map(|event| event["request"]["url"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Errors of the script and on the console.
    pub(super) fn complaints(&self) -> Vec<String> {
        let thrown = self.named("Runtime.exceptionThrown");
        let logged = self.named("Log.entryAdded");
        let console = self.named("Runtime.consoleAPICalled");
        thrown
            .chain(logged.filter(|event| event["entry"]["level"] == "error"))
            .chain(console.filter(|event| event["type"] == "error"))
            .map(Value::to_string)
            .collect()
    }

    fn named(&self, method: &'static str) -> impl Iterator<Item = &Value> {
        let named = self
            .events
            .iter()
            .filter(move |event| event["method"] == method);
        named.map(|event| &event["params"])
    }

    /// The answer to a command of the protocol.
    pub(super) async fn call(&mut self, method: &str, params: Value) -> Value {
        self.calls += 1;
        let mut call = json!({ "id": self.calls, "method": method, "params": params });
        if let Some(session) = &self.session {
            call["sessionId"] = json!(session);
        }
        let text = Message::text(call.to_string());
        self.socket.send(text).await.unwrap();
        loop {
            let Message::Text(text) = self.socket.next().await.unwrap().unwrap() else {
                continue;
            };
            let mut told: Value = serde_json::from_str(&text).unwrap();
            if told["id"] == self.calls {
                assert!(told["error"].is_null(), "{method}: {told}");
                return told["result"].take();
            }
            self.events.push(told);
        }
    }
}
