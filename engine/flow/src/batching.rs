//! Batching: items are held until there are enough of them or the oldest has waited long enough.

use std::time::Duration;

/// Gathers at most `most` items for at most `linger`.
#[derive(Clone, Debug)]
pub struct Batcher<T> {
    most: usize,
    linger: Duration,
    items: Vec<T>,
    since: Duration,
}

impl<T> Batcher<T> {
    /// Batches of at most `most` items (at least 1), none older than `linger`.
    pub fn new(most: usize, linger: Duration) -> Self {
        Self { most: most.max(1), linger, items: Vec::new(), since: Duration::ZERO }
    }

    /// Adds an item; returns the batch when it is full.
    pub fn push(&mut self, now: Duration, item: T) -> Option<Vec<T>> {
        if self.items.is_empty() {
            self.since = now;
        }
        self.items.push(item);
        if self.items.len() >= self.most { self.flush() } else { None }
    }

    /// The batch, when its oldest item has waited long enough.
    pub fn poll(&mut self, now: Duration) -> Option<Vec<T>> {
        if self.deadline().is_some_and(|due| now >= due) { self.flush() } else { None }
    }

    /// What is there, however little: at the end of a source or on a drain.
    pub fn flush(&mut self) -> Option<Vec<T>> {
        (!self.items.is_empty()).then(|| std::mem::take(&mut self.items))
    }

    /// When to call [`poll`](Self::poll); `None` when nothing waits.
    pub fn deadline(&self) -> Option<Duration> {
        (!self.items.is_empty()).then(|| self.since + self.linger)
    }

    /// Items that wait.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Nothing waits.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn order_size_and_age_are_kept(
            most in 1usize..9,
            linger in 0u64..9,
            steps in proptest::collection::vec((0u64..4, any::<bool>()), 0..200),
        ) {
            let mut batcher = Batcher::new(most, Duration::from_millis(linger));
            let (mut now, mut next, mut seen) = (0, 0u32, Vec::new());
            let mut times = Vec::new();
            let mut take = |now: u64, batch: Option<Vec<u32>>, times: &[u64]| {
                let Some(batch) = batch else { return Ok(()) };
                prop_assert!(!batch.is_empty() && batch.len() <= most);
                // Polled at every deadline, no batch is older than the linger.
                prop_assert!(now - times[batch[0] as usize] <= linger);
                seen.extend(batch);
                Ok(())
            };
            for (wait, push) in steps {
                for _ in 0..wait {
                    take(now, batcher.poll(Duration::from_millis(now)), &times)?;
                    now += 1;
                }
                take(now, batcher.poll(Duration::from_millis(now)), &times)?;
                if push {
                    times.push(now);
                    take(now, batcher.push(Duration::from_millis(now), next), &times)?;
                    next += 1;
                }
            }
            seen.extend(batcher.flush().unwrap_or_default());
            prop_assert_eq!(seen, (0..next).collect::<Vec<_>>());
            prop_assert_eq!(batcher.deadline(), None);
        }
    }
}
