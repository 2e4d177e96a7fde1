//! tokio, with randomness that can be seeded: openraft draws its election timeouts from its
//! runtime, and a simulation has to draw the same ones for the same seed.

use openraft::{AsyncRuntime, TokioRuntime};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use std::cell::Cell;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use threat::entropy::mix64;

/// Draws of threads without a seed of their own.
static PROCESS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static THREAD: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Mixes `entropy` into what this process draws. Nodes that share a seed would stand for election
/// at the same moments.
pub fn seed_process(entropy: u64) {
    PROCESS.fetch_xor(mix64(entropy), Ordering::Relaxed);
}

/// Makes the draws of this thread depend on `seed` alone: for simulations, which run on one thread.
pub fn seed_thread(seed: u64) {
    THREAD.set(Some(seed));
}

/// tokio with seedable draws.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Runtime;

impl AsyncRuntime for Runtime {
    type JoinError = <TokioRuntime as AsyncRuntime>::JoinError;
    type JoinHandle<T: openraft::OptionalSend + 'static> =
        <TokioRuntime as AsyncRuntime>::JoinHandle<T>;
    type Sleep = <TokioRuntime as AsyncRuntime>::Sleep;
    type Instant = <TokioRuntime as AsyncRuntime>::Instant;
    type TimeoutError = <TokioRuntime as AsyncRuntime>::TimeoutError;
    type Timeout<R, T: Future<Output = R> + openraft::OptionalSend> =
        <TokioRuntime as AsyncRuntime>::Timeout<R, T>;
    type ThreadLocalRng = SmallRng;
    type OneshotSender<T: openraft::OptionalSend> =
        <TokioRuntime as AsyncRuntime>::OneshotSender<T>;
    type OneshotReceiver<T: openraft::OptionalSend> =
        <TokioRuntime as AsyncRuntime>::OneshotReceiver<T>;
    type OneshotReceiverError = <TokioRuntime as AsyncRuntime>::OneshotReceiverError;

    fn spawn<T>(future: T) -> Self::JoinHandle<T::Output>
    where
        T: Future + Send + 'static,
        T::Output: Send + 'static,
    {
        TokioRuntime::spawn(future)
    }

    fn sleep(duration: Duration) -> Self::Sleep {
        TokioRuntime::sleep(duration)
    }

    fn sleep_until(deadline: Self::Instant) -> Self::Sleep {
        TokioRuntime::sleep_until(deadline)
    }

    fn timeout<R, F: Future<Output = R> + Send>(
        duration: Duration,
        future: F,
    ) -> Self::Timeout<R, F> {
        TokioRuntime::timeout(duration, future)
    }

    fn timeout_at<R, F: Future<Output = R> + Send>(
        deadline: Self::Instant,
        future: F,
    ) -> Self::Timeout<R, F> {
        TokioRuntime::timeout_at(deadline, future)
    }

    fn is_panic(error: &Self::JoinError) -> bool {
        TokioRuntime::is_panic(error)
    }

    fn thread_rng() -> SmallRng {
        let seed = THREAD.get().map(|s| {
            let next = s.wrapping_add(0x9e37_79b9_7f4a_7c15);
            THREAD.set(Some(next));
            mix64(next)
        });
        let seed = seed.unwrap_or_else(|| mix64(PROCESS.fetch_add(1, Ordering::Relaxed)));
        SmallRng::seed_from_u64(seed)
    }

    fn oneshot<T: Send>() -> (Self::OneshotSender<T>, Self::OneshotReceiver<T>) {
        TokioRuntime::oneshot()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngCore;

    #[test]
    fn a_seeded_thread_draws_the_same_again() {
        let draw = || (0..4).map(|_| Runtime::thread_rng().next_u64()).collect::<Vec<_>>();
        seed_thread(7);
        let first = draw();
        seed_thread(7);
        assert_eq!(draw(), first);
        seed_thread(8);
        assert_ne!(draw(), first);
        let unique: std::collections::BTreeSet<u64> = first.iter().copied().collect();
        assert_eq!(unique.len(), 4);
    }
}
