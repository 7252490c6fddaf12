//! The conformance kit finds each rule broken by a manager that breaks it.

use pool_core::testing::conformance::{Subject, check};
use pool_core::testing::{Act, MockConnection, MockManager, Step};

/// A mock server with faults.
#[derive(Default)]
struct Faulty {
    mock: MockManager,
    /// What happens to the manager when its server is broken.
    broken: Option<Vec<(Step, Act)>>,
    soils: bool,
    stays_dirty: bool,
    secret: Option<&'static str>,
}

impl Subject for Faulty {
    type Manager = MockManager;

    fn manager(&self) -> MockManager {
        self.mock.clone()
    }

    async fn exercise(&self, _: &mut MockConnection) -> Result<(), String> {
        tokio::task::yield_now().await;
        Ok(())
    }

    async fn soil(&self, conn: &mut MockConnection) -> bool {
        if self.soils && !self.stays_dirty {
            conn.make_dirty();
        }
        self.soils
    }

    async fn is_clean(&self, _: &mut MockConnection) -> bool {
        !self.stays_dirty
    }

    async fn break_server(&self) -> bool {
        for (step, act) in self.broken.iter().flatten() {
            self.mock.always(*step, act.clone());
        }
        self.broken.is_some()
    }

    async fn restore_server(&self) {
        for step in [Step::Connect, Step::Validate] {
            self.mock.forget(step);
        }
    }

    fn secret(&self) -> Option<String> {
        self.secret.map(str::to_owned)
    }
}

fn dead() -> Vec<(Step, Act)> {
    vec![(Step::Connect, Act::Fail), (Step::Validate, Act::Hang)]
}

#[tokio::test(start_paused = true)]
async fn a_manager_that_keeps_every_rule_passes_all() {
    let sound = Faulty {
        broken: Some(dead()),
        soils: true,
        secret: Some("hunter2"),
        ..Faulty::default()
    };
    assert_eq!(check(&sound).await.map(|kept| kept.len()), Ok(9));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_tried_is_not_called_kept() {
    let kept = check(&Faulty::default()).await.expect("nothing is broken");
    assert_eq!(kept.len(), 5);
    assert!(!kept.contains(&"a dead server is noticed"));
}

async fn broken_rule(faulty: Faulty) -> String {
    check(&faulty)
        .await
        .expect_err("a rule is broken")
        .to_string()
}

#[tokio::test(start_paused = true)]
async fn each_rule_that_is_broken_is_found() {
    let shows = Faulty {
        secret: Some("mock"),
        ..Faulty::default()
    };
    assert!(broken_rule(shows).await.contains("a name shows no secret"));

    let dirty = Faulty {
        soils: true,
        stays_dirty: true,
        ..Faulty::default()
    };
    assert!(
        broken_rule(dirty)
            .await
            .contains("the next user finds what was left")
    );

    for (step, act, rule) in [
        (Step::Connect, Act::Fail, "a new connection works"),
        (Step::Connect, Act::Hang, "a new connection works"),
        (Step::Validate, Act::Fail, "validating disturbs nothing"),
        (Step::Validate, Act::Hang, "validating disturbs nothing"),
    ] {
        let faulty = Faulty::default();
        faulty.mock.always(step, act);
        assert!(broken_rule(faulty).await.contains(rule));
    }

    let blind = Faulty {
        broken: Some(vec![(Step::Connect, Act::Fail)]),
        ..Faulty::default()
    };
    assert!(
        broken_rule(blind)
            .await
            .contains("validating succeeds though the server is dead")
    );
    let elsewhere = Faulty {
        broken: Some(vec![(Step::Validate, Act::Fail)]),
        ..Faulty::default()
    };
    assert!(
        broken_rule(elsewhere)
            .await
            .contains("connecting succeeds though the server is dead")
    );

    // It closes in time only twice: the rules before it close one connection.
    let slow = Faulty::default();
    slow.mock.next(Step::Close, [Act::Succeed, Act::Hang]);
    assert!(broken_rule(slow).await.contains("closing hangs"));
}
