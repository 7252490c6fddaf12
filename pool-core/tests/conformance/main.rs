//! The conformance kit finds each rule broken by a manager that breaks it.

mod faulty;

use pool_core::testing::conformance::{Subject, check};
use pool_core::testing::{MockConnection, MockManager};

use self::faulty::{Fault, Faulty};

const NAME: &str = "a name shows no secret";
const NEW: &str = "a new connection works";
const VALIDATING: &str = "validating disturbs nothing";
const SOIL: &str = "what a user left is gone for the next";
const CANCELLED_VALIDATION: &str = "a cancelled validation leaves it usable or says so";
const CANCELLED_USE: &str = "a cancelled use leaves it usable or says so";
const INTERRUPTING: &str = "an interrupter stops what runs, and nothing else";
const CLOSING: &str = "a closed connection is closed in time";
const DEAD: &str = "a dead server is noticed";
const RECOVERING: &str = "a pool serves again when the server is back";

#[tokio::test(start_paused = true)]
async fn a_manager_that_keeps_every_rule_passes_all() {
    for sound in [
        Fault::None,
        Fault::GivesUpWhatWasUsed,
        Fault::CannotRecycle,
        Fault::SeesOutagesItself,
        Fault::ConnectsSlowly,
    ] {
        let kept = check(&Faulty::new(sound)).await;
        let all = [
            NAME,
            NEW,
            VALIDATING,
            SOIL,
            CANCELLED_VALIDATION,
            CANCELLED_USE,
            INTERRUPTING,
            CLOSING,
            DEAD,
            RECOVERING,
        ];
        assert_eq!(kept.as_deref(), Ok(all.as_slice()), "{sound:?}");
    }
}

/// What every author of a manager has to write, and no more.
struct Least(MockManager);

impl Subject for Least {
    type Manager = MockManager;

    fn manager(&self) -> MockManager {
        self.0.clone()
    }

    async fn exercise(&self, _: &mut MockConnection) -> Result<(), String> {
        tokio::task::yield_now().await;
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_tried_is_not_called_kept() {
    let kept = check(&Least(MockManager::new())).await.unwrap();
    let tried = [
        NEW,
        VALIDATING,
        CANCELLED_VALIDATION,
        CANCELLED_USE,
        CLOSING,
    ];
    assert_eq!(kept, tried);
}

/// What is wrong with a manager, the rule that finds it, and what it has seen.
const FOUND: &[(Fault, &str, &str)] = &[
    (Fault::NameShowsSecret, NAME, "memory://app:hunter2@"),
    (Fault::ConnectingFails, NEW, "connecting fails: refused"),
    (Fault::ConnectingHangs, NEW, "connecting hangs"),
    (
        Fault::NewNeedsRecycling,
        NEW,
        "its condition is NeedsRecycle",
    ),
    (Fault::NewIsOutOfStep, NEW, "a new connection does not work"),
    (Fault::NewIsDead, NEW, "a new connection does not answer"),
    (Fault::ValidatingFails, VALIDATING, "validating fails: no"),
    (Fault::ValidatingHangs, VALIDATING, "validating hangs"),
    (
        Fault::ValidatingLeavesAnAnswer,
        VALIDATING,
        "a validated connection does not work: the answer to another question",
    ),
    (
        Fault::ValidatingBreaks,
        VALIDATING,
        "it calls itself broken",
    ),
    (
        Fault::SoilIsNotSeen,
        SOIL,
        "the next user finds what was left",
    ),
    (Fault::RecyclingHangs, SOIL, "recycling hangs"),
    (
        Fault::RecyclingLeavesSoil,
        SOIL,
        "the next user finds what was left",
    ),
    (
        Fault::RecyclingLeavesAnAnswer,
        SOIL,
        "a recycled connection does not work",
    ),
    (
        Fault::RecyclingKills,
        SOIL,
        "a recycled connection does not answer",
    ),
    (
        Fault::CancelledValidationIsNotSeen,
        CANCELLED_VALIDATION,
        "one dropped after 1 polls does not work",
    ),
    (
        Fault::CancelledUseIsNotSeen,
        CANCELLED_USE,
        "one dropped after 1 polls does not work",
    ),
    (Fault::InterruptingHangs, INTERRUPTING, "interrupting hangs"),
    (
        Fault::InterruptingIsNotHeard,
        INTERRUPTING,
        "what runs goes on",
    ),
    (
        Fault::InterruptingHitsTheIdle,
        INTERRUPTING,
        "an idle connection that was interrupted does not work: interrupted",
    ),
    (
        Fault::InterruptingGoesOn,
        INTERRUPTING,
        "a connection that was interrupted does not work: interrupted",
    ),
    (Fault::ClosingHangs, CLOSING, "closing hangs"),
    (Fault::ValidatingAsksNobody, DEAD, "validating succeeds"),
    (Fault::ConnectingAsksNobody, DEAD, "connecting succeeds"),
    (
        Fault::ErrorShowsSecret,
        DEAD,
        "a message shows the secret: hunter2",
    ),
    (
        Fault::OutageIsPermanent,
        DEAD,
        "it is called permanent: refused",
    ),
    (Fault::NeverConnectsAgain, DEAD, "connecting fails: refused"),
    (
        Fault::ConnectsToTheDeadAgain,
        DEAD,
        "a connection made after the server came back does not answer",
    ),
    (
        Fault::TakesTheDeadForAlive,
        RECOVERING,
        "the pool does not recover",
    ),
];

#[tokio::test(start_paused = true)]
async fn each_rule_that_is_broken_is_found_and_what_was_seen_is_told() {
    for &(fault, rule, seen) in FOUND {
        let violation = check(&Faulty::new(fault)).await.unwrap_err();
        assert_eq!(violation.rule, rule, "{fault:?}: {violation}");
        assert!(violation.seen.contains(seen), "{fault:?}: {violation}");
        let told = violation.to_string();
        assert!(told.contains(rule) && told.contains(seen), "{told}");
    }
}
