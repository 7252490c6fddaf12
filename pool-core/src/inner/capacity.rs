//! How many connections there are, and how many more should be opened: plain numbers, guarded by
//! the lock of the queue.
//!
//! A slot is taken before a connect begins and given back when the connection is closed, so
//! `total` bounds what exists on the server. A connect is planned for each waiter that none is
//! under way for, and for each connection missing to `min`; at most `max_connecting` are under
//! way, one while connects fail.

/// The slots of one pool.
#[derive(Debug, Clone)]
pub(crate) struct Capacity {
    pub(crate) min: usize,
    pub(crate) max: usize,
    pub(crate) max_connecting: usize,
    /// Slots taken: connections opening, idle, active and closing.
    total: usize,
    /// Of these, those whose connect is planned or under way.
    opening: usize,
    /// Of these, those being closed: the server still has them, the pool no longer.
    closing: usize,
    /// A maximum below `max` for a while: the server has no room for more.
    pub(crate) ceiling: Option<usize>,
    /// A minimum above `min`: the load asks for it.
    pub(crate) kept_open: usize,
    /// At most so many connects for those who wait: they will soon have been served.
    pub(crate) restraint: Option<usize>,
    /// Whether no connect is to begin: the pool is paused.
    pub(crate) frozen: bool,
    /// Whether no connect is to begin: the breaker was opened by hand.
    pub(crate) barred: bool,
    /// Whether the last connect failed: then one at a time, paced by the backoff.
    pub(crate) failing: bool,
}

impl Capacity {
    pub(crate) fn new(min: usize, max: usize, max_connecting: usize) -> Self {
        Self {
            min,
            max,
            max_connecting,
            total: 0,
            opening: 0,
            closing: 0,
            ceiling: None,
            kept_open: 0,
            restraint: None,
            frozen: false,
            barred: false,
            failing: false,
        }
    }

    #[cfg(test)]
    pub(crate) fn total(&self) -> usize {
        self.total
    }

    /// Connects planned or under way.
    pub(crate) fn opening(&self) -> usize {
        self.opening
    }

    /// Connections that are not being closed.
    pub(crate) fn live(&self) -> usize {
        // One that is told to be closing may have lost its slot.
        self.total.saturating_sub(self.closing)
    }

    /// Connections that are open and not being closed.
    pub(crate) fn available(&self) -> usize {
        // One that is closed at once may be told of before its connect is through.
        self.live().saturating_sub(self.opening)
    }

    /// How many connections are kept open, in use or idle.
    pub(crate) fn floor(&self) -> usize {
        self.min.max(self.kept_open).min(self.max)
    }

    /// How many connections there may be now.
    pub(crate) fn room(&self) -> usize {
        self.ceiling
            .map_or(self.max, |ceiling| ceiling.min(self.max))
    }

    /// No more connections than are open, until the ceiling is taken away; without any it would
    /// be no pool, so then nothing changes.
    pub(crate) fn make_do(&mut self) -> bool {
        let open = self.available();
        if open > 0 {
            self.ceiling = Some(open);
        }
        open > 0
    }

    /// Takes slots for the connects that `waiting` waiters and `min` call for now.
    pub(crate) fn plan(&mut self, waiting: usize) -> usize {
        let wanted = match self.restraint {
            Some(most) if self.available() > 0 => waiting.min(most),
            _ => waiting,
        };
        let for_waiters = wanted.saturating_sub(self.opening);
        let for_min = self.floor().saturating_sub(self.live());
        self.take(for_waiters.max(for_min))
    }

    /// Takes up to `wanted` slots for connects, as far as the limits allow.
    pub(crate) fn take(&mut self, wanted: usize) -> usize {
        let planned = wanted
            .min(self.room().saturating_sub(self.total))
            .min(self.at_once().saturating_sub(self.opening));
        // While nothing is planned nothing is written, and no other core has to read this again.
        if planned > 0 {
            self.total += planned;
            self.opening += planned;
        }
        planned
    }

    /// Whether a connect that is planned may begin: what was so when it was planned may have
    /// changed.
    pub(crate) fn may_begin(&self) -> bool {
        self.live() <= self.room() && self.opening <= self.at_once()
    }

    /// How many connects may be under way now.
    fn at_once(&self) -> usize {
        match (self.frozen || self.barred, self.failing) {
            (true, _) => 0,
            (false, true) => 1,
            (false, false) => self.max_connecting,
        }
    }

    /// Whether a connect that has not begun is still called for.
    pub(crate) fn still_wanted(&self, waiting: usize) -> bool {
        waiting >= self.opening || self.live() <= self.floor()
    }

    /// A connect is through: its slot stays taken.
    pub(crate) fn opened(&mut self) {
        self.opening -= 1;
    }

    /// A connect came to nothing.
    pub(crate) fn not_opened(&mut self) {
        self.opening -= 1;
        self.total -= 1;
    }

    /// A connection is going to be closed.
    pub(crate) fn closing(&mut self) {
        self.closing += 1;
    }

    /// What was told to be [`closing`](Self::closing) had no slot any more.
    pub(crate) fn not_closing(&mut self) {
        self.closing -= 1;
    }

