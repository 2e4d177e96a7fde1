//! Admission and credits, batching, circuit breaker, supervision policy.
