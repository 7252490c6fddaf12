//! A pause: what is idle is kept, nobody is served, and no connect begins.

use std::sync::atomic::Ordering::Relaxed;

use super::{Exchange, Member, Refused};
use crate::inner::sync::Arc;
use crate::inner::waiters::Ticket;

/// What checkouts do while a pool is paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhilePaused {
    /// They wait, for as long as they would wait for a connection.
    Wait,
    /// They fail at once with `Error::Paused`.
    Fail,
}

impl<T: Member> Exchange<T> {
    /// Pauses: what is idle is kept, what is returned too, and no connect begins. False when the
    /// pool is closed.
    pub(crate) fn pause(&self, meanwhile: WhilePaused) -> bool {
        let dismissed: Vec<_> = {
            let mut line = self.lock();
            if line.closed {
                return false;
            }
            line.paused = Some(meanwhile);
            let fails = meanwhile == WhilePaused::Fail;
            self.terms.fails_paused.store(fails, Relaxed);
            self.terms.is_paused.store(true, Relaxed);
            line.plugged = true;
            line.capacity.frozen = true;
            for item in self.shards.plug_and_drain() {
                let ticket = Arc::new(Ticket::new());
                if ticket.lay_in(item).is_ok() {
                    line.kept.push(ticket);
                }
            }
            match meanwhile {
                WhilePaused::Wait => Vec::new(),
                WhilePaused::Fail => {
                    let dismissed = std::iter::from_fn(|| line.queue.call()).collect();
                    self.balance(&mut line);
                    dismissed
                }
            }
        };
        for waiter in dismissed {
            waiter.dismiss();
        }
        true
    }

    /// Ends a pause: what was kept is given back as if returned now. So many connects are to be
    /// begun; what could not be given back is refused.
    #[must_use = "the slots of the connects are taken"]
    pub(crate) fn resume(&self) -> (Vec<Refused<T>>, usize) {
        let (kept, connects) = {
            let mut line = self.lock();
            if line.closed || line.paused.take().is_none() {
                return (Vec::new(), 0);
            }
            self.terms.is_paused.store(false, Relaxed);
            line.capacity.frozen = false;
            let kept = std::mem::take(&mut line.kept);
            self.balance(&mut line);
            let waiting = line.queue.len().saturating_sub(kept.len());
            (kept, line.capacity.plan(waiting))
        };
        let items = kept.into_iter().filter_map(|ticket| ticket.leave());
        (
            items.filter_map(|item| Self::release(item).err()).collect(),
            connects,
        )
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.terms.is_paused.load(Relaxed)
    }

    /// What checkouts do meanwhile if the pool is paused.
    pub(crate) fn paused(&self) -> Option<WhilePaused> {
        let fails = self.terms.fails_paused.load(Relaxed);
        let meanwhile = if fails {
            WhilePaused::Fail
        } else {
            WhilePaused::Wait
        };
        self.is_paused().then_some(meanwhile)
    }
}