    /// A connection is gone; `announced` when [`closing`](Self::closing) was told before.
    pub(crate) fn gone(&mut self, announced: bool) {
        self.total -= 1;
        self.closing -= usize::from(announced);
    }

    /// How many connections there are too many, after `max` was lowered.
    pub(crate) fn surplus(&self) -> usize {
        self.live().saturating_sub(self.max)
    }

    /// Whether one more waiter would be left over: more than `max_waiting` beyond those for whom
    /// a connection is being opened or can be.
    pub(crate) fn is_full(&self, waiting: usize, max_waiting: Option<usize>) -> bool {
        let coming = || match self.at_once() {
            0 => self.opening,
            _ => self.opening + self.room().saturating_sub(self.total),
        };
        max_waiting.is_some_and(|limit| waiting + 1 > coming().saturating_add(limit))
    }
}

#[cfg(test)]
mod tests {
    use super::Capacity;

    #[test]
    fn waiters_and_minimum_share_the_connects_under_way() {
        let mut c = Capacity::new(2, 10, 8);
        assert_eq!(c.plan(0), 2, "the minimum");
        assert_eq!(c.plan(2), 0, "two waiters get the two that are coming");
        assert_eq!(c.plan(3), 1);
    }

    #[test]
    fn never_more_than_max_nor_more_at_once_than_allowed() {
        let mut c = Capacity::new(0, 3, 2);
        assert_eq!(c.plan(100), 2);
        c.opened();
        assert_eq!(c.plan(100), 1);
        c.opened();
        c.opened();
        assert_eq!(c.plan(100), 0);
        assert_eq!(c.total(), 3);
    }

    #[test]
    fn restraint_holds_back_what_is_for_waiters_while_anybody_can_serve_them() {
        let mut c = Capacity::new(1, 10, 4);
        assert_eq!(c.plan(0), 1);
        c.opened();
        c.restraint = Some(0);
        assert_eq!(c.plan(5), 0);
        c.restraint = Some(1);
        assert_eq!((c.plan(5), c.plan(5)), (1, 0));
        c.restraint = Some(0);
        c.not_opened();
        c.gone(false);
        assert_eq!(c.plan(5), 4, "nobody is left who could");
    }

    #[test]
    fn one_connect_at_a_time_while_they_fail() {
        let mut c = Capacity::new(0, 10, 4);
        c.failing = true;
        assert_eq!(c.plan(5), 1);
        assert_eq!(c.plan(5), 0);
        c.not_opened();
        assert_eq!(c.plan(5), 1);
    }

    #[test]
    fn a_connect_nobody_waits_for_any_more_is_not_begun() {
        let mut c = Capacity::new(0, 10, 4);
        assert_eq!(c.plan(2), 2);
        assert!(!c.still_wanted(1));
        c.not_opened();
        assert!(c.still_wanted(1));
        assert!(!c.still_wanted(0));
    }

    #[test]
    fn a_planned_connect_may_not_begin_once_what_allowed_it_has_changed() {
        let planned = || {
            let mut c = Capacity::new(0, 10, 4);
            assert_eq!((c.plan(2), c.may_begin()), (2, true));
            c
        };
        let changes: [fn(&mut Capacity); 4] = [
            |c| c.frozen = true,
            |c| c.barred = true,
            |c| c.failing = true,
            |c| c.max = 1,
        ];
        for change in changes {
            let mut c = planned();
            change(&mut c);
            assert!(!c.may_begin(), "{c:?}");
        }
    }

    #[test]
    fn a_lowered_maximum_shows_as_surplus() {
        let mut c = Capacity::new(0, 4, 4);
        assert_eq!(c.plan(4), 4);
        c.max = 1;
        assert_eq!(c.surplus(), 3);
        c.not_opened();
        assert_eq!(c.surplus(), 2);
        c.opened();
        c.closing();
        assert_eq!(
            c.surplus(),
            1,
            "one that is being closed is no longer too many"
        );
        c.gone(true);
        assert_eq!((c.surplus(), c.total()), (1, 2));
    }

    #[test]
    fn what_lost_its_slot_before_it_was_told_to_be_closing_counts_for_nothing_in_the_end() {
        let mut c = Capacity::new(0, 1, 1);
        assert_eq!(c.plan(1), 1);
        c.opened();
        c.gone(false);
        c.closing();
        assert_eq!((c.surplus(), c.plan(1)), (0, 1));
        c.not_closing();
        c.opened();
        c.max = 0;
        assert_eq!(c.surplus(), 1);
    }

    #[test]
    fn the_queue_is_full_only_beyond_what_can_be_opened() {
        let mut c = Capacity::new(0, 2, 4);
        assert!(
            !c.is_full(0, Some(0)) && !c.is_full(1, Some(0)),
            "two can be opened"
        );
        assert!(c.is_full(2, Some(0)));
        assert!(!c.is_full(2, Some(1)));
        assert_eq!(c.plan(2), 2);
        assert!(
            !c.is_full(1, Some(0)) && c.is_full(2, Some(0)),
            "two are coming"
        );
        c.opened();
        c.opened();
        assert!(c.is_full(0, Some(0)));
        assert!(!c.is_full(1_000_000, None));
    }
}
